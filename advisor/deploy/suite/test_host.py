"""The host itself: that it answers, and that what the switch keeps there is nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.deploy.suite.verdict import held, not_run
from advisor.deploy.switch.generations import READ_AS_THEMSELVES

if TYPE_CHECKING:
    from advisor.deploy.suite.live import Live
    from advisor.deploy.suite.tree import Tree


def test_answers(live: Live, app: str) -> None:  # noqa: ARG001 - the item says for which app
    """The host answers."""
    held(live.silence is None, str(live.silence))


def test_state_is_private(live: Live, tree: Tree, app: str) -> None:
    """The switch's folders have the rights that keep others out."""
    # Others pass through the app's folder where a daemon reads as a user of its own.
    is_passed = any(row.component in READ_AS_THEMSELVES for row in tree.install.files)
    folders = {
        "/etc/advisor": "root root 755",
        "/var/lib/advisor": "root root 700",
        f"/etc/advisor/current/{app}": f"root {tree.install.group} {751 if is_passed else 750}",
    }
    answer = live.ask(f"stat -L -c '%n %U %G %a' {' '.join(folders)}", root=True)
    found = dict(line.split(" ", 1) for line in answer.stdout.splitlines())
    if not found:
        not_run("nothing of ours is installed")
    wrong = [
        f"{path} is {found.get(path, 'not there')}, should be {rights}"
        for path, rights in folders.items()
        if found.get(path) != rights
    ]
    held(not wrong, "; ".join(wrong))
