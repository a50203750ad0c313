"""What was measured before, by host and versions: a file of the user's cache folder.

A cache is never worth a failure: what cannot be read, is not ours or does not fit is no cache.
"""

from __future__ import annotations

import hashlib
import os
import stat
import statistics
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from advisor import files
from advisor.documents import Amount, ClassCost, Document
from advisor.errors import InvalidInput
from advisor.host import machine
from advisor.host.tree import content, text
from advisor.probe.classes.interpreter import OTHERS_MAY_WRITE, belongs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from advisor.probe.classes.interpreter import Interpreter

# Another number once the figures are measured in another way.
SCHEMA: Final = "advisor/classes/6"
MAX_AGE_S = 30 * 86400
# Now and then a machine is another one for the few seconds of a calibration: gthread took 103, 116
# and 171 µs beside sync's 147 to 153. The middle of so many is out of their reach.
ENOUGH = 5
MAX_ENTRIES = 200
MAX_BYTES = 1024**2


class Entry(Document):
    """One class's cost; `measured_at` in seconds since the epoch."""

    measured_at: Amount
    cost: ClassCost


class Cache(Document):
    """Everything measured, by `key`: of each at most `ENOUGH`, the newest last."""

    schema_: Literal["advisor/classes/6"] = Field(alias="schema")
    entries: dict[str, Annotated[list[Entry], Field(min_length=1)]]


def key(name: str, interpreter: Interpreter) -> str:
    """What a cost depends on: the machine, the interpreter, the versions, and the class."""
    versions = (f"{package}-{number}" for package, number in sorted(interpreter.packages.items()))
    return " ".join([_machine(), os.path.realpath(interpreter.python), *versions, name])


def _machine() -> str:
    """This machine as a hash, for its id is not to be shown (machine-id(5)).

    The processor, how many are online and how many are ours are in it: a resized or copied machine
    keeps its id, and on one core of it the load has the server's.
    """
    told = text(Path("/proc/cpuinfo")).splitlines()
    model = next((line for line in told if line.startswith(("model name", "CPU part"))), "")
    cpus = f"{len(os.sched_getaffinity(0))} of {len(machine.online_cpus(Path('/')))}"
    words = ["advisor", text(Path("/etc/machine-id")), model, cpus]
    return hashlib.sha256("\0".join(words).encode("utf-8", "replace")).hexdigest()[:16]


def default_path() -> Path | None:
    """`advisor/classes.json` below XDG_CACHE_HOME or ~/.cache; None where neither is a place.

    A relative XDG_CACHE_HOME is ignored (XDG Base Directory Specification).
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        base = named if named.is_absolute() else Path.home() / ".cache"
    except RuntimeError:  # no home
        return None
    return base / "advisor" / "classes.json"


def read(path: Path) -> dict[str, list[ClassCost]]:
    """The costs that are not too old, by `key`; none where the file is not to be trusted."""
    now = time.time()
    return {
        name: [each.cost for each in seen if 0 <= now - each.measured_at <= MAX_AGE_S]
        for name, seen in _entries(path).items()
    }


def middle(seen: Sequence[ClassCost]) -> ClassCost:
    """The medians of a class's costs, at least one."""
    wakes = [each.wake_s for each in seen if each.wake_s is not None]
    return ClassCost(
        cpu_s=statistics.median(each.cpu_s for each in seen),
        held_s=statistics.median(each.held_s for each in seen),
        wake_s=statistics.median(wakes) if wakes else None,
    )


def write(path: Path, costs: Mapping[str, ClassCost]) -> None:
    """Add costs by `key`, measured now. Where that cannot be, nothing is written."""
    now = time.time()
    if not costs or not _made(path.parent):
        return
    known = _entries(path)
    entries = known | {
        name: [*known.get(name, []), Entry(measured_at=int(now), cost=cost)][-ENOUGH:]
        for name, cost in costs.items()
    }
    newest = sorted(entries.items(), key=lambda item: item[1][-1].measured_at)[-MAX_ENTRIES:]
    document = Cache(schema_=SCHEMA, entries=dict(newest))
    with suppress(InvalidInput):  # a full disk, say
        files.write_atomic(path, files.dump(document, is_json=True).encode(), mode=0o600)


def _entries(path: Path) -> dict[str, list[Entry]]:
    try:
        status = path.lstat()
        if not _ours(path.parent) or not stat.S_ISREG(status.st_mode):
            return {}
        if status.st_uid != os.geteuid() or status.st_mode & OTHERS_MAY_WRITE:
            return {}
        raw = content(path, most=MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            return {}
        data = files.parse(raw.decode("utf-8"), name=str(path), is_json=True)
        return files.validate(Cache, data, name=str(path)).entries
    except (OSError, UnicodeDecodeError, InvalidInput):
        return {}


def _made(folder: Path) -> bool:
    """Whether the folder is ours to write in, made where it was missing."""
    try:
        there = next(each for each in (folder, *folder.parents) if each.exists())
        if os.geteuid() == 0 and not belongs(there, {0}):  # `sudo` with a user's HOME
            return False
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return _ours(folder)


def _ours(folder: Path) -> bool:
    """Whether the folder is ours alone to change; for root, everything above it too."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return False
    if status.st_mode & OTHERS_MAY_WRITE:
        return False
    return os.geteuid() != 0 or belongs(folder, {0})
