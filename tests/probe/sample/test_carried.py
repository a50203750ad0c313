from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.probe.sample import carried
from advisor.probe.sample.carried import Device, parse_devices, parse_ipv6_route, parse_route

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADER = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
LAN = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
ANY6 = "0" * 32


def route(name: str, metric: str = "0", flags: str = "0003") -> str:
    return f"{name}\t00000000\t010200C0\t{flags}\t0\t0\t{metric}\t00000000\t0\t0\t0\n"


def route6(name: str, metric: str = "00000400", flags: str = "00000003") -> str:
    return f"{ANY6} 00 {ANY6} 00 {ANY6} {metric} 00000003 00000000 {flags} {name:>8}\n"


def test_the_default_route_of_the_lowest_metric_counts() -> None:
    table = HEADER + LAN + route("wlan0", "600") + route("eth1", "100")
    assert parse_route(table) == "eth1"
    assert parse_ipv6_route(route6("wlan0", "00000258") + route6("eth1", "00000064")) == "eth1"


def test_a_route_that_is_down_or_rejects_is_none() -> None:
    assert parse_route(HEADER + LAN + route("eth0", flags="0002")) is None
    assert parse_ipv6_route(route6("lo", "ffffffff", flags="00200200")) is None


@pytest.mark.parametrize("name", ["..", ".", "../../etc", "e\x1b[2J", "a" * 16])
def test_a_name_that_could_lead_elsewhere_is_none(name: str) -> None:
    assert parse_route(HEADER + route(name)) is None


@pytest.mark.parametrize(
    ("speed", "expected"), [("1000\n", 125_000_000), ("-1\n", None), (None, None)]
)
def test_the_default_interface_and_its_speed(
    tmp_path: Path, speed: str | None, expected: int | None
) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/route").write_text(HEADER + LAN + route("eth0"))
    (tmp_path / "sys/class/net/eth0").mkdir(parents=True)
    if speed:
        (tmp_path / "sys/class/net/eth0/speed").write_text(speed)
    found = carried.default_interface(tmp_path)
    assert found is not None
    assert (found.name, found.bytes_per_s) == ("eth0", expected)


def test_only_ipv6(tmp_path: Path) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/route").write_text(HEADER)
    (tmp_path / "proc/net/ipv6_route").write_text(route6("eth0"))
    found = carried.default_interface(tmp_path)
    assert found is not None
    assert found.name == "eth0"


def test_no_route_is_no_interface(tmp_path: Path) -> None:
    assert carried.default_interface(tmp_path) is None


def test_whole_disks_only() -> None:
    counts = "1 0 8 0 1 0 8 0 0 1500 0 0 0 0 0 0 0"
    names = [
        "sda",
        "sda1",
        "nvme0n1",
        "nvme0n1p2",
        "mmcblk0",
        "mmcblk0p1",
        "loop0",
        "zram0",
        "dm-0",
    ]
    table = "".join(f"   8       0 {name} {counts}\n" for name in names)
    found = parse_devices(table)
    assert set(found) == {"sda", "nvme0n1", "mmcblk0", "dm-0"}
    assert found["sda"] == Device(moved_bytes=8192, busy_s=1.5)


def test_a_partition_whose_disk_is_not_listed_stands_for_it() -> None:
    assert set(parse_devices("8 1 sda1 1 0 8 0 1 0 8 0 0 1500 0")) == {"sda1"}


LINES = st.lists(
    st.one_of(
        st.text(),
        st.lists(
            st.sampled_from(["sda", "eth0", "0", "00000000", ANY6, "00", "x", "-1", "9" * 5000]),
            max_size=20,
        ).map(" ".join),
    )
).map("\n".join)


@given(LINES)
def test_no_text_breaks_a_parser(text: str) -> None:
    parse_devices(text)
    for name in (parse_route(text), parse_ipv6_route(text)):
        assert name is None or name.isprintable()


def test_what_a_process_writes_is_seen(tmp_path: Path, not_run: Callable[[str], NoReturn]) -> None:
    pids = [os.getpid()]
    before = carried.sample(pids, requests=0)
    if before.moved_bytes is None:
        not_run("this kernel keeps no account of what processes read and write")
    with (tmp_path / "file").open("wb") as stream:
        stream.write(os.urandom(4 * 1024**2))
        stream.flush()
        os.fsync(stream.fileno())
    after = carried.sample(pids, requests=1)
    assert after.at_s > before.at_s
    assert after.moved_bytes is not None
    if not after.moved_bytes - before.moved_bytes:
        not_run("the temporary folder is in memory")
    assert after.moved_bytes - before.moved_bytes >= 4 * 1024**2


def test_a_process_that_is_gone_or_anothers_is_none() -> None:
    assert carried.sample([2**22 + 1], requests=0).moved_bytes is None


def test_another_users_input_and_output_are_denied(as_nobody: Callable[[str], str]) -> None:
    code = f"from advisor.probe.sample import carried; print(carried.moved([{os.getpid()}]))"
    assert as_nobody(code).strip() == "None"
