"""What a change of an app's files asks of the host's services. Pure.

Only what changed is acted on: a row's `activation` says how, its component says whom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .systemd import UNITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .documents import Install, Row, Unit

# Whose files the app's server reads; the environment is its workers' too.
SERVERS = frozenset({"gunicorn", "uvicorn", "hypercorn", "granian"})
ENVIRONMENT = "environment"
SYSUSERS = "/etc/sysusers.d/"
TMPFILES = "/etc/tmpfiles.d/"


@dataclass(frozen=True)
class Plan:
    """What is done, in this order; each is empty where nothing of it changed.

    `stop` are units whose file has gone. `renew` are sockets that change: theirs and the
    service's listener is closed for a moment. `proxies` are checkers of proxies: nginx, caddy.
    """

    sysusers: tuple[str, ...] = ()
    tmpfiles: tuple[str, ...] = ()
    sysctl: bool = False
    redis: bool = False
    stop: tuple[str, ...] = ()
    daemon_reload: bool = False
    enable: tuple[str, ...] = ()
    renew: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    monitoring: bool = False


def plan(old: Install | None, new: Install | None, changed: frozenset[str]) -> Plan:
    """From what is installed to what is to be; `changed` are the tree's paths that differ."""
    rows = [row for row in _rows(old, new) if row.path in changed]
    added, gone = _own(new) - _own(old), _own(old) - _own(new)
    units = _units(old, new)
    listening = [unit for unit in units if unit.kind == "socket" and unit.name not in added | gone]
    working = [unit for unit in units if unit.kind != "socket" and unit.name not in added | gone]
    restart = [unit.name for unit in working if _restarts(unit, rows)]
    reload = [unit for unit in working if unit.name not in restart and _reloads(unit, rows)]
    return Plan(
        sysusers=_here(new, rows, SYSUSERS),
        tmpfiles=_here(new, rows, TMPFILES),
        sysctl=any(row.checker == "sysctl" for row in rows),
        redis=any(row.checker == "redis" for row in rows),
        stop=_ordered(gone, old, first="service"),
        daemon_reload=any(row.target.startswith(f"{UNITS}/") for row in rows),
        enable=_ordered(added, new, first="socket"),
        renew=tuple(unit.name for unit in listening if _defines(unit, rows)),
        start=_ordered(added, new, first="socket"),
        restart=(*restart, *(unit.name for unit in reload if not unit.reload)),
        reload=tuple(unit.name for unit in reload if unit.reload),
        proxies=tuple(dict.fromkeys(row.checker for row in rows if row.checker in PROXIES)),
        monitoring=any(row.checker == "monitoring" for row in rows),
    )


PROXIES = ("nginx", "caddy")


def _rows(old: Install | None, new: Install | None) -> list[Row]:
    """Each file once, as it is to be, or as it was where it goes."""
    found = {row.path: row for install in (old, new) if install for row in install.files}
    return list(found.values())


def _units(old: Install | None, new: Install | None) -> list[Unit]:
    """The units of both; beside a unit of others that is no longer named ours still changes."""
    found = {unit.name: unit for install in (old, new) if install for unit in install.units}
    return list(found.values())


def _own(install: Install | None) -> set[str]:
    return set(install.own_units) if install else set()


def _here(new: Install | None, rows: Iterable[Row], folder: str) -> tuple[str, ...]:
    """The targets of a folder that are there now: what is gone makes nothing."""
    targets = {row.target for row in (new.files if new else ())}
    return tuple(
        row.target for row in rows if row.target.startswith(folder) and row.target in targets
    )


def _ordered(names: set[str], install: Install | None, *, first: str) -> tuple[str, ...]:
    """Units of an app, those of one kind before the others."""
    units = [unit for unit in (install.units if install else ()) if unit.name in names]
    return tuple(unit.name for unit in sorted(units, key=lambda unit: unit.kind != first))


def _defines(unit: Unit, rows: Sequence[Row]) -> bool:
    """Whether a changed file is the unit's own, or a drop-in beside it."""
    own = f"{UNITS}/{unit.name}"
    return any(row.target == own or row.target.startswith(f"{own}.d/") for row in rows)


def _reads(unit: Unit, row: Row) -> bool:
    if row.component == ENVIRONMENT:
        return unit.kind in {"service", "worker"}
    return row.component in SERVERS and unit.kind == "service"


def _restarts(unit: Unit, rows: Sequence[Row]) -> bool:
    reading = (row for row in rows if _reads(unit, row))
    return _defines(unit, rows) or any(row.activation == "restart" for row in reading)


def _reloads(unit: Unit, rows: Sequence[Row]) -> bool:
    return any(row.activation == "reload" for row in rows if _reads(unit, row))
