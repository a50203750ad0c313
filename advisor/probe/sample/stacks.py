"""Where in the code an event loop is blocked: stacks of the workers' main threads, by py-spy.

Only where asked for. Each dump reads the process's memory from outside and stops nothing
(`--nonblocking`), so one may come out torn: what counts is what most of them show.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle, islice, takewhile
from operator import itemgetter
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, cast

from advisor.documents import Unknown
from advisor.host import components
from advisor.host.tree import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

INTERVAL_S = 0.12
MOST_DUMPS = 24
TIMEOUT_S = 3.0
# What one dump shows may be torn, or one of a loop's own timers: Uvicorn has ten a second.
FEWEST = 2
MAX_DUMP_BYTES = 8 * 1024**2
MAX_NAME = 200
MOST_FRAMES = 1000

# The frames that wait for events and call what has to be called: what lies inside is a request's.
# uvloop is no Python: below it stands whoever runs the loop.
_LOOPS = re.compile(
    r"(?:^|/)(?:asyncio/(?:runners|base_events|selector_events|unix_events|events)"
    r"|uvicorn/(?:server|_compat)|uvicorn_worker/_workers|uvloop/__init__|hypercorn/asyncio/run"
    r"|granian/(?:_loops|asgi|rsgi|server/\w+)|gunicorn/(?:arbiter|workers/\w+))\.py$"
)
_SELECTOR = re.compile(r"(?:^|/)selectors\.py$")
_LIBRARY = re.compile(r"/lib(?:64)?/(?:python|pypy)\d|/(?:site|dist)-packages/|^<")


@dataclass(frozen=True)
class Frame:
    """One line of code: a file as the interpreter knows it, a line number, a function."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"


@dataclass(frozen=True)
class Place:
    """Where a thread was: the innermost line of the app's own, and the innermost of all.

    A built-in such as `time.sleep` has no line: then both are the line that calls it. `own` is
    None where only libraries were on the stack.
    """

    own: Frame | None
    innermost: Frame

    def __str__(self) -> str:
        if self.own is None or self.own == self.innermost:
            return str(self.innermost)
        return f"{self.own}, which waits in {self.innermost}"


@dataclass(frozen=True)
class Stacks:
    """What the dumps showed: the most frequent place, seen `count` times.

    `samples` are the dumps whose main thread was not in its selector, of `dumps` that could be
    read; `place` is None where no place was seen in two. Without any dump, `failure` is why.
    """

    dumps: int
    samples: int
    place: Place | None
    count: int
    failure: str | None = None

    @property
    def share(self) -> float:
        """How many of the samples were at the place, 0 to 1."""
        return self.count / self.samples if self.samples else 0.0

    def gap(self) -> Unknown | None:
        """Why no line can be named; None where one can."""
        if self.place:
            return None
        if self.failure:
            return unknown(self.failure)
        if self.samples:
            return unknown(f"no line was seen twice in {self.dumps} dumps")
        return unknown(f"no worker was outside its selector in {self.dumps} dumps")


_REMEDIES = {
    "permission": "run as root: reading another process's stack needs the right to trace it",
    "not installed": "install py-spy beside advisor (its extra `stacks`)",
}


def unknown(failure: str) -> Unknown:
    """That the line is not known, because of `failure`, and what to do about it."""
    remedy = next(
        (remedy for word, remedy in _REMEDIES.items() if word in failure),
        "probe again with --stacks while the app is busy",
    )
    return Unknown(what="line of code that blocks", why=failure, remedy=remedy)


NOT_INSTALLED = "py-spy is not installed, or not by root"


def available() -> str | None:
    """The path of py-spy: the advisor's own environment's, else one on the PATH.

    As root nothing is run that another user could have put there; the advisor's own
    environment is trusted as far as it is, since it runs already.
    """
    beside = Path(sys.prefix) / "bin" / "py-spy"
    return str(beside) if os.access(beside, os.X_OK) else components.find("py-spy")


def parse(text: str, pid: int, *, is_own: Callable[[str], bool]) -> Place | None:
    """Where the main thread of `pid` is, from a `py-spy dump --json`.

    None where it waits in its selector, or only its loop's own code runs. Raises `ValueError`
    for what is no dump.
    """
    try:
        threads = json.loads(text)
    except RecursionError:
        raise ValueError("a dump nested too deep") from None
    frames = [_frame(each) for each in _main_thread(threads, pid)["frames"][:MOST_FRAMES]]
    inside = list(takewhile(lambda frame: not _LOOPS.search(frame.file), frames))
    # A console script is no part of the app, where no loop was recognised above it.
    inside = [frame for frame in inside if not (frame.function == "<module>" and _script(frame))]
    if all(_SELECTOR.search(frame.file) for frame in inside):
        return None
    return Place(next((frame for frame in inside if is_own(frame.file)), None), inside[0])


def _main_thread(threads: Any, pid: int) -> dict[str, Any]:
    for thread in threads if isinstance(threads, list) else []:
        if not isinstance(thread, dict) or not isinstance(thread.get("frames"), list):
            continue
        if thread.get("os_thread_id") == pid or thread.get("thread_name") == "MainThread":
            return thread
    raise ValueError("no main thread in the dump")


def _frame(data: Any) -> Frame:
    match data:
        case {"filename": str(file), "line": int(line), "name": str(function)}:
            return Frame(_name(file), line, _name(function))
        case _:
            raise ValueError("no frame")


def _name(text: str) -> str:
    """A name that the app has chosen, fit to be printed."""
    shown = "".join(char if char.isprintable() else "?" for char in clean(text))
    return shown if len(shown) <= MAX_NAME else f"...{shown[-MAX_NAME:]}"


def _script(frame: Frame) -> bool:
    return "/bin/" in frame.file or frame.file == "-c"


def own_code(app: str | None) -> Callable[[str], bool]:
    """Which files are the app's own: outside the interpreter's folders.

    `app` is its `module:attribute`: its package counts where it is installed among the others.

    >>> own_code("shop.main:app")("/srv/venv/lib/python3.11/site-packages/shop/db.py")
    True
    >>> own_code("shop.main:app")("/srv/venv/lib/python3.11/site-packages/redis/client.py")
    False
    """
    package = app.partition(":")[0].partition(".")[0] if app else ""
    installed = re.compile(rf"/(?:site|dist)-packages/{re.escape(package)}(?:/|\.py$)")

    def is_own(file: str) -> bool:
        return not _LIBRARY.search(file) or bool(package and installed.search(file))

    return is_own


def tell(places: Iterable[Place | None], failure: str | None = None) -> Stacks:
    """The most frequent place of the dumps, if two show it; None is one within the selector."""
    seen = list(places)
    outside = Counter(place for place in seen if place)
    twice = {place: count for place, count in outside.items() if count >= FEWEST}
    # The app's own lines are what its author can change; the rest only where there is none.
    own = {place: count for place, count in twice.items() if place.own}
    place, count = max((own or twice).items(), key=itemgetter(1), default=(None, 0))
    return Stacks(len(seen), outside.total(), place, count, None if seen else failure)


@dataclass
class StackSampler:
    """Dumps the stacks of `pids`, one after the other, in a thread of its own inside a `with`.

    At most `MOST_DUMPS` dumps, one each `INTERVAL_S`; `result()` afterwards. `app` as of
    `own_code`.
    """

    program: str
    pids: Sequence[int]
    app: str | None = None
    _places: list[Place | None] = field(default_factory=list)
    _failure: str | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="stacks", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        is_own = own_code(self.app)
        for pid in islice(cycle(self.pids), MOST_DUMPS):
            try:
                self._places.append(parse(dump(self.program, pid), pid, is_own=is_own))
            except PermissionError as error:  # the next would be refused as well
                self._failure = str(error)
                return
            except ValueError:
                self._failure = self._failure or "the stacks could not be read"
            except OSError as error:
                self._failure = str(error)
            if self._stop.wait(INTERVAL_S):
                return

    def result(self) -> Stacks:
        """What was seen, after the `with`."""
        return tell(self._places, self._failure or "there was no time for a dump")


def dump(program: str, pid: int) -> str:
    """The stacks of a process as py-spy's JSON; `OSError` with the reason where there are none.

    `PermissionError` where this user may not trace the process.
    """
    with subprocess.Popen(
        [program, "dump", "--json", "--nonblocking", "--pid", str(pid)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": components.SYSTEM_PATH, "LC_ALL": "C"},
    ) as process:
        patience = threading.Timer(TIMEOUT_S, process.kill)
        patience.start()
        try:
            out, err = cast("tuple[IO[bytes], IO[bytes]]", (process.stdout, process.stderr))
            text = out.read(MAX_DUMP_BYTES + 1)
            said = err.read(4096) if not text else b""
        finally:
            patience.cancel()
            process.kill()
    if len(text) > MAX_DUMP_BYTES:
        raise OSError(f"the stacks of process {pid} are longer than can be true")
    if not text:
        raise _failure(pid, said.decode(errors="replace"))
    return text.decode(errors="replace")


def _failure(pid: int, said: str) -> OSError:
    """Why py-spy printed no stacks, from what it says on standard error."""
    if "ermission" in said or "not permitted" in said:
        return PermissionError(f"no permission to read the stack of process {pid}")
    if "that the process is running" in said or "No such process" in said:
        return ProcessLookupError(f"process {pid} is gone")
    first = next(iter(said.splitlines()), "") or "it said nothing"
    return OSError(f"py-spy cannot read process {pid}: {_name(first.removeprefix('Error: '))}")
