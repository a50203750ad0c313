"""From documents to the joint choice: what there is to spend, and the plan made of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from advisor import evidence, guards
from advisor.errors import InvalidInput, NothingFeasible
from advisor.model.choose import FALLBACK_THREADS, choose, fall_back
from advisor.model.classes import CLASSES, named
from advisor.model.constraints import Constraints, Pins
from advisor.model.queueing import saturating_population
from advisor.model.sharing import share
from advisor.rules import registry

if TYPE_CHECKING:
    from advisor.documents import Facts, Measurement, Server, Value
    from advisor.evidence import Amount
    from advisor.model.choose import Plan
    from advisor.model.classes import WorkerClass
    from advisor.model.memory import MemoryCost
    from advisor.model.service import Configuration, Demand
    from advisor.model.sharing import Shares
    from advisor.resolve import Resolution

MOST_CONCURRENCY = 1024
# What each server calls its threads, where a pin may fix them.
THREADS_OF = {"gunicorn": "gunicorn.threads", "granian": "granian.blocking_threads"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for; it wins over advisor.yml. CPUs, bytes, requests in flight."""

    concurrency: int | None = None
    cpus: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Planning:
    """All that the joint choice is made of. `demand` is None where nothing was measured."""

    interface: str
    demand: Demand | None
    cost: MemoryCost
    limits: Constraints
    pins: Pins
    classes: tuple[WorkerClass, ...]
    cores: Amount
    memory: Amount
    shares: Shares
    concurrency_asked: bool
    boot_known: bool
    elsewhere: bool

    def plan(self) -> Plan:
        """The joint choice; raises `NothingFeasible` where a limit leaves none."""
        cost, limits, pins, classes = self.cost, self.limits, self.pins, self.classes
        if self.demand is None:
            return fall_back(self.interface, cost, limits, pins, classes=classes)
        return choose(self.interface, self.demand, cost, limits, pins, classes=classes)

    def mended(self) -> Plan | None:
        """The same once nothing blocks the loop and the app's own limit is raised, if any did."""
        if self.demand is None or not (self.demand.blocked_s or self.demand.slots):
            return None
        return replace(self, demand=self.demand.mended()).plan()

    def again(self, name: str, value: float) -> Configuration | None:
        """What would be chosen were one input (a key of `inputs`) another; None for nothing."""
        try:
            return self._with(name, value).plan().config
        except NothingFeasible:
            return None

    def _with(self, name: str, value: float) -> Planning:
        limits, cost, demand = self.limits, self.cost, self.demand
        match name:
            case "cpu.effective":
                limits = replace(limits, cores=value)
            case "memory_budget_bytes":
                limits = replace(limits, memory_bytes=int(value))
            case "concurrency":
                limits = replace(limits, concurrency=int(value))
            case "boot_cpu_s":
                limits = replace(limits, boot_cpu_s=value)
            case "database_connections":
                limits = replace(limits, database=int(value))
            case "memory_per_worker_bytes":
                cost = replace(cost, worker_bytes=int(value))
            case _ if demand is not None:
                demand = demand.at(name.removesuffix("_per_request_s"), value)
            case _:
                raise KeyError(name)
        return replace(self, limits=limits, cost=cost, demand=demand)

    def inputs(self) -> dict[str, Value]:
        """The figures the choice was computed from, by name."""
        measured: dict[str, Value] = {}
        if self.demand:
            measured = {
                "cpu_per_request_s": self.demand.cpu_s,
                "wait_per_request_s": self.demand.wait_s,
                "blocked_per_request_s": self.demand.blocked_s,
            }
        database = {"database_connections": self.limits.database}
        return {
            "cpu.effective": self.limits.cores,
            "cpu.binding": self.cores.source,
            **measured,
            "concurrency": self.limits.concurrency,
            "memory_budget_bytes": self.limits.memory_bytes,
            "memory_base_bytes": self.cost.base_bytes,
            "memory_per_worker_bytes": self.cost.worker_bytes,
            "boot_cpu_s": self.limits.boot_cpu_s,
            **(database if self.limits.database is not None else {}),
        }


def prepare(
    facts: Facts,
    measurement: Measurement | None,
    resolved: Resolution,
    *,
    server: Server | None,
    asked: Asked,
) -> Planning:
    """What the joint choice takes, from the documents.

    Raises `InvalidInput` for pins that are unknown or contradict the app or each other.
    """
    interface = resolved["app.interface"]
    kind = resolved["server"]
    pins = _joint_pins(resolved["pins"], kind, interface)
    elsewhere = measurement is not None and not guards.same_host(facts, measurement)
    classes = evidence.classes_of(measurement, kind, interface, facts.components)
    if not classes:
        raise InvalidInput(
            f"advisor.yml: server: {kind} runs no {interface.upper()} apps",
            remedy="Take gunicorn or granian, or set app.interface.",
        )
    demand = evidence.demand_of(measurement, interface, offered=classes, elsewhere=elsewhere)
    if demand and measurement:
        own = asked.cpus is not None or resolved["budget.cpus"] is not None
        demand = evidence.behind(demand, resolved["proxy"], measurement, own_budget=own)
    cost = evidence.memory_cost(server, measurement, interface)
    cores = evidence.cpu_budget(facts, *_first("cpus", asked.cpus, resolved))
    memory = evidence.memory_budget(facts, server, *_first("memory", asked.memory_bytes, resolved))
    shares = share(cores.value, int(memory.value), _background(resolved), cost.worker_bytes)
    boot_s, boot_known = evidence.boot_cpu(server, measurement)
    instances = _instances(resolved["hosts"])
    each_cores = shares.web_cores / instances
    concurrency = asked.concurrency or resolved["targets.concurrency"]
    limits = Constraints(
        cores=each_cores,
        memory_bytes=shares.web_memory_bytes // instances,
        memory_source=memory.source,
        boot_cpu_s=boot_s,
        concurrency=_concurrency(concurrency, demand, each_cores, interface),
        rate_rps=resolved["targets.rate_rps"],
        p99_s=resolved["targets.p99_s"],
        database=_database(resolved),
        descriptors=None if "systemd" in resolved["manage"] else facts.kernel.nofile_hard,
        queue=facts.kernel.somaxconn,
        pool=demand.slots if demand and demand.slots else 1,
    )
    return Planning(
        interface=interface,
        demand=demand,
        cost=cost,
        limits=limits,
        pins=pins,
        classes=classes,
        cores=cores,
        memory=memory,
        shares=shares,
        concurrency_asked=concurrency is not None,
        boot_known=boot_known,
        elsewhere=elsewhere,
    )


def _first(what: str, given: Any, resolved: Resolution) -> tuple[Any, str]:
    """The command line's budget and its name, else advisor.yml's."""
    return (
        (given, f"--{what}")
        if given is not None
        else (resolved[f"budget.{what}"], f"budget.{what}")
    )


def _background(resolved: Resolution) -> dict[str, Any]:
    """The kinds of background work that share the host: `{"celery": "cpu"}`."""
    named_ = {name: resolved[f"background.{name}"] for name in ("celery", "rq")}
    return {name: one["kind"] for name, one in named_.items() if one}


def _instances(hosts: list[str]) -> int:
    """How many instances of the app share this host: `hosts` names their sockets."""
    return max(1, sum(host.startswith("unix:") for host in hosts))


def _database(resolved: Resolution) -> int | None:
    """Connections that this host's app may hold: an equal share of what all hosts may."""
    most = resolved["database.max_connections"]
    if most is None:
        return None
    hosts = max(1, len(resolved["hosts"]))
    return max(0, int(most) - int(resolved["database.reserved"] or 0)) // hosts


def _concurrency(asked: int | None, demand: Demand | None, cores: float, interface: str) -> int:
    """What was asked for, else what saturates the CPU, at most 1,024."""
    if asked:
        return asked
    if demand is None:
        return max(1, int(cores)) * (FALLBACK_THREADS if interface == "wsgi" else 1)
    saturating = saturating_population(cores, demand.cpu_s, demand.wait_s + demand.blocked_s)
    return min(MOST_CONCURRENCY, saturating)


def _joint_pins(pins: dict[str, Value], server: str, interface: str) -> Pins:
    """The pins that bind the model; `InvalidInput` where they contradict the app or each other."""
    registry.check_pins(pins)
    name = pins.get("gunicorn.worker_class") if server == "gunicorn" else None
    workers = pins.get(f"{server}.workers")
    threads = pins.get(THREADS_OF.get(server, ""))
    if isinstance(name, str) and named(name, interface) is None:
        raise InvalidInput(
            f"advisor.yml: pins: gunicorn.worker_class: {name} runs "
            f"{CLASSES[name].interface.upper()} apps, "
            f"but app.interface is {interface}",
            remedy="Remove the pin, or set app.interface.",
        )
    if name == "sync" and isinstance(threads, int) and threads > 1:
        raise InvalidInput(
            f"advisor.yml: pins: gunicorn.worker_class: sync and gunicorn.threads: {threads} "
            "contradict each other: Gunicorn makes that gthread",
            remedy="Pin gthread, or one thread.",
        )
    return Pins(
        worker_class=name if isinstance(name, str) else None,
        workers=workers if isinstance(workers, int) else None,
        threads=threads if isinstance(threads, int) else None,
    )
