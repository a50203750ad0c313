"""The health route through the proxy, asked on the host itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.deploy.suite.questions import HEALTH
from advisor.deploy.suite.verdict import held, not_run

if TYPE_CHECKING:
    from advisor.deploy.suite.live import Live
    from advisor.deploy.suite.tree import Tree


def test_is_healthy(live: Live, tree: Tree, url: str) -> None:
    """Answers through the proxy."""
    health = tree.install.health
    if health is None:
        not_run("the tree names no route")
    found = live.script(
        HEALTH, health.scheme, health.address, str(health.port), health.host, health.path
    )
    held("error" not in found, f"{url} at {health.address}: {found.get('error')}")
    # A redirect is an answer; what it leads to is another route.
    held(found["status"] < 400, f"it answers {found['status']}")
