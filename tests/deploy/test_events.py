from __future__ import annotations

from typing import Any

import pytest

from advisor.deploy.events import outcomes, parse, progress, warnings

PLAY = {"event": "play", "hosts": ["web1", "web2", "web3"], "batch": ["web1"]}


def words(host: str, verb: str, state: str, **more: Any) -> dict[str, Any]:
    return {"event": "advisor", "host": host, "words": {"verb": verb, "state": state, **more}}


def states(*events: dict[str, Any]) -> dict[str, str]:
    return {each["host"]: each["state"] for each in outcomes([PLAY, *events])}


def test_a_line_that_is_not_whole_waits() -> None:
    assert parse("") == parse('{"event"') == []
    assert len(parse('{"event": "a"}\n{"event": "b"}\n{"ev')) == 2


def test_a_host_that_no_batch_reached_is_untouched() -> None:
    assert states(words("web1", "conclude", "returned")) == {
        "web1": "returned",
        "web2": "untouched",
        "web3": "untouched",
    }


def test_a_look_is_the_end_where_there_is_nothing_to_do() -> None:
    found = states(words("web1", "look", "unchanged"), words("web2", "look", "seen"))
    assert found == {"web1": "unchanged", "web2": "untouched", "web3": "untouched"}


def test_the_conclusion_stands_whatever_was_said_before() -> None:
    events = (
        words("web1", "look", "seen"),
        {"event": "unreachable", "host": "web1", "task": "Drain", "message": "lb1"},
        words("web1", "switch", "held"),
        words("web1", "conclude", "committed"),
    )
    assert states(*events)["web1"] == "committed"


def test_a_failure_of_another_task_names_it() -> None:
    event = {"event": "failed", "host": "web1", "task": "Install nginx", "message": "no package"}
    found = outcomes([PLAY, event])[0]
    assert found["reason"]["message"] == "Install nginx: no package"


def test_a_host_out_of_reach_is_said() -> None:
    event = {"event": "unreachable", "host": "web1", "task": "Look", "message": " timed out\n"}
    found = outcomes([PLAY, event])[0]
    assert (found["state"], found["reason"]["message"]) == ("unreachable", "timed out")


def test_what_is_told_is_what_the_host_said() -> None:
    event = words("web1", "conclude", "committed", generation=7, changed=["a"], other="x", diff=[])
    assert outcomes([PLAY, event])[0] == {
        "host": "web1",
        "state": "committed",
        "generation": 7,
        "changed": ["a"],
    }


def test_progress_tells_what_is_new() -> None:
    assert progress(words("web1", "switch", "held")) == "web1: held"
    assert progress(words("web1", "look", "seen")) is None
    assert progress(PLAY) is None


SWITCHING = {"event": "task", "task": "generation : Switch, and hold"}
SEEN = words("web1", "look", "seen")


@pytest.mark.parametrize(
    ("said", "state", "message"),
    [
        ([], "refused", "being switched"),
        ([words("web1", "switch", "held")], "refused", "this host was held: it returns by itself"),
        ([words("web1", "switch", "returned", reason={"message": "502"})], "returned", "502"),
        ([words("web1", "settle", "committed", generation=7)], "committed", ""),
        (
            [words("web1", "settle", "returned", because="web2: 502")],
            "returned",
            "web2: 502",
        ),
        ([words("web1", "take_back", "return_failed")], "return_failed", ""),
        (
            [
                {"event": "unreachable", "host": "web1", "task": "Drain", "message": "lb"},
                words("web1", "switch", "held"),
            ],
            "refused",
            "held",
        ),
    ],
)
def test_a_play_that_dies_tells_how_far_each_host_is(
    said: list[dict[str, Any]], state: str, message: str
) -> None:
    found = outcomes([PLAY, SEEN, SWITCHING, *said])
    assert [each["state"] for each in found] == [state, "untouched", "untouched"]
    assert message in (found[0].get("reason") or {"message": ""})["message"]


def test_before_a_switch_began_nothing_did() -> None:
    assert states(SEEN)["web1"] == "untouched"
    assert states(SEEN, SWITCHING | {"check": True})["web1"] == "untouched"
    nothing = words("web1", "look", "unchanged")
    assert states(nothing, SWITCHING)["web1"] == "unchanged"


SAID = """\
[WARNING]: Could not match supplied host pattern, ignoring: advisor_load_balancers
[WARNING]: Unable to parse
 /etc/hosts.ini as an inventory source
[DEPRECATION WARNING]: old
[WARNING]: Could not match supplied host pattern, ignoring: wbe2
[WARNING]: Could not match supplied host pattern, ignoring: wbe2
[ERROR]: [WARNING]: not this
"""


def test_warnings_are_told_once_and_whole_but_for_groups_that_need_not_be() -> None:
    assert warnings(SAID) == [
        "Unable to parse /etc/hosts.ini as an inventory source",
        "Could not match supplied host pattern, ignoring: wbe2",
    ]
    assert warnings("") == []
    assert progress({"event": "warning", "message": "a"}) == "advisor: warning: a"
