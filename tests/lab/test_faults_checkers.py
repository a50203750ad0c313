"""Checkers that refuse, hang or are not there, and others' unfinished edits: nothing is changed."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.lab.switching import (
    altered,
    assert_at_rest,
    carried_out,
    committed,
    installed,
    message,
    pids,
)
from tests.lab.trees import shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.lab.host import Host
    from tests.lab.lab import Lab

NGINX = "/usr/sbin/nginx"
# Seen from the staged tree `current` is a folder; hangs there alone, and with a child of its own.
HANGING = f"""#!/bin/sh
if [ ! -L /etc/advisor/current ]; then sleep 7777; fi
exec {NGINX}.real "$@"
"""
# What a checker waits at most for an answer (commands.TIMEOUT_S), and room for the rest.
BOUND_S = 60 + 40
THEIRS = "/etc/nginx/conf.d/theirs.conf"


@pytest.fixture(scope="module")
def web(lab: Lab, trees: Path) -> Host:
    """A host that serves the first tree; every test here leaves it so."""
    host = lab.boot("debian-13", name="checked")
    for marker in ("one", "two"):
        shop(host, trees / marker, knobs={"marker": marker})
    installed(host, trees / "one")
    committed(host, trees / "one")
    return host


@contextmanager
def untouched(host: Host) -> Iterator[None]:
    """Nobody is restarted or reloaded, and the first tree stands and serves."""
    before = [pids(host, unit) for unit in ("nginx.service", "shop.service")]
    yield
    assert [pids(host, unit) for unit in ("nginx.service", "shop.service")] == before
    assert_at_rest(host, 1, "one")


@pytest.mark.parametrize(
    ("path", "change", "word"),
    [
        ("nginx/shop.conf", lambda text: text + b"listne 80;\n", "listne"),
        ("gunicorn/gunicorn.conf.py", lambda text: text + b"raise SystemExit(3)\n", "shop.service"),
        ("gunicorn/gunicorn.conf.py", lambda text: text + b"workers = 'many'\n", "many"),
        (
            "systemd/shop.service",
            lambda text: text.replace(b"[Service]\n", b"[Service]\nKilMode=mixed\n"),
            "KilMode",
        ),
    ],
)
def test_what_a_checker_refuses_never_runs(
    web: Host, trees: Path, path: str, change: Callable[[bytes], bytes], word: str
) -> None:
    with untouched(web):
        operation = carried_out(web, altered(trees / "two", path, change))
    assert operation["state"] == "refused"
    assert operation["reason"]["step"] == "check"
    assert word in message(operation) + " ".join(operation["reason"]["lines"])


def test_a_checker_that_hangs_is_ended_with_all_that_it_started(web: Host, trees: Path) -> None:
    web.run(f"mv {NGINX} {NGINX}.real")
    try:
        web.put(NGINX, HANGING, 0o755)
        began = time.monotonic()
        with untouched(web):
            operation = carried_out(web, trees / "two")
    finally:
        web.run(f"mv -f {NGINX}.real {NGINX}")
    assert operation["state"] == "refused"
    assert "no answer within 60 s" in " ".join(operation["reason"]["lines"])
    assert time.monotonic() - began < BOUND_S
    assert web.run("pgrep -f 'sleep 7777'", check=False).out == ""


def test_a_checker_that_is_not_there_lets_nothing_pass(web: Host, trees: Path) -> None:
    web.run(f"mv {NGINX} {NGINX}.real")
    try:
        with untouched(web):
            operation = carried_out(web, trees / "two")
    finally:
        web.run(f"mv {NGINX}.real {NGINX}")
    assert operation["state"] == "refused"
    assert message(operation) == "nginx is not installed, so its files cannot be checked"
    assert "apt-get install nginx" in operation["reason"]["look"]


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        ("server { listne 8081; }\n", "listne"),
        ("server { listen 8081; }\n", f"{THEIRS}: edited since nginx last loaded"),
    ],
    ids=["bad", "valid"],
)
def test_a_pending_edit_of_others_is_named_and_not_published(
    web: Host, trees: Path, edit: str, word: str
) -> None:
    with untouched(web):
        web.put(THEIRS, edit)
        operations = [carried_out(web, trees / "two", **more) for more in ({}, {"overwrite": True})]
        assert web.run("ss -Hltn sport = :8081").out == ""
        web.run(f"rm {THEIRS}")
    for operation in operations:
        assert operation["state"] == "refused"
        assert operation["reason"]["step"] == "live"
        assert word in message(operation) + " ".join(operation["reason"]["lines"])
        assert THEIRS in message(operation) + " ".join(operation["reason"]["lines"])
