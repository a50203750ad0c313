"""advisor verify: live hosts against the tree that was rendered for them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from advisor.cli.apply import InventoryOption, JsonOption, LimitOption


def command(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that advisor render wrote.")
    ],
    inventory: InventoryOption = None,
    limit: LimitOption = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a JUnit file too.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="A check that cannot run is a failure (exit 1).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say where live hosts differ from the rendered files; changes nothing.

    Looks at units, files, limits, live settings, sockets, TLS and health, and for drift: edits,
    processes on older settings, limits or memory that are no more what was assumed. Exit 1: a
    check failed.
    """
    from advisor.deploy.verify import verify
    from advisor.errors import CheckFailed
    from advisor.report import verify as report

    found = [asdict(one) for one in verify(directory, inventory, junit=junit, limit=limit)]
    bad = {"failed", "not_run"} if strict else {"failed"}
    ok = all(one["status"] not in bad for one in found)
    if as_json:
        typer.echo(
            json.dumps({"directory": directory.as_posix(), "ok": ok, "checks": found}, indent=2)
        )
    else:
        typer.echo(report.text(found), nl=False)
    absent = sum(one["status"] == "not_run" for one in found)
    if absent and not strict:
        said = f"{absent} of {len(found)} checks were not run; with --strict that is a failure"
        typer.echo(f"advisor: warning: {said}", err=True)
    if not ok:
        raise CheckFailed(
            report.summary(found),
            remedy="advisor apply installs the tree; advisor recommend takes the host as it is.",
        )
