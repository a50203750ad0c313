"""What nginx believes of its clients, grants them and sends them, beside the app's answers."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.render.kit.nginx_lines import BESIDE_GZIP, CONNECTIONS, GZIP, Said, lacks, needed, said
from advisor.render.kit.nginx_listen import proxy_protocol, reaches_app
from advisor.rules.nginx_gzip import BROTLI, ZSTD

if TYPE_CHECKING:
    from advisor.render.kit.nginx_listen import Role
    from advisor.render.values import Inputs, IntentValues

FROM, HEADER = "nginx.set_real_ip_from", "nginx.real_ip_header"
ALWAYS_PACKED = "text/html"
MODULES = {"nginx.brotli": BROTLI, "nginx.zstd": ZSTD}


@dataclass(frozen=True)
class Packing:
    """A compressor beside gzip, which takes gzip's types and least length."""

    name: str
    why: str


def trusted(inputs: Inputs, role: Role) -> list[str]:
    """The networks whose word for the client is believed; the balancer is the edge itself."""
    if role == "balancer" or lacks(inputs, "http_realip"):
        return []
    return list(dict.fromkeys(inputs.values[FROM] or []))


def believes_scheme(inputs: Inputs, role: Role) -> bool:
    """Whether the scheme that a client used is told: the PROXY protocol says nothing of it."""
    return bool(trusted(inputs, role)) and not proxy_protocol(inputs, role)


def real_ip(inputs: Inputs, role: Role) -> list[Said]:
    """Which header names the client: our own balancer's is X-Forwarded-For."""
    if not trusted(inputs, role):
        return []
    recursive = said(inputs, "nginx.real_ip_recursive")
    if role == "host":
        why = "The load balancer overwrites it with its client's address."
        return [Said("real_ip_header", ("X-Forwarded-For",), why), *recursive]
    return [*said(inputs, HEADER), *recursive]


def gzip(inputs: Inputs) -> list[Said]:
    """Gzip's directives; HTML is always packed, and named again it would be a warning."""
    lines = said(inputs, *GZIP)
    return [
        Said(line.name, tuple(word for word in line.words if word != ALWAYS_PACKED), line.why)
        for line in lines
        if line.words != (ALWAYS_PACKED,)
    ]


def packings(inputs: Inputs) -> list[Packing]:
    """Brotli and zstd, where asked for and known to be there."""
    return [
        Packing(id_.removeprefix("nginx."), inputs.why[id_])
        for id_ in BESIDE_GZIP
        if inputs.values[id_] and MODULES[id_] & _modules(inputs)
    ]


def packing_types(inputs: Inputs) -> list[str]:
    """The types that the compressors beside gzip take."""
    return [kind for kind in inputs.values["nginx.gzip_types"] or [] if kind != ALWAYS_PACKED]


def limits_rate(inputs: Inputs, role: Role) -> bool:
    """Whether one address may send only so much: at the edge, where addresses are clients'."""
    rate = inputs.values["nginx.limit_req_rate"]
    if role == "host" or rate is None:
        return False
    needed(inputs, ["nginx.limit_req_zone_size"], beside="nginx.limit_req_rate")
    return True


def limits_connections(inputs: Inputs, role: Role) -> bool:
    """Whether one address may have only so many requests served at a time: at the edge."""
    per_client, zone = CONNECTIONS
    if role == "host" or inputs.values[per_client] is None:
        return False
    needed(inputs, [zone], beside=per_client)
    return True


def are_named(intent: IntentValues) -> bool:
    """Whether a host is given by a name, which nginx looks up as it starts."""
    hosts = (intent.hosts or []) if intent.is_balanced else []
    return any(not _is_address(host.rpartition(":")[0].strip("[]")) for host in hosts)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def notes(inputs: Inputs, role: Role) -> list[str]:
    """What of the client's side is left out, and what that means for the app."""
    intent, values = inputs.intent, inputs.values
    out = []
    if values[FROM] and role != "balancer" and lacks(inputs, "http_realip"):
        out.append(f"{FROM} is left out: the target's nginx is built without http_realip.")
    if role == "host" and not values[FROM]:
        out.append(
            "Nobody's X-Forwarded-* is believed: the app takes the load balancer for its client, "
            f"and HTTP for its scheme. Pin {FROM} to the balancer's address."
        )
    if role == "host" and trusted(inputs, role) and values[HEADER] not in {None, "X-Forwarded-For"}:
        out.append(f"{HEADER} is X-Forwarded-For here: it is what our load balancer sends.")
    if role == "balancer" and reaches_app(intent):
        out.append(
            "The hosts are reached past any nginx: static files are the app's to serve, and the "
            "app takes the load balancer for its client unless its server is told to believe it."
        )
    out += [
        f"{id_} is left out: its module is not known to be in the target's nginx."
        for id_ in BESIDE_GZIP
        if values[id_] and role != "host" and not MODULES[id_] & _modules(inputs)
    ]
    return out


def _modules(inputs: Inputs) -> frozenset[str]:
    return inputs.modules.get("nginx", frozenset())
