from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.host import settings
from advisor.host.commandline import Command
from advisor.host.settings import Settings

ROOT = Path("/")


def gunicorn(
    folder: Path | None,
    *,
    line: dict[str, Any] | None = None,
    config: str | None = None,
    environment: dict[str, str] | None = {},  # noqa: B006 - never changed; None means hidden
) -> Settings:
    command = Command("gunicorn", "server", settings=line or {}, config=config)
    directory = str(folder) if folder else None
    return settings.of(command, environment, pid=812, directory=directory, root=ROOT)


def test_gunicorns_precedence(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("workers = 1\nthreads = 1\ntimeout = 1\n")
    found = gunicorn(
        tmp_path,
        line={"workers": 3},
        environment={"GUNICORN_CMD_ARGS": "-w 2 --threads 2", "WEB_CONCURRENCY": "9"},
    )
    assert found.known() == {"workers": 3, "threads": 2, "timeout": 1}
    assert found.unknown == []


def test_web_concurrency_comes_last(tmp_path: Path) -> None:
    environment = {"WEB_CONCURRENCY": "9"}
    assert gunicorn(tmp_path, environment=environment).get("workers", 1) == 9
    (tmp_path / "gunicorn.conf.py").write_text("workers = 4\n")
    assert gunicorn(tmp_path, environment=environment).get("workers", 1) == 4


@pytest.mark.parametrize("text", ["", "many", "-1"])
def test_a_web_concurrency_that_is_no_number_says_nothing(text: str, tmp_path: Path) -> None:
    assert gunicorn(tmp_path, environment={"WEB_CONCURRENCY": text}).get("workers", 1) == 1


def test_a_named_file_beside_the_one_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("timeout = 1\n")
    (tmp_path / "other.py").write_text("timeout = 2\n")
    for name in ("other.py", "file:other.py", str(tmp_path / "other.py")):
        assert gunicorn(tmp_path, config=name).get("timeout", 30) == 2
    environment = {"GUNICORN_CMD_ARGS": "-c other.py"}
    assert gunicorn(tmp_path, environment=environment).get("timeout", 30) == 2


def test_what_a_file_computes_is_unknown_and_no_default(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("threads = f()\nworkers = f()\nbind = f()\n")
    found = gunicorn(tmp_path)
    assert found.get("threads", 1) is None
    (entry,) = found.unknown
    assert entry.what == "threads of pid 812 (gunicorn)"  # workers and bind are seen live
    assert gunicorn(tmp_path, line={"threads": 2}).unknown == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("from base import *\n", "a star import may set any"),
        ("workers = \n", "not understood as Python"),
        ("\0", "not understood as Python"),
    ],
)
def test_a_file_that_does_not_tell_hides_the_rest(content: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(content)
    found = gunicorn(tmp_path)
    assert found.get("worker_class", "sync") is None
    assert [entry.why for entry in found.unknown] == [why]


def test_a_named_file_that_is_gone_hides_what_it_said(tmp_path: Path) -> None:
    found = gunicorn(tmp_path, config="gone.py")
    assert found.get("timeout", 30) is None
    assert "gone.py" in found.unknown[0].what


def test_a_module_is_never_imported(tmp_path: Path) -> None:
    found = gunicorn(tmp_path, config="python:shop.settings")
    assert found.get("timeout", 30) is None
    assert "never imported" in found.unknown[0].why


@pytest.mark.timeout(20)
def test_a_pipe_in_the_files_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gunicorn.conf.py")
    found = gunicorn(tmp_path)
    assert found.get("timeout", 30) is None
    assert found.unknown[0].why == "no regular file"


def test_chdir_leaves_the_folder_of_a_relative_file_behind(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("timeout = 1\n")
    moved = gunicorn(tmp_path, line={"chdir": str(tmp_path)})
    assert (moved.get("timeout", 30), len(moved.unknown)) == (30, 1)
    named = gunicorn(tmp_path, line={"chdir": str(tmp_path)}, config="g.py")
    assert (named.get("timeout", 30), len(named.unknown)) == (None, 1)


def test_a_hidden_environment_hides_all_but_the_command_line(tmp_path: Path) -> None:
    found = gunicorn(tmp_path, line={"timeout": 5}, environment=None)
    assert (found.get("timeout", 30), found.get("threads", 1)) == (5, None)


def test_a_title_hides_everything() -> None:
    command = Command("gunicorn", "titled", app="shop:app")
    found = settings.of(command, {}, pid=812, directory="/", root=ROOT)
    assert found.get("worker_class", "sync") is None
    assert "setproctitle" in found.unknown[0].why


@pytest.mark.parametrize(
    ("line", "worker", "interface"),
    [
        ({}, "sync", "wsgi"),
        ({"threads": 4}, "gthread", "wsgi"),
        ({"worker_class": "sync", "threads": 1}, "sync", "wsgi"),
        ({"worker_class": "gthread"}, "gthread", "wsgi"),
        ({"worker_class": "egg:gunicorn#gthread"}, "gthread", "wsgi"),
        ({"worker_class": "gevent"}, "gevent", "wsgi"),
        ({"worker_class": "asgi"}, "asgi", "asgi"),
        ({"worker_class": "uvicorn.workers.UvicornWorker"}, *(
            "uvicorn.workers.UvicornWorker", "asgi")),
        ({"worker_class": "uvicorn_worker.UvicornWorker", "threads": 4}, *(
            "uvicorn_worker.UvicornWorker", "asgi")),
        ({"worker_class": "shop.Worker"}, "shop.Worker", None),
    ],
)  # fmt: skip
def test_worker_class_and_interface(
    line: dict[str, Any], worker: str, interface: str | None, tmp_path: Path
) -> None:
    found = gunicorn(tmp_path, line=line)
    assert settings.worker_class("gunicorn", found) == worker
    assert settings.interface("gunicorn", worker, found) == interface


def test_uvicorn_serves_asgi_unless_told_otherwise() -> None:
    command = Command("uvicorn", "server", settings={"interface": "wsgi"})
    found = settings.of(command, {"WEB_CONCURRENCY": "3"}, pid=812, directory=None, root=ROOT)
    assert settings.interface("uvicorn", "uvicorn", found) == "wsgi"
    assert found.get("workers", 1) == 3
    assert settings.of(command, None, pid=812, directory=None, root=ROOT).get("workers", 1) is None
    assert settings.interface("uvicorn", "uvicorn", Settings(())) == "asgi"


def of(
    kind: Any,
    folder: Path | None = None,
    *,
    line: dict[str, Any] | None = None,
    config: str | None = None,
    environment: dict[str, str] | None = {},  # noqa: B006 - never changed; None means hidden
) -> Settings:
    variables: Any = {"uvicorn": "UVICORN_", "granian": "GRANIAN_"}.get(kind)
    command = Command(kind, "server", settings=line or {}, config=config, variables=variables)
    directory = str(folder) if folder else None
    return settings.of(command, environment, pid=812, directory=directory, root=ROOT)


def test_hypercorns_file_is_below_its_command_line(tmp_path: Path) -> None:
    (tmp_path / "h.toml").write_text(
        'bind = ["127.0.0.1:1", "[::1]:1"]\nworkers = 4\nkeep_alive_timeout = 7.5\n'
        'keyfile_password = "hunter2"\n[logging]\nversion = 1\n'
    )
    found = of("hypercorn", tmp_path, line={"workers": 2}, config="h.toml")
    assert found.known() == {"workers": 2, "bind": "127.0.0.1:1,[::1]:1", "keep_alive_timeout": 7.5}
    assert found.unknown == []


def test_hypercorns_file_in_python(tmp_path: Path) -> None:
    (tmp_path / "h.py").write_text("workers = 3\nbacklog = f()\n")
    found = of("hypercorn", tmp_path, config="file:h.py")
    assert (found.get("workers", 1), found.get("backlog", 100)) == (3, None)


@pytest.mark.parametrize("content", [b"= 1", b"\xff", b"a = " + b"[" * 100_000, b'"workers'])
def test_what_is_no_toml_is_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "h.toml").write_bytes(content)
    found = of("hypercorn", tmp_path, config="h.toml")
    assert found.get("workers", 1) is None
    (entry,) = found.unknown
    assert (entry.what, entry.why) == (
        f"settings in {tmp_path}/h.toml of pid 812 (hypercorn)",
        "not understood as TOML",
    )


@given(st.binary())
def test_any_toml_is_read_without_a_failure(source: bytes) -> None:
    with contextlib.suppress(ValueError):
        settings._toml(source)


@pytest.mark.parametrize("kind", ["uvicorn", "granian"])
def test_variables_count_like_options_below_the_command_line(kind: str) -> None:
    prefix = kind.upper()
    environment = {f"{prefix}_WORKERS": "3", f"{prefix}_PORT": "81", "WEB_CONCURRENCY": "9"}
    found = of(kind, line={"port": 80}, environment=environment)
    assert (found.get("workers", 1), found.get("port", 8000)) == (3, 80)
    assert of(kind, environment=None).get("workers", 1) is None
    alone = of(kind, environment={"WEB_CONCURRENCY": "9"}).get("workers", 1)
    assert alone == (9 if kind == "uvicorn" else 1)


@pytest.mark.parametrize(
    ("line", "version", "worker", "threads", "interface"),
    [
        ({}, "2.8.7", "granian", 1, None),
        ({"interface": "rsgi"}, "2.8.7", "granian", 1, None),
        ({"interface": "asgi"}, "2.8.7", "granian", 1, "asgi"),
        ({"interface": "asginl"}, "2.8.7", "granian", 1, "asgi"),
        ({"interface": "wsgi"}, "2.8.7", "granian-wsgi", 512, "wsgi"),
        ({"interface": "wsgi", "workers": 2}, "2.8.7", "granian-wsgi", 256, "wsgi"),
        ({"interface": "wsgi", "backlog": 128, "workers": 4}, "2.8.7", "granian-wsgi", 16, "wsgi"),
        ({"interface": "wsgi", "backpressure": 10}, "2.8.7", "granian-wsgi", 5, "wsgi"),
        ({"interface": "wsgi", "blocking_threads": 3}, None, "granian-wsgi", 3, "wsgi"),
        ({"interface": "wsgi"}, None, "granian-wsgi", None, "wsgi"),
        ({"interface": "wsgi", "workers": 0}, "2.8.7", "granian-wsgi", None, "wsgi"),
        ({"interface": "wsgi", "backlog": "x"}, "2.8.7", "granian-wsgi", 1, "wsgi"),
    ],
)
def test_granians_class_threads_and_interface(
    line: dict[str, Any], version: str | None, worker: str, threads: int, interface: str | None
) -> None:
    found = of("granian", line=line)
    assert settings.worker_class("granian", found) == worker
    assert settings.threads("granian", version, found) == threads
    assert settings.interface("granian", worker, found) == interface


def test_a_hidden_interface_of_granian_hides_its_class_and_threads() -> None:
    found = of("granian", environment=None)
    assert settings.worker_class("granian", found) is None
    assert settings.threads("granian", "2.8.7", found) is None


@pytest.mark.parametrize(("mode", "interface"), [("wsgi", "wsgi"), ("asgi", "asgi"), (None, None)])
def test_hypercorn_looks_at_the_app_unless_told(mode: str | None, interface: str | None) -> None:
    found = of("hypercorn", line={"mode": mode} if mode else {})
    assert settings.interface("hypercorn", "hypercorn", found) == interface
    assert settings.worker_class("hypercorn", found) == "hypercorn"
