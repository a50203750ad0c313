"""A recommendation's files: pure, and the same bytes for the same inputs on any machine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

import advisor
from advisor.documents import RECOMMENDATION_SCHEMA
from advisor.files import dump
from advisor.render.context import context_of
from advisor.render.outputs import OUTPUTS, Output
from advisor.render.quoting import FILTERS
from advisor.render.values import Inputs, inputs_of

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from advisor.documents import Recommendation

RECOMMENDATION_PATH = ".advisor/recommendation.yml"
DIGEST_LENGTH = 12


@dataclass(frozen=True)
class File:
    """A rendered file: its place in the tree, its bytes, and its row of the output table.

    `output` is null for the recommendation itself, which no daemon reads.
    """

    path: str
    content: bytes
    output: Output | None


def render(rec: Recommendation) -> list[File]:
    """The files of a recommendation, those that `manage` names, and the recommendation itself.

    Raises `InvalidInput` naming each field whose value the allow-lists refuse.
    """
    inputs = inputs_of(rec)
    context = context_of(inputs)
    digest = _digest(inputs, context["values"])
    environment = _environment()
    rendered = [
        _render_one(environment, output, context, digest=digest)
        for output in OUTPUTS
        if output.managed_as in inputs.manages
    ]
    kept = File(RECOMMENDATION_PATH, dump(rec, is_json=False).encode(), None)
    return [*rendered, kept]


def _render_one(
    environment: jinja2.Environment, output: Output, context: dict[str, Any], *, digest: str
) -> File:
    name = context["name"]
    template = output.template.removesuffix(".j2")
    header = (
        f"# Rendered by advisor for {name}: change advisor.yml and render again.\n"
        f"# {RECOMMENDATION_SCHEMA}, template {template} {output.version}, inputs {digest}"
    )
    text = environment.get_template(output.template).render(context, header=header)
    return File(output.path.format(app=name), text.encode(), output)


def _digest(inputs: Inputs, settings: dict[str, Any]) -> str:
    """Of the values, not of their reasons: a reworded reason changes its own line alone."""
    intent = inputs.intent.model_dump(mode="json", by_alias=True)
    data = {"intent": intent, "settings": settings}
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:DIGEST_LENGTH]


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        undefined=jinja2.StrictUndefined,
        # Each grammar has its own filter; escaping for HTML would corrupt all of them.
        autoescape=False,  # noqa: S701 - nothing here is HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(FILTERS)
    return environment


def _template(name: str) -> str:
    return _templates().joinpath(*name.split("/")).read_text(encoding="utf-8")


def _templates() -> Traversable:
    """Inside the package in a wheel; beside it in a checkout or an editable install."""
    inside = package_files(advisor) / "templates"
    return inside if inside.is_dir() else Path(advisor.__file__).resolve().parents[1] / "templates"
