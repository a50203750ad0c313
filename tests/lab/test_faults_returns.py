"""Returns that are hindered: by a power cut, a kill, a disk, or units that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from advisor.deploy.switch.systemd import LIMITS, UNLIMITED_S, seconds
from tests.lab.spoiling import STATE, disk_at, kill, read_only
from tests.lab.switching import (
    UNIT,
    altered,
    assert_at_rest,
    carried_out,
    committed,
    ended,
    installed,
    marker,
    message,
    requested,
    said,
    until,
    wait,
)
from tests.lab.trees import pages, shop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.host import Host
    from tests.lab.lab import Lab

BOOT = "advisor-boot.service"
STARTS = "journalctl --no-pager --quiet -u shop.service -o cat | grep -c '^Started ' || true"
# So often it has failed to write the end down.
TRIES = 6
# A disk that is read-only from the boot on, before anything of ours is read.
MOUNT = f"""[Unit]
Before=local-fs.target
[Mount]
What={STATE}
Where={STATE}
Type=none
Options=bind,ro
"""


@pytest.fixture(scope="module")
def web(lab: Lab, trees: Path) -> Host:
    """A host that serves the shop; every test here leaves it so."""
    host = lab.boot("debian-12", name="returns")
    for name in ("one", "two"):
        shop(host, trees / name, knobs={"marker": name})
    pages(host, trees / "pages")
    installed(host, trees / "one", trees / "pages")
    committed(host, trees / "one")
    return host


def restarts(host: Host) -> int:
    """How often systemd has started the switch again."""
    return int(host.run(f"systemctl show --value -p NRestarts {UNIT}").out)


def now(host: Host) -> int:
    return int(said(host, "status")["current"])


def test_systemd_says_how_long_a_stop_may_take(web: Host) -> None:
    """What the switch waits for goes by this: 250 s are no fault of a worker that ends its task."""
    conf = "/run/systemd/system/shop.service.d/slow.conf"
    show = f"systemctl show --property={','.join(LIMITS)} shop.service"
    web.put(conf, "[Service]\nTimeoutStopSec=250\nTimeoutStartSec=infinity\n")
    try:
        web.run("systemctl daemon-reload")
        shown = dict(line.split("=", 1) for line in web.run(show).out.splitlines())
    finally:
        web.run(f"rm {conf}; systemctl daemon-reload")
    assert {name: seconds(shown[name]) for name in LIMITS} == {
        "TimeoutStartUSec": UNLIMITED_S,
        "TimeoutStopUSec": 250,
    }


@pytest.mark.parametrize("step", ["switching", "switched", "activated", "returning"])
def test_a_kill_while_units_come_ends_without_them(web: Host, trees: Path, step: str) -> None:
    """systemd may know them already, or not yet, or not any more."""
    before = now(web)
    id_ = requested(web, trees / "pages", app="pages")
    if step == "returning":
        assert wait(web, id_)["state"] == "held"
        said(web, f"return {id_} --seconds 0")
    kill(web, id_, step, times=2, later_s=0.05)
    assert ended(web, id_)["state"] == "returned"
    for unit in ("pages.service", "pages.socket"):
        assert web.run(f"systemctl show --value -p LoadState {unit}").out == "not-found\n"
    assert not web.run("find /etc -lname '*current/pages/*'").out
    assert_at_rest(web, before, "one")


def test_a_site_that_takes_another_apps_requests_is_taken_back(web: Host, trees: Path) -> None:
    """nginx knows of nothing wrong: the more exact address wins over the name."""
    both = committed(web, trees / "pages", app="pages")["generation"]

    def stealing(text: bytes) -> bytes:
        own = text.replace(b"    listen 80;\n", b"    listen 80;\n    listen 127.0.0.1:80;\n")
        assert own != text
        return b"server {\n    listen 127.0.0.1:80 default_server;\n    return 404;\n}\n" + own

    operation = carried_out(web, altered(trees / "one", "nginx/shop.conf", stealing))
    assert operation["state"] == "returned"
    assert "pages was well before" in message(operation)
    assert operation["reason"]["url"] == "http://pages.example/healthz"
    assert operation["reason"]["status"] == 404
    assert_at_rest(web, both, "one")
    committed(
        web, None, to=min(each["n"] for each in said(web, "status")["generations"]), all_apps=True
    )


def test_an_app_is_restarted_once_though_the_end_cannot_be_written(web: Host, trees: Path) -> None:
    """systemd starts the switch again and again, and the app must not be restarted with it."""
    base = now(web)
    with disk_at(web, STATE):
        id_ = requested(web, trees / "two", deadline_s=4.0)
        assert wait(web, id_)["state"] == "held"
        read_only(web, STATE)
        starts = int(web.run(STARTS).out)
        assert until(lambda: marker(web) == "one")
        assert until(lambda: restarts(web) >= TRIES, 60)
        assert int(web.run(STARTS).out) == starts + 1
        web.run(f"umount -l {STATE}; systemctl reset-failed {UNIT}")
        web.run(f"systemctl start --no-block {UNIT}")
        assert ended(web, id_)["state"] == "returned"
        assert int(web.run(STARTS).out) == starts + 1
    assert not web.run("ls /run/advisor/returned-*", check=False).out
    assert_at_rest(web, base, "one")


def test_a_power_cut_while_units_are_to_go_brings_them_back(web: Host, trees: Path) -> None:
    """systemd has read at the boot's start which units it is to start, before we return any."""
    alone = now(web)
    both = committed(web, trees / "pages", app="pages")["generation"]
    id_ = requested(web, None, to=alone, all_apps=True)
    assert wait(web, id_)["state"] == "held"
    assert web.run("systemctl show --value -p LoadState pages.service").out == "not-found\n"
    web.kill()
    web.start()
    assert said(web, f"wait {id_}")["state"] == "returned"
    assert until(lambda: web.run("systemctl is-active pages.service", check=False).code == 0)
    assert_at_rest(web, both, "one")


def test_a_boot_that_cannot_write_the_end_hands_it_to_the_service(web: Host, trees: Path) -> None:
    before = now(web)
    id_ = requested(web, trees / "two")
    assert wait(web, id_)["state"] == "held"
    mount = "/etc/systemd/system/var-lib-advisor.mount"
    web.put(mount, MOUNT)
    web.run(f"sync {mount}")
    web.kill()
    web.start()
    try:
        assert web.run(f"systemctl show --value -p ActiveState {BOOT}").out == "failed\n"
        # Nothing was waited for: what was put back is what was started.
        assert marker(web) == "one"
        assert now(web) == before
        assert until(lambda: restarts(web) > 0)
    finally:
        web.run(f"umount -l {STATE}; rm {mount}; systemctl daemon-reload")
        web.run(f"systemctl reset-failed {UNIT}; systemctl start --no-block {UNIT}")
    operation = ended(web, id_)
    assert operation["state"] == "returned"
    assert "the machine was restarted" in message(operation) or "ended" in message(operation)
    assert_at_rest(web, before, "one")
    assert "ordering cycle" not in web.run("journalctl --boot --no-pager").out
    # A start by hand, while daemons run, does nothing.
    web.reboot()
    assert web.run(f"systemctl show --value -p ActiveState {BOOT}").out == "active\n"
