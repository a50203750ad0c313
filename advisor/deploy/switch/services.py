"""What an operation asks of the host's daemons: the line between the switch's core and effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .documents import Install, Links, Refusal


@dataclass(frozen=True)
class Baseline:
    """What a light load met before the switch: the seconds of each good answer, and the others."""

    times_s: Sequence[float] = ()
    errors: int = 0


class Services(Protocol):
    """The daemons of a host. A refusal is returned, never raised."""

    def live_problems(self, app: Install | None, others: Sequence[Install]) -> Refusal | None:
        """Why nothing may be published now: others' pending edits, an app that is unhealthy.

        `app` is as installed now; null where it is not there yet, or its health does not matter
        because it is being rolled back.
        """

    def staged_problems(self, new: Install, generation: Path, links: Links) -> Refusal | None:
        """What the target's own binaries say of a staged generation, its links as they will be.

        `links` are all that every app will have; others through `current` will be gone.
        """

    def baseline(self, app: Install | None, seconds: float) -> Baseline | None:
        """A light load through the proxy for so long; null where the app is not there yet."""

    def unwell(self, app: Install, when: str) -> Refusal | None:
        """Whether an app's units are down, or its health route fails; `when` is for the words."""

    def activate(
        self,
        old: Install | None,
        new: Install | None,
        changed: frozenset[str],
        *,
        because: Refusal | None = None,
    ) -> Refusal | None:
        """Make what changed effective, and nothing else.

        `changed` holds the tree paths that differ; `old` is null where the app is new, `new`
        where it is removed: its links are gone by then, its units still run. A return has
        what it is done `because` of, and goes on after a refusal with all that is left to do;
        it gives the first.
        """

    def gate(
        self, app: Install, before: Baseline | None, dwell_s: float
    ) -> tuple[Refusal | None, dict[str, Any]]:
        """Whether the app serves as well as before for so long, and the figures of it."""
