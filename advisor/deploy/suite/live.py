"""A host as the checks see it: each question put once, over testinfra's connection."""

from __future__ import annotations

import json
import shlex
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from advisor.deploy.suite import reading
from advisor.deploy.suite.verdict import not_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from advisor.deploy.suite.reading import Listener, Process
    from advisor.deploy.suite.tree import Tree

SWITCH = "/usr/local/lib/advisor/switch.pyz"
# No question takes longer on a host that is well.
PATIENCE_S = 30
# What testinfra raises where ssh fails, Ansible does, or an inventory's address is none.
NO_ANSWER = (RuntimeError, OSError, KeyError, ValueError)
PROPERTIES = (
    *("Id", "LoadState", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload"),
    *("MainPID", "ExecStart", "ControlGroup", "FragmentPath", "DropInPaths"),
    *("ActiveEnterTimestampMonotonic",),
    *("LimitNOFILE", "TasksMax", "MemoryHigh", "MemoryMax", "CPUWeight", "CPUQuotaPerSecUSec"),
    *("TimeoutStartUSec", "TimeoutStopUSec", "RestartUSec", "OOMPolicy"),
)


class Answer(Protocol):
    """What testinfra gives for a command."""

    rc: int
    stdout: str
    stderr: str
    stdout_bytes: bytes


class Host(Protocol):
    """What the checks use of testinfra's host."""

    def run(self, command: str) -> Answer:
        """Run a shell command."""

    def sudo(self) -> Any:
        """Run what stands inside the `with` as root."""


class Live:
    """The answers of one host; a question it cannot answer ends the check as not run.

    Root is used for those questions alone that need it: by the connection's own user, or by a sudo
    that asks for no password.
    """

    def __init__(self, host: Host, tree: Tree) -> None:
        self.host = host
        self.tree = tree
        self._said: dict[tuple[str, tuple[str, ...]], Any] = {}

    @cached_property
    def silence(self) -> str | None:
        """Why the host does not answer; null where it does."""
        try:
            answer = self.host.run("id -u")
        except NO_ANSWER as error:
            # testinfra's error holds the whole answer of ssh; its last line says what happened.
            result = error.args[0] if error.args else None
            words = str(getattr(result, "stderr", "") or error).strip().splitlines()
            return words[-1] if words else "no answer"
        return None if answer.rc == 0 else answer.stderr.strip() or f"id ends with {answer.rc}"

    @cached_property
    def _is_root(self) -> bool:
        return self.host.run("id -u").stdout.strip() == "0"

    @cached_property
    def may(self) -> bool:
        """Whether what root alone may read can be read."""
        return self._is_root or self.host.run("sudo -n true").rc == 0

    def ask(self, command: str, *, root: bool = False) -> Answer:
        """Run a shell command, as root where that is needed."""
        if self.silence is not None:
            not_run("the host does not answer")
        if root and not self.may:
            not_run("needs root: the connection's user is not, and sudo asks for a password")
        path = 'LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"'
        asked = f"{path} timeout {PATIENCE_S} sh -c {shlex.quote(command)}"
        try:
            if root and not self._is_root:
                with self.host.sudo():
                    return self.host.run(asked)
            return self.host.run(asked)
        except NO_ANSWER:
            not_run("the host has stopped answering")

    def told(self, command: str, *, root: bool = False) -> str:
        """What a command prints; a command that fails ends the check as not run."""
        answer = self.ask(command, root=root)
        if answer.rc:
            said = (answer.stderr.strip() or answer.stdout.strip()).splitlines() or ["no word"]
            not_run(f"`{command.split(maxsplit=1)[0]}` ends with {answer.rc}: {said[-1]}")
        return answer.stdout

    def files(self, paths: Iterable[str], *, root: bool = False) -> dict[str, str]:
        """The text of those files that are there and may be read."""
        asked = list(paths)
        if not asked:
            return {}
        quoted = " ".join(shlex.quote(path) for path in asked)
        # grep ends with 1 where no line was found, and with 2 where a file is not there.
        printed = self.ask(f"grep -asH '' -- {quoted} || :", root=root).stdout
        # A host may print anything: only what it was asked for is an answer.
        found = reading.files(printed)
        return {path: found[path] for path in asked if path in found}

    def script(self, source: str, *arguments: str, root: bool = False) -> Any:
        """What a Python program prints as JSON on the host: there is one where Ansible goes.

        The same question is put once.
        """
        if (source, arguments) not in self._said:
            self._said[source, arguments] = self._script(source, *arguments, root=root)
        return self._said[source, arguments]

    def _script(self, source: str, *arguments: str, root: bool) -> Any:
        words = " ".join(shlex.quote(word) for word in arguments)
        return json.loads(self.told(f"python3 -I -c {shlex.quote(source)} {words}", root=root))

    @cached_property
    def units(self) -> dict[str, dict[str, str]]:
        """Properties of the app's units and of the proxy's."""
        names = [*(unit.name for unit in self.tree.install.units), "nginx.service", "caddy.service"]
        return reading.properties(
            self.told(f"systemctl show -p {','.join(PROPERTIES)} -- {' '.join(names)}")
        )

    def unit(self, name: str) -> dict[str, str]:
        """The properties of one unit."""
        return self.units.get(name, {})

    def main_pid(self, unit: str) -> int:
        """The main process of a unit; where it has none, the check is not run."""
        pid = int(self.unit(unit).get("MainPID") or 0)
        if not pid:
            not_run(f"{unit} has no process")
        return pid

    @cached_property
    def processes(self) -> dict[int, Process]:
        """All processes that may be seen."""
        ticks = self.told("getconf CLK_TCK")
        return reading.processes(self._table(), int(ticks))

    def _table(self) -> str:
        # Processes end while they are listed: what is left of the list is right.
        return self.ask("cat /proc/stat /proc/[0-9]*/stat 2>/dev/null || :", root=self.may).stdout

    def children(self, pid: int) -> list[Process]:
        """The direct children of a process."""
        return [one for one in self.processes.values() if one.parent == pid]

    def look_again(self) -> None:
        """Forget which processes there were."""
        self.__dict__.pop("processes", None)

    @cached_property
    def booted(self) -> float:
        """When the host's monotonic clock began, in seconds since the epoch."""
        lines = self.files(["/proc/stat"]).get("/proc/stat", "").splitlines()
        return next((float(line.split()[1]) for line in lines if line.startswith("btime ")), 0.0)

    def commands(self, pids: Iterable[int]) -> dict[int, list[str]]:
        """The words of the processes' command lines. They may hold secrets: never to be printed."""
        found = self.files((f"/proc/{pid}/cmdline" for pid in pids), root=self.may)
        return {
            int(path.split("/")[2]): text.rstrip("\n\0").split("\0") for path, text in found.items()
        }

    def variables(self, pid: int) -> frozenset[str]:
        """The names of a process's variables: their values stay on the host."""
        names = self.told(f"tr '\\0' '\\n' </proc/{pid}/environ | cut -d= -f1", root=True)
        return frozenset(names.split())

    @cached_property
    def sockets(self) -> list[Listener]:
        """What listens."""
        return reading.listeners(self.told("ss -Hlntu && ss -Hlnx"))

    @cached_property
    def configuration(self) -> Answer:
        """The answer of `nginx -T`, which reads certificates that root alone may read."""
        return self.ask("nginx -T", root=True)

    @cached_property
    def status(self) -> dict[str, Any]:
        """What the switch says of the host (advisor switch, verb status)."""
        found = json.loads(self.told(f"python3 -I {SWITCH} status", root=True))
        if not isinstance(found, dict):
            not_run("the switch's status is not understood")
        return found

    @cached_property
    def installed(self) -> dict[str, dict[str, str]]:
        """Of each file of the tree, by where its daemon looks: where that leads, digest, rights.

        And when it was `written`, in seconds since the epoch: an apply leaves that as it is where
        the bytes stay the same. What is not there has no entry.
        """
        targets = [row.target for row in self.tree.install.files]
        quoted = " ".join(shlex.quote(target) for target in targets)
        loop = (
            f'for file in {quoted}; do [ -e "$file" ] || continue; '
            'printf "%s\\t%s\\t%s\\t%s\\t%s\\n" "$file" "$(readlink -f "$file")" '
            '"$(sha256sum <"$file" | cut -d" " -f1)" "$(stat -L -c "%U %G %a" "$file")" '
            '"$(stat -L -c %Y "$file")"; done'
        )
        rows = (line.split("\t") for line in self.told(loop, root=True).splitlines())
        return {
            row[0]: dict(zip(("real", "digest", "rights", "written"), row[1:], strict=True))
            for row in rows
            if len(row) == 5
        }


def main_and_children(live: Live, unit: str) -> Sequence[int]:
    """The PIDs of a service's main process and of what it started."""
    pid = live.main_pid(unit)
    return [pid, *(child.pid for child in live.children(pid))]
