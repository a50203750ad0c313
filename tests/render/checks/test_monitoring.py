"""promtool takes what is rendered; what is damaged is caught; each alert fires, and is silent."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from advisor.render import check, render
from advisor.render.checks import result as result_module
from tests.render.conftest import words
from tests.render.kit.monitored import DASHBOARD, DEPLOYMENTS, MIB, RULES, SCRAPE, rec_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import NoReturn

    from advisor.documents import Recommendation
    from advisor.render import CheckResult, File

    Make = Callable[..., Recommendation]
    Damage = Callable[[Sequence[File], str, str, str], list[File]]

pytestmark = pytest.mark.daemon

OWN = "jobs and panels"


@pytest.fixture
def prometheus(not_run: Callable[[str], NoReturn]) -> str:
    """The version of the promtool that is here."""
    if result_module.find_program("promtool") is None:
        not_run("promtool is not installed")
    return words("promtool", "--version").partition("version ")[2].split()[0]


@pytest.fixture
def watched(make: Make, prometheus: str) -> Make:
    def make_one(deployment: str = "store", **changes: Any) -> Recommendation:
        changes.setdefault("components", {"prometheus": prometheus})
        return rec_of(make, deployment, **changes)

    return make_one


def checked(files: Sequence[File], rec: Recommendation) -> list[CheckResult]:
    """The checks of the monitoring's files alone."""
    return check([file for file in files if file.path.startswith("monitoring/")], rec)


def failures(results: list[CheckResult]) -> list[str]:
    return [line for result in results if result.status == "failed" for line in result.lines]


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_what_is_rendered_passes(watched: Make, deployment: str) -> None:
    rec = watched(deployment)
    results = checked(render(rec), rec)
    assert [one for one in results if one.status != "passed"] == []
    assert {(one.path, one.check == OWN) for one in results} == {
        (path, is_own) for path in (SCRAPE, RULES, DASHBOARD) for is_own in (True, False)
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"intent": {"hosts": ["10.0.0.11:80", "[fd00::3]:80"]}},
        {"intent": {"manage": ["redis", "monitoring"]}},
        {"intent": {"systemd.mode": "dropin", "systemd.unit": "web.main@1.service"}},
        {"why": {"gunicorn.workers": "It's 'quoted': # {{ not }} a \\ template"}},
        {"app": {"name": "wait-page"}, "intent": {"app.name": "wait-page"}},
    ],
)
def test_variants_pass(watched: Make, changes: dict[str, Any]) -> None:
    rec = watched(**changes)
    assert [one for one in checked(render(rec), rec) if one.status != "passed"] == []


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (SCRAPE, "static_configs", "static_config", "static_config"),
        (SCRAPE, "'shop-node'", "'shop-nod'", "which nothing scrapes"),
        (SCRAPE, "'127.0.0.1:9100'", "'http://127.0.0.1:9100/x'", "9100"),
        (SCRAPE, "scrape_configs:", "scrapes:", "holds no scrape_configs"),
        (SCRAPE, "job_name: 'shop-nginx'", "job_name: 'shop-node'", "shop-node"),
        (RULES, " == 0 or absent", " = 0 or absent", "parse"),
        (RULES, "for: '2m'", "for: 'two'", "duration"),
        (RULES, "increase(", "incraese(", "incraese"),
        (RULES, "expr:", "exper:", "exper"),
        (RULES, "{{ with $labels.instance }}", "{{ with $lables.instance }}", "lables"),
        (RULES, 'up{job="shop-node"}', 'up{job="other-node"}', "other-node"),
        (RULES, 'nginx_up{job="shop-nginx"}', "nginx_up", "anybody's figures"),
        (RULES, 'up{job="shop-node"}', "up{}", "anybody's figures"),
        (RULES, "alert: 'ServiceDown'", "alert: 'NodeUnanswered'", "there 2 times"),
        (RULES, "groups:", "groups: [", "monitoring/shop.rules.yml"),
        (RULES, "    rules:", "    ruels:", "has no rules"),
        (DASHBOARD, "up{job", "up{{job", "NodeUnanswered"),
        (DASHBOARD, 'job=\\"shop-node\\"', 'job=\\"shop-nod\\"', "shop-nod,"),
        (DASHBOARD, '"x": 12', '"x": 0', "on top of"),
        (DASHBOARD, '"x": 12', '"x": 13', "outside"),
        (DASHBOARD, '"id": 2,', '"id": 1,', "2 panels have the id 1"),
        (DASHBOARD, '"uid": "advisor-shop"', f'"uid": "{"a" * 41}"', "at most 40"),
        (DASHBOARD, '"panels"', '"panles"', "no panels"),
        (DASHBOARD, '"panels": [', '"panels": ', "not valid JSON"),
    ],
)
def test_damage_is_caught(
    watched: Make, damage: Damage, path: str, old: str, new: str, said: str
) -> None:
    rec = watched()
    lines = failures(checked(damage(render(rec), path, old, new), rec))
    assert any(said in line for line in lines), lines
    assert all(line.startswith("monitoring/") for line in lines)
    assert not any("/tmp" in line for line in lines)


def test_a_line_is_named_where_it_is_known(watched: Make, damage: Damage) -> None:
    rec = watched()
    files = damage(render(rec), RULES, 'redis_up{job="shop-redis"}', "redis_up")
    (text,) = (file.content.decode() for file in files if file.path == RULES)
    number = text.split("\n").index("      - alert: 'RedisDown'") + 1
    assert failures(checked(files, rec))[0].startswith(f"{RULES}:{number}: ")


def test_another_prometheus_speaks_for_nobody(watched: Make) -> None:
    rec = watched(components={"prometheus": "1.8.2"})
    results = checked(render(rec), rec)
    assert {one.status for one in results if one.check != OWN} == {"not_run"}
    assert {one.status for one in results if one.check == OWN} == {"passed"}


def test_without_promtool_nothing_of_its_ran(
    watched: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rec = watched()
    monkeypatch.setattr(result_module, "SBIN", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    assert {one.status for one in checked(render(rec), rec) if one.check != OWN} == {"not_run"}


# Each alert, in series a minute apart: what makes it fire, and what is as it should be.
# `0+1x9` counts up from 0 in steps of 1, `0x9` stays (promtool's notation).
MINUTES = 110
SOON = "0x105 1x14"  # once, shortly before the end
NODE, GROUPS, NGINX, CADDY, REDIS = (
    f'job="shop-{part}",instance="web1"' for part in ("node", "cadvisor", "nginx", "caddy", "redis")
)
SERVICE = "/system.slice/system-shop.slice/shop.service"
SLICE = "/system.slice/system-shop.slice"


def state(name: str) -> str:
    return f'node_systemd_unit_state{{{NODE},name="{name}",state="active",type="notify"}}'


def answers(code: int) -> str:
    own = f'{CADDY},handler="subroute",code="{code}",method="GET",server="srv0"'
    return f"caddy_http_request_duration_seconds_count{{{own}}}"


ASKED = f'caddy_http_requests_total{{{CADDY},handler="subroute",server="srv0"}}'


def faster(limit: str) -> str:
    own = f'{CADDY},handler="subroute",code="200",method="GET",server="srv0",le="{limit}"'
    return f"caddy_http_request_duration_seconds_bucket{{{own}}}"


@dataclass(frozen=True)
class Case:
    bad: dict[str, str]
    good: dict[str, str]
    also_bad: tuple[dict[str, str], ...] = ()


def constant(series: str, bad: float, good: float) -> Case:
    return Case({series: f"{bad}x120"}, {series: f"{good}x120"})


def counted(series: str) -> Case:
    return Case({series: SOON}, {series: "7x120"})


def throttled(periods: str) -> dict[str, str]:
    name = "container_cpu_cfs"
    return {
        f'{name}_{kind}_total{{{GROUPS},id="{group}"}}': values
        for group in (SERVICE, SLICE)
        for kind, values in (("periods", "0+600x120"), ("throttled_periods", periods))
    }


CASES = {
    **{
        f"{part.capitalize()}Unanswered": constant(f'up{{job="shop-{part}",instance="web1"}}', 0, 1)
        for part in ("node", "cadvisor", "nginx", "caddy", "redis")
    },
    "ServiceDown": constant(state("shop.service"), 0, 1),
    "CeleryDown": constant(state("shop-celery.service"), 0, 1),
    "RqDown": constant(state("shop-rq.service"), 0, 1),
    "Restarts": Case(
        {f'node_systemd_service_restart_total{{{NODE},name="shop.service"}}': "0x100 0+1x19"},
        {f'node_systemd_service_restart_total{{{NODE},name="shop.service"}}': "0x100 2x19"},
    ),
    "WorkersMissing": constant(
        f'node_systemd_unit_tasks_current{{{NODE},name="shop.service"}}', 2, 3
    ),
    "TasksNearMax": constant(
        f'node_systemd_unit_tasks_current{{{NODE},name="shop.service"}}', 500, 40
    ),
    "KilledForMemory": counted(f"node_vmstat_oom_kill{{{NODE}}}"),
    "BacklogOverflows": counted(f"node_netstat_TcpExt_ListenOverflows{{{NODE}}}"),
    "MemoryNearHigh": Case(
        {f'container_memory_working_set_bytes{{{GROUPS},id="{SERVICE}"}}': f"{880 * MIB}x120"},
        {
            f'container_memory_working_set_bytes{{{GROUPS},id="{SERVICE}"}}': f"{500 * MIB}x120",
            f'container_memory_working_set_bytes{{{GROUPS},id="/x.service"}}': f"{999 * MIB}x120",
        },
    ),
    # With workers the quota is their slice's, without any the service's own.
    "Throttled": Case(throttled("0+300x120"), throttled("0+60x120")),
    "NginxDown": constant(f"nginx_up{{{NGINX}}}", 0, 1),
    "NginxDropsConnections": Case(
        {
            f"nginx_connections_accepted{{{NGINX}}}": "0+10x120",
            f"nginx_connections_handled{{{NGINX}}}": "0+9x120",
        },
        {
            f"nginx_connections_accepted{{{NGINX}}}": "0+10x120",
            f"nginx_connections_handled{{{NGINX}}}": "0+10x120",
        },
    ),
    "Errors": Case(
        {ASKED: "0+100x120", answers(200): "0+90x120", answers(502): "0+10x120"},
        {ASKED: "0+150x120", answers(200): "0+99x120", answers(404): "0+51x120"},
        # An older Caddy has no status for what it answers itself.
        also_bad=({ASKED: "0+100x120", answers(200): "0+90x120"}, {ASKED: "0+100x120"}),
    ),
    "Slow": Case(
        {faster("1"): "0+90x120", faster("2.5"): "0+100x120", faster("+Inf"): "0+100x120"},
        {faster("1"): "0+99x120", faster("2.5"): "0+100x120", faster("+Inf"): "0+100x120"},
    ),
    "RedisDown": constant(f"redis_up{{{REDIS}}}", 0, 1),
    "RedisNearMaxmemory": constant(f"redis_memory_used_bytes{{{REDIS}}}", 390 * MIB, 200 * MIB),
    "RedisEvicts": counted(f"redis_evicted_keys_total{{{REDIS}}}"),
    "RedisCacheTooSmall": Case(
        {
            f"redis_keyspace_hits_total{{{REDIS}}}": "0+10x120",
            f"redis_keyspace_misses_total{{{REDIS}}}": "0+90x120",
            f"redis_evicted_keys_total{{{REDIS}}}": "0+5x120",
        },
        # As few hits, and nothing dropped: more memory would not help.
        {
            f"redis_keyspace_hits_total{{{REDIS}}}": "0+10x120",
            f"redis_keyspace_misses_total{{{REDIS}}}": "0+90x120",
            f"redis_evicted_keys_total{{{REDIS}}}": "5x120",
        },
    ),
    "RedisRejectsClients": counted(f"redis_rejected_connections_total{{{REDIS}}}"),
    "RedisLogFails": constant(f"redis_aof_last_write_status{{{REDIS}}}", 0, 1),
}
# Those that fire too where the figure is not there at all: a unit that is gone has no state.
ABSENT = {name for name in CASES if name.endswith("Unanswered")} | {
    *("ServiceDown", "CeleryDown", "RqDown")
}


def named(rules: bytes) -> set[str]:
    return {rule["alert"] for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]}


def unit_tests(names: set[str]) -> Iterator[dict[str, Any]]:
    """promtool's tests: ALERTS has a series for an alert that fires."""
    for name in sorted(names):
        case = CASES[name]
        states = (
            *((series, True) for series in (case.bad, *case.also_bad)),
            (case.good, False),
            ({}, name in ABSENT),
        )
        for series, fires in states:
            expected = [{"labels": "{}", "value": 1}] if fires else []
            alert = f'count(ALERTS{{alertname="{name}",alertstate="firing",app="shop"}})'
            yield {
                "name": f"{name}, {len(series)} series, fires: {fires}",
                "interval": "1m",
                "input_series": [
                    {"series": each, "values": values} for each, values in series.items()
                ],
                "promql_expr_test": [
                    {"expr": alert, "eval_time": f"{MINUTES}m", "exp_samples": expected}
                ],
            }


def promtool_test(rules: bytes, names: set[str], folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "rules.yml").write_bytes(rules)
    tests = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "5m",
        "tests": list(unit_tests(names)),
    }
    (folder / "tests.yml").write_text(json.dumps(tests))
    return subprocess.run(
        [str(result_module.find_program("promtool")), "test", "rules", "tests.yml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def rules_of(rec: Recommendation) -> bytes:
    (file,) = (file for file in render(rec) if file.path == RULES)
    return file.content


def test_every_alert_has_its_cases(make: Make) -> None:
    assert set().union(*(named(rules_of(rec_of(make, each))) for each in DEPLOYMENTS)) == set(CASES)


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_each_alert_fires_when_it_should_and_is_silent_when_not(
    watched: Make, deployment: str, tmp_path: Path
) -> None:
    rules = rules_of(watched(deployment))
    done = promtool_test(rules, named(rules), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("ServiceDown", b" == 0 or absent(node", b" == 5 or absent(node"),
        ("WorkersMissing", b" < 3", b" < 9"),
        ("MemoryNearHigh", b'id=~".*/shop', b'id=~".*/'),
        ("RedisEvicts", b"total{job=", b"totals{job="),
    ],
)
def test_the_cases_see_an_alert_that_is_wrong(
    watched: Make, name: str, old: bytes, new: bytes, tmp_path: Path
) -> None:
    rules = rules_of(watched())
    before, mark, after = rules.partition(f"'{name}'".encode())
    assert old in after
    done = promtool_test(before + mark + after.replace(old, new, 1), {name}, tmp_path)
    assert done.returncode != 0
