"""Sockets: something listens wherever the tree says, with the queue that it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.deploy.suite import reading
from advisor.deploy.suite.verdict import held, not_run

if TYPE_CHECKING:
    from advisor.deploy.suite.live import Live
    from advisor.deploy.suite.tree import Tree

SOMAXCONN = "/proc/sys/net/core/somaxconn"


def test_is_listened_on(live: Live, listen: str) -> None:
    """Something listens there."""
    kind = "udp" if listen.startswith("udp ") else "unix" if listen.startswith("unix:") else "tcp"
    place = listen.removeprefix("udp ")
    found = [one for one in live.sockets if one.kind == kind and reading.answers(place, one.where)]
    held(bool(found), "nothing does")


def test_queue(live: Live, tree: Tree, backlog: str) -> None:
    """Has the queue that the tree says, or the kernel allows."""
    wanted = tree.value(f"{tree.install.server}.backlog")
    unit = (tree.service or "").removesuffix(".service") + ".socket"
    asked = int(wanted or tree.directives(unit)["Backlog"][-1])
    allowed = int(live.files([SOMAXCONN]).get(SOMAXCONN, "").strip() or asked)
    found = [one.backlog for one in live.sockets if reading.answers(backlog, one.where)]
    if not found:
        not_run("nothing listens there")
    limit = min(asked, allowed)
    # With reuse_port there is one socket a worker.
    held(set(found) == {limit}, f"{', '.join(map(str, found))} may wait, not {limit}")
