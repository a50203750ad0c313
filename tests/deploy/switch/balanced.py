"""A balancer's host below a folder: an installed site, a daemon of the test's, and no systemd."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.demo.processes import free_port
from advisor.deploy.switch import caddy, drain, leases, nginx
from advisor.deploy.switch.commands import Outcome, run
from advisor.deploy.switch.layout import Layout
from advisor.deploy.switch.proxies import CaddyProxy, NginxProxy
from advisor.deploy.switch.systemd import State
from advisor.render import render, stage_nginx
from tests.render.live import site as on_nginx
from tests.render.live_caddy import site as on_caddy
from tests.render.live_common import running
from tests.render.live_common.clients import Served, get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.render.live_common.hosts import Host

APP = "shop"
GOOD = Outcome(0, "", "")


@dataclass
class Manager:
    """As systemd, of one daemon that a test has started."""

    pid: int = 1
    reload: Callable[[], Outcome] = lambda: GOOD
    done: list[tuple[str, ...]] = field(default_factory=list)

    def states(self, *units: str) -> dict[str, State]:
        return {unit: State("loaded", "active", "running", self.pid) for unit in units}

    def act(self, verb: str, *units: str) -> Outcome:
        self.done.append((verb, *units))
        return self.reload() if verb == "reload" else GOOD

    def log(self, _unit: str, _since: float) -> list[str]:
        return []


@dataclass
class Timers:
    """The timers that were asked for: unit, seconds, command."""

    started: list[tuple[str, int, list[str]]] = field(default_factory=list)
    outcome: Outcome = GOOD

    def __call__(self, unit: str, seconds: int, command: Sequence[str]) -> Outcome:
        self.started.append((unit, seconds, list(command)))
        return self.outcome


def install(layout: Layout, target: str, kind: str) -> Path:
    """Make the file that stands at a daemon's path the balancer's, installed as a generation."""
    place = layout.at(target)
    suffix = place.suffix
    tree = layout.tree(1, APP)
    for folder in ("load_balancer", ".advisor"):
        (tree / folder).mkdir(parents=True)
    path = f"load_balancer/{APP}{suffix}"
    (tree / path).write_bytes(place.read_bytes())
    (tree / path).chmod(0o644)
    row = {"path": path, "component": "load_balancer", "target": target, "checker": kind}
    row |= {"owner": "root", "group": "root", "mode": "0644", "activation": "reload"}
    other = {**row, "path": "load_balancer/default.conf", "target": "/etc/nginx/other/default.conf"}
    document = {
        "schema": "advisor/install/1",
        "app": APP,
        "inputs": "0" * 12,
        "user": "root",
        "group": "root",
        "server": None,
        "proxy": kind,
        "health": None,
        "files": [other, row],
        "units": [],
    }
    (tree / ".advisor" / "install.json").write_text(json.dumps(document))
    layout.current.symlink_to("generations/1")
    place.unlink()
    place.symlink_to(layout.destination(APP, path))
    return place


@dataclass
class Balancer(Served):
    """The balancer, its hosts, and what a drain of one of them needs."""

    port: int
    hosts: list[Host]
    layout: Layout
    link: Path
    here: drain.Host
    manager: Manager
    timers: Timers
    kind: str

    def ask(self, number: int | None, **more: Any) -> dict[str, Any]:
        peer = {} if number is None else {"peer": self.hosts[number].name}
        return {"schema": drain.SCHEMA, "app": APP, "lease_s": 60, **peer, **more}

    def drain(self, number: int, **more: Any) -> dict[str, Any]:
        return drain.drain(self.ask(number, **more), self.layout, self.here)

    def undrain(self, number: int | None) -> dict[str, Any]:
        return drain.undrain(self.ask(number), self.layout, self.here)

    @property
    def installed(self) -> Path:
        return Path(self.layout.destination(APP, f"load_balancer/{APP}{self.link.suffix}"))

    @property
    def is_untouched(self) -> bool:
        return self.link.readlink() == self.installed

    @property
    def folder(self) -> Path:
        return leases.drained(self.layout) / APP

    def leased(self) -> leases.Leases:
        return leases.read(self.folder)

    def time_passes(self) -> None:
        """All leases are over."""
        over = {
            name: leases.Lease(0.0, lease.unit, lease.before)
            for name, lease in self.leased().items()
        }
        leases.write(self.folder, over)

    def served_by(self, requests: int = 30) -> set[int]:
        """The hosts that answer some requests, each on a connection of its own."""
        got = [get(self, "/") for _ in range(requests)]
        assert {answer.status_code for answer in got} == {200}
        return {int(answer.headers["x-host"]) for answer in got}

    @contextlib.contextmanager
    def kept(self) -> Iterator[Balancer]:
        """As it was before a test, after it too."""
        self.timers.started.clear()
        self.timers.outcome = GOOD
        self.manager.done.clear()
        yield self
        for number in range(len(self.hosts)):
            assert self.undrain(number)["state"] == "up"
        assert self.is_untouched


@contextlib.contextmanager
def behind_nginx(folder: Path, hosts: list[Host]) -> Iterator[Balancer]:
    layout, port = Layout(folder), free_port()
    rec = on_nginx.advise(hosts=[host.name for host in hosts], routes={"/events": "stream"})
    (file,) = (
        file for file in on_nginx.of_nginx(render(rec)) if file.path.startswith("load_balancer/")
    )
    place = layout.at("/etc/nginx/conf.d")
    place.mkdir(parents=True)
    conf = stage_nginx([file], place, listen={"127.0.0.1:8080": f"127.0.0.1:{port}"})
    # Of long ago, as an administrator's files are.
    os.utime(conf, (1, 1))
    link = install(layout, "/etc/nginx/conf.d/shop.conf", "nginx")
    with running.nginx(conf, [port]) as process:

        def reload() -> Outcome:
            process.send_signal(signal.SIGHUP)
            return GOOD

        manager, timers = Manager(process.pid, reload), Timers()
        asked = nginx.Nginx(tuple(running.nginx_words(conf)), error_log=place / "error.log")
        here = drain.Host({"nginx": NginxProxy(asked, manager)}, manager, timers)
        yield Balancer(port, hosts, layout, link, here, manager, timers, "nginx")


@contextlib.contextmanager
def behind_caddy(program: on_caddy.Program, folder: Path, hosts: list[Host]) -> Iterator[Balancer]:
    layout = Layout(folder)
    place = layout.at("/etc/caddy")
    place.mkdir(parents=True)
    rec = on_caddy.advise(
        program.version, hosts=[host.name for host in hosts], routes={"/events": "stream"}
    )
    rendered = on_caddy.of_caddy(render(rec), "load_balancer")
    with on_caddy.caddy(program, rendered, place) as site:
        link = install(layout, f"/etc/caddy/{APP}.caddy", "caddy")
        words = ["--config", str(place / "Caddyfile"), "--adapter", "caddyfile", "--force"]

        def reload() -> Outcome:
            return run([program.path, "reload", *words], environment=on_caddy.home(place))

        manager, timers = Manager(site.process.pid, reload), Timers()
        asked = caddy.Caddy((program.path,), caddyfile=place / "Caddyfile", user="root")
        here = drain.Host({"caddy": CaddyProxy(asked, manager)}, manager, timers)
        yield Balancer(site.port, hosts, layout, link, here, manager, timers, "caddy")
