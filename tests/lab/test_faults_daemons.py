"""Daemons that do not do as they are told: ports taken, reloads that lie, a return that fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.lab.controller import apply, lines, marker, settled, whole
from tests.lab.trees import shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.lab.host import Host
    from tests.lab.lab import Lab

DROPIN = "/etc/systemd/system/nginx.service.d/lab.conf"
RELOADS = "[Service]\nExecReload=\nExecReload={}\n"
# The first reload works, and none after it.
ONCE = (
    "/bin/sh -c 'if [ -e /run/reloaded ]; then echo no more; exit 1; fi;"
    " touch /run/reloaded; exec /usr/sbin/nginx -s reload'"
)
CERTIFICATE = """
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj /CN=shop.example -keyout /etc/ssl/shop.key -out /etc/ssl/shop.pem
"""
TLS = {"certificate": "/etc/ssl/shop.pem", "key": "/etc/ssl/shop.key"}
LISTENING = "until ss -Hltn 'sport = :{}' | grep -q .; do sleep 0.02; done"


@pytest.fixture(scope="module")
def web(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """It serves the first tree; each test but the last leaves it serving that one."""
    host = lab.boot("debian-12", name="web1")
    host.run("systemctl enable --now nginx")
    tree = shop(host, tmp_path_factory.mktemp("trees"), knobs={"marker": "one"})
    assert apply(lab, tree, host).code == 0
    return host


@pytest.fixture
def squat() -> Iterator[Callable[[Host, str, int], None]]:
    """Takes an address of a host, until the test ends."""
    taken: list[Host] = []

    def take(host: Host, address: str, port: int) -> None:
        server = f"python3 -m http.server --bind {address} --directory /srv {port}"
        host.run(f"systemd-run --unit=squatter {server}; {LISTENING.format(port)}")
        taken.append(host)

    yield take
    for host in taken:
        host.run("systemctl stop squatter", check=False)


@pytest.fixture
def reloads(web: Host) -> Iterator[Callable[[str], None]]:
    """Makes nginx reload by another command, until the test ends."""

    def set_to(command: str) -> None:
        web.put(DROPIN, RELOADS.format(command))
        web.run("systemctl daemon-reload")

    yield set_to
    web.run(f"rm -f {DROPIN} /run/reloaded; systemctl daemon-reload; systemctl reload nginx")


def test_a_first_apply_where_the_proxys_port_is_taken_leaves_nothing(
    lab: Lab, hosts: Callable[..., Host], squat: Callable[..., None], tmp_path: Path
) -> None:
    host = hosts("debian-12", "web2")
    squat(host, "0.0.0.0", 80)
    tree = shop(host, tmp_path, knobs={"marker": "one"})
    done = apply(lab, tree, host)
    assert done.code == 5, done.out + done.err
    assert "systemctl start nginx.service" in done.out
    assert "Address already in use" in done.out
    found = settled(host)
    assert (found["current"], found["generations"], found["apps"]) == (None, [], {})
    assert host.run("find /etc -lname '/etc/advisor/*'; ls -A /etc/advisor/generations").out == ""
    assert host.run("systemctl show -P LoadState shop.service").out == "not-found\n"
    assert host.fetch("/").status == 200
    host.run("systemctl stop squatter")
    assert apply(lab, tree, host).code == 0
    assert whole(host)["marker"] == "one"


def test_an_apps_port_that_is_taken(
    lab: Lab, web: Host, squat: Callable[..., None], tmp_path: Path
) -> None:
    before = whole(web)
    squat(web, "127.0.0.1", 8000)
    tree = shop(web, tmp_path, knobs={"marker": "two"}, listen="127.0.0.1:8000")
    done = apply(lab, tree, web)
    assert done.code == 5, done.out + done.err
    assert "shop.socket" in done.out
    assert "Address already in use" in done.out
    assert whole(web) == before


def test_a_reload_that_nginx_accepts_and_cannot_carry_out(
    lab: Lab, web: Host, squat: Callable[..., None], tmp_path: Path
) -> None:
    before = whole(web)
    web.run(CERTIFICATE)
    squat(web, "0.0.0.0", 443)
    done = apply(lab, shop(web, tmp_path, knobs={"marker": "one"}, tls=TLS), web)
    assert done.code == 5, done.out + done.err
    assert "nginx.service answered the reload, and its old processes still serve" in done.out
    assert "bind() to 0.0.0.0:443 failed" in done.out
    assert whole(web) == before


def test_a_reload_that_does_nothing(
    lab: Lab, web: Host, reloads: Callable[[str], None], tmp_path: Path
) -> None:
    before, workers = whole(web), web.run("pgrep -f 'nginx: worker'").out
    reloads("/bin/true")
    settings = {"nginx.client_max_body_size": 7340032}
    done = apply(lab, shop(web, tmp_path, settings, knobs={"marker": "one"}), web)
    assert done.code == 5, done.out + done.err
    assert "nginx.service answered the reload, and its old processes still serve" in done.out
    # The return's reload does nothing either: it does not have to, for nothing has left.
    assert web.run("pgrep -f 'nginx: worker'").out == workers
    assert whole(web) == before


def test_a_return_whose_own_reload_fails_says_what_to_do(
    lab: Lab, web: Host, reloads: Callable[[str], None], tmp_path: Path
) -> None:
    before = whole(web)
    reloads(ONCE)
    settings = {"nginx.client_max_body_size": 7340032}
    bad = shop(web, tmp_path / "bad", settings, knobs={"marker": "bad", "health_status": 503})
    done = apply(lab, bad, web, more=("--dwell", "1", "--json"))
    assert done.code == 6, done.out + done.err
    [outcome] = json.loads(done.out)["hosts"]
    assert outcome["state"] == "return_failed"
    reason = outcome["reason"]
    assert reason["message"].startswith("the return failed: systemctl reload nginx.service: ")
    assert "it was begun because: the health route answered 503" in reason["message"]
    assert "/var/lib/advisor/journal.jsonl" in reason["look"]
    assert "reload the services" in reason["look"]
    assert "its journal keeps what is not done" in done.err
    # The old files stand, and the app serves by them; the journal has all of it.
    failed = settled(web)["operation"]
    assert failed["state"] == "return_failed"
    last = [line["step"] for line in lines(web)][-4:]
    assert last == ["switched", "activated", "returning", "return_failed"]
    left = (failed["generation"],)
    assert whole(web, left=left) == before
    # As it says: mend what was named, reload; then applies go on.
    web.run(f"rm {DROPIN}; systemctl daemon-reload; systemctl reload nginx")
    assert apply(lab, shop(web, tmp_path / "two", knobs={"marker": "two"}), web).code == 0
    whole(web, left=left)
    assert marker(web) == "two"
