"""A complete recommendation to vary, its files to damage, and the daemons on them."""

from __future__ import annotations

import contextlib
import importlib.metadata
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import httpx
import pytest

from advisor.demo import processes
from advisor.documents import Recommendation
from advisor.files import load, validate
from advisor.render import File, render, stage_nginx
from advisor.render.checks.result import find_program
from tests.render.live_common.clients import static_folder
from tests.render.live_common.hosts import Host, started
from tests.render.live_common.running import DEADLINE_S, gunicorn, nginx, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import NoReturn

CASES = Path(__file__).parent / "cases"
APPS = Path(__file__).parent / "apps"


class Make(Protocol):
    def __call__(
        self,
        *,
        intent: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        components: dict[str, str] | None = None,
        app: dict[str, str] | None = None,
        why: dict[str, str] | None = None,
    ) -> Recommendation: ...


@pytest.fixture(scope="session")
def make() -> Make:
    """The asgi case with other values; a setting or component set to "absent" is taken out."""
    complete = load(CASES / "asgi" / "recommendation.yml")

    def make_one(
        *,
        intent: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        components: dict[str, str] | None = None,
        app: dict[str, str] | None = None,
        why: dict[str, str] | None = None,
    ) -> Recommendation:
        stated = {
            key: value | {"value": value["value"]} for key, value in complete["intent"].items()
        }
        for key, value in (intent or {}).items():
            stated[key] = {"value": value, "from": "config"}
        chosen = [
            setting
            | {"value": (settings or {}).get(setting["id"], setting["value"])}
            | {"why": (why or {}).get(setting["id"], setting["why"])}
            for setting in complete["settings"]
        ]
        known = {setting["id"] for setting in chosen}
        chosen += [
            complete["settings"][0] | {"id": id_, "value": value}
            for id_, value in (settings or {}).items()
            if id_ not in known
        ]
        versions = {name: found["version"] for name, found in complete["components"].items()}
        versions |= components or {}
        data = complete | {
            "app": complete["app"] | (app or {}),
            "intent": stated,
            "settings": [setting for setting in chosen if setting["value"] != "absent"],
            "components": {
                name: {"version": version}
                for name, version in versions.items()
                if version != "absent"
            },
        }
        return validate(Recommendation, data, name="case")

    return make_one


@pytest.fixture(scope="session")
def damage() -> Callable[[Sequence[File], str, str, str], list[File]]:
    """The files, with one text of one of them replaced; it has to be there."""

    def damage_one(files: Sequence[File], path: str, old: str, new: str) -> list[File]:
        (victim,) = (file for file in files if file.path == path)
        assert victim.content.count(old.encode()) >= 1, f"{old!r} is not in {path}"
        damaged = replace(victim, content=victim.content.replace(old.encode(), new.encode(), 1))
        return [damaged if file is victim else file for file in files]

    return damage_one


@pytest.fixture(scope="module")
def static(folder: Callable[[], Path]) -> Path:
    """A folder to serve, in a new one of the proxy that is under test."""
    return static_folder(folder())


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    """App hosts for a balancer to stand before."""
    with started() as found:
        yield found


@pytest.fixture
def free_port() -> int:
    return processes.free_port()


@pytest.fixture
def site(tmp_path: Path, not_run: Callable[[str], NoReturn]) -> Callable[..., Any]:
    """Gunicorn and nginx on a recommendation's files; gives a client of nginx.

    The socket is opened here and handed over by LISTEN_FDS, as the socket unit does; the unit's
    path under /run is exchanged for one of the test's, so that no root is needed.
    """
    if find_program("nginx") is None:
        not_run("nginx is not installed")
    tmp_path.chmod(0o755)

    @contextlib.contextmanager
    def start(
        rec: Recommendation, *, upstream: bool = True, scheme: bytes = b"$scheme"
    ) -> Iterator[httpx.Client]:
        path = tmp_path / "app.sock"
        files = [
            replace(
                file,
                content=file.content.replace(b"/run/shop/shop.sock", bytes(path)).replace(
                    b"Proto $scheme", b"Proto " + scheme
                ),
            )
            for file in render(rec)
        ]
        conf = tmp_path / "gunicorn.conf.py"
        conf.write_bytes(files[0].content)
        port = processes.free_port()
        with contextlib.ExitStack() as stack:
            if upstream:
                listener = stack.enter_context(_listener(rec, path))
                stack.enter_context(gunicorn(conf, listener, APPS))
            staged = stage_nginx(files, tmp_path, listen={"127.0.0.1:8080": f"127.0.0.1:{port}"})
            stack.enter_context(nginx(staged, [port]))
            client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE_S)
            stack.enter_context(client)
            if upstream:
                until(lambda: client.get("/").status_code == 200, "the first worker")
            yield client

    return start


def _listener(rec: Recommendation, path: Path) -> socket.socket:
    listen = rec.intent["listen"].value
    if listen == "unix":
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
    else:
        listener = socket.create_server(("127.0.0.1", int(str(listen).rpartition(":")[2])))
    listener.listen(64)
    return listener


def words(name: str, *arguments: str) -> str:
    command = [str(find_program(name)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@pytest.fixture
def here(make: Make) -> Callable[..., Recommendation]:
    """A recommendation whose target has the daemons' versions of this machine."""

    versions = {
        "gunicorn": importlib.metadata.version("gunicorn"),
        "nginx": words("nginx", "-v").partition("/")[2].split()[0],
        "systemd": words("systemd-analyze", "--version").split()[1],
    }

    def make_here(**changes: Any) -> Recommendation:
        return make(**{"components": versions} | changes)

    return make_here
