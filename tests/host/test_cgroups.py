from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advisor.host import cgroups

if TYPE_CHECKING:
    from pathlib import Path

PARTS = st.lists(st.text("abc.:-_@", min_size=1, max_size=8).filter(lambda part: ".." not in part))


@given(PARTS)
def test_a_path_with_colons_is_kept_whole(parts: list[str]) -> None:
    path = PurePosixPath("/", *parts)
    (found,) = cgroups.parse_membership(f"4:cpu,cpuacct:{path}\n")
    assert (found.path, found.version) == (path, 1)
    assert found.controllers == {"cpu", "cpuacct"}


@given(st.text())
def test_any_text_is_read_without_a_failure(text: str) -> None:
    cgroups.parse_membership(text)
    cgroups.parse_mounts(text)


def test_named_hierarchies_are_no_controllers() -> None:
    named, unified = cgroups.parse_membership("1:name=systemd:/a\n0::/a\n")
    assert named.controllers == {"name=systemd"}
    assert (unified.version, unified.controllers) == (2, frozenset())


@pytest.mark.parametrize(
    ("path", "mount_root", "made", "expected", "exact"),
    [
        ("/a/b", "/", "a/b", ["/cg/a/b", "/cg/a", "/cg"], True),
        ("/docker/x/b", "/docker/x", "b", ["/cg/b", "/cg"], True),
        ("/docker/x", "/docker/x", "", ["/cg"], True),
        ("/docker/x", "/", "", ["/cg"], False),
        ("/a", "/docker/x", "a", ["/cg"], False),
        ("/../a", "/", "a", [], False),
    ],
)
def test_the_mounts_root_is_taken_off_the_path(
    path: str, mount_root: str, made: str, expected: list[str], exact: bool, tmp_path: Path
) -> None:
    (tmp_path / "cg" / made).mkdir(parents=True)
    found = cgroups.levels(
        "cpu",
        cgroups.parse_membership(f"0::{path}\n"),
        cgroups.parse_mounts(f"1 1 0:1 {mount_root} /cg rw - cgroup2 none rw\n"),
        tmp_path,
    )
    assert [str(directory) for directory in found.directories] == expected
    assert found.exact is exact


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=PARTS)
def test_levels_end_at_the_mount_and_never_above(parts: list[str], tmp_path: Path) -> None:
    path = PurePosixPath("/", *parts)
    (tmp_path / "cg" / str(path)[1:]).mkdir(parents=True, exist_ok=True)
    found = cgroups.levels(
        "memory",
        [cgroups.Membership(2, frozenset(), path)],
        [cgroups.Mount(2, frozenset(), PurePosixPath("/"), PurePosixPath("/cg"))],
        tmp_path,
    )
    assert found.exact
    assert found.directories[-1] == PurePosixPath("/cg")
    assert len(found.directories) == len(path.parts)


def test_a_controller_that_v1_has_is_not_looked_for_in_v2(tmp_path: Path) -> None:
    memberships = cgroups.parse_membership("2:cpu:/shop\n0::/shop\n")
    mounts = cgroups.parse_mounts(
        "1 1 0:1 / /cpu rw - cgroup cgroup rw,cpu\n2 1 0:2 / /unified rw - cgroup2 none rw\n"
    )
    for name in ("cpu/shop", "unified/shop"):
        (tmp_path / name).mkdir(parents=True)
    cpu = cgroups.levels("cpu", memberships, mounts, tmp_path)
    memory = cgroups.levels("memory", memberships, mounts, tmp_path)
    assert [str(path) for path in cpu.directories] == ["/cpu/shop", "/cpu"]
    assert [str(path) for path in memory.directories] == ["/unified/shop", "/unified"]
