"""A host below a folder: real daemons on loopback, started and signalled as systemd would."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from advisor.deploy.switch.caddy import Caddy
from advisor.deploy.switch.commands import Outcome, find
from advisor.deploy.switch.daemons import Daemons
from advisor.deploy.switch.documents import Health, Install, Row, Unit
from advisor.deploy.switch.effects import Host
from advisor.deploy.switch.layout import Layout
from advisor.deploy.switch.nginx import Nginx
from advisor.deploy.switch.systemd import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APPS = Path(__file__).parent / "apps"
DEADLINE_S = 20.0
SERVICE = "shop.service"


def until(is_true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not is_true():
        assert time.monotonic() < deadline, f"no {what} within {DEADLINE_S} s"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Service:
    """A unit: the command that systemd would start, and what it has of it."""

    argv: list[str]
    environment: dict[str, str]
    log: Path
    reload_signal: int | None = signal.SIGHUP
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                env={"PATH": os.environ["PATH"], **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass
class Services:
    """What systemd does for the switch, over processes of the test."""

    units: dict[str, Service] = field(default_factory=dict)
    acts: list[tuple[str, ...]] = field(default_factory=list)
    # By unit, how long the last stop might take; and what is refused.
    stops: dict[str, float | None] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)

    def states(self, *units: str) -> dict[str, State]:
        return {unit: self._state(unit) for unit in units}

    def _state(self, unit: str) -> State:
        service = self.units.get(unit)
        if service is None:
            return State()
        pid = service.process.pid if service.process and service.is_up else 0
        sub = "running" if pid else "dead"
        return State("loaded", "active" if pid else "failed", sub, pid, service.restarts)

    def act(self, verb: str, *units: str, stop_s: float | None = None) -> Outcome:
        self.acts.append((verb, *units))
        if verb in {"stop", "restart"}:
            self.stops |= dict.fromkeys(units, stop_s)
        if verb == "stop" and not set(units) <= set(self.units):
            return Outcome(5, "", "Failed to stop: not loaded")
        if any((verb, unit) in self.refused for unit in units):
            return Outcome(1, "", f"{verb} was refused")
        for service in (self.units[unit] for unit in units if unit in self.units):
            if verb in {"stop", "restart"}:
                service.stop()
            if verb in {"start", "restart"} and not service.is_up:
                service.start()
            if verb == "reload" and service.process and service.reload_signal is not None:
                service.process.send_signal(service.reload_signal)
        return Outcome(0, "", "")

    def environment(self) -> dict[str, str]:
        return {}

    def log(self, unit: str, since: float) -> list[str]:
        service = self.units.get(unit)
        return service.log.read_text().splitlines()[-20:] if service and since else []


@dataclass
class Machine:
    """A folder with a host's paths, and its daemons; `mode` says how the app's health is."""

    root: Path
    services: Services
    nginx_conf: Path
    app_port: int
    port: int

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    @property
    def nginx(self) -> Nginx:
        words = ("nginx", "-c", str(self.nginx_conf), "-p", str(self.root), "-e", "stderr")
        return Nginx(words=words, error_log=self.root / "error.log")

    def host(self) -> Host:
        daemons = Daemons(self.services, self.nginx, Caddy(words=("no-caddy-here",)))
        return Host(self.layout, daemons)

    def mode(self, word: str) -> None:
        beside = self.root / "mode.new"
        beside.write_text(word, encoding="ascii")
        beside.replace(self.root / "mode")

    def put(self, path: str, text: str) -> Path:
        """An administrator's file."""
        target = self.layout.at(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target

    def generation(self, number: int, files: dict[str, str], app: str = "shop") -> Path:
        """A staged tree of one app."""
        for path, text in files.items():
            target = self.layout.tree(number, app) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        return self.layout.generation(number)

    def switch(self, number: int) -> None:
        beside = self.layout.current.with_name(".current")
        beside.unlink(missing_ok=True)
        beside.symlink_to(f"generations/{number}")
        beside.replace(self.layout.current)

    def link(self, install: Install) -> None:
        for row in install.files:
            target = self.layout.at(row.target)
            leads = Path(self.layout.destination(install.app, row.path))
            if target != leads:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                target.symlink_to(leads)

    def links(self, install: Install) -> dict[str, str]:
        return {row.target: self.layout.destination(install.app, row.path) for row in install.files}

    def site(self, name: str = "shop.example") -> str:
        return (
            f"server {{\n    listen 127.0.0.1:{self.port};\n    server_name {name};\n"
            f"    location / {{ proxy_pass http://127.0.0.1:{self.app_port}; }}\n}}\n"
        )

    def health(self, *, proxied: bool = True) -> Health:
        port = self.port if proxied else self.app_port
        return Health("http", "127.0.0.1", port, "shop.example", "/healthz")

    def start_nginx(self) -> None:
        unit = self.services.units["nginx.service"]
        unit.start()
        until(lambda: listens(self.port) or not unit.is_up, "nginx")
        assert unit.is_up, unit.log.read_text()

    def start_app(self) -> None:
        self.services.units[SERVICE].start()
        until(lambda: listens(self.app_port), "app")


NGINX_CONF = """
daemon off;
worker_processes 2;
pid {root}/nginx.pid;
error_log {root}/error.log notice;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {root}/temp;
    proxy_temp_path {root}/temp;
    fastcgi_temp_path {root}/temp;
    uwsgi_temp_path {root}/temp;
    scgi_temp_path {root}/temp;
    include {root}/etc/nginx/conf.d/*.conf;
    include {root}/etc/nginx/sites-enabled/*;
}}
"""


def install(
    rows: list[Row] | None = None, *, health: Health | None = None, proxy: str | None = "nginx"
) -> Install:
    return Install(
        app="shop",
        inputs="fb8e777b5361",
        user="shop",
        group="shop",
        server="gunicorn",
        files=SITE_ROWS if rows is None else rows,
        units=[Unit(SERVICE, "service", reload=True)],
        health=health,
        proxy=proxy,
    )


def row(path: str, target: str, checker: str, activation: str = "reload") -> Row:
    component = path.partition("/")[0]
    return Row(path, component, target, "root", "root", 0o644, checker, activation)


SITE = row("nginx/shop.conf", "/etc/nginx/conf.d/shop.conf", "nginx")
CONFIG = row(
    "gunicorn/gunicorn.conf.py",
    "/etc/advisor/current/shop/gunicorn/gunicorn.conf.py",
    "gunicorn",
)
SITE_ROWS = [SITE, CONFIG]


@pytest.fixture
def machine(
    tmp_path_factory: pytest.TempPathFactory, not_run: Callable[[str], NoReturn]
) -> Iterator[Machine]:
    """nginx and Gunicorn ready to start, below a folder."""
    if find("nginx") is None:
        not_run("nginx is not installed")
    root = tmp_path_factory.mktemp("host")
    root.chmod(0o755)
    conf = root / "etc/nginx/nginx.conf"
    conf.parent.mkdir(parents=True)
    (root / "temp").mkdir()
    (root / "etc/nginx/conf.d").mkdir()
    (root / "etc/nginx/sites-enabled").mkdir()
    conf.write_text(NGINX_CONF.format(root=root), encoding="utf-8")
    made = Machine(root, Services(), conf, free_port(), free_port())
    config = root / "etc/advisor/current/shop/gunicorn/gunicorn.conf.py"
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", str(config), "healthy:app"]
    words = ["--chdir", str(APPS), "--bind", f"127.0.0.1:{made.app_port}", "--threads", "4"]
    made.services.units = {
        "nginx.service": Service(
            [str(find("nginx")), *made.nginx.words[1:5]], {}, root / "nginx.log"
        ),
        SERVICE: Service([*gunicorn, *words], {"MODE": str(root / "mode")}, root / "app.log"),
    }
    made.generation(1, {"nginx/shop.conf": made.site(), "gunicorn/gunicorn.conf.py": CONF})
    made.switch(1)
    made.link(install())
    with contextlib.ExitStack() as stack:
        for service in made.services.units.values():
            stack.callback(service.stop)
        yield made


CONF = "workers = 1\ngraceful_timeout = 1\n"
