"""The words that each server's unit starts it with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from advisor.errors import InvalidInput
from advisor.render.kit.launch import Launch, launch
from tests.render.kit.servers import inputs, recommended

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

TREE = "/etc/advisor/current/shop"
BIN = "/srv/shop/venv/bin"
UNIX = "/run/shop/shop.sock"


def started(make: Make, server: str, **intent: Any) -> Launch:
    values = {} if server == "gunicorn" else {"workers": 2}
    return launch(inputs(recommended(make, server, values, **intent)))


@pytest.mark.parametrize(
    ("server", "command"),
    [
        ("gunicorn", f"{BIN}/gunicorn -c {TREE}/gunicorn/gunicorn.conf.py"),
        ("uvicorn", f"{BIN}/uvicorn --fd 3 served:app"),
        (
            "hypercorn",
            f"{BIN}/hypercorn -c {TREE}/hypercorn/hypercorn.toml --bind fd://3 served:app",
        ),
        (
            "granian",
            f"{BIN}/granian --interface asgi --uds {UNIX} --uds-permissions 0660 served:app",
        ),
    ],
)
def test_a_server_takes_over_our_units_socket(make: Make, server: str, command: str) -> None:
    seen = started(make, server)
    assert " ".join(seen.command) == command
    assert seen.takes_socket == (server != "granian")
    assert seen.socket_directory == ("/run/shop" if server == "granian" else None)


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn", "hypercorn", "granian"])
def test_only_gunicorn_notifies_and_takes_a_new_configuration(make: Make, server: str) -> None:
    seen = started(make, server)
    is_gunicorn = server == "gunicorn"
    assert (seen.type, seen.reload_signal) == (("notify", "HUP") if is_gunicorn else ("exec", None))


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("gunicorn", "--bind [::1]:8000"),
        ("uvicorn", "--host ::1 --port 8000 served:app"),
        ("hypercorn", "--bind [::1]:8000 served:app"),
        ("granian", "--interface asgi --host ::1 --port 8000 served:app"),
    ],
)
def test_beside_a_unit_that_exists_a_server_listens_itself(
    make: Make, server: str, words: str
) -> None:
    dropin = {"systemd.mode": "dropin", "systemd.unit": "shop.service"}
    seen = started(make, server, listen="[::1]:8000", **dropin)
    assert " ".join(seen.command).endswith(words)
    assert seen.socket_directory is None


def test_hypercorn_leaves_a_socket_of_its_own_to_its_group(make: Make) -> None:
    """Where systemd makes the socket, or it is a port, there is nothing to mask."""
    dropin = {"systemd.mode": "dropin", "systemd.unit": "shop.service"}
    words = " ".join(started(make, "hypercorn", **dropin).command)
    assert f"--umask 7 --bind unix:{UNIX} " in words
    for elsewhere in ({}, dropin | {"listen": "127.0.0.1:8000"}):
        assert "--umask" not in started(make, "hypercorn", **elsewhere).command


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("gunicorn", "served:create_app()"),
        ("uvicorn", "--fd 3 --factory served:create_app"),
        ("hypercorn", "--bind fd://3 served:create_app()"),
        ("granian", "0660 --factory served:create_app"),
    ],
)
def test_a_factory_is_called_the_way_each_server_does(make: Make, server: str, words: str) -> None:
    seen = started(make, server, module="served:create_app()", manage=["systemd"])
    assert " ".join(seen.command).endswith(words)


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn", "hypercorn", "granian"])
def test_a_server_that_is_not_ours_gets_none_of_our_files(make: Make, server: str) -> None:
    seen = started(make, server, manage=["systemd"])
    assert not any(TREE in word for word in seen.command)
    assert seen.environment_files == ()
    assert seen.command[-1] == "served:app"


@pytest.mark.parametrize(
    ("server", "files"),
    [
        ("gunicorn", ["environment/app.env"]),
        ("uvicorn", ["uvicorn/uvicorn.env", "environment/app.env"]),
        ("hypercorn", ["environment/app.env"]),
        ("granian", ["granian/granian.env", "environment/app.env"]),
    ],
)
def test_environment_files_are_those_of_the_tree(make: Make, server: str, files: list[str]) -> None:
    assert started(make, server).environment_files == tuple(f"{TREE}/{path}" for path in files)


def test_without_variables_there_is_no_environment_file_to_read(make: Make) -> None:
    seen = launch(inputs(recommended(make, "hypercorn", {"workers": None})))
    assert seen.environment_files == ()


@pytest.mark.parametrize(("version", "named"), [("20.0.4", True), ("absent", True), ("23", False)])
def test_gunicorns_command_names_the_app_where_the_file_cannot(
    make: Make, version: str, named: bool
) -> None:
    words = started(make, "gunicorn", version=version).command
    assert (words[-1] == "served:app") == named


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
def test_a_wsgi_app_is_refused_where_only_asgi_runs(make: Make, server: str) -> None:
    with pytest.raises(InvalidInput, match=r"app\.interface"):
        started(make, server, interface="wsgi")


def test_uvicorn_has_to_be_told_the_app_in_the_module(make: Make) -> None:
    with pytest.raises(InvalidInput, match=r"app\.module"):
        started(make, "uvicorn", module="served")


def test_a_granian_that_cannot_guard_its_socket_is_refused(make: Make) -> None:
    with pytest.raises(InvalidInput, match=r"listen: Granian 2\.5\.3"):
        started(make, "granian", version="2.5.3")
    assert started(make, "granian", version="2.5.3", listen="127.0.0.1:8000")
