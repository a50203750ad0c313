"""advisor render: a recommendation to files, each checked by its daemon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.documents import Recommendation
    from advisor.render import Change, CheckResult

MARKS = {"passed": "passed", "failed": "FAILED", "not_run": "not run"}


def command(
    rec: Annotated[Path, typer.Argument(metavar="REC", help="A recommendation (.yml or .json).")],
    directory: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="The folder to write to.")
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files edited by hand or not ours.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="A check that cannot run is a failure (exit 1).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the files of a recommendation, each checked by its daemon first."""
    from advisor.documents import Recommendation
    from advisor.errors import CheckFailed
    from advisor.files import read
    from advisor.render import check, not_rendered, plan, render, write

    recommendation = read(Recommendation, rec)
    _known(recommendation)
    files = render(recommendation)
    plan(files, directory, overwrite=overwrite)  # what is in the way is said before the checks
    results = check(files, recommendation)
    _warn(results)
    if left := not_rendered(recommendation):
        typer.echo(
            f"advisor: note: left to you, for manage does not name their parts: {', '.join(left)}",
            err=True,
        )
    refused = [result for result in results if result.status == "failed"]
    if strict:
        refused += [result for result in results if result.status == "not_run"]
    changes = [] if refused else write(files, directory, overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps(_data(changes, results), indent=2, ensure_ascii=False))
    else:
        typer.echo(_text(changes, results, directory))
    if refused:
        lines = [f"{result.check}: {line}" for result in refused for line in result.lines]
        raise CheckFailed("\n".join(["nothing was written:", *lines]), remedy=_remedy(refused))


def _known(rec: Recommendation) -> None:
    """`InvalidInput` naming every setting that no rule knows: one misspelt would be lost."""
    from advisor.errors import InvalidInput
    from advisor.rules import RULES

    lines = [
        f"recommendation: {each.id}: unknown key" for each in rec.settings if each.id not in RULES
    ]
    if lines:
        raise InvalidInput("\n".join(lines), remedy="Correct it, or run advisor recommend again.")


def _warn(results: Sequence[CheckResult]) -> None:
    for result in results:
        if result.status == "not_run":
            why = "; ".join(result.lines)
            typer.echo(f"advisor: warning: {result.path}: {result.check}: not run: {why}", err=True)


def _remedy(refused: Sequence[CheckResult]) -> str:
    if all(result.status == "not_run" for result in refused):
        return "Install what could not run, in the target's version, or leave --strict out."
    return "Change the value or pin it in advisor.yml, and run advisor recommend again."


def _text(changes: Sequence[Change], results: Sequence[CheckResult], directory: Path) -> str:
    """A line a file, and beneath it a line for each check with what it stood in for."""
    states = {change.path: change.state for change in changes}
    paths = list(dict.fromkeys([*(result.path for result in results), *states]))
    lines: list[str] = []
    for path in paths:
        lines.append(f"{directory / path}: {states.get(path, 'not written')}")
        for result in results:
            if result.path == path:
                lines.append(f"  {MARKS[result.status]:8} {result.check}")
                lines.extend(f"           stand-in: {name}" for name in result.stand_ins)
    return "\n".join(lines)


def _data(changes: Sequence[Change], results: Sequence[CheckResult]) -> dict[str, Any]:
    return {
        "files": [{"path": change.path, "state": change.state} for change in changes],
        "checks": [
            {
                "path": result.path,
                "check": result.check,
                "status": result.status,
                "lines": list(result.lines),
                "stand_ins": list(result.stand_ins),
            }
            for result in results
        ],
    }
