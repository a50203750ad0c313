"""What Caddy's rules about clients say for which evidence."""

from __future__ import annotations

from typing import Any

from advisor.rules.caddy_edge import CACHE, RATE_LIMIT
from tests.rules.cases.caddy import CADDY
from tests.rules.cases.nginx import CACHED, NEW, OLD, ROUTES
from tests.rules.cases.nginx_edge import RATE
from tests.rules.cases.nginx_gzip import COMPRESSION, STATIC
from tests.rules.cases.nginx_tls import CERTIFICATE
from tests.rules.cases.shared import MIB, NGINX, SILENT

MODULES = "components.caddy.modules"
WINDOW = "caddy.rate_limit_window"
LIMITING = CADDY | {MODULES: [RATE_LIMIT]}
CACHING = {MODULES: [CACHE, RATE_LIMIT]}
TLS, OTHER = CADDY | CERTIFICATE, NGINX | CERTIFICATE

CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "caddy.read_header": [(CADDY, 15), (NGINX, SILENT)],
    "caddy.read_body": [(CADDY, None), (NGINX, SILENT)],
    "caddy.write": [(CADDY, None), (NGINX, SILENT)],
    "caddy.idle": [(CADDY, 75), (NGINX, SILENT)],
    "caddy.request_body_max": [
        (CADDY | {"limits.request_body": 10 * MIB}, 10 * MIB),
        (CADDY, SILENT),
        (NGINX | {"limits.request_body": 10 * MIB}, SILENT),
    ],
    "caddy.encode": [
        *((CADDY | seen, ["zstd", "gzip"] if on else None) for seen, on in COMPRESSION),
        (NGINX, SILENT),
    ],
    "caddy.encode_minimum_length": [
        (CADDY | {"caddy.encode": ["zstd", "gzip"]}, 256),
        (NGINX | {"caddy.encode": ["zstd", "gzip"]}, SILENT),
    ],
    "caddy.static_cache_control": [
        (CADDY | STATIC, "public, max-age=3600"),
        (CADDY | {"static": {}}, SILENT),
        (NGINX | STATIC, SILENT),
    ],
    "caddy.tls_protocols": [(TLS, None), (OTHER, SILENT)],
    "caddy.tls_curves": [
        (TLS, None),
        (TLS | {"can.caddy.x25519mlkem768": NEW}, None),
        (TLS | {"can.caddy.x25519mlkem768": OLD}, None),
        (OTHER, SILENT),
    ],
    "caddy.hsts_max_age": [(TLS, 63072000), (OTHER, SILENT)],
    WINDOW: [
        (LIMITING | {RATE: 20}, 2),
        (LIMITING | {RATE: 3}, 4),
        (LIMITING | {RATE: 0.5}, 20),
        (LIMITING | {RATE: 1e-300}, 86400),
        (CADDY | {RATE: 20, MODULES: []}, None),
        (CADDY | {RATE: 20}, None),
        (NGINX | {RATE: 20, MODULES: [RATE_LIMIT]}, SILENT),
    ],
    "caddy.rate_limit_events": [
        (CADDY | {RATE: 20, WINDOW: 2}, 40),
        (CADDY | {RATE: 3, WINDOW: 4}, 12),
        (CADDY | {RATE: 0.3, WINDOW: 34}, 10),
        (CADDY | {RATE: 1e-300, WINDOW: 86400}, 1),
        (CADDY | {RATE: 1e300, WINDOW: 2}, 1_000_000),
    ],
    "caddy.microcache_ttl": [
        (CADDY | CACHED | CACHING, ["/a 30s", "/search 2s"]),
        (CADDY | ROUTES | CACHING, ["/search 2s"]),
        (CADDY | ROUTES | {MODULES: []}, None),
        (CADDY | ROUTES, None),
        (CADDY | {"routes": {}} | CACHING, SILENT),
        (NGINX | ROUTES | CACHING, SILENT),
    ],
    "caddy.microcache_bypass": [
        (CADDY | {"caddy.microcache_ttl": ["/a 1s"]}, ["Cookie", "Authorization"]),
        (NGINX | {"caddy.microcache_ttl": ["/a 1s"]}, SILENT),
    ],
}
