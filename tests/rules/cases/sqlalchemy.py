"""What SQLAlchemy's rules say for which evidence."""

from __future__ import annotations

from typing import Any

from advisor.model.classes import GTHREAD, SYNC, UVICORN_WORKER
from tests.rules.cases.shared import SILENT, measured
from tests.rules.plans import database, planned, serving

SQL = {"components.sqlalchemy.version": "2.0.44"}
ASYNCPG = {"components.asyncpg.version": "0.30.0"}
BOTH_LOADED = {"components.asyncpg.loaded": True, "components.sqlalchemy.loaded": True}
ASYNCPG_LOADED = BOTH_LOADED | {"components.sqlalchemy.loaded": False}
NONE_LOADED = dict.fromkeys(BOTH_LOADED, False)
TWO_HOSTS = {"hosts": ["10.0.0.11:8000", "10.0.0.12:8000"]}
# 500/s over 2 workers, each request for 40 ms: 10 in service in a worker.
LOOP = serving(UVICORN_WORKER, 2, rps=500) | {"wait_per_request_s": measured(0.04)}
POOL = {"sqlalchemy.pool_size": 5}

CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "sqlalchemy.pool_size": [
        (serving(SYNC, 4) | SQL | database(100, 10), 1),
        # 90 / (2 x 2) = 22 each, and 8 threads.
        (serving(GTHREAD, 2, 8) | SQL | database(100, 10), 8),
        # 90 / (3 x 2) = 15 each, for 32 threads.
        (serving(GTHREAD, 3, 32) | SQL | database(100, 10), 15),
        (serving(GTHREAD, 3, 32) | SQL | database(100, 10) | TWO_HOSTS, 7),
        # Not one each: 90 over 64 workers, twice.
        (serving(GTHREAD, 64, 8) | SQL | database(100, 10), 1),
        (LOOP | SQL | database(100), 10),
        (LOOP | SQL | database(100) | {"cpu_per_request_s": measured(0.0004)}, 11),
        # Never more than requests in flight.
        (LOOP | SQL | database(100) | {"plan.concurrency": 4}, 4),
        # Once the app's own limit is mended, more are in service.
        (
            LOOP | SQL | database(100) | {"plan.mended": planned(UVICORN_WORKER, 2, rps=900)},
            18,
        ),
        (serving(UVICORN_WORKER, 2) | SQL | database(100), 5),
        (serving(UVICORN_WORKER, 2) | SQL | database(8), 2),
        # Without the database's limit PostgreSQL's own: 97 / (2 x 2) = 24 each.
        (serving(GTHREAD, 2, 64) | SQL, 24),
        # A database that nothing is seen to use; one that asyncpg uses; none.
        (serving(GTHREAD, 2, 8) | database(100), 8),
        (LOOP | ASYNCPG | database(100), SILENT),
        (LOOP | ASYNCPG | SQL | database(100), 10),
        (LOOP | ASYNCPG | SQL | BOTH_LOADED | database(100), 10),
        # The pool that is seen not to be used; neither may still be made by a first request.
        (LOOP | ASYNCPG | SQL | ASYNCPG_LOADED | database(100), SILENT),
        (LOOP | ASYNCPG | SQL | NONE_LOADED | database(100), 10),
        (serving(GTHREAD, 2, 8), SILENT),
    ],
    "sqlalchemy.max_overflow": [
        # 25 are a worker's part.
        (LOOP | SQL | database(100) | {"sqlalchemy.pool_size": 10}, 15),
        (LOOP | SQL | database(100) | {"sqlalchemy.pool_size": 20}, 5),
        (LOOP | SQL | database(100) | {"sqlalchemy.pool_size": 50}, 0),
        (LOOP | SQL | database(400) | {"sqlalchemy.pool_size": 10}, 54),
        (serving(UVICORN_WORKER, 2) | SQL | database(100) | POOL, 10),
        (serving(GTHREAD, 2, 8) | SQL | database(100) | {"sqlalchemy.pool_size": 8}, 0),
        (serving(GTHREAD, 64, 8) | SQL | database(100) | {"sqlalchemy.pool_size": 1}, 0),
        # Without the database's limit no more than is usual.
        (LOOP | SQL | {"sqlalchemy.pool_size": 10}, 5),
        (serving(GTHREAD, 2, 8) | POOL, SILENT),
    ],
    "sqlalchemy.pool_timeout": [
        (SQL | POOL, 30),
        (SQL | POOL | {"latency_s.p99": measured(0.1)}, 5),
        # 4 x 3.3 s, the high end of the interval.
        (SQL | POOL | {"latency_s.p99": measured(3)}, 14),
        (SQL | POOL | {"latency_s.p99": measured(20)}, 30),
        (SQL | POOL | {"nginx.proxy_read_timeout": 60}, 30),
        (SQL | POOL | {"nginx.proxy_read_timeout": 20, "latency_s.p99": measured(20)}, 10),
        (SQL | POOL | {"nginx.proxy_read_timeout": 1}, 1),
        (POOL, SILENT),
    ],
    "sqlalchemy.pool_recycle": [(SQL | POOL, 3600), (database(100) | POOL, 3600), (POOL, SILENT)],
    "sqlalchemy.pool_pre_ping": [
        (SQL | POOL, True),
        (SQL | POOL | {"wait_per_request_s": measured(0.04)}, True),
        (database(100) | POOL, True),
        ({"components.sqlalchemy.version": "1.2.0"} | POOL, True),
        ({"components.sqlalchemy.version": "1.1.18"} | POOL, SILENT),
        (POOL, SILENT),
    ],
}
