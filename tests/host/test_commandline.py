from __future__ import annotations

import argparse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.host import commandline, options

PYTHON = "/srv/venv/bin/python3.11"
GUNICORN = "/srv/venv/bin/gunicorn"
UVICORN = "/srv/venv/bin/uvicorn"
HYPERCORN = "/srv/venv/bin/hypercorn"
GRANIAN = "/srv/venv/bin/granian"
APP = "shop.main:app"
SPAWN = "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=7, pipe_handle=9)"
TRACKER = "from multiprocessing.resource_tracker import main;main(6)"


@pytest.mark.parametrize(
    ("argv", "kind", "app", "settings"),
    [
        ([PYTHON, GUNICORN, APP], "gunicorn", APP, {}),
        ([PYTHON, GUNICORN, "-w", "4", APP], "gunicorn", APP, {"workers": 4}),
        ([PYTHON, GUNICORN, APP, "-w4"], "gunicorn", APP, {"workers": 4}),
        ([PYTHON, GUNICORN, "--workers=4", APP, "--threads", "8"], *("gunicorn", APP),
         {"workers": 4, "threads": 8}),
        ([PYTHON, GUNICORN, "--preload", APP], "gunicorn", APP, {"preload_app": True}),
        ([PYTHON, GUNICORN, "-b", ":80", "-b", "unix:/run/s", APP], *("gunicorn", APP),
         {"bind": ":80,unix:/run/s"}),
        ([PYTHON, GUNICORN, "--worker-c", "gthread", APP], *("gunicorn", APP),
         None),
        ([PYTHON, GUNICORN, "--keep", "75", APP], "gunicorn", APP, {"keepalive": 75}),
        ([PYTHON, GUNICORN, "-k", "gthread", "shop:create_app()"], "gunicorn",
         "shop:create_app()", {"worker_class": "gthread"}),
        ([PYTHON, GUNICORN, "--option-of-next-year", "x", APP], "gunicorn", APP, {}),
        ([PYTHON, "-m", "gunicorn", APP], "gunicorn", APP, {}),
        ([PYTHON, "-u", "-X", "dev", "-W", "ignore", "-m", "gunicorn.app.wsgiapp", APP],
         "gunicorn", APP, {}),
        ([PYTHON, "-Bmgunicorn", APP], "gunicorn", APP, {}),
        ([GUNICORN, APP], "gunicorn", APP, {}),
        ([PYTHON, GUNICORN], "gunicorn", None, {}),
        ([PYTHON, UVICORN, APP, "--port", "80"], "uvicorn", APP, {"port": 80}),
        ([PYTHON, "-m", "uvicorn", "--factory", "shop:create"], "uvicorn", "shop:create()",
         {"factory": True}),
        ([PYTHON, UVICORN, "--no-access-log", APP, "--host", "::"], "uvicorn", APP,
         {"host": "::"}),
        ([PYTHON, "/srv/venv/bin/fastapi", "run", "shop.py", "--workers", "2"], "uvicorn", None,
         {"workers": 2, "host": "0.0.0.0"}),
        ([PYTHON, "/srv/venv/bin/fastapi", "run", "src/shop.py", "--app", "api"], "uvicorn",
         "shop:api", {"host": "0.0.0.0"}),
        ([PYTHON, "-m", "fastapi", "dev", "-e", APP], "uvicorn", APP, {"reload": True}),
        ([PYTHON, HYPERCORN, "-w", "2", "-b", ":80", "-k", "uvloop", "--keep-alive", "9", APP],
         "hypercorn", APP, {"workers": 2, "bind": ":80", "worker_class": "uvloop",
                            "keep_alive_timeout": 9}),
        ([PYTHON, "-m", "hypercorn", "shop", "--reload"], "hypercorn", "shop:app",
         {"use_reloader": True}),
        ([PYTHON, HYPERCORN, "wsgi:shop:app"], "hypercorn", "shop:app", {"mode": "wsgi"}),
        ([PYTHON, HYPERCORN, "--graceful", "5", APP], "hypercorn", APP, {"graceful_timeout": 5}),
        ([PYTHON, GRANIAN, "--interface", "wsgi", "--workers", "2", "--blocking-threads=8", APP],
         "granian", APP, {"interface": "wsgi", "workers": 2, "blocking_threads": 8}),
        ([PYTHON, "-m", "granian", "--no-ws", "--factory", "shop:create", "--log"], "granian",
         "shop:create()", {"websockets": False, "factory": True}),
        (["granian asgi 127.0.0.1:80 shop.main:app"], "granian", APP,
         {"interface": "asgi", "bind": "127.0.0.1:80"}),
    ],
)  # fmt: skip
def test_servers_are_recognised(
    argv: list[str], kind: str, app: str | None, settings: dict[str, Any] | None
) -> None:
    command = commandline.parse(argv)
    if settings is None:  # an abbreviation that Gunicorn itself would find ambiguous
        assert command is None
        return
    assert command is not None
    assert (command.kind, command.app, command.settings) == (kind, app, settings)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        [""],
        ["nginx: master process /usr/sbin/nginx"],
        ["vim", "gunicorn"],
        ["grep", "-r", "uvicorn", APP],
        ["/usr/bin/uv", "run", "gunicorn", APP],
        [PYTHON],
        [PYTHON, "-c", "import uvicorn"],
        [PYTHON, "-c", TRACKER],
        [PYTHON, "-B", "-c", TRACKER],
        [PYTHON, "manage.py", "gunicorn"],
        [PYTHON, "-m", "http.server"],
        [PYTHON, UVICORN, "--version"],
        [PYTHON, "/srv/venv/bin/fastapi", "deploy"],
        [PYTHON, GUNICORN, "--workers"],
        [PYTHON, HYPERCORN, "--help"],
        [PYTHON, GRANIAN, "--version"],
    ],
)
def test_what_is_no_server_is_none(argv: list[str]) -> None:
    assert commandline.parse(argv) is None


def test_children_of_multiprocessing_are_recognised() -> None:
    command = commandline.parse([PYTHON, "-B", "-c", SPAWN, "--multiprocessing-fork"])
    assert command is not None
    assert (command.kind, command.role) == ("spawned", "spawned")


@pytest.mark.parametrize(
    ("title", "role", "app"),
    [
        ("gunicorn: master [shop.main:app]", "titled", APP),
        ("gunicorn: worker [shop.main:app]", "titled worker", APP),
        ("gunicorn: master [our shop]", "titled", None),
        ("granian wsgi unix:/run/s shop.main:app", "titled", APP),
        ("granian wsgi unix:/run/s shop.main:app worker-2", "titled worker", APP),
    ],
)
def test_titles_that_setproctitle_gives(title: str, role: str, app: str | None) -> None:
    for argv in ([title], title.split(" ")):  # as psutil splits what has no other end
        command = commandline.parse(argv)
        assert command is not None
        assert (command.kind, command.role, command.app) == (
            title.split(maxsplit=1)[0].strip(":"),
            role,
            app,
        )


@given(st.lists(st.text()))
def test_any_words_are_read_without_a_failure(words: list[str]) -> None:
    for first in ([], [GUNICORN], [PYTHON], [UVICORN], [HYPERCORN], [GRANIAN]):
        commandline.parse([*first, *words])


def test_secrets_on_the_command_line_stay_there() -> None:
    command = commandline.parse(
        [PYTHON, GUNICORN, "-e", "KEY=hunter2", "--keyfile", "/k", "--log-config", "hunter2", APP]
    )
    assert command is not None
    assert command.settings == {}
    assert command.app == APP


def test_every_option_of_the_installed_gunicorn_is_known() -> None:
    config = pytest.importorskip("gunicorn.config")
    spellings = {word for setting in config.KNOWN_SETTINGS for word in setting.cli or ()}
    parser = options.PARSERS["gunicorn"]
    assert spellings <= set(parser._option_string_actions)
    for setting in config.KNOWN_SETTINGS:
        takes_none = setting.action in {"store_true", "store_const"}
        for word in setting.cli or ():
            assert (parser._option_string_actions[word].nargs == 0) is takes_none, word


def test_every_option_of_the_installed_uvicorn_is_known() -> None:
    main = pytest.importorskip("uvicorn.main")
    parser = options.PARSERS["uvicorn"]
    for option in main.main.params:
        for word in (*option.opts, *option.secondary_opts):
            if word.startswith("--") and word != "--version":
                found = parser._option_string_actions[word]
                assert (found.nargs == 0) is option.is_flag, word


def test_every_option_of_the_installed_granian_is_known() -> None:
    cli = pytest.importorskip("granian.cli")
    parser = options.PARSERS["granian"]
    for option in cli.cli.params:
        for word in (*option.opts, *option.secondary_opts):
            if word.startswith("--") and word != "--version":
                found = parser._option_string_actions[word]
                assert (found.nargs == 0) is option.is_flag, word
    names = {option.name for option in cli.cli.params}
    assert set(options.VARIABLES["GRANIAN_"]) <= names
    assert set(options.GRANIAN) | set(options.GRANIAN_SWITCHES) <= names


def test_every_option_of_the_installed_hypercorn_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main = pytest.importorskip("hypercorn.__main__")
    seen: list[argparse.ArgumentParser] = []

    def note(self: argparse.ArgumentParser, _: object) -> None:
        seen.append(self)
        raise SystemExit

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", note)
    with pytest.raises(SystemExit):
        main.main([])
    parser = options.PARSERS["hypercorn"]
    for action in seen[0]._actions:
        for word in action.option_strings:
            if word not in {"-h", "--help"}:
                found = parser._option_string_actions[word]
                assert (found.nargs == 0) is (action.nargs == 0), word
    config = pytest.importorskip("hypercorn.config").Config
    assert all(hasattr(config, name) for name in options.HYPERCORN_SETTINGS)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("4", 4),
        ("-1", -1),
        ("4x", "4x"),
        (True, True),
        (["a", "b"], "a,b"),
        (1.5, 1.5),
        (float("inf"), "inf"),
        (None, None),
        ({"a": 1}, "{'a': 1}"),
    ],
)
def test_settings_as_documents_carry_them(value: object, expected: object) -> None:
    found = commandline.as_scalar(value)
    assert found == expected
    assert type(found) is type(expected)
