"""What each product can do since which version. Pure.

A rule that depends on one names it as `can.<capability>`: True, False, or None where the
version is not known, and then the rule takes the conservative side and says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.documents import Component

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Since:
    """`component` can do it from version `first` on, and no more from `until` on.

    `module` is one that the component has to have loaded besides. `source` says where that is
    written.
    """

    component: str
    first: Version
    source: str
    until: Version | None = None
    module: str | None = None


CAPABILITIES: dict[str, Since] = {
    "gunicorn.control_socket": Since("gunicorn", (25, 1), "gunicorn 25.1: changelog"),
    "gunicorn.asgi_worker": Since("gunicorn", (24, 0), "gunicorn 24.0: changelog"),
    "nginx.upstream_keepalive_timeout": Since("nginx", (1, 15, 3), "ngx_http_upstream_module"),
    "nginx.http2_directive": Since("nginx", (1, 25, 1), "ngx_http_v2_module", module="http_v2"),
}


def parse(version: str) -> Version | None:
    """The leading numbers of a version; None where there are none.

    >>> parse("1.22.1"), parse("27.0b1"), parse("unheard")
    ((1, 22, 1), (27, 0), None)
    """
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else None


def can(components: Mapping[str, Component]) -> dict[str, bool]:
    """Every capability that can be told, by `can.<capability>`."""
    told: dict[str, bool] = {}
    for name, since in CAPABILITIES.items():
        component = components.get(since.component)
        version = parse(component.version) if component else None
        if component is None or version is None:
            continue
        able = version >= since.first and (since.until is None or version < since.until)
        there = since.module is None or since.module in component.modules
        told[f"can.{name}"] = able and there
    return told
