"""`advisor recommend [URL]`: settings, reasons, findings, predictions."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

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
    from advisor.documents import Facts, Measurement, Recommendation, Server


class Format(StrEnum):
    """How the recommendation is printed."""

    table = "table"
    json = "json"
    yaml = "yaml"


def command(
    url: Annotated[
        str | None, typer.Argument(help="A route of the running app to measure first.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="advisor.yml: what you want.")
    ] = None,
    facts_file: Annotated[
        Path | None, typer.Option("--facts", help="Facts of another host (advisor inspect -o).")
    ] = None,
    measurement_file: Annotated[
        Path | None, typer.Option("--measurement", help="A measurement (advisor probe -o).")
    ] = None,
    concurrency: Annotated[
        str | None, typer.Option(metavar="N", help="Requests in flight to predict for.")
    ] = None,
    cpus: Annotated[
        str | None, typer.Option(metavar="F", help="CPUs the app may use, such as 2 or 0.5.")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory the app may use, reloads included: 700M, 4G."),
    ] = None,
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
    format_: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.table,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the document (.json or .yml).")
    ] = None,
) -> None:
    """Say what to set for an app on this host, and why.

    With a URL the running app is measured first; without one no request is sent, and what
    cannot be seen is a labelled fall-back.
    """
    from advisor import files
    from advisor.cli import options
    from advisor.documents import Facts, Recommendation
    from advisor.errors import InvalidInput
    from advisor.intent import Intent
    from advisor.recommend import check_intent, recommend, require_measured
    from advisor.selection import servers_for

    shape = Format.json if as_json else format_
    budget: dict[str, Any] = {
        "concurrency": options.whole("--concurrency", concurrency),
        "cpus": options.number("--cpus", cpus),
        "memory_bytes": options.size("--memory", memory),
    }
    if url and measurement_file:
        raise InvalidInput("URL and --measurement: give one of them, not both")
    if not url and (endpoint or routes or unix_socket):
        raise InvalidInput("--endpoint, --routes and --unix-socket: need a URL to measure")
    if output:
        files.check_replaceable(output, Recommendation)
    intent = files.read(Intent, config) if config else None
    if intent:
        check_intent(intent)
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
        else _read(measurement_file)
    )
    if measured_only:
        require_measured(measurement)
    facts = given or _gathered(pid, intent.app.virtualenv if intent else None)
    servers = servers_for(
        facts, measurement, intent, pid=pid, single=bool(output) or shape is not Format.table
    )
    made = [
        recommend(_limits_of(server, facts, given), measurement, intent, server=server, **budget)
        for server in servers
    ]
    if output:
        files.write_document(made[0], output)
        typer.echo(f"Recommendation written to {output}.", err=True)
    typer.echo("\n\n".join(_shown(each, shape, output) for each in made), nl=False)


def _read(path: Path | None) -> Measurement | None:
    from advisor import files
    from advisor.documents import Measurement

    return files.read(Measurement, path) if path else None


def _probed(
    url: str,
    *,
    pid: int | None,
    unix_socket: Path | None,
    endpoints: tuple[str, ...],
    source: Literal["openapi", "log"] | None,
    **allowed: bool,
) -> Measurement:
    from advisor.probe import Allowed, Choice, probe

    return probe(
        url,
        pid=pid,
        unix_socket=unix_socket,
        choice=Choice(endpoints, source),
        allowed=Allowed(**allowed),
        on_progress=lambda line: typer.echo(line, err=True),
    )


def _gathered(pid: int | None, virtualenv: str | None = None) -> Facts:
    from advisor.host import gather

    return gather(pid, virtualenv=Path(virtualenv) if virtualenv else None)


def _limits_of(server: Server | None, facts: Facts, given: Facts | None) -> Facts:
    """The facts with the limits of the server's own process, which are the ones that count."""
    if given or server is None or facts.pid == server.pid:
        return facts
    return _gathered(server.pid)


def _shown(rec: Recommendation, shape: Format, output: Path | None) -> str:
    from advisor import files
    from advisor.report.recommendation import table

    if shape is Format.table:
        return table(rec, saved_as=str(output) if output else None)
    return files.dump(rec, is_json=shape is Format.json)
