"""The examples that are shipped: each is valid, and gives files that the daemons accept.

Their facts are the documents' example with the programs of this machine, so that the daemons here
speak for the target.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from typer.testing import CliRunner

from advisor import files
from advisor.cli.main import app
from advisor.documents import Facts
from advisor.host import gather
from advisor.intent import Intent

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "templates" / "examples").glob("*.yml"))
WANTED = {
    "container": {"gunicorn/gunicorn.conf.py"},
    "django-caddy": {"gunicorn/gunicorn.conf.py", "caddy/Caddyfile", "systemd/blog.service"},
    "fastapi-nginx": {"gunicorn/gunicorn.conf.py", "nginx/shop.conf", "systemd/shop.socket"},
    "three-hosts": {"nginx/shop.conf", "load_balancer/shop.conf", "systemd/shop.service"},
}
# What is not this machine's to run: the app itself is never imported.
THE_APPS = "it belongs to the app"

each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)


@dataclasses.dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def advisor(*arguments: str | Path) -> Ended:
    done = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return Ended(getattr(done.exception, "exit_code", -1), done.stdout, str(done.exception))
    return Ended(done.exit_code, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    example = files.read(Facts, ROOT / "tests" / "examples" / "facts.json")
    here = example.model_copy(update={"components": gather().components, "servers": []})
    path = tmp_path_factory.mktemp("facts") / "facts.json"
    files.write_document(here, path)
    return path


def test_every_common_case_has_its_example() -> None:
    assert {path.stem for path in EXAMPLES} == set(WANTED)


@each_example
def test_an_example_explains_itself(example: Path) -> None:
    lines = example.read_text().splitlines()
    comment = [line for line in lines[: lines.index("app:")] if line]
    assert all(line.startswith("#") for line in comment)
    assert any("advisor recommend" in line and "--config" in line for line in comment)
    assert any("advisor check deploy --config" in line for line in comment)


@each_example
def test_an_example_fits_the_schema_that_is_printed(example: Path) -> None:
    printed = advisor("schema")
    assert printed.code == 0
    jsonschema.validate(sized(files.load(example)), json.loads(printed.out))
    assert files.read(Intent, example).app.health == "/healthz"


def sized(data: dict[str, Any]) -> dict[str, Any]:
    """Sizes as the schema has them, in bytes: people write 10M."""
    intent = files.validate(Intent, data, name="example")
    for section, key in (("budget", "memory"), ("limits", "request_body")):
        if key in data.get(section, {}):
            data[section][key] = getattr(getattr(intent, section), key)
    return data


@pytest.mark.daemon
@each_example
def test_an_example_is_rendered_accepted_and_checked(
    example: Path, facts: Path, tmp_path: Path, not_run: Callable[[str], NoReturn]
) -> None:
    rec, deploy = tmp_path / "rec.yml", tmp_path / "deploy"
    made = advisor("recommend", "--config", example, "--facts", facts, "-o", rec)
    assert made.code == 0, made.err
    rendered = advisor("render", rec, "-o", deploy, "--json")
    assert rendered.code == 0, rendered.err
    # Where systemd is not ours its settings are somebody else's to apply, and render says so.
    assert "not rendered" not in rendered.err or example.stem == "container"
    data = json.loads(rendered.out)
    assert {file["path"] for file in data["files"]} >= WANTED[example.stem]
    checked = advisor("check", deploy, "--config", example, "--json")
    assert checked.code == 0, checked.err
    found = json.loads(checked.out)
    assert found["ok"]
    assert {result["status"] for result in found["checks"]} <= {"passed", "not_run"}
    missing = [
        f"{result['path']}: {line}"
        for result in found["checks"]
        for line in result["lines"]
        if result["status"] == "not_run" and not line.startswith(THE_APPS)
    ]
    if missing:
        not_run("; ".join(missing))
