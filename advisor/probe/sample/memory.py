"""What a server's processes hold in memory: whose pages, and how many as the requests go by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.host.tree import clean, proc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.documents import Server

# A look into smaps_rollup walks the page tables (0.2 to 0.7 ms); of more workers the counters do.
EXACT_WORKERS = 8
_SIZE = re.compile(r"^(\w+):\s+(\d{1,15}) kB$", re.ASCII | re.MULTILINE)


@dataclass(frozen=True)
class Pages:
    """A process's memory in bytes: resident, its own (USS), and what of that is files' pages.

    `own_files` are clean pages of files that nobody else maps now: another process of the same
    program would share them.
    """

    resident: int
    own: int
    own_files: int


@dataclass(frozen=True)
class Holding:
    """One process: how it was started, its anonymous bytes and its pages; None where denied."""

    pid: int
    argv: tuple[str, ...]
    anonymous: int | None
    pages: Pages | None


@dataclass(frozen=True)
class Holdings:
    """The master and the workers; a server of one process is its own only worker."""

    master: Holding
    workers: tuple[Holding, ...]


@dataclass(frozen=True)
class MemorySample:
    """What all workers held, in bytes, after so many answers, under so many connections.

    `exact` is whether the page tables were read; the kernel's counters, which every user may
    read, lag behind by some pages a CPU on Linux 6.2 to 6.15.
    """

    requests: int
    connections: int
    held_bytes: int
    exact: bool


def holdings(server: Server) -> Holdings:
    """The server's processes as they are now; nothing raised for one that is gone."""
    return Holdings(_holding(server.pid), tuple(_holding(each.pid) for each in server.workers))


def sample(pids: Sequence[int], *, requests: int, connections: int) -> MemorySample | None:
    """The anonymous memory of all `pids`, swapped pages too; None where one is gone.

    Not their USS: a page that a worker shared with its master and now writes to becomes its
    own, which is no growth.
    """
    if len(pids) <= EXACT_WORKERS:
        try:
            held = sum(parse_anonymous(_rollup(pid)) for pid in pids)
        except (OSError, ValueError):
            pass
        else:
            return MemorySample(requests, connections, held, exact=True)
    try:
        held = sum(anonymous(pid) for pid in pids)
    except (OSError, ValueError):
        return None
    return MemorySample(requests, connections, held, exact=False)


def anonymous(pid: int) -> int:
    """Anonymous bytes by the kernel's counters, as any user; `OSError` or `ValueError` if gone."""
    return parse_anonymous(Path(proc(pid), "status").read_text(errors="replace"))


def parse_anonymous(text: str) -> int:
    r"""Anonymous bytes, swapped or not, of a `status` or `smaps_rollup` text.

    Raises `ValueError` where they are not in it: a process that is ending has none.

    >>> parse_anonymous("RssAnon:\t 8 kB\nVmSwap:\t 4 kB\n")
    12288
    """
    sizes = _sizes(text)
    for held, swapped in (("Anonymous", "Swap"), ("RssAnon", "VmSwap")):
        if held in sizes:
            return sizes[held] + sizes.get(swapped, 0)
    raise ValueError("no anonymous memory in it")


def parse_pages(text: str) -> Pages:
    r"""The pages of a smaps_rollup text; `ValueError` where it holds none.

    >>> parse_pages("Rss: 9 kB\nPrivate_Clean: 1 kB\nPrivate_Dirty: 2 kB\n").own
    3072
    """
    sizes = _sizes(text)
    if "Rss" not in sizes:
        raise ValueError("no resident memory in it")
    private = ("Private_Clean", "Private_Dirty", "Private_Hugetlb")
    return Pages(
        resident=sizes["Rss"],
        own=sum(sizes.get(name, 0) for name in private),
        own_files=sizes.get("Private_Clean", 0),
    )


def _holding(pid: int) -> Holding:
    argv: tuple[str, ...] = ()
    held: int | None = None
    pages: Pages | None = None
    try:
        words = Path(proc(pid), "cmdline").read_bytes().decode(errors="surrogateescape")
        argv = tuple(clean(word) for word in words.rstrip("\0").split("\0") if words)
        held = anonymous(pid)
        pages = parse_pages(_rollup(pid))
    except (OSError, ValueError):
        pass  # what was read before stands
    return Holding(pid, argv, held, pages)


def _rollup(pid: int) -> str:
    return Path(proc(pid), "smaps_rollup").read_text(errors="replace")


def _sizes(text: str) -> dict[str, int]:
    return {name: int(size) * 1024 for name, size in _SIZE.findall(text)}
