"""nginx's part: the live tree, edits of others that are not live, the staged files."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from advisor.deploy.switch import nginx
from advisor.deploy.switch.processes import snapshot
from tests.deploy.switch.effects.conftest import SITE, install, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.switch.effects.conftest import Machine

pytestmark = pytest.mark.daemon
OTHER = "server {\n    listen 127.0.0.1:%d;\n    server_name other.example;\n}\n"


def live(machine: Machine) -> object:
    """What is wrong before an apply; the app's health is not asked."""
    return machine.host().live_problems(None, [install([SITE])])


def older(path: Path, seconds: float = 3600) -> None:
    was = time.time() - seconds
    os.utime(path, (was, was), follow_symlinks=False)


def test_a_host_that_is_in_order(machine: Machine) -> None:
    machine.put("/etc/nginx/conf.d/other.conf", OTHER % machine.port)
    assert live(machine) is None
    machine.start_nginx()
    assert live(machine) is None


def test_a_pending_bad_edit_is_named_with_its_line(machine: Machine) -> None:
    machine.start_nginx()
    machine.put("/etc/nginx/conf.d/other.conf", "server {\n    listne 80;\n}\n")
    found = live(machine)
    assert isinstance(found, nginx.Refusal)
    assert found.step == "live"
    assert "before anything of ours" in found.message
    assert 'unknown directive "listne"' in found.lines[0]
    assert "other.conf:2" in found.lines[0]


def test_an_edit_that_nginx_has_not_loaded_is_named(machine: Machine) -> None:
    other = machine.put("/etc/nginx/conf.d/other.conf", OTHER % machine.port)
    older(other)
    machine.start_nginx()
    assert live(machine) is None
    later(machine)
    other.write_text(OTHER % machine.port + "# edited\n")
    found = live(machine)
    assert isinstance(found, nginx.Refusal)
    assert found.message.startswith(f"{other}: edited since nginx last loaded")
    reload(machine)
    assert live(machine) is None


def test_a_site_that_is_enabled_and_not_loaded_is_named(machine: Machine) -> None:
    available = machine.put("/etc/nginx/sites-available/other", OTHER % machine.port)
    older(available)
    machine.start_nginx()
    later(machine)
    link = machine.root / "etc/nginx/sites-enabled/other"
    link.symlink_to(available)
    found = live(machine)
    assert isinstance(found, nginx.Refusal)
    assert str(link) in found.message


def test_our_own_files_are_judged_elsewhere(machine: Machine) -> None:
    machine.start_nginx()
    later(machine)
    machine.generation(1, {"nginx/shop.conf": machine.site() + "# ours\n"})
    assert live(machine) is None
    # What stands in the place of ours is drift, not another's edit.
    target = machine.root / "etc/nginx/conf.d/shop.conf"
    target.unlink()
    target.write_text(machine.site())
    assert live(machine) is None


def test_the_staged_files_are_asked_in_their_places(machine: Machine) -> None:
    later_tree = machine.generation(2, {"nginx/shop.conf": machine.site()})
    links = machine.links(install([SITE]))
    assert machine.host().staged_problems(install([SITE]), later_tree, links) is None
    bad = machine.generation(3, {"nginx/shop.conf": "server { proxy_pass nowhere; }\n"})
    found = machine.host().staged_problems(install([SITE]), bad, links)
    assert isinstance(found, nginx.Refusal)
    assert found.step == "check"
    assert "shop.conf:1" in found.lines[0]
    # The host itself still has its own.
    assert live(machine) is None


def test_a_name_that_another_site_has_is_refused(machine: Machine) -> None:
    machine.put("/etc/nginx/conf.d/a.conf", OTHER % machine.port)
    links = machine.links(install([SITE]))
    staged = machine.generation(2, {"nginx/shop.conf": machine.site("other.example")})
    found = machine.host().staged_problems(install([SITE]), staged, links)
    assert isinstance(found, nginx.Refusal)
    assert 'conflicting server name "other.example"' in found.lines[0]
    # One that was lost before is not ours to mend.
    machine.put("/etc/nginx/conf.d/b.conf", OTHER % machine.port)
    fine = machine.generation(3, {"nginx/shop.conf": machine.site()})
    assert machine.host().staged_problems(install([SITE]), fine, links) is None


def test_a_checker_that_hangs_or_is_missing_is_a_refusal(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = machine.generation(2, {"nginx/shop.conf": machine.site()})
    host = machine.host()
    links = machine.links(install([SITE]))
    hanging = machine.put("/usr/bin/nginx", "#!/bin/sh\nsleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(nginx, "TEST_S", 0.3)
    host.daemons = type(host.daemons)(machine.services, nginx.Nginx((str(hanging),)))
    found = host.staged_problems(install([SITE]), staged, links)
    assert found is not None
    assert "no answer within 0.3 s" in str(found.lines)
    host.daemons = type(host.daemons)(machine.services, nginx.Nginx(("no-such-nginx",)))
    found = host.staged_problems(install([SITE]), staged, links)
    assert found is not None
    assert "nginx is not installed" in found.message
    assert "apt-get install nginx" in found.look


def test_workers_that_leave_are_no_workers(machine: Machine) -> None:
    machine.start_nginx()
    until(lambda: len(workers(machine)) == 2, "two workers")
    before = set(workers(machine))
    reload(machine)
    assert not before & set(workers(machine))


def test_the_error_log_from_a_point_on(tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    assert nginx.tail(log, nginx.size(log)) == []
    log.write_text("old\n")
    since = nginx.size(log)
    with log.open("a") as stream:
        stream.write("new\nnewer\n")
    assert nginx.tail(log, since) == ["new", "newer"]
    log.write_text("r\n")
    assert nginx.tail(log, since) == ["r"]


def workers(machine: Machine) -> list[int]:
    process = machine.services.units["nginx.service"].process
    assert process is not None
    return list(nginx.workers(process.pid, snapshot()))


def reload(machine: Machine) -> None:
    before = set(workers(machine))
    machine.services.act("reload", "nginx.service")
    until(lambda: workers(machine) and not before & set(workers(machine)), "new workers")


def later(machine: Machine) -> None:
    """Files' times are those of the kernel's last tick, and starts are in hundredths."""
    began = time.time()
    clock = machine.root / "clock"

    def ticked() -> bool:
        clock.write_text("x")
        return clock.stat().st_mtime > began + 0.05

    until(ticked, "tick of the clock")
