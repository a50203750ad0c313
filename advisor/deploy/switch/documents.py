"""What the switch reads and says: install.json, a request, a refusal. Pure; no schema library.

A document of another program is data of unknown shape: each field is looked at, and `Refused`
names the one that is wrong.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

INSTALL_PATH = ".advisor/install.json"
MANIFEST_PATH = ".advisor/manifest"
INSTALL_SCHEMA = "advisor/install/1"
REQUEST_SCHEMA = "advisor/request/1"

# Where a daemon looks for a file, and where that path leads; both absolute on the target.
Links = Mapping[str, str]
# The files of one app's tree, by their paths in it.
Tree = Mapping[str, bytes]

_APP = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_TREE_PATH = re.compile(r"\.?[a-z][a-z_-]*(?:/[A-Za-z0-9][A-Za-z0-9._@+-]*){1,3}")
_TARGET = re.compile(r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._@+-]+){2,}")
_USER = re.compile(r"[a-z_][a-z0-9_-]*")
_ID = re.compile(r"[0-9a-f]{16}")
# Nobody but its owner may write a file that root's daemons read.
_MODE = re.compile(r"0[0-7][0145]{2}")


@dataclass(frozen=True)
class Refusal:
    """Why a step did not pass: for people, with what they can look at next.

    `step` is the operation's step, `status` the HTTP status that `url` answered, `lines` the log
    lines that tell most. Nothing here ever holds an environment's value.
    """

    step: str
    message: str
    url: str | None = None
    status: int | None = None
    lines: Sequence[str] = ()
    look: str = ""

    def as_json(self) -> dict[str, Any]:
        """As it stands in the journal and in what the verbs print."""
        return {**asdict(self), "lines": list(self.lines)}


class Refused(Exception):
    """A step that did not pass; its refusal says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def refuse(step: str, message: str, look: str = "") -> Refused:
    """The exception to raise for a refusal that needs no more than words."""
    return Refused(Refusal(step, message, look=look))


@dataclass(frozen=True)
class Row:
    """One file of a tree: where its daemon looks for it, whose it is, what makes it effective."""

    path: str
    component: str
    target: str
    owner: str
    group: str
    mode: int
    checker: str
    activation: str


@dataclass(frozen=True)
class Unit:
    """A systemd unit of the app: `kind` is socket, service or worker.

    `trial` is what shows, run as the app's user, that the server takes its configuration.
    """

    name: str
    kind: str
    reload: bool = False
    trial: Sequence[str] = ()


@dataclass(frozen=True)
class Health:
    """The health route through the proxy: `address` and `port` to connect to, `host` to ask for."""

    scheme: str
    address: str
    port: int
    host: str
    path: str

    @property
    def url(self) -> str:
        """The route as people write it."""
        return f"{self.scheme}://{self.host}{self.path}"


@dataclass(frozen=True)
class Install:
    """`.advisor/install.json`: all that the switch knows of an app beside its files' bytes."""

    app: str
    inputs: str
    user: str
    group: str
    server: str | None
    files: Sequence[Row]
    units: Sequence[Unit]
    health: Health | None
    proxy: str | None

    @property
    def own_units(self) -> list[str]:
        """Units that the tree itself defines; another's unit only has a drop-in of ours."""
        defined = {row.target.rpartition("/")[2] for row in self.files}
        return [unit.name for unit in self.units if unit.name in defined]

    @classmethod
    def from_json(cls, text: bytes | str) -> Install:
        """Read install.json; `Refused` names the field that is missing or wrong."""
        data = _Fields(_parsed(text, INSTALL_PATH), INSTALL_PATH)
        data.schema(INSTALL_SCHEMA)
        health = data.get("health", dict, None)
        return cls(
            app=data.matching("app", _APP),
            inputs=data.get("inputs", str),
            user=data.matching("user", _USER),
            group=data.matching("group", _USER),
            server=data.get("server", str, None),
            files=[_row(each) for each in data.each("files")],
            units=[_unit(each) for each in data.each("units")],
            health=_health(_Fields(health, f"{INSTALL_PATH}: health")) if health else None,
            proxy=data.get("proxy", str, None),
        )


@dataclass(frozen=True)
class Request:
    """What a controller asks for. `expected_current` 0 stands for a host without a generation."""

    id: str
    by: str
    verb: str
    app: str
    files: Tree
    components: frozenset[str] | None = None
    to: int | None = None
    all_apps: bool = False
    overwrite: bool = False
    dwell_s: float = 5.0
    deadline_s: float = 120.0
    expected_current: int | None = None
    check: bool = False

    @classmethod
    def from_json(cls, text: bytes | str) -> Request:
        """Read a request; `Refused` names the field that is missing or wrong."""
        return cls.from_data(_parsed(text, "request"))

    @classmethod
    def from_data(cls, parsed: Any) -> Request:
        """As `from_json`, of what JSON was read to."""
        data = _Fields(parsed, "request")
        data.schema(REQUEST_SCHEMA)
        verb = data.get("verb", str)
        if verb not in {"apply", "rollback"}:
            raise refuse("request", f"request: verb: should be apply or rollback, not {verb!r}")
        names = data.get("components", list, None)
        return cls(
            id=data.matching("id", _ID),
            by=data.get("by", str)[:200],
            verb=verb,
            app=data.matching("app", _APP),
            files=_decoded(data.get("files", dict, None) or {}),
            components=None if names is None else frozenset(map(str, names)),
            to=data.get("to", int, None),
            all_apps=data.get("all_apps", bool, False),
            overwrite=data.get("overwrite", bool, False),
            dwell_s=data.seconds("dwell_s", 5.0),
            deadline_s=data.seconds("deadline_s", 120.0),
            expected_current=data.get("expected_current", int, None),
            check=data.get("check", bool, False),
        )


_REQUIRED: Any = object()


class _Fields:
    """A mapping whose fields are taken one by one, each with the kind that it must have."""

    def __init__(self, data: Any, name: str) -> None:
        if not isinstance(data, dict):
            raise refuse("request", f"{name}: should be a mapping of keys to values")
        self._data, self._name = data, name

    def get(self, key: str, kind: type | tuple[type, ...], default: Any = _REQUIRED) -> Any:
        value = self._data.get(key, default)
        if value is _REQUIRED:
            raise refuse("request", f"{self._name}: {key}: missing")
        if value is default:
            return value
        wants_flag = kind is bool
        if not isinstance(value, kind) or isinstance(value, bool) != wants_flag:
            raise refuse("request", f"{self._name}: {key}: wrong value {str(value)[:60]!r}")
        return value

    def matching(self, key: str, pattern: re.Pattern[str]) -> str:
        value: str = self.get(key, str)
        if not pattern.fullmatch(value) or len(value) > 200:
            raise refuse("request", f"{self._name}: {key}: not allowed: {value[:60]!r}")
        return value

    def seconds(self, key: str, default: float) -> float:
        value = float(self.get(key, (int, float), default))
        # Written so that a NaN is refused too.
        if not 0 <= value <= 3600:
            raise refuse("request", f"{self._name}: {key}: should be 0 to 3600, not {value}")
        return value

    def each(self, key: str) -> list[_Fields]:
        values = enumerate(self.get(key, list))
        return [_Fields(one, f"{self._name}: {key}[{at}]") for at, one in values]

    def schema(self, wanted: str) -> None:
        found = self.get("schema", str)
        if found != wanted:
            raise refuse(
                "request",
                f"{self._name}: schema is {found!r}, this switch reads {wanted!r}",
                "Apply with the advisor that installed this switch, or install a newer switch.",
            )


def _parsed(text: bytes | str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refuse("request", f"{name}: not valid JSON: {error}") from None


def _row(data: _Fields) -> Row:
    mode = data.matching("mode", _MODE)
    return Row(
        path=data.matching("path", _TREE_PATH),
        component=data.get("component", str),
        target=data.matching("target", _TARGET),
        owner=data.matching("owner", _USER),
        group=data.matching("group", _USER),
        mode=int(mode, 8),
        checker=data.get("checker", str),
        activation=data.get("activation", str),
    )


def _unit(data: _Fields) -> Unit:
    return Unit(
        name=data.get("name", str),
        kind=data.get("kind", str),
        reload=data.get("reload", bool, False),
        trial=tuple(map(str, data.get("trial", list, None) or ())),
    )


def _health(data: _Fields) -> Health:
    return Health(
        scheme=data.get("scheme", str),
        address=data.get("address", str),
        port=data.get("port", int),
        host=data.get("host", str),
        path=data.get("path", str),
    )


def _decoded(files: Mapping[str, Any]) -> dict[str, bytes]:
    """The tree of a request: plain paths inside it only."""
    found: dict[str, bytes] = {}
    for path, text in files.items():
        if not _TREE_PATH.fullmatch(path):
            raise refuse("request", f"request: files: no path of a tree: {path[:100]!r}")
        try:
            found[path] = base64.b64decode(text, validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise refuse("request", f"request: files: {path}: is no base64") from None
    return found
