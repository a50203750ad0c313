"""`advisor demo`: the whole job on two bundled apps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where documents, files and logs go.")
    ] = Path("demo-output"),
) -> None:
    """Start two bundled apps naively, advise them, and measure them before and after.

    Takes about two minutes; needs the demo extra, nginx and wrk; loads loopback only.
    """
    from importlib.util import find_spec

    from advisor.errors import AdvisorError

    missing = [name for name in ("fastapi", "flask", "gunicorn", "uvicorn") if not find_spec(name)]
    if missing:
        raise AdvisorError(
            f"the demo needs {', '.join(missing)}", remedy="Install the package's demo extra."
        )
    from advisor.demo.run import comparison, demonstrate, scenarios

    outcomes = [
        demonstrate(scenario, output / scenario.name, typer.echo) for scenario in scenarios()
    ]
    typer.echo("=" * 80)
    for outcome in outcomes:
        typer.echo(comparison(outcome))
    typer.echo(f"Documents, rendered files and logs: {output}/")
