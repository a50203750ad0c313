"""One route per way a sync app can be limited."""

from __future__ import annotations

import time

from flask import Flask

app = Flask("wsgi_app")
naps: list[float] = []


def nap(seconds: float) -> None:
    """Sleep, and keep how long that took: a busy machine's timers are late."""
    began = time.monotonic()
    time.sleep(seconds)
    naps.append(time.monotonic() - began)


@app.get("/compute")
def compute() -> dict[str, int]:
    return {"sum": sum(i * i for i in range(3000))}


@app.get("/wait")
def wait() -> dict[str, int]:
    nap(0.02)
    return {"waited 20 ms": sum(i * i for i in range(20_000))}


@app.get("/napped")
def napped() -> str:
    return str(sum(naps) / max(1, len(naps)))
