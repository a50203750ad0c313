"""Caddy's own checks of its files (`adapt`, `validate`, `fmt`), and ours of what those let through.

`caddy validate` opens logs and loads certificates (tried with Caddy 2.6.2), so logs lie in the
stage and a self-signed pair stands in for each certificate. Nothing listens, and nobody is asked
for a certificate.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from advisor.render.checks.caddy_config import Expected, problems
from advisor.render.checks.caddy_messages import Message, failures, warnings
from advisor.render.checks.caddy_stage import certificates, stage_caddy
from advisor.render.checks.result import (
    CheckResult,
    Outcome,
    find_program,
    other_version,
    run,
    verdict,
)
from advisor.render.kit.caddy import role_of
from advisor.render.kit.caddy_options import trusted
from advisor.render.kit.caddy_site import handles, site_of, upstreams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from advisor.render.checks.caddy_stage import Stage
    from advisor.render.rendering import File
    from advisor.render.values import Inputs

OWN = "where Caddy listens, and sends requests"
# Directives of modules that not every Caddy has.
MODULES = {"rate_limit": "http.handlers.rate_limit", "cache": "http.handlers.cache"}

_VERSION = re.compile(r"v?(\d+(?:\.\d+)+)")
_ENVIRONMENT = re.compile(r"\{\$")


def check(files: Sequence[File], inputs: Inputs) -> list[CheckResult]:
    """Each folder's files together, as one host has them."""
    program = find_program("caddy")
    if program is None:
        return _not_run(files, "caddy validate", "caddy is not installed here")
    found = _VERSION.match(run([program, "version"]).stdout)
    version = found[1] if found else "of unknown version"
    why = other_version(inputs, "caddy", version, parts=2) or _lacking(program, files)
    if why:
        return _not_run(files, f"caddy {version} validate", why)
    folders = dict.fromkeys(PurePosixPath(file.path).parent for file in files)
    return [
        result
        for folder in folders
        for theirs in [[file for file in files if PurePosixPath(file.path).parent == folder]]
        for result in _check_host(program, version, theirs, inputs)
    ]


def _not_run(files: Sequence[File], name: str, why: str) -> list[CheckResult]:
    return [CheckResult(file.path, name, "not_run", (why,)) for file in files]


def _lacking(program: str, files: Sequence[File]) -> str | None:
    """Why this Caddy cannot read the files: it lacks a module that the target's has."""
    text = b"\n".join(file.content for file in files).decode()
    used = [
        module
        for directive, module in MODULES.items()
        if re.search(rf"^\s*{directive}(?: |$)", text, re.MULTILINE)
    ]
    here = set(run([program, "list-modules"]).stdout.split()) if used else set()
    missing = [module for module in used if module not in here]
    return f"caddy here has no module {', '.join(missing)}" if missing else None


def _check_host(
    program: str, version: str, files: Sequence[File], inputs: Inputs
) -> Iterator[CheckResult]:
    with tempfile.TemporaryDirectory(prefix="advisor-") as folder:
        directory = Path(folder)
        pairs = certificates(files)
        swap = _stand_ins(pairs, directory) if pairs else {}
        if swap is None:
            yield from _not_run(files, f"caddy {version} validate", "openssl is not installed here")
            return
        stage = stage_caddy(files, directory, swap=swap)
        home = {"HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder}
        words = ["--config", str(stage.caddyfile), "--adapter", "caddyfile"]
        adapted = run([program, "adapt", *words], environment=home)
        valid = run([program, "validate", *words], environment=home)
        formatted = {path: run([program, "fmt", path], environment=home) for path in stage.trees}
    unlike = {path: _differs(stage.texts[path], done.stdout) for path, done in formatted.items()}
    stand_ins = [f"a self-signed certificate for {pair[0]}" for pair in pairs]
    told = _told(adapted, valid, stage)
    for path, tree in stage.trees.items():
        own = [text for where, text in told if where == path]
        yield verdict(tree, f"caddy {version} validate", own, stand_ins=stand_ins)
        layout = [f"{tree}:{unlike[path]}: not as `caddy fmt` writes it"] if unlike[path] else []
        yield verdict(tree, f"caddy {version} fmt", layout)
    yield from _own(files, adapted, inputs)


def _stand_ins(pairs: Sequence[tuple[str, str]], directory: Path) -> dict[str, str] | None:
    """A self-signed pair for all of them; null where it cannot be made."""
    openssl = find_program("openssl")
    certificate, key = directory / "stand-in.pem", directory / "stand-in.key"
    if openssl is None:
        return None
    made = run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-subj", "/CN=stand-in", "-keyout", key, "-out", certificate),
        ]
    )
    if made.code != 0:
        return None
    return {f"tls {pair[0]} {pair[1]}": f"tls {certificate} {key}" for pair in pairs}


def _differs(written: str, formatted: str) -> int | None:
    """The first line that `caddy fmt` would write otherwise; null where it would change nothing."""
    if written == formatted:
        return None
    pairs = zip(written.splitlines(), formatted.splitlines(), strict=False)
    same = min(len(written.splitlines()), len(formatted.splitlines()))
    return next((number for number, pair in enumerate(pairs, 1) if pair[0] != pair[1]), same)


def _told(adapted: Outcome, valid: Outcome, stage: Stage) -> list[tuple[Path, str]]:
    """What Caddy says against the files: which of them, and in words with its path in the tree."""
    said = list(warnings(adapted.stderr))
    if valid.code != 0:
        said += [*failures(valid.stderr)] or [Message(f"caddy validate ended with {valid.code}")]
    return [_placed(message, stage) for message in dict.fromkeys(said)]


def _placed(message: Message, stage: Stage) -> tuple[Path, str]:
    path = next((path for path in stage.trees if str(path) == message.file), None)
    what = message.what.replace(f"{stage.caddyfile.parent}/", "")
    if path is None:
        return stage.caddyfile, f"{stage.trees[stage.caddyfile]}: {what}"
    return path, f"{stage.trees[path]}:{_line(message, stage.texts[path])}: {what}"


def _line(message: Message, text: str) -> int | None:
    """The line that is meant: the one that begins with the word, where Caddy names another."""
    lines = enumerate(text.splitlines(), 1)
    begin = (number for number, line in lines if line.split()[:1] == [message.word])
    return next(begin, message.line)


def _own(files: Sequence[File], adapted: Outcome, inputs: Inputs) -> Iterator[CheckResult]:
    """What Caddy made of the files against what was asked for."""
    told: dict[str, list[str]] = {file.path: [] for file in files}
    for file in files:
        for number, line in enumerate(file.content.decode().splitlines(), 1):
            if _ENVIRONMENT.search(line):
                what = "{$...} is whatever the environment of Caddy holds"
                told[file.path].append(f"{file.path}:{number}: {what}")
    if adapted.code == 0:
        for problem in problems(json.loads(adapted.stdout), _expected(files, inputs)):
            path, where = _where(files, problem.token)
            told[path].append(f"{where}: {problem.what}")
    for path, lines in told.items():
        if lines or adapted.code == 0:
            yield verdict(path, OWN, lines)


def _expected(files: Sequence[File], inputs: Inputs) -> Expected:
    """What was asked for, in the part that these files have."""
    role = role_of(inputs, str(PurePosixPath(files[0].path).parent))
    intent = inputs.intent
    site = site_of(intent, role)
    catch_all = ["http://"] if "default-server" in inputs.manages else []
    redirect = [site.redirect] if site.redirect else []
    return Expected(
        addresses=frozenset([*site.addresses, *redirect, *catch_all]),
        upstreams=frozenset(upstreams(intent, role)),
        folders=frozenset(each.folder for each in handles(intent, role, {}) if each.folder),
        trusted=frozenset(trusted(inputs, role)),
    )


def _where(files: Sequence[File], token: str | None) -> tuple[str, str]:
    """The first line that holds the text: its file, and where that is in words."""
    if token:
        for file in files:
            for number, line in enumerate(file.content.decode().splitlines(), 1):
                if token in line and not line.lstrip().startswith("#"):
                    return file.path, f"{file.path}:{number}"
    return files[-1].path, files[-1].path
