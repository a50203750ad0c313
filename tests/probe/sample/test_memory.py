from __future__ import annotations

import http.client
import os
import re
import threading
import time
from itertools import repeat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.host import servers
from advisor.host.processes import usage
from advisor.probe.analysis.growth import Growth, growth
from advisor.probe.analysis.workers import MIB, worker_memory
from advisor.probe.sample import clocks, memory
from advisor.probe.sample.memory import parse_anonymous, parse_pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Server

PRELOAD_APP = ("preload_app:app", "/touch")


def get(url: str, path: str, *, times: int, connections: int = 1) -> None:
    """So many requests over each of a few kept-alive connections."""
    port = int(url.rpartition(":")[2])

    def ask() -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for _ in repeat(None, times):
            client.request("GET", path)
            assert client.getresponse().read()
        client.close()

    threads = [threading.Thread(target=ask) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def warm(url: str, path: str, *, workers: int) -> Server:
    """The server once each of its workers has booted and then served."""
    port = int(url.rpartition(":")[2])
    deadline = time.monotonic() + 60
    booted: dict[int, float] = {}
    while time.monotonic() < deadline:
        server, _ = servers.server_at("127.0.0.1", port)
        assert server is not None
        now = clocks.read(worker.pid for worker in server.workers).server
        if not booted:
            time.sleep(0.2)
            later = clocks.read(now).server
            quiet = len(now) == workers and all(later[pid] - now[pid] < 0.002 for pid in now)
            booted = later if quiet else {}
        elif all(now[pid] > booted[pid] + 0.02 for pid in booted):
            return server
        else:
            get(url, path, times=5, connections=4)
    raise AssertionError(f"not every worker served within a minute: {booted}")


def total_pss(server: Server) -> int:
    """PSS of the master and the workers, in bytes."""
    return sum(usage(pid).pss_bytes for pid in {server.pid, *(w.pid for w in server.workers)})


def grown(url: str, path: str, *, connections: tuple[int, ...], each: int) -> Growth:
    """What a few thousand requests leave behind, read as the probe does."""
    server, _ = servers.server_at("127.0.0.1", int(url.rpartition(":")[2]))
    assert server is not None
    pids = [worker.pid for worker in server.workers]
    requests, samples = 0, []
    get(url, path, times=300)  # the first ones fill what is filled once
    for count in connections:
        get(url, path, times=30, connections=count)
        for _ in range(8):
            found = memory.sample(pids, requests=requests, connections=count)
            assert found is not None
            assert found.exact
            samples.append(found)
            get(url, path, times=each // count, connections=count)
            requests += each // count * count
    return growth(samples, workers=len(pids))


@pytest.mark.daemon
@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["imported after", "preloaded"])
def test_one_more_worker_takes_what_the_estimate_says(
    serve: Callable[..., str], options: tuple[str, ...]
) -> None:
    """Launched with 1, 2 and 4 workers, against what the two say."""
    app, path = PRELOAD_APP
    used, told = {}, {}
    for workers in (1, 2, 4):
        url = serve("gunicorn", "-w", str(workers), *options, app, ready="/")
        server = warm(url, path, workers=workers)
        used[workers] = total_pss(server)
        told[workers], unknown = worker_memory(server, memory.holdings(server))
        assert unknown == []
    one_more = (used[4] - used[2]) / 2
    estimate = told[2].marginal_bytes
    assert estimate is not None
    assert estimate.value == pytest.approx(one_more, rel=0.1)
    assert estimate.value == pytest.approx(used[2] - used[1], rel=0.25)
    alone = told[1].marginal_bytes
    assert alone is not None
    assert alone.low <= one_more <= alone.high
    for found in told.values():
        assert found.started_by == "fork"
        assert found.preloaded is bool(options)
        assert found.shared_bytes is not None
        assert (found.shared_bytes > 50 * MIB) is bool(options)


@pytest.mark.daemon
@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["imported after", "preloaded"])
@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("-k", "uvicorn_worker.UvicornWorker", "asgi_app:app"), "/compute"),
        (("-k", "gthread", "--threads", "4", "wsgi_app:app"), "/compute"),
        (PRELOAD_APP[:1], PRELOAD_APP[1]),
    ],
    ids=["fastapi", "flask", "60 MB"],
)
def test_preloading_is_told_from_the_processes_alone(
    serve: Callable[..., str], words: tuple[str, ...], path: str, options: tuple[str, ...]
) -> None:
    """After requests, which have unshared pages, and without the settings."""
    server = warm(
        serve("gunicorn", "-w", "2", *options, *words, ready=path), path, workers=2
    ).model_copy(update={"settings": {}})
    found, _ = worker_memory(server, memory.holdings(server))
    assert (found.started_by, found.preloaded) == ("fork", bool(options))


@pytest.mark.daemon
def test_uvicorns_workers_are_spawned_and_one_alone_is_itself(serve: Callable[..., str]) -> None:
    several = warm(serve("uvicorn", "--workers", "2", "asgi_app:app"), "/compute", workers=2)
    found, _ = worker_memory(several, memory.holdings(several))
    assert (found.started_by, found.preloaded) == ("spawn", False)
    alone = warm(serve("uvicorn", "asgi_app:app"), "/compute", workers=1)
    single, _ = worker_memory(alone, memory.holdings(alone))
    assert (single.started_by, single.preloaded) == ("itself", None)
    assert found.marginal_bytes is not None
    assert single.marginal_bytes is not None
    assert single.marginal_bytes.low <= found.marginal_bytes.value <= single.marginal_bytes.high


@pytest.mark.daemon
def test_a_leak_is_found(serve: Callable[..., str]) -> None:
    """/leak keeps 2,000 bytes of every request."""
    found = grown(serve("uvicorn", "asgi_app:app"), "/leak", connections=(1, 2), each=200)
    assert found.estimate is not None, found.unknown
    assert found.estimate.value == pytest.approx(2000, rel=0.15)
    assert found.estimate.low <= 2000 * 1.15
    assert found.estimate.high >= 2000


@pytest.mark.daemon
@pytest.mark.parametrize("path", ["/compute", "/private"])
def test_an_app_that_keeps_nothing_does_not_leak(serve: Callable[..., str], path: str) -> None:
    found = grown(serve("uvicorn", "asgi_app:app"), path, connections=(1, 2), each=200)
    assert found.estimate is None
    assert found.unknown is not None
    assert "the interval holds zero" in found.unknown.why


@pytest.mark.daemon
def test_pages_that_stop_being_shared_are_no_leak(serve: Callable[..., str]) -> None:
    """A preloaded worker's USS grows by what it writes to; what it holds does not."""
    url = serve("gunicorn", "-w", "1", "--preload", PRELOAD_APP[0], ready="/")
    server, _ = servers.server_at("127.0.0.1", int(url.rpartition(":")[2]))
    assert server is not None
    pid = server.workers[0].pid
    before, own = memory.sample([pid], requests=0, connections=1), usage(pid).uss_bytes
    get(url, "/touch", times=1)
    after = memory.sample([pid], requests=1, connections=1)
    assert before is not None
    assert after is not None
    assert usage(pid).uss_bytes - own > 3 * MIB
    assert after.held_bytes - before.held_bytes < MIB


@pytest.mark.daemon
def test_an_ordinary_user_sees_growth_and_preloading_but_not_whose_pages(
    serve: Callable[..., str], as_nobody: Callable[[str], str]
) -> None:
    url = serve("gunicorn", "-w", "2", "--preload", PRELOAD_APP[0], ready="/")
    server = warm(url, PRELOAD_APP[1], workers=2).model_copy(update={"settings": {}})
    pids = [worker.pid for worker in server.workers]
    code = f"""
from advisor.documents import Server
from advisor.probe.sample import memory
from advisor.probe.analysis.workers import worker_memory
server = Server.model_validate_json({server.model_dump_json()!r})
found, unknown = worker_memory(server, memory.holdings(server))
print(found.started_by, found.preloaded, found.marginal_bytes, found.shared_bytes, len(unknown))
print(memory.sample({pids}, requests=0, connections=1))
"""
    first, second = as_nobody(code).splitlines()
    assert first == "fork True None None 1"
    assert "exact=False" in second
    seen = re.search(r"held_bytes=(\d+)", second)
    exact = memory.sample(pids, requests=0, connections=1)
    assert seen
    assert exact is not None
    assert int(seen[1]) == pytest.approx(exact.held_bytes, rel=0.05)


def test_the_two_sources_agree_on_this_process() -> None:
    held = bytearray(os.urandom(20 * MIB))
    exact = memory.sample([os.getpid()], requests=0, connections=1)
    assert exact is not None
    assert exact.exact
    assert exact.held_bytes > len(held)
    assert memory.anonymous(os.getpid()) == pytest.approx(exact.held_bytes, rel=0.05)


def test_of_many_workers_the_counters_are_read() -> None:
    one = memory.anonymous(os.getpid())
    found = memory.sample([os.getpid()] * 9, requests=5, connections=1)
    assert found is not None
    assert not found.exact
    assert found.held_bytes == pytest.approx(9 * one, rel=0.05)


def test_a_process_that_is_gone_holds_nothing() -> None:
    assert memory.sample([2**22 + 1], requests=0, connections=1) is None


def test_a_process_without_memory_of_its_own_holds_nothing() -> None:
    """A kernel thread's, or a zombie's."""
    for text in ("Name:\tkthreadd\nThreads:\t1\n", ""):
        with pytest.raises(ValueError, match="anonymous"):
            parse_anonymous(text)
        with pytest.raises(ValueError, match="resident"):
            parse_pages(text)


def test_swapped_pages_are_held() -> None:
    rollup = "Rss: 8 kB\nAnonymous: 4 kB\nSwap: 16 kB\nSwapPss: 1 kB\n"
    assert parse_anonymous(rollup) == 20 * 1024


WORDS = st.sampled_from(["Rss:", "Anonymous:", "RssAnon:", "kB", "1", "9" * 5000, "-1", "\x1b[2J"])


@given(st.lists(st.one_of(st.text(), st.lists(WORDS).map(" ".join))).map("\n".join))
def test_no_text_breaks_a_parser(text: str) -> None:
    for parse in (parse_anonymous, parse_pages):
        try:
            parse(text)
        except ValueError as error:
            assert "in it" in str(error)  # noqa: PT017 - either answer is right
