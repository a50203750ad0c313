"""Which upstream of a Caddy configuration answers a request. Pure.

Rules: Caddy's JSON structure (apps.http.servers, its matchers and handlers, logging). It is
somebody else's JSON: whatever has another shape than documented counts as not there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from advisor.host.proxies.nginx_listen import ANY, Place, address, matches
from advisor.host.proxies.site import AccessLog, Site
from advisor.host.tree import clean, under

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Handlers that change or note something and hand the request on to what follows.
PASSING = {
    *("encode", "headers", "rewrite", "vars", "map", "templates", "request_body", "push"),
    *("authentication", "tracing", "log_append", "metrics", "intercept", "copy_response_headers"),
    *("invoke", "rate_limit"),
}
ENDPOINT = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*):(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?")
MAX_DEPTH = 50


@dataclass
class Request:
    """A request while its routes are followed; `unsure` is why it may end elsewhere."""

    host: str
    path: str
    unsure: dict[str, None] = field(default_factory=dict)


def site(
    config: object, place: Place, host: str, path: str, *, folder: str | None, root: Path
) -> tuple[Site | None, list[str]]:
    """The site that answers `host` and `path` at a place, and why that may be otherwise.

    None where no server listens there. `folder` is where relative names of files begin, `root`
    Caddy's file system.
    """
    server = _server(config, place)
    if server is None:
        return None, ["no server of its configuration listens there"]
    request = Request(host.lower(), path.partition("?")[0] or "/")
    handler = _handler(_dicts(server.get("routes")), request)
    upstreams, gaps = _upstreams(handler or {})
    logs, skipped = _logs(_dict(config), server, Place(host.lower(), place.port), folder, root)
    found = Site(proxy="caddy", upstreams=tuple(dict.fromkeys(upstreams)), access_logs=tuple(logs))
    return found, [*request.unsure, *gaps, *skipped]


def admin(config: object) -> str | None:
    """Where Caddy's admin API listens by its configuration; None where that is switched off.

    >>> admin({}), admin({"admin": {"listen": "localhost:2020"}}), admin({"admin": {"disabled": 1}})
    ('localhost:2019', 'localhost:2020', None)
    """
    given = _dict(_dict(config).get("admin"))
    listen = given.get("listen", "localhost:2019")
    return None if given.get("disabled") or not isinstance(listen, str) else listen


def endpoints(text: object) -> Iterator[tuple[str, int, int]]:
    """A Caddy network address as host and range of ports; a unix socket has port 0.

    >>> list(endpoints(":8000-8001")), list(endpoints("unix//run/shop.sock|0200"))
    ([('', 8000, 8001)], [('unix:/run/shop.sock', 0, 0)])
    """
    network, slash, rest = str(text).partition("/")
    if slash and network.startswith("unix"):
        yield f"unix:{rest.partition('|')[0]}", 0, 0
        return
    if slash and network not in {"tcp", "tcp4", "tcp6"}:
        return
    if match := ENDPOINT.fullmatch(rest if slash else network):
        first = int(match["first"])
        yield address(match["host"]) if match["host"] else "", first, int(match["last"] or first)


def _server(config: object, place: Place) -> dict[str, Any] | None:
    """The server whose `listen` takes the place, one of its own address first."""
    http = _dict(_dict(_dict(config).get("apps")).get("http"))
    exact, anywhere = [], []
    for server in _dict(http.get("servers")).values():
        for entry in _list(_dict(server).get("listen")):
            for host, first, last in endpoints(entry):
                if not first <= place.port <= last:
                    continue
                if host == place.host:
                    exact.append(server)
                elif host in {"", *ANY.values()}:
                    anywhere.append(server)
    return next(iter(exact or anywhere), None)


def _handler(
    routes: Iterable[dict[str, Any]], request: Request, depth: int = 0
) -> dict[str, Any] | None:
    """The handler that answers: the first in the routes' order that does not hand on.

    Of the routes of a group only the first that fits counts.
    """
    if depth > MAX_DEPTH:
        request.unsure["its routes are nested too deep"] = None
        return None
    taken: set[str] = set()
    for route in routes:
        group = str(route.get("group") or "")
        if group in taken or not _matching(route.get("match"), request):
            continue
        taken |= {group} - {""}
        handler = _answering(route, request, depth)
        if handler is not None or route.get("terminal"):
            return handler
    return None


def _answering(route: dict[str, Any], request: Request, depth: int) -> dict[str, Any] | None:
    for handler in _dicts(route.get("handle")):
        name = handler.get("handler")
        if name == "subroute":
            inner = _handler(_dicts(handler.get("routes")), request, depth + 1)
            if inner is not None:
                return inner
        elif name in PASSING:
            _rewritten(handler, request)
        else:
            return handler
    return None


def _rewritten(handler: dict[str, Any], request: Request) -> None:
    prefix, target = handler.get("strip_path_prefix"), handler.get("uri")
    if isinstance(prefix, str) and request.path.startswith(prefix):
        request.path = request.path[len(prefix) :] or "/"
    elif isinstance(target, str) and "{" not in target:
        request.path = target.partition("?")[0] or request.path
    elif target or handler.get("path_regexp") or handler.get("uri_substring"):
        request.unsure["a rewrite of the path there is not followed"] = None


def _matching(sets: object, request: Request) -> bool:
    """Whether any of a route's matcher sets fits; one that cannot be told does not, and is said."""
    if not _dicts(sets):
        return True
    return any(all(_fits(*item, request) for item in one.items()) for one in _dicts(sets))


def _fits(name: str, wanted: object, request: Request) -> bool:
    match name:
        case "host":
            return any(_host_fits(pattern.lower(), request.host) for pattern in _texts(wanted))
        case "path":
            return any(_path_fits(pattern.lower(), request.path) for pattern in _texts(wanted))
        case "method":
            return "GET" in _texts(wanted)
        case "not":
            return not any(
                all(_fits(*item, request) for item in one.items()) for one in _dicts(wanted)
            )
        case "path_regexp":
            pattern = _dict(wanted).get("pattern")
            found = (
                matches(pattern, request.path, any_case=False) if isinstance(pattern, str) else None
            )
            if found is not None:
                return found
    request.unsure[f"a route there is chosen by {name}, which is not known of a request"] = None
    return False


def _host_fits(pattern: str, host: str) -> bool:
    """A `*` stands for one label (Caddy's host matcher)."""
    wanted, given = pattern.split("."), host.split(".")
    return len(wanted) == len(given) and all(
        one in {"*", other} for one, other in zip(wanted, given, strict=True)
    )


def _path_fits(pattern: str, path: str) -> bool:
    """A `*` at either end stands for anything, one between for anything but a slash."""
    path = re.sub(r"/+", "/", path.lower())
    if pattern in {"*", "/*"}:
        return True
    middle = pattern.strip("*")
    if "*" in middle:
        globbed = "[^/]*".join(map(re.escape, pattern.split("*")))
        return re.fullmatch(globbed, path) is not None
    starts, ends = pattern.endswith("*"), pattern.startswith("*")
    if starts and ends:
        return middle in path
    if starts:
        return path.startswith(middle)
    return path.endswith(middle) if ends else path == pattern


def _upstreams(handler: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Where a reverse_proxy sends requests, or why nowhere."""
    if handler.get("handler") != "reverse_proxy":
        return [], ["caddy answers this itself"]
    found, gaps = [], []
    for upstream in _dicts(handler.get("upstreams")):
        dial = upstream.get("dial")
        known = [] if "{" in str(dial) else list(endpoints(dial))
        if known:
            host, port, _ = known[0]
            found.append(clean(str(replace(Place(host or "localhost", port)))))
        else:
            gaps.append(f"it names an upstream as {clean(str(dial)[:80])}, which is not followed")
    if handler.get("dynamic_upstreams"):
        gaps.append("it looks its upstreams up while it runs")
    return found, gaps


def _logs(
    config: dict[str, Any], server: dict[str, Any], name: Place, folder: str | None, root: Path
) -> tuple[list[AccessLog], list[str]]:
    """The files that a server's access log is written to, where that is JSON."""
    given = server.get("logs")
    if not isinstance(given, dict) or name.host in _texts(given.get("skip_hosts")):
        return [], []
    names = _dict(given.get("logger_names"))
    mapped = next((names[key] for key in names if _is_named(str(key).lower(), name)), None)
    if mapped is None and given.get("skip_unmapped_hosts"):
        return [], []
    single = mapped or given.get("default_logger_name")
    loggers = _texts(mapped) if isinstance(mapped, list) else [single]
    full = [f"http.log.access.{logger}" if logger else "http.log.access" for logger in loggers]
    found: list[AccessLog] = []
    skipped: list[str] = []
    for log in _dict(_dict(config.get("logging")).get("logs")).values():
        writer = _dict(_dict(log).get("writer"))
        path = str(writer.get("filename") or "")
        if writer.get("output") != "file" or not any(_takes(_dict(log), one) for one in full):
            continue
        if not path or "{" in path or not _is_json(_dict(_dict(log).get("encoder"))):
            skipped.append(
                f"its access log {clean(str(path)[:200])} is no JSON, or has no fixed name"
            )
        elif path.startswith("/") or folder:
            found.append(AccessLog(under(root, PurePosixPath(folder or "/") / path), "json"))
    return found, skipped


def _is_named(key: str, name: Place) -> bool:
    """Whether a logger is for a host; Caddy before 2.8 wrote the port behind it."""
    host, _, port = key.rpartition(":")
    return _host_fits(key, name.host) or (port == str(name.port) and _host_fits(host, name.host))


def _takes(log: dict[str, Any], logger: str) -> bool:
    """Whether a log takes what a logger says, by `include` and `exclude` (name or beginning)."""

    def named(key: str) -> int:
        return max(
            (len(one) for one in _texts(log.get(key)) if f"{logger}.".startswith(f"{one}.")),
            default=0,
        )

    return (not log.get("include") or named("include") > 0) and named("exclude") <= named("include")


def _is_json(encoder: dict[str, Any]) -> bool:
    kind = encoder.get("format", "json")
    return _is_json(_dict(encoder.get("wrap"))) if kind == "filter" else kind == "json"


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: object) -> list[dict[str, Any]]:
    return [entry for entry in _list(value) if isinstance(entry, dict)]


def _texts(value: object) -> list[str]:
    return [entry for entry in _list(value) if isinstance(entry, str)]
