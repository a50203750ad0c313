"""`.advisor/install.json`: what a target has to know of a tree to install it. Pure.

One document for each kind of host that a tree has files for: the app's own, the load balancer in
front of several, and the Prometheus that watches them. The program that installs a tree on its
target reads this and nothing else of ours.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from advisor.render.kit import caddy, nginx
from advisor.render.kit.caddy_site import member_ports
from advisor.render.kit.launch import launch
from advisor.render.kit.nginx_listen import NO_DOMAIN_LISTEN, plain, proxy_protocol
from advisor.render.kit.systemd import trial
from advisor.render.kit.systemd_names import (
    has_command,
    has_dropin,
    has_socket,
    has_unit,
    stem,
    unit,
)
from advisor.render.kit.workers import has_celery, has_rq, unit_name
from advisor.render.place import address, is_unix, reachable, stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from advisor.render.component import Output
    from advisor.render.values import Inputs

SCHEMA = "advisor/install/1"
Part = Literal["app", "load_balancer", "monitoring"]
# Of the kinds of host, the app's own has the plain name.
PATHS: dict[Part, str] = {
    "app": ".advisor/install.json",
    "load_balancer": ".advisor/load_balancer/install.json",
    "monitoring": ".advisor/monitoring/install.json",
}


def documents(inputs: Inputs, outputs: Iterable[Output], digest: str) -> dict[str, bytes]:
    """The install documents of a tree, by path; `digest` is that of the inputs."""
    rows: dict[Part, list[dict[str, str]]] = {"app": []}
    for output in outputs:
        row = _row(inputs, output)
        rows.setdefault(part_of(inputs, row["component"]), []).append(row)
    return {
        PATHS[part]: json.dumps(_document(inputs, part, found, digest), indent=1).encode() + b"\n"
        for part, found in rows.items()
    }


def part_of(inputs: Inputs, component: str) -> Part:
    """The kind of host that a folder of the tree is for.

    What watches one host stands on it; what watches several stands on none of them.
    """
    if component == "load_balancer":
        return "load_balancer"
    if component == "monitoring" and inputs.intent.is_balanced:
        return "monitoring"
    return "app"


def _document(
    inputs: Inputs, part: Part, rows: list[dict[str, str]], digest: str
) -> dict[str, Any]:
    """`peers` are the hosts as the load balancer names them; only theirs knows the app's user."""
    intent = inputs.intent
    user = intent.user if part == "app" else "root"
    return {
        "schema": SCHEMA,
        "app": intent.app_name,
        "part": part,
        "inputs": digest,
        "user": user,
        "group": user,
        "server": intent.runs_on,
        "files": rows,
        "units": units(inputs) if part == "app" else [],
        "health": health(inputs, part),
        "direct": direct(inputs) if part == "app" else None,
        "proxy": _proxy(inputs, part),
        "peers": list(intent.hosts or ()) if intent.is_balanced else [],
        "refusal": refusal(inputs, part),
    }


def _row(inputs: Inputs, output: Output) -> dict[str, str]:
    names = {"app": inputs.intent.app_name, "user": inputs.intent.user}
    path = output.path.format(**names)
    return {
        "path": path,
        "component": path.partition("/")[0],
        "target": output.target.format(**names),
        "owner": output.owner,
        "group": output.group.format(**names),
        "mode": f"{output.mode:04o}",
        "checker": output.checker,
        "activation": output.activation,
    }


def units(inputs: Inputs) -> list[dict[str, Any]]:
    """The units that run the app, in the order in which they start.

    What a reload does beside a unit that exists, without a command of ours, nobody knows. Where
    systemd is not ours, only a unit that advisor.yml names is known.
    """
    found: list[dict[str, Any]] = []
    if has_socket(inputs):
        found.append({"name": f"{stem(inputs.intent)}.socket", "kind": "socket"})
    if has_unit(inputs) or has_dropin(inputs) or inputs.intent.systemd_unit:
        started = launch(inputs) if has_command(inputs) else None
        found.append(
            {
                "name": unit(inputs.intent),
                "kind": "service",
                "reload": started is not None and started.reload_signal is not None,
                "trial": list(trial(started)) if started else [],
            }
        )
    workers = {"celery": has_celery(inputs), "rq": has_rq(inputs)}
    found += [
        {"name": unit_name(inputs, product), "kind": "worker"}
        for product, is_wanted in workers.items()
        if is_wanted
    ]
    return found


def health(inputs: Inputs, part: Part) -> dict[str, Any] | None:
    """Where a host asks itself how the app is: through its proxy, where that is ours.

    Otherwise of the app itself, as where the proxy takes no plain request (the PROXY protocol's
    line comes first). Null where nothing of ours answers.
    """
    if part == "monitoring":
        return None
    where = _edge(inputs) if part == "load_balancer" else _front(inputs)
    if where is None or _wants_preface(inputs, part):
        return direct(inputs)
    scheme, listener = where
    return _asked(inputs, scheme, address(listener), int(listener.rpartition(":")[2]))


def direct(inputs: Inputs) -> dict[str, Any] | None:
    """Where the app answers without a proxy: its address, or its unix socket's path and port 0.

    Null where the server is not started by what is ours.
    """
    if not ("server" in inputs.manages or has_unit(inputs)):
        return None
    listener = reachable(stream(inputs.intent))
    if is_unix(inputs.intent):
        return _asked(inputs, "http", listener, 0)
    return _asked(inputs, "http", address(listener), int(listener.rpartition(":")[2]))


def _asked(inputs: Inputs, scheme: str, where: str, port: int) -> dict[str, Any]:
    """A wildcard is no name: any one below it will do."""
    return {
        "scheme": scheme,
        "address": where,
        "port": port,
        "host": (inputs.intent.domain or "localhost").replace("*", "health", 1),
        "path": inputs.intent.app_health or "/",
    }


def _front(inputs: Inputs) -> tuple[str, str] | None:
    """Scheme and listener of the proxy beside the app; null where none of ours is there."""
    intent = inputs.intent
    if not (caddy.app_wanted(inputs) or nginx.wants_app(inputs)):
        return None
    if not intent.is_balanced:
        return _edge(inputs)
    port = member_ports(intent)[0] if caddy.wanted(inputs) else plain(inputs, "host")[0][0]
    return "http", f"127.0.0.1:{port}"


def _edge(inputs: Inputs) -> tuple[str, str]:
    """Scheme and listener of what visitors arrive at."""
    if inputs.intent.domain is None:
        return "http", NO_DOMAIN_LISTEN
    return ("https", "127.0.0.1:443") if inputs.intent.tls else ("http", "127.0.0.1:80")


def _wants_preface(inputs: Inputs, part: Part) -> bool:
    edge = part == "app" and nginx.wanted(inputs)
    return edge and proxy_protocol(inputs, nginx.role_of(inputs))


def _proxy(inputs: Inputs, part: Part) -> str | None:
    """The proxy whose files are ours on this kind of host."""
    if part == "monitoring" or (part == "app" and _front(inputs) is None):
        return None
    return inputs.intent.proxy or "nginx"


def refusal(inputs: Inputs, part: Part) -> str | None:
    """Why a host should not have this: words, or null.

    Without a domain what visitors arrive at would answer on loopback alone: good for a look.
    """
    behind = part == "app" and inputs.intent.is_balanced
    if inputs.intent.domain is not None or behind or _proxy(inputs, part) is None:
        return None
    return f"domain is not set: the proxy would answer on {NO_DOMAIN_LISTEN} alone"
