"""gunicorn.conf.py: constants only. It sets no bind: the socket unit does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.render.component import Component, Gate, Output, lines_of
from advisor.render.place import LOOPBACK, address, is_unix, reachable, stream

if TYPE_CHECKING:
    from advisor.render.values import Inputs

SETTINGS = (
    "gunicorn.worker_class",
    "gunicorn.workers",
    "gunicorn.threads",
    "gunicorn.timeout",
    "gunicorn.graceful_timeout",
    "gunicorn.keepalive",
    "gunicorn.worker_connections",
    "gunicorn.backlog",
    "gunicorn.reuse_port",
    "gunicorn.max_requests",
    "gunicorn.max_requests_jitter",
    "gunicorn.preload_app",
    "gunicorn.worker_tmp_dir",
    "gunicorn.control_socket_disable",
    "gunicorn.asgi_loop",
)
GATES = {
    # Gunicorn 25.1.0's changelog: the control socket arrived with that version.
    "gunicorn.control_socket_disable": Gate(
        "gunicorn", (25, 1), "control_socket_disable is left out: it needs Gunicorn 25.1"
    ),
}


def wanted(inputs: Inputs) -> bool:
    """Where the app runs on Gunicorn and the server is ours."""
    return "server" in inputs.manages and inputs.intent.runs_on == "gunicorn"


def context(inputs: Inputs) -> dict[str, Any]:
    """The assignments, and whose X-Forwarded-* is believed."""
    return {
        "gunicorn": lines_of(inputs, "gunicorn", SETTINGS),
        "trust": trust(inputs),
        "own_socket": "systemd" in inputs.manages and not inputs.intent.is_dropin,
    }


def trust(inputs: Inputs) -> str | None:
    """Whose X-Forwarded-* the app server believes: the proxy's on this host, and nobody else's.

    Gunicorn's own workers believe a peer on a unix socket in any case (gunicorn 20 to 27,
    `forwarded_allow_ips`). Uvicorn has no name for such a peer (`ProxyHeadersMiddleware`:
    its client is None), so that only `*` covers it; that is safe while the socket is the one
    of our own unit, which only the proxy's group may open. Null is the product's default.
    """
    intent = inputs.intent
    if intent.proxy == "none":
        return None
    if not is_unix(intent):
        return ",".join(dict.fromkeys((*LOOPBACK, address(reachable(stream(intent))))))
    worker_class = inputs.values["gunicorn.worker_class"] or ""
    uvicorn = worker_class.rpartition(".")[2].startswith("Uvicorn")
    return "*" if uvicorn and "systemd" in inputs.manages else None


GUNICORN = Component(
    name="gunicorn",
    settings=SETTINGS,
    outputs=(
        Output(
            template="gunicorn/gunicorn.conf.py.j2",
            version=1,
            path="gunicorn/gunicorn.conf.py",
            target="/etc/advisor/current/{app}/gunicorn/gunicorn.conf.py",
            owner="root",
            group="{user}",
            mode=0o640,
            wanted=wanted,
            checker="gunicorn",
            activation="reload",
        ),
    ),
    context=context,
    gates=GATES,
)
