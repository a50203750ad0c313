"""Findings about how the server that runs stops, starts and reloads."""

from __future__ import annotations

from advisor.quantities import count
from advisor.rules.findings.case import Case, Said, Severity, finding
from advisor.rules.findings.running import is_alone, number, setting

# Settings that make a server watch files, or talk too much.
DEVELOPMENT = ("reload", "use_reloader", "debug")


@finding("hup-unsafe", "warning")
def _hup(case: Case) -> Said | None:
    """What a SIGHUP, the usual reload, does to the server that runs, as tried."""
    if case.server is None or (told := _harm(case, case.server.kind)) is None:
        return None
    harm, severity = told
    return Said(
        "A reload by HUP is not safe",
        f"{harm}.",
        {"kind": case.server.kind, "workers": len(case.server.workers)},
        "Restart it instead, behind a socket that systemd holds, and ask its health route after.",
        severity,
    )


def _harm(case: Case, kind: str) -> tuple[str, Severity] | None:
    match kind:
        case "gunicorn" if setting(case, "preload_app") is True:
            return "Gunicorn preloads the app: HUP starts new workers with the old code", "warning"
        case "uvicorn" if is_alone(case):
            return "Uvicorn with one worker dies of HUP", "warning"
        case "hypercorn" if is_alone(case):
            return "Hypercorn without workers of its own dies of HUP", "warning"
        case "hypercorn":
            return "Hypercorn ends every worker before it starts the next: nobody serves", "warning"
        case "granian":
            return "Granian ends on HUP where the app does not import any more", "info"
    return None


@finding("preload-connections", "warning")
def _preload(case: Case) -> Said | None:
    """A socket opened before the fork is every worker's, and their answers mix."""
    memory = case.measurement.worker_memory if case.measurement else None
    is_preloaded = memory is not None and memory.preloaded is True
    is_asked = case.value("pins").get("gunicorn.preload_app") is True
    if not (is_preloaded or is_asked or setting(case, "preload_app") is True):
        return None
    others = case.measured("downstream_connections")
    if others:
        uses = f"{count(others, 'connection')} to others were seen"
    elif case.value("database.max_connections") is not None:
        uses = "it uses a database"
    elif case.value("redis.role") is not None:
        uses = "it uses Redis"
    else:
        return None
    return Said(
        "The app is imported before the workers fork",
        f"And {uses}: a connection opened at import is shared by all workers, whose answers then "
        "mix.",
        {"preloaded": True, "downstream_connections": others},
        "Open connections in each worker (the lifespan, or Gunicorn's post_fork), or do not "
        "preload.",
    )


@finding("asgi-slow-stop", "info")
def _slow_stop(case: Case) -> Said | None:
    """Measured: 12.1 s of a graceful_timeout of 12 s, where UvicornWorker took 0.4 s."""
    running = case.server.worker_class if case.server else None
    if "asgi" not in {running, case.value("pins").get("gunicorn.worker_class")}:
        return None
    graceful = number(case, "graceful_timeout", 30)
    whole = f" ({graceful:g} s)" if graceful is not None else ""
    return Said(
        "Gunicorn's asgi workers are slow to stop",
        "Idle kept-alive connections hold each stop and reload for the whole graceful_timeout"
        f"{whole}.",
        {"worker_class": "asgi", "graceful_timeout": graceful},
        "Use uvicorn_worker.UvicornWorker, or a shorter graceful_timeout.",
    )


@finding("uvicorn-ends-itself", "warning")
def _ends(case: Case) -> Said | None:
    """Only a parent starts a worker anew that has served its share."""
    limit = number(case, "limit_max_requests")
    if case.server is None or case.server.kind != "uvicorn" or not is_alone(case) or not limit:
        return None
    return Said(
        "The server ends itself",
        f"After {limit:,.0f} requests Uvicorn leaves, and its one process has nobody but the "
        "service manager to start it again.",
        {"limit_max_requests": limit},
        "Run two workers or more, or see that the unit says Restart=always.",
    )


@finding("development-server", "warning")
def _development(case: Case) -> Said | None:
    on = [name for name in DEVELOPMENT if setting(case, name) is True]
    if not on:
        return None
    names = " and ".join(on)
    return Said(
        "The server runs as for development",
        f"Started with {names}: it restarts when a file changes, or shows its inside to clients.",
        {"options": on},
        f"Start it without {names}.",
    )
