"""Trees of the shop, rendered for hosts of the lab."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.documents import Recommendation
from advisor.files import load, validate
from advisor.render import render, write

if TYPE_CHECKING:
    from tests.lab.host import Host

CASE = Path(__file__).parents[1] / "render" / "cases" / "asgi" / "recommendation.yml"
# What each base has; rendering decides by them what a file may say.
VERSIONS = {
    "nginx": "/usr/sbin/nginx -v 2>&1 | grep -o '[0-9.]*$'",
    "openssl": "openssl version | cut -d' ' -f2",
    "systemd": "systemctl --version | sed -n '1s/systemd \\([0-9]*\\).*/\\1/p'",
    "gunicorn": "/srv/venv/bin/gunicorn --version | grep -o '[0-9.]*$'",
    "caddy": "caddy version | grep -o '^[0-9.]*'",
    "redis": "redis-server --version | sed -n 's/.* v=\\([0-9.]*\\).*/\\1/p'",
    "prometheus": "prometheus --version 2>&1 | sed -n '1s/.*version \\([0-9.]*\\).*/\\1/p'",
}
# What is ours where advisor.yml does not say.
MANAGED = ("server", "proxy", "systemd")
INTENT: dict[str, Any] = {
    "app.module": "main:app",
    "app.directory": "/srv/shop",
    "app.virtualenv": "/srv/venv",
    "app.environment": {},
    "app.environment_file": None,
    "app.writable": [],
    "app.health": "/healthz",
    "static": {},
}


def shop(
    host: Host,
    folder: Path,
    settings: dict[str, Any] | None = None,
    *,
    knobs: dict[str, Any] | None = None,
    **intent: Any,
) -> Path:
    """The shop's tree for this host; `knobs` are its environment's, `app__user` is app.user."""
    data = load(CASE)
    stated = {key.replace("__", "."): value for key, value in intent.items()}
    environment = {f"SHOP_{name.upper()}": str(value) for name, value in (knobs or {}).items()}
    for key, value in (INTENT | {"app.environment": environment} | stated).items():
        data["intent"][key] = {"value": value, "from": "config"}
    for key in ("name", "module", "interface"):
        data["app"][key] = data["intent"][f"app.{key}"]["value"]
    for name, version in versions(host).items():
        data["components"][name] = {"version": version}
    known = {setting["id"]: setting for setting in data["settings"]}
    for id_, value in (settings or {}).items():
        known[id_] = {**data["settings"][0], "why": "A test.", **known.get(id_, {}), "id": id_}
        known[id_]["value"] = value
    data["settings"] = list(known.values())
    folder.mkdir(parents=True, exist_ok=True)
    write(render(validate(Recommendation, data, name="case")), folder, overwrite=True)
    return folder


def versions(host: Host) -> dict[str, str]:
    """The version of each program that the host has."""
    asked = "\n".join(f'echo "{name}=$({command})"' for name, command in VERSIONS.items())
    said = dict(line.split("=", 1) for line in host.run(asked).out.splitlines())
    return {name: version for name, version in said.items() if version}


def pages(host: Host, folder: Path, timeout_s: int = 30) -> Path:
    """The second sample app, under WSGI."""
    settings = {"gunicorn.worker_class": "gthread", "gunicorn.threads": 4}
    own = {"app__name": "pages", "app__user": "pages", "app__directory": "/srv/pages"}
    return shop(
        host,
        folder,
        settings | {"gunicorn.workers": 1, "gunicorn.timeout": timeout_s},
        **own,
        app__interface="wsgi",
        domain="pages.example",
    )
