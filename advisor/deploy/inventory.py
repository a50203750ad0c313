"""Which hosts a play is for: those of an inventory, or this one."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from advisor.errors import InvalidInput

# Debian's own Python: a virtual environment of the controller's is no business of the play's.
LOCAL = ("-e", "ansible_connection=local", "-e", "ansible_python_interpreter=/usr/bin/python3")


@dataclass(frozen=True)
class Hosts:
    """The hosts of a play, as `arguments` of ansible-playbook, and what they are called."""

    arguments: tuple[str, ...]
    name: str

    @property
    def is_limited(self) -> bool:
        """Whether only some of an inventory are meant, by a pattern."""
        return "--limit" in self.arguments


def hosts(inventory: str | None, limit: str | None = None) -> Hosts:
    """The hosts of an inventory (a file, a folder, or names with a comma), or this host.

    This one is called by its host name, which is what a fleet's tree knows it by. Raises
    `InvalidInput` where there is no such inventory.
    """
    limits = ("--limit", limit) if limit else ()
    if inventory is None:
        if limit:
            raise InvalidInput("--limit: needs an inventory (-i): without one it is this host")
        name = socket.gethostname()
        return Hosts(("-i", f"{name},", *LOCAL), name)
    if "," not in inventory and not Path(inventory).exists():
        raise InvalidInput(
            f"-i {inventory}: there is no such file",
            remedy="Name an Ansible inventory, or hosts with a comma behind: -i web1,web2,",
        )
    return Hosts(("-i", inventory, *limits), inventory)
