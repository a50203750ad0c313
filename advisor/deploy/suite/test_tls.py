"""TLS as a client meets it: versions, the certificate's name, the days that it has left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509

from advisor.deploy.suite.questions import TLS
from advisor.deploy.suite.verdict import held, not_run

if TYPE_CHECKING:
    from advisor.deploy.suite.live import Live
    from advisor.deploy.suite.tree import Tree

# certbot and Caddy renew when a third of a lifetime is left: half of that gone by without a
# renewal is a fault, and so are two weeks before a certificate ends that is renewed by hand.
LEFT_RATIO = 1 / 6
LEFT_MOST = timedelta(days=14)


def test_version(live: Live, tree: Tree, version: str) -> None:
    """Is taken or refused as rendered."""
    taken = _hello(live, tree)["versions"].get(version)
    if taken is None:
        not_run("the host's OpenSSL does not speak it itself")
    wanted = version in (tree.protocols or ())
    held(taken is wanted, f"it is {'taken' if taken else 'refused'}")


def test_certificate_names_the_domain(live: Live, tree: Tree, certificate: str) -> None:
    """The certificate is for the domain."""
    found = _certificate(live, tree)
    names = _names(found)
    held(any(covers(name, certificate) for name in names), f"it is for {', '.join(names)}")


def test_certificate_lasts(live: Live, tree: Tree, certificate: str) -> None:
    """The certificate will be renewed in time."""
    found = _certificate(live, tree)
    left = found.not_valid_after_utc - datetime.now(UTC)
    least = enough(found.not_valid_after_utc - found.not_valid_before_utc)
    words = f"{certificate}: {left / timedelta(days=1):.1f} days are left"
    held(left >= least, f"{words}, {least / timedelta(days=1):.1f} should be")


def covers(name: str, host: str) -> bool:
    """Whether a name of a certificate is that of the host: a star is one label (RFC 9525).

    >>> covers("*.shop.example", "www.shop.example"), covers("*.example", "www.shop.example")
    (True, False)
    """
    star, _, rest = name.lower().partition(".")
    own = host.lower()
    return own == name.lower() or (star == "*" and own.partition(".")[2] == rest)


def enough(lifetime: timedelta) -> timedelta:
    """What of a certificate's lifetime should be left.

    >>> enough(timedelta(days=6)).days, enough(timedelta(days=365)).days
    (1, 14)
    """
    return min(lifetime * LEFT_RATIO, LEFT_MOST)


def _hello(live: Live, tree: Tree) -> Any:
    health = tree.install.health
    if health is None:
        not_run("the tree names no route")
    found = live.script(TLS, health.address, str(health.port), health.host)
    if found["error"]:
        held(False, f"{health.address}:{health.port}: {found['error']}")
    return found


def _certificate(live: Live, tree: Tree) -> x509.Certificate:
    pem = _hello(live, tree)["certificate"]
    if pem is None:
        not_run("no version of TLS was taken")
    return x509.load_pem_x509_certificate(pem.encode())


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [str(name) for name in found.value.get_values_for_type(x509.DNSName)]
