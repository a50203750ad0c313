"""Celery's and RQ's units: their words, their sandbox, and the warm stop they are left time for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from advisor.errors import InvalidInput
from advisor.render import check, not_rendered, render
from advisor.render.checks.result import find_program
from advisor.rules import RULES
from tests.render.conftest import words
from tests.render.trees import trees

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

CELERY, RQ = "workers/shop-celery.service", "workers/shop-rq.service"
INTENT = {
    "manage": ["systemd", "workers"],
    "background.celery": {"app": "shop.tasks:queue", "kind": "cpu"},
    "background.rq": {"queues": ["high", "low"], "kind": "io"},
}
SETTINGS = {
    "celery.pool": "prefork",
    "celery.concurrency": 4,
    "celery.prefetch_multiplier": 1,
    "celery.max_tasks_per_child": 1000,
    "celery.cpu_weight": 20,
    "rq.workers": 3,
    "rq.cpu_weight": 10,
}
KNOWN = {"rq": "2.6.0", "celery": "5.6.0", "systemd": "252"}


def rec_of(make: Make, **changes: Any) -> Recommendation:
    intent = INTENT | changes.pop("intent", {})
    values = SETTINGS | changes.pop("settings", {})
    components = KNOWN | changes.pop("components", {})
    return make(intent=intent, settings=values, components=components, **changes)


def unit_of(rec: Recommendation, path: str) -> dict[str, dict[str, list[str]]]:
    out: dict[str, dict[str, list[str]]] = {}
    for section, assignments in trees(render(rec))[path]:
        for key, value in assignments:
            out.setdefault(section, {}).setdefault(key, []).append(value)
    return out


def paths(rec: Recommendation) -> set[str]:
    return {file.path for file in render(rec) if file.path.startswith("workers/")}


def test_each_is_there_where_it_works_and_is_ours(make: Make) -> None:
    assert paths(rec_of(make)) == {CELERY, RQ}
    assert paths(rec_of(make, intent={"background.rq": None})) == {CELERY}
    assert paths(rec_of(make, intent={"background.celery": None})) == {RQ}
    assert paths(rec_of(make, intent={"manage": ["systemd"]})) == set()
    assert paths(rec_of(make, intent={"manage": ["workers"]})) == {CELERY, RQ}


def test_every_setting_of_the_rules_is_written(make: Make) -> None:
    ours = ("celery.", "rq.")
    written = {id_ for id_, rule in RULES.items() if rule.applied_by == "file"}
    assert set(SETTINGS) == {id_ for id_ in written if id_.startswith(ours)}
    assert not [id_ for id_ in not_rendered(rec_of(make)) if id_.startswith(ours)]


def test_celerys_command(make: Make) -> None:
    service = unit_of(rec_of(make), CELERY)["Service"]
    (command,) = service["ExecStart"]
    assert command == (
        "/srv/shop/venv/bin/celery --app shop.tasks:queue worker --pool=prefork --concurrency=4 "
        "--prefetch-multiplier=1 --max-tasks-per-child=1000"
    )
    assert service["CPUWeight"] == ["20"]


def test_what_celery_keeps_is_not_said(make: Make) -> None:
    rec = rec_of(make, settings=dict.fromkeys(SETTINGS))
    service = unit_of(rec, CELERY)["Service"]
    assert service["ExecStart"] == ["/srv/shop/venv/bin/celery --app shop.tasks:queue worker"]
    assert "CPUWeight" not in service


def test_rqs_workers_are_one_pool(make: Make) -> None:
    service = unit_of(rec_of(make), RQ)["Service"]
    assert service["ExecStart"] == ["/srv/shop/venv/bin/rq worker-pool high low --num-workers 3"]
    assert service["CPUWeight"] == ["10"]


@pytest.mark.parametrize("version", ["1.13.0", "absent"])
def test_an_rq_that_has_no_pool_runs_one_worker_and_says_so(make: Make, version: str) -> None:
    rec = rec_of(make, components={"rq": version})
    assert unit_of(rec, RQ)["Service"]["ExecStart"] == ["/srv/shop/venv/bin/rq worker high low"]
    (file,) = (file for file in render(rec) if file.path == RQ)
    assert b"more of them need RQ 1.14; the target's version is" in file.content


@pytest.mark.parametrize("path", [CELERY, RQ])
def test_a_stop_lets_running_work_finish(make: Make, path: str) -> None:
    """SIGTERM, systemd's own, and to the main process alone: it tells the others."""
    service = unit_of(rec_of(make), path)["Service"]
    assert service["KillMode"] == ["mixed"]
    assert "KillSignal" not in service
    assert int(service["TimeoutStopSec"][0]) > 180
    assert "ExecReload" not in service


@pytest.mark.parametrize("path", [CELERY, RQ])
def test_it_runs_as_the_app_does(make: Make, path: str) -> None:
    rec = rec_of(make)
    ours = unit_of(rec, path)["Service"]
    apps = unit_of(rec, "systemd/shop.service")["Service"]
    keys = ("User", "Slice", "WorkingDirectory", "Environment", "EnvironmentFile", "Restart")
    assert {key: ours.get(key) for key in keys} == {key: apps.get(key) for key in keys}
    sandbox = ("ProtectSystem", "ProtectHome", "PrivateTmp", "NoNewPrivileges", "SystemCallFilter")
    assert {key: ours[key] for key in sandbox} == {key: apps[key] for key in sandbox}


def test_the_brokers_address_is_named_and_never_written(make: Make) -> None:
    rec = rec_of(make)
    for path in (CELERY, RQ):
        assert "/etc/shop/env" in unit_of(rec, path)["Service"]["EnvironmentFile"]
        (file,) = (file for file in render(rec) if file.path == path)
        assert b"redis://" not in file.content


def test_each_word_has_its_reason_above(make: Make) -> None:
    (file,) = (
        file
        for file in render(rec_of(make, settings={"celery.pool": "threads"}))
        if file.path == CELERY
    )
    text = file.content.decode()
    head, _, _ = text.partition("ExecStart=")
    for word in ("--pool", "--concurrency", "--prefetch-multiplier", "--max-tasks-per-child"):
        assert f"\n# {word}: " in head


def test_an_older_systemd_gets_what_it_knows(make: Make) -> None:
    service = unit_of(rec_of(make, components={"systemd": "239"}), CELERY)["Service"]
    assert service["Type"] == ["simple"]
    assert "OOMPolicy" not in service
    assert unit_of(rec_of(make), CELERY)["Service"]["Type"] == ["exec"]


@pytest.mark.parametrize("version", ["5.0.0", "5.1.0"])
def test_threads_are_refused_where_the_command_line_knows_none(make: Make, version: str) -> None:
    threads = {"celery.pool": "threads"}
    with pytest.raises(InvalidInput, match=r"celery\.pool"):
        render(rec_of(make, settings=threads, components={"celery": version}))
    for able in ("4.4.7", "5.1.1", "absent"):
        render(rec_of(make, settings=threads, components={"celery": able}))


def test_one_process_of_threads_ends_as_a_whole(make: Make) -> None:
    threads = unit_of(rec_of(make, settings={"celery.pool": "threads"}), CELERY)["Service"]
    assert "OOMPolicy" not in threads
    assert unit_of(rec_of(make), CELERY)["Service"]["OOMPolicy"] == ["continue"]


def test_a_factory_is_refused(make: Make) -> None:
    celery = {"app": "shop.tasks:make_app()", "kind": "io"}
    with pytest.raises(InvalidInput, match=r"background\.celery"):
        render(rec_of(make, intent={"background.celery": celery}))


@pytest.mark.daemon
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"intent": {"manage": ["workers"]}},
        {"intent": {"app.directory": "/home/ann/shop", "app.virtualenv": "/tmp/venv"}},
        {"settings": dict.fromkeys(SETTINGS)},
    ],
)
def test_systemd_takes_them(
    make: Make, changes: dict[str, Any], not_run: Callable[[str], NoReturn]
) -> None:
    if find_program("systemd-analyze") is None:
        not_run("systemd-analyze is not installed")
    version = words("systemd-analyze", "--version").split()[1]
    rec = rec_of(make, components={"systemd": version}, **changes)
    results = [one for one in check(render(rec), rec) if one.path in {CELERY, RQ}]
    assert {one.path for one in results if "verify" in one.check} == {CELERY, RQ}
    assert [one for one in results if one.status != "passed"] == []
