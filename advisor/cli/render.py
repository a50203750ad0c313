"""advisor render: a recommendation to files, each checked by its daemon."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.documents import Recommendation
    from advisor.render import Change, CheckResult, File

MARKS = {"passed": "passed", "failed": "FAILED", "not_run": "not run"}


@dataclass(frozen=True)
class Tree:
    """One tree: its folders below the output ("" for the output itself), and its files.

    Hosts of a fleet that have the same recommendation have a folder each, and one check.
    """

    folders: tuple[str, ...]
    rec: Recommendation
    files: Sequence[File]


def command(
    rec: Annotated[
        Path,
        typer.Argument(
            metavar="REC", help="A recommendation (.yml or .json), or a folder of one a host."
        ),
    ],
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
    """Write the files of a recommendation, each checked by its daemon first.

    A folder that advisor recommend -i wrote becomes DIR/hosts/NAME/ for each of its hosts.
    """
    from advisor.errors import CheckFailed
    from advisor.render import check, plan

    trees = _trees(rec)
    for tree in trees:  # what is in the way is said before the checks
        for folder in tree.folders:
            if (directory / folder).parent.is_dir() or not folder:
                plan(tree.files, directory / folder, overwrite=overwrite)
    verdicts = [_placed(check(tree.files, tree.rec), tree.folders[0]) for tree in trees]
    results = [result for verdict in verdicts for result in verdict]
    _warn(results)
    _note_left_out(trees)
    _note_left_over(trees, directory)
    refused = [result for result in results if result.status == "failed"]
    if strict:
        refused += [result for result in results if result.status == "not_run"]
    changes = [] if refused else _written(trees, directory, overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps(_data(changes, results), indent=2, ensure_ascii=False))
    else:
        typer.echo(_text(changes, results, directory))
    if refused:
        lines = [f"{result.check}: {line}" for result in refused for line in result.lines]
        raise CheckFailed("\n".join(["nothing was written:", *lines]), remedy=_remedy(refused))


def _trees(path: Path) -> list[Tree]:
    """The trees of a recommendation, or of a folder's, those of the same bytes together."""
    from advisor.documents import Recommendation
    from advisor.errors import InvalidInput
    from advisor.files import read
    from advisor.render import render

    paths = {"": path}
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if each.suffix in {".yml", ".yaml", ".json"})
        paths = {f"hosts/{each.stem}": each for each in found if not each.name.startswith(".")}
        if len(paths) < len(found) or not found:
            raise InvalidInput(
                f"{path}: should hold one recommendation a host, named by it: web1.yml",
                remedy="Make them: advisor recommend -i INVENTORY -o FOLDER.",
            )
    trees: dict[bytes, Tree] = {}
    for folder, each in paths.items():
        rec = read(Recommendation, each)
        _known(rec)
        files = render(rec)
        key = b"\0".join(file.content for file in files)
        same = trees.get(key)
        trees[key] = (
            replace(same, folders=(*same.folders, folder)) if same else Tree((folder,), rec, files)
        )
    return list(trees.values())


def _written(trees: Sequence[Tree], directory: Path, *, overwrite: bool) -> list[Change]:
    """What became of every file, by its path below the output."""
    from advisor.errors import InvalidInput
    from advisor.render import write

    changes: list[Change] = []
    for tree in trees:
        for folder in tree.folders:
            target = directory / folder
            if folder:
                try:
                    target.parent.mkdir(exist_ok=True, parents=directory.parent.is_dir())
                except OSError as error:
                    raise InvalidInput(f"-o {directory}: {error.strerror}") from None
            done = write(tree.files, target, overwrite=overwrite)
            changes += [replace(change, path=_below(folder, change.path)) for change in done]
    return changes


def _placed(results: Sequence[CheckResult], folder: str) -> list[CheckResult]:
    return [replace(result, path=_below(folder, result.path)) for result in results]


def _below(folder: str, path: str) -> str:
    return f"{folder}/{path}" if folder else path


def _note_left_out(trees: Sequence[Tree]) -> None:
    from advisor.render import not_rendered

    left = list(dict.fromkeys(id_ for tree in trees for id_ in not_rendered(tree.rec)))
    if left:
        typer.echo(
            f"advisor: note: left to you, for manage does not name their parts: {', '.join(left)}",
            err=True,
        )


def _note_left_over(trees: Sequence[Tree], directory: Path) -> None:
    """Hosts that an earlier rendering had: whether they still exist is not ours to say."""
    rendered = {folder for tree in trees for folder in tree.folders}
    fleet = directory / "hosts"
    if "" in rendered or not fleet.is_dir():
        return
    for name in sorted(f"hosts/{each.name}" for each in fleet.iterdir()):
        if name not in rendered:
            typer.echo(f"advisor: note: {directory / name}: of no host here; left", err=True)


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
