"""Servers as the facts have them, and packages made up."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from advisor.documents import Server

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534


def server(kind: str, virtualenv: Path | str | None, pid: int | None = None) -> Server:
    """A server of that environment. By default its process is this one: the same Python."""
    return Server(
        kind=kind,
        version=None,
        pid=pid or os.getpid(),
        app=None,
        listen=[],
        worker_class=None,
        threads=None,
        workers=[],
        virtualenv=str(virtualenv) if virtualenv else None,
    )


def own(kind: str = "gunicorn") -> Server:
    """A server that runs in this environment."""
    return server(kind, sys.prefix if sys.prefix != sys.base_prefix else None)


def site_packages(virtualenv: Path) -> Path:
    (site,) = virtualenv.glob("lib/python3*/site-packages")
    return site


def gunicorn(virtualenv: Path, code: str) -> None:
    """Put a Gunicorn into an environment that is nothing but `code`, run as a program."""
    site = site_packages(virtualenv)
    (site / "gunicorn" / "app").mkdir(parents=True)
    (site / "gunicorn" / "__init__.py").touch()
    (site / "gunicorn" / "app" / "wsgiapp.py").write_text(code)
    (site / "gunicorn-99.0.dist-info").mkdir()
