"""What is watched is what is rendered, by limits of the recommendation, with a panel for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from advisor.render import render
from advisor.render.kit.monitoring_alerts import alerts
from advisor.render.values import inputs_of
from tests.render.kit.monitored import (
    ALL,
    DASHBOARD,
    DEPLOYMENTS,
    MIB,
    RULES,
    SCRAPE,
    rec_of,
)
from tests.render.trees import trees

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

USUAL = ["server", "proxy", "systemd"]


def tree_of(rec: Recommendation, path: str) -> Any:
    return trees(render(rec))[path]


def jobs_of(rec: Recommendation) -> dict[str, list[str]]:
    return {
        job["job_name"]: job["static_configs"][0]["targets"]
        for job in tree_of(rec, SCRAPE)["scrape_configs"]
    }


def rules_of(rec: Recommendation) -> dict[str, dict[str, Any]]:
    (group,) = tree_of(rec, RULES)["groups"]
    assert group["name"] == "advisor-shop"
    return {rule["alert"]: rule for rule in group["rules"]}


def text_of(rec: Recommendation, path: str) -> str:
    (file,) = (file for file in render(rec) if file.path == path)
    return file.content.decode()


def test_it_is_there_on_request_alone(make: Make) -> None:
    paths = {file.path for file in render(rec_of(make, intent={"manage": USUAL}))}
    assert not any(path.startswith("monitoring/") for path in paths)
    assert {SCRAPE, RULES, DASHBOARD} <= {file.path for file in render(rec_of(make))}


def test_nothing_to_watch_is_no_file(make: Make) -> None:
    rec = rec_of(make, intent={"manage": ["monitoring"]})
    assert [file.path for file in render(rec) if file.output] == []


def test_an_exporter_for_each_part_that_is_rendered(make: Make) -> None:
    assert jobs_of(rec_of(make)) == {
        "shop-node": ["127.0.0.1:9100"],
        "shop-cadvisor": ["127.0.0.1:4194"],
        "shop-nginx": ["127.0.0.1:9113"],
        "shop-redis": ["127.0.0.1:9121"],
    }
    assert set(jobs_of(rec_of(make, "cache"))) == {
        *("shop-node", "shop-cadvisor", "shop-caddy", "shop-redis")
    }
    nginx = rec_of(make, intent={"manage": ["proxy", "monitoring"]})
    assert set(jobs_of(nginx)) == {"shop-nginx"}
    workers = rec_of(make, intent={"manage": ["workers", "monitoring"]})
    assert set(jobs_of(workers)) == {"shop-node"}


def test_several_hosts_have_an_exporter_each(make: Make) -> None:
    hosts = ["10.0.0.11:80", "web2.example:80", "[fd00::3]:80"]
    rec = rec_of(make, intent={"hosts": hosts})
    assert jobs_of(rec)["shop-node"] == ["10.0.0.11:9100", "web2.example:9100", "[fd00::3]:9100"]
    assert "127.0.0.1" not in text_of(rec, SCRAPE).replace("http://127.0.0.1", "")


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_a_balancer_that_reaches_the_apps_themselves_leaves_no_proxy_beside_them(
    make: Make, deployment: str
) -> None:
    intent = {"hosts": ["10.0.0.11:8000", "10.0.0.12:8000"], "listen": "0.0.0.0:8000"}
    jobs = jobs_of(rec_of(make, deployment, intent=intent))
    assert not {"shop-nginx", "shop-caddy"} & set(jobs)


def test_it_says_what_has_to_run_and_never_a_password(make: Make) -> None:
    text = text_of(rec_of(make), SCRAPE)
    assert "--collector.systemd.enable-task-metrics" in text
    assert "/stub_status" in text
    assert "--redis.password-file" in text
    (nginx,) = (file for file in render(rec_of(make)) if file.path == "nginx/shop.conf")
    status = text.partition("--nginx.scrape-uri=http://")[2].split()[0]
    address, _, path = status.rstrip(".").partition("/")
    assert f"listen {address};".encode() in nginx.content
    assert f"location = /{path} ".encode() in nginx.content


@pytest.mark.parametrize(
    ("version", "how"),
    [
        ("2.43.0", "has to name it"),
        ("3.1.0", "has to name it"),
        ("2.42.0", "go under scrape_configs"),
        ("absent", "go under scrape_configs"),
    ],
)
def test_how_prometheus_takes_the_jobs_depends_on_its_version(
    make: Make, version: str, how: str
) -> None:
    assert how in text_of(rec_of(make, components={"prometheus": version}), SCRAPE)


def test_limits_are_the_recommendations(make: Make) -> None:
    rules = rules_of(rec_of(make))
    assert rules["MemoryNearHigh"]["expr"].endswith(f"> {int(0.95 * 900 * MIB)}")
    assert rules["RedisNearMaxmemory"]["expr"].endswith(f"> {int(0.9 * 400 * MIB)}")
    assert rules["TasksNearMax"]["expr"].endswith("> 460")
    assert rules["WorkersMissing"]["expr"].endswith("< 3")


def test_a_limit_has_its_reason_above(make: Make) -> None:
    rec = rec_of(make, why={"gunicorn.workers": "Both cores."})
    assert "      # Both cores.\n      - alert: 'WorkersMissing'" in text_of(rec, RULES)


def test_without_a_limit_there_is_no_alert(make: Make) -> None:
    unset = {
        "systemd.memory_high": None,
        "systemd.cpu_quota": None,
        "systemd.tasks_max": None,
        "redis.maxmemory": None,
        "redis.appendonly": None,
        "gunicorn.workers": 1,
    }
    rec = rec_of(make, settings=unset)
    gone = {
        *("MemoryNearHigh", "Throttled", "TasksNearMax", "RedisNearMaxmemory", "RedisLogFails"),
        *("WorkersMissing", "CadvisorUnanswered"),
    }
    assert gone.isdisjoint(rules_of(rec))
    assert "shop-cadvisor" not in jobs_of(rec)


def test_a_cache_may_evict_and_nothing_else_may(make: Make) -> None:
    assert "RedisEvicts" in rules_of(rec_of(make))
    assert "RedisEvicts" not in rules_of(rec_of(make, "cache"))
    assert "RedisNearMaxmemory" not in rules_of(rec_of(make, "cache"))
    assert "RedisCacheTooSmall" in rules_of(rec_of(make, "cache"))


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_each_alert_says_what_is_wrong_how_bad_it_is_and_what_to_do(
    make: Make, deployment: str
) -> None:
    for rule in rules_of(rec_of(make, deployment)).values():
        assert rule["labels"]["app"] == "shop"
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"].endswith(".")
        assert len(rule["annotations"]["description"].split()) >= 5


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_each_alert_has_a_panel_with_its_limit(make: Make, deployment: str) -> None:
    rec = rec_of(make, deployment)
    panels = tree_of(rec, DASHBOARD)["panels"]
    assert [panel["title"] for panel in panels] == list(rules_of(rec))
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel, alert in zip(panels, alerts(inputs_of(rec)), strict=True):
        assert panel["targets"][0]["expr"] == alert.value
        assert panel["description"] == alert.remedy
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert sorted(step["color"] for step in steps) == ["green", "red"]


def test_the_dashboard_is_the_apps_own_and_says_whence_it_comes(make: Make) -> None:
    found = tree_of(rec_of(make), DASHBOARD)
    assert found["uid"] == "advisor-shop"
    assert "Rendered by advisor for shop" in found["description"]
    assert "inputs " in found["description"]
    longest = "a" * 32
    rec = rec_of(make, app={"name": longest}, intent={"app.name": longest})
    assert len(trees(render(rec))[f"monitoring/{longest}.dashboard.json"]["uid"]) <= 40


def test_alerts_follow_what_is_managed(make: Make) -> None:
    """Taking a part away takes its alerts, and changes no other."""
    full = rules_of(rec_of(make))
    without = rules_of(rec_of(make, intent={"manage": [part for part in ALL if part != "redis"]}))
    assert {name for name in full if name not in without} == {
        name for name in full if name.startswith("Redis")
    }
    assert {name: full[name] for name in without} == without


def test_a_dropin_watches_the_unit_that_exists(make: Make) -> None:
    intent = {"systemd.mode": "dropin", "systemd.unit": "web.main@1.service"}
    rules = rules_of(rec_of(make, intent=intent))
    assert 'name="web.main@1.service"' in rules["ServiceDown"]["expr"]
    assert 'id=~".*/web.main@1.service"' in rules["MemoryNearHigh"]["expr"]
