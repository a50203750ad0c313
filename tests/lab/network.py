"""A lab's network: a bridge in a namespace of its own, and a cable from it to each host.

The tests' own process is on it too, at the first address, so that any client in it reaches the
hosts. Hosts have no route but to each other: nothing leaves the machine. The addresses are of
198.18.0.0/15, which is set aside for tests of networks (RFC 2544, appendix C.2.2), a /24 a lab.
"""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAMESPACES = Path("/run/netns")


def ip(*words: str | int) -> None:
    """Run ip(8); what it says goes into the error."""
    done = subprocess.run(
        ["ip", *map(str, words)], capture_output=True, text=True, check=False, timeout=20
    )
    if done.returncode:
        raise OSError(f"ip {' '.join(map(str, words))}: {done.stderr.strip()}")


@dataclass(frozen=True)
class Cable:
    """The link between the bridge and one host, with the host's namespace at its end."""

    lab: str
    slot: int
    number: int

    @property
    def namespace(self) -> str:
        return f"{self.lab}-{self.number}"

    @property
    def address(self) -> str:
        return f"198.18.{self.slot}.{self.number}"

    def plug(self) -> None:
        """Give the host a new namespace; the MAC stays, so that neighbours find it at once."""
        mac = f"02:00:c6:12:{self.slot:02x}:{self.number:02x}"
        ip("netns", "add", self.namespace)
        ip("-n", self.lab, "link", "add", f"port{self.number}", "type", "veth",
           "peer", "name", "eth0", "address", mac, "netns", self.namespace)  # fmt: skip
        ip("-n", self.namespace, "address", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", self.namespace, "link", "set", "lo", "up")
        ip("-n", self.namespace, "link", "set", "eth0", "up")
        ip("-n", self.lab, "link", "set", f"port{self.number}", "master", "bridge", "up")

    def unplug(self) -> None:
        """End the namespace; open connections of the other sides hear nothing of it."""
        with contextlib.suppress(OSError):
            ip("-n", self.lab, "link", "delete", f"port{self.number}")
        with contextlib.suppress(OSError):
            ip("netns", "delete", self.namespace)

    def cut(self) -> None:
        """Nothing passes any more, and nobody is told."""
        ip("-n", self.lab, "link", "set", f"port{self.number}", "down")

    def mend(self) -> None:
        ip("-n", self.lab, "link", "set", f"port{self.number}", "up")


def lay(lab: str, slot: int) -> None:
    """The bridge, and the cable from it to this process's own namespace."""
    ip("netns", "add", lab)
    ip("-n", lab, "link", "add", "bridge", "type", "bridge")
    ip("-n", lab, "link", "set", "bridge", "up")
    ip("link", "add", lab, "type", "veth", "peer", "name", "tests", "netns", lab)
    ip("-n", lab, "link", "set", "tests", "master", "bridge", "up")
    ip("address", "add", f"198.18.{slot}.1/24", "dev", lab)
    ip("link", "set", lab, "up")


def remove(lab: str) -> None:
    """All that is left of a lab's network, whoever laid it."""
    with contextlib.suppress(OSError):
        ip("link", "delete", lab)
    for namespace in (lab, *(path.name for path in NAMESPACES.glob(f"{lab}-*"))):
        with contextlib.suppress(OSError):
            ip("netns", "delete", namespace)
