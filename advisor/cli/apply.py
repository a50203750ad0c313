"""advisor apply: rendered files onto hosts, each gated by the app's health."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from advisor.deploy.apply import Outcome
    from advisor.deploy.events import Event

InventoryOption = Annotated[
    str | None,
    typer.Option(
        "-i", "--inventory", metavar="INVENTORY", help="Ansible's; without it: this host."
    ),
]
LimitOption = Annotated[
    str | None, typer.Option(metavar="PATTERN", help="Only these hosts of the inventory.")
]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Show Ansible's output on stderr.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace what was edited on the host; it is saved.")
]
SerialOption = Annotated[
    str | None,
    typer.Option(metavar="SIZES", help="Hosts of each batch; by default 1,25%,100%."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def command(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that advisor render wrote.")
    ],
    inventory: InventoryOption = None,
    limit: LimitOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; show what would change (exit 1).")
    ] = False,
    overwrite: OverwriteOption = False,
    serial: SerialOption = None,
    dwell: Annotated[
        str | None,
        typer.Option("--dwell", metavar="S", help="Seconds to watch the app before it counts."),
    ] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Put rendered files on hosts: checked there, swapped in, gated, and taken back when they harm.

    Exit 1: refused, with nothing changed, or --check found changes; 5: applied and taken back;
    6: applied, and it could not be taken back.
    """
    from advisor.cli.options import batches, number
    from advisor.deploy.apply import apply
    from advisor.deploy.inventory import hosts

    dwell_s = number("--dwell", dwell)
    with watched() as hear:
        found = apply(
            directory,
            hosts(inventory, limit),
            check=check,
            overwrite=overwrite,
            serial=batches("--serial", serial),
            dwell_s=dwell_s,
            verbose=verbose,
            on_event=hear,
        )
    conclude(found, as_json=as_json)


def conclude(found: Sequence[Outcome], *, as_json: bool) -> None:
    """Print how it went on each host, and raise what that amounts to."""
    from advisor.deploy.apply import verdict
    from advisor.report import apply as report

    text = json.dumps({"hosts": found}, indent=2) if as_json else report.text(found)
    typer.echo(text.rstrip("\n"))
    if (error := verdict(found)) is not None:
        raise error


@contextmanager
def watched() -> Iterator[Callable[[Event], None]]:
    """Who hears what happens; of an interrupted play it is said how far each host is."""
    from advisor.deploy.events import outcomes
    from advisor.errors import Interrupted
    from advisor.report import apply as report

    events: list[Event] = []

    def hear(event: Event) -> None:
        events.append(event)
        say(event)

    try:
        yield hear
    except Interrupted:
        typer.echo(report.text(outcomes(events)), err=True, nl=False)
        raise


def say(event: Event) -> None:
    """Progress, for whoever waits."""
    from advisor.deploy.events import progress
    from advisor.report.layout import printed

    if line := progress(event):
        typer.echo(printed([line]), err=True, nl=False)
