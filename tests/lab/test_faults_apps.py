"""Several apps on a host, others' sites and units, code that other tools release: each its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.lab.switching import (
    assert_at_rest,
    carried_out,
    committed,
    installed,
    marker,
    pids,
    requested,
    said,
    until,
    wait,
)
from tests.lab.trees import pages, shop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.host import Host
    from tests.lab.lab import Lab

    Boot = Callable[..., Host]

THEIRS = "/etc/nginx/conf.d/theirs.conf"
THEIR_SITE = 'server { listen 8081; location / { return 200 "theirs\\n"; } }\n'
ALL_BUT_OURS = """
find /etc/nginx /etc/systemd/system ! -path '*shop*' ! -path '*pages*' ! -path '*.wants' \\
    -type f -printf '%p %m %u %g %T@\\n' | sort
"""
OWN_UNIT = "/etc/systemd/system/shop-web.service"
THEIR_UNIT = """[Unit]
Description=The shop, as its owners start it
[Service]
User=shop
WorkingDirectory=/srv/shop
Environment=SHOP_MARKER=zero
ExecStart=/srv/venv/bin/gunicorn -k uvicorn_worker.UvicornWorker -b 127.0.0.1:8000 main:app
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture(scope="module")
def web(lab: Lab, trees: Path) -> Host:
    """A host with the shop and, in nginx, a site of others."""
    host = lab.boot("debian-13", name="several")
    for name in ("one", "two"):
        shop(host, trees / name, knobs={"marker": name})
    pages(host, trees / "pages")
    pages(host, trees / "more-pages", timeout_s=45)
    host.put(THEIRS, THEIR_SITE)
    installed(host, trees / "one", trees / "pages")
    committed(host, trees / "one")
    return host


def theirs(host: Host) -> tuple[str, bytes]:
    """All of nginx and systemd that is not ours, and what the others' site answers."""
    return host.run(ALL_BUT_OURS).out, host.fetch(port=8081).body


def timeout_of_pages(host: Host) -> bytes:
    text = host.read("/etc/advisor/current/pages/gunicorn/gunicorn.conf.py")
    return next(line for line in text.splitlines() if line.startswith(b"timeout"))


# The order of these matters: one host, from one app to two and back.


def test_a_second_app_touches_the_first_in_nothing(web: Host, trees: Path) -> None:
    before, running, proxy = theirs(web), pids(web, "shop.service"), pids(web, "nginx.service")
    operation = committed(web, trees / "pages", app="pages")
    assert operation["generation"] == 2
    assert_at_rest(web, 2, "one")
    assert pids(web, "shop.service") == running
    assert pids(web, "nginx.service")[0] == proxy[0]
    assert theirs(web) == before


def test_a_change_of_one_reloads_what_it_concerns_alone(web: Host, trees: Path) -> None:
    assert until(lambda: "shutting down" not in web.run("pgrep -a nginx").out)
    running, proxy = pids(web, "shop.service"), pids(web, "nginx.service")
    main, workers = pids(web, "pages.service")
    operation = committed(web, trees / "more-pages", app="pages")
    assert "gunicorn/gunicorn.conf.py" in operation["changed"]
    assert pids(web, "pages.service")[0] == main
    assert until(lambda: not workers & pids(web, "pages.service")[1])
    assert timeout_of_pages(web) == b"timeout = 45"
    assert (pids(web, "shop.service"), pids(web, "nginx.service")) == (running, proxy)
    assert carried_out(web, trees / "more-pages", app="pages")["state"] == "unchanged"
    assert_at_rest(web, 3, "one")


def test_rolling_one_back_leaves_the_other(web: Host, trees: Path) -> None:
    committed(web, trees / "two")
    running = pids(web, "shop.service")
    operation = committed(web, None, app="pages")
    assert operation["generation"] == 5
    assert timeout_of_pages(web) == b"timeout = 30"
    assert pids(web, "shop.service") == running
    assert_at_rest(web, 5, "two")


def test_rolling_all_back_takes_the_later_app_away(web: Host) -> None:
    before = theirs(web)
    operation = committed(web, None, to=1, all_apps=True)
    assert_at_rest(web, operation["generation"], "one")
    assert list(said(web, "status")["apps"]) == ["shop"]
    for unit in ("pages.service", "pages.socket"):
        assert web.run(f"systemctl show --value -p LoadState {unit}").out == "not-found\n"
    assert not web.run("find /etc -lname '*current/pages/*'; pgrep -u pages", check=False).out
    assert theirs(web) == before


# Each of these has a host of its own.


def test_a_unit_that_exists_gets_a_drop_in_and_no_more(hosts: Boot, tmp_path: Path) -> None:
    host = hosts("debian-12", "dropin")
    tree = shop(
        host,
        tmp_path / "tree",
        knobs={"marker": "one"},
        systemd__mode="dropin",
        systemd__unit="shop-web.service",
        listen="127.0.0.1:8000",
    )
    installed(host)
    host.run("systemd-sysusers --inline 'u shop - shop'")
    host.put(OWN_UNIT, THEIR_UNIT)
    host.run("systemctl daemon-reload; systemctl enable --now shop-web")
    own = f"stat -c '%a %Y %s' {OWN_UNIT}; ls {OWN_UNIT}.d; systemctl is-enabled shop-web"
    before = host.run(own, check=False).out

    id_ = requested(host, tree)
    assert wait(host, id_)["state"] == "held"
    assert marker(host) == "one"
    assert said(host, f"return {id_}")["state"] == "returned"
    assert host.run(own, check=False).out == before
    direct = "curl -fsS --retry 20 --retry-connrefused http://127.0.0.1:8000/pid"
    assert json.loads(host.run(direct).out)["marker"] == "zero"

    assert_at_rest(host, committed(host, tree)["generation"], "one")
    assert host.read(OWN_UNIT).decode() == THEIR_UNIT
    assert carried_out(host, tree)["state"] == "unchanged"


def release_code(host: Host, number: int) -> None:
    """As a deployment tool does: the symlink in one step, then a restart."""
    host.run(
        f"ln -sfn releases/{number} /srv/code/next && mv -T /srv/code/next /srv/code/current"
        " && systemctl restart shop.service"
    )
    assert until(lambda: host.fetch("/healthz", host="shop.example").status == 200)
    assert marker(host) == f"release {number}"


def test_code_and_configuration_change_side_by_side(hosts: Boot, tmp_path: Path) -> None:
    host = hosts("debian-12", "code")
    for number in (1, 2):
        folder = f"/srv/code/releases/{number}"
        host.run(f"mkdir -p {folder}; cp /srv/shop/main.py {folder}")
        host.put(f"{folder}/knobs.json", json.dumps({"marker": f"release {number}"}))
    host.run("ln -s releases/1 /srv/code/current")
    one, two = (
        shop(
            host,
            tmp_path / str(workers),
            {"gunicorn.workers": workers},
            app__directory="/srv/code/current",
        )
        for workers in (1, 2)
    )
    installed(host, one)

    def workers() -> int:
        return len(pids(host, "shop.service")[1])

    committed(host, one)
    assert marker(host) == "release 1"
    release_code(host, 2)
    assert carried_out(host, one)["state"] == "unchanged"
    # A release while a configuration is held, which is then committed.
    id_ = requested(host, two)
    assert wait(host, id_)["state"] == "held"
    release_code(host, 1)
    assert said(host, f"commit {id_}")["state"] == "committed"
    assert_at_rest(host, 2, "release 1")
    assert until(lambda: workers() == 2)
    # The configuration's way back is not the code's.
    release_code(host, 2)
    committed(host, None)
    assert_at_rest(host, 3, "release 2")
    assert until(lambda: workers() == 1)
    # A release while a configuration is held, which is then taken back.
    id_ = requested(host, two)
    assert wait(host, id_)["state"] == "held"
    release_code(host, 1)
    assert said(host, f"return {id_}")["state"] == "returned"
    assert_at_rest(host, 3, "release 1")
    assert until(lambda: workers() == 1)
