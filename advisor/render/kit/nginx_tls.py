"""TLS: the certificate, the policy, HTTP/2 and HTTP/3, as far as the target can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from advisor.render.kit.nginx_lines import Said, lacks, said
from advisor.rules.nginx_tls import HYBRID

if TYPE_CHECKING:
    from advisor.render.values import Inputs, IntentValues

# certbot's own places: where it keeps what is current, and its working folder (--work-dir).
LIVE = "/etc/letsencrypt/live"
WEBROOT = "/var/lib/letsencrypt"
CURVES = "nginx.ssl_ecdh_curve"
HTTP2, HTTP3 = "nginx.http2", "nginx.http3"


@dataclass(frozen=True)
class Certificate:
    """The files of a certificate and its key; `lineage` is certbot's name for them, or null."""

    certificate: str
    key: str
    lineage: str | None = None


def certificate(intent: IntentValues) -> Certificate | None:
    """The domain's certificate; null without `tls`, and without a domain to show it for."""
    if intent.tls is None or intent.domain is None:
        return None
    if intent.tls.certificate is not None and intent.tls.key is not None:
        return Certificate(intent.tls.certificate, intent.tls.key)
    lineage = intent.domain.removeprefix("*.")
    folder = f"{LIVE}/{lineage}"
    return Certificate(f"{folder}/fullchain.pem", f"{folder}/privkey.pem", lineage)


def answers_challenges(intent: IntentValues) -> bool:
    """Whether certbot proves the domain by a file under the webroot.

    A wildcard is proved by DNS alone (RFC 8555 leaves it to the CA; Let's Encrypt: challenge
    types, HTTP-01).
    """
    found = certificate(intent)
    return found is not None and found.lineage == intent.domain


def http2(inputs: Inputs) -> Literal["directive", "parameter"] | None:
    """How HTTP/2 is spelt: `http2 on` from 1.25.1, `listen ... http2` before, or not at all.

    Where the version is not known, the parameter: newer ones take it too, with a warning.
    """
    if not inputs.values[HTTP2] or lacks(inputs, "http_v2"):
        return None
    return "directive" if inputs.can("nginx.http2_directive") else "parameter"


def http3(inputs: Inputs) -> bool:
    """Whether HTTP/3 is asked for, and the target's nginx is known to have it."""
    return bool(inputs.values[HTTP3]) and inputs.can("nginx.http3")


def rejects_handshakes(inputs: Inputs) -> bool:
    """Whether a server can refuse TLS without a certificate: ssl_reject_handshake, 1.19.4."""
    return inputs.can("nginx.ssl_reject_handshake")


def policy(inputs: Inputs) -> list[Said]:
    """The directives of the policy, the same in every server of one listener.

    nginx's reference says of ssl_protocols that the listener's default server may decide.
    """
    joined = {"nginx.ssl_ciphers": inputs.values["nginx.ssl_ciphers"], CURVES: _curves(inputs)}
    zone = f"shared:{inputs.intent.app_name}_tls:{inputs.values['nginx.ssl_session_cache_size']}"
    lines: list[Said] = []
    for line in said(inputs, "nginx.ssl_protocols", *joined):
        names = joined.get(f"nginx.{line.name}")
        if names is None:
            lines.append(line)
        elif names:
            lines.append(Said(line.name, (":".join(names),), line.why))
    lines += said(inputs, "nginx.ssl_prefer_server_ciphers")
    lines += [
        Said("ssl_session_cache", (zone,), line.why)
        for line in said(inputs, "nginx.ssl_session_cache_size")
    ]
    return lines + said(inputs, "nginx.ssl_session_timeout", "nginx.ssl_session_tickets")


def _curves(inputs: Inputs) -> list[str]:
    """The curves that the target's OpenSSL has.

    The question mark lets an OpenSSL from 3.3 on pass over a name that it does not know, so that
    nginx still starts after a step back (SSL_CTX_set1_groups_list(3)).
    """
    curves: list[str] = inputs.values[CURVES] or []
    if inputs.can("openssl.x25519mlkem768"):
        return [f"?{curve}" if curve == HYBRID else curve for curve in curves]
    return [curve for curve in curves if curve != HYBRID]


def notes(inputs: Inputs) -> list[str]:
    """What of TLS is spelt otherwise or left out, and why."""
    intent, values = inputs.intent, inputs.values
    if intent.tls is not None and intent.domain is None:
        return ["TLS is left out: without a domain there is no name for the certificate."]
    if certificate(intent) is None:
        return []
    found = f"the target's version is {inputs.found('nginx')}"
    out = []
    if values[HTTP2] and http2(inputs) is None:
        out.append("HTTP/2 is left out: the target's nginx is built without http_v2.")
    elif http2(inputs) == "parameter":
        out.append(f"HTTP/2 is a parameter of listen: `http2 on` needs nginx 1.25.1; {found}.")
    if values[HTTP3] and not http3(inputs):
        lacking = "" if _has(inputs, "http_v3") else ", and http_v3 is not among its known modules"
        out.append(f"HTTP/3 is left out: it needs nginx 1.25 with http_v3; {found}{lacking}.")
    if HYBRID in (values[CURVES] or []) and not inputs.can("openssl.x25519mlkem768"):
        version = inputs.found("openssl")
        out.append(
            f"{HYBRID} is left out: it needs OpenSSL 3.5; the target's version is {version}."
        )
    return out


def _has(inputs: Inputs, module: str) -> bool:
    return module in inputs.modules.get("nginx", frozenset())
