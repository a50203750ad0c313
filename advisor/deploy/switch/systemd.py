"""systemd as the switch uses it: what a unit is doing, what to do with it, what it has said."""

from __future__ import annotations

import contextlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from . import disk
from .commands import Outcome, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A stop may take TimeoutStopSec, a start TimeoutStartSec, 90 s each unless a unit says otherwise:
# systemd sees to both, and a job waits for others besides. Where a unit has no limit, it has one.
ACT_S = 240.0
SPARE_S = 60.0
UNLIMITED_S = 3600.0
LOG_LINES = 20
UNITS = "/etc/systemd/system"
LIMITS = ("TimeoutStartUSec", "TimeoutStopUSec")
# systemd.time(7), in the order of its own output.
_SPANS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
_SPAN = re.compile(rf"([0-9.]+)({'|'.join(_SPANS)})(?![a-z])")
PROPERTIES = ("LoadState", "ActiveState", "SubState", "MainPID", "NRestarts", "User")


@dataclass(frozen=True)
class State:
    """A unit as systemd has it; `main_pid` is 0 where no process is its main one."""

    load: str = "not-found"
    active: str = "inactive"
    sub: str = "dead"
    main_pid: int = 0
    restarts: int = 0
    user: str = ""

    @property
    def is_up(self) -> bool:
        """Whether it works; a service that waits for its next restart does not."""
        return self.active in {"active", "reloading"}

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to stop: `systemctl stop` ends with 5 where it is unknown."""
        return self.load == "not-found" and self.active == "inactive"

    @property
    def words(self) -> str:
        """As systemctl says it."""
        return f"{self.active} ({self.sub})" if self.load == "loaded" else self.load


class Manager(Protocol):
    """What starts and stops services, and keeps what they print."""

    def states(self, *units: str) -> dict[str, State]:
        """Each unit's state."""

    def act(self, verb: str, *units: str, stop_s: float | None = None) -> Outcome:
        """`systemctl VERB UNITS`, until it is done; a stop may take `stop_s` seconds."""

    def log(self, unit: str, since: float) -> list[str]:
        """The last lines of a unit since a moment of the wall clock."""

    def environment(self) -> dict[str, str]:
        """What every service gets, whatever its unit says."""


class Systemd:
    """The one that runs this host."""

    def states(self, *units: str) -> dict[str, State]:
        """Each unit's state; `systemctl show` divides units by a blank line."""
        if not units:
            return {}
        done = run(["systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", *units])
        shown = [state(block) for block in done.out.rstrip("\n").split("\n\n")]
        return {unit: shown[at] if at < len(shown) else State() for at, unit in enumerate(units)}

    def act(self, verb: str, *units: str, stop_s: float | None = None) -> Outcome:
        """`systemctl VERB UNITS`; it waits for the job's end.

        What is still stopping after `stop_s` seconds is killed: a stop or a restart alone.
        """
        if stop_s is not None:
            done = run(["systemctl", verb, *units], timeout_s=stop_s)
            if done.code is not None:
                return done
            states = self.states(*units)
            late = [unit for unit in units if states[unit].active == "deactivating"]
            if late:
                run(["systemctl", "kill", "--signal=SIGKILL", *late])
            # Joins the job that goes on; a second restart would stop what it has started.
            verb = "stop" if verb == "stop" else "start"
        return run(["systemctl", verb, *units], timeout_s=self._limit_s(units))

    def _limit_s(self, units: Sequence[str]) -> float:
        """More than the units' own limits let a stop and a start take."""
        names = [unit for unit in units if not unit.startswith("-")]
        if not names:
            return ACT_S
        shown = run(["systemctl", "show", f"--property={','.join(LIMITS)}", "--", *names])
        own = sum(seconds(line.partition("=")[2]) for line in shown.out.splitlines())
        return max(ACT_S, own + SPARE_S)

    def log(self, unit: str, since: float) -> list[str]:
        """The journal's last lines.

        From the end, for `--since` with `--lines` gives the first ones (systemd 252, in the lab).
        """
        limits = (f"--since=@{int(since)}", f"--lines={LOG_LINES}", "--output=short-iso")
        done = run(["journalctl", "--no-pager", "--quiet", "--reverse", f"--unit={unit}", *limits])
        return done.out.splitlines()[::-1]

    def environment(self) -> dict[str, str]:
        """`systemctl show-environment`, which quotes unusual values as a shell does."""
        lines = run(["systemctl", "show-environment"]).out.splitlines()
        pairs = (line.split("=", 1) for line in lines if "=" in line)
        return {name: value.removeprefix("$'").removesuffix("'") for name, value in pairs}


def state(block: str) -> State:
    r"""What `systemctl show` prints of one unit.

    >>> state("LoadState=loaded\nActiveState=active\nSubState=running\nMainPID=7\nUser=shop")
    State(load='loaded', active='active', sub='running', main_pid=7, restarts=0, user='shop')
    """
    shown = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    return State(
        load=shown.get("LoadState", "not-found"),
        active=shown.get("ActiveState", "inactive"),
        sub=shown.get("SubState", "dead"),
        main_pid=_number(shown.get("MainPID", "")),
        restarts=_number(shown.get("NRestarts", "")),
        user=shown.get("User", ""),
    )


def seconds(span: str) -> float:
    """A time as `systemctl show` prints it; `UNLIMITED_S` for infinity.

    >>> seconds("1min 30s"), seconds("2h 500ms")
    (90.0, 7200.5)
    """
    if span == "infinity":
        return UNLIMITED_S
    return sum(float(number) * _SPANS[unit] for number, unit in _SPAN.findall(span))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def assignments(text: str, section: str) -> Iterator[tuple[str, str]]:
    r"""The directives of one section of a unit file, continued lines joined.

    >>> list(assignments("[Unit]\nA=1\n[Service]\n# B=2\nC=3 \\\n  4\n", "Service"))
    [('C', '3    4')]
    """
    now = ""
    for line in text.replace("\\\n", " ").splitlines():
        words = line.strip()
        if words.startswith("["):
            now = words.strip("[]")
        elif now == section and "=" in words and words[0] not in "#;":
            name, _, value = words.partition("=")
            yield name.strip(), value.strip()


def split(value: str) -> list[str]:
    """The words of a directive, unquoted; systemd's `%%` is one `%`."""
    try:
        words = shlex.split(value)
    except ValueError:
        words = value.split()
    return [word.replace("%%", "%") for word in words]


def enable(unit: str, text: str, folder: Path = Path(UNITS)) -> None:
    """Make systemd start a unit of ours at boot, as its [Install] section says.

    `systemctl enable` refuses a unit file that is a link (systemd#3832), and `disable` takes the
    link itself away (systemd#1836); ours are links into the current generation. The links made
    here are the ones that systemctl would make.
    """
    for name, value in assignments(text, "Install"):
        if name == "WantedBy":
            for target in split(value):
                link = folder / f"{target}.wants" / unit
                disk.make_folders(link.parent)
                if not link.is_symlink():
                    link.symlink_to(f"../{unit}")


def disable(unit: str, folder: Path = Path(UNITS)) -> None:
    """Take away what `enable` made, whatever the unit's file said then."""
    for link in enabled(unit, folder):
        link.unlink()
        with contextlib.suppress(OSError):  # others' links are still in it
            link.parent.rmdir()


def enabled(unit: str, folder: Path = Path(UNITS)) -> list[Path]:
    """The links by which systemd starts a unit at boot."""
    links = (wants / unit for wants in folder.glob("*.wants"))
    return [link for link in links if link.is_symlink()]


def failed(done: Outcome, what: Sequence[str]) -> str:
    """What did not work, in words."""
    said = done.said[-1] if done.said else f"ended with {done.code}"
    return f"systemctl {' '.join(what)}: {said}"
