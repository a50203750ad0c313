"""The documents that travel between commands: facts, measurement, recommendation.

All are frozen. Field names carry units: `_s` seconds, `_bytes`, `_rps` requests a second,
`_cores` CPU seconds a second, `_ratio` 0 to 1. A measured quantity is an `Estimate`
(`{value, low, high, n}`, a 95 % interval over n samples), a predicted one a `Prediction`
(no n).

A field without a default is part of the contract and always written, null included; a field
with one was gained later and is written only where it differs from its default. So the
documents of an older advisor read and write back unchanged.

Invalid data raises `pydantic.ValidationError`; `advisor.files` turns that into an
`InvalidInput` that names file and field.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

FACTS_SCHEMA: Final = "advisor/facts/1"
MEASUREMENT_SCHEMA: Final = "advisor/measurement/1"
RECOMMENDATION_SCHEMA: Final = "advisor/recommendation/1"

# The `what` of the unknown that a recommendation for an app that does not run carries on.
APP_ENVIRONMENT: Final = "the app's Python environment"

# An int stays an int and a float a float, so that a document is written back as it was read.
Number = int | float
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[Number, Field(ge=0)]
Ratio = Annotated[Number, Field(ge=0, le=1)]
Pid = Annotated[int, Field(gt=0)]
Scalar = bool | int | float | str | None
Value = Scalar | list[str] | list[int]


class Document(BaseModel):
    """Base of everything that travels: frozen, strict, no unknown keys, no NaN."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        populate_by_name=True,
        serialize_by_alias=True,
    )

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON or YAML, without the later fields that hold their default."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Unknown(Document):
    """Something that could not be told, why, and what would tell it."""

    what: str
    why: str
    remedy: str


class Estimate(Document):
    """A measured quantity with its 95 % interval over n samples."""

    value: Amount
    low: Amount
    high: Amount
    n: Count


class Prediction(Document):
    """A predicted quantity with its interval."""

    value: Amount
    low: Amount
    high: Amount


# --- facts ---------------------------------------------------------------------------------


class Host(Document):
    """What machine this is."""

    name: str
    os: str
    kernel: str
    arch: str


class Limit(Document):
    """One limit and where it was read; null is "no limit here".

    Units: CPUs for a CPU limit, bytes for a memory limit. `used_bytes` is what all processes
    under a memory limit use, reclaimable page cache left out.
    """

    source: str
    kind: Literal["affinity", "cpuset", "quota", "total", "max", "high"]
    value: Amount | None
    used_bytes: Count | None = None


class Cpu(Document):
    """The CPUs a process may use. `binding` is the source of the limit that decides."""

    logical: Annotated[int, Field(gt=0)]
    physical: Count | None
    effective: Annotated[Number, Field(gt=0)]
    quota: Literal["limited", "none", "unknown"]
    binding: str
    limits: list[Limit]


class Memory(Document):
    """The memory a process may use, in bytes. `others_bytes`: used by all but the servers found."""

    total_bytes: Annotated[int, Field(gt=0)]
    available_bytes: Count
    effective_bytes: Annotated[int, Field(gt=0)]
    binding: str
    limits: list[Limit]
    others_bytes: Count | None = None


class Kernel(Document):
    """Kernel and descriptor limits that apply to the chosen process."""

    somaxconn: Count | None
    nofile_soft: Count | None
    nofile_hard: Count | None
    ip_local_port_range: Annotated[list[int], Field(min_length=2, max_length=2)] | None


class Component(Document):
    """A program found on the host; `modules` only where it has any that matter."""

    version: str
    modules: list[str] = []
    path: str | None = None


class Worker(Document):
    """A worker process; memory is null where it may not be read."""

    pid: Pid
    pss_bytes: Count | None
    uss_bytes: Count | None
    share_ratio: Ratio | None = None
    boot_cpu_s: Amount | None = None


class Server(Document):
    """A running app server: its master process and workers.

    A server of one process is its own worker: `master_pss_bytes` is then that process's PSS.
    `listen` holds `127.0.0.1:8000`, `[::1]:8000` or `unix:/path`. `settings` are the values
    its command line, environment and configuration file set, by the server's own names.
    """

    kind: str
    version: str | None
    pid: Pid
    app: str | None
    listen: list[str]
    worker_class: str | None
    threads: Count | None
    workers: list[Worker]
    interface: Literal["asgi", "wsgi"] | None = None
    user: str | None = None
    directory: str | None = None
    virtualenv: str | None = None
    python: str | None = None
    unit: str | None = None
    master_pss_bytes: Count | None = None
    settings: dict[str, Scalar] = {}


class Facts(Document):
    """What a host is, seen from one process (`pid`; the advisor's own where it is null)."""

    schema_: Literal["advisor/facts/1"] = Field(alias="schema")
    host: Host
    cpu: Cpu
    memory: Memory
    kernel: Kernel
    components: dict[str, Component]
    servers: list[Server]
    unknown: list[Unknown]
    pid: Pid | None = None


# --- measurement ---------------------------------------------------------------------------


class Target(Document):
    """What was measured. `through` names the proxies between client and app."""

    url: str
    pid: Pid | None
    server: str | None
    worker_class: str | None
    workers: Count | None
    threads: Count | None
    through: list[str]


Verdict = Literal["cpu", "event-loop-blocked", "concurrency", "downstream", "client", "unknown"]


class Limiter(Document):
    """What limits the app, how sure that is (0 to 1), and the figures that show it."""

    verdict: Verdict
    confidence: Ratio
    why: str
    evidence: dict[str, Scalar]


class Step(Document):
    """One closed-loop load step at a fixed number of connections."""

    connections: Count
    rps: Amount
    p50_s: Amount | None
    p99_s: Amount | None
    server_cpu_cores: Amount | None
    client_cpu_cores: Amount
    cpu_per_request_s: Amount | None
    errors: Count


class Throughput(Document):
    """The load steps, and the rate at the knee (null where no knee was looked for or found)."""

    knee_rps: Estimate | None
    steps: list[Step]


class Microcache(Document):
    """Whether a one-second shared cache may hold the answer, and why."""

    value: bool
    why: str


class HttpFacts(Document):
    """What single requests say about a route."""

    path: str
    status: Count
    content_type: str | None
    bytes: Count
    compressed: bool
    compressible_ratio: Amount | None
    stable: bool | None
    microcache: Microcache


class Cost(Document):
    """What the measurement itself cost."""

    requests: Count
    duration_s: Amount
    client_cpu_s: Amount
    server_cpu_s: Amount | None


class Measurement(Document):
    """What an app did when it was watched or loaded."""

    schema_: Literal["advisor/measurement/1"] = Field(alias="schema")
    mode: Literal["probe", "observe"]
    target: Target
    limiter: Limiter
    cpu_per_request_s: Estimate | None
    wait_per_request_s: Estimate | None
    blocked_per_request_s: Estimate | None
    latency_s: dict[Literal["p50", "p99"], Estimate | None]
    throughput: Throughput
    workers: list[Worker]
    memory_growth_bytes_per_request: Estimate | None
    http: list[HttpFacts]
    cost: Cost
    unknown: list[Unknown]


# --- recommendation ------------------------------------------------------------------------


class AppRef(Document):
    """The app a recommendation is for."""

    name: str
    module: str
    interface: Literal["asgi", "wsgi"]


class HostRef(Document):
    """The host a recommendation is for."""

    name: str


class Resolved(Document):
    """One value of the intent and where it comes from."""

    value: Value | dict[str, Any]
    from_: Literal["config", "observed", "default"] = Field(alias="from")


class Alternative(Document):
    """Another value of a setting and what it is predicted to cost."""

    value: Value
    throughput_rps: Amount | None = None
    memory_bytes: Count | None = None
    why: str | None = None


class Setting(Document):
    """One value of one component. Null is "leave the product's default"."""

    id: str
    value: Value
    unit: str | None
    why: str
    binding: str | None
    confidence: Literal["high", "medium", "low"]
    applied_by: Literal["file", "environment", "code"]
    pinned: bool
    inputs: dict[str, Value]
    alternatives: list[Alternative]
    source: str


class Finding(Document):
    """Something wrong or risky that no setting of ours mends."""

    id: str
    severity: Literal["info", "warning", "critical"]
    title: str
    detail: str
    evidence: dict[str, Value]
    remedy: str


class Outlook(Document):
    """What the settings are predicted to give at a concurrency."""

    concurrency: Annotated[int, Field(gt=0)]
    throughput_rps: Prediction | None
    latency_p50_s: Prediction | None
    latency_p99_s: Prediction | None
    memory_bytes: Prediction | None


class Recommendation(Document):
    """Settings, findings and predictions for one app on one host; all that render needs."""

    schema_: Literal["advisor/recommendation/1"] = Field(alias="schema")
    app: AppRef
    host: HostRef
    components: dict[str, Component]
    intent: dict[str, Resolved]
    settings: list[Setting]
    findings: list[Finding]
    prediction: Outlook
    unknown: list[Unknown]
