"""A balancer's daemon reads its files again, and returns when they are in use."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from . import caddy, connections, nginx
from .documents import Refusal, Refused, refuse
from .processes import snapshot
from .systemd import Manager, Systemd

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from .processes import Processes

STEP = "drain"
TAKES_OVER_S, POLL_S = 20.0, 0.05


class Proxy(Protocol):
    """The daemon of a balancer."""

    def is_running(self) -> bool:
        """Whether there is anything to reload."""

    def live_problems(self, is_ours: Callable[[Path], bool]) -> Refusal | None:
        """Why a reload now would fail, or publish what somebody else is still at."""

    def problems(self) -> Sequence[str]:
        """What it says is wrong with its files as they are now."""

    def reload(self) -> frozenset[int]:
        """Make it read its files again; returns when they are in use.

        Gives the processes that end what they began by older files. Raises `Refused` where
        those stay in use.
        """

    def busy(self, peer: str, before: Collection[int]) -> Callable[[], bool]:
        """Whether what it sent to a peer goes on, asked again and again.

        `before` are the processes that served when the peer was taken out.
        """


@dataclass(frozen=True)
class NginxProxy:
    """nginx under its unit."""

    nginx: nginx.Nginx = field(default_factory=nginx.Nginx)
    manager: Manager = field(default_factory=Systemd)

    def is_running(self) -> bool:
        """By its unit."""
        return self._master() != 0

    def live_problems(self, is_ours: Callable[[Path], bool]) -> Refusal | None:
        """By its own test, and by the times of its files."""
        return nginx.live_problems(self.nginx, self._master(), snapshot(), is_ours)

    def problems(self) -> Sequence[str]:
        """By its own test."""
        return nginx.tested(self.nginx).problems

    def reload(self) -> frozenset[int]:
        """Waits for new workers.

        The signal is answered at once, and an nginx that cannot use the new files goes on with
        the old ones (nginx.org, Controlling nginx).
        """
        master, log = self._master(), nginx.size(self.nginx.error_log)
        among = snapshot()
        serving = frozenset(nginx.serving(master, among))
        before = self._workers(master, among)
        if not before:
            raise refuse(STEP, "nginx is not running", f"systemctl status {self.nginx.unit}")
        _reload(self.manager, self.nginx.unit)
        deadline = time.monotonic() + TAKES_OVER_S
        while not (now := self._workers(master, snapshot())) or now & before:
            if time.monotonic() > deadline:
                message = f"nginx has no new workers {TAKES_OVER_S:g} s after its reload"
                said = nginx.tail(self.nginx.error_log, log)
                raise Refused(Refusal(STEP, message, lines=said, look=str(self.nginx.error_log)))
            time.sleep(POLL_S)
        return serving

    def busy(self, peer: str, before: Collection[int]) -> Callable[[], bool]:
        """By the connections of workers that shut down: they close each that is not in use."""
        return partial(connections.held, connections.ends(peer), before)

    def _master(self) -> int:
        return self.manager.states(self.nginx.unit)[self.nginx.unit].main_pid

    @staticmethod
    def _workers(master: int, among: Processes) -> set[tuple[int, float]]:
        """By their start too: a PID may come again."""
        found = nginx.workers(master, among).values()
        return {(each.pid, each.started_s) for each in found}


@dataclass(frozen=True)
class CaddyProxy:
    """Caddy under its unit."""

    caddy: caddy.Caddy = field(default_factory=caddy.Caddy)
    manager: Manager = field(default_factory=Systemd)

    def is_running(self) -> bool:
        """By its unit."""
        return self._pid() != 0

    def live_problems(self, is_ours: Callable[[Path], bool]) -> Refusal | None:
        """By its own validation, and by what it says that it runs."""
        process = snapshot().get(self._pid())
        return caddy.live_problems(self.caddy, process, is_ours)

    def problems(self) -> Sequence[str]:
        """By its own validation."""
        return caddy.problems(self.caddy, self._pid())

    def reload(self) -> frozenset[int]:
        """Caddy answers when the new files are in use.

        Requests that began before go on beside them, in the same process (its
        modules/caddyhttp/app.go, Stop). It listens anew with each reload (SO_REUSEPORT,
        caddy#5725): a connection that waits at the old socket meanwhile is reset, unless the
        host has net.ipv4.tcp_migrate_req (the kernel's documentation, ip-sysctl).
        """
        _reload(self.manager, self.caddy.unit)
        return frozenset({self._pid()})

    def busy(self, peer: str, before: Collection[int]) -> Callable[[], bool]:
        """By its own count: it keeps connections that are not in use, in a process that goes on."""
        del before
        admin = caddy.admin(self.caddy, self._pid())
        return lambda: caddy.under_way(admin, peer) != 0

    def _pid(self) -> int:
        return self.manager.states(self.caddy.unit)[self.caddy.unit].main_pid


def _reload(manager: Manager, unit: str) -> None:
    done = manager.act("reload", unit)
    if not done.is_good:
        message, look = f"{unit} was not reloaded", f"journalctl -u {unit} -n 20"
        raise Refused(Refusal(STEP, message, lines=done.said, look=look))
