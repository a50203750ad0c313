"""An app that a new configuration harms is taken back; one that it does not harm never is."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from typing import TYPE_CHECKING

import pytest

from tests.lab.controller import STANDING, advisor, apply, lines, marker, whole
from tests.lab.trees import shop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.host import Done, Host
    from tests.lab.lab import Lab

# An app that one setting breaks, and only where it really runs: its check is as good as ever.
FRAGILE = """
import sys
from pathlib import Path
conf = Path("/etc/advisor/current/shop/gunicorn/gunicorn.conf.py").read_text()
if "\\ntimeout = 31\\n" in conf and "--check-config" not in sys.argv:
    raise ImportError("the shop cannot bear a timeout of 31 s")
"""
# As users have it: the dwell time is the product's own.
USUAL = ()
MASTER = "systemctl show -P MainPID shop.service"


@pytest.fixture(scope="module")
def web(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """It serves the first tree; each test leaves it serving that one."""
    host = lab.boot("debian-12", name="web1")
    host.run("systemctl enable --now nginx; cat >>/srv/shop/main.py", stdin=FRAGILE.encode())
    tree = shop(host, tmp_path_factory.mktemp("trees"), knobs={"marker": "one"})
    assert apply(lab, tree, host).code == 0
    return host


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"gunicorn.timeout": 31}, r"shop.service (died|is \w+)"),
        ({"gunicorn.worker_class": "nosuch.Worker"}, r"shop.service .* old processes still serve"),
    ],
    ids=["it ends the master", "the master lives on"],
)
def test_a_reload_that_gunicorn_cannot_carry_out_is_taken_back(
    lab: Lab, web: Host, tmp_path: Path, setting: dict[str, object], said: str
) -> None:
    before, master = whole(web), web.run(MASTER).out
    done = apply(lab, shop(web, tmp_path, setting, knobs={"marker": "one"}), web)
    assert done.code == 5, done.out + done.err
    # It was a reload, after a check that found nothing.
    assert re.search(rf"\n  gate: {said}", done.out), done.out
    assert (web.run(MASTER).out == master) == ("serve" in said)
    assert whole(web) == before


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"dies_after_s": 1.5}, r"\n  gate: "),
        (
            {"health_slow_s": 0.3},
            r"worse than before: p\d+ went from \d+ ms to 3\d\d ms\n  \S+/healthz answered 200\n",
        ),
        ({"health_hangs": 1}, r"did not answer within 2 s\n  http://shop.example/healthz gave no"),
        ({"health_status": 500}, r"\n  http://shop.example/healthz answered 500\n"),
    ],
    ids=["it dies", "it is slower", "it hangs", "it is unwell"],
)
def test_what_boots_and_harms_is_taken_back(
    lab: Lab, web: Host, tmp_path: Path, knobs: dict[str, object], said: str
) -> None:
    before = whole(web)
    tree = shop(web, tmp_path, knobs={"marker": "bad", **knobs})
    done = apply(lab, tree, web, more=USUAL)
    assert done.code == 5, done.out + done.err
    assert "web1: TAKEN BACK" in done.out
    assert re.search(said, done.out), done.out
    assert re.search(r"\n  -> \w+", done.out), done.out
    assert "activated" in [line["step"] for line in lines(web)[-3:]]
    assert whole(web) == before


def test_a_rollback_that_harms_is_taken_back(lab: Lab, web: Host, tmp_path: Path) -> None:
    tree = shop(web, tmp_path, knobs={"marker": "two", "health_status": 200})
    assert apply(lab, tree, web).code == 0
    before = whole(web)
    # What runs now does not read it; what ran then does.
    web.put("/srv/shop/knobs.json", '{"health_status": 503}')
    inventory = lab.inventory([web])
    done = advisor(lab, "rollback", "-i", inventory)
    web.run("rm /srv/shop/knobs.json")
    assert done.code == 5, done.out + done.err
    assert "/healthz answered 503" in done.out
    assert whole(web) == before
    assert advisor(lab, "rollback", "-i", inventory).code == 0
    whole(web)
    assert marker(web) == "one"


@pytest.mark.parametrize(
    ("harm", "said", "cure"),
    [
        (
            "echo '{\"health_status\": 503}' >/srv/shop/knobs.json",
            "the app is unhealthy before the apply: its health route answered 503",
            "rm /srv/shop/knobs.json",
        ),
        (
            "systemctl stop shop.socket shop.service",
            "shop.socket is inactive (dead) before the apply",
            "systemctl start shop.socket shop.service",
        ),
    ],
    ids=["unwell", "down"],
)
def test_nothing_is_applied_to_an_app_that_was_unwell_before(
    lab: Lab, web: Host, tmp_path: Path, harm: str, said: str, cure: str
) -> None:
    before = whole(web)
    web.run(harm)
    pids, standing = web.run("pgrep -a nginx").out, web.run(STANDING, check=False).out
    try:
        done = apply(lab, shop(web, tmp_path, knobs={"marker": "two"}), web)
        assert done.code == 1, done.out + done.err
        assert said in done.out
        assert web.run("pgrep -a nginx").out == pids
        assert web.run(STANDING, check=False).out == standing
    finally:
        web.run(cure)
    assert whole(web) == before


@pytest.mark.timeout(600)
def test_twenty_clean_applies_are_none_of_them_taken_for_harm(
    lab: Lab, hosts: Callable[..., Host], tmp_path: Path
) -> None:
    """Four hosts at once on one machine are all the noise that there is to have.

    Each apply reloads Gunicorn and nginx, or restarts the app, in turn.
    """
    found = [hosts("debian-12", f"web{number}", wait=False) for number in range(4)]
    for host in found:
        host.wait()
        host.run("systemctl start nginx")
    harmless = {"gunicorn.timeout": 32, "nginx.client_max_body_size": 9437184}
    kinds = [(None, "one"), (harmless, "one"), (harmless, "two"), (None, "two")]
    trees = [
        shop(found[0], tmp_path / str(number), settings, knobs={"marker": name})
        for number, (settings, name) in enumerate(kinds)
    ]

    def applied(host: Host) -> list[Done]:
        first, *rest = islice(cycle(trees), 6)
        assert apply(lab, first, host).code == 0
        return [apply(lab, tree, host, more=USUAL) for tree in rest]

    with ThreadPoolExecutor(len(found)) as threads:
        ended = [done for each in threads.map(applied, found) for done in each]
    assert [done.out + done.err for done in ended if done.code] == []
    assert len(ended) == 20
    assert {marker(host) for host in found} == {"one"}
