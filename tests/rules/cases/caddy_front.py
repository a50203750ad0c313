"""What the rules about what is in front of Caddy say for which evidence."""

from __future__ import annotations

from typing import Any

from tests.rules.cases.caddy import CADDY
from tests.rules.cases.nginx import NEW, OLD
from tests.rules.cases.nginx_tls import CERTIFICATE
from tests.rules.cases.shared import NGINX, SILENT

TLS = CADDY | CERTIFICATE

CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "caddy.trusted_proxies": [
        (CADDY, None),
        (CADDY | {"can.caddy.trusted_proxies_strict": NEW}, None),
        (NGINX, SILENT),
    ],
    "caddy.http3": [
        (TLS, False),
        (TLS | {"can.caddy.http3": NEW}, False),
        (TLS | {"can.caddy.http3": OLD}, False),
        (NGINX | CERTIFICATE, SILENT),
    ],
}
