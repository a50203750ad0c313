"""The gathering module, imported as Ansible puts it together on a host."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ansible.module_utils

from advisor.host.remote import Gathered

if TYPE_CHECKING:
    from types import ModuleType

ROLE = Path(__file__).parents[2] / "playbooks" / "roles" / "facts"
ansible.module_utils.__path__.append(str(ROLE / "module_utils"))


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "advisor_gather", ROLE / "library" / "advisor_gather.py"
    )
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def gathered_here(virtualenv: str | None = None) -> Gathered:
    return Gathered.model_validate(module().gathered(virtualenv))


def still(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts without what moves from one look to the next."""
    memory = facts["memory"]
    for key in ("available_bytes", "others_bytes", "swap_used_bytes"):
        memory.pop(key, None)
    for limit in memory["limits"]:
        limit.pop("used_bytes", None)
    for server in facts["servers"]:
        server.pop("master_pss_bytes", None)
        for worker in server["workers"]:
            assert (worker.pop("pss_bytes") is None) == (worker.pop("uss_bytes") is None)
    return facts
