"""Making a recommendation from what the command line names: shared by recommend and explain."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from advisor.documents import Facts, Measurement, Recommendation, Server
    from advisor.faults import Fault
    from advisor.intent import Intent

ConfigOption = Annotated[Path | None, typer.Option("--config", help="advisor.yml: what you want.")]
FactsOption = Annotated[
    Path | None, typer.Option("--facts", help="Facts of another host (advisor inspect -o).")
]
MeasurementOption = Annotated[
    Path | None, typer.Option("--measurement", help="A measurement (advisor probe -o).")
]
ConcurrencyOption = Annotated[
    str | None, typer.Option(metavar="N", help="Requests in flight to predict for.")
]
CpusOption = Annotated[
    str | None, typer.Option(metavar="F", help="CPUs the app may use, such as 2 or 0.5.")
]
MemoryOption = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Memory the app may use, reloads included: 700M, 4G."),
]


class Made(NamedTuple):
    """A recommendation and what it was made from, as far as that is at hand."""

    rec: Recommendation
    facts: Facts | None = None
    measurement: Measurement | None = None
    server: Server | None = None


def budget(concurrency: str | None, cpus: str | None, memory: str | None) -> dict[str, Any]:
    """The command line's own amounts, as `advisor.recommend` takes them."""
    from advisor.cli import options

    return {
        "concurrency": options.whole("--concurrency", concurrency),
        "cpus": options.number("--cpus", cpus),
        "memory_bytes": options.size("--memory", memory),
    }


def read_intent(path: Path | None) -> Intent | None:
    """advisor.yml, checked as far as it can be before anything is measured."""
    from advisor import files
    from advisor.intent import Intent

    return files.read(Intent, path, also=_wrong_pins) if path else None


def _wrong_pins(data: dict[str, Any]) -> Iterator[Fault]:
    """The pins that no rule knows or takes, beside what is wrong with the other keys."""
    from advisor.rules import wrong_pins

    pins = data.get("pins")
    named = {k: v for k, v in pins.items() if isinstance(k, str)} if isinstance(pins, dict) else {}
    for id_, reason in wrong_pins(named).items():
        yield ("pins", id_), f"pins: {id_}: {reason}"


@contextmanager
def about(config: Path | None) -> Iterator[None]:
    """Keys that contradict what was found are named with advisor.yml's own path and line."""
    from advisor import faults
    from advisor.errors import InvalidInput

    try:
        yield
    except InvalidInput as error:
        if config is None or not error.message.startswith("advisor.yml: "):
            raise
        text = config.read_text(encoding="utf-8")
        message = faults.relocated(error.message, name=str(config), text=text)
        raise InvalidInput(message, remedy=error.remedy) from None


def read_measurement(path: Path | None) -> Measurement | None:
    """The measurement in a file; `InvalidInput` or `TooLittleEvidence` where it is of no use."""
    from advisor import files, guards
    from advisor.documents import Measurement
    from advisor.errors import InvalidInput

    if path is None:
        return None
    try:
        found = files.read(Measurement, path)
    except InvalidInput as error:
        raise InvalidInput(error.message, remedy=guards.AGAIN) from None
    guards.check(found, str(path))
    return found


def make(
    intent: Intent | None,
    given: Facts | None,
    measurement: Measurement | None,
    *,
    pid: int | None,
    single: bool,
    amounts: dict[str, Any],
    nameless: bool = False,
) -> list[Made]:
    """The recommendations for the apps asked about; exactly one where `single`.

    `given` are another host's facts, otherwise this one is looked at. `nameless`: an app that is
    measured but not known here needs no advisor.yml.
    """
    from advisor import guards
    from advisor.recommend import recommend
    from advisor.selection import servers_for

    facts_of = (lambda _pid: given) if given else _here(intent.app.virtualenv if intent else None)
    facts = facts_of(pid)
    servers = servers_for(facts, measurement, intent, pid=pid, single=single)
    if measurement and (gap := guards.elsewhere(facts, measurement)):
        typer.echo(f"advisor: warning: {gap.why}.\n  {gap.remedy}", err=True)
    if nameless and measurement and not intent and servers == [None]:
        intent = _nameless(measurement)
    return [
        Made(
            recommend(own, measurement, intent, server=server, **amounts), own, measurement, server
        )
        for server in servers
        # The limits that count are those of the server's own process.
        for own in [facts_of(server.pid) if server else facts]
    ]


def _nameless(measurement: Measurement) -> Intent:
    """An app of which only the measurement is known. What it is called reaches no variable."""
    from advisor.intent import Intent

    kinds = {"gunicorn", "uvicorn", "hypercorn", "granian"}
    server = measurement.target.server
    return Intent.model_validate(
        {"app": {"module": "app"}, "server": server if server in kinds else None}
    )


def _here(virtualenv: str | None) -> Callable[[int | None], Facts]:
    """What tells the facts of any process of this host, which is looked at once."""
    from advisor.host import look

    return partial(look().facts, virtualenv=Path(virtualenv) if virtualenv else None)
