"""A target's program, by what runs a line of shell there: put there, asked, waited for.

Ansible's action plugin uses this where nothing of ours is installed: standard library alone. What
goes over goes by standard input, and what comes back is one JSON object.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from typing import TYPE_CHECKING, Any

from advisor.deploy.pack import pack
from advisor.errors import AdvisorError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PYTHON = "/usr/bin/python3"
FOLDER = "/usr/local/lib/advisor"
PROGRAM = f"{FOLDER}/switch.pyz"
POLL_S = 10
# Ansible's own options that ask (-K, ask_pass in ansible.cfg) have no terminal here.
NOBODY_TO_ASK = (
    "There is nobody to ask for a password: one of ANSIBLE_BECOME_PASSWORD_FILE,"
    " ANSIBLE_CONNECTION_PASSWORD_FILE and ANSIBLE_VAULT_PASSWORD_FILE can name a file with it."
)
# A peer that is gone says nothing: without this a cut connection would hold the play for minutes.
ALIVE = "-o ServerAliveInterval=5 -o ServerAliveCountMax=3"
INSTALL = f"""
set -e
umask 022
mkdir -p {FOLDER}
cat > {FOLDER}/.switch.pyz
chmod 0755 {FOLDER}/.switch.pyz
sync {FOLDER}/.switch.pyz
mv -f {FOLDER}/.switch.pyz {PROGRAM}
{PYTHON} -I {PROGRAM} install
"""
# A check runs from memory, of our own version, whichever one is there: it writes no file.
FROM_MEMORY = """
import os, runpy, sys
memory = os.memfd_create("advisor")
with os.fdopen(os.dup(memory), "wb") as stream:
    stream.write(sys.stdin.buffer.read(int(sys.argv[1])))
program = f"/proc/{os.getpid()}/fd/{memory}"
sys.argv = [program, "check", "-"]
runpy.run_path(program, run_name="__main__")
"""


class Trouble(AdvisorError):
    """A host that is not as we need it; the message says how."""


class Declined(AdvisorError):
    """What the target's program refused, with the reason that it gives."""

    def __init__(self, message: str, reason: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.reason = reason


class Target:
    """The program of one target.

    `execute` runs a line of shell there with this standard input, and gives `stdout`, `stderr` and
    `rc`.
    """

    def __init__(self, execute: Callable[[str, bytes], Mapping[str, Any]]) -> None:
        self._execute = execute

    def ask(self, command: str, data: bytes = b"") -> dict[str, Any]:
        """The object that a command prints; `Trouble` where it prints none."""
        # With some input Ansible asks for no terminal.
        done = self._execute(command, data or b"\n")
        text = done["stdout"]
        try:
            found: dict[str, Any] = json.JSONDecoder().raw_decode(text[text.index("{") :])[0]
        except ValueError:
            lines = " / ".join([*done["stderr"].splitlines(), *text.splitlines()][-3:])
            raise Trouble(
                f"no answer (status {done['rc']}): {lines}"[:400],
                remedy="The target needs Python 3, and Ansible to become root there.",
            ) from None
        return found

    def look(self, script: bytes, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What a script says of the host, from standard input: nothing of ours has to be there."""
        return self.ask(shlex.join([PYTHON, "-I", "-", json.dumps(asked)]), script)

    def install(self, digest: str | None) -> None:
        """Put our program there, whole or not at all, where what is there has another digest."""
        program = pack()
        if digest != hashlib.sha256(program).hexdigest():
            _answered(self.ask(INSTALL, program))

    def check(self, request: bytes) -> dict[str, Any]:
        """What a request would change; the program is not even put there."""
        program = pack()
        command = [PYTHON, "-I", "-c", FROM_MEMORY, str(len(program))]
        return _answered(self.ask(shlex.join(command), program + request))

    def switch(self, *arguments: str, data: bytes = b"") -> dict[str, Any]:
        """What a verb of the program there says; `Declined` or `Trouble` where it is no answer."""
        return _answered(self.ask(shlex.join([PYTHON, "-I", PROGRAM, *arguments]), data))

    def answer(self, verb: str, id_: str) -> None:
        """Tell it to commit or to return an operation; how that ends is asked by `wait`."""
        self.switch(verb, id_, "--seconds", "0")

    def wait(self, id_: str, states: frozenset[str], seconds: float) -> dict[str, Any]:
        """An operation once it is in one of these states: many short questions, no long one."""
        until = time.monotonic() + seconds
        while True:
            found = self.switch("wait", id_, "--seconds", str(POLL_S))
            if found["state"] in states:
                return found
            if time.monotonic() > until:
                raise Trouble(
                    f"the switch there does not end: it is {found['state']}",
                    remedy="See journalctl -u advisor-switch.service there; it returns by itself.",
                )
            time.sleep(0.1)


def _answered(found: dict[str, Any]) -> dict[str, Any]:
    """The same, where it is an answer."""
    if "refused" in found:
        raise Declined(str(found["refused"]), found.get("reason") or {})
    if "error" in found:
        raise Trouble(str(found["error"]), remedy="See the disk and /var/lib/advisor there.")
    return found
