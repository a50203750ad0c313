"""Are budgets kept? Recommended configurations under real limits, loaded and reloaded.

    python -m benchmarks.budgets

Memory: the app in a real cgroup whose limit is the budget; no process may be killed while wrk
loads it and the master is told to reload. Database: a real PostgreSQL with 30 connections; none
may be refused. Peaks are printed beside the limits.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from advisor.demo.processes import Score, free_port, referee
from advisor.errors import AdvisorError
from advisor.host import gather
from advisor.intent import Intent
from advisor.probe import probe
from advisor.recommend import recommend
from advisor.selection import servers_for
from benchmarks.regret.apps import CASES, MIB, OWN, Case
from benchmarks.regret.formulas import naive
from benchmarks.regret.launch import CONNECTIONS, SERVED, started
from benchmarks.regret.points import Config
from benchmarks.regret.services import group_of
from benchmarks.table import Figure, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.documents import Recommendation, Value

SECONDS = 8
RELOADS_AT_S = (2, 5)
MOST_CONNECTIONS, RESERVED = 30, 3
BY_NAME = {case.name: case for case in CASES}
MEMORY = (
    BY_NAME["150 MB in 900 MB"],
    replace(BY_NAME["async computing"], memory_bytes=256 * MIB),
    replace(BY_NAME["loop blocked by sleep"], memory_bytes=512 * MIB),
    replace(BY_NAME["sync waiting"], memory_bytes=200 * MIB),
)
DATABASE = (
    Case("asyncpg pools", "asgi", "stored:asgi", "/rows", OWN, connections=MOST_CONNECTIONS),
    Case(
        "a connection a thread", "wsgi", "stored:wsgi", "/rows", OWN, connections=MOST_CONNECTIONS
    ),
)


@dataclass(frozen=True)
class Kept:
    """A recommended configuration under its limit: `peak` of it, and how often it was hit."""

    case: str
    config: Config
    peak: float
    limit: float
    broken: int
    failed: int
    rps: float

    def text(self) -> str:
        """The row as a line of the table."""
        return (
            f"  {self.case:<24} {self.config!s:<18} {self.peak:>7,.0f} of {self.limit:>7,.0f} "
            f"{self.broken:>7} {self.failed:>8} {self.rps:>8,.0f}/s"
        )


def advised(case: Case) -> tuple[Config, Recommendation]:
    """What the advisor says for the case after one probe of a naive launch."""
    with started(case, naive(case.interface)) as (_pid, port):
        seen = probe(f"http://127.0.0.1:{port}{case.route}", on_progress=lambda _line: None)
        facts = gather()
        (server,) = servers_for(facts, seen, None, pid=None, single=True)
        facts = gather(server.pid) if server else facts
    database = {"max_connections": case.connections, "reserved": RESERVED}
    module = case.module if ":" in case.module else f"{case.module}:app"
    wanted = {"app": {"module": module, "interface": case.interface}}
    intent = Intent.model_validate(wanted | ({"database": database} if case.connections else {}))
    said = recommend(
        facts, seen, intent, server=server, concurrency=CONNECTIONS, memory_bytes=case.memory_bytes
    )
    values = settings(said)
    name, workers, threads = (
        values[f"gunicorn.{what}"] for what in ("worker_class", "workers", "threads")
    )
    return Config(str(name), int(str(workers)), int(str(threads))), said


def settings(said: Recommendation) -> dict[str, Value]:
    """Values by id."""
    return {setting.id: setting.value for setting in said.settings}


def loaded(pid: int, port: int, case: Case) -> Score:
    """Under wrk, with reloads in the middle."""
    timers = [threading.Timer(at, os.kill, (pid, signal.SIGHUP)) for at in RELOADS_AT_S]
    for timer in timers:
        timer.start()
    try:
        return referee(
            f"http://127.0.0.1:{port}{case.route}", seconds=SECONDS, connections=CONNECTIONS
        )
    finally:
        for timer in timers:
            timer.join()


def in_memory(case: Case) -> Kept:
    """The recommended configuration in a group that holds its budget and no more."""
    config, _ = advised(case)
    budget = case.memory_bytes or 0
    with (
        group_of("memory", budget) as group,
        started(case, config, SERVED, group) as (
            pid,
            port,
        ),
    ):
        score = loaded(pid, port, case)
        peak, killed = group.peak_bytes(), group.killed()
    return Kept(case.name, config, peak / MIB, budget / MIB, killed, score.failed, score.rps)


# What PostgreSQL logs where it has no connection left, for anybody or for a role that is no
# superuser (its src/backend/storage/lmgr/proc.c and utils/init/postinit.c).
NONE_LEFT = ("sorry, too many clients already", "remaining connection slots are reserved")


@dataclass(frozen=True)
class Postgres:
    """One with few connections: its port, and its log."""

    port: int
    log: Path

    def refused(self) -> int:
        """How often it had none left."""
        lines = self.log.read_text(errors="replace").splitlines()
        return sum(any(words in line for words in NONE_LEFT) for line in lines)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of its own."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        data = Path(folder) / "data"
        data.mkdir()
        if os.geteuid() == 0:
            subprocess.run(["chown", "postgres", str(data)], check=True)
        user = {"user": "postgres"} if os.geteuid() == 0 else {}
        subprocess.run(
            [programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **user,
        )
        options = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": MOST_CONNECTIONS,
            "superuser_reserved_connections": RESERVED,
            "fsync": "off",
            "lc_messages": "C",
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        found = Postgres(port, Path(folder) / "postgres.log")
        with found.log.open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, *words], stderr=log, cwd="/", **user
            )
        try:
            with _connected(port) as connection:
                connection.execute("CREATE ROLE app LOGIN")  # what is reserved is not for it
            yield found
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)


def _connected(port: int) -> psycopg.Connection:
    deadline = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(
                host="127.0.0.1", port=port, user="postgres", autocommit=True, connect_timeout=5
            )
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def counted(port: int) -> Iterator[list[int]]:
    """How many client connections there are, looked at again and again inside the `with`."""
    seen, over = [0], threading.Event()

    def look() -> None:
        with _connected(port) as connection:
            while not over.wait(0.05):
                row = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'"
                ).fetchone()
                seen.append(row[0] if row else 0)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def in_database(case: Case, database: Postgres) -> Kept:
    """The recommended configuration and pool before a PostgreSQL that allows few connections."""
    before = database.refused()
    config, said = advised(case)
    values = settings(said)
    # Where SQLAlchemy is installed too, its pool is the one that is spoken of.
    names = ("asyncpg.max_size", "sqlalchemy.pool_size")
    pool = next((values[name] for name in names if values.get(name)), None)
    if case.interface == "asgi":
        if pool is None:
            raise AdvisorError(f"{case.name}: the recommendation sets no pool")
        os.environ["ASYNCPG_MAX_SIZE"] = str(pool)
    with started(case, config, SERVED) as (pid, app), counted(database.port) as seen:
        score = loaded(pid, app, case)
    limit = MOST_CONNECTIONS - RESERVED
    refused = database.refused() - before
    return Kept(case.name, config, max(seen), limit, refused, score.failed, score.rps)


def main() -> int:
    """Print what each took of its budget; 1 where a limit was hit."""
    os.environ["ASYNCPG_MAX_SIZE"] = "4"
    head = f"  {'app':<24} {'configuration':<18} {'peak of limit':>18} broken   failed      rate"
    print(f"Memory, MB; broken = processes killed\n{head}")
    memory = [in_memory(case) for case in MEMORY]
    print("\n".join(row.text() for row in memory))
    with postgres() as server:
        os.environ["POSTGRES_PORT"] = str(server.port)
        print(f"\nDatabase connections; broken = refused for want of one\n{head}")
        database = [in_database(case, server) for case in DATABASE]
        print("\n".join(row.text() for row in database))
    figures = [
        Figure("processes killed for memory", sum(row.broken for row in memory), "", most=0),
        Figure("most of a memory budget used", max(r.peak / r.limit for r in memory), "", most=1),
        Figure("database connections refused", sum(row.broken for row in database), "", most=0),
        Figure("most of the connections used", max(r.peak / r.limit for r in database), "", most=1),
    ]
    return 0 if show("\nBudgets", figures) else 1


if __name__ == "__main__":
    sys.exit(main())
