"""Which server is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from advisor import files
from advisor.documents import Facts, Measurement, Server
from advisor.errors import InvalidInput, TooLittleEvidence
from advisor.intent import Intent
from advisor.selection import servers_for

EXAMPLES = Path(__file__).parent / "examples"
ONE = files.read(Facts, EXAMPLES / "facts.json")
SHOP = ONE.servers[0]
BLOG = SHOP.model_copy(update={"pid": 900, "app": "blog:app", "workers": []})
TWO = ONE.model_copy(update={"servers": [SHOP, BLOG]})
NONE = ONE.model_copy(update={"servers": [SHOP.model_copy(update={"app": None})]})
MEASURED = files.read(Measurement, EXAMPLES / "measurement.json")


def want(module: str) -> Intent:
    return files.validate(Intent, {"app": {"module": module}}, name="advisor.yml")


def pick(facts: Facts, **how: Any) -> list[Server | None]:
    given: dict[str, Any] = {"measurement": None, "intent": None, "pid": None, "single": False}
    given |= how
    return servers_for(
        facts, given["measurement"], given["intent"], pid=given["pid"], single=given["single"]
    )


def test_a_pid_of_master_or_worker_picks_its_server() -> None:
    assert pick(TWO, pid=900) == [BLOG]
    assert pick(TWO, pid=816) == [SHOP]
    with pytest.raises(InvalidInput, match="--pid 7: not a process"):
        pick(TWO, pid=7)


def test_the_measured_server_is_the_one() -> None:
    assert pick(TWO, measurement=MEASURED) == [SHOP]
    elsewhere = MEASURED.target.model_copy(update={"pid": None})
    assert pick(TWO, measurement=MEASURED.model_copy(update={"target": elsewhere})) == [None]


def test_advisor_yml_finds_its_app_by_module() -> None:
    assert pick(TWO, intent=want("blog:app"), single=True) == [BLOG]
    assert pick(TWO, intent=want("other:app")) == [None]
    twice = ONE.model_copy(update={"servers": [BLOG, BLOG]})
    assert pick(twice, intent=want("blog:app")) == [None]


def test_without_a_word_all_are_meant_unless_one_document_is_asked_for() -> None:
    assert pick(TWO) == [SHOP, BLOG]
    assert pick(ONE, single=True) == [SHOP]
    with pytest.raises(InvalidInput) as caught:
        pick(TWO, single=True)
    assert "812  shop.main:app" in caught.value.message
    assert "900  blog:app" in caught.value.message
    assert "--pid" in str(caught.value.remedy)


def test_no_app_at_all_is_too_little_evidence() -> None:
    for facts in (NONE, ONE.model_copy(update={"servers": []})):
        with pytest.raises(TooLittleEvidence, match="no app was given"):
            pick(facts)
