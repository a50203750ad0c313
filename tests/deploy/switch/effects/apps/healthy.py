"""A WSGI app whose health is what the file named by MODE says: a word, and what comes with it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MODE = Path(os.environ["MODE"])


def _mode() -> str:
    try:
        return MODE.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return "well"


if _mode() == "broken import":
    message = f"no configuration, though SECRET is {os.environ.get('SECRET')}"
    raise RuntimeError(message)


def app(_: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    word, _, number = _mode().partition(" ")
    if word in {"slow", "hang"}:
        time.sleep(float(number or 30))
    if word == "dies":
        os._exit(1)
    if word == "ends":
        # The master too, as a configuration does that it cannot use.
        os.kill(os.getppid(), 9)
    start("500 Wrong" if word == "wrong" else "200 OK", [("Content-Length", "3")])
    return [b"ok\n"]
