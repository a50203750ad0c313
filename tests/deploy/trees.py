"""Rendered trees to hand out: the asgi case with other values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from advisor.documents import Recommendation
from advisor.files import load, validate
from advisor.render import render, write

CASE = Path(__file__).parents[1] / "render" / "cases" / "asgi" / "recommendation.yml"
HOSTS = ["10.0.0.11:8080", "10.0.0.12:8080"]


def recommendation(settings: dict[str, Any] | None = None, **intent: Any) -> Recommendation:
    data = load(CASE)
    for key, value in intent.items():
        name = key.replace("__", ".")
        data["intent"][name] = {"value": value, "from": "config"}
    for setting in data["settings"]:
        setting["value"] = (settings or {}).get(setting["id"], setting["value"])
    return validate(Recommendation, data, name="case")


def rendered(directory: Path, settings: dict[str, Any] | None = None, **intent: Any) -> Path:
    """The tree of the asgi case with this intent, `app__user` for app.user, in a folder."""
    directory.mkdir(parents=True, exist_ok=True)
    write(render(recommendation(settings, **intent)), directory)
    return directory
