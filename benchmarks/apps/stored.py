"""Two apps that ask PostgreSQL: an ASGI one with a pool, a WSGI one with a connection a thread."""

from __future__ import annotations

import os
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import psycopg
from fastapi import FastAPI
from flask import Flask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PORT = int(os.environ.get("POSTGRES_PORT", "5432"))
POOL = int(os.environ.get("ASYNCPG_MAX_SIZE", "10"))
QUERY = "SELECT count(*) FROM pg_class, pg_sleep(0.01)"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        host="127.0.0.1", port=PORT, user="app", database="postgres", min_size=1, max_size=POOL
    ) as pool:
        app.state.pool = pool
        yield


asgi = FastAPI(lifespan=lifespan)
wsgi = Flask("stored")
own = threading.local()


@asgi.get("/rows")
async def rows() -> dict[str, int]:
    return {"rows": await asgi.state.pool.fetchval(QUERY)}


@wsgi.get("/rows")
def rows_of_a_thread() -> dict[str, int]:
    if not hasattr(own, "connection"):
        own.connection = psycopg.connect(
            host="127.0.0.1", port=PORT, user="app", dbname="postgres", autocommit=True
        )
    return {"rows": own.connection.execute(QUERY).fetchone()[0]}
