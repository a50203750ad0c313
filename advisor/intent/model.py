"""advisor.yml: what the user wants. This model is its schema and its documentation.

Every string that can reach a rendered file is matched against an allow-list (words.py): a value
that a configuration grammar could read as syntax is refused with its field's name, never
escaped. M and G in sizes are powers of 1024.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from advisor.documents import Value
from advisor.intent.words import (
    Domain,
    Duration,
    EnvironmentName,
    EnvironmentValue,
    Listen,
    Module,
    Name,
    Path,
    Positive,
    PositiveInt,
    SettingId,
    Size,
    Unit,
    Upstream,
    UrlPath,
    User,
)

# The parts of a deployment that can be ours; what is not named is left alone.
Managed = Literal[
    "server",
    "proxy",
    "systemd",
    "default-server",
    "sysctl",
    "redis",
    "workers",
    "monitoring",
]


class Section(BaseModel):
    """Base of advisor.yml's mappings: frozen, strict, no unknown keys, no NaN."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class App(Section):
    """The app and where it lives."""

    name: Name | None = None
    module: Module
    interface: Literal["asgi", "wsgi"] | None = None
    directory: Path | None = None
    virtualenv: Path | None = None
    user: User | None = None
    health: UrlPath | None = None
    environment: dict[EnvironmentName, EnvironmentValue] = {}
    environment_file: Path | None = None
    writable: list[Path] = []


class Tls(Section):
    """A certificate and its key, or `acme: true`."""

    certificate: Path | None = None
    key: Path | None = None
    acme: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.acme == bool(self.certificate or self.key) or bool(self.certificate) != bool(
            self.key
        ):
            raise ValueError("give certificate and key together, or acme: true")
        return self


class Cache(Section):
    """How long one answer may serve everybody."""

    microcache: Duration


class Targets(Section):
    """What the app must reach: requests a second, seconds at p99, requests in flight."""

    rate_rps: Positive | None = None
    p99_s: Positive | None = None
    concurrency: PositiveInt | None = None


class Budget(Section):
    """What this app's server processes may use, the surge of a reload included."""

    memory: Size | None = None
    cpus: Positive | None = None


class Database(Section):
    """Connections the database allows, and those kept for others."""

    max_connections: PositiveInt
    reserved: Annotated[int, Field(ge=0)] = 0


class Redis(Section):
    """What Redis is used for."""

    role: Literal["cache", "broker", "store"]


class Celery(Section):
    """Background workers that share the host."""

    app: Module
    kind: Literal["cpu", "io"]


class Rq(Section):
    """RQ's workers, which take their jobs from these queues, the first of them first."""

    queues: Annotated[list[Name], Field(min_length=1)]
    kind: Literal["cpu", "io"]


class Background(Section):
    """Background work that shares the host's budget."""

    celery: Celery | None = None
    rq: Rq | None = None


class Limits(Section):
    """What one client may send."""

    request_body: Size | None = None
    rate_per_client_rps: Positive | None = None


class Systemd(Section):
    """Our own unit, or a drop-in on one that exists."""

    mode: Literal["unit", "dropin"]
    unit: Unit | None = None


class Intent(Section):
    """advisor.yml: one app. Only `app.module` has to be there."""

    app: App
    server: Literal["gunicorn", "uvicorn", "hypercorn", "granian"] | None = None
    listen: Listen | None = None
    proxy: Literal["nginx", "caddy", "none"] | None = None
    domain: Domain | None = None
    tls: Tls | None = None
    static: dict[UrlPath, Path] = {}
    routes: dict[UrlPath, Literal["websocket", "stream"] | Cache] = {}
    targets: Targets = Targets()
    budget: Budget = Budget()
    database: Database | None = None
    redis: Redis | None = None
    background: Background | None = None
    limits: Limits = Limits()
    # Every host that serves this app, as the load balancer reaches it; one where left out. Or, of
    # one host, the sockets of the app's instances.
    hosts: list[Upstream] = []
    manage: list[Managed] | None = None
    systemd: Systemd | None = None
    pins: dict[SettingId, Value] = {}
