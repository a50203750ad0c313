"""A lab: hosts on one network, and the controller's side of them.

Each lab has a slot, whose lock it holds while it lives; everything on the machine that belongs to
a lab carries the slot in its name. What a dead session left behind is therefore found by name,
and removed by the next.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import yaml

from tests.lab import machine, network
from tests.lab.bases import bases
from tests.lab.host import SSH_OPTIONS, Done, Host
from tests.lab.machine import Machine
from tests.lab.network import Cable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# In memory: a host's disk is what differs from its base, and it is gone with the lab.
PLACE = Path("/dev/shm/advisor-lab")
SLOTS = range(1, 255)
APPS = Path(__file__).parent / "apps"
CHECKOUT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def name_of(slot: int) -> str:
    """An interface's name has at most 15 characters."""
    return f"advlab{slot}"


def lock(slot: int) -> IO[str] | None:
    """The slot's lock, or nothing while a living session holds it."""
    PLACE.mkdir(parents=True, exist_ok=True)
    file = (PLACE / f"{slot}.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def sweep(slot: int) -> None:
    """Remove all that a lab of this slot has, or left: machines, network, connections, files."""
    for control in (PLACE / str(slot) / "ssh").glob("*"):
        subprocess.run(
            ["ssh", "-F", "none", "-o", f"ControlPath={control}", "-O", "exit", "lab"],
            capture_output=True,
            check=False,
            timeout=10,
        )
    machine.remove(name_of(slot))
    network.remove(name_of(slot))
    if (PLACE / str(slot)).exists():
        shutil.rmtree(PLACE / str(slot))


def sweep_dead() -> None:
    """Remove what sessions left that ended without a chance to clean up."""
    for path in PLACE.glob("*.lock"):
        slot = int(path.stem)
        if (held := lock(slot)) is not None:
            with held:
                sweep(slot)


class Lab:
    """Boots hosts. Two worked examples:

    with Lab() as lab:
        web = lab.boot("debian-12", name="web1")
        lab.ansible("ansible", "-i", lab.inventory([web]), "all", "-m", "ping")
    """

    def __init__(self) -> None:
        sweep_dead()
        self.slot, self._lock = self._claim()
        self.name = name_of(self.slot)
        self.folder = PLACE / str(self.slot)
        self.key = self.folder / "key"
        self._numbers = itertools.cycle(range(10, 255))
        self._hosts: dict[int, Host] = {}
        sweep(self.slot)
        (self.folder / "ssh").mkdir(parents=True)
        (self.folder / "home").mkdir()
        network.lay(self.name, self.slot)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", self.key],
            check=True,
        )

    @staticmethod
    def _claim() -> tuple[int, IO[str]]:
        for slot in SLOTS:
            if (held := lock(slot)) is not None:
                return slot, held
        raise OSError(f"all {len(SLOTS)} labs of this machine are in use")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every host, and leave no trace."""
        for host in self._hosts.values():
            host.close()
        sweep(self.slot)
        self._lock.close()

    def boot(self, release: str, name: str = "web", *, wait: bool = True) -> Host:
        """A fresh host of a release ("debian-12", "debian-13") with the sample apps.

        Without wait, call the host's own `wait` before it is used: several boot side by side.
        """
        number = self._free_number()
        cable = Cable(self.name, self.slot, number)
        folder = self.folder / str(number)
        box = Machine(f"{self.name}-{number}", name, bases()[release], folder)
        self._furnish(box)
        host = Host(name, cable, box, self.key)
        self._hosts[number] = host
        try:
            host.start(wait=wait)
        except BaseException:
            host.close()
            raise
        return host

    def _free_number(self) -> int:
        """The next number (and address) that no host has, as late as possible used again."""
        for number in itertools.islice(self._numbers, 245):
            if number not in self._hosts or self._hosts[number].closed:
                return number
        raise OSError("245 hosts run in this lab")

    def _furnish(self, box: Machine) -> None:
        """What makes a base this host: its name, who may enter, and the apps."""
        etc = box.disk / "etc"
        etc.mkdir(parents=True)
        (etc / "hostname").write_text(f"{box.hostname}\n")
        (etc / "hosts").write_text(f"127.0.0.1 localhost {box.hostname}\n::1 localhost\n")
        (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
        public = self.key.with_suffix(".pub").read_text()
        for home, owner in (("root", 0), ("home/admin", 1000)):
            keys = box.disk / home / ".ssh" / "authorized_keys"
            keys.parent.mkdir(parents=True)
            keys.write_text(public)
            for path in (keys, keys.parent, keys.parent.parent):
                os.chown(path, owner, owner)
                path.chmod(0o600 if path == keys else 0o700)
        for app in APPS.iterdir():
            there = box.disk / "srv" / app.name
            shutil.copytree(app, there, ignore=shutil.ignore_patterns("__pycache__"))
            (there / "venv").symlink_to("../venv")

    def inventory(
        self,
        hosts: Iterable[Host],
        *,
        user: str = "root",
        groups: Mapping[str, Iterable[Host]] | None = None,
    ) -> Path:
        """An Ansible inventory of these hosts, each by its name; a new file each time."""
        document: dict[str, Any] = {
            "all": {
                "vars": {
                    "ansible_user": user,
                    "ansible_ssh_private_key_file": str(self.key),
                    "ansible_ssh_common_args": " ".join(SSH_OPTIONS),
                    "ansible_python_interpreter": "/usr/bin/python3",
                },
                "hosts": {host.name: {"ansible_host": host.address} for host in hosts},
                "children": {
                    group: {"hosts": {host.name: {} for host in members}}
                    for group, members in (groups or {}).items()
                },
            }
        }
        path = self.folder / f"inventory-{uuid.uuid4().hex[:8]}.yml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    def environment(self) -> dict[str, str]:
        """A controller's variables: its own home, no colours, connections that end with the lab."""
        return {
            "PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder / "home"),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "ssh"),
        }

    def ansible(
        self,
        program: str,
        *words: str | Path,
        check: bool = True,
        cwd: Path = CHECKOUT,
        environment: Mapping[str, str] | None = None,
        timeout: float = 170,
    ) -> Done:
        """Run a program of this Python environment, `advisor` too, as a controller does."""
        done = subprocess.run(
            [BIN / program, *words],
            cwd=cwd,
            env=self.environment() | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        if check and done.returncode:
            raise AssertionError(
                f"{program} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return Done(done.returncode, done.stdout, done.stderr)
