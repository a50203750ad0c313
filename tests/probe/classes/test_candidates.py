from __future__ import annotations

import asyncio
from typing import Any

import pytest

from advisor.probe.classes import null_app
from advisor.probe.classes.candidates import candidates

NEW = {"gunicorn": "27.0.1", "uvicorn": "0.54.0", "uvicorn-worker": "0.4.0"}


@pytest.mark.parametrize(
    ("kind", "interface", "packages", "names"),
    [
        ("gunicorn", "wsgi", NEW, ["sync", "gthread"]),
        ("gunicorn", "asgi", NEW, ["uvicorn_worker.UvicornWorker", "asgi"]),
        ("gunicorn", "asgi", {"gunicorn": "27.0.1"}, ["asgi"]),
        (
            "gunicorn",
            "asgi",
            {"gunicorn": "20.1.0", "uvicorn": "0.20.0"},
            ["uvicorn.workers.UvicornWorker"],
        ),
        ("uvicorn", "asgi", {"uvicorn": "0.54.0"}, ["uvicorn"]),
        ("uvicorn", "asgi", NEW, ["uvicorn_worker.UvicornWorker", "asgi"]),
        ("uvicorn", "wsgi", {"uvicorn": "0.54.0"}, []),
        ("hypercorn", "asgi", {"hypercorn": "0.18.0"}, ["hypercorn"]),
        ("granian", "wsgi", {"granian": "2.8.7"}, ["granian-wsgi"]),
        (
            "granian",
            "wsgi",
            {"granian": "2", "gunicorn": "23"},
            ["granian-wsgi", "sync", "gthread"],
        ),
        ("gunicorn", "wsgi", NEW | {"granian": "2"}, ["sync", "gthread"]),
        ("gunicorn", "asgi", {"gunicorn": "unheard"}, []),
        ("unknown", "wsgi", {}, []),
        ("gunicorn", "unheard", NEW, []),
    ],
)
def test_the_classes_that_an_environment_offers(
    kind: str, interface: str, packages: dict[str, str], names: list[str]
) -> None:
    assert [each.name for each in candidates(kind, interface, packages)] == names


def test_two_workers_and_threads_only_where_they_are_the_class() -> None:
    sync, gthread = (each.command for each in candidates("gunicorn", "wsgi", NEW))
    for command in (sync, gthread):
        assert command[command.index("--workers") + 1] == "2"
    assert "--threads" not in sync
    assert gthread[gthread.index("--threads") + 1] == "8"


@pytest.mark.parametrize("kind", ["gunicorn", "uvicorn", "hypercorn", "granian"])
@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_every_class_listens_on_the_port_of_this_host_that_is_chosen(
    kind: str, interface: str
) -> None:
    """Over TCP, as the app itself is probed: a new connection costs far more there."""
    for candidate in candidates(kind, interface, {kind: "27.0.1"}):
        words = " ".join(candidate.listening_at(4711))
        assert "--bind 127.0.0.1:4711" in words or "--host 127.0.0.1 --port 4711" in words
        assert "{" not in words


def test_the_null_app_answers_in_both_languages() -> None:
    said: list[Any] = []
    body = null_app.wsgi({}, lambda *words: said.append(words))
    assert body == [b"ok"]
    assert said == [("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])]

    async def talk(scope: str, *heard: str) -> list[dict[str, Any]]:
        messages, sent = iter(heard), []

        async def receive() -> dict[str, Any]:
            return {"type": next(messages)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await null_app.app({"type": scope}, receive, send)
        return sent

    start, end = asyncio.run(talk("http"))
    assert (start["status"], dict(start["headers"])[b"content-length"]) == (200, b"2")
    assert end["body"] == b"ok"
    lived = asyncio.run(talk("lifespan", "lifespan.startup", "lifespan.shutdown"))
    assert [m["type"] for m in lived] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
