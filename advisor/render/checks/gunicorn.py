"""Gunicorn's `--check-config` of the rendered file, and ours of what that lets through.

It exits 0 on misspelt keys and on worker classes that do not exist (tried with Gunicorn
27.0.1), so names, types and the worker class are checked by `gunicorn_settings`, inside the
same interpreter. The app is a stand-in of the same name: the real one is never imported.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.render.checks.result import CheckResult, find_program, other_version, run, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from advisor.render.rendering import File
    from advisor.render.values import Inputs

SCRIPT = Path(__file__).with_name("gunicorn_settings.py")
CHECK = "gunicorn --check-config"


@dataclass(frozen=True)
class Gunicorn:
    """A Gunicorn of this host: its interpreter, and whether it is the target's own."""

    python: str
    version: str
    is_target: bool
    user: tuple[int, int] | None = None


def check(files: Sequence[File], inputs: Inputs) -> list[CheckResult]:
    """Three checks under the target's Gunicorn, or one of its minor version."""
    (file,) = files
    found, why_not = _find(inputs)
    if found is None:
        return [CheckResult(file.path, CHECK, "not_run", (why_not,))]
    with tempfile.TemporaryDirectory(prefix="advisor-") as folder:
        stage = Path(folder)
        stage.chmod(0o755)  # the owner of the virtual environment has to read it
        conf = stage / "gunicorn.conf.py"
        conf.write_bytes(file.content)
        shutil.copyfile(SCRIPT, stage / "check.py")
        _write_stand_in(stage / "app", inputs.intent.app_module)
        app = inputs.intent.app_module.partition(":")[0].partition(".")[0]
        python: list[str | Path] = [found.python, "-I", "-B"]
        own = run([*python, stage / "check.py", conf, app], user=found.user)
        check_config = [*python, "-m", "gunicorn", "--check-config", "-c", conf]
        real = run([*check_config, "--chdir", stage / "app"], user=found.user, directory=stage)
    words = [line.replace(str(conf), file.path) for line in real.stderr.splitlines() if line]
    failed = [f"{file.path}: {line}" for line in words] if real.code != 0 else []
    if real.code != 0 and not failed:
        failed = [f"{file.path}: {CHECK} ended with {real.code}"]
    stand_in = f"an app for {inputs.intent.app_module}"
    name = f"gunicorn {found.version} --check-config"
    return [
        verdict(file.path, name, failed, stand_ins=[stand_in]),
        *_own_results(file.path, own.stdout, own.stderr, found),
    ]


def _own_results(path: str, stdout: str, stderr: str, found: Gunicorn) -> Iterator[CheckResult]:
    name = f"setting names and types of gunicorn {found.version}"
    try:
        report: dict[str, Any] = json.loads(stdout)
    except ValueError:
        last = stderr.strip().splitlines()[-1:] or ["no answer"]
        yield CheckResult(path, name, "failed", (f"{path}: {last[0]}",))
        return
    yield verdict(path, name, [f"{path}:{line}: {text}" for line, text in report["problems"]])
    worker_class = report.get("worker_class")
    if worker_class is None:
        return
    name = "worker class"
    text = f"{path}:{worker_class['line']}: worker_class: {worker_class['text']}"
    if worker_class["status"] == "app":
        yield CheckResult(path, name, "not_run", ("it belongs to the app, which is not imported",))
    elif worker_class["status"] == "missing" and not found.is_target:
        why = f"{text} (not installed beside the Gunicorn here, which is not the target's)"
        yield CheckResult(path, name, "not_run", (why,))
    else:
        yield verdict(path, name, [text] if worker_class["status"] != "ok" else [])


def _find(inputs: Inputs) -> tuple[Gunicorn | None, str]:
    """The first Gunicorn here of the target's minor version, or why there is none."""
    reasons = []
    for candidate in _candidates(inputs):
        other = other_version(inputs, "gunicorn", candidate.version, parts=2)
        if other is None:
            return candidate, ""
        reasons.append(other)
    return None, "; ".join(dict.fromkeys(reasons)) or "gunicorn is not installed here"


def _candidates(inputs: Inputs) -> Iterator[Gunicorn]:
    """The app's virtual environment, then the advisor's own, then the PATH's."""
    virtualenv = inputs.intent.app_virtualenv
    if virtualenv is not None:
        program = Path(virtualenv) / "bin" / "gunicorn"
        if _is_file(program):
            yield from _asked(_interpreter(program), is_target=True, user=_owner(program))
    yield from _asked(sys.executable, is_target=False)
    on_path = find_program("gunicorn")
    if on_path is not None:
        yield from _asked(_interpreter(Path(on_path)), is_target=False, user=_owner(Path(on_path)))


def _asked(
    python: str | None, *, is_target: bool, user: tuple[int, int] | None = None
) -> Iterator[Gunicorn]:
    """The Gunicorn of an interpreter, by its own word; none where it has none."""
    if python is None:
        return
    question = "import gunicorn; print(gunicorn.__version__)"
    done = run([python, "-I", "-B", "-c", question], user=user)
    if done.code == 0 and re.fullmatch(r"\d+(\.\w+)*", done.stdout.strip()):
        yield Gunicorn(python, done.stdout.strip(), is_target, user)


def _interpreter(program: Path) -> str | None:
    """The Python in a script's first line."""
    try:
        with program.open("rb") as stream:
            first = stream.readline(4096).decode(errors="replace")
    except OSError:
        return None
    match = re.match(r"#!\s*(/\S*python[\w.]*)\s*$", first)
    return match[1] if match else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _owner(program: Path) -> tuple[int, int] | None:
    """Whom a program is run as, for root: another user's program only as that user.

    The first owner other than root, from the file up to /, is who could have changed it.
    """
    if os.geteuid() != 0:
        return None
    for path in (program, *program.parents):
        status = path.stat()
        if status.st_uid != 0:
            return status.st_uid, status.st_gid
    return None


def _write_stand_in(folder: Path, module: str) -> None:
    """A module of the app's name whose app answers nothing: nobody ever calls it."""
    name, _, attribute = module.partition(":")
    *packages, leaf = name.split(".")
    for package in packages:
        folder.mkdir(exist_ok=True)
        folder /= package
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
    folder.mkdir(exist_ok=True)
    variable = re.split(r"[.(]", attribute or "application")[0]
    source = f"def {variable}(*_):\n    return {variable}\n"
    (folder / f"{leaf}.py").write_text(source, encoding="ascii")
