"""nginx: the configuration that it would load holds our files, and it accepts the whole of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.deploy.suite import reading
from advisor.deploy.suite.verdict import held, not_run

if TYPE_CHECKING:
    from advisor.deploy.suite.live import Live
    from advisor.deploy.suite.tree import Tree
    from advisor.deploy.switch.documents import Row


def test_is_read(live: Live, tree: Tree, site: Row) -> None:
    """Is part of nginx's configuration, as rendered."""
    answer = live.configuration
    if answer.rc:
        words = [line for line in answer.stderr.splitlines() if "[emerg]" in line]
        held(not words, f"nginx refuses its configuration: {' '.join(words[:1])}")
        not_run(f"`nginx -T` ends with {answer.rc}: {answer.stderr.strip()[-200:]}")
    files = reading.dumped(answer.stdout_bytes)
    held(site.target in files, "no file of nginx's configuration includes it")
    held(files.get(site.target) == tree.content(site), "nginx reads other bytes")


def test_workers_serve(live: Live, site: Row) -> None:  # noqa: ARG001 - for each site of ours
    """Its nginx has workers that take requests."""
    main = live.main_pid("nginx.service")
    titles = live.commands(child.pid for child in live.children(main))
    words = [" ".join(title) for title in titles.values()]
    working = sum("worker process" in title and "shutting down" not in title for title in words)
    held(working > 0, "it has no worker")
