"""One scheduler group for app and load, as they would have in deployment."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")


@contextmanager
def one_scheduler_group() -> Iterator[None]:
    """Switch autogrouping off inside the `with`, and back; says so where that is not allowed.

    With it the kernel shares CPU by session, so an app started in one of its own and the load
    beside it do not compete as they would otherwise (sched(7)).
    """
    try:
        before = AUTOGROUP.read_text()
        AUTOGROUP.write_text("0")
    except OSError as error:
        print(f"  (scheduler autogrouping is as it was: {error})")
        yield
        return
    try:
        yield
    finally:
        AUTOGROUP.write_text(before)
