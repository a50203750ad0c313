"""The hosts that the benchmark boots, and the controller's side of them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.lab.trees import shop

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.lab.host import Done, Host
    from tests.lab.lab import Lab

LONGEST_S = 900
JOURNAL = "/var/lib/advisor/journal.jsonl"


@dataclass(frozen=True)
class Fleet:
    """Booted hosts of one shape, and the folder that their trees are rendered into."""

    lab: Lab
    hosts: Sequence[Host]
    folder: Path

    def inventory(self, *balancers: Host) -> Path:
        """These hosts, and load balancers in their group."""
        groups = {"advisor_load_balancers": balancers} if balancers else None
        return self.lab.inventory([*self.hosts, *balancers], groups=groups)

    def first(self, count: int) -> Fleet:
        """So many of them."""
        return Fleet(self.lab, self.hosts[:count], self.folder)

    def tree(self, name: str, settings: dict[str, Any] | None = None, **stated: Any) -> Path:
        """The shop rendered for all of them, as tests.lab.trees has it."""
        return shop(self.hosts[0], self.folder / name, settings, **stated)

    def advisor(self, *words: str | Path, code: int = 0) -> Done:
        """The command, which has to end with this code."""
        done = self.lab.ansible("advisor", *words, check=False, timeout=LONGEST_S)
        if done.code != code:
            words_ = " ".join(map(str, words))
            raise AssertionError(f"advisor {words_} ended with {done.code}:\n{done.out}{done.err}")
        return done


def timed(fleet: Fleet, program: str, *words: str | Path) -> tuple[float, str]:
    """The seconds that a program of the controller takes, and what it prints."""
    began = time.perf_counter()
    done = fleet.lab.ansible(program, *words, timeout=LONGEST_S)
    return time.perf_counter() - began, done.out


def last_operation(host: Host) -> dict[str, dict[str, Any]]:
    """The steps of a host's last operation, each with its line of the journal."""
    lines = [json.loads(line) for line in host.read(JOURNAL).splitlines()]
    return {line["step"]: line for line in lines if line["id"] == lines[-1]["id"]}
