"""The words that advisor.yml may hold: names, paths, sizes, each with its allow-list.

Every string that can reach a rendered file is matched against an allow-list here: a value
that a configuration grammar could read as syntax is refused with its field's name, never
escaped. M and G in sizes are powers of 1024.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

SIZE = re.compile(r"(?P<number>\d{1,15}(?:\.\d{1,6})?)(?P<unit>[KMGT]?)(?:i?B)?")
FACTORS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def parse_size(text: str) -> int:
    """Bytes of `700M`, `1.5G` or `1048576`; `ValueError` otherwise.

    >>> parse_size("700M")
    734003200
    >>> parse_size("1.5G")
    1610612736
    """
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError("should be a size such as 700M or 1.5G")
    return int(float(match["number"]) * FACTORS[match["unit"]])


def _as_size(value: object) -> object:
    if isinstance(value, str):
        value = parse_size(value)
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError("should be a size above zero such as 700M or 1.5G")


def _as_listen(value: object) -> object:
    """`unix`, or an IP address and port: `127.0.0.1:8000`, `[::1]:8000`."""
    if value == "unix":
        return value
    if isinstance(value, str):
        address, _, port = value.rpartition(":")
        bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
        try:
            parsed = ipaddress.ip_address(bare)
        except ValueError:
            parsed = None
        bracketed = bare != address
        valid_port = re.fullmatch(r"[1-9]\d{0,4}", port) and int(port) <= 65535
        if parsed and valid_port and bracketed == (parsed.version == 6) and "%" not in bare:
            return value
    raise ValueError("should be unix, 127.0.0.1:8000 or [::1]:8000")


def _as_number(value: object) -> object:
    """Refuse booleans, which Python counts as numbers."""
    if isinstance(value, bool):
        raise ValueError("should be a number")  # noqa: TRY004 - pydantic collects ValueError
    return value


@dataclass(frozen=True)
class Allowed:
    """A string that is exactly `pattern`, at most so many characters long; `says` what is right."""

    pattern: str
    most: int
    says: str

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        """Check in Python: pydantic's own regular expressions know no look-ahead."""
        return core_schema.no_info_before_validator_function(
            self._check, core_schema.str_schema(max_length=self.most)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """What the check accepts, as JSON Schema says it."""
        return handler(schema) | {"pattern": f"^(?:{self.pattern})$", "description": self.says}

    def _check(self, value: object) -> object:
        fits = isinstance(value, str) and re.fullmatch(self.pattern, value)
        if not fits or len(str(value)) > self.most:
            raise ValueError(f"should be {self.says}")
        return value


_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_DOTTED = rf"{_IDENTIFIER}(?:\.{_IDENTIFIER})*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# A segment of dots alone would lead out of the folder that is meant.
_SEGMENT = r"(?!\.\.?(?:/|$))[A-Za-z0-9._~@+-]+"

Name = Annotated[
    str,
    Allowed(
        r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*",
        most=32,
        says="lower-case letters, digits, - and _, a letter first",
    ),
]
Module = Annotated[
    str,
    Allowed(
        rf"{_DOTTED}(?::{_DOTTED}(?:\(\))?)?",
        most=200,
        says="an import path such as shop.main:app or shop.main:create_app()",
    ),
]
User = Annotated[
    str, Allowed(r"[a-z_][a-z0-9_-]*", most=32, says="a user name such as shop or www-data")
]
Domain = Annotated[
    str,
    Allowed(
        rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*", most=253, says="a host name such as shop.example"
    ),
]
Path = Annotated[
    str,
    Allowed(
        rf"/(?:{_SEGMENT}(?:/{_SEGMENT})*/?)?",
        most=1024,
        says="an absolute path of letters, digits and . _ ~ @ + -, without . or .. steps",
    ),
]
UrlPath = Annotated[
    str,
    Allowed(
        rf"/(?:{_SEGMENT}(?:/{_SEGMENT})*/?)?",
        most=1024,
        says="a URL path such as /healthz, of letters, digits and . _ ~ @ + - /",
    ),
]
Unit = Annotated[
    str,
    Allowed(r"[A-Za-z0-9][A-Za-z0-9_.@-]*\.service", most=200, says="a unit such as shop.service"),
]
SettingId = Annotated[
    str, Allowed(r"[a-z_]+\.[a-z0-9_]+", most=100, says="a setting's id such as gunicorn.workers")
]
EnvironmentName = Annotated[
    str, Allowed(r"[A-Z_][A-Z0-9_]*", most=100, says="a variable's name such as LOG_LEVEL")
]
EnvironmentValue = Annotated[
    str,
    Allowed(
        r"[A-Za-z0-9._~@+/:,=-]*",
        most=1000,
        says="text of letters, digits and . _ ~ @ + / : , = - (secrets go in environment_file)",
    ),
]
Duration = Annotated[str, Allowed(r"[1-9]\d{0,3}s", most=5, says="a time such as 1s")]
Size = Annotated[int, BeforeValidator(_as_size)]
Upstream = Annotated[
    str,
    Allowed(
        rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:]{{2,39}}\]):[1-9][0-9]{{0,4}}"
        rf"|unix:(?:/{_SEGMENT})+",
        most=260,
        says="a host and port such as 10.0.0.11:8000, or a socket here such as unix:/run/a/a.sock",
    ),
]
Listen = Annotated[str, BeforeValidator(_as_listen)]
Positive = Annotated[int | float, BeforeValidator(_as_number), Field(gt=0)]
PositiveInt = Annotated[int, Field(gt=0)]
