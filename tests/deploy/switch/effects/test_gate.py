"""The gate before a real Gunicorn and a real nginx, each with every way to be ill."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from advisor.deploy.switch import gate as gate_
from advisor.deploy.switch.documents import Refusal
from advisor.deploy.switch.nginx import workers
from advisor.deploy.switch.processes import children, snapshot
from tests.deploy.switch.effects.conftest import (
    CONF,
    CONFIG,
    SERVICE,
    SITE,
    free_port,
    install,
    listens,
    until,
)

if TYPE_CHECKING:
    from advisor.deploy.switch.documents import Install
    from advisor.deploy.switch.effects import Host
    from advisor.deploy.switch.services import Baseline
    from tests.deploy.switch.effects.conftest import Machine

pytestmark = pytest.mark.daemon
DWELL_S = 1.5
CHANGED = frozenset({CONFIG.path})
CANARY = "canary-of-the-environment"
HARM = Refusal("gate", "the health route answered 502")


@pytest.fixture
def app(machine: Machine) -> Install:
    """The app behind nginx, both up."""
    machine.start_app()
    machine.start_nginx()
    return install(health=machine.health())


def applied(
    host: Host, app: Install, changed: frozenset[str] = CHANGED, *, is_return: bool = False
) -> None:
    assert host.activate(app, app, changed, because=HARM if is_return else None) is None


def gated(
    host: Host, app: Install, before: Baseline | None = None
) -> tuple[Refusal | None, dict[str, object], float]:
    began = time.monotonic()
    refusal, figures = host.gate(app, before, DWELL_S)
    return refusal, figures, time.monotonic() - began


def test_a_reload_of_both_passes(machine: Machine, app: Install) -> None:
    host = machine.host()
    before = host.baseline(app, 1.0)
    assert before is not None
    assert before.errors == 0
    assert len(before.times_s) > 10
    applied(host, app, frozenset({CONFIG.path, SITE.path}))
    assert ("reload", SERVICE) in machine.services.acts
    assert ("reload", "nginx.service") in machine.services.acts
    refusal, figures, _ = gated(host, app, before)
    assert refusal is None
    after = figures["after"]
    assert isinstance(after, dict)
    assert after["failed"] == 0
    assert after["requests"] >= 20
    assert {"p50_s", "p95_s"} <= set(after)
    assert "tls" not in figures


def test_a_restart_passes_once_the_app_has_come_up(machine: Machine, app: Install) -> None:
    host = machine.host()
    machine.services.act("stop", SERVICE)
    applied(host, app)
    assert ("restart", SERVICE) in machine.services.acts
    refusal, figures, _ = gated(host, app)
    assert refusal is None
    assert "came_up_s" in figures


def test_300_ms_slower_is_taken_back(machine: Machine, app: Install) -> None:
    host = machine.host()
    before = host.baseline(app, 1.5)
    applied(host, app)
    machine.mode("slow 0.3")
    refusal, _, _ = gated(host, app, before)
    assert refusal is not None
    assert refusal.step == "gate"
    assert "worse than before: p50 went from" in refusal.message
    assert refusal.url == "http://shop.example/healthz"
    assert refusal.status == 200
    assert refusal.look


def test_an_app_that_was_as_slow_before_is_not(machine: Machine, app: Install) -> None:
    host = machine.host()
    machine.mode("slow 0.05")
    before = host.baseline(app, 1.5)
    applied(host, app)
    assert gated(host, app, before)[0] is None


def test_answers_that_fail_end_it_at_once(machine: Machine, app: Install) -> None:
    host = machine.host()
    applied(host, app)
    machine.mode("wrong")
    refusal, _, took_s = gated(host, app)
    assert refusal is not None
    assert refusal.message == "the health route answered 500"
    assert refusal.status == 500
    assert refusal.url == "http://shop.example/healthz"
    assert took_s < DWELL_S + 5


def test_health_that_hangs_ends_early(
    machine: Machine, app: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_, "QUIET_S", 1.0)
    host = machine.host()
    applied(host, app, frozenset({SITE.path}))
    machine.mode("hang")
    refusal, _, took_s = gated(host, app)
    assert refusal is not None
    assert refusal.message == "the health route did not answer within 2 s"
    assert refusal.status is None
    assert took_s < 12
    machine.services.units[SERVICE].stop()


def test_an_app_that_takes_its_master_along_is_dead(machine: Machine, app: Install) -> None:
    host = machine.host()
    applied(host, app)
    machine.mode("ends")
    refusal, _, took_s = gated(host, app)
    assert refusal is not None
    assert refusal.message == f"{SERVICE} is failed (dead)"
    assert took_s < DWELL_S + 5


def test_workers_that_die_are_seen(
    machine: Machine, app: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_, "QUIET_S", 1.0)
    host = machine.host()
    applied(host, app)
    machine.mode("dies")
    refusal, _, took_s = gated(host, app)
    assert refusal is not None
    assert took_s < 15


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_workers_that_end_by_a_count_or_are_none_do_no_harm(
    machine: Machine, app: Install, server: str
) -> None:
    """The light load alone is enough to have each of them replaced within the dwell time."""
    machine.generation(1, {CONFIG.path: f"{CONF}max_requests = 5\n"})
    machine.services.act("restart", SERVICE)
    until(lambda: listens(machine.app_port), "app")
    # Gunicorn's workers are as good here as what the app itself runs under another server.
    app = replace(app, server=server, files=[SITE, *([CONFIG] if server == "gunicorn" else [])])
    host = machine.host()
    applied(host, app, frozenset({SITE.path}))
    main = host.daemons.manager.states(SERVICE)[SERVICE].main_pid
    first = children(main, snapshot()).keys()
    assert gated(host, app)[0] is None
    assert not first & children(main, snapshot()).keys()


def test_a_start_again_by_systemd_is_seen(machine: Machine, app: Install) -> None:
    host = machine.host()
    applied(host, app)
    machine.services.units[SERVICE].restarts = 1
    refusal, _, _ = gated(host, app)
    assert refusal is not None
    assert refusal.message == f"{SERVICE} died and was started again 1 times"


@pytest.mark.parametrize("unit", [SERVICE, "nginx.service"])
def test_a_reload_that_does_nothing(
    machine: Machine, app: Install, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_, "RENEWED_S", 0.5)
    machine.services.units[unit].reload_signal = None
    host = machine.host()
    main = host.daemons.manager.states("nginx.service")["nginx.service"].main_pid
    until(lambda: len(workers(main, snapshot())) == 2, "both workers of nginx")
    changed = frozenset({CONFIG.path if unit == SERVICE else SITE.path})
    applied(host, app, changed)
    refusal, _, _ = gated(host, app)
    assert refusal is not None
    assert refusal.message == f"{unit} answered the reload, and its old processes still serve"
    # Taking it back finds them as they were: nothing of it ever came to them.
    applied(host, app, changed, is_return=True)
    assert gated(host, app)[0] is None


def test_a_reload_that_nginx_refuses_leaves_old_workers(
    machine: Machine, app: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_, "RENEWED_S", 0.5)
    machine.put("/etc/nginx/conf.d/taken.conf", f"server {{ listen 192.0.2.1:{machine.port}; }}\n")
    host = machine.host()
    applied(host, app, frozenset({SITE.path}))
    refusal, _, _ = gated(host, app)
    assert refusal is not None
    assert "nginx.service answered the reload" in refusal.message
    assert any("bind() to 192.0.2.1" in line for line in refusal.lines)


def test_a_configuration_that_ends_the_master(machine: Machine, app: Install) -> None:
    """HUP reads the file in the master: what raises there ends it."""
    host = machine.host()
    machine.generation(1, {CONFIG.path: "raise SystemExit(3)\n"})
    applied(host, app)
    refusal, _, _ = gated(host, app)
    assert refusal is not None
    assert SERVICE in refusal.message
    # systemd would have ended what the master left behind.
    until(lambda: not listens(machine.app_port), "end of the workers")
    machine.generation(1, {CONFIG.path: CONF})
    applied(host, app)
    assert gated(host, app)[0] is None


def test_no_secret_is_in_what_is_said(machine: Machine, app: Install) -> None:
    machine.put("/etc/shop/env", f"SECRET={CANARY}\n")
    machine.put(f"/etc/systemd/system/{SERVICE}", "[Service]\nEnvironmentFile=/etc/shop/env\n")
    machine.services.units[SERVICE].environment["SECRET"] = CANARY
    machine.services.act("stop", SERVICE)
    machine.mode("broken import")
    host = machine.host()
    applied(host, app)
    refusal, _, _ = gated(host, app)
    assert refusal is not None
    assert any("though SECRET is $SECRET" in line for line in refusal.lines)
    assert CANARY not in str(refusal)


def test_where_nothing_answers_http_the_units_alone_are_watched(machine: Machine) -> None:
    machine.start_app()
    host = machine.host()
    app = install([CONFIG], proxy=None)
    assert host.baseline(app, 1.0) is None
    applied(host, app)
    assert gated(host, app)[0] is None
    machine.services.units[SERVICE].stop()
    refusal, _, _ = gated(host, app)
    assert refusal is not None
    assert refusal.url is None


def test_an_unhealthy_app_is_refused_before_anything(machine: Machine, app: Install) -> None:
    host = machine.host()
    assert host.live_problems(app, []) is None
    machine.mode("wrong")
    refusal = host.live_problems(app, [])
    assert refusal is not None
    assert refusal.step == "live"
    assert "unhealthy before the apply: its health route answered 500" in refusal.message
    assert (refusal.url, refusal.status) == ("http://shop.example/healthz", 500)
    # One that is not there yet, or is rolled back, need not be well.
    assert host.live_problems(None, [app]) is None
    machine.services.act("stop", SERVICE)
    refusal = host.live_problems(app, [])
    assert refusal is not None
    assert f"{SERVICE} is failed (dead) before the apply" in refusal.message


def marked(machine: Machine, says: str) -> str:
    """A site whose file says which one it is, as rendered ones do."""
    return machine.site() + (
        f"server {{\n    listen 127.0.0.1:{free_port()};\n    server_name status.localhost;\n"
        f'    location = /rendered {{\n        return 200 "{says}";\n    }}\n}}\n'
    )


def test_nginx_says_which_file_it_runs(machine: Machine, app: Install) -> None:
    host = machine.host()
    machine.layout.at(SITE.target).write_text(marked(machine, "0ddba11c0ffe"))
    applied(host, app, frozenset({SITE.path}))
    refusal, _, _ = gated(host, app)
    assert refusal is None


def test_new_workers_that_run_another_file_are_told(
    machine: Machine, app: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nginx was started with a configuration of somebody's, beside the one that is ours."""
    monkeypatch.setattr(gate_, "RENEWED_S", 1.0)
    host, target = machine.host(), machine.layout.at(SITE.target)
    now = marked(machine, "0ddba11c0ffe")
    machine.put("/etc/nginx/sites-enabled/shop", now)
    target.unlink()
    conf = machine.nginx_conf.read_text()
    machine.nginx_conf.write_text(
        conf.replace(f"include {machine.root}/etc/nginx/conf.d/*.conf;", "")
    )
    target.write_text(now.replace("0ddba11c0ffe", "5eaf00d5eaf0"))
    applied(host, app, frozenset({SITE.path}))
    refusal, _, _ = gated(host, app)
    assert refusal is not None
    assert "says '0ddba11c0ffe', not 5eaf00d5eaf0" in refusal.message
    assert "nginx -T" in refusal.look
