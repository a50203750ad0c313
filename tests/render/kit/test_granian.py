"""granian.env: read back, gated, and at work on a socket of its own."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from advisor.render.quoting import environment as quoted
from tests.render.kit.servers import (
    PROXIED,
    assigned,
    comments,
    recommended,
    serving,
    text_of,
    told,
    usual,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import NoReturn

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

ENV = "granian/granian.env"
NOBODY = 65534
# As the rules give them for one worker behind nginx.
USUAL: dict[str, Any] = {
    "workers": 1,
    "runtime_threads": 1,
    "runtime_mode": "auto",
    "backlog": 2048,
    "backpressure": 512,
    "loop": "auto",
    "http": "1",
    "http1_header_read_timeout": 30000,
    "respawn_failed_workers": True,
    "respawn_interval": 3.5,
    "workers_kill_timeout": 2,
}


UNKNOWN = (
    "runtime_mode runtime_threads http1_header_read_timeout workers_max_rss backpressure "
    "respawn_failed_workers workers_kill_timeout"
)


@usual
@given(values=values_of("granian"))
def test_what_is_recommended_reads_back(make: Make, values: dict[str, Any]) -> None:
    found = assigned(text_of(recommended(make, "granian", values), ENV))
    assert found == {
        f"GRANIAN_{name.upper()}": quoted(value)
        for name, value in values.items()
        if value is not None
    }


@pytest.mark.parametrize(
    ("version", "left_out"),
    [
        ("1.7.6", "runtime_mode runtime_threads http1_header_read_timeout workers_max_rss"),
        ("2.4.0", "runtime_mode workers_max_rss"),
        ("2.5.0", "runtime_mode"),
        ("2.6.0", ""),
        ("absent", UNKNOWN),
    ],
)
def test_what_a_version_does_not_know_is_left_out_with_the_reason(
    make: Make, version: str, left_out: str
) -> None:
    values = USUAL | {"workers_max_rss": 300}
    rec = recommended(make, "granian", values, version=version, listen="127.0.0.1:8000")
    text = text_of(rec, ENV)
    expected = {f"GRANIAN_{name.upper()}" for name in left_out.split()}
    assert {f"GRANIAN_{name.upper()}" for name in values} - set(assigned(text)) == expected
    for name in expected:
        assert f"# {name}" in text
        assert "is left out: it needs Granian" in comments(text)


def test_it_says_what_its_socket_costs_and_what_the_app_has_to_do(make: Make) -> None:
    unix = comments(text_of(recommended(make, "granian", USUAL), ENV))
    assert "only its user and the group www-data may enter" in unix
    assert 'wrap_asgi_with_proxy_headers(app, trusted_hosts="*")' in unix
    unknown = comments(text_of(recommended(make, "granian", USUAL, version="absent"), ENV))
    assert "--uds-permissions needs Granian 2.6; the target's version is not known." in unknown
    foreign = comments(text_of(recommended(make, "granian", USUAL, manage=["server"]), ENV))
    assert "see to it that only its user and the group www-data may enter" in foreign
    port = recommended(make, "granian", USUAL, listen="127.0.0.1:8000", interface="wsgi")
    text = comments(text_of(port, ENV))
    assert "while it restarts, requests fail" in text
    assert 'wrap_wsgi_with_proxy_headers(app, trusted_hosts="127.0.0.1,::1")' in text


@pytest.mark.daemon
@pytest.mark.parametrize(
    ("module", "scheme"), [("served:create_app()", "http"), ("served:create_wrapped()", "https")]
)
def test_it_answers_on_a_socket_of_its_own(
    make: Make, tmp_path: Path, module: str, scheme: str
) -> None:
    with serving(recommended(make, "granian", USUAL, module=module), tmp_path) as client:
        seen = client.get("/a", headers=PROXIED).json()
        mode = (tmp_path / "app.sock").stat().st_mode
    assert (seen["path"], seen["scheme"]) == ("/a", scheme)
    assert stat.S_IMODE(mode) == 0o660
    assert not (tmp_path / "app.sock").exists()


@pytest.mark.daemon
def test_it_runs_wsgi_apps_in_threads_on_a_port(make: Make, tmp_path: Path, free_port: int) -> None:
    values = USUAL | {"blocking_threads": 4}
    where = f"127.0.0.1:{free_port}"
    rec = recommended(make, "granian", values, module="served:wsgi", interface="wsgi", listen=where)
    assert told(rec, tmp_path)


@pytest.mark.daemon
def test_its_socket_is_of_the_folders_group(
    make: Make, tmp_path: Path, not_run: Callable[[str], NoReturn]
) -> None:
    """What `Launch.socket_directory` promises of a folder with mode 2750."""
    if os.geteuid() != 0:
        not_run("only root can give a folder to a group that it is not in")
    folder = tmp_path / "run"
    folder.mkdir()
    os.chown(folder, 0, NOBODY)
    folder.chmod(0o2750)
    with serving(recommended(make, "granian", USUAL), folder):
        status = (folder / "app.sock").stat()
    assert (status.st_gid, stat.S_IMODE(status.st_mode)) == (NOBODY, 0o660)
