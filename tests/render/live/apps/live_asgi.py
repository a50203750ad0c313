"""An app whose answer the request chooses: ?wait, ?block, ?bytes, ?type, ?status and ?header.

It counts what it is asked for, so that a test can tell an answer of its own from a kept one.
"""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from urllib.parse import parse_qs

SEEN = Counter()
LISTENERS = set()


async def app(scope, receive, send):  # noqa: ANN001, ANN201 - ASGI
    serve = {"lifespan": lifespan, "websocket": echo, "http": answer}[scope["type"]]
    await serve(scope, receive, send)


async def lifespan(_scope, receive, send):  # noqa: ANN001, ANN201
    # Between callbacks: never after an answer's head and before its body, which no proxy can mend.
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, os._exit, 1)
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def echo(_scope, receive, send):  # noqa: ANN001, ANN201
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def answer(scope, receive, send):  # noqa: ANN001, ANN201
    asked = parse_qs(scope["query_string"].decode())
    received = 0
    while True:
        message = await receive()
        received += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    path = scope["path"]
    SEEN[path] += 1
    if path == "/events":
        await events(receive, send)
        return
    if path == "/emit":
        for listener in LISTENERS:
            listener.put_nowait(asked["text"][0])
    time.sleep(float(asked.get("block", ["0"])[0]))  # noqa: ASYNC251 - a blocked loop is the case
    await asyncio.sleep(float(asked.get("wait", ["0"])[0]))
    body = told(scope, received) if "bytes" not in asked else b"x" * int(asked["bytes"][0])
    headers = [
        ("content-type", asked.get("type", ["application/json"])[0]),
        ("content-length", str(len(body))),
        *(tuple(header.split(":", 1)) for header in asked.get("header", [])),
    ]
    status = int(asked.get("status", ["200"])[0])
    await start(send, status, headers)
    await send({"type": "http.response.body", "body": body})


def told(scope, received):  # noqa: ANN001, ANN201
    headers = [(name.decode("latin-1"), text.decode("latin-1")) for name, text in scope["headers"]]
    seen = {
        "n": SEEN[scope["path"]],
        "path": scope["path"],
        "scheme": scope["scheme"],
        "client": scope["client"] and scope["client"][0],
        "headers": headers,
        "received": received,
    }
    return json.dumps(seen).encode()


async def events(receive, send):  # noqa: ANN001, ANN201
    """What is said to /emit, an event each, until the client has gone."""
    said = asyncio.Queue()
    LISTENERS.add(said)
    gone = asyncio.ensure_future(receive())
    try:
        await start(send, 200, [("content-type", "text/event-stream")])
        while True:
            text = asyncio.ensure_future(said.get())
            await asyncio.wait({gone, text}, return_when=asyncio.FIRST_COMPLETED)
            if not text.done():
                text.cancel()
                return
            event = f"data: {text.result()}\n\n".encode()
            await send({"type": "http.response.body", "body": event, "more_body": True})
    finally:
        LISTENERS.discard(said)


async def start(send, status, headers):  # noqa: ANN001, ANN201
    pairs = [(name.encode(), text.strip().encode()) for name, text in headers]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
