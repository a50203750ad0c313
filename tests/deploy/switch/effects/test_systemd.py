"""systemd's part that needs none: its words, its links, units asked where they are staged."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import pytest

from advisor.deploy.switch.commands import Outcome, find
from advisor.deploy.switch.daemons import Daemons
from advisor.deploy.switch.documents import Install, Unit
from advisor.deploy.switch.effects import Host
from advisor.deploy.switch.layout import Layout
from advisor.deploy.switch.nginx import Nginx
from advisor.deploy.switch.systemd import (
    assignments,
    disable,
    enable,
    failed,
    seconds,
    split,
    state,
)
from tests.deploy.switch.effects.conftest import Machine, Services, row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UNIT = """[Unit]
Description=shop
[Service]
{line}
ExecStart=/bin/sleep 60
[Install]
WantedBy=multi-user.target web.target
"""


def test_a_unit_that_systemd_does_not_know() -> None:
    found = state("LoadState=not-found\nActiveState=inactive\nSubState=dead\nMainPID=0\n")
    assert not found.is_up
    assert found.words == "not-found"
    assert state("").main_pid == 0


def test_a_unit_that_is_about_to_start_again_is_not_up() -> None:
    found = state("LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nNRestarts=3")
    assert not found.is_up
    assert (found.words, found.restarts) == ("activating (auto-restart)", 3)


def test_words_of_a_directive() -> None:
    assert split("A=1 \"B=two words\" 'C=3' D=50%%") == ["A=1", "B=two words", "C=3", "D=50%"]
    assert split('un"closed') == ['un"closed']
    text = "[Service]\nA=1\n;B=2\n[Install]\nA=3\n"
    assert list(assignments(text, "Install")) == [("A", "3")]


def test_what_failed_in_words() -> None:
    done = Outcome(1, "", "Job for shop.service failed.\n")
    assert failed(done, ["reload", "shop.service"]).endswith(
        "shop.service: Job for shop.service failed."
    )
    assert failed(Outcome(4, "", ""), ["stop"]) == "systemctl stop: ended with 4"


def test_a_folder_that_enabling_makes_is_everybodys_to_read(tmp_path: Path) -> None:
    """The switch's own unit has UMask=0077."""
    before = os.umask(0o077)
    try:
        enable("shop.service", UNIT, tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "web.target.wants").stat().st_mode & 0o777 == 0o755


def test_times_as_systemctl_prints_them() -> None:
    assert seconds("5min") == 300
    assert seconds("1w 2d 3h 4min 5s 500ms") == 788645.5
    assert seconds("infinity") >= 3600
    assert seconds("") == seconds("0") == 0


def test_links_as_systemctl_makes_them(tmp_path: Path) -> None:
    text = UNIT.format(line="")
    enable("shop.service", text, tmp_path)
    enable("shop.service", text, tmp_path)
    enable("other.service", "[Install]\nWantedBy=web.target\n", tmp_path)
    links = {path for path in tmp_path.rglob("*") if path.is_symlink()}
    wants = {tmp_path / f"{target}.target.wants/shop.service" for target in ("multi-user", "web")}
    assert links - {tmp_path / "web.target.wants/other.service"} == wants
    assert {str(path.readlink()) for path in wants} == {"../shop.service"}
    disable("shop.service", tmp_path)
    assert not any(path.is_symlink() for path in wants)
    assert (tmp_path / "web.target.wants/other.service").is_symlink()
    assert not (tmp_path / "multi-user.target.wants").exists()


@pytest.mark.daemon
@pytest.mark.parametrize(
    ("line", "word"),
    [("NoNewPrivileges=yes", None), ("NoNewPrivilges=yes", "NoNewPrivilges")],
)
def test_units_are_verified_where_they_are_staged(
    tmp_path: Path, line: str, word: str | None, not_run: Callable[[str], NoReturn]
) -> None:
    if find("systemd-analyze") is None or os.geteuid() != 0:
        not_run("systemd-analyze is not installed, or this is not root")
    layout = Layout(tmp_path)
    tree = layout.tree(2, "shop") / "systemd"
    tree.mkdir(parents=True)
    (tree / "shop.service").write_text(UNIT.format(line=line))
    layout.units.mkdir(parents=True)
    rows = [row("systemd/shop.service", "/etc/systemd/system/shop.service", "systemd", "restart")]
    units = [Unit("shop.service", "service", trial=("/bin/true",))]
    new = Install("shop", "0", "nobody", "nogroup", "gunicorn", rows, units, None, None)
    host = Host(layout, Daemons(Services(), Nginx(words=("no-nginx",))))
    links = {each.target: layout.destination("shop", each.path) for each in rows}
    found = host.staged_problems(new, layout.generation(2), links)
    assert not list(layout.units.iterdir())
    if word is None:
        assert found is None
    else:
        assert found is not None
        assert found.message == "systemd refuses the new units"
        assert word in str(found.lines)


@pytest.mark.daemon
def test_a_trial_that_fails_is_the_last_word(machine: Machine) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gets a mount namespace")
    unit = machine.put("/etc/systemd/system/shop.service", "[Service]\nWorkingDirectory=/\n")
    trial = ("/bin/sh", "-c", "echo no module named shop >&2; exit 1")
    units = [Unit("shop.service", "service", trial=trial)]
    new = Install("shop", "0", "nobody", "nogroup", "gunicorn", [], units, None, None)
    found = machine.host().staged_problems(new, machine.layout.generation(1), {})
    assert unit.exists()
    assert found is not None
    assert found.lines == ("no module named shop",)
