"""What a run measured, kept on the disk: another model can be held against the same loads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from advisor import files
from advisor.documents import Facts, Measurement
from advisor.errors import InvalidInput
from benchmarks.prediction.known import Known
from benchmarks.prediction.rows import Load

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.regret.apps import Case


def runs(folder: Path) -> list[Path]:
    """The runs of a folder; `InvalidInput` where there are none."""
    found = sorted(each for each in folder.glob("*") if each.is_dir())
    if not found:
        raise InvalidInput(f"{folder} holds no runs", remedy="Write some: --keep DIR.")
    return found


def write(known: Known, loads: list[Load], folder: Path) -> None:
    """Keep an app's measurement and the loads after it."""
    folder.mkdir(parents=True, exist_ok=True)
    for document in (known.facts, known.seen):
        files.write_document(document, _document(folder, known.case, type(document)))
    data = {"piece_s": known.piece_s, "loads": [load.as_data() for load in loads]}
    files.write_atomic(_loads(folder, known.case), json.dumps(data, indent=1).encode())


def read(case: Case, folder: Path) -> tuple[Known, list[Load]]:
    """The same; `InvalidInput` or `OSError` where a run has nothing of this app."""
    facts = files.read(Facts, _document(folder, case, Facts))
    seen = files.read(Measurement, _document(folder, case, Measurement))
    data = json.loads(_loads(folder, case).read_text())
    server = next(each for each in facts.servers if each.pid == facts.pid)
    loads = [Load.of(each) for each in data["loads"]]
    return Known(case, facts, seen, server, data["piece_s"]), loads


def _document(folder: Path, case: Case, kind: type) -> Path:
    return folder / f"{case.slug}.{kind.__name__.lower()}.json"


def _loads(folder: Path, case: Case) -> Path:
    return folder / f"{case.slug}.loads.json"
