"""What `nginx -t` lets through: headers that are lost or believed, names that are another app's.

crossplane reads nginx's grammar; each rule is a function of the tree and the inputs.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import crossplane

from advisor.render.checks.result import verdict
from advisor.render.kit.nginx_listen import variables
from advisor.render.kit.nginx_tls import certificate
from advisor.render.place import is_unix, reachable, stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from advisor.render.checks.result import CheckResult
    from advisor.render.rendering import File
    from advisor.render.values import Inputs

CHECK = "what nginx -t lets through"
# What apps and their servers take for the proxy's word (Gunicorn: secure_scheme_headers; Werkzeug:
# ProxyFix; RFC 7239), so that none may come through as a client wrote it.
BELIEVED = frozenset(
    {
        "host",
        "x-real-ip",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-protocol",
        "x-forwarded-ssl",
        "x-forwarded-prefix",
        "forwarded",
    }
)
# Variables whose value is a client's own word.
CLIENTS = ("$http_", "$arg_", "$cookie_", "$proxy_add_x_forwarded_for")


@dataclass(frozen=True)
class Node:
    """A directive in its place."""

    name: str
    args: tuple[str, ...]
    line: int
    block: tuple[Node, ...] = ()

    @property
    def first(self) -> str:
        """Its first argument; empty where it has none, which nginx refuses by itself."""
        return self.args[0] if self.args else ""

    @property
    def last(self) -> str:
        """Its last argument; empty where it has none."""
        return self.args[-1] if self.args else ""

    def all(self, name: str) -> list[Node]:
        """The directives of that name right inside."""
        return [node for node in self.block if node.name == name]

    def everywhere(self) -> Iterator[Node]:
        """What stands inside, however deep."""
        for node in self.block:
            yield node
            yield from node.everywhere()


Problem = tuple[int, str]


def check(file: File, inputs: Inputs) -> CheckResult:
    """Our own rules on one file, each problem with its line."""
    tree, unread = _tree(file.content)
    if tree is None:
        return verdict(file.path, CHECK, [f"{file.path}:{unread}"])
    role_is_balancer = file.path.startswith("load_balancer/")
    problems = [
        *(problem for rule in RULES for problem in rule(tree, inputs)),
        *_peers(tree, _expected(inputs, is_balancer=role_is_balancer)),
        *_defaults(tree, is_default=file.path.endswith("/default.conf")),
    ]
    return verdict(
        file.path, CHECK, [f"{file.path}:{line}: {text}" for line, text in sorted(problems)]
    )


def _tree(content: bytes) -> tuple[Node | None, str]:
    with tempfile.TemporaryDirectory(prefix="advisor-") as folder:
        path = Path(folder) / "site.conf"
        path.write_bytes(content)
        found = crossplane.parse(str(path), single=True, check_ctx=False, check_args=False)
    if found["status"] != "ok":
        error = found["errors"][0]
        what = str(error["error"]).partition(f" in {path}")[0] or "no configuration of nginx's"
        return None, f"{error['line']}: {what}" if error["line"] else f" {what}"
    return Node("", (), 0, _nodes(found["config"][0]["parsed"])), ""


def _nodes(parsed: list[dict[str, Any]]) -> tuple[Node, ...]:
    return tuple(
        Node(
            str(entry["directive"]),
            tuple(entry["args"]),
            int(entry["line"]),
            _nodes(entry.get("block") or []),
        )
        for entry in parsed
    )


def _expected(inputs: Inputs, *, is_balancer: bool) -> list[str]:
    intent = inputs.intent
    if is_balancer:
        return list(intent.hosts or [])
    if intent.sockets:
        return intent.sockets
    return [f"unix:{stream(intent)}" if is_unix(intent) else reachable(stream(intent))]


def _peers(tree: Node, expected: list[str]) -> Iterator[Problem]:
    """Requests go to the app that advisor.yml names, and nowhere else."""
    for upstream in tree.all("upstream"):
        servers = [server.first for server in upstream.all("server")]
        if servers != expected:
            yield upstream.line, f"the app is at {', '.join(expected)}, not {', '.join(servers)}"


def _defaults(tree: Node, *, is_default: bool) -> Iterator[Problem]:
    """Only the default server's file takes what is meant for no site."""
    for node in tree.everywhere():
        if node.name == "listen" and ("default_server" in node.args) is not is_default:
            how = "lacks default_server" if is_default else "takes other sites' requests"
            yield node.line, f"listen {' '.join(node.args)} {how}"


def _passes(tree: Node, inputs: Inputs) -> Iterator[Problem]:
    wanted = f"http://{inputs.intent.app_name}_app"
    for node in tree.everywhere():
        if node.name == "proxy_pass" and node.args != (wanted,):
            yield node.line, f"proxy_pass leads to {' '.join(node.args)}, not to {wanted}"


def _headers(tree: Node, _: Inputs) -> Iterator[Problem]:
    """Where requests are handed on, every header that is believed is nginx's own word."""
    for server in tree.all("server"):
        for location in server.all("location"):
            if not location.all("proxy_pass"):
                continue
            # Inherited only where the location has none of its own.
            sent = location.all("proxy_set_header") or server.all("proxy_set_header")
            names = {node.first.lower() for node in sent}
            for lost in sorted(BELIEVED - names):
                yield location.line, f"{lost} comes through as the client wrote it"
            for node in sent:
                value = node.last
                if node.first.lower() in BELIEVED and any(word in value for word in CLIENTS):
                    yield node.line, f"{node.first} is the client's own word"


def _added(tree: Node, _: Inputs) -> Iterator[Problem]:
    """A location with an add_header of its own has lost its server's, unless it says them again."""
    for server in tree.all("server"):
        outer = {node.first.lower() for node in server.all("add_header")}
        for location in server.all("location"):
            inner = {node.first.lower() for node in location.all("add_header")}
            merged = any(node.args == ("merge",) for node in location.all("add_header_inherit"))
            lost = sorted(outer - inner) if inner and not merged else []
            for name in lost:
                yield location.line, f"add_header: {name} of the server is lost here"


def _aliases(tree: Node, _: Inputs) -> Iterator[Problem]:
    for location in tree.everywhere():
        for alias in location.all("alias"):
            if not (location.last.endswith("/") and alias.first.endswith("/")):
                yield alias.line, "without a slash at both ends, /x../ leads out of the folder"


def _names(tree: Node, inputs: Inputs) -> Iterator[Problem]:
    """Names in the http block are every site's: ours begin with the app's."""
    app, var = inputs.intent.app_name, f"${variables(inputs.intent.app_name)}_"
    for node in tree.block:
        given = {
            "upstream": node.args[:1],
            "log_format": node.args[:1],
            "limit_req_zone": _zone(node, "zone="),
            "limit_conn_zone": _zone(node, "zone="),
            "proxy_cache_path": _zone(node, "keys_zone="),
        }.get(node.name, ())
        for name in given:
            if not name.startswith(f"{app}_"):
                yield node.line, f"{node.name}: {name} may be another app's: it is not {app}_..."
        if node.name in {"map", "geo"} and not node.last.startswith(var):
            yield node.line, f"{node.name}: {node.last} may be another app's"


def _zone(node: Node, key: str) -> tuple[str, ...]:
    return tuple(arg.removeprefix(key) for arg in node.args if arg.startswith(key))


def _sites(tree: Node, inputs: Inputs) -> Iterator[Problem]:
    """Servers answer for the domain, and with its certificate."""
    intent = inputs.intent
    names = {intent.domain or "localhost", f"status.{intent.app_name}.localhost", "_"}
    found = certificate(intent)
    files = {
        "ssl_certificate": found and found.certificate,
        "ssl_certificate_key": found and found.key,
    }
    for node in tree.everywhere():
        if node.name == "server_name" and not names >= set(node.args):
            yield node.line, f"server_name {' '.join(node.args)} is not the app's"
        if node.name in files and node.args != (files[node.name],):
            yield node.line, f"{node.name} is not that of advisor.yml"


RULES: tuple[Callable[[Node, Inputs], Iterator[Problem]], ...] = (
    _passes,
    _headers,
    _added,
    _aliases,
    _names,
    _sites,
)
