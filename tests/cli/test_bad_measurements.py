"""Measurements, pins and budgets that carry no recommendation, through the command itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from advisor import files
from advisor.cli.main import run

if TYPE_CHECKING:
    from collections.abc import Callable

    Advisor = Callable[..., tuple[int, str, str]]

EXAMPLES = Path(__file__).parent.parent / "examples"
FACTS = ("--facts", str(EXAMPLES / "facts.json"))
MEASURED = ("--measurement", str(EXAMPLES / "measurement.json"))
DATA: dict[str, Any] = files.load(EXAMPLES / "measurement.json")
CPU = DATA["cpu_per_request_s"]


@pytest.fixture
def advisor(capsys: pytest.CaptureFixture[str]) -> Advisor:
    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            run(["recommend", *arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        code = ended.value.code
        return code if isinstance(code, int) else 0, out, err

    return call


def cpu(**keys: Any) -> dict[str, Any]:
    return {"cpu_per_request_s": CPU | keys}


def steps(errors: int) -> dict[str, Any]:
    step = DATA["throughput"]["steps"][0] | {"errors": errors}
    return {"throughput": DATA["throughput"] | {"steps": [step]}}


@pytest.mark.parametrize(
    ("keys", "code", "named"),
    [
        ({"cost": DATA["cost"] | {"requests": 0}}, 4, "requests: none"),
        (steps(43120), 4, "requests: 43,120 of 43,120 requests failed"),
        (cpu(n=1), 4, "cpu_per_request_s: 1 sample"),
        (cpu(low=0.00019, high=0.00019), 4, "cpu_per_request_s: all 41,822 samples are alike"),
        (cpu(value=0, low=0, high=0), 4, "cpu_per_request_s: no CPU was counted"),
        (cpu(value=-0.00019), 2, "cpu_per_request_s.value"),
        (cpu(low=0.001), 2, "cpu_per_request_s: low 0.001, value 0.00019"),
        (cpu(value=float("nan")), 2, "NaN"),
        (cpu(value=float("inf")), 2, "Infinity"),
        (cpu(n=None), 2, "cpu_per_request_s.n"),
        ({"schema": "advisor/measurement/0"}, 2, "schema: should be advisor/measurement/1"),
        ({"schema": "advisor/measurement/2"}, 2, "schema: should be advisor/measurement/1"),
        ({"schema": None}, 2, "schema: should be advisor/measurement/1"),
        ({"weather": "fine"}, 2, "weather: unknown key"),
    ],
)
def test_a_measurement_of_no_use_is_named(
    advisor: Advisor, tmp_path: Path, keys: dict[str, Any], code: int, named: str
) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps(DATA | keys))
    ended, out, err = advisor(*FACTS, "--measurement", str(path))
    assert (ended, out) == (code, "")
    assert named in err
    assert str(path) in err
    assert "advisor probe URL" in err


@pytest.mark.parametrize("key", ["schema", "target", "cpu_per_request_s", "cost"])
def test_what_is_left_out_is_named(advisor: Advisor, tmp_path: Path, key: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps({name: value for name, value in DATA.items() if name != key}))
    code, out, err = advisor(*FACTS, "--measurement", str(path))
    assert (code, out) == (2, "")
    assert f"{key.removesuffix('_')}" in err
    assert "missing" in err


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", "\x00", "a: &a [*a]", "- " * 5000])
@pytest.mark.parametrize("name", ["m.json", "m.yml"])
def test_a_file_that_is_none(advisor: Advisor, tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    code, out, err = advisor(*FACTS, "--measurement", str(path))
    assert (code, out) == (2, "")
    assert str(path) in err


def elsewhere(tmp_path: Path, **target: Any) -> str:
    path = tmp_path / "m.json"
    path.write_text(json.dumps(DATA | {"target": DATA["target"] | {"pid": 4711} | target}))
    return str(path)


def test_a_measurement_of_another_host_is_used_and_said(advisor: Advisor, tmp_path: Path) -> None:
    config = tmp_path / "advisor.yml"
    config.write_text("app: {module: shop.main:app}\n")
    words = (*FACTS, "--measurement", elsewhere(tmp_path), "--config", str(config))
    code, out, err = advisor(*words, "--json")
    assert code == 0
    assert "was measured on another host, or before a restart" in err
    assert json.loads(out)["prediction"]["throughput_rps"]
    assert advisor(*FACTS, *MEASURED, "--json")[2] == ""


def test_of_another_host_without_a_config_the_app_is_not_known(
    advisor: Advisor, tmp_path: Path
) -> None:
    code, out, err = advisor(*FACTS, "--measurement", elsewhere(tmp_path))
    assert (code, out) == (4, "")
    assert "--config" in err


def test_an_environment_needs_no_config(advisor: Advisor, tmp_path: Path) -> None:
    words = ("--format", "env")
    code, out, _ = advisor(*FACTS, "--measurement", elsewhere(tmp_path), *words)
    assert code == 0
    assert [line.partition("=")[0] for line in out.splitlines()] == [
        "export WEB_CONCURRENCY",
        "export GUNICORN_CMD_ARGS",
    ]
    assert "--worker-class=uvicorn_worker.UvicornWorker" in out
    # The name that stands in for the app's is nowhere in it.
    assert "=app" not in out


def test_an_environment_for_a_server_that_reads_none(advisor: Advisor, tmp_path: Path) -> None:
    measured = elsewhere(tmp_path, server="hypercorn", worker_class="hypercorn")
    code, out, err = advisor(*FACTS, "--measurement", measured, "--format", "env")
    assert (code, out) == (2, "")
    assert "hypercorn reads none of its settings from the environment" in err


def test_an_environment_of_nothing_is_too_little(advisor: Advisor, tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(files.load(EXAMPLES / "facts.json") | {"servers": []}))
    assert advisor("--facts", str(facts), "--format", "env")[0] == 4


@pytest.mark.parametrize(
    ("pins", "both"),
    [
        (
            "{gunicorn.worker_class: sync, gunicorn.threads: 4}",
            ("gunicorn.worker_class: sync", "gunicorn.threads: 4"),
        ),
        (
            "{gunicorn.worker_class: asgi}",
            ("gunicorn.worker_class: asgi", "app.interface is wsgi"),
        ),
    ],
)
def test_pins_that_contradict_each_other_are_both_named(
    advisor: Advisor, tmp_path: Path, pins: str, both: tuple[str, str]
) -> None:
    config = tmp_path / "advisor.yml"
    config.write_text(f"app: {{module: shop.main:app, interface: wsgi}}\npins: {pins}\n")
    code, out, err = advisor(*FACTS, "--config", str(config))
    assert (code, out) == (2, "")
    for each in both:
        assert each in err


def test_an_infeasible_budget_shows_its_arithmetic(advisor: Advisor) -> None:
    code, out, err = advisor(*FACTS, *MEASURED, "--memory", "64M")
    assert (code, out) == (3, "")
    assert "2 x 1 x" in err
    assert "the budget is 64 MB (--memory)" in err
    assert advisor(*FACTS, *MEASURED, "--memory", "64M", "--format", "env")[0] == 3
