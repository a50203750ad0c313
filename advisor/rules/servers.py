"""What the app servers share: where their rules speak, and the reasons that all of them give. Pure.

Times are whole seconds unless a rule says otherwise.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import Field

from advisor.quantities import duration, size
from advisor.rules.registry import Choice, Seen, rule
from advisor.rules.versions import CAPABILITIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Estimate, Value
    from advisor.model.choose import Plan

    Decide = Callable[[Seen], Choice | None]

Seconds = Annotated[int, Field(ge=0, le=86400)] | None
Queue = Annotated[int, Field(gt=0, le=65535)] | None
Requests = Annotated[int, Field(ge=0)] | None

# How much longer than the 99th percentile a request may take before it counts as stuck; also
# how much longer than its CPU time a worker may take to boot beside others that serve.
MARGIN = 4
DRAIN_S = 30
LONGEST_DRAIN_S = 300
BACKLOG = 2048
LONGEST_S = 86400
# What each proxy keeps idle connections to the app for where no setting of ours says so: nginx
# from 1.29.7 on, Caddy always.
POOLED_S = {"nginx": 60, "caddy": 120}
POOLS = {
    "nginx": "nginx.upstream_keepalive_timeout",
    "caddy": "caddy.upstream_keepalive_idle",
}
NAMES = {"nginx": "nginx", "caddy": "Caddy"}
# How much longer than the proxy's the app's own idle time is.
SPARE_S = 15
BROWSER_S = 5
# Fewest requests before a worker is renewed: it has to earn its boot.
FEWEST_REQUESTS = 1000

# Evidence of `idle`, `drain` and `renewal`.
IDLE = ("proxy", "hosts", *POOLS.values())
LEAK = ("memory_growth_bytes_per_request",)


class Declare(Protocol):
    """`registry.rule` for the settings of one server, by the setting's own name."""

    def __call__(
        self,
        name: str,
        *,
        needs: tuple[str, ...] = (),
        wants: tuple[str, ...] = (),
        unit: str | None = None,
        accepts: Any,
        default: Value = None,
        source: str,
    ) -> Callable[[Decide], Decide]:
        """Register a function as `registry.rule` does."""


def served_by(server: str) -> Declare:
    """Rules that speak only where this server is chosen."""

    def declare(
        name: str, *, needs: tuple[str, ...] = (), **declared: Any
    ) -> Callable[[Decide], Decide]:
        def register(decide: Decide) -> Decide:
            @functools.wraps(decide)
            def here(s: Seen) -> Choice | None:
                return decide(s) if s["server"] == server else None

            rule(f"{server}.{name}", needs=("server", *needs), **declared)(here)
            return decide

        return register

    return declare


def idle(s: Seen) -> Choice:
    """How long the app keeps an idle connection: longer than the proxy does.

    An idle connection that the app closes as the proxy reuses it is a 502 (gunicorn#3323,
    caddy#6452). Without a proxy it only spares a browser its next handshake; a load balancer
    is taken for an nginx that keeps them for 60 s.
    """
    proxy = s["proxy"]
    if proxy in POOLS:
        pooled = s[POOLS[proxy]] or POOLED_S[proxy]
        return Choice(
            min(LONGEST_S, pooled + SPARE_S),
            f"Longer than {NAMES[proxy]} keeps idle connections ({pooled} s), or a reused one is "
            "a 502.",
            binding=POOLS[proxy],
            inputs={POOLS[proxy]: pooled},
        )
    if s["hosts"]:
        pooled = POOLED_S["nginx"]
        return Choice(
            pooled + SPARE_S,
            f"Longer than a load balancer usually keeps idle connections ({pooled} s).",
            confidence="medium",
            inputs={"hosts": len(s["hosts"])},
        )
    return Choice(
        BROWSER_S, "No proxy: clients connect directly, and an idle one should not stay.", inputs={}
    )


def patience(p99: Estimate | None) -> int:
    """Four times the measured p99 at the high end of its interval, up to the next ten; else 0."""
    return math.ceil(MARGIN * p99.high / 10) * 10 if p99 else 0


def drain(s: Seen, least: int = DRAIN_S) -> Choice:
    """How long requests in flight may run on as a worker stops: 30 s, up to 300 where they do."""
    p99: Estimate | None = s["latency_s.p99"]
    ample = min(patience(p99), LONGEST_DRAIN_S)
    if p99 and ample > least:
        return Choice(
            ample,
            f"Requests in flight may finish on a reload or stop: four times the measured p99 "
            f"({duration(p99.value)}).",
            binding="latency_s.p99",
            confidence="medium",
            inputs={"latency_s.p99": p99.value},
        )
    return Choice(
        least, f"Requests in flight have {least} s to finish on a reload or stop.", inputs={}
    )


def queue(s: Seen, own: str, least: int = 1) -> Choice:
    """Connections that may wait to be accepted: 2048, or what the kernel allows."""
    most = s["kernel.somaxconn"]
    if most is None:
        return Choice(
            BACKLOG,
            f"Room for a burst ({own}); the kernel's limit is not known.",
            confidence="medium",
        )
    if most < BACKLOG:
        return Choice(
            max(least, most), "The kernel cuts a longer queue to this.", binding="kernel.somaxconn"
        )
    return Choice(BACKLOG, f"Room for a burst ({own}); the kernel allows it.")


def room_bytes(s: Seen) -> float:
    """What one worker may still grow by before the budget is used up."""
    plan: Plan = s["plan"]
    left: int = s["plan.budget_bytes"] - plan.needed_bytes
    return max(0, left) / plan.config.workers


def growth(s: Seen) -> Estimate | None:
    """The app's growth a request in bytes, where the whole interval is above zero."""
    seen: Estimate | None = s["memory_growth_bytes_per_request"]
    return seen if seen is not None and seen.low > 0 else None


def renewal(s: Seen, never: int | None) -> Choice:
    """Requests a worker serves before it is renewed: `never` unless the app is seen to grow.

    A restart drops warm caches and hides a bug. With growth, the requests one worker may serve
    before its share of the budget that is left has leaked away, at the high end of the
    interval, in two digits.
    """
    leak = growth(s)
    if leak is None:
        return Choice(never, "Workers are not renewed: no memory growth was measured.", inputs={})
    room = room_bytes(s)
    return Choice(
        two_digits(max(FEWEST_REQUESTS, room / leak.high)),
        f"The app grows by {size(leak.value * 1000)} in 1,000 requests; a worker is renewed "
        "before the budget is used up.",
        binding="memory",
        confidence="medium",
        inputs={"memory_growth_bytes_per_request": leak.value, "room_bytes": int(room)},
    )


def jitter(requests: int) -> Choice:
    """A tenth, so that workers are not all renewed at once."""
    if not requests:
        return Choice(0, "Workers are not renewed, so there is nothing to spread.")
    return Choice(
        max(1, requests // 10), "A tenth, so that the workers are not renewed all at once."
    )


def two_digits(number: float) -> int:
    """The number cut to its first two digits.

    >>> two_digits(8_765_432), two_digits(7.9)
    (8700000, 7)
    """
    scale = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return int(number // scale * scale)


def boot_s(s: Seen) -> float:
    """Seconds a worker may take to boot beside others that serve: four times its CPU time."""
    cpu: Value = s["plan.basis"].inputs.get("boot_cpu_s")
    return MARGIN * cpu if isinstance(cpu, int | float) else 0.0


def loop(s: Seen) -> Choice:
    """`auto`, which takes uvloop where it is installed.

    uvloop spends less CPU a request (a bare Protocol 7.5 µs, 23 under asyncio), but as it is
    saturated some kept-alive connections wait far longer than others, so nothing forces it.
    """
    version = s["components.uvloop.version"]
    if version is None:
        return Choice("auto", "uvloop was not found, so this is asyncio's own loop.", inputs={})
    return Choice(
        "auto",
        f"Takes uvloop {version}, which is installed: less CPU a request, though its p99 is the "
        "worse one under saturation.",
        inputs={"components.uvloop.version": version},
    )


def websockets(s: Seen) -> list[str]:
    """The paths that advisor.yml calls `websocket`, sorted.

    >>> websockets({"routes": {"/ws": "websocket", "/s": "stream"}})
    ['/ws']
    """
    return sorted(path for path, said in (s["routes"] or {}).items() if said == "websocket")


def where_able(s: Seen, capability: str, choice: Choice) -> Choice | None:
    """The choice where the version can do it; None where not, the default where nobody knows."""
    able = s[f"can.{capability}"]
    if able is None:
        first = ".".join(map(str, CAPABILITIES[capability].first))
        return Choice(
            None,
            f"Left alone: the version is not known, and those before {first} refuse it.",
            confidence="low",
            inputs={},
        )
    return choice if able else None
