"""A host of the lab, as an administrator has it: over SSH and HTTP, and by its power switch."""

from __future__ import annotations

import contextlib
import http.client
import posixpath
import shlex
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.network import NAMESPACES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.machine import Machine
    from tests.lab.network import Cable

# No questions, and no memory of keys: hosts come and go at the same addresses. How long a silent
# connection lives is not said here: an inventory's word would come before advisor's own.
SSH_OPTIONS = (
    *("-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"),
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
    *("-o", "LogLevel=ERROR", "-o", "ConnectTimeout=5", "-o", "GSSAPIAuthentication=no"),
)
# The tests' own commands notice a dead connection in seconds.
NOTICED_SOON = ("-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=3")
BOOT_S = 90.0


@dataclass(frozen=True)
class Done:
    """A command's end; ssh's own failures have code 255."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Host:
    """One booted host. Two worked examples:

    host.run("systemctl start nginx"); host.fetch("/healthz", host="shop.example").status
    host.kill(); host.start(); host.read("/etc/advisor/current")
    """

    def __init__(self, name: str, cable: Cable, machine: Machine, key: Path) -> None:
        self.name = name
        self.address = cable.address
        self.key = key
        self._cable = cable
        self._machine = machine

    def __repr__(self) -> str:
        return f"Host({self.name}, {self.address})"

    @property
    def disk(self) -> Path:
        """What the host has written over its base; to be written to while it is off."""
        return self._machine.disk

    # Commands and files

    def ssh(self, user: str = "root") -> list[str]:
        """The words that reach the host; a command follows."""
        return ["ssh", *SSH_OPTIONS, *NOTICED_SOON, "-i", str(self.key), f"{user}@{self.address}"]

    def run(
        self,
        command: str,
        *,
        check: bool = True,
        user: str = "root",
        stdin: bytes = b"",
        timeout: float = 60,
    ) -> Done:
        """Run a line of shell; with check, a code other than 0 fails the test with what it said."""
        done = self._call(command, user=user, stdin=stdin, timeout=timeout)
        end = Done(
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )
        if check and end.code:
            raise AssertionError(f"{self}: {command!r} ended with {end.code}: {end.out}{end.err}")
        return end

    def put(self, path: str, content: bytes | str, mode: int = 0o644) -> None:
        """Write a file whole, as root, with the folders above it."""
        data = content.encode() if isinstance(content, str) else content
        there, above = shlex.quote(path), shlex.quote(posixpath.dirname(path))
        self.run(
            f"mkdir -p {above} && cat >{there}.put && chmod {mode:o} {there}.put"
            f" && mv -fT {there}.put {there}",
            stdin=data,
        )

    def read(self, path: str) -> bytes:
        done = self._call(f"cat {shlex.quote(path)}")
        if done.returncode:
            raise AssertionError(f"{self}: {path}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def fetch(
        self,
        path: str = "/",
        *,
        host: str | None = None,
        port: int = 80,
        method: str = "GET",
        timeout: float = 10,
    ) -> Answer:
        """One request from the tests' process, on a connection of its own."""
        connection = http.client.HTTPConnection(self.address, port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, headers={"Host": host} if host else {})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, headers, answer.read())

    # Power and network

    def start(self, *, wait: bool = True) -> None:
        """Switch on, with the disk as it is."""
        self._cable.plug()
        self._machine.start(NAMESPACES / self._cable.namespace)
        if wait:
            self.wait()

    def wait(self, *, after: str | None = None) -> str:
        """Wait until the boot is over (another one than `after`), and give systemd's verdict.

        That is "running", or "degraded" where a unit failed.
        """
        deadline = time.monotonic() + BOOT_S
        command = "cat /proc/sys/kernel/random/boot_id; systemctl is-system-running --wait"
        while time.monotonic() < deadline and self._machine.running:
            if self._listens():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    boot, _, state = self.run(command, check=False).out.strip().partition("\n")
                    if boot != after and state in {"running", "degraded"}:
                        return state
            time.sleep(0.05)
        raise AssertionError(f"{self} did not boot:\n{self._machine.console()}")

    def boot_id(self) -> str:
        """Changes with each boot."""
        return self.run("cat /proc/sys/kernel/random/boot_id").out.strip()

    def reboot(self) -> None:
        """An orderly restart, on the same disk; returns when it is up again."""
        before = self.boot_id()
        self.run("systemctl reboot --no-block", check=False)
        self.wait(after=before)

    def kill(self) -> None:
        """Cut the power. Nobody hears of it; `start` boots it again from what the disk holds."""
        self._cable.unplug()
        self._machine.kill()

    def cut(self) -> None:
        """Cut the network: packets vanish, and the host lives on."""
        self._cable.cut()

    def mend(self) -> None:
        self._cable.mend()

    def close(self) -> None:
        """End it for good, with its disk."""
        self.kill()
        if not self.closed:
            shutil.rmtree(self._machine.folder)

    @property
    def closed(self) -> bool:
        return not self._machine.folder.exists()

    def _call(
        self, command: str, *, user: str = "root", stdin: bytes = b"", timeout: float = 60
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self.ssh(user), command],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=timeout,
        )

    def _listens(self) -> bool:
        try:
            with socket.create_connection((self.address, 22), timeout=0.5):
                return True
        except OSError:
            return False
