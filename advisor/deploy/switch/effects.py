"""The daemons of this host, asked and told by the switch: what stands behind `Services`."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import caddy, nginx, redis, staging, sysctl, trial
from .activation import Activation, redis_conf
from .asking import Client, collected, good_once, paced
from .commands import find, lacking, run
from .compare import FEWEST
from .daemons import Daemons
from .documents import Refusal
from .gate import Gate
from .processes import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .documents import Install, Links, Row
    from .layout import Layout
    from .services import Baseline

# Health is asked so often before an app counts as unhealthy, that far apart.
TRIES = 3
BETWEEN_S = 0.5
RECENT_S = 300.0
NO_CURE = (
    "An apply is no cure, and could not be told from the harm: mend the app first, or go back with "
    "`advisor rollback`."
)
PROMETHEUS = "/etc/prometheus/prometheus.yml"
# Its files by their ends, and how promtool is asked about each; it knows no dashboards.
PROMTOOL = {".rules.yml": "rules", ".scrape.yml": "config", "/prometheus.yml": "config"}


@dataclass
class Host:
    """`Services` of the machine that this runs on; `layout` and `daemons` differ only in tests."""

    layout: Layout
    daemons: Daemons = field(default_factory=Daemons)
    done: dict[str, Activation] = field(default_factory=dict)

    def live_problems(self, app: Install | None, others: Sequence[Install]) -> Refusal | None:
        """Why nothing may be published now: others' edits first, then the app's own health."""
        installs = [*([app] if app else []), *others]
        states = self.daemons.manager.states(self.daemons.nginx.unit, self.daemons.caddy.unit)
        among = snapshot()
        is_ours = self._is_ours(row for install in installs for row in install.files)
        refusal = None
        main = states[self.daemons.nginx.unit].main_pid
        if self.daemons.nginx.is_installed and (main or _has(installs, "nginx")):
            refusal = nginx.live_problems(self.daemons.nginx, main, among, is_ours)
        main = states[self.daemons.caddy.unit].main_pid
        if self.daemons.caddy.is_installed and (main or _has(installs, "caddy")):
            process = among.get(main)
            refusal = refusal or caddy.live_problems(self.daemons.caddy, process, is_ours)
        if refusal or app is None:
            return refusal
        refusal = self.unwell(app, "before the apply")
        return replace(refusal, look=NO_CURE) if refusal else None

    def _is_ours(self, rows: Iterable[Row]) -> Callable[[Path], bool]:
        """Whether a path is a file of ours, or was put in the place of one: that is drift."""
        targets = {self.layout.at(row.target) for row in rows}

        def is_ours(path: Path) -> bool:
            return path in targets or self.layout.etc in Path(os.path.realpath(path)).parents

        return is_ours

    def unwell(self, app: Install, when: str) -> Refusal | None:
        """Whether the app is down or says that it is ill."""
        # What it logged in the last minutes may tell why.
        here = Activation(self.daemons, self.layout, began=time.time() - RECENT_S)
        here.error_log_bytes = nginx.size(self.daemons.nginx.error_log)
        for name, state in self.daemons.manager.states(*(u.name for u in app.units)).items():
            if not state.is_up:
                lines = here.said_by(name)
                return Refusal("live", f"{name} is {state.words} {when}", lines=lines)
        if app.health is None:
            return None
        client = Client(app.health)
        answer = good_once(client, TRIES, lambda: time.sleep(BETWEEN_S))
        client.close()
        if answer.is_good:
            return None
        message = f"the app is unhealthy {when}: its health route {answer.words}"
        return Refusal("live", message, app.health.url, answer.status)

    def staged_problems(self, new: Install, generation: Path, links: Links) -> Refusal | None:
        """What the target's own binaries say, each where the files are in their places."""
        before = nginx.tested(self.daemons.nginx) if self.daemons.nginx.is_installed else None
        unit = self.daemons.caddy.unit
        pid = self.daemons.manager.states(unit)[unit].main_pid

        def ask() -> Refusal | None:
            return self._checked(new, before, pid)

        placed = {self.layout.at(target): Path(leads) for target, leads in links.items()}
        try:
            return staging.within(
                ask, generation=generation, current=self.layout.current, links=placed
            )
        except staging.NotStaged as error:
            return Refusal(
                step="check",
                message=f"the new files could not be checked: {error}",
                look="The switch needs root, and a kernel that gives it a mount namespace.",
            )

    def _checked(self, new: Install, before: nginx.Tested | None, caddy_pid: int) -> Refusal | None:
        """Inside: each checker that the tree's rows name, then the server's own trial."""
        caddy_ = self.daemons.caddy
        checks: dict[str, Callable[[], Refusal | None]] = {
            "nginx": lambda: nginx.staged_problems(self.daemons.nginx, before),
            "caddy": lambda: caddy.staged_problems(caddy_, caddy_pid),
            "systemd": lambda: self._units_verified(new),
            "sysctl": lambda: sysctl.missing("\n".join(self._texts(new, "sysctl"))),
            "redis": lambda: redis.staged_problems(*self._redis_file(new)),
            "monitoring": lambda: self._prometheus_checked(new),
        }
        for checker in dict.fromkeys(row.checker for row in new.files):
            refusal = checks[checker]() if checker in checks else None
            if refusal is not None:
                return refusal
        return self._tried(new)

    def _texts(self, new: Install, checker: str) -> list[str]:
        targets = [self.layout.at(row.target) for row in new.files if row.checker == checker]
        return [target.read_text(encoding="utf-8") for target in targets]

    def _redis_file(self, new: Install) -> tuple[str, Path]:
        """Which server reads the file, and where it is."""
        target = next(row.target for row in new.files if row.checker == "redis")
        return Path(redis_conf(new)).stem, self.layout.at(target)

    def _units_verified(self, new: Install) -> Refusal | None:
        """`systemd-analyze verify` exits 0 on a misspelt directive: a line about ours is enough."""
        program = find("systemd-analyze")
        if program is None:
            return lacking("systemd-analyze", "systemd")
        names = [unit.name for unit in new.units]
        paths = [self.layout.units / name for name in names]
        targets = [str(path) if path.exists() else path.name for path in paths]
        if not targets:
            return None
        done = run([program, "verify", "--man=no", *targets])
        files = {row.target.rpartition("/")[2] for row in new.files}
        lines = tuple(line for line in done.said if any(name in line for name in files | {*names}))
        # A failure that is told of others' units alone is theirs.
        if not lines and (done.is_good or (done.code is not None and done.said)):
            return None
        return Refusal(
            step="check",
            message="systemd refuses the new units",
            lines=lines or tuple(done.said),
            look="Change advisor.yml and render again; a program that is not there is named above.",
        )

    def _prometheus_checked(self, new: Install) -> Refusal | None:
        """Our files by themselves, for Prometheus's own need not name them yet; then that one."""
        program = find("promtool")
        if program is None:
            return lacking("promtool", "prometheus")
        targets = [row.target for row in new.files if row.checker == "monitoring"]
        asked = [
            (kind, self.layout.at(target))
            for target in [*targets, PROMETHEUS]
            for ending, kind in PROMTOOL.items()
            if target.endswith(ending)
        ]
        for kind, path in asked:
            done = run([program, "check", kind, str(path)]) if path.is_file() else None
            if done is not None and not done.is_good:
                return Refusal(
                    step="check",
                    message=f"Prometheus refuses {path}",
                    lines=tuple(done.said[-8:]),
                    look=f"promtool check {kind} {path}",
                )
        return None

    def _tried(self, new: Install) -> Refusal | None:
        for unit in new.units:
            if unit.trial:
                refusal = trial.problems(unit.name, unit.trial, new.user, self.layout.root)
                if refusal is not None:
                    return refusal
        return None

    def baseline(self, app: Install | None, seconds: float) -> Baseline | None:
        """The same light load that the gate sends, for so long."""
        if app is None or app.health is None:
            return None
        client = Client(app.health)
        try:
            return collected(paced(client, seconds, at_least=FEWEST))
        finally:
            client.close()

    def activate(
        self,
        old: Install | None,
        new: Install | None,
        changed: frozenset[str],
        *,
        because: Refusal | None = None,
    ) -> Refusal | None:
        """Make what changed effective; what was done is kept for the gate."""
        names = [install.app for install in (old, new) if install is not None]
        earlier = next((self.done[name] for name in names if name in self.done), None)
        done = Activation(self.daemons, self.layout, earlier if because else None, because)
        self.done |= dict.fromkeys(names, done)
        return done.run(old, new, changed)

    def gate(
        self, app: Install, before: Baseline | None, dwell_s: float
    ) -> tuple[Refusal | None, dict[str, Any]]:
        """Whether the app serves as before, and the figures; after `activate`, where one was."""
        done = self.done.get(app.app) or Activation(self.daemons, self.layout)
        gate = Gate(app, done)
        return gate.passes(before, dwell_s), gate.figures


def _has(installs: Iterable[Install], checker: str) -> bool:
    return any(row.checker == checker for install in installs for row in install.files)
