"""What clients of a load balancer notice of a rolling apply and a rolling rollback: nothing."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING

from benchmarks.apply.fleet import last_operation
from benchmarks.apply.load import Load
from benchmarks.table import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.apply.fleet import Fleet
    from benchmarks.apply.load import Answer
    from tests.lab.host import Host

RATE = 400
CLIENTS, KEEPING = 24, 8
# One in twenty is under way for a while, as those are that a restart would break off.
PATHS = ("/pid",) * 19 + ("/sleep/0.3",)
LEAST = 20_000
KIT = ["server", "proxy", "systemd"]
RESTARTS, GOES_BACK = "apply that restarts", "rollback that restarts"
FILES = 20_000
# What Caddy needs of the kernel to reload without a loss, and who may set that.
BESIDE: dict[str, dict[str, int]] = {"nginx": {}, "caddy": {"sysctl.tcp_migrate_req": 1}}
MANAGED = {"nginx": KIT, "caddy": [*KIT, "sysctl"]}


def rolling(fleet: Fleet, balancer: Host, *, proxy: str, dwell: str) -> list[Figure]:
    """Three changes through all hosts, one after another, under one load.

    The unit changes, which restarts the server behind its socket; a setting of the server changes,
    which reloads it; then both are rolled back.
    """
    peers = [f"{host.address}:80" for host in fleet.hosts]
    inventory = fleet.inventory(balancer)

    def tree(name: str, **settings: int) -> Path:
        known = {key.replace("__", "."): value for key, value in settings.items()}
        stated = {"proxy": proxy, "hosts": peers, "domain": "shop.example"}
        return fleet.tree(name, BESIDE[proxy] | known, manage=MANAGED[proxy], **stated)

    to = ("-i", inventory, "--json", "--dwell", dwell)
    fleet.advisor("apply", tree("one"), *to)
    first = _generation(fleet.hosts)
    two = tree("two", systemd__limit_nofile=FILES)
    three = tree("three", systemd__limit_nofile=FILES, gunicorn__keepalive=80)
    changes: dict[str, tuple[str | Path, ...]] = {
        RESTARTS: ("apply", two, *to),
        "apply that reloads": ("apply", three, *to),
        GOES_BACK: ("rollback", "-i", inventory, "--json", "--to", first),
    }
    spans: dict[str, tuple[float, float]] = {}
    activations: list[Figure] = []
    with Load(balancer.address, rate=RATE, clients=CLIENTS, keeping=KEEPING, paths=PATHS) as load:
        for name, words in changes.items():
            mains = _mains(fleet.hosts)
            began = time.monotonic()
            _check_calm(fleet.advisor(*words).out)
            spans[name] = (began, time.monotonic())
            activations.append(
                Figure(f"{name}: longest activation", _activation_s(fleet.hosts), "s")
            )
            _check_restarted(fleet.hosts, mains, is_expected=name in {RESTARTS, GOES_BACK})
    return [*activations, *_figures(load.answers, spans)]


def _figures(every: Sequence[Answer], spans: Mapping[str, tuple[float, float]]) -> list[Figure]:
    figures: list[Figure] = []
    among = 0
    for name, (began, ended) in spans.items():
        answers = [each for each in every if began <= each.began < ended]
        among += len(answers)
        figures += _of_change(name, answers, ended - began)
    lost = Counter(each.lost for each in every if each.lost)
    for why, count in lost.most_common(5):
        print(f"  (lost: {count} of {why})")
    closed = sum(1 for each in every if each.again)
    return [
        *figures,
        Figure("kept connections closed as they were used", closed, ""),
        Figure("requests during all three", among, "", least=LEAST),
        Figure("lost in all", lost.total(), "", most=0),
    ]


def _mains(hosts: Sequence[Host]) -> list[str]:
    return [host.run("systemctl show -P MainPID shop.service").out for host in hosts]


def _generation(hosts: Sequence[Host]) -> str:
    """The number of what is installed, the same on all."""
    (number,) = {host.run("readlink /etc/advisor/current").out for host in hosts}
    return number.strip().rpartition("/")[2]


def _activation_s(hosts: Sequence[Host]) -> float:
    """The longest time that one of them took to restart or reload what changed."""
    steps = [last_operation(host) for host in hosts]
    return max(each["activated"]["clock_s"] - each["switched"]["clock_s"] for each in steps)


def _check_restarted(hosts: Sequence[Host], before: list[str], *, is_expected: bool) -> None:
    now = _mains(hosts)
    if any((pid != old) != is_expected for pid, old in zip(now, before, strict=True)):
        raise AssertionError(f"main processes before {before} and after {now}")


def _check_calm(out: str) -> None:
    """Every host changed, and left the balancer where it had to."""
    found = json.loads(out)["hosts"]
    odd = [each for each in found if each["state"] not in {"committed", "unchanged", "nothing"}]
    odd += [each for each in found if each.get("notes")]
    if odd:
        raise AssertionError(f"not a clean roll: {json.dumps(odd, indent=1)}")


def _of_change(name: str, answers: Sequence[Answer], took_s: float) -> list[Figure]:
    times = sorted(each.ended - each.began for each in answers)
    return [
        Figure(f"{name}: it took", took_s, "s"),
        Figure(f"{name}: rate", len(answers) / took_s, "/s"),
        Figure(f"{name}: p99", times[len(times) * 99 // 100] * 1e3, "ms"),
        Figure(f"{name}: longest", times[-1] * 1e3, "ms"),
        Figure(f"{name}: requests", len(answers), ""),
        Figure(f"{name}: lost", sum(1 for each in answers if each.lost), "", most=0),
    ]
