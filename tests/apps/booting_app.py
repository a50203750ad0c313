"""A WSGI app whose first worker serves at once, while the others still import."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BOOTED = Path(os.environ["BOOTED_FOLDER"])
try:
    (BOOTED / "first").touch(exist_ok=False)
except FileExistsError:
    end = time.process_time() + 1.5
    while time.process_time() < end:
        pass
(BOOTED / f"worker-{os.getpid()}").touch()


def app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
