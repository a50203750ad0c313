"""nginx on the target: its check, files edited and not loaded, its workers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .commands import find, lacking, run
from .documents import Refusal
from .processes import TICKS, children, wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .commands import Outcome
    from .processes import Processes

TEST_S = 60.0
TAIL_BYTES = 16384

_FILE = re.compile(r"^# configuration file (?P<path>/.*):$", re.MULTILINE)
# At the start it speaks with its name before the level, later with the time and its process.
_LEVEL = re.compile(r"^(?:nginx: |\S+ \S+ )(?P<level>\[\w+\]) (?:\d+#\d+: )?(?P<what>.*)$")
_WORST = ("[emerg]", "[alert]", "[crit]", "[error]")
# A name that another site has already: nginx says so, starts, and ours is never asked.
_LOST = "conflicting server name"
# With `is shutting down` behind it once there are others.
_WORKER = "nginx: worker process"


@dataclass(frozen=True)
class Nginx:
    """How nginx is asked on this host, and where it is."""

    words: tuple[str, ...] = ("nginx",)
    unit: str = "nginx.service"
    error_log: Path = Path("/var/log/nginx/error.log")

    @property
    def is_installed(self) -> bool:
        """Whether there is one."""
        return find(self.words[0]) is not None


@dataclass(frozen=True)
class Tested:
    """What `nginx -T` says: what is wrong, names that are lost, the files that it read."""

    problems: tuple[str, ...]
    lost: tuple[str, ...]
    files: tuple[str, ...]


def tested(nginx: Nginx) -> Tested:
    """The configuration as it stands on the disk, and what is wrong with it."""
    done = run([*nginx.words, "-T"], timeout_s=TEST_S)
    told = [match for match in map(_LEVEL.match, done.err.splitlines()) if match]
    wrong = tuple(f"{match['level']} {match['what']}" for match in told if match["level"] in _WORST)
    return Tested(
        problems=() if done.is_good else wrong or _unsaid(done),
        lost=tuple(match["what"] for match in told if _LOST in match["what"]),
        files=tuple(dict.fromkeys(_FILE.findall(done.out))),
    )


def _unsaid(done: Outcome) -> tuple[str, ...]:
    return tuple(done.said[-3:]) or (f"nginx -T ended with {done.code}",)


def workers(master: int, among: Processes) -> Processes:
    """The workers that take connections; those of an earlier configuration are shutting down."""
    found = serving(master, among)
    return {pid: process for pid, process in found.items() if process.command == _WORKER}


def serving(master: int, among: Processes) -> Processes:
    """Every worker: one that is shutting down has requests still."""
    found = children(master, among)
    return {pid: process for pid, process in found.items() if process.command.startswith(_WORKER)}


def pending(
    files: Iterable[str], master: int, among: Processes, is_ours: Callable[[Path], bool]
) -> list[str]:
    """The files that changed after the oldest worker started, so that no worker has them.

    A link counts by its own time too: that is how a site is enabled.
    """
    started = [process.started_s for process in workers(master, among).values()]
    if not started:
        return []
    # Starts are counted in ticks, rounded down.
    loaded = wall_clock(min(started) + 1 / TICKS)
    theirs = (path for path in map(Path, files) if not is_ours(path))
    return [str(path) for path in theirs if _changed(path) > loaded]


def _changed(path: Path) -> float:
    """When a file or the link to it last changed; what is not there has not."""
    try:
        return max(path.lstat().st_mtime, path.stat().st_mtime)
    except OSError:
        return 0.0


def live_problems(
    nginx: Nginx, master: int, among: Processes, is_ours: Callable[[Path], bool]
) -> Refusal | None:
    """Why a reload now would fail, or would publish what somebody else is still at."""
    found = tested(nginx)
    if found.problems:
        return Refusal(
            step="live",
            message="the nginx configuration on this host does not pass, before anything of ours",
            lines=found.problems,
            look="Somebody's edit is not finished: mend it until `nginx -t` passes, apply again.",
        )
    edited = pending(found.files, master, among, is_ours)
    if edited:
        return Refusal(
            step="live",
            message=f"{', '.join(edited)}: edited since nginx last loaded its configuration",
            look="A reload of ours would publish it. Reload nginx when it is meant to be live, "
            "or take the edit back; apply again.",
        )
    return None


def staged_problems(nginx: Nginx, before: Tested | None) -> Refusal | None:
    """What nginx says to the staged files, asked where they are in their places.

    A name that is lost is a problem only where it was not lost before; `before` is what nginx said
    of the files in use, null where there is no nginx.
    """
    if before is None:
        return lacking("nginx", "nginx")
    found = tested(nginx)
    lost = tuple(line for line in found.lost if line not in before.lost)
    if not (found.problems or lost):
        return None
    return Refusal(
        step="check",
        message="nginx refuses the new files" if found.problems else "another site has this name",
        lines=found.problems or lost,
        look="Change advisor.yml and render again, or mend the site that it clashes with.",
    )


def size(log: Path) -> int:
    """How long the error log is, so that `tail` can begin there."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def tail(log: Path, since: int, lines: int = 20) -> list[str]:
    """The last lines of the error log that were written after it had that size."""
    try:
        with log.open("rb") as stream:
            end = stream.seek(0, 2)
            # A log that is shorter now was rotated: all of it is new.
            begin = since if since <= end else 0
            stream.seek(max(begin, end - TAIL_BYTES))
            return stream.read().decode("utf-8", "replace").splitlines()[-lines:]
    except OSError:
        return []
