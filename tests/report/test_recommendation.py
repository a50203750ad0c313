"""The table that a tired operator reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor import files
from advisor.documents import Facts, Finding, Measurement, Recommendation
from advisor.intent import Intent
from advisor.recommend import recommend
from advisor.report.recommendation import table

EXAMPLES = Path(__file__).parent.parent / "examples"
FACTS = files.read(Facts, EXAMPLES / "facts.json")
MEASURED = files.read(Measurement, EXAMPLES / "measurement.json")
EXAMPLE = files.read(Recommendation, EXAMPLES / "recommendation.yml")


def made(measurement: Measurement | None = MEASURED, **keys: Any) -> Recommendation:
    data = {"app": {"module": "shop.main:app"}, **keys}
    intent = files.validate(Intent, data, name="advisor.yml")
    return recommend(FACTS, measurement, intent, server=FACTS.servers[0])


MEASURED_REC, FALL_BACK = made(), made(None)


@pytest.mark.parametrize("rec", [EXAMPLE, MEASURED_REC, FALL_BACK], ids=["example", "url", "none"])
def test_it_fits_80_columns_and_a_terminal_without_colour(rec: Recommendation) -> None:
    text = table(rec)
    assert max(map(len, text.splitlines())) <= 80
    assert text.isprintable() is False
    assert all(line.isprintable() for line in text.splitlines())
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_what_matters_comes_first() -> None:
    lines = table(MEASURED_REC).splitlines()
    assert lines[0] == "shop (shop.main:app) on web1"

    def at(text: str) -> int:
        return next(number for number, line in enumerate(lines) if text in line)

    order = ["Expected", "gunicorn.workers", "gunicorn.worker_class", "gunicorn.threads"]
    order += ["Findings", "max_requests", "proxy_read_timeout", "memory_max", "Not known", "Next"]
    assert [at(text) for text in order] == sorted(at(text) for text in order)
    assert at("gunicorn.threads") < 20


@pytest.mark.parametrize("rec", [MEASURED_REC, FALL_BACK], ids=["url", "none"])
def test_nothing_is_left_out(rec: Recommendation) -> None:
    text = " ".join(table(rec).split())
    for setting in rec.settings:
        assert setting.id.partition(".")[2] in text
        assert " ".join(setting.why.split()) in text
    for finding in rec.findings:
        assert " ".join(finding.title.split()) in text
        assert " ".join(finding.remedy.split()) in text
    for entry in rec.unknown:
        assert entry.what in text
        assert " ".join(entry.remedy.split()) in text


def test_a_fall_back_says_that_nothing_was_measured() -> None:
    text = table(FALL_BACK)
    assert "Not measured, so this is a fall-back." in text
    assert "Expected" not in text
    assert "[confidence low]" in text


def test_values_carry_their_units() -> None:
    text = table(made(budget={"memory": "700M"}))
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert " 75 s " in rows["keepalive"]
    assert " 700 M " in rows["memory_max"]
    assert " on " in rows["proxy_buffering"]
    assert " off " in rows["preload_app"]


def test_pins_are_shown_as_pins() -> None:
    text = table(made(pins={"gunicorn.workers": 4, "gunicorn.keepalive": 100}))
    assert "gunicorn.workers      4  [pinned]" in text
    assert "Pinned in advisor.yml; advised is 75:" in text
    null = table(made(pins={"gunicorn.timeout": None}))
    assert "default" in next(line for line in null.splitlines() if line.startswith("  timeout"))


def test_the_next_step_is_there_to_type() -> None:
    assert "  advisor render rec.yml -o deploy" in table(MEASURED_REC, saved_as="rec.yml")
    assert "-o rec.yml" in table(MEASURED_REC)


@given(st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=300))
def test_no_text_of_a_document_breaks_the_width(text: str) -> None:
    setting = MEASURED_REC.settings[3].model_copy(update={"why": text})
    finding = Finding(id="x", severity="critical", title="x", detail="y", evidence={}, remedy="z")
    host = MEASURED_REC.host.model_copy(update={"name": text})
    rec = MEASURED_REC.model_copy(
        update={"settings": [setting], "findings": [finding], "unknown": [], "host": host}
    )
    assert max(map(len, table(rec).splitlines())) <= 80
