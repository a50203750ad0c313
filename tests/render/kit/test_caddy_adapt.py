"""What Caddy makes of the files: for any accepted intent the tree of one with benign names."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advisor.render import render
from advisor.render.checks.caddy_stage import stage_caddy
from tests.render.live_caddy.site import VERSIONS, Program, advise, home, of_caddy, programs

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from advisor.documents import Recommendation

pytestmark = pytest.mark.daemon

few = settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
# Paths of one length each, as their order in the file goes by length.
letters = st.characters(codec="ascii", categories=["L", "Nd"], include_characters="._~@+-")
names = st.from_regex(r"\A[a-z][a-z0-9]{0,8}([-_][a-z0-9]{1,8}){0,2}\Z")


def path(first: str, length: int) -> st.SearchStrategy[str]:
    return st.text(letters, min_size=length, max_size=length).map(lambda text: f"/{first}{text}")


stated = st.fixed_dictionaries(
    {
        "name": names,
        "module": st.from_regex(
            r"\A[A-Za-z_]\w{0,9}(\.[A-Za-z_]\w{0,9}){0,2}:[a-z]{1,9}(\(\))?\Z",
            alphabet=st.characters(max_codepoint=127),
        ),
        "domain": st.from_regex(
            r"\A(\*\.)?[a-z][a-z0-9]{0,8}(\.[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?){0,3}\Z"
        ),
        "certificate": path("c", 6),
        "static": path("st", 7),
        "folder": path("f", 9),
        "websocket": path("w", 5),
        "stream": path("ev", 3),
        "health": path("h", 4),
        "hosts": st.lists(
            st.from_regex(r"\A([a-z0-9]{1,9}\.){0,2}[a-z][a-z0-9]{0,8}:8000\Z"),
            min_size=2,
            max_size=2,
            unique=True,
        ),
    }
)
# Keys whose text says what a part is, and not what it is about.
KINDS = {"handler", "output", "format", "encoder", "policy", "protocol", "group"}
BENIGN = {
    "name": "shop",
    "module": "shop.main:app",
    "domain": "shop.example",
    "certificate": "/caaaaaa",
    "static": "/staaaaaaa",
    "folder": "/faaaaaaaaa",
    "websocket": "/waaaaa",
    "stream": "/evaaa",
    "health": "/haaaa",
    "hosts": ["a.example:8000", "b.example:8000"],
}


@pytest.fixture(scope="module", params=VERSIONS)
def program(request: pytest.FixtureRequest) -> Program | str:
    return programs().get(request.param, request.param)


def recommendation(version: str, of: dict[str, Any], *, is_balanced: bool) -> Recommendation:
    intent: dict[str, Any] = {
        "app": {
            "name": of["name"],
            "module": of["module"],
            "interface": "wsgi",
            "health": of["health"],
        },
        "domain": of["domain"],
        "tls": {"certificate": of["certificate"], "key": f"{of['certificate']}.key"},
        "static": {of["static"]: of["folder"]},
        "routes": {of["websocket"]: "websocket", of["stream"]: "stream"},
        "limits": {"request_body": "10M"},
        "pins": {"gunicorn.worker_class": "sync"},
    }
    return advise(version, **intent, **({"hosts": of["hosts"]} if is_balanced else {}))


def adapted(program: Program, rec: Recommendation) -> list[Any]:
    """The JSON of each host that has files."""
    found = []
    for folder in ("caddy", "load_balancer"):
        files = of_caddy(render(rec), folder)
        if not files:
            continue
        with tempfile.TemporaryDirectory() as where:
            stage = stage_caddy(files, Path(where))
            words = ["adapt", "--config", stage.caddyfile, "--adapter", "caddyfile"]
            done = subprocess.run(
                [program.path, *words],
                capture_output=True,
                text=True,
                check=False,
                env=home(Path(where)),
            )
            assert done.returncode == 0, done.stderr
            found.append(json.loads(done.stdout.replace(where, "/stage")))
    return found


@pytest.mark.parametrize("is_balanced", [False, True])
@few
@given(of=stated)
def test_accepted_values_change_no_structure(
    program: Program | str,
    not_run: Callable[[str], NoReturn],
    is_balanced: bool,
    of: dict[str, Any],
) -> None:
    if isinstance(program, str):
        not_run(f"Caddy {program} is not here: scripts/daemons.sh, or ADVISOR_CADDY")
    benign = recommendation(program.version, BENIGN, is_balanced=is_balanced)
    rec = recommendation(program.version, of, is_balanced=is_balanced)
    assert skeleton(adapted(program, rec)) == skeleton(adapted(program, benign))


def skeleton(value: Any, key: str = "") -> Any:
    """The tree without its texts but those that say what a part is."""
    if isinstance(value, dict):
        # Names are keys there.
        named = key == "logger_names"
        return {"" if named else inner: skeleton(each, inner) for inner, each in value.items()}
    if isinstance(value, list):
        return [skeleton(each, key) for each in value]
    return value if key in KINDS or not isinstance(value, str) else ""
