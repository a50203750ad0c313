"""Findings about what nginx.conf says for all sites: it is never edited, the lines are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.rules.findings.case import Case, Said, finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.documents.base import Scalar

# nginx's own values where nginx.conf sets none (ngx_core_module).
PROCESSES, CONNECTIONS = 1, 512
# What systemd gives a service that asks for none (systemd-system.conf(5), DefaultLimitNOFILE).
DESCRIPTORS = 1024


@dataclass(frozen=True)
class Room:
    """What nginx takes on: its processes, and the connections and descriptors of each."""

    processes: int
    connections: int
    descriptors: int | None

    @property
    def each(self) -> int:
        """The connections that one process can hold: each takes a descriptor."""
        return min(self.connections, self.descriptors or DESCRIPTORS)

    def text(self) -> str:
        """As nginx.conf has it."""
        files = f"worker_rlimit_nofile {self.descriptors}"
        if not self.descriptors:
            files = f"no worker_rlimit_nofile, where systemd gives {DESCRIPTORS:,} descriptors"
        return (
            f"nginx.conf comes to {self.processes} x {self.connections:,} (worker_processes x "
            f"worker_connections) and has {files}"
        )


@finding("nginx-connections", "warning")
def _nginx_connections(case: Case) -> Said | None:
    """A request takes two connections, the client's and the app's.

    The processes take connections as they come, none its equal share: where one of them could
    not hold all, nginx may run out.
    """
    needed = 2 * case.plan.concurrency
    nginx = case.facts.components.get("nginx")
    told = nginx.settings if nginx else None
    room = _room(told or {}, case.facts.cpu.logical)
    if case.value("proxy") != "nginx" or needed <= room.each:
        return None
    short = told is not None and needed > room.processes * room.each
    own = f"nginx's own limit is {CONNECTIONS} in each of its processes; nginx.conf was not read"
    return Said(
        f"nginx {'runs' if short else 'may run'} out of connections",
        f"{case.plan.concurrency:,} requests in flight take {needed:,} connections, the client's "
        f"and the app's; {own if told is None else room.text()}.",
        {
            "plan.concurrency": case.plan.concurrency,
            "connections": needed,
            **{f"components.nginx.settings.{name}": value for name, value in (told or {}).items()},
        },
        f"In nginx.conf have at least: {' '.join(_lines(needed, room, case.facts.cpu.logical))}",
        None if short else "info",
    )


def _room(settings: Mapping[str, Scalar], cpus: int) -> Room:
    """What the settings come to; nginx's own where they say nothing that is a number."""

    def number(name: str) -> int | None:
        found = settings.get(name)
        return found if isinstance(found, int) and found > 0 else None

    auto = cpus if settings.get("worker_processes") == "auto" else PROCESSES
    return Room(
        number("worker_processes") or auto,
        number("worker_connections") or CONNECTIONS,
        number("worker_rlimit_nofile"),
    )


def _lines(needed: int, room: Room, cpus: int) -> list[str]:
    """The directives that are too low, as they should be: for 2 n connections 2 n descriptors."""
    enough = max(room.connections, 1 << (needed - 1).bit_length())
    wanted = {
        "worker_processes auto;": room.processes < cpus,
        f"worker_rlimit_nofile {2 * enough};": (room.descriptors or 0) < 2 * enough,
        f"events {{ worker_connections {enough}; }}": room.connections < enough,
    }
    return [line for line, low in wanted.items() if low]
