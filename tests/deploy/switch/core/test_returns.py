"""Returns whose end cannot be written down, or that fail, or find a unit gone: what comes next."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy.switch import generations
from advisor.deploy.switch.documents import Refusal
from advisor.deploy.switch.journal import Journal
from advisor.deploy.switch.lock import Lock
from advisor.deploy.switch.serve import boot
from advisor.deploy.switch.status import status
from tests.deploy.switch.core.made import (
    SITE,
    UNIT,
    FaultyOs,
    Killed,
    Told,
    asked,
    done,
    ended,
    faulty,
    live,
    run,
    switch,
    take_in,
    tree,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from advisor.deploy.switch.layout import Layout

BLOG_SITE = "nginx/blog.conf"
WANTED = b"[Install]\nWantedBy=multi-user.target\n"


class Unwritable(FaultyOs):
    """The journal's folder turns read-only; all else can be written."""

    is_broken = False

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        usual = super()._watched(name, real)

        def call(*arguments: Any, **options: Any) -> Any:
            if self.is_broken and name == "open" and "/var/lib/advisor" in str(arguments[0]):
                raise OSError(errno.EROFS, "Read-only file system", str(arguments[0]))
            return usual(*arguments, **options)

        return call


def applied(layout: Layout, says: str = "1", app: str = "shop") -> dict[str, Any]:
    return done(switch(layout), asked(tree(app, says), app=app))


def marks(layout: Layout) -> list[Path]:
    return list(layout.run.glob("returned-*"))


# A journal that cannot be written


@pytest.mark.parametrize("is_well", [True, False])
def test_daemons_are_given_back_once_though_the_end_cannot_be_written(
    layout: Layout, is_well: bool
) -> None:
    """systemd starts the switch again and again; each time it may have restarted the app."""
    applied(layout)
    before = live(layout)
    disk = Unwritable()

    def gate(name: str) -> Refusal | None:
        if name != "gate":
            return None
        is_first, disk.is_broken = not disk.is_broken, True
        return Refusal("gate", "502") if is_first or not is_well else None

    told = Told(layout, gate)
    id_ = take_in(layout, asked(tree(says="2")))
    with faulty(disk):
        for _ in range(3):
            with pytest.raises(OSError, match="Read-only"):
                run(switch(layout, told))
    assert live(layout) == before
    assert [is_return for *_, is_return in told.activated] == [False, True]
    assert len(marks(layout)) == 1
    run(switch(layout, told))
    assert ended(layout, id_)["state"] == ("returned" if is_well else "return_failed")
    assert len(told.activated) == 2
    assert not marks(layout)


# Several apps


def both(layout: Layout) -> None:
    for says in "12":
        for app in ("blog", "shop"):
            applied(layout, says, app)


def test_one_apps_refusal_keeps_no_other_from_its_return(layout: Layout) -> None:
    both(layout)
    told = Told(layout)
    activations = iter([None, None, Refusal("activate", "blog's is refused")])
    gates = iter([Refusal("gate", "502")])

    def says(name: str) -> Refusal | None:
        return next({"activate": activations, "gate": gates}.get(name, iter(())), None)

    told.says = says
    operation = done(switch(layout, told), asked(to=2, all_apps=True))
    assert operation["state"] == "return_failed"
    assert "blog's is refused" in operation["reason"]["message"]
    assert [(app, is_return) for app, _, is_return in told.activated] == [
        ("blog", False),
        ("shop", False),
        ("blog", True),
        ("shop", True),
    ]
    assert told.serving["shop"][SITE.format(app="shop")] == b"in nginx/{app}.conf 2\n"
    # The one that was given its files back was asked how it is.
    assert told.calls.count("gate") == 2


def failed(layout: Layout, request: dict[str, Any]) -> list[str]:
    """An operation that is taken back in vain; the paths of it that daemons may still have."""
    told = Told(layout)

    def says(name: str) -> Refusal | None:
        is_returning = name == "activate" and told.activated[-1][-1]
        return Refusal(name, "as it was told") if name == "gate" or is_returning else None

    told.says = says
    operation = done(switch(layout, told), request)
    assert operation["state"] == "return_failed"
    return list(operation["changed"])


def test_the_same_tree_after_a_failed_return_is_activated_again(layout: Layout) -> None:
    applied(layout)
    paths = failed(layout, asked(tree(says="2")))
    assert status(layout)["unserved"] == ["shop"]
    told = Told(layout)
    operation = done(switch(layout, told), asked(tree()))
    assert operation["state"] == "committed"
    assert told.activated == [("shop", frozenset(paths), False)]
    # Its health before is known: it was to be mended.
    assert told.calls[0] == "live without health"
    assert status(layout)["unserved"] == []
    assert applied(layout)["state"] == "unchanged"


def test_another_app_after_a_failed_return_clears_it_too(layout: Layout) -> None:
    applied(layout)
    failed(layout, asked(tree(says="2")))
    told = Told(layout)
    assert done(switch(layout, told), asked(tree("blog"), app="blog"))["state"] == "committed"
    assert [app for app, *_ in told.activated] == ["blog", "shop"]
    assert applied(layout)["state"] == "unchanged"


def test_what_a_failed_return_left_running_is_ended_by_the_next(layout: Layout) -> None:
    """An app that never came to be installed: nothing but the failed generation knows its units."""
    applied(layout)
    failed(layout, asked(tree("blog"), app="blog"))
    told = Told(layout)
    assert done(switch(layout, told), asked(tree()))["state"] == "committed"
    assert [app for app, *_ in told.activated] == ["blog"]
    assert told.serving["blog"] == {}
    assert applied(layout)["state"] == "unchanged"


def test_nor_is_it_forgotten_when_that_is_taken_back(layout: Layout) -> None:
    applied(layout)
    failed(layout, asked(tree(says="2")))
    failed(layout, asked(tree("blog"), app="blog"))
    told = Told(layout)
    assert done(switch(layout, told), asked(tree()))["state"] == "committed"
    assert sorted(app for app, *_ in told.activated) == ["blog", "shop"]


def test_a_boot_starts_daemons_with_what_is_installed(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied(layout)
    failed(layout, asked(tree(says="2")))
    monkeypatch.setattr("advisor.deploy.switch.takeback.boot_id", lambda: "another")
    assert applied(layout)["state"] == "unchanged"


# Apps beside the one that changes


def test_an_app_beside_it_that_stops_answering_takes_it_back(layout: Layout) -> None:
    applied(layout, app="blog")
    before = live(layout)
    ill = Refusal("live", "the app is unhealthy now: 502", url="http://blog.example/", status=502)
    told = Told(layout, lambda name: ill if name == "blog now" else None)
    operation = done(switch(layout, told), asked(tree()))
    assert operation["state"] == "returned"
    assert operation["reason"] == {
        **ill.as_json(),
        "step": "gate",
        "message": "blog was well before: the app is unhealthy now: 502",
    }
    assert live(layout) == before


def test_one_that_did_not_answer_before_is_no_reason(layout: Layout) -> None:
    applied(layout, app="blog")
    told = Told(layout, lambda name: Refusal("live", "502") if name.startswith("blog") else None)
    assert done(switch(layout, told), asked(tree()))["state"] == "committed"


@pytest.mark.parametrize("how", ["a link", "missing", "a manifest"])
def test_another_apps_file_that_would_be_lost_is_a_refusal(layout: Layout, how: str) -> None:
    applied(layout, app="blog")
    path = layout.current / "blog" / (".advisor/manifest" if how == "a manifest" else BLOG_SITE)
    aside = path.rename(layout.root / "aside")
    if how == "a link":
        path.symlink_to(aside)
    operation = applied(layout)
    assert operation["state"] == "refused"
    assert f"blog/{path.relative_to(layout.current / 'blog')}" in operation["reason"]["message"]
    assert path.is_symlink() == (how == "a link")
    assert done(switch(layout), asked(tree("blog"), app="blog", overwrite=True))["changed"]
    assert applied(layout)["state"] == "committed"


# Boots


class Manager:
    def __init__(self) -> None:
        self.acted: list[tuple[str, ...]] = []

    def act(self, *words: str) -> None:
        self.acted.append(words)


@pytest.fixture
def manager() -> Manager:
    return Manager()


@pytest.fixture
def booted(layout: Layout, manager: Manager) -> Callable[[], bool]:
    lock = Lock(layout)

    def start() -> bool:
        try:
            return boot(layout, manager, lock)
        finally:
            lock.release()

    return start


def held(layout: Layout, request: dict[str, Any]) -> str:
    """An operation that a power cut ends at its gate."""

    def kill(name: str) -> None:
        if name == "gate":
            raise Killed

    id_ = take_in(layout, request)
    with pytest.raises(Killed):
        run(switch(layout, Told(layout, kill)))
    return id_


def test_a_boot_starts_units_that_were_to_be_removed(
    layout: Layout, manager: Manager, booted: Callable[[], bool]
) -> None:
    """PID 1 has made its jobs of the files that were there before."""
    applied(layout, "1")
    unit = {"systemd/blog.service": WANTED, "systemd/shop.service": WANTED}
    blog = {path: unit.get(path, each) for path, each in tree("blog").items()}
    done(switch(layout), asked(whole(blog), app="blog"))
    applied(layout, "2")
    held(layout, asked(to=1, all_apps=True))
    assert not layout.at(UNIT.format(app="blog")).exists()
    assert booted()
    assert manager.acted == [("daemon-reload",), ("start", "--no-block", "blog.service")]
    assert (layout.units / "multi-user.target.wants/blog.service").is_symlink()


def test_a_boot_that_cannot_write_the_end_still_puts_all_back(
    layout: Layout, manager: Manager, booted: Callable[[], bool]
) -> None:
    applied(layout)
    before = live(layout)
    id_ = held(layout, asked(tree(says="2")))
    disk = Unwritable()
    disk.is_broken = True
    with faulty(disk), pytest.raises(OSError, match="Read-only"):
        booted()
    assert live(layout) == before
    assert manager.acted == [("daemon-reload",)]
    run(switch(layout))
    assert ended(layout, id_)["state"] == "returned"


def test_a_boot_that_leaves_files_of_both_fails(layout: Layout, booted: Callable[[], bool]) -> None:
    """So that its unit has the service go on with it."""
    applied(layout)
    id_ = held(layout, asked(tree(says="2")))

    class Unlinkable(FaultyOs):
        def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
            return self._fail if name == "symlink" else super()._watched(name, real)

        def _fail(self, *_arguments: Any, **_options: Any) -> None:
            raise OSError(errno.EIO, "Input/output error")

    with faulty(Unlinkable()), pytest.raises(OSError, match="did not come to its end"):
        booted()
    assert Journal(layout).lines(id_)[-1]["is_mixed"]
    assert booted()
    assert ended(layout, id_)["state"] == "returned"


def test_an_editors_file_among_the_generations_hinders_no_return(
    layout: Layout, booted: Callable[[], bool]
) -> None:
    applied(layout)
    before = live(layout)
    (layout.generations / ".1.swp").write_text("somebody's editor\n")
    held(layout, asked(tree(says="2")))
    assert booted()
    assert live(layout) == before
    assert generations.numbers(layout) == [1]
    assert (layout.generations / ".1.swp").exists()


# What is drained


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_drained_site_is_not_given_up(layout: Layout, overwrite: bool) -> None:
    applied(layout)
    applied(layout, app="blog")
    site = layout.at(SITE.format(app="blog"))
    site.unlink()
    site.symlink_to(layout.at("/run/advisor/drained/blog/blog.conf"))
    operation = done(switch(layout), asked(to=1, all_apps=True, overwrite=overwrite))
    assert operation["state"] == "refused"
    assert "is drained: wait until the lease has ended" in operation["reason"]["message"]
    assert generations.current(layout) == 2
