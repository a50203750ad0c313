"""Options that several verbs share, and those whose text needs more than a type."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from advisor.errors import InvalidInput


class Routes(StrEnum):
    """Where the routes to load come from, if not from --endpoint."""

    openapi = "openapi"
    log = "log"


PidOption = Annotated[
    int | None, typer.Option(min=1, help="A process of the server, where the port does not tell.")
]
UnixSocketOption = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Connect to this socket; the URL's host is only the name."),
]
EndpointOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATH=WEIGHT", help="A route to load, instead of the URL's; repeatable."),
]
RoutesOption = Annotated[
    Routes | None,
    typer.Option(help="Load the GET routes of /openapi.json, or the access log's mix."),
]
AccessLogOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The proxy's access log, where its files do not tell."),
]
LogFormatOption = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Its format: nginx's log_format text, combined or json."),
]
RemoteOption = Annotated[bool, typer.Option("--remote", help="Allow a private address.")]
PublicOption = Annotated[bool, typer.Option("--public", help="Allow a public address.")]
SaturateOption = Annotated[
    bool, typer.Option("--saturate", help="Look for the knee beside others' traffic too.")
]


def whole(name: str, text: str | None) -> int | None:
    """A whole number above zero, or None where the option was not given."""
    if text is None:
        return None
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise InvalidInput(f"{name} {text}: should be a whole number above zero")
    return value


def batches(name: str, text: str | None) -> list[str | int] | None:
    """Sizes of batches, as Ansible's `serial` has them, or None where the option was not given.

    >>> batches("--serial", "1,25%,100%")
    [1, '25%', '100%']
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        amount = part.removesuffix("%")
        most = 100 if part.endswith("%") else math.inf
        if not (amount.isascii() and amount.isdecimal() and 1 <= int(amount) <= most):
            raise InvalidInput(f"{name} {text}: should be hosts or shares, such as 1,25%,100%")
    return [part if part.endswith("%") else int(part) for part in parts]


def number(name: str, text: str | None) -> float | None:
    """A finite number above zero, or None where the option was not given."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise InvalidInput(f"{name} {text}: should be a number above zero, such as 2 or 0.5")
    return value


def size(name: str, text: str | None) -> int | None:
    """Bytes of a size such as 700M, or None where the option was not given."""
    from advisor.intent import parse_size

    if text is None:
        return None
    try:
        value = parse_size(text)
    except ValueError:
        value = 0
    if value < 1:
        raise InvalidInput(f"{name} {text}: should be a size above zero, such as 700M or 1.5G")
    return value
