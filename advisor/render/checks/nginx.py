"""nginx's own check (`nginx -t`) of one host's files, inside a main configuration of the stage."""

from __future__ import annotations

import errno
import re
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.errors import InvalidInput
from advisor.render.checks import nginx_own
from advisor.render.checks.result import (
    CheckResult,
    Outcome,
    find_program,
    other_version,
    run,
    verdict,
)
from advisor.render.stage import hosts, listeners, module_file, modules_used, stage
from advisor.rules.nginx_tls import HYBRID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.render.rendering import File
    from advisor.render.stage import Stage
    from advisor.render.values import Inputs

# nginx -t binds every listener. An address in use does not trouble it; these do, though they
# say nothing of the target.
NOT_THE_FILES_FAULT = {errno.EACCES, errno.EPERM, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
# What is bound in the place of a listener that this process may not bind.
FIRST_STAND_IN_PORT = 20443
CHECK = "nginx -t"

_VERSION = re.compile(r"nginx/(\S+)")
_OPENSSL = re.compile(r"(?:running|built) with OpenSSL (\d[\w.]*)")
_WHERE = re.compile(r"^(?:nginx: )?(?:\S+ \S+ )?(?P<level>\[\w+\]) (?P<what>.*)$")
_SUMMARY = re.compile(r"configuration file .* test failed$|^\s*$")
_PLACE = re.compile(r"^(?P<what>.*) in (?P<file>/\S+):(?P<line>\d+)$")
# The spelling that every nginx takes, where the target's version is not known (1.25.1: CHANGES).
_OLD_HTTP2 = re.compile(r'the "listen \.\.\. http2" directive is deprecated')


def check(files: Sequence[File], inputs: Inputs) -> list[CheckResult]:
    """`nginx -t` of each host's files, and ours of what it lets through.

    Any line above the level of a notice is a failure. A file for the first certificate is
    checked alone too: it has to load before there is one.
    """
    results: list[CheckResult] = []
    for host in hosts(files):
        results += [nginx_own.check(file, inputs) for file in host]
        results += _checked(host, inputs, name="")
        for first in (file for file in host if file.path.endswith(".acme.conf")):
            results += _checked([first], inputs, name=", before the first certificate")
    return results


def _checked(host: Sequence[File], inputs: Inputs, *, name: str) -> list[CheckResult]:
    """The verdict of this machine's nginx on each of a host's files, loaded together."""
    program = find_program("nginx")
    if program is None:
        return _not_run(host, CHECK, "nginx is not installed here")
    about = run([program, "-V"])
    version = _version(about)
    title = f"nginx {version} -t{name}"
    text = "\n".join(file.content.decode() for file in host)
    other = other_version(inputs, "nginx", version, parts=2) or _lacking(about.stderr, text)
    if other:
        return _not_run(host, title, other)
    with tempfile.TemporaryDirectory(prefix="advisor-") as folder:
        directory = Path(folder)
        listen = _unbindable(text)
        try:
            staged = stage(host, directory, listen=listen)
        except InvalidInput as error:
            return _not_run(host, title, error.message)
        done = run([program, "-t", "-q", "-e", "stderr", "-c", staged.conf, "-p", directory])
    lines = [_placed(line, staged) for line in done.stderr.splitlines() if _counts(line, inputs)]
    if done.code != 0 and not lines:
        lines = [f"{host[0].path}: nginx -t ended with {done.code}"]
    stand_ins = [f"{there} for the listener {where}" for where, there in listen.items()]
    return [
        verdict(
            file.path,
            title,
            _lines_of(file, lines, host),
            stand_ins=[*staged.stand_ins, *stand_ins],
        )
        for file in host
    ]


def _not_run(host: Sequence[File], name: str, why: str) -> list[CheckResult]:
    return [CheckResult(file.path, name, "not_run", (why,)) for file in host]


def _version(done: Outcome) -> str:
    match = _VERSION.search(done.stderr)
    return match[1] if match else "of unknown version"


def _lacking(about: str, text: str) -> str | None:
    """Why this nginx cannot judge the files, though it is the target's version: it lacks a part."""
    lacks = [name for name in modules_used(text) if name not in about and module_file(name) is None]
    if re.search(r"^\s*http3 on;", text, re.MULTILINE) and "http_v3" not in about:
        lacks.append("http_v3")
    if lacks:
        return f"nginx here has no module {lacks[0]}"
    found = _OPENSSL.findall(about)
    offers = re.search(rf"^\s*ssl_ecdh_curve .*{HYBRID}", text, re.MULTILINE)
    if offers and found and tuple(map(int, re.findall(r"\d+", found[-1])))[:2] < (3, 5):
        return f"OpenSSL here is {found[-1]}, which has no {HYBRID}"
    return None


def _unbindable(text: str) -> dict[str, str]:
    """A high port of loopback for each listener that this process may not bind."""
    where = dict.fromkeys(where for where in listeners(text) if not _bindable(where))
    return {name: f"127.0.0.1:{port}" for port, name in enumerate(where, start=FIRST_STAND_IN_PORT)}


def _counts(line: str, inputs: Inputs) -> bool:
    """Whether a line of nginx's says that something is wrong."""
    if _SUMMARY.search(line):
        return False
    return "nginx" in inputs.versions or not _OLD_HTTP2.search(line)


def _placed(line: str, staged: Stage) -> str:
    """`nginx: [emerg] what in /stage/app.conf:7` as `nginx/app.conf:7: [emerg] what`."""
    match = _WHERE.match(line)
    level, what = (match["level"], match["what"]) if match else ("", line)
    place = _PLACE.match(what)
    if place is None:
        return f"{next(iter(staged.paths.values()))}: {level} {what}".replace("  ", " ")
    file = staged.paths.get(place["file"], place["file"])
    return f"{file}:{place['line']}: {level} {place['what']}"


def _lines_of(file: File, lines: Sequence[str], host: Sequence[File]) -> list[str]:
    """The lines about a file; the first also has those about none of them."""
    own = [line for line in lines if line.startswith(f"{file.path}:")]
    if file is not host[0]:
        return own
    theirs = tuple(f"{other.path}:" for other in host)
    return own + [f"{file.path}: {line}" for line in lines if not line.startswith(theirs)]


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
