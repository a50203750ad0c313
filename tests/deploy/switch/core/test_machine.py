"""Any sequence of applies, rollbacks, edits, kills and faults, on a host below a folder.

After each the host is what the operation's end says: changed as it asked, or not at all.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from advisor.deploy.switch import generations
from advisor.deploy.switch.documents import Refusal
from advisor.deploy.switch.journal import TERMINAL, Journal
from advisor.deploy.switch.layout import Layout
from advisor.deploy.switch.links import SHARED, is_ours
from advisor.deploy.switch.lock import Lock
from advisor.deploy.switch.saved import look
from advisor.deploy.switch.serve import boot
from advisor.deploy.switch.status import status
from tests.deploy.switch.core.made import (
    TARGETS,
    USUAL,
    FaultyOs,
    Killed,
    Told,
    asked,
    faulty,
    live,
    run,
    switch,
    take_in,
    tree,
)

APPS = ("shop", "blog")
PATHS = ("nginx/{app}-more.conf", "caddy/Caddyfile", "systemd/10-advisor.conf")
PLACES = ("/etc/nginx/conf.d/shop.conf", "/etc/nginx/conf.d/shop-more.conf", "/etc/caddy/Caddyfile")
ELSEWHERE = "/etc/elsewhere.conf"
THEIRS = re.compile(rb"# (somebody's .*|edited)\n")
CALLS = ("live", "live without health", "staged", "activate", "gate")

# Two of three go well, or little would ever be committed.
faults = st.one_of(
    st.none(),
    st.none(),
    st.builds(
        FaultyOs,
        st.integers(0, 180),
        st.sampled_from([None, None, errno.ENOSPC, errno.EIO, errno.EROFS]),
        is_after=st.booleans(),
        is_lasting=st.booleans(),
    ),
)
tellings = st.one_of(
    st.none(),
    st.none(),
    st.tuples(st.sampled_from(CALLS), st.sampled_from(["refuse", "refuse once", "kill"])),
)
answers = st.sampled_from(["commit", "commit", "commit", "return", None])


class Hosts(RuleBasedStateMachine):
    """One host, from bare."""

    @initialize()
    def bare(self) -> None:
        memory = "/dev/shm"
        folder = memory if os.access(memory, os.W_OK) else None
        root = Path(tempfile.mkdtemp(dir=folder))
        for name in ("etc/nginx/conf.d", "etc/systemd/system", "etc/caddy", "var/lib"):
            (root / name).mkdir(parents=True)
        self.layout = Layout(root)
        self.serving: dict[str, dict[str, bytes]] = {}
        self.is_unserved = False

    def teardown(self) -> None:
        if hasattr(self, "layout"):
            shutil.rmtree(self.layout.root)

    # What administrators do

    @rule(place=st.sampled_from(PLACES), kind=st.sampled_from(["file", "link", "folder", "none"]))
    def somebody_puts_something(self, place: str, kind: str) -> None:
        path = self.layout.at(place)
        assume(not path.is_dir() or path.is_symlink() or not any(path.iterdir()))
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        if kind == "file":
            path.write_text(f"# somebody's {place}\n")
        elif kind == "link":
            path.symlink_to(ELSEWHERE)
        elif kind == "folder":
            path.mkdir()

    @rule(place=st.sampled_from(PLACES))
    def somebody_edits(self, place: str) -> None:
        if self.layout.at(place).is_file():
            with self.layout.at(place).open("a") as stream:
                stream.write("# edited\n")

    # What controllers do

    @rule(
        app=st.sampled_from(APPS),
        says=st.sampled_from("12"),
        more=st.sets(st.sampled_from(PATHS)),
        components=st.sampled_from([None, None, ["nginx"], ["nginx", "systemd"]]),
        overwrite=st.sampled_from([True, True, False]),
        fault=faults,
        told=tellings,
        answer=answers,
        is_boot=st.booleans(),
    )
    def apply(
        self, app: str, says: str, more: set[str], components: Any, overwrite: bool, **how: Any
    ) -> None:
        paths = [*USUAL, *sorted(more)]
        about = {"components": components, "overwrite": overwrite}
        self.carried_out(asked(tree(app, says, paths), app=app, **about), **how)

    @precondition(lambda self: self.layout.current.is_symlink())
    @rule(
        app=st.sampled_from(APPS),
        to=st.one_of(st.none(), st.integers(0, 9)),
        all_apps=st.booleans(),
        overwrite=st.sampled_from([True, True, False]),
        fault=faults,
        told=tellings,
        answer=answers,
        is_boot=st.booleans(),
    )
    def roll_back(
        self, app: str, to: int | None, all_apps: bool, overwrite: bool, **how: Any
    ) -> None:
        known = [*Journal(self.layout).committed(), 99]
        to = None if to is None else known[to % len(known)]
        about = {"to": to, "all_apps": all_apps, "overwrite": overwrite}
        self.carried_out(asked(app=app, **about), **how)

    def carried_out(
        self,
        request: dict[str, Any],
        fault: FaultyOs | None,
        told: tuple[str, str] | None,
        answer: str | None,
        is_boot: bool,
    ) -> None:
        before = live(self.layout)
        times = self.times()
        apps = status(self.layout)["apps"]
        id_ = take_in(self.layout, request)
        services = self.services(told)
        is_over = self.ran(services, answer, fault)
        if not is_over:
            self.started_again(is_boot, answer)
        state = Journal(self.layout).lines(id_)[-1]["step"]
        assert state in TERMINAL
        assert answer == "commit" or state != "committed"
        if state == "return_failed":
            assert fault or told
            # The files are as before, and the daemons have what the last activation gave them.
            assert self.restored(before)
            self.serving = {}
        elif state != "committed":
            assert self.restored(before), state
        if state == "unchanged":
            # What a failed return left is something to do.
            assert not self.is_unserved
            assert self.times() == times
            assert not services.calls
        if state == "committed":
            self.assert_installed(request, before, apps)
            self.assert_nothing_lost(before, is_overwriting=request["overwrite"])
        if state in {"committed", "returned", "return_failed"}:
            self.is_unserved = state == "return_failed"

    def services(self, told: tuple[str, str] | None) -> Told:
        heard: list[str] = []

        def says(name: str) -> Refusal | None:
            if told is None or name != told[0] or (told[1] != "refuse" and heard):
                return None
            heard.append(name)
            if told[1] == "kill":
                raise Killed
            return Refusal(name, "as it was told")

        services = Told(self.layout, says)
        services.serving = self.serving
        return services

    def ran(self, services: Told, answer: str | None, fault: FaultyOs | None) -> bool:
        """Whether the service came to its end by itself, with nothing left for its next start."""
        try:
            with faulty(fault or FaultyOs()):
                run(switch(self.layout, services, answer))
        except (Killed, OSError):
            return False
        return fault is None or fault.fault is None

    def started_again(self, is_boot: bool, answer: str | None) -> None:
        if is_boot:
            lock = Lock(self.layout)
            boot(self.layout, _Manager(), lock)
            lock.release()
            self.serving = {}
        else:
            run(switch(self.layout, self.services(None), answer))

    def times(self) -> dict[Path, int]:
        return {path: path.lstat().st_mtime_ns for path in self.layout.at("/etc").rglob("*")}

    def restored(self, before: dict[str, Any]) -> bool:
        return live(self.layout) == before

    def assert_installed(
        self, request: dict[str, Any], before: dict[str, Any], apps: dict[str, Any]
    ) -> None:
        shown = status(self.layout)
        affected = set(APPS) if request.get("all_apps") else {request["app"]}
        installed = generations.installs(self.layout, shown["current"])
        if request["verb"] == "apply" and request.get("components") is None:
            assert shown["apps"][request["app"]]["drift"] == []
            assert request["app"] in installed
        for app in set(apps) - affected:
            assert _own(shown["apps"][app]) == _own(apps[app])
        mine = {target.format(app=app) for app in affected for target in TARGETS.values()} | {
            "/etc/systemd/system/"
        }
        after = live(self.layout)
        for path in {*before, *after}:
            is_tree = any(path.startswith(f"/etc/advisor/current/{app}/") for app in affected)
            if path not in mine and not is_tree and not path.endswith("/"):
                assert before.get(path) == after.get(path), path

    def assert_nothing_lost(self, before: dict[str, Any], *, is_overwriting: bool) -> None:
        """What somebody wrote still stands where it stood, or is kept, where that was asked for."""
        after = live(self.layout)
        standing = {each[1] for each in after.values() if each}
        gone = {path: each for path, each in before.items() if each and after.get(path) != each}
        lost = {text for _, text in gone.values() if text and THEIRS.search(text)} - standing
        links = {path for path, (leads, _) in gone.items() if leads == ELSEWHERE}
        assert is_overwriting or not (lost or links)
        kept = {each.read_bytes() for each in self.layout.saved.rglob("*") if each.is_file()}
        assert lost <= kept

    # What must hold whenever nothing is at work

    @invariant()
    def the_current_generation_is_committed_and_whole(self) -> None:
        if not hasattr(self, "layout"):
            return
        number = generations.current(self.layout)
        assert number is None or number in Journal(self.layout).committed()
        if number is not None:
            generations.trees(self.layout, number)

    @invariant()
    def nothing_is_left_over(self) -> None:
        if not hasattr(self, "layout"):
            return
        assert not list(self.layout.root.rglob(".*.advisor"))
        assert not list(self.layout.generations.glob(".*"))
        known = Journal(self.layout).committed()
        failed = {
            line.get("generation")
            for lines in Journal(self.layout).operations().values()
            if lines[-1]["step"] == "return_failed"
            for line in lines
        }
        assert set(generations.numbers(self.layout)) <= set(known) | failed

    @invariant()
    def links_of_ours_lead_somewhere(self) -> None:
        if not hasattr(self, "layout"):
            return
        current = f"{self.layout.current}/"
        for path in self.layout.at("/etc").rglob("*"):
            if path.is_symlink() and str(path.readlink()).startswith(current):
                assert path.exists(), path

    @invariant()
    def daemons_serve_what_is_installed(self) -> None:
        for files in getattr(self, "serving", {}).values():
            for target, content in files.items():
                stood = look(self.layout, target)
                if target in SHARED or not is_ours(self.layout, stood):
                    continue
                found = self.layout.at(target).read_bytes()
                assert found == content or b"edited" in found + content


def _own(app: dict[str, Any]) -> dict[str, Any]:
    """An app's status without the paths that another app may take from it."""
    return {**app, "drift": [each for each in app["drift"] if each["path"] not in SHARED]}


class _Manager:
    def act(self, *_words: str) -> None:
        pass


Hosts.TestCase.settings = settings(
    max_examples=400,
    stateful_step_count=25,
    # A host's history is shrunk for minutes, and reads no better for it.
    phases=(Phase.reuse, Phase.generate),
    report_multiple_bugs=False,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestHosts = pytest.mark.timeout(600)(Hosts.TestCase)
