"""What is wrong with a file: every field at once, each with its line and what would be right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor import faults, files
from advisor.cli.advice import about, read_intent
from advisor.cli.main import run
from advisor.documents import Facts, Recommendation
from advisor.errors import InvalidInput
from advisor.intent import Intent

EXAMPLES = Path(__file__).parent / "examples"

WRONG = """\
# What we want.
app:
  name: shop
  modul: shop.main:app
  writable:
    - /srv/shop
    - relative

server: gunicron
tls: {certificate: /etc/ssl/shop.pem}
routes:
  /ws: websockets
  /api: {microcache: forever}
limits:
  request_body: lots
pins:
  gunicorn.wrokers: 4
  gunicorn.workers: "4"
  workers: 4
hots: []
colour: red
"""
SAID = (
    (2, "app.module: missing; should be an import path such as shop.main:app"),
    (4, "app.modul: unknown key; module is one"),
    (7, "app.writable[1]: should be an absolute path"),
    (9, "server: should be 'gunicorn', 'uvicorn', 'hypercorn' or 'granian', not 'gunicron'"),
    (10, "tls: give certificate and key together"),
    (12, "routes./ws: "),
    (13, "routes./api.microcache: should be a time such as 1s, not 'forever'"),
    (15, "limits.request_body: should be a size such as 700M or 1.5G, not 'lots'"),
    (17, "pins: gunicorn.wrokers: unknown setting; gunicorn.workers is one"),
    (18, "pins: gunicorn.workers: "),
    (19, "pins.workers: should be a setting's id such as gunicorn.workers"),
    (20, "hots: unknown key; hosts is one"),
    (21, "colour: unknown key; known are app, server, listen, proxy, domain, tls, "),
)


def test_every_fault_of_advisor_yml_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "advisor.yml"
    path.write_text(WRONG)
    with pytest.raises(InvalidInput) as caught:
        read_intent(path)
    lines = caught.value.message.splitlines()
    assert len(lines) == len(SAID), caught.value.message
    for line, (number, words) in zip(lines, SAID, strict=True):
        assert line.startswith(f"{path}:{number}: {words}")


def test_wrong_pins_alone_are_said_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "advisor.yml"
    path.write_text("app: {module: shop}\npins:\n  gunicorn.workers: 0\n  no.such: 1\n")
    with pytest.raises(InvalidInput) as caught:
        read_intent(path)
    first, second = caught.value.message.splitlines()
    assert first.startswith(f"{path}:3: pins: gunicorn.workers: ")
    assert second.startswith(f"{path}:4: pins: no.such: unknown setting")


@pytest.mark.parametrize("pins", ["[1]", "text", "{1: 2}", "{gunicorn.workers: {a: 1}}", "null"])
def test_pins_of_any_shape_are_refused_with_their_line(tmp_path: Path, pins: str) -> None:
    path = tmp_path / "advisor.yml"
    path.write_text(f"app: {{module: shop}}\npins: {pins}\n")
    with pytest.raises(InvalidInput) as caught:
        read_intent(path)
    lines = caught.value.message.splitlines()
    assert all(line.startswith(f"{path}:2: pins") for line in lines)
    assert len(lines) == len(set(lines)) <= 2


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (
            "app: {module: shop.main:app, interface: asgi}\npins:\n  gunicorn.worker_class: sync\n",
            "3: pins: gunicorn.worker_class: sync runs WSGI",
        ),
        (
            "app: {module: shop, interface: wsgi}\ntargets: {}\nserver: uvicorn\n",
            "3: server: uvicorn runs no WSGI apps",
        ),
    ],
)
@pytest.mark.parametrize("verb", [("recommend",), ("explain", "gunicorn.workers")])
def test_keys_that_contradict_each_other_are_said_with_their_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    where: str,
    verb: tuple[str, ...],
) -> None:
    path = tmp_path / "wanted.yml"
    path.write_text(text)
    with pytest.raises(SystemExit) as ended:
        run([*verb, "--facts", str(EXAMPLES / "facts.json"), "--config", str(path)])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"advisor: {path}:{where}")


def test_what_is_not_about_advisor_yml_is_left_as_it_is(tmp_path: Path) -> None:
    for config in (None, tmp_path / "none.yml"):
        with pytest.raises(InvalidInput, match=r"^--pid 3: no\b"), about(config):
            raise InvalidInput("--pid 3: no")


@pytest.mark.parametrize("indent", [None, 1])
def test_json_has_lines_too(tmp_path: Path, indent: int | None) -> None:
    data = json.loads((EXAMPLES / "facts.json").read_text())
    data["cpu"]["effective"] = -1
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(data, indent=indent))
    lines = path.read_text().splitlines()
    with pytest.raises(InvalidInput) as caught:
        files.read(Facts, path)
    number = next(n for n, line in enumerate(lines, 1) if '"effective": -1' in line)
    assert caught.value.message.startswith(f"{path}:{number}: cpu.effective: should be greater")


def test_a_wrong_schema_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rec.yml"
    path.write_text("# a comment\nschema: advisor/facts/1\n")
    with pytest.raises(InvalidInput, match=r"rec\.yml:2: schema: should be advisor/recomm"):
        files.read(Recommendation, path)


@pytest.mark.parametrize("padding", ["", " " * faults.MOST_MARKED], ids=["tabs", "long"])
def test_without_lines_the_fields_are_still_said(tmp_path: Path, padding: str) -> None:
    """JSON that is no YAML, for its tabs, and a text that is not read twice."""
    data: dict[str, Any] = json.loads((EXAMPLES / "facts.json").read_text()) | {"surprise": 1}
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(data, indent=None if padding else "\t") + padding)
    with pytest.raises(InvalidInput) as caught:
        files.read(Facts, path)
    assert caught.value.message.startswith(f"{path}: surprise: unknown key")


def test_keys_by_anchors_and_merges_have_the_line_of_what_holds_them(tmp_path: Path) -> None:
    path = tmp_path / "advisor.yml"
    path.write_text("app: &a\n  module: shop\n  nme: shop\nserver: *a\n")
    with pytest.raises(InvalidInput) as caught:
        files.read(Intent, path)
    first, second = caught.value.message.splitlines()
    assert first.startswith(f"{path}:3: app.nme: unknown key; name is one")
    assert second.startswith(f"{path}:4: server: ")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(sorted(Intent.model_fields)), json_values),
    st.lists(st.text(max_size=5) | st.integers(-2, 5), max_size=5),
)
def test_a_line_is_in_the_text_whatever_is_asked_for(
    data: dict[str, Any], place: list[int | str]
) -> None:
    text = json.dumps(data, indent=1)
    line = faults.Marks(text).line(place)
    assert line is None or 1 <= line <= text.count("\n") + 1
    for key in data:
        found = faults.Marks(text).line((key,))
        assert found
        assert f'"{key}":' in text.splitlines()[found - 1]


@given(st.text(max_size=60), st.lists(st.text(max_size=5) | st.integers(), max_size=4))
def test_no_text_ends_in_anything_but_a_line_or_none(text: str, place: list[int | str]) -> None:
    assert (faults.Marks(text).line(place) or 1) >= 1
