"""An app that does nothing: what remains of a request is the server's own cost.

It is copied beside a server under calibration and imported there by whatever Python the target
has: so it imports nothing of ours, and keeps to what Python 3.7 reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    Message = dict[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

OK = b"ok"


def wsgi(_environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    """Answer at once (PEP 3333)."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [OK]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer at once (ASGI 3)."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": OK})


async def _live(receive: Receive, send: Send) -> None:
    stage = ""
    while stage != "lifespan.shutdown":
        stage = (await receive())["type"]
        await send({"type": f"{stage}.complete"})
