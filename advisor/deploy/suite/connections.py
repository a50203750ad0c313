"""One connection a host: each question would else log in anew, ten a second at best.

And what of an inventory testinfra does not take as Ansible does: it fills in no template, knows no
password of sudo's, and would put one of SSH's on a command line.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# By what they are for: the names that Ansible's connection and become plugins have for them.
PASSWORDS = {
    "a login by key": ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password"),
    "sudo without a password": ("ansible_become_password", "ansible_become_pass"),
}
# What testinfra takes from an inventory (its utils/ansible_runner.py).
TAKEN = (
    *("ansible_host", "ansible_port", "ansible_user", "ansible_connection"),
    *("ansible_become", "ansible_become_user"),
    *("ansible_private_key_file", "ansible_ssh_private_key_file"),
    *("ansible_ssh_common_args", "ansible_ssh_extra_args"),
)


def check_variables(host: str, variables: Mapping[str, Any]) -> None:
    """Raise `InvalidInput` where verify would reach a host otherwise than Ansible does."""
    for name in TAKEN:
        if "{{" in str(variables.get(name)):
            raise InvalidInput(
                f"{host}: {name} is a template, which verify does not fill in",
                remedy="Write the value itself, or leave the host out: --limit.",
            )
    is_here = variables.get("ansible_connection") == "local"
    is_root = os.geteuid() == 0 if is_here else variables.get("ansible_user") == "root"
    spared = {"a login by key": is_here, "sudo without a password": is_root}
    for need, names in PASSWORDS.items():
        given = [name for name in names if variables.get(name) is not None]
        if given and not spared[need]:
            raise InvalidInput(
                f"{host}: verify needs {need}: it does not use {given[0]}",
                remedy="Verify as a user who has that (ansible_user), or leave the host out.",
            )


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
