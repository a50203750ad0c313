"""Everything that can be told about a host without load and without root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.documents import APP_ENVIRONMENT, FACTS_SCHEMA, Facts, Memory, Unknown
from advisor.errors import InvalidInput
from advisor.host import components, kernel, limits, machine, redis, servers
from advisor.host.installation import Installation, components_of, installation, own
from advisor.host.interfaces import interfaces
from advisor.host.tree import LIVE, proc, under

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from advisor.documents import Component, Redis, Server
    from advisor.host.components import Ask
    from advisor.host.describe import Described


def gather(
    pid: int | None = None,
    *,
    root: Path = LIVE,
    virtualenv: Path | None = None,
    ask: Ask | None = None,
) -> Facts:
    """The facts of this host, or of a copied one, with the limits of one process.

    Args:
        pid: the process whose limits count; the advisor's own where it is None, in a copy that
            of whoever made it.
        root: what stands before /proc and /sys.
        virtualenv: the app's environment, where no server that runs shows it.
        ask: what the programs of a copied host answered. In a copy without it there are no
            servers to look at and no programs to ask, and `unknown` says so.

    Raises:
        InvalidInput: there is no such process, or none that this user may see.
    """
    return look(root, ask).facts(pid, virtualenv)


@dataclass(frozen=True)
class Look:
    """What is the same for all processes of a host, seen once: asking programs takes longest.

    `daemons` is None in a copy whose programs cannot be asked.
    """

    root: Path
    found: list[Described]
    daemons: dict[str, Component] | None
    stores: list[Redis]
    stores_unknown: list[Unknown]

    def facts(self, pid: int | None = None, virtualenv: Path | None = None) -> Facts:
        """The facts, with the limits of one process and the libraries of its app.

        `InvalidInput` where there is no such process.
        """
        root = self.root
        if pid is not None and not (pid > 0 and under(root, proc(pid)).is_dir()):
            raise InvalidInput(
                f"--pid {pid}: no such process",
                remedy="`advisor inspect` lists the servers that run here and their PIDs.",
            )
        shown = _installation(pid, self.found, virtualenv, root)
        environment = shown or (own() if root == LIVE else None)
        libraries = components_of(environment) if environment else {}
        cpu, cpu_unknown = limits.cpu(pid, root=root)
        memory, memory_unknown = limits.memory(pid, root=root)
        kernel_limits, kernel_unknown = kernel.kernel(pid, root=root)
        asked = self.daemons is not None
        return Facts(
            schema_=FACTS_SCHEMA,
            host=machine.host(root),
            cpu=cpu,
            memory=_with_others(memory, [item.server for item in self.found]),
            kernel=kernel_limits,
            components={} if self.daemons is None else self.daemons | libraries,
            servers=[item.server for item in self.found],
            unknown=[
                *cpu_unknown,
                *memory_unknown,
                *kernel_unknown,
                *(entry for item in self.found for entry in item.unknown),
                *self.stores_unknown,
                *([] if asked else [_copied(root)]),
                *([_assumed(environment)] if asked and not shown else []),
            ],
            pid=pid,
            redis=self.stores,
            interfaces=interfaces(root) if kernel.same_network(pid, root)[0] else [],
        )


def look(root: Path = LIVE, ask: Ask | None = None) -> Look:
    """Look at a host: its servers, programs and stores; `gather` tells of `root` and `ask`."""
    live = root == LIVE
    ask = ask or (components.asked if live else None)
    stores, unknown = redis.discover() if live else ([], [])
    return Look(
        root,
        servers.discover(root) if ask else [],
        components.components(ask, root) if ask else None,
        stores,
        unknown,
    )


def _with_others(memory: Memory, found: Sequence[Server]) -> Memory:
    """Memory with what all but the servers use: null where a server's own may not be read."""
    sizes = [
        size
        for server in found
        for size in (
            *(worker.pss_bytes for worker in server.workers),
            *([] if _serves_itself(server) else [server.master_pss_bytes]),
        )
    ]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return memory
    used = memory.total_bytes - memory.available_bytes
    return memory.model_copy(update={"others_bytes": max(0, used - sum(known))})


def _serves_itself(server: Server) -> bool:
    return any(worker.pid == server.pid for worker in server.workers)


def _installation(
    pid: int | None, found: Sequence[Described], virtualenv: Path | None, root: Path
) -> Installation | None:
    """The environment that matters: the process's server's, the one named, the first; or none."""
    for item in found:
        if pid in {item.server.pid, *(worker.pid for worker in item.server.workers)}:
            return item.installation
    if virtualenv and (under(root, virtualenv) / "pyvenv.cfg").is_file():
        python = str(virtualenv / "bin" / "python")
        return installation([python], executable=None, mapped="", home=LIVE, root=root)
    return found[0].installation if found else None


def _assumed(environment: Installation | None) -> Unknown:
    versions = "; the versions are of advisor's own" if environment else ""
    return Unknown(
        what=APP_ENVIRONMENT,
        why=f"no app server that runs here shows it{versions}",
        remedy="start the app, or set app.virtualenv in advisor.yml",
    )


def _copied(root: Path) -> Unknown:
    return Unknown(
        what="servers and components",
        why=f"{root} is a copy of /proc and /sys",
        remedy="run `advisor inspect` on the host itself",
    )
