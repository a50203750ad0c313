"""Findings about how the app is set up: user, packages, domain, health route, secrets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from advisor.rules import versions
from advisor.rules.findings.case import Case, Said, finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.documents import Value

DEPRECATED = {"uvicorn.workers.UvicornWorker", "uvicorn.workers.UvicornH11Worker"}
EVENTLET = "eventlet"
# Names of variables that hold secrets, and URLs that hold a password.
SECRET_NAME = re.compile(
    r"(?:^|_)(?:PASS|PASSWD|PASSWORD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?"
    r"|(?:API|ACCESS|SECRET|PRIVATE|ENCRYPTION|SIGNING)_?KEY)(?:_|$)"
)
PASSWORD_IN_URL = re.compile(r"://[^/@\s:]*:[^/@\s]+@")


@finding("runs-as-root", "warning")
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


@finding("no-user", "info")
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


@finding("deprecated-worker-class", "warning")
def _deprecated(case: Case) -> Said | None:
    pinned = case.value("pins").get("gunicorn.worker_class")
    running = case.server.worker_class if case.server else None
    if running == EVENTLET:
        return _eventlet(case)
    if not DEPRECATED & {pinned, running}:
        return None
    return Said(
        "uvicorn.workers.UvicornWorker is deprecated",
        "The package uvicorn-worker replaces it; Uvicorn will drop its own.",
        {"worker_class": pinned or running},
        "pip install uvicorn-worker, and use uvicorn_worker.UvicornWorker.",
    )


def _eventlet(case: Case) -> Said:
    """Gunicorn 26.0 dropped it (changelog)."""
    gone = versions.can(case.facts.components).get("can.gunicorn.eventlet") is False
    return Said(
        "Gunicorn's eventlet class is gone" if gone else "Gunicorn's eventlet class is deprecated",
        "The Gunicorn that is installed no longer has it: the next start fails."
        if gone
        else "Gunicorn 26.0 no longer has it.",
        {"worker_class": EVENTLET},
        "Use the class that is recommended here, or gevent.",
        "critical" if gone else None,
    )


@finding("free-threaded", "info")
def _free_threaded(case: Case) -> Said | None:
    """Nobody can see from outside whether an extension has turned the lock on again (PEP 703)."""
    told = versions.can(case.facts.components)
    if not told.get("can.python.free_threaded"):
        return None
    version = case.facts.components["python"].version
    trial = not told["can.python.free_threaded_supported"]
    return Said(
        f"Python {version} is free-threaded",
        "Threads of one process may use several CPUs at once, unless an extension has turned the "
        "interpreter lock on again. Workers are counted as if each used one CPU: that is the "
        "cautious side, and may be more of them than it takes."
        + (" Python calls it an experiment before 3.14." if trial else ""),
        {"components.python.version": version},
        "Start it with fewer workers and more threads, measure that (advisor probe), and pin "
        "gunicorn.workers and gunicorn.threads if it serves as much.",
    )


@finding("server-missing", "warning")
def _server_missing(case: Case) -> Said | None:
    return _missing(case, case.value("server"), "The rendered service starts it.")


@finding("uvicorn-worker-missing", "warning")
def _uvicorn_worker_missing(case: Case) -> Said | None:
    if case.plan.config.worker_class.name != "uvicorn_worker.UvicornWorker":
        return None
    return _missing(
        case, "uvicorn-worker", "It holds the worker class uvicorn_worker.UvicornWorker."
    )


@finding("gevent-missing", "warning")
def _gevent_missing(case: Case) -> Said | None:
    if case.plan.config.worker_class.name != "gevent":
        return None
    return _missing(case, "gevent", "It holds the worker class gevent.")


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


@finding("no-health-route", "warning")
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


@finding("no-domain", "warning")
def _no_domain(case: Case) -> Said | None:
    proxy = case.value("proxy")
    if case.value("domain") is not None or proxy == "none":
        return None
    return Said(
        "No domain is given",
        f"{proxy} listens on 127.0.0.1:8080 for localhost only, and nobody outside is served.",
        {"domain": None},
        "Set domain in advisor.yml.",
    )


@finding("no-tls", "warning")
def _no_tls(case: Case) -> Said | None:
    domain = case.value("domain")
    if domain is None or case.value("tls") is not None or case.value("proxy") == "none":
        return None
    return Said(
        "HTTP without TLS",
        f"{domain} is served on port 80 in clear text: advisor.yml names no certificate.",
        {"tls": None},
        "Set tls in advisor.yml: certificate and key, or acme: true; or put something that ends "
        "TLS in front.",
    )


@finding("secrets-in-sight", "warning")
def _secrets(case: Case) -> Said | None:
    """Where a secret stands, never the secret: command lines and units are read by everybody."""
    places = list(_in_sight(case))
    if not places:
        return None
    return Said(
        "Secrets stand where everybody can read them",
        f"Something like a password is in {', '.join(places)}.",
        {"places": places},
        "Put it in a file that only root and the app's user may read, and name that as "
        "app.environment_file.",
    )


def _in_sight(case: Case) -> Iterator[str]:
    """Places by name; `/proc/PID/cmdline`, units and this document are world-readable."""
    for name, value in case.value("app.environment").items():
        if value and (SECRET_NAME.search(name) or PASSWORD_IN_URL.search(value)):
            yield f"app.environment: {name}"
    server = case.server
    if server is None:
        return
    for name, text in server.settings.items():
        if isinstance(text, str) and PASSWORD_IN_URL.search(text):
            yield f"{server.kind}'s {name}"
    if server.app and re.search(r"\(.*['\"].*\)", server.app):
        yield "the arguments of the app's factory"
    yield from (f"the command line: {name}" for name in server.secret_options)
