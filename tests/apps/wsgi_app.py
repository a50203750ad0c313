"""One route per way a sync app can be limited."""

from __future__ import annotations

import time

from flask import Flask

app = Flask("wsgi_app")


@app.get("/compute")
def compute() -> dict[str, int]:
    return {"sum": sum(i * i for i in range(3000))}


@app.get("/wait")
def wait() -> dict[str, int]:
    time.sleep(0.02)
    return {"waited 20 ms": sum(i * i for i in range(20_000))}
