"""Which server and location of an nginx configuration answer a request. Pure.

Rules: ngx_http_core_module's `listen`, `server_name` and `location`, "How nginx processes a
request", and ngx_http_upstream_module.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.host.proxies import nginx_location
from advisor.host.proxies.nginx_listen import Place, listening, named
from advisor.host.proxies.site import AccessLog, Site
from advisor.host.tree import clean, under

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from advisor.host.proxies.nginx_directive import Directive


# Directives that hand a request on, with the port of an upstream that names none.
PASSES = {
    "proxy_pass": 80,
    "grpc_pass": 80,
    "uwsgi_pass": 80,
    "fastcgi_pass": 80,
    "scgi_pass": 80,
}
SCHEME = re.compile(r"(?P<scheme>[a-z]+)://(?P<rest>.*)", re.DOTALL)


@dataclass(frozen=True)
class Configuration:
    """The main context, and where nginx looks for what it names without a full path."""

    directives: tuple[Directive, ...]
    prefix: str | None = None
    default_log: str | None = None
    root: Path = Path("/")


@dataclass(frozen=True)
class Chosen:
    """The blocks a request ends in, the outermost first: http, server, locations."""

    blocks: tuple[Directive, ...]
    unsure: tuple[str, ...] = ()


def site(
    config: Configuration, place: Place, host: str, path: str
) -> tuple[Site | None, list[str]]:
    """The site that answers `host` and `path` at a place, and why that may be otherwise.

    None where no server block listens there.
    """
    http = [entry for entry in config.directives if entry.name == "http"]
    chosen = next(filter(None, (_chosen(block, place, host, path) for block in http)), None)
    if chosen is None:
        return None, ["no server block of its configuration listens there"]
    upstreams, unsure = _upstreams(chosen)
    logs, skipped = _logs(config, chosen)
    found = Site(
        proxy="nginx",
        upstreams=tuple(dict.fromkeys(map(clean, upstreams))),
        access_logs=tuple(logs),
        stub_status=next((url for block in http for url in _status_pages(block)), None),
    )
    return found, [*chosen.unsure, *unsure, *skipped]


def _chosen(http: Directive, place: Place, host: str, path: str) -> Chosen | None:
    servers = listening(tuple(http.all("server")), place)
    if not servers:
        return None
    server, unsure = named(servers, host)
    if server.has("return"):  # before any location is looked at
        return Chosen((http, server), unsure)
    located, more = nginx_location.locate(server, nginx_location.normal(path))
    doubts = [block.name for block in (server, *located) if block.has("if")]
    doubts += [block.name for block in (server, *located) if block.has("rewrite")]
    why = "an `if` or a `rewrite` there may lead elsewhere, which is not followed"
    return Chosen((http, server, *located), (*unsure, *more, *((why,) if doubts else ())))


def _upstreams(chosen: Chosen) -> tuple[list[str], list[str]]:
    """Where the innermost location hands requests, or why nowhere; it inherits no handler."""
    http, *_, last = chosen.blocks
    handlers = [entry for entry in last.block or () if entry.name in PASSES and entry.args]
    if not handlers or last.has("return"):
        return [], ["nginx answers this itself"]
    handler = handlers[-1]
    target = handler.args[0]
    if "$" in target:
        return [], [f"{handler.name} names its upstream by a variable"]
    scheme = SCHEME.fullmatch(target)
    default = 443 if scheme and scheme["scheme"] in {"https", "grpcs"} else PASSES[handler.name]
    name = authority(scheme["rest"] if scheme else target)
    for upstream in http.all("upstream"):
        if upstream.args[:1] == (name,):
            return _peers(upstream), []
    return [with_port(name, default)], []


def authority(rest: str) -> str:
    """The address in a pass directive, without scheme and path.

    >>> authority("unix:/run/shop.sock:/app/"), authority("shop:81/app")
    ('unix:/run/shop.sock', 'shop:81')
    """
    if rest.startswith("unix:"):
        return "unix:" + rest[5:].partition(":")[0]
    return re.split(r"[/?]", rest, maxsplit=1)[0].lower()


def with_port(name: str, default: int) -> str:
    """An address with its port.

    >>> with_port("127.0.0.1", 80), with_port("[::1]:81", 80), with_port("[::1]", 80)
    ('127.0.0.1:80', '[::1]:81', '[::1]:80')
    """
    if name.startswith("unix:") or re.search(r":\d+$", name.rpartition("]")[2]):
        return name
    return f"{name}:{default}"


def _peers(upstream: Directive) -> list[str]:
    """The servers of an upstream block, the spare ones last and those taken out left out."""
    entries = [
        entry for entry in upstream.all("server") if entry.args and "down" not in entry.args[1:]
    ]
    entries.sort(key=lambda entry: "backup" in entry.args)
    return [
        with_port(entry.args[0].lower() if "unix:" not in entry.args[0] else entry.args[0], 80)
        for entry in entries
    ]


def _logs(config: Configuration, chosen: Chosen) -> tuple[list[AccessLog], list[str]]:
    """The access logs in force: of the innermost level that has any."""
    level = next((block for block in reversed(chosen.blocks) if block.has("access_log")), None)
    logs: list[tuple[str, ...]]
    if level is None:
        logs = [(config.default_log,)] if config.default_log else []
    else:
        logs = [entry.args for entry in level.all("access_log") if entry.args]
    if any(args[:1] == ("off",) for args in logs):
        return [], []
    formats = {
        entry.args[0]: _format(entry.args)
        for entry in chosen.blocks[0].all("log_format")
        if entry.args
    }
    found: list[AccessLog] = []
    skipped: list[str] = []
    for path, *rest in logs:
        if path.startswith("syslog:"):
            continue
        words = [word for word in rest if "=" not in word and word != "gzip"]
        name = words[0] if words else "combined"
        text = "combined" if name == "combined" else formats.get(name)
        if "$" in path or text is None or "gzip" in rest:
            skipped.append(f"the access log {path} cannot be followed")
        elif any(word.startswith("if=") for word in rest):
            skipped.append(f"the access log {path} holds only some of the requests")
        elif (full := _full(config, path)) is not None:
            found.append(AccessLog(under(config.root, full), text))
    return found, skipped


def _format(args: Sequence[str]) -> str:
    """A format's text; how it escapes stands before it, as in the directive."""
    escape, rest = args[1:2], args[2:]
    if escape and escape[0].startswith("escape="):
        return f"{escape[0]} {''.join(rest)}"
    return "".join(args[1:])


def _full(config: Configuration, path: str) -> str | None:
    if path.startswith("/"):
        return path
    return f"{config.prefix.rstrip('/')}/{path}" if config.prefix else None


def _status_pages(http: Directive) -> Iterator[str]:
    """URLs on loopback that nginx answers with its counters (ngx_http_stub_status_module)."""
    servers = tuple(http.all("server"))
    for server in servers:
        for path in nginx_location.paths(server, "stub_status"):
            for place in Place.loopback(server):
                chosen = _chosen(http, place, place.host, path)
                if chosen and server is chosen.blocks[1] and chosen.blocks[-1].has("stub_status"):
                    yield f"http://{place}{path}"
