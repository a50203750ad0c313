"""Each check passes on what is rendered, and catches what is damaged.

Real Gunicorn, nginx and systemd-analyze. A mutation that a check would not see fails here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from advisor.render import check, render
from advisor.render.checks import result as result_module

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from advisor.documents import Recommendation
    from advisor.render import CheckResult, File

    Make = Callable[..., Recommendation]
    Damage = Callable[[Sequence[File], str, str, str], list[File]]

pytestmark = pytest.mark.daemon

CONF = "gunicorn/gunicorn.conf.py"
NGINX = "nginx/shop.conf"
SERVICE = "systemd/shop.service"
SOCKET = "systemd/shop.socket"
NOBODY = 65534


@pytest.fixture(autouse=True)
def _daemons(not_run: Callable[[str], NoReturn]) -> None:
    for name in ("nginx", "systemd-analyze"):
        if result_module.find_program(name) is None:
            not_run(f"{name} is not installed")


def failures(results: list[CheckResult]) -> list[str]:
    return [line for result in results if result.status == "failed" for line in result.lines]


def test_what_is_rendered_passes_every_check(here: Make) -> None:
    rec = here()
    results = check(render(rec), rec)
    assert [result for result in results if result.status != "passed"] == []
    more = {"environment/app.env", "systemd/sysusers.conf", "systemd/tmpfiles.conf"}
    assert {result.path for result in results} == {CONF, NGINX, SERVICE, SOCKET} | more


@pytest.mark.parametrize(
    "changes",
    [
        {"intent": {"listen": "[::1]:8000", "domain": None}},
        {"intent": {"listen": "127.0.0.1:8000"}},
        {"intent": {"app.directory": "/home/ann/shop", "app.virtualenv": "/tmp/venv"}},
        {"intent": {"app.virtualenv": None, "app.directory": None, "app.writable": None}},
        {"intent": {"manage": ["systemd"]}},
        {"intent": {"domain": "*.shop.example", "app.environment": {"A": "x=%y".replace("%", "")}}},
        {"settings": {"gunicorn.worker_class": "gthread", "gunicorn.threads": 64}},
        {"settings": {"gunicorn.worker_class": "sync", "nginx.upstream_keepalive": None}},
        {"settings": {"gunicorn.worker_class": "asgi"}},
    ],
)
def test_variants_pass_every_check(here: Make, changes: dict[str, Any]) -> None:
    rec = here(**changes)
    results = check(render(rec), rec)
    assert [result for result in results if result.status != "passed"] == []


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (CONF, "workers = 2", "wrokers = 2", "knows no setting wrokers; did you mean workers?"),
        (CONF, "workers = 2", 'workers = "2"', "workers should be a whole number"),
        (CONF, "workers = 2", "workers = True", "workers should be a whole number"),
        (CONF, "workers = 2", "workers = -1", "workers: Value must be positive"),
        (CONF, "workers = 2", "import os; workers = 2", "only NAME = CONSTANT"),
        (CONF, "workers = 2", "workers = 1 + 1", "workers is no constant"),
        (CONF, "workers = 2", "workers = ", "invalid syntax"),
        (CONF, "control_socket_disable = True", "control_socket_disable = 1", "True or False"),
        (CONF, "uvicorn_worker.UvicornWorker", "uvicorn_worker.UvicronWorker", "UvicronWorker"),
        (CONF, "uvicorn_worker.UvicornWorker", "gthraed", "gthraed"),
        (CONF, '"shop.main:app"', '"shop.main:app.other"', "Failed to parse"),
        (NGINX, "keepalive 64;", "kepalive 64;", 'unknown directive "kepalive"'),
        (NGINX, "proxy_buffering on", "proxy_buffering maybe", "proxy_buffering"),
        (NGINX, "http://shop_app", "http://shop_ap", "host not found in upstream"),
        (NGINX, "listen 80;", "listen 99999;", "invalid port"),
        (NGINX, "server_name", "}\nserver_name", "server_name"),
        (NGINX, "keepalive_timeout 60s;", "keepalive_timeout 60s", "unexpected"),
        (NGINX, "listen 80;", "listen 80; listen 80;", "duplicate listen"),
        (SERVICE, "NoNewPrivileges=", "NoNewPrivilges=", "Unknown key 'NoNewPrivilges'"),
        (SERVICE, "@system-service", "@system-servcie", "@system-servcie"),
        (SERVICE, "/srv/shop/venv/bin/gunicorn", "/srv/shop/venv/bin/gunicrn", "not executable"),
        (SERVICE, "KillMode=mixed", "KillMode=some", "kill mode specification"),
        (SERVICE, "[Service]", "[Servcie]", "Servcie"),
        (SERVICE, "User=shop", "User=other", "User=other is nobody the app needs"),
        (SERVICE, "WorkingDirectory=/srv/shop", "WorkingDirectory=srv", "WorkingDirectory"),
        (SERVICE, "Requires=shop.socket", "Requires=shp.socket", "shp.socket"),
        (SOCKET, "Backlog=2048", "Bakclog=2048", "Unknown key 'Bakclog'"),
        (SOCKET, "ListenStream=", "ListenSteam=", "ListenSteam"),
        (SOCKET, "SocketGroup=www-data", "SocketGroup=www-date", "www-date"),
        (SOCKET, "SocketMode=0660", "SocketMode=0999", "mode value"),
    ],
)
def test_damage_is_caught_with_file_and_words(
    here: Make, damage: Damage, path: str, old: str, new: str, said: str
) -> None:
    rec = here()
    lines = failures(check(damage(render(rec), path, old, new), rec))
    about = [line for line in lines if line.startswith(path)]
    assert any(said in line for line in about), lines


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (CONF, "workers = 2", "wrokers = 2"),
        (NGINX, "keepalive 64;", "kepalive 64;"),
        (SERVICE, "NoNewPrivileges=", "NoNewPrivilges="),
        (SOCKET, "Backlog=2048", "Bakclog=2048"),
    ],
)
def test_a_failure_names_the_line(
    here: Make, damage: Damage, path: str, old: str, new: str
) -> None:
    rec = here()
    damaged = damage(render(rec), path, old, new)
    text = next(file.content.decode() for file in damaged if file.path == path)
    number = 1 + next(i for i, line in enumerate(text.splitlines()) if new in line)
    assert any(line.startswith(f"{path}:{number}: ") for line in failures(check(damaged, rec)))
