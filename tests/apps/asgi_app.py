"""One route per way an async app can be limited, or can misbehave."""

from __future__ import annotations

import asyncio
import os
import socket
import time

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse

# Where tests/apps/downstream.py listens: a service that takes 20 ms, five at a time.
DOWNSTREAM_PORT = int(os.environ.get("DOWNSTREAM_PORT", "0"))

app = FastAPI()
kept: list[bytes] = []
naps: list[float] = []


def nap(seconds: float) -> None:
    """Sleep, and keep how long that took: a busy machine's timers are late."""
    began = time.monotonic()
    time.sleep(seconds)
    naps.append(time.monotonic() - began)


def ask_downstream() -> None:
    """One byte there and one back, without a thought for the event loop."""
    with socket.create_connection(("127.0.0.1", DOWNSTREAM_PORT)) as connection:
        connection.sendall(b"?")
        connection.recv(1)


five = asyncio.Semaphore(5)


def page(size: int = 20_000) -> int:
    """What a page of a real app computes beside its waiting: about a millisecond of CPU."""
    return sum(i * i for i in range(size))


@app.get("/compute")
async def compute() -> dict[str, int]:
    return {"sum": sum(i * i for i in range(3000))}


@app.get("/wait")
async def wait() -> dict[str, int]:
    await asyncio.sleep(0.02)
    return {"waited 20 ms": page()}


@app.get("/blocked")
async def blocked() -> dict[str, int]:
    began = time.monotonic()
    time.sleep(0.02)  # noqa: ASYNC251 - the fault that the probe has to find
    naps.append(time.monotonic() - began)
    return {"blocked 20 ms": page()}


@app.get("/mixed")
async def mixed() -> dict[str, int]:
    await asyncio.sleep(0.005)
    return {"sum": sum(i * i for i in range(10_000))}


@app.get("/blocked-socket")
async def blocked_socket() -> dict[str, int]:
    ask_downstream()
    return {"blocked 20 ms, in a socket": page()}


@app.get("/blocked-cpu")
async def blocked_cpu() -> dict[str, int]:
    return {"sum": sum(i * i for i in range(300_000))}


@app.get("/downstream")
async def downstream() -> dict[str, int]:
    reader, writer = await asyncio.open_connection("127.0.0.1", DOWNSTREAM_PORT)
    try:
        writer.write(b"?")
        await reader.readexactly(1)
    finally:
        writer.close()
    return {"asked a service that answers five at a time": page()}


@app.get("/leak")
async def leak() -> dict[str, int]:
    kept.append(bytes(2000))
    return {"sum": sum(i * i for i in range(3000))}


@app.get("/threads")
def threads() -> dict[str, int]:
    nap(0.05)
    return {"waited 50 ms, in one of 40 threads": page(10_000)}


@app.get("/pool")
async def pool() -> dict[str, int]:
    async with five:
        await asyncio.sleep(0.02)
    return {"waited 20 ms, five at a time": page()}


@app.get("/private")
async def private(response: Response) -> dict[str, float]:
    response.set_cookie("visitor", "1")
    return {"now": time.time()}


@app.get("/large")
async def large() -> PlainTextResponse:
    return PlainTextResponse("words and words " * 2000, headers={"cache-control": "max-age=60"})


@app.get("/broken")
async def broken() -> Response:
    return Response("no", status_code=500)


@app.get("/locked")
async def locked() -> Response:
    return Response("no", status_code=401)


@app.get("/away")
async def away() -> RedirectResponse:
    return RedirectResponse("http://shop.example/")


@app.get("/endless")
async def endless() -> StreamingResponse:
    async def drip():  # noqa: ANN202 - a generator of bytes
        while True:
            yield b"data: tick\n\n"
            await asyncio.sleep(0.2)

    return StreamingResponse(drip(), media_type="text/event-stream")


@app.get("/never")
async def never() -> None:
    await asyncio.sleep(3600)


@app.get("/napped")
async def napped() -> float:
    return sum(naps) / max(1, len(naps))


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}
