"""Who may read and write what is ours on a host, and that no secret of an app gets into it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from advisor.deploy.ansible import playbooks
from advisor.deploy.pack import pack
from tests.lab.switching import (
    PROGRAM,
    altered,
    asking,
    assert_at_rest,
    carried_out,
    committed,
    installed,
    message,
    said,
)
from tests.lab.trees import shop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.host import Host
    from tests.lab.lab import Lab

LOOK = playbooks() / "roles/generation/files/look.py"
# In the file of the environment, in the manager's own environment, and in lines that the app logs.
FILED, MANAGED, LOGGED = "canary-in-the-file", "canary-of-the-manager", "canary-in-a-line"
TALKS = f"""
import os, sys
def said(*_):
    for name in ("SHOP_TOKEN", "SHOP_DSN", "MANAGED"):
        print("connecting with", os.environ.get(name, ""), file=sys.stderr)
    print({{"password": "{LOGGED}"}}, "api_key={LOGGED}", file=sys.stderr)
    print("postgresql://shop:{LOGGED}@db/shop", file=sys.stderr, flush=True)
"""
HEARD = "\nimport sys\nsys.path.insert(0, '/srv/shop')\nfrom talks import said\n"
AT_START = f"{HEARD}said()\nraise SystemExit(1)\n".encode()
WHEN_READY = f"{HEARD}def when_ready(server):\n    said()\n".encode()
# Whatever of ours others than root and the app may read or write.
OURS = "/etc/advisor /var/lib/advisor /usr/local/lib/advisor /run/advisor"


@pytest.fixture(scope="module")
def web(lab: Lab, trees: Path) -> Host:
    """A host that serves the first tree, whose app has secrets; every test here leaves it so."""
    host = lab.boot("debian-12", name="secret")
    dsn = f"postgresql://shop:{FILED}@db/shop"
    host.put("/etc/shop/env", f"SHOP_TOKEN='{FILED}'\nSHOP_DSN={dsn}\n", mode=0o600)
    host.put("/srv/shop/talks.py", TALKS)
    host.run(f"systemctl set-environment MANAGED={MANAGED}")
    for name in ("one", "two", "bad"):
        knobs = {"marker": name} | ({"health_status": 503} if name == "bad" else {})
        shop(host, trees / name, knobs=knobs, app__environment_file="/etc/shop/env")
    installed(host, trees / "one")
    committed(host, trees / "one")
    return host


def assert_no_canary(host: Host, *told: object) -> None:
    """Neither in what was told, nor in anything of ours on the host, the switch's log included."""
    words = (FILED, MANAGED, LOGGED)
    log = host.run("journalctl --no-pager -u advisor-switch -u advisor-boot").out
    assert not [word for word in words if word in json.dumps(told) + log]
    found = host.run(f"grep -rlE '{'|'.join(words)}' {OURS} /etc/nginx /etc/systemd", check=False)
    assert found.out == ""


LOG = """
import json, sys, time
sys.path.insert(0, "/usr/local/lib/advisor/switch.pyz")
from switch.systemd import Systemd
print(json.dumps([Systemd().log("talk.service", since) for since in (0, time.time() + 9)]))
"""


def test_the_last_lines_of_a_unit_are_its_last(hosts: Callable[..., Host], release: str) -> None:
    host = hosts(release, "log")
    host.put(PROGRAM, pack(), 0o755)
    host.run("systemd-run --quiet --wait --unit=talk sh -c 'seq 1000 1099; sleep 0.1'")
    lines, none = json.loads(host.run("python3 -I -", stdin=LOG.encode()).out)
    assert none == []
    counted = [line.rpartition(" ")[2] for line in lines if ": 10" in line]
    assert counted == [str(number) for number in range(1100 - len(counted), 1100)]
    assert len(counted) > 10


@pytest.mark.parametrize("tree", ["two", "bad"])
def test_no_secret_is_said_of_a_change_or_of_its_harm(web: Host, trees: Path, tree: str) -> None:
    files = altered(trees / tree, "gunicorn/gunicorn.conf.py", lambda text: text + WHEN_READY)
    shown = said(web, "check -", asking(files, check=True))
    assert shown["diff"]
    operation = carried_out(web, files)
    assert operation["state"] == ("committed" if tree == "two" else "returned"), operation
    if tree == "bad":
        lines = " ".join(operation["reason"]["lines"])
        assert "connecting with" in lines, json.dumps(operation)
        assert "***" in lines
    assert_no_canary(web, shown, operation, said(web, "status"))
    if tree == "two":
        committed(web, None)


def test_no_secret_is_said_of_what_does_not_start(web: Host, trees: Path) -> None:
    files = altered(trees / "two", "gunicorn/gunicorn.conf.py", lambda text: text + AT_START)
    operation = carried_out(web, files)
    assert operation["state"] == "refused"
    lines = " ".join(operation["reason"]["lines"])
    assert "connecting with $SHOP_TOKEN" in lines
    assert_no_canary(web, operation, said(web, f"wait {operation['id']}"))


def test_only_root_and_the_app_read_its_settings(web: Host) -> None:
    """0640 or tighter where an app's settings are; all of the state is root's alone."""
    modes = "find {0} -printf '%m %u:%g %P\\n'"
    for line in web.run(modes.format("/var/lib/advisor")).out.splitlines():
        mode, owner, path = line.split(" ", 2)
        assert (int(mode, 8) & 0o077, owner) == (0, "root:root"), path
    for line in web.run(modes.format("/etc/advisor/current/shop/")).out.splitlines():
        mode, owner, path = line.split(" ", 2)
        assert owner.startswith("root:"), path
        assert not int(mode, 8) & 0o022, path
        if path.startswith(("gunicorn/", "environment/", ".advisor")):
            assert (int(mode, 8) & 0o007, owner) == (0, "root:shop"), path
    assert web.run("stat -Lc %a /etc/advisor/current/shop").out == "750\n"
    reading = "find {0} -type f -readable 2>/dev/null | head"
    for place in ("/etc/advisor/generations/", "/var/lib/advisor/"):
        assert (
            web.run(f"setpriv --reuid=nobody --clear-groups -- {reading.format(place)}").out == ""
        )
    assert web.run(f"find {OURS} -perm /o+w ! -type l", check=False).out == ""


def test_what_others_may_write_is_not_run_and_not_gone_by(web: Host, trees: Path) -> None:
    generation = f"/etc/advisor/generations/{said(web, 'status')['current']}/shop/nginx"
    web.run(f"chmod o+w {generation}")
    operation = carried_out(web, trees / "two", overwrite=True)
    assert operation["state"] == "refused"
    assert f"{generation} may be written by others" in message(operation)
    web.run(f"chmod o-w {generation}; chown nobody {generation}")
    assert "belongs to the user" in message(carried_out(web, trees / "two", overwrite=True))
    web.run(f"chown root {generation}")

    web.put("/srv/request.json", asking(trees / "two"), 0o666)
    assert "may be written by others" in said(web, "request /srv/request.json")["refused"]

    web.run(f"chmod o+w {PROGRAM}")
    assert "may be written by others" in message(carried_out(web, trees / "two"))
    asked = """python3 -I - '{"commands": {}, "user": null}'"""
    found = json.loads(web.run(asked, stdin=LOOK.read_bytes()).out)
    assert found["status"] == {"broken": f"{PROGRAM} may be written by others than root"}
    web.run(f"chmod o-w {PROGRAM}")
    assert_at_rest(web, said(web, "status")["current"], "one")
