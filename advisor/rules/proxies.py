"""What nginx and Caddy share: where their rules speak, and the reasons that both give. Pure.

Times are whole seconds, sizes bytes.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import Field

from advisor.intent import Allowed
from advisor.quantities import duration, size
from advisor.rules.registry import Choice, Seen, rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from advisor.documents import Estimate, HttpFacts, Value

    Decide = Callable[[Seen], Choice | None]

Seconds = Annotated[int, Field(gt=0, le=86400)] | None
Connections = Annotated[int, Field(gt=0, le=65535)] | None
Count = Annotated[int, Field(gt=0, le=1_000_000)] | None
Bytes = Annotated[int, Field(gt=0, le=2**40)] | None
Networks = (
    list[
        Annotated[
            str,
            Allowed(
                r"[0-9a-fA-F.:]{2,39}(?:/\d{1,3})?", most=43, says="a network such as 10.0.0.0/8"
            ),
        ]
    ]
    | None
)

MIB = 1024**2
# Mozilla's guidelines want browsers to keep to HTTPS for two years (hsts_min_age).
HSTS_S = 63072000
MOZILLA = "Mozilla's TLS guidelines 6.0 (2026-04-06), intermediate"
LONGEST_S = 86400
# How much longer than the 99th percentile an answer may take before the proxy gives up.
MARGIN = 4
PATIENCE_S = 60
# Granian closes an idle connection after 30 s (http1_header_read_timeout): the proxy goes first.
GRANIAN_IDLE_S = 20
IDLE_S = 60
# Compression: what it has to leave to be worth its CPU, and below what size it gains nothing
# (h5bp's gzip_min_length).
WORTH_RATIO = 0.9
TINY_BYTES = 256
# Seconds' worth of a client's rate that may come at once, and the least that a page asks for.
BURST_S = 2
PAGE_REQUESTS = 10
MOST_BURST = 100_000


class Declare(Protocol):
    """`registry.rule` for the settings of one proxy."""

    def __call__(
        self,
        id_: str,
        *,
        needs: tuple[str, ...] = (),
        wants: tuple[str, ...] = (),
        unit: str | None = None,
        accepts: Any,
        default: Value = None,
        source: str,
    ) -> Callable[[Decide], Decide]:
        """Register a function as `registry.rule` does."""


def behind(proxy: str) -> Declare:
    """Rules that speak only where this proxy is chosen, and need nothing said where a need lacks.

    What they need beside the proxy is asked for in advisor.yml (TLS, a limit) or given by
    another of their rules: where it is missing, there is nothing to set.
    """

    def declare(
        id_: str, *, needs: tuple[str, ...] = (), **declared: Any
    ) -> Callable[[Decide], Decide]:
        def register(decide: Decide) -> Decide:
            @functools.wraps(decide)
            def here(s: Seen) -> Choice | None:
                return decide(s) if s["proxy"] == proxy else None

            rule(id_, needs=("proxy", *needs), optional=True, **declared)(here)
            return decide

        return register

    return declare


nginx_rule = behind("nginx")
caddy_rule = behind("caddy")


def routes_of(s: Seen, kind: str) -> list[str]:
    """The paths that advisor.yml calls `websocket` or `stream`, sorted.

    >>> routes_of({"routes": {"/ws": "websocket", "/s": {"microcache": "1s"}}}, "websocket")
    ['/ws']
    """
    return sorted(path for path, said in (s["routes"] or {}).items() if said == kind)


def microcached(s: Seen) -> dict[str, int]:
    """The routes that advisor.yml wants in the micro-cache, and for how many seconds.

    >>> microcached({"routes": {"/ws": "websocket", "/s": {"microcache": "2s"}}})
    {'/s': 2}
    """
    return {
        path: int(said["microcache"].removesuffix("s"))
        for path, said in sorted((s["routes"] or {}).items())
        if isinstance(said, dict)
    }


def several(s: Seen) -> int:
    """How many hosts the load is spread over; 0 where the app is on one."""
    hosts = s["hosts"] or []
    return len(hosts) if len(hosts) > 1 else 0


def idle(s: Seen) -> Choice:
    """How long the proxy keeps an idle connection to the app.

    60 s, which the other servers' own idle time is set beyond; below Granian's 30 s.
    """
    if s["server"] == "granian":
        return Choice(
            GRANIAN_IDLE_S,
            "Granian closes idle connections after 30 s: the proxy has to go first, or a reused "
            "one is a 502.",
            binding="server",
        )
    return Choice(IDLE_S, f"{IDLE_S} s, stated because the app has to outlast it.")


def patience(s: Seen) -> Choice:
    """How long the proxy waits for an answer: longer than the server's own limit.

    Gunicorn's timeout bounds a request only under sync, and has the margin over the measured p99
    in it there; under everything else the p99 counts where it is longer.
    """
    limit, p99 = s["gunicorn.timeout"], s["latency_s.p99"]
    beyond = _beyond(p99) if p99 else None
    if beyond and limit is not None and beyond.value > max(PATIENCE_S, limit + 10):
        return beyond
    if s["server"] == "gunicorn" and limit is not None:
        if limit + 10 > PATIENCE_S:
            return Choice(
                min(LONGEST_S, limit + 10),
                f"Longer than Gunicorn's timeout ({limit} s), so that its verdict comes first.",
                binding="gunicorn.timeout",
            )
        return Choice(PATIENCE_S, f"Longer than Gunicorn's timeout ({limit} s).")
    return beyond or Choice(
        PATIENCE_S,
        f"{PATIENCE_S} s; how long requests take was not measured.",
        confidence="medium",
    )


def _beyond(p99: Estimate) -> Choice:
    ample = min(LONGEST_S, math.ceil(MARGIN * p99.high / 10) * 10)
    if ample > PATIENCE_S:
        return Choice(
            ample,
            f"{MARGIN} times the measured p99 ({duration(p99.value)}).",
            binding="latency_s.p99",
            confidence="medium",
            inputs={"latency_s.p99": p99.value},
        )
    return Choice(
        PATIENCE_S,
        f"More than {MARGIN} times the measured p99 ({duration(p99.value)}).",
        inputs={"latency_s.p99": p99.value},
    )


def compression(s: Seen) -> Choice:
    """Whether the proxy should compress: True or False.

    By what was measured: gzip at level 5 leaves at most 0.9 of an answer of 256 bytes or more.
    An answer that the app compressed itself is passed on as it is, so a doubt is a yes.
    """
    http: list[HttpFacts] = s["http"] or []
    worth = [
        fact
        for fact in http
        if not fact.compressed
        and fact.bytes >= TINY_BYTES
        and fact.compressible_ratio is not None
        and fact.compressible_ratio <= WORTH_RATIO
    ]
    if worth:
        most = max(worth, key=lambda fact: fact.bytes * (1 - (fact.compressible_ratio or 0)))
        left = most.compressible_ratio
        return Choice(
            True,
            f"{most.path} shrinks to {left:.0%} of its {size(most.bytes)}.",
            inputs={"bytes": most.bytes, "compressible_ratio": left},
        )
    if s["static"]:
        return Choice(True, "Static text such as CSS and scripts shrinks.")
    if not http:
        return Choice(
            True, "Not measured; text such as HTML and JSON shrinks.", confidence="medium"
        )
    if any(fact.compressed for fact in http):
        return _compressed_already(s)
    return Choice(
        False,
        f"Nothing that was measured ({_paths(http)}) shrinks by a tenth.",
        confidence="medium",
        inputs={"routes": len(http)},
    )


def _compressed_already(s: Seen) -> Choice:
    if s["target.through"] == []:
        return Choice(False, "The app compresses its answers itself.", inputs={})
    return Choice(
        True,
        "Answers come compressed already, by the proxy or by the app, whose own are left alone.",
        confidence="medium",
        inputs={},
    )


def _paths(http: Iterable[HttpFacts], most: int = 3) -> str:
    named = [fact.path for fact in http]
    return ", ".join(named[:most]) + (f" and {len(named) - most} more" * (len(named) > most))


def burst(rate: float) -> int:
    """Requests that one client may send at once: two seconds' worth, and at least a page's.

    >>> burst(20), burst(0.5)
    (40, 10)
    """
    return max(PAGE_REQUESTS, math.ceil(BURST_S * min(rate, MOST_BURST)))


def largest(http: Iterable[HttpFacts] | None, paths: Mapping[str, int] | None = None) -> int | None:
    """Bytes of the largest measured answer, of these paths only where some are given."""
    found = [fact.bytes for fact in http or () if paths is None or fact.path in paths]
    return max(found) if found else None
