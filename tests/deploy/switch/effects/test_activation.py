"""An activation over units that are processes of the test: what a return does otherwise."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from advisor.deploy.switch import gate as gate_
from advisor.deploy.switch.activation import HARM_STOP_S
from advisor.deploy.switch.daemons import Daemons
from advisor.deploy.switch.documents import Refusal, Unit
from advisor.deploy.switch.effects import Host
from advisor.deploy.switch.layout import Layout
from advisor.deploy.switch.nginx import Nginx
from tests.deploy.switch.effects.conftest import SERVICE, SITE, Service, Services, install, row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNITS = "/etc/systemd/system"
WORKER = "shop-celery.service"
SERVICE_ROW = row("systemd/shop.service", f"{UNITS}/{SERVICE}", "systemd", "restart")
WORKER_ROW = row("workers/shop-celery.service", f"{UNITS}/{WORKER}", "systemd", "restart")
ALL = [SERVICE_ROW, WORKER_ROW, SITE]
CHANGED = frozenset(each.path for each in ALL)
SHOP = replace(install(ALL), units=[Unit(SERVICE, "service"), Unit(WORKER, "worker")])
NGINX = ("reload", "nginx.service")
HARM = Refusal("gate", "the health route answered 502")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """systemd with the shop's two units and nginx's, all up."""
    names = (SERVICE, WORKER, "nginx.service")
    found = Services({name: Service(["sleep", "60"], {}, tmp_path / name) for name in names})
    # A sleep knows no reload.
    found.units["nginx.service"].reload_signal = None
    with contextlib.ExitStack() as stack:
        for service in found.units.values():
            service.start()
            stack.callback(service.stop)
        yield found


@pytest.fixture
def host(services: Services, tmp_path: Path) -> Host:
    nginx = Nginx(words=("no-nginx",), error_log=tmp_path / "error.log")
    layout = Layout(tmp_path / "host")
    layout.units.mkdir(parents=True)
    for name in (SERVICE, WORKER):
        (layout.units / name).write_text("[Install]\nWantedBy=multi-user.target\n")
    return Host(layout, Daemons(services, nginx))


@pytest.mark.parametrize("is_return", [False, True])
def test_only_a_return_goes_on_after_a_refusal(
    host: Host, services: Services, is_return: bool
) -> None:
    services.refused = {("restart", SERVICE)}
    refusal = host.activate(SHOP, SHOP, CHANGED, because=HARM if is_return else None)
    assert refusal is not None
    assert refusal.message == f"systemctl restart {SERVICE}: restart was refused"
    assert (NGINX in services.acts) == is_return
    assert (("restart", WORKER) in services.acts) == is_return


@pytest.mark.parametrize("is_return", [False, True])
def test_a_fault_of_the_disk_is_a_refusal_of_its_step(
    host: Host, services: Services, is_return: bool
) -> None:
    (host.layout.units / SERVICE).unlink()
    refusal = host.activate(None, SHOP, CHANGED, because=HARM if is_return else None)
    assert refusal is not None
    assert f"{SERVICE}: No such file or directory" in refusal.message
    assert (NGINX in services.acts) == is_return


def test_a_return_hurries_the_service_and_lets_workers_end_their_tasks_last(
    host: Host, services: Services
) -> None:
    assert host.activate(SHOP, SHOP, CHANGED) is None
    assert services.stops[SERVICE] is services.stops[WORKER] is None
    services.acts.clear()
    assert host.activate(SHOP, SHOP, CHANGED, because=HARM) is None
    assert services.stops[SERVICE] == HARM_STOP_S
    assert services.stops[WORKER] is None
    acted = [each for each in services.acts if each[0] in {"restart", "reload"}]
    assert acted == [("restart", SERVICE), NGINX, ("restart", WORKER)]
    services.acts.clear()
    assert host.activate(SHOP, None, CHANGED, because=HARM) is None
    assert services.stops[SERVICE] == HARM_STOP_S
    assert services.stops[WORKER] is None
    order = [services.acts.index(each) for each in (("stop", SERVICE), NGINX, ("stop", WORKER))]
    assert order == sorted(order)
    # What nobody committed does no harm, and neither does a later apply by the same process.
    held = Refusal("held", "no commit came within 120 s")
    assert host.activate(SHOP, SHOP, CHANGED, because=held) is None
    assert services.stops[SERVICE] is None
    assert host.activate(SHOP, SHOP, CHANGED) is None
    assert services.stops[SERVICE] is None


def test_units_that_systemd_does_not_know_are_not_stopped(host: Host, services: Services) -> None:
    gone = services.units.pop(SERVICE)
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(gone.stop)
        assert host.activate(SHOP, None, CHANGED, because=HARM) is None
    stops = [units for verb, *units in services.acts if verb == "stop"]
    assert stops == [[WORKER]]
    assert not services.units[WORKER].is_up


@pytest.mark.parametrize("is_return", [False, True])
def test_what_a_return_finds_up_need_not_be_started(
    host: Host, is_return: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A switch that was killed before it had stopped anything."""
    monkeypatch.setattr(gate_, "RENEWED_S", 0.1)
    assert (
        host.activate(None, SHOP, CHANGED - {SITE.path}, because=HARM if is_return else None)
        is None
    )
    refusal, _ = host.gate(SHOP, None, 0.1)
    if is_return:
        assert refusal is None
    else:
        assert refusal is not None
        assert "answered the start, and its old processes still serve" in refusal.message
