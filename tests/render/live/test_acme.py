"""A certificate by certbot: first the file that answers its challenge, then the site."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from advisor.render import render
from tests.render.live.site import Site, advise, deployed, nginx, of_nginx
from tests.render.live_common.clients import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.daemon

CHALLENGE = "/.well-known/acme-challenge"
PROOF = "token.thumbprint"
REC = {"domain": DOMAIN, "tls": {"acme": True}}


def proves(site: Site) -> None:
    """certbot writes below the webroot, and whoever signs asks for that by plain HTTP."""
    webroot = site.folder / "var/lib/letsencrypt"
    (webroot / CHALLENGE.strip("/")).mkdir(parents=True)
    (webroot / CHALLENGE.strip("/") / "token").write_text(PROOF)
    (webroot / "private").write_text("secret")
    with site.client() as client:
        client.headers["Host"] = DOMAIN
        assert client.get(f"{CHALLENGE}/token").text == PROOF
        assert client.get(f"{CHALLENGE}/other").status_code == 404
        elsewhere = client.get("/private?a=b")
        assert elsewhere.status_code == 301
        assert elsewhere.headers["location"] == f"https://{DOMAIN}/private?a=b"


def test_nginx_answers_before_there_is_a_certificate(folder: Callable[[], Path]) -> None:
    first = [file for file in of_nginx(render(advise(**REC))) if file.path.endswith(".acme.conf")]
    assert [file.path for file in first] == ["nginx/shop.acme.conf"]
    with nginx(first, folder()) as site:
        proves(site)


def test_the_site_is_served_with_it_and_can_be_renewed(
    folder: Callable[[], Path], certificate: Callable[[str], dict[str, str]]
) -> None:
    where, pair = folder(), certificate("ecdsa")
    live = where / "etc/letsencrypt/live" / DOMAIN
    live.mkdir(parents=True)
    shutil.copy(pair["certificate"], live / "fullchain.pem")
    shutil.copy(pair["key"], live / "privkey.pem")
    with deployed(advise(**REC), where) as site:
        assert site.https(pair).json()["scheme"] == "https"
        proves(site)
