"""Limits: what systemd has loaded, what the processes live under, what the kernel enforces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.deploy.suite import reading
from advisor.deploy.suite.live import main_and_children
from advisor.deploy.suite.verdict import held, not_run

if TYPE_CHECKING:
    from advisor.deploy.suite.items import Bound
    from advisor.deploy.suite.live import Live

PAGE_BYTES = 4096


def test_is_loaded(live: Live, bound: Bound) -> None:
    """Is what systemd has loaded."""
    shown = live.unit(bound.unit).get(bound.limit.property, "")
    found = bound.limit.read(shown)
    held(found == bound.wanted, f"systemd has {shown or 'nothing'}, the tree {bound.text}")


def test_is_in_force(live: Live, enforced: Bound) -> None:
    """Holds for the live processes."""
    if enforced.limit.directive == "LimitNOFILE":
        _of_processes(live, enforced)
    elif enforced.limit.files:
        _of_cgroup(live, enforced)
    else:
        _of_quota(live, enforced)


def _of_processes(live: Live, bound: Bound) -> None:
    """Each process has its own limit, given at its start."""
    pids = main_and_children(live, bound.unit)
    texts = live.files([f"/proc/{pid}/limits" for pid in pids])
    found = {path.split("/")[2]: reading.descriptors(text) for path, text in texts.items()}
    if not found:
        not_run(f"the processes of {bound.unit} cannot be read")
    wrong = [
        f"process {pid} has {hard or 0:g}"
        for pid, (soft, hard) in found.items()
        if (soft, hard) != (bound.wanted, bound.wanted)
    ]
    held(not wrong, f"{', '.join(wrong)}; the tree says {bound.text}")


def _of_cgroup(live: Live, bound: Bound) -> None:
    paths = _paths(live, bound, bound.limit.files)
    shown = next((text.strip() for text in live.files(paths).values()), None)
    if shown is None:
        not_run("the host gives its systemd no such controller: the limit is not enforced")
    found, wanted = reading.amount(shown), bound.wanted
    # The kernel counts memory in pages; what it holds is rounded down to them.
    is_near = found is not None and wanted is not None and 0 <= wanted - found < PAGE_BYTES
    held(found == wanted or is_near, f"the kernel has {shown}, the tree {bound.text}")


def _of_quota(live: Live, bound: Bound) -> None:
    """`QUOTA PERIOD` in one file of version 2, and in two of version 1."""
    own = live.files(_paths(live, bound, (("", "cpu.max"),)))
    old = live.files(
        _paths(live, bound, (("cpu", "cpu.cfs_quota_us"), ("cpu", "cpu.cfs_period_us")))
    )
    shown = " ".join(text.strip() for text in (own or old).values()).split()
    if len(shown) != 2:
        not_run("the host gives its systemd no such controller: the limit is not enforced")
    found = float(shown[0]) / float(shown[1]) if shown[0] not in {"max", "-1"} else None
    held(found == bound.wanted, f"the kernel has {found or 'no'} CPUs, the tree {bound.text}")


def _paths(live: Live, bound: Bound, files: tuple[tuple[str, str], ...]) -> list[str]:
    group = live.unit(bound.unit).get("ControlGroup")
    if not group:
        not_run(f"{bound.unit} has no process")
    return [
        f"/sys/fs/cgroup{f'/{controller}' if controller else ''}{group}/{name}"
        for controller, name in files
    ]
