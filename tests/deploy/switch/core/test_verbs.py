"""The verbs of the packed program, run as processes below a folder; systemd and services told."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy import pack
from advisor.deploy.switch import lock, units
from tests.deploy.switch.core.made import SITE, asked, tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.deploy.switch.layout import Layout

# What the real modules are exchanged for in the packed copy: services that pass, and a systemd
# that starts the switch as a process of its own, detached as the real one's is.
EFFECTS = """
class Host:
    def __init__(self, layout):
        self.layout = layout
    def live_problems(self, app, others):
        return None
    def staged_problems(self, new, generation, links):
        return None
    def baseline(self, app, seconds):
        return None
    def unwell(self, app, when):
        return None
    def activate(self, old, new, changed, *, because=None):
        return None
    def gate(self, app, before, dwell_s):
        return None, {}
"""
SYSTEMD = '''

class Systemd:
    """Only `start` does something: what ExecStart does."""
    def act(self, verb, *words):
        import os, subprocess, sys
        from .commands import Outcome
        with open(os.environ["ACTED"], "a") as stream:
            stream.write(" ".join((verb, *words)) + "\\n")
        if verb == "start" and "HELD_BACK" not in os.environ:
            command = [sys.executable, "-I", sys.argv[0], "--root", os.environ["ROOT"], "run"]
            subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return Outcome(0, "", "")
'''


@pytest.fixture
def program(tmp_path: Path) -> Path:
    sources = tmp_path / "switch"
    shutil.copytree(pack.SOURCES, sources, ignore=shutil.ignore_patterns("__pycache__"))
    (sources / "effects.py").write_text(EFFECTS)
    with (sources / "systemd.py").open("a") as stream:
        stream.write(SYSTEMD)
    packed = tmp_path / "switch.pyz"
    packed.write_bytes(pack.pack(sources))
    return packed


@pytest.fixture
def verb(layout: Layout, program: Path, tmp_path: Path) -> Callable[..., Any]:
    def call(*words: str, given: Any = None, **environment: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-I", str(program), "--root", str(layout.root), *words],
            input=None if given is None else json.dumps(given).encode(),
            capture_output=True,
            check=False,
            timeout=60,
            env={"ACTED": str(tmp_path / "acted"), "ROOT": str(layout.root), **environment},
        )
        assert done.stdout.count(b"\n") == 1, done.stderr.decode()
        return json.loads(done.stdout)

    return call


def test_a_request_is_held_committed_and_in_the_status(
    verb: Callable[..., Any], tmp_path: Path
) -> None:
    request = asked(tree())
    assert verb("request", "-", given=request) == {"id": request["id"]}
    held = verb("wait", request["id"], "--seconds", "30")
    assert (held["state"], held["is_running"]) == ("held", True)
    shown = verb("status")
    assert (shown["current"], shown["committed"]) == (1, None)
    assert shown["holder"]["by"] == "root@controller"
    assert verb("commit", request["id"])["state"] == "committed"
    shown = verb("status")
    assert (shown["current"], shown["committed"]) == (1, 1)
    assert shown["apps"]["shop"]["drift"] == []
    assert verb("commit", request["id"])["state"] == "committed"
    assert verb("return", request["id"])["state"] == "committed"
    acted = (tmp_path / "acted").read_text().splitlines()
    assert acted == [f"reset-failed {units.SERVICE}", f"start --no-block {units.SERVICE}"]
    assert verb("check", "-", given=asked(tree()))["state"] == "unchanged"
    assert verb("check", "-", given=asked(tree(says="2")))["state"] == "checked"


def test_a_second_request_is_refused_and_named_the_holder(
    layout: Layout, verb: Callable[..., Any]
) -> None:
    first = asked(tree(), by="anna@desk")
    verb("request", "-", given=first)
    verb("wait", first["id"], "--seconds", "30")
    second = verb("request", "-", given=asked(tree(says="2"), by="ben@desk"))
    assert "anna@desk is at work here: apply of shop, since " in second["refused"]
    assert "anna@desk" in verb("check", "-", given=asked(tree(says="2")))["reason"]["message"]
    assert verb("return", first["id"])["state"] == "returned"
    assert not layout.at(SITE.format(app="shop")).is_symlink()


def test_a_request_that_waits_for_the_service_is_a_holder_too(verb: Callable[..., Any]) -> None:
    first = asked(tree(), by="anna@desk")
    verb("request", "-", given=first, HELD_BACK="1")
    assert verb("wait", first["id"], "--seconds", "0.2")["state"] == "requested"
    second = verb("request", "-", given=asked(tree()), HELD_BACK="1")
    assert "anna@desk" in second["refused"]
    assert verb("status")["waiting"][0]["id"] == first["id"]


def test_two_requests_at_once_one_wins(
    layout: Layout, program: Path, verb: Callable[..., Any], tmp_path: Path
) -> None:
    requests = [asked(tree(), by=name) for name in ("anna", "ben")]
    environment = {"ACTED": str(tmp_path / "acted"), "ROOT": str(layout.root)}
    both = [
        subprocess.Popen(
            [sys.executable, "-I", str(program), "--root", str(layout.root), "request", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        for _ in requests
    ]
    answers = []
    for process, request in zip(both, requests, strict=True):
        assert process.stdin
        process.stdin.write(json.dumps(request).encode())
        process.stdin.close()
    for process in both:
        with process:
            assert process.stdout
            answers.append(json.loads(process.stdout.read()))
    assert sorted("refused" in answer for answer in answers) == [False, True]
    won = answers[0 if "id" in answers[0] else 1]["id"]
    winner = next(one["by"] for one in requests if one["id"] == won)
    loser = next(answer for answer in answers if "refused" in answer)
    assert winner in loser["refused"]
    verb("wait", won, "--seconds", "30")
    assert verb("return", won)["state"] == "returned"


def test_a_killed_switch_is_gone_on_with_by_the_next(
    layout: Layout, verb: Callable[..., Any]
) -> None:
    request = asked(tree())
    verb("request", "-", given=request)
    verb("wait", request["id"], "--seconds", "30")
    os.kill(runner(layout), signal.SIGKILL)
    until = time.monotonic() + 20
    while lock.holder(layout) is not None:
        assert time.monotonic() < until
        time.sleep(0.02)
    verb("run")
    after = verb("wait", request["id"])
    assert after["state"] == "returned"
    assert "the switch was ended" in after["reason"]["message"]
    assert not layout.current.is_symlink()


def runner(layout: Layout) -> int:
    """The process that holds the lock."""
    inode = layout.lock.stat().st_ino
    held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]  # proc(5)
    return next(int(words[4]) for words in held if words[5].endswith(f":{inode}"))


def test_nonsense_is_an_answer_in_words(verb: Callable[..., Any], tmp_path: Path) -> None:
    assert "schema" in verb("request", "-", given={})["refused"]
    assert "no operation" in verb("wait", "0" * 16)["refused"]
    (tmp_path / "text").write_text("{")
    assert "not valid JSON" in verb("request", str(tmp_path / "text"))["refused"]
    assert "No such file" in verb("request", str(tmp_path / "none"))["error"]
    used = asked(tree(), check=True)
    assert "check" in verb("request", "-", given=used)["refused"]


def test_install_writes_the_units_once(
    layout: Layout, verb: Callable[..., Any], tmp_path: Path
) -> None:
    assert verb("install") == {"changed": True}
    for name, text in units.TEXTS.items():
        assert (layout.units / name).read_text() == text
    acted = (tmp_path / "acted").read_text().splitlines()
    assert acted == ["daemon-reload", f"enable {units.SERVICE} {units.BOOT}"]
    for name, target in units.WANTED.items():
        wants = layout.units / f"{target}.wants"
        wants.mkdir()
        (wants / name).symlink_to(f"../{name}")
    assert verb("install") == {"changed": False}
    (layout.units / units.SERVICE).write_text("edited")
    assert verb("install") == {"changed": True}


def test_boot_on_a_bare_host_does_nothing(verb: Callable[..., Any]) -> None:
    assert verb("boot") == {"changed": False}
    assert verb("run") == {"done": []}


@pytest.mark.daemon
def test_systemd_takes_the_units(tmp_path: Path, not_run: Callable[[str], Any]) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        not_run("no systemd-analyze")
    for name, text in units.TEXTS.items():
        program = "/usr/local/lib/advisor/switch.pyz"
        (tmp_path / name).write_text(text.replace(program, "/dev/null"))
    paths = [str(tmp_path / name) for name in units.TEXTS]
    done = subprocess.run(
        [str(analyze), "verify", "--man=no", *paths], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "advisor" in line]
    assert (done.returncode, ours) == (0, [])
