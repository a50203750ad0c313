"""An advisor.yml deployed on loopback: recommended, rendered, and run by the real daemons.

What the files expect of a host, ports below 1024 and folders under /run, /var and /etc, is
exchanged for ports and folders of the test's own.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import signal
import socket
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from advisor import files
from advisor.demo.processes import free_port
from advisor.documents import Component, Facts
from advisor.host.components import components
from advisor.intent import Intent
from advisor.recommend import recommend
from advisor.render import render, stage_nginx
from advisor.render.stage import listeners
from tests.render.live_common import running
from tests.render.live_common.clients import DOMAIN, SOCKET, Served
from tests.render.live_common.running import DEADLINE_S, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from advisor.documents import Recommendation
    from advisor.render import File

APPS = Path(__file__).parent / "apps"
FACTS = files.read(Facts, Path(__file__).parents[2] / "examples" / "facts.json")
ASGI = {"name": "shop", "module": "live_asgi:app", "interface": "asgi", "health": "/healthz"}
WSGI = ASGI | {"module": "live_wsgi:app", "interface": "wsgi"}
_READ = re.compile(rb"(?<![\w./-])/(?:run|var/lib|etc/letsencrypt)/")
_PORT = re.compile(r"(?:(?P<address>.*):)?(?P<port>\d+)")


def advise(*, pins: dict[str, Any] | None = None, **keys: Any) -> Recommendation:
    """What is recommended for these keys of advisor.yml, before the daemons of this machine."""
    small = {"gunicorn.workers": 1, "gunicorn.graceful_timeout": 2}
    stated = {"app": ASGI, "pins": small | (pins or {})} | keys
    intent = files.validate(Intent, stated, name="advisor.yml")
    here = components() | {"gunicorn": Component(version=importlib.metadata.version("gunicorn"))}
    facts = FACTS.model_copy(update={"servers": [], "components": FACTS.components | here})
    return recommend(facts, None, intent, server=None)


@dataclass(frozen=True)
class Site(Served):
    """A running nginx: `ports` are ours by the port that its files name."""

    folder: Path
    ports: Mapping[str, int]
    nginx: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        """Where it speaks plain HTTP."""
        return next(self.ports[port] for port in ("8080", "80") if port in self.ports)

    def https(
        self,
        tls: Mapping[str, str],
        path: str = "/",
        *,
        headers: Mapping[str, str] | None = None,
        source: str = "127.0.0.1",
        http2: bool = False,
    ) -> httpx.Response:
        """An answer over TLS, from this address, to a client that believes this pair alone."""
        believes = ssl.create_default_context(cafile=tls["certificate"])
        transport = httpx.HTTPTransport(verify=believes, http2=http2, local_address=source)
        with httpx.Client(transport=transport, timeout=DEADLINE_S) as client:
            return client.get(
                f"https://127.0.0.1:{self.ports['443']}{path}",
                headers={"Host": DOMAIN, **(headers or {})},
                extensions={"sni_hostname": DOMAIN},
            )

    def reload(self) -> None:
        """As systemd would; returns when new workers have taken over from every old one."""
        before = self._workers()
        self.nginx.send_signal(signal.SIGHUP)
        until(lambda: len(self._workers() - before) == len(before), "new workers of nginx")
        until(lambda: not self._workers() & before, "old workers of nginx to leave")

    def _workers(self) -> set[psutil.Process]:
        """Those that take connections: not the cache's processes, nor who is about to leave."""
        return {child for child in psutil.Process(self.nginx.pid).children() if _serves(child)}


def _serves(child: psutil.Process) -> bool:
    try:
        return " ".join(child.cmdline()).strip() == "nginx: worker process"
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def deployed(
    rec: Recommendation, folder: Path, *, with_app: bool = True, kept: Iterable[int] = ()
) -> Iterator[Site]:
    """The app host's files at work, the app too unless a test brings its own or none."""
    rendered = render(rec)
    with contextlib.ExitStack() as stack:
        if with_app:
            listener = stack.enter_context(listening(folder))
            stack.enter_context(gunicorn(rendered, folder, listener))
        mine = [file for file in of_nginx(rendered) if file.path.startswith("nginx/")]
        site = stack.enter_context(nginx(mine, folder, kept=kept))
        if with_app:
            client = stack.enter_context(site.app())
            until(lambda: client.get("/healthz").status_code == 200, "the app")
        yield site


def of_nginx(rendered: Sequence[File]) -> list[File]:
    """Those of the files that nginx reads."""
    return [file for file in rendered if file.output and file.output.checker == "nginx"]


@contextlib.contextmanager
def nginx(sites: Sequence[File], folder: Path, *, kept: Iterable[int] = ()) -> Iterator[Site]:
    """nginx on rendered files, each port of theirs but those `kept` exchanged for a free one."""
    ports = {str(port): port for port in kept}
    here = [replace(file, content=_moved(file.content, folder)) for file in sites]
    places = [where for file in here for where in listeners(file.content.decode())]
    conf = stage_nginx(here, folder, listen={where: _free(where, ports) for where in places})
    with running.nginx(conf, ports.values()) as process:
        yield Site(folder, ports, process)


def _moved(content: bytes, folder: Path) -> bytes:
    """The same file with what it reads of the host below `folder`; staging moves what it writes."""
    return _READ.sub(lambda match: bytes(folder) + match[0], content)


def _free(where: str, ports: dict[str, int]) -> str:
    """The address of ours for one of the file's; IPv4's and IPv6's port stay the same."""
    match = _PORT.fullmatch(where)
    if match is None:
        return where
    port = ports.setdefault(match["port"], free_port())
    is_v6 = (match["address"] or "").startswith("[")
    return f"{v6_loopback()}:{port}" if is_v6 else f"127.0.0.1:{port}"


def v6_loopback() -> str:
    """Without IPv6 on the machine, another address of its own."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return "127.0.0.6"
    return "[::1]"


@contextlib.contextmanager
def listening(folder: Path) -> Iterator[socket.socket]:
    """The app's socket, held open as the socket unit holds it, whatever happens to the app."""
    path = folder / SOCKET
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(2048)
        yield listener


@contextlib.contextmanager
def gunicorn(
    rendered: Sequence[File], folder: Path, listener: socket.socket
) -> Iterator[subprocess.Popen[bytes]]:
    """Gunicorn on its rendered file, from the moment that it says it is ready."""
    (content,) = (file.content for file in rendered if file.path == "gunicorn/gunicorn.conf.py")
    conf = folder / "gunicorn.conf.py"
    conf.write_bytes(content)
    with running.gunicorn(conf, listener, APPS) as process:
        yield process
