"""The lab does what its tests rely on, on each release."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab import lab as the_lab
from tests.lab.bases import bases
from tests.lab.lab import CHECKOUT, Lab
from tests.lab.machine import hierarchies

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.host import Host


@pytest.fixture(scope="module")
def host(lab: Lab, release: str) -> Host:
    """One that the tests of this module share, and leave as they found it."""
    return lab.boot(release, name=f"shared-{release}")


def traces(name: str) -> list[str]:
    """Whatever of a lab is on this machine: processes, groups, mounts, interfaces, namespaces."""
    slot = name.removeprefix("advlab")
    ours = re.compile(rf"\b{name}\b|{the_lab.PLACE}/{slot}\b(?!\.lock)")
    said = {
        "mount": Path("/proc/self/mounts").read_text().splitlines(),
        "group": [str(path) for top in hierarchies() for path in top.iterdir()],
        "interface": [name for _, name in socket.if_nameindex()],
        "namespace": [str(path) for path in Path("/run/netns").iterdir()],
        "folder": [str(path) for path in the_lab.PLACE.iterdir()],
        "process": [],
    }
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            said["process"].append(process.read_bytes().decode(errors="replace").replace("\0", " "))
    return [f"{kind} {line}" for kind, lines in said.items() for line in lines if ours.search(line)]


def until(holds: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_it_boots_its_release_to_running(host: Host, release: str) -> None:
    assert host.run("systemctl is-system-running").out == "running\n", host.run(
        "systemctl --failed"
    ).out
    assert (
        f'VERSION_ID="{release.removeprefix("debian-")}"' in host.read("/etc/os-release").decode()
    )
    assert host.run("hostname").out.strip() == host.name
    assert host.run("cat /proc/1/comm").out == "systemd\n"


def test_nothing_leaves_it(host: Host) -> None:
    assert "default" not in host.run("ip route; ip -6 route").out
    assert host.run("curl --max-time 2 http://192.0.2.1/", check=False).code == 7


def test_daemons_are_there_and_off(host: Host) -> None:
    for unit in ("nginx", "caddy", "redis-server"):
        assert host.run(f"systemctl is-enabled {unit}", check=False).out == "disabled\n"
        assert host.run(f"systemctl is-active {unit}", check=False).out == "inactive\n"
        host.run(f"systemctl start {unit}")
        assert host.run(f"systemctl is-active {unit}").out == "active\n"
        host.run(f"systemctl stop {unit}")


def test_its_network_settings_are_its_own_and_the_machines_are_out_of_reach(host: Host) -> None:
    here = Path("/proc/sys/net/core/somaxconn").read_text()
    before = host.run("sysctl -n net.core.somaxconn").out
    host.run("sysctl -w net.core.somaxconn=1234")
    assert host.run("sysctl -n net.core.somaxconn").out == "1234\n"
    assert Path("/proc/sys/net/core/somaxconn").read_text() == here
    host.run(f"sysctl -w net.core.somaxconn={before}")
    assert host.run("sysctl -w vm.swappiness=61", check=False).code != 0


def test_a_command_says_how_it_ended(host: Host) -> None:
    done = host.run("echo out; echo err >&2; exit 7", check=False)
    assert (done.code, done.out, done.err) == (7, "out\n", "err\n")
    with pytest.raises(AssertionError, match="ended with 7: outerr"):
        host.run("printf out; printf err >&2; exit 7")


def test_an_admin_becomes_root_by_sudo(host: Host) -> None:
    assert host.run("id -un; sudo id -un", user="admin").out == "admin\nroot\n"


def test_files_come_back_as_they_went(host: Host) -> None:
    content = bytes(range(256)) * 300
    host.put("/tmp/a folder/it's", content, mode=0o640)
    assert host.read("/tmp/a folder/it's") == content
    assert host.run("stat -c '%a %U' '/tmp/a folder/it'\\''s'").out == "640 root\n"
    with pytest.raises(AssertionError, match="No such file"):
        host.read("/tmp/nothing")


def test_it_serves_the_sample_apps(host: Host) -> None:
    for app, worker in (("shop", "uvicorn_worker.UvicornWorker"), ("pages", "gthread")):
        gunicorn = f"/srv/{app}/venv/bin/gunicorn --chdir /srv/{app} -k {worker} -b :8000 main:app"
        host.run(f"systemd-run --unit {app} -E SHOP_MARKER=one {gunicorn}")
        try:
            host.run("curl -sS --retry 50 --retry-connrefused --retry-delay 1 127.0.0.1:8000/")
            answer = host.fetch("/healthz", port=8000)
            assert (answer.status, json.loads(answer.body)) == (200, {"status": "ok"})
            said = json.loads(host.fetch("/pid", port=8000).body)
            assert said.get("marker", "one") == "one"
            assert f"{said['pid']}\n" in host.run(f"pgrep -f /srv/{app}/venv").out
        finally:
            host.run(f"systemctl stop {app}")


def test_the_shop_misbehaves_as_it_is_told(host: Host) -> None:
    app = "systemd-run --unit knobs --working-directory /srv/shop /srv/venv/bin/uvicorn --port 8001"
    host.run(f"{app} main:app")
    try:
        host.run("curl -sS --retry 50 --retry-connrefused --retry-delay 1 127.0.0.1:8001/")
        ask = "curl -s -o /dev/null --max-time 0.5 -w '%{http_code}' 127.0.0.1:8001/healthz"
        for knobs, status in (
            ({"health_status": 503}, "503"),
            ({"health_slow_s": 3}, "000"),
            ({"health_hangs": 1}, "000"),
            ({}, "200"),
        ):
            host.put("/srv/shop/knobs.json", json.dumps(knobs))
            assert host.run(ask, check=False).out == status, knobs
    finally:
        # Uvicorn would wait for the answers that hang.
        host.run("systemctl kill -s KILL knobs; rm -f /srv/shop/knobs.json")
    for knob, stderr in (("IMPORT_FAILS", "told to fail"), ("IMPORT_HANGS", "")):
        load = f"cd /srv/shop && SHOP_{knob}=1 timeout 3 /srv/venv/bin/python -c 'import main'"
        done = host.run(load, check=False)
        assert done.code == (1 if stderr else 124)
        assert stderr in done.err
    dies = "SHOP_DIES_AFTER_S=0.2 timeout 20 /srv/venv/bin/uvicorn --port 8001 main:app"
    assert host.run(f"cd /srv/shop && {dies}", check=False).code == 1


def test_packages_come_from_its_own_shelf(hosts: Callable[..., Host], release: str) -> None:
    host = hosts(release)
    host.run("dpkg --remove --force-depends caddy && apt-get update")
    assert not host.run("command -v caddy", check=False).out
    host.run("DEBIAN_FRONTEND=noninteractive apt-get install -y caddy", timeout=120)
    assert "Caddy" in host.run("caddy version; caddy help").out


def test_hosts_of_one_lab_reach_each_other_and_keep_their_units(
    hosts: Callable[..., Host], release: str
) -> None:
    one, two = hosts(release, "one", wait=False), hosts(release, "two", wait=False)
    one.wait()
    two.wait()
    for host in (one, two):
        host.put("/var/www/html/name", host.name)
        host.run("systemctl start nginx")
    assert one.run(f"curl -sS http://{two.address}/name").out == "two"
    assert two.fetch("/name").body == b"two"
    # One's systemd ends every process of the unit's control group: of its own, that is.
    one.run("systemctl kill -s KILL nginx; systemctl stop nginx")
    assert two.run("systemctl is-active nginx").out == "active\n"
    assert two.fetch("/name").body == b"two"


def test_a_reboot_is_another_boot_of_the_same_disk(
    hosts: Callable[..., Host], release: str
) -> None:
    host = hosts(release)
    before = host.boot_id()
    host.put("/etc/kept", "kept")
    host.run("systemctl enable nginx && touch /run/gone")
    host.reboot()
    assert host.boot_id() != before
    assert host.read("/etc/kept") == b"kept"
    assert host.run("test -e /run/gone", check=False).code == 1
    assert host.fetch("/").status == 200


def test_a_power_cut_keeps_the_files_and_nobody_hears_of_it(
    hosts: Callable[..., Host], release: str
) -> None:
    host = hosts(release)
    before = host.boot_id()
    host.put("/etc/kept", "kept")
    host.run(
        "systemctl start nginx"
        " && systemd-run --unit stops --property ExecStop='touch /stopped' sleep 600"
    )
    host.kill()
    assert (host.disk / "etc" / "kept").read_text() == "kept"
    assert host.run("true", check=False).code == 255
    host.start()
    assert host.boot_id() != before
    assert host.read("/etc/kept") == b"kept"
    # No unit was stopped in order, and what was not enabled is off again.
    assert host.run("test -e /stopped", check=False).code == 1
    assert host.run("systemctl is-active nginx", check=False).out == "inactive\n"


def test_a_cut_network_is_silent_and_the_host_lives_on(
    hosts: Callable[..., Host], release: str
) -> None:
    host = hosts(release)
    before = host.boot_id()
    host.run("systemctl start nginx")
    host.cut()
    with pytest.raises(OSError, match=r"timed out|No route"):
        host.fetch("/", timeout=1)
    host.mend()
    assert until(lambda: host.run("true", check=False).code == 0)
    assert host.fetch("/").status == 200
    assert host.boot_id() == before


def test_ansible_reaches_them_by_the_inventory(lab: Lab, host: Host) -> None:
    for user in ("root", "admin"):
        inventory = lab.inventory([host], user=user, groups={"web": [host]})
        done = lab.ansible(
            "ansible", "-i", inventory, "web", "--become", "-m", "command", "-a", "id"
        )
        assert f"{host.name} | CHANGED" in done.out
        assert "uid=0(root)" in done.out


def test_a_closed_lab_leaves_no_trace(lab: Lab, release: str) -> None:
    with Lab() as other:
        assert other.slot != lab.slot
        host = other.boot(release)
        other.ansible("ansible", "-i", other.inventory([host]), "all", "-m", "ping")
        kinds = {each.split()[0] for each in traces(other.name)}
        assert {"process", "group", "interface", "namespace", "folder"} <= kinds
    assert until(lambda: not traces(other.name)), traces(other.name)


@pytest.mark.usefixtures("lab")
def test_what_a_killed_session_left_goes_with_the_next(release: str) -> None:
    session = (
        "import sys, time; from tests.lab.lab import Lab; lab = Lab(); lab.boot(sys.argv[1]); "
        "print(lab.slot, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", session, release],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
    ) as process:
        assert process.stdout
        slot = int(process.stdout.readline())
        name = the_lab.name_of(slot)
        the_lab.sweep_dead()
        assert any("nspawn" in each for each in traces(name)), "a living session was swept"
        process.send_signal(signal.SIGKILL)
    assert any("nspawn" in each for each in traces(name)), "nothing outlived its session"
    the_lab.sweep_dead()
    assert until(lambda: not traces(name)), traces(name)


def test_bases_are_not_written_to(hosts: Callable[..., Host], release: str) -> None:
    host = hosts(release)
    host.run("echo changed >/etc/motd; rm -rf /etc/nginx")
    assert "changed" not in (bases()[release] / "etc" / "motd").read_text()
    assert (bases()[release] / "etc" / "nginx" / "nginx.conf").exists()
    assert "changed" not in hosts(release, "second").read("/etc/motd").decode()
