"""nginx's files as they are recommended and rendered, and read back by nginx's own grammar."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor import files
from advisor.documents import Component, Facts
from advisor.intent import Intent
from advisor.recommend import recommend
from advisor.render import render
from advisor.render.checks.nginx_own import Node, _tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.documents import Recommendation

FACTS = files.read(Facts, Path(__file__).parents[2] / "examples" / "facts.json")
BUILT = ("http_realip", "http_ssl", "http_stub_status", "http_v2")
OLD = {
    "nginx": Component(version="1.22.1", modules=list(BUILT)),
    "openssl": Component(version="3.0.17"),
}
NEW = {
    "nginx": Component(version="1.26.3", modules=[*BUILT, "http_v3"]),
    "openssl": Component(version="3.5.1"),
}
TLS = {"tls": {"certificate": "/etc/ssl/shop.pem", "key": "/etc/ssl/shop.key"}}
ACME = {"tls": {"acme": True}}
HOSTS = {"hosts": ["10.0.0.11:80", "10.0.0.12:80", "[fd00::13]:8080"]}
BEHIND = {"pins": {"nginx.set_real_ip_from": ["10.0.0.0/8", "fd00::/8"]}}
RICH: dict[str, Any] = {
    "static": {"/static/": "/srv/shop/static", "/media": "/srv/shop/media/"},
    "routes": {
        "/ws": "websocket",
        "/events": "stream",
        "/api/search": {"microcache": "1s"},
        "/news/": {"microcache": "5s"},
    },
    "limits": {"request_body": "10M", "rate_per_client_rps": 20},
}


def advise(components: Mapping[str, Component] | None = None, **keys: Any) -> Recommendation:
    """What is recommended for these keys of advisor.yml, on Debian 12 unless told otherwise."""
    app = {"name": "shop", "module": "shop.main:app", "interface": "asgi"}
    usual = {"app": app, "proxy": "nginx", "domain": "shop.example", "manage": ["proxy"]}
    stated: dict[str, Any] = usual | keys
    stated = {key: value for key, value in stated.items() if value is not None}
    intent = files.validate(Intent, stated, name="advisor.yml")
    found = FACTS.components | dict(OLD if components is None else components)
    facts = FACTS.model_copy(update={"servers": [], "components": found})
    return recommend(facts, None, intent, server=None)


def texts(rec: Recommendation) -> dict[str, str]:
    """nginx's files by their paths."""
    return {
        file.path: file.content.decode()
        for file in render(rec)
        if file.output and file.output.checker == "nginx"
    }


def tree(text: str) -> Node:
    """A file's directives."""
    found, why = _tree(text.encode())
    assert found is not None, why
    return found


def site(rec: Recommendation, path: str = "nginx/shop.conf") -> Node:
    """The app's server block, the one that hands requests on."""
    servers = tree(texts(rec)[path]).all("server")
    (found,) = [server for server in servers if has_pass(server)]
    return found


def has_pass(server: Node) -> bool:
    """Whether a server block hands requests on."""
    return any(node.name == "proxy_pass" for node in server.everywhere())


def words(block: Node, name: str) -> list[str]:
    """The arguments of each directive of that name right inside a block."""
    return [" ".join(node.args) for node in block.all(name)]


def locations(server: Node) -> dict[str, Node]:
    """A server's locations by what they match."""
    return {" ".join(node.args): node for node in server.all("location")}
