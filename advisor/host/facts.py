"""Everything that can be told about a host without load and without root."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from advisor.documents import APP_ENVIRONMENT, FACTS_SCHEMA, Facts, Memory, Unknown
from advisor.errors import InvalidInput
from advisor.host import components, kernel, limits, machine, redis, servers
from advisor.host.installation import Installation, components_of, installation, own
from advisor.host.interfaces import interfaces
from advisor.host.tree import proc, under

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.documents import Component, Server
    from advisor.host.describe import Described

LIVE = Path("/")


def gather(pid: int | None = None, *, root: Path = LIVE, virtualenv: Path | None = None) -> Facts:
    """The facts of this host, with the limits of one process.

    Args:
        pid: the process whose limits count; the advisor's own where it is None.
        root: what stands before /proc and /sys. In a copied tree there are no servers to
            look at and no programs to ask, and `unknown` says so.
        virtualenv: the app's environment, where no server that runs shows it.

    Raises:
        InvalidInput: there is no such process, or none that this user may see.
    """
    if pid is not None and not (pid > 0 and under(root, proc(pid)).is_dir()):
        raise InvalidInput(
            f"--pid {pid}: no such process",
            remedy="`advisor inspect` lists the servers that run here and their PIDs.",
        )
    live = root == LIVE
    found = servers.discover() if live else []
    environment = _installation(pid, found, virtualenv)
    cpu, cpu_unknown = limits.cpu(pid, root=root)
    memory, memory_unknown = limits.memory(pid, root=root)
    kernel_limits, kernel_unknown = kernel.kernel(pid, root=root)
    stores, redis_unknown = redis.discover() if live else ([], [])
    return Facts(
        schema_=FACTS_SCHEMA,
        host=machine.host(root),
        cpu=cpu,
        memory=_with_others(memory, [item.server for item in found]),
        kernel=kernel_limits,
        components=_components(environment) if live else {},
        servers=[item.server for item in found],
        unknown=[
            *cpu_unknown,
            *memory_unknown,
            *kernel_unknown,
            *(entry for item in found for entry in item.unknown),
            *redis_unknown,
            *([] if live else [_copied(root)]),
            *([_assumed()] if live and environment == own() else []),
        ],
        pid=pid,
        redis=stores,
        interfaces=interfaces(root) if kernel.same_network(pid, root)[0] else [],
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
    pid: int | None, found: Sequence[Described], virtualenv: Path | None
) -> Installation:
    """The environment that matters: the process's server's, the one named, the first, ours."""
    for item in found:
        if pid in {item.server.pid, *(worker.pid for worker in item.server.workers)}:
            return item.installation
    if virtualenv and (virtualenv / "pyvenv.cfg").is_file():
        return installation(
            [str(virtualenv / "bin" / "python")], executable=None, mapped="", home=LIVE, root=LIVE
        )
    return found[0].installation if found else own()


def _components(environment: Installation) -> dict[str, Component]:
    return components.components() | components_of(environment)


def _assumed() -> Unknown:
    return Unknown(
        what=APP_ENVIRONMENT,
        why="no app server that runs here shows it; the versions are of advisor's own",
        remedy="start the app, or set app.virtualenv in advisor.yml",
    )


def _copied(root: Path) -> Unknown:
    return Unknown(
        what="servers and components",
        why=f"{root} is a copy of /proc and /sys",
        remedy="run `advisor inspect` on the host itself",
    )
