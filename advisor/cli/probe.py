"""`advisor probe URL`: measure a running app."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    url: Annotated[str, typer.Argument(help="A route of the app, such as http://127.0.0.1:8000/.")],
    pid: Annotated[
        int | None, typer.Option(min=1, help="The server's process, where the port does not tell.")
    ] = None,
    remote: Annotated[bool, typer.Option("--remote", help="Allow a private address.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Allow a public address.")] = False,
    saturate: Annotated[
        bool, typer.Option("--saturate", help="Look for the knee beside others' traffic too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the measurement as JSON.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the measurement (.json or .yml).")
    ] = None,
) -> None:
    """Measure a running app: what a request costs, what limits it, where the knee is.

    Sends GET requests to the named route only, for at most 30 s; looks for the knee only
    where nobody else uses the app.
    """
    from advisor import files
    from advisor.documents import Measurement
    from advisor.probe import probe
    from advisor.report.measurement import table

    if output:
        files.check_replaceable(output, Measurement)
    result = probe(
        url,
        pid=pid,
        allow_remote=remote,
        allow_public=public,
        saturate=saturate,
        on_progress=lambda line: typer.echo(line, err=True),
    )
    if output:
        files.write_document(result, output)
        typer.echo(f"Measurement written to {output}.", err=True)
    typer.echo(files.dump(result, is_json=True) if as_json else table(result), nl=False)
