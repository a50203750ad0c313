"""The rendered access log is one that `advisor probe --observe` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from advisor.probe.passive.formats import parser
from tests.render.live_common.running import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.probe.passive.entry import Entry
    from tests.render.live_caddy.site import Site

pytestmark = pytest.mark.daemon


@pytest.fixture(scope="module")
def site(start: Callable[..., Site]) -> Site:
    return start()


def test_every_request_is_told_as_it_was(site: Site) -> None:
    log = site.folder / "shop.access.json"
    with site.client() as client:
        client.get("/slow?wait=0.2", headers={"Cookie": "session=secret"})
        client.post("/?status=404", content=b"x", headers={"User-Agent": "advisor/1"})
    until(lambda: log.read_bytes().count(b"\n") >= 2, "two lines in the log")
    slow, missing = read = [entry(line) for line in log.read_text().splitlines()]
    assert [(each.method, each.path, each.query, each.status) for each in read] == [
        ("GET", "/slow", "wait=0.2", 200),
        ("POST", "/", "status=404", 404),
    ]
    assert (slow.request_s or 0) >= 0.2
    assert slow.at is not None
    assert [each.ours for each in read] == [False, True]
    assert (missing.bytes or 0) > 0
    assert "secret" not in log.read_text()


def entry(line: str) -> Entry:
    found = parser(None)(line)
    assert found is not None, line
    return found
