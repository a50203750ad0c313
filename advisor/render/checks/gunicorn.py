"""Gunicorn's `--check-config` of the rendered file, and ours of what that lets through.

It exits 0 on misspelt keys and on worker classes that do not exist (tried with Gunicorn
27.0.1), so names, types and the worker class are checked by `gunicorn_settings`, inside the
same interpreter. The app is a stand-in of the same name: the real one is never imported.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.render.checks.interpreter import find
from advisor.render.checks.result import CheckResult, run, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from advisor.render.checks.interpreter import Installed
    from advisor.render.rendering import File
    from advisor.render.values import Inputs

SCRIPT = Path(__file__).with_name("gunicorn_settings.py")
CHECK = "gunicorn --check-config"


def check(files: Sequence[File], inputs: Inputs) -> list[CheckResult]:
    """Three checks under the target's Gunicorn, or one of its minor version."""
    (file,) = files
    found, why_not = find(inputs, "gunicorn")
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
        # The app is named here too, for a Gunicorn whose file cannot name it (before 20.1).
        check_config = [*python, "-m", "gunicorn", "--check-config", "-c", conf]
        words = ["--chdir", str(stage / "app"), *_named_app(file, inputs)]
        real = run([*check_config, *words], user=found.user, directory=stage)
    said = [line.replace(str(conf), file.path) for line in real.stderr.splitlines() if line]
    failed = [f"{file.path}: {line}" for line in said] if real.code != 0 else []
    if real.code != 0 and not failed:
        failed = [f"{file.path}: {CHECK} ended with {real.code}"]
    stand_in = f"an app for {inputs.intent.app_module}"
    name = f"gunicorn {found.version} --check-config"
    return [
        verdict(file.path, name, failed, stand_ins=[stand_in]),
        *_own_results(file.path, own.stdout, own.stderr, found),
    ]


def _named_app(file: File, inputs: Inputs) -> tuple[str, ...]:
    """The app as the command names it, where the file does not."""
    return () if b"\nwsgi_app = " in file.content else (inputs.intent.app_module,)


def _own_results(path: str, stdout: str, stderr: str, found: Installed) -> Iterator[CheckResult]:
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
