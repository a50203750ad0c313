"""`advisor inspect`: what this host is, or those of an inventory, each fact with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from advisor.cli import fleet
from advisor.cli.fleet import InventoryOption, LimitOption


def command(
    pid: Annotated[
        int | None, typer.Option(min=1, help="The process whose limits count; default: this one.")
    ] = None,
    inventory: InventoryOption = None,
    limit: LimitOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write the facts (.json or .yml); with -i a folder."),
    ] = None,
) -> None:
    """Show this host's limits, programs and app servers, each with where it was read.

    Sends no request and needs no root; what may not be read is listed with its remedy. With -i
    the hosts of an inventory are looked at instead: nothing is installed there or changed.
    """
    from advisor import files
    from advisor.documents import Facts
    from advisor.errors import InvalidInput
    from advisor.host import gather
    from advisor.report.facts import table

    if inventory:
        if pid:
            raise InvalidInput("--pid: a process of this host; with -i there is none")
        fleet.inspect(inventory, limit=limit, as_json=as_json, output=output)
        return
    if limit:
        raise InvalidInput("--limit: needs an inventory, -i")
    if output:
        files.check_replaceable(output, Facts)
    facts = gather(pid)
    if output:
        files.write_document(facts, output)
        typer.echo(f"Facts written to {output}.", err=True)
    typer.echo(files.dump(facts, is_json=True) if as_json else table(facts), nl=False)
