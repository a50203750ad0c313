"""An advisor.yml deployed on loopback by a real Caddy, before an app that Gunicorn serves.

What the files expect of a host, ports below 1024 and folders under /run and /var, is exchanged
for ports and folders of the test's own. Nobody is ever asked for a certificate.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor import files
from advisor.demo.processes import free_port
from advisor.documents import Component
from advisor.host.components import parse_caddy
from advisor.intent import Intent
from advisor.recommend import recommend
from advisor.render import render
from advisor.render.checks.caddy_stage import stage_caddy
from advisor.render.checks.result import find_program, run
from tests.matrix.daemons import place
from tests.render.live.site import ASGI, FACTS, gunicorn, listening
from tests.render.live_common.clients import SOCKET, Served
from tests.render.live_common.running import answers, stopped, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from advisor.documents import Recommendation
    from advisor.render import File

VERSIONS = ("2.6", "2.11")
OLD, NEW = VERSIONS
SMALL = {"gunicorn.workers": 1, "gunicorn.graceful_timeout": 2}
# Where nobody answers, should Caddy ever look for a certificate.
NOBODY = "https://127.0.0.1:1/directory"


@dataclass(frozen=True)
class Program:
    """A Caddy of this machine."""

    path: str
    version: str

    @property
    def is_old(self) -> bool:
        """Debian 12's 2.6, which lacks what came with 2.6.4 to 2.11."""
        return self.version.startswith(f"{OLD}.")


def programs() -> dict[str, Program]:
    """The Caddys that are here, by minor version: Debian's, and the one for the tests."""
    own = os.environ.get("ADVISOR_CADDY") or str(place() / "caddy-2.11" / "bin" / "caddy")
    paths = [path for path in (find_program("caddy"), own) if path and Path(path).is_file()]
    found = {}
    for path in paths:
        component = parse_caddy(run([path, "version"]).stdout)
        if component is not None:
            found[".".join(component.version.split(".")[:2])] = Program(path, component.version)
    return found


def advise(
    version: str | None,
    *,
    pins: dict[str, Any] | None = None,
    modules: Sequence[str] = (),
    **keys: Any,
) -> Recommendation:
    """What is recommended for these keys of advisor.yml, where that Caddy is the proxy."""
    stated = {"app": ASGI, "proxy": "caddy", "pins": SMALL | (pins or {})} | keys
    intent = files.validate(Intent, stated, name="advisor.yml")
    here = {"gunicorn": Component(version=importlib.metadata.version("gunicorn"))}
    if version is not None:
        here["caddy"] = Component(version=version, modules=list(modules))
    theirs = {name: found for name, found in FACTS.components.items() if name != "caddy"}
    facts = FACTS.model_copy(update={"servers": [], "components": theirs | here})
    return recommend(facts, None, intent, server=None)


def of_caddy(rendered: Sequence[File], folder: str = "caddy") -> list[File]:
    """Those of the files that Caddy reads on the app's host, or on the load balancer."""
    return [file for file in rendered if file.path.startswith(f"{folder}/")]


@dataclass(frozen=True)
class Site(Served):
    """A running Caddy: `port` speaks HTTP, `https_port` TLS where the site has it."""

    program: Program
    folder: Path
    port: int
    https_port: int
    process: subprocess.Popen[bytes]

    def reload(self) -> None:
        """As systemd would: Caddy answers when the new configuration is in use."""
        words = ["--config", self.folder / "Caddyfile", "--adapter", "caddyfile", "--force"]
        subprocess.run(
            [self.program.path, "reload", *words],
            check=True,
            capture_output=True,
            env=home(self.folder),
        )


def home(folder: Path) -> dict[str, str]:
    """An environment in which Caddy keeps to the folder."""
    return {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}


@contextlib.contextmanager
def deployed(
    program: Program, rec: Recommendation, folder: Path, *, with_app: bool = True
) -> Iterator[Site]:
    """The app host's files at work, the app too unless a test brings its own or none."""
    rendered = render(rec)
    with contextlib.ExitStack() as stack:
        if with_app:
            listener = stack.enter_context(listening(folder))
            stack.enter_context(gunicorn(rendered, folder, listener))
        site = stack.enter_context(caddy(program, of_caddy(rendered), folder))
        if with_app:
            client = stack.enter_context(site.app())
            until(lambda: client.get("/healthz").status_code == 200, "the app")
        yield site


@contextlib.contextmanager
def caddy(
    program: Program, files_: Sequence[File], folder: Path, swap: Mapping[str, str] | None = None
) -> Iterator[Site]:
    """Caddy on rendered files, on ports of its own; `swap` exchanges further texts in them."""
    port, https_port = free_port(), free_port()
    options = f"admin unix/{folder}/admin.sock\n\thttp_port {port}\n\thttps_port {https_port}"
    moved = {
        "admin localhost:2019": f"{options}\n\tacme_ca {NOBODY}",
        "unix//run/shop/shop.sock": f"unix/{folder / SOCKET}",
        "http://:8080": f"http://:{port}",
    }
    text = b"".join(file.content for file in files_).decode()
    present = {old: new for old, new in moved.items() if old in text}
    stage = stage_caddy(files_, folder, swap=present | dict(swap or {}))
    words = ["--config", stage.caddyfile, "--adapter", "caddyfile"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program.path, "run", *words], env=home(folder), stdout=log, stderr=log
        )
    with stopped(process):
        ports = [port, https_port] if "https://" in text else [port]
        until(lambda: _is_up(process, folder, ports), "Caddy")
        yield Site(program, folder, port, https_port, process)


def _is_up(process: subprocess.Popen[bytes], folder: Path, ports: Sequence[int]) -> bool:
    assert process.poll() is None, (folder / "log").read_text(errors="replace")
    return all(answers(port) for port in ports)
