"""Alerts on what stands beside the app: its proxy, and its Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.render.kit.monitoring_alert import NEAR_RATIO, ON, Alert

if TYPE_CHECKING:
    from advisor.render.kit.monitoring_jobs import Job
    from advisor.render.values import Inputs

# Of all answers; less is a deployment, or one bad client.
ERROR_RATIO = 0.05
# What a person takes for an interruption (Nielsen: Usability Engineering, 1993).
SLOW_S = 1
# Below it a cache costs more than it saves, as long as it drops what was not read yet.
HIT_RATIO = 0.5


def of_nginx(_: Inputs, job: Job) -> list[Alert]:
    """What nginx's own counters say, of all its sites."""
    own = f'{{job="{job.name}"}}'
    return [
        Alert(
            "NginxDown",
            f"nginx_up{own}",
            ("==", 0),
            "2m",
            "critical",
            f"{ON}nginx does not answer for its counters.",
            "systemctl status nginx; nginx -t says whether its configuration is refused.",
        ),
        Alert(
            "NginxDropsConnections",
            f"increase(nginx_connections_accepted{own}[10m]) - "
            f"increase(nginx_connections_handled{own}[10m])",
            (">=", 1),
            "0m",
            "warning",
            f"{ON}nginx dropped connections, for it was at a limit of its own.",
            "Its error log says which: worker_connections, or worker_rlimit_nofile below twice "
            "that.",
        ),
    ]


def of_caddy(_: Inputs, job: Job) -> list[Alert]:
    """Over all handlers: which of a site's count its requests depends on site and version.

    What Caddy answers for an app that is not there has no status in an older one (tried with
    2.6.2 and 2.11.7), so that errors are what is missing to all requests.
    """
    name = "caddy_http_request_duration_seconds"
    own = f'job="{job.name}"'
    asked = f"rate(caddy_http_requests_total{{{own}}}[5m])"
    fine = f'rate({name}_count{{{own},code!~"5.."}}[5m])'
    return [
        Alert(
            "Errors",
            f"1 - (sum by (instance) ({fine}) or 0 * sum by (instance) ({asked})) / "
            f"sum by (instance) ({asked})",
            (">", ERROR_RATIO),
            "5m",
            "critical",
            f"{ON}more than one answer in twenty is an error of the server.",
            "Caddy's access log has the paths: 502 and 504 are an app that is down or slow, 500 "
            "is its own, with its reason in its journal. A Caddy such as 2.6 counts its own 404 "
            "and 413 here too.",
            unit="percentunit",
        ),
        Alert(
            "Slow",
            f"histogram_quantile(0.95, sum by (instance, le) (rate({name}_bucket{{{own}}}[5m])))",
            (">", SLOW_S),
            "10m",
            "warning",
            f"{ON}one answer in twenty takes longer than {SLOW_S} s.",
            "advisor probe says what the app waits for. Streams and WebSockets are long by nature.",
            unit="s",
        ),
    ]


def of_redis(inputs: Inputs, job: Job) -> list[Alert]:
    """Whether it takes writes, keeps what must stay, and saves what it is told to save."""
    own = f'{{job="{job.name}"}}'
    return [
        Alert(
            "RedisDown",
            f"redis_up{own}",
            ("==", 0),
            "2m",
            "critical",
            f"{ON}Redis does not answer its exporter.",
            "systemctl status redis-server; the exporter's own log, if it is the password.",
        ),
        *_full(inputs, own),
        *_dropping(inputs, own),
        Alert(
            "RedisRejectsClients",
            f"increase(redis_rejected_connections_total{own}[10m])",
            (">", 0),
            "0m",
            "warning",
            f"{ON}Redis refused connections: it has as many clients as maxclients.",
            "CLIENT LIST says whose they are: a pool without a limit, or one for each request.",
        ),
        *_unwritten(inputs, own),
    ]


def _full(inputs: Inputs, own: str) -> list[Alert]:
    """Full, a Redis that drops nothing refuses writes; a cache is meant to be full."""
    most = inputs.values["redis.maxmemory"]
    if not most or inputs.values["redis.maxmemory_policy"] not in {None, "noeviction"}:
        return []
    return [
        Alert(
            "RedisNearMaxmemory",
            f"redis_memory_used_bytes{own}",
            (">", int(NEAR_RATIO * most)),
            "5m",
            "critical",
            f"{ON}Redis is near its maxmemory, and refuses writes beyond it.",
            "redis-cli --bigkeys says what grows: queues nobody works off, keys without an expiry.",
            unit="bytes",
            why=inputs.why["redis.maxmemory"],
        )
    ]


def _dropping(inputs: Inputs, own: str) -> list[Alert]:
    """A cache drops keys every day: there the question is whether it still helps."""
    evicted = f"increase(redis_evicted_keys_total{own}[10m])"
    if inputs.intent.redis_role != "cache":
        return [
            Alert(
                "RedisEvicts",
                evicted,
                (">", 0),
                "0m",
                "critical",
                f"{ON}Redis dropped keys, and this one is no cache.",
                "CONFIG GET maxmemory-policy: it should be noeviction. What is gone is gone: see "
                "which jobs or sessions are missing.",
            )
        ]
    hits, misses = (f"rate(redis_keyspace_{kind}_total{own}[30m])" for kind in ("hits", "misses"))
    return [
        Alert(
            "RedisCacheTooSmall",
            f"{hits} / ({hits} + {misses})",
            ("<", HIT_RATIO),
            "30m",
            "warning",
            f"{ON}the cache drops keys, and fewer than half of the reads find theirs.",
            "More memory for it (redis.maxmemory), or fewer and shorter-lived keys.",
            unit="percentunit",
            only_if=f"{evicted} > 0",
        )
    ]


def _unwritten(inputs: Inputs, own: str) -> list[Alert]:
    if inputs.values["redis.appendonly"] != "yes":
        return []
    return [
        Alert(
            "RedisLogFails",
            f"redis_aof_last_write_status{own}",
            ("==", 0),
            "1m",
            "critical",
            f"{ON}Redis cannot write its append-only file, and refuses writes until it can.",
            "A full disk, most often: df, and Redis's own log.",
            why=inputs.why["redis.appendonly"],
        )
    ]
