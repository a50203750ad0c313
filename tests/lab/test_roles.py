"""Each role of a tree on real hosts: Caddy, Redis, the kernel, background workers, Prometheus."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy.ansible import playbooks
from tests.lab.controller import advisor, apply, marker, until
from tests.lab.switching import altered
from tests.lab.trees import MANAGED, shop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.host import Done, Host
    from tests.lab.lab import Lab

    Boot = Callable[..., Host]

SITE = playbooks() / "site.yml"
MIB = 1024**2
QUICK = ("--dwell", "1")
ONE, TWO = {"marker": "one"}, {"marker": "two"}


def applied(lab: Lab, tree: Path, *hosts: Host, more: tuple[str, ...] = QUICK) -> None:
    done = apply(lab, tree, *hosts, more=more)
    assert done.code == 0, done.out + done.err


def rolled_back(lab: Lab, *hosts: Host) -> None:
    done = advisor(lab, "rollback", "-i", lab.inventory(hosts))
    assert done.code == 0, done.out + done.err


def main_pid(host: Host, unit: str) -> str:
    return host.run(f"systemctl show --value -p MainPID {unit}").out.strip()


# Caddy


def body_limit(host: Host) -> list[str]:
    """What the Caddy that runs says of the largest request."""
    running = host.run("curl -sf http://localhost:2019/config/").out
    return re.findall(r'"max_size":(\d+)', running)


def test_caddy_serves_reloads_takes_back_and_returns(lab: Lab, hosts: Boot, tmp_path: Path) -> None:
    # Debian 13 has the same Caddy: what its roles install is shown on both.
    host = hosts("debian-12", "web1")

    def tree(name: str, limit: int, **knobs: Any) -> Path:
        settings = {"caddy.request_body_max": limit * MIB}
        return shop(host, tmp_path / name, settings, knobs=knobs, proxy="caddy")

    # The package's own Caddyfile, which nobody has edited, makes room without --overwrite.
    one = tree("one", 5, **ONE)
    applied(lab, one, host)
    assert marker(host) == "one"
    assert host.run("pgrep nginx", check=False).out == ""
    assert body_limit(host) == [str(5 * MIB)]
    before = [main_pid(host, unit) for unit in ("caddy", "shop")]
    again = apply(lab, one, host)
    assert (again.code, again.out) == (0, "web1: unchanged\n")

    applied(lab, tree("two", 7, **ONE), host)
    assert body_limit(host) == [str(7 * MIB)]
    assert [main_pid(host, unit) for unit in ("caddy", "shop")] == before

    harm = apply(lab, tree("harm", 9, marker="harm", health_status=500), host)
    assert harm.code == 5, harm.out + harm.err
    assert "/healthz answered 500" in harm.out
    assert (marker(host), body_limit(host)) == ("one", [str(7 * MIB)])

    rolled_back(lab, host)
    assert (marker(host), body_limit(host)) == ("one", [str(5 * MIB)])
    assert main_pid(host, "caddy") == before[0]


# Values that live in Redis and in the kernel

LIVE = """
redis-cli config get maxmemory | tail -n 1
redis-cli config get maxmemory-policy | tail -n 1
sysctl -n net.core.somaxconn
redis-cli get kept
"""


def live(host: Host) -> list[str]:
    return host.run(LIVE).out.split()


def wrong_with_redis(lab: Lab, tree: Path, host: Host) -> list[str]:
    """What verify finds wrong with it."""
    done = advisor(lab, "verify", tree, "-i", lab.inventory([host]), "--json")
    checks = [one for one in json.loads(done.out)["checks"] if "/etc/redis/" in one["check"]]
    assert {one["status"] for one in checks} <= {"held", "failed"}, checks
    assert len(checks) > 2
    return [f"{one['why']}" for one in checks if one["status"] == "failed"]


def test_live_values_hold_and_are_given_back(
    lab: Lab, hosts: Boot, release: str, tmp_path: Path
) -> None:
    host = hosts(release, "web1")
    host.run("systemctl start nginx redis-server; redis-cli set kept by-all-this")
    before = live(host)
    applied(lab, shop(host, tmp_path / "one", knobs=ONE), host)
    assert live(host) == before

    settings = {
        "redis.maxmemory": 64 * MIB,
        "redis.maxmemory_policy": "volatile-lru",
        "sysctl.somaxconn": 5000,
    }
    two = shop(
        host, tmp_path / "two", settings, knobs=ONE, manage=[*MANAGED, "redis", "sysctl"],
        redis__role="cache",
    )  # fmt: skip
    main = main_pid(host, "redis-server")
    applied(lab, two, host)
    ours = [str(64 * MIB), "volatile-lru", "5000", "by-all-this"]
    assert live(host) == ours
    assert main_pid(host, "redis-server") == main

    # Its line in redis.conf is the operator's to add, as the file and verify say; then a start
    # keeps them.
    (line,) = wrong_with_redis(lab, two, host)
    assert "a start forgets it: add `include /etc/redis/" in line
    said = re.search(r"^# +(include \S+)$", (two / "redis/shop.conf").read_text(), re.MULTILINE)
    assert said is not None
    host.run(f"echo '{said[1]}' >>/etc/redis/redis.conf; systemctl restart redis-server")
    assert live(host) == ours
    assert wrong_with_redis(lab, two, host) == []
    host.run("redis-cli config set maxmemory 1gb; echo maxmemory 2gb >>/etc/redis/redis.conf")
    assert wrong_with_redis(lab, two, host) == [
        f"maxmemory is {1024 * MIB}, not {64 * MIB}",
        "/etc/redis/redis.conf sets maxmemory again after it",
    ]
    host.run("sed -i '$ d' /etc/redis/redis.conf")

    rolled_back(lab, host)
    assert live(host) == before
    # And Redis comes up without our file.
    host.run("systemctl restart redis-server")
    assert live(host) == before


# Background workers

DONE = "/srv/shop/done"
RQ_ENQUEUE = (
    "import redis, rq; rq.Queue(connection=redis.Redis()).enqueue('tasks.write', {path!r}, 'done')"
)
BACKGROUND = {
    "celery": (
        {"background__celery": {"app": "tasks:app", "kind": "io"}},
        {"celery.concurrency": 1},
        "import tasks; tasks.write.delay({path!r}, 'done')",
    ),
    "rq": (
        {"background__rq": {"queues": ["default"], "kind": "io"}},
        {"rq.workers": 2},
        RQ_ENQUEUE,
    ),
}


@pytest.mark.parametrize(("product", "on"), [("celery", "debian-12"), ("rq", "debian-13")])
def test_workers_come_work_change_and_go(
    lab: Lab, hosts: Boot, tmp_path: Path, product: str, on: str
) -> None:
    intent, settings, enqueue = BACKGROUND[product]
    host, unit = hosts(on, "web1"), f"shop-{product}.service"
    host.run(f"systemctl start nginx redis-server; mkdir -m 777 {DONE}")

    def tree(knobs: dict[str, str], *managed: str) -> Path:
        named = {"manage": [*MANAGED, *managed], "app__writable": [DONE]}
        return shop(host, tmp_path / knobs["marker"], settings, knobs=knobs, **(named | intent))

    def works(name: str) -> None:
        path = f"{DONE}/{name}"
        code = enqueue.format(path=path)
        host.run(f'cd /srv/shop && /srv/venv/bin/python -c "{code}"')
        until(lambda: host.run(f"cat {path}", check=False).out == "done", f"the task of {name}")

    applied(lab, tree(ONE, "workers"), host)
    works("one")
    first = main_pid(host, unit)

    applied(lab, tree(TWO, "workers"), host)
    assert main_pid(host, unit) not in {first, "0"}
    environment = host.read(f"/proc/{main_pid(host, unit)}/environ")
    assert b"SHOP_MARKER=two" in environment
    works("two")

    applied(lab, tree({"marker": "none"}), host)
    shown = host.run(f"systemctl show -p LoadState,ActiveState {unit}").out.split()
    assert set(shown) == {"LoadState=not-found", "ActiveState=inactive"}
    assert host.run(f"pgrep -f /srv/venv/bin/{product}", check=False).out == ""
    assert marker(host) == "none"


def test_a_worker_that_dies_is_taken_back(lab: Lab, hosts: Boot, tmp_path: Path) -> None:
    host = hosts("debian-12", "web1")
    host.run("systemctl start nginx redis-server")
    applied(lab, shop(host, tmp_path / "one", knobs=ONE), host)
    absent = {"app": "no_such:app", "kind": "io"}
    two = shop(
        host, tmp_path / "two", knobs=TWO, manage=[*MANAGED, "workers"], background__celery=absent
    )
    done = apply(lab, two, host, more=("--dwell", "5"))
    assert done.code == 5, done.out + done.err
    assert "gate: shop-celery.service" in done.out
    assert "no_such" in done.out
    assert marker(host) == "one"
    assert host.run("systemctl show -P LoadState shop-celery.service").out == "not-found\n"


# Prometheus

PROMETHEUS = "/etc/prometheus/prometheus.yml"
OURS = "/etc/prometheus/advisor"
PEERS = ["198.51.100.11:8080", "198.51.100.12:8080"]


def alerts(host: Host) -> set[str]:
    """The alerts that the Prometheus of a host knows."""
    answer = json.loads(host.fetch("/api/v1/rules", port=9090).body)
    return {rule["name"] for group in answer["data"]["groups"] for rule in group["rules"]}


def test_a_host_that_watches_gets_prometheus_and_what_is_for_it(
    lab: Lab, hosts: Boot, release: str, tmp_path: Path
) -> None:
    host = hosts(release, "mon")
    inventory = lab.inventory([host], groups={"advisor_monitoring": [host]})

    def tree(name: str, *managed: str) -> Path:
        manage = [*MANAGED, "monitoring", *managed]
        return shop(host, tmp_path / name, knobs=ONE, hosts=PEERS, manage=manage)

    def played(name: Path) -> Done:
        """By the play alone, which takes a tree as it is: `advisor apply` sees an edit before."""
        words = ("-i", inventory, "-e", f"advisor_tree={name}", "-e", "advisor_dwell_s=1", SITE)
        return lab.ansible("ansible-playbook", *words, check=False)

    one = tree("one")
    host.run("apt-get -qq -y purge prometheus")
    done = advisor(lab, "apply", one, "-i", inventory, *QUICK)
    assert done.code == 0, done.out + done.err
    assert "mon: applied, generation 1" in done.out
    assert host.run("systemctl is-active prometheus").out == "active\n"
    for path in ("shop.scrape.yml", "shop.rules.yml"):
        assert host.run(f"readlink {OURS}/{path}").out.startswith("/etc/advisor/current/shop/")
    assert host.run("find /etc/advisor/current/shop -name '*.service'").out == ""

    # promtool reads our files even where prometheus.yml does not name them.
    bad = tmp_path / "bad"
    changed = altered(one, "monitoring/shop.rules.yml", lambda text: text.replace(b"expr", b"xpr"))
    for path, content in changed.items():
        (bad / path).parent.mkdir(parents=True, exist_ok=True)
        (bad / path).write_bytes(content)
    refused = played(bad)
    assert refused.code != 0
    assert "Prometheus refuses" in refused.out

    main = host.read(PROMETHEUS).decode()
    host.put(PROMETHEUS, main.replace("rule_files:", f"rule_files:\n  - {OURS}/*.rules.yml", 1))
    host.run("systemctl reload prometheus")
    until(lambda: alerts(host), "our alerts in Prometheus")
    assert not [name for name in alerts(host) if "Redis" in name]
    # A change is loaded by a reload of ours, and no restart.
    pid = main_pid(host, "prometheus")
    assert played(tree("two", "redis")).code == 0
    until(lambda: [name for name in alerts(host) if "Redis" in name], "the new alerts")
    assert main_pid(host, "prometheus") == pid
