# ruff: noqa: INP001 - Ansible finds a plugin by its folder
"""Ansible's side of a switch of generations: what a host is handed, and what it says of it.

Each task of the role is one verb, and registers what the host said under `advisor`. Nothing of a
tree passes through a template or a command line: its bytes go to the target's program by standard
input, and leave no file behind. No verb fails for what a host says but `conclude`, which ends the
play once the whole batch is settled.
"""

from __future__ import annotations

import getpass
import secrets
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

ROLE = Path(__file__).resolve().parents[1]
# In a checkout playbooks/ stands beside the package, in a wheel inside it. Of ours only what needs
# the standard library alone is imported, so that nothing has to be installed.
_BESIDE = (ROLE.parents[2], ROLE.parents[3])
sys.path += [str(place) for place in _BESIDE if (place / "advisor" / "deploy").is_dir()][:1]

from advisor.deploy import batches, parcel, seen  # noqa: E402 - found by the line above
from advisor.deploy.target import ALIVE, NOBODY_TO_ASK, Target, Trouble  # noqa: E402
from advisor.errors import AdvisorError  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

# The kinds of host beside the app's own, by the group of the inventory that they are in.
GROUPS = {"load_balancer": "advisor_load_balancers", "monitoring": "advisor_monitoring"}
# What an operation may take beyond the time for which it is held: its checks, and its return.
MARGIN_S = 120


class ActionModule(ActionBase):
    """`advisor_switch: {verb: NAME, options: MAPPING}`: one of the methods below."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Carry out the verb."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._vars = task_vars or {}
        self._host = str(self._vars["inventory_hostname"])
        self._options = self._task.args["options"]
        self._target = Target(self._execute)
        self._keep_alive()
        verb = str(self._task.args["verb"])
        try:
            words = getattr(self, f"do_{verb}")()
        except AdvisorError as error:
            words = batches.of_error(verb, error)
        told = {**words, "verb": verb, "host": self._host}
        return result | batches.shown(told, is_check=self._is_check) | {"advisor": told}

    def _keep_alive(self) -> None:
        """Added to the user's own options, wherever they come from: a jump host stays."""
        if self._connection.transport == "ssh":
            own = self._connection.get_option("ssh_extra_args") or ""
            self._connection.set_option("ssh_extra_args", f"{own} {ALIVE}".strip())

    def _execute(self, line: str, data: bytes) -> dict[str, Any]:
        """Run a line there; but for a lost connection, what keeps Ansible from it is said."""
        try:
            return dict(self._low_level_execute_command(line, in_data=data))
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            message = str(error.message)
            remedy = NOBODY_TO_ASK if "password" in message.lower() else None
            raise Trouble(message, remedy=remedy) from None

    @property
    def _is_check(self) -> bool:
        return bool(self._task.check_mode)

    @property
    def _seen(self) -> Mapping[str, Any]:
        return self._told(batches.SEEN)

    @property
    def _batch(self) -> list[str]:
        """The hosts of the batch as it began; one that was out of reach knows itself alone."""
        return list(self._seen.get("batch") or [self._host])

    def _told(self, step: str, host: str | None = None) -> batches.Told:
        """What a host said last, up to a step."""
        return batches.told(self._vars["hostvars"][host or self._host], step)

    @property
    def _checked(self) -> batches.Told | None:
        """What the preliminary check said; null where none was made."""
        found = self._vars["hostvars"][self._host].get("advisor_checked") or {}
        return (
            batches.told({batches.SEEN: found}, batches.SEEN) if batches.is_taken(found) else None
        )

    def _behind(self, step: str) -> str | None:
        """What keeps the batch from going on; hosts that Ansible has given up count."""
        batch = {host: self._told(step, host) for host in self._batch}
        return batches.behind(self._host, step, batch)

    def do_look(self) -> batches.Told:
        """What the host is and has, and whether there is anything to do."""
        batch = [str(host) for host in self._vars["ansible_play_batch"]]
        try:
            return {"batch": batch} | self._look()
        except AdvisorError as error:
            return {"batch": batch} | batches.of_error("look", error)
        except AnsibleConnectionFailure as error:
            # Said, not raised: that would end the whole batch without a word of it.
            return {"batch": batch} | batches.unreachable(str(error.message))

    def _look(self) -> batches.Told:
        handed = self._parcel()
        if handed is None and self._options["verb"] == "apply":
            return {"state": "nothing", "rests": True}
        components = self._options["components"]
        asked = {
            "commands": handed.needs(components) if handed else {},
            "user": handed.own_user if handed else None,
        }
        found = self._target.look((ROLE / "files" / "look.py").read_bytes(), asked)
        # Only roles that were asked about: a target does not choose what the controller runs.
        found["missing"] = [role for role in asked["commands"] if role in found["missing"]]
        seen.check(found)
        status = found["status"] or {}
        if self._options["verb"] == "list":
            return {"state": "listed", "rests": True, "status": status}
        all_apps, named = self._options["all_apps"], self._options["app"]
        app = handed.app if handed else seen.app_to_roll_back(status, named, all_apps=all_apps)
        same = handed is not None and components is None and seen.has(status, handed)
        # What was removed since is brought again, and the tree found to be there.
        rests = same and not found["missing"]
        peers = handed.install["peers"] if handed else found["peers"].get(app, [])
        # A host that has nothing yet gets no requests that a drain could spare.
        behind = app in (status.get("apps") or {}) and not same and self._balancers()
        names = self._names()
        peer = parcel.peer_of(peers, *names) if behind else None
        is_stranger = behind and peers and peer is None and "app" in self._parts()
        return {
            "state": "unchanged" if rests else "seen",
            "rests": rests,
            "app": app,
            "current": status.get("current"),
            "program": found["program"],
            "missing": found["missing"],
            "user": asked["user"] if found["lacks_user"] else None,
            "prepare": seen.prepared(found),
            "peer": peer,
            "stranger": parcel.nobodys_peer(*names) if is_stranger else None,
            "apps": len(status.get("apps") or ()) if all_apps else 1,
            "proxy": handed.install["proxy"] if handed else None,
        }

    def _parcel(self) -> parcel.Parcel | None:
        """This host's part of the tree; null where it has none, or none is asked for."""
        if self._options["verb"] != "apply":
            return None
        parts = self._parts()
        folder = Path(self._loader.path_dwim(str(self._options["tree"])))
        return parcel.parcel(parcel.read_tree(parcel.tree_for(folder, self._host, parts)), parts)

    def _parts(self) -> list[str]:
        """The kinds of host that this one is: what it is told, or what its groups say."""
        if self._options["parts"]:
            return [str(part) for part in self._options["parts"]]
        names = self._vars.get("group_names") or []
        return [part for part, group in GROUPS.items() if group in names] or ["app"]

    def _balancers(self) -> list[str]:
        """The load balancers of the inventory."""
        return list(self._vars["groups"].get(GROUPS["load_balancer"], []))

    def _names(self) -> list[str | None]:
        """What a load balancer may call this host; its variables themselves are not templated."""
        address = self._vars["hostvars"][self._host].get("ansible_host")
        return [self._options["peer"], address, self._host]

    def do_check(self) -> batches.Told:
        """What a switch would change, and which load balancers have to know of it before."""
        request = self._request(secrets.token_hex(8), check=True)
        found = batches.of_operation(self._target.check(request))
        drains = self._seen["peer"] and parcel.restarts(found["changed"])
        balancers = self._balancers()
        found |= {"drains": balancers if drains else [], "missing": list(self._seen["missing"])}
        return batches.unprepared(found, self._seen["user"], self._seen["missing"])

    def do_drain(self) -> batches.Told:
        """Ask a load balancer to send this host nothing; the lease ends by itself."""
        return self._balance("drain")

    def do_undrain(self) -> batches.Told:
        """Ask it to send requests again."""
        return self._balance("undrain")

    def _balance(self, verb: str) -> batches.Told:
        app, peer = str(self._seen["app"]), str(self._seen["peer"])
        lease_s = min(float(self._options["lease_s"]) + self._gated_s, batches.LONGEST_HELD_S)
        return self._target.switch(verb, "-", data=parcel.drain(app, peer, lease_s))

    def do_switch(self) -> batches.Told:
        """Hand the tree over, and wait until the host holds it or has taken it back."""
        behind = self._behind(batches.SEEN)
        if behind:
            return batches.refused("batch", behind, "Mend that host, or leave it out: --limit.")
        # A host whose check failed would be switched without anybody being asked to drain it.
        if (checked := self._checked) and checked["state"] not in batches.CHECKED:
            return checked
        self._target.install(self._seen["program"])
        return self._operate(self._request(secrets.token_hex(8)))

    def _request(self, id_: str, **fields: Any) -> bytes:
        """The request that the options ask for; `fields` take the place of theirs."""
        options = self._options
        asked = {
            "id": id_,
            "by": f"{getpass.getuser()}@{socket.gethostname()}",
            "verb": options["verb"],
            "components": options["components"],
            "to": options["to"],
            "all_apps": options["all_apps"],
            "overwrite": options["overwrite"],
            "dwell_s": float(options["dwell_s"]),
            "deadline_s": min(self._held_s(), batches.LONGEST_HELD_S),
            "expected_current": self._seen["current"] or 0,
            **fields,
        }
        handed = self._parcel() if asked["verb"] == "apply" else None
        return parcel.request(handed, str(self._seen["app"]), **asked)

    @property
    def _gated_s(self) -> float:
        """For how long the gate watches: one app after another."""
        return float(self._options["dwell_s"]) * int(self._seen.get("apps") or 1)

    def _held_s(self) -> float:
        """Hosts take turns, as many at once as Ansible has forks: each is held until the last."""
        hostvars = self._vars["hostvars"]
        checked = (hostvars[host].get("advisor_checked") for host in self._batch)
        drained = any((each or {}).get("advisor", {}).get("drains") for each in checked)
        at_once = 1 if drained else int(self._vars.get("ansible_forks") or 5)
        turn_s = float(self._options["deadline_s"]) + self._gated_s
        return batches.turns_s(turn_s, len(self._batch), at_once)

    def _operate(self, request: bytes) -> batches.Told:
        asked = self._target.switch("request", "-", data=request)
        return self._wait(str(asked["id"]), batches.RESTING)

    def _wait(self, id_: str, states: frozenset[str]) -> batches.Told:
        found = self._target.wait(id_, states, self._held_s() + MARGIN_S)
        return batches.of_operation(found)

    def do_settle(self) -> batches.Told:
        """Commit what is held, where the whole batch is; return it otherwise."""
        mine = self._told(batches.SWITCHED)
        if mine["state"] != "held":
            return mine
        behind = self._behind(batches.SWITCHED)
        self._target.answer("return" if behind else "commit", mine["id"])
        return self._wait(mine["id"], batches.TERMINAL) | {"because": behind}

    def do_take_back(self) -> batches.Told:
        """Undo a commit beside a host that did not get as far: a batch is one."""
        mine = self._told(batches.SETTLED)
        behind = self._behind(batches.SETTLED)
        if mine["state"] != "committed" or not behind:
            return mine
        if mine["from"] is None:
            return batches.no_way_back(mine, behind)
        id_ = secrets.token_hex(8)
        back = {"verb": "rollback", "to": mine["from"], "components": None}
        try:
            found = self._operate(self._request(id_, **back, expected_current=mine["generation"]))
            if found["state"] == "held":
                self._target.answer("commit", id_)
                found = self._wait(id_, batches.TERMINAL)
        except AdvisorError as error:
            found = batches.of_error("take_back", error)
        return batches.taken_back(mine, found, behind)

    def do_conclude(self) -> batches.Told:
        """How it went on this host."""
        known = self._vars["hostvars"][self._host]
        words = self._checked if self._is_check else None
        if words is None:
            settled, last = self._told(batches.SETTLED), self._told(batches.TAKEN_BACK)
            words = batches.concluded(settled, last, self._behind(batches.SETTLED))
        steps = (known.get(name) or {} for name in ("advisor_drained", "advisor_undrained"))
        drains = [each for step in steps for each in step.get("results") or []]
        stranger = self._seen.get("stranger")
        notes = [stranger] if stranger and parcel.restarts(words.get("changed") or ()) else []
        return batches.outcome(words, is_check=self._is_check, drains=drains, notes=notes)
