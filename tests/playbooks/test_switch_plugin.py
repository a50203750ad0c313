"""The action plugin's own decisions, of hosts that answer as no test host would."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy import batches
from advisor.deploy.ansible import playbooks
from advisor.deploy.target import Declined, Trouble
from tests.deploy.trees import rendered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import NoReturn

PLUGIN = playbooks() / "roles" / "generation" / "action_plugins" / "advisor_switch.py"
OPTIONS: dict[str, Any] = {
    "verb": "apply",
    "tree": "",
    "components": None,
    "parts": [],
    "peer": None,
    "overwrite": False,
    "dwell_s": 5.0,
    "deadline_s": 120.0,
    "lease_s": 180.0,
    "app": "",
    "to": None,
    "all_apps": False,
}
LOOKED = {
    "system": {"id": "debian", "version": "12"},
    "is_root": True,
    "has_systemd": True,
    "missing": [],
    "lacks_user": False,
    "program": None,
    "peers": {"shop": ["10.0.0.11:8080"], "pages": []},
    "status": {"current": 3, "apps": {"shop": {}, "pages": {}}},
}
SEEN = {"state": "seen", "app": "shop", "current": 3, "batch": ["web1", "web2"], "program": None}


class Target:
    """Says of a host what it is told to, and keeps what it was asked."""

    def __init__(self, **said: Any) -> None:
        self.said, self.asked = said, list[str]()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def answer(*words: Any, **_: Any) -> Any:
            self.asked.append(name if name != "switch" else str(words[0]))
            found = self.said.get(self.asked[-1], {})
            if isinstance(found, Exception):
                raise found
            return found

        return answer


@pytest.fixture
def plugin(not_run: Callable[[str], NoReturn]) -> Callable[..., Any]:
    if importlib.util.find_spec("ansible") is None:
        not_run("ansible is not installed")
    spec = importlib.util.spec_from_file_location("advisor_switch", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def make(target: Target, hostvars: dict[str, Any] | None = None, **options: Any) -> Any:
        """The plugin at web1, with what Ansible has registered for each host."""
        found = module.ActionModule.__new__(module.ActionModule)
        known = hostvars or {"web1": {}}
        groups = {"advisor_load_balancers": ["lb"]}
        found._host, found._target, found._options = "web1", target, OPTIONS | options
        found._vars = {"hostvars": known, "groups": groups, "ansible_forks": 5}
        found._vars |= {"ansible_play_batch": list(known)}
        return found

    return make


def said(**steps: dict[str, Any]) -> dict[str, Any]:
    """What is registered for a host, by the names of its steps without their prefix."""
    return {f"advisor_{name}": {"advisor": words} for name, words in steps.items()}


COMMITTED = {"state": "committed", "from": 3, "generation": 4, "id": "a", "changed": []}
OTHER = said(seen=SEEN, switched={"state": "returned", "reason": None})


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (Declined("", {"step": "lock", "message": "ann is at work here"}), "ann is at work here"),
        (Trouble("no answer (status 1)"), "no answer"),
    ],
)
def test_a_commit_that_is_not_undone_is_a_failed_return(
    plugin: Callable[..., Any], error: Exception, why: str
) -> None:
    mine = said(seen=SEEN, switched=COMMITTED, settled=COMMITTED)
    words = plugin(Target(request=error), {"web1": mine, "web2": OTHER}).do_take_back()
    assert words["state"] == "return_failed"
    assert why in words["reason"]["message"]


def test_a_connection_lost_while_a_commit_is_undone_is_one_too(
    plugin: Callable[..., Any],
) -> None:
    mine = said(seen=SEEN, switched=COMMITTED, settled=COMMITTED)
    mine["advisor_taken_back"] = {"unreachable": True, "msg": "no route"}
    made = plugin(Target(), {"web1": mine, "web2": OTHER})
    made._task = type("Task", (), {"check_mode": False})
    words = made.do_conclude()
    assert words["state"] == "return_failed"
    assert "no route" in words["reason"]["message"]


@pytest.mark.parametrize("state", ["refused", "unreachable"])
def test_a_host_whose_check_failed_is_not_switched(plugin: Callable[..., Any], state: str) -> None:
    mine = said(seen=SEEN, checked=batches.refused("check", "busy") | {"state": state})
    target = Target()
    words = plugin(target, {"web1": mine, "web2": said(seen=SEEN)}).do_switch()
    assert (words["state"], target.asked) == (state, [])


def test_a_host_whose_check_was_well_is_switched(
    plugin: Callable[..., Any], tmp_path: Path
) -> None:
    mine = said(seen=SEEN, checked={"state": "checked", "drains": []})
    target = Target(request={"id": "a"}, wait={"state": "held", "id": "a"})
    tree = str(rendered(tmp_path / "deploy"))
    made = plugin(target, {"web1": mine, "web2": said(seen=SEEN)}, tree=tree)
    made._loader = type("Loader", (), {"path_dwim": staticmethod(str)})
    assert made.do_switch()["state"] == "held"
    assert target.asked == ["install", "request", "wait"]


@pytest.mark.parametrize(
    ("options", "seen", "hosts", "seconds"),
    [
        ({}, {}, 1, 125),
        ({"dwell_s": 600.0}, {}, 1, 720),
        # Forks at once, or with a drain one after another.
        ({}, {}, 6, 250),
        ({}, {"drains": ["lb"]}, 6, 750),
        ({"dwell_s": 100.0, "all_apps": True}, {"apps": 3}, 1, 420),
    ],
)
def test_a_host_is_waited_for_as_long_as_its_gate_watches(
    plugin: Callable[..., Any],
    options: dict[str, Any],
    seen: dict[str, Any],
    hosts: int,
    seconds: float,
) -> None:
    names = [f"web{number}" for number in range(1, hosts + 1)]
    look = SEEN | {"batch": names} | seen
    known = {name: said(seen=look, checked=look) for name in names}
    assert plugin(Target(), known, **options)._held_s() == seconds


def test_a_target_does_not_choose_which_roles_are_run(
    plugin: Callable[..., Any], tmp_path: Path
) -> None:
    evil = LOOKED | {"missing": ["proxy_nginx", "../../evil", "monitoring"]}
    tree = str(rendered(tmp_path / "deploy"))
    made = plugin(Target(look=evil), tree=tree)
    made._loader = type("Loader", (), {"path_dwim": staticmethod(str)})
    words = made.do_look()
    assert words["state"] == "seen", words
    assert words["prepare"] == words["missing"] == ["proxy_nginx"]


@pytest.mark.parametrize(
    ("address", "peer", "stranger"),
    [
        ("10.0.0.11", "10.0.0.11:8080", False),
        ("10.0.0.99", None, True),
    ],
)
def test_a_host_that_no_load_balancer_knows_is_named(
    plugin: Callable[..., Any], address: str, peer: str | None, stranger: bool
) -> None:
    """By its address as its variables have it once they are filled in."""
    known = {"web1": {"ansible_host": address}}
    made = plugin(Target(look=LOOKED), known, verb="rollback", app="shop")
    made._vars["ansible_host"] = "{{ private_ip }}"
    words = made.do_look()
    assert words["peer"] == peer
    assert bool(words["stranger"]) is stranger
    made = plugin(Target(look=LOOKED), known, verb="rollback", app="pages")
    assert made.do_look()["stranger"] is None


def test_all_apps_of_a_host_are_counted(plugin: Callable[..., Any]) -> None:
    made = plugin(Target(look=LOOKED), verb="rollback", all_apps=True)
    assert made.do_look()["apps"] == 2
