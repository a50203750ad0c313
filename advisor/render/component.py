"""What one part of the kit is: its files, the settings they hold, and what they are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from advisor.render.values import Inputs
    from advisor.rules.versions import Version

Activation = Literal["reload", "restart", "none"]


@dataclass(frozen=True)
class Output:
    """One rendered file.

    `path` is its place in the tree, `target` where the target's daemon looks for it; in
    both, and in `group`, `{app}` and `{user}` stand for the app's name and user. `version`
    grows when the template's output changes. `wanted` says whether the inputs ask for it.
    `checker` names the check of `advisor.render.checks` that judges it; files of one checker are
    judged together. `activation` is what makes a change of it effective: a `reload` of the
    daemon, or a `restart` of the service behind its socket, where a reload cannot change it.
    `comment` starts a comment in its grammar; null where the grammar has none, and the header
    then has to go into the data.
    """

    template: str
    version: int
    path: str
    target: str
    owner: str
    group: str
    mode: int
    wanted: Callable[[Inputs], bool]
    checker: str
    activation: Activation
    comment: str | None = "#"


@dataclass(frozen=True)
class Gate:
    """A setting that a component knows only since a version.

    `otherwise` is the reason that stands in the file where the target's version is older, or
    not known: an unknown key there would be refused, or silently passed over.
    """

    component: str
    since: Version
    otherwise: str


@dataclass(frozen=True)
class Component:
    """A part of the kit: a folder of the tree and of templates/.

    `settings` are the ids that its templates write, in that order. `context` makes, of the
    inputs, what the templates name beside what all of them have (see `rendering`): every
    decision that a template must not take. It is asked only where an output is wanted.
    """

    name: str
    settings: tuple[str, ...]
    outputs: tuple[Output, ...]
    context: Callable[[Inputs], dict[str, Any]]
    gates: Mapping[str, Gate] = field(default_factory=dict)

    def wanted(self, inputs: Inputs) -> list[Output]:
        """The files that these inputs ask for."""
        return [output for output in self.outputs if output.wanted(inputs)]


@dataclass(frozen=True)
class Line:
    """One assignment of a configuration file and its reason."""

    name: str
    value: bool | float | str | list[str] | list[int]
    why: str


def lines_of(inputs: Inputs, component: str, ids: tuple[str, ...]) -> list[Line]:
    """The assignments of a file whose keys are the settings' own names, nulls left out."""
    return [
        Line(id_.removeprefix(f"{component}."), inputs.values[id_], inputs.why[id_])
        for id_ in ids
        if inputs.values[id_] is not None
    ]
