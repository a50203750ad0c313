"""Whose X-Forwarded-* an app server believes: the proxy's on this host, and nobody else's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.render.kit.launch import is_handed_over
from advisor.render.place import LOOPBACK, address, is_unix, reachable, stream

if TYPE_CHECKING:
    from advisor.render.values import Inputs

NAMES = {"nginx": "nginx", "caddy": "Caddy"}


@dataclass(frozen=True)
class Trust:
    """`allowed` are the addresses that are believed, null for the product's default; and why."""

    allowed: str | None
    why: str


def trust(inputs: Inputs, *, is_uvicorn: bool) -> Trust | None:
    """The addresses that a server has to be told; null where its default is right.

    Gunicorn's own workers believe a peer on a unix socket in any case (gunicorn 20 to 27,
    `forwarded_allow_ips`). Uvicorn has no name for such a peer (`ProxyHeadersMiddleware`:
    its client is None), so that only `*` covers it; that is safe while the socket is the one
    of our own unit, which only the proxy's group may open.
    """
    intent = inputs.intent
    if intent.proxy == "none":
        return None
    if not is_unix(intent):
        why = "X-Forwarded-* is believed from the proxy on this host, and from nobody else."
        return Trust(addresses(inputs), why)
    if not is_uvicorn:
        return None
    if is_handed_over(inputs):
        name = NAMES[intent.proxy or "nginx"]
        return Trust(
            "*",
            f"Uvicorn has no other word for a peer on a unix socket, and only {name}'s group can "
            "open that socket. Started by hand on a port, add --forwarded-allow-ips 127.0.0.1.",
        )
    return Trust(
        None,
        "X-Forwarded-* is not believed: Uvicorn's only word for a peer on a unix socket is *, and "
        "this socket is not our unit's. If only the proxy can open it, say so with "
        "--forwarded-allow-ips '*'.",
    )


def addresses(inputs: Inputs) -> str:
    """From where the proxy on this host comes: * on a unix socket, which has no addresses."""
    where = stream(inputs.intent)
    if is_unix(inputs.intent):
        return "*"
    return ",".join(dict.fromkeys((*LOOPBACK, address(reachable(where)))))


def left_to_the_app(inputs: Inputs, server: str, wrapper: str) -> list[str]:
    """What a file says where the server itself believes nobody, and the app has to."""
    if inputs.intent.proxy == "none":
        return []
    sees = "behind the proxy the app sees http:// and the proxy as its client"
    return [f"{server} believes no X-Forwarded-*: {sees}, unless it is wrapped: {wrapper}"]
