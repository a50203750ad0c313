"""The table that a tired operator reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor import files
from advisor.documents import Alternative, Facts, Finding, Measurement, Recommendation, Setting
from advisor.intent import Intent
from advisor.recommend import recommend
from advisor.report.recommendation import Beside, table

EXAMPLES = Path(__file__).parent.parent / "examples"
FACTS = files.read(Facts, EXAMPLES / "facts.json")
MEASURED = files.read(Measurement, EXAMPLES / "measurement.json")
EXAMPLE = files.read(Recommendation, EXAMPLES / "recommendation.yml")


def made(measurement: Measurement | None = MEASURED, **keys: Any) -> Recommendation:
    data = {"app": {"module": "shop.main:app"}, **keys}
    intent = files.validate(Intent, data, name="advisor.yml")
    return recommend(FACTS, measurement, intent, server=FACTS.servers[0])


MEASURED_REC, FALL_BACK = made(), made(None)


def like(id_: str, **update: Any) -> Setting:
    """A setting of another component, made of the example's second."""
    return EXAMPLE.settings[1].model_copy(update={"id": id_, **update})


def with_settings(*settings: Setting) -> Recommendation:
    return EXAMPLE.model_copy(update={"settings": list(settings), "findings": [], "unknown": []})


@pytest.mark.parametrize("rec", [EXAMPLE, MEASURED_REC, FALL_BACK], ids=["example", "url", "none"])
@pytest.mark.parametrize("everything", [True, False])
def test_it_fits_80_columns_and_a_terminal_without_colour(
    rec: Recommendation, everything: bool
) -> None:
    text = table(rec, everything=everything)
    pasted = {line for each in rec.settings for line in (each.paste or "").splitlines()}
    lines = [line for line in text.splitlines() if line.strip() not in pasted]
    assert max(map(len, lines)) <= 80
    assert text.isprintable() is False
    assert all(line.isprintable() for line in text.splitlines())
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_what_matters_comes_first() -> None:
    lines = table(MEASURED_REC, everything=True).splitlines()
    assert lines[0] == "shop (shop.main:app) on web1"

    def at(text: str) -> int:
        return next(number for number, line in enumerate(lines) if text in line)

    order = ["Expected", "gunicorn.workers", "gunicorn.worker_class", "gunicorn.threads"]
    order += ["Findings", "max_requests", "proxy_read_timeout", "memory_max", "Not known", "Next"]
    assert [at(text) for text in order] == sorted(at(text) for text in order)
    assert at("gunicorn.threads") < 20


@pytest.mark.parametrize("rec", [MEASURED_REC, FALL_BACK], ids=["url", "none"])
def test_nothing_is_left_out_where_all_is_asked_for(rec: Recommendation) -> None:
    text = " ".join(table(rec, everything=True).split())
    for setting in rec.settings:
        assert setting.id.partition(".")[2] in text
        assert " ".join(setting.why.split()) in text
    for finding in rec.findings:
        assert " ".join(finding.title.split()) in text
        assert " ".join(finding.remedy.split()) in text
    for entry in rec.unknown:
        assert entry.what in text
        assert " ".join(entry.remedy.split()) in text


def test_what_the_product_does_by_itself_is_counted_only() -> None:
    rec = with_settings(
        like("nginx.proxy_read_timeout", value=60),
        like("nginx.proxy_send_timeout", value=None),
        like("nginx.proxy_connect_timeout", value=5),
        like("gunicorn.timeout", value=30, pinned=True),
        like("gunicorn.workers", value=1, unit="processes"),
    )
    defaults = {
        "nginx.proxy_read_timeout": 60,
        "nginx.proxy_connect_timeout": 60,
        "gunicorn.timeout": 30,
        "gunicorn.workers": 1,
    }
    text = table(rec, beside=Beside(defaults=defaults))
    assert "proxy_read_timeout" not in text
    assert "proxy_send_timeout" not in text
    assert "proxy_connect_timeout" in text
    # A pin, and what is chosen together, are always shown.
    assert "  timeout " in text
    assert "gunicorn.workers" in text
    assert "2 settings stay as their products have them; --all shows every one." in text
    all_ = table(rec, beside=Beside(defaults=defaults), everything=True)
    assert "proxy_read_timeout" in all_
    assert "--all" not in all_


def test_what_only_code_can_change_stands_apart_to_paste() -> None:
    line = "anyio.to_thread.current_default_thread_limiter().total_tokens = 128  # " + "x" * 30
    anyio = like("anyio.tokens", value=128, unit=None, applied_by="code", paste=f"{line}\nyield")
    text = table(with_settings(anyio, like("gunicorn.timeout", value=90)))
    assert f"      {line}\n      yield\n" in text
    assert text.index("gunicorn") < text.index("In your code") < text.index("anyio.tokens")
    assert "anyio.tokens                128\n" in text
    assert "In your code" not in table(with_settings(like("gunicorn.timeout", value=90)))


def test_lines_that_another_setting_pastes_too_stand_once() -> None:
    size = like("sqlalchemy.pool_size", applied_by="code", paste="engine(\n  pool_size=9,\n)")
    both = "engine(\n  pool_size=9,\n  max_overflow=12,\n)"
    overflow = like("sqlalchemy.max_overflow", applied_by="code", paste=both)
    text = table(with_settings(size, overflow))
    assert text.count("pool_size=9,") == 1
    assert text.index("max_overflow") < text.index("pool_size=9,")
    # The same lines twice are shown with the last.
    again = like("sqlalchemy.pool_size", applied_by="code", paste=both)
    assert table(with_settings(again, overflow)).count("pool_size=9,") == 1


def test_what_render_does_not_write_is_marked() -> None:
    rec = with_settings(like("gunicorn.timeout", value=90), like("nginx.gzip", value=True))
    text = table(rec, beside=Beside(by_hand=frozenset({"nginx.gzip"})))
    assert "  gzip* " in text
    assert "  timeout " in text
    assert "* Not among what is ours to write: add proxy to manage in advisor.yml." in text
    # Where nothing is rendered, everything is by hand, and the last line says so.
    refused = Beside(by_hand=frozenset({"nginx.gzip"}), refusal="server")
    assert "*" not in table(rec, beside=refused)
    assert "*" not in table(rec)


def test_the_next_step_is_there_to_type_and_true() -> None:
    assert "  advisor render rec.yml -o deploy" in table(MEASURED_REC, saved_as="rec.yml")
    assert "-o rec.yml" in table(MEASURED_REC)
    refused = Beside(refusal="server, tls")
    text = " ".join(table(MEASURED_REC, saved_as="rec.yml", beside=refused).split())
    assert "Set this by hand: advisor render has no files for: server, tls." in text
    assert "-o deploy" not in text


def test_a_change_of_class_is_said_with_the_runner_up() -> None:
    rival = Alternative(
        value="sync", throughput_rps=2115.0, memory_bytes=1024**3, why="sync, 12 x 1"
    )
    chosen = like("gunicorn.worker_class", value="gthread", unit=None, alternatives=[rival])
    workers = like("gunicorn.workers", value=3, unit="processes")
    now = {"gunicorn.worker_class": "sync", "gunicorn.workers": 3}
    text = table(with_settings(chosen, workers), beside=Beside(now=now))
    assert "Now: sync. Instead sync, 12 x 1: 2,115/s, 1.0 G." in text
    assert text.count("Now:") == 1


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
    switch = with_settings(like("nginx.gzip", value=True, unit=None))
    assert "  gzip                        on " in table(switch)


def test_a_long_value_takes_lines_of_its_own() -> None:
    types = [f"application/x-{number}+json" for number in range(12)]
    rec = with_settings(like("nginx.gzip_types", value=types, unit=None))
    text = table(rec)
    assert max(map(len, text.splitlines())) <= 80
    assert " ".join(", ".join(types).split()) in " ".join(text.split())
    assert "  gzip_types " in text


def test_pins_are_shown_as_pins() -> None:
    text = table(made(pins={"gunicorn.workers": 4, "gunicorn.keepalive": 100}))
    assert "gunicorn.workers      4  [pinned]" in text
    assert "Pinned in advisor.yml; advised is 75:" in text
    null = table(made(pins={"gunicorn.timeout": None}))
    assert "default" in next(line for line in null.splitlines() if line.startswith("  timeout"))


@given(st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=300))
def test_no_text_of_a_document_breaks_the_width(text: str) -> None:
    setting = MEASURED_REC.settings[3].model_copy(update={"why": text, "value": text})
    named = setting.model_copy(update={"id": f"gunicorn.{text[:90]}"})
    code = setting.model_copy(update={"applied_by": "code"})
    finding = Finding(id="x", severity="critical", title="x", detail="y", evidence={}, remedy="z")
    host = MEASURED_REC.host.model_copy(update={"name": text})
    rec = MEASURED_REC.model_copy(
        update={
            "settings": [setting, named, code],
            "findings": [finding],
            "unknown": [],
            "host": host,
        }
    )
    assert max(map(len, table(rec).splitlines())) <= 80
