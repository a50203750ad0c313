from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

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
    return settings.of_gunicorn(command, environment, pid=812, directory=directory, root=ROOT)


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
    found = settings.of_gunicorn(command, {}, pid=812, directory="/", root=ROOT)
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
    assert settings.worker_class(found) == worker
    assert settings.interface("gunicorn", worker, found) == interface


def test_uvicorn_serves_asgi_unless_told_otherwise() -> None:
    command = Command("uvicorn", "server", settings={"interface": "wsgi"})
    found = settings.of_uvicorn(command, {"WEB_CONCURRENCY": "3"})
    assert settings.interface("uvicorn", "uvicorn", found) == "wsgi"
    assert found.get("workers", 1) == 3
    assert settings.of_uvicorn(command, None).get("workers", 1) is None
    assert settings.interface("uvicorn", "uvicorn", Settings(())) == "asgi"
