"""advisor check: whether rendered files are still what they should be."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advisor.cli.advice import ConfigOption, read_intent

if TYPE_CHECKING:
    from advisor.intent import Intent
    from advisor.render import Examined


def command(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that advisor render wrote.")
    ],
    config: ConfigOption = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show the files against what would be rendered.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="A check that cannot run is a failure (exit 1).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0.")] = False,
) -> None:
    """Say where rendered files, their inputs and their daemons no longer agree; changes nothing.

    Exit 1: a file was edited by hand, is missing or not of the tree; advisor.yml (--config) says
    something else than the recommendation was made from; the files would be rendered otherwise
    now; or a daemon refuses them.
    """
    from advisor import __version__
    from advisor.errors import CheckFailed, InvalidInput
    from advisor.render import PROBLEMS, examine
    from advisor.report import check as report
    from advisor.report.sarif import sarif

    if as_sarif and (as_json or diff):
        raise InvalidInput("--sarif: is a format of its own, without --json and --diff")
    intent = read_intent(config)
    found = _data(
        directory, examine(directory, _stated(intent) if intent else None), strict=strict, diff=diff
    )
    if as_sarif:
        typer.echo(json.dumps(sarif(found, PROBLEMS, __version__), indent=2))
    elif as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(report.text(found), nl=False)
    for problem in found["problems"]:
        if problem["level"] == "warning":
            warning = f"{report.where(found, problem)}: {problem['text']}"
            typer.echo(f"advisor: warning: {warning}", err=True)
    if not found["ok"]:
        broken = [each["rule"] for each in found["problems"] if each["level"] == "error"]
        remedies = [f"{rule}: {PROBLEMS[rule][1]}" for rule in PROBLEMS if rule in broken]
        raise CheckFailed(report.summary(found), remedy="\n  ".join(remedies))


def _stated(intent: Intent) -> dict[str, Any]:
    """What advisor.yml says, by the names that a recommendation has for it."""
    from advisor.resolve import resolve

    resolved = resolve(intent, None, None, {}).values
    return {key: one.value for key, one in resolved.items() if one.from_ == "config"}


def _data(directory: Path, found: Examined, *, strict: bool, diff: bool) -> dict[str, Any]:
    problems = [
        dataclasses.asdict(problem)
        | {"level": "error" if strict or problem.rule != "not-run" else "warning"}
        for problem in found.problems
    ]
    return {
        "directory": directory.as_posix(),
        "ok": all(problem["level"] == "warning" for problem in problems),
        "files": found.files,
        "problems": problems,
        "checks": [dataclasses.asdict(result) for result in found.checks],
        **({"diff": found.difference} if diff else {}),
    }
