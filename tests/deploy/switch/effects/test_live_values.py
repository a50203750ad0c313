"""What lives in the kernel and in Redis: set, kept, and put back."""

from __future__ import annotations

import errno
import subprocess
import time
from typing import TYPE_CHECKING, NoReturn

import pytest

from advisor.deploy.switch import redis, sysctl
from advisor.deploy.switch.commands import find
from advisor.deploy.switch.livevalues import Store
from tests.deploy.switch.effects.conftest import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY, PORTS = "net.core.somaxconn", "net.ipv4.ip_local_port_range"
CANARY = "canary-of-redis"


def test_a_store_gives_back_what_was_there_first(tmp_path: Path) -> None:
    path = tmp_path / "saved" / "live.json"
    store = Store(path, "sysctl")
    store.keep("shop", {"a": "1", "b": "2"})
    store.keep("shop", {"a": "10"})
    store.keep("blog", {"b": "20"})
    Store(path, "redis").keep("shop", {"a": "100"})
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert store.names("shop") == ["a", "b"]
    assert store.due("shop", ["a", "b", "c"]) == {"a": "1"}
    store.forget("shop", ["a", "b"])
    assert store.due("blog", ["b"]) == {"b": "2"}
    assert store.names("shop") == []
    assert Store(path, "redis").due("shop", ["a"]) == {"a": "100"}


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """What stands for /proc/sys: the kernel's own is not a test's to change."""
    for key, value in {KEY: "128", PORTS: "32768\t60999"}.items():
        path = tmp_path / "sys" / key.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return tmp_path / "sys"


class Kernel:
    """Sets what the apps' files say, as systemd-sysctl does from sysctl.d."""

    def __init__(self, proc: Path) -> None:
        self.proc = proc
        self.files: dict[str, dict[str, str]] = {}

    def set_all(self, keys: list[str]) -> tuple[str, ...]:
        for values in self.files.values():
            for key in set(keys) & set(values):
                (self.proc / key.replace(".", "/")).write_text(values[key])
        return ()

    def switch(self, app: str, values: dict[str, str], store: Store) -> object:
        self.files[app] = values
        return sysctl.switch(app, values, store, proc=self.proc, set_all=self.set_all)

    def __getitem__(self, key: str) -> str:
        return (self.proc / key.replace(".", "/")).read_text().strip()


def test_kernel_settings_come_and_go(proc: Path, tmp_path: Path) -> None:
    kernel, store = Kernel(proc), Store(tmp_path / "live.json", "sysctl")
    assert kernel.switch("shop", {KEY: "4096", PORTS: "1024 65535"}, store) is None
    assert (kernel[KEY], kernel[PORTS]) == ("4096", "1024 65535")
    assert kernel.switch("blog", {KEY: "8192"}, store) is None
    assert kernel.switch("shop", {KEY: "4096"}, store) is None
    assert (kernel[KEY], kernel[PORTS]) == ("8192", "32768 60999")
    assert kernel.switch("shop", {}, store) is None
    assert kernel[KEY] == "8192"
    assert kernel.switch("blog", {}, store) is None
    assert kernel[KEY] == "128"


def test_a_kernel_that_keeps_its_own_is_a_refusal(proc: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "live.json", "sysctl")
    found = sysctl.switch("shop", {KEY: "4096"}, store, proc=proc, set_all=lambda _: ())
    assert found is not None
    assert found.lines == (f"{KEY} is 128, and should be 4096",)


def test_a_kernel_that_takes_nothing_has_nothing_to_be_put_back(
    proc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/proc/sys is read-only in most containers; root's own files cannot be made so."""

    def refused(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    store = Store(tmp_path / "live.json", "sysctl")
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_text", refused)
        found = sysctl.switch("shop", {KEY: "4096"}, store, proc=proc, set_all=lambda _: ())
        assert found is not None
        assert sysctl.switch("shop", {}, store, proc=proc, set_all=lambda _: ()) is None
    assert store.names("shop") == []


def test_a_key_that_is_not_there(proc: Path) -> None:
    text = f"# why\n{KEY} = 4096\nnet.no.such_key = 1\n"
    assert sysctl.missing(f"{KEY} = 1\n", proc) is None
    found = sysctl.missing(text, proc)
    assert found is not None
    assert "net.no.such_key" in found.message


@pytest.fixture
def main(tmp_path: Path, not_run: Callable[[str], NoReturn]) -> Iterator[Path]:
    """The redis.conf of a running Redis with a password, on a unix socket."""
    program = find("redis-server")
    if program is None:
        not_run("redis-server is not installed")
    conf, listens = tmp_path / "redis.conf", tmp_path / "redis.sock"
    lines = ("port 0", f"unixsocket {listens}", f"dir {tmp_path}", 'save ""', "maxmemory 50mb")
    conf.write_text("\n".join([*lines, f'requirepass "{CANARY}"', "timeout 7", ""]))
    process = subprocess.Popen([program, str(conf)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + DEADLINE_S
    while not listens.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield conf
    process.terminate()
    process.wait()


def values(main: Path, *names: str) -> list[str | None]:
    with redis.live(main) as client:
        assert client is not None
        return [client.get(name) for name in names]


@pytest.mark.daemon
def test_redis_takes_values_live_and_gives_them_back(main: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "live.json", "redis")
    text = 'maxmemory 64mb\ntimeout 300\nsave ""\nsave 900 1\nsave 300 10\nio-threads 2\n'
    names = ("maxmemory", "timeout", "save")
    assert redis.switch("shop", redis.settings(text), store, main) is None
    assert values(main, *names) == [str(64 * 1024**2), "300", "900 1 300 10"]
    assert redis.switch("shop", {"timeout": "300"}, store, main) is None
    assert values(main, *names) == [str(50 * 1024**2), "300", ""]
    assert redis.switch("shop", {}, store, main) is None
    assert values(main, *names) == [str(50 * 1024**2), "7", ""]


@pytest.mark.daemon
def test_redis_throws_nothing_away(main: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "live.json", "redis")
    wanted = {"maxmemory": "1kb", "maxmemory-policy": "allkeys-lru"}
    found = redis.switch("shop", wanted, store, main)
    assert found is not None
    assert "throw keys away" in found.message
    assert values(main, "maxmemory", "maxmemory-policy") == [str(50 * 1024**2), "noeviction"]


@pytest.mark.daemon
def test_what_redis_refuses_and_no_password_in_it(main: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "live.json", "redis")
    found = redis.switch("shop", {"maxmemory": "much"}, store, main)
    assert found is not None
    assert "maxmemory much" in found.message
    main.write_text(main.read_text().replace(CANARY, CANARY + "x"))
    found = redis.switch("shop", {"timeout": "1"}, store, main)
    assert found is not None
    assert "Redis did not take its settings" in found.message
    assert CANARY not in str(found)


@pytest.mark.daemon
def test_without_a_redis_that_runs_nothing_is_set(tmp_path: Path) -> None:
    conf = tmp_path / "redis.conf"
    conf.write_text(f"port 0\nunixsocket {tmp_path}/nobody.sock\n")
    store = Store(tmp_path / "live.json", "redis")
    assert redis.switch("shop", {"timeout": "1"}, store, conf) is None
    assert not (tmp_path / "live.json").exists()


@pytest.mark.daemon
def test_a_server_of_its_own_reads_the_file(
    tmp_path: Path, not_run: Callable[[str], NoReturn]
) -> None:
    if find("redis-server") is None:
        not_run("redis-server is not installed")
    file = tmp_path / "app.conf"
    file.write_text("maxmemory 64mb\nmaxmemory-policy allkeys-lru\n")
    assert redis.staged_problems("redis", file) is None
    file.write_text("maxmemory 64mb\nmaxmemory-polcy allkeys-lru\n")
    found = redis.staged_problems("redis", file)
    assert found is not None
    assert any("maxmemory-polcy" in line for line in found.lines)
    found = redis.staged_problems("no-such", file)
    assert found is not None
    assert "no-such-server is not installed" in found.message
