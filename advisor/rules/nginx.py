"""What nginx keeps, waits for and buffers between itself and the app.

Times are whole seconds, sizes bytes.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from advisor.quantities import count, size
from advisor.rules.proxies import (
    Connections,
    Count,
    Seconds,
    idle,
    largest,
    nginx_rule,
    patience,
    routes_of,
    several,
)
from advisor.rules.registry import Choice, Seen

UPSTREAM = "ngx_http_upstream_module"
PROXY = "ngx_http_proxy_module"
# Eight buffers of one page, which nginx has for an answer.
OWN_BUFFERS_BYTES = 8 * 4096
BUFFER_BYTES = 16384
# Half a MiB an answer: 64 of them at once take 32 MiB at most.
MOST_BUFFERS = 32

Buffers = (
    Annotated[
        list[Annotated[int, Field(gt=0, le=2**24)]],
        Field(min_length=2, max_length=2, description="a number, and bytes each"),
    ]
    | None
)


@nginx_rule(
    "nginx.upstream_keepalive",
    needs=("plan.kind", "plan.concurrency"),
    wants=("hosts",),
    unit="connections",
    accepts=Connections,
    source=f"nginx: {UPSTREAM}, keepalive",
)
def upstream_keepalive(s: Seen) -> Choice | None:
    """Idle connections each nginx worker keeps: twice the servers, and enough for the load.

    With sync nothing is kept: it closes after each response.
    """
    if s["plan.kind"] == "one":
        return None
    servers = several(s) or 1
    value = max(16, 2 * servers, min(256, s["plan.concurrency"] * servers))
    where = f" on each of {servers} hosts" if servers > 1 else ""
    return Choice(
        value,
        "Connections to the app are reused instead of opened for each request: "
        f"{count(s['plan.concurrency'], 'request')} in flight{where}, within 16 and 256.",
        inputs={"plan.concurrency": s["plan.concurrency"], "hosts": servers},
    )


@nginx_rule(
    "nginx.upstream_keepalive_timeout",
    needs=("nginx.upstream_keepalive", "server"),
    wants=("can.nginx.upstream_keepalive_timeout",),
    unit="s",
    accepts=Seconds,
    default=60,
    source=f"nginx: {UPSTREAM}, keepalive_timeout (1.15.3); Granian: http1 keep-alive 30 s",
)
def upstream_keepalive_timeout(s: Seen) -> Choice:
    """The 60 s of nginx, stated because the app's idle time builds on it; 20 s for Granian."""
    if s["can.nginx.upstream_keepalive_timeout"] is False:
        return Choice(
            None, "nginx before 1.15.3 has no such limit: it keeps what the app keeps.", inputs={}
        )
    return idle(s)


@nginx_rule(
    "nginx.upstream_keepalive_requests",
    needs=("nginx.upstream_keepalive",),
    wants=("can.nginx.upstream_keepalive_timeout",),
    accepts=Count,
    default=1000,
    source=f"nginx: {UPSTREAM}, keepalive_requests (1.15.3; 100 before 1.19.10)",
)
def upstream_keepalive_requests(s: Seen) -> Choice:
    """Nginx's own since 1.19.10, stated because older ones open a new connection after 100.

    More is not better: what a connection has allocated is freed only as it closes.
    """
    if s["can.nginx.upstream_keepalive_timeout"] is False:
        return Choice(None, "nginx before 1.15.3 does not count them.", inputs={})
    return Choice(1000, "nginx's own since 1.19.10; older ones open a new one after 100.")


@nginx_rule(
    "nginx.proxy_connect_timeout",
    wants=("hosts",),
    unit="s",
    accepts=Seconds,
    default=60,
    source=f"nginx: {PROXY}, proxy_connect_timeout; RFC 6298 (a lost SYN is sent again after 1 s)",
)
def proxy_connect_timeout(s: Seen) -> Choice:
    """Short: a full queue should be said soon, and another host asked while the client waits."""
    if hosts := several(s):
        return Choice(
            3,
            f"A lost packet is sent again after 1 s; at 3 s another of {hosts} hosts is asked.",
            inputs={"hosts": hosts},
        )
    return Choice(5, "The app is on this host: a connection that takes over 5 s will not come.")


@nginx_rule(
    "nginx.proxy_read_timeout",
    needs=("server",),
    wants=("gunicorn.timeout", "latency_s.p99"),
    unit="s",
    accepts=Seconds,
    default=60,
    source=f"nginx: {PROXY}, proxy_read_timeout",
)
def proxy_read_timeout(s: Seen) -> Choice:
    """The longest pause between two reads of an answer: longer than the server's own limit."""
    return patience(s)


@nginx_rule(
    "nginx.proxy_send_timeout",
    unit="s",
    accepts=Seconds,
    default=60,
    source=f"nginx: {PROXY}, proxy_send_timeout",
)
def proxy_send_timeout(_: Seen) -> Choice:
    """The 60 s of nginx: between two writes of a request's body to the app."""
    return Choice(60, "nginx's own: the longest pause while a request's body is handed on.")


@nginx_rule(
    "nginx.proxy_buffering",
    needs=("plan.kind",),
    accepts=bool | None,
    default=True,
    source=f"gunicorn: deploying; nginx: {PROXY}, proxy_buffering",
)
def proxy_buffering(s: Seen) -> Choice:
    """On: nginx takes the answer at once and feeds slow clients itself."""
    held = {"one": "worker", "threads": "thread"}.get(s["plan.kind"], "connection")
    return Choice(True, f"A slow client holds nginx, and no {held} of the app.")


@nginx_rule(
    "nginx.proxy_request_buffering",
    needs=("plan.kind",),
    accepts=bool | None,
    default=True,
    source=f"gunicorn: deploying; nginx: {PROXY}, proxy_request_buffering (1.7.11)",
)
def proxy_request_buffering(s: Seen) -> Choice:
    """On: the app gets a request once its body is there.

    Off would also forbid that a request is given to another host.
    """
    held = {"one": "worker", "threads": "thread"}.get(s["plan.kind"], "task")
    return Choice(True, f"A slow upload holds nginx, and no {held} of the app.")


@nginx_rule(
    "nginx.proxy_buffers",
    wants=("http",),
    accepts=Buffers,
    source=f"nginx: {PROXY}, proxy_buffers (8 of a page, 4 KiB or 8 KiB)",
)
def proxy_buffers(s: Seen) -> Choice | None:
    """A number and its size: the largest measured answer fits, so that none goes to a file.

    Silent where nginx's own 8 x 4 KiB hold it, or nothing was measured.
    """
    most = largest(s["http"])
    if most is None or most <= OWN_BUFFERS_BYTES:
        return None
    number = min(MOST_BUFFERS, max(8, -(-most // BUFFER_BYTES) + 1))
    held = number * BUFFER_BYTES
    fits = "fit" if held >= most else f"start in memory ({size(held)}), the rest goes to a file"
    return Choice(
        [number, BUFFER_BYTES],
        f"The largest measured answers ({size(most)}) {fits}; nginx's own hold 32 K.",
        inputs={"bytes": most},
    )


@nginx_rule(
    "nginx.proxy_buffer_size",
    needs=("nginx.proxy_buffers",),
    unit="bytes",
    accepts=Annotated[int, Field(ge=1024, le=2**24)] | None,
    source=f"nginx: {PROXY}, proxy_buffer_size, proxy_busy_buffers_size",
)
def proxy_buffer_size(s: Seen) -> Choice:
    """As large as one of the others: nginx derives what may be busy from the larger of them."""
    value = s["nginx.proxy_buffers"][1]
    return Choice(
        value,
        f"As one of the other buffers ({size(value)}); the answer's head has to fit in it.",
        binding="nginx.proxy_buffers",
        inputs={"proxy_buffers.bytes": value},
    )


@nginx_rule(
    "nginx.websocket_read_timeout",
    wants=("routes",),
    unit="s",
    accepts=Seconds,
    source=f"nginx: WebSocket proxying; {PROXY}, proxy_read_timeout",
)
def websocket_read_timeout(s: Seen) -> Choice | None:
    """An hour of silence: at the usual 60 s nginx closes a WebSocket on which nobody speaks.

    Uvicorn pings every 20 s, but not every server does.
    """
    if not (paths := routes_of(s, "websocket")):
        return None
    return Choice(3600, f"A quiet WebSocket ({', '.join(paths)}) stays open for an hour.")


@nginx_rule(
    "nginx.stream_read_timeout",
    wants=("routes",),
    unit="s",
    accepts=Seconds,
    source=f"nginx: {PROXY}, proxy_read_timeout",
)
def stream_read_timeout(s: Seen) -> Choice | None:
    """An hour of silence: events may be rare."""
    if not (paths := routes_of(s, "stream")):
        return None
    return Choice(3600, f"A stream ({', '.join(paths)}) may say nothing for an hour.")


@nginx_rule(
    "nginx.stream_buffering",
    wants=("routes",),
    accepts=bool | None,
    default=True,
    source=f"nginx: {PROXY}, proxy_buffering",
)
def stream_buffering(s: Seen) -> Choice | None:
    """Off where a route streams: each piece goes out as it comes."""
    if not (paths := routes_of(s, "stream")):
        return None
    return Choice(False, f"Each piece of {', '.join(paths)} goes out as it comes.")
