"""Hypercorn, Granian, programs that start a server themselves, and several masters at once."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import venv
from importlib.metadata import distribution, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from advisor.host import servers
from advisor.host.inferred import inferred
from advisor.host.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Server

WSGI, ASGI = "shop:wsgi", "shop:app"  # the apps that conftest.py writes


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def at(port: int) -> Server | None:
    return servers.server_at("127.0.0.1", port)[0]


@pytest.mark.daemon
@pytest.mark.parametrize("workers", [1, 2])
def test_hypercorn(
    workers: int, launch: Callable[..., Server], free_port: Callable[..., int], folder: Path
) -> None:
    port = free_port()
    bind = ("-b", f"127.0.0.1:{port}")
    server = launch("hypercorn", "-w", workers, *bind, f"asgi:{ASGI}", workers=workers)
    assert (server.kind, server.version) == ("hypercorn", version("hypercorn"))
    assert (server.app, server.interface) == (ASGI, "asgi")
    assert (server.worker_class, server.threads) == ("hypercorn", 1)
    assert (server.listen, server.directory) == ([f"127.0.0.1:{port}"], str(folder))
    spawned = {
        child.pid
        for child in psutil.Process(server.pid).children()
        if "spawn_main" in " ".join(child.cmdline())
    }
    assert {worker.pid for worker in server.workers} == spawned
    assert all(worker.pss_bytes for worker in server.workers)
    found, unknown = servers.server_at("127.0.0.1", port)
    assert found is not None
    assert (found.pid, unknown) == (server.pid, [])
    assert servers.server_of(server.workers[0].pid).pid == server.pid


@pytest.mark.daemon
def test_hypercorn_without_children_and_with_a_file(
    launch: Callable[..., Server], free_port: Callable[..., int], folder: Path
) -> None:
    port = free_port()
    (folder / "h.toml").write_text(f'bind = "127.0.0.1:{port}"\nworkers = 0\nbacklog = 7\n')
    server = launch("hypercorn", "--config", "h.toml", ASGI)
    assert [worker.pid for worker in server.workers] == [server.pid]
    assert (server.settings["backlog"], server.interface) == (7, None)
    assert server.listen == [f"127.0.0.1:{port}"]


@pytest.mark.daemon
@pytest.mark.parametrize(
    ("words", "app", "workers", "worker_class", "threads", "interface"),
    [
        (["--interface", "asgi"], ASGI, 1, "granian", 1, "asgi"),
        (["--interface", "wsgi", "--workers", "2"], WSGI, 2, "granian-wsgi", 256, "wsgi"),
        (["--interface", "wsgi", "--blocking-threads", "3"], WSGI, 1, "granian-wsgi", 3, "wsgi"),
    ],
)
def test_granian(
    words: list[str],
    app: str,
    workers: int,
    worker_class: str,
    threads: int,
    interface: str,
    launch: Callable[..., Server],
    free_port: Callable[..., int],
) -> None:
    port = free_port()
    server = launch("granian", *words, "--port", port, app, workers=workers)
    assert (server.kind, server.version) == ("granian", version("granian"))
    assert (server.app, server.interface) == (app, interface)
    assert (server.worker_class, server.threads) == (worker_class, threads)
    # Each worker has a socket of its own; they are one place all the same.
    assert server.listen == [f"127.0.0.1:{port}"]
    children = {child.pid for child in psutil.Process(server.pid).children()}
    assert {worker.pid for worker in server.workers} == children
    found, unknown = servers.server_at("127.0.0.1", port)
    assert found is not None
    assert (found.pid, unknown) == (server.pid, [])


@pytest.mark.daemon
def test_granian_by_its_variables_on_a_unix_socket(
    launch: Callable[..., Server], folder: Path
) -> None:
    path = folder / "g.sock"
    environment = {"GRANIAN_WORKERS": "2", "GRANIAN_INTERFACE": "asgi", "GRANIAN_SSL_KEYFILE": ""}
    server = launch("granian", "--uds", path, ASGI, workers=2, environment=environment)
    assert server.listen == [f"unix:{path}"]
    assert (server.settings["workers"], server.interface) == (2, "asgi")
    found, unknown = servers.server_at_socket(str(path))
    assert found is not None
    assert (found.pid, unknown) == (server.pid, [])


@pytest.mark.daemon
def test_uvicorns_workers_by_its_own_variable(
    launch: Callable[..., Server], free_port: Callable[..., int]
) -> None:
    words = ("uvicorn", "--port", free_port(), ASGI)
    server = launch(*words, workers=2, environment={"UVICORN_WORKERS": "2"})
    assert server.settings["workers"] == 2


@pytest.mark.daemon
def test_a_unix_socket_through_a_link_and_by_a_relative_name(
    launch: Callable[..., Server], folder: Path
) -> None:
    server = launch("uvicorn", "--uds", "u.sock", ASGI)
    (folder / "link").symlink_to(folder)
    for path in (folder / "u.sock", folder / "link" / "u.sock"):
        found, unknown = servers.server_at_socket(str(path))
        assert found is not None
        assert (found.pid, unknown) == (server.pid, [])


def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, why in (("gone", "no such socket"), ("file", "nothing listens"), ("\0", "no such")):
        found, unknown = servers.server_at_socket(str(tmp_path / path))
        assert found is None
        assert why in unknown[0].why


@pytest.mark.daemon
def test_a_unix_socket_of_another_users_server(
    launch: Callable[..., Server], folder: Path, as_nobody: Callable[[str], str]
) -> None:
    server = launch("gunicorn", "-b", f"unix:{folder}/s", WSGI)
    (folder / "s").chmod(0o777)
    seen = as_nobody(
        "from advisor.host import servers\n"
        f"found, unknown = servers.server_at_socket({str(folder / 's')!r})\n"
        "print(found and found.pid, unknown[0].why)"
    )
    assert seen.startswith(f"{server.pid} no process that uid 65534 may read holds the socket")


@pytest.mark.daemon
def test_two_masters_on_one_port(
    launch: Callable[..., Server], free_port: Callable[..., int]
) -> None:
    port = free_port()
    words = ("gunicorn", "--reuse-port", "-b", f"127.0.0.1:{port}", WSGI)
    first, second = launch(*words), launch(*words)
    found, unknown = servers.server_at("127.0.0.1", port)
    assert found is not None
    low, high = sorted((first.pid, second.pid))
    assert found.pid == low
    (entry,) = unknown
    assert (entry.why, entry.remedy) == (
        f"pid {high} takes connections there too",
        "choose one with --pid",
    )


@pytest.mark.daemon
def test_both_gunicorns_of_an_upgrade(
    launch: Callable[..., Server], free_port: Callable[..., int], folder: Path
) -> None:
    port = free_port()
    old = launch("gunicorn", "-p", folder / "pid", "-b", f"127.0.0.1:{port}", WSGI)
    os.kill(old.pid, signal.SIGUSR2)

    def upgraded() -> list[Server]:
        place = f"127.0.0.1:{port}"
        every = [server for server in servers.find_servers()[0] if place in server.listen]
        return every if len(every) == 2 and all(server.workers for server in every) else []

    first, second = until(upgraded)
    assert first.pid == old.pid
    assert psutil.Process(second.pid).ppid() == old.pid
    assert [worker.pid for worker in first.workers] == [worker.pid for worker in old.workers]
    found, unknown = servers.server_at("127.0.0.1", port)
    assert found is not None
    assert found.pid == old.pid
    assert [entry.why for entry in unknown] == [f"pid {second.pid} takes connections there too"]
    assert servers.server_of(second.workers[0].pid).pid == second.pid


def environment_with(folder: Path, *names: str) -> Path:
    """A virtual environment that has copies of these distributions of ours and nothing else."""
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    for name in names:
        found = distribution(name)
        tops = {Path(file).parts[0] for file in found.files or ()} - {"..", "__pycache__"}
        for top in tops:
            source = Path(str(found.locate_file(top)))
            if source.is_dir():
                shutil.copytree(source, site / top)
            else:
                shutil.copy(source, site / top)
    return folder / "venv" / "bin" / "python"


@pytest.mark.daemon
@pytest.mark.parametrize("workers", [1, 2])
def test_a_program_that_runs_uvicorn_itself_is_inferred(
    workers: int, folder: Path, free_port: Callable[..., int]
) -> None:
    port = free_port()
    python = environment_with(folder, "uvicorn", "httptools", "click", "h11")
    (folder / "main.py").write_text(
        "import uvicorn\nif __name__ == '__main__':\n"
        f"    uvicorn.run('shop:app', port={port}, workers={workers})\n"
    )
    with subprocess.Popen([python, "main.py"], cwd=folder, stderr=subprocess.DEVNULL) as process:
        try:
            found = until(
                lambda: (
                    (server := at(port))
                    and server.kind == "uvicorn"
                    and len(server.workers) == workers
                    and server
                )
            )
            _, unknown = servers.server_at("127.0.0.1", port)
        finally:
            process.terminate()
    assert (found.pid, found.version) == (process.pid, version("uvicorn"))
    assert (found.worker_class, found.interface, found.app) == ("uvicorn", "asgi", None)
    assert found.virtualenv == str(folder / "venv")
    assert "inferred from its loaded module httptools" in unknown[0].why


@pytest.mark.daemon
def test_a_program_that_runs_granian_itself_is_inferred(
    folder: Path, free_port: Callable[..., int]
) -> None:
    port = free_port()
    (folder / "main.py").write_text(
        "from granian import Granian\nif __name__ == '__main__':\n"
        f"    Granian('shop:wsgi', port={port}, interface='wsgi').serve()\n"
    )
    words = [sys.executable, "main.py"]
    with subprocess.Popen(words, cwd=folder, stderr=subprocess.DEVNULL) as process:
        try:
            found = until(lambda: (server := at(port)) and server.kind == "granian" and server)
        finally:
            process.terminate()
    assert (found.worker_class, found.interface, found.threads) == (None, None, None)
    assert found.version == version("granian")


@pytest.mark.daemon
def test_weak_evidence_leaves_a_program_unknown(
    folder: Path, free_port: Callable[..., int]
) -> None:
    """Uvicorn with its pure parser leaves no trace that a reader of maps could see."""
    port = free_port()
    python = environment_with(folder, "uvicorn", "click", "h11")
    (folder / "main.py").write_text(f"import uvicorn\nuvicorn.run('shop:app', port={port})\n")
    with subprocess.Popen([python, "main.py"], cwd=folder, stderr=subprocess.DEVNULL) as process:
        try:
            found = until(lambda: at(port))
        finally:
            process.terminate()
    assert (found.kind, found.pid, found.worker_class) == ("unknown", process.pid, None)


LINE = "7f00-7f01 r-xp 0 00:00 1 /v/lib/python3.11/site-packages/{}.cpython-311.so\n"


@pytest.mark.parametrize(
    ("modules", "packages", "rivals", "kind"),
    [
        (["httptools/parser/parser"], ["uvicorn"], [], "uvicorn"),
        (["httptools/parser/parser"], ["uvicorn", "uvicorn-worker"], [], "uvicorn"),
        (["httptools/parser/parser"], ["uvicorn", "gunicorn"], [], None),
        (["httptools/parser/parser"], ["uvicorn"], ["sanic"], None),
        (["httptools/parser/parser"], [], [], None),
        (["uvloop/loop"], ["uvicorn"], [], None),
        (["granian/_granian"], ["uvicorn", "granian"], [], "granian"),
        (["granian/_granian"], [], [], None),
        ([], ["uvicorn"], [], None),
    ],
)
def test_what_is_evidence(
    modules: list[str], packages: list[str], rivals: list[str], kind: str | None
) -> None:
    maps = "".join(LINE.format(module) for module in modules)
    installed = Installation("/v", "3.11.2", dict.fromkeys(packages, "1"), frozenset(rivals))
    found = inferred(maps, {"python", "tokio-rt-worker"}, installed)
    assert (found and found.kind) == kind
    if kind == "granian":
        assert inferred(maps, {"python"}, installed) is None  # imported, not serving


@pytest.mark.daemon
def test_two_unknown_programs_that_share_a_port(tmp_path: Path) -> None:
    # Of another name than the test runner: children of their own program are one server's.
    program = tmp_path / "listener"
    program.symlink_to(sys.executable)
    code = (
        "import socket, sys, time; s = socket.socket();"
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1);"
        "s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen(); time.sleep(60)"
    )
    with socket.socket() as kept:
        # Bound and not listening: no other program's connection can take the port meanwhile.
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
        words = [program, "-c", code, str(port)]
        with subprocess.Popen(words) as one, subprocess.Popen(words) as two:
            try:

                def both() -> Any:
                    found, unknown = servers.server_at("127.0.0.1", port)
                    too = found and any("too" in entry.why for entry in unknown)
                    return too and (found, unknown)

                found, unknown = until(both)
            finally:
                one.terminate()
                two.terminate()
    low, high = sorted((one.pid, two.pid))
    assert (found.kind, found.pid) == ("unknown", low)
    assert unknown[0].why == f"pid {high} takes connections there too"


def test_the_advisor_itself_is_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = at(listener.getsockname()[1])
        assert found is not None
        assert found.kind == "unknown"
