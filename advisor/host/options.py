"""The options of each server's command line, as far as reading one needs them.

Names are the servers' own settings. Every option that takes no value has to be here, or the
word after it would be taken for its value; of the others only those that count are.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

# gunicorn 27's config.KNOWN_SETTINGS: those that say how the app is served. Paths of keys,
# log formats and the app's environment are left out: they are nobody's business here.
GUNICORN = {
    "config": ("-c", "--config"),
    "bind": ("-b", "--bind"),
    "backlog": ("--backlog",),
    "workers": ("-w", "--workers"),
    "worker_class": ("-k", "--worker-class"),
    "threads": ("--threads",),
    "worker_connections": ("--worker-connections",),
    "max_requests": ("--max-requests",),
    "max_requests_jitter": ("--max-requests-jitter",),
    "timeout": ("-t", "--timeout"),
    "graceful_timeout": ("--graceful-timeout",),
    "keepalive": ("--keep-alive",),
    "limit_request_line": ("--limit-request-line",),
    "limit_request_fields": ("--limit-request-fields",),
    "limit_request_field_size": ("--limit-request-field_size",),
    "chdir": ("--chdir",),
    "worker_tmp_dir": ("--worker-tmp-dir",),
    "user": ("-u", "--user"),
    "group": ("-g", "--group"),
    "umask": ("-m", "--umask"),
    "pidfile": ("-p", "--pid"),
    "proc_name": ("-n", "--name"),
    "forwarded_allow_ips": ("--forwarded-allow-ips",),
    "pythonpath": ("--pythonpath",),
    "root_path": ("--root-path",),
    "control_socket": ("--control-socket",),
}
GUNICORN_FLAGS = {
    "preload_app": ("--preload",),
    "reload": ("--reload",),
    "reuse_port": ("--reuse-port",),
    "daemon": ("-D", "--daemon"),
    "control_socket_disable": ("--no-control-socket",),
}
GUNICORN_OTHER = (
    *("--reload-engine", "--reload-extra-file", "-e", "--env", "--access-logfile"),
    *("--access-logformat", "--error-logfile", "--log-file", "--log-level", "--logger-class"),
    *("--log-config", "--log-config-json", "--log-syslog-to", "--log-syslog-prefix"),
    *("--log-syslog-facility", "--statsd-host", "--dogstatsd-tags", "--statsd-prefix"),
    *("--paste", "--paster", "--paste-global", "--proxy-allow-from", "--protocol"),
    *("--uwsgi-allow-from", "--keyfile", "--certfile", "--ssl-version", "--cert-reqs"),
    *("--ca-certs", "--ciphers", "--http-protocols", "--http2-cleartext"),
    *("--http2-max-concurrent-streams", "--http2-initial-window-size"),
    *("--http2-max-frame-size", "--http2-max-header-list-size", "--forwarder-headers"),
    *("--header-map", "--asgi-loop", "--asgi-lifespan", "--asgi-disconnect-grace-period"),
    *("--websocket-max-message-size", "--http-parser", "--dirty-app", "--dirty-workers"),
    *("--dirty-timeout", "--dirty-threads", "--dirty-graceful-timeout", "--control-socket-mode"),
)
GUNICORN_OTHER_FLAGS = (
    *("--spew", "--check-config", "--print-config", "--no-sendfile", "--initgroups"),
    *("--disable-redirect-access-to-syslog", "--capture-output", "--log-syslog", "-R"),
    *("--enable-stdio-inheritance", "--enable-backlog-metric", "--suppress-ragged-eofs"),
    *("--do-handshake-on-connect", "--permit-obsolete-folding", "--strip-header-spaces"),
    *("--permit-unconventional-http-method", "--permit-unconventional-http-version"),
    *("--casefold-http-method",),
)
# Settings that a configuration file can give and the command line cannot.
GUNICORN_FILE_ONLY = ("wsgi_app",)

UVICORN = {
    "host": ("--host",),
    "port": ("--port",),
    "uds": ("--uds",),
    "fd": ("--fd",),
    "workers": ("--workers",),
    "loop": ("--loop",),
    "http": ("--http",),
    "ws": ("--ws",),
    "lifespan": ("--lifespan",),
    "interface": ("--interface",),
    "forwarded_allow_ips": ("--forwarded-allow-ips",),
    "root_path": ("--root-path",),
    "limit_concurrency": ("--limit-concurrency",),
    "limit_max_requests": ("--limit-max-requests",),
    "limit_max_requests_jitter": ("--limit-max-requests-jitter",),
    "backlog": ("--backlog",),
    "timeout_keep_alive": ("--timeout-keep-alive",),
    "timeout_graceful_shutdown": ("--timeout-graceful-shutdown",),
    "timeout_worker_healthcheck": ("--timeout-worker-healthcheck",),
    "app_dir": ("--app-dir",),
}
UVICORN_FLAGS = {"reload": ("--reload",), "factory": ("--factory",)}
UVICORN_OTHER = (
    *("--reload-dir", "--reload-include", "--reload-exclude", "--reload-delay", "--ws-max-size"),
    *("--ws-max-queue", "--ws-ping-interval", "--ws-ping-timeout", "--ws-per-message-deflate"),
    *("--env-file", "--log-config", "--log-level", "--ssl-keyfile", "--ssl-certfile"),
    *("--ssl-keyfile-password", "--ssl-version", "--ssl-cert-reqs", "--ssl-ca-certs"),
    *("--ssl-ciphers", "--header", "--h11-max-incomplete-event-size"),
)
UVICORN_OTHER_FLAGS = (
    *("--use-colors", "--no-use-colors", "--access-log", "--no-access-log", "--proxy-headers"),
    *("--no-proxy-headers", "--server-header", "--no-server-header", "--date-header"),
    *("--no-date-header", "--reset-contextvars", "--http2"),
)

# hypercorn 0.18's arguments, by the names that its Config and a TOML file give them.
HYPERCORN = {
    "config": ("-c", "--config"),
    "bind": ("-b", "--bind"),
    "insecure_bind": ("--insecure-bind",),
    "quic_bind": ("--quic-bind",),
    "backlog": ("--backlog",),
    "workers": ("-w", "--workers"),
    "worker_class": ("-k", "--worker-class"),
    "graceful_timeout": ("--graceful-timeout",),
    "keep_alive_timeout": ("--keep-alive",),
    "read_timeout": ("--read-timeout",),
    "max_requests": ("--max-requests",),
    "max_requests_jitter": ("--max-requests-jitter",),
    "root_path": ("--root-path",),
    "pid_path": ("-p", "--pid"),
    "umask": ("-m", "--umask"),
    "user": ("-u", "--user"),
    "group": ("-g", "--group"),
}
HYPERCORN_FLAGS = {"use_reloader": ("--reload",), "debug": ("--debug",)}
HYPERCORN_OTHER = (
    *("--access-log", "--access-logfile", "--access-logformat", "--ca-certs", "--certfile"),
    *("--cert-reqs", "--ciphers", "--error-log", "--error-logfile", "--log-file", "--keyfile"),
    *("--keyfile-password", "--log-config", "--log-level", "--server-name", "--statsd-host"),
    *("--statsd-prefix", "--verify-mode", "--websocket-ping-interval"),
)
HYPERCORN_OTHER_FLAGS = ("-D", "--daemon")
# Settings of a configuration file that say how the app is served.
HYPERCORN_FILE_ONLY = ("keep_alive_max_requests", "max_app_queue_size", "h2_max_concurrent_streams")

GRANIAN = {
    "host": ("--host",),
    "port": ("--port",),
    "uds": ("--uds",),
    "interface": ("--interface",),
    "http": ("--http",),
    "workers": ("--workers",),
    "blocking_threads": ("--blocking-threads",),
    "blocking_threads_idle_timeout": ("--blocking-threads-idle-timeout",),
    "runtime_threads": ("--runtime-threads",),
    "runtime_blocking_threads": ("--runtime-blocking-threads",),
    "runtime_mode": ("--runtime-mode",),
    "loop": ("--loop",),
    "task_impl": ("--task-impl",),
    "backlog": ("--backlog",),
    "backpressure": ("--backpressure",),
    "http1_header_read_timeout": ("--http1-header-read-timeout",),
    "url_path_prefix": ("--url-path-prefix",),
    "respawn_interval": ("--respawn-interval",),
    "workers_lifetime": ("--workers-lifetime",),
    "workers_max_rss": ("--workers-max-rss",),
    "workers_kill_timeout": ("--workers-kill-timeout",),
    "working_dir": ("--working-dir",),
}
GRANIAN_SWITCHES = {
    "websockets": "ws",
    "http1_keep_alive": "http1-keep-alive",
    "respawn_failed_workers": "respawn-failed-workers",
    "factory": "factory",
    "reload": "reload",
}
GRANIAN_OTHER = (
    *("--uds-permissions", "--http1-buffer-size", "--http2-initial-connection-window-size"),
    *("--http2-initial-stream-window-size", "--http2-keep-alive-interval", "--log-level"),
    *("--http2-keep-alive-timeout", "--http2-max-concurrent-streams", "--http2-max-frame-size"),
    *("--http2-max-headers-size", "--http2-max-send-buffer-size", "--log-config"),
    *("--access-log-fmt", "--ssl-certificate", "--ssl-keyfile", "--ssl-keyfile-password"),
    *("--ssl-protocol-min", "--ssl-ca", "--ssl-crl", "--rss-sample-interval", "--rss-samples"),
    *("--env-files", "--static-path-route", "--static-path-mount", "--static-path-dir-to-file"),
    *("--static-path-expires", "--metrics-scrape-interval", "--metrics-address"),
    *("--metrics-port", "--reload-paths", "--reload-ignore-dirs", "--reload-ignore-patterns"),
    *("--reload-ignore-paths", "--reload-tick", "--process-name", "--pid-file"),
)
GRANIAN_OTHER_SWITCHES = (
    *("http1-pipeline-flush", "http2-adaptive-window", "log", "access-log", "ssl-client-verify"),
    *("metrics", "reload-ignore-worker-failure"),
)

# Variables that count like an option (click's auto_envvar_prefix): the prefix, and the only
# names that are looked at.
VARIABLES = {
    "UVICORN_": (
        *("host", "port", "uds", "workers", "loop", "http", "interface", "backlog"),
        *("limit_concurrency", "limit_max_requests", "timeout_keep_alive"),
        "timeout_graceful_shutdown",
    ),
    "GRANIAN_": (
        *("host", "port", "uds", "interface", "workers", "blocking_threads", "runtime_threads"),
        *("runtime_mode", "backlog", "backpressure", "loop"),
    ),
}

# `fastapi run` and `fastapi dev` start Uvicorn.
FASTAPI = {
    "host": ("--host",),
    "port": ("--port",),
    "workers": ("--workers",),
    "root_path": ("--root-path",),
    "forwarded_allow_ips": ("--forwarded-allow-ips",),
    "app": ("--app",),
    "entrypoint": ("-e", "--entrypoint"),
}
FASTAPI_FLAGS = {"reload": ("--reload",)}
FASTAPI_OTHER = ("--reload-dir",)
FASTAPI_OTHER_FLAGS = ("--no-reload", "--proxy-headers", "--no-proxy-headers")

REPEATED = {"bind", "insecure_bind", "quic_bind"}


class _Parser(argparse.ArgumentParser):
    """An argument parser for other programs' arguments: it raises instead of leaving."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _parser(
    valued: Mapping[str, tuple[str, ...]],
    flags: Mapping[str, tuple[str, ...]],
    other: tuple[str, ...],
    other_flags: tuple[str, ...],
    *,
    abbreviations: bool,
    switches: Mapping[str, str] | None = None,
) -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=abbreviations, argument_default=argparse.SUPPRESS)
    for name, spellings in valued.items():
        parser.add_argument(*spellings, dest=name, action="append" if name in REPEATED else "store")
    for name, spellings in flags.items():
        parser.add_argument(*spellings, dest=name, action="store_true")
    for name, word in (switches or {}).items():
        parser.add_argument(f"--{word}", dest=name, action="store_true")
        parser.add_argument(f"--no-{word}", dest=name, action="store_false")
    for spelling in other:
        parser.add_argument(spelling, dest="_")
    for spelling in other_flags:
        parser.add_argument(spelling, dest="_", action="store_true")
    if valued is GUNICORN:  # takes a value or none
        parser.add_argument("--proxy-protocol", dest="_", nargs="?")
    parser.add_argument("words", nargs="*")
    return parser


PARSERS = {
    "gunicorn": _parser(
        GUNICORN, GUNICORN_FLAGS, GUNICORN_OTHER, GUNICORN_OTHER_FLAGS, abbreviations=True
    ),
    "uvicorn": _parser(
        UVICORN, UVICORN_FLAGS, UVICORN_OTHER, UVICORN_OTHER_FLAGS, abbreviations=False
    ),
    "fastapi": _parser(
        FASTAPI, FASTAPI_FLAGS, FASTAPI_OTHER, FASTAPI_OTHER_FLAGS, abbreviations=False
    ),
    "hypercorn": _parser(
        HYPERCORN, HYPERCORN_FLAGS, HYPERCORN_OTHER, HYPERCORN_OTHER_FLAGS, abbreviations=True
    ),
    "granian": _parser(
        GRANIAN,
        {},
        GRANIAN_OTHER,
        tuple(f"--{no}{word}" for word in GRANIAN_OTHER_SWITCHES for no in ("", "no-")),
        abbreviations=False,
        switches=GRANIAN_SWITCHES,
    ),
}
GUNICORN_SETTINGS = frozenset(GUNICORN) | frozenset(GUNICORN_FLAGS) | frozenset(GUNICORN_FILE_ONLY)
HYPERCORN_SETTINGS = (
    (frozenset(HYPERCORN) - {"config"})
    | frozenset(HYPERCORN_FLAGS)
    | frozenset(HYPERCORN_FILE_ONLY)
)


def parse(program: str, arguments: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The settings and the words of a command line; `ValueError` where it makes no sense.

    Options that are not known here are passed over.
    """
    found, _ = PARSERS[program].parse_known_intermixed_args(arguments)
    values = vars(found)
    words = values.pop("words", [])
    values.pop("_", None)
    return values, words
