"""Run by the target's own Python: what `gunicorn --check-config` lets through.

Standard library and Gunicorn only, and no syntax newer than Python 3.8: this file is copied
and run by whichever interpreter the target's Gunicorn lives in. Prints one JSON object:
`version`, `problems` as [line, text] pairs, and, where it is set, `worker_class` with
`line`, `text` and `status`: ok, failed, missing where its package is not installed, or app
where it is a part of the app, which is not imported.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import json
import sys
from typing import Any


def constants(source: str) -> tuple[dict[str, tuple[int, Any]], list[Any]]:
    """The file's assignments as name -> (line, value), and what else it holds."""
    found: dict[str, tuple[int, Any]] = {}
    problems: list[Any] = []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            problems.append([node.lineno, "only NAME = CONSTANT may stand here"])
            continue
        name = node.targets[0].id
        try:
            found[name] = (node.lineno, ast.literal_eval(node.value))
        except ValueError:
            problems.append([node.lineno, f"{name} is no constant"])
    return found, problems


def wrong_type(setting: Any, value: Any) -> str | None:
    """What a setting's validator casts in silence: text for a number, True for 1."""
    default = type(setting).default
    if isinstance(default, bool) and not isinstance(value, bool):
        return "should be True or False"
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(default, int) and not isinstance(default, bool) and not is_number:
        return "should be a whole number"
    return None


def problem_of(settings: dict[str, Any], name: str, value: Any, version: str) -> str | None:
    """What is wrong with one assignment, or null."""
    if name not in settings:
        near = difflib.get_close_matches(name, settings, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"Gunicorn {version} knows no setting {name}{hint}"
    wrong = wrong_type(settings[name], value)
    if wrong:
        return f"{name} {wrong}, not {value!r}"
    try:
        settings[name].set(value)
    except Exception as error:  # noqa: BLE001 - validators raise whatever they meet
        return f"{name}: {error}"
    return None


def cause_of(error: BaseException) -> BaseException:
    """The first fault: Gunicorn wraps it into one whose text is a whole traceback."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def package_missing(error: BaseException) -> bool:
    """Whether an import failed for a package that is not installed at all."""
    root = (getattr(error, "name", None) or "").partition(".")[0]
    return isinstance(error, ImportError) and bool(root) and importlib.util.find_spec(root) is None


def load_worker_class(name: str, app: str) -> dict[str, str]:
    """Import the worker class as Gunicorn would, unless it is the app's."""
    if name.partition(".")[0] == app:
        return {"status": "app", "text": ""}
    from gunicorn import util  # noqa: PLC0415 - the target's

    try:
        loaded = util.load_class(name)
    except Exception as error:  # noqa: BLE001 - a class may fail in any way while it is imported
        cause = cause_of(error)
        status = "missing" if package_missing(cause) else "failed"
        return {"status": status, "text": f"{name}: {cause}"}
    if is_outdated(loaded):
        text = f"{name}: it was made for a Uvicorn below 0.36; with this one no worker boots"
        return {"status": "failed", "text": text}
    return {"status": "ok", "text": ""}


def is_outdated(worker_class: Any) -> bool:
    """Whether a class sets up its loop in the way that Uvicorn 0.36 took away (uvicorn-worker 0.3).

    It still imports, and then no worker boots.
    """
    code = getattr(getattr(worker_class, "init_process", None), "__code__", None)
    if code is None or "setup_event_loop" not in code.co_names:
        return False
    from uvicorn.config import Config  # noqa: PLC0415 - the target's

    return hasattr(Config, "get_loop_factory")


def main(path: str, app: str) -> dict[str, Any]:
    """Judge the configuration file at `path`; `app` is the first part of the app's module."""
    import gunicorn  # noqa: PLC0415 - the target's
    from gunicorn.config import make_settings  # noqa: PLC0415 - the target's

    with open(path, encoding="utf-8") as stream:  # noqa: PTH123 - any Python
        source = stream.read()
    report: dict[str, Any] = {"version": gunicorn.__version__, "problems": []}
    try:
        found, report["problems"] = constants(source)
    except SyntaxError as error:
        report["problems"] = [[error.lineno or 1, error.msg]]
        return report
    settings = make_settings()
    for name, (line, value) in found.items():
        problem = problem_of(settings, name, value, gunicorn.__version__)
        if problem:
            report["problems"].append([line, problem])
    if "worker_class" in found and isinstance(found["worker_class"][1], str):
        line, name = found["worker_class"]
        report["worker_class"] = {"line": line, **load_worker_class(name, app)}
    return report


if __name__ == "__main__":
    json.dump(main(sys.argv[1], sys.argv[2]), sys.stdout)
