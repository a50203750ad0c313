"""`advisor explain ID [REC]`: one setting, its rule, inputs, alternatives and source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from advisor.cli.advice import (
    ConcurrencyOption,
    ConfigOption,
    CpusOption,
    FactsOption,
    Made,
    MeasurementOption,
    MemoryOption,
    about,
    budget,
    make,
    read_intent,
    read_measurement,
)
from advisor.cli.options import PidOption

if TYPE_CHECKING:
    from advisor.documents import Recommendation
    from advisor.errors import InvalidInput


def command(
    id_: Annotated[str, typer.Argument(metavar="ID", help="A setting, such as gunicorn.workers.")],
    rec: Annotated[
        Path | None, typer.Argument(metavar="[REC]", help="A recommendation (.yml or .json).")
    ] = None,
    config: ConfigOption = None,
    facts_file: FactsOption = None,
    measurement_file: MeasurementOption = None,
    concurrency: ConcurrencyOption = None,
    cpus: CpusOption = None,
    memory: MemoryOption = None,
    pid: PidOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain one setting: its rule, what that rests on, and what would change it.

    Without REC the recommendation is made first, as advisor recommend does without a URL.
    """
    from advisor import files
    from advisor.documents import Facts, Recommendation
    from advisor.errors import InvalidInput
    from advisor.report import explain
    from advisor.report.origins import origins

    amounts = budget(concurrency, cpus, memory)
    if rec:
        if config or facts_file or measurement_file or pid or any(amounts.values()):
            raise InvalidInput(
                f"{rec}: a recommendation that is made takes no options to make one",
                remedy="Leave out either.",
            )
        made = Made(files.read(Recommendation, rec))
    else:
        intent = read_intent(config)
        given = files.read(Facts, facts_file) if facts_file else None
        measurement = read_measurement(measurement_file)
        with about(config):
            (made,) = make(intent, given, measurement, pid=pid, single=True, amounts=amounts)
    setting = next((each for each in made.rec.settings if each.id == id_), None)
    gap = next((each for each in made.rec.unknown if each.what == id_), None)
    words = _words(id_)
    if setting is None and gap is None and words is None:
        raise _no_such(id_, made.rec)
    where = origins(setting, made.rec, made.facts, made.measurement) if setting else {}
    if as_json:
        data = explain.as_data(id_, setting=setting, words=words, origins=where, gap=gap)
        text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    elif setting:
        text = explain.explained(setting, made.rec, words=words, origins=where)
    else:
        text = explain.absent(id_, made.rec, words=words, gap=gap)
    typer.echo(text, nl=False)


def _words(id_: str) -> str | None:
    """The docstring of the setting's rule; None where this version has no such rule."""
    import inspect

    from advisor.rules import RULES

    return inspect.getdoc(RULES[id_].decide) if id_ in RULES else None


def _no_such(id_: str, rec: Recommendation) -> InvalidInput:
    from difflib import get_close_matches

    from advisor.errors import InvalidInput
    from advisor.rules import RULES

    every = dict.fromkeys([*(setting.id for setting in rec.settings), *RULES])
    near = get_close_matches(id_, every, n=3)
    every_one = "advisor recommend --all lists every setting."
    return InvalidInput(
        f"{id_}: no such setting", remedy=f"Near it: {', '.join(near)}." if near else every_one
    )
