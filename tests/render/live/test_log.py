"""The rendered access log is one that `advisor probe --observe` reads, hostile requests and all."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from advisor.host.locate import locate
from advisor.probe.passive.formats import parser
from advisor.probe.passive.stub_status import StubStatus
from tests.render.live_common.clients import SOCKET
from tests.render.live_common.running import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from advisor.host.proxies.site import Site as Found
    from advisor.probe.passive.entry import Entry
    from tests.render.live.site import Site

pytestmark = pytest.mark.daemon

HOSTILE = {
    "quotes": 'GET /"},{"status":200} HTTP/1.0\r\nUser-Agent: "}\\x AGENT',
    "bytes": "GET /%0a%22 HTTP/1.0\r\nUser-Agent: AGENT \xff\xfe\t\x7f\r\nReferer: \\",
    "headers": 'GET / HTTP/1.0\r\nUser-Agent: AGENT\r\nX-Forwarded-For: "\\u0000\r\nHost: "\\',
    "long": f"GET /{'x' * 5000} HTTP/1.0\r\nUser-Agent: AGENT",
}


@pytest.fixture(scope="module")
def site(start: Callable[..., Site], folder: Callable[[], Path]) -> Site:
    static = folder()
    (static / "a.css").write_text("body {}")
    return start(static={"/static/": str(static)}, routes={"/cached": {"microcache": "60s"}})


def found(site: Site, path: str = "/") -> Found:
    """What `--observe` finds out of the nginx that runs."""
    told = locate("127.0.0.1", site.port, host="localhost", path=path)
    assert told.upstream == f"unix:{site.folder / SOCKET}"
    assert told.site is not None
    return told.site


def lines(site: Site, count: int, agent: str) -> list[str]:
    """What the log has of one client, once there are so many: nginx gathers lines for a second."""
    (log,) = site.folder.rglob("shop.access.*")

    def told() -> list[str]:
        text = log.read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if agent in line]

    until(lambda: len(told()) >= count, f"{count} lines in the log")
    return told()


# nginx takes a request's time and its upstream's off two clocks of whole milliseconds, so that the
# part may seem a millisecond longer than the whole.
TICK_S = 0.002


def entries(told: list[str], log_format: str | None = None) -> list[Entry]:
    read = [parser(log_format)(line) for line in told]
    assert None not in read, "a line is not understood"
    return [entry for entry in read if entry is not None]


def ask(site: Site, agent: str) -> list[str]:
    """Five kinds of requests, each only when the last one is through, as the log has them."""
    with site.client() as client:
        client.headers["User-Agent"] = agent
        client.get("/slow?wait=0.2")
        client.post("/?status=404", content=b"x")
        for _ in range(2):
            client.get(f"/cached?{agent}")
        client.get("/static/a.css")
    return lines(site, 5, agent)


def test_every_request_is_told_as_it_was(site: Site) -> None:
    slow, missing, miss, hit, static = read = entries(ask(site, "stranger"))
    assert [(each.method, each.path, each.query, each.status) for each in read] == [
        ("GET", "/slow", "wait=0.2", 200),
        ("POST", "/", "status=404", 404),
        ("GET", "/cached", "stranger", 200),
        ("GET", "/cached", "stranger", 200),
        ("GET", "/static/a.css", "", 200),
    ]
    assert [each.proxied for each in read] == [True, True, True, False, False]
    assert [each.upstream_s is None for each in read] == [False, False, False, True, True]
    assert slow.request_s is not None
    assert slow.upstream_s is not None
    assert slow.request_s + TICK_S >= slow.upstream_s >= 0.2 - TICK_S
    assert slow.at is not None
    assert static.at is not None
    assert static.at >= slow.at
    assert (miss.bytes, static.bytes) == (hit.bytes, len("body {}"))
    assert (missing.bytes or 0) > 0
    assert not any(each.ours for each in read)


def test_a_probes_own_requests_are_known(site: Site) -> None:
    assert all(each.ours for each in entries(ask(site, "advisor/1")))


@pytest.mark.parametrize("path", ["/", "/cached"])
def test_it_is_found_and_its_format_is_understood(site: Site, path: str) -> None:
    (log,) = found(site, path).access_logs
    told = ask(site, f"format{len(path)}")
    assert {log.path} == set(site.folder.rglob("shop.access.*"))
    assert entries(told, log.format) == entries(told)


def test_the_counters_are_found(site: Site) -> None:
    url = found(site).stub_status
    assert url is not None

    async def read() -> int:
        async with StubStatus(url) as page:
            return (await page.read()).requests

    assert asyncio.run(read()) >= 1


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_request_breaks_out_of_its_line(site: Site, kind: str) -> None:
    agent = f"hostile-{kind}"
    site.raw(HOSTILE[kind].replace("AGENT", agent) + "\r\n\r\n")
    (told,) = lines(site, 1, agent)
    said = json.loads(told)
    assert agent in said["http_user_agent"]
    (entry,) = entries([told])
    assert entry.status == said["status"]
