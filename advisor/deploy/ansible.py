"""Ansible's plays, run as a subprocess: what they say comes through a file, not through text."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import advisor
from advisor.deploy.events import parse, warnings
from advisor.deploy.target import NOBODY_TO_ASK
from advisor.errors import AdvisorError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from advisor.deploy.events import Event
    from advisor.deploy.inventory import Hosts

POLL_S = 0.1
# What a program may take to end its own children, once it is told to.
GRACE_S = 15
TAIL = 12


@dataclass(frozen=True)
class Played:
    """What became of a play: Ansible's exit code, the events, and the end of its own output."""

    code: int
    events: list[Event]
    text: str


def playbooks() -> Path:
    """The folder of the plays: inside the package in a wheel, beside it in a checkout."""
    inside = Path(str(package_files(advisor))) / "playbooks"
    return inside if inside.is_dir() else Path(advisor.__file__).resolve().parents[1] / "playbooks"


def program(name: str = "ansible-playbook") -> str:
    """A program of Ansible's, of this environment or of the path; `InvalidInput` without it."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise InvalidInput(
            f"{name} is not installed, and it is what reaches the hosts",
            remedy="Install the extra `deploy`, or Ansible itself: apt install ansible-core.",
        )
    return found


def listed(hosts: Hosts) -> list[str]:
    """The names of the hosts, as an inventory and its limit leave them.

    Raises `InvalidInput` for an inventory that cannot be read, and for a pattern of the limit that
    is nobody's: a play would pass over it with a warning.
    """
    done = subprocess.run(
        [program("ansible"), "all", "--list-hosts", *hosts.arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=_environment(ANSIBLE_HOST_PATTERN_MISMATCH="error"),
        start_new_session=True,
    )
    if done.returncode:
        raise InvalidInput(
            f"-i {hosts.name}: Ansible cannot list its hosts:\n{_tail(done.stdout, done.stderr)}"
        )
    # `  hosts (2):`, and then a name a line.
    _, _, names = done.stdout.partition("hosts (")
    return [line.strip() for line in names.splitlines()[1:] if line[:1] == " "]


def run_playbook(
    name: str,
    hosts: Hosts,
    variables: Mapping[str, Any],
    *,
    more: Sequence[str] = (),
    verbose: bool = False,
    on_event: Callable[[Event], None] = lambda _: None,
) -> Played:
    """Run the play `name` of `playbooks()` for these hosts, and hand on each event as it comes.

    Ansible's own output is kept from the terminal, unless `verbose` sends it to stderr; its
    warnings are handed on as events. Its process is ended with ours: the hosts return what nobody
    commits. Raises `InvalidInput` without Ansible and as `listed` does, and `AdvisorError` with
    what it said where the play did not begin.
    """
    play = playbooks() / name
    command = [program(), str(play), *hosts.arguments, "-e", json.dumps(dict(variables)), *more]
    if hosts.is_limited:
        listed(hosts)
    with tempfile.TemporaryDirectory(prefix="advisor-") as folder:
        path, *said = (Path(folder) / name for name in ("events", "stdout", "stderr"))
        path.touch(mode=0o600)
        events: list[Event] = []
        with _running(command, path, None if verbose else said) as run:
            while run.poll() is None:
                _hand_on(path, events, on_event)
                time.sleep(POLL_S)
        _hand_on(path, events, on_event)
        output, errors = (
            each.read_text(errors="replace") if each.exists() else "" for each in said
        )
    for warning in warnings(errors):
        on_event({"event": "warning", "message": warning})
    tail = _tail(output, errors)
    if not any(event["event"] == "play" and event["hosts"] for event in events):
        known = "Is every host of it known to the inventory, and named rightly?"
        raise AdvisorError(
            f"{hosts.name}: the play did not begin:\n{tail or 'see above'}",
            remedy=NOBODY_TO_ASK if "password" in tail.lower() else known,
        )
    return Played(run.returncode, events, tail)


def _tail(*texts: str) -> str:
    """The last lines of what was said."""
    return "\n".join("\n".join(texts).strip().splitlines()[-TAIL:])


def _hand_on(path: Path, events: list[Event], on_event: Callable[[Event], None]) -> None:
    """Take in the events that are new."""
    for event in parse(path.read_text(encoding="utf-8"))[len(events) :]:
        events.append(event)
        on_event(event)


@contextmanager
def _running(
    command: Sequence[str], events: Path, output: Sequence[Path] | None
) -> Iterator[subprocess.Popen[bytes]]:
    """The play in a session of its own, which is ended where we are interrupted.

    Without a terminal nothing can wait there for a password that nobody sees it asking for.
    """
    streams = [path.open("wb") for path in output or ()]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=streams[0] if streams else sys.stderr,
        stderr=streams[1] if streams else sys.stderr,
        env=_environment(ADVISOR_EVENTS=str(events)),
        start_new_session=True,
    )
    for stream in streams:
        stream.close()
    try:
        yield process
    finally:
        end(process)


def _environment(**more: str) -> dict[str, str]:
    """The user's own, whose ansible.cfg counts; what is added keeps the run to itself.

    A file of an inventory that cannot be read is an error, for its hosts would be left out.
    """
    ours = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_RETRY_FILES_ENABLED": "0", **more}
    return {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1"} | dict(os.environ) | ours


def end(process: subprocess.Popen[Any]) -> None:
    """End the leader of a session as Ctrl-C does, and without mercy where that is not enough."""
    for signum in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, signum)
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            continue
