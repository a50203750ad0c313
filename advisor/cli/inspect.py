"""`advisor inspect`: what this host is, each fact with where it was read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    pid: Annotated[
        int | None, typer.Option(min=1, help="The process whose limits count; default: this one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the facts (.json or .yml).")
    ] = None,
) -> None:
    """Show this host's limits, programs and app servers, each with where it was read.

    Sends no request and needs no root; what may not be read is listed with its remedy.
    """
    from advisor import files
    from advisor.documents import Facts
    from advisor.host import gather
    from advisor.report.facts import table

    if output:
        files.check_replaceable(output, Facts)
    facts = gather(pid)
    if output:
        files.write_document(facts, output)
        typer.echo(f"Facts written to {output}.", err=True)
    typer.echo(files.dump(facts, is_json=True) if as_json else table(facts), nl=False)
