"""What this version has no file for is refused or said, never passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from advisor import files
from advisor.documents import Recommendation, Setting
from advisor.errors import InvalidInput
from advisor.render import not_rendered, render

CASE = Path(__file__).parent / "cases" / "asgi" / "recommendation.yml"


def with_intent(**values: Any) -> Recommendation:
    rec = files.read(Recommendation, CASE)
    more = {key: {"value": value, "from": "config"} for key, value in values.items()}
    return Recommendation.model_validate(rec.as_data() | {"intent": rec.as_data()["intent"] | more})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("server", "uvicorn"),
        ("proxy", "caddy"),
        ("tls", {"acme": True}),
        ("routes", {"/ws": "websocket"}),
        ("hosts", ["10.0.0.11:80", "10.0.0.12:80"]),
        ("systemd.mode", "dropin"),
        ("systemd.unit", "a.service"),
        ("limits.rate_per_client_rps", 5),
    ],
)
def test_what_would_make_the_files_wrong_is_refused(key: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=f"{key}: .* not rendered by this version"):
        render(with_intent(**{key: value}))


def test_all_of_it_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        render(with_intent(server="granian", proxy="caddy", tls={"acme": True}))
    assert caught.value.message.count("not rendered") == 3


def test_settings_without_a_file_are_said() -> None:
    rec = files.read(Recommendation, CASE)
    more = Setting(
        id="redis.maxmemory",
        value=2**30,
        unit="bytes",
        why="A test.",
        binding=None,
        confidence="high",
        applied_by="file",
        pinned=False,
        inputs={},
        alternatives=[],
        source="a test",
    )
    code = more.model_copy(update={"id": "anyio.tokens", "applied_by": "code"})
    assert not_rendered(rec.model_copy(update={"settings": [*rec.settings, more, code]})) == [
        "redis.maxmemory"
    ]
