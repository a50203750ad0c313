"""A host below a folder, trees to put on it, services that do as they are told, and faults."""

from __future__ import annotations

import base64
import errno
import grp
import hashlib
import json
import os
import pwd
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.deploy.switch import disk
from advisor.deploy.switch.documents import Install, Links, Refusal, Request
from advisor.deploy.switch.journal import Journal, view
from advisor.deploy.switch.lock import Lock
from advisor.deploy.switch.operation import Switch
from advisor.deploy.switch.requests import make_folders, submit
from advisor.deploy.switch.serve import work
from advisor.deploy.switch.services import Baseline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from advisor.deploy.switch.layout import Layout

ME = pwd.getpwuid(os.geteuid()).pw_name
MINE = grp.getgrgid(os.getegid()).gr_name

SITE, UNIT, CONF = (
    "/etc/nginx/conf.d/{app}.conf",
    "/etc/systemd/system/{app}.service",
    "/etc/advisor/current/{app}/gunicorn/gunicorn.conf.py",
)
# Where each file of a tree is looked for.
TARGETS = {
    "nginx/{app}.conf": SITE,
    "nginx/{app}-more.conf": "/etc/nginx/conf.d/{app}-more.conf",
    "systemd/{app}.service": UNIT,
    "gunicorn/gunicorn.conf.py": CONF,
    "caddy/Caddyfile": "/etc/caddy/Caddyfile",
    "systemd/10-advisor.conf": "/etc/systemd/system/{app}.service.d/10-advisor.conf",
}
USUAL = ("nginx/{app}.conf", "systemd/{app}.service", "gunicorn/gunicorn.conf.py")


def row(app: str, path: str, target: str, **more: Any) -> dict[str, Any]:
    component = path.partition("/")[0]
    about = {"owner": ME, "group": MINE, "mode": "0640", "checker": component}
    return {
        "path": path.format(app=app),
        "component": component,
        "target": target.format(app=app),
        **about,
        "activation": "reload",
        **more,
    }


def tree(app: str = "shop", says: str = "1", paths: Sequence[str] = USUAL) -> dict[str, bytes]:
    """A rendered tree whose files say something."""
    files = {path.format(app=app): f"in {path} {says}\n".encode() for path in paths}
    install = {
        "schema": "advisor/install/1",
        "app": app,
        "inputs": hashlib.sha256(says.encode()).hexdigest()[:12],
        "user": ME,
        "group": MINE,
        "server": "gunicorn",
        "files": [row(app, path, TARGETS[path]) for path in paths],
        "units": [{"name": f"{app}.service", "kind": "service", "reload": True, "trial": []}],
        "health": {
            "scheme": "http",
            "address": "127.0.0.1",
            "port": 80,
            "host": f"{app}.example",
            "path": "/healthz",
        },
        "proxy": "nginx",
    }
    return whole({**files, ".advisor/install.json": json.dumps(install).encode()})


def whole(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files with the manifest that fits them."""
    lines = [
        f"{hashlib.sha256(content).hexdigest()}  {path}\n"
        for path, content in sorted(files.items())
        if path != ".advisor/manifest"
    ]
    return {**files, ".advisor/manifest": "".join(lines).encode()}


def asked(files: Mapping[str, bytes] | None = None, **more: Any) -> dict[str, Any]:
    """A request's document: an apply of these files, or what `more` says."""
    return {
        "schema": "advisor/request/1",
        "id": secrets.token_hex(8),
        "by": "root@controller",
        "verb": "apply" if files is not None else "rollback",
        "app": "shop",
        "files": {path: base64.b64encode(each).decode() for path, each in (files or {}).items()},
        "dwell_s": 0,
        **more,
    }


class Told:
    """Services that pass everything, but for what `says` is told to do at a call.

    `serving` is what each app's daemons have loaded: the bytes at their own paths then; `activated`
    are the apps, the paths and whether it was a return.
    """

    def __init__(self, layout: Layout, says: Callable[[str], Refusal | None] | None = None) -> None:
        self.layout = layout
        self.says = says or (lambda _call: None)
        self.calls: list[str] = []
        self.activated: list[tuple[str, frozenset[str], bool]] = []
        self.serving: dict[str, dict[str, bytes]] = {}

    def _call(self, name: str) -> Refusal | None:
        self.calls.append(name)
        return self.says(name)

    def live_problems(self, app: Install | None, others: Sequence[Install]) -> Refusal | None:
        del others
        return self._call("live" if app else "live without health")

    def staged_problems(self, new: Install, generation: Path, links: Links) -> Refusal | None:
        for file in new.files:
            assert (generation / new.app / file.path).is_file()
        mine = {row.target for row in new.files if not row.target.startswith("/etc/advisor/")}
        assert mine <= set(links)
        return self._call("staged")

    def baseline(self, app: Install | None, seconds: float) -> Baseline | None:
        assert seconds > 0
        refusal = self._call("baseline")
        assert refusal is None
        return Baseline((0.01,)) if app else None

    def unwell(self, app: Install, when: str) -> Refusal | None:
        return self.says(f"{app.app} {when}")

    def activate(
        self,
        old: Install | None,
        new: Install | None,
        changed: frozenset[str],
        *,
        because: Refusal | None = None,
    ) -> Refusal | None:
        assert changed
        app = (new or old).app
        self.activated.append((app, changed, because is not None))
        refusal = self._call("activate")
        self.serving[app] = loaded(self.layout, new) if new else {}
        return refusal

    def gate(
        self, app: Install, before: Baseline | None, dwell_s: float
    ) -> tuple[Refusal | None, dict[str, Any]]:
        del before, dwell_s
        assert self.serving[app.app] == loaded(self.layout, app)
        return self._call("gate"), {"answers": 100}


def loaded(layout: Layout, install: Install) -> dict[str, bytes]:
    """What an app's daemons would read now, by the path that they look at."""
    paths = {file.target: layout.at(file.target) for file in install.files}
    return {target: path.read_bytes() for target, path in paths.items() if path.is_file()}


def switch(layout: Layout, services: Told | None = None, answer: str | None = "commit") -> Switch:
    """A switch whose controller answers at once, or, without an answer, never before the deadline.

    Its clock goes on by what is waited for.
    """
    told = services or Told(layout)
    now = [0.0]

    def pause(seconds: float) -> None:
        now[0] += max(seconds, 1000.0 if answer is None else 0.0)

    def clock() -> float:
        if answer:
            for path in layout.requests.glob("*.json"):
                (layout.requests / f"{path.stem}.{answer}").touch()
        return now[0]

    return Switch(layout, told, clock, pause)


def take_in(layout: Layout, request: Mapping[str, Any]) -> str:
    """Leave a request for the service, as the verb `request` does."""
    Request.from_data(request)
    make_folders(layout)
    submit(layout, request["id"], dict(request))
    return str(request["id"])


def run(here: Switch) -> None:
    """The service once, from its start to its end, as systemd would start it."""
    lock = Lock(here.layout)
    try:
        work(here, lock)
    finally:
        lock.release()


def done(here: Switch, request: Mapping[str, Any]) -> dict[str, Any]:
    """Carry a request out; the operation at its end."""
    id_ = take_in(here.layout, request)
    run(here)
    return ended(here.layout, id_)


def ended(layout: Layout, id_: str) -> dict[str, Any]:
    return view(Journal(layout).lines(id_))


def live(layout: Layout) -> dict[str, Any]:
    """All that daemons can see: each path below /etc, with what it leads to and holds."""
    found: dict[str, Any] = {}
    etc = layout.at("/etc")
    for place, folders, names in os.walk(etc):
        if Path(place) == layout.etc:
            folders.clear()
            continue
        for name in [*names, *(each for each in folders if (Path(place) / each).is_symlink())]:
            path = Path(place) / name
            leads = str(path.readlink()) if path.is_symlink() else None
            content = path.read_bytes() if path.is_file() else None
            found[f"/{path.relative_to(layout.root)}"] = (leads, content)
        if not names and not folders:
            found[f"/{Path(place).relative_to(layout.root)}/"] = None
    for path in sorted(layout.current.glob("**/*")):
        if path.is_file():
            found[f"/{path.relative_to(layout.root)}"] = (path.stat().st_mode, path.read_bytes())
    return found


class Killed(BaseException):
    """The process was killed here: nothing of it runs any more."""


CHANGING = frozenset(
    {"open", "write", "fsync", "rename", "symlink", "unlink", "mkdir", "rmdir"}
    | {"chown", "chmod", "fchown", "fchmod", "utime"}
)


class FaultyOs:
    """`os`, in which one call that changes the disk goes wrong, or is the last one.

    `fault` is an errno, or null for a kill before the call, or (`is_after`) after it. `is_lasting`
    errors stay until the process ends, as those of a full or read-only disk do.
    """

    def __init__(
        self,
        at: int = -1,
        fault: int | None = None,
        *,
        is_after: bool = False,
        is_lasting: bool = False,
    ) -> None:
        self.at, self.fault = at, fault
        self.is_after, self.is_lasting = is_after, is_lasting
        self.count = 0
        self.names: list[str] = []
        self.is_dead = False

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self._watched(name, real) if name in CHANGING else real

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            is_reading = name == "open" and not arguments[1] & (os.O_WRONLY | os.O_RDWR)
            if is_reading or (name == "unlink" and self.fault == errno.ENOSPC):
                return real(*arguments, **options)
            self._die_if_dead()
            now = self.count
            self.count += 1
            self.names.append(name)
            is_hit = now == self.at or (self.is_lasting and self.at >= 0 and now > self.at)
            if is_hit and self.fault is not None:
                raise OSError(self.fault, os.strerror(self.fault), str(arguments[0]))
            if is_hit and not self.is_after:
                self.is_dead = True
            self._die_if_dead()
            outcome = None if name == "fsync" else real(*arguments, **options)
            if is_hit:
                self.is_dead = True
            self._die_if_dead()
            return outcome

        return call

    def _die_if_dead(self) -> None:
        if self.is_dead:
            raise Killed


@contextmanager
def faulty(faults: FaultyOs) -> Iterator[FaultyOs]:
    """Within it, the switch's disk has these faults."""
    disk.os = faults
    try:
        yield faults
    finally:
        disk.os = os
