"""The kernel's limits: raised where the deployment needs more, never lowered.

They hold for the whole host (or network namespace), so others may need what is there: a rule
speaks only where the present value is known and too low, and its value is never below it. What a
file of ours has raised already is said again: without it the next apply would take it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from advisor.quantities import count, rate
from advisor.rules.containers import is_container
from advisor.rules.registry import Choice, Seen, rule

if TYPE_CHECKING:
    from advisor.documents import Value
    from advisor.model.choose import Plan

Queue = Annotated[int, Field(gt=0, le=2**31 - 1)] | None
Seconds = Annotated[int, Field(gt=0, le=3600)] | None
Flag = Annotated[int, Field(ge=0, le=1)] | None
Files = Annotated[int, Field(gt=0, le=2**63 - 1)] | None
Ports = (
    Annotated[list[Annotated[int, Field(ge=1, le=65535)]], Field(min_length=2, max_length=2)] | None
)

# Gunicorn's and Uvicorn's own backlog: a lower somaxconn cuts it without a word.
OWN_BACKLOG = 2048
BACKLOGS = (
    "gunicorn.backlog",
    "uvicorn.backlog",
    "hypercorn.backlog",
    "granian.backlog",
    "systemd.socket_backlog",
)
OURS = "kernel.set_by_advisor"
# TCP_TIMEWAIT_LEN of the kernel's include/net/tcp.h: fixed, whatever tcp_fin_timeout says.
TIME_WAIT_S = 60
# Below are the ports that daemons ask for most (5432, 6379, 8000, 11211, 15672).
LOWEST_PORT = 16384
HIGHEST_PORT = 65535
# Of the ports there are, the part that may be in use before finding a free one takes long.
USED_RATIO = 0.5


@rule(
    "sysctl.somaxconn",
    needs=("kernel.somaxconn", "plan.concurrency"),
    wants=(*BACKLOGS, OURS, "plan.basis"),
    unit="connections",
    accepts=Queue,
    default=4096,
    source="listen(2): a backlog above net.core.somaxconn is cut to it without a word",
)
def somaxconn(s: Seen) -> Choice | None:
    """The longest queue that a server here asks for, and room for all requests in flight."""
    return _queue(s, "net.core.somaxconn", s["kernel.somaxconn"], "the kernel cuts their queue to")


@rule(
    "sysctl.tcp_max_syn_backlog",
    needs=("kernel.tcp_max_syn_backlog", "plan.concurrency"),
    wants=(*BACKLOGS, OURS, "plan.basis"),
    unit="connections",
    accepts=Queue,
    source="tcp(7), tcp_max_syn_backlog",
)
def tcp_max_syn_backlog(s: Seen) -> Choice | None:
    """As many half-open connections as opened ones may wait: a burst is both in turn."""
    present = s["kernel.tcp_max_syn_backlog"]
    return _queue(s, "net.ipv4.tcp_max_syn_backlog", present, "of half-open ones it remembers")


@rule(
    "sysctl.ip_local_port_range",
    needs=("kernel.ip_local_port_range", "proxy", "listen", "plan"),
    wants=("hosts", "targets.rate_rps", "plan.kind", OURS, "plan.basis"),
    accepts=Ports,
    source="ip(7), ip_local_port_range; include/net/tcp.h, TCP_TIMEWAIT_LEN",
)
def ip_local_port_range(s: Seen) -> Choice | None:
    """Wider where the proxy's connections to one server may take half of the ports.

    Each kept connection takes one. A class that closes after each response takes one for every
    request of the last 60 s, in TIME_WAIT. A Unix socket takes none.
    """
    over_tcp = s["proxy"] != "none" and (s["listen"] != "unix" or bool(s["hosts"]))
    low, high = min(s["kernel.ip_local_port_range"]), max(s["kernel.ip_local_port_range"])
    is_ours = _is_ours(s, "net.ipv4.ip_local_port_range")
    if not over_tcp or (low <= LOWEST_PORT and high >= HIGHEST_PORT and not is_ours):
        return None
    plan: Plan = s["plan"]
    served = plan.throughput.value if plan.throughput else 0.0
    per_s = max(s["targets.rate_rps"] or 0.0, served) if s["plan.kind"] == "one" else 0.0
    needed = plan.concurrency + int(TIME_WAIT_S * per_s)
    there = high - low + 1
    if needed <= USED_RATIO * there and not is_ours:
        return None
    closing = f"at {rate(per_s)}, each closed and kept for {TIME_WAIT_S} s, " if per_s else ""
    return Choice(
        [min(low, LOWEST_PORT), max(high, HIGHEST_PORT)],
        f"The proxy's connections to one server take up to {needed:,} ports {closing}"
        f"of {there:,}; name others' ports in between in ip_local_reserved_ports.{_where(s)}",
        binding="plan.concurrency",
        confidence="medium",
        inputs={"ports_needed": needed, "ports": there},
    )


@rule(
    "sysctl.tcp_fin_timeout",
    needs=("kernel.tcp_fin_timeout_s",),
    wants=(OURS, "plan.basis"),
    unit="s",
    accepts=Seconds,
    default=60,
    source="tcp(7), tcp_fin_timeout; include/net/tcp.h, TCP_TIMEWAIT_LEN",
)
def tcp_fin_timeout(s: Seen) -> Choice | None:
    """Back to the kernel's own 60 s where somebody lowered it.

    Lowering is widely advised to free ports, and frees none: TIME_WAIT is 60 s whatever this
    says. It only cuts off clients that are slow to close (FIN-WAIT-2).
    """
    present = s["kernel.tcp_fin_timeout_s"]
    if present >= TIME_WAIT_S and not _is_ours(s, "net.ipv4.tcp_fin_timeout"):
        return None
    lower = f"{present} s cut" if present < TIME_WAIT_S else "a lower one cuts"
    frees = "free" if present < TIME_WAIT_S else "frees"
    return Choice(
        max(present, TIME_WAIT_S),
        f"The kernel's own: {lower} off slow clients, and {frees} no port, because TIME_WAIT "
        f"is fixed at {TIME_WAIT_S} s.{_where(s)}",
        confidence="medium",
        inputs=_figures(s),
    )


@rule(
    "sysctl.tcp_migrate_req",
    needs=("kernel.tcp_migrate_req", "proxy"),
    wants=(OURS, "plan.basis"),
    accepts=Flag,
    default=0,
    source="ip-sysctl.rst, tcp_migrate_req; caddy#5725",
)
def tcp_migrate_req(s: Seen) -> Choice | None:
    """On where Caddy listens: with each reload it opens its ports anew, beside the old ones.

    By SO_REUSEPORT: what waits at the old socket when that is closed would be reset.
    """
    present = s["kernel.tcp_migrate_req"]
    if s["proxy"] != "caddy" or (present and not _is_ours(s, "net.ipv4.tcp_migrate_req")):
        return None
    return Choice(
        1,
        "A reload of Caddy opens its ports anew: connections that wait at the old sockets go on at "
        f"the new ones, instead of being reset.{_where(s)}",
        inputs={"kernel.tcp_migrate_req": present},
    )


@rule(
    "sysctl.file_max",
    needs=("kernel.file_max", "systemd.limit_nofile", "plan.workers"),
    wants=(OURS, "plan.basis"),
    accepts=Files,
    source="proc(5), /proc/sys/fs/file-max",
)
def file_max(s: Seen) -> Choice | None:
    """What all workers may open, twice for a reload, and as much again for all others."""
    most, workers = s["systemd.limit_nofile"], s["plan.workers"]
    needed = _power(2 * most * (2 * workers + 1))
    present = s["kernel.file_max"]
    if present >= needed and not _is_ours(s, "fs.file-max"):
        return None
    return Choice(
        max(present, needed),
        f"{count(workers, 'worker')} may open {most:,} files each, twice during a reload, and the "
        f"host allows {present:,} to all processes together.{_where(s, everywhere=True)}",
        binding="systemd.limit_nofile",
        inputs=_figures(s),
    )


def _is_ours(s: Seen, name: str) -> bool:
    """Whether a file of ours has set it already."""
    return name in (s[OURS] or ())


def _queue(s: Seen, key: str, present: int, limit: str) -> Choice | None:
    asked = {name: s[name] for name in BACKLOGS if s[name] is not None}
    asked["plan.concurrency"] = s["plan.concurrency"]
    most = max(asked, key=lambda name: asked[name])
    longest = max(OWN_BACKLOG, asked[most])
    if present >= longest and not _is_ours(s, key):
        return None
    return Choice(
        max(present, _power(longest)),
        f"Up to {longest:,} connections may wait at once, and {limit} {present:,} now.{_where(s)}",
        binding=most if asked[most] == longest else None,
        inputs=_figures(s),
    )


def _power(number: int) -> int:
    """The next power of two."""
    return int(1 << max(0, number - 1).bit_length())


def _figures(s: Seen) -> dict[str, Value]:
    return {name: value for name, value in s.items() if isinstance(value, int)}


def _where(s: Seen, *, everywhere: bool = False) -> str:
    """What a container has to know: it cannot set these by itself."""
    basis = s["plan.basis"]
    limits = f"{basis.budget_source} {basis.inputs.get('cpu.binding')}" if basis else ""
    if not is_container(limits):
        return ""
    if everywhere:
        return " This is a container: set it on its host."
    return " This is a container: its runtime has to set it (docker run --sysctl)."
