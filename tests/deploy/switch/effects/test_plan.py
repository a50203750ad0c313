"""What a change asks for: only what changed is acted on."""

from __future__ import annotations

from dataclasses import replace

from advisor.deploy.switch.documents import Install, Row, Unit
from advisor.deploy.switch.plan import Plan, plan
from tests.deploy.switch.effects.conftest import install, row

UNITS = "/etc/systemd/system"
SERVICE = row("systemd/shop.service", f"{UNITS}/shop.service", "systemd", "restart")
SOCKET = row("systemd/shop.socket", f"{UNITS}/shop.socket", "systemd", "restart")
SLICE = row("systemd/system-shop.slice", f"{UNITS}/system-shop.slice", "systemd")
CELERY = row("workers/shop-celery.service", f"{UNITS}/shop-celery.service", "systemd", "restart")
GUNICORN = row(
    "gunicorn/gunicorn.conf.py",
    "/etc/advisor/current/shop/gunicorn/gunicorn.conf.py",
    "gunicorn",
)
UVICORN = row(
    "uvicorn/uvicorn.env",
    "/etc/advisor/current/shop/uvicorn/uvicorn.env",
    "uvicorn",
    "restart",
)
ENVIRONMENT = row(
    "environment/app.env",
    "/etc/advisor/current/shop/environment/app.env",
    "environment",
    "restart",
)
NGINX = row("nginx/shop.conf", "/etc/nginx/conf.d/shop.conf", "nginx")
CADDY = row("caddy/shop.caddy", "/etc/caddy/sites/shop.caddy", "caddy")
SYSUSERS = row("systemd/sysusers.conf", "/etc/sysusers.d/advisor-shop.conf", "systemd", "none")
TMPFILES = row("systemd/tmpfiles.conf", "/etc/tmpfiles.d/advisor-shop.conf", "systemd", "none")
SYSCTL = row("sysctl/90-shop.conf", "/etc/sysctl.d/90-shop.conf", "sysctl")
REDIS = row("redis/shop.conf", "/etc/redis/advisor-shop.conf", "redis", "none")
RULES = row("monitoring/shop.rules.yml", "/etc/prometheus/shop.rules.yml", "monitoring")
ALL = [
    *(SERVICE, SOCKET, SLICE, CELERY, GUNICORN, UVICORN, ENVIRONMENT, NGINX, CADDY),
    *(SYSUSERS, TMPFILES, SYSCTL, REDIS, RULES),
]
FULL = replace(
    install(ALL),
    units=[
        Unit("shop.service", "service", reload=True),
        Unit("shop.socket", "socket"),
        Unit("shop-celery.service", "worker"),
    ],
)


def change(*rows: Row, old: Install | None = FULL, new: Install | None = FULL) -> Plan:
    return plan(old, new, frozenset(each.path for each in rows))


def test_nothing_changed_is_nothing_done() -> None:
    assert change() == Plan()


def test_a_servers_own_file() -> None:
    assert change(GUNICORN) == Plan(reload=("shop.service",))
    assert change(UVICORN) == Plan(restart=("shop.service",))
    assert change(GUNICORN, UVICORN) == Plan(restart=("shop.service",))
    cannot = replace(FULL, units=[Unit("shop.service", "service", reload=False)])
    assert change(GUNICORN, old=cannot, new=cannot) == Plan(restart=("shop.service",))


def test_the_environment_is_the_workers_too() -> None:
    assert change(ENVIRONMENT) == Plan(restart=("shop.service", "shop-celery.service"))


def test_units() -> None:
    assert change(SERVICE) == Plan(restart=("shop.service",), daemon_reload=True)
    assert change(CELERY) == Plan(restart=("shop-celery.service",), daemon_reload=True)
    assert change(SOCKET) == Plan(renew=("shop.socket",), daemon_reload=True)
    assert change(SLICE) == Plan(daemon_reload=True)
    assert change(SYSUSERS, TMPFILES) == Plan(
        sysusers=(SYSUSERS.target,), tmpfiles=(TMPFILES.target,)
    )


def test_the_hosts_own_daemons() -> None:
    assert change(NGINX) == Plan(proxies=("nginx",))
    assert change(NGINX, CADDY) == Plan(proxies=("nginx", "caddy"))
    assert change(SYSCTL) == Plan(sysctl=True)
    assert change(REDIS) == Plan(redis=True)
    assert change(RULES) == Plan(monitoring=True)


def test_an_app_that_comes() -> None:
    names = ("shop.socket", "shop.service", "shop-celery.service")
    found = change(*ALL, old=None)
    assert found.start == names
    assert found.enable == names
    assert found.daemon_reload
    assert found.restart == found.reload == found.renew == found.stop == ()


def test_an_app_that_goes() -> None:
    found = change(*ALL, new=None)
    assert set(found.stop) == {"shop.socket", "shop.service", "shop-celery.service"}
    assert found.stop[0] == "shop.service"
    assert found.proxies == ("nginx", "caddy")
    assert found.sysctl
    assert found.redis
    assert found.daemon_reload
    assert found.sysusers == found.tmpfiles == found.start == found.restart == found.reload == ()


def test_workers_that_come_and_go_leave_the_server_alone() -> None:
    without = replace(
        FULL,
        files=[each for each in ALL if each is not CELERY],
        units=[unit for unit in FULL.units if unit.kind != "worker"],
    )
    found = change(CELERY, old=without)
    assert (found.start, found.restart, found.reload) == (("shop-celery.service",), (), ())
    assert change(CELERY, new=without) == Plan(stop=("shop-celery.service",), daemon_reload=True)


def test_a_unit_of_others_is_restarted_and_never_stopped() -> None:
    dropin = row(
        "systemd/web.service.d/advisor.conf",
        f"{UNITS}/web.service.d/10-advisor.conf",
        "systemd",
        "restart",
    )
    theirs = replace(install([dropin, GUNICORN]), units=[Unit("web.service", "service")])
    again = Plan(restart=("web.service",), daemon_reload=True)
    assert change(dropin, old=None, new=theirs) == again
    assert change(dropin, old=theirs, new=theirs) == again
    assert change(dropin, GUNICORN, old=theirs, new=None) == again
