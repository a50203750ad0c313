"""gunicorn.conf.py held against Gunicorns of several versions; more in test_checks.py."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from advisor.render.checks import gunicorn
from tests.matrix.daemons import made
from tests.render.kit.servers import checked, file_of, inputs, recommended
from tests.render.kit.test_gunicorn import CLASSES, CONF, PIECES, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import NoReturn

    from advisor.documents import Recommendation
    from advisor.render import CheckResult

    Make = Callable[..., Recommendation]

pytestmark = pytest.mark.daemon


def results(make: Make, values: dict[str, Any], **intent: Any) -> list[CheckResult]:
    return checked(gunicorn.check, recommended(make, "gunicorn", values, **intent), CONF)


@pytest.mark.parametrize(
    ("version", "worker_class"),
    [(version, each) for version, known in VERSIONS.items() for each in known],
)
def test_every_class_of_every_version_passes(
    make: Make, not_run: Callable[[str], NoReturn], version: str, worker_class: str
) -> None:
    virtualenv = made(PIECES[version], not_run)
    module, interface, threads = CLASSES[worker_class]
    stated = {"module": module, "interface": interface, "app.virtualenv": str(virtualenv)}
    values = {"worker_class": worker_class, "threads": threads, "reuse_port": False}
    found = results(make, values, version=version, **stated)
    assert [result.status for result in found] == ["passed"] * 3


@pytest.mark.parametrize("version", ["20.1.0", "23.0.0"])
def test_a_class_that_came_later_fails(
    make: Make, not_run: Callable[[str], NoReturn], version: str
) -> None:
    virtualenv = {"app.virtualenv": str(made(PIECES[version], not_run))}
    found = results(make, {"worker_class": "asgi"}, version=version, **virtualenv)
    assert found[-1].status == "failed"
    assert "asgi" in found[-1].lines[0]


def test_a_file_that_does_not_name_the_app_passes_with_the_commands(make: Make) -> None:
    """What an older Gunicorn's file is like, checked by ours: its version is not known here."""
    rec = recommended(make, "gunicorn", {}, version="20.0.4")
    file = file_of(rec, CONF)
    assert b"wsgi_app =" not in file.content
    here = inputs(recommended(make, "gunicorn", {}))
    found = gunicorn.check([file], here)
    assert [result.status for result in found] == ["passed"] * 3


def test_a_uvicorn_worker_of_before_0_36_is_caught(tmp_path: Path) -> None:
    """uvicorn-worker 0.3 beside our Uvicorn: it imports, and "Worker failed to boot" follows."""
    (tmp_path / "older.py").write_text(
        "class UvicornWorker:\n    def init_process(self): self.config.setup_event_loop()\n"
    )
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text('worker_class = "older.UvicornWorker"\n')
    shutil.copyfile(gunicorn.SCRIPT, tmp_path / "check.py")
    words = [sys.executable, tmp_path / "check.py", conf, "app"]
    done = subprocess.run(words, capture_output=True, check=True)
    said = json.loads(done.stdout)["worker_class"]
    assert said["status"] == "failed"
    assert "a Uvicorn below 0.36" in said["text"]
