"""nginx's own check (`nginx -t`) of the app's file, inside a main configuration of the stage."""

from __future__ import annotations

import errno
import re
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.render.checks.result import (
    CheckResult,
    Outcome,
    find_program,
    other_version,
    run,
    verdict,
)
from advisor.render.stage import listeners, stage_nginx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.render.rendering import File
    from advisor.render.values import Inputs

# nginx -t binds every listener. An address in use does not trouble it; these do, though they
# say nothing of the target.
NOT_THE_FILES_FAULT = {errno.EACCES, errno.EPERM, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}

_VERSION = re.compile(r"nginx/(\S+)")
_WHERE = re.compile(r"^(?:nginx: )?(?:\S+ \S+ )?(?P<level>\[\w+\]) (?P<what>.*)$")
_SUMMARY = re.compile(r"configuration file .* test failed$|^\s*$")
_PLACE = re.compile(r"^(?P<what>.*) in (?P<file>/\S+):(?P<line>\d+)$")


def check(files: Sequence[File], inputs: Inputs) -> list[CheckResult]:
    """`nginx -t`: any line above the level of a notice is a failure."""
    (file,) = files
    program = find_program("nginx")
    if program is None:
        return [CheckResult(file.path, "nginx -t", "not_run", ("nginx is not installed here",))]
    version = _version(run([program, "-v"]))
    name = f"nginx {version} -t"
    other = other_version(inputs, "nginx", version, parts=2)
    if other:
        return [CheckResult(file.path, name, "not_run", (other,))]
    with tempfile.TemporaryDirectory(prefix="advisor-") as folder:
        stage = Path(folder)
        listen = {
            where: f"unix:{stage}/{number}.sock"
            for number, where in enumerate(listeners(file.content.decode()))
            if not _bindable(where)
        }
        conf = stage_nginx(files, stage, listen=listen)
        done = run([program, "-t", "-q", "-e", "stderr", "-c", conf, "-p", stage])
        staged = {str(stage / Path(file.path).name): file.path, str(conf): "nginx.conf"}
    lines = [
        _placed(line, staged) for line in done.stderr.splitlines() if not _SUMMARY.search(line)
    ]
    if done.code != 0 and not lines:
        lines = [f"{file.path}: nginx -t ended with {done.code}"]
    stand_ins = [f"a unix socket for port {where}, not to be bound here" for where in listen]
    return [verdict(file.path, name, lines, stand_ins=stand_ins)]


def _version(done: Outcome) -> str:
    match = _VERSION.search(done.stderr)
    return match[1] if match else "of unknown version"


def _placed(line: str, staged: dict[str, str]) -> str:
    """`nginx: [emerg] what in /stage/app.conf:7` as `nginx/app.conf:7: [emerg] what`."""
    match = _WHERE.match(line)
    level, what = (match["level"], match["what"]) if match else ("", line)
    place = _PLACE.match(what)
    if place is None:
        return f"{next(iter(staged.values()))}: {level} {what}".replace("  ", " ")
    file = staged.get(place["file"], place["file"])
    return f"{file}:{place['line']}: {level} {place['what']}"


def _bindable(where: str) -> bool:
    """Whether this process may bind a listen address; true where nginx is to judge it."""
    address, _, port = where.rpartition(":")
    family = socket.AF_INET6 if address.startswith("[") else socket.AF_INET
    if not port.isdecimal():
        return True
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address.strip("[]"), int(port)))
    except OSError as error:
        return error.errno not in NOT_THE_FILES_FAULT
    except OverflowError:
        return True
    return True
