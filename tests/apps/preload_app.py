"""An app whose imports take 60 MB of small objects: `/touch` reads a tenth of them."""

from __future__ import annotations

from flask import Flask

app = Flask("preload_app")
# About 60 bytes each, as parsed tables and templates are: a reference counted is a page written.
held = [str(number) * 3 for number in range(10**12, 10**12 + 600_000)]


@app.get("/")
def light() -> dict[str, int]:
    return {"held": len(held)}


@app.get("/touch")
def touch() -> dict[str, int]:
    return {"bytes": sum(len(text) for text in held[: len(held) // 10])}
