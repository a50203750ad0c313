"""Whether a measurement can carry a recommendation, and of which host it is. Pure.

A measurement is a file: it may be cut short, edited by hand, or come from elsewhere. What is
wrong in it is said with its field before anything is reckoned from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.documents import Document, Estimate, Unknown
from advisor.errors import InvalidInput, TooLittleEvidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.documents import Facts, Measurement, Server

# An interval needs two samples at least.
LEAST_SAMPLES = 2
# Ends of an interval that differ by rounding alone are in order.
ROUNDING = 1e-9
AGAIN = "Measure again: advisor probe URL -o FILE."


def check(measurement: Measurement, where: str) -> None:
    """Refuse what no recommendation can stand on; `where` names the file or URL.

    Raises `InvalidInput` for fields that contradict each other, `TooLittleEvidence` for a
    measurement that holds none, naming every field in both. One that could not see the CPU is
    not refused: its recommendation is a labelled fall-back.
    """
    if wrong := contradictions(measurement):
        raise InvalidInput("\n".join(f"{where}: {line}" for line in wrong), remedy=AGAIN)
    if missing := usable(measurement):
        lines = "\n".join(f"{where}: {gap.what}: {gap.why}" for gap in missing)
        raise TooLittleEvidence(lines, remedy=missing[0].remedy)


def contradictions(measurement: Measurement) -> list[str]:
    """A line for each interval that does not hold its own value."""
    return [
        f"{name}: low {each.low:g}, value {each.value:g} and high {each.high:g} are out of order"
        for name, each in _estimates(measurement, "")
        if each.low > each.value * (1 + ROUNDING) or each.value > each.high * (1 + ROUNDING)
    ]


def usable(measurement: Measurement) -> list[Unknown]:
    """What a recommendation misses in a measurement; nothing where it can stand on it."""
    seen = measurement.observed
    requests = seen.requests if seen else measurement.cost.requests
    failed = seen.errors if seen else sum(step.errors for step in measurement.throughput.steps)
    if not requests:
        return [_missing("requests", "none came or were sent, so it says nothing")]
    if 2 * failed >= requests:
        why = f"{failed:,} of {requests:,} requests failed; errors cost less than answers"
        return [_missing("requests", why, "Measure a route that answers: advisor probe URL.")]
    cpu = measurement.cpu_per_request_s
    why_not = _flaw(cpu) if cpu else None
    return [_missing("cpu_per_request_s", why_not)] if why_not else []


def _flaw(cpu: Estimate) -> str | None:
    """What keeps a CPU time from being a measured one."""
    if cpu.value <= 0:
        return "no CPU was counted, and no request is free"
    if cpu.n < LEAST_SAMPLES:
        return f"{cpu.n} sample{'s' * (cpu.n != 1)}; an interval needs two at least"
    if cpu.low == cpu.high:
        return f"all {cpu.n:,} samples are alike, so that its interval has no width: not a clock's"
    return None


def same_host(facts: Facts, measurement: Measurement) -> bool:
    """Whether the measurement was made on the host of these facts.

    By its name, where the measurement holds one. An older one is known by the server's PID, kind
    and worker class (a PID alone may be another program's elsewhere), so that after a restart
    what it measured stands for another process.
    """
    if measurement.host is not None:
        return measurement.host == facts.host.name
    return any(_is(server, measurement) for server in facts.servers)


def elsewhere(facts: Facts, measurement: Measurement) -> Unknown | None:
    """What to say where the measurement is not of this host; None where it is."""
    if same_host(facts, measurement):
        return None
    where = measurement.host or "another host, or before a restart"
    return Unknown(
        what="CPU per request on this host",
        why=f"{measurement.target.url} was measured on {where}, and another CPU than that of "
        f"{facts.host.name} takes another time for a request",
        remedy="Measure here: advisor recommend URL.",
    )


def _is(server: Server, measurement: Measurement) -> bool:
    target = measurement.target
    classes = {target.worker_class, server.worker_class}
    return (
        target.pid in {server.pid, *(worker.pid for worker in server.workers)}
        and target.server in {None, server.kind}
        and (None in classes or len(classes) == 1)
    )


def _missing(what: str, why: str, remedy: str = AGAIN) -> Unknown:
    return Unknown(what=what, why=why, remedy=remedy)


def _estimates(found: object, name: str) -> Iterator[tuple[str, Estimate]]:
    """Every estimate of a document, by its place in it: `latency_s.p50`, `routes[1].cpu...`."""
    match found:
        case Estimate():
            yield name, found
        case Document():
            for field in type(found).model_fields:
                yield from _estimates(getattr(found, field), f"{name}.{field}" if name else field)
        case dict():
            for key, value in found.items():
                yield from _estimates(value, f"{name}.{key}")
        case list():
            for number, value in enumerate(found):
                yield from _estimates(value, f"{name}[{number}]")
        case _:
            return
