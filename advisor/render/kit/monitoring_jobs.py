"""What Prometheus scrapes: an exporter beside each part that is rendered, and no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from advisor.render.kit.caddy import wanted as has_caddy
from advisor.render.kit.nginx import wanted as has_nginx
from advisor.render.kit.nginx_lines import lacks
from advisor.render.kit.nginx_listen import STATUS_LISTEN, reaches_app
from advisor.render.kit.redis import wanted as has_redis
from advisor.render.kit.systemd_names import has_dropin, has_unit, unit
from advisor.render.kit.workers import has_celery, has_rq, unit_name

if TYPE_CHECKING:
    from advisor.render.values import Inputs

Part = Literal["node", "cadvisor", "nginx", "caddy", "redis"]

# Prometheus's wiki, default port allocations; Caddy's admin endpoint. cAdvisor's own 8080 is
# many an app's: Debian's package has it on 4194.
PORTS: dict[Part, int] = {
    "node": 9100,
    "cadvisor": 4194,
    "nginx": 9113,
    "caddy": 2019,
    "redis": 9121,
}
# node_exporter's README: the systemd collector and these two figures are off by default.
NODE = (
    "node_exporter, with --collector.systemd --collector.systemd.enable-task-metrics",
    "--collector.systemd.enable-restarts-metrics: the units, their tasks and restarts.",
)
CADVISOR = ("cAdvisor, with --port=4194: memory and CPU of the unit's control group.",)
NGINX = (
    f"nginx-prometheus-exporter, with --nginx.scrape-uri=http://{STATUS_LISTEN}/stub_status.",
    "Those counters are the host's, over all its sites, and know neither status nor time: with",
    "nginx there is no alert on errors or slow answers here.",
)
CADDY = (
    "Caddy itself, by its admin endpoint, which answers on its own host alone: scrape it from",
    "there. Its figures are those of all its sites.",
)
REDIS = (
    "redis_exporter. A password is its own to know: --redis.password-file, or REDIS_PASSWORD in",
    "its environment.",
)


@dataclass(frozen=True)
class Job:
    """One job: what answers (`says`), and where, on each host."""

    part: Part
    name: str
    targets: tuple[str, ...]
    says: tuple[str, ...]


def jobs(inputs: Inputs) -> list[Job]:
    """The jobs, in the order of the tree; their names begin with the app's."""
    wanted: list[tuple[Part, tuple[str, ...], bool]] = [
        ("node", NODE, bool(units(inputs))),
        ("cadvisor", CADVISOR, is_limited(inputs)),
        ("nginx", NGINX, shows_nginx(inputs)),
        ("caddy", CADDY, has_caddy(inputs) and not reaches_app(inputs.intent)),
        ("redis", REDIS, has_redis(inputs)),
    ]
    return [
        Job(part, job_name(inputs, part), _targets(inputs, PORTS[part]), says)
        for part, says, is_wanted in wanted
        if is_wanted
    ]


def job_name(inputs: Inputs, part: Part) -> str:
    """The name of a part's job, by which rules and panels select its figures."""
    return f"{inputs.intent.app_name}-{part}"


def units(inputs: Inputs) -> dict[str, str]:
    """The services that are rendered, or added to, by what runs in them."""
    has_service = has_unit(inputs) or has_dropin(inputs)
    return {
        **({"Service": unit(inputs.intent)} if has_service else {}),
        **({"Celery": unit_name(inputs, "celery")} if has_celery(inputs) else {}),
        **({"Rq": unit_name(inputs, "rq")} if has_rq(inputs) else {}),
    }


def is_limited(inputs: Inputs) -> bool:
    """Whether the app's unit has a limit whose use only its control group tells."""
    limits = ("systemd.memory_high", "systemd.cpu_quota")
    is_set = any(inputs.values[id_] is not None for id_ in limits)
    return is_set and (has_unit(inputs) or has_dropin(inputs))


def shows_nginx(inputs: Inputs) -> bool:
    """Whether an nginx of ours stands beside the app, and shows its counters."""
    beside = has_nginx(inputs) and not reaches_app(inputs.intent)
    return beside and not lacks(inputs, "http_stub_status")


def _targets(inputs: Inputs, port: int) -> tuple[str, ...]:
    """An exporter on every host, or on this one."""
    intent = inputs.intent
    hosts = [host.rpartition(":")[0] for host in intent.hosts or () if not intent.sockets]
    return tuple(f"{host}:{port}" for host in dict.fromkeys(hosts or ["127.0.0.1"]))
