"""An app that does not stand load: it fails, or it crawls, beyond a few requests at a time."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI, Response

app = FastAPI()
inside: set[object] = set()


@app.get("/fails")
async def fails() -> Response:
    """Six at a time are served."""
    inside.add(me := object())
    try:
        await asyncio.sleep(0.02)
        return Response("ok" if len(inside) <= 6 else "too many", 200 if len(inside) <= 6 else 503)
    finally:
        inside.discard(me)


@app.get("/crawls")
async def crawls() -> Response:
    """Beyond ten at a time each takes a second, so that the rate still grows."""
    inside.add(me := object())
    try:
        await asyncio.sleep(0.02 if len(inside) <= 10 else 1.0)
        return Response("ok")
    finally:
        inside.discard(me)


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}
