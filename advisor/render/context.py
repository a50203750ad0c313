"""From typed values to what the templates name: every decision a template must not take."""

from __future__ import annotations

import ipaddress
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advisor.render.outputs import GUNICORN_CONF

if TYPE_CHECKING:
    from collections.abc import Iterable

    from advisor.render.values import Inputs, IntentValues, Version

# nginx's group in Debian's packages; its workers need it to open the app's socket.
NGINX_GROUP = "www-data"
NO_DOMAIN_LISTEN = "127.0.0.1:8080"
LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True)
class Line:
    """One assignment in gunicorn.conf.py and its reason."""

    name: str
    value: bool | int | str
    why: str


@dataclass(frozen=True)
class Gate:
    """A setting that a component knows only since a version.

    `otherwise` is the reason that stands in the file where the target's version is older, or
    not known: an unknown key there would be refused, or silently passed over.
    """

    component: str
    since: Version
    otherwise: str


GATES = {
    # Gunicorn 25.1.0's changelog: the control socket arrived with that version.
    "gunicorn.control_socket_disable": Gate(
        "gunicorn", (25, 1), "control_socket_disable is left out: it needs Gunicorn 25.1"
    ),
    # nginx's reference, ngx_http_upstream_module: keepalive_timeout appeared in 1.15.3.
    "nginx.upstream_keepalive_timeout": Gate(
        "nginx", (1, 15, 3), "keepalive_timeout is left out: in an upstream it needs nginx 1.15.3"
    ),
}


def context_of(inputs: Inputs) -> dict[str, Any]:
    """The variables of the templates, header and filters aside."""
    intent = inputs.intent
    left_out = _left_out(inputs)
    values = {id_: None if id_ in left_out else value for id_, value in inputs.values.items()}
    user = intent.app_user or intent.app_name
    stream = _stream(intent)
    unix = stream.startswith("/")
    nginx = intent.proxy != "none"
    return {
        "name": intent.app_name,
        "module": intent.app_module,
        "user": user,
        "directory": intent.app_directory,
        "environment": list((intent.app_environment or {}).items()),
        "environment_file": intent.app_environment_file,
        "writable": intent.app_writable or [],
        "config": config_path(inputs) if "server" in inputs.manages else None,
        "gunicorn_program": gunicorn_program(inputs),
        "values": values,
        "why": inputs.why,
        "gunicorn": _gunicorn_lines(values, inputs.why),
        "trust": _trust(inputs),
        "left_out": {
            component: [text for id_, text in left_out.items() if id_.startswith(f"{component}.")]
            for component in ("gunicorn", "nginx")
        },
        "stream": stream,
        "bind": f"unix:{stream}" if unix else stream,
        "own_socket": "systemd" in inputs.manages,
        "socket_group": NGINX_GROUP if unix and nginx else None,
        "socket_user": user if unix and not nginx else None,
        "upstream": f"unix:{stream}" if unix else _reachable(stream),
        "nginx_listen": [NO_DOMAIN_LISTEN] if intent.domain is None else ["80", "[::]:80"],
        "server_name": intent.domain or "localhost",
        # $host carries no port, and an app on another port than 80 needs it in its redirects.
        # $http_host would let a request line name one host and the header another.
        "host_header": "$host:$server_port" if intent.domain is None else "$host",
        "static": [
            (_slashed(url), _slashed(folder)) for url, folder in (intent.static or {}).items()
        ],
        "in_home": _any_below(_app_paths(intent), "/home", "/root", "/run/user"),
        "in_tmp": _any_below(_app_paths(intent), "/tmp", "/var/tmp"),  # noqa: S108 - not used
    }


def config_path(inputs: Inputs) -> str:
    """Where the target's Gunicorn finds its configuration, whichever generation is current."""
    return GUNICORN_CONF.target.format(app=inputs.intent.app_name)


def gunicorn_program(inputs: Inputs) -> str:
    """The virtual environment's Gunicorn, or the one that systemd finds on its own path."""
    virtualenv = inputs.intent.app_virtualenv
    return posixpath.join(virtualenv, "bin/gunicorn") if virtualenv else "gunicorn"


def _left_out(inputs: Inputs) -> dict[str, str]:
    """The settings that the target cannot have, by id, each with the reason."""
    out: dict[str, str] = {}
    for id_, gate in GATES.items():
        version = inputs.versions.get(gate.component)
        if inputs.values[id_] is None or (version and version >= gate.since):
            continue
        found = ".".join(map(str, version)) if version else "not known"
        out[id_] = f"{gate.otherwise}; the target's version is {found}."
    return out


def _gunicorn_lines(values: dict[str, Any], why: dict[str, str]) -> list[Line]:
    return [
        Line(id_.removeprefix("gunicorn."), value, why[id_])
        for id_, value in values.items()
        if id_.startswith("gunicorn.") and value is not None
    ]


def _trust(inputs: Inputs) -> str | None:
    """Whose X-Forwarded-* the app server believes: nginx's on this host, and nobody else's.

    Gunicorn's own workers believe a peer on a unix socket in any case (gunicorn 20 to 27,
    `forwarded_allow_ips`). Uvicorn has no name for such a peer (`ProxyHeadersMiddleware`:
    its client is None), so that only `*` covers it; that is safe while the socket is the one
    of our own unit, which only nginx's group may open. Null is the product's default.
    """
    intent = inputs.intent
    if intent.proxy == "none":
        return None
    stream = _stream(intent)
    if not stream.startswith("/"):
        return ",".join(dict.fromkeys((*LOOPBACK, _address(_reachable(stream)))))
    worker_class = inputs.values["gunicorn.worker_class"] or ""
    uvicorn = worker_class.rpartition(".")[2].startswith("Uvicorn")
    return "*" if uvicorn and "systemd" in inputs.manages else None


def _stream(intent: IntentValues) -> str:
    """What the socket unit listens on: a path, or an address and port."""
    if intent.listen in {None, "unix"}:
        return f"/run/{intent.app_name}/{intent.app_name}.sock"
    return str(intent.listen)


def _address(stream: str) -> str:
    return stream.rpartition(":")[0].strip("[]")


def _reachable(stream: str) -> str:
    """Where a client on the same host finds a listener: for a wildcard, the loopback."""
    address = ipaddress.ip_address(_address(stream))
    if not address.is_unspecified:
        return stream
    port = stream.rpartition(":")[2]
    return f"127.0.0.1:{port}" if address.version == 4 else f"[::1]:{port}"


def _slashed(path: str) -> str:
    """With a slash at the end; `location /x { alias /y/; }` would serve /y/../ as /x../."""
    return path if path.endswith("/") else f"{path}/"


def _app_paths(intent: IntentValues) -> list[str]:
    paths = (intent.app_directory, intent.app_virtualenv, *(intent.app_writable or []))
    return [path for path in paths if path is not None]


def _any_below(paths: Iterable[str], *roots: str) -> bool:
    return any(path == root or path.startswith(f"{root}/") for path in paths for root in roots)
