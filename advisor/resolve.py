"""advisor.yml made whole: each value as configured, as observed, or by default.

What is observed is the host's data. It passes the same allow-lists as advisor.yml, or it is
not used and lands in `unknown`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from advisor import intent as words
from advisor.documents import Resolved, Unknown
from advisor.errors import TooLittleEvidence
from advisor.model.classes import CLASSES

if TYPE_CHECKING:
    from advisor.documents import Component, Measurement, Server
    from advisor.intent import Intent

# The sections of advisor.yml whose keys are resolved one by one.
SECTIONS: dict[str, type[words.Section]] = {
    "targets": words.Targets,
    "budget": words.Budget,
    "database": words.Database,
    "redis": words.Redis,
    "background": words.Background,
    "limits": words.Limits,
    "systemd": words.Systemd,
}
HEALTH_ROUTES = ("/healthz", "/health", "/ping")
# Module names that say what a file is for, not what the app is called.
GENERIC = {"main", "app", "application", "asgi", "wsgi", "server", "web", "api", "src"}
OK = 200


@dataclass(slots=True)
class Resolution:
    """The intent's keys, all of them present, and what could not be used or told."""

    values: dict[str, Resolved] = field(default_factory=dict)
    unknown: list[Unknown] = field(default_factory=list)

    def __getitem__(self, key: str) -> Any:
        return self.values[key].value


def resolve(
    intent: Intent | None,
    server: Server | None,
    measurement: Measurement | None,
    components: dict[str, Component],
) -> Resolution:
    """Every key of the intent with its value and where that comes from.

    Raises `TooLittleEvidence` where no app module is known.
    """
    out = Resolution()
    app = intent.app if intent else None

    def put(key: str, configured: Any, observed: tuple[Any, Any], default: Any) -> None:
        if configured is not None:
            out.values[key] = Resolved.model_validate({"value": configured, "from": "config"})
            return
        seen = _usable(out, key, *observed)
        out.values[key] = Resolved.model_validate(
            {"value": default, "from": "default"}
            if seen is None
            else {"value": seen, "from": "observed"}
        )

    nothing = (None, None)
    seen_dir = server.directory if server else None
    put("app.module", app and app.module, (words.Module, server and server.app), None)
    module = out["app.module"]
    if module is None:
        raise TooLittleEvidence(
            "no app is known: none was given, and none could be read from a running server",
            remedy="Give a URL, --pid PID of a running server, or --config with app.module.",
        )
    put("app.name", app and app.name, nothing, app_name(module, seen_dir))
    name = out["app.name"]
    put(
        "app.interface",
        app and app.interface,
        (words.App.model_fields["interface"].annotation, _interface(server, measurement)),
        _guessed_interface(module, components),
    )
    put("app.directory", app and app.directory, (words.Path, seen_dir), f"/srv/{name}")
    directory = out["app.directory"].rstrip("/")
    seen_env = server.virtualenv if server else None
    put("app.virtualenv", app and app.virtualenv, (words.Path, seen_env), f"{directory}/venv")
    user = server.user if server and server.user != "root" else None
    put("app.user", app and app.user, (words.User, user), name)
    put(
        "app.health",
        app and app.health,
        (words.UrlPath, _health(measurement)),
        _probed(measurement),
    )
    put("app.environment", (app and app.environment) or None, nothing, {})
    put("app.environment_file", app and app.environment_file, nothing, None)
    put("app.writable", (app and app.writable) or None, nothing, [])
    kind = server.kind if server and server.kind == "gunicorn" else None
    put("server", intent and intent.server, (str, kind), "gunicorn")
    put("listen", intent and intent.listen, nothing, "unix")
    put("proxy", intent and intent.proxy, nothing, "nginx")
    put("domain", intent and intent.domain, nothing, None)
    tls = intent.tls.model_dump(exclude_none=True) if intent and intent.tls else None
    put("tls", tls, nothing, None)
    put("static", (intent and intent.static) or None, nothing, {})
    put("routes", _routes(intent), nothing, {})
    put("hosts", (intent and intent.hosts) or None, nothing, [])
    for section, model in SECTIONS.items():
        given = getattr(intent, section) if intent else None
        for key in model.model_fields:
            put(f"{section}.{key}", _plain(getattr(given, key, None)), nothing, None)
    put("manage", intent and intent.manage, nothing, ["server", "proxy", "systemd"])
    put("pins", (intent and intent.pins) or None, nothing, {})
    out.unknown += _assumed(out)
    return out


def _routes(intent: Intent | None) -> dict[str, Any] | None:
    """`routes` as plain data: `{"/ws": "websocket", "/search": {"microcache": "1s"}}`."""
    routes = intent.routes if intent else {}
    return {path: _plain(kind) for path, kind in routes.items()} or None


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_none=True) if isinstance(value, words.Section) else value


def app_name(module: str, directory: str | None) -> str:
    """A name within the allow-list, from the module's first part or the folder's name.

    >>> app_name("shop.main:app", "/srv/x")
    'shop'
    >>> app_name("main:app", "/srv/Web Shop")
    'web-shop'
    >>> app_name("main:app", None)
    'main'
    """
    first = module.partition(":")[0].partition(".")[0]
    folder = (directory or "").rstrip("/").rpartition("/")[2]
    for candidate in (first if first.lower() not in GENERIC else "", folder, first):
        fitted = re.sub(r"[^a-z0-9]+", "-", candidate.lower()).strip("-0123456789")[:32].rstrip("-")
        if fitted:
            return fitted
    return "app"


def _usable(out: Resolution, key: str, kind: Any, value: Any) -> Any:
    """The observed value, or None, with the reason in `unknown`, where no file may hold it."""
    if value is None:
        return None
    try:
        return TypeAdapter(kind).validate_python(value, strict=True)
    except ValidationError:
        shown = repr(value) if len(repr(value)) < 60 else repr(value)[:57] + "..."
        out.unknown.append(
            Unknown(
                what=key,
                why=f"what runs has {shown}, which a configuration file may not safely hold",
                remedy=f"Set {key} in advisor.yml.",
            )
        )
        return None


def _interface(server: Server | None, measurement: Measurement | None) -> str | None:
    """What runs says it: the server found, or the class that was measured."""
    if server and server.interface:
        return server.interface
    seen = measurement.target if measurement else None
    names = [
        *((server.worker_class, server.kind) if server else ()),
        *((seen.worker_class, seen.server) if seen else ()),
    ]
    return next((CLASSES[name].interface for name in names if name in CLASSES), None)


def _guessed_interface(module: str, components: dict[str, Component]) -> str:
    """From the module's own words, else from what is installed."""
    for word in ("wsgi", "asgi"):
        if word in module.lower():
            return word
    return "asgi" if {"uvicorn", "uvicorn-worker"} & set(components) else "wsgi"


def _health(measurement: Measurement | None) -> str | None:
    """A health route that answered."""
    answered = {fact.path for fact in measurement.http if fact.status == OK} if measurement else ()
    return next((route for route in HEALTH_ROUTES if route in answered), None)


def _probed(measurement: Measurement | None) -> str | None:
    """The path of the probed URL, where a configuration file may hold it."""
    if measurement is None:
        return None
    match = re.match(r"https?://[^/?#]+(/[^?#]*)?", measurement.target.url)
    path = (match and match[1]) or "/"
    try:
        return str(TypeAdapter(words.UrlPath).validate_python(path))
    except ValidationError:
        return None


def _assumed(out: Resolution) -> list[Unknown]:
    """Paths that were neither given nor seen, and an interface that was guessed."""
    return [
        Unknown(
            what=key,
            why=f"neither given nor seen; {out[key]} is assumed",
            remedy=f"Set {key} in advisor.yml.",
        )
        for key in ("app.interface", "app.directory", "app.virtualenv")
        if out.values[key].from_ == "default"
    ]
