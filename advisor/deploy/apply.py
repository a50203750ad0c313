"""Apply and rollback: what is looked at before a play begins, and what its end amounts to."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from advisor.deploy.ansible import run_playbook
from advisor.deploy.batches import GOOD
from advisor.deploy.events import outcomes
from advisor.deploy.parcel import PARTS
from advisor.errors import AdvisorError, Refused, Returned, ReturnFailed
from advisor.render import PROBLEMS, examine
from advisor.render.drift_trees import trees

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from advisor.deploy.ansible import Played
    from advisor.deploy.events import Event
    from advisor.deploy.inventory import Hosts

Outcome = dict[str, Any]
# The hosts beside the app's own, by the variables of playbooks/rollback.yml.
OTHERS = {
    "advisor_balancer_hosts": "advisor_load_balancers",
    "advisor_monitoring_hosts": "advisor_monitoring:!advisor_load_balancers",
}


def check_trees(directory: Path) -> None:
    """Whether the trees of a folder may be applied: as rendered, and meant for a host.

    What the daemons say is for their targets to ask. Raises `Refused` naming each file that was
    changed, and `InvalidInput` where there is no tree.
    """
    found = examine(directory, are_checked=False)
    if found.problems:
        lines = [f"{directory}/{each.path}: {each.rule}: {each.text}" for each in found.problems]
        rules = dict.fromkeys(each.rule for each in found.problems)
        raise Refused(
            "\n".join(["nothing was applied, for these are not as they were rendered:", *lines]),
            remedy="\n  ".join(f"{rule}: {PROBLEMS[rule][1]}" for rule in rules),
        )
    documents = (directory / name / path for name in trees(directory) for path in PARTS.values())
    for path in documents:
        if path.is_file() and (words := json.loads(path.read_bytes())["refusal"]):
            raise Refused(
                f"nothing was applied: {words}",
                remedy="Set it in advisor.yml, then recommend and render again.",
            )


def apply(
    directory: Path,
    hosts: Hosts,
    *,
    check: bool = False,
    overwrite: bool = False,
    serial: Sequence[str | int] | None = None,
    dwell_s: float | None = None,
    verbose: bool = False,
    on_event: Callable[[Event], None] = lambda _: None,
) -> list[Outcome]:
    """Put the trees of a folder on hosts, and say how it went on each.

    With `check` nothing is changed, and each outcome has the difference. Raises as `check_trees`
    and `run_playbook` do.
    """
    check_trees(directory)
    variables: dict[str, Any] = {"advisor_tree": str(directory.resolve())}
    variables |= {"advisor_overwrite": True} if overwrite else {}
    variables |= {"advisor_serial": serial} if serial else {}
    variables |= {"advisor_dwell_s": dwell_s} if dwell_s is not None else {}
    more = ("--check",) if check else ()
    played = run_playbook(
        "site.yml", hosts, variables, more=more, verbose=verbose, on_event=on_event
    )
    return _outcomes(played)


def rollback(
    hosts: Hosts,
    *,
    to: int | None = None,
    app: str | None = None,
    all_apps: bool = False,
    overwrite: bool = False,
    serial: Sequence[str | int] | None = None,
    verbose: bool = False,
    on_event: Callable[[Event], None] = lambda _: None,
) -> list[Outcome]:
    """Go back to an older generation: of one app, or, with `all_apps`, of everything of ours.

    Load balancers, and hosts that watch, only where a limit names them.
    """
    variables: dict[str, Any] = {"advisor_app": app or "", "advisor_all_apps": all_apps}
    variables |= {"advisor_to": to} if to is not None else {}
    variables |= {"advisor_overwrite": True} if overwrite else {}
    variables |= {"advisor_serial": serial} if serial else {}
    variables |= OTHERS if hosts.is_limited else {}
    played = run_playbook("rollback.yml", hosts, variables, verbose=verbose, on_event=on_event)
    return _outcomes(played)


def generations(
    hosts: Hosts, *, verbose: bool = False, on_event: Callable[[Event], None] = lambda _: None
) -> list[Outcome]:
    """What there is to go back to, under `status` of each host."""
    played = run_playbook("list.yml", hosts, {}, verbose=verbose, on_event=on_event)
    return outcomes(played.events)


def _outcomes(played: Played) -> list[Outcome]:
    """How it went on each host; a play that broke off where all was well may have missed others."""
    found = outcomes(played.events)
    if played.code and verdict(found) is None:
        raise AdvisorError(
            f"Ansible ended with {played.code}, though nothing failed on a host:\n{played.text}",
            remedy="Apply again: what is done stays done. --verbose shows what Ansible says.",
        )
    return found


def verdict(found: Sequence[Outcome]) -> AdvisorError | None:
    """The error that hosts' outcomes amount to, the worst first; null where all is well.

    >>> print(verdict([{"host": "web1", "state": "committed"}]))
    None
    >>> verdict([{"host": "a", "state": "returned"}, {"host": "b", "state": "untouched"}]).exit_code
    5
    """
    states = [each["state"] for each in found]
    summary = ", ".join(f"{count} {state}" for state, count in Counter(states).items())
    if "return_failed" in states:
        return ReturnFailed(
            f"{summary}: what was applied stands where it could not be taken back",
            remedy="Each host above says what to look at; its journal keeps what is not done.",
        )
    if "returned" in states:
        return Returned(
            f"{summary}: the hosts serve what they served before",
            remedy="Mend what the reason names, and apply again: what is done stays done.",
        )
    if states and all(state in GOOD for state in states):
        return None
    if set(states) <= {*GOOD, "changes"}:
        return Refused(f"{summary}: nothing was changed", remedy="Apply without --check to do so.")
    lost = "; of what is unreachable it is not known" if "unreachable" in states else ""
    return Refused(
        f"{summary}: nothing more was changed{lost}",
        remedy="Mend what the reason names, and apply again: what is done stays done.",
    )
