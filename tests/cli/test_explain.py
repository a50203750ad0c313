"""`advisor explain ID [REC]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from advisor import files
from advisor.cli.main import run
from advisor.demo.processes import free_port, running

if TYPE_CHECKING:
    from collections.abc import Callable

    Advisor = Callable[..., tuple[int, str, str]]

EXAMPLES = Path(__file__).parent.parent / "examples"
REC = str(EXAMPLES / "recommendation.yml")
FACTS = ("--facts", str(EXAMPLES / "facts.json"))
MEASURED = ("--measurement", str(EXAMPLES / "measurement.json"))


@pytest.fixture
def advisor(capsys: pytest.CaptureFixture[str]) -> Advisor:
    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            run(["explain", *arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        code = ended.value.code
        return code if isinstance(code, int) else 0, out, err

    return call


def test_a_recommendation_that_is_made_is_explained(advisor: Advisor) -> None:
    code, out, err = advisor("gunicorn.keepalive", REC)
    assert (code, err) == (0, "")
    assert out.startswith("gunicorn.keepalive  75 s  [confidence high]\n")
    assert "The app's idle outlasts the proxy's" in out
    assert "gunicorn#3323" in out


def test_without_one_it_is_made_first(advisor: Advisor) -> None:
    code, out, _ = advisor("gunicorn.workers", *FACTS, *MEASURED)
    assert code == 0
    assert "limited by /sys/fs/cgroup/system.slice/cpu.max" in out
    assert "n = 41,822" in out
    budgeted = advisor("gunicorn.workers", *FACTS, *MEASURED, "--cpus", "0.25")[1]
    assert "limited by --cpus" in budgeted


def test_json(advisor: Advisor) -> None:
    data = json.loads(advisor("gunicorn.workers", *FACTS, *MEASURED, "--json")[1])
    assert data["setting"]["value"] == 2
    assert data["rule"]
    assert set(data["origins"]) == set(data["setting"]["inputs"])
    data = json.loads(advisor("gunicorn.threads", REC, "--json")[1])
    assert data["setting"] is None
    assert data["rule"]


def test_an_unknown_id_has_its_neighbours(advisor: Advisor) -> None:
    code, out, err = advisor("gunicorn.wrokers", REC)
    assert (code, out) == (2, "")
    assert "gunicorn.wrokers: no such setting" in err
    assert "gunicorn.workers" in err
    code, _, err = advisor("xyzzy", REC)
    assert code == 2
    assert "advisor recommend --all" in err


def test_no_id_is_a_usage_error(advisor: Advisor) -> None:
    assert advisor()[0] == 2


def test_what_is_not_known_says_why(advisor: Advisor, tmp_path: Path) -> None:
    data = files.load(Path(REC))
    data["unknown"].append(
        {"what": "gunicorn.backlog", "why": "it needs kernel.somaxconn", "remedy": "Look."}
    )
    rec = tmp_path / "rec.json"
    rec.write_text(json.dumps(data))
    code, out, _ = advisor("gunicorn.backlog", str(rec))
    assert code == 0
    assert "It is not known: it needs kernel.somaxconn." in out


def test_a_rule_that_is_silent_here(advisor: Advisor) -> None:
    code, out, _ = advisor("nginx.client_max_body_size", *FACTS, *MEASURED)
    assert code == 0
    assert "Its rule is silent" in out


def test_a_setting_of_another_version_is_explained_from_the_document(
    advisor: Advisor, tmp_path: Path
) -> None:
    data = files.load(Path(REC))
    data["settings"][1]["id"] = "gunicorn.telepathy"
    rec = tmp_path / "rec.json"
    rec.write_text(json.dumps(data))
    code, out, _ = advisor("gunicorn.telepathy", str(rec))
    assert code == 0
    assert "No rule of this version" in out
    assert "a reused one is a 502" in out


def test_a_recommendation_and_options_to_make_one(advisor: Advisor) -> None:
    code, _, err = advisor("gunicorn.workers", REC, *FACTS)
    assert code == 2
    assert "takes no options" in err


@pytest.mark.parametrize("text", ["", "[]", "schema: advisor/facts/1\n", "{", "\x00"])
def test_a_file_that_is_no_recommendation(advisor: Advisor, tmp_path: Path, text: str) -> None:
    rec = tmp_path / "rec.yml"
    rec.write_text(text)
    code, out, err = advisor("gunicorn.workers", str(rec))
    assert (code, out) == (2, "")
    assert "rec.yml" in err


def test_several_apps_need_a_choice(advisor: Advisor, tmp_path: Path) -> None:
    data = files.load(EXAMPLES / "facts.json")
    data["servers"].append(data["servers"][0] | {"pid": 900, "app": "blog:app", "workers": []})
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(data))
    code, _, err = advisor("gunicorn.workers", "--facts", str(facts))
    assert code == 2
    assert "--pid" in err
    assert advisor("gunicorn.workers", "--facts", str(facts), "--pid", "900")[0] == 0


@pytest.mark.daemon
def test_a_server_that_runs_is_looked_at_without_a_request(
    advisor: Advisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent / "apps"))
    port = free_port()
    words = (*("-m", "gunicorn", "--bind", f"127.0.0.1:{port}"), "--no-control-socket")
    command = [sys.executable, *words, "wsgi_app:app"]
    with running(command, url=f"http://127.0.0.1:{port}/compute", log=tmp_path / "log") as pid:
        code, out, _ = advisor("gunicorn.worker_class", "--pid", str(pid))
        data = json.loads(advisor("gunicorn.workers", "--pid", str(pid), "--json")[1])
    assert code == 0
    assert out.startswith("gunicorn.worker_class  gthread  [confidence low]\nwsgi")
    assert data["origins"]["memory_per_worker_bytes"]
    assert data["origins"]["cpu.effective"].startswith("limited by ")
