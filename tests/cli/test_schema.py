"""`advisor schema`: what it prints is the schema of what is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from advisor import files
from advisor.cli.main import run

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def advisor(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            run(list(arguments))
        out, err = capsys.readouterr()
        code = ended.value.code
        return code if isinstance(code, int) else 0, out, err

    return call


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("facts", "facts.json"),
        ("measurement", "measurement.json"),
        ("recommendation", "recommendation.yml"),
    ],
)
def test_the_examples_fit_what_is_printed(
    advisor: Callable[..., tuple[int, str, str]], kind: str, name: str
) -> None:
    code, out, err = advisor("schema", kind)
    assert (code, err) == (0, "")
    jsonschema.validate(files.load(EXAMPLES / name), json.loads(out))


def test_advisor_yml_is_the_default(advisor: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = advisor("schema")
    schema = json.loads(out)
    assert code == 0
    assert out == advisor("schema", "advisor.yml")[1]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate({"app": {"module": "shop:app"}}, schema)
    with pytest.raises(jsonschema.ValidationError, match="module"):
        jsonschema.validate({"app": {}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"app": {"module": "shop;app"}}, schema)


def test_an_unknown_kind_is_refused(advisor: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = advisor("schema", "fatcs")
    assert (code, out) == (2, "")
    assert err.startswith("advisor: KIND 'fatcs': unknown\n")
    assert "facts, measurement, recommendation" in err
