"""A host below a folder in memory: what is tested is the order of calls, not the disk's speed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from advisor.deploy.switch.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def layout() -> Iterator[Layout]:
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        root = Path(folder)
        for name in ("etc/nginx/conf.d", "etc/systemd/system", "etc/caddy", "var/lib"):
            (root / name).mkdir(parents=True)
        yield Layout(root)
