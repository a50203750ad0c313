"""The switch's effects under a real systemd: what it starts, reloads, enables, sees and returns.

The switch itself is not run here: a script on the host calls its effects, one after another.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy.pack import pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.host import Host

DRIVER = """
import json, sys
sys.path.insert(0, "/root/switch.pyz")
from pathlib import Path
from switch.documents import Install
from switch.effects import Host
from switch.layout import Layout

layout = Layout()
host = Host(layout)

def install(number):
    path = layout.tree(number, "shop") / ".advisor/install.json"
    return None if number is None else Install.from_json(path.read_bytes())

def said(refusal):
    return None if refusal is None else refusal.as_json()

for verb, *words in json.load(sys.stdin):
    if verb == "activate":
        old, new, changed = words
        print(json.dumps(said(host.activate(install(old), install(new), frozenset(changed)))))
    elif verb == "gate":
        number, dwell_s = words
        refusal, figures = host.gate(install(number), None, dwell_s)
        print(json.dumps(said(refusal)))
    elif verb == "staged":
        new = install(words[0])
        links = {row.target: layout.destination("shop", row.path) for row in new.files}
        print(json.dumps(said(host.staged_problems(new, layout.generation(words[0]), links))))
    elif verb == "live":
        print(json.dumps(said(host.live_problems(install(words[0]), []))))
"""
SERVICE = """[Unit]
Description=shop
Requires=shop.socket
After=shop.socket network.target
[Service]
Type=notify
NotifyAccess=main
WorkingDirectory=/srv/shop
EnvironmentFile=/etc/shop/env
ExecStart=/srv/venv/bin/gunicorn -c /etc/advisor/current/shop/gunicorn/gunicorn.conf.py
ExecReload=/srv/venv/bin/gunicorn --check-config \
 -c /etc/advisor/current/shop/gunicorn/gunicorn.conf.py
ExecReload=/bin/kill -s HUP $MAINPID
KillMode=mixed
User=shop
Restart=always
[Install]
WantedBy=multi-user.target
"""
SOCKET = """[Unit]
Description=shop, its socket
[Socket]
ListenStream=/run/shop/shop.sock
SocketGroup=www-data
SocketMode=0660
Backlog={backlog}
[Install]
WantedBy=sockets.target
"""
SITE = """upstream shop_app {
    server unix:/run/shop/shop.sock;
}
server {
    listen 80;
    server_name shop.example;
    location / {
        proxy_pass http://shop_app;
    }
}
"""
GUNICORN = """wsgi_app = "main:app"
worker_class = "uvicorn_worker.UvicornWorker"
workers = {workers}
graceful_timeout = 2
control_socket_disable = True
"""
USER = 'u shop - "shop, a web app"\n'
KEY = "net.core.somaxconn"
CANARY = "canary-of-the-environment"
# The key is the network namespace's own; nspawn lets nobody write it otherwise.
WRITABLE = "mount -o remount,rw /proc/sys"
ROWS = {
    "caddy/shop.caddy": ("/etc/caddy/sites/shop.caddy", "caddy", "reload"),
    "redis/shop.conf": ("/etc/redis/advisor-shop.conf", "redis", "none"),
    "systemd/shop.service": ("/etc/systemd/system/shop.service", "systemd", "restart"),
    "systemd/shop.socket": ("/etc/systemd/system/shop.socket", "systemd", "restart"),
    "systemd/sysusers.conf": ("/etc/sysusers.d/advisor-shop.conf", "systemd", "none"),
    "nginx/shop.conf": ("/etc/nginx/conf.d/shop.conf", "nginx", "reload"),
    "sysctl/90-shop.conf": ("/etc/sysctl.d/90-shop.conf", "sysctl", "reload"),
    "gunicorn/gunicorn.conf.py": (
        "/etc/advisor/current/shop/gunicorn/gunicorn.conf.py",
        "gunicorn",
        "reload",
    ),
}
UNITS = ("shop.socket", "shop.service")


def tree(*, workers: int = 1, backlog: int = 64, **others: str) -> dict[str, str]:
    files = {
        "systemd/shop.service": SERVICE,
        "systemd/shop.socket": SOCKET.format(backlog=backlog),
        "systemd/sysusers.conf": USER,
        "nginx/shop.conf": SITE,
        "sysctl/90-shop.conf": f"{KEY} = 5000\n",
        "gunicorn/gunicorn.conf.py": GUNICORN.format(workers=workers),
    }
    return files | {path.replace("__", "/"): text for path, text in others.items()}


def install(paths: list[str]) -> dict[str, Any]:
    config = "/etc/advisor/current/shop/gunicorn/gunicorn.conf.py"
    trial = ["/srv/venv/bin/gunicorn", "--check-config", "-c", config]
    rows = [
        {
            "path": path,
            "component": path.partition("/")[0],
            "target": ROWS[path][0],
            "owner": "root",
            "group": "root",
            "mode": "0644",
            "checker": ROWS[path][1],
            "activation": ROWS[path][2],
        }
        for path in paths
    ]
    return {
        "schema": "advisor/install/1",
        "app": "shop",
        "inputs": "fb8e777b5361",
        "user": "shop",
        "group": "shop",
        "server": "gunicorn",
        "files": rows,
        "units": [
            {"name": "shop.socket", "kind": "socket"},
            {"name": "shop.service", "kind": "service", "reload": True, "trial": trial},
        ],
        "health": {
            "scheme": "http",
            "address": "127.0.0.1",
            "port": 80,
            "host": "shop.example",
            "path": "/healthz",
        },
        "proxy": "nginx",
    }


@dataclass
class Target:
    """A host with generations of the shop, and the effects to call on it."""

    host: Host
    trees: dict[int, dict[str, str]] = field(default_factory=dict)

    def stage(self, number: int, files: dict[str, str]) -> None:
        self.trees[number] = files
        top = f"/etc/advisor/generations/{number}/shop"
        for path, text in files.items():
            self.host.put(f"{top}/{path}", text)
        self.host.put(f"{top}/.advisor/install.json", json.dumps(install(list(files))))

    def switch(self, number: int | None) -> None:
        """The links and the symlink, as the switch's core would have them."""
        lines = [f"rm -f {target}" for target, *_ in ROWS.values() if "/current/" not in target]
        if number is not None:
            lines.append(f"ln -sfn generations/{number} /etc/advisor/current")
            for path in self.trees[number]:
                target = ROWS[path][0]
                if "/current/" not in target:
                    leads = f"/etc/advisor/current/shop/{path}"
                    lines.append(f"mkdir -p $(dirname {target}); ln -s {leads} {target}")
        self.host.run("\n".join(lines))

    def call(self, *calls: list[Any]) -> list[Any]:
        done = self.host.run(
            "python3 -I /root/driver.py", stdin=json.dumps(calls).encode(), timeout=170
        )
        return [json.loads(line) for line in done.out.splitlines()]

    def changed(self, old: int | None, new: int | None) -> list[str]:
        one, two = (self.trees.get(number or 0, {}) for number in (old, new))
        return [path for path in {**one, **two} if one.get(path) != two.get(path)]

    def apply(self, old: int | None, new: int | None, dwell_s: float = 1.0) -> list[Any]:
        self.switch(new)
        calls: list[list[Any]] = [["activate", old, new, self.changed(old, new)]]
        return self.call(*calls, *([["gate", new, dwell_s]] if new else []))

    def pids(self) -> tuple[str, set[str]]:
        main = self.host.run("systemctl show --value -p MainPID shop.service").out.strip()
        return main, set(self.host.run(f"pgrep -P {main}").out.split())

    def status(self, path: str = "/healthz") -> int:
        return self.host.fetch(path, host="shop.example").status


@pytest.fixture
def target(hosts: Callable[..., Host], release: str) -> Target:
    """A host with the shop's code and its first generation, which nothing uses yet."""
    host = hosts(release)
    host.put("/root/switch.pyz", pack())
    host.put("/root/driver.py", DRIVER)
    host.put("/etc/shop/env", f"SECRET={CANARY}\n", mode=0o600)
    host.run(f"systemctl enable --now nginx; {WRITABLE}")
    made = Target(host)
    made.stage(1, tree())
    return made


def test_an_app_comes_changes_and_goes(target: Target) -> None:
    host = target.host
    before = host.run(f"sysctl -n {KEY}").out.strip()
    host.run("systemd-sysusers --inline 'u shop - shop'")
    assert target.call(["live", None], ["staged", 1]) == [None, None]
    assert target.apply(None, 1) == [None, None]
    assert target.status() == 200
    assert host.run(f"sysctl -n {KEY}").out.strip() == "5000"
    for unit in UNITS:
        assert host.run(f"systemctl is-enabled {unit}", check=False).out.strip() == "enabled"

    # A change of Gunicorn's file: a reload, the master stays.
    main, workers = target.pids()
    nginx = host.run("pgrep nginx").out
    target.stage(2, tree(workers=2))
    assert target.call(["live", 1], ["staged", 2]) == [None, None]
    assert target.apply(1, 2) == [None, None]
    assert target.pids()[0] == main
    assert not workers & target.pids()[1]
    assert host.run("pgrep nginx").out == nginx

    # Nothing changed: nothing is touched.
    before_pids = target.pids()
    assert target.call(["activate", 2, 2, []]) == [None]
    assert target.pids() == before_pids

    # The socket: both anew.
    target.stage(3, tree(workers=2, backlog=128))
    assert target.apply(2, 3) == [None, None]
    assert target.pids()[0] != main
    assert "128" in host.run("systemctl show -p Backlog shop.socket").out

    host.reboot()
    assert target.status() == 200
    host.run(WRITABLE)

    assert target.apply(3, None) == [None]
    for unit in UNITS:
        found = host.run(f"systemctl show -p LoadState,ActiveState {unit}").out
        assert "LoadState=not-found" in found
        assert "ActiveState=inactive" in found
    assert not host.run("find /etc/systemd/system -name 'shop*'").out
    assert host.run(f"sysctl -n {KEY}").out.strip() == before
    assert target.status() != 200


def test_what_the_targets_own_binaries_refuse(target: Target) -> None:
    host = target.host
    (found,) = target.call(["staged", 1])
    assert "the user shop that runs shop.service is not there" in found["message"]
    host.run("systemd-sysusers --inline 'u shop - shop'")
    tries = {
        2: ({"systemd__shop.service": SERVICE.replace("KillMode", "KilMode")}, "KilMode"),
        3: ({"nginx__shop.conf": SITE.replace("listen", "listne")}, "listne"),
        4: ({"gunicorn__gunicorn.conf.py": "workers = 'many'\n"}, "many"),
        5: ({"sysctl__90-shop.conf": "net.core.no_such = 1\n"}, "no_such"),
    }
    for number, (files, word) in tries.items():
        target.stage(number, tree(**files))
        (found,) = target.call(["staged", number])
        assert found is not None, word
        assert found["step"] == "check"
        assert word in json.dumps(found)
    knobs = json.dumps({"import_fails": "yes"})
    host.put("/srv/shop/knobs.json", knobs)
    (found,) = target.call(["staged", 1])
    assert found["lines"]
    assert CANARY not in json.dumps(found)
    # Nothing was left of all this, and nothing started.
    assert host.run("ls /etc/systemd/system/shop.service", check=False).code != 0
    assert not host.run("grep ' /etc' /proc/self/mounts", check=False).out


def test_an_app_that_dies_is_seen_and_the_old_one_serves_again(target: Target) -> None:
    host = target.host
    assert target.apply(None, 1) == [None, None]
    dies = GUNICORN.format(workers=1) + "import threading, os, signal\n"
    dies += "when_ready = lambda server: threading.Timer(\n"
    dies += "    0.7, lambda: os.kill(server.pid, signal.SIGKILL)).start()\n"
    dies += "on_reload = lambda server: when_ready(server)\n"
    target.stage(2, tree(**{"gunicorn__gunicorn.conf.py": dies}))
    activated, gated = target.apply(1, 2, 5.0)
    assert activated is None
    assert gated is not None
    assert gated["step"] == "gate"
    assert "shop.service" in gated["message"]
    began = time.monotonic()
    assert target.apply(2, 1) == [None, None]
    assert time.monotonic() - began < 15
    assert target.status() == 200
    # Failed so often that systemd gives up: it is forgiven.
    host.run("for i in 1 2 3 4 5 6; do systemctl kill -s KILL shop.service; sleep 0.3; done")
    target.switch(2)
    assert target.apply(2, 1) == [None, None]
    assert target.status() == 200


def test_a_reload_that_does_nothing_is_seen(target: Target) -> None:
    idle = SERVICE.replace("ExecReload=/bin/kill -s HUP $MAINPID\n", "")
    target.stage(1, tree(**{"systemd__shop.service": idle}))
    assert target.apply(None, 1) == [None, None]
    target.stage(2, tree(workers=2, **{"systemd__shop.service": idle}))
    activated, gated = target.apply(1, 2)
    assert activated is None
    assert "its old processes still serve" in gated["message"]


def test_a_pending_edit_of_others_is_named(target: Target) -> None:
    assert target.apply(None, 1) == [None, None]
    target.host.put("/etc/nginx/conf.d/theirs.conf", "server { listen 8081; }\n")
    (found,) = target.call(["live", 1])
    assert "/etc/nginx/conf.d/theirs.conf: edited since nginx" in found["message"]
    target.host.run("systemctl reload nginx")
    deadline = time.monotonic() + 20
    while target.call(["live", 1]) != [None]:
        assert time.monotonic() < deadline


def test_caddy_as_its_package_has_it(target: Target) -> None:
    host = target.host
    log = "/var/log/caddy/shop.log"
    site = (
        f"http://shop.example {{\n\tlog {{\n\t\toutput file {log}\n\t}}\n\trespond {{body}}\n}}\n"
    )
    main = "{\n\tadmin localhost:2019\n}\n\nimport /etc/caddy/sites/*.caddy\n"
    host.run("systemctl disable --now nginx")
    host.put("/etc/caddy/Caddyfile", main)
    host.run("mkdir -p /etc/caddy/sites; systemctl start caddy")
    path = "caddy/shop.caddy"
    for number, body in ((1, "one"), (2, "two"), (3, "{")):
        target.stage(number, {path: site.replace("{body}", body)})
        proxied = install([path]) | {"proxy": "caddy", "units": []}
        tree_of = f"/etc/advisor/generations/{number}/shop"
        host.put(f"{tree_of}/.advisor/install.json", json.dumps(proxied))
    assert target.call(["live", None], ["staged", 1]) == [None, None]
    assert target.apply(None, 1) == [None, None]
    assert host.fetch(host="shop.example").body == b"one"
    # Who opens a log owns it: were it root, Caddy could not write it.
    assert host.run(f"stat -c %U {log}").out.strip() == "caddy"
    main_pid = host.run("systemctl show --value -p MainPID caddy").out
    assert target.call(["live", 1], ["staged", 2]) == [None, None]
    assert target.apply(1, 2) == [None, None]
    assert host.fetch(host="shop.example").body == b"two"
    assert host.run("systemctl show --value -p MainPID caddy").out == main_pid
    (found,) = target.call(["staged", 3])
    assert found["message"] == "Caddy refuses the new files"
    host.put("/etc/caddy/sites/theirs.caddy", "http://theirs.example {\n\trespond theirs\n}\n")
    (found,) = target.call(["live", 2])
    assert "/etc/caddy/sites/theirs.caddy" in found["message"]
    assert host.fetch(host="theirs.example").body != b"theirs"


def test_redis_is_never_restarted(target: Target) -> None:
    host = target.host
    host.run("systemctl start redis-server")
    main_pid = host.run("systemctl show --value -p MainPID redis-server").out
    host.run("redis-cli config set maxmemory 100mb; redis-cli set kept by-all-this")
    path = "redis/shop.conf"
    for number, text in ((1, "maxmemory 64mb\ntimeout 300\n"), (2, "maxmemory much\n")):
        target.stage(number, {path: text})
        cache = install([path]) | {"proxy": None, "health": None, "units": []}
        tree_of = f"/etc/advisor/generations/{number}/shop"
        host.put(f"{tree_of}/.advisor/install.json", json.dumps(cache))
    (found,) = target.call(["staged", 2])
    assert "redis-server refuses" in found["message"]
    assert target.call(["staged", 1]) == [None]
    assert target.apply(None, 1) == [None, None]
    assert str(64 * 1024**2) in host.run("redis-cli config get maxmemory").out
    assert target.apply(1, None) == [None]
    assert str(100 * 1024**2) in host.run("redis-cli config get maxmemory").out
    assert host.run("redis-cli get kept").out.strip() == "by-all-this"
    assert host.run("systemctl show --value -p MainPID redis-server").out == main_pid
