"""The hosts that a balancer's site sends requests to, and that site without some of them. Pure.

The site is a rendered one (templates/nginx/upstream.j2, templates/caddy/app.caddy.j2): a peer
stands on a line of its own, spelt as `hosts` of advisor.yml spells it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

# A peer's line, `marked` being what follows its name.
_LINES = {
    "nginx": re.compile(
        r"^(?P<before>[ \t]*server[ \t]+)(?P<peer>[^\s;{}]+)(?P<marked>[^;{}\n]*);\n", re.MULTILINE
    ),
    "caddy": re.compile(r"^(?P<before>\tto )(?P<peer>\S+)(?P<marked>)\n", re.MULTILINE),
}
# The first of a Caddy site's routes begins behind this line.
_ROUTES = "\troute {\n"
# nginx keeps a peer that is `down` in its place, so that a method that hashes clients moves
# only that peer's (nginx.org, ngx_http_upstream_module, server). Caddy knows no such mark, and
# forgets how many requests it has at an upstream that none of its sites names (caddy's
# modules/caddyhttp/reverseproxy/hosts.go, fillHost).
_DOWN = "down"
KINDS = frozenset(_LINES)


@dataclass(frozen=True)
class Peer:
    """A host behind the balancer; one that is down gets no requests."""

    name: str
    is_down: bool


def peers(site: str, kind: str) -> list[Peer]:
    r"""The peers of a site, in its order; `kind` is the daemon that reads it.

    >>> peers("upstream shop_app {\n    server 10.0.0.1:80 max_fails=1;\n}\n", "nginx")
    [Peer(name='10.0.0.1:80', is_down=False)]
    >>> peers("(shop_hosts) {\n\tto 10.0.0.1:80\n\tto 10.0.0.2:80\n}\n", "caddy")[1].name
    '10.0.0.2:80'
    """
    return [
        Peer(match["peer"], _DOWN in match["marked"].split())
        for match in _LINES[kind].finditer(site)
    ]


def without(site: str, kind: str, drained: Collection[str]) -> str:
    r"""The site with these peers out of the way, and a line that says so.

    >>> print(without("    server 10.0.0.1:80 max_fails=1;\n", "nginx", ["10.0.0.1:80"]), end="")
    # Drained for a while by advisor, and put back by itself: 10.0.0.1:80
        server 10.0.0.1:80 max_fails=1 down;
    """

    def line(match: re.Match[str]) -> str:
        if match["peer"] not in drained:
            return match[0]
        if kind == "caddy":
            return ""
        if _DOWN in match["marked"].split():
            return match[0]
        return f"{match['before']}{match['peer']}{match['marked']} {_DOWN};\n"

    changed = _LINES[kind].sub(line, site)
    if kind == "caddy":
        counted = (
            "\t\t# Matches nothing: Caddy goes on counting what it has sent there before.\n"
            "\t\t@drained not path *\n"
            f"\t\treverse_proxy @drained {' '.join(sorted(drained))}\n"
        )
        changed = changed.replace(_ROUTES, _ROUTES + counted, 1)
    said = (
        f"# Drained for a while by advisor, and put back by itself: {', '.join(sorted(drained))}\n"
    )
    return said + changed
