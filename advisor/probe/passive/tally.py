"""What a log told while it was followed: counts a window, and a fair sample. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advisor.probe.passive.entry import Entry

KEPT = 50_000
# A clock in a zone that the log does not name is off by a quarter of an hour at least, a line
# in a proxy's buffer by less.
MAX_LAG_S = 840.0
MAX_AHEAD_S = 2.0
SERVER_ERROR = 500


@dataclass
class Count:
    """The requests of one window that an app was asked; `upstream_s` is the sum of their times."""

    good: int = 0
    errors: int = 0
    upstream_s: float = 0.0
    timed: int = 0

    @property
    def requests(self) -> int:
        """All that ended, well or not."""
        return self.good + self.errors


@dataclass
class Tally:
    """Requests by windows of `length` seconds, the first from the epoch second `start` on.

    A request belongs to the window in which it ended: by its own time where the log has one (a
    proxy may write lines late), else by when its line was read. What is not of these windows
    is left out. Memory is bounded: `kept` is a sample of at most 50,000, each request as likely
    as any other (reservoir sampling; Vitter 1985, algorithm R).
    """

    start: float
    length: float
    windows: list[Count]
    kept: list[Entry] = field(default_factory=list)
    by_proxy: int = 0
    unread: int = 0
    newest: float | None = None
    lag_s: float = 0.0
    _random: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - a sample
    _seen: int = 0

    @property
    def requests(self) -> int:
        """Requests of the app in all windows."""
        return sum(window.requests for window in self.windows)

    @property
    def errors(self) -> int:
        """Those that ended in a 5xx."""
        return sum(window.errors for window in self.windows)

    def add(self, entry: Entry, read_at: float) -> None:
        """Count a request whose line was read at the epoch second `read_at`."""
        at = entry.at
        if at is None or not -MAX_AHEAD_S <= read_at - at <= MAX_LAG_S:
            at = read_at
        else:
            self.newest = max(at, self.newest or at)
            if at >= self.start:
                self.lag_s = max(self.lag_s, read_at - at)
        index = int((at - self.start) // self.length)
        if not 0 <= index < len(self.windows):
            return
        if entry.proxied is False:
            self.by_proxy += 1
            return
        window = self.windows[index]
        if entry.status >= SERVER_ERROR:
            window.errors += 1
        else:
            window.good += 1
        if entry.upstream_s is not None:
            window.upstream_s += entry.upstream_s
            window.timed += 1
        self._keep(entry)

    def _keep(self, entry: Entry) -> None:
        self._seen += 1
        if len(self.kept) < KEPT:
            self.kept.append(entry)
        elif (place := self._random.randrange(self._seen)) < KEPT:
            self.kept[place] = entry

    def told(self, *, buffered_s: float = 2.0) -> int:
        """How many windows the log has told all of.

        A proxy that buffers its log (lines came more than `buffered_s` late) still holds the
        last ones; the requests in them are not to be taken for none.
        """
        if self.newest is None or self.lag_s <= buffered_s:
            return len(self.windows)
        return min(len(self.windows), max(0, int((self.newest - self.start) // self.length)))
