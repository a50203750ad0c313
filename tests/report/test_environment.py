"""`--format env`: what a shell makes of it, and what the servers do."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from granian.cli import cli as GRANIAN  # noqa: N812 - a command, as UVICORN is
from gunicorn.config import KNOWN_SETTINGS
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.main import main as UVICORN  # noqa: N812 - a command

from advisor import files
from advisor.documents import Measurement, Recommendation, Resolved, Setting
from advisor.errors import InvalidInput
from advisor.report.environment import WITHOUT_OPTION, environment, option
from advisor.rules import RULES

if TYPE_CHECKING:
    from advisor.documents import Value

EXAMPLES = Path(__file__).parent.parent / "examples"
EXAMPLE = files.read(Recommendation, EXAMPLES / "recommendation.yml")
APPS = Path(__file__).parent.parent / "apps"
GUNICORN = {setting.name: setting for setting in KNOWN_SETTINGS}


def rec(server: str, values: dict[str, Value]) -> Recommendation:
    def setting(id_: str, value: Value) -> Setting:
        return EXAMPLE.settings[0].model_copy(update={"id": id_, "value": value})

    own = [setting(f"{server}.{name}", value) for name, value in values.items()]
    other = setting("nginx.proxy_read_timeout", 60)
    intent = {"server": Resolved.model_validate({"value": server, "from": "config"})}
    return EXAMPLE.model_copy(update={"settings": [*own, other], "intent": intent})


def in_a_shell(text: str, name: str) -> str:
    """What a variable holds after `eval` in a POSIX shell."""
    script = f'eval "$ASSIGNMENTS"\nprintf %s "${name}"'
    done = subprocess.run(
        ["/bin/sh", "-euc", script],
        env={"ASSIGNMENTS": text},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_gunicorn_takes_its_options_from_one_variable() -> None:
    values: dict[str, Value] = {
        "workers": 3,
        "worker_class": "gthread",
        "threads": 8,
        "keepalive": 75,
        "control_socket_disable": True,
        "preload_app": False,
        "max_requests": None,
    }
    text = environment(rec("gunicorn", values))
    assert text == (
        "export WEB_CONCURRENCY=3\n"
        "export GUNICORN_CMD_ARGS='--workers=3 --worker-class=gthread --threads=8 "
        "--keep-alive=75 --no-control-socket'\n"
    )
    assert in_a_shell(text, "WEB_CONCURRENCY") == "3"


def test_uvicorn_and_granian_have_a_variable_each() -> None:
    values: dict[str, Value] = {"workers": 2, "timeout_keep_alive": 75, "loop": None}
    assert environment(rec("uvicorn", values)) == (
        "export WEB_CONCURRENCY=2\nexport UVICORN_TIMEOUT_KEEP_ALIVE=75\n"
    )
    values = {"workers": 2, "respawn_failed_workers": True}
    assert environment(rec("granian", values)) == (
        "export GRANIAN_WORKERS=2\nexport GRANIAN_RESPAWN_FAILED_WORKERS=true\n"
    )


def test_a_server_that_reads_no_environment_is_named() -> None:
    with pytest.raises(InvalidInput, match="hypercorn") as caught:
        environment(rec("hypercorn", {"workers": 2}))
    assert caught.value.exit_code == 2


TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))


@given(TEXTS)
def test_no_value_leaves_its_quotes(text: str) -> None:
    """Gunicorn splits as shlex does; whatever the value, it comes out as one word."""
    out = environment(rec("gunicorn", {"worker_tmp_dir": text, "workers": 2}))
    words = shlex.split(out)
    assert words[0] == "export"
    assert len(words) == 4
    inner = shlex.split(words[3].removeprefix("GUNICORN_CMD_ARGS="))
    assert inner == [f"--worker-tmp-dir={text}", "--workers=2"]


@pytest.mark.parametrize("text", ["/dev/shm", "a b", "$(id)", "'\"`\\", "x\ny", "; exit 3"])
def test_a_real_shell_agrees(text: str) -> None:
    out = environment(rec("gunicorn", {"worker_tmp_dir": text}))
    assert shlex.split(in_a_shell(out, "GUNICORN_CMD_ARGS")) == [f"--worker-tmp-dir={text}"]


@pytest.mark.parametrize("id_", [id_ for id_ in RULES if id_.startswith("gunicorn.")])
def test_each_option_is_the_installed_gunicorn_s(id_: str) -> None:
    name = id_.removeprefix("gunicorn.")
    assert option(name) in (GUNICORN[name].cli or [None])
    # A switch is written where it is on: `_words` knows no other kind.
    if RULES[id_].default is True:
        pytest.fail(f"{id_} is on by itself, so its option would turn it off")


def test_the_settings_without_an_option_have_none() -> None:
    assert all(GUNICORN[name].cli is None for name in WITHOUT_OPTION)


def cli(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "advisor", *words], capture_output=True, text=True, check=False
    )


def foreign(tmp_path: Path, **target: Any) -> str:
    """A committed measurement, made on a host that is not this one."""
    data = files.load(EXAMPLES / "measurement.json")
    data["target"] |= {"pid": 2**22 + 1} | target
    for worker in data["workers"]:
        worker["pid"] += 2**22
    path = tmp_path / "m.yml"
    path.write_text(files.dump(files.validate(Measurement, data, name="m"), is_json=False))
    return str(path)


@pytest.mark.daemon
def test_an_entrypoint_evals_it_and_gunicorn_takes_it(tmp_path: Path) -> None:
    """As in a container: no advisor.yml, no app that runs, a measurement from elsewhere."""
    made = cli(
        "recommend",
        *("--measurement", foreign(tmp_path, worker_class="gthread"), "--format", "env"),
        *("--memory", "2G", "--cpus", "2"),
    )
    assert made.returncode == 0, made.stderr
    assert "another host" in made.stderr
    assert all(line.startswith("export ") for line in made.stdout.splitlines())
    script = 'eval "$ASSIGNMENTS"\nexec "$PYTHON" -m gunicorn --print-config wsgi_app:app'
    done = subprocess.run(
        ["/bin/sh", "-euc", script],
        env={"ASSIGNMENTS": made.stdout, "PYTHON": sys.executable, "HOME": str(tmp_path)},
        cwd=APPS,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    took = dict(
        line.split("=", 1) for line in done.stdout.replace(" ", "").splitlines() if "=" in line
    )
    args = dict(
        word.removeprefix("--").split("=", 1)
        for word in shlex.split(in_a_shell(made.stdout, "GUNICORN_CMD_ARGS"))
        if "=" in word
    )
    names = {str(option(name)).removeprefix("--"): name for name in GUNICORN}
    assert {"workers", "threads", "timeout", "worker-class"} <= set(args)
    for word, value in args.items():
        assert took[names[word]].strip("'") == value
    assert in_a_shell(made.stdout, "WEB_CONCURRENCY") == args["workers"]


@pytest.mark.parametrize(("server", "command"), [("uvicorn", UVICORN), ("granian", GRANIAN)])
def test_the_variables_are_those_of_the_servers_options(server: str, command: Any) -> None:
    known = {parameter.name for parameter in command.params}
    named = {id_.partition(".")[2] for id_ in RULES if id_.startswith(f"{server}.")}
    assert named <= known


@pytest.mark.daemon
@pytest.mark.parametrize(
    ("server", "text"),
    [
        ("uvicorn", environment(rec("uvicorn", {"backlog": "no-number"}))),
        ("granian", environment(rec("granian", {"workers": "no-number"}))),
    ],
)
def test_the_servers_read_them(server: str, text: str) -> None:
    """A server tells that it took a variable by refusing what it holds."""
    done = subprocess.run(
        ["/bin/sh", "-euc", 'eval "$ASSIGNMENTS"\nexec "$PYTHON" -m "$SERVER" asgi_app:app'],
        env={"ASSIGNMENTS": text, "PYTHON": sys.executable, "SERVER": server},
        cwd=APPS,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "no-number" in done.stderr
