"""An app that holds 150 MB in each worker."""

from __future__ import annotations

from flask import Flask

app = Flask("heavy_app")
held = bytearray(150 * 1024**2)
for _page in range(0, len(held), 4096):
    held[_page] = 1


@app.get("/compute")
def compute() -> dict[str, int]:
    return {"sum": sum(i * i for i in range(3000))}
