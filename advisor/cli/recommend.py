"""`advisor recommend [URL]`: settings, reasons, findings, predictions."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from advisor.cli import fleet
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
from advisor.cli.fleet import InventoryOption, LimitOption
from advisor.cli.options import (
    EndpointOption,
    PidOption,
    PublicOption,
    RemoteOption,
    RoutesOption,
    SaturateOption,
    UnixSocketOption,
)

if TYPE_CHECKING:
    from advisor.documents import Measurement, Recommendation, Server, Value
    from advisor.report.recommendation import Beside


class Format(StrEnum):
    """How the recommendation is printed."""

    table = "table"
    json = "json"
    yaml = "yaml"
    env = "env"


def command(
    url: Annotated[
        str | None, typer.Argument(help="A route of the running app to measure first.")
    ] = None,
    config: ConfigOption = None,
    facts_file: FactsOption = None,
    inventory: InventoryOption = None,
    limit: LimitOption = None,
    measurement_file: MeasurementOption = None,
    concurrency: ConcurrencyOption = None,
    cpus: CpusOption = None,
    memory: MemoryOption = None,
    pid: PidOption = None,
    unix_socket: UnixSocketOption = None,
    endpoint: EndpointOption = None,
    routes: RoutesOption = None,
    measured_only: Annotated[
        bool, typer.Option("--require-measured", help="Exit 4 rather than fall back.")
    ] = False,
    remote: RemoteOption = False,
    public: PublicOption = False,
    saturate: SaturateOption = False,
    format_: Annotated[
        Format, typer.Option("--format", help="How to print it; env is for a shell's eval.")
    ] = Format.table,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show what stays at its product's default too.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Write the document (.json or .yml); with -i a folder."
        ),
    ] = None,
) -> None:
    """Say what to set for an app on this host, and why.

    With a URL the running app is measured first; without one no request is sent, and what
    cannot be seen is a labelled fall-back. With -i the hosts of an inventory are looked at instead,
    and those of one shape share a recommendation.
    """
    from advisor import files
    from advisor.documents import Facts, Recommendation
    from advisor.errors import InvalidInput
    from advisor.recommend import require_measured

    shape = Format.json if as_json else format_
    amounts = budget(concurrency, cpus, memory)
    if url and measurement_file:
        raise InvalidInput("URL and --measurement: give one of them, not both")
    if not url and (endpoint or routes or unix_socket):
        raise InvalidInput("--endpoint, --routes and --unix-socket: need a URL to measure")
    if inventory:
        alone = {
            "URL": url,
            "--facts": facts_file,
            "--pid": pid,
            "--format": shape not in {Format.table, Format.json},
        }
        if wrong := [name for name, given in alone.items() if given]:
            raise InvalidInput(f"-i {inventory}: goes with no {', '.join(wrong)}")
        measurement = read_measurement(measurement_file)
        if measured_only:
            require_measured(measurement)
        fleet.recommend(
            inventory,
            read_intent(config),
            measurement,
            config=config,
            limit=limit,
            amounts=amounts,
            as_json=shape is Format.json,
            everything=everything,
            output=output,
        )
        return
    if limit:
        raise InvalidInput("--limit: needs an inventory, -i")
    if output:
        files.check_replaceable(output, Recommendation)
    intent = read_intent(config)
    given = files.read(Facts, facts_file) if facts_file else None
    measurement = (
        _probed(
            url,
            pid=pid,
            unix_socket=unix_socket,
            endpoints=tuple(endpoint or ()),
            source=routes.value if routes else None,
            remote=remote,
            public=public,
            saturate=saturate,
        )
        if url
        else read_measurement(measurement_file)
    )
    if measured_only:
        require_measured(measurement)
    with about(config):
        made = make(
            intent,
            given,
            measurement,
            pid=pid,
            single=bool(output) or shape is not Format.table,
            amounts=amounts,
            nameless=shape is Format.env and not output,
        )
    texts = [_shown(each, shape, output, everything=everything) for each in made]
    if output:
        files.write_document(made[0].rec, output)
        typer.echo(f"Recommendation written to {output}.", err=True)
    typer.echo("\n\n".join(texts), nl=False)


def _probed(
    url: str,
    *,
    pid: int | None,
    unix_socket: Path | None,
    endpoints: tuple[str, ...],
    source: Literal["openapi", "log"] | None,
    **allowed: bool,
) -> Measurement:
    from advisor import guards
    from advisor.probe import Allowed, Choice, probe

    found = probe(
        url,
        pid=pid,
        unix_socket=unix_socket,
        choice=Choice(endpoints, source),
        allowed=Allowed(**allowed, classes=True),
        on_progress=lambda line: typer.echo(line, err=True),
    )
    guards.check(found, url)
    return found


def shown(
    rec: Recommendation, server: Server | None, output: Path | None, *, everything: bool
) -> str:
    """A recommendation as a table, beside the app as it runs now."""
    from advisor.report.recommendation import table

    saved_as = str(output) if output else None
    return table(rec, saved_as=saved_as, beside=_beside(rec, server), everything=everything)


def _shown(made: Made, shape: Format, output: Path | None, *, everything: bool) -> str:
    from advisor import files
    from advisor.report.environment import environment

    if shape is Format.table:
        return shown(made.rec, made.server, output, everything=everything)
    if shape is Format.env:
        return environment(made.rec)
    return files.dump(made.rec, is_json=shape is Format.json)


def _beside(rec: Recommendation, server: Server | None) -> Beside:
    """The products' defaults, how the server runs now, and what render can write of it."""
    from advisor.errors import InvalidInput
    from advisor.render import not_rendered, render
    from advisor.report.recommendation import Beside
    from advisor.rules import RULES

    refusal, by_hand = None, []
    try:
        render(rec)
        by_hand = not_rendered(rec)
    except InvalidInput as error:
        refusal = _named(error.message)
    return Beside(
        defaults={id_: rule.default for id_, rule in RULES.items()},
        now=_now(server),
        by_hand=frozenset(by_hand),
        refusal=refusal,
    )


def _named(message: str) -> str:
    """The keys that render names in what it refuses, a line each: `recommendation: tls: ...`."""
    keys = [line.split(": ")[1] for line in message.splitlines() if line.count(": ") > 1]
    return ", ".join(dict.fromkeys(keys)) or message


def _now(server: Server | None) -> dict[str, Value]:
    """What runs, by the setting that would say so."""
    if server is None:
        return {}
    return {
        f"{server.kind}.workers": len(server.workers) or None,
        f"{server.kind}.worker_class": server.worker_class,
        f"{server.kind}.threads": server.threads,
    }
