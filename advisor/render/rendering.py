"""A recommendation's files: pure, and the same bytes for the same inputs on any machine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

import advisor
from advisor.documents import RECOMMENDATION_SCHEMA
from advisor.files import dump
from advisor.render.install import documents
from advisor.render.kit import COMPONENTS
from advisor.render.place import is_unix, reachable, stream
from advisor.render.quoting import FILTERS, wrap_comments
from advisor.render.values import inputs_of

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from advisor.documents import Recommendation
    from advisor.render.component import Component, Output
    from advisor.render.values import Inputs

RECOMMENDATION_PATH = ".advisor/recommendation.yml"
DIGEST_LENGTH = 12
# In the place of a file's own digest, which is known once the rest of the file is.
MARK = "digest"


@dataclass(frozen=True)
class File:
    """A rendered file: its place in the tree, its bytes, and its row of the table.

    `output` is null for what is in .advisor/, which no daemon reads.
    """

    path: str
    content: bytes
    output: Output | None


def render(rec: Recommendation) -> list[File]:
    """The files of a recommendation, those that `manage` names, and what .advisor/ holds.

    Raises `InvalidInput` naming each field whose value the allow-lists refuse.
    """
    inputs = gated(inputs_of(rec))
    digest = _digest(inputs)
    rendered = [
        _render_one(component, output, inputs, context, digest=digest)
        for component in COMPONENTS
        if (outputs := component.wanted(inputs))
        for context in [component.context(inputs)]
        for output in outputs
    ]
    kept = {RECOMMENDATION_PATH: dump(rec, is_json=False).encode()}
    rows = [file.output for file in rendered if file.output]
    own = kept | documents(inputs, rows, digest)
    return [*rendered, *(File(path, content, None) for path, content in own.items())]


def not_rendered(rec: Recommendation) -> list[str]:
    """Ids of the settings that a file applies, and none of this recommendation's files does."""
    inputs = inputs_of(rec)
    written = _written(inputs)
    return [
        setting.id
        for setting in rec.settings
        if setting.applied_by == "file" and setting.value is not None and setting.id not in written
    ]


def _written(inputs: Inputs) -> set[str]:
    """Ids of the settings that the wanted files hold."""
    wanted = (component for component in COMPONENTS if component.wanted(inputs))
    return {id_ for component in wanted for id_ in component.settings}


def gated(inputs: Inputs) -> Inputs:
    """The inputs without the settings that the target's versions cannot have."""
    out: dict[str, str] = {}
    for component in COMPONENTS:
        for id_, gate in component.gates.items():
            if inputs.values[id_] is not None and not inputs.has(gate.component, *gate.since):
                found = inputs.found(gate.component)
                out[id_] = f"{gate.otherwise}; the target's version is {found}."
    values = {id_: None if id_ in out else value for id_, value in inputs.values.items()}
    return replace(inputs, values=values, left_out=out)


def _render_one(
    component: Component, output: Output, inputs: Inputs, context: dict[str, Any], *, digest: str
) -> File:
    intent = inputs.intent
    template = output.template.removesuffix(".j2")
    says = (
        f"Rendered by advisor for {intent.app_name}: change advisor.yml and render again.",
        f"{RECOMMENDATION_SCHEMA}, template {template} {output.version}, inputs {digest}",
    )
    shared = {
        "header": "\n".join(f"{output.comment or ''} {line}".lstrip() for line in says),
        "name": intent.app_name,
        "module": intent.app_module,
        "user": intent.user,
        "directory": intent.app_directory,
        "values": inputs.values,
        "why": inputs.why,
        "left_out": [inputs.left_out[id_] for id_ in component.gates if id_ in inputs.left_out],
        "stream": stream(intent),
        "bind": f"unix:{stream(intent)}" if is_unix(intent) else stream(intent),
        "upstream": f"unix:{stream(intent)}" if is_unix(intent) else reachable(stream(intent)),
        "mark": MARK,
    }
    text = _environment().get_template(output.template).render(shared | context)
    if output.comment is not None:
        text = wrap_comments(text, output.comment)
    return File(output.path.format(app=intent.app_name), _marked(text).encode(), output)


def _marked(text: str) -> str:
    """With its own digest where it says which file it is: of what a daemon reads, no comments."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:DIGEST_LENGTH]
    return text.replace(f'return 200 "{MARK}";', f'return 200 "{digest}";')


def _digest(inputs: Inputs) -> str:
    """Of the values, not of their reasons: a reworded reason changes its own line alone."""
    intent = inputs.intent.model_dump(mode="json", by_alias=True)
    settings = {
        id_: inputs.values[id_] for id_ in _written(inputs) if inputs.values[id_] is not None
    }
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
