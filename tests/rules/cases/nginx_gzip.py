"""What nginx's rules about compression say for which evidence."""

from __future__ import annotations

from typing import Any

from advisor.rules.nginx_gzip import TYPES
from tests.rules.cases.nginx import fact, http
from tests.rules.cases.shared import NGINX, NO_PROXY, SILENT

STATIC = {"static": {"/static/": "/srv/shop/static"}}
PACKED = http(fact(compressed=True, compressible_ratio=None))
PICTURE = http(fact(compressible_ratio=0.99), fact("/tiny", bytes=20), fact("/empty", bytes=0))

# Whether either proxy compresses.
COMPRESSION: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    (http(), True),
    (http(fact()), True),
    (PICTURE, False),
    (http(fact(compressible_ratio=None)), False),
    (PICTURE | STATIC, True),
    (http(fact(compressed=True), fact("/plain")), True),
    # Who compressed it is not known, so the proxy goes on doing it.
    (PACKED, True),
    (PACKED | {"target.through": ["nginx"]}, True),
    (PACKED | {"target.through": []}, False),
]
ON, OFF = NGINX | {"nginx.gzip": True}, NGINX | {"nginx.gzip": False}
MODULES = "components.nginx.modules"


def beside_gzip(*names: str) -> list[tuple[dict[str, Any], Any]]:
    return [
        *((ON | {MODULES: ["http_v2", name]}, True) for name in names),
        (ON | {MODULES: ["http_v2"]}, SILENT),
        (ON | {MODULES: []}, SILENT),
        (OFF | {MODULES: [names[0]]}, SILENT),
    ]


CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "nginx.gzip": [
        *((NGINX | seen, expected) for seen, expected in COMPRESSION),
        (NO_PROXY, SILENT),
    ],
    "nginx.gzip_comp_level": [(ON, 5), (OFF, SILENT)],
    "nginx.gzip_min_length": [(ON, 256), (OFF, SILENT)],
    "nginx.gzip_types": [(ON, TYPES), (OFF, SILENT)],
    "nginx.gzip_vary": [(ON, True), (OFF, SILENT)],
    "nginx.gzip_proxied": [(ON, ["any"]), (OFF, SILENT)],
    "nginx.brotli": beside_gzip("brotli", "http_brotli_filter"),
    "nginx.zstd": beside_gzip("zstd", "http_zstd_filter"),
}
