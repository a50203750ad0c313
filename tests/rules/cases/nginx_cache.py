"""What nginx's rules about what it keeps say for which evidence."""

from __future__ import annotations

from typing import Any

from advisor.documents import Cacheable
from tests.rules.cases.nginx import CACHED, NEW, OLD, ROUTES, fact, http
from tests.rules.cases.nginx_gzip import STATIC
from tests.rules.cases.shared import MIB, NGINX, NO_PROXY, SILENT

VALID = "nginx.microcache_valid"
INACTIVE = "nginx.microcache_inactive"
ZONE = "nginx.microcache_zone_size"
KEPT = NGINX | {VALID: ["/search 2s"]}
PRIVATE = fact("/search", microcache=Cacheable(value=False, why="it sets a cookie"))


def only_where_kept(value: Any) -> list[tuple[dict[str, Any], Any]]:
    return [(KEPT, value), (KEPT | {"proxy": "caddy"}, SILENT)]


def only_with_static(value: Any) -> list[tuple[dict[str, Any], Any]]:
    return [(NGINX | STATIC, value), (NGINX | {"static": {}}, SILENT), (NO_PROXY | STATIC, SILENT)]


CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    VALID: [
        (NGINX | ROUTES, ["/search 2s"]),
        (NGINX | CACHED, ["/a 30s", "/search 2s"]),
        (NGINX | ROUTES | http(PRIVATE), ["/search 2s"]),
        (NGINX | {"routes": {"/ws": "websocket"}}, SILENT),
        (NO_PROXY | ROUTES, SILENT),
    ],
    "nginx.microcache_key": only_where_kept("$scheme$host$request_uri"),
    "nginx.microcache_bypass": only_where_kept(["$http_cookie", "$http_authorization"]),
    INACTIVE: [
        (KEPT, 60),
        (NGINX | {VALID: ["/a 30s", "/search 2s"]}, 300),
        (NGINX | {VALID: ["/a 9999s"]}, 86400),
    ],
    ZONE: [
        (KEPT | {INACTIVE: 60}, 10 * MIB),
        # 500/s for 60 s are 30,000 keys.
        (KEPT | {INACTIVE: 60, "targets.rate_rps": 500}, 4 * MIB),
        (KEPT | {INACTIVE: 60, "targets.rate_rps": 0.1}, MIB),
        (KEPT | {INACTIVE: 86400, "targets.rate_rps": 1e300}, 1024 * MIB),
    ],
    "nginx.microcache_max_size": [
        # 8,000 keys of 32 KiB, of 18,211 bytes, and of more than may be kept.
        (KEPT | {ZONE: MIB}, 250 * MIB),
        (KEPT | {ZONE: MIB} | ROUTES | http(fact("/search")), 139 * MIB),
        (KEPT | {ZONE: 10 * MIB} | ROUTES | http(fact("/search")), 1024 * MIB),
        (KEPT | {ZONE: MIB} | ROUTES | http(fact("/search", bytes=100)), 64 * MIB),
        # Another route's size says nothing.
        (KEPT | {ZONE: MIB} | ROUTES | http(fact("/", bytes=100)), 250 * MIB),
    ],
    "nginx.microcache_lock": only_where_kept(True),
    "nginx.microcache_use_stale": only_where_kept(["updating"]),
    "nginx.microcache_background_update": [
        (KEPT | {"can.nginx.cache_background_update": NEW}, True),
        (KEPT | {"can.nginx.cache_background_update": OLD}, SILENT),
        (KEPT, SILENT),
    ],
    "nginx.static_expires": only_with_static(3600),
    "nginx.open_file_cache_max": only_with_static(1000),
    "nginx.open_file_cache_valid": [
        (NGINX | {"nginx.open_file_cache_max": 1000}, 10),
        (NO_PROXY | {"nginx.open_file_cache_max": 1000}, SILENT),
    ],
}
