"""A sync app of whose database the connections are few: it fails where it gets none."""

from __future__ import annotations

import os
import socket
import threading

from flask import Flask

# Where benchmarks/apps/database.py listens.
DATABASE_PORT = int(os.environ.get("DATABASE_PORT", "0"))

app = Flask("limited")
local = threading.local()


def connection() -> socket.socket | None:
    """This thread's connection, opened once and kept, as Django's CONN_MAX_AGE = None does.

    None where the database refuses it.
    """
    if not hasattr(local, "connection"):
        opened = socket.create_connection(("127.0.0.1", DATABASE_PORT))
        if opened.recv(1) != b"+":
            opened.close()
            return None
        local.connection = opened
    kept: socket.socket = local.connection
    return kept


@app.get("/rows")
def rows() -> tuple[dict[str, int], int]:
    """One round trip of 10 ms, and a page: about a millisecond of CPU."""
    database = connection()
    if database is None:
        return {"too many connections": 0}, 500
    database.sendall(b"?")
    database.recv(1)
    return {"sum": sum(i * i for i in range(20_000))}, 200
