from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import pytest

from advisor.host import gather, kernel, limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CGROUP = "/sys/fs/cgroup"
TOTAL = 16384000 * 1024
MEMINFO = "/proc/meminfo"


class Case(NamedTuple):
    tree: str
    effective: float
    quota: str
    binding: str
    memory: int
    memory_binding: str


CASES = [
    Case(
        "v2-nested",
        *(2.0, "limited", f"{CGROUP}/system.slice/cpu.max"),
        *(4294967296, f"{CGROUP}/system.slice/shop.service/memory.max"),
    ),
    Case(
        "v2-slice-high",
        *(3, "limited", f"{CGROUP}/web.slice/web-shop.slice/shop.service/cpuset.cpus.effective"),
        *(2147483648, f"{CGROUP}/web.slice/web-shop.slice/memory.high"),
    ),
    Case(
        "v1",
        *(1.5, "limited", f"{CGROUP}/cpu,cpuacct/apps/shop/cpu.cfs_quota_us"),
        *(1073741824, f"{CGROUP}/memory/apps/shop/memory.limit_in_bytes"),
    ),
    Case("hybrid", 3.0, "limited", f"{CGROUP}/cpu/shop/cpu.cfs_quota_us", TOTAL, MEMINFO),
    Case(
        "namespaced",
        *(0.25, "limited", f"{CGROUP}/cpu.max", 67108864, f"{CGROUP}/memory.max"),
    ),
    Case(
        "docker-v1",
        *(0.5, "limited", f"{CGROUP}/cpu,cpuacct/cpu.cfs_quota_us"),
        *(536870912, f"{CGROUP}/memory/memory.limit_in_bytes"),
    ),
    Case("docker-v2", 1.5, "limited", f"{CGROUP}/cpu.max", 1073741824, f"{CGROUP}/memory.max"),
    Case(
        "docker-v2-host",
        *(2.0, "limited", f"{CGROUP}/system.slice/docker-3f1c.scope/cpu.max", TOTAL, MEMINFO),
    ),
    Case("kubernetes-requests", 8, "none", "sched_getaffinity", TOTAL, MEMINFO),
    Case("outside", 8, "unknown", "sched_getaffinity", TOTAL, MEMINFO),
    Case("generous", 8, "limited", "sched_getaffinity", TOTAL, MEMINFO),
    Case("spaces", 1.0, "limited", "/sys/fs/c group/shop/cpu.max", TOTAL, MEMINFO),
    Case("no-cgroups", 8, "unknown", "sched_getaffinity", TOTAL, MEMINFO),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.tree)
def test_the_smallest_limit_on_the_way_up_binds(case: Case, tree: Callable[[str], Path]) -> None:
    root = tree(case.tree)
    cpu, _ = limits.cpu(812, root=root)
    memory, _ = limits.memory(812, root=root)
    assert (cpu.effective, cpu.quota, cpu.binding) == (case.effective, case.quota, case.binding)
    assert (memory.effective_bytes, memory.binding) == (case.memory, case.memory_binding)
    assert (cpu.logical, cpu.physical, memory.total_bytes) == (8, 4, TOTAL)


def test_every_fixture_is_a_case(tree: Callable[[str], Path]) -> None:
    names = {path.stem for path in (Path(__file__).parent / "fixtures").glob("*.tree")}
    assert names == {case.tree for case in CASES} | {"common"}
    assert tree("v1").is_dir()


def test_one_row_for_each_level_and_null_where_it_has_no_limit(
    tree: Callable[[str], Path],
) -> None:
    root = tree("v1")
    cpu, _ = limits.cpu(812, root=root)
    quotas = [(limit.source, limit.value) for limit in cpu.limits if limit.kind == "quota"]
    assert quotas == [
        (f"{CGROUP}/cpu,cpuacct/apps/shop/web/cpu.cfs_quota_us", None),
        (f"{CGROUP}/cpu,cpuacct/apps/shop/cpu.cfs_quota_us", 1.5),
        (f"{CGROUP}/cpu,cpuacct/apps/cpu.cfs_quota_us", 4.0),
        (f"{CGROUP}/cpu,cpuacct/cpu.cfs_quota_us", None),
    ]
    cpusets = [(limit.source, limit.value) for limit in cpu.limits if limit.kind == "cpuset"]
    assert cpusets == [
        (f"{CGROUP}/cpuset/apps/cpuset.effective_cpus", 4),
        (f"{CGROUP}/cpuset/cpuset.effective_cpus", 8),
    ]
    memory, _ = limits.memory(812, root=root)
    assert [limit.value for limit in memory.limits] == [TOTAL, 2147483648, 1073741824, None, None]


def test_used_memory_leaves_out_page_cache_that_is_free_to_go(
    tree: Callable[[str], Path],
) -> None:
    memory, _ = limits.memory(812, root=tree("v2-nested"))
    used = {limit.source: limit.used_bytes for limit in memory.limits}
    assert used[f"{CGROUP}/system.slice/shop.service/memory.max"] == 700000000
    assert used[f"{CGROUP}/system.slice/memory.max"] == 2000000000
    assert used[MEMINFO] == TOTAL - 8912896 * 1024


def test_v1_used_memory_counts_the_groups_below(tree: Callable[[str], Path]) -> None:
    memory, _ = limits.memory(812, root=tree("v1"))
    assert memory.limits[1].used_bytes == 400000000


@pytest.mark.parametrize("name", ["outside", "no-cgroups"])
def test_a_group_that_cannot_be_seen_is_unknown(name: str, tree: Callable[[str], Path]) -> None:
    root = tree(name)
    _, cpu_unknown = limits.cpu(812, root=root)
    _, memory_unknown = limits.memory(812, root=root)
    assert [entry.what for entry in (*cpu_unknown, *memory_unknown)] == [
        "limits of the cpuset and cpu cgroup of pid 812",
        "limits of the memory cgroup of pid 812",
    ]


def test_nothing_is_unknown_where_all_is_seen(tree: Callable[[str], Path]) -> None:
    root = tree("kubernetes-requests")
    assert limits.cpu(812, root=root)[1] == []
    assert limits.memory(812, root=root)[1] == []


def test_a_limit_that_makes_no_sense_is_unknown(tree: Callable[[str], Path]) -> None:
    root = tree("v2-nested")
    (root / "sys/fs/cgroup/system.slice/cpu.max").write_text("two\n")
    cpu, unknown = limits.cpu(812, root=root)
    assert (cpu.effective, cpu.quota) == (8, "unknown")
    assert [entry.what for entry in unknown] == [f"{CGROUP}/system.slice/cpu.max"]


def test_affinity_counts_only_cpus_that_are_online(tree: Callable[[str], Path]) -> None:
    root = tree("generous")
    status = root / "proc/812/status"
    status.write_text(status.read_text().replace("0-15", "6-15"))
    cpu, _ = limits.cpu(812, root=root)
    assert (cpu.effective, cpu.binding, cpu.limits[0].value) == (2, "sched_getaffinity", 2)


def test_kernel_limits(tree: Callable[[str], Path]) -> None:
    found, unknown = kernel.kernel(812, root=tree("v1"))
    assert (found.somaxconn, found.nofile_soft, found.nofile_hard) == (4096, 1024, 524288)
    assert found.ip_local_port_range == [32768, 60999]
    assert unknown == []


def test_another_network_namespace_has_limits_of_its_own(tree: Callable[[str], Path]) -> None:
    root = tree("v1")
    for process, inode in (("812", 4026532000), ("self", 4026531840)):
        (root / f"proc/{process}/ns").mkdir(parents=True)
        (root / f"proc/{process}/ns/net").symlink_to(f"net:[{inode}]")
    found, unknown = kernel.kernel(812, root=root)
    assert (found.somaxconn, found.ip_local_port_range) == (None, None)
    assert "812" in unknown[0].what


def test_unlimited_open_files_is_null() -> None:
    text = "Max open files            1024                 unlimited            files"
    assert kernel.parse_nofile(text) == (1024, None)
    assert kernel.parse_nofile("") == (None, None)


def test_a_copied_host_is_read_as_that_host(tree: Callable[[str], Path]) -> None:
    facts = gather(812, root=tree("v2-nested"))
    assert (facts.host.name, facts.host.os) == ("web1", "Debian GNU/Linux 12")
    assert (facts.host.kernel, facts.pid, facts.servers) == ("6.1.0-40-amd64", 812, [])
    assert facts.unknown[-1].what == "servers and components"


def test_this_process_has_the_affinity_that_the_kernel_says() -> None:
    cpu, _ = limits.cpu()
    assert cpu.limits[0].value == len(os.sched_getaffinity(0))


# --- real groups ---------------------------------------------------------------------------


def _own_group(controller: str) -> Path | None:
    """The v1 group of this process: the test's groups go below, inside whatever limits it."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == controller:
            group = Path(f"{CGROUP}/{controller}{path}")
            return group if os.access(group, os.W_OK) else None
    return None


@pytest.fixture
def groups(not_run: Callable[[str], NoReturn]) -> Iterator[dict[str, list[Path]]]:
    """Two nested groups each of cpu and memory, taken away again."""
    own = {name: _own_group(name) for name in ("cpu", "memory")}
    if os.geteuid() != 0 or None in own.values():
        not_run("needs root and cgroup v1 groups that can be made")
    made = {
        name: [group / f"advisor-test-{os.getpid()}", group / f"advisor-test-{os.getpid()}/inner"]
        for name, group in own.items()
        if group is not None
    }
    try:
        for paths in made.values():
            for path in paths:
                path.mkdir()
        yield made
    finally:
        for paths in made.values():
            for path in reversed(paths):
                _remove(path)


def _remove(group: Path) -> None:
    """A group can go when the kernel has let go of its last process."""
    deadline = time.monotonic() + 10
    while group.exists():
        try:
            group.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@pytest.fixture
def member(groups: dict[str, list[Path]]) -> Iterator[int]:
    """A process in the inner groups."""
    process = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        for paths in groups.values():
            (paths[1] / "cgroup.procs").write_text(str(process.pid))
        yield process.pid
    finally:
        process.communicate(b"\n", timeout=10)


def test_real_groups_limit_the_process_in_them_and_nobody_else(
    groups: dict[str, list[Path]], member: int
) -> None:
    outer_cpu, inner_cpu = groups["cpu"]
    outer_memory, inner_memory = groups["memory"]
    (outer_cpu / "cpu.cfs_quota_us").write_text("25000")
    (outer_memory / "memory.limit_in_bytes").write_text(str(64 * 1024**2))
    facts = gather(member)
    assert (facts.cpu.effective, facts.cpu.quota) == (0.25, "limited")
    assert facts.cpu.binding == str(outer_cpu / "cpu.cfs_quota_us")
    assert facts.memory.effective_bytes == 64 * 1024**2
    assert facts.memory.binding == str(outer_memory / "memory.limit_in_bytes")
    by_source = {limit.source: limit for limit in (*facts.cpu.limits, *facts.memory.limits)}
    assert by_source[str(inner_cpu / "cpu.cfs_quota_us")].value is None
    assert by_source[str(inner_memory / "memory.limit_in_bytes")].value is None
    own, _ = limits.cpu()
    assert own.binding != facts.cpu.binding
