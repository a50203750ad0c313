"""Findings about the server as it runs: who gives up on whom, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from advisor.quantities import duration
from advisor.rules import versions
from advisor.rules.findings.case import Case, Said, finding
from advisor.rules.findings.running import number, setting

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds after which each server closes an idle connection: setting and default, as measured.
# Gunicorn's sync closes after each answer; Granian's time cannot be set.
IDLE = {
    "gunicorn": ("keepalive", 2),
    "uvicorn": ("timeout_keep_alive", 5),
    "hypercorn": ("keep_alive_timeout", 5),
}
GRANIAN_IDLE_S = 30
# Seconds for which each proxy keeps an idle connection to the app, by default.
PROXY_IDLE_S = {"nginx": 60, "caddy": 120}
# nginx's own proxy_read_timeout.
NGINX_READ_S = 60
BACKLOG = {"gunicorn": 2048, "uvicorn": 2048, "hypercorn": 100, "granian": 1024}
# The seconds that a reload or stop leaves to requests, by default; Uvicorn's have no end.
GRACEFUL_S = {"gunicorn": 30, "hypercorn": 3}


@finding("live-keepalive-order", "warning")
def _keepalive(case: Case) -> Said | None:
    """The proxy reuses a connection that the app is closing: a 502 (gunicorn#3323)."""
    idle, proxy = _idle(case), _proxy(case)
    if idle is None or proxy is None or idle > PROXY_IDLE_S[proxy]:
        return None
    keeps = proxy == "caddy" or _keeps_by_default(case)
    where = "unless it is told otherwise" if keeps else "where its upstream says keepalive"
    return Said(
        "The app closes idle connections before the proxy does",
        f"The server that runs closes an idle connection after {idle:g} s; {proxy} keeps it for "
        f"{PROXY_IDLE_S[proxy]} s {where}. A request that is sent in between is a 502.",
        {"app_idle_s": idle, "proxy": proxy, "proxy_idle_s": PROXY_IDLE_S[proxy]},
        "Let the app's idle time outlast the proxy's, as the settings here do.",
        None if keeps else "info",
    )


def _idle(case: Case) -> float | None:
    """After how long the server that runs closes an idle connection; None where it keeps none."""
    server = case.server
    if server is None:
        return None
    if server.kind == "granian":
        kept = setting(case, "http1_keep_alive", default=True)
        return GRANIAN_IDLE_S if kept is True else None
    if server.kind not in IDLE or server.worker_class in {None, "sync"}:
        return None
    return number(case, *IDLE[server.kind])


def _proxy(case: Case) -> str | None:
    """The proxy next to the app, on the way that was measured."""
    through = case.measurement.target.through if case.measurement else []
    return through[-1] if through and through[-1] in PROXY_IDLE_S else None


def _keeps_by_default(case: Case) -> bool:
    told = versions.can(case.facts.components)
    return told.get("can.nginx.upstream_keepalive_by_default", False)


class Link(NamedTuple):
    """A time limit in seconds, what it should not be shorter than, and what comes of it."""

    name: str
    limit_s: float | None
    least_s: float | None
    harm: str


@finding("live-timeouts", "warning")
def _timeouts(case: Case) -> Said | None:
    """Who gives up first: a limit should be longer than the slow requests within it."""
    broken = [
        (link.name, link.limit_s, f"{link.name} is {link.limit_s:g} s, {link.harm}")
        for link in _chain(case)
        if link.limit_s and link.least_s and link.limit_s < link.least_s
    ]
    if not broken:
        return None
    return Said(
        "Timeouts are in the wrong order",
        f"{'; '.join(words for _, _, words in broken)}.",
        {name: limit for name, limit, _ in broken},
        "Set them as the settings here do: the app's limit longer than its requests, the proxy's "
        "longer than the app's.",
    )


def _chain(case: Case) -> Iterator[Link]:
    """The limits on a request, from the app outwards, that are known to bound it."""
    server, p99 = case.server, case.measurement and case.measurement.latency_s.get("p99")
    if server is None:
        return
    slow = p99.high if p99 else None
    took = f"requests take up to {duration(slow)} at p99" if slow else ""
    if server.kind in GRACEFUL_S:
        graceful = number(case, "graceful_timeout", GRACEFUL_S[server.kind])
        yield Link("graceful_timeout", graceful, slow, f"{took}: a reload cuts them off")
    # The other classes send their heartbeat beside the request.
    if server.worker_class == "sync":
        timeout = number(case, "timeout", 30)
        yield Link("timeout", timeout, slow, f"{took}: their workers are killed")
        if _proxy(case) == "nginx" and timeout:
            harm = f"unless it was raised, the app's timeout {timeout:g} s: a 504 comes first"
            yield Link("proxy_read_timeout", NGINX_READ_S, timeout, harm)


@finding("live-backlog", "info")
def _backlog(case: Case) -> Said | None:
    """listen(2): what is above net.core.somaxconn is cut to it without a word."""
    server, most = case.server, case.facts.kernel.somaxconn
    # Gunicorn's asgi listens with 100, whatever is said.
    if server is None or server.kind not in BACKLOG or server.worker_class == "asgi":
        return None
    queue = number(case, "backlog", BACKLOG[server.kind])
    if queue is None or most is None or queue <= most:
        return None
    return Said(
        "The kernel cuts the listen queue",
        f"The server that runs asks for {queue:g} waiting connections; the kernel allows {most}.",
        {"backlog": queue, "kernel.somaxconn": most},
        f"sysctl net.core.somaxconn={queue:g}, or a smaller backlog.",
    )


@finding("uvicorn-limit", "warning")
def _uvicorn_limit(case: Case) -> Said | None:
    """limit_concurrency counts idle kept-alive connections too (uvicorn's h11_impl)."""
    limit = number(case, "limit_concurrency")
    if case.server is None or case.server.kind != "uvicorn" or limit is None:
        return None
    if limit > case.plan.concurrency:
        return None
    return Said(
        "Uvicorn refuses requests before it is busy",
        f"limit_concurrency is {limit:g}, idle connections included, and {case.plan.concurrency} "
        "requests are planned for at once; the rest get a 503.",
        {"limit_concurrency": limit, "plan.concurrency": case.plan.concurrency},
        "Leave limit_concurrency out, and limit connections in the proxy.",
    )
