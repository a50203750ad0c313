"""Hosts looked at through the real Ansible, here over its local connection."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
import zlib
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from advisor.deploy.facts import looked_at, unpacked
from advisor.deploy.inventory import hosts
from advisor.errors import AdvisorError, InvalidInput
from advisor.host import gather

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Asks as it is told to, and takes no answer: sudo(8), -p.
SUDO = """\
#!/bin/sh
while [ "$1" != -p ]; do shift; done
printf '%s' "$2" >&2
read answer
printf 'Sorry, try again.\\n%s' "$2" >&2
read answer
exit 1
"""
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


def inventory(folder: Path, **hosts: dict[str, Any]) -> Path:
    path = folder / "inventory.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    return path


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, to be found there afterwards; Ansible's own among them."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("ANSIBLE_LOCAL_TEMP", str(folder / "controller"))
    monkeypatch.setenv("ANSIBLE_REMOTE_TEMP", str(folder / "host"))
    return folder


@pytest.fixture
def injected(tmp_path: Path) -> Iterator[Path]:
    """A program whose command line is a template that would write a file."""
    proof = tmp_path / "proof"
    words = ["gunicorn", "{{ lookup('pipe', 'touch " + str(proof) + "') }}:app"]
    code = "import sys; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code, *words], stdin=subprocess.PIPE) as process:
        yield proof
        process.communicate()


@pytest.mark.daemon
def test_hosts_are_looked_at_and_nothing_is_left(
    tmp_path: Path, scratch: Path, injected: Path
) -> None:
    unreachable = {
        "ansible_host": "127.0.0.1",
        "ansible_port": 1,
        "ansible_ssh_common_args": "-o ConnectTimeout=2 -F none",
    }
    pythonless = LOCAL | {"ansible_python_interpreter": "/nonexistent/python3"}
    # Its options cannot be made out: our plugin is not even begun.
    untold = {"ansible_port": "{{ nobody_said }}"}
    path = inventory(
        tmp_path, web1=LOCAL, **{"web/2": LOCAL}, gone=unreachable, bare=pythonless, untold=untold
    )
    with looked_at(hosts(str(path))) as fleet:
        assert list(fleet.hosts) == ["web/2", "web1"]
        found = fleet.hosts["web1"].facts()
        assert "unreachable" in fleet.lost["gone"]
        assert "nobody_said" in fleet.lost["untold"]
        assert set(fleet.lost) == {"bare", "gone", "untold"}
    here = gather()
    assert (found.host, found.cpu) == (here.host, here.cpu)
    programs = {name: each for name, each in here.components.items() if each.path}
    assert programs.items() <= found.components.items()
    assert not injected.exists()
    assert [each for each in scratch.rglob("*") if each.is_file()] == []


@pytest.mark.daemon
def test_a_limit_leaves_hosts_out(tmp_path: Path) -> None:
    path = inventory(tmp_path, web1=LOCAL, web2=LOCAL)
    with looked_at(hosts(str(path), "web2")) as fleet:
        assert (list(fleet.hosts), fleet.lost) == (["web2"], {})


@pytest.mark.daemon
def test_a_sudo_that_lets_nobody_in_loses_the_host(tmp_path: Path) -> None:
    """With a password that is wrong, as sudo has it; the prompt is Ansible's own."""
    sudo = tmp_path / "sudo"
    sudo.write_text(SUDO)
    sudo.chmod(0o755)
    asks = LOCAL | {
        "ansible_become": True,
        "ansible_become_user": "nobody",
        "ansible_become_exe": str(sudo),
        "ansible_become_password": "wrong",
    }
    with looked_at(hosts(str(inventory(tmp_path, web1=LOCAL, web2=asks)))) as fleet:
        assert list(fleet.hosts) == ["web1"]
        assert "password" in fleet.lost["web2"]
    with looked_at(hosts(str(inventory(tmp_path, web2=asks)))) as fleet:
        assert (list(fleet.hosts), list(fleet.lost)) == ([], ["web2"])


@pytest.mark.daemon
def test_an_inventory_without_hosts_is_said(tmp_path: Path) -> None:
    named = hosts(str(inventory(tmp_path)))
    with pytest.raises(AdvisorError, match="did not begin"), looked_at(named):
        pass


def packed(data: Any) -> str:
    return base64.b64encode(zlib.compress(json.dumps(data).encode())).decode()


@pytest.mark.parametrize(
    "answer",
    [
        {"problem": "unreachable: no route"},
        {},
        {"gathered": "?"},
        {"gathered": base64.b64encode(b"nothing").decode()},
        {"gathered": packed([])},
        {"gathered": packed({"schema": "advisor/gathered/2"})},
        {"gathered": packed({"schema": "advisor/gathered/1", "files": {"/a": 1}})},
        {"gathered": base64.b64encode(zlib.compress(b"[" * 10**6)).decode()},
    ],
)
def test_an_answer_that_is_none_has_its_reason(answer: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        unpacked(answer)
