"""Null apps under real servers, and under servers that misbehave."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import psutil
import pytest

from advisor.documents import ClassCost
from advisor.host import servers
from advisor.probe.classes import calibrate, store
from advisor.probe.classes.calibrate import class_costs
from tests.probe.classes import made

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Server, Unknown

    Calibrated = Callable[[Server, str], dict[str, ClassCost]]

pytestmark = pytest.mark.daemon

CHECKOUT = Path(__file__).parents[3]
UVICORN_WORKER = "uvicorn_worker.UvicornWorker"


def silent(_line: str) -> None:
    pass


@pytest.fixture
def calibrated(not_run: Callable[[str], NoReturn]) -> Calibrated:
    """Every class of a server; again where the machine was taken away meanwhile.

    What was measured is not measured twice: the cache has it.
    """

    def costs_of(server: Server, interface: str) -> dict[str, ClassCost]:
        for _ in range(8):
            costs, unknown = class_costs(server, interface, on_progress=silent)
            if not unknown:
                return costs
            busy = ("(steal)", "not measured within")
            assert all(any(why in each.why for why in busy) for each in unknown), unknown
        not_run(f"the machine is too busy: {unknown[0].why}")
        raise AssertionError

    return costs_of


def enough(cache: Path) -> None:
    """As if every calibration had given what the last one gave."""
    seen = store.read(cache)
    for _ in range(store.ENOUGH):
        store.write(cache, {key: costs[-1] for key, costs in seen.items()})


def test_what_was_measured_once_is_measured_again_until_it_is_enough(
    serve: Callable[..., str], calibrated: Calibrated, cache: Path
) -> None:
    url = serve("gunicorn", "wsgi_app:app", ready="/compute")
    server, _ = servers.server_at("127.0.0.1", int(url.rpartition(":")[2]))
    assert server is not None
    calibrated(server, "wsgi")
    (sync,) = (key for key in store.read(cache) if key.endswith(" sync"))
    before = len(store.read(cache)[sync])
    odd = ClassCost(cpu_s=1.0, held_s=1.0)
    store.write(cache, {sync: odd})
    costs = calibrated(server, "wsgi")
    assert len(store.read(cache)[sync]) >= before + 2
    assert costs["sync"].cpu_s < odd.cpu_s / 2


def below() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize(
    ("words", "interface", "classes"),
    [
        ("wsgi_app:app", "wsgi", {"sync", "gthread"}),
        (f"asgi_app:app --worker-class {UVICORN_WORKER}", "asgi", {UVICORN_WORKER, "asgi"}),
    ],
)
def test_the_classes_of_a_running_gunicorn(
    words: str,
    interface: str,
    classes: set[str],
    serve: Callable[..., str],
    temporary: Path,
    calibrated: Calibrated,
    cache: Path,
) -> None:
    url = serve("gunicorn", *words.split(), ready="/compute")
    server, _ = servers.server_at("127.0.0.1", int(url.rpartition(":")[2]))
    assert server is not None
    before = below()
    costs = calibrated(server, interface)
    assert set(costs) == classes
    for cost in costs.values():
        assert 0 < cost.cpu_s < 0.02
        assert cost.cpu_s < 2 * cost.held_s < 0.04  # one worker: one interpreter lock
        assert cost.wake_s is not None
        assert 0 < cost.wake_s < 0.02
    assert below() == before
    assert list(temporary.iterdir()) == []
    lines: list[str] = []
    enough(cache)
    assert class_costs(server, interface, on_progress=lines.append) == (costs, [])
    assert lines == []  # all of it from the cache
    assert class_costs(server, interface, on_progress=silent, allowed=False) == (costs, [])


@pytest.mark.parametrize(
    ("kind", "interface", "first"),
    [
        ("hypercorn", "asgi", "hypercorn"),
        ("granian", "asgi", "granian"),
        ("granian", "wsgi", "granian-wsgi"),
    ],
)
def test_other_servers_are_measured_where_they_are_the_targets(
    kind: str, interface: str, first: str, temporary: Path, calibrated: Calibrated
) -> None:
    costs = calibrated(made.own(kind), interface)
    assert first in costs
    assert len(costs) == 3  # Gunicorn's too, which is in the same environment
    assert list(temporary.iterdir()) == []


def test_a_plain_uvicorn_without_a_gunicorn(tmp_path: Path, calibrated: Calibrated) -> None:
    """An environment that borrows every package but Gunicorn."""
    virtualenv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", virtualenv], check=True)
    site = made.site_packages(virtualenv)
    (site / "uvicorn-0.1.dist-info").mkdir()
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    assert set(calibrated(made.server("uvicorn", virtualenv), "asgi")) == {"uvicorn"}


def test_progress_is_told_and_the_values_are_what_it_says() -> None:
    lines: list[str] = []
    costs, _ = class_costs(made.own(), "wsgi", on_progress=lines.append)
    assert lines[0] == "a null app under sync, gthread: at most 5 s, beside the app"
    assert len(lines) == 1 + len(costs)
    for (name, cost), line in zip(costs.items(), lines[1:], strict=True):
        assert line.startswith(f"{name}: {1 / cost.held_s:,.0f} requests/s with one worker")


NEVER = "import time\ntime.sleep(600)\n"
BOUND = """
import socket, sys, time
host, port = sys.argv[sys.argv.index("--bind") + 1].split(":")
listener = socket.create_server((host, int(port)))
"""
ANSWERING = """
import threading
def answer(client):
    while client.recv(65536):
        client.sendall(ANSWER)
while True:
    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
"""
FAILING = ANSWERING.replace("ANSWER", r'b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"')
FLOODING = 'import sys\nwhile True:\n    sys.stderr.write("x" * 100_000)\n'
# It ignores the polite signal too, and its child is a group of nobody's.
STUBBORN = "import os, signal\nsignal.signal(15, signal.SIG_IGN)\nos.fork()\n"


@pytest.mark.parametrize(
    "code",
    [NEVER, BOUND + "time.sleep(600)\n", BOUND + FAILING, FLOODING, STUBBORN + NEVER],
    ids=["no listener", "no answer", "only errors", "a flood of words", "stubborn"],
)
def test_a_server_that_gives_no_good_answer_is_ended_in_time(
    code: str, gunicorn_that: Callable[[str], Server], temporary: Path, cache: Path
) -> None:
    server, before, within_s = gunicorn_that(code), below(), 2.0
    started = time.perf_counter()
    costs, unknown = class_costs(server, "wsgi", on_progress=silent, within_s=within_s)
    assert time.perf_counter() - started < 2 * within_s  # and what the clean-up takes
    assert costs == {}
    assert [each.what for each in unknown] == [
        f"what the worker class {name} costs on this host" for name in ("sync", "gthread")
    ]
    assert all("not measured within" in each.why and each.remedy for each in unknown)
    assert below() == before
    assert list(temporary.iterdir()) == []
    assert not cache.exists()


def test_last_words_do_not_speak_to_the_terminal(gunicorn_that: Callable[[str], Server]) -> None:
    words = r'import sys; sys.exit("\x1b[2Jno module\r\n\n\x1b[31m" + "x" * 5000 + "\x07end")'
    _, unknown = class_costs(gunicorn_that(words), "wsgi", on_progress=silent)
    assert len(unknown) == 2
    for each in unknown:
        assert each.why.startswith("it ended: \ufffd[31mxxx")
        assert each.why.isprintable()
        assert len(each.why) < 300


def test_a_port_that_another_process_holds_is_not_connected_to(
    gunicorn_that: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was free when it was chosen: that moment cannot be hit, so the choice is made here."""
    with socket.create_server(("127.0.0.1", 0)) as another:
        another.settimeout(0.1)
        port = another.getsockname()[1]
        monkeypatch.setattr("advisor.probe.classes.launch.free_port", lambda: port)
        costs, unknown = class_costs(gunicorn_that(NEVER), "wsgi", on_progress=silent)
        says = f"another process took port {port} of 127.0.0.1"
        assert (costs, [each.why for each in unknown]) == ({}, [says] * 2)
        assert all(each.remedy for each in unknown)
        with pytest.raises(TimeoutError):
            another.accept()


def test_a_package_that_is_missing_leaves_one_class_out(tmp_path: Path) -> None:
    virtualenv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", virtualenv], check=True)
    site = made.site_packages(virtualenv)
    for name in ("gunicorn", "packaging"):
        shutil.copytree(Path(sysconfig.get_path("purelib")) / name, site / name)
    for name in ("gunicorn-27.0.1", "uvicorn-0.1", "uvicorn_worker-0.1"):
        (site / f"{name}.dist-info").mkdir()
    server = made.server("gunicorn", virtualenv)
    unknown: list[Unknown] = []
    for _ in range(5):
        costs, unknown = class_costs(server, "asgi", on_progress=silent)
        if costs:
            break
    assert set(costs) == {"asgi"}
    assert [each.what for each in unknown] == [
        f"what the worker class {UVICORN_WORKER} costs on this host"
    ]
    assert unknown[0].why.startswith("it ended: ")


SIGNALLED = """
import os, sys
from advisor.errors import Interrupted
from advisor.probe.classes import calibrate
from advisor.probe.classes.calibrate import class_costs
from tests.probe.classes import made
try:
    class_costs(made.server("gunicorn", sys.argv[1]), "wsgi", on_progress=print, within_s=60)
except Interrupted as interrupted:
    sys.exit(interrupted.exit_code)
"""


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_signal_ends_the_server_too(
    signum: int, code: int, gunicorn_that: Callable[[str], Server], tmp_path: Path
) -> None:
    server = gunicorn_that(STUBBORN + NEVER)
    command = [sys.executable, "-c", SIGNALLED, str(server.virtualenv)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, cwd=CHECKOUT, env=environment
    ) as process:
        started = grown(process.pid, 2)
        process.send_signal(signum)
        assert process.wait(timeout=30) == code
    deadline = time.monotonic() + 30
    while any(map(lives, started)):
        assert time.monotonic() < deadline, started
        time.sleep(0.02)


def grown(pid: int, count: int) -> list[psutil.Process]:
    """The processes below one, once they are so many."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = psutil.Process(pid).children(recursive=True)
        if len(found) == count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not {count} processes below {pid} within 30 s")


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_as_root_it_runs_as_the_servers_user_without_our_environment(
    nobodys: Path, nobodys_process: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    made.gunicorn(
        nobodys,
        "import os, sys\n"
        "sys.exit(f'{os.getresuid()} {os.getresgid()} {os.getgroups()} {sorted(os.environ)}')\n",
    )
    server = made.server("gunicorn", nobodys, nobodys_process)
    _, unknown = class_costs(server, "wsgi", on_progress=silent)
    ids = (made.NOBODY,) * 3
    names = ["LC_ALL", "PATH", "PYTHONDONTWRITEBYTECODE"]
    assert {each.why for each in unknown} == {f"it ended: {ids} {ids} [] {names}"}


@pytest.fixture
def nobodys_gunicorn(nobodys: Path) -> Path:
    site = made.site_packages(nobodys)
    for name in ("gunicorn", "packaging"):
        shutil.copytree(Path(sysconfig.get_path("purelib")) / name, site / name)
    (site / "gunicorn-27.0.1.dist-info").mkdir()
    return nobodys


def test_root_measures_for_another_user(
    nobodys_gunicorn: Path, nobodys_process: int, calibrated: Calibrated
) -> None:
    server = made.server("gunicorn", nobodys_gunicorn, nobodys_process)
    assert set(calibrated(server, "wsgi")) == {"sync", "gthread"}


OWN = """
import os, subprocess
os.environ["XDG_CACHE_HOME"] = "/nonexistent"
from advisor.probe.classes import measure
measure.FULL = 2.0
from advisor.probe.classes import calibrate
from advisor.probe.classes.calibrate import class_costs
from tests.probe.classes import made
command = ["{virtualenv}/bin/python", "-c", "import sys; sys.stdin.read()"]
with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
    server = made.server("gunicorn", "{virtualenv}", process.pid)
    for _ in range(5):
        costs, unknown = class_costs(server, "wsgi", on_progress=lambda line: None)
        if not unknown:
            break
    print(sorted(costs))
"""


def test_an_ordinary_user_measures_their_own_server(
    nobodys_gunicorn: Path, as_nobody: Callable[[str], str]
) -> None:
    printed = as_nobody(OWN.replace("{virtualenv}", str(nobodys_gunicorn)))
    assert printed.strip() == "['gthread', 'sync']"


def test_where_nothing_may_be_started_only_the_cache_is_asked(
    gunicorn_that: Callable[[str], Server], tmp_path: Path
) -> None:
    server = gunicorn_that(f"open({str(tmp_path / 'started')!r}, 'w')")
    costs, unknown = class_costs(server, "wsgi", on_progress=silent, allowed=False)
    assert (costs, len(unknown)) == ({}, 2)
    assert not (tmp_path / "started").exists()
    class_costs(server, "wsgi", on_progress=silent)
    assert (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("server", "interface", "says"),
    [
        (None, "wsgi", "the server's processes are not known"),
        (made.own("unknown"), "unheard", "has no server for unheard apps"),
        (made.own().model_copy(update={"virtualenv": "/nonexistent"}), "wsgi", "not to be found"),
    ],
)
def test_what_cannot_be_calibrated_says_why(
    server: Server | None, interface: str, says: str
) -> None:
    costs, unknown = class_costs(server, interface, on_progress=silent)
    assert costs == {}
    (gap,) = unknown
    assert gap.what == "what worker classes cost on this host"
    assert says in gap.why
    assert gap.remedy


def test_no_home_is_no_failure(
    gunicorn_that: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    _, unknown = class_costs(gunicorn_that("raise SystemExit('so')"), "wsgi", on_progress=silent)
    assert [each.why for each in unknown] == ["it ended: so"] * 2


def test_all_null_apps_together_have_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little memory for two, though enough for one."""
    monkeypatch.setattr(calibrate, "_free_bytes", lambda: 200 * 1024**2)
    costs, unknown = class_costs(made.own(), "wsgi", on_progress=silent)
    assert costs == {}
    assert {gap.remedy for gap in unknown} == {"measure again with 256 MiB free"}
