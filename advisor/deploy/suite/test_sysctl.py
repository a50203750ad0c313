"""The kernel's values that the tree sets, as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.deploy.suite.verdict import held, not_run

if TYPE_CHECKING:
    from advisor.deploy.suite.live import Live
    from advisor.deploy.suite.tree import Tree

# Of these another app on the host may need less, and the others more.
LOWER_IS_ENOUGH = {"net.ipv4.tcp_fin_timeout"}


def test_is_live(live: Live, tree: Tree, key: str) -> None:
    """Is in force, or more than that for another app."""
    path = f"/proc/sys/{key.replace('.', '/')}"
    shown = live.files([path]).get(path, "").strip()
    if not shown:
        not_run(f"{path} is not there")
    found, wanted = ([int(word) for word in text.split()] for text in (shown, tree.sysctls[key]))
    if len(wanted) == 2:
        is_enough = found[0] <= wanted[0] and found[1] >= wanted[1]
    elif key in LOWER_IS_ENOUGH:
        is_enough = found <= wanted
    else:
        is_enough = found >= wanted
    held(is_enough, f"the kernel has {shown}, the tree {tree.sysctls[key]}")
