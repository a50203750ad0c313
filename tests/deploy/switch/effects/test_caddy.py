"""Caddy's part, before a real Caddy on loopback."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import pytest

from advisor.deploy.switch import caddy
from advisor.deploy.switch.caddy import Caddy
from advisor.deploy.switch.commands import find
from advisor.deploy.switch.processes import snapshot
from tests.deploy.switch.effects.conftest import free_port, listens, until
from tests.deploy.switch.effects.test_nginx import older

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.daemon


@dataclass
class Running:
    folder: Path
    caddy: Caddy
    process: subprocess.Popen[bytes]
    port: int

    def site(self, name: str, text: str) -> Path:
        path = self.folder / "sites" / f"{name}.caddy"
        path.write_text(text, encoding="utf-8")
        return path

    def refused(self, ours: tuple[Path, ...] = ()) -> object:
        return caddy.live_problems(
            self.caddy, snapshot()[self.process.pid], lambda path: path in ours
        )

    def reload(self) -> None:
        words = ["reload", "--config", str(self.caddy.caddyfile), "--adapter", "caddyfile"]
        subprocess.run([*self.caddy.words, *words], check=True, capture_output=True)


@pytest.fixture
def running(tmp_path: Path, not_run: Callable[[str], NoReturn]) -> Iterator[Running]:
    program = find("caddy")
    if program is None:
        not_run("caddy is not installed")
    admin, port = free_port(), free_port()
    main = tmp_path / "Caddyfile"
    main.write_text(f"{{\n\tadmin localhost:{admin}\n}}\n\nimport {tmp_path}/sites/*.caddy\n")
    (tmp_path / "sites").mkdir()
    first = tmp_path / "sites/one.caddy"
    first.write_text(f"http://127.0.0.1:{port} {{\n\trespond {{$GREETING}}\n}}\n")
    older(first)
    older(main)
    me = pwd.getpwuid(os.geteuid()).pw_name
    home = {"HOME": str(tmp_path), "GREETING": "hello", "PATH": os.defpath}
    words = ["run", "--config", str(main), "--adapter", "caddyfile"]
    process = subprocess.Popen([str(program), *words], env=home, stderr=subprocess.DEVNULL)
    try:
        until(lambda: listens(port), "Caddy")
        yield Running(tmp_path, Caddy(caddyfile=main, user=me), process, port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def test_what_runs_is_what_is_written(running: Running) -> None:
    assert caddy.is_loaded(running.caddy, running.process.pid) is True
    assert running.refused() is None
    assert caddy.staged_problems(running.caddy, running.process.pid) is None


def test_an_edit_that_is_not_loaded_is_named(running: Running) -> None:
    theirs = running.site("two", "http://127.0.0.2 {\n\trespond two\n}\n".replace("127.0.0.2", "x"))
    found = running.refused()
    assert isinstance(found, caddy.Refusal)
    assert found.step == "live"
    assert str(theirs) in found.message
    # A file of ours that was edited is drift, which is judged elsewhere.
    assert running.refused(ours=(theirs,)) is None
    theirs.unlink()
    assert running.refused() is None


def test_a_change_by_the_api_is_somebodys_too(running: Running) -> None:
    one = running.folder / "sites/one.caddy"
    text = one.read_text()
    one.write_text(text.replace("{$GREETING}", "changed"))
    loads = ["reload", "--config", str(running.caddy.caddyfile), "--adapter", "caddyfile"]
    subprocess.run([*running.caddy.words, *loads], check=True, capture_output=True)
    one.write_text(text)
    older(one)
    found = running.refused()
    assert isinstance(found, caddy.Refusal)
    assert "changed by its API" in found.message


def test_what_does_not_pass_is_named(running: Running) -> None:
    running.site("bad", "http://b {\n\tresponnd two\n}\n")
    found = running.refused()
    assert isinstance(found, caddy.Refusal)
    assert "before anything of ours" in found.message
    assert "responnd" in str(found.lines)
    staged = caddy.staged_problems(running.caddy, running.process.pid)
    assert staged is not None
    assert staged.step == "check"


def test_a_caddy_that_is_missing_or_down(running: Running) -> None:
    lacking = caddy.staged_problems(Caddy(words=("no-such-caddy",)), 0)
    assert lacking is not None
    assert "caddy is not installed" in lacking.message
    running.site("one", f"http://127.0.0.1:{running.port} {{\n\trespond one\n}}\n")
    running.reload()
    assert caddy.is_loaded(running.caddy, running.process.pid) is True
    running.process.terminate()
    running.process.wait()
    assert caddy.is_loaded(running.caddy, running.process.pid) is None
    assert caddy.live_problems(running.caddy, None, lambda _: False) is None
