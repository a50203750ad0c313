"""What each product can do since which version. Pure.

A rule that depends on one names it as `can.<capability>`: True, False, or None where the
version is not known, and then the rule takes the conservative side and says so. What every
version in use can do is not listed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from advisor.documents import Component

Version = tuple[int, ...]

# Longer numbers are no version, and Python refuses to read the longest.
NUMBERS = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,9}", re.ASCII)


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

    def holds(self, version: Version, modules: Collection[str]) -> bool:
        """Whether the component can do it in this version, with these modules."""
        ended = self.until is not None and reaches(version, self.until)
        there = self.module is None or self.module in modules
        return there and reaches(version, self.first) and not ended


CAPABILITIES: dict[str, Since] = {
    # Gunicorn
    "gunicorn.wsgi_app": Since("gunicorn", (20, 1), "gunicorn 20.1.0: settings, wsgi_app"),
    "gunicorn.asgi_worker": Since("gunicorn", (24, 0), "gunicorn 24.0: changelog"),
    "gunicorn.asgi_stable": Since("gunicorn", (25, 1), "gunicorn 25.1: changelog, no longer beta"),
    "gunicorn.eventlet": Since("gunicorn", (0,), "gunicorn 26.0: changelog", until=(26, 0)),
    "gunicorn.control_socket": Since("gunicorn", (25, 1), "gunicorn 25.1: changelog"),
    # Uvicorn
    "uvicorn.timeout_graceful_shutdown": Since("uvicorn", (0, 22), "uvicorn#1950"),
    "uvicorn.websockets_sansio": Since("uvicorn", (0, 35), "uvicorn#2540"),
    "uvicorn.timeout_worker_healthcheck": Since("uvicorn", (0, 37), "uvicorn#2711"),
    "uvicorn.limit_max_requests_jitter": Since("uvicorn", (0, 41), "uvicorn#2707"),
    # Hypercorn
    "hypercorn.graceful_timeout": Since("hypercorn", (0, 10), "hypercorn 0.10.0: changelog"),
    "hypercorn.websocket_ping_interval": Since("hypercorn", (0, 10), "hypercorn 0.10.0: changelog"),
    "hypercorn.max_requests": Since("hypercorn", (0, 16), "hypercorn 0.16.0: changelog"),
    "hypercorn.uvloop_factory": Since("hypercorn", (0, 17, 3), "hypercorn 0.17.3: changelog"),
    # Granian
    "granian.respawn_failed_workers": Since("granian", (1, 0), "granian#181"),
    "granian.backpressure": Since("granian", (1, 4), "granian#301"),
    "granian.workers_lifetime": Since("granian", (1, 6), "granian#372"),
    "granian.workers_kill_timeout": Since("granian", (1, 7), "granian#435"),
    "granian.runtime_mode": Since("granian", (2, 0), "granian#507"),
    "granian.runtime_threads": Since("granian", (2, 0), "granian#507"),
    "granian.runtime_mode_auto": Since("granian", (2, 6), "granian#743"),
    "granian.http1_header_read_timeout": Since("granian", (2, 0), "granian#509"),
    "granian.workers_max_rss": Since("granian", (2, 5), "granian#640"),
    # nginx
    "nginx.cache_background_update": Since("nginx", (1, 11, 10), "ngx_http_proxy_module"),
    "nginx.tls13": Since("nginx", (1, 13), "nginx 1.13.0: changes"),
    "nginx.upstream_keepalive_timeout": Since("nginx", (1, 15, 3), "ngx_http_upstream_module"),
    "nginx.upstream_keepalive_requests": Since("nginx", (1, 15, 3), "ngx_http_upstream_module"),
    "nginx.ssl_reject_handshake": Since("nginx", (1, 19, 4), "ngx_http_ssl_module"),
    "nginx.ticket_key_rotation": Since("nginx", (1, 23, 2), "nginx 1.23.2: changes"),
    "nginx.http3": Since("nginx", (1, 25), "ngx_http_v3_module", module="http_v3"),
    "nginx.http2_directive": Since("nginx", (1, 25, 1), "ngx_http_v2_module"),
    "nginx.add_header_inherit": Since("nginx", (1, 29, 3), "ngx_http_headers_module"),
    "nginx.upstream_keepalive_by_default": Since("nginx", (1, 29, 7), "nginx 1.29.7: changes"),
    # Caddy
    "caddy.http3": Since("caddy", (2, 6), "caddy 2.6.0: release notes, on by default"),
    "caddy.protocols": Since("caddy", (2, 6), "caddy 2.6.0: release notes"),
    "caddy.server_metrics": Since("caddy", (2, 6), "caddy#5136: off unless asked for"),
    "caddy.lb_retries": Since("caddy", (2, 6), "caddy 2.6.0: release notes"),
    "caddy.request_buffers": Since("caddy", (2, 6, 4), "caddy 2.6.4: release notes"),
    "caddy.response_buffers": Since("caddy", (2, 6, 4), "caddy 2.6.4: release notes"),
    "caddy.stream_close_delay": Since("caddy", (2, 7), "caddy 2.7.0: release notes"),
    "caddy.stream_timeout": Since("caddy", (2, 7), "caddy 2.7.0: release notes"),
    "caddy.trusted_proxies_strict": Since("caddy", (2, 8), "caddy 2.8.0: release notes"),
    "caddy.metrics": Since("caddy", (2, 9), "caddy#6606: an option of the whole host"),
    "caddy.x25519mlkem768": Since("caddy", (2, 10), "caddy 2.10.0: release notes, Go 1.24"),
    # systemd
    "systemd.tasks_max": Since("systemd", (227,), "systemd.resource-control(5)"),
    "systemd.ambient_capabilities": Since("systemd", (229,), "systemd.exec(5)"),
    "systemd.read_write_paths": Since("systemd", (231,), "systemd.exec(5)"),
    "systemd.restrict_realtime": Since("systemd", (231,), "systemd.exec(5)"),
    "systemd.memory_high": Since("systemd", (231,), "systemd.resource-control(5)"),
    "systemd.memory_max": Since("systemd", (231,), "systemd.resource-control(5)"),
    "systemd.memory_deny_write_execute": Since("systemd", (231,), "systemd: NEWS, 231"),
    "systemd.cpu_weight": Since("systemd", (232,), "systemd: NEWS, 232"),
    "systemd.private_users": Since("systemd", (232,), "systemd: NEWS, 232"),
    "systemd.protect_system_strict": Since("systemd", (232,), "systemd: NEWS, 232"),
    "systemd.protect_control_groups": Since("systemd", (232,), "systemd.exec(5)"),
    "systemd.protect_kernel_modules": Since("systemd", (232,), "systemd.exec(5)"),
    "systemd.protect_kernel_tunables": Since("systemd", (232,), "systemd.exec(5)"),
    "systemd.resources_group": Since("systemd", (232,), "systemd: NEWS, 232"),
    "systemd.restrict_namespaces": Since("systemd", (233,), "systemd: NEWS, 233"),
    "systemd.lock_personality": Since("systemd", (235,), "systemd: NEWS, 235"),
    "systemd.keyring_mode": Since("systemd", (235,), "systemd.exec(5)"),
    "systemd.private_mounts": Since("systemd", (239,), "systemd.exec(5)"),
    "systemd.system_service_group": Since("systemd", (239,), "systemd: NEWS, 239"),
    "systemd.type_exec": Since("systemd", (240,), "systemd: NEWS, 240"),
    "systemd.protect_hostname": Since("systemd", (242,), "systemd: NEWS, 242"),
    "systemd.restrict_suid_sgid": Since("systemd", (242,), "systemd: NEWS, 242"),
    "systemd.oom_policy": Since("systemd", (243,), "systemd.service(5)"),
    "systemd.protect_kernel_logs": Since("systemd", (244,), "systemd: NEWS, 244"),
    "systemd.protect_clock": Since("systemd", (245,), "systemd: NEWS, 245"),
    "systemd.proc_subset": Since("systemd", (247,), "systemd: NEWS, 247"),
    "systemd.protect_proc": Since("systemd", (247,), "systemd: NEWS, 247"),
    "systemd.tmpfiles_keep": Since("systemd", (252,), "systemd: NEWS, 252, a leading colon"),
    # OpenSSL
    "openssl.x25519mlkem768": Since("openssl", (3, 5), "OpenSSL 3.5: CHANGES"),
    # Redis
    "redis.lfu": Since("redis", (4, 0), "Redis 4.0: release notes"),
    "redis.lazyfree_lazy_eviction": Since("redis", (4, 0), "Redis 4.0: release notes"),
    "redis.lazyfree_lazy_expire": Since("redis", (4, 0), "Redis 4.0: release notes"),
    "redis.io_threads": Since("redis", (6, 0), "Redis 6.0: release notes"),
    "redis.include_pattern": Since("redis", (7, 0), "Redis 7.0: release notes"),
    # What works beside the app
    "rq.worker_pool": Since("rq", (1, 14), "rq 1.14: changes"),
    "prometheus.scrape_config_files": Since("prometheus", (2, 43), "Prometheus 2.43: changes"),
    # Python
    "python.free_threaded": Since("python", (3, 13), "PEP 703", module="free-threaded"),
    "python.free_threaded_supported": Since("python", (3, 14), "PEP 779", module="free-threaded"),
}


def parse(version: str) -> Version | None:
    """The leading numbers of a version, at most ten; None where there are none.

    >>> parse("1.22.1"), parse("27.0b1"), parse("unheard")
    ((1, 22, 1), (27, 0), None)
    """
    found = NUMBERS.match(version)
    return tuple(map(int, found[0].split("."))) if found else None


def can(components: Mapping[str, Component]) -> dict[str, bool]:
    """Every capability that can be told, by `can.<capability>`."""
    told: dict[str, bool] = {}
    for name, since in CAPABILITIES.items():
        component = components.get(since.component)
        version = parse(component.version) if component else None
        if component is None or version is None:
            continue
        told[f"can.{name}"] = since.holds(version, component.modules)
    return told


def reaches(version: Version, first: Version) -> bool:
    """Whether a version is the first one or later; one that is cut short, such as 24 for 24.0, too.

    >>> reaches((24,), (24, 0)), reaches((1, 9), (1, 10))
    (True, False)
    """
    return _bare(version) >= _bare(first)


def _bare(version: Version) -> Version:
    """Without the zeros at its end: 24, 24.0 and 24.0.0 are one version."""
    while version and version[-1] == 0:
        version = version[:-1]
    return version
