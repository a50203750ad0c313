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
from advisor.deploy.events import parse
from advisor.errors import AdvisorError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from advisor.deploy.events import Event
    from advisor.deploy.inventory import Hosts

POLL_S = 0.1
# What Ansible may take to end its own children, once it is told to.
GRACE_S = 15
TAIL = 12
# A peer that is gone says nothing: without this a cut connection would hold the play for minutes.
ALIVE = "-o ServerAliveInterval=5 -o ServerAliveCountMax=3"


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


def program() -> str:
    """ansible-playbook, of this environment or of the path; `InvalidInput` where there is none."""
    beside = Path(sys.executable).with_name("ansible-playbook")
    found = str(beside) if beside.exists() else shutil.which("ansible-playbook")
    if found is None:
        raise InvalidInput(
            "ansible-playbook is not installed, and it is what reaches the hosts",
            remedy="Install the extra `deploy`, or Ansible itself: apt install ansible-core.",
        )
    return found


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

    Ansible's own output is kept from the terminal, unless `verbose` sends it to stderr. Its
    process is ended with ours: the hosts return what nobody commits. Raises `InvalidInput`
    without Ansible, and `AdvisorError` with what it said where the play did not begin.
    """
    play = playbooks() / name
    command = [program(), str(play), *hosts.arguments, "-e", json.dumps(dict(variables)), *more]
    with tempfile.TemporaryDirectory(prefix="advisor-") as folder:
        said, path = Path(folder) / "output", Path(folder) / "events"
        path.touch(mode=0o600)
        events: list[Event] = []
        with said.open("wb") as stream, _running(command, path, None if verbose else stream) as run:
            while run.poll() is None:
                _hand_on(path, events, on_event)
                time.sleep(POLL_S)
        _hand_on(path, events, on_event)
        tail = "\n".join(said.read_text(errors="replace").strip().splitlines()[-TAIL:])
    if not any(event["event"] == "play" and event["hosts"] for event in events):
        raise AdvisorError(
            f"{hosts.name}: the play did not begin:\n{tail or 'see above'}",
            remedy="Is every host of it known to the inventory, and named rightly?",
        )
    return Played(run.returncode, events, tail)


def _hand_on(path: Path, events: list[Event], on_event: Callable[[Event], None]) -> None:
    """Take in the events that are new."""
    for event in parse(path.read_text(encoding="utf-8"))[len(events) :]:
        events.append(event)
        on_event(event)


@contextmanager
def _running(
    command: Sequence[str], events: Path, output: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """The play in a process group of its own, which is ended where we are interrupted."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output or sys.stderr,
        stderr=subprocess.STDOUT,
        env=_environment(events),
        process_group=0,
    )
    try:
        yield process
    finally:
        _end(process)


def _environment(events: Path) -> dict[str, str]:
    """The user's own, whose ansible.cfg counts; what is added keeps the run to itself."""
    ours = {
        "ADVISOR_EVENTS": str(events),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_SSH_EXTRA_ARGS": os.environ.get("ANSIBLE_SSH_EXTRA_ARGS", ALIVE),
    }
    return dict(os.environ) | ours


def _end(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does, and without mercy where that is not enough."""
    for signum in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, signum)
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            continue
