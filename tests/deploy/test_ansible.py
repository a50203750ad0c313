"""Plays as a subprocess: what comes back, what is kept from the terminal, how they end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from advisor.deploy import ansible
from advisor.deploy.ansible import playbooks, run_playbook
from advisor.deploy.inventory import hosts
from advisor.errors import AdvisorError, InvalidInput
from tests.deploy.trees import rendered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

    from advisor.deploy.events import Event

pytestmark = pytest.mark.daemon

ADVISOR = Path(sys.executable).with_name("advisor")
# A play that is long enough to be interrupted.
SLOW = """
- name: Wait
  hosts: all
  gather_facts: false
  tasks:
    - name: Wait
      ansible.builtin.command: sleep 60
"""


@pytest.fixture(autouse=True)
def ansible_is_here(not_run: Callable[[str], NoReturn]) -> None:
    try:
        ansible.program()
    except InvalidInput as error:
        not_run(error.message)


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    plays = tmp_path / "playbooks"
    plays.mkdir()
    (plays / "slow.yml").write_text(SLOW)
    (plays / "callback_plugins").symlink_to(playbooks() / "callback_plugins")
    monkeypatch.setattr(ansible, "playbooks", lambda: plays)
    return plays


def advisor(*words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ) | variables
    return subprocess.run(
        [ADVISOR, *words], capture_output=True, text=True, check=False, env=environment
    )


def test_the_plays_are_found() -> None:
    assert (playbooks() / "site.yml").is_file()


def test_a_host_that_systemd_did_not_boot_is_refused_with_a_word(
    tmp_path: Path, not_run: Callable[[str], NoReturn]
) -> None:
    if Path("/run/systemd/system").is_dir():
        not_run("systemd runs here, so that applying would change this machine")
    done = advisor("apply", rendered(tmp_path / "deploy"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "REFUSED" in done.stdout
    assert "systemd does not run there" in done.stdout or "is untested" in done.stdout
    assert "Traceback" not in done.stderr
    assert not Path("/etc/advisor").exists()


def test_without_an_app_there_is_nothing_to_go_back_to(not_run: Callable[[str], NoReturn]) -> None:
    if Path("/run/systemd/system").is_dir():
        not_run("systemd runs here")
    done = advisor("rollback")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "REFUSED" in done.stdout


def test_a_host_that_nobody_reaches_is_said(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(
        "all: {hosts: {gone: {ansible_host: 127.0.0.1, ansible_port: 9, "
        "ansible_ssh_common_args: '-F none -o ConnectTimeout=2'}}}\n"
    )
    done = advisor("apply", rendered(tmp_path / "deploy"), "-i", inventory)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "gone: UNREACHABLE" in done.stdout
    assert "Connection refused" in done.stdout


@pytest.mark.parametrize("verb", ["apply", "verify", "inspect"])
def test_a_limit_that_names_nobody_is_wrong_input(tmp_path: Path, verb: str) -> None:
    words = (verb,) if verb == "inspect" else (verb, rendered(tmp_path / "deploy"))
    done = advisor(*words, "-i", "web1,web2,", "--limit", "web1,wbe2")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "wbe2" in done.stderr
    assert "Traceback" not in done.stderr


def test_hosts_of_a_file_that_cannot_be_read_are_not_left_out(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    inventory.mkdir()
    (inventory / "one.yml").write_text("all: {hosts: {web1: {ansible_connection: local}}}\n")
    (inventory / "two.yml").write_text("all: {hosts: {web2: \n")
    done = advisor("inspect", "-i", inventory)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "two.yml" in done.stderr


def test_what_ansible_warns_of_is_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "two.yml").write_text(
        "- {name: A, hosts: 'all:!nobody:!advisor_load_balancers', gather_facts: false}\n"
    )
    (tmp_path / "callback_plugins").symlink_to(playbooks() / "callback_plugins")
    monkeypatch.setattr(ansible, "playbooks", lambda: tmp_path)
    heard: list[Event] = []
    run_playbook("two.yml", hosts("web1,"), {}, on_event=heard.append)
    said = [event["message"] for event in heard if event["event"] == "warning"]
    assert said == ["Could not match supplied host pattern, ignoring: nobody"]


# An ssh that writes down how it was called, and reaches nobody.
SSH = """\
#!/bin/sh
printf '%s ' "$@" >>{folder}/called
exit 255
"""


@pytest.mark.parametrize("verb", ["apply", "inspect"])
def test_a_jump_host_of_the_users_configuration_stays(tmp_path: Path, verb: str) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(SSH.format(folder=tmp_path))
    ssh.chmod(0o755)
    configuration = tmp_path / "ansible.cfg"
    configuration.write_text(
        f"[ssh_connection]\nssh_executable = {ssh}\nssh_extra_args = -J bastion\n"
    )
    words = (verb,) if verb == "inspect" else (verb, rendered(tmp_path / "deploy"))
    advisor(*words, "-i", "web1,", ANSIBLE_CONFIG=str(configuration))
    called = (tmp_path / "called").read_text()
    assert " -J bastion -o ServerAliveInterval=" in called


@pytest.mark.parametrize(
    ("asks", "words"),
    [
        ("ANSIBLE_BECOME_ASK_PASS", "UNREACHABLE"),
        ("ANSIBLE_ASK_VAULT_PASS", "ANSIBLE_VAULT_PASSWORD_FILE"),
    ],
)
def test_where_ansible_would_ask_for_a_password_nothing_waits(
    tmp_path: Path, asks: str, words: str
) -> None:
    """On a terminal, which a process of another group would stop at for ever."""
    inventory = tmp_path / "inventory.yml"
    inventory.write_text("all: {hosts: {gone: {ansible_host: 127.0.0.1, ansible_port: 9}}}\n")
    command = [ADVISOR, "apply", rendered(tmp_path / "deploy"), "-i", inventory]
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0), os.fdopen(theirs, "rb", buffering=0) as terminal:
        done = subprocess.run(
            # setsid gives it this terminal (setsid(1), --ctty).
            ["setsid", "--ctty", "--wait", *command],
            stdin=terminal,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=dict(os.environ) | {asks: "1"},
        )
    assert done.returncode == 1, done.stdout + done.stderr
    assert words in done.stdout + done.stderr


def test_without_ansible_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidInput, match="ansible-playbook is not installed") as said:
        run_playbook("site.yml", hosts(None), {})
    assert "deploy" in str(said.value)


def _descendants(pid: int) -> set[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {pid}.union(*(_descendants(int(child)) for child in children))


@pytest.mark.usefixtures("slow")
def test_an_interruption_ends_the_play_and_all_that_it_runs() -> None:
    started: list[int] = []

    def interrupt(event: object) -> None:
        if isinstance(event, dict) and event["event"] == "task":
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                mine = _descendants(os.getpid())
                sleeping = [pid for pid in mine if _name(pid) == "sleep"]
                if sleeping:
                    started.extend(mine - {os.getpid()})
                    raise KeyboardInterrupt
                time.sleep(0.05)

    with pytest.raises(KeyboardInterrupt):
        run_playbook("slow.yml", hosts(None), {}, on_event=interrupt)
    assert started
    deadline = time.monotonic() + 15
    while any(_runs(pid) for pid in started) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in started if _runs(pid)]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_sigterm_ends_the_command_and_its_play(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    # A listener that never answers: the connection hangs until it is ended.
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        inventory.write_text(
            f"all: {{hosts: {{mute: {{ansible_host: 127.0.0.1, "
            f"ansible_port: {mute.getsockname()[1]}}}}}}}\n"
        )
        command = [ADVISOR, "apply", rendered(tmp_path / "deploy"), "-i", inventory]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        mute.settimeout(60)
        accepted, _ = mute.accept()
        with accepted:
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=40)
    assert process.returncode == 143
    assert b"Traceback" not in stderr


def test_what_ansible_says_is_shown_where_the_play_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.yml").write_text("- hosts: all\n  tasks: [{nosuchkey: 1}]\n")
    monkeypatch.setattr(ansible, "playbooks", lambda: tmp_path)
    with pytest.raises(AdvisorError, match="did not begin") as said:
        run_playbook("broken.yml", hosts("web1,"), {})
    assert "nosuchkey" in said.value.message
