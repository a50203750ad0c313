"""Where nginx listens, for which names, and in which of its three roles.

*edge*: the only nginx, or one behind somebody else's proxy. *host*: nginx on each of several
hosts, behind our load balancer. *balancer*: that balancer, which is the edge then.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from advisor.errors import InvalidInput
from advisor.render.kit.nginx_tls import certificate, http2, http3
from advisor.render.place import LOOPBACK, address, is_unix, stream
from advisor.render.values import NAME

if TYPE_CHECKING:
    from advisor.render.values import Inputs, IntentValues

Role = Literal["edge", "host", "balancer"]
REUSEPORT = "nginx.http3_reuseport"
NO_DOMAIN_LISTEN = "127.0.0.1:8080"
# One place for every app's counters, which are nginx's own in any case: the servers there differ
# by name, so that several apps share it.
STATUS_LISTEN = "127.0.0.1:8099"
# UDP's 443, spelt otherwise than TCP's: gixy takes two alike for two servers without a default.
QUIC = ("0.0.0.0:443", "[::0]:443")
# The longest name that nginx's hash has room for on its own, with a bucket of 64 bytes: 16 of them
# are two pointers', 2 the length's (ngx_hash.c, NGX_HASH_ELT_SIZE).
LONGEST_NAME = 46


def reaches_app(intent: IntentValues) -> bool:
    """Whether `hosts` are the app's own listeners, so that no nginx stands before it there."""
    if not intent.is_balanced or is_unix(intent):
        return False
    where = stream(intent)
    return address(where) not in LOOPBACK and where.rpartition(":")[2] in ports(intent)


def ports(intent: IntentValues) -> list[str]:
    """The ports on which the balancer reaches the hosts, each once."""
    return list(dict.fromkeys(host.rpartition(":")[2] for host in intent.hosts or ()))


def proxy_protocol(inputs: Inputs, role: Role) -> bool:
    """Whether connections begin with the PROXY protocol's line: our own balancer sends none."""
    values = inputs.values
    header = values["nginx.real_ip_header"]
    return role == "edge" and bool(values["nginx.set_real_ip_from"]) and header == "proxy_protocol"


def plain(inputs: Inputs, role: Role) -> list[list[str]]:
    """The words of each `listen` without TLS."""
    if role == "host":
        where = [place for port in ports(inputs.intent) for place in (port, f"[::]:{port}")]
    elif inputs.intent.domain is None:
        where = [NO_DOMAIN_LISTEN]
    else:
        where = ["80", "[::]:80"]
    more = ["proxy_protocol"] if proxy_protocol(inputs, role) else []
    return [[place, *more] for place in where]


def listens(inputs: Inputs, role: Role) -> list[list[str]]:
    """The words of each `listen` of the app's server."""
    if role == "host" or certificate(inputs.intent) is None:
        return plain(inputs, role)
    words = ["ssl"]
    # Before 1.25.1 HTTP/2 is the listener's (ngx_http_v2_module).
    words += ["http2"] if http2(inputs) == "parameter" else []
    words += ["proxy_protocol"] if proxy_protocol(inputs, role) else []
    tls = [["443", *words], ["[::]:443", *words]]
    quic = ["quic", *(["reuseport"] if inputs.values[REUSEPORT] else [])]
    return tls + [[where, *quic] for where in QUIC if http3(inputs)]


def default_listens(inputs: Inputs, role: Role) -> list[list[str]]:
    """Where requests for no known name arrive without TLS: on the ports that are not loopback's."""
    where = plain(inputs, role)
    return [["80"], ["[::]:80"]] if where[0][0] == NO_DOMAIN_LISTEN else where


def variables(name: str) -> str:
    """The app's name as the beginning of nginx's variables, which have no hyphens.

    Two apps never share one: which separators were hyphens is told behind. With a word of seven
    letters the longest still fits nginx's hash of variables, whose room is that of names.

    >>> variables("shop"), variables("wait-page"), variables("wait_page")
    ('shop', 'wait_page__1', 'wait_page')
    """
    hyphens = sum(1 << at for at, mark in enumerate(re.findall("[-_]", name)) if mark == "-")
    bare = name.replace("-", "_")
    return f"{bare}__{hyphens:x}" if hyphens else bare


def check_name(intent: IntentValues) -> None:
    """Raise `InvalidInput` where the app's file and the default server's would be one."""
    if intent.app_name == "default":
        raise InvalidInput(
            f"{NAME}: app.name: default is the default server's, which manage names too",
            remedy="Name the app otherwise, or take default-server out of manage.",
        )


def bucket_size(name: str) -> int | None:
    """The server_names_hash_bucket_size that a long name needs of nginx.conf; null for others.

    >>> bucket_size("shop.example"), bucket_size("a" * 60)
    (None, 128)
    """
    if len(name) <= LONGEST_NAME:
        return None
    return 1 << (len(name) + 2 + 16 + 7).bit_length()
