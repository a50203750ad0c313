"""Which paths nginx treats in their own way: static folders, streams, WebSockets, cached routes.

A path means itself and what is below it: `/ws` is `/ws` and `/ws/...`, never `/wsx`. No pattern
is made of what a user wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from advisor.errors import InvalidInput
from advisor.render.place import slashed
from advisor.render.values import NAME

if TYPE_CHECKING:
    from advisor.render.values import Inputs, IntentValues

VALID = "nginx.microcache_valid"
Kind = Literal["app", "websocket", "stream", "cached"]


@dataclass(frozen=True)
class Location:
    """One location: a path, whether that alone or all below it, and what becomes of requests.

    `valid` is how long an answer is kept, as nginx writes it, where `kind` is cached.
    """

    path: str
    exact: bool
    kind: Kind
    valid: str = ""


def static(intent: IntentValues) -> list[tuple[str, str]]:
    """URL prefixes and their folders, both with a slash at the end."""
    return [(slashed(url), slashed(folder)) for url, folder in (intent.static or {}).items()]


def locations(inputs: Inputs, *, is_caching: bool) -> list[Location]:
    """The locations that hand requests on, the one for everything else last.

    Raises `InvalidInput` where a path is a route and a static folder at once, or has two kinds.
    """
    routes = _routes(inputs, is_caching=is_caching)
    taken = {url for url, _ in static(inputs.intent)}
    found: dict[tuple[str, bool], Location] = {}
    for path, (kind, valid) in routes.items():
        if slashed(path) in taken:
            raise _conflict(path, "static is a folder there")
        if path != "/":
            for at, exact in _matches(path):
                if (at, exact) in found:
                    raise _conflict(path, f"{path.rstrip('/')} and {slashed(path)} are both routes")
                found[at, exact] = Location(at, exact, kind, valid)
    kind, valid = routes.get("/", ("app", ""))
    return [*found.values(), Location("/", exact=False, kind=kind, valid=valid)]


def _matches(path: str) -> list[tuple[str, bool]]:
    return [(path, False)] if path.endswith("/") else [(path, True), (slashed(path), False)]


def _routes(inputs: Inputs, *, is_caching: bool) -> dict[str, tuple[Kind, str]]:
    """The kind of every path; how long answers are kept is the setting's to say."""
    stated = inputs.intent.routes or {}
    kinds: dict[str, tuple[Kind, str]] = {
        path: (kind, "") for path, kind in stated.items() if isinstance(kind, str)
    }
    for entry in (inputs.values[VALID] or []) if is_caching else []:
        path, _, valid = entry.rpartition(" ")
        if path in kinds:
            raise _conflict(path, f"{VALID} caches it, and it is a {kinds[path][0]}")
        kinds[path] = ("cached", valid)
    return kinds


def notes(inputs: Inputs) -> list[str]:
    """Which routes are not cached although advisor.yml says so, and why."""
    entries = inputs.values[VALID] or []
    cached = {entry.rpartition(" ")[0] for entry in entries}
    stated = inputs.intent.routes or {}
    missing = [
        path for path, kind in stated.items() if not isinstance(kind, str) and path not in cached
    ]
    return [f"{path} is not cached: {VALID} does not name it." for path in missing]


def _conflict(path: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"{NAME}: routes: {path}: {why}", remedy="Give each path one meaning in advisor.yml."
    )
