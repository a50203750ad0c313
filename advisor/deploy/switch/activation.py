"""Making changed files effective, step by step, and remembering what that touched."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import nginx as nginx_
from . import redis, sysctl, systemd
from .commands import run
from .documents import Refusal
from .livevalues import Store
from .plan import plan
from .processes import children, now_s, snapshot
from .trial import redacted, surroundings, unit_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .daemons import Daemons
    from .documents import Install
    from .layout import Layout
    from .plan import Plan
    from .systemd import State

SAVED = "live.json"
PROMETHEUS = "prometheus.service"
# So long may what harms finish its requests: a hanging one would hold up the return for the whole
# of its graceful timeout. A task of a worker is not killed: nobody sends it again.
HARM_STOP_S = 2.0


@dataclass(frozen=True)
class Touched:
    """A unit that was acted on: what its processes were before, and when (seconds since boot)."""

    unit: str
    verb: str
    main_pid: int
    workers: frozenset[int]
    at_s: float


@dataclass
class Activation:
    """One activation: its steps, and what the gate has to know of them.

    `restarts` are the units' counts of automatic restarts right after they were acted on. A return
    is done `because` of something, and takes back `earlier`, where it is this process that
    activated it.
    """

    daemons: Daemons
    layout: Layout
    earlier: Activation | None = None
    because: Refusal | None = None
    touched: list[Touched] = field(default_factory=list)
    restarts: dict[str, int] = field(default_factory=dict)
    began: float = field(default_factory=time.time)
    error_log_bytes: int = 0

    @property
    def is_return(self) -> bool:
        """Whether this takes another one back."""
        return self.because is not None

    @property
    def is_urgent(self) -> bool:
        """Whether what is taken back harms; what nobody committed serves as well as ever."""
        return self.because is not None and self.because.step != "held"

    def run(
        self, old: Install | None, new: Install | None, changed: frozenset[str]
    ) -> Refusal | None:
        """All steps in their order, until one is refused; a return goes through them all.

        The first refusal: a fault of the disk is one too.
        """
        self.error_log_bytes = nginx_.size(self.daemons.nginx.error_log)
        refusals = self._refusals(old, new, plan(old, new, changed))
        first = next(refusals, None)
        if self.is_return:
            deque(refusals, maxlen=0)
        return first

    def _refusals(self, old: Install | None, new: Install | None, todo: Plan) -> Iterator[Refusal]:
        steps = (self._boot_files, self._live_values, self._old_units, self._new_units)
        for step in (*steps, self._services, self._others, self._workers):
            try:
                yield from step(old, new, todo)
            except OSError as error:
                message = f"{error.filename or 'the host'}: {error.strerror}"
                look = "See that the disk is writable and not full."
                yield Refusal("activate", message, look=look)

    def was(self, unit: str) -> frozenset[int]:
        """A unit's workers before the earlier activation; none where that did not act on it."""
        touched = self.earlier.touched if self.earlier else []
        return next((each.workers for each in touched if each.unit == unit), frozenset())

    def said_by(self, unit: str | None) -> tuple[str, ...]:
        """What a unit and nginx have logged since; values of the unit's environment are not."""
        own = self.daemons.manager.log(unit, self.began) if unit else []
        texts = unit_texts(unit, self.layout.root) if unit else []
        lines = [*own, *nginx_.tail(self.daemons.nginx.error_log, self.error_log_bytes)]
        given = surroundings(texts, self.layout.root).environment
        return redacted(lines, {**self.daemons.manager.environment(), **given})

    def _boot_files(
        self, _old: Install | None, _new: Install | None, todo: Plan
    ) -> Iterator[Refusal]:
        """The user and the folders that systemd would make at the next boot."""
        for program, options, files in (
            ("systemd-sysusers", (), todo.sysusers),
            ("systemd-tmpfiles", ("--create",), todo.tmpfiles),
        ):
            if files:
                done = run([program, *options, *(str(self.layout.at(file)) for file in files)])
                if not done.is_good:
                    yield _refused(f"{program} failed", done.said)

    def _live_values(
        self, old: Install | None, new: Install | None, todo: Plan
    ) -> Iterator[Refusal]:
        """The kernel's settings, and Redis's; both before the server that counts on them."""
        install = new or old
        if install is None:
            return
        path = self.layout.saved / SAVED
        if todo.sysctl:
            wanted = self._settings("sysctl", new, sysctl.settings)
            refusal = sysctl.switch(install.app, wanted, Store(path, "sysctl"))
            if refusal:
                yield refusal
        if todo.redis:
            wanted = self._settings("redis", new, redis.settings)
            main = self.layout.at(redis_conf(new if wanted else old))
            refusal = redis.switch(install.app, wanted, Store(path, "redis"), main)
            if refusal:
                yield refusal

    def _settings(
        self, checker: str, new: Install | None, read: Callable[[str], dict[str, str]]
    ) -> dict[str, str]:
        """What an app's files of one kind set; nothing where the app is removed."""
        rows = [row for row in (new.files if new else ()) if row.checker == checker]
        texts = [self.layout.at(row.target).read_text(encoding="utf-8") for row in rows]
        return {name: value for text in texts for name, value in read(text).items()}

    def _old_units(
        self, old: Install | None, _new: Install | None, todo: Plan
    ) -> Iterator[Refusal]:
        """Units whose files have gone: systemd still runs them until it is told.

        One that never came to systemd, or has left it already, is no fault of a return.
        """
        for unit in todo.stop:
            systemd.disable(unit, self.layout.units)
        workers = _named("worker", old)
        yield from self._stopped([unit for unit in todo.stop if unit not in workers])

    def _stopped(self, units: Sequence[str], *, is_patient: bool = False) -> Iterator[Refusal]:
        states = self.daemons.manager.states(*units)
        there = [unit for unit in units if not states[unit].is_nothing]
        if there:
            yield from self._acted("stop", *there, is_patient=is_patient)
            self.daemons.manager.act("reset-failed", *there)

    def _new_units(
        self, _old: Install | None, _new: Install | None, todo: Plan
    ) -> Iterator[Refusal]:
        if todo.daemon_reload:
            yield from self._acted("daemon-reload")
        for unit in todo.enable:
            text = (self.layout.units / unit).read_text(encoding="utf-8")
            systemd.enable(unit, text, self.layout.units)

    def _services(self, old: Install | None, new: Install | None, todo: Plan) -> Iterator[Refusal]:
        """Sockets first: what they hold waits for the service."""
        if not (todo.start or todo.restart or todo.reload or todo.renew):
            return
        sockets, services = _named("socket", new), _named("service", new)
        states = self.daemons.manager.states(*sockets, *services, *todo.reload)
        if todo.renew:
            # A socket does not change under a service that has it.
            yield from self._acted("stop", *services, *todo.renew)
        down = [each for each in sockets if each in todo.renew or not states[each].is_up]
        begin = list(dict.fromkeys([*down, *todo.start]))
        workers = _named("worker", old, new)
        restart = [unit for unit in todo.restart if unit not in workers]
        again = [*restart, *(services if todo.renew else ())]
        stopped = [unit for unit in todo.reload if not self._takes_reloads(unit, states[unit])]
        for unit in dict.fromkeys([*begin, *again, *stopped]):
            # One that failed too often may not be started until it is forgiven (systemctl(1)).
            self.daemons.manager.act("reset-failed", unit)
        for unit in begin:
            yield from self._touch("start", unit)
        for unit in dict.fromkeys([*again, *stopped]):
            if unit not in begin:
                yield from self._touch("restart", unit)
        for unit in todo.reload:
            if unit not in stopped and unit not in again:
                yield from self._reload(unit)

    def _reload(self, unit: str) -> Iterator[Refusal]:
        """A reload that fails because its process is gone is a restart: nothing else is left."""
        main = self.daemons.manager.states(unit)[unit].main_pid
        refusals = list(self._touch("reload", unit))
        if refusals and self.daemons.manager.states(unit)[unit].main_pid != main:
            self.daemons.manager.act("reset-failed", unit)
            refusals = list(self._touch("restart", unit))
        yield from refusals

    def _takes_reloads(self, unit: str, state: State) -> bool:
        """Whether it is up and stays up: what dies over and over loses a reload on the way."""
        before = self.earlier.restarts.get(unit) if self.earlier else None
        return state.is_up and (before is None or state.restarts <= before)

    def _others(self, _old: Install | None, new: Install | None, todo: Plan) -> Iterator[Refusal]:
        """The host's own daemons: those that run load anew, a proxy that the app needs is started.

        One that is down has nothing to forget of an app that is removed.
        """
        units = {"nginx": self.daemons.nginx.unit, "caddy": self.daemons.caddy.unit}
        for unit in [units[checker] for checker in todo.proxies]:
            is_up = self.daemons.manager.states(unit)[unit].is_up
            if is_up or new is not None:
                yield from self._touch("reload" if is_up else "start", unit)
        if todo.monitoring and self.daemons.manager.states(PROMETHEUS)[PROMETHEUS].is_up:
            yield from self._acted("reload", PROMETHEUS)

    def _workers(self, old: Install | None, new: Install | None, todo: Plan) -> Iterator[Refusal]:
        """Last of all, for each may end its task first, and nobody waits for an answer of it."""
        gone = [unit for unit in _named("worker", old) if unit in todo.stop]
        yield from self._stopped(gone, is_patient=True)
        for unit in _named("worker", old, new):
            if unit in todo.restart:
                self.daemons.manager.act("reset-failed", unit)
                yield from self._touch("restart", unit, is_patient=True)

    def _touch(self, verb: str, unit: str, *, is_patient: bool = False) -> Iterator[Refusal]:
        """Act on one unit, with what it was before kept for the gate."""
        manager = self.daemons.manager
        main = manager.states(unit)[unit].main_pid
        among = snapshot()
        before = nginx_.workers(main, among) if unit == self.daemons.nginx.unit else None
        workers = frozenset(children(main, among) if before is None else before)
        self.touched.append(Touched(unit, verb, main, workers if main else frozenset(), now_s()))
        yield from self._acted(verb, unit, is_patient=is_patient)
        self.restarts[unit] = manager.states(unit)[unit].restarts

    def _acted(self, verb: str, *units: str, is_patient: bool = False) -> Iterator[Refusal]:
        is_short = self.is_urgent and verb in {"stop", "restart"} and not is_patient
        stop_s = HARM_STOP_S if is_short else None
        done = self.daemons.manager.act(verb, *units, stop_s=stop_s)
        if not done.is_good:
            lines = [line for unit in units for line in self.said_by(unit)]
            yield _refused(systemd.failed(done, (verb, *units)), lines or done.said, units)


def redis_conf(install: Install | None) -> str:
    """The main file beside ours: of Redis, or of Valkey."""
    targets = (row.target for row in (install.files if install else ()) if row.checker == "redis")
    server = next(targets, "/etc/redis/").split("/")[2]
    return f"/etc/{server}/{server}.conf"


def _named(kind: str, *installs: Install | None) -> list[str]:
    units = (unit for install in installs if install for unit in install.units)
    return list(dict.fromkeys(unit.name for unit in units if unit.kind == kind))


def _refused(message: str, lines: Iterable[str], units: Iterable[str] = ()) -> Refusal:
    status = " ".join(units)
    look = f"systemctl status {status}; journalctl -u {status.replace(' ', ' -u ')}"
    return Refusal(
        step="activate",
        message=message,
        lines=tuple(lines)[-systemd.LOG_LINES :],
        look=look if status else "Run the same command by hand.",
    )
