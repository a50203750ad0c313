"""Drains, their ends, kills at any write and boots, in any order: no peer stays out unnoticed."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from advisor.deploy.switch import connections, disk, drain, leases
from advisor.deploy.switch.commands import Outcome
from advisor.deploy.switch.layout import Layout
from advisor.deploy.switch.peers import peers
from tests.deploy.switch.balanced import APP, Manager, Timers, install

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from advisor.deploy.switch.documents import Refusal

HOSTS = 3
WRITES = ("replace", "replace_link", "discard", "rename")
STEPS = 12
# Every write is synced, which takes a disk its time.
QUICK = "/dev/shm" if Path("/dev/shm").is_dir() else None

numbers = st.integers(0, HOSTS - 1)
steps = st.integers(0, STEPS - 1)


class Killed(BaseException):
    """As by SIGKILL: nothing is tidied up."""


class Daemon:
    """Has what its path led to when it was last reloaded; where it is stubborn, what it had."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.loaded = path.read_text()
        self.is_stubborn = False

    def is_running(self) -> bool:
        return True

    def live_problems(self, _is_ours: Callable[[Path], bool]) -> Refusal | None:
        return None

    def problems(self) -> list[str]:
        return ["no"] if self.is_stubborn else []

    def reload(self) -> frozenset[int]:
        self.loaded = self.path.read_text()
        return frozenset({1})

    def busy(self, _peer: str, _before: Collection[int]) -> Callable[[], bool]:
        return lambda: False


class Drains(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        enter = self.stack.enter_context
        enter(mock.patch.object(connections, "CALM_S", 0.0))
        self.layout = Layout(Path(enter(tempfile.TemporaryDirectory(dir=QUICK))))
        sockets = [enter(socket.create_server(("127.0.0.1", 0))) for _ in range(HOSTS)]
        self.hosts = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
        target = "/etc/nginx/conf.d/shop.conf"
        self.layout.at(target).parent.mkdir(parents=True)
        lines = "".join(f"    server {host} max_fails=1;\n" for host in self.hosts)
        self.site = f"upstream shop_app {{\n{lines}}}\n"
        self.layout.at(target).write_text(self.site)
        self.link = install(self.layout, target, "nginx")
        self.daemon, self.timers = Daemon(self.link), Timers()
        self.here = drain.Host({"nginx": self.daemon}, Manager(), self.timers)

    def request(self, number: int | None) -> dict[str, Any]:
        peer = None if number is None else self.hosts[number]
        return {"schema": drain.SCHEMA, "app": APP, "peer": peer, "lease_s": 60}

    @property
    def leased(self) -> leases.Leases:
        return leases.read(leases.drained(self.layout) / APP)

    def over(self, *names: str) -> None:
        """These leases end."""
        kept = self.leased
        ended = {name: leases.Lease(0.0, kept[name].unit, kept[name].before) for name in names}
        leases.write(leases.drained(self.layout) / APP, kept | ended)

    @contextlib.contextmanager
    def killed_at(self, step: int) -> Iterator[None]:
        """Dies before that write, rename, timer or reload, where it gets so far."""
        left = iter(range(step))

        def dying(does: Callable[..., Any]) -> Callable[..., Any]:
            def act(*words: Any, **more: Any) -> Any:
                if next(left, None) is None:
                    raise Killed
                return does(*words, **more)

            return act

        with contextlib.ExitStack() as patches:
            for name in WRITES:
                does = dying(getattr(disk, name))
                patches.enter_context(mock.patch.object(disk, name, does))
            reload = dying(self.daemon.reload)
            patches.enter_context(mock.patch.object(self.daemon, "reload", reload))
            patches.enter_context(contextlib.suppress(Killed))
            yield

    @rule(number=numbers)
    def drains(self, number: int) -> None:
        answer = drain.drain(self.request(number), self.layout, self.here)
        if answer["state"] in {"drained", "renewed"}:
            assert self.hosts[number] not in self.up
        else:
            assert answer["reason"]["message"]

    @rule(number=numbers)
    def undrains(self, number: int) -> None:
        answer = drain.undrain(self.request(number), self.layout, self.here)
        assert (answer["state"] == "up") == (self.hosts[number] not in self.leased)
        if answer["state"] == "up":
            assert self.hosts[number] in self.up

    @rule(number=numbers, step=steps)
    def drains_and_dies(self, number: int, step: int) -> None:
        with self.killed_at(step):
            drain.drain(self.request(number), self.layout, self.here)

    @rule(number=numbers, step=steps)
    def undrains_and_dies(self, number: int, step: int) -> None:
        with self.killed_at(step):
            drain.undrain(self.request(number), self.layout, self.here)

    @rule(number=numbers)
    def a_lease_is_over(self, number: int) -> None:
        if self.hosts[number] in self.leased:
            self.over(self.hosts[number])

    @rule()
    def a_timer_comes(self) -> None:
        over = {name for name, lease in self.leased.items() if not lease.until}
        answer = drain.undrain(self.request(None), self.layout, self.here)
        if answer["state"] == "up":
            assert over <= set(self.up)
        else:
            assert over <= set(self.leased)

    @rule(fails=st.booleans())
    def systemd_starts_no_timer(self, fails: bool) -> None:
        self.timers.outcome = Outcome(1 if fails else 0, "", "")

    @rule(is_stubborn=st.booleans())
    def the_daemon_takes_no_files(self, is_stubborn: bool) -> None:
        self.daemon.is_stubborn = is_stubborn

    @rule()
    def the_host_boots(self) -> None:
        disk.remove_tree(self.layout.run)
        drain.restore(self.layout)
        self.daemon.reload()
        assert self.daemon.loaded == self.site

    @property
    def up(self) -> list[str]:
        return [each.name for each in peers(self.daemon.loaded, "nginx") if not each.is_down]

    @invariant()
    def somebody_serves(self) -> None:
        assert self.up

    @invariant()
    def who_is_out_has_a_lease_and_that_a_timer(self) -> None:
        assert set(self.hosts) - set(self.up) <= set(self.leased)
        units = {unit for unit, *_ in self.timers.started}
        assert {lease.unit for lease in self.leased.values()} <= units

    @invariant()
    def the_daemons_path_leads_to_a_site(self) -> None:
        assert self.link.is_symlink()
        assert [each.name for each in peers(self.link.read_text(), "nginx")] == self.hosts

    def teardown(self) -> None:
        """Whatever has happened: when the leases are over, all is as it was."""
        with self.stack:
            self.daemon.is_stubborn = False
            self.over(*self.leased)
            assert drain.undrain(self.request(None), self.layout, self.here)["state"] == "up"
            assert self.leased == {}
            assert self.daemon.loaded == self.site
            assert self.link.read_text() == self.site


TestDrains = Drains.TestCase
TestDrains.settings = settings(max_examples=200, stateful_step_count=20, deadline=None)


@pytest.mark.parametrize("step", range(STEPS))
def test_whoever_dies_in_an_undrain_a_drain_after_it_is_one(step: int) -> None:
    """The daemon may have been reloaded by then, while the lease still stood."""
    machine = Drains()
    machine.drains(number=1)
    machine.drains(number=0)
    machine.undrains_and_dies(number=0, step=step)
    machine.drains(number=0)
    machine.who_is_out_has_a_lease_and_that_a_timer()
    machine.teardown()
