"""Every call that changes the disk, and every step, as the last one: wholly old or wholly new.

One operation that does all that an operation can do (replaces an administrator's file, gives up a
path, makes a folder, swaps, is committed) is run once for each of its calls.
"""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy.switch import generations
from advisor.deploy.switch.journal import TERMINAL, Journal
from advisor.deploy.switch.layout import Layout
from advisor.deploy.switch.lock import Lock
from advisor.deploy.switch.serve import boot
from advisor.deploy.switch.status import status
from tests.deploy.switch.core.made import (
    USUAL,
    FaultyOs,
    Killed,
    Told,
    asked,
    done,
    faulty,
    live,
    run,
    switch,
    take_in,
    tree,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MORE = "/etc/nginx/conf.d/shop-more.conf"
OLD = [*USUAL, "caddy/Caddyfile"]
NEW = [*USUAL, "nginx/{app}-more.conf", "systemd/10-advisor.conf"]


def prepared(layout: Layout) -> str:
    """A host with a generation, others' files, and a request that changes all there is to."""
    layout.at("/etc/caddy/Caddyfile").write_text("# the package's\n")
    layout.at("/etc/nginx/conf.d/other.conf").write_text("# others'\n")
    assert done(switch(layout), asked(tree(says="1", paths=OLD), overwrite=True))["changed"]
    layout.at(MORE).write_text("# somebody's\n")
    return take_in(layout, asked(tree(says="2", paths=NEW), overwrite=True))


@pytest.fixture
def fresh(layout: Layout) -> Iterator[Any]:
    """Hosts, each below a folder of its own beside the others."""

    def make() -> Layout:
        root = Path(tempfile.mkdtemp(dir=layout.root))
        for name in ("etc/nginx/conf.d", "etc/systemd/system", "etc/caddy", "var/lib"):
            (root / name).mkdir(parents=True)
        return Layout(root)

    return iter(make, None)


def unrooted(layout: Layout) -> dict[str, Any]:
    """What daemons see, with the links' texts as they would be below /."""
    return {
        path: (each[0].replace(str(layout.root), ""), each[1])
        if each and isinstance(each[0], str)
        else each
        for path, each in live(layout).items()
    }


def ends(fresh: Iterator[Layout]) -> tuple[dict[str, Any], dict[str, Any], int]:
    """What there is before the operation and after it, and how many calls lie between."""
    layout = next(fresh)
    prepared(layout)
    before = unrooted(layout)
    with faulty(FaultyOs()) as faults:
        run(switch(layout))
    return before, unrooted(layout), faults.count


def assert_whole(layout: Layout, id_: str, before: Any, after: Any, told: Told) -> str:
    """Everything that must hold whenever the switch has come to an end; the state."""
    state = str(Journal(layout).lines(id_)[-1]["step"])
    assert state in TERMINAL
    assert unrooted(layout) == (after if state == "committed" else before), state
    shown = status(layout)
    assert shown["current"] == (2 if state == "committed" else 1) == shown["committed"]
    assert [each["n"] for each in shown["generations"]] == (
        [1, 2] if shown["current"] == 2 else [1]
    )
    assert shown["waiting"] == []
    assert shown["apps"]["shop"]["drift"] == []
    if "shop" in told.serving:
        says = b"2" if state == "committed" else b"1"
        site = told.serving["shop"]["/etc/nginx/conf.d/shop.conf"]
        assert site == b"in nginx/{app}.conf " + says + b"\n"
    assert not list(layout.root.rglob(".*.advisor"))
    return state


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_call_ends_wholly_old_or_wholly_new(
    fresh: Iterator[Layout], is_after: bool
) -> None:
    before, after, calls = ends(fresh)
    states = []
    for at in range(calls):
        layout = next(fresh)
        id_ = prepared(layout)
        told = Told(layout)
        with faulty(FaultyOs(at, is_after=is_after)), pytest.raises(Killed):
            run(switch(layout, told))
        run(switch(layout, told))
        states.append(assert_whole(layout, id_, before, after, told))
    assert set(states) == {"refused", "returned", "committed"}


def test_a_power_cut_at_any_call_is_ended_at_boot(fresh: Iterator[Layout]) -> None:
    before, after, calls = ends(fresh)
    for at in range(calls):
        layout = next(fresh)
        id_ = prepared(layout)
        with faulty(FaultyOs(at)), pytest.raises(Killed):
            run(switch(layout))
        lock = Lock(layout)
        boot(layout, _Manager(), lock)
        lock.release()
        assert_whole(layout, id_, before, after, Told(layout))


class _Manager:
    def act(self, *_words: str) -> None:
        pass


def test_a_kill_of_the_return_is_returned_again(fresh: Iterator[Layout]) -> None:
    before, after, _ = ends(fresh)
    layout = next(fresh)
    prepared(layout)
    with faulty(FaultyOs()) as faults:
        run(switch(layout, answer="return"))
    for at in range(faults.count):
        layout = next(fresh)
        id_ = prepared(layout)
        told = Told(layout)
        with faulty(FaultyOs(at)), pytest.raises(Killed):
            run(switch(layout, told, answer="return"))
        # Some of them have so little left to do that this one comes to its end.
        with faulty(FaultyOs(3)), suppress(Killed):
            run(switch(layout, told, answer=None))
        run(switch(layout, told, answer=None))
        assert assert_whole(layout, id_, before, after, told) != "committed"


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EROFS], ids=errno.errorcode.get)
def test_a_fault_at_any_call_ends_wholly_old_or_wholly_new(
    fresh: Iterator[Layout], fault: int
) -> None:
    before, after, calls = ends(fresh)
    states = []
    for at in range(calls):
        layout = next(fresh)
        id_ = prepared(layout)
        told = Told(layout)
        with faulty(FaultyOs(at, fault)):
            try:
                run(switch(layout, told))
            except OSError as error:
                assert error.errno == fault  # noqa: PT017 - either way is right
        run(switch(layout, told))
        states.append(assert_whole(layout, id_, before, after, told))
    assert {"refused", "returned", "committed"} <= set(states)


@pytest.mark.parametrize("is_lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EROFS], ids=errno.errorcode.get)
def test_a_fault_at_any_call_of_a_return_ends_wholly_old(
    fresh: Iterator[Layout], fault: int, is_lasting: bool
) -> None:
    before, after, _ = ends(fresh)
    layout = next(fresh)
    prepared(layout)
    gated: list[int] = []
    with faulty(FaultyOs()) as faults:
        told = Told(layout, lambda name: gated.append(faults.count) if name == "gate" else None)
        run(switch(layout, told, answer="return"))
    for at in range(gated[0], faults.count):
        layout = next(fresh)
        id_ = prepared(layout)
        told = Told(layout)
        with faulty(FaultyOs(at, fault, is_lasting=is_lasting)), suppress(OSError):
            run(switch(layout, told, answer="return"))
        run(switch(layout, told, answer="return"))
        assert assert_whole(layout, id_, before, after, told) == "returned"


def test_a_disk_that_fills_up_within_a_write_ends_wholly_old_or_wholly_new(
    fresh: Iterator[Layout],
) -> None:
    """Half of it is written, and that is all there is room for."""

    class Full(FaultyOs):
        def write(self, descriptor: int, content: bytes) -> int:
            if self.count == self.at:
                os.write(descriptor, content[: len(content) // 2])
            return int(self._watched("write", os.write)(descriptor, content))

    before, after, _ = ends(fresh)
    layout = next(fresh)
    prepared(layout)
    with faulty(Full()) as faults:
        run(switch(layout))
    states = set()
    for at in (at for at, name in enumerate(faults.names) if name == "write"):
        layout = next(fresh)
        id_ = prepared(layout)
        told = Told(layout)
        with faulty(Full(at, errno.ENOSPC)), suppress(OSError):
            run(switch(layout, told))
        run(switch(layout, told))
        states.add(assert_whole(layout, id_, before, after, told))
    assert {"refused", "returned"} <= states


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EROFS], ids=errno.errorcode.get)
def test_a_disk_that_stays_bad_is_gone_on_with_when_it_is_mended(
    fresh: Iterator[Layout], fault: int
) -> None:
    before, after, calls = ends(fresh)
    for at in range(0, calls, 2):
        layout = next(fresh)
        id_ = prepared(layout)
        told = Told(layout)
        with faulty(FaultyOs(at, fault, is_lasting=True)):
            for _ in range(2):
                try:
                    run(switch(layout, told))
                except OSError as error:
                    assert error.errno == fault  # noqa: PT017 - either way is right
        run(switch(layout, told))
        assert_whole(layout, id_, before, after, told)


def test_a_request_behind_one_that_could_not_be_returned_is_refused(
    fresh: Iterator[Layout],
) -> None:
    layout = next(fresh)
    prepared(layout)

    class Broken(FaultyOs):
        """Links cannot be made any more from the gate on."""

        is_broken = False

        def _watched(self, name: str, real: Any) -> Any:
            if self.is_broken and name == "symlink":
                return self._fail
            return super()._watched(name, real)

        def _fail(self, *_arguments: Any, **_options: Any) -> None:
            raise OSError(errno.EIO, "Input/output error")

    broken = Broken()

    def gate(name: str) -> None:
        broken.is_broken = broken.is_broken or name == "gate"

    with faulty(broken):
        run(switch(layout, Told(layout, gate), answer="return"))
        last = status(layout)["operation"]
        assert last["state"] == "return_failed"
        assert "start advisor-switch.service" in last["reason"]["look"]
        behind = take_in(layout, asked(tree(says="3")))
        run(switch(layout))
        assert Journal(layout).lines(behind)[-1]["step"] == "refused"
    run(switch(layout))
    assert Journal(layout).lines(last["id"])[-1]["step"] == "returned"
    assert done(switch(layout), asked(tree(says="3"), overwrite=True))["state"] == "committed"


def test_half_a_generation_is_none_and_goes_at_the_next_start(fresh: Iterator[Layout]) -> None:
    _, _, calls = ends(fresh)
    seen = set()
    for at in range(0, calls, 3):
        layout = next(fresh)
        prepared(layout)
        with faulty(FaultyOs(at)), pytest.raises(Killed):
            run(switch(layout))
        seen |= {path.name for path in layout.generations.glob(".*")}
        for number in generations.numbers(layout):
            assert "shop" in generations.installs(layout, number)
    assert ".new-2" in seen
    (layout.generations / ".gone-1/shop").mkdir(parents=True)
    run(switch(layout))
    assert not list(layout.generations.glob(".*"))
