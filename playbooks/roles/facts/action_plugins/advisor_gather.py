# ruff: noqa: INP001, PTH118 - found by its folder; paths are bytes
"""Has the module of the same name look at a host, and writes what it found to a file.

What a host tells never becomes a variable, so no template can ever run it (CVE-2023-5764): it goes
from the module's answer to `OUTPUT/<host>.json`, readable by its owner alone, and nowhere else.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

# A peer that is gone says nothing: without this a cut connection would hold the play for minutes.
ALIVE = "-o ServerAliveInterval=5 -o ServerAliveCountMax=3"


class ActionModule(ActionBase):
    """`output` is a folder of the controller; `virtualenv` goes on to the module."""

    _VALID_ARGS = frozenset({"output", "virtualenv"})
    _supports_check_mode = True
    _supports_async = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The module's own result, without what it gathered."""
        super().run(tmp, task_vars)
        if self._connection.transport == "ssh":
            own = self._connection.get_option("ssh_extra_args") or ""
            self._connection.set_option("ssh_extra_args", f"{own} {ALIVE}".strip())
        host = str((task_vars or {})["inventory_hostname"])
        arguments = {"virtualenv": self._task.args.get("virtualenv") or None}
        try:
            found = self._execute_module(module_args=arguments, task_vars=task_vars)
        except AnsibleConnectionFailure as error:
            self._write(host, {"problem": f"unreachable: {error}"})
            raise
        except AnsibleError as error:
            # A wrong password of sudo's, say.
            self._write(host, {"problem": str(error.message)})
            raise
        gathered = found.pop("gathered", None)
        if gathered is None:
            self._write(host, {"problem": str(found.get("msg") or "no answer")})
            return {"failed": True, "msg": found.get("msg", "no answer"), "changed": False}
        self._write(host, {"gathered": str(gathered)})
        return {"changed": False}

    def _write(self, host: str, data: dict[str, str]) -> None:
        path = os.path.join(str(self._task.args["output"]), f"{quote(host, safe='')}.json")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump({"host": host, **data}, stream)
