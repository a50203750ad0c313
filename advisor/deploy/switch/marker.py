"""What an installed file has nginx say of itself, so that its answer shows which one it runs.

New workers alone do not: they may have been started with another file than the one installed.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

from .asking import Client
from .documents import Health

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .documents import Install
    from .layout import Layout

# As templates/nginx/app.conf.j2 has it, within one server block.
_MARKED = re.compile(
    r"^    listen (?P<address>[0-9.]+):(?P<port>[0-9]+);\n"
    r"    server_name (?P<host>\S+);\n"
    r"(?:(?!^\}).)*?"
    r"^    location = (?P<path>\S+) \{\n"
    r'        return 200 "(?P<says>[0-9a-f]+)";$',
    re.MULTILINE | re.DOTALL,
)
POLL_S = 0.05


class Marker(NamedTuple):
    """Where nginx is asked, and what it says there by this file."""

    where: Health
    says: str


def marker(text: str) -> Marker | None:
    r"""The marker in a rendered file; null where it has none.

    >>> server = "    listen 127.0.0.1:8099;\n    server_name status.shop.localhost;\n"
    >>> place = '    location = /rendered {\n        return 200 "5eaf00d5eaf0";\n    }\n'
    >>> found = marker("server {\n" + server + place + "}\n")
    >>> found.says, found.where.url
    ('5eaf00d5eaf0', 'http://status.shop.localhost/rendered')
    >>> marker("server {\n" + server + "}\nserver {\n" + place + "}\n") is None
    True
    """
    match = _MARKED.search(text)
    if match is None:
        return None
    address, port, host = match["address"], int(match["port"]), match["host"]
    return Marker(Health("http", address, port, host, match["path"]), match["says"])


def markers(app: Install, layout: Layout) -> Iterator[Marker]:
    """Those of an app's files for nginx, as they are installed."""
    for row in app.files:
        path = layout.at(row.target)
        if row.checker == "nginx" and path.is_file():
            found = marker(path.read_text(encoding="utf-8"))
            if found is not None:
                yield found


def heard(wanted: Marker, within_s: float) -> str | None:
    """What nginx says instead, where it does not come to say this in time; null where it does."""
    until = time.monotonic() + within_s
    client = Client(wanted.where)
    while True:
        answer = client.ask()
        # A kept connection stays with the worker that took it.
        client.close()
        said = answer.said.decode("ascii", "replace")
        if answer.is_good and said == wanted.says:
            return None
        if time.monotonic() >= until:
            return f"says {said!r}" if answer.is_good else answer.words
        time.sleep(POLL_S)
