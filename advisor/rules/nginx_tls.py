"""How nginx speaks TLS and HTTP/2: Mozilla's intermediate guidelines. Times are whole seconds.

Only where advisor.yml has `tls`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from advisor.intent import Allowed
from advisor.rules.proxies import HSTS_S, MIB, MOZILLA, Bytes, Seconds, nginx_rule
from advisor.rules.registry import Choice, Seen

SSL = "ngx_http_ssl_module"
CIPHERS = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
]
HYBRID = "X25519MLKEM768"
CURVES = ["X25519", "prime256v1", "secp384r1"]
# A MiB holds about 4,000 sessions.
SESSIONS_A_MIB = 4000
SESSIONS_MIB = 10

Words = (
    list[
        Annotated[str, Allowed(r"[A-Za-z0-9][A-Za-z0-9_-]*", most=60, says="a name OpenSSL knows")]
    ]
    | None
)


@nginx_rule(
    "nginx.http2",
    needs=("tls",),
    wants=("can.nginx.http2_directive", "components.nginx.modules"),
    accepts=bool | None,
    default=False,
    source="nginx: ngx_http_v2_module, http2 (1.25.1), before it a parameter of listen",
)
def http2(s: Seen) -> Choice:
    """On with TLS, in the spelling that this nginx knows.

    The parameter of `listen` is understood by newer ones too, if with a warning, so it stands
    where the version is not known.
    """
    modules = s["components.nginx.modules"]
    if modules is not None and "http_v2" not in modules:
        return Choice(False, "This nginx is built without the module http_v2.", inputs={})
    known = s["can.nginx.http2_directive"]
    spelt = "http2 on (1.25.1)" if known else "a parameter of listen"
    unknown = "; its version is not known, and every one understands that" if known is None else ""
    return Choice(
        True,
        f"Many requests share one connection; spelt as {spelt}{unknown}.",
        confidence="medium" if modules is None else "high",
        inputs={"http2_directive": bool(known)},
    )


@nginx_rule(
    "nginx.http3",
    needs=("tls",),
    wants=("can.nginx.http3",),
    accepts=bool | None,
    default=False,
    source="nginx: ngx_http_v3_module (1.25.0): experimental",
)
def http3(s: Seen) -> Choice:
    """Off unless pinned: it needs UDP on port 443 opened, and nginx calls it experimental."""
    able = s["can.nginx.http3"]
    lacks = ", and this nginx lacks it" if able is False else ""
    return Choice(False, f"Experimental in nginx, and needs UDP on port 443{lacks}.")


@nginx_rule(
    "nginx.http3_reuseport",
    needs=("tls", "nginx.http3"),
    accepts=bool | None,
    default=False,
    source="nginx: QUIC and HTTP/3 support (reuseport with several workers); listen, reuseport",
)
def http3_reuseport(s: Seen) -> Choice | None:
    """Each worker has its own queue of packets, for a connection is known to one worker alone.

    It is the socket's, which all sites of the host share: said by two, nginx refuses both.
    """
    if not s["nginx.http3"]:
        return None
    return Choice(
        True,
        "A connection's packets reach the worker that knows it. One site of a host says so: "
        "where another has HTTP/3 already, pin false.",
        inputs={},
    )


@nginx_rule(
    "nginx.ssl_protocols",
    needs=("tls",),
    wants=("can.nginx.tls13",),
    accepts=list[Literal["TLSv1.2", "TLSv1.3"]] | None,
    source=f"{MOZILLA}; nginx: {SSL}, ssl_protocols (TLSv1.3: 1.13.0)",
)
def ssl_protocols(s: Seen) -> Choice:
    """TLS 1.2 and 1.3; an nginx before 1.13 does not know the latter's name."""
    if s["can.nginx.tls13"] is False:
        return Choice(["TLSv1.2"], "This nginx is older than TLS 1.3 (1.13.0).", inputs={})
    return Choice(["TLSv1.2", "TLSv1.3"], "Older ones are broken, and no browser needs them.")


@nginx_rule("nginx.ssl_ciphers", needs=("tls",), accepts=Words, source=MOZILLA)
def ssl_ciphers(_: Seen) -> Choice:
    """Six suites of TLS 1.2, all with forward secrecy; TLS 1.3 has its own."""
    return Choice(list(CIPHERS), "Six suites, all with forward secrecy and no DHE.", inputs={})


@nginx_rule(
    "nginx.ssl_ecdh_curve",
    needs=("tls",),
    wants=("can.openssl.x25519mlkem768",),
    accepts=Words,
    default=["auto"],
    source=f"{MOZILLA}; OpenSSL 3.5: X25519MLKEM768",
)
def ssl_ecdh_curve(s: Seen) -> Choice:
    """Mozilla's four; without the first where OpenSSL is before 3.5, or is not known.

    With a curve that its OpenSSL lacks nginx does not start.
    """
    able = s["can.openssl.x25519mlkem768"]
    if able:
        return Choice([HYBRID, *CURVES], f"{HYBRID} first, which holds against quantum computers.")
    why = "needs OpenSSL 3.5" if able is False else "needs OpenSSL 3.5; its version is not known"
    return Choice(
        list(CURVES),
        f"Without {HYBRID}, which {why}: nginx would not start.",
        confidence="high" if able is False else "medium",
        inputs={},
    )


@nginx_rule(
    "nginx.ssl_prefer_server_ciphers",
    needs=("tls",),
    accepts=bool | None,
    default=False,
    source=MOZILLA,
)
def ssl_prefer_server_ciphers(_: Seen) -> Choice:
    """Off: all six are good, and the client knows which it is fast at."""
    return Choice(False, "All six are good; a phone without AES in hardware picks ChaCha20.")


@nginx_rule(
    "nginx.ssl_session_cache_size",
    needs=("tls",),
    unit="bytes",
    accepts=Bytes,
    source=f"{MOZILLA}; nginx: {SSL}, ssl_session_cache: 4,000 sessions a megabyte",
)
def ssl_session_cache_size(_: Seen) -> Choice:
    """10 MiB, shared by the workers: 40,000 sessions."""
    return Choice(
        SESSIONS_MIB * MIB,
        f"{SESSIONS_A_MIB * SESSIONS_MIB:,} clients come back without a whole handshake.",
        inputs={},
    )


@nginx_rule(
    "nginx.ssl_session_timeout",
    needs=("tls",),
    unit="s",
    accepts=Seconds,
    default=300,
    source=f"{MOZILLA}; nginx: {SSL}, ssl_session_timeout",
)
def ssl_session_timeout(_: Seen) -> Choice:
    """A day: who comes back within it needs no whole handshake."""
    return Choice(86400, "A day, in which a client comes back without a whole handshake.")


@nginx_rule(
    "nginx.ssl_session_tickets",
    needs=("tls",),
    wants=("can.nginx.ticket_key_rotation",),
    accepts=bool | None,
    default=True,
    source=f"{MOZILLA}; nginx 1.23.2: changelog, ticket keys are rotated with a shared cache",
)
def ssl_session_tickets(s: Seen) -> Choice:
    """On from 1.23.2, which renews their key; before it one key would open all that was sent."""
    able = s["can.nginx.ticket_key_rotation"]
    if able:
        return Choice(True, "This nginx renews the tickets' key (1.23.2).")
    unknown = "; its version is not known" if able is None else ""
    return Choice(
        False,
        f"An nginx before 1.23.2 keeps one key until it restarts, and it opens every session"
        f"{unknown}.",
        confidence="high" if able is False else "medium",
    )


@nginx_rule(
    "nginx.hsts_max_age",
    needs=("tls",),
    unit="s",
    accepts=Annotated[int, Field(ge=0, le=10 * HSTS_S)] | None,
    source=f"{MOZILLA}: hsts_min_age; RFC 6797",
)
def hsts_max_age(_: Seen) -> Choice:
    """Two years, for this name alone: its subdomains may not have TLS yet."""
    return Choice(HSTS_S, "Two years: browsers come back by HTTPS only, to this name.", inputs={})
