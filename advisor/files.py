"""Reading and writing documents and advisor.yml: strict in, whole or not at all out."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from advisor import faults
from advisor.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from advisor.documents import Document

MAX_DOCUMENT_BYTES = 32 * 1024**2

Model = TypeVar("Model", bound=BaseModel)


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys, which YAML forbids and PyYAML lets through."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be text", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"duplicate key {key!r}", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


class _BlockDumper(yaml.SafeDumper):
    """Block style throughout, with no anchors: the same object twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"duplicate key {key!r}")
        found[key] = value
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number that JSON knows")


def parse(text: str, *, name: str, is_json: bool) -> Any:
    """Parse JSON or YAML; `name` stands for the source in the `InvalidInput` on bad text."""
    try:
        if is_json:
            return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - derives from SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise InvalidInput(f"{where}: {error.problem or 'not valid YAML'}") from None
    except RecursionError:
        raise InvalidInput(f"{name}: nested too deep") from None
    except (ValueError, yaml.YAMLError) as error:
        raise InvalidInput(f"{name}: not valid {'JSON' if is_json else 'YAML'}: {error}") from None


def load(path: Path) -> Any:
    """Read a JSON (`.json`) or YAML file into plain data; `InvalidInput` if that fails."""
    return parse(_text(path), name=str(path), is_json=path.suffix == ".json")


def read(
    model: type[Model],
    path: Path,
    *,
    also: Callable[[dict[str, Any]], Iterable[faults.Fault]] | None = None,
) -> Model:
    """The document in the file at `path`; `InvalidInput` naming file, line and field otherwise.

    `also` finds, in the plain data, what the model cannot know to be wrong.
    """
    text = _text(path)
    data = parse(text, name=str(path), is_json=path.suffix == ".json")
    return validate(model, data, name=str(path), text=text, also=also)


def validate(
    model: type[Model],
    data: Any,
    *,
    name: str,
    text: str = "",
    also: Callable[[dict[str, Any]], Iterable[faults.Fault]] | None = None,
) -> Model:
    """Data as `model`, or an `InvalidInput` that names every wrong field of `name` at once.

    With the `text` that the data was read from, each comes with its line. `also`: see `read`.
    """
    if not isinstance(data, dict):
        raise InvalidInput(f"{name}: expected a mapping of keys to values at the top")
    wanted = _schema(model)
    if wanted and "schema" in data and data["schema"] != wanted:
        words = f"schema: should be {wanted}, not {faults.shorten(data['schema'])}"
        raise InvalidInput(faults.located([(("schema",), words)], name=name, text=text))
    wrong = list(also(data)) if also else []
    try:
        found = model.model_validate(data)
    except ValidationError as error:
        own = faults.of_model(error, model)
        # What the model says of a field is enough.
        said = {place[:length] for place, _ in own for length in range(len(place) + 1)}
        wrong = [*own, *(fault for fault in wrong if fault[0] not in said)]
    else:
        if not wrong:
            return found
    raise InvalidInput(faults.located(wrong, name=name, text=text))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_DOCUMENT_BYTES + 1)
        text = raw.decode("utf-8")
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path}: not UTF-8 text (byte {error.start})") from None
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise InvalidInput(f"{path}: larger than {MAX_DOCUMENT_BYTES // 1024**2} MiB")
    return text


def _schema(model: type[BaseModel]) -> str | None:
    """The value of a document type's `schema` field; None for what is no document."""
    field = model.model_fields.get("schema_")
    return str(get_args(field.annotation)[0]) if field else None


def dump(document: Document, *, is_json: bool) -> str:
    """A document as JSON (two spaces) or block-style YAML, keys in the order of its type."""
    data = document.as_data()
    if is_json:
        return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return yaml.dump(
        data,
        Dumper=_BlockDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=88,
    )


def is_json_path(path: Path) -> bool:
    """Whether `-o path` asks for JSON or YAML; `InvalidInput` for any other extension."""
    if path.suffix == ".json":
        return True
    if path.suffix in {".yml", ".yaml"}:
        return False
    raise InvalidInput(
        f"-o {path}: cannot tell the format from the extension {path.suffix!r}",
        remedy="End the name in .json or .yml.",
    )


def write_document(document: Document, path: Path) -> None:
    """Write a document whole or not at all, replacing only a document of the same kind.

    Raises `InvalidInput` where the extension is neither .json nor .yml, or where the file
    that exists is not such a document (so a mistyped -o destroys nothing).
    """
    is_json = is_json_path(path)
    check_replaceable(path, type(document))
    write_atomic(path, dump(document, is_json=is_json).encode())


def check_replaceable(path: Path, kind: type[Document]) -> None:
    """`InvalidInput` if `path` exists and does not hold a document of this kind."""
    is_json_path(path)
    if not path.exists() and not path.is_symlink():
        if not path.parent.is_dir():
            raise InvalidInput(f"-o {path}: the folder {path.parent} does not exist")
        return
    family = str(_schema(kind)).rpartition("/")[0]
    try:
        data = load(path) if path.is_file() else None
    except InvalidInput:
        data = None
    schema = data.get("schema") if isinstance(data, dict) else None
    if not (isinstance(schema, str) and schema.rpartition("/")[0] == family):
        raise InvalidInput(
            f"-o {path}: the file exists and is no {family} document; left as it is",
            remedy="Choose another name, or remove the file first.",
        )


def write_atomic(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` by `content`: temp file beside it, fsync, rename, fsync of the folder.

    Raises `InvalidInput` with the system's reason where that fails; the old file then stands.
    """
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fchmod(stream.fileno(), mode)
                os.fsync(stream.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be written: {error.strerror or error}") from None
