"""What to set for one app on one host, and why."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from advisor.documents.base import Amount, Count, Document, Prediction, Unknown, Value
from advisor.documents.facts import Component

RECOMMENDATION_SCHEMA: Final = "advisor/recommendation/1"


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


class Sensitivity(Document):
    """What the setting would be were one of its inputs another: `input` at `at` gives `value`."""

    input: str
    at: Value
    value: Value


class Setting(Document):
    """One value of one component. Null is "leave the product's default".

    `paste` holds the lines that apply a setting which no file of ours can (`applied_by: code`).
    """

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
    sensitivity: list[Sensitivity] = []
    paste: str | None = None


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
