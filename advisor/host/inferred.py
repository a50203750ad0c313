"""Which app server a Python program started itself, by the compiled modules it has loaded.

`python main.py` that calls `uvicorn.run()` shows nothing of it on its command line. What its
memory maps show is evidence only where nothing else explains it; else the server stays unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from advisor.documents import Unknown

if TYPE_CHECKING:
    from collections.abc import Collection

    from advisor.host.installation import Installation

MAPPED = re.compile(r"/site-packages/(?P<module>[\w./-]+)\.so$", re.MULTILINE)
RUNTIME = "tokio-rt-worker"  # a thread of the runtime that Granian is written for
# Servers whose processes could all have loaded an HTTP parser written in C.
SERVERS = {"gunicorn", "uvicorn", "hypercorn", "granian"}


@dataclass(frozen=True)
class Inferred:
    """A server known by its traces; its class and interface only where those tell."""

    kind: Literal["uvicorn", "granian"]
    evidence: str
    worker_class: str | None
    interface: Literal["asgi"] | None

    def unknown(self, pid: int) -> Unknown:
        """That this was inferred, and from what."""
        return Unknown(
            what=f"app and settings of pid {pid} ({self.kind})",
            why=f"a program of its own started it: inferred from {self.evidence}",
            remedy="give app.module in advisor.yml, or start it by the server's own command",
        )


def inferred(maps: str, threads: Collection[str], installed: Installation) -> Inferred | None:
    """The server that a listening Python process runs; None if unsure.

    `maps` is its /proc/PID/maps, `threads` the names of its threads. Granian's own module and a
    thread of its runtime are there where Granian serves. httptools is Uvicorn's parser, and
    Uvicorn's only where no other server of the environment could have loaded it.

    >>> from advisor.host.installation import Installation
    >>> line = "7f0 r-xp 0 00:00 1 /srv/venv/lib/python3.11/site-packages/httptools/parser.so"
    >>> inferred(line, [], Installation("/srv/venv", "3.11", {"uvicorn": "0.54"})).kind
    'uvicorn'
    >>> inferred(line, [], Installation("/srv/venv", "3.11", {"uvicorn": "0.54", "granian": "2"}))
    """
    modules = {match["module"].split("/")[0] for match in MAPPED.finditer(maps)}
    servers = SERVERS & set(installed.packages)
    if "granian" in modules and "granian" in servers and RUNTIME in threads:
        return Inferred("granian", "its loaded module _granian and that one's threads", None, None)
    if "httptools" in modules and servers == {"uvicorn"} and not installed.rivals:
        evidence = "its loaded module httptools, and Uvicorn alone is installed to use it"
        return Inferred("uvicorn", evidence, "uvicorn", "asgi")
    return None
