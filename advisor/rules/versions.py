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
    from collections.abc import Mapping

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


CAPABILITIES: dict[str, Since] = {
    # Gunicorn
    "gunicorn.wsgi_app": Since("gunicorn", (20, 1), "gunicorn 20.1.0: settings, wsgi_app"),
    "gunicorn.header_map": Since("gunicorn", (22, 0), "gunicorn 22.0.0: changelog"),
    "gunicorn.asgi_worker": Since("gunicorn", (24, 0), "gunicorn 24.0: changelog"),
    "gunicorn.asgi_stable": Since("gunicorn", (25, 1), "gunicorn 25.1: changelog, no longer beta"),
    "gunicorn.asgi_counts_closed": Since("gunicorn", (26, 1), "gunicorn#3661"),
    "gunicorn.eventlet": Since("gunicorn", (0,), "gunicorn 26.0: changelog", until=(26, 0)),
    "gunicorn.tornado": Since("gunicorn", (0,), "gunicorn: settings, worker_class (to 27)"),
    "gunicorn.gthread_keepalive": Since("gunicorn", (19, 0), "gunicorn 19.0: changelog, gthread"),
    "gunicorn.control_socket": Since("gunicorn", (25, 1), "gunicorn 25.1: changelog"),
    "gunicorn.http2": Since("gunicorn", (25, 0), "gunicorn 25.0: changelog"),
    "gunicorn.reload_logging": Since("gunicorn", (26, 1), "gunicorn#3353"),
    # Uvicorn
    "uvicorn.h11_max_incomplete_event_size": Since("uvicorn", (0, 18), "uvicorn#1514"),
    "uvicorn.timeout_graceful_shutdown": Since("uvicorn", (0, 22), "uvicorn#1950"),
    "uvicorn.ws_max_queue": Since("uvicorn", (0, 23), "uvicorn#2033"),
    "uvicorn.respawns_workers": Since("uvicorn", (0, 30), "uvicorn#2183"),
    "uvicorn.trusts_networks": Since("uvicorn", (0, 31), "uvicorn#2468"),
    "uvicorn.websockets_sansio": Since("uvicorn", (0, 35), "uvicorn#2540"),
    "uvicorn.timeout_worker_healthcheck": Since("uvicorn", (0, 37), "uvicorn#2711"),
    "uvicorn.limit_max_requests_jitter": Since("uvicorn", (0, 41), "uvicorn#2707"),
    "uvicorn.stops_on_startup_failure": Since("uvicorn", (0, 50), "uvicorn#3001"),
    "uvicorn.rolling_reload": Since("uvicorn", (0, 51), "uvicorn#3025"),
    # Hypercorn
    "hypercorn.graceful_timeout": Since("hypercorn", (0, 10), "hypercorn 0.10.0: changelog"),
    "hypercorn.websocket_ping_interval": Since("hypercorn", (0, 10), "hypercorn 0.10.0: changelog"),
    "hypercorn.read_timeout": Since("hypercorn", (0, 12), "hypercorn 0.12.0: changelog"),
    "hypercorn.max_requests": Since("hypercorn", (0, 16), "hypercorn 0.16.0: changelog"),
    "hypercorn.uvloop_factory": Since("hypercorn", (0, 17, 3), "hypercorn 0.17.3: changelog"),
    "hypercorn.reloads_on_hup": Since("hypercorn", (0, 18), "hypercorn 0.18.0: changelog"),
    # Granian
    "granian.respawn_failed_workers": Since("granian", (1, 0), "granian#181"),
    "granian.backpressure": Since("granian", (1, 4), "granian#301"),
    "granian.workers_lifetime": Since("granian", (1, 6), "granian#372"),
    "granian.workers_kill_timeout": Since("granian", (1, 7), "granian#435"),
    "granian.runtime_mode": Since("granian", (2, 0), "granian#507"),
    "granian.http1_header_read_timeout": Since("granian", (2, 0), "granian#509"),
    "granian.workers_max_rss": Since("granian", (2, 5), "granian#640"),
    "granian.uds": Since("granian", (2, 5), "granian#642"),
    "granian.metrics": Since("granian", (2, 7), "granian 2.7.0: README, metrics"),
    # nginx
    "nginx.cache_background_update": Since("nginx", (1, 11, 10), "ngx_http_proxy_module"),
    "nginx.tls13": Since("nginx", (1, 13), "nginx 1.13.0: changes"),
    "nginx.upstream_keepalive_timeout": Since("nginx", (1, 15, 3), "ngx_http_upstream_module"),
    "nginx.ssl_conf_command": Since("nginx", (1, 19, 4), "ngx_http_ssl_module"),
    "nginx.ssl_reject_handshake": Since("nginx", (1, 19, 4), "ngx_http_ssl_module"),
    "nginx.keepalive_time": Since("nginx", (1, 19, 10), "ngx_http_core_module"),
    "nginx.ticket_key_rotation": Since("nginx", (1, 23, 2), "nginx 1.23.2: changes"),
    "nginx.http3": Since("nginx", (1, 25), "ngx_http_v3_module", module="http_v3"),
    "nginx.http2_directive": Since("nginx", (1, 25, 1), "ngx_http_v2_module", module="http_v2"),
    "nginx.upstream_resolve": Since("nginx", (1, 27, 3), "ngx_http_upstream_module"),
    "nginx.keepalive_min_timeout": Since("nginx", (1, 27, 4), "ngx_http_core_module"),
    "nginx.early_hints": Since("nginx", (1, 29), "ngx_http_core_module"),
    "nginx.ssl_certificate_compression": Since("nginx", (1, 29, 1), "ngx_http_ssl_module"),
    "nginx.add_header_inherit": Since("nginx", (1, 29, 3), "ngx_http_headers_module"),
    "nginx.upstream_keepalive_by_default": Since("nginx", (1, 29, 7), "nginx 1.29.7: changes"),
    "nginx.max_headers": Since("nginx", (1, 29, 8), "ngx_http_core_module"),
    # Caddy
    "caddy.grace_period": Since("caddy", (2, 4), "caddy 2.4.0: release notes"),
    "caddy.http3": Since("caddy", (2, 6), "caddy 2.6.0: release notes, on by default"),
    "caddy.lb_retries": Since("caddy", (2, 6), "caddy 2.6.0: release notes"),
    "caddy.shutdown_delay": Since("caddy", (2, 6), "caddy 2.6.0: release notes"),
    "caddy.request_buffers": Since("caddy", (2, 6, 4), "caddy 2.6.4: release notes"),
    "caddy.client_ip_headers": Since("caddy", (2, 7), "caddy 2.7.0: release notes"),
    "caddy.stream_close_delay": Since("caddy", (2, 7), "caddy 2.7.0: release notes"),
    "caddy.stream_timeout": Since("caddy", (2, 7), "caddy 2.7.0: release notes"),
    "caddy.trusted_proxies_strict": Since("caddy", (2, 8), "caddy 2.8.0: release notes"),
    "caddy.x25519mlkem768": Since("caddy", (2, 10), "caddy 2.10.0: release notes, Go 1.24"),
    # systemd
    "systemd.memory_high": Since("systemd", (231,), "systemd: NEWS, 231"),
    "systemd.memory_max": Since("systemd", (231,), "systemd: NEWS, 231"),
    "systemd.memory_deny_write_execute": Since("systemd", (231,), "systemd: NEWS, 231"),
    "systemd.cpu_weight": Since("systemd", (232,), "systemd: NEWS, 232"),
    "systemd.memory_swap_max": Since("systemd", (232,), "systemd: NEWS, 232"),
    "systemd.private_users": Since("systemd", (232,), "systemd: NEWS, 232"),
    "systemd.protect_system_strict": Since("systemd", (232,), "systemd: NEWS, 232"),
    "systemd.restrict_namespaces": Since("systemd", (233,), "systemd: NEWS, 233"),
    "systemd.lock_personality": Since("systemd", (235,), "systemd: NEWS, 235"),
    "systemd.state_directory": Since("systemd", (235,), "systemd: NEWS, 235"),
    "systemd.type_exec": Since("systemd", (240,), "systemd: NEWS, 240"),
    "systemd.protect_hostname": Since("systemd", (242,), "systemd: NEWS, 242"),
    "systemd.restrict_suid_sgid": Since("systemd", (242,), "systemd: NEWS, 242"),
    "systemd.oom_policy": Since("systemd", (243,), "systemd: NEWS, 243"),
    "systemd.protect_kernel_logs": Since("systemd", (244,), "systemd: NEWS, 244"),
    "systemd.protect_clock": Since("systemd", (245,), "systemd: NEWS, 245"),
    "systemd.load_credential": Since("systemd", (247,), "systemd: NEWS, 247"),
    "systemd.proc_subset": Since("systemd", (247,), "systemd: NEWS, 247"),
    "systemd.protect_proc": Since("systemd", (247,), "systemd: NEWS, 247"),
    "systemd.exec_paths": Since("systemd", (248,), "systemd: NEWS, 248"),
    "systemd.private_ipc": Since("systemd", (248,), "systemd: NEWS, 248"),
    "systemd.restrict_file_systems": Since("systemd", (250,), "systemd: NEWS, 250"),
    "systemd.security_offline": Since("systemd", (250,), "systemd: NEWS, 250"),
    "systemd.type_notify_reload": Since("systemd", (253,), "systemd: NEWS, 253"),
    "systemd.memory_zswap_max": Since("systemd", (253,), "systemd: NEWS, 253"),
    "systemd.restart_steps": Since("systemd", (254,), "systemd: NEWS, 254"),
    # OpenSSL
    "openssl.x25519mlkem768": Since("openssl", (3, 5), "OpenSSL 3.5: CHANGES"),
    # Redis and Valkey
    "redis.lfu": Since("redis", (4, 0), "Redis 4.0: release notes"),
    "redis.io_threads": Since("redis", (6, 0), "Redis 6.0: release notes"),
    "redis.maxmemory_clients": Since("redis", (7, 0), "Redis 7.0: release notes"),
    "valkey.lfu": Since("valkey", (7, 2), "Valkey 7.2: from Redis 7.2"),
    "valkey.io_threads": Since("valkey", (7, 2), "Valkey 7.2: from Redis 7.2"),
    "valkey.maxmemory_clients": Since("valkey", (7, 2), "Valkey 7.2: from Redis 7.2"),
    # Python
    "python.task_groups": Since("python", (3, 11), "What's New In Python 3.11"),
    "python.process_cpu_count": Since("python", (3, 13), "What's New In Python 3.13"),
    "python.free_threaded": Since("python", (3, 13), "PEP 703", module="free-threaded"),
    "python.free_threaded_supported": Since("python", (3, 14), "PEP 779", module="free-threaded"),
    "python.forkserver": Since("python", (3, 14), "What's New In Python 3.14, multiprocessing"),
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
        there = since.module is None or since.module in component.modules
        told[f"can.{name}"] = there and _able(version, since)
    return told


def _able(version: Version, since: Since) -> bool:
    """Whether the version lies between; one that is cut short, such as 24 for 24.0, too."""
    bare = _bare(version)
    return bare >= _bare(since.first) and (since.until is None or bare < _bare(since.until))


def _bare(version: Version) -> Version:
    """Without the zeros at its end: 24, 24.0 and 24.0.0 are one version."""
    while version and version[-1] == 0:
        version = version[:-1]
    return version
