"""What nginx's rules about TLS and HTTP/2 say for which evidence."""

from __future__ import annotations

from typing import Any

from advisor.rules.nginx_tls import CIPHERS
from tests.rules.cases.nginx import NEW, OLD
from tests.rules.cases.shared import MIB, NGINX, NO_PROXY, SILENT

CERTIFICATE = {"tls": {"certificate": "/etc/ssl/shop.pem", "key": "/etc/ssl/shop.key"}}
TLS = NGINX | CERTIFICATE
OTHER = NO_PROXY | {"tls": {"acme": True}}
MODULES = "components.nginx.modules"
CURVE = "can.openssl.x25519mlkem768"

CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "nginx.http2": [
        (TLS | {"can.nginx.http2_directive": NEW, MODULES: ["http_v2"]}, True),
        (TLS | {"can.nginx.http2_directive": OLD, MODULES: ["http_v2"]}, True),
        (TLS, True),
        (TLS | {"can.nginx.http2_directive": OLD, MODULES: ["http_ssl"]}, False),
        (OTHER, SILENT),
    ],
    "nginx.http3": [(TLS, False), (TLS | {"can.nginx.http3": NEW}, False), (OTHER, SILENT)],
    "nginx.http3_reuseport": [
        (TLS | {"nginx.http3": True}, True),
        (TLS | {"nginx.http3": False}, SILENT),
        (OTHER | {"nginx.http3": True}, SILENT),
    ],
    "nginx.ssl_protocols": [
        (TLS, ["TLSv1.2", "TLSv1.3"]),
        (TLS | {"can.nginx.tls13": NEW}, ["TLSv1.2", "TLSv1.3"]),
        (TLS | {"can.nginx.tls13": OLD}, ["TLSv1.2"]),
        (OTHER, SILENT),
    ],
    "nginx.ssl_ciphers": [(TLS, CIPHERS), (OTHER, SILENT)],
    "nginx.ssl_ecdh_curve": [
        (TLS | {CURVE: NEW}, ["X25519MLKEM768", "X25519", "prime256v1", "secp384r1"]),
        (TLS | {CURVE: OLD}, ["X25519", "prime256v1", "secp384r1"]),
        (TLS, ["X25519", "prime256v1", "secp384r1"]),
        (OTHER, SILENT),
    ],
    "nginx.ssl_prefer_server_ciphers": [(TLS, False), (OTHER, SILENT)],
    "nginx.ssl_session_cache_size": [(TLS, 10 * MIB), (OTHER, SILENT)],
    "nginx.ssl_session_timeout": [(TLS, 86400), (OTHER, SILENT)],
    "nginx.ssl_session_tickets": [
        (TLS | {"can.nginx.ticket_key_rotation": NEW}, True),
        (TLS | {"can.nginx.ticket_key_rotation": OLD}, False),
        (TLS, False),
    ],
    "nginx.hsts_max_age": [(TLS, 63072000), (OTHER, SILENT)],
}
