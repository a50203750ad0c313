"""One setting explained, and where its inputs come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor import files
from advisor.documents import (
    Alternative,
    Component,
    Facts,
    Measurement,
    Recommendation,
    Sensitivity,
    Setting,
    Unknown,
)
from advisor.intent import Intent
from advisor.recommend import recommend
from advisor.report.explain import absent, as_data, explained
from advisor.report.origins import origins

EXAMPLES = Path(__file__).parent.parent / "examples"
FACTS = files.read(Facts, EXAMPLES / "facts.json")
MEASURED = files.read(Measurement, EXAMPLES / "measurement.json")
EXAMPLE = files.read(Recommendation, EXAMPLES / "recommendation.yml")
WORDS = "As many as add throughput.\n\nThe cores that a quota\nleaves are rounded down."


def made(**keys: Any) -> Recommendation:
    data = {"app": {"module": "shop.main:app"}, **keys}
    intent = files.validate(Intent, data, name="advisor.yml")
    return recommend(FACTS, MEASURED, intent, server=FACTS.servers[0])


MADE = made()


def setting(rec: Recommendation, id_: str, **update: Any) -> Setting:
    found = next(setting for setting in rec.settings if setting.id == id_)
    return found.model_copy(update=update)


def told(each: Setting, rec: Recommendation = MADE, words: str | None = WORDS) -> str:
    return explained(each, rec, words=words, origins=origins(each, rec, FACTS, MEASURED))


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_whole_of_a_setting() -> None:
    each = setting(
        MADE,
        "gunicorn.workers",
        alternatives=[Alternative(value=3, throughput_rps=8930.0, memory_bytes=123 * 1024**2)],
        sensitivity=[Sensitivity(input="cpu.effective", at=4.0, value=4)],
    )
    text = told(each)
    assert text.startswith("gunicorn.workers  2  [confidence high]\n")
    assert "shop (shop.main:app) on web1" in text
    assert flat(each.why) in flat(text)
    assert "The rule\n  As many as add throughput.\n  The cores that a quota leaves are" in text
    assert "limited by /sys/fs/cgroup/system.slice/cpu.max" in flat(text)
    assert "190 µs - measured: 190 µs (183 µs to 197 µs, n = 41,822)" in flat(text)
    assert "8,930/s (" in text
    assert "123 M" in text
    assert "were cpu.effective 4: 4" in text
    assert "bound by" in text
    assert each.source in flat(text)


def test_it_fits_80_columns_for_every_setting() -> None:
    for each in MADE.settings:
        assert max(map(len, told(each).splitlines())) <= 80, each.id


def test_without_a_rule_the_document_explains_alone() -> None:
    each = EXAMPLE.settings[1]
    text = explained(each, EXAMPLE, words=None, origins=origins(each, EXAMPLE))
    assert "No rule of this version knows this setting" in text
    assert flat(each.why) in flat(text)
    assert "nginx.upstream_keepalive_timeout" in text


def test_an_input_that_is_a_setting_has_its_unit() -> None:
    text = flat(told(setting(MADE, "gunicorn.keepalive")))
    assert "nginx.upstream_keepalive_timeout 60 s - the setting" in text


def test_lines_to_paste_are_whole() -> None:
    line = "anyio.to_thread.current_default_thread_limiter().total_tokens = 64  # " + "x" * 40
    each = setting(MADE, "gunicorn.timeout", applied_by="code", paste=f"{line}\nyield")
    text = told(each)
    assert f"    {line}\n    yield\n" in text
    assert "the app's own code" in text


def test_a_pin_is_called_one() -> None:
    rec = made(pins={"gunicorn.timeout": 90})
    text = told(setting(rec, "gunicorn.timeout"), rec)
    assert "gunicorn.timeout  90 s  [pinned]" in text
    where = origins(setting(rec, "systemd.timeout_stop_sec", inputs={"gunicorn.timeout": 90}), rec)
    assert where["gunicorn.timeout"] == "the setting, pinned"


def test_what_has_no_value_says_why() -> None:
    gap = Unknown(what="gunicorn.backlog", why="it needs kernel.somaxconn", remedy="Look there.")
    text = absent("gunicorn.backlog", MADE, words=WORDS, gap=gap)
    assert "It is not known: it needs kernel.somaxconn." in flat(text)
    assert "-> Look there." in text
    silent = absent("nginx.client_max_body_size", MADE, words=WORDS, gap=None)
    assert "Its rule is silent" in flat(silent)


def test_json_says_the_same() -> None:
    each = setting(MADE, "gunicorn.workers")
    data = as_data(each.id, setting=each, words=WORDS, origins=origins(each, MADE, FACTS), gap=None)
    assert data["setting"] == each.as_data()
    assert data["rule"] == WORDS
    assert set(data["origins"]) == set(each.inputs)
    assert data["unknown"] is None
    gap = Unknown(what="x", why="y", remedy="z")
    assert as_data("x", setting=None, words=None, origins={}, gap=gap)["unknown"]["why"] == "y"


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("app.interface", "advisor.yml"),
        ("proxy", "by default"),
        ("kernel.somaxconn", "/proc/sys/net/core/somaxconn"),
        ("components.gunicorn.version", "found: /opt/bin/gunicorn"),
        ("components.nginx.version", "found on the host"),
        ("can.gunicorn.asgi_worker", "by its version, 27.0.1"),
        ("plan.concurrency", "the joint choice of class, workers and threads"),
        ("host.os", "facts of the host"),
        ("memory.effective_bytes", f"limited by {FACTS.memory.binding}"),
        ("boot_cpu_s", "assumed: it could not be measured"),
        ("memory_per_worker_bytes", "USS of its workers"),
        ("latency_s.p99", "measured: 8.8 ms (7.9 ms to 10.3 ms, n = 9,900)"),
        ("connections", "worked out by the rule"),
        ("nginx.telepathy", "another setting"),
    ],
)
def test_where_an_input_comes_from(name: str, where: str) -> None:
    rec = made(app={"module": "shop.main:app", "interface": "asgi"})
    gap = Unknown(what="boot CPU of a worker", why="not measured", remedy="Time it.")
    gunicorn = Component(version="27.0.1", path="/opt/bin/gunicorn")
    rec = rec.model_copy(
        update={
            "unknown": [*rec.unknown, gap],
            "components": rec.components | {"gunicorn": gunicorn},
        }
    )
    each = setting(rec, "gunicorn.workers", inputs={name: 1})
    assert origins(each, rec, FACTS, MEASURED) == {name: where}


def test_every_input_of_a_recommendation_has_an_origin_without_facts_too() -> None:
    for each in MADE.settings:
        for where in origins(each, MADE).values():
            assert where


@given(st.text(min_size=1, max_size=200))
def test_no_text_of_a_document_reaches_the_terminal_as_it_is(text: str) -> None:
    each = setting(MADE, "gunicorn.workers", why=text, source=text, paste=text, inputs={text: text})
    out = explained(each, MADE, words=text, origins={text: text})
    assert all(char.isprintable() or char == "\n" for char in out)
