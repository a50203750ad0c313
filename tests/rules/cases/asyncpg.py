"""What asyncpg's rules say for which evidence."""

from __future__ import annotations

from typing import Any

from advisor.model.classes import GTHREAD, UVICORN_WORKER
from tests.rules.cases.shared import SILENT
from tests.rules.cases.sqlalchemy import ASYNCPG, ASYNCPG_LOADED, BOTH_LOADED, LOOP, SQL
from tests.rules.plans import database, serving

UNMEASURED = serving(UVICORN_WORKER, 2)
TEN = {"asyncpg.max_size": 10}

CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "asyncpg.max_size": [
        # 100 / (2 x 2) = 25 each.
        (LOOP | ASYNCPG | database(100), 25),
        (LOOP | ASYNCPG | database(20), 5),
        (LOOP | ASYNCPG | database(400), 64),
        # Without the database's limit no more than is used, or usual.
        (LOOP | ASYNCPG, 10),
        (UNMEASURED | ASYNCPG | database(100), 10),
        (UNMEASURED | ASYNCPG | database(3), 1),
        (LOOP | ASYNCPG | SQL | database(100), SILENT),
        (LOOP | ASYNCPG | SQL | ASYNCPG_LOADED | database(100), 25),
        (LOOP | ASYNCPG | SQL | BOTH_LOADED | database(100), SILENT),
        (serving(GTHREAD, 2, 8) | ASYNCPG | database(100), SILENT),
    ],
    "asyncpg.min_size": [
        (LOOP | ASYNCPG | database(100) | {"asyncpg.max_size": 25}, 10),
        (LOOP | ASYNCPG | database(100) | {"asyncpg.max_size": 4}, 4),
        (UNMEASURED | ASYNCPG | database(100) | TEN, 10),
        (UNMEASURED | ASYNCPG | database(3) | {"asyncpg.max_size": 1}, 1),
        (LOOP | ASYNCPG | SQL | TEN, SILENT),
        (LOOP | ASYNCPG | SQL | ASYNCPG_LOADED | TEN, 10),
    ],
    "asyncpg.max_inactive_connection_lifetime": [
        (LOOP | ASYNCPG | TEN, 300),
        (LOOP | ASYNCPG | SQL | TEN, SILENT),
        (LOOP | ASYNCPG | SQL | ASYNCPG_LOADED | TEN, 300),
    ],
}
