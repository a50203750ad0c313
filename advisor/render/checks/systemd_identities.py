"""Whom and what the units name is the intent's: systemd passes over much that is not there.

It ignores a SocketUser and a slice that do not exist, and of the commands it looks at ExecStart
alone (tried with systemd 252).
"""

from __future__ import annotations

import grp
import pwd
import re
from typing import TYPE_CHECKING

from advisor.render.checks.result import CheckResult, verdict
from advisor.render.checks.systemd_stage import EXEC, programs_of
from advisor.render.kit.systemd_names import slice_name
from advisor.render.place import PROXY_GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from advisor.render.rendering import File
    from advisor.render.values import Inputs

_ASSIGNED = re.compile(
    r"(?P<key>User|SocketUser|Group|SocketGroup|SupplementaryGroups|Slice)=(?P<name>.*)"
)
# sysusers.d's users, and tmpfiles.d's folders with mode, user and group.
_MADE = re.compile(r"u (?P<user>\S+) .*")
_FOLDER = re.compile(r"d \S+ \S+ :?(?P<user>\S+) :?(?P<group>\S+) -")
KINDS = {"SocketUser": "user", "SocketGroup": "group", "SupplementaryGroups": "group"}
REFUSED = {
    "user": "is nobody the app needs",
    "group": "is nobody the app needs",
    "slice": "is no slice of this app",
    "program": "is no program that the app needs",
}


def identities(file: File, inputs: Inputs) -> CheckResult:
    """Whom a file names; one that is not on this host is a stand-in."""
    user = inputs.intent.user
    # One that sysusers.d makes is not there yet.
    allowed: dict[str, set[str | None]] = {
        "user": {user},
        "group": {user, *PROXY_GROUPS.values()},
        "slice": {slice_name(inputs)},
        "program": {*programs_of(inputs)},
    }
    look_up: dict[str, Callable[[str], object]] = {"user": pwd.getpwnam, "group": grp.getgrnam}
    wrong: list[str] = []
    absent: dict[str, None] = {}
    for number, line in enumerate(file.content.decode().splitlines(), 1):
        for said, kind, name in _named(line):
            if name not in allowed[kind]:
                wrong.append(f"{file.path}:{number}: {said} {REFUSED[kind]}")
            elif kind in look_up and not _exists(name, look_up[kind]):
                absent[f"the {kind} {name}, which is not on this host"] = None
    return verdict(file.path, "users, groups and programs", wrong, stand_ins=list(absent))


def _named(line: str) -> Iterator[tuple[str, str, str]]:
    """Each user, group, slice and program of a line: how it stands there, its kind, its name."""
    command = EXEC.fullmatch(line)
    if command is not None:
        yield command["program"], "program", command["program"]
    assigned = _ASSIGNED.fullmatch(line)
    if assigned is not None:
        kind = KINDS.get(assigned["key"], assigned["key"].lower())
        for name in assigned["name"].split(" "):
            yield f"{assigned['key']}={name}", kind, name
    for match in filter(None, (_MADE.fullmatch(line), _FOLDER.fullmatch(line))):
        for kind, name in match.groupdict().items():
            if name != "-":
                yield f"{kind} {name}", kind, name


def _exists(name: str, look_up: Callable[[str], object]) -> bool:
    try:
        look_up(name)
    except KeyError:
        return False
    return True
