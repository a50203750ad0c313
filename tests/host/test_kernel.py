"""The kernel's limits: null where they are another namespace's, or no number."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.documents import Kernel
from advisor.host.kernel import kernel, parse_nofile

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

# Where each value is, and what the copied host of these tests says.
FILES = {
    "somaxconn": ("sys/net/core/somaxconn", "4096"),
    "tcp_max_syn_backlog": ("sys/net/ipv4/tcp_max_syn_backlog", "512"),
    "tcp_fin_timeout_s": ("sys/net/ipv4/tcp_fin_timeout", "60"),
    "tcp_migrate_req": ("sys/net/ipv4/tcp_migrate_req", "1"),
    "file_max": ("sys/fs/file-max", "9223372036854775807"),
}


@pytest.fixture
def host(tree: Callable[[str], Path]) -> Path:
    root = tree("v1")
    for path, value in FILES.values():
        file = root / "proc" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
    return root


def separate(root: Path) -> None:
    for process, inode in (("812", 4026532000), ("self", 4026531840)):
        (root / f"proc/{process}/ns").mkdir(parents=True)
        (root / f"proc/{process}/ns/net").symlink_to(f"net:[{inode}]")


@pytest.mark.parametrize("name", FILES)
def test_each_value_is_read_from_its_own_file(name: str, host: Path) -> None:
    path, value = FILES[name]
    assert getattr(kernel(812, root=host)[0], name) == int(value)
    (host / "proc" / path).write_text("7\n")
    changed = kernel(812, root=host)[0].model_dump()
    assert {key for key, one in changed.items() if one == 7} == {name}


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_null(name: str, host: Path) -> None:
    (host / "proc" / FILES[name][0]).unlink()
    assert getattr(kernel(812, root=host)[0], name) is None


def test_what_files_of_ours_set_is_known(host: Path) -> None:
    folder = host / "etc/sysctl.d"
    folder.mkdir(parents=True)
    assert kernel(812, root=host)[0].set_by_advisor == []
    ours = "# Rendered by advisor for {}: change advisor.yml and render again.\n# why\n{} = 9\n"
    (folder / "90-shop.conf").write_text(ours.format("shop", "net.core.somaxconn"))
    (folder / "90-blog.conf").write_text(ours.format("blog", "fs.file-max"))
    (folder / "90-somebody.conf").write_text("net.ipv4.tcp_fin_timeout = 9\n")
    assert kernel(812, root=host)[0].set_by_advisor == ["fs.file-max", "net.core.somaxconn"]


def test_another_network_namespace_hides_its_own_limits_and_not_the_hosts(host: Path) -> None:
    separate(host)
    found, unknown = kernel(812, root=host)
    assert (found.somaxconn, found.tcp_max_syn_backlog) == (None, None)
    assert (found.tcp_fin_timeout_s, found.ip_local_port_range) == (None, None)
    assert (found.file_max, found.nofile_soft) == (2**63 - 1, 1024)
    assert ["812" in entry.what for entry in unknown] == [True]


@given(words=st.text(max_size=60))
def test_any_words_are_a_number_or_null(
    words: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.getbasetemp() / "words"
    for path, _ in FILES.values():
        file = root / "proc" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(words.encode("utf-8", "surrogatepass"))
    found, unknown = kernel(812, root=root)
    number = words.strip() if words.strip().isascii() and words.strip().isdigit() else None
    for name in FILES:
        value = getattr(found, name)
        assert value == (int(number) if number and len(number) < 20 else None)
    assert unknown == []
    assert Kernel.model_validate_json(found.model_dump_json()) == found


def test_this_host_says_what_its_files_say() -> None:
    found, _ = kernel()
    for name, (path, _) in FILES.items():
        file = Path("/proc") / path
        assert getattr(found, name) == (int(file.read_text()) if file.is_file() else None)
    assert parse_nofile(Path("/proc/self/limits").read_text()) == (
        found.nofile_soft,
        found.nofile_hard,
    )


INSIDE = """
from pathlib import Path
from advisor.host.kernel import kernel
for name, value in {values!r}.items():
    Path("/proc/sys/net", name).write_text(value)
print(kernel()[0].model_dump_json(), flush=True)
input()
"""


@pytest.mark.daemon
def test_a_real_namespace_has_its_own(not_run: Callable[[str], NoReturn]) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        not_run("only root can make a network namespace, with unshare")
    values = {
        "core/somaxconn": "321",
        "ipv4/tcp_max_syn_backlog": "654",
        "ipv4/tcp_fin_timeout": "33",
    }
    outside, _ = kernel()
    with subprocess.Popen(
        [unshare, "--net", sys.executable, "-c", INSIDE.format(values=values)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        if not line:
            not_run(f"no network namespace here: {process.stderr.read().strip()[-200:]}")
        inside = Kernel.model_validate_json(line)
        seen, unknown = kernel(process.pid)
        process.communicate("\n", timeout=30)
    assert (inside.somaxconn, inside.tcp_max_syn_backlog) == (321, 654)
    assert inside.tcp_fin_timeout_s == 33
    assert (seen.somaxconn, seen.tcp_max_syn_backlog, seen.tcp_fin_timeout_s) == (None, None, None)
    assert inside.file_max == seen.file_max == outside.file_max
    assert unknown
    assert kernel()[0] == outside
