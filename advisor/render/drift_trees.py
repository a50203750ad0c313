"""The trees of a folder, each held against its manifest, its inputs and the daemons."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from advisor.documents import Recommendation
from advisor.errors import InvalidInput
from advisor.files import parse, validate
from advisor.render.checks import CheckResult, check
from advisor.render.drift import Problem, difference, of_checks, of_config, of_files, placed
from advisor.render.kit import COMPONENTS
from advisor.render.rendering import RECOMMENDATION_PATH, render
from advisor.render.tree import MANIFEST_PATH, digests, present, read_manifest, standings
from advisor.render.values import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from advisor.render.rendering import File
    from advisor.render.tree import Standing

FLEET = "hosts"


@dataclass(frozen=True)
class Examined:
    """What was found in a folder: `files` counts those that would be rendered."""

    files: int
    problems: tuple[Problem, ...]
    checks: tuple[CheckResult, ...]
    difference: str


def examine(
    directory: Path, stated: Mapping[str, Any] | None = None, *, are_checked: bool = True
) -> Examined:
    """Every tree in a folder: its own, and a fleet's under hosts/, with `hosts/<name>/` before.

    `stated` holds what advisor.yml says, by the names of the recommendation's intent. Nothing is
    written, and nothing that stands in the folder is run: the daemons check what is rendered
    anew, for a configuration can run code as it is read; without `are_checked` they are not asked.
    Raises `InvalidInput` where there is no tree.
    """
    verdicts: dict[str, list[CheckResult]] | None = {} if are_checked else None
    found = [(name, _examine(directory / name, stated, verdicts)) for name in trees(directory)]
    before = {name: f"{name}/" if name else "" for name, _ in found}
    return Examined(
        files=sum(one.files for _, one in found),
        problems=tuple(
            replace(problem, path=before[name] + problem.path)
            for name, one in found
            for problem in one.problems
        ),
        checks=tuple(
            replace(result, path=before[name] + result.path)
            for name, one in found
            for result in one.checks
        ),
        difference="".join(one.difference for _, one in found),
    )


def trees(directory: Path) -> list[str]:
    """The trees of a folder by name: "" for its own, `hosts/<name>` for those of a fleet."""
    try:
        names = {path.name for path in directory.iterdir()}
        fleet = directory / FLEET
        hosts = sorted(fleet.iterdir()) if FLEET in names and fleet.is_dir() else []
        own = [""] if _holds_tree(directory) else []
        theirs = [f"{FLEET}/{host.name}" for host in hosts if host.is_dir()]
        if not any(_holds_tree(directory / name) for name in theirs):
            theirs = []
    except OSError as error:
        raise InvalidInput(f"{error.filename}: {error.strerror}") from None
    if not own and not theirs:
        raise InvalidInput(
            f"{directory}: holds no rendered tree: there is no {RECOMMENDATION_PATH}",
            remedy="Make one: advisor render REC -o DIR.",
        )
    return [*own, *theirs]


def _holds_tree(directory: Path) -> bool:
    """Whether a manifest or recommendation is there, be it a broken link."""
    for path in (MANIFEST_PATH, RECOMMENDATION_PATH):
        try:
            (directory / path).lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        return True
    return False


def _examine(
    directory: Path, stated: Mapping[str, Any] | None, verdicts: dict[str, list[CheckResult]] | None
) -> Examined:
    kept = present(directory / RECOMMENDATION_PATH, directory)
    text = kept.decode("utf-8", "replace") if isinstance(kept, bytes) else ""
    problems: list[Problem] = []
    files: list[File] = []
    results: list[CheckResult] = []
    try:
        if isinstance(kept, bytes):
            rec = _recommendation(text)
            problems += of_config(stated, rec, text) if stated is not None else []
            files = render(rec)
            results = [] if verdicts is None else _checked(files, rec, verdicts)
    except InvalidInput as error:
        problems += [_unusable(line, text) for line in error.message.splitlines()]
    manifest = present(directory / MANIFEST_PATH, directory)
    # Where there is no manifest, what would be rendered stands in for it.
    known = read_manifest(directory) if isinstance(manifest, bytes) else digests(files)
    found = standings(files, directory, known)
    problems += [*_of_own(MANIFEST_PATH, manifest), *_of_own(RECOMMENDATION_PATH, kept)]
    problems += of_files(found, is_rendered=bool(files))
    problems += [
        Problem("extra-file", path, None, words) for path, words in _strangers(found, directory)
    ]
    return Examined(
        files=len(files),
        problems=(*dict.fromkeys(problems), *of_checks(results)),
        checks=tuple(results),
        difference=difference(found, directory.as_posix()) if files else "",
    )


def _of_own(path: str, there: bytes | str | None) -> list[Problem]:
    """What is wrong with a file that makes the folder a tree."""
    if there is None:
        return [Problem("missing-file", path, None, "is not there")]
    return [Problem("hand-edit", path, None, there)] if isinstance(there, str) else []


def _recommendation(text: str) -> Recommendation:
    data = parse(text, name=RECOMMENDATION_PATH, is_json=False)
    return validate(Recommendation, data, name=RECOMMENDATION_PATH, text=text)


def _unusable(said: str, text: str) -> Problem:
    """A recommendation that cannot be read or rendered: `recommendation: domain: should be ...`."""
    words = said.removeprefix(f"{NAME}: ")
    if words == said:
        return placed("stale-input", RECOMMENDATION_PATH, said)
    key = words.partition(":")[0].partition("[")[0]
    return Problem("stale-input", RECOMMENDATION_PATH, _line_of(key, text), words)


def _line_of(key: str, text: str) -> int | None:
    """The line of a key of the intent, or of a setting, or of what holds it."""
    lines = [line.strip() for line in text.splitlines()]
    while key:
        for number, line in enumerate(lines, 1):
            if line.startswith(f"{key}:") or line == f"- id: {key}":
                return number
        key = key.rpartition(".")[0]
    return None


def _checked(
    files: Sequence[File], rec: Recommendation, verdicts: dict[str, list[CheckResult]]
) -> list[CheckResult]:
    """The daemons' verdicts; hosts of a fleet that have the same files share one."""
    data = rec.as_data()
    settings = {setting.id: setting.value for setting in rec.settings}
    contents = [(file.path, file.content.decode()) for file in files if file.output]
    key = json.dumps([contents, settings, data["app"], data["components"], data["intent"]])
    if key not in verdicts:
        verdicts[key] = check(files, rec)
    return verdicts[key]


def _strangers(found: Sequence[Standing], directory: Path) -> list[tuple[str, str]]:
    """What stands in the tree's folders and is not of the tree, where anything is known of it."""
    if not found:
        return []
    known = {one.path for one in found} | {MANIFEST_PATH, RECOMMENDATION_PATH}
    folders = {component.name for component in COMPONENTS}
    for path in known:
        parts = path.split("/")[:-1]
        folders |= {"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    strangers: list[tuple[str, str]] = []
    for folder in sorted(folders):
        try:
            strangers += _unknown(directory, folder, known | folders)
        except OSError as error:
            strangers.append((f"{folder}/", f"cannot be listed: {error.strerror}"))
    return strangers


def _unknown(directory: Path, folder: str, known: set[str]) -> Iterator[tuple[str, str]]:
    where = directory / folder
    if where.is_symlink() or not where.is_dir():
        return
    for name in sorted(path.name for path in where.iterdir()):
        path = f"{folder}/{name}"
        if path not in known:
            shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            yield shown, "is neither rendered nor in the manifest"
