"""App servers started from rendered files, as their unit would start them."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from advisor.render import render
from advisor.render.kit.launch import is_handed_over, launch
from advisor.render.place import installed, is_unix, stream
from advisor.render.rendering import gated
from advisor.render.values import inputs_of
from advisor.rules import RULES, refusal
from tests.render.live_common import running
from tests.render.live_common.running import DEADLINE_S, stopped, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from advisor.documents import Recommendation
    from advisor.render import CheckResult, File
    from advisor.render.values import Inputs

    Make = Callable[..., Recommendation]

APPS = (Path(__file__).parent / "apps", Path(__file__).parents[1] / "apps")
PROXIED = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
usual = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def recommended(make: Make, server: str, values: dict[str, Any], **intent: Any) -> Recommendation:
    """A recommendation for this server alone, whose target has the version of this machine."""
    module = intent.pop("module", "served:app")
    interface = intent.pop("interface", "asgi")
    version = intent.pop("version", None) or importlib.metadata.version(server)
    stated = {"server": server, "app.module": module, "app.interface": interface}
    return make(
        app={"module": module, "interface": interface},
        intent={"manage": ["server", "systemd"]} | stated | intent,
        settings={f"{server}.{name}": value for name, value in values.items()},
        components={server: version},
    )


def inputs(rec: Recommendation) -> Inputs:
    return gated(inputs_of(rec))


def file_of(rec: Recommendation, path: str) -> File:
    (file,) = (file for file in render(rec) if file.path == path)
    return file


def text_of(rec: Recommendation, path: str) -> str:
    return file_of(rec, path).content.decode()


def line_of(rec: Recommendation, path: str, text: str) -> int:
    """The line of a file that begins with a text, or else holds it."""
    whole = text_of(rec, path)
    at = whole.find(f"\n{text}") + 1 or whole.index(text)
    return whole[:at].count("\n") + 1


def checked(
    check: Callable[[list[File], Inputs], list[CheckResult]],
    rec: Recommendation,
    path: str,
    old: str = "",
    new: str = "",
) -> list[CheckResult]:
    """What a check says of a rendered file, in which `new` stands for `old`."""
    file = file_of(rec, path)
    assert old.encode() in file.content
    damaged = replace(file, content=file.content.replace(old.encode(), new.encode(), 1))
    return check([damaged], inputs(rec))


def failures(found: list[CheckResult]) -> list[str]:
    return [line for result in found if result.status == "failed" for line in result.lines]


def assigned(text: str) -> dict[str, str]:
    """The variables of an environment file, as systemd reads what we write of its grammar."""
    lines = [line for line in text.split("\n") if line and not line.startswith(("#", ";"))]
    assert not any(character in line for line in lines for character in "\"'\\ \t$")
    pairs = [line.partition("=") for line in lines]
    assert all(equals for _, equals, _ in pairs)
    found = {name: value for name, _, value in pairs}
    assert len(found) == len(pairs), "a variable is there twice"
    return found


def comments(text: str) -> str:
    return " ".join(line[2:] for line in text.split("\n") if line.startswith("# "))


def values_of(server: str) -> st.SearchStrategy[dict[str, Any]]:
    """Any values that the rules of a server accept, by the setting's own name."""
    ids = [id_ for id_ in RULES if id_.startswith(f"{server}.")]
    return st.fixed_dictionaries({id_.partition(".")[2]: _values(id_) for id_ in ids})


def _values(id_: str) -> st.SearchStrategy[Any]:
    # The schema of a type with two kinds of numbers loses their bounds.
    every = _accepted(TypeAdapter(RULES[id_].accepts).json_schema())
    return every.filter(lambda value: value is None or refusal(id_, value) is None)


def _accepted(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What a JSON Schema allows, as far as the rules' types use it."""
    if "anyOf" in schema:
        bounds = {key: value for key, value in schema.items() if key != "anyOf"}
        return st.one_of(*(_accepted(bounds | each) for each in schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    least, most = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        least = schema["exclusiveMinimum"] + 1
    return {
        "null": st.none(),
        "boolean": st.booleans(),
        "integer": st.integers(least, most),
        "number": st.floats(least, most, allow_nan=False, allow_infinity=False),
        "string": st.just("/dev/shm"),
    }[schema["type"]]


@contextlib.contextmanager
def serving(
    rec: Recommendation, folder: Path, python: str = sys.executable
) -> Iterator[httpx.Client]:
    """The server at work on a socket of the test's own; gives a client that is past any proxy.

    Its files and environment are those rendered, its command that of the unit.
    """
    seen = inputs(rec)
    path = folder / "app.sock"
    unix = is_unix(seen.intent)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listener(seen, path)) if is_handed_over(seen) else None
        if not launch(seen).takes_socket and listener is not None:
            listener.close()
            path.unlink(missing_ok=True)
            listener = None
        process = _start(python, rec, folder, path, listener)
        stack.enter_context(stopped(process))
        where = stream(seen.intent)
        client = httpx.Client(
            base_url="http://app" if unix else f"http://{where}",
            transport=httpx.HTTPTransport(uds=str(path) if unix else None),
            timeout=DEADLINE_S,
        )
        stack.enter_context(client)
        until(lambda: _answers(str(path) if unix else where, client, process), "the app")
        yield client


def told(rec: Recommendation, folder: Path, python: str = sys.executable) -> dict[str, Any]:
    """What the app, served, sees of a request for /a that a proxy passes on."""
    with serving(rec, folder, python) as client:
        answer: dict[str, Any] = client.get("/a", headers=PROXIED).json()
    assert answer["path"] == "/a"
    return answer


def _answers(where: str, client: httpx.Client, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the server ended; its reason is on stderr"
    # httpx leaves its socket open where nobody listens yet.
    with socket.socket(socket.AF_UNIX if where.startswith("/") else socket.AF_INET) as probe:
        address, _, port = where.rpartition(":")
        if probe.connect_ex(where if where.startswith("/") else (address, int(port))):
            return False
    return client.get("/").status_code == 200


def _start(
    python: str, rec: Recommendation, folder: Path, path: Path, listener: socket.socket | None
) -> subprocess.Popen[bytes]:
    seen = inputs(rec)
    started = launch(seen)
    variables: dict[str, str] = {}
    moved = {stream(seen.intent): str(path), f"unix:{stream(seen.intent)}": f"unix:{path}"}
    for file in render(rec):
        target = installed(file.path, seen)
        if target in started.environment_files:
            variables |= assigned(file.content.decode())
        if target in started.command:
            moved[target] = str(folder / Path(file.path).name)
            Path(moved[target]).write_bytes(file.content)
    command = [moved.get(word, word) for word in started.command]
    return running.module(
        [Path(command[0]).name, *command[1:]],
        listener,
        python=python,
        cwd=APPS[0],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(APPS[1])} | variables,
    )


def _listener(seen: Inputs, path: Path) -> socket.socket:
    where = stream(seen.intent)
    if is_unix(seen.intent):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
    else:
        address, _, port = where.rpartition(":")
        family = socket.AF_INET6 if address.startswith("[") else socket.AF_INET
        listener = socket.create_server((address.strip("[]"), int(port)), family=family)
    listener.listen(64)
    return listener
