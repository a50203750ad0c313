"""advisor rollback: hosts back to an older generation."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from advisor.cli.apply import (
    InventoryOption,
    JsonOption,
    LimitOption,
    OverwriteOption,
    SerialOption,
    VerboseOption,
    conclude,
    say,
    watched,
)


def command(
    inventory: InventoryOption = None,
    limit: LimitOption = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="N", help="The generation; by default the one before."),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="Only show what there is to go back to.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--app", metavar="NAME", help="The app, where there are several.")
    ] = None,
    all_apps: Annotated[
        bool, typer.Option("--all-apps", help="Every app of the host goes back together.")
    ] = False,
    overwrite: OverwriteOption = False,
    serial: SerialOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Go back to an older generation, checked and gated as an apply is.

    Load balancers and hosts that watch go back only where --limit names them.

    Exit 1: refused, with nothing changed; 5: the older one harmed, and the newer serves again;
    6: and that failed too.
    """
    from advisor.cli.options import batches, whole
    from advisor.deploy.apply import generations, rollback
    from advisor.deploy.inventory import hosts
    from advisor.errors import InvalidInput, Refused
    from advisor.report import apply as report

    number = whole("--to", to)
    if name and all_apps:
        raise InvalidInput("--app and --all-apps: give one of them")
    where = hosts(inventory, limit)
    if listed:
        found = generations(where, verbose=verbose, on_event=say)
        said = report.generations(found)
        typer.echo(json.dumps({"hosts": found}, indent=2) if as_json else said.rstrip("\n"))
        if any(each["state"] != "listed" for each in found):
            raise Refused("not every host could say what it has")
        return
    with watched() as hear:
        found = rollback(
            where,
            to=number,
            app=name,
            all_apps=all_apps,
            overwrite=overwrite,
            serial=batches("--serial", serial),
            verbose=verbose,
            on_event=hear,
        )
    conclude(found, as_json=as_json)
