"""The routes that an app's `/openapi.json` names: read on request, and never believed.

The document is the server's word: it may be of any size and shape, and what it lists may
change something even by GET. Only what needs nothing and sounds harmless is taken.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

from advisor.errors import InvalidInput, TooLittleEvidence
from advisor.probe.address import request_target
from advisor.probe.questions.caching import STREAMS
from advisor.probe.questions.fetch import Asker
from advisor.probe.questions.mix import Route, shares
from advisor.probe.questions.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from advisor.probe.address import Endpoint

DOCUMENT = "/openapi.json"
MAX_BYTES = 8 * 1024**2
MOST_ROUTES = 12
# Of paths that are looked at, of what one thing in the document may list, of a name's length,
# and of references that lead to references: one large part can be referred to a thousand times.
MOST_PATHS = 1000
MOST_PARTS = 100
MOST_NAME = 500
MOST_STEPS = 8
BY_HAND = "Name routes by --endpoint PATH=WEIGHT."
# Words of paths and operation names; GET should change nothing (RFC 9110, section 9.2.1), but does.
CHANGES = re.compile(
    r"activate|approve|archive|backup|buy|cancel|charge|checkout|clean|cleanup|clear|close|"
    r"confirm|consume|create|deactivate|decrement|delete|deploy|destroy|disable|disconnect|drop|"
    r"edit|enable|enqueue|erase|execute|expire|flush|generate|import|increment|init|insert|"
    r"invalidate|invoke|kill|lock|logoff|logout|migrate|modify|notify|pay|purge|publish|quit|"
    r"rebuild|refund|reindex|reject|reload|remove|reset|restart|restore|revoke|rotate|run|save|"
    r"seed|send|set|shutdown|signoff|signout|start|stop|submit|subscribe|sync|terminate|toggle|"
    r"trigger|truncate|unlock|unsubscribe|update|upgrade|upload|wipe|write"
)
_PAIRS = frozenset({("log", "out"), ("log", "off"), ("sign", "out"), ("sign", "off")})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
Part = TypeVar("Part")
_VARIABLE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Listed:
    """Routes of equal weights, and paths that were left out, each with its reason."""

    routes: list[Route]
    left_out: list[tuple[str, str]]


async def routes(endpoint: Endpoint, *, document: str = DOCUMENT) -> Listed:
    """Fetch the document from the endpoint's server (one GET) and list the routes that it names.

    Raises `TooLittleEvidence` where there is none, or none of its routes can be used;
    `InvalidInput` for what is no OpenAPI 3 document; `GuardRefused` for a redirect.
    """
    at = endpoint.at(document)
    async with Asker(endpoint) as asker:
        try:
            answer = await asker.get(document, most=MAX_BYTES, keep=MAX_BYTES)
        except TooLittleEvidence as error:
            raise TooLittleEvidence(
                f"no OpenAPI document: {error.message}", remedy=BY_HAND
            ) from None
    return listed(answer.sample, url=at.url)


def listed(text: bytes, *, url: str) -> Listed:
    """The routes of a document that was fetched from `url`.

    Taken are GET operations that require no parameter, no body and no credentials, stream
    nothing, and whose words do not sound as if they changed something: the first twelve, under
    the base path of the first server entry that is this server.

    Raises as `routes` does.
    """
    found = _parsed(text, url)
    base = _base(found.get("servers"), url)
    taken: list[str] = []
    left: list[tuple[str, str]] = []
    paths = _mapping(found.get("paths"))
    for path, given in itertools.islice(paths.items(), MOST_PATHS):
        item = _followed(given, found)
        operation = item.get("get")
        if operation is None:
            continue
        target = base + path
        why = _refusal(base, path, item, _mapping(operation), found)
        if why is None and len(taken) >= MOST_ROUTES:
            why = f"only the first {MOST_ROUTES} are measured"
        if why is None:
            taken.append(target)
        else:
            left.append((printable(target), printable(why)))
    if len(paths) > MOST_PATHS:
        left.append(("...", f"only the first {MOST_PATHS:,} of {len(paths):,} are looked at"))
    if not taken:
        some = "; ".join(f"{path}: {why}" for path, why in left[:3]) or "it names no GET route"
        raise TooLittleEvidence(f"{url}: no route can be used ({some})", remedy=BY_HAND)
    return Listed(shares(dict.fromkeys(taken, 1.0)), left)


def _parsed(text: bytes, url: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except RecursionError:
        raise InvalidInput(f"{url}: nested too deep", remedy=BY_HAND) from None
    except ValueError:
        raise InvalidInput(f"{url}: not JSON", remedy=BY_HAND) from None
    version = found.get("openapi") if isinstance(found, dict) else None
    if not (isinstance(version, str) and version.startswith("3.")):
        raise InvalidInput(f"{url}: no OpenAPI 3 document", remedy=BY_HAND)
    return dict(found)


def _refusal(
    base: str,
    path: str,
    item: dict[str, Any],
    operation: dict[str, Any],
    document: dict[str, Any],
) -> str | None:
    """Why a GET route is not taken; None where it is."""
    if "{" in path:
        return "its path needs a parameter"
    try:
        request_target(path, name="its path")
        request_target(base + path, name="its path")
    except InvalidInput as error:
        return error.message
    return (
        next(_required(item, operation, document), None)
        or _credentials(operation, document)
        or ("it wants a body" if "requestBody" in operation else None)
        or ("it names servers of its own" if "servers" in operation or "servers" in item else None)
        or _stream(operation)
        or _changing(base + path, operation)
    )


def _required(
    item: dict[str, Any], operation: dict[str, Any], document: dict[str, Any]
) -> Iterator[str]:
    """A reason for each parameter that is needed; an operation's own overrides its path's."""
    known: dict[tuple[str, str], bool] = {}
    for holder in (item, operation):
        given = holder.get("parameters", [])
        if not isinstance(given, list) or len(given) > MOST_PARTS:
            yield "its parameters cannot be read"
            return
        for each in given:
            parameter = _followed(each, document)
            name, place = parameter.get("name"), parameter.get("in")
            if not (_is_name(name) and _is_name(place)):
                yield "one of its parameters cannot be read"
                return
            known[name, place] = parameter.get("required", False) is not False
    for (name, place), required in known.items():
        if required or place == "path":
            yield f"it needs the {place} parameter {name}"


def _credentials(operation: dict[str, Any], document: dict[str, Any]) -> str | None:
    """An empty list needs none; nor does one that holds `{}`, which makes the rest optional."""
    wanted = operation.get("security", document.get("security", []))
    free = isinstance(wanted, list) and (not wanted or {} in wanted[:MOST_PARTS])
    return None if free else "it needs credentials"


def _stream(operation: dict[str, Any]) -> str | None:
    for answer in _parts(_mapping(operation.get("responses")).values()):
        if not STREAMS.isdisjoint(_parts(_mapping(_mapping(answer).get("content")))):
            return "it is a stream, which has no end"
    return None


def _changing(target: str, operation: dict[str, Any]) -> str | None:
    name = operation.get("operationId")
    for text in (unquote(target), name[:MOST_NAME] if isinstance(name, str) else ""):
        words = [word.lower() for word in _WORD.findall(text)]
        said = [word for word in words if CHANGES.fullmatch(word)]
        said += [" ".join(pair) for pair in itertools.pairwise(words) if pair in _PAIRS]
        if said:
            return f"its name says that it may change something ({said[0]})"
    return None


def _parts(parts: Iterable[Part]) -> Iterator[Part]:
    return itertools.islice(parts, MOST_PARTS)


def _is_name(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= MOST_NAME


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _followed(value: Any, document: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` inside the document leads to; empty for one that leads nowhere or round."""
    for _ in range(MOST_STEPS):
        found = _mapping(value)
        reference = found.get("$ref")
        if reference is None:
            return found
        if not (_is_name(reference) and reference.startswith("#/")):
            return {}
        value = document
        for part in reference[2:].split("/"):
            value = _mapping(value).get(part.replace("~1", "/").replace("~0", "~"))
    return {}


def _base(servers: Any, url: str) -> str:
    """The path that all routes stand under: that of the first entry which is this server.

    An address of another server says nothing of this one, where the document was found.
    """
    here = urlsplit(url)
    for entry in _parts(servers if isinstance(servers, list) else []):
        text = _filled(_mapping(entry))
        try:
            parts = urlsplit(urljoin(url, text)) if text is not None else here
        except ValueError:
            continue
        if text is not None and (parts.scheme, parts.netloc) == (here.scheme, here.netloc):
            return parts.path.rstrip("/")
    return ""


def _filled(server: dict[str, Any]) -> str | None:
    """The URL of a server entry with its variables' defaults; None where it has none."""
    text, variables = server.get("url"), _mapping(server.get("variables"))
    if not _is_name(text):
        return None
    pieces = _VARIABLE.split(text)
    names = pieces[1::2]
    values = [_mapping(variables.get(name)).get("default") for name in names]
    if not all(_is_name(value) for value in values):
        return None
    pieces[1::2] = values
    return "".join(pieces)
