"""How the app's unit starts, stops, restarts and is locked in. Times are whole seconds.

The ids are systemd's, as those of systemd.py.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from advisor.quantities import duration
from advisor.rules.registry import Choice, Seen, rule

Seconds = Annotated[int, Field(gt=0, le=86400)] | None
Queue = Annotated[int, Field(gt=0, le=65535)] | None

# What each server calls the time that requests may take to finish.
GRACEFUL = {
    "gunicorn": "gunicorn.graceful_timeout",
    "uvicorn": "uvicorn.timeout_graceful_shutdown",
    "hypercorn": "hypercorn.graceful_timeout",
    "granian": "granian.workers_kill_timeout",
}
# The servers that take over a socket which systemd made (LISTEN_FDS, --fd 3, fd://3).
BACKLOG = {
    "gunicorn": "gunicorn.backlog",
    "uvicorn": "uvicorn.backlog",
    "hypercorn": "hypercorn.backlog",
}
# Of systemd itself: DefaultTimeoutStartSec, and five starts in 10 s before it gives up.
START_S = 90
STARTS, STARTS_S = 5, 10


@rule(
    "systemd.timeout_start_sec",
    needs=("plan.workers", "plan.basis"),
    unit="s",
    accepts=Seconds,
    default=START_S,
    source="systemd.service(5), TimeoutStartSec",
)
def timeout_start_sec(s: Seen) -> Choice:
    """Systemd's 90 s, or four times what all workers take to boot where that is longer."""
    boot = _boot_s(s)
    ample = math.ceil(4 * boot / 10) * 10
    inputs = {"boot_s": round(boot, 2)}
    if ample <= START_S:
        why = f"systemd's own; the workers boot in about {duration(boot)}."
        return Choice(START_S, why, inputs=inputs)
    return Choice(
        ample,
        f"Four times what the workers take to boot, about {duration(boot)}.",
        binding="boot_cpu_s",
        confidence="medium",
        inputs=inputs,
    )


@rule(
    "systemd.timeout_stop_sec",
    needs=("server",),
    wants=tuple(GRACEFUL.values()),
    unit="s",
    accepts=Seconds,
    default=90,
    source="systemd.service(5), TimeoutStopSec; gunicorn's sample unit has 5 s against 30 s",
)
def timeout_stop_sec(s: Seen) -> Choice:
    """Longer than the graceful timeout, or systemd kills what may still finish."""
    server = s["server"].capitalize()
    name = GRACEFUL[s["server"]]
    graceful = s[name]
    if graceful is None:
        return Choice(
            None,
            f"systemd's own 90 s: how long {server} lets requests finish is not set.",
            confidence="low",
            inputs={"server": s["server"]},
        )
    return Choice(
        math.ceil(graceful) + 10,
        f"Longer than {server}'s graceful timeout ({graceful:g} s), which it would cut short.",
        binding=name,
        inputs={name: graceful},
    )


@rule(
    "systemd.restart_sec",
    needs=("plan.workers", "plan.basis"),
    unit="s",
    accepts=Seconds,
    source="systemd.unit(5), StartLimitIntervalSec and StartLimitBurst; systemd.service(5)",
)
def restart_sec(s: Seen) -> Choice:
    """So far apart that systemd does not give up, and that half of the CPU stays the others'.

    systemd's own 100 ms make five starts in half a second, and then it never tries again.
    """
    boot = _boot_s(s)
    least = STARTS_S // STARTS + 1
    value = max(least, math.ceil(boot))
    inputs = {"boot_s": round(boot, 2)}
    if value > least:
        why = "As long as the workers compute to boot: an app that dies again leaves half the CPU."
        return Choice(value, why, binding="boot_cpu_s", confidence="medium", inputs=inputs)
    return Choice(
        value,
        f"Apart enough for systemd not to give up after {STARTS} starts in {STARTS_S} s.",
        inputs=inputs,
    )


@rule(
    "systemd.oom_policy",
    needs=("server",),
    wants=("can.systemd.oom_policy", "granian.respawn_failed_workers"),
    accepts=Literal["continue", "stop", "kill"] | None,
    default="stop",
    source="systemd.service(5), OOMPolicy; systemd 243: NEWS",
)
def oom_policy(s: Seen) -> Choice:
    """One worker killed for memory is replaced by its master, where the server replaces any.

    systemd's own `stop` ends all of them. Hypercorn stops as a whole with one worker, and so
    does Granian unless it is told to respawn: `stop` ends those cleanly, and a restart follows.
    """
    server = s["server"]
    able = s["can.systemd.oom_policy"]
    if not able:
        known = "below 243 does not" if able is False else "of an unknown version may not"
        return Choice(
            None,
            f"Left out: systemd {known} know it.",
            confidence="high" if able is False else "low",
            inputs={"server": server},
        )
    replaces = server in {"gunicorn", "uvicorn"} or s["granian.respawn_failed_workers"] is True
    if not replaces:
        why = f"{server.capitalize()} does not go on without a worker: all stop, and start again."
        return Choice("stop", why, inputs={"server": server})
    why = f"A worker killed for memory is replaced by {server.capitalize()}; the others go on."
    return Choice("continue", why, inputs={"server": server})


@rule(
    "systemd.socket_backlog",
    needs=("server",),
    wants=tuple(BACKLOG.values()),
    unit="connections",
    accepts=Queue,
    default=4096,
    source="systemd.socket(5), Backlog: the unit makes the socket, so its queue counts",
)
def socket_backlog(s: Seen) -> Choice | None:
    """The server's backlog: under socket activation the unit makes the queue.

    Silent for Granian, which takes no socket over.
    """
    name = BACKLOG.get(s["server"])
    if name is None or s[name] is None:
        return None
    return Choice(
        s[name],
        f"As {s['server'].capitalize()}'s: systemd makes the socket, so its value is the one that "
        "counts.",
        binding=name,
        inputs={name: s[name]},
    )


@rule(
    "systemd.memory_deny_write_execute",
    accepts=bool | None,
    default=False,
    source="systemd.exec(5), MemoryDenyWriteExecute",
)
def memory_deny_write_execute(_: Seen) -> Choice:
    """Left out: it breaks programs that make code as they run, and no look at the app tells."""
    return Choice(
        None,
        "Left out: it breaks JIT compilers and some C callbacks; pin it to true where the app has "
        "none.",
        inputs={},
    )


@rule(
    "systemd.proc_subset",
    accepts=Literal["all", "pid"] | None,
    default="all",
    source="systemd.exec(5), ProcSubset: few programs run without /proc/meminfo and the like",
)
def proc_subset(_: Seen) -> Choice:
    """Left out: libraries that size themselves by /proc/meminfo or /proc/cpuinfo fail with it."""
    return Choice(
        None,
        "Left out: libraries read /proc/meminfo and /proc/cpuinfo; pin it to pid where none does.",
        inputs={},
    )


def _boot_s(s: Seen) -> float:
    """Seconds that all workers take to boot, on the CPUs there are."""
    inputs = s["plan.basis"].inputs
    boot, cores = inputs.get("boot_cpu_s"), inputs.get("cpu.effective")
    if not isinstance(boot, int | float) or not isinstance(cores, int | float) or cores <= 0:
        return 0.0
    workers = s["plan.workers"]
    return float(workers * boot / min(cores, workers))
