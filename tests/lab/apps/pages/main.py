"""A second sample app, of the other interface: Flask under WSGI."""

from __future__ import annotations

import os

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return "pages\n"


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/pid")
def pid() -> dict[str, int]:
    return {"pid": os.getpid()}
