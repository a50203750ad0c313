"""What a host is."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from advisor.documents.base import Amount, Count, Document, Number, Pid, Ratio, Scalar, Unknown

FACTS_SCHEMA: Final = "advisor/facts/1"

# The `what` of the unknown that a recommendation for an app that does not run carries on.
APP_ENVIRONMENT: Final = "the app's Python environment"


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
    smt: bool | None = None


class Memory(Document):
    """The memory a process may use, in bytes. `others_bytes`: used by all but the servers found."""

    total_bytes: Annotated[int, Field(gt=0)]
    available_bytes: Count
    effective_bytes: Annotated[int, Field(gt=0)]
    binding: str
    limits: list[Limit]
    others_bytes: Count | None = None
    swap_total_bytes: Count | None = None
    swap_used_bytes: Count | None = None


class Kernel(Document):
    """Kernel and descriptor limits that apply to the chosen process.

    `set_by_advisor` names those (as sysctl does) that a file of ours in /etc/sysctl.d sets.
    """

    somaxconn: Count | None
    nofile_soft: Count | None
    nofile_hard: Count | None
    ip_local_port_range: Annotated[list[int], Field(min_length=2, max_length=2)] | None
    tcp_max_syn_backlog: Count | None = None
    tcp_fin_timeout_s: Count | None = None
    file_max: Count | None = None
    tcp_migrate_req: Count | None = None
    set_by_advisor: list[str] = []


class Component(Document):
    """A program or library found on the host; `modules` only where it has any that matter.

    `loaded` is whether the app's workers have a library in memory, null where that is not known.
    `settings` are what its main file sets for the whole host, by its own names: of nginx
    worker_processes, worker_connections and worker_rlimit_nofile; null where none was read.
    """

    version: str
    modules: list[str] = []
    path: str | None = None
    loaded: bool | None = None
    settings: dict[str, Scalar] | None = None


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
    `secret_options` names options of its command line that hold a secret, never the secret.
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
    secret_options: list[str] = []


class Redis(Document):
    """A Redis (or Valkey) server as it answers INFO and CONFIG; null where it does not tell.

    `keys_without_expiry` counts all databases. `persistence` holds `rdb`, `aof` or both.
    `broker_of` names the queue whose keys it holds (celery, rq, ...), null for none seen.
    """

    address: str
    version: str | None
    maxmemory_bytes: Count | None
    maxmemory_policy: str | None
    used_bytes: Count | None
    peak_bytes: Count | None
    hit_ratio: Ratio | None
    evicted_keys: Count | None
    keys: Count | None
    keys_without_expiry: Count | None
    persistence: list[str]
    io_threads: Count | None
    broker_of: str | None


class Interface(Document):
    """A network interface that is up; speed in bytes a second, null where it has none."""

    name: str
    bytes_per_s: Amount | None


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
    redis: list[Redis] = []
    interfaces: list[Interface] = []
