"""What administrators have put where ours goes: refused, and with --overwrite kept to come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.switching import (
    assert_at_rest,
    carried_out,
    committed,
    installed,
    marker,
    message,
    requested,
    said,
    wait,
)
from tests.lab.trees import pages, shop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.host import Host
    from tests.lab.lab import Lab

SITE, ELSEWHERE = "/etc/nginx/conf.d/shop.conf", "/srv/sites/shop.conf"
LIVE = "/etc/advisor/current/shop/nginx/shop.conf"
# Bytes that no editor of text would keep.
THEIRS = b"# an administrator's \xff\x00 bytes\r\n# and no newline"
# A link's own time is no part of it.
SHOWN = "stat -c '%F %a %u %g %N' {0}; stat -Lc %Y {0}; sha256sum {0}; ls -A {0}"
MAKE = {
    "a file": f"chmod 604 {ELSEWHERE}; chgrp adm {ELSEWHERE}; cp -a {ELSEWHERE} {SITE}",
    "a link": f"ln -s ../../../srv/sites/shop.conf {SITE}",
    "a folder": f"mkdir {SITE}; cp {ELSEWHERE} {SITE}/kept",
}


@pytest.fixture(scope="module")
def web(lab: Lab, trees: Path) -> Host:
    """A host whose first generation is another app's."""
    host = lab.boot("debian-12", name="edited")
    for name in ("one", "two"):
        shop(host, trees / name, knobs={"marker": name})
    pages(host, trees / "pages")
    installed(host, trees / "one", trees / "pages")
    committed(host, trees / "pages", app="pages")
    return host


def back_to_the_first(host: Host) -> None:
    """The whole host as it was without the shop; old generations are not kept for ever."""
    known = said(host, "status")["generations"]
    without = next(each["n"] for each in reversed(known) if list(each["apps"]) == ["pages"])
    operation = committed(host, None, all_apps=True, to=without, overwrite=True)
    shown = said(host, "status")
    assert (shown["current"], list(shown["apps"])) == (operation["generation"], ["pages"])


@pytest.mark.parametrize("kind", ["a file", "a link"])
def test_what_stands_in_the_place_of_a_site_is_kept_and_comes_back(
    web: Host, trees: Path, kind: str
) -> None:
    web.put(ELSEWHERE, THEIRS)
    web.run(f"touch -d 2001-02-03 {ELSEWHERE}; {MAKE[kind]}; systemctl reload nginx")
    before, current = web.run(SHOWN.format(SITE)).out, said(web, "status")["current"]
    refused = carried_out(web, trees / "one")
    assert refused["state"] == "refused"
    assert f"{SITE} is {kind}" in message(refused)
    assert "--overwrite" in refused["reason"]["look"]
    assert web.run(SHOWN.format(SITE)).out == before
    assert_at_rest(web, current)

    # Taken back: there again at once.
    id_ = requested(web, trees / "one", overwrite=True)
    assert wait(web, id_)["state"] == "held"
    assert marker(web) == "one"
    assert said(web, f"return {id_}")["state"] == "returned"
    assert web.run(SHOWN.format(SITE)).out == before

    committed(web, trees / "one", overwrite=True)
    assert marker(web) == "one"
    committed(web, trees / "two")
    back_to_the_first(web)
    assert web.run(SHOWN.format(SITE)).out == before
    assert web.read(ELSEWHERE) == THEIRS
    web.run(f"rm {SITE}; systemctl reload nginx")


def test_a_folder_in_the_place_of_a_site_is_never_replaced(web: Host, trees: Path) -> None:
    web.put(ELSEWHERE, THEIRS)
    web.run(MAKE["a folder"])
    before, current = web.run(SHOWN.format(SITE)).out, said(web, "status")["current"]
    for overwrite in (False, True):
        operation = carried_out(web, trees / "one", overwrite=overwrite)
        assert operation["state"] == "refused"
        assert f"{SITE} is a folder" in message(operation)
        assert web.run(SHOWN.format(SITE), check=False).out == before
    web.run(f"rm -r {SITE}")
    assert_at_rest(web, current)


@pytest.mark.parametrize("where", [LIVE, SITE], ids=["through the link", "in its place"])
def test_an_edit_of_ours_is_refused_kept_and_comes_back(web: Host, trees: Path, where: str) -> None:
    first = committed(web, trees / "one")["generation"]
    edit = web.read(SITE) + b"# tuned by hand\n"
    web.put(where, edit)
    web.run("systemctl reload nginx")
    refused = [carried_out(web, trees / tree) for tree in ("one", "two")]
    for operation in refused:
        assert operation["state"] == "refused"
        assert "shop.conf" in message(operation)
    assert web.read(SITE) == edit
    assert marker(web) == "one"

    operation = committed(web, trees / "two", overwrite=True)
    assert_at_rest(web, operation["generation"], "two")
    saved = web.run("grep -rl 'tuned by hand' /var/lib/advisor/saved").out.split()
    assert edit in [web.read(path) for path in saved]
    committed(web, None, to=first)
    assert marker(web) == "one"
    if where == LIVE:
        # The generation is as it was left; that it is no longer as rendered stays known.
        assert web.read(SITE) == edit
    back_to_the_first(web)
    if where == SITE:
        assert web.read(SITE) == edit
        web.run(f"rm {SITE}; systemctl reload nginx")
