"""Peers found in rendered sites of either daemon, and taken out of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.deploy.switch.peers import Peer, peers, without
from advisor.render import render
from tests.render.live import site as nginx
from tests.render.live_caddy import site as caddy

if TYPE_CHECKING:
    from advisor.documents import Recommendation

KINDS = ("nginx", "caddy")
PATHS = {"nginx": "load_balancer/shop.conf", "caddy": "load_balancer/shop.caddy"}
TRAPS = {
    "static": {"/static/": "/srv/shop/static"},
    "routes": {"/ws": "websocket", "/events": "stream"},
    "domain": "shop.example",
}
ports = st.integers(1, 65535).filter(lambda port: port != 443)
names = st.from_regex(r"\A[a-z][a-z0-9]{0,8}(\.[a-z][a-z0-9]{0,8}){0,2}\Z").filter(
    lambda name: name != "unix"
)
addresses = st.one_of(
    st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(lambda each: f"[{each}]"), names
)
hosts = st.lists(st.builds("{}:{}".format, addresses, ports), min_size=2, max_size=5, unique=True)


def recommended(kind: str, found: list[str]) -> Recommendation:
    if kind == "nginx":
        return nginx.advise(hosts=found, **TRAPS)
    return caddy.advise("2.11.7", hosts=found, **TRAPS)


def rendered(kind: str, found: list[str]) -> str:
    (text,) = (
        file.content.decode()
        for file in render(recommended(kind, found))
        if file.path == PATHS[kind]
    )
    return text


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(found=hosts, data=st.data())
def test_the_peers_of_a_rendered_site_are_its_hosts(
    kind: str, found: list[str], data: st.DataObject
) -> None:
    text = rendered(kind, found)
    assert peers(text, kind) == [Peer(name, is_down=False) for name in found]
    out = data.draw(st.sets(st.sampled_from(found), min_size=1, max_size=len(found) - 1))
    changed = without(text, kind, out)
    up = [each.name for each in peers(changed, kind) if not each.is_down]
    assert up == [name for name in found if name not in out]
    # Nothing else is another line than before; one says what was done, and three let Caddy count.
    before, after = text.splitlines(), changed.splitlines()
    assert len(set(after) - set(before)) == 1 + (len(out) if kind == "nginx" else 3)
    assert len([line for line in before if line not in after]) == len(out)


def test_what_an_administrator_has_marked_down_is_down() -> None:
    text = "    server 10.0.0.1:80 down;\n    server 10.0.0.2:80 weight=2;\n"
    assert [each.is_down for each in peers(text, "nginx")] == [True, False]
    assert without(text, "nginx", ["10.0.0.1:80"]).endswith(text)


def test_comments_and_other_directives_are_no_peers() -> None:
    text = "# server 10.0.0.1:80;\nserver {\n    server_name a.example;\n    listen 80;\n}\n"
    assert peers(text, "nginx") == []
    assert peers("\t# to 10.0.0.1:80\n\t\tto 10.0.0.2:80\n", "caddy") == []
