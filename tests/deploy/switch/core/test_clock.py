"""The wall clock jumps, and nothing is decided by it: deadlines and orders are kept."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import pytest

from advisor.deploy.switch import requests
from advisor.deploy.switch.journal import Journal
from advisor.deploy.switch.operation import Switch
from advisor.deploy.switch.status import status
from tests.deploy.switch.core.made import SITE, Told, asked, done, ended, run, switch, take_in, tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.deploy.switch.layout import Layout

DAY_S = 86400.0
DEADLINE_S = 0.4
JUMPS = {
    "forward": itertools.count(step=DAY_S),
    "backward": itertools.count(step=-DAY_S),
    "both ways": itertools.cycle([0.0, 9 * DAY_S, -9 * DAY_S]),
}


@pytest.fixture(params=JUMPS, autouse=True)
def _jumping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the wall clock finds it days from where it was."""
    jumps: Iterator[float] = JUMPS[request.param]
    began, gmtime = time.time(), time.gmtime

    def now() -> float:
        return began + next(jumps)

    monkeypatch.setattr(time, "time", now)
    monkeypatch.setattr(time, "gmtime", lambda seconds=None: gmtime(seconds or now()))


def test_a_deadline_is_neither_missed_nor_early(layout: Layout) -> None:
    done(switch(layout), asked(tree(says="1")))
    id_ = take_in(layout, asked(tree(says="2"), deadline_s=DEADLINE_S))
    began = time.monotonic()
    run(Switch(layout, Told(layout)))
    took_s = time.monotonic() - began
    assert ended(layout, id_)["state"] == "returned"
    assert DEADLINE_S <= took_s < 60


def test_a_commit_before_the_deadline_is_heard(layout: Layout) -> None:
    id_ = take_in(layout, asked(tree(), deadline_s=60))
    waits = itertools.count()

    def pause(_seconds: float) -> None:
        if next(waits) == 5:
            requests.give_answer(layout, id_, "commit")

    run(Switch(layout, Told(layout), pause=pause))
    assert ended(layout, id_)["state"] == "committed"


def test_generations_keep_their_order(layout: Layout) -> None:
    for says in "123":
        done(switch(layout), asked(tree(says=says)))
    assert list(Journal(layout).committed()) == [1, 2, 3]
    assert [each["n"] for each in status(layout)["generations"]] == [1, 2, 3]
    assert done(switch(layout), asked())["generation"] == 4
    site = layout.at(SITE.format(app="shop")).read_bytes()
    assert site == tree(says="2")["nginx/shop.conf"]
