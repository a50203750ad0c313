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

from advisor.documents.base import (
    Amount,
    Count,
    Document,
    Estimate,
    Number,
    Pid,
    Prediction,
    Ratio,
    Scalar,
    Unknown,
    Value,
)
from advisor.documents.facts import (
    APP_ENVIRONMENT,
    FACTS_SCHEMA,
    Component,
    Cpu,
    Facts,
    Host,
    Interface,
    Kernel,
    Limit,
    Memory,
    Redis,
    Server,
    Worker,
)
from advisor.documents.measurement import (
    MEASUREMENT_SCHEMA,
    Balance,
    Cacheable,
    Carried,
    Cost,
    HttpFacts,
    Limiter,
    Measurement,
    Observed,
    OpenLoop,
    RouteResult,
    Step,
    Target,
    ThreadDemand,
    Throughput,
    Verdict,
    WorkerMemory,
)
from advisor.documents.recommendation import (
    RECOMMENDATION_SCHEMA,
    Alternative,
    AppRef,
    Finding,
    HostRef,
    Outlook,
    Recommendation,
    Resolved,
    Setting,
)

__all__ = [
    "APP_ENVIRONMENT",
    "FACTS_SCHEMA",
    "MEASUREMENT_SCHEMA",
    "RECOMMENDATION_SCHEMA",
    "Alternative",
    "Amount",
    "AppRef",
    "Balance",
    "Cacheable",
    "Carried",
    "Component",
    "Cost",
    "Count",
    "Cpu",
    "Document",
    "Estimate",
    "Facts",
    "Finding",
    "Host",
    "HostRef",
    "HttpFacts",
    "Interface",
    "Kernel",
    "Limit",
    "Limiter",
    "Measurement",
    "Memory",
    "Number",
    "Observed",
    "OpenLoop",
    "Outlook",
    "Pid",
    "Prediction",
    "Ratio",
    "Recommendation",
    "Redis",
    "Resolved",
    "RouteResult",
    "Scalar",
    "Server",
    "Setting",
    "Step",
    "Target",
    "ThreadDemand",
    "Throughput",
    "Unknown",
    "Value",
    "Verdict",
    "Worker",
    "WorkerMemory",
]
