"""A Flask app that waits 40 ms a request, as one that asks a database does."""

from __future__ import annotations

import time

from flask import Flask

WAIT_S = 0.04

app = Flask("advisor-demo")


@app.get("/report")
def report() -> dict[str, object]:
    """An answer that something else takes its time over."""
    time.sleep(WAIT_S)
    return {"rows": [{"day": day, "orders": day * 3 % 17} for day in range(20)]}


@app.get("/healthz")
def healthz() -> dict[str, str]:
    """Whether the app is up."""
    return {"status": "ok"}
