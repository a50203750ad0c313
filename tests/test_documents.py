"""The documents are the contract: read, checked, and written back as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from advisor import files
from advisor.documents import Document, Estimate, Facts, Measurement, Recommendation, Setting
from advisor.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parent / "examples"
KINDS: list[tuple[type[Document], str]] = [
    (Facts, "facts.json"),
    (Measurement, "measurement.json"),
    (Recommendation, "recommendation.yml"),
]
each_kind = pytest.mark.parametrize(("kind", "name"), KINDS)


@each_kind
def test_an_example_is_read_and_written_back_unchanged(kind: type[Document], name: str) -> None:
    raw = files.load(EXAMPLES / name)
    document = files.read(kind, EXAMPLES / name)
    assert json.dumps(document.as_data()) == json.dumps(raw)
    for is_json in (True, False):
        text = files.dump(document, is_json=is_json)
        again = files.parse(text, name="again", is_json=is_json)
        assert json.dumps(again) == json.dumps(raw)


@each_kind
def test_an_example_fits_its_json_schema(kind: type[Document], name: str) -> None:
    schema = kind.model_json_schema(by_alias=True)
    jsonschema.Draft202012Validator.check_schema(schema)
    raw = files.load(EXAMPLES / name)
    jsonschema.validate(raw, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(raw | {"surprise": 1}, schema)


@each_kind
def test_an_unknown_key_is_named(kind: type[Document], name: str) -> None:
    raw = files.load(EXAMPLES / name) | {"surprise": 1}
    with pytest.raises(InvalidInput, match=r"x\.json: surprise: unknown key"):
        files.validate(kind, raw, name="x.json")


@each_kind
def test_every_key_of_the_contract_has_to_be_there(kind: type[Document], name: str) -> None:
    raw = files.load(EXAMPLES / name)
    for key in raw:
        rest = {other: value for other, value in raw.items() if other != key}
        with pytest.raises(InvalidInput, match=f"{key}: missing"):
            files.validate(kind, rest, name="x")


@each_kind
def test_another_kind_or_version_is_refused_naming_schema(kind: type[Document], name: str) -> None:
    raw = files.load(EXAMPLES / name) | {"schema": "advisor/other/1"}
    with pytest.raises(InvalidInput, match=r"x: schema: should be .*advisor/"):
        files.validate(kind, raw, name="x")


def set_in(data: Any, path: tuple[str | int, ...], value: Any) -> None:
    for part in path[:-1]:
        data = data[part]
    data[path[-1]] = value


@pytest.mark.parametrize(
    ("kind", "name", "path", "value", "field"),
    [
        (Facts, "facts.json", ("cpu", "effective"), "two", r"cpu\.effective"),
        (Facts, "facts.json", ("cpu", "effective"), 0, r"cpu\.effective"),
        (Facts, "facts.json", ("cpu", "logical"), 2.0, r"cpu\.logical"),
        (Facts, "facts.json", ("memory", "limits", 1, "value"), -1, r"memory\.limits\[1\]\.value"),
        (Facts, "facts.json", ("servers", 0, "pid"), 0, r"servers\[0\]\.pid"),
        (
            Measurement,
            "measurement.json",
            ("cpu_per_request_s", "value"),
            -0.1,
            r"cpu_per_request_s\.value",
        ),
        (Measurement, "measurement.json", ("limiter", "confidence"), 1.5, r"limiter\.confidence"),
        (Measurement, "measurement.json", ("limiter", "verdict"), "fast", r"limiter\.verdict"),
        (Measurement, "measurement.json", ("target", "workers"), True, r"target\.workers"),
        (
            Recommendation,
            "recommendation.yml",
            ("settings", 0, "confidence"),
            "sure",
            r"settings\[0\]\.confidence",
        ),
        (
            Recommendation,
            "recommendation.yml",
            ("intent", "domain", "from"),
            "rumour",
            r"intent\.domain\.from",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_field(
    kind: type[Document], name: str, path: tuple[str | int, ...], value: Any, field: str
) -> None:
    raw = files.load(EXAMPLES / name)
    set_in(raw, path, value)
    with pytest.raises(InvalidInput, match=rf"x: {field}: .*not {value!r}"):
        files.validate(kind, raw, name="x")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_no_document_holds_what_is_no_number(number: float) -> None:
    with pytest.raises(ValidationError):
        Estimate(value=number, low=0, high=1, n=1)


def test_documents_are_frozen() -> None:
    facts = files.read(Facts, EXAMPLES / "facts.json")
    with pytest.raises(ValidationError, match="frozen"):
        facts.pid = 7


def test_a_later_field_is_written_only_where_it_says_something() -> None:
    facts = files.read(Facts, EXAMPLES / "facts.json")
    assert "pid" not in facts.as_data()
    assert facts.model_copy(update={"pid": 812}).as_data()["pid"] == 812


values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]))
)


@given(values, st.sampled_from([True, False]))
def test_any_value_of_a_setting_survives_both_formats(value: Any, is_json: bool) -> None:
    setting = Setting(
        id="a.b",
        value=value,
        unit=None,
        why="A test.",
        binding=None,
        confidence="low",
        applied_by="file",
        pinned=False,
        inputs={"x": value},
        alternatives=[],
        source="a test",
    )
    text = files.dump(setting, is_json=is_json)
    again = files.validate(Setting, files.parse(text, name="t", is_json=is_json), name="t")
    assert again == setting
    assert type(again.value) is type(value)


@pytest.mark.parametrize("make", [lambda raw: [raw], lambda _: None, lambda _: "text"])
def test_a_document_is_a_mapping(make: Callable[[Any], Any]) -> None:
    raw = files.load(EXAMPLES / "facts.json")
    with pytest.raises(InvalidInput, match="expected a mapping"):
        files.validate(Facts, make(raw), name="x")
