"""The `advisor` command: its verbs, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from advisor import __version__
from advisor.errors import AdvisorError, Interrupted

if TYPE_CHECKING:
    from types import FrameType

VERBS = (
    *("inspect", "probe", "recommend", "explain", "render", "check"),
    *("apply", "rollback", "verify"),
    *("schema", "demo"),
)

app = typer.Typer(
    name="advisor",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure a running Python web app and tune the servers around it, with reasons.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"advisor {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it and end."),
    ] = False,
) -> None:
    pass


for _verb in VERBS:
    app.command(_verb)(import_module(f"advisor.cli.{_verb}").command)


def _interrupt(signum: int, _frame: FrameType | None) -> NoReturn:
    raise Interrupted(signum)


def run(arguments: list[str] | None = None) -> Any:
    """Run the command line; the process ends with the exit code of the contract."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _interrupt)
    try:
        app(arguments)
    except AdvisorError as error:
        print(f"advisor: {error}", file=sys.stderr)  # noqa: T201 - this is the command line
        raise SystemExit(error.exit_code) from None
    except BrokenPipeError:
        # The reader went away (`advisor ... | head`): there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
