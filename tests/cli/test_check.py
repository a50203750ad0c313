"""`advisor check`: exit codes, formats, and what the daemons say."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from advisor.render.drift import PROBLEMS
from advisor.render.rendering import RECOMMENDATION_PATH
from advisor.render.tree import MANIFEST_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Rec = Callable[..., Path]

pytestmark = pytest.mark.daemon

CASE = Path(__file__).parents[1] / "render" / "cases" / "asgi" / "recommendation.yml"
EXAMPLES = Path(__file__).parents[1] / "examples"
ADVISOR = Path(sys.executable).with_name("advisor")
CONF = "gunicorn/gunicorn.conf.py"
INTENT = """\
app: {name: shop, module: "shop.main:app", interface: asgi, directory: /srv/shop}
server: gunicorn
proxy: none
manage: [server]
budget: {memory: 1G, cpus: 2}
pins: {gunicorn.timeout: 60}
"""

# What SARIF 2.1.0 asks of a log with one run (sections 3.13, 3.14, 3.18, 3.19, 3.27 to 3.30, 3.49).
TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "additionalProperties": False,
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "version": {"type": "string"},
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id"],
                                            "additionalProperties": False,
                                            "properties": {
                                                "id": {"type": "string"},
                                                "shortDescription": TEXT,
                                                "fullDescription": TEXT,
                                                "help": TEXT,
                                                "defaultConfiguration": {
                                                    "properties": {"level": LEVEL}
                                                },
                                            },
                                        },
                                    },
                                },
                            }
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message", "ruleId"],
                            "additionalProperties": False,
                            "properties": {
                                "ruleId": {"enum": list(PROBLEMS)},
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "level": LEVEL,
                                "message": TEXT,
                                "locations": {
                                    "type": "array",
                                    "minItems": 1,
                                    "items": {
                                        "type": "object",
                                        "required": ["physicalLocation"],
                                        "properties": {
                                            "physicalLocation": {
                                                "type": "object",
                                                "required": ["artifactLocation"],
                                                "additionalProperties": False,
                                                "properties": {
                                                    "artifactLocation": {
                                                        "required": ["uri"],
                                                        "properties": {
                                                            "uri": {
                                                                "type": "string",
                                                                "pattern": "^[!-~]+$",
                                                            }
                                                        },
                                                    },
                                                    "region": {
                                                        "required": ["startLine"],
                                                        "properties": {
                                                            "startLine": {
                                                                "type": "integer",
                                                                "minimum": 1,
                                                            }
                                                        },
                                                    },
                                                },
                                            }
                                        },
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


def advisor(*arguments: str | Path, directory: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [ADVISOR, *arguments], cwd=directory, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def check(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return advisor("check", folder.name, *arguments, directory=folder.parent)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The asgi case, of no particular daemon's version, rendered once."""
    folder = tmp_path_factory.mktemp("rendered")
    data = yaml.safe_load(CASE.read_text())
    data["components"] = {}
    (folder / "rec.yml").write_text(yaml.safe_dump(data, sort_keys=False))
    done = advisor("render", "rec.yml", "-o", "deploy", directory=folder)
    assert done.returncode == 0, done.stderr
    return folder / "deploy"


@pytest.fixture
def tree(rendered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(rendered, tmp_path / "deploy"))


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with advisor.yml and the tree that was made of it; Gunicorn only, to be quick."""
    folder = tmp_path_factory.mktemp("configured")
    (folder / "advisor.yml").write_text(INTENT)
    facts = json.loads((EXAMPLES / "facts.json").read_text()) | {"components": {}, "servers": []}
    (folder / "facts.json").write_text(json.dumps(facts))
    made = ("--config", "advisor.yml", "--facts", "facts.json", "-o", "rec.yml")
    assert advisor("recommend", *made, directory=folder).returncode == 0
    assert advisor("render", "rec.yml", "-o", "deploy", directory=folder).returncode == 0
    return folder


@pytest.fixture
def repository(configured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(configured, tmp_path / "repository"))


def edit(path: Path, old: str, new: str) -> int:
    """Replace a text that has to be there; gives the number of its line."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def snapshot(folder: Path) -> Iterator[tuple[str, int, int]]:
    for path in sorted(folder.rglob("*")):
        found = path.lstat()
        yield str(path), found.st_mtime_ns, found.st_ino


def test_a_tree_as_rendered_is_well_and_left_alone(tree: Path) -> None:
    before = list(snapshot(tree))
    done = check(tree)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("deploy: ")
    assert "as rendered" in done.stdout
    assert " checks passed" in done.stdout
    assert list(snapshot(tree)) == before


def test_a_hand_edit_is_named_with_file_and_line(tree: Path) -> None:
    line = edit(tree / "nginx" / "shop.conf", "listen ", "listen  ")
    done = check(tree)
    assert done.returncode == 1
    assert f"deploy/nginx/shop.conf:{line}: hand-edit: " in done.stdout
    assert "1 problem" in done.stderr
    assert "--overwrite" in done.stderr
    assert "\x1b" not in done.stdout


def test_what_is_edited_is_not_run(tree: Path, tmp_path: Path) -> None:
    """A configuration can run code as it is read: gunicorn.conf.py is Python."""
    trap = tmp_path / "trap"
    with (tree / CONF).open("a") as stream:
        stream.write(f"open({str(trap)!r}, 'w').close()\n")
    assert check(tree).returncode == 1
    assert not trap.exists()


def test_the_difference_can_be_applied(tree: Path) -> None:
    was = (tree / CONF).read_text()
    edit(tree / CONF, "workers = ", "workers =\t\x07")
    (tree / "nginx" / "shop.conf").unlink()
    done = check(tree, "--diff")
    assert done.returncode == 1
    assert f"--- deploy/{CONF}\n+++ deploy/{CONF}\n" in done.stdout
    assert "--- /dev/null\n+++ deploy/nginx/shop.conf\n" in done.stdout
    assert "\x07" not in done.stdout
    assert any(f"+{line}" in done.stdout for line in was.splitlines() if "workers" in line)
    data = json.loads(check(tree, "--diff", "--json").stdout)
    assert "+++ deploy/nginx/shop.conf\n" in data["diff"]


def test_json_says_the_same(tree: Path) -> None:
    line = edit(tree / CONF, "workers = ", "workers =  ")
    done = check(tree, "--json")
    data = json.loads(done.stdout)
    assert done.returncode == 1
    assert (data["directory"], data["ok"]) == ("deploy", False)
    (problem,) = data["problems"]
    assert problem["rule"] == "hand-edit"
    assert (problem["path"], problem["line"], problem["level"]) == (CONF, line, "error")
    assert {found["status"] for found in data["checks"]} == {"passed"}
    assert "diff" not in data


def test_a_refused_value_is_named_by_its_daemons_line(tree: Path) -> None:
    kept = tree / RECOMMENDATION_PATH
    data = yaml.safe_load(kept.read_text())
    (one,) = [found for found in data["settings"] if found["id"] == "gunicorn.worker_class"]
    one["value"] = "uvicorn_worker.UvicronWorker"
    kept.write_text(yaml.safe_dump(data, sort_keys=False))
    done = check(tree)
    assert done.returncode == 1
    refused = [line for line in done.stdout.splitlines() if ": refused: " in line]
    assert any("UvicronWorker" in line and f"deploy/{CONF}:" in line for line in refused)
    assert f"{RECOMMENDATION_PATH}:" in done.stdout
    assert f"deploy/{CONF}:" in done.stdout
    assert "outdated-output" in done.stdout


def test_what_could_not_run_is_a_warning_and_strict_makes_it_an_error(
    configured: Path, tmp_path: Path
) -> None:
    data = yaml.safe_load((configured / "rec.yml").read_text())
    data["components"] = {"gunicorn": {"version": "99.0"}}
    (tmp_path / "rec.yml").write_text(yaml.safe_dump(data, sort_keys=False))
    assert advisor("render", "rec.yml", "-o", "deploy", directory=tmp_path).returncode == 0
    tree = tmp_path / "deploy"
    done = check(tree)
    assert done.returncode == 0
    assert f"warning: deploy/{CONF}: gunicorn" in done.stderr
    assert "1 not run" in done.stdout
    found = json.loads(check(tree, "--json").stdout)["problems"]
    assert [(each["rule"], each["level"]) for each in found] == [("not-run", "warning")]
    strict = check(tree, "--strict")
    assert strict.returncode == 1
    assert f"deploy/{CONF}: not-run: gunicorn" in strict.stdout


def test_advisor_yml_as_it_was_is_well(repository: Path) -> None:
    done = check(repository / "deploy", "--config", "advisor.yml")
    assert (done.returncode, done.stderr) == (0, "")


def test_every_key_that_changed_in_advisor_yml_is_named(repository: Path) -> None:
    edit(repository / "advisor.yml", "cpus: 2", "cpus: 4")
    edit(repository / "advisor.yml", "pins: {gunicorn.timeout: 60}", "domain: shop.example")
    done = check(repository / "deploy", "--config", "advisor.yml")
    assert done.returncode == 1
    lines = (repository / "deploy" / RECOMMENDATION_PATH).read_text().splitlines()
    for key in ("budget.cpus", "pins", "domain"):
        number = lines.index(f"  {key}:") + 1
        where = f"deploy/{RECOMMENDATION_PATH}:{number}: stale-input: {key}: "
        assert where in done.stdout, done.stdout
    assert "advisor recommend" in done.stderr
    assert check(repository / "deploy").returncode == 0


def test_a_wrong_advisor_yml_is_invalid_input(repository: Path) -> None:
    (repository / "advisor.yml").write_text(f"{INTENT}pins2: {{}}\n")
    done = check(repository / "deploy", "--config", "advisor.yml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "advisor.yml:7: pins2: unknown key; pins is one" in done.stderr
    assert check(repository / "deploy", "--config", "none.yml").returncode == 2


def test_every_kind_of_problem_is_sarif(repository: Path, tree: Path) -> None:
    deploy = repository / "deploy"
    edit(repository / "advisor.yml", "cpus: 2", "cpus: 4")
    line = edit(deploy / CONF, "timeout = ", "timeout =  ")
    (deploy / "gunicorn" / "old conf.py").write_text("")
    done = check(deploy, "--config", "advisor.yml", "--sarif")
    assert done.returncode == 1
    log = json.loads(done.stdout)
    jsonschema.validate(log, SARIF)
    (run,) = log["runs"]
    results = {result["ruleId"]: result for result in run["results"]}
    assert set(results) == {"hand-edit", "stale-input", "extra-file"}
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(PROBLEMS)
    for id_, result in results.items():
        assert rules[result["ruleIndex"]]["id"] == id_
    assert results["hand-edit"]["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": f"deploy/{CONF}"},
                "region": {"startLine": line},
            }
        }
    ]
    (place,) = results["extra-file"]["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "deploy/gunicorn/old%20conf.py"}
    }
    well = json.loads(check(tree, "--sarif").stdout)
    jsonschema.validate(well, SARIF)
    assert well["runs"][0]["results"] == []


@pytest.mark.parametrize("words", [("--sarif", "--json"), ("--sarif", "--diff")])
def test_formats_that_exclude_each_other(tree: Path, words: tuple[str, ...]) -> None:
    done = check(tree, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--sarif" in done.stderr


def test_what_holds_no_tree_is_exit_2(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("empty", "file", "loop", "none"):
        done = check(tmp_path / name)
        assert (done.returncode, done.stdout) == (2, "")
        assert name in done.stderr


def test_a_fleets_hosts_are_named(repository: Path) -> None:
    fleet = repository / "fleet"
    for name in ("web1", "web2"):
        shutil.copytree(repository / "deploy", fleet / "hosts" / name)
    assert check(fleet).returncode == 0
    line = edit(fleet / "hosts" / "web2" / CONF, "timeout = ", "timeout =  ")
    done = check(fleet)
    assert done.returncode == 1
    assert f"fleet/hosts/web2/{CONF}:{line}: hand-edit: " in done.stdout
    assert "web1" not in done.stdout


@pytest.fixture
def public(configured: Path) -> Iterator[Path]:
    """The tree where everybody may go; pytest's own folders are root's alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(shutil.copytree(configured / "deploy", Path(folder) / "deploy"))


def test_a_tree_that_may_not_be_read_is_said(public: Path, as_nobody: Callable[[str], str]) -> None:
    code = (
        "import sys; sys.stderr = sys.stdout\n"
        "from advisor.cli.main import run\n"
        f"try: run(['check', {str(public)!r}])\n"
        "except SystemExit as ended: print('code', ended.code)\n"
    )
    (public / CONF).chmod(0)
    told = as_nobody(code)
    assert f"{CONF}: hand-edit: cannot be read: Permission denied" in told
    assert "code 1" in told
    (public / ".advisor").chmod(0)
    told = as_nobody(code)
    assert "Permission denied" in told
    assert "code 2" in told


def test_paths_under_any_folder_name(tree: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a b%é"
    tree.rename(odd)
    edit(odd / CONF, "workers = ", "workers =  ")
    log: dict[str, Any] = json.loads(check(odd, "--sarif").stdout)
    jsonschema.validate(log, SARIF)
    (result,) = log["runs"][0]["results"]
    (place,) = result["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == f"a%20b%25%C3%A9/{CONF}"
    assert (odd / MANIFEST_PATH).is_file()
