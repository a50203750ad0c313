from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advisor.errors import InvalidInput
from advisor.host import gather, servers
from advisor.host.commandline import parse
from advisor.host.describe import describe
from advisor.host.families import Family
from advisor.host.processes import Process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from advisor.documents import Server

# The apps that conftest.py writes.
WSGI, ASGI = "shop:wsgi", "shop:app"


def check_memory(server: Server) -> None:
    """Every worker's memory is there and plausible."""
    for worker in server.workers:
        assert worker.pss_bytes is not None
        assert worker.uss_bytes is not None
        rss = psutil.Process(worker.pid).memory_info().rss
        assert 0 < worker.uss_bytes <= worker.pss_bytes <= rss * 1.02 + 2**20


@pytest.mark.daemon
@pytest.mark.parametrize(
    ("words", "worker_class", "threads", "interface", "app"),
    [
        (["-w", 2], "sync", 1, "wsgi", WSGI),
        (["-w", 2, "--threads", 4], "gthread", 4, "wsgi", WSGI),
        (["-w", 2, "-k", "gthread", "--threads", 8], "gthread", 8, "wsgi", WSGI),
        (["-w", 2, "-k", "asgi"], "asgi", 1, "asgi", ASGI),
        (["-w", 2, "-k", "uvicorn_worker.UvicornWorker"], *("uvicorn_worker.UvicornWorker", 1),
         "asgi", ASGI),
    ],
)  # fmt: skip
def test_gunicorn(
    words: list[str | int],
    worker_class: str,
    threads: int,
    interface: str,
    app: str,
    launch: Callable[..., Server],
    free_port: Callable[..., int],
    folder: Path,
) -> None:
    port = free_port()
    server = launch("gunicorn", *words, "-b", f"127.0.0.1:{port}", app, workers=2)
    assert (server.kind, server.version) == ("gunicorn", version("gunicorn"))
    assert (server.app, server.interface) == (app, interface)
    assert (server.worker_class, server.threads) == (worker_class, threads)
    assert server.listen == [f"127.0.0.1:{port}"]
    assert (server.settings["workers"], server.directory) == (2, str(folder))
    assert server.python is not None
    assert sys.version.startswith(server.python)
    children = {child.pid for child in psutil.Process(server.pid).children()}
    assert {worker.pid for worker in server.workers} == children
    check_memory(server)


@pytest.mark.daemon
def test_every_socket_of_a_gunicorn(
    launch: Callable[..., Server], free_port: Callable[..., int], folder: Path
) -> None:
    four, six, unix = free_port(), free_port("::1"), folder / "shop.sock"
    binds = (f"127.0.0.1:{four}", f"[::1]:{six}", f"unix:{unix}")
    server = launch("gunicorn", *(word for bind in binds for word in ("-b", bind)), WSGI)
    # Gunicorn's control socket, which its master listens on too, is none of them.
    assert sorted(server.listen) == sorted(binds)
    for address, port in (("127.0.0.1", four), ("::1", six)):
        found, unknown = servers.server_at(address, port)
        assert found is not None
        assert (found.pid, unknown) == (server.pid, [])


@pytest.mark.daemon
@pytest.mark.parametrize(
    ("imports", "loaded"),
    [("asyncpg", (True, False)), ("asyncpg, sqlalchemy", (True, True)), ("os", (False, False))],
)
def test_which_libraries_a_gunicorns_workers_have_loaded(
    imports: str,
    loaded: tuple[bool, bool],
    launch: Callable[..., Server],
    free_port: Callable[..., int],
    folder: Path,
) -> None:
    (folder / "shop_pool.py").write_text(f"import {imports}\nfrom shop import wsgi\n")
    port = free_port()
    server = launch("gunicorn", "-b", f"127.0.0.1:{port}", "shop_pool:wsgi")
    facts = gather(server.pid)
    assert (facts.components["asyncpg"].loaded, facts.components["sqlalchemy"].loaded) == loaded


@pytest.mark.daemon
def test_gunicorns_settings_from_everywhere(
    launch: Callable[..., Server], free_port: Callable[..., int], folder: Path
) -> None:
    (folder / "gunicorn.conf.py").write_text(
        "wsgi_app = 'shop:wsgi'\nthreads = 3\ntimeout = 40\nkeepalive = int('5')\n"
    )
    server = launch(
        *("gunicorn", "-b", f"127.0.0.1:{free_port()}"),
        workers=2,
        environment={"GUNICORN_CMD_ARGS": "--timeout 50", "WEB_CONCURRENCY": "2", "KEY": "hunter2"},
    )
    assert (server.app, server.worker_class, server.threads) == (WSGI, "gthread", 3)
    assert (server.settings["timeout"], server.settings["workers"]) == (50, 2)
    assert "keepalive" not in server.settings
    facts = gather(server.pid)
    assert [entry.what for entry in facts.unknown if str(server.pid) in entry.what] == [
        f"keepalive of pid {server.pid} (gunicorn)"
    ]
    assert "hunter2" not in facts.model_dump_json()


@pytest.mark.daemon
@pytest.mark.parametrize(
    ("address", "listen", "reached"),
    [
        ("127.0.0.1", "127.0.0.1:{}", "127.0.0.1"),
        ("0.0.0.0", "0.0.0.0:{}", "127.0.0.1"),
        ("::1", "[::1]:{}", "::1"),
        ("::", "[::]:{}", "::1"),
    ],
)
def test_uvicorn_with_one_process(
    address: str,
    listen: str,
    reached: str,
    launch: Callable[..., Server],
    free_port: Callable[..., int],
) -> None:
    port = free_port(address)
    server = launch("uvicorn", "--host", address, "--port", port, ASGI)
    assert (server.kind, server.version) == ("uvicorn", version("uvicorn"))
    assert (server.app, server.worker_class, server.threads) == (ASGI, "uvicorn", 1)
    assert server.listen == [listen.format(port)]
    assert [worker.pid for worker in server.workers] == [server.pid]
    found, _ = servers.server_at(reached, port)
    assert found is not None
    assert found.pid == server.pid
    check_memory(server)


@pytest.mark.daemon
def test_uvicorn_with_two_workers(
    launch: Callable[..., Server], free_port: Callable[..., int]
) -> None:
    port = free_port()
    server = launch("uvicorn", "--workers", 2, "--port", port, ASGI, workers=2)
    assert server.pid not in {worker.pid for worker in server.workers}
    for worker in server.workers:
        argv = psutil.Process(worker.pid).cmdline()
        assert any("spawn_main" in word for word in argv)
        assert servers.server_of(worker.pid).pid == server.pid
    found, _ = servers.server_at("127.0.0.1", port)
    assert found is not None
    assert found.pid == server.pid
    check_memory(server)


@pytest.mark.daemon
def test_uvicorn_with_workers_from_the_environment(
    launch: Callable[..., Server], free_port: Callable[..., int]
) -> None:
    words = ("uvicorn", "--port", free_port(), "--factory", "shop:create")
    server = launch(*words, workers=2, environment={"WEB_CONCURRENCY": "2"})
    assert (server.app, server.settings["workers"]) == ("shop:create()", 2)


@pytest.mark.daemon
def test_what_the_app_spawns_is_no_worker_of_uvicorn(
    launch: Callable[..., Server], free_port: Callable[..., int], folder: Path
) -> None:
    (folder / "shop_pool.py").write_text(
        "import multiprocessing\nimport time\nfrom shop import app\n"
        "if __name__ == 'shop_pool':\n"
        "    spawn = multiprocessing.get_context('spawn')\n"
        "    spawn.Process(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    server = launch("uvicorn", "--port", free_port(), "shop_pool:app")
    assert psutil.Process(server.pid).children()
    assert [worker.pid for worker in server.workers] == [server.pid]


@pytest.mark.daemon
def test_uvicorn_on_a_unix_socket(launch: Callable[..., Server], folder: Path) -> None:
    server = launch("uvicorn", "--uds", folder / "u.sock", ASGI)
    assert server.listen == [f"unix:{folder / 'u.sock'}"]


@pytest.mark.daemon
def test_all_servers_are_found_and_their_memory_is_not_others(
    launch: Callable[..., Server], free_port: Callable[..., int]
) -> None:
    first = launch("gunicorn", "-b", f"127.0.0.1:{free_port()}", WSGI)
    second = launch("uvicorn", "--port", free_port(), ASGI)
    facts = gather()
    assert {first.pid, second.pid} <= {server.pid for server in facts.servers}
    assert facts.components["gunicorn"].version == version("gunicorn")
    used = facts.memory.total_bytes - facts.memory.available_bytes
    assert facts.memory.others_bytes is not None
    assert facts.memory.others_bytes < used


@pytest.mark.daemon
def test_a_server_that_ends_is_found_no_more(
    launch: Callable[..., Server], free_port: Callable[..., int]
) -> None:
    port = free_port()
    server = launch("uvicorn", "--port", port, ASGI)
    psutil.Process(server.pid).send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while True:
        found, unknown = servers.server_at("127.0.0.1", port)
        if found is None and "nothing listens" in unknown[0].why:
            break
        assert time.monotonic() < deadline
    assert server.pid not in {item.pid for item in servers.find_servers()[0]}


def test_a_listener_of_another_kind_is_unknown() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        found, _ = servers.server_at("127.0.0.1", port)
        assert found is not None
        assert (found.kind, found.pid) == ("unknown", os.getpid())
        assert [worker.pid for worker in found.workers] == [os.getpid()]
        assert f"127.0.0.1:{port}" in found.listen
        assert servers.server_of(os.getpid()).pid == os.getpid()


@pytest.mark.daemon
def test_nginx_is_known_by_name(
    tmp_path: Path, free_port: Callable[..., int], not_run: Callable[[str], Any]
) -> None:
    if not os.access("/usr/sbin/nginx", os.X_OK):
        not_run("no /usr/sbin/nginx")
    port = free_port()
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/pid; worker_processes 2; error_log stderr;\n"
        "events {} http { access_log off; "
        f"server {{ listen 127.0.0.1:{port}; return 204; }} }}\n"
    )
    command = ["/usr/sbin/nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 10
            while (found := servers.server_at("127.0.0.1", port)[0]) is None or len(
                found.workers
            ) < 2:
                assert time.monotonic() < deadline
            assert (found.kind, found.pid) == ("nginx", process.pid)
            assert process.pid not in {worker.pid for worker in found.workers}
        finally:
            process.terminate()


@pytest.mark.parametrize("pid", [2**22 + 1, 0, -1])
def test_a_process_that_is_gone_is_said(pid: int) -> None:
    for look in (servers.server_of, gather):
        with pytest.raises(InvalidInput, match=f"--pid {pid}: no such process"):
            look(pid)


def test_an_address_that_is_not_this_hosts() -> None:
    found, unknown = servers.server_at("192.0.2.1", 80)  # TEST-NET-1, RFC 5737
    assert (found, len(unknown)) == (None, 1)
    assert "none of this host's" in unknown[0].why


def test_a_name_is_no_address() -> None:
    with pytest.raises(InvalidInput, match="no IP address"):
        servers.server_at("localhost", 80)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)
@given(st.sampled_from(["gunicorn", "uvicorn"]), st.lists(st.text(max_size=9), max_size=4))
def test_whatever_a_command_line_says_the_document_holds_it(kind: str, words: list[str]) -> None:
    """Anybody may start a process with any words: that must not stop root's inspection."""
    options = ["--threads", "-1", "--workers", "x", "--backlog", "9" * 40]
    argv = ("python", f"/x/bin/{kind}", *options, "shop:app", *words)
    command = parse(argv)
    if command is not None:
        process = Process(os.getpid(), os.getppid(), "python", argv, os.geteuid())
        json.dumps(describe(Family(command, process, ())).server.as_data())
