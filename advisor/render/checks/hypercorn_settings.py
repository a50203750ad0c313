"""Run by the target's own Python: whether Hypercorn takes this TOML file.

Standard library and Hypercorn only, and no syntax newer than Python 3.8: this file is copied
and run by whichever interpreter the target's server lives in. Hypercorn takes any key and any
type (config.py, from_mapping), so both are held against its `Config` here. Prints one JSON
object: `problems`, and `missing` for packages that are not installed, both as [key, text]
pairs; instead of the key there may be a line, or "" where a fault is the whole command's.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import re
import sys
from typing import Any

WORKER_CLASSES = ("asyncio", "uvloop", "trio")


def known_keys(config: type) -> set[str]:
    """What a file may set: values, and properties that can be set."""
    names = {
        name
        for name, value in vars(config).items()
        if (value.fset is not None if isinstance(value, property) else not callable(value))
        and not isinstance(value, classmethod)
    }
    return {name for name in names | set(config.__annotations__) if not name.startswith("_")}


def kinds_of(config: type, key: str) -> tuple[type, ...]:
    """The types that a key takes, by its default or else its annotation; () where any."""
    default = vars(config).get(key)
    if isinstance(default, bool):
        return (bool,)
    said = str(config.__annotations__.get(key, ""))
    kinds: tuple[type, ...] = ()
    for name, kind in (("int", int), ("float", float), ("str", str)):
        if re.search(rf"\b{name}\b", said) or type(default) is kind:
            kinds += (kind,)
    return (int, *kinds) if kinds == (float,) else kinds


def problem_of(config: type, key: str, value: Any) -> str | None:
    """What is wrong with one key, or null."""
    if key not in known_keys(config):
        near = difflib.get_close_matches(key, known_keys(config), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"this Hypercorn knows no setting {key}{hint}"
    kinds = kinds_of(config, key)
    if kinds and type(value) not in kinds:
        names = " or ".join(kind.__name__ for kind in kinds)
        return f"{key} should be {names}, not {value!r}"
    if isinstance(value, (int, float)) and value < 0:
        return f"{key} should not be below zero"
    if key == "worker_class" and value not in WORKER_CLASSES:
        return f"worker_class: {value} is none of {', '.join(WORKER_CLASSES)}"
    return None


def loaded(path: str) -> tuple[dict[str, Any], list[list[Any]]]:
    """The file's keys by the parser that Hypercorn itself uses, or where it stops."""
    module = importlib.import_module("hypercorn.config")
    parser = getattr(module, "tomllib", None) or module.toml  # toml: before 0.14.4
    with open(path, encoding="utf-8") as stream:  # noqa: PTH123 - any Python
        text = stream.read()
    try:
        return parser.loads(text), []
    except ValueError as error:
        line = re.search(r"at line (\d+)", str(error))
        return {}, [[int(line[1]) if line else "", str(error)]]


def as_started(words: list[str]) -> Any:
    """The configuration that the command comes to, with nothing run."""
    command: Any = importlib.import_module("hypercorn.__main__")
    taken: list[Any] = []
    command.run = taken.append
    command.main(words)
    return taken[0]


def main(path: str) -> dict[str, Any]:
    """Judge the request at `path`."""
    with open(path, encoding="utf-8") as stream:  # noqa: PTH123 - any Python
        request = json.load(stream)
    config = importlib.import_module("hypercorn.config").Config
    data, problems = loaded(request["path"])
    for key, value in data.items():
        problem = problem_of(config, key, value)
        if problem:
            problems.append([key, problem])
    if problems:
        return {"problems": problems, "missing": []}
    try:
        started = as_started(request["words"])
    except SystemExit as end:
        return {"problems": [["", f"the command ends with {end.code}"]], "missing": []}
    problems = [
        [key, f"{key} does not reach Hypercorn"]
        for key, value in data.items()
        if getattr(started, key) != value
    ]
    name = data.get("worker_class", "asyncio")
    missing = (
        [] if importlib.util.find_spec(name) else [["worker_class", f"{name} is not installed"]]
    )
    return {"problems": problems, "missing": missing}


if __name__ == "__main__":
    json.dump(main(sys.argv[1]), sys.stdout)
