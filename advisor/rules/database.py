"""What the rules of database pools share: a worker's part of the connections, and its use of them.

Pure, and without a rule of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from advisor.model import connections
from advisor.quantities import count, duration

if TYPE_CHECKING:
    from advisor.documents import Estimate, Value
    from advisor.model.choose import Plan
    from advisor.model.connections import Pool
    from advisor.rules.registry import Confidence, Seen

NEEDS = ("plan", "plan.kind", "plan.workers", "plan.threads", "plan.concurrency")
LIBRARIES = (
    *("components.sqlalchemy.version", "components.sqlalchemy.loaded"),
    *("components.asyncpg.version", "components.asyncpg.loaded"),
)
WANTS = (
    *("database.max_connections", "database.reserved", "hosts"),
    *("wait_per_request_s", "cpu_per_request_s", "plan.mended"),
    *LIBRARIES,
)
LIMIT = "database.max_connections"
# What PostgreSQL allows unless it is told otherwise, and keeps of that for superusers
# (its manual, "Connections and Authentication"). MySQL allows 151.
USUAL, KEPT = 100, 3


@dataclass(frozen=True, slots=True)
class Share:
    """A worker's pool and what it follows from.

    `each` is the worker's part of the connections, `used` what it uses at once, `why` that in
    words. `given` is whether the database's limit is known, `measured` whether the use is.
    """

    pool: Pool
    each: int
    used: int
    why: str
    given: bool
    measured: bool
    inputs: dict[str, Value]

    @property
    def binding(self) -> str | None:
        """The database, where it holds the pool below what the worker uses."""
        return LIMIT if self.each < self.used else None

    @property
    def confidence(self) -> Confidence:
        """Low without the database's limit; high only where nothing had to be measured."""
        if not self.given or not self.measured:
            return "low"
        return "high" if self.inputs["plan.kind"] != "loop" else "medium"


def is_asyncpg_alone(s: Seen) -> bool:
    """Whether the app uses asyncpg itself, not as SQLAlchemy's driver.

    So where SQLAlchemy is not installed, or the app's workers have loaded asyncpg without it.
    """
    if s["components.asyncpg.version"] is None:
        return False
    if s["components.sqlalchemy.version"] is None:
        return True
    return s["components.asyncpg.loaded"] is True and s["components.sqlalchemy.loaded"] is False


def share(s: Seen, *, usual: Pool) -> Share:
    """The pool of one worker; `usual` is the product's own, for a use that was not measured."""
    given: int | None = s[LIMIT]
    hosts = max(1, len(s["hosts"] or []))
    workers: int = s["plan.workers"]
    limit, kept = (given, s["database.reserved"] or 0) if given is not None else (USUAL, KEPT)
    free = max(0, limit - kept)
    each = connections.per_worker(limit, kept, hosts, workers)
    used, most, measured, use = _use(s, usual)
    if given is None:  # what others use of it is not known either
        most = min(most, max(used, usual.most))
    everywhere = f"{count(hosts, 'host')} x {count(workers, 'worker')}, twice in a reload"
    if each < 1:
        needed = connections.taken(1, hosts, workers) + kept
        why = (
            f"It does not fit: {free} connections over {everywhere}, are less than one "
            f"each; run fewer workers, or let the database take {needed}"
        )
    elif each < used:
        why = f"A worker's part of {free} connections over {everywhere}, is {each}; {use}"
    else:
        why = f"{use[0].upper()}{use[1:]}; its part of {free} connections is {each}"
    if given is None:
        why += f" ({LIMIT} is not given: PostgreSQL's own {USUAL} less {KEPT} are assumed)"
    return Share(
        pool=connections.pool(each, used, most),
        each=each,
        used=used,
        why=f"{why}.",
        given=given is not None,
        measured=measured,
        inputs=_inputs(s, hosts),
    )


def _use(s: Seen, usual: Pool) -> tuple[int, int, bool, str]:
    """Connections in use at once and at most, whether that was measured, and why.

    A request holds one connection at a time. A loop's are those in service by Little's law; at
    most every request in flight is in one worker, because kept-alive connections stay there.
    """
    kind: Literal["one", "threads", "loop"] = s["plan.kind"]
    if kind == "one":
        return 1, 1, True, "a worker serves one request at a time"
    if kind == "threads":
        threads: int = s["plan.threads"]
        return threads, threads, True, f"each of {count(threads, 'thread')} may hold one"
    plan: Plan = s["plan.mended"] or s["plan"]
    wait: Estimate | None = s["wait_per_request_s"]
    if plan.throughput is None or wait is None:
        return usual.size, usual.most, False, f"nothing was measured, and {usual.size} are usual"
    cpu: Estimate | None = s["cpu_per_request_s"]
    held = wait.value + (cpu.value if cpu else 0.0)
    most: int = s["plan.concurrency"]
    used = min(connections.at_once(plan.throughput.value, held, s["plan.workers"]), most)
    why = f"{count(used, 'request')} of {duration(held)} are in service in a worker at once"
    return used, most, True, why


def _inputs(s: Seen, hosts: int) -> dict[str, Value]:
    names = ("plan.kind", "plan.workers", "plan.threads", "plan.concurrency", LIMIT)
    wait: Estimate | None = s["wait_per_request_s"]
    found = {name: s[name] for name in (*names, "database.reserved")}
    found |= {"hosts": hosts, "wait_per_request_s": wait.value if wait else None}
    return {name: value for name, value in found.items() if value is not None}
