"""The sample app that hosts of the lab serve: it misbehaves as it is told.

A knob is the variable SHOP_<NAME> of the process's environment, or, where that is not set, a key
of knobs.json beside this file, which is read again at each request:

- import_fails, import_hangs: while it is imported.
- dies_after_s: the process ends that long after it has started to serve.
- slow_s: each answer takes that much longer; health_slow_s: the health route alone.
- health_status: what the health route answers; health_hangs: it never does.
- marker: what /pid says, so that one generation's processes are told from another's.

/sleep/SECONDS is a request that is under way for so long, /hold/MIB makes its worker that much
larger.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KNOBS = Path(__file__).with_name("knobs.json")


def knob(name: str) -> str:
    if (value := os.environ.get(f"SHOP_{name.upper()}")) is not None:
        return value
    return str(json.loads(KNOBS.read_text()).get(name, "")) if KNOBS.exists() else ""


def seconds(name: str) -> float:
    return float(knob(name) or 0)


if knob("import_fails"):
    raise ImportError("the shop was told to fail")
if knob("import_hangs"):
    time.sleep(3600)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    if delay := seconds("dies_after_s"):
        end = threading.Timer(delay, os._exit, (1,))
        end.daemon = True
        end.start()
    yield


app = FastAPI(lifespan=lifespan)
held: list[bytes] = []


@app.get("/")
async def index() -> dict[str, str]:
    await asyncio.sleep(seconds("slow_s"))
    return {"shop": "open"}


@app.get("/healthz")
async def healthz() -> Response:
    if knob("health_hangs"):
        await asyncio.sleep(3600)
    await asyncio.sleep(seconds("slow_s") + seconds("health_slow_s"))
    return Response('{"status": "ok"}', int(knob("health_status") or 200))


@app.get("/pid")
async def pid() -> dict[str, int | str]:
    return {"pid": os.getpid(), "marker": knob("marker")}


@app.get("/sleep/{length_s}")
async def sleep(length_s: float) -> dict[str, float]:
    """A request that is under way for so long."""
    await asyncio.sleep(length_s)
    return {"slept_s": length_s}


@app.get("/hold/{mib}")
async def hold(mib: int) -> dict[str, int]:
    """Memory that this worker keeps."""
    held.append(os.urandom(1) * (mib << 20))
    return {"held": len(held)}
