"""A controller that misfortune befalls: programs as users run them, killed or frozen on the way.

And what a host looks like from outside: how far its switch has come, and whether what stands is
whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from advisor.deploy.switch.journal import TERMINAL
from tests.lab.host import Done
from tests.lab.lab import BIN, CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.host import Host
    from tests.lab.lab import Lab

SWITCH = "python3 -I /usr/local/lib/advisor/switch.pyz"
JOURNAL = "var/lib/advisor/journal.jsonl"
PATIENCE_S = 90.0
# Everything that serves the shop, in one answer: links through `current`, files, units.
STANDING = """
readlink /etc/advisor/current
find /etc -type l -lname '/etc/advisor/*' -printf '%p %l\\n' | sort
find /etc/advisor/current/ -type f -exec sha256sum {} + | sort
find /etc/advisor /var/lib/advisor -name '.*' -not -name .advisor
systemctl is-active shop.socket shop.service nginx.service
"""


class Controller:
    """A program of this Python environment in the background. Two worked examples:

    with Controller(lab, "advisor", "apply", tree, "-i", inventory) as run:
        reached(host, "staged"); run.kill()
    """

    def __init__(self, lab: Lab, program: str, *words: str | Path) -> None:
        self._mark = f"ADVISOR_LAB_RUN={uuid.uuid4().hex}"
        name, _, value = self._mark.partition("=")
        folder = Path(tempfile.mkdtemp(dir=lab.folder))
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [BIN / program, *words],
                cwd=CHECKOUT,
                env=lab.environment() | {name: value},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.signal(signal.SIGCONT)
        self.kill()

    def end(self) -> Done:
        """Wait for its end."""
        code = self._process.wait(170)
        return Done(code, self._out.read_text(), self._err.read_text())

    def said(self, text: str) -> None:
        """Wait until it has said something."""
        until(lambda: text in self._out.read_text() + self._err.read_text(), text)

    def kill(self) -> None:
        """SIGKILL to it and to all that it started: as if the machine were gone."""
        deadline = time.monotonic() + 20
        while self.signal(signal.SIGKILL):
            assert time.monotonic() < deadline
        self._process.wait(20)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def signal(self, signum: int) -> int:
        """Send a signal to each of its processes; how many there were."""
        found = list(self._processes())
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)
        return len(found)

    def _processes(self) -> Iterator[int]:
        """Known by the mark in their environment, whichever session they are in."""
        for entry in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if self._mark.encode() in entry.read_bytes().split(b"\0"):
                    yield int(entry.parent.name)


def until(holds: Callable[[], Any], what: str = "", seconds: float = PATIENCE_S) -> Any:
    """Wait for something to hold; what it gave then."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"never came: {what or holds}"
        time.sleep(0.005)
    return found


def inventory(lab: Lab, *hosts: Host, **variables: Any) -> Path:
    """As the lab's, with variables of the roles: advisor_deadline_s, say, has no option."""
    path = lab.inventory(hosts)
    document = yaml.safe_load(path.read_text())
    document["all"]["vars"] |= variables
    path.write_text(yaml.safe_dump(document))
    return path


def advisor(lab: Lab, verb: str, *words: str | Path) -> Done:
    """`advisor`, to its end; never with a traceback."""
    done = lab.ansible("advisor", verb, *words, check=False)
    assert "Traceback" not in done.err
    return done


def apply(lab: Lab, tree: Path, *hosts: Host, more: tuple[str, ...] = ("--dwell", "1")) -> Done:
    return advisor(lab, "apply", tree, "-i", lab.inventory(hosts), *more)


def lines(host: Host) -> list[dict[str, Any]]:
    """The journal as the host's disk has it, without asking the host."""
    path = host.disk / JOURNAL
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def reached(host: Host, step: str, *, after: int = 0) -> None:
    """Wait, as closely as can be, until the journal has a step behind its first lines."""
    until(lambda: step in [line["step"] for line in lines(host)[after:]], step)


def status(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.run(f"{SWITCH} status").out)
    return found


def settled(host: Host) -> dict[str, Any]:
    """The host's status once its switch is at rest."""

    def at_rest() -> dict[str, Any] | None:
        found = status(host)
        is_over = (found["operation"] or {}).get("state") in {None, *TERMINAL}
        return found if is_over and not found["holder"] and not found["waiting"] else None

    found: dict[str, Any] = until(at_rest, f"the end of the operation on {host}")
    return found


def marker(host: Host) -> str:
    answer = host.fetch("/pid", host="shop.example")
    assert answer.status == 200, answer
    return str(json.loads(answer.body)["marker"])


def whole(host: Host, *, left: tuple[int, ...] = ()) -> dict[str, Any]:
    """What stands and what is served, once it is certain that neither is half.

    `left` are generations that a failed return keeps.
    """
    found = settled(host)
    assert found["problem"] is None
    assert found["current"] == found["committed"]
    assert [each["n"] for each in found["generations"] if not each["committed"]] == [*left]
    assert {name: app["drift"] for name, app in found["apps"].items()} == {"shop": []}
    standing = host.run(STANDING, check=False).out.splitlines()
    assert standing[0] == f"generations/{found['current']}"
    assert standing[-3:] == ["active"] * 3
    assert host.fetch("/healthz", host="shop.example").status == 200
    return {"marker": marker(host), "standing": standing}
