from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.documents import Facts
from advisor.errors import InvalidInput
from advisor.host import gather, kernel, limits, machine

if TYPE_CHECKING:
    from collections.abc import Callable

CGROUP = "/sys/fs/cgroup"
TOTAL = 16384000 * 1024
MEMINFO = "/proc/meminfo"
POD = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7c1d.slice"


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
    # 1.5 CPUs and 1 GiB of the pod, below the container's own 2 and 2 GiB.
    Case(
        "kubernetes-limits",
        *(1.5, "limited", f"{CGROUP}/{POD}/cpu.max", 1073741824, f"{CGROUP}/{POD}/memory.max"),
    ),
    Case("kubernetes-v1-requests", 8, "none", "sched_getaffinity", TOTAL, MEMINFO),
    Case(
        "v2-user-slice",
        *(4.0, "limited", f"{CGROUP}/user.slice/user-1000.slice/cpu.max"),
        *(2684354560, f"{CGROUP}/user.slice/user-1000.slice/memory.high"),
    ),
    # 125 ms in each 50 ms are 2.5 CPUs; the cpu.max in v2 counts for nothing.
    Case(
        "hybrid-memory-v2",
        *(2.5, "limited", f"{CGROUP}/cpu,cpuacct/system.slice/cpu.cfs_quota_us"),
        *(805306368, f"{CGROUP}/unified/system.slice/shop.service/memory.max"),
    ),
    Case(
        "namespaced-v1",
        *(0.75, "limited", f"{CGROUP}/cpu,cpuacct/workers/cpu.cfs_quota_us"),
        *(268435456, f"{CGROUP}/memory/memory.limit_in_bytes"),
    ),
    Case(
        "mount-above",
        *(6.0, "limited", f"{CGROUP}/cpu.max", 8589934592, f"{CGROUP}/memory.max"),
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


@pytest.mark.parametrize("name", ["outside", "no-cgroups", "mount-above"])
def test_a_group_that_cannot_be_seen_is_unknown(name: str, tree: Callable[[str], Path]) -> None:
    root = tree(name)
    _, cpu_unknown = limits.cpu(812, root=root)
    _, memory_unknown = limits.memory(812, root=root)
    assert [entry.what for entry in (*cpu_unknown, *memory_unknown)] == [
        "limits of the cpuset and cpu cgroup of pid 812",
        "limits of the memory cgroup of pid 812",
    ]


@pytest.mark.parametrize(
    "name", ["kubernetes-requests", "kubernetes-v1-requests", "v2-user-slice", "hybrid-memory-v2"]
)
def test_nothing_is_unknown_where_all_is_seen(name: str, tree: Callable[[str], Path]) -> None:
    root = tree(name)
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


# --- the machine ---------------------------------------------------------------------------


def test_swap_is_the_machines_and_no_room(tree: Callable[[str], Path]) -> None:
    root = tree("v1")
    with (root / "proc/meminfo").open("a") as stream:
        stream.write("SwapTotal:       2097152 kB\nSwapFree:        1572864 kB\n")
    memory, _ = limits.memory(812, root=root)
    assert (memory.swap_total_bytes, memory.swap_used_bytes) == (2 * 2**30, 512 * 2**20)
    assert memory.effective_bytes == 1073741824


def test_swap_that_meminfo_does_not_know_is_null(tree: Callable[[str], Path]) -> None:
    memory, _ = limits.memory(812, root=tree("v1"))
    assert (memory.swap_total_bytes, memory.swap_used_bytes) == (None, None)


def topology(root: Path, siblings: list[str], *, package: int = 0, core: int = 0) -> None:
    """CPUs that all bear the same numbers, told apart by their siblings only."""
    system = root / "sys/devices/system/cpu"
    for cpu, content in enumerate(siblings):
        folder = system / f"cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(f"{package}\n")
        (folder / "core_id").write_text(f"{core}\n")
        (folder / "core_cpus_list").write_text(f"{content}\n")
    (system / "online").write_text(f"0-{len(siblings) - 1}\n")


@pytest.mark.parametrize(
    ("siblings", "cores", "smt"),
    [
        (["0", "1", "2", "3"], 4, False),  # ARM: one core_id in each cluster, package -1
        (["0,2", "1,3", "0,2", "1,3"], 2, True),
        (["0-1", "0-1", "2", "3"], 3, True),  # cores with SMT beside cores without
    ],
)
def test_cores_are_told_apart_by_their_siblings(
    siblings: list[str], cores: int, smt: bool, tmp_path: Path
) -> None:
    topology(tmp_path, siblings, package=-1)
    assert (machine.physical_cores(tmp_path), machine.smt(tmp_path)) == (cores, smt)


def test_what_the_kernel_says_of_smt_counts_first(tmp_path: Path) -> None:
    topology(tmp_path, ["0-1", "0-1"])
    (tmp_path / "sys/devices/system/cpu/smt").mkdir()
    (tmp_path / "sys/devices/system/cpu/smt/active").write_text("0\n")
    assert machine.smt(tmp_path) is False


def test_without_a_topology_cores_and_smt_are_null(tmp_path: Path) -> None:
    (tmp_path / "sys/devices/system/cpu").mkdir(parents=True)
    (tmp_path / "sys/devices/system/cpu/online").write_text("0-3\n")
    assert (machine.physical_cores(tmp_path), machine.smt(tmp_path)) == (None, None)


def test_numbers_tell_cores_apart_where_siblings_are_not_listed(
    tree: Callable[[str], Path],
) -> None:
    cpu, _ = limits.cpu(812, root=tree("v1"))
    assert (cpu.logical, cpu.physical, cpu.smt) == (8, 4, True)


def test_this_machines_cores_are_those_of_its_cpus() -> None:
    cpu, _ = limits.cpu()
    assert cpu.physical is None or 1 <= cpu.physical <= cpu.logical
    assert cpu.smt is None or cpu.physical is None or cpu.smt == (cpu.physical < cpu.logical)


def test_a_root_without_memory_is_refused(tree: Callable[[str], Path]) -> None:
    root = tree("v1")
    (root / "proc/meminfo").write_text("MemTotal: much kB\n")
    with pytest.raises(InvalidInput, match="MemTotal"):
        gather(812, root=root)


NAMES = sorted(path.stem for path in (Path(__file__).parent / "fixtures").glob("*.tree"))
NUMBERS = st.integers(-(2**70), 2**70).map(str)
WORDS = st.sampled_from(
    ["max", "-1", "0", "0-", "-", "/..", " (deleted)", "kB", ":", "\\000", "\0"]
)
CONTENT = st.text() | st.lists(NUMBERS | WORDS, max_size=5).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_file_with_any_content_is_a_gap_and_never_a_failure(
    copy_host: Callable[[str, Path], None], data: st.DataObject
) -> None:
    """Half-written, of another kernel, or somebody's forgery."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        copy_host(data.draw(st.sampled_from(NAMES)), root)
        (root / "sys/devices/system/cpu/smt").mkdir()
        files = sorted(path for path in root.rglob("*") if path.is_file())
        file = data.draw(st.sampled_from(files))
        keep = data.draw(st.integers(0, 40))
        changed = file.read_text()[:keep] + data.draw(CONTENT)
        file.write_bytes(changed.encode("utf-8", "surrogatepass"))
        try:
            facts = gather(812, root=root)
        except InvalidInput:
            assert file.name == "meminfo"
        else:
            assert Facts.model_validate_json(facts.model_dump_json()) == facts
