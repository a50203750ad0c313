"""The switch on a real host: killed after every step, cut off from power, left alone."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy import parcel
from advisor.deploy.pack import pack
from advisor.deploy.switch.journal import TERMINAL
from tests.lab.trees import shop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.host import Host
    from tests.lab.lab import Lab

PROGRAM = "/usr/local/lib/advisor/switch.pyz"
SWITCH = f"python3 -I {PROGRAM}"
BEFORE = ("locked", "live_checked", "staged", "checked")
AFTER = ("switching", "switched", "activated", "gated", "held")
# Kills the switch as soon as the journal has a step of this operation, however late it is then.
KILLER = """
import json, os, signal, subprocess, sys, time
id_, step = sys.argv[1:]
until = time.monotonic() + 60
while time.monotonic() < until:
    lines = []
    if os.path.exists("/var/lib/advisor/journal.jsonl"):
        with open("/var/lib/advisor/journal.jsonl") as stream:
            lines = [json.loads(line) for line in stream if id_ in line]
    if step in [line["step"] for line in lines]:
        show = ["systemctl", "show", "--value", "--property=MainPID", "advisor-switch.service"]
        pid = int(subprocess.run(show, capture_output=True).stdout)
        os.kill(pid, signal.SIGKILL)
        sys.exit(0)
    time.sleep(0.002)
sys.exit(1)
"""


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trees")


@pytest.fixture(scope="module")
def web(lab: Lab, release: str, trees: Path) -> Host:
    """A host that serves the first tree."""
    host = lab.boot(release, name="switched")
    host.run("systemctl start nginx; systemctl enable nginx")
    host.put(PROGRAM, pack(), 0o755)
    assert said(host, "install") == {"changed": True}
    assert said(host, "install") == {"changed": False}
    host.put("/root/kill.py", KILLER)
    for marker in ("one", "two"):
        shop(host, trees / release / marker, knobs={"marker": marker})
    users = (trees / release / "one/systemd/sysusers.conf").read_bytes()
    host.run("systemd-sysusers -", stdin=users)
    id_ = requested(host, trees / release / "one")
    assert wait(host, id_)["state"] == "held"
    assert said(host, f"commit {id_}")["state"] == "committed"
    return host


def said(host: Host, words: str, stdin: bytes = b"") -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(host.run(f"{SWITCH} {words}", stdin=stdin, timeout=170).out)
    return answer


def requested(host: Host, tree: Path, **more: Any) -> str:
    about = {
        "id": secrets.token_hex(8),
        "by": "lab",
        "verb": "apply",
        "components": None,
        "to": None,
        "all_apps": False,
        "overwrite": False,
        "dwell_s": 0.5,
        "deadline_s": 60.0,
        "expected_current": None,
        **more,
    }
    handed = parcel.parcel(parcel.read_tree(tree), ["app"])
    answer = said(host, "request -", parcel.request(handed, "shop", **about))
    assert answer == {"id": about["id"]}
    return str(about["id"])


def wait(host: Host, id_: str) -> dict[str, Any]:
    return said(host, f"wait {id_} --seconds 90")


def ended(host: Host, id_: str) -> dict[str, Any]:
    """The operation at its end; held is none."""
    until = time.monotonic() + 90
    while (operation := wait(host, id_))["state"] not in TERMINAL:
        assert time.monotonic() < until, operation
        time.sleep(0.1)
    return operation


def marker(host: Host) -> str:
    return str(json.loads(host.fetch("/pid", host="shop.example").body)["marker"])


def assert_old(host: Host) -> None:
    """The first tree, whole, and served."""
    shown = said(host, "status")
    assert (shown["current"], shown["committed"]) == (1, 1)
    assert shown["apps"]["shop"]["drift"] == []
    assert [each["n"] for each in shown["generations"]] == [1]
    assert marker(host) == "one"


@pytest.mark.parametrize("step", [*BEFORE, *AFTER])
def test_a_kill_after_a_step_ends_as_before(
    web: Host, release: str, trees: Path, step: str
) -> None:
    id_ = requested(web, trees / release / "two")
    web.run(f"python3 /root/kill.py {id_} {step}", timeout=90)
    operation = ended(web, id_)
    assert operation["state"] in {"refused", "returned"}
    assert "the switch was ended" in operation["reason"]["message"]
    assert step in BEFORE or operation["state"] == "returned"
    assert_old(web)


def test_what_nobody_commits_returns_by_itself(web: Host, release: str, trees: Path) -> None:
    id_ = requested(web, trees / release / "two", deadline_s=2.0)
    assert wait(web, id_)["state"] == "held"
    assert marker(web) == "two"
    operation = ended(web, id_)
    assert operation["state"] == "returned"
    assert "no commit came" in operation["reason"]["message"]
    assert_old(web)


@pytest.mark.parametrize("how", ["restarted", "without power"])
def test_a_host_that_goes_down_while_it_is_held_comes_up_as_before(
    web: Host, release: str, trees: Path, how: str
) -> None:
    id_ = requested(web, trees / release / "two")
    assert wait(web, id_)["state"] == "held"
    if how == "restarted":
        web.reboot()
    else:
        web.kill()
        web.start()
    operation = said(web, f"wait {id_}")
    assert operation["state"] == "returned"
    assert "the machine was restarted" in operation["reason"]["message"]
    assert_old(web)
    assert "ordering cycle" not in web.run("journalctl --boot --no-pager").out
    order = web.run("systemctl show --property=Result --value advisor-boot.service").out.strip()
    assert order == "success"


def test_a_rollback_is_a_new_generation(web: Host, release: str, trees: Path) -> None:
    id_ = requested(web, trees / release / "two")
    assert wait(web, id_)["state"] == "held"
    assert said(web, f"commit {id_}")["state"] == "committed"
    assert marker(web) == "two"
    request = {
        "schema": "advisor/request/1",
        "id": secrets.token_hex(8),
        "by": "lab",
        "verb": "rollback",
        "app": "shop",
    }
    said(web, "request -", json.dumps(request).encode())
    assert wait(web, request["id"])["state"] == "held"
    assert said(web, f"commit {request['id']}")["state"] == "committed"
    assert marker(web) == "one"
