from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from advisor.render import render
from advisor.render.checks import sysctl
from advisor.render.values import inputs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from advisor.documents import Recommendation
    from advisor.render import CheckResult, File

    Make = Callable[..., Recommendation]
    Damage = Callable[[Sequence[File], str, str, str], list[File]]

PATH = "sysctl/90-shop.conf"
VALUES = {
    "sysctl.somaxconn": 8192,
    "sysctl.tcp_max_syn_backlog": 8192,
    "sysctl.ip_local_port_range": [16384, 65535],
    "sysctl.tcp_fin_timeout": 60,
    "sysctl.tcp_migrate_req": 1,
    "sysctl.file_max": 2**40,
}
APPLY = "/usr/lib/systemd/systemd-sysctl"


@pytest.fixture
def files(make: Make) -> list[File]:
    return render(make(intent={"manage": ["sysctl"]}, settings=VALUES))


def check(files: Sequence[File], make: Make, proc: Path = sysctl.PROC) -> list[CheckResult]:
    theirs = [file for file in files if file.path == PATH]
    return sysctl.check(theirs, inputs_of(make()), proc)


def test_what_is_rendered_passes(files: list[File], make: Make) -> None:
    (result,) = check(files, make)
    assert (result.path, result.status) == (PATH, "passed")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("net.core.somaxconn", "net.core.somaxcon", "net.core.somaxcon is no key of ours"),
        ("net.core.somaxconn = ", "net.core.somaxconn: ", "only KEY = VALUE"),
        ("= 60", "= sixty", "should be a number"),
        ("= 60", "= 60 70", "should be a number"),
        ("16384 65535", "16384", "should be two numbers"),
        ("16384 65535", "65535 16384", "the first port should be below the last"),
        ("net.ipv4.tcp_fin_timeout = 60", "net.core.somaxconn = 60", "is there twice"),
        ("fs.file-max", "kernel.core_pattern", "is no key of ours"),
    ],
)
def test_damage_is_named_with_its_line(
    files: list[File], make: Make, damage: Damage, old: str, new: str, said: str
) -> None:
    damaged = damage(files, PATH, old, new)
    text = next(file.content.decode() for file in damaged if file.path == PATH)
    (result,) = check(damaged, make)
    number = 1 + max(i for i, line in enumerate(text.split("\n")) if new in line)
    assert result.status == "failed"
    assert any(line.startswith(f"{PATH}:{number}: ") and said in line for line in result.lines)


def test_a_kernel_without_the_keys_cannot_tell(
    files: list[File], make: Make, tmp_path: Path
) -> None:
    passed, skipped = check(files, make, tmp_path)
    assert (passed.status, skipped.status) == ("passed", "not_run")
    assert "net.core.somaxconn" in skipped.lines[0]


@pytest.mark.daemon
def test_systemd_sets_the_values_in_a_network_of_its_own(
    files: list[File], tmp_path: Path, not_run: Callable[[str], NoReturn]
) -> None:
    """fs.file-max aside, which has no namespace: only keys below net/ are applied."""
    if os.geteuid() != 0 or not Path(APPLY).exists():
        not_run("needs root, unshare and systemd-sysctl")
    conf = tmp_path / "90-shop.conf"
    conf.write_bytes(next(file.content for file in files if file.path == PATH))
    keys = ["core/somaxconn", "ipv4/tcp_max_syn_backlog", "ipv4/ip_local_port_range"]
    shown = " ".join(f"/proc/sys/net/{key}" for key in keys)
    script = f"mount -t proc proc /proc && {APPLY} --prefix=/net {conf} && cat {shown}"
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    if "Operation not permitted" in done.stderr or "Read-only" in done.stderr:
        not_run(f"no network namespace to be had: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["8192", "8192", "16384", "65535"]
