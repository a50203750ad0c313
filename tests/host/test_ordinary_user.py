"""What an ordinary user sees of a server, theirs or another's."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Server

WSGI = "shop:wsgi"  # the app that conftest.py writes
LOOK = """
from advisor.host import gather, servers
from advisor import files
facts = gather({pid})
print(files.dump(facts, is_json=True))
server, unknown = servers.server_at("127.0.0.1", {port})
print("AT", server and server.pid, [entry.what for entry in unknown])
"""


def seen_by_nobody(
    as_nobody: Callable[[str], str], pid: int, port: int
) -> tuple[dict[str, Any], str]:
    document, _, at = as_nobody(LOOK.format(pid=pid, port=port)).partition("AT ")
    return json.loads(document), at


@pytest.mark.daemon
def test_what_an_ordinary_user_is_denied_is_unknown(
    launch: Callable[..., Server], free_port: Callable[..., int], as_nobody: Callable[[str], str]
) -> None:
    port = free_port()
    server = launch("gunicorn", "-w", 2, "-b", f"127.0.0.1:{port}", WSGI, workers=2)
    facts, at = seen_by_nobody(as_nobody, server.pid, port)
    (found,) = [item for item in facts["servers"] if item["pid"] == server.pid]
    assert (found["app"], found["settings"]["workers"]) == (WSGI, 2)
    assert [worker["pss_bytes"] for worker in found["workers"]] == [None, None]
    assert found["worker_class"] is None  # a file or a variable may set one
    assert facts["cpu"]["effective"] > 0
    (entry,) = [entry for entry in facts["unknown"] if f"pid {server.pid} (" in entry["what"]]
    assert "memory" in entry["what"]
    assert "sockets" in entry["what"]
    assert (entry["why"], entry["remedy"]) == ("not readable by uid 65534", "run as root")
    assert at.startswith(f"{server.pid} ['whether pid {server.pid} is the server at")


@pytest.mark.daemon
def test_a_command_line_is_not_believed_against_the_sockets_owner(
    launch: Callable[..., Server], free_port: Callable[..., int], as_nobody: Callable[[str], str]
) -> None:
    """Anybody can start a process that says it binds there: the kernel knows whose socket it is."""
    port = free_port()
    server = launch("gunicorn", "-b", f"127.0.0.1:{port}", WSGI)
    argv = ["/x/bin/gunicorn", "-c", "read x; :", "-b", f"127.0.0.1:{port}", "impostor:app"]
    with subprocess.Popen(argv, executable="/bin/sh", stdin=subprocess.PIPE, user=65533):
        _, at = seen_by_nobody(as_nobody, server.pid, port)
    assert at.startswith(f"{server.pid} [")


@pytest.mark.daemon
def test_an_ordinary_user_sees_all_of_their_own_server(
    launch: Callable[..., Server], free_port: Callable[..., int], as_nobody: Callable[[str], str]
) -> None:
    port = free_port()
    code = f"""
import subprocess, sys, time
from advisor.host import gather, servers
command = [sys.executable, "-m", "uvicorn", "--port", "{port}", "shop:app"]
with subprocess.Popen(command, cwd={{folder!r}}, stderr=subprocess.DEVNULL) as process:
    try:
        deadline = time.monotonic() + 30
        while (server := servers.server_at("127.0.0.1", {port})[0]) is None:
            assert process.poll() is None and time.monotonic() < deadline
        print(server.kind, server.workers[0].pss_bytes > 0, server.user)
    finally:
        process.terminate()
"""
    folder = str(launch.folder)
    assert as_nobody(code.replace("{folder!r}", repr(folder))).split() == [
        "uvicorn",
        "True",
        "nobody",
    ]
