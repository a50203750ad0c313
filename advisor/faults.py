"""What is wrong with a document: each field by name, with its line and what would be right."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

import yaml
from pydantic import BaseModel

from advisor.intent import Allowed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

# Where a field is in the data: its keys and numbers, from the top.
Place = tuple[int | str, ...]
Fault = tuple[Place, str]

# Pydantic's words for what was expected, where plainer ones say it better.
_WORDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
}

# list[str], literal['a','b'], function-before[...], constrained-int, and a model's class name
_TRIED = re.compile(r"(?:list|dict|literal|function|constrained|tagged)[-\[]|[A-Z]\w*[a-z]\w*$")

# A text is read a second time, node by node, for its lines: one longer than this goes without.
MOST_MARKED = 1024**2


class Marks:
    r"""Where the fields of a text stand. JSON is read as YAML, which it is but for odd cases.

    >>> marks = Marks("app:\n  name: shop\nhosts: [a,\n  b]\n")
    >>> marks.line(("app", "name")), marks.line(("hosts", 1)), marks.line(("app", "module"))
    (2, 4, 1)
    """

    def __init__(self, text: str) -> None:
        self._top = _composed(text)

    def line(self, place: Sequence[int | str]) -> int | None:
        """The line of a field's key, or of what should hold it; null where nothing is known.

        Parts that the text does not have, such as the members of a union that pydantic tried,
        are passed over.
        """
        if self._top is None:
            return None
        mark, node = self._top.start_mark, self._top
        for part in place:
            mark, node = _child(node, part) or (mark, node)
        return int(mark.line) + 1


def _composed(text: str) -> yaml.Node | None:
    if len(text) > MOST_MARKED:
        return None
    try:
        top: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return None
    return top


def _child(node: yaml.Node, part: int | str) -> tuple[yaml.Mark, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == str(part):
                return key.start_mark, value
    elif (
        isinstance(node, yaml.SequenceNode)
        and isinstance(part, int)
        and 0 <= part < len(node.value)
    ):
        return node.value[part].start_mark, node.value[part]
    return None


def located(faults: Iterable[Fault], *, name: str, text: str) -> str:
    """A line a fault, in the order of the text: `advisor.yml:12: domain: should be ...`."""
    marks = Marks(text)
    placed = [(marks.line(place), words) for place, words in faults]
    placed.sort(key=lambda each: each[0] or 0)
    return "\n".join(
        f"{name}:{line}: {words}" if line else f"{name}: {words}" for line, words in placed
    )


def relocated(message: str, *, name: str, text: str) -> str:
    """Faults found without the text, `advisor.yml: server: ...`, with the file's name and lines."""
    words = [line.removeprefix("advisor.yml: ") for line in message.splitlines()]
    return located([(tuple(each.split(": ")), each) for each in words], name=name, text=text)


def of_model(error: ValidationError, model: type[BaseModel]) -> list[Fault]:
    """Each wrong field once; a union reports errors for each member it tried.

    Where one of those was right but for a field of its own, that field is what is wrong.
    """
    wrong: dict[str, list[ErrorDetails]] = {}
    for detail in error.errors():
        wrong.setdefault(field(detail["loc"]), []).append(detail)
    return [
        (details[0]["loc"], f"{name}: {_explain(details, model)}")
        for name, details in wrong.items()
        if not any(other.startswith((f"{name}.", f"{name}[")) for other in wrong)
    ]


def field(place: Iterable[int | str]) -> str:
    """A field as people name it, without the union's member that pydantic appends.

    >>> field(("settings", 3, "value", "int"))
    'settings[3].value'
    """
    out = ""
    for part in place:
        if isinstance(part, int):
            out += f"[{part}]"
        elif part not in {"int", "float", "str", "bool", "none", "[key]"} and not _TRIED.match(
            part
        ):
            out += f".{part}" if out else part
    return out or "document"


def shorten(value: Any) -> str:
    """A value as it may stand in a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _explain(details: list[ErrorDetails], model: type[BaseModel]) -> str:
    match details[0]["type"]:
        case "extra_forbidden":
            return f"unknown key; {_known(details[0]['loc'], model)}"
        case "missing":
            return f"missing{_wanted_there(details[0]['loc'], model)}"
    wanted = list(dict.fromkeys(_wanted(detail) for detail in details))
    choices = [wanted[0], *(text.removeprefix("should be ") for text in wanted[1:])]
    return f"{' or '.join(choices)}, not {shorten(details[0]['input'])}"


def _wanted(detail: ErrorDetails) -> str:
    own = detail.get("ctx", {}).get("error")
    if own:
        return str(own)
    words = _WORDS.get(detail["type"])
    return f"should be {words}" if words else detail["msg"].replace("Input should", "should")


def _known(place: Place, model: type[BaseModel]) -> str:
    """The key that an unknown one may stand for, or all that could stand there."""
    known = list(_fields(_section(place, model)))
    near = get_close_matches(str(place[-1]), known, n=1)
    return f"{near[0]} is one" if near else f"known are {', '.join(known)}"


def _wanted_there(place: Place, model: type[BaseModel]) -> str:
    info = _fields(_section(place, model)).get(str(place[-1]))
    words = [each.says for each in (info.metadata if info else ()) if isinstance(each, Allowed)]
    return f"; should be {words[0]}" if words else ""


def _section(place: Place, model: type[BaseModel]) -> type[BaseModel]:
    """The model of the mapping that a field is in."""
    for part in place[:-1]:
        info = _fields(model).get(str(part))
        model = next(_models(info.annotation), model) if info else model
    return model


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {info.alias or name: info for name, info in model.model_fields.items()}


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation names."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for each in get_args(kind):
        yield from _models(each)
