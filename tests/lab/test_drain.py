"""A drain under a real systemd: its lease ends by itself, and no boot brings it back."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy.pack import pack
from advisor.render import render
from tests.render.live.site import advise

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.host import Host

SWITCH = "/usr/local/lib/advisor/switch.pyz"
LINK = "/etc/nginx/conf.d/shop.conf"
INSTALLED = "/etc/advisor/current/shop/load_balancer/shop.conf"
COPY = "/run/advisor/drained/shop/shop.conf"
PORTS = ("8001", "8002")
PEERS = [f"127.0.0.1:{port}" for port in PORTS]
DEADLINE_S = 30
# Each answers with its port.
PEER = """
import http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sys.argv[1].encode() + b"\\n")

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
ROW = {
    "path": "load_balancer/shop.conf",
    "component": "load_balancer",
    "target": LINK,
    "owner": "root",
    "group": "root",
    "mode": "0644",
    "checker": "nginx",
    "activation": "reload",
}
INSTALL = {
    "schema": "advisor/install/1",
    "app": "shop",
    "inputs": "0" * 12,
    "user": "root",
    "group": "root",
    "server": None,
    "files": [ROW],
    "units": [],
    "health": None,
    "proxy": "nginx",
}


@pytest.fixture
def balancer(hosts: Callable[..., Host], release: str) -> Host:
    """A host with a balancer's site before two peers, and with the switch's units."""
    host = hosts(release)
    (site,) = (file for file in render(advise(hosts=PEERS)) if file.path == ROW["path"])
    tree = "/etc/advisor/generations/1/shop"
    host.put(SWITCH, pack(), 0o755)
    host.put(f"{tree}/load_balancer/shop.conf", site.content)
    host.put(f"{tree}/.advisor/install.json", json.dumps(INSTALL))
    host.put("/srv/peer.py", PEER)
    host.run("ln -s generations/1 /etc/advisor/current")
    host.run(f"ln -s {INSTALLED} {LINK}")
    for port in PORTS:
        host.run(f"systemd-run --quiet --unit=peer{port} python3 /srv/peer.py {port}")
    switch(host, "install")
    # The boot unit waits for a first operation, which a test that installs by hand has not had.
    host.put("/var/lib/advisor/journal.jsonl", "")
    # Files of the second in which nginx starts would pass for edited since.
    host.run("touch -d @1 /etc/nginx/nginx.conf && systemctl enable --now nginx")
    eventually(lambda: served_by(host) == set(PORTS), "both peers to serve")
    return host


def switch(host: Host, verb: str, **words: Any) -> dict[str, Any]:
    request = json.dumps(words).encode()
    said = host.run(f"python3 -I {SWITCH} {verb}{' -' if words else ''}", stdin=request)
    answer: dict[str, Any] = json.loads(said.out)
    return answer


def drained(host: Host, lease_s: int) -> dict[str, Any]:
    return switch(
        host, "drain", schema="advisor/drain/1", app="shop", peer=PEERS[0], lease_s=lease_s
    )


def served_by(host: Host) -> set[str]:
    return set(
        host.run("for _ in 1 2 3 4 5 6; do curl -s http://127.0.0.1:8080/; done").out.split()
    )


def link(host: Host) -> str:
    return host.run(f"readlink {LINK}").out.strip()


def timers(host: Host) -> list[str]:
    listed = host.run("systemctl list-units --all --plain --no-legend 'advisor-undrain-*'").out
    return [line.split()[0] for line in listed.splitlines() if ".timer" in line]


def eventually(is_true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not is_true():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S} s for {what}"
        time.sleep(0.1)


def test_a_lease_that_nobody_ends_ends_by_itself(balancer: Host) -> None:
    answer = drained(balancer, 5)
    assert (answer["state"], answer["is_calm"]) == ("drained", True), answer
    assert link(balancer) == COPY
    assert served_by(balancer) == {PORTS[1]}
    (timer,) = timers(balancer)
    assert timer.startswith("advisor-undrain-shop-")
    eventually(lambda: link(balancer) == INSTALLED, "the lease's end")
    eventually(lambda: served_by(balancer) == set(PORTS), "both peers to serve")
    eventually(lambda: timers(balancer) == [], "its timers to be gone")
    assert balancer.run("systemctl --failed --plain --no-legend").out == ""


def test_one_that_is_given_back_leaves_no_timer(balancer: Host) -> None:
    assert drained(balancer, 600)["state"] == "drained"
    assert drained(balancer, 600)["state"] == "renewed"
    assert len(timers(balancer)) == 1
    asked = {"schema": "advisor/drain/1", "app": "shop", "peer": PEERS[0]}
    assert switch(balancer, "undrain", **asked)["state"] == "up"
    assert (link(balancer), timers(balancer)) == (INSTALLED, [])
    assert served_by(balancer) == set(PORTS)


def test_after_a_power_cut_nginx_has_the_site_as_installed(balancer: Host) -> None:
    assert drained(balancer, 600)["state"] == "drained"
    balancer.kill()
    balancer.start()
    assert link(balancer) == INSTALLED
    assert balancer.run("systemctl is-active nginx").out.strip() == "active"
    assert timers(balancer) == []
