"""One connection a host: each question would else log in anew, ten a second at best."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class Connections:
    """The shared connections of testinfra's ssh hosts, in a folder of their own (ssh_config(5))."""

    def __init__(self, hosts: Iterable[Any]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="advisor-ssh-")
        self._paths: list[Path] = []
        for host in hosts:
            self._share(host)

    def _share(self, host: Any) -> None:
        """Where the inventory, or the user's options, say nothing of it."""
        backend = host.backend
        if backend.NAME == "ansible":
            inner = backend.ansible_runner.get_host(backend.host)
            backend = inner.backend if inner is not None else backend
        if backend.NAME != "ssh" or "control" in (backend.ssh_extra_args or "").lower():
            return
        path = Path(self._folder.name) / str(len(self._paths))
        self._paths.append(path)
        backend.controlpath = str(path)

    def close(self) -> None:
        """End them."""
        for path in self._paths:
            if path.exists():
                command = ("ssh", "-F", "none", "-o", f"ControlPath={path}", "-O", "exit", "any")
                subprocess.run(command, capture_output=True, check=False, timeout=10)
        self._folder.cleanup()
