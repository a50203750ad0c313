"""Run by the target's own Python: whether Uvicorn or Granian takes these variables.

Standard library and the server only, and no syntax newer than Python 3.8: this file is copied
and run by whichever interpreter the target's server lives in. Both read their options with
Click, each from the command line or from a variable of its name. Prints one JSON object:
`problems`, and `missing` for packages that are not installed, both as [variable, text] pairs;
the variable is empty where a fault is the whole command's.
"""

from __future__ import annotations

import difflib
import importlib
import json
import os
import sys
from typing import Any


def command_of(package: str) -> tuple[Any, dict[str, str]]:
    """The server's own command, and what its entry point adds to it."""
    if package == "uvicorn":
        return importlib.import_module("uvicorn.main").main, {}
    return importlib.import_module("granian.cli").cli, {"auto_envvar_prefix": "GRANIAN"}


def convert(option: Any, text: str, context: Any) -> tuple[Any, str | None]:
    """The option's value as Click makes it of a variable, and what is wrong with it."""
    import click  # noqa: PLC0415 - the target's

    try:
        value = option.type(text, param=option, ctx=context)
    except click.ClickException as error:
        return None, error.format_message()
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and value < 0:
        return None, f"{option.opts[0]} should not be below zero"
    return value, None


def judge(package: str, variables: dict[str, str], words: list[str]) -> list[list[str]]:
    """What is wrong with the variables, one by one and all together as the command reads them."""
    import click  # noqa: PLC0415 - the target's

    command, extra = command_of(package)
    prefix = package.upper()
    known = [each for each in command.params if isinstance(each, click.Option) and each.name]
    options = {f"{prefix}_{option.name.upper()}": option for option in known}
    problems = []
    values = {}
    for name, text in variables.items():
        if name not in options:
            near = difflib.get_close_matches(name, options, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            problems.append([name, f"this {package.capitalize()} reads no variable {name}{hint}"])
            continue
        values[name], problem = convert(options[name], text, click.Context(command))
        if problem:
            problems.append([name, f"{name}: {problem}"])
    if problems:
        return problems
    os.environ.update(variables)
    try:
        made = command.make_context(package, list(words), **extra)
    except click.ClickException as error:
        return [["", error.format_message()]]
    for name, value in values.items():
        if made.params.get(options[name].name) != value:
            problems.append([name, f"{name} does not reach this {package.capitalize()}"])
    return problems or [
        [f"{prefix}_{name.upper()}", text] for name, text in impossible(package, made.params)
    ]


def impossible(package: str, params: dict[str, Any]) -> list[tuple[str, str]]:
    """What the parser lets through, and the server stops at when it starts: [option, text]."""
    if package == "granian":
        threads = params.get("blocking_threads") or 1
        if threads > 1 and str(params["interface"].value) != "wsgi":
            return [("blocking_threads", "blocking threads are for WSGI apps alone")]
        return []
    return [
        (option, f"{params[option]} is none of {', '.join(sorted(table))}")
        for option, table in uvicorn_tables().items()
        if option in params and ":" not in str(params[option]) and params[option] not in table
    ]


def uvicorn_tables() -> dict[str, dict[str, Any]]:
    """Uvicorn's implementations by the option that names them, as import strings."""
    config = importlib.import_module("uvicorn.config")
    loops = getattr(config, "LOOP_FACTORIES", None) or getattr(config, "LOOP_SETUPS", {})
    return {"loop": loops, "http": config.HTTP_PROTOCOLS, "ws": config.WS_PROTOCOLS}


def not_installed(package: str, variables: dict[str, str]) -> list[list[str]]:
    """Implementations that are chosen and cannot be imported; those of the app are not tried."""
    if package == "granian":
        name = variables.get("GRANIAN_LOOP", "auto")
        loops = importlib.import_module("granian._loops").loops
        return [] if name in loops else [["GRANIAN_LOOP", f"{name} is not installed"]]
    missing = []
    for option, table in uvicorn_tables().items():
        variable = f"UVICORN_{option.upper()}"
        target = table.get(variables.get(variable, "auto"))
        try:
            if isinstance(target, str):
                importlib.import_module(target.partition(":")[0])
        except ImportError as error:
            missing.append([variable, f"{variable}={variables.get(variable)}: {error}"])
    return missing


def main(path: str) -> dict[str, Any]:
    """Judge the request at `path`."""
    with open(path, encoding="utf-8") as stream:  # noqa: PTH123 - any Python
        request = json.load(stream)
    package, variables = request["package"], request["variables"]
    problems = judge(package, variables, request["words"])
    missing = [] if problems else not_installed(package, variables)
    return {"problems": problems, "missing": missing}


if __name__ == "__main__":
    json.dump(main(sys.argv[1]), sys.stdout)
