"""The switch as one file: a zip that Python runs, the same bytes for the same sources.

It needs nothing but the standard library, so that a playbook can load it by its path alone.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

SOURCES = Path(__file__).parent / "switch"

# Relative imports need a package around them; `-I` keeps the environment and the folder out.
_START = """\
from switch.__main__ import main

raise SystemExit(main())
"""
_SHEBANG = b"#!/usr/bin/env -S python3 -I\n"
# The earliest time that a zip can say.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


def pack(sources: Path = SOURCES) -> bytes:
    """The program of the package in `sources`.

    Stored, not deflated: what a compressor makes differs between versions of zlib.
    """
    found = {
        f"switch/{path.relative_to(sources).as_posix()}": path.read_bytes()
        for path in sources.rglob("*.py")
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted({"__main__.py": _START.encode(), **found}.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return _SHEBANG + made.getvalue()
