"""What is wrong or risky and no setting of ours mends: one small function a finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from advisor.documents import Finding
from advisor.model.constraints import BOOT_LIMIT_S
from advisor.quantities import count, duration, rate, size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from advisor.documents import Facts, Measurement, Resolved, Server, Value
    from advisor.model.choose import Plan


@dataclass(frozen=True, slots=True)
class Case:
    """All that a finding may rest on. `mended` is the plan once nothing blocks the loop."""

    facts: Facts
    measurement: Measurement | None
    server: Server | None
    intent: Mapping[str, Resolved]
    plan: Plan
    mended: Plan | None
    boot_cpu_s: float
    cores: float
    budget_bytes: int

    def value(self, key: str) -> Any:
        """The intent's value of `key`."""
        return self.intent[key].value


@dataclass(frozen=True, slots=True)
class Said:
    """A finding without its id and severity, which its registration gives."""

    title: str
    detail: str
    evidence: dict[str, Value]
    remedy: str


FINDINGS: dict[str, Callable[[Case], Finding | None]] = {}


def _finding(
    id_: str, severity: Literal["info", "warning", "critical"]
) -> Callable[[Callable[[Case], Said | None]], None]:
    """Register a function that says something about a case, or nothing."""

    def register(look: Callable[[Case], Said | None]) -> None:
        def made(case: Case) -> Finding | None:
            if (said := look(case)) is None:
                return None
            return Finding(
                id=id_,
                severity=severity,
                title=said.title,
                detail=said.detail,
                evidence=said.evidence,
                remedy=said.remedy,
            )

        FINDINGS[id_] = made

    return register


def find(case: Case) -> list[Finding]:
    """Every finding of the case, the gravest first."""
    grave = ("critical", "warning", "info")
    found = [finding for look in FINDINGS.values() if (finding := look(case))]
    return sorted(found, key=lambda finding: grave.index(finding.severity))


@_finding("event-loop-blocked", "critical")
def _blocked(case: Case) -> Said | None:
    seen = case.measurement
    if seen is None or case.mended is None or case.plan.throughput is None:
        return None
    blocked = seen.blocked_per_request_s
    took = duration(blocked.value) if blocked else "much of each request"
    return Said(
        "The event loop is blocked",
        f"Each request holds its worker's loop for {took} off the CPU; meanwhile that worker "
        f"serves nobody else. As it is: {_outcome(case.plan)}; once mended: "
        f"{_outcome(case.mended)}.",
        {"blocked_per_request_s": blocked.value if blocked else None},
        "Await the call (an async client, or asyncio.to_thread), or make the route a plain "
        "def; py-spy dump --pid names the line.",
    )


def _outcome(plan: Plan) -> str:
    rps = f", {rate(plan.throughput.value)}" if plan.throughput else ""
    return f"{count(plan.config.workers, 'worker')}{rps} and {size(plan.memory.value)}"


@_finding("targets-not-met", "critical")
def _targets(case: Case) -> Said | None:
    if case.plan.meets_targets is not False or case.plan.throughput is None:
        return None
    wanted = case.value("targets.rate_rps")
    p99 = case.value("targets.p99_s")
    within = f" within {duration(p99)} at p99" if p99 else ""
    return Said(
        "The targets are out of reach",
        f"{rate(wanted)}{within} were asked for; the best that fits gives "
        f"{rate(case.plan.throughput.value)} at {case.plan.concurrency} in flight "
        f"(stopped by: {case.plan.binding}).",
        {"targets.rate_rps": wanted, "targets.p99_s": p99},
        "Lower the targets, raise targets.concurrency, or give more CPU or memory.",
    )


@_finding("memory-leak", "warning")
def _leak(case: Case) -> Said | None:
    growth = case.measurement.memory_growth_bytes_per_request if case.measurement else None
    if growth is None or growth.low <= 0:
        return None
    return Said(
        "The app's memory grows",
        f"{size(growth.value * 1000)} in 1,000 requests; max_requests renews workers in time, "
        "but does not mend it.",
        {"memory_growth_bytes_per_request": growth.value},
        "Look for what is kept for ever: caches without a limit, lists at module level.",
    )


@_finding("runs-as-root", "warning")
def _root(case: Case) -> Said | None:
    observed = case.server is not None and case.server.user == "root"
    if not observed and case.value("app.user") != "root":
        return None
    user = case.value("app.user")
    return Said(
        "The app runs as root",
        "Whoever takes over the app then owns the host."
        + (f" The unit runs it as {user}." if user != "root" else ""),
        {"user": "root"},
        f"Create the system user (useradd --system {user}) and give it what the app reads; "
        "or set app.user."
        if user != "root"
        else "Set app.user to a system user.",
    )


@_finding("no-user", "info")
def _no_user(case: Case) -> Said | None:
    if case.intent["app.user"].from_ != "default" or _root_observed(case):
        return None
    user = case.value("app.user")
    return Said(
        f"The app will run as the system user {user}",
        "No user was given and none could be seen.",
        {"app.user": user},
        f"Create it (useradd --system {user}), or set app.user.",
    )


def _root_observed(case: Case) -> bool:
    return case.server is not None and case.server.user == "root"


@_finding("deprecated-worker-class", "warning")
def _deprecated(case: Case) -> Said | None:
    pinned = case.value("pins").get("gunicorn.worker_class")
    running = case.server.worker_class if case.server else None
    if not {"uvicorn.workers.UvicornWorker", "uvicorn.workers.UvicornH11Worker"} & {
        pinned,
        running,
    }:
        return None
    return Said(
        "uvicorn.workers.UvicornWorker is deprecated",
        "The package uvicorn-worker replaces it; Uvicorn will drop its own.",
        {"worker_class": pinned or running},
        "pip install uvicorn-worker, and use uvicorn_worker.UvicornWorker.",
    )


@_finding("gunicorn-missing", "warning")
def _gunicorn_missing(case: Case) -> Said | None:
    return _missing(case, "gunicorn", "The rendered service starts Gunicorn.")


@_finding("uvicorn-worker-missing", "warning")
def _uvicorn_worker_missing(case: Case) -> Said | None:
    if case.plan.config.worker_class.kind != "loop":
        return None
    return _missing(
        case, "uvicorn-worker", "It holds the worker class uvicorn_worker.UvicornWorker."
    )


def _missing(case: Case, package: str, purpose: str) -> Said | None:
    """Only where the app's own environment was looked into."""
    looked = case.server is not None and case.server.python is not None
    if not looked or package in case.facts.components:
        return None
    return Said(
        f"{package} is not in the app's environment",
        purpose,
        {"virtualenv": case.value("app.virtualenv")},
        f"{case.value('app.virtualenv')}/bin/pip install {package}",
    )


@_finding("budget-over-host", "warning")
def _over_host(case: Case) -> Said | None:
    cpus, memory = case.facts.cpu.effective, case.facts.memory.effective_bytes
    over = []
    if case.cores > cpus:
        over.append(f"{case.cores:g} CPUs were asked for, {cpus:g} are there")
    if case.budget_bytes > memory:
        over.append(f"{size(case.budget_bytes)} were asked for, {size(memory)} are there")
    if not over:
        return None
    return Said(
        "The budget is more than this host has",
        f"{'; '.join(over)}. The settings are for the budget.",
        {"cpu.effective": cpus, "memory.effective_bytes": memory},
        "Lower the budget, or give the facts of the host it is for (--facts).",
    )


@_finding("slow-reload", "warning")
def _slow_reload(case: Case) -> Said | None:
    workers = case.plan.config.workers
    seconds = workers * case.boot_cpu_s / min(case.cores, workers)
    if seconds <= BOOT_LIMIT_S:
        return None
    return Said(
        "A reload starves the app",
        f"{count(workers, 'worker')} boot for about {seconds:.0f} s on {case.cores:g} CPUs.",
        {"boot_cpu_s": case.boot_cpu_s, "gunicorn.workers": workers},
        "Import less at start, or run fewer workers.",
    )


@_finding("no-health-route", "warning")
def _no_health(case: Case) -> Said | None:
    if case.intent["app.health"].from_ != "default":
        return None
    route = case.value("app.health")
    seen = case.measurement.http if case.measurement else []
    evidence: dict[str, Value] = {fact.path: fact.status for fact in seen}
    return Said(
        "No health route is known",
        f"Whether the app is well is asked at {route}, the probed route."
        if route
        else "There is no route to ask whether the app is well.",
        evidence,
        "Add a route that touches what the app cannot work without, and set app.health.",
    )


@_finding("no-domain", "warning")
def _no_domain(case: Case) -> Said | None:
    if case.value("domain") is not None or case.value("proxy") == "none":
        return None
    return Said(
        "No domain is given",
        "nginx listens on 127.0.0.1:8080 for localhost only, and nobody outside is served.",
        {"domain": None},
        "Set domain in advisor.yml.",
    )


@_finding("no-tls", "warning")
def _no_tls(case: Case) -> Said | None:
    if case.value("domain") is None or case.value("proxy") == "none":
        return None
    return Said(
        "HTTP without TLS",
        f"{case.value('domain')} is served on port 80 in clear text; this version renders no TLS.",
        {"tls": None},
        "Put something that ends TLS in front, or add the certificate to nginx by hand.",
    )
