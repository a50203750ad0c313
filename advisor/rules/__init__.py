"""Settings: one module a component or a part of one, one small pure function a setting.

Importing this package registers every rule. Within a component settings are written in the order
of registration, so what is chosen jointly comes first.
"""

from advisor.rules import joint  # noqa: I001 - before the rest of each server
from advisor.rules import granian, granian_workers, gunicorn, gunicorn_workers, hypercorn, uvicorn
from advisor.rules import nginx, nginx_balance, nginx_edge, nginx_gzip, nginx_tls, nginx_cache
from advisor.rules import caddy, caddy_balance, caddy_edge, caddy_front
from advisor.rules import celery, redis, rq, sysctl, systemd, unit
from advisor.rules import anyio, asyncpg, browser, cdn, httpx, sqlalchemy
from advisor.rules.registry import RULES, decide, refusal, wrong_pins

MODULES = (
    *(joint, granian, granian_workers, gunicorn, gunicorn_workers, hypercorn, uvicorn),
    *(nginx, nginx_balance, nginx_edge, nginx_gzip, nginx_tls, nginx_cache),
    *(caddy, caddy_balance, caddy_edge, caddy_front, celery, redis, rq, sysctl, systemd, unit),
    *(anyio, asyncpg, browser, cdn, httpx, sqlalchemy),
)

__all__ = ["MODULES", "RULES", "decide", "refusal", "wrong_pins"]
