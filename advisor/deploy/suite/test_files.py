"""Files: installed through the current generation, with the bytes and rights of the tree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from advisor.deploy.suite.verdict import held

if TYPE_CHECKING:
    from advisor.deploy.suite.live import Live
    from advisor.deploy.suite.tree import Tree
    from advisor.deploy.switch.documents import Row


def test_leads_to_our_generation(live: Live, tree: Tree, row: Row) -> None:
    """Leads to the current generation."""
    found = live.installed.get(row.target)
    held(found is not None, "it is not there")
    real = (found or {})["real"]
    ours = rf"/etc/advisor/generations/[0-9]+/{tree.install.app}/{re.escape(row.path)}"
    held(re.fullmatch(ours, real) is not None, f"it is {real}, somebody else's")


def test_content(live: Live, tree: Tree, row: Row) -> None:
    """Has the bytes of the tree."""
    found = live.installed.get(row.target)
    held(found is not None, "it is not there")
    held((found or {})["digest"] == tree.digest(row), "its bytes are others")


def test_rights(live: Live, row: Row) -> None:
    """Has the owner, group and mode of the tree."""
    found = live.installed.get(row.target)
    held(found is not None, "it is not there")
    wanted = f"{row.owner} {row.group} {row.mode:o}"
    rights = (found or {})["rights"]
    held(rights == wanted, f"it is {rights}, should be {wanted}")
