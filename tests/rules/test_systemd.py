"""systemd takes every value, and tells when it does not know one."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from advisor.rules import RULES
from tests.rules.cases.celery import CASES as CELERY
from tests.rules.cases.systemd import CASES, booting, served_by

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import NoReturn

# What each setting is called in a unit, and how its value is written there.
DIRECTIVES = {
    "systemd.memory_max": ("MemoryMax", "{}"),
    "systemd.memory_high": ("MemoryHigh", "{}"),
    "systemd.cpu_weight": ("CPUWeight", "{}"),
    "celery.cpu_weight": ("CPUWeight", "{}"),
    "systemd.cpu_quota": ("CPUQuota", "{}%"),
    "systemd.tasks_max": ("TasksMax", "{}"),
    "systemd.limit_nofile": ("LimitNOFILE", "{}"),
    "systemd.timeout_start_sec": ("TimeoutStartSec", "{}"),
    "systemd.timeout_stop_sec": ("TimeoutStopSec", "{}"),
    "systemd.restart_sec": ("RestartSec", "{}"),
    "systemd.oom_policy": ("OOMPolicy", "{}"),
    "systemd.memory_deny_write_execute": ("MemoryDenyWriteExecute", "{}"),
    "systemd.proc_subset": ("ProcSubset", "{}"),
}
PINNED = {
    "systemd.memory_deny_write_execute": [True, False],
    "systemd.proc_subset": ["all", "pid"],
    "systemd.oom_policy": ["continue", "stop", "kill"],
}
LINES = sorted(
    {
        f"{name}={form.format(str(value).lower())}"
        for id_, (name, form) in DIRECTIVES.items()
        for value in [
            *(value for _, value in (CASES | CELERY)[id_]),
            *PINNED.get(id_, []),
        ]
        if isinstance(value, int | str)
    }
)


def complaints(line: str, folder: Path, not_run: Callable[[str], NoReturn]) -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        not_run("no systemd-analyze")
    unit = folder / "shop.service"
    unit.write_text(f"[Service]\nExecStart=/bin/true\n{line}\n")
    for target in ("basic", "shutdown", "sysinit"):
        (folder / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
    done = subprocess.run(
        [program, "verify", "--man=no", str(unit)],
        env={"SYSTEMD_UNIT_PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stderr


@pytest.mark.daemon
def test_systemd_takes_every_value(tmp_path: Path, not_run: Callable[[str], NoReturn]) -> None:
    assert complaints("\n".join(LINES), tmp_path, not_run) == ""


@pytest.mark.daemon
@pytest.mark.parametrize("wrong", ["CPUQuota=200", "CPUWeight=20000", "OOMPolicy=go-on"])
def test_what_systemd_would_not_take_shows(
    wrong: str, tmp_path: Path, not_run: Callable[[str], NoReturn]
) -> None:
    assert "ignoring" in complaints(wrong, tmp_path, not_run)


def choice(id_: str, evidence: dict[str, Any]) -> Any:
    rule = RULES[id_]
    return rule.decide({name: evidence.get(name) for name in (*rule.needs, *rule.wants)})


def test_an_unknown_version_is_said() -> None:
    why = choice("systemd.oom_policy", served_by("gunicorn")).why
    assert "unknown version" in why
    told = choice("systemd.oom_policy", served_by("gunicorn") | {"can.systemd.oom_policy": False})
    assert "below 243" in told.why


def test_a_quota_says_that_it_throttles() -> None:
    why = choice("systemd.cpu_quota", {"budget.cpus": 0.5}).why
    assert "50 ms are used in a period of 100 ms" in why
    assert RULES["systemd.cpu_quota"].optional


@pytest.mark.parametrize("seconds", [0.1, 1, 5, 20, 100])
def test_a_crash_loop_leaves_half_of_the_cpu_and_is_not_given_up(seconds: float) -> None:
    evidence = booting(seconds, workers=4, cores=2)
    pause = choice("systemd.restart_sec", evidence).value
    assert pause >= 2 * seconds
    assert 5 * pause > 10
    assert choice("systemd.timeout_start_sec", evidence).value >= 4 * 2 * seconds
