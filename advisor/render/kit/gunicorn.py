"""gunicorn.conf.py: constants only. It sets no bind: the socket unit does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.render.component import Component, Output, lines_of
from advisor.render.kit.launch import is_handed_over
from advisor.render.kit.since import gate
from advisor.render.kit.trust import trust

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
# Gunicorn passes over a name that it does not know (app/base.py), so each would do nothing.
# The others are as old as 19.8, or older (gunicorn: settings, versionadded).
GATES = {
    "gunicorn.control_socket_disable": gate("gunicorn.control_socket", "control_socket_disable"),
    "gunicorn.asgi_loop": gate("gunicorn.asgi_worker", "asgi_loop"),
}
NO_REUSE = (
    "reuse_port is left out: with it the workers open sockets of their own (arbiter.py), and "
    "nobody takes over the one that the unit has opened."
)
NO_APP = "wsgi_app is left out: it needs Gunicorn 20.1. The command names the app."


def wanted(inputs: Inputs) -> bool:
    """Where the app runs on Gunicorn and the server is ours."""
    return "server" in inputs.manages and inputs.intent.runs_on == "gunicorn"


def context(inputs: Inputs) -> dict[str, Any]:
    """The assignments, whose X-Forwarded-* is believed, and what is left out."""
    handed_over = is_handed_over(inputs)
    splits = handed_over and inputs.values["gunicorn.reuse_port"] is True
    ids = tuple(id_ for id_ in SETTINGS if not (splits and id_ == "gunicorn.reuse_port"))
    names_app = "gunicorn" not in inputs.versions or inputs.can("gunicorn.wsgi_app")
    return {
        "gunicorn": lines_of(inputs, "gunicorn", ids),
        "names_app": names_app,
        "trust": trust(inputs, is_uvicorn=_is_uvicorn(inputs.values["gunicorn.worker_class"])),
        "handed_over": handed_over,
        "notes": [*([NO_REUSE] if splits else []), *([] if names_app else [NO_APP])],
    }


def _is_uvicorn(worker_class: str | None) -> bool:
    """Whether Uvicorn serves inside Gunicorn, by a class of its own or of the app's."""
    return (worker_class or "").rpartition(".")[2].startswith("Uvicorn")


GUNICORN = Component(
    name="gunicorn",
    settings=SETTINGS,
    outputs=(
        Output(
            template="gunicorn/gunicorn.conf.py.j2",
            version=2,
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
