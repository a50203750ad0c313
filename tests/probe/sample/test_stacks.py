from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.demo.processes import free_port, program, running
from advisor.probe.sample import stacks
from advisor.probe.sample.stacks import Frame, Place, Stacks, StackSampler

if TYPE_CHECKING:
    from collections.abc import Callable

APPS = Path(__file__).parents[2] / "apps"
LIBRARY = "/srv/venv/lib/python3.11/site-packages"
STANDARD = "/usr/lib/python3.11"
LOOP = [(f"{STANDARD}/asyncio/base_events.py", 640, "_run_once"), ("/srv/main.py", 9, "<module>")]
UVLOOP = [(f"{LIBRARY}/uvicorn/server.py", 86, "Server.run"), ("/srv/venv/bin/uvicorn", 8, "main")]
APP = ("/srv/shop/main.py", 43, "items")


def dumped(*frames: tuple[str, int, str], pid: int = 7, name: str = "MainThread") -> str:
    """What py-spy prints of a process with two threads; the innermost frame is first."""
    shown = [{"filename": file, "line": line, "name": call} for file, line, call in frames]
    idle = {"pid": pid, "os_thread_id": pid + 1, "thread_name": "AnyIO worker", "frames": []}
    return json.dumps([idle, {"pid": pid, "os_thread_id": 7, "thread_name": name, "frames": shown}])


def place(*frames: tuple[str, int, str], app: str | None = None, **how: Any) -> Place | None:
    return stacks.parse(dumped(*frames, **how), 7, is_own=stacks.own_code(app))


@pytest.mark.parametrize(
    ("frames", "own", "innermost"),
    [
        ((APP, *LOOP), APP, APP),
        ((APP, (f"{LIBRARY}/fastapi/routing.py", 3, "app"), *UVLOOP), APP, APP),
        # Where it waits, and who called that.
        (
            ((f"{STANDARD}/ssl.py", 1166, "read"), APP, *LOOP),
            APP,
            (f"{STANDARD}/ssl.py", 1166, "read"),
        ),
        # A subprocess is waited for in a selector of its own, which is not the loop's.
        (
            ((f"{STANDARD}/selectors.py", 5, "select"), APP, *LOOP),
            APP,
            (f"{STANDARD}/selectors.py", 5, "select"),
        ),
        # The program that runs the loop is below it: not what blocks.
        (
            ((f"{LIBRARY}/orm/query.py", 5, "all"), *LOOP),
            None,
            (f"{LIBRARY}/orm/query.py", 5, "all"),
        ),
        ((("<string>", 1, "<module>"), APP, *LOOP), APP, ("<string>", 1, "<module>")),
        ((APP,), APP, APP),
    ],
)
def test_the_innermost_line_of_the_apps_own(
    frames: tuple[tuple[str, int, str], ...],
    own: tuple[str, int, str] | None,
    innermost: tuple[str, int, str],
) -> None:
    assert place(*frames) == Place(Frame(*own) if own else None, Frame(*innermost))


@pytest.mark.parametrize(
    "frames",
    [
        LOOP,
        UVLOOP,
        [(f"{STANDARD}/selectors.py", 468, "select"), *LOOP],
        [(f"{LIBRARY}/gunicorn/workers/sync.py", 35, "wait"), ("/srv/venv/bin/gunicorn", 8, "x")],
        [("/srv/venv/bin/server", 8, "<module>")],
        [],
    ],
)
def test_a_loop_in_its_selector_is_nowhere(frames: list[tuple[str, int, str]]) -> None:
    assert place(*frames) is None


def test_an_app_that_is_installed_as_a_package_is_its_own() -> None:
    frames = (
        (f"{LIBRARY}/redis/client.py", 9, "read"),
        (f"{LIBRARY}/shop/db.py", 5, "load"),
        *LOOP,
    )
    unnamed, named = place(*frames), place(*frames, app="shop.main:app")
    assert unnamed is not None
    assert unnamed.own is None
    assert named is not None
    assert named.own == Frame(f"{LIBRARY}/shop/db.py", 5, "load")
    assert not stacks.own_code("sho")(f"{LIBRARY}/shop/db.py")
    assert stacks.own_code("s.*p:app")("/srv/shop/db.py")


def test_in_a_container_the_main_thread_has_another_number_but_its_name() -> None:
    assert stacks.parse(dumped(APP, *LOOP, pid=3), 4711, is_own=stacks.own_code(None))
    with pytest.raises(ValueError, match="main thread"):
        stacks.parse(dumped(APP, name="x"), 4711, is_own=stacks.own_code(None))


def test_names_are_fit_to_be_printed() -> None:
    found = place(("/srv/\x1b[31m\udcff.py", 1, "f\x07" + "x" * 10_000), *LOOP)
    assert found is not None
    assert str(found).isprintable()
    assert len(str(found)) < 500


# Bits of real dumps in any order, and anything at all.
frames = st.fixed_dictionaries(
    {},
    optional={
        "filename": st.text() | st.none() | st.integers(),
        "line": st.integers() | st.none() | st.text(),
        "name": st.text() | st.none(),
    },
)
threads = st.fixed_dictionaries(
    {},
    optional={
        "os_thread_id": st.integers(6, 8) | st.none() | st.text(),
        "thread_name": st.sampled_from(["MainThread", None, 5, "x"]),
        "frames": st.lists(frames) | st.none() | st.text(),
    },
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.text() | st.builds(json.dumps, anything | st.lists(threads)))
def test_no_text_is_a_traceback(text: str) -> None:
    try:
        found = stacks.parse(text, 7, is_own=stacks.own_code(None))
    except ValueError:
        return
    assert found is None or str(found).isprintable()


def test_a_dump_nested_beyond_reason_is_no_dump() -> None:
    with pytest.raises(ValueError, match="nested"):
        stacks.parse("[" * 100_000, 7, is_own=stacks.own_code(None))


HERE = Place(Frame("/srv/a.py", 1, "f"), Frame("/srv/a.py", 1, "f"))
THERE = Place(Frame("/srv/b.py", 2, "g"), Frame(f"{STANDARD}/ssl.py", 3, "read"))
ELSEWHERE = Place(None, Frame(f"{LIBRARY}/orm.py", 4, "all"))


def test_what_most_dumps_show_is_told() -> None:
    told = stacks.tell([None, HERE, THERE, None, THERE, ELSEWHERE, ELSEWHERE, ELSEWHERE])
    assert told == Stacks(dumps=8, samples=6, place=THERE, count=2)
    assert told.share == pytest.approx(1 / 3)
    assert told.gap() is None
    assert str(THERE) == f"/srv/b.py:2 in g, which waits in {STANDARD}/ssl.py:3 in read"
    assert str(HERE) == "/srv/a.py:1 in f"
    assert stacks.tell([ELSEWHERE, HERE, None, ELSEWHERE]).place == ELSEWHERE
    assert str(ELSEWHERE) == f"{LIBRARY}/orm.py:4 in all"


@pytest.mark.parametrize(
    ("told", "why", "remedy"),
    [
        (stacks.tell([None, None], "x"), "outside its selector in 2 dumps", "busy"),
        (stacks.tell([None, ELSEWHERE]), "seen twice in 2 dumps", "busy"),
        (stacks.tell([HERE, THERE, None]), "seen twice in 3 dumps", "busy"),
        (stacks.tell([], "no permission to read the stack of process 5"), "permission", "root"),
        (stacks.tell([], "process 5 is gone"), "gone", "again"),
    ],
)
def test_what_cannot_be_told_is_unknown_with_a_remedy(told: Stacks, why: str, remedy: str) -> None:
    gap = told.gap()
    assert gap is not None
    assert why in gap.why
    assert remedy in gap.remedy
    assert told.share == 0


def test_without_py_spy_the_remedy_is_to_install_it() -> None:
    assert "install py-spy" in stacks.unknown(stacks.NOT_INSTALLED).remedy


def test_the_advisors_own_environment_has_py_spy() -> None:
    assert stacks.available() == program("py-spy")


def test_a_py_spy_that_is_not_there_is_a_reason() -> None:
    with StackSampler("/absent/py-spy", (1,)) as sampler:
        until(lambda: sampler._failure is not None)
    gap = sampler.result().gap()
    assert gap is not None
    assert "/absent/py-spy" in gap.why


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exec yes", "longer than can be true"),
        ("exec sleep 60", "it said nothing"),
        ("echo 'Error: \x1b[31mno' >&2; exit 1", "cannot read process 1: \ufffd\\[31mno"),
        ("echo 'Permission Denied: Try sudo' >&2; exit 1", "no permission"),
        ("echo 'Error: Check that the process is running.' >&2; exit 1", "process 1 is gone"),
    ],
)
def test_a_py_spy_that_misbehaves_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    monkeypatch.setattr(stacks, "TIMEOUT_S", 0.5)
    (fake := tmp_path / "py-spy").write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    with pytest.raises(OSError, match=why):
        stacks.dump(str(fake), 1)


def until(done: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not done():
        time.sleep(0.02)


@pytest.mark.daemon
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_the_line_that_blocks_a_real_loop(tmp_path: Path, loop: str) -> None:
    """Requests one after the other, and py-spy beside them."""
    spy = stacks.available()
    assert spy is not None
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [program("uvicorn"), "asgi_app:app", "--app-dir", str(APPS), "--port", str(port)]
    source = (APPS / "asgi_app.py").read_text().splitlines()
    (sleeps,) = (n for n, text in enumerate(source, 1) if "ASYNC251" in text)
    ended = threading.Event()

    def load() -> None:
        with httpx.Client(trust_env=False) as client:
            while not ended.is_set():
                client.get(f"{url}/blocked")

    with running([*command, "--loop", loop], url=f"{url}/healthz", log=tmp_path / "log") as pid:
        with StackSampler(spy, (pid,), app="asgi_app:app") as sampler:
            until(lambda: len(sampler._places) >= 2)
        assert sampler.result().place is None  # idle: in its selector
        thread = threading.Thread(target=load)
        thread.start()
        try:
            with StackSampler(spy, (pid,), app="asgi_app:app") as sampler:
                until(lambda: len(sampler._places) >= 12)
        finally:
            ended.set()
            thread.join()
    told = sampler.result()
    assert told.place is not None, told
    assert told.place.own == Frame(str(APPS / "asgi_app.py"), sleeps, "blocked")
    assert told.share > 0.5
    assert told.samples > 0.5 * told.dumps


@pytest.mark.daemon
def test_another_users_process_is_refused_with_a_remedy(
    tmp_path: Path, as_nobody: Callable[[str], str]
) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}/healthz"
    command = [program("uvicorn"), "asgi_app:app", "--app-dir", str(APPS), "--port", str(port)]
    with running(command, url=url, log=tmp_path / "log") as pid:
        printed = as_nobody(
            "import time\n"
            "from advisor.probe.sample.stacks import StackSampler\n"
            f"with StackSampler({program('py-spy')!r}, ({pid},)) as sampler:\n"
            "    while sampler._thread.is_alive(): time.sleep(0.01)\n"
            "print(sampler.result().gap())\n"
        )
    assert "no permission" in printed
    assert "run as root" in printed


def test_a_process_that_is_gone_is_said_to_be() -> None:
    with pytest.raises(ProcessLookupError, match="gone"):
        stacks.dump(program("py-spy"), 4194300)
