"""What the worker classes that a target could run under cost on its host.

A null app is loaded under each class for a second or so, beside the target and never on it; the
model prices another class than the measured one by the difference. What was measured within the
last 30 days on the same machine, with the same versions, is kept in a cache: the middle of it
counts, and nothing more is measured once it is enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.documents import Unknown
from advisor.errors import AdvisorError
from advisor.host import limits
from advisor.probe.classes import store
from advisor.probe.classes.candidates import candidates
from advisor.probe.classes.interpreter import LeftOut, interpreter
from advisor.probe.classes.measure import costs_of
from advisor.probe.interrupt import run_until_signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import ClassCost, Server
    from advisor.probe.classes.candidates import Candidate
    from advisor.probe.classes.interpreter import Interpreter

TOTAL_S = 5.0
# What a master and its workers of one null app take, and as much again; all are up at once.
MEMORY_BYTES = 128 * 1024**2
Costs = tuple[dict[str, "ClassCost"], list[Unknown]]


def class_costs(
    server: Server | None,
    interface: str,
    *,
    on_progress: Callable[[str], None],
    allowed: bool = True,
    within_s: float = TOTAL_S,
) -> Costs:
    """`calibrated`, where no event loop runs; raises `Interrupted` on SIGINT and SIGTERM."""
    return run_until_signal(
        calibrated(server, interface, on_progress=on_progress, allowed=allowed, within_s=within_s)
    )


async def calibrated(
    server: Server | None,
    interface: str,
    *,
    on_progress: Callable[[str], None],
    allowed: bool = True,
    within_s: float = TOTAL_S,
) -> Costs:
    """Cost by worker class, as `Target.worker_class` spells it, and what could not be told.

    The null apps run under the server's own Python, as its own user, loaded in turns, all within
    `within_s`; nothing of them stays. Where that is not `allowed`,
    because the host has no CPU to spare or others use it, only the cache is asked. `on_progress`
    gets a line before the first and one a class.
    """
    try:
        python, wanted = _offered(server, interface)
    except LeftOut as reason:
        return {}, [_unknown("what worker classes cost on this host", reason)]
    keys = {each.name: store.key(each.name, python) for each in wanted}
    path = store.default_path()
    known = store.read(path) if path else {}
    seen = {name: known.get(entry, []) for name, entry in keys.items()}
    few = [each for each in wanted if len(seen[each.name]) < store.ENOUGH]
    left_out: dict[str, LeftOut] = {}
    if few and (forbidden := _forbidden(len(few), allowed=allowed)):
        left_out = {each.name: forbidden for each in few}
    elif few:
        measured, left_out = await _measured(few, python, on_progress, within_s)
        seen = {n: [*costs, measured[n]] if n in measured else costs for n, costs in seen.items()}
        if path:
            store.write(path, {keys[name]: each for name, each in measured.items()})
    told = {name: store.middle(costs) for name, costs in seen.items() if costs}
    gaps = [_unknown(_what(name), why) for name, why in left_out.items() if name not in told]
    return told, gaps


def _offered(server: Server | None, interface: str) -> tuple[Interpreter, tuple[Candidate, ...]]:
    if server is None:
        raise LeftOut("the server's processes are not known", "probe on its own host")
    python = interpreter(server)
    wanted = candidates(server.kind, interface, python.packages)
    if not wanted:
        raise LeftOut(
            f"the Python of pid {server.pid} has no server for {interface} apps that is known here",
            "install gunicorn there",
        )
    return python, wanted


async def _measured(
    wanted: list[Candidate],
    python: Interpreter,
    on_progress: Callable[[str], None],
    within_s: float,
) -> tuple[dict[str, ClassCost], dict[str, LeftOut]]:
    names = ", ".join(each.name for each in wanted)
    on_progress(f"a null app under {names}: at most {within_s:.0f} s, beside the app")
    known: dict[str, ClassCost] = {}
    left_out: dict[str, LeftOut] = {}
    found = await costs_of(wanted, python, within_s)
    for candidate in wanted:
        cost = found[candidate.name]
        if isinstance(cost, LeftOut):
            left_out[candidate.name] = cost
            continue
        known[candidate.name] = cost
        on_progress(
            f"{candidate.name}: {1 / cost.held_s:,.0f} requests/s with one worker, "
            f"{cost.cpu_s * 1e6:.0f} µs of CPU each"
        )
    return known, left_out


def _forbidden(apps: int, *, allowed: bool) -> LeftOut | None:
    """Why so many null apps may not be started now."""
    if not allowed:
        return LeftOut(
            "others use the app, or too little CPU is left, so no null app was started",
            "measure again when the host is idle",
        )
    free, needed = _free_bytes(), apps * MEMORY_BYTES
    if free is not None and free < needed:
        return LeftOut(
            f"only {free // 1024**2} MiB of memory are free, so no null app was started",
            f"measure again with {needed // 1024**2} MiB free",
        )
    return None


def _free_bytes() -> int | None:
    """The memory left to us at every limit; null where it is not told."""
    try:
        memory, _ = limits.memory()
    except AdvisorError:
        return None
    left = [
        int(limit.value) - limit.used_bytes
        for limit in memory.limits
        if limit.value is not None and limit.used_bytes is not None
    ]
    return min([memory.available_bytes, *left])


def _what(name: str) -> str:
    return f"what the worker class {name} costs on this host"


def _unknown(what: str, reason: LeftOut) -> Unknown:
    return Unknown(what=what, why=reason.why, remedy=reason.remedy)
