"""Where the requests of real traffic are counted: a proxy's access log, or nginx's counters."""

from __future__ import annotations

import os
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from advisor.documents import Unknown
from advisor.errors import InvalidInput
from advisor.host.tree import clean
from advisor.probe.passive.follow import Follower, opened
from advisor.probe.passive.formats import BEST_FORMAT, parser
from advisor.probe.passive.seen import Source
from advisor.probe.passive.stub_status import StubStatus

if TYPE_CHECKING:
    from pathlib import Path

    from advisor.host.proxies.site import Site
    from advisor.probe.passive.formats import Parser
    from advisor.probe.passive.tally import Tally


class Counter(Protocol):
    """Counts requests into a tally, inside an `async with`."""

    @property
    def source(self) -> Source:
        """What it reads."""

    lost: str | None

    async def look(self, tally: Tally) -> None:
        """Take what came by since the last look."""

    async def window_ends(self, tally: Tally, index: int) -> None:
        """Take what belongs to the window that ends now; -1 as the first begins."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *error: object) -> None: ...


@dataclass
class Log:
    """An access log, followed from its end. Raises `InvalidInput` where it cannot be."""

    path: Path
    log_format: str | None
    lost: str | None = None
    _parse: Parser = field(init=False)
    _follower: Follower = field(init=False)

    def __post_init__(self) -> None:
        self._parse = parser(self.log_format)
        self._follower = Follower(self.path)
        os.close(opened(self.path))

    @property
    def source(self) -> Source:
        """Its path, and its format as it was told."""
        log_format = clean(self.log_format) if self.log_format else "recognised"
        return Source(clean(str(self.path)), "access-log", log_format)

    async def look(self, tally: Tally) -> None:
        """Read the lines that were written."""
        for line in self._follower.lines():
            entry = self._parse(line)
            if entry is None:
                tally.unread += 1
            else:
                tally.add(entry, time.time())
        self.lost = self._follower.lost

    async def window_ends(self, tally: Tally, index: int) -> None:
        """As `look`: lines know their own time, or have just come."""
        del index
        await self.look(tally)

    async def __aenter__(self) -> Self:
        self._follower.__enter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._follower.__exit__()


@dataclass
class Counters:
    """nginx's stub_status page. Raises as `StubStatus` does."""

    page: StubStatus
    lost: str | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def source(self) -> Source:
        """The page's URL."""
        return Source(self.page.url, "stub-status", None)

    async def look(self, tally: Tally) -> None:
        """Nothing between two windows: each reading is a request to nginx."""

    async def window_ends(self, tally: Tally, index: int) -> None:
        """Read the counters."""
        count = await self.page.since_last()
        if index >= 0:
            tally.windows[index].good += count

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.page)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


def choose(
    access_log: Path | None, log_format: str | None, stub_status: str | None, site: Site | None
) -> tuple[Counter, list[Unknown]]:
    """What the user named, else the first of the site's logs and counters that can be read.

    The unknown says which of the site's could not. Raises `InvalidInput` where nothing is left,
    or what the user named is no log of requests.
    """
    if access_log is not None:
        return Log(access_log, log_format or _format_of(access_log, site)), []
    if stub_status is not None:
        return Counters(StubStatus(stub_status)), []
    unread: list[Unknown] = []
    for log in site.access_logs if site else ():
        try:
            return Log(log.path, log_format or log.format), unread
        except InvalidInput as error:
            unread.append(
                Unknown(what="the access log", why=error.message, remedy=error.remedy or _REMEDY)
            )
    if site and site.stub_status:
        return Counters(StubStatus(site.stub_status)), unread
    why = "; ".join(gap.why for gap in unread) or "no access log of a proxy is known"
    raise InvalidInput(
        f"--observe: nothing tells the requests: {why}",
        remedy=unread[0].remedy if unread else _REMEDY,
    )


_REMEDY = f"Give --access-log FILE or --stub-status URL. Of nginx's logs, best is: {BEST_FORMAT}"


def _format_of(path: Path, site: Site | None) -> str | None:
    """The format of a log that the site writes too."""
    for log in site.access_logs if site else ():
        try:
            if log.path == path or log.path.samefile(path):
                return log.format
        except OSError:
            continue
    return None
