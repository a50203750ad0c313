from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from advisor.render import render
from advisor.render.kit.launch import launch
from advisor.render.values import inputs_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

DROPIN = "systemd/shop-web.service.d/advisor.conf"
BESIDE = {"systemd.mode": "dropin", "systemd.unit": "shop-web.service"}
OTHERS = {"manage": ["proxy", "systemd"]}
LIMITS = {
    "systemd.tasks_max": 512,
    "systemd.restart_sec": 3,
    "systemd.oom_policy": "continue",
    "systemd.cpu_quota": 150,
}


def texts(rec: Recommendation) -> dict[str, str]:
    return {
        file.path: file.content.decode() for file in render(rec) if file.path.startswith("systemd/")
    }


def assigned(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.split("\n"):
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("intent", [BESIDE, BESIDE | OTHERS])
def test_beside_a_unit_that_exists_there_is_no_unit_of_ours(
    make: Make, intent: dict[str, Any]
) -> None:
    paths = {path for path in texts(make(intent=intent)) if not path.endswith("tmpfiles.conf")}
    assert paths == {DROPIN}


def test_its_place_sorts_before_an_administrators_own(make: Make) -> None:
    (output,) = (file.output for file in render(make(intent=BESIDE)) if file.path == DROPIN)
    assert output is not None
    assert output.target == "/etc/systemd/system/shop-web.service.d/10-advisor.conf"


def test_a_unit_without_a_name_is_the_apps(make: Make) -> None:
    assert "systemd/shop.service.d/advisor.conf" in texts(make(intent={"systemd.mode": "dropin"}))


def test_its_sandbox_and_its_user_stay_its_own(make: Make) -> None:
    lines = assigned(texts(make(intent=BESIDE, settings=LIMITS))[DROPIN])
    assert not [key for key in lines if key.startswith(("Protect", "Private", "Restrict", "User"))]
    assert "SystemCallFilter" not in lines


def test_a_lock_that_was_asked_for_is_set(make: Make) -> None:
    locks = {"systemd.memory_deny_write_execute": True, "systemd.proc_subset": "pid"}
    lines = assigned(texts(make(intent=BESIDE, settings=locks))[DROPIN])
    assert (lines["MemoryDenyWriteExecute"], lines["ProcSubset"]) == (["yes"], ["pid"])


def test_limits_are_ours_whoever_starts_the_server(make: Make) -> None:
    for intent in (BESIDE, BESIDE | OTHERS):
        lines = assigned(texts(make(intent=intent, settings=LIMITS))[DROPIN])
        assert lines["TasksMax"] == ["512"]
        assert lines["CPUQuota"] == ["150%"]
        assert lines["OOMPolicy"] == ["continue"]
        assert lines["MemoryMax"] == ["262144000"]


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn", "hypercorn", "granian"])
def test_where_the_server_is_ours_so_is_its_command(make: Make, server: str) -> None:
    rec = make(intent=BESIDE | {"server": server})
    started = launch(inputs_of(rec))
    lines = assigned(texts(rec)[DROPIN])
    assert lines["ExecStart"] == ["", " ".join(started.command)]
    assert lines["ExecReload"][0] == ""
    assert lines["Type"] == [started.type]
    assert lines["WorkingDirectory"] == ["/srv/shop"]


def test_its_socket_lies_in_a_folder_of_ours(make: Make) -> None:
    rendered = texts(make(intent=BESIDE))
    lines = assigned(rendered[DROPIN])
    assert lines["ReadWritePaths"] == ["/run/shop"]
    assert lines["ExecStartPre"] == ["/bin/rm -f /run/shop/shop.sock"]
    assert "d /run/shop 2750 shop www-data -" in rendered["systemd/tmpfiles.conf"].split("\n")
    by_port = texts(make(intent=BESIDE | {"listen": "127.0.0.1:8000"}))
    assert "ReadWritePaths" not in assigned(by_port[DROPIN])
    assert "systemd/tmpfiles.conf" not in by_port


def test_where_the_server_is_not_ours_its_command_stays(make: Make) -> None:
    rendered = texts(make(intent=BESIDE | OTHERS))
    lines = assigned(rendered[DROPIN])
    assert not {"ExecStart", "ExecStartPre", "ExecReload", "Type", "KillMode"} & set(lines)
    assert lines["Environment"] == ["LOG_LEVEL=info", "DATABASE_HOST=db.internal:5432"]
    assert "the unit's own command stays" in rendered[DROPIN]


def test_what_its_systemd_lacks_is_left_out_with_the_reason(make: Make) -> None:
    rec = make(intent=BESIDE, settings=LIMITS, components={"systemd": "241"})
    text = texts(rec)[DROPIN]
    assert "OOMPolicy" not in assigned(text)
    assert "# OOMPolicy is left out: it needs systemd 243; the target's version is 241." in text
