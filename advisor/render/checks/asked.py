"""A server's own parser on its staged file, asked inside the interpreter that the server lives in.

The scripts beside this file are what is run there. They import the server and never the app,
and open no socket.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.render.checks.interpreter import find
from advisor.render.checks.result import CheckResult, run, verdict
from advisor.render.kit.launch import launch
from advisor.render.place import installed, stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from advisor.render.checks.interpreter import Installed
    from advisor.render.checks.result import Outcome
    from advisor.render.rendering import File
    from advisor.render.values import Inputs

MISSING = "what it takes from other packages"


def ask(
    file: File,
    inputs: Inputs,
    package: str,
    *,
    script: str,
    lines: Mapping[str, int],
    **request: Any,
) -> list[CheckResult]:
    """What the target's `package`, or one of its minor version, says to the file and the command.

    `lines` are the lines of the names that the script's answer speaks of. The script gets
    `request`, the command's words and the path of the staged file.
    """
    found, why_not = find(inputs, package)
    if found is None:
        return [CheckResult(file.path, f"options of {package}", "not_run", (why_not,))]
    with tempfile.TemporaryDirectory(prefix="advisor-") as folder:
        stage = Path(folder)
        stage.chmod(0o755)  # the owner of the virtual environment has to read it
        staged = stage / Path(file.path).name
        staged.write_bytes(file.content)
        shutil.copyfile(Path(__file__).with_name(script), stage / "check.py")
        words = _words(file, inputs, stage, staged)
        asked = request | {"package": package, "path": str(staged), "words": words}
        (stage / "request.json").write_text(json.dumps(asked), encoding="utf-8")
        python = [found.python, "-I", "-B"]
        done = run([*python, stage / "check.py", stage / "request.json"], user=found.user)
    return list(_results(file.path, package, done, found, lines))


def _words(file: File, inputs: Inputs, stage: Path, staged: Path) -> list[str]:
    """The command without its program, its paths exchanged for those of the stage."""
    socket = stream(inputs.intent)
    stand_ins = {
        installed(file.path, inputs): str(staged),
        socket: str(stage / "app.sock"),
        f"unix:{socket}": f"unix:{stage / 'app.sock'}",
    }
    return [stand_ins.get(word, word) for word in launch(inputs).command[1:]]


def _results(
    path: str, package: str, done: Outcome, found: Installed, lines: Mapping[str, int]
) -> Iterator[CheckResult]:
    name = f"options of {package} {found.version}"
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:] or ["no answer"]
        yield CheckResult(path, name, "failed", (f"{path}: {last[0]}",))
        return
    yield verdict(path, name, [_said(path, at, text, lines) for at, text in report["problems"]])
    missing = [_said(path, at, text, lines) for at, text in report["missing"]]
    if missing and not found.is_target:
        here = f"not installed beside the {package} here, which is not the target's"
        yield CheckResult(path, MISSING, "not_run", tuple(f"{line} ({here})" for line in missing))
    else:
        yield verdict(path, MISSING, missing)


def _said(path: str, at: str | int, text: str, lines: Mapping[str, int]) -> str:
    """A fault with the line that it is about, where it is about one."""
    line = at if isinstance(at, int) else lines.get(at)
    return f"{path}: {text}" if line is None else f"{path}:{line}: {text}"
