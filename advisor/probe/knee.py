"""Measuring at the knee: visits over fresh connections, an open-loop check, a closer look."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from advisor.probe.analysis.observation import BUSY, Load, OpenLoad
from advisor.probe.analysis.statistics import MIN_WINDOWS
from advisor.probe.stepper import LAST_S

if TYPE_CHECKING:
    from advisor.probe.sample.stacks import Stacks, StackSampler
    from advisor.probe.sample.waits import Waits
    from advisor.probe.stepper import Stepper

GROWTH = 1.05
# The knee is measured so often, and for so much CPU in all: one visit's figure differs from the
# next by more than its windows show (where connections land, the host's other guests), so several
# short ones tell more than a long one.
VISITS = 5
# So many at most, where in some of them the workers are less busy than they had been in the
# doubling: a burst can fall on one of two workers alone.
MOST_VISITS = 8
ENOUGH_CPU_S = 1.2
SHORTEST_S, LONGEST_S = 1.0, 2.0
EACH_WORKER = 8
FEWEST_ANSWERS = 20
OPEN_LOOP_S = 3.0


@dataclass
class AtTheKnee:
    """What was measured there; `stacks` names the line that blocks, where that is asked for."""

    on: Stepper
    stacks: StackSampler | None
    visits: list[Load] = field(default_factory=list)
    open_load: OpenLoad | None = None
    seen_stacks: Stacks | None = None

    async def measure(
        self, steps: list[Load], last: Load, *, plateau: bool
    ) -> tuple[list[Load], Load]:
        """Visits where the rate stopped growing, and the open-loop check between them.

        Gives the steps with the visits among them, and the last of the doubling with what the
        workers wait for there.
        """
        if not plateau:
            return steps, replace(last, waits=await self._look_closer(last.connections))
        best = max(step.rps for step in steps)
        knee = next(step for step in steps if GROWTH * step.rps >= best)
        connections = self._enough_for_all(knee.connections)
        await self._visit(knee, connections, left_for_later_s=OPEN_LOOP_S + LAST_S)
        if not self.visits:  # no time for both: what a request costs comes first
            await self._visit(knee, connections, left_for_later_s=LAST_S)
        await self._open_loop(best, connections)
        busy = BUSY * max(step.server_cores for step in steps)
        for _ in range(1, MOST_VISITS):
            lucky = [visit.server_cores >= busy for visit in self.visits]
            if sum(lucky) >= VISITS:
                break
            left_s = 3 if self.stacks else 1.5
            at_once = not lucky or lucky[-1]
            await self._visit(knee, connections, left_for_later_s=left_s, at_once=at_once)
        if self.visits:
            visited = self.visits[0].joined_by(self.visits[1:])
            others = [step for step in steps if step.connections != connections]
            steps = sorted([*others, visited], key=lambda step: step.connections)
        return steps, replace(last, waits=await self._look_closer(last.connections))

    def _enough_for_all(self, connections: int) -> int:
        """So many that no worker is left out by chance of where connections land."""
        server = self.on.around.server
        wanted = EACH_WORKER * len(server.workers) if server else 0
        return max(connections, min(wanted, self.on.engine.caps.connections))

    async def _visit(
        self, knee: Load, connections: int, *, left_for_later_s: float, at_once: bool = True
    ) -> None:
        """Measure with fresh connections, opened at once, as a proxy or a crowd would.

        Those that the doubling opened one after the other lie as the workers were idle then. Not
        `at_once`, the second half comes under the load of the first, to the workers that it left
        idle.
        """
        on = self.on
        ramp_s = max(0.2, min(1.0, knee.response_s * 2))
        room = on.left() - max(left_for_later_s, LAST_S) - (1 if at_once else 2) * ramp_s
        least = max(SHORTEST_S, FEWEST_ANSWERS / max(knee.rps, 1e-9))
        if room < least or not on.alone():
            return
        wanted = ENOUGH_CPU_S / VISITS / max(knee.server_cores, 1e-9)
        seconds = min(max(least, min(wanted, LONGEST_S)), room)
        windows = max(4, min(8, int(seconds / 0.25)))
        on.engine.hang_up()
        if not at_once:
            on.engine.run_at(connections // 2)
            await on.window(ramp_s)
            if not on.alone():
                await on.drain()
                return
        visit = await on.step(
            connections, windows=windows, seconds=seconds / windows, ramp_s=ramp_s
        )
        # One that was cut short tells no figure, and would stand where a whole step stood.
        if len(visit.windows) >= MIN_WINDOWS:
            self.visits.append(visit)

    async def _look_closer(self, connections: int) -> Waits | None:
        """Load once more, for the wait channels and the stacks alone.

        Looking costs the app time, and keeps a host awake that would sleep.
        """
        if self.on.left() < 1 or not self.on.alone():
            return None
        with self.stacks or nullcontext():
            seen = await self.on.step(
                connections,
                windows=4,
                seconds=0.5 if self.stacks else 0.25,
                ramp_s=0.1,
                sample=True,
            )
        self.seen_stacks = self.stacks.result() if self.stacks else None
        return seen.waits

    async def _open_loop(self, best_rps: float, connections: int) -> None:
        """Poisson arrivals at half the knee: what users would wait, from the planned moment on."""
        on, rate = self.on, best_rps / 2
        seconds = min(OPEN_LOOP_S, on.left() - 2)
        if seconds < 1 or rate * seconds < 50 or not on.alone():
            return
        load, arrivals = await on.arrivals(
            rate,
            min(on.engine.caps.connections, max(64, 2 * connections)),
            windows=10,
            seconds=seconds / 10,
        )
        offered = arrivals.offered
        self.open_load = OpenLoad(rate, rate / best_rps, load, offered.requests, offered.late)
