"""promtool's checks of jobs, alerts and panels, and ours of how they belong together.

promtool looks at one file at a time: a rule that asks for a job which nothing scrapes is right to
it, and never fires. It knows no dashboards, so that their queries are handed to it as rules.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.errors import InvalidInput
from advisor.files import parse
from advisor.render.checks.result import CheckResult, find_program, other_version, run, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from advisor.render.rendering import File
    from advisor.render.values import Inputs

OWN = "jobs and panels"
# Grafana: dashboard JSON model, uid; a grid of 24 columns.
LONGEST_UID, COLUMNS = 40, 24

_VERSION = re.compile(r"promtool, version (\S+)")
_JOB = re.compile(r'\bjob=~?"([^"]*)"')
_SELECTOR = re.compile(r"\{[^{}]*\}")
# What stands before a line's own words, and the line that only leads to the next.
_BEFORE = re.compile(r"^\s*(?:FAILED:)?\s*(?:parsing YAML file )?")
_EMPTY = frozenset({"", "unmarshal errors:"})
_AT = re.compile(r"(?:line )?(?P<at>\d+(?::\d+)?): (?P<what>.*)")
_PANEL = re.compile(r'.*"panel:(?P<number>\d+)": (?P<what>.*)')


def check(files: Sequence[File], inputs: Inputs) -> list[CheckResult]:
    """Ours of each file, then promtool's of those that can be read."""
    parsed: dict[str, Any] = {}
    unread: list[CheckResult] = []
    for file in files:
        try:
            data = parse(file.content.decode(), name=file.path, is_json=file.path.endswith(".json"))
            _shape(data, file.path)
            parsed[file.path] = data
        except InvalidInput as error:
            unread.append(verdict(file.path, OWN, str(error).splitlines()))
    readable = [file for file in files if file.path in parsed]
    scraped = {job for data in parsed.values() for job in _scraped(data)}
    own = [
        verdict(file.path, OWN, list(_wrong(file, parsed[file.path], scraped))) for file in readable
    ]
    return [*unread, *own, *_promtool(readable, parsed, inputs)]


def _shape(data: Any, path: str) -> None:
    """Refuse what is none of the three kinds of file, before anything is looked up in it."""
    lists = {
        "scrape_configs": ("job_name",),
        "groups": ("name", "rules"),
        "panels": ("id", "title", "gridPos", "targets"),
    }
    key = next((key for key in lists if isinstance(data, dict) and key in data), None)
    if key is None:
        raise InvalidInput(f"{path}: holds no scrape_configs, no groups and no panels")
    entries = data[key]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidInput(f"{path}: {key} should be a list of mappings")
    for number, entry in enumerate(entries, 1):
        for needed in lists[key]:
            if needed not in entry:
                raise InvalidInput(f"{path}: number {number} of {key} has no {needed}")


def _scraped(data: dict[str, Any]) -> list[str]:
    return [str(job["job_name"]) for job in data.get("scrape_configs", [])]


def _wrong(file: File, data: dict[str, Any], scraped: set[str]) -> Iterator[str]:
    """What promtool and Grafana let through; without the jobs themselves none is asked for."""
    queries = list(_queries(data))
    for name, count in Counter(name for name, _ in queries).items():
        if count > 1:
            yield f"{_placed(file, name)}: {name} is there {count} times"
    for name, expr in queries:
        asked = set(_JOB.findall(expr))
        # Selectors, and no group of an aggregation: those stand in round brackets.
        if not asked or not all(map(_JOB.search, _SELECTOR.findall(expr))):
            yield f"{_placed(file, name)}: {name} asks for no job, and means anybody's figures"
        for job in sorted(asked - scraped) if scraped else ():
            yield f"{_placed(file, name)}: {name} asks for the job {job}, which nothing scrapes"
    if "panels" in data:
        yield from _misplaced(file, data)


def _queries(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each alert and each panel by its name, with what it asks Prometheus."""
    for group in data.get("groups", []):
        for rule in group["rules"]:
            yield str(rule.get("alert", rule.get("record", "a rule"))), str(rule.get("expr", ""))
    for panel in data.get("panels", []):
        for target in panel["targets"]:
            yield str(panel["title"]), str(target.get("expr", ""))


def _misplaced(file: File, data: dict[str, Any]) -> Iterator[str]:
    """Panels that share a number or a place, and a uid that Grafana does not take."""
    uid = data.get("uid")
    if not isinstance(uid, str) or not 0 < len(uid) <= LONGEST_UID:
        yield f"{file.path}: uid should be text of at most {LONGEST_UID} characters"
    panels = data["panels"]
    for number, count in Counter(panel["id"] for panel in panels).items():
        if count > 1:
            yield f"{file.path}: {count} panels have the id {number}"
    for panel in panels:
        x, _, width, _ = _place(panel)
        if x < 0 or x + width > COLUMNS:
            yield f"{_placed(file, panel['title'])}: {panel['title']} is outside of the grid"
    for one, other in combinations(panels, 2):
        if _overlap(_place(one), _place(other)):
            yield (
                f"{_placed(file, other['title'])}: {other['title']} lies on top of {one['title']}"
            )


def _place(panel: dict[str, Any]) -> tuple[int, int, int, int]:
    x, y, width, height = (int(panel["gridPos"].get(key, 0)) for key in ("x", "y", "w", "h"))
    return x, y, width, height


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return all(
        one[axis] < other[axis] + other[axis + 2] and other[axis] < one[axis] + one[axis + 2]
        for axis in (0, 1)
    )


def _placed(file: File, name: str) -> str:
    """The path and, where the name stands in quotes in the file, the first line that has it."""
    for number, line in enumerate(file.content.decode().split("\n"), 1):
        if re.search(rf"""['"]{re.escape(str(name))}['"]""", line):
            return f"{file.path}:{number}"
    return file.path


def _promtool(files: Sequence[File], parsed: dict[str, Any], inputs: Inputs) -> list[CheckResult]:
    program = find_program("promtool")
    if program is None:
        why = "promtool is not installed here"
        return [CheckResult(file.path, "promtool", "not_run", (why,)) for file in files]
    asked = run([program, "--version"])
    found = _VERSION.search(asked.stdout + asked.stderr)
    version = found[1] if found else "of unknown version"
    other = other_version(inputs, "prometheus", version, parts=2)
    if other:
        name = f"promtool {version}"
        return [CheckResult(file.path, name, "not_run", (other,)) for file in files]
    return [_checked(program, version, file, parsed[file.path]) for file in files]


def _checked(program: str, version: str, file: File, data: dict[str, Any]) -> CheckResult:
    """One file by the check of its kind; of a dashboard, the queries as rules."""
    kind = "config" if "scrape_configs" in data else "rules"
    is_dashboard = "panels" in data
    content = _as_rules(data).encode() if is_dashboard else file.content
    with tempfile.TemporaryDirectory(prefix="advisor-") as folder:
        staged = Path(folder) / "staged.yml"
        staged.write_bytes(content)
        done = run([program, "check", kind, staged])
    said = (
        [_words(line, str(staged)) for line in done.stderr.splitlines()] if done.code != 0 else []
    )
    placed = _panel_named if is_dashboard else _placed_at
    lines = [placed(file, data, words) for words in said if words not in _EMPTY]
    if done.code != 0 and not lines:
        lines = [f"{file.path}: promtool ended with {done.code}"]
    stand_ins = ["its queries as recording rules"] if is_dashboard else []
    name = f"promtool {version} check {kind}"
    return verdict(file.path, name, lines, stand_ins=stand_ins)


def _as_rules(data: dict[str, Any]) -> str:
    """Recording rules of all queries, numbered as they are: JSON, which is YAML too."""
    rules = [
        {"record": f"panel:{number}", "expr": expr}
        for number, (_, expr) in enumerate(_queries(data))
    ]
    return json.dumps({"groups": [{"name": "panels", "rules": rules}]})


def _words(line: str, staged: str) -> str:
    """What promtool says, without the name of the staged file."""
    return _BEFORE.sub("", line, count=1).removeprefix(f"{staged}: ").removeprefix("yaml: ")


def _placed_at(file: File, _: dict[str, Any], words: str) -> str:
    """`9:15: what` and `line 9: what` with the path before."""
    match = _AT.fullmatch(words)
    return f"{file.path}:{match['at']}: {match['what']}" if match else f"{file.path}: {words}"


def _panel_named(file: File, data: dict[str, Any], words: str) -> str:
    match = _PANEL.match(words)
    if match is None:
        return f"{file.path}: {words}"
    name = list(_queries(data))[int(match["number"])][0]
    return f"{_placed(file, name)}: {name}: {match['what']}"
