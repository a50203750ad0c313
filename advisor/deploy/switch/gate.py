"""The gate: whether an app serves after a switch as it did before, seen through its proxy.

First the processes: a reload that is answered is not yet one that happened. Then the health route,
until it answers, and for the dwell time; then the comparison. It ends as soon as it is certain.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import caddy as caddy_
from . import nginx as nginx_
from .asking import RATE_RPS, UNVERIFIED, Client, collected, paced
from .compare import FEWEST, harm, quantile
from .documents import Refusal
from .marker import heard, markers
from .processes import children, now_s, snapshot, tree

if TYPE_CHECKING:
    from .activation import Activation, Touched
    from .asking import Answer
    from .documents import Install
    from .services import Baseline

# nginx, Gunicorn and Caddy have new workers long before; one that has none by then has refused.
RENEWED_S = 10.0
# A service that was acted on may come up for so long before a quiet one counts as failing, and
# for so long in all while its processes compute.
QUIET_S = 10.0
BOOT_S = 60.0
# Of one core: less is no import that goes on.
BUSY_RATIO = 0.1
IN_A_ROW = 3
POLL_S = 0.05
UNITS_S = 0.5
# What a proxy answers while the app behind it is not there yet.
NOT_YET = frozenset({None, 502, 503, 504})
# gunicorn: settings, max_requests; on a busy host that is within the dwell time.
_COUNTED = re.compile(r"^max_requests = [1-9]", re.MULTILINE)


@dataclass
class Gate:
    """The gate of one app after one activation."""

    app: Install
    done: Activation
    figures: dict[str, Any] = field(default_factory=dict)
    # Computing of the services that were acted on, as last looked at.
    cpu_s: float = 0.0
    looked_s: float = 0.0
    last_s: float = 0.0
    # Every worker seen since the gate began.
    seen: frozenset[int] = frozenset()

    def passes(self, before: Baseline | None, dwell_s: float) -> Refusal | None:
        """Why it does not pass, or null; `figures` has what was seen."""
        refusal = self._renewed() or self._unmarked()
        if refusal is not None or self.app.health is None:
            return refusal or self._stays(dwell_s)
        client = Client(self.app.health)
        try:
            return self._comes_up(client) or self._dwells(client, before, dwell_s)
        finally:
            client.close()

    def _renewed(self) -> Refusal | None:
        """Whether each unit that was acted on has the processes that this makes."""
        waiting = list(self.done.touched)
        deadline = time.monotonic() + RENEWED_S
        while waiting:
            dead = self._dead()
            if dead is not None:
                return dead
            waiting = [each for each in waiting if not self._has_new(each)]
            if waiting and time.monotonic() > deadline:
                unit = waiting[0].unit
                return self._refusal(
                    f"{unit} answered the {waiting[0].verb}, and its old processes still serve",
                    unit,
                    look=f"journalctl -u {unit}: it refused the new configuration, or its "
                    "ExecReload does nothing.",
                )
            if waiting:
                time.sleep(POLL_S)
        return None

    def _unmarked(self) -> Refusal | None:
        """Whether nginx, where it was acted on, runs what is installed: its file says which."""
        unit = self.done.daemons.nginx.unit
        if all(touched.unit != unit for touched in self.done.touched):
            return None
        for each in markers(self.app, self.done.layout):
            instead = heard(each, RENEWED_S)
            if instead is not None:
                look = "nginx -T shows the files that it reads: is ours among them?"
                message = f"nginx does not run our file: {each.where.url} {instead}"
                return self._refusal(f"{message}, not {each.says}", unit, look=look)
        return None

    def _has_new(self, touched: Touched) -> bool:
        daemons = self.done.daemons
        main = daemons.manager.states(touched.unit)[touched.unit].main_pid
        if main == 0:
            return True  # sockets and slices have no processes
        if touched.verb != "reload":
            # What a return finds running still need not be started.
            is_still_up = touched.verb == "start" and self.done.is_return
            return is_still_up or main != touched.main_pid
        if touched.unit == daemons.caddy.unit:
            # One process, which answers a reload when it is done: what runs is what is written.
            return caddy_.is_loaded(daemons.caddy, main) is not False
        among = snapshot()
        is_nginx = touched.unit == daemons.nginx.unit
        now = frozenset(nginx_.workers(main, among) if is_nginx else children(main, among))
        if now and now == self.done.was(touched.unit):
            return True  # what is taken back never came to them
        return bool(now) and not touched.workers & now if is_nginx else bool(now - touched.workers)

    def _dead(self) -> Refusal | None:
        """A unit of the app, or its proxy, that is down, or that systemd had to start again."""
        names = [unit.name for unit in self.app.units]
        proxy = self.done.daemons.proxy(self.app.proxy)
        names += [proxy] if proxy and self.app.health is not None else []
        self.last_s = time.monotonic()
        for name, state in self.done.daemons.manager.states(*names).items():
            known = self.done.restarts.setdefault(name, state.restarts)
            if state.restarts > known:
                return self._refusal(
                    f"{name} died and was started again {state.restarts - known} times", name
                )
            if not state.is_up and state.active != "activating":
                return self._refusal(f"{name} is {state.words}", name)
            if state.sub == "auto-restart":
                return self._refusal(f"{name} died", name)
        return None

    def _stays(self, dwell_s: float) -> Refusal | None:
        """Nothing answers HTTP here: the units alone, for the dwell time."""
        until = time.monotonic() + dwell_s
        while time.monotonic() < until:
            dead = self._dead()
            if dead is not None:
                return dead
            time.sleep(min(UNITS_S, dwell_s))
        return None

    def _comes_up(self, client: Client) -> Refusal | None:
        """Until the first good answer. What is still importing may be waited for."""
        began = time.monotonic()
        for failures, answer in enumerate(paced(client, BOOT_S), start=1):
            if answer.is_good:
                self.figures["came_up_s"] = round(time.monotonic() - began, 3)
                return None
            dead = (self._dead() or self._churns()) if self._is_due() else None
            if dead is not None:
                return dead
            waited = time.monotonic() - began
            if failures >= IN_A_ROW and not self._may_come(answer, waited):
                return self._unhealthy(answer)
        return self._unhealthy(answer)

    def _may_come(self, answer: Answer, waited_s: float) -> bool:
        """Whether a service that was acted on may still be on its way up."""
        ours = {unit.name for unit in self.app.units}
        acted = any(touched.unit in ours for touched in self.done.touched)
        if not acted or answer.status not in NOT_YET:
            return False
        return waited_s < QUIET_S or self._is_busy()

    def _is_busy(self) -> bool:
        """Whether the app's processes have computed since this was last asked, a second ago."""
        now = now_s()
        if now - self.looked_s < 1.0:
            return True
        states = self.done.daemons.manager.states(*(unit.name for unit in self.app.units))
        among = snapshot()
        mains = [state.main_pid for state in states.values() if state.main_pid]
        cpu_s = sum(each.cpu_s for main in mains for each in tree(main, among).values())
        first = self.looked_s == 0.0
        busy = (cpu_s - self.cpu_s) / (now - self.looked_s) > BUSY_RATIO
        self.cpu_s, self.looked_s = cpu_s, now
        return first or busy

    def _dwells(self, client: Client, before: Baseline | None, dwell_s: float) -> Refusal | None:
        """The light load; three failures in a row, or a dead unit, end it."""
        answers: list[Answer] = []
        began = self._serving()
        for answer in paced(client, dwell_s, at_least=FEWEST):
            answers.append(answer)
            last = answers[-IN_A_ROW:]
            if len(last) == IN_A_ROW and not any(each.is_good for each in last):
                return self._dead() or self._unhealthy(answer)
            dead = self._dead() if self._is_due() else None
            if dead is not None:
                return dead
        after = collected(answers)
        self._note(before, after)
        dead = self._dead()
        if dead is not None:
            return dead
        now = self._serving()
        if began and now and not began & now and not self._renews():
            return self._refusal(
                "every worker that served at first has died and was replaced",
                look="An app that ends its workers under no load has a fault at start.",
            )
        worse = harm(before, after)
        return None if worse is None else self._worse(worse, answers)

    def _serving(self) -> frozenset[int]:
        """The direct children of the app's services: its workers, where it has any."""
        services = [unit.name for unit in self.app.units if unit.kind == "service"]
        states = self.done.daemons.manager.states(*services)
        among = snapshot()
        found = (children(state.main_pid, among) for state in states.values() if state.main_pid)
        return frozenset(pid for each in found for pid in each)

    def _renews(self) -> bool:
        """Whether its workers may go at any time: who is none of Gunicorn's, or ends by a count.

        The children of another server may be what the app itself runs.
        """
        rows = [row for row in self.app.files if row.component == "gunicorn"]
        files = [self.done.layout.at(row.target) for row in rows]
        texts = [path.read_text(encoding="utf-8") for path in files if path.is_file()]
        return self.app.server != "gunicorn" or any(_COUNTED.search(text) for text in texts)

    def _churns(self) -> Refusal | None:
        """Workers that die as they come look like work: nobody waits for those."""
        now = self._serving()
        self.seen |= now
        # A reload has old and new ones side by side, and more than those is no reload.
        if len(self.seen) <= 3 * max(1, len(now)) + 1:
            return None
        return self._refusal(f"its workers die as they come: {len(self.seen)} so far")

    def _is_due(self) -> bool:
        """Whether the units were last looked at long enough ago."""
        return time.monotonic() - self.last_s >= UNITS_S

    def _note(self, before: Baseline | None, after: Baseline) -> None:
        for name, load in (("before", before), ("after", after)):
            if load is not None:
                self.figures[name] = summary(load)
        self.figures["rate_rps"] = RATE_RPS
        if self.app.health is not None and self.app.health.scheme == "https":
            self.figures["tls"] = UNVERIFIED

    def _unhealthy(self, answer: Answer) -> Refusal:
        return self._refusal(f"the health route {answer.words}", answer=answer)

    def _worse(self, worse: str, answers: list[Answer]) -> Refusal:
        bad = next((answer for answer in answers if not answer.is_good), answers[-1])
        look = "Compare the settings that changed; `advisor probe` finds what the app waits for."
        return self._refusal(f"worse than before: {worse}", answer=bad, look=look)

    def _refusal(
        self,
        message: str,
        unit: str | None = None,
        *,
        answer: Answer | None = None,
        look: str = "",
    ) -> Refusal:
        """With the last words of the service and of its proxy."""
        services = [each.name for each in self.app.units if each.kind == "service"]
        about = unit or next(iter(services), None)
        health = self.app.health if answer is not None else None
        return Refusal(
            step="gate",
            message=message,
            url=health.url if health else None,
            status=answer.status if answer else None,
            lines=self.done.said_by(about),
            look=look or (f"journalctl -u {about}" if about else "the log of the server"),
        )


def summary(load: Baseline) -> dict[str, Any]:
    """A load in figures."""
    ordered = sorted(load.times_s)
    quantiles = {f"p{p * 100:.0f}_s": round(quantile(ordered, p), 4) for p in (0.5, 0.95)}
    requests = {"requests": len(ordered) + load.errors, "failed": load.errors}
    return {**requests, **(quantiles if ordered else {})}
