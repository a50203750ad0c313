from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.documents import Interface
from advisor.host.interfaces import interfaces, parse_speed


def link(
    root: Path, name: str, *, flags: str = "0x1003", state: str = "up", speed: str | None = None
) -> Path:
    folder = root / "sys/class/net" / name
    folder.mkdir(parents=True)
    (folder / "flags").write_text(f"{flags}\n")
    (folder / "operstate").write_text(f"{state}\n")
    if speed is not None:  # the file of a link without one cannot be read (EINVAL)
        (folder / "speed").write_text(f"{speed}\n")
    return folder


def test_hardware_that_is_up_and_nothing_beside_it(tmp_path: Path) -> None:
    (link(tmp_path, "eth0", speed="10000") / "device").mkdir()
    (link(tmp_path, "eth1", speed="1000", state="down") / "device").mkdir()
    (link(tmp_path, "eth2", speed="1000", flags="0x1002") / "device").mkdir()
    link(tmp_path, "lo", flags="0x9", state="unknown")
    link(tmp_path, "docker0", speed="10000")
    link(tmp_path, "veth3f1c", speed="10000")
    (tmp_path / "sys/class/net/bonding_masters").write_text("bond0\n")
    # 10,000 Mbit/s are 1.25e9 bytes a second.
    assert interfaces(tmp_path) == [Interface(name="eth0", bytes_per_s=1_250_000_000)]


def test_a_containers_links_where_there_is_no_hardware(tmp_path: Path) -> None:
    link(tmp_path, "lo", flags="0x9", state="unknown")
    link(tmp_path, "eth0", speed="10000")
    link(tmp_path, "tun0", flags="0x1091", state="unknown")
    found = interfaces(tmp_path)
    assert [(item.name, item.bytes_per_s) for item in found] == [
        ("eth0", 1_250_000_000),
        ("tun0", None),
    ]


def test_without_sys_there_are_none(tmp_path: Path) -> None:
    assert interfaces(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [("100", 12_500_000), ("-1", None), ("0", None), ("4294967295", None), ("", None), ("²", None)],
)
def test_a_speed_in_bytes_or_none(content: str, expected: int | None) -> None:
    assert parse_speed(content) == expected


@given(st.text())
def test_any_text_is_a_speed_or_none(content: str) -> None:
    assert (parse_speed(content) or 1) > 0


def test_this_hosts_own_are_valid_and_up() -> None:
    for found in interfaces(Path("/")):
        state = Path(f"/sys/class/net/{found.name}/operstate").read_text().strip()
        assert state in {"up", "unknown"}
        assert found.name != "lo"
