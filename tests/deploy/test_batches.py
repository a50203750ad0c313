from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.deploy import batches
from advisor.deploy.batches import FINE, SEEN, SETTLED, STEPS, SWITCHED, TAKEN_BACK
from advisor.deploy.target import Declined, Trouble


def ours(state: str, **more: Any) -> dict[str, Any]:
    return {"changed": False, "advisor": {"state": state, **more}}


UNREACHABLE = {"unreachable": True, "msg": "Failed to connect"}
SKIPPED = {"skipped": True, "changed": False}


def test_a_hosts_words_are_those_of_its_last_step() -> None:
    variables = {SEEN: ours("seen"), SWITCHED: ours("held"), SETTLED: ours("committed")}
    assert batches.told(variables, TAKEN_BACK)["state"] == "committed"
    assert batches.told(variables, SWITCHED)["state"] == "held"
    assert batches.told(variables, SEEN)["state"] == "seen"


def test_a_step_that_was_skipped_says_nothing() -> None:
    variables = {SEEN: ours("unchanged"), SWITCHED: SKIPPED}
    assert batches.told(variables, SWITCHED)["state"] == "unchanged"


def test_a_host_out_of_reach_says_so() -> None:
    words = batches.told({SEEN: ours("seen"), SWITCHED: UNREACHABLE}, SWITCHED)
    assert words["state"] == "unreachable"
    assert words["reason"]["message"] == "Failed to connect"


def test_what_failed_between_two_steps_is_not_forgotten() -> None:
    variables = {SEEN: ours("seen"), "advisor_failed": "no package nginx"}
    words = batches.told(variables, SETTLED)
    assert (words["state"], words["reason"]["message"]) == ("refused", "no package nginx")


def test_a_task_that_broke_is_a_refusal() -> None:
    words = batches.told({SEEN: {"failed": True, "msg": "a defect"}}, SEEN)
    assert (words["state"], words["reason"]["message"]) == ("refused", "a defect")


def test_a_host_of_which_nothing_is_known_is_not_fine() -> None:
    assert batches.told({}, SEEN)["state"] not in FINE[SEEN]


@pytest.mark.parametrize(
    ("step", "state", "goes_on"),
    [
        (SEEN, "seen", True),
        (SEEN, "refused", False),
        (SWITCHED, "held", True),
        (SWITCHED, "unchanged", True),
        # It dropped out of the play without a word.
        (SWITCHED, "seen", False),
        (SWITCHED, "returned", False),
        (SETTLED, "held", False),
        (SETTLED, "committed", True),
        (SETTLED, "unreachable", False),
    ],
)
def test_a_batch_goes_on_where_every_other_host_is_as_far(
    step: str, state: str, goes_on: bool
) -> None:
    batch = {"web1": {"state": "refused"}, "web2": {"state": state}}
    assert (batches.behind("web1", step, batch) is None) is goes_on


STATES = sorted({state for states in FINE.values() for state in states} | batches.RESTING)


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(STATES), min_size=1))
def test_all_of_a_batch_decide_alike(states: dict[str, str]) -> None:
    """Where all are fine nobody is behind; where one is not, all the others see it."""
    batch = {host: {"state": state} for host, state in states.items()}
    bad = {host for host, state in states.items() if state not in FINE[SWITCHED]}
    for host in batch:
        assert (batches.behind(host, SWITCHED, batch) is None) is not bool(bad - {host})


OPERATION = {
    "schema": "advisor/operation/1",
    "id": "0123456789abcdef",
    "state": "committed",
    "from": 6,
    "generation": 7,
    "changed": ["nginx/shop.conf"],
    "diff": [],
    "reason": None,
    "gate": None,
}


def test_a_commit_that_was_undone_is_a_return() -> None:
    mine = batches.of_operation(OPERATION)
    words = batches.taken_back(mine, {"state": "committed"}, "web2: returned")
    assert (words["state"], words["reason"]["message"]) == ("returned", "web2: returned")


def test_a_commit_that_could_not_be_undone_says_why() -> None:
    mine = batches.of_operation(OPERATION)
    undone = batches.refused("live", "the app is unhealthy")
    words = batches.taken_back(mine, undone, "web2: returned")
    assert words["state"] == "return_failed"
    assert "the app is unhealthy" in words["reason"]["message"]
    assert words["reason"]["look"]


@pytest.mark.parametrize("last", ["unreachable", "committed"])
def test_a_host_lost_while_its_commit_was_undone_is_no_refusal(last: str) -> None:
    settled = batches.of_operation(OPERATION)
    words = batches.concluded(settled, {**settled, "state": last}, "web2: returned")
    assert words["state"] == ("return_failed" if last == "unreachable" else "committed")


def test_of_a_host_lost_on_the_way_it_is_said_what_is_known() -> None:
    held = {SEEN: ours("seen"), SWITCHED: ours("held")}
    looks = [
        batches.told(variables, step)["reason"]["look"]
        for step, variables in (
            (SEEN, {SEEN: UNREACHABLE}),
            (SWITCHED, {SEEN: ours("seen"), SWITCHED: UNREACHABLE}),
            (SETTLED, held | {SETTLED: UNREACHABLE}),
        )
    ]
    assert looks[0] == ""
    assert "takes back by itself" in looks[1]
    assert "not known" in looks[2]


def test_an_error_keeps_the_reason_that_a_program_gave() -> None:
    reason = {"step": "lock", "message": "ann is at work here"}
    declined = batches.of_error("switch", Declined("ann is at work here", reason))
    assert declined == {"state": "refused", "reason": reason}
    trouble = batches.of_error("switch", Trouble("no answer", remedy="Look."))
    assert (trouble["reason"]["message"], trouble["reason"]["look"]) == ("no answer", "Look.")


@pytest.mark.parametrize("is_check", [True, False])
def test_only_a_conclusion_fails(is_check: bool) -> None:
    words = batches.refused("lock", "busy")
    assert "failed" not in batches.shown(words | {"verb": "switch"}, is_check=is_check)
    end = batches.shown(words | {"verb": "conclude"}, is_check=is_check)
    assert end == {"changed": False, "msg": "refused: busy", "failed": not is_check}


def test_a_return_for_the_batch_names_the_host_that_failed() -> None:
    mine = batches.of_operation(OPERATION | {"state": "returned"})
    found = batches.outcome(mine | {"because": "web2: 502"}, is_check=False)
    assert found["reason"]["message"] == "web2: 502"


def test_a_return_that_failed_keeps_its_own_reason() -> None:
    reason = {"step": "returning", "message": "nginx does not reload"}
    mine = batches.of_operation(OPERATION | {"state": "return_failed", "reason": reason})
    found = batches.outcome(mine | {"because": "web2: 502"}, is_check=False)
    assert found["reason"] == reason


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ({"state": "checked", "changed": ["nginx/shop.conf"]}, "changes"),
        ({"state": "unchanged", "changed": []}, "unchanged"),
        ({"state": "refused", "reason": None}, "refused"),
    ],
)
def test_a_check_says_whether_anything_would_change(words: dict[str, Any], state: str) -> None:
    assert batches.outcome(words, is_check=True)["state"] == state


@pytest.mark.parametrize(
    ("message", "user", "state"),
    [
        ("the group shop is not known on this host", "shop", "checked"),
        ("the user shop that runs shop.service is not there", "shop", "checked"),
        ("the group shop is not known on this host", None, "refused"),
        ("nginx: unknown directive", "shop", "refused"),
    ],
)
def test_a_user_that_an_apply_would_make_is_no_reason_to_refuse(
    message: str, user: str | None, state: str
) -> None:
    found = batches.unprepared(batches.refused("staged", message), user, [])
    assert found["state"] == state
    assert bool(batches.outcome(found, is_check=True)["notes"]) is (state == "checked")


def test_a_program_that_an_apply_would_install_is_no_reason_to_refuse() -> None:
    words = batches.refused("check", "nginx is not installed, so its files cannot be checked")
    found = batches.unprepared(words, None, ["proxy_nginx"])
    assert (found["state"], found["notes"][0][:22]) == ("checked", "nginx is not there yet")
    assert batches.unprepared(words, None, [])["state"] == "refused"


def test_a_package_that_is_missing_is_a_change() -> None:
    same = {"state": "unchanged", "changed": [], "missing": ["proxy_nginx"]}
    assert batches.outcome(same, is_check=True)["state"] == "changes"
    assert batches.outcome(same | {"missing": []}, is_check=True)["state"] == "unchanged"


def test_a_host_that_was_only_looked_at_was_not_applied_to() -> None:
    assert batches.outcome({"state": "seen"}, is_check=False)["state"] == "refused"


def test_a_load_balancer_that_was_not_told_is_a_note() -> None:
    drains = [
        ours("drained") | {"advisor_balancer": "lb1"},
        ours("refused", reason={"message": "the last peer"}) | {"advisor_balancer": "lb2"},
        UNREACHABLE | {"advisor_balancer": "lb3"},
        ours("drained", is_calm=True) | {"advisor_balancer": "lb4"},
        ours("drained", is_calm=False) | {"advisor_balancer": "lb5"},
        ours("up", verb="undrain") | {"advisor_balancer": "lb6"},
        ours("refused", verb="undrain", refused="nginx -t fails") | {"advisor_balancer": "lb7"},
    ]
    notes = batches.outcome({"state": "committed"}, is_check=False, drains=drains)["notes"]
    assert notes == [
        "lb2: not drained: the last peer",
        "lb3: not drained: Failed to connect",
        "lb5: drained, and it did not see the requests to this host end in time",
        "lb7: not sent to again before its lease ends: nginx -t fails",
    ]


def test_a_note_of_another_kind_comes_before_those_of_drains() -> None:
    drains = [UNREACHABLE | {"advisor_balancer": "lb"}]
    found = batches.outcome({"state": "held"}, is_check=False, drains=drains, notes=["a"])
    assert found["notes"] == ["a", "lb: not drained: Failed to connect"]


def test_the_steps_are_in_order() -> None:
    assert set(FINE) == set(STEPS)
