# ruff: noqa: INP001 - Ansible finds a plugin by its folder
"""What happens in a play, as one JSON line each in the file that ADVISOR_EVENTS names.

Of a task's result only what our own action plugin says is kept, and of another's failure its
message: nothing that no_log hides, and no host's data that nobody asked for.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: advisor_events
    type: notification
    short_description: One JSON line for each event, for advisor to read
    description:
      - Writes what the action plugin advisor_switch says, and which hosts are out of reach.
    options:
      path:
        description: The file to append to; without it nothing is written.
        env: [{name: ADVISOR_EVENTS}]
"""


class CallbackModule(CallbackBase):
    """The callback plugin; it does nothing where no file is named."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "advisor_events"

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A batch begins: `hosts` are all of its play."""
        inventory = play.get_variable_manager()._inventory  # noqa: SLF001 - Ansible has no other way
        every = inventory.get_hosts(play.hosts, ignore_restrictions=True)
        batch = inventory.get_hosts(play.hosts)
        self._write("play", hosts=[h.name for h in every], batch=[h.name for h in batch])

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002
        """A task begins, for whoever waits."""
        self._write("task", task=task.get_name(), check=bool(task.check_mode))

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task ended well; only our own says something."""
        self._tell(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed: ours with its words, another with its message."""
        if not self._tell(result) and not ignore_errors:
            self._write("failed", **_said(result))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host is out of reach."""
        self._write("unreachable", **_said(result))

    def _tell(self, result: Any) -> bool:
        words = _data(result).get("advisor")
        if words:
            self._write("advisor", host=result._host.get_name(), words=words)  # noqa: SLF001
        return bool(words)

    def _write(self, event: str, **fields: Any) -> None:
        path = self.get_option("path")
        if path:
            with Path(path).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"event": event, **fields}) + "\n")


def _data(result: Any) -> dict[str, Any]:
    """A task's result; the public name of it came with ansible-core 2.19."""
    found: dict[str, Any] = result._result  # noqa: SLF001
    return found


def _said(result: Any) -> dict[str, str]:
    """Which host, which task, and its message."""
    return {
        "host": result._host.get_name(),  # noqa: SLF001
        "task": result._task.get_name(),  # noqa: SLF001
        "message": str(_data(result).get("msg", "")),
    }
