"""A peer is taken out of a load balancer for a while, by a lease that ends by itself.

The daemon's own path, a link to the installed site, is pointed at a copy of it below /run in
which the peer gets no requests, and back again. A timer of systemd's stands before anything
changes, so that whoever dies in between leaves no peer drained. /run is empty after a boot:
`restore` points the links back before the daemons start.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from . import disk, leases, sites
from .commands import run
from .connections import answers, come_to_rest
from .documents import Refusal, Refused, refuse
from .leases import Lease, Leases
from .proxies import STEP, CaddyProxy, NginxProxy, Proxy
from .sites import restore
from .systemd import Manager, Systemd

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from .commands import Outcome
    from .layout import Layout
    from .sites import Site

__all__ = ["Host", "drain", "restore", "undrain"]

SCHEMA = "advisor/drain/1"
# A lease has to outlast what it is taken for, and a forgotten one must not last.
SHORTEST_S, LONGEST_S = 5.0, 3600.0
LEASE_S, WAIT_S = 120.0, 30.0
# After whoever waits for the lock has given up: so there is one at a time that tries.
RETRY_S = leases.LOCK_S + 5.0

_APP = re.compile(r"[a-z][a-z0-9_-]*")


def _timer(unit: str, seconds: int, command: Sequence[str]) -> Outcome:
    """Have systemd run the command once the time is over.

    By itself a timer is up to a minute late (systemd.timer(5), AccuracySec).
    """
    when = [f"--on-active={seconds}s", "--timer-property=AccuracySec=1s"]
    return run(["systemd-run", "--quiet", "--collect", f"--unit={unit}", *when, "--", *command])


def _proxies() -> dict[str, Proxy]:
    return {"nginx": NginxProxy(), "caddy": CaddyProxy()}


@dataclass(frozen=True)
class Host:
    """What a balancer's host has besides files; tests exchange it."""

    proxies: Mapping[str, Proxy] = field(default_factory=_proxies)
    manager: Manager = field(default_factory=Systemd)
    timer: Callable[[str, int, Sequence[str]], Outcome] = _timer


@dataclass(frozen=True)
class _Request:
    """What is asked for: of whom, for how long, and how long at most to wait for rest."""

    app: str
    peer: str | None
    lease_s: float
    wait_s: float


def drain(request: Mapping[str, Any], layout: Layout, host: Host | None = None) -> dict[str, Any]:
    """Take `peer` out of `app`'s balancer for `lease_s` seconds; once more renews the lease.

    Returns when the daemon sends it nothing more and what it was sent is answered, or `wait_s`
    is over: `is_calm` says which. The state `refused` has the reason, and the daemon's path
    leads where it led: so the last peer that answers is never drained.
    """
    here = host or Host()
    try:
        asked = _read(request)
        if asked.peer is None:
            raise refuse(STEP, "the request names no peer")
        with leases.exclusive(layout):
            site = sites.found(layout, asked.app)
            found = leases.read(site.folder)
            _refuse_unfit(site, asked.peer, found)
            is_out = site.is_copied and asked.peer in _out(found)
            if not is_out:
                _refuse_pending(here, site, layout)
            lease = _leased(layout, here, site, asked.peer, asked.lease_s)
            if not is_out:
                lease = _taken_out(here, site, asked.peer, lease)
    except (Refused, OSError) as error:
        return _refused(request, error)
    is_busy = here.proxies[site.kind].busy(asked.peer, lease.before)
    is_calm = come_to_rest(is_busy, asked.wait_s)
    return _answer(request, "renewed" if is_out else "drained", is_calm=is_calm)


def undrain(request: Mapping[str, Any], layout: Layout, host: Host | None = None) -> dict[str, Any]:
    """Give `peer` its requests again; without one, every peer of `app` whose lease is over.

    The state `refused` has the reason where the daemon does not take its files. The lease stays
    then, and once it is over a timer tries again until it is done, whatever ends this.
    """
    here, now = host or Host(), time.monotonic()
    try:
        asked = _read(request)
        folder, units = leases.drained(layout) / asked.app, []
        # Before anything can go wrong: the lease's own timer has come, and comes once.
        if asked.peer is None and leases.read(folder):
            with suppress(Refused, OSError):
                units.append(_arm(layout, here, asked.app, RETRY_S))
        with leases.exclusive(layout):
            site, found = sites.find(layout, asked.app), leases.read(folder)
            over = {
                name: lease
                for name, lease in found.items()
                if (lease.until <= now if asked.peer is None else name == asked.peer)
            }
            rest = {name: lease for name, lease in found.items() if name not in over}
            units += [lease.unit for lease in over.values()]
            if over and site is not None and site.is_ours:
                # From here on the daemon may send them requests, whoever dies in between: a
                # drain that comes then must not take them for out.
                intended = {name: replace(lease, before=()) for name, lease in over.items()}
                leases.write(folder, {**found, **intended})
                if here.proxies[site.kind].is_running():
                    _publish(here, site, _out(rest))
                else:
                    site.place(_out(rest))
            leases.write(folder, rest)
    except (Refused, OSError) as error:
        return _refused(request, error)
    for unit in units:
        here.manager.act("stop", f"{unit}.timer")
    return _answer(request, "up")


def _read(request: Mapping[str, Any]) -> _Request:
    """Raises `Refused` where the request is none."""
    app, peer = request.get("app"), request.get("peer")
    lease_s, wait_s = request.get("lease_s", LEASE_S), request.get("wait_s", WAIT_S)
    if (
        request.get("schema") != SCHEMA
        or not (isinstance(app, str) and _APP.fullmatch(app))
        or not (peer is None or isinstance(peer, str))
        or not all(isinstance(each, (int, float)) for each in (lease_s, wait_s))
    ):
        raise refuse(STEP, f"the request is none of {SCHEMA}: app, peer, lease_s, wait_s")
    if not SHORTEST_S <= lease_s <= LONGEST_S:
        raise refuse(STEP, f"lease_s: {lease_s:g}: from {SHORTEST_S:g} to {LONGEST_S:g} seconds")
    return _Request(app, peer, float(lease_s), min(float(wait_s), float(lease_s)))


def _out(found: Leases) -> list[str]:
    return [peer for peer, lease in found.items() if lease.is_out]


def _refuse_unfit(site: Site, peer: str, found: Leases) -> None:
    """Refused where the peer is none of the site's, or no other one would answer."""
    known = site.peers
    names = [each.name for each in known]
    if peer not in names or peer.startswith("unix:"):
        raise refuse(STEP, f"{site.app} has no host {peer}", f"Its hosts: {', '.join(names)}.")
    if not site.is_ours:
        raise refuse(
            STEP,
            f"{site.target} does not lead to what is installed: somebody changed it",
            f"Apply again, or: ln -sfn {site.installed} {site.target}",
        )
    others = [each.name for each in known if not each.is_down and each.name not in {peer, *found}]
    if not any(answers(name) for name in others):
        left = f"of {', '.join(others)} none answers" if others else "no other takes requests"
        raise refuse(
            STEP,
            f"{peer} is not drained: {left}, so that nothing would serve {site.app}",
            "See to the other hosts first.",
        )


def _refuse_pending(here: Host, site: Site, layout: Layout) -> None:
    """Refused where a reload would fail, or publish others' edits."""
    ours = {layout.etc.resolve(), leases.drained(layout).resolve()}

    def is_ours(path: Path) -> bool:
        return not ours.isdisjoint(path.resolve().parents)

    problem = here.proxies[site.kind].live_problems(is_ours)
    if problem is not None:
        raise Refused(problem)


def _leased(layout: Layout, here: Host, site: Site, peer: str, lease_s: float) -> Lease:
    """A lease for the peer: first its timer, then the state, then the timer before it gone."""
    leases.make(site.folder, layout)
    found = leases.read(site.folder)
    until = time.monotonic() + lease_s
    unit = _arm(layout, here, site.app, lease_s)
    lease = Lease(until, unit, found[peer].before if peer in found else ())
    leases.write(site.folder, {**found, peer: lease})
    if peer in found:
        here.manager.act("stop", f"{found[peer].unit}.timer")
    return lease


def _arm(layout: Layout, here: Host, app: str, seconds: float) -> str:
    """A timer that undrains what is over then; its unit."""
    # Not in the app's folder, which goes with the last lease: a timer may still come.
    words = leases.drained(layout) / f"over-{app}.json"
    disk.replace(words, json.dumps({"schema": SCHEMA, "app": app}).encode(), mode=0o600)
    unit = f"advisor-undrain-{app}-{token_hex(4)}"
    command = [sys.executable, "-I", str(layout.program), "undrain", str(words)]
    done = here.timer(unit, math.ceil(seconds), command)
    if not done.is_good:
        raise Refused(Refusal(STEP, "systemd started no timer for the lease", lines=done.said))
    return unit


def _taken_out(here: Host, site: Site, peer: str, lease: Lease) -> Lease:
    """The lease, once the daemon has taken the peer out.

    Where it fails the daemon's path leads where it led. The lease stays: the daemon may yet read
    the copy, and the lease's end makes it read the site again.
    """
    found = leases.read(site.folder)
    others = [name for name in _out(found) if name != peer]
    try:
        before = _publish(here, site, [*others, peer])
    except (Refused, OSError):
        site.place(others)
        raise
    taken = replace(lease, before=sorted(before))
    leases.write(site.folder, {**found, peer: taken})
    return taken


def _publish(here: Host, site: Site, out: Collection[str]) -> frozenset[int]:
    """The daemon reads the site without these peers; raises `Refused` where it does not."""
    proxy = here.proxies[site.kind]
    site.place(out)
    wrong = proxy.problems()
    if wrong:
        look = "Mend it until it passes; a lease that is over tries again by itself."
        raise Refused(Refusal(STEP, f"{site.kind} refuses its files", lines=wrong, look=look))
    return proxy.reload()


def _answer(request: Mapping[str, Any], state: str, **more: Any) -> dict[str, Any]:
    named = {"app": request.get("app"), "peer": request.get("peer")}
    return {"schema": leases.SCHEMA, **named, "state": state, "reason": None, **more}


def _refused(request: Mapping[str, Any], error: Refused | OSError) -> dict[str, Any]:
    refusal = error.refusal if isinstance(error, Refused) else Refusal(STEP, str(error))
    said = {"refused": refusal.message, "reason": refusal.as_json()}
    return {**_answer(request, "refused"), **said}
