"""What an app did when it was watched or loaded."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from advisor.documents.base import Amount, Count, Document, Estimate, Pid, Ratio, Scalar, Unknown
from advisor.documents.facts import Worker

MEASUREMENT_SCHEMA: Final = "advisor/measurement/1"


class Target(Document):
    """What was measured. `through` names the proxies between client and app."""

    url: str
    pid: Pid | None
    server: str | None
    worker_class: str | None
    workers: Count | None
    threads: Count | None
    through: list[str]
    # An app behind a proxy: where the proxy sends its requests, such as 127.0.0.1:8000.
    upstream: str | None = None


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
    # Requests in the server's own queues, by Little's law over what a lone request takes.
    queue: Amount | None = None


class OpenLoop(Document):
    """Poisson arrivals at a fixed rate; latencies count from the scheduled send.

    `late_ratio` is the share that the generator itself sent more than 1 ms late;
    `utilisation_ratio` the rate over the knee's.
    """

    rate_rps: Amount
    utilisation_ratio: Ratio
    requests: Count
    errors: Count
    late_ratio: Ratio
    mean_s: Estimate | None
    p50_s: Estimate | None
    p99_s: Estimate | None


class Throughput(Document):
    """The load steps, and the rate at the knee (null where no knee was looked for or found)."""

    knee_rps: Estimate | None
    steps: list[Step]
    open_loop: OpenLoop | None = None
    knee_connections: Count | None = None


class Cacheable(Document):
    """Whether a cache may hold the answer, and why."""

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
    microcache: Cacheable  # the proxy's own, for a second
    cdn: Cacheable | None = None  # a shared cache that knows only the headers
    cache_control: str | None = None
    etag: Literal["strong", "weak"] | None = None
    last_modified: bool = False
    vary: list[str] = []
    sets_cookie: bool = False


class RouteResult(Document):
    """One route of a mix. `weight` is its share of the requests.

    CPU and waiting are of the route alone on two connections; latencies are under the mix.
    """

    path: str
    weight: Ratio
    requests: Count
    errors: Count
    p50_s: Amount | None
    p99_s: Amount | None
    cpu_per_request_s: Estimate | None
    wait_per_request_s: Estimate | None
    bytes_per_request: Amount | None = None


class ThreadDemand(Document):
    """Where the CPU of a request is spent: the main thread (an event loop's), and the rest."""

    main_s: Estimate
    others_s: Estimate


class WorkerMemory(Document):
    """What the workers share and what one more costs; null where it may not be read.

    `preloaded` says whether the app was imported before the fork, so that it is shared.
    """

    started_by: Literal["fork", "spawn", "itself", "unknown"]
    preloaded: bool | None
    marginal_bytes: Estimate | None
    shared_bytes: Count | None


class Balance(Document):
    """How evenly the work fell on the workers at the knee.

    `lost_ratio` is the share of throughput that an even spread would add, where the busiest
    worker was the limit; 0 where it was not.
    """

    busiest_ratio: Ratio
    even_ratio: Ratio
    lost_ratio: Amount


class Carried(Document):
    """Bytes a request moves, and how much of the carrier that is at the knee.

    `used_ratio` is of `capacity_bytes_per_s`; both null where the capacity is not known.
    """

    bytes_per_request: Estimate
    carrier: str
    capacity_bytes_per_s: Amount | None = None
    used_ratio: Amount | None = None


class Observed(Document):
    """Where an observation read the requests, and what came by: `source` is a path or a URL."""

    source: str
    kind: Literal["access-log", "stub-status"]
    format: str | None
    requests: Count
    errors: Count
    rate_rps: Amount
    upstream_time: bool = False


class ClassCost(Document):
    """What a worker class takes of a request that does nothing, measured on this host.

    `cpu_s` is CPU seconds of the server's processes a request, `held_s` the seconds that one
    saturated worker is held by it: the reciprocal of its rate, without the time that the load had
    its core (of two workers under Gunicorn). `wake_s` is what more CPU a request takes that comes
    now and then, and wakes an idle worker up to cold caches; null where that was not measured.
    """

    cpu_s: Amount
    held_s: Amount
    wake_s: Amount | None = None


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
    threads: ThreadDemand | None = None
    routes: list[RouteResult] = []
    worker_memory: WorkerMemory | None = None
    balance: Balance | None = None
    network: Carried | None = None
    disk: Carried | None = None
    observed: Observed | None = None
    # The host's name, as its facts have it: what a request costs is that host's.
    host: str | None = None
    # By worker class, as Target.worker_class spells it.
    class_costs: dict[str, ClassCost] = {}
