"""A complete recommendation to vary, and its files to damage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from advisor.documents import Recommendation
from advisor.files import load, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from advisor.render import File

CASES = Path(__file__).parent / "cases"


class Make(Protocol):
    def __call__(
        self,
        *,
        intent: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        components: dict[str, str] | None = None,
        app: dict[str, str] | None = None,
        why: dict[str, str] | None = None,
    ) -> Recommendation: ...


@pytest.fixture(scope="session")
def make() -> Make:
    """The asgi case with other values; a setting or component set to "absent" is taken out."""
    complete = load(CASES / "asgi" / "recommendation.yml")

    def make_one(
        *,
        intent: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        components: dict[str, str] | None = None,
        app: dict[str, str] | None = None,
        why: dict[str, str] | None = None,
    ) -> Recommendation:
        stated = {
            key: value | {"value": value["value"]} for key, value in complete["intent"].items()
        }
        for key, value in (intent or {}).items():
            stated[key] = {"value": value, "from": "config"}
        chosen = [
            setting
            | {"value": (settings or {}).get(setting["id"], setting["value"])}
            | {"why": (why or {}).get(setting["id"], setting["why"])}
            for setting in complete["settings"]
        ]
        known = {setting["id"] for setting in chosen}
        chosen += [
            complete["settings"][0] | {"id": id_, "value": value}
            for id_, value in (settings or {}).items()
            if id_ not in known
        ]
        versions = {name: found["version"] for name, found in complete["components"].items()}
        versions |= components or {}
        data = complete | {
            "app": complete["app"] | (app or {}),
            "intent": stated,
            "settings": [setting for setting in chosen if setting["value"] != "absent"],
            "components": {
                name: {"version": version}
                for name, version in versions.items()
                if version != "absent"
            },
        }
        return validate(Recommendation, data, name="case")

    return make_one


@pytest.fixture(scope="session")
def damage() -> Callable[[Sequence[File], str, str, str], list[File]]:
    """The files, with one text of one of them replaced; it has to be there."""

    def damage_one(files: Sequence[File], path: str, old: str, new: str) -> list[File]:
        (victim,) = (file for file in files if file.path == path)
        assert victim.content.count(old.encode()) >= 1, f"{old!r} is not in {path}"
        damaged = replace(victim, content=victim.content.replace(old.encode(), new.encode(), 1))
        return [damaged if file is victim else file for file in files]

    return damage_one
