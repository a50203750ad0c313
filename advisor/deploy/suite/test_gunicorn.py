"""The app's server: as many workers as rendered, and nothing that overrides its file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from advisor.deploy.suite import reading
from advisor.deploy.suite.verdict import held, not_run

if TYPE_CHECKING:
    from advisor.deploy.suite.live import Live
    from advisor.deploy.suite.tree import Tree

# Workers are renewed now and then: for a moment there is one more or one less.
PATIENCE_S = 5.0
CONFIG = "gunicorn/gunicorn.conf.py"
# gunicorn.util._setproctitle.
TITLE = "gunicorn: "


def test_workers(live: Live, tree: Tree, server: str) -> None:
    """Has as many live workers as rendered."""
    rendered = tree.value(f"{server}.workers")
    if rendered is None:
        not_run("the tree leaves their number to the server")
    # Uvicorn serves from the main process where it is told to have one worker.
    wanted = 0 if server == "uvicorn" and rendered == 1 else rendered
    main = live.main_pid(tree.service or "")
    deadline = time.monotonic() + PATIENCE_S
    while (found := _workers(live, main)) != wanted and time.monotonic() < deadline:
        live.look_again()
        time.sleep(0.5)
    held(found == wanted, f"{found} live, {wanted} rendered")


def _workers(live: Live, main: int) -> int:
    """The children that serve: multiprocessing has one more, which tracks what they share."""
    commands = live.commands(child.pid for child in live.children(main))
    return sum("resource_tracker" not in " ".join(words) for words in commands.values())


def test_reads_our_file(live: Live, tree: Tree, gunicorn: str) -> None:
    """Was started with the rendered configuration, and nothing overrides it."""
    main = live.main_pid(tree.service or "")
    command = live.commands([main]).get(main, [])
    # Where setproctitle is installed the command line is a title; then systemd's own counts.
    if any(word.startswith(TITLE) for word in command[:1]):
        command = reading.started(live.unit(tree.service or "").get("ExecStart", ""))
    if not command:
        not_run("its command cannot be seen")
    path = f"/etc/advisor/current/{tree.install.app}/{CONFIG}"
    held(path in command, f"the command of {gunicorn} does not name {path}")
    # Gunicorn's documentation, configuration overview: this variable comes after the file.
    held(
        "GUNICORN_CMD_ARGS" not in live.variables(main),
        "GUNICORN_CMD_ARGS is in its environment and comes before the file",
    )
