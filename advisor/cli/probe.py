"""`advisor probe [URL]`: measure a running app."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from advisor.cli.options import (
    AccessLogOption,
    EndpointOption,
    LogFormatOption,
    PidOption,
    PublicOption,
    RemoteOption,
    RoutesOption,
    SaturateOption,
    UnixSocketOption,
)


def command(
    url: Annotated[
        str | None,
        typer.Argument(help="A route of the app, such as http://127.0.0.1:8000/."),
    ] = None,
    pid: PidOption = None,
    unix_socket: UnixSocketOption = None,
    endpoint: EndpointOption = None,
    routes: RoutesOption = None,
    observe: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Send nothing: watch real traffic for so long."),
    ] = None,
    access_log: AccessLogOption = None,
    log_format: LogFormatOption = None,
    stub_status: Annotated[
        str | None, typer.Option(metavar="URL", help="nginx's stub_status, for --observe.")
    ] = None,
    stacks: Annotated[
        bool, typer.Option("--stacks", help="Name the line that blocks an event loop (py-spy).")
    ] = False,
    remote: RemoteOption = False,
    public: PublicOption = False,
    saturate: SaturateOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the measurement as JSON.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the measurement (.json or .yml).")
    ] = None,
) -> None:
    """Measure a running app: what a request costs, what limits it, where the knee is.

    Sends GET requests to the named routes only, for at most 30 s; looks for the knee only where
    nobody else uses the app. With --observe it sends none, and reads the proxy's log instead.
    """
    from advisor import files
    from advisor.documents import Measurement
    from advisor.probe import Allowed, Choice, observe_app, probe
    from advisor.report.measurement import table

    if output:
        files.check_replaceable(output, Measurement)
    choice = Choice(
        endpoints=tuple(endpoint or ()),
        source=routes.value if routes else None,
        access_log=access_log,
        log_format=log_format,
    )
    allowed = Allowed(remote=remote, public=public, saturate=saturate, stacks=stacks)
    if observe is not None:
        result = observe_app(
            url,
            seconds=observe,
            pid=pid,
            unix_socket=unix_socket,
            choice=choice,
            stub_status=stub_status,
            allowed=allowed,
            on_progress=_progress,
        )
    else:
        result = probe(
            _needed(url, stub_status),
            pid=pid,
            unix_socket=unix_socket,
            choice=choice,
            allowed=allowed,
            on_progress=_progress,
        )
    if output:
        files.write_document(result, output)
        typer.echo(f"Measurement written to {output}.", err=True)
    saved = str(output) if output else None
    text = files.dump(result, is_json=True) if as_json else table(result, saved_as=saved)
    typer.echo(text, nl=False)


def _progress(line: str) -> None:
    typer.echo(line, err=True)


def _needed(url: str | None, stub_status: str | None) -> str:
    from advisor.errors import InvalidInput

    if stub_status:
        raise InvalidInput("--stub-status: is for --observe SECONDS")
    if url is None:
        raise InvalidInput(
            "probe: a URL is needed, or --observe SECONDS",
            remedy="`advisor inspect` lists the servers that run here and where they listen.",
        )
    return url
