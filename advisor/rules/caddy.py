"""What Caddy keeps, waits for and buffers between itself and the app.

Times are whole seconds, sizes bytes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from advisor.quantities import count, size
from advisor.rules.proxies import (
    MIB,
    Bytes,
    Connections,
    Seconds,
    caddy_rule,
    idle,
    largest,
    patience,
    routes_of,
    several,
)
from advisor.rules.registry import Choice, Seen

PROXY = "caddy: reverse_proxy"
HTTP = "caddy: reverse_proxy, transport http"
# Caddy's own for each host; fewer would be a step back.
OWN_KEPT = 32
LEAST_BUFFER, MOST_BUFFER = 64 * 1024, MIB


@caddy_rule(
    "caddy.upstream_keepalive",
    needs=("plan.kind", "plan.concurrency"),
    unit="connections",
    accepts=Connections,
    default=OWN_KEPT,
    source=f"{HTTP}, keepalive_idle_conns_per_host",
)
def upstream_keepalive(s: Seen) -> Choice | None:
    """Idle connections kept to each host: enough for the load, no fewer than Caddy's 32.

    With sync nothing is kept: it closes after each response.
    """
    if s["plan.kind"] == "one":
        return None
    value = max(OWN_KEPT, min(256, s["plan.concurrency"]))
    return Choice(
        value,
        "Connections to each host are reused instead of opened for each request: "
        f"{count(s['plan.concurrency'], 'request')} in flight, within {OWN_KEPT} and 256.",
        inputs={"plan.concurrency": s["plan.concurrency"]},
    )


@caddy_rule(
    "caddy.upstream_keepalive_idle",
    needs=("caddy.upstream_keepalive", "server"),
    unit="s",
    accepts=Seconds,
    default=120,
    source=f"{HTTP}, keepalive; caddy#6452; Granian: http1 keep-alive 30 s",
)
def upstream_keepalive_idle(s: Seen) -> Choice:
    """60 s instead of two minutes, as the app's idle time builds on it; 20 s for Granian."""
    return idle(s)


@caddy_rule(
    "caddy.dial_timeout",
    wants=("hosts",),
    unit="s",
    accepts=Seconds,
    default=3,
    source=f"{HTTP}, dial_timeout (3 s since caddy#4436, 10 s before)",
)
def dial_timeout(s: Seen) -> Choice:
    """Caddy's 3 s: a full queue should be said soon, and another host asked meanwhile."""
    if hosts := several(s):
        return Choice(
            3,
            f"A lost packet is sent again after 1 s; at 3 s another of {hosts} hosts is asked.",
            inputs={"hosts": hosts},
        )
    return Choice(3, "The app is on this host: a connection that takes over 3 s will not come.")


@caddy_rule(
    "caddy.response_header_timeout",
    needs=("server",),
    wants=("gunicorn.timeout", "latency_s.p99"),
    unit="s",
    accepts=Seconds,
    source=f"{HTTP}, response_header_timeout (by itself none)",
)
def response_header_timeout(s: Seen) -> Choice:
    """How long an answer may take to begin: longer than the server's own limit."""
    return patience(s)


@caddy_rule(
    "caddy.read_timeout",
    accepts=Seconds,
    unit="s",
    source=f"{HTTP}, read_timeout: each read has its deadline from when it began to wait",
)
def read_timeout(_: Seen) -> Choice:
    """None: the deadline of an idle connection's read would cut the next answer short.

    Tried with Caddy 2.6.2 and 3 s: a POST on a connection that had idled for 2 s was a 504
    after 1 s. `response_header_timeout` bounds the wait for an answer without that.
    """
    return Choice(
        None, "It would count while a connection idles, and cut the next answer short.", inputs={}
    )


@caddy_rule(
    "caddy.write_timeout",
    accepts=Seconds,
    unit="s",
    source=f"{HTTP}, write_timeout (by itself none)",
)
def write_timeout(_: Seen) -> Choice:
    """60 s, as nginx has it: between two writes of a request's body to the app."""
    return Choice(60, "The longest pause while a request's body is handed on; Caddy has none.")


@caddy_rule(
    "caddy.request_buffers",
    needs=("plan.kind",),
    wants=("can.caddy.request_buffers", "limits.request_body"),
    unit="bytes",
    accepts=Bytes,
    source=f"{PROXY}, request_buffers (2.6.4); gunicorn: deploying",
)
def request_buffers(s: Seen) -> Choice | None:
    """For workers and threads: a slow upload then holds Caddy, up to 1 MiB of it.

    An event loop waits for an upload at no cost, so there nothing is said.
    """
    most = min(MIB, s["limits.request_body"] or MIB)
    return _buffered(s, most, f"Of a slow upload {size(most)} wait in Caddy, not in {_held(s)}.")


@caddy_rule(
    "caddy.response_buffers",
    needs=("plan.kind",),
    wants=("can.caddy.request_buffers", "http"),
    unit="bytes",
    accepts=Bytes,
    source=f"{PROXY}, response_buffers (2.6.4); gunicorn: deploying",
)
def response_buffers(s: Seen) -> Choice | None:
    """For workers and threads: Caddy takes the answer at once and feeds slow clients itself.

    The largest measured answer fits, within 64 KiB and 1 MiB.
    """
    most = largest(s["http"])
    value = min(MOST_BUFFER, max(LEAST_BUFFER, -(-(most or 0) // 4096) * 4096))
    seen = f"the largest measured is {size(most)}" if most else "none was measured"
    return _buffered(
        s, value, f"A slow client holds Caddy, not {_held(s)}: answers up to {size(value)}; {seen}."
    )


def _held(s: Seen) -> str:
    return {"one": "a worker", "threads": "a thread"}.get(s["plan.kind"], "a task")


def _buffered(s: Seen, value: int, why: str) -> Choice | None:
    if s["plan.kind"] == "loop":
        return None
    able = s["can.caddy.request_buffers"]
    if able:
        return Choice(value, why)
    known = "is older" if able is False else "has a version that is not known"
    return Choice(
        None, f"Caddy buffers within a bound from 2.6.4 on; this one {known}.", confidence="medium"
    )


@caddy_rule(
    "caddy.stream_flush_interval",
    wants=("routes",),
    accepts=Literal[-1] | None,
    source=f"{PROXY}, flush_interval; caddy#6666, caddy#5663",
)
def stream_flush_interval(s: Seen) -> Choice | None:
    """Caddy's own, which passes an event stream, or an answer of no stated length, on at once.

    -1 would add that the app's side stays open when a client leaves, and that a reload cuts
    streams at once.
    """
    if not (paths := routes_of(s, "stream")):
        return None
    return Choice(
        None,
        f"Caddy passes streams ({', '.join(paths)}) on at once; with -1 the app would go on "
        "sending to clients that have left.",
        inputs={},
    )


@caddy_rule(
    "caddy.stream_close_delay",
    wants=("routes", "can.caddy.stream_close_delay"),
    unit="s",
    accepts=Seconds,
    default=None,
    source=f"{PROXY}, stream_close_delay (2.7)",
)
def stream_close_delay(s: Seen) -> Choice | None:
    """Five minutes: without it a reload of Caddy closes every WebSocket at once."""
    return _long_lived(
        s, 300, "After a reload of Caddy clients leave within 5 minutes, not all at once"
    )


@caddy_rule(
    "caddy.stream_timeout",
    wants=("routes", "can.caddy.stream_close_delay"),
    unit="s",
    accepts=Seconds,
    source=f"{PROXY}, stream_timeout (2.7)",
)
def stream_timeout(s: Seen) -> Choice | None:
    """A day: a connection that nobody closes does not stay for ever."""
    return _long_lived(s, 86400, "What nobody closes ends after a day")


def _long_lived(s: Seen, value: int, why: str) -> Choice | None:
    paths = [*routes_of(s, "websocket"), *routes_of(s, "stream")]
    if not paths:
        return None
    if s["can.caddy.stream_close_delay"]:
        return Choice(value, f"{why} ({', '.join(paths)}).")
    known = "is older" if s["can.caddy.stream_close_delay"] is False else "may be older"
    return Choice(
        None,
        f"It needs Caddy 2.7, and this one {known}: a reload closes WebSockets at once.",
        confidence="medium",
    )


@caddy_rule(
    "caddy.grace_period",
    needs=("caddy.response_header_timeout",),
    unit="s",
    accepts=Annotated[int, Field(gt=0, le=86400)] | None,
    source="caddy: global options, grace_period (by itself without end)",
)
def grace_period(s: Seen) -> Choice:
    """As long as an answer may take to begin: by itself a reload waits for the last client."""
    longest = s["caddy.response_header_timeout"]
    return Choice(
        max(30, min(300, longest)),
        f"Answers may take {longest} s to begin; by itself Caddy waits for the last client.",
        binding="caddy.response_header_timeout",
    )
