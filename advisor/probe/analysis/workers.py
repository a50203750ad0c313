"""The workers as a group: what one more would take, and how evenly the work fell. Pure."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING, Literal

from advisor.documents import Balance, Estimate, Unknown, WorkerMemory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.documents import Server
    from advisor.probe.sample.memory import Holding, Holdings

MIB = 1024**2
# What a child of multiprocessing's runs after `-c`.
SPAWNED = "from multiprocessing.spawn import"
# Anonymous memory of a Gunicorn or Granian master that has imported no app, measured on Python
# 3.11: 15.8 to 16.4 MiB (18 with UvicornWorker, which brings Uvicorn along).
BARE_MASTER_BYTES = 16 * MIB
# Workers that hold less than this beyond a bare master: the difference is lost in what varies.
LEAST_APP_BYTES = 4 * MIB
PRELOADED, NOT_PRELOADED = 0.7, 0.3
# How far the next worker may be from the ones there are: sum PSS grew by 0.3 to 3 % more than
# the mean USS in launches of 1, 2 and 4 workers; one alone says nothing of how they differ.
NEXT_RATIO, ALONE_RATIO = 0.05, 0.1
# A worker at this share of the CPU that it can get has none left: sampling and the wait for
# connections take the rest.
SATURATED = 0.85


def worker_memory(server: Server, seen: Holdings) -> tuple[WorkerMemory, list[Unknown]]:
    """How the workers were started, what they share and what one more costs.

    What may not be read is null, and one entry of the unknown says so.
    """
    started = started_by(seen)
    pages = [worker.pages for worker in seen.workers if worker.pages]
    memory = WorkerMemory(
        started_by=started,
        preloaded=preloaded(server, started, seen),
        marginal_bytes=marginal(started, seen),
        shared_bytes=round(mean(p.resident - p.own for p in pages)) if pages else None,
    )
    if memory.marginal_bytes is not None:
        return memory, []
    gap = Unknown(
        what="what the workers share and one more takes",
        why="their memory maps may not be read",
        remedy="run as root, or as the server's user",
    )
    return memory, [gap]


def started_by(seen: Holdings) -> Literal["fork", "spawn", "itself", "unknown"]:
    """By the command lines: a fork keeps its master's, a spawned child has multiprocessing's.

    Gunicorn's processes may title themselves (setproctitle) "gunicorn: worker [name]".
    """
    master, workers = seen.master, seen.workers
    if [worker.pid for worker in workers] == [master.pid]:
        return "itself"
    if not workers or not all(worker.argv for worker in workers):
        return "unknown"
    if all(any(word.startswith(SPAWNED) for word in worker.argv) for worker in workers):
        return "spawn"
    if all(_is_fork(worker, master) for worker in workers):
        return "fork"
    return "unknown"


def preloaded(server: Server, started: str, seen: Holdings) -> bool | None:
    """Whether the app was imported before the fork; None where it cannot be told.

    Gunicorn's own `preload_app` where that is known. Else by what the *master* holds beyond a
    bare one, against what the workers hold beyond it: the app's imports are in both, or only in
    the workers. Pages that are still shared are no measure: reference counts and the garbage
    collector write to them, and an app of 60 MB was seen to share 73 MB at first and less with
    every request, while what the master holds stays. Any user may read that.
    """
    if started == "spawn":
        return False
    if started != "fork":
        return None
    told = server.settings.get("preload_app")
    if isinstance(told, bool):
        return told
    sizes = [worker.anonymous for worker in seen.workers if worker.anonymous is not None]
    if not sizes or seen.master.anonymous is None:
        return None
    beyond = min(sizes) - BARE_MASTER_BYTES  # the one that has grown least since
    if beyond < LEAST_APP_BYTES:
        return None
    share = (seen.master.anonymous - BARE_MASTER_BYTES) / beyond
    return True if share >= PRELOADED else False if share <= NOT_PRELOADED else None


def marginal(started: str, seen: Holdings) -> Estimate | None:
    """Bytes one more worker would add to the server's PSS: the mean USS, between least and most.

    Pages that several hold are there already. A single worker's USS is too much: the files'
    pages that it alone maps a second one would share, and of a forked one also the pages that
    are its own only because the *master* has written to its copy, at most what the master has
    of its own. The first are taken off the value, the second off the low end.
    """
    pages = [worker.pages for worker in seen.workers if worker.pages]
    if not pages:
        return None
    own = [each.own for each in pages]
    least, value, most, spread = min(own), mean(own), max(own), NEXT_RATIO
    if len(own) == 1:
        value = most - pages[0].own_files
        copied = seen.master.pages.own if seen.master.pages and started == "fork" else 0
        least, spread = max(0, value - copied), ALONE_RATIO
    return Estimate(
        value=round(value),
        low=round((1 - spread) * least),
        high=round((1 + spread) * most),
        n=len(own),
    )


def balance(cores: Mapping[int, float], cores_left: float) -> Balance | None:
    """How evenly the work fell on the workers at the knee; None for fewer than two, or idle ones.

    `cores` is the CPU seconds a second of each worker, `cores_left` what all of them could have
    used. Where the busiest worker was saturated (0.85 of a core or of what it could get), the
    others, had they been as busy, would together have used n times its cores, but no more than
    is left, and served in that proportion:

        lost = min(n x busiest, cores_left) / sum - 1

    Where it was not, something else than the CPU was the limit, and an even spread adds nothing
    that could be told from here.
    """
    total, count = sum(cores.values()), len(cores)
    if count < 2 or total <= 0:
        return None
    busiest = max(cores.values())
    saturated = busiest >= SATURATED * min(1.0, cores_left)
    lost = min(count * busiest, cores_left) / total - 1 if saturated else 0.0
    return Balance(
        busiest_ratio=round(min(1.0, busiest / total), 4),
        even_ratio=round(1 / count, 4),
        lost_ratio=round(max(0.0, lost), 4),
    )


def _is_fork(worker: Holding, master: Holding) -> bool:
    return worker.argv == master.argv or worker.argv[0].startswith("gunicorn: worker")
