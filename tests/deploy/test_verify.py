"""`advisor verify` on this machine: real processes, sockets and files, and what cannot be seen."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from advisor.cli import main
from advisor.deploy.suite import items, questions, reading
from advisor.deploy.suite.live import Live
from advisor.deploy.suite.tree import tree_of
from advisor.deploy.verify import Check, checks, verify
from advisor.documents import Recommendation
from advisor.errors import InvalidInput
from advisor.files import validate
from advisor.render import render
from advisor.render.tree import write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

ADVISOR = Path(sys.executable).with_name("advisor")
CASE = Path(__file__).parents[1] / "render" / "cases" / "asgi" / "recommendation.yml"
DEADLINE_S = 20
NOFILE = 4321
HERE = socket.gethostname()
CPUS = len(os.sched_getaffinity(0))
MORE = CPUS + 1
CPU = "cpu.effective: is what the settings were computed from"
# What a systemd says of the units: this machine has none, their processes and sockets are real.
SYSTEMCTL = """\
#!/bin/sh
test "$1" = show && cat {folder}/shown
"""
SHOWN = """\
Id=shop.socket
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
NeedDaemonReload=no
FragmentPath=/etc/systemd/system/shop.socket

Id=shop.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=disabled
NeedDaemonReload=yes
MainPID={pid}
ControlGroup=/no/such/group
FragmentPath=/etc/systemd/system/shop.service
LimitNOFILE=4321
MemoryHigh=209715200
MemoryMax=infinity
TimeoutStopUSec=40s
"""


def rendered(
    folder: Path,
    port: int,
    *,
    cpus: int = CPUS,
    most_bytes: int = 10**12,
    more: dict[str, Any] | None = None,
    **settings: Any,
) -> Path:
    """A tree of a Gunicorn without a proxy, on a port of this machine."""
    data = yaml.safe_load(CASE.read_text())
    intent = {
        "app.module": "advisor.demo.async_app:app",
        "app.directory": None,
        "app.virtualenv": None,
        "app.environment": None,
        "app.environment_file": None,
        "app.writable": None,
        "static": None,
        "proxy": "none",
        "domain": None,
        "listen": f"127.0.0.1:{port}",
        "manage": ["server", "systemd", "sysctl"],
    }
    data["app"]["module"] = intent["app.module"]
    data["intent"] |= {
        key: {"value": value, "from": "config"} for key, value in (intent | (more or {})).items()
    }
    given = {"systemd.limit_nofile": NOFILE, "sysctl.somaxconn": 16, **settings}
    known = {setting["id"]: setting for setting in data["settings"]}
    for id_, value in given.items():
        known[id_] = known.get(id_, known["gunicorn.workers"] | {"id": id_}) | {"value": value}
    inputs = {"cpu.effective": cpus, "memory_budget_bytes": 1}
    known["gunicorn.workers"] |= {"inputs": inputs}
    data["settings"] = [*known.values()]
    data["prediction"]["memory_bytes"] = {"value": 2, "low": 1, "high": most_bytes}
    write(render(validate(Recommendation, data, name="case")), folder)
    return folder


@pytest.fixture(scope="module")
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, port: int) -> Path:
    return rendered(tmp_path_factory.mktemp("deploy") / "tree", port)


@pytest.fixture(scope="module")
def gunicorn(
    tree: Path, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[bytes]]:
    """The tree's own Gunicorn, under the limit of descriptors that its unit would set."""
    config = tree / "gunicorn" / "gunicorn.conf.py"
    start = (
        f"ulimit -n {NOFILE}; exec {ADVISOR.with_name('gunicorn')} -c {config} -b 127.0.0.1:{port}"
    )
    log = (tmp_path_factory.mktemp("log") / "log").open("wb")
    with log, subprocess.Popen(["sh", "-c", start], stdout=log, stderr=log) as process:
        until(lambda: answers(port), "Gunicorn")
        until(lambda: len(children(process.pid)) == 2, "two workers")
        yield process
        process.terminate()


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    return False


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S} s for {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def systemd(
    gunicorn: subprocess.Popen[bytes], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """An environment in which systemctl says what a systemd would of this Gunicorn."""
    folder = tmp_path_factory.mktemp("systemd")
    program = folder / "systemctl"
    program.write_text(SYSTEMCTL.format(folder=folder))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / "shown").write_text(SHOWN.format(pid=gunicorn.pid))
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}


def advisor(*words: str | Path, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        [ADVISOR, "verify", *words], capture_output=True, text=True, check=False, env=env
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def found(
    tree: Path, systemd: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Check]:
    """What verify says of the running Gunicorn, by check; the JUnit file says the same."""
    junit = tmp_path_factory.mktemp("junit") / "junit.xml"
    code, out, _ = advisor(tree, "--json", "--junit", junit, env=systemd)
    said = json.loads(out)
    assert code == 1
    assert said["ok"] is False
    rows = [Check(**row) for row in said["checks"]]
    assert rows == checks(junit.read_bytes())
    assert len({row.check for row in rows}) == len(rows)
    return {row.check: row for row in rows}


@pytest.mark.daemon
class TestALiveServer:
    def test_what_holds(self, found: dict[str, Check], port: int) -> None:
        for check in (
            "shop: the host answers",
            "shop.service: is active",
            "shop.socket: starts at boot",
            "shop.service LimitNOFILE: is what systemd has loaded",
            "shop.service LimitNOFILE: holds for the live processes",
            "shop.service TimeoutStopSec: is what systemd has loaded",
            "gunicorn: has as many live workers as rendered",
            "net.core.somaxconn: is in force, or more than that for another app",
            f"127.0.0.1:{port}: something listens there",
            f"127.0.0.1:{port}: has the queue that the tree says, or the kernel allows",
            f"http://localhost:{port}/healthz: answers through the proxy",
            CPU,
            "memory_budget_bytes: is what the settings were computed from",
        ):
            assert found[check].status == "held", found[check]

    def test_what_does_not(self, found: dict[str, Check]) -> None:
        for check, why in (
            ("shop.service: starts at boot", "it is disabled"),
            ("shop.service: is what systemd has loaded", "daemon-reload"),
            (
                "shop.service MemoryMax: is what systemd has loaded",
                "systemd has infinity, the tree 262144000",
            ),
            ("/etc/systemd/system/shop.service: has the bytes of the tree", "it is not there"),
            ("gunicorn: was started with the rendered configuration", "does not name /etc/advisor"),
        ):
            (row,) = (row for name, row in found.items() if name.startswith(check))
            assert row.status == "failed"
            assert why in str(row.why)

    def test_what_cannot_be_seen_is_not_run(self, found: dict[str, Check]) -> None:
        for check, why in (
            ("shop.service MemoryHigh: holds for the live processes", "not enforced"),
            ("shop: nothing on the host was edited since", "ends with 2"),
        ):
            assert found[check].status == "not_run", found[check]
            assert why in str(found[check].why)

    def test_memory_is_read_as_far_as_one_may(self, found: dict[str, Check]) -> None:
        row = found["server: takes no more memory than predicted"]
        assert row.status == ("held" if os.geteuid() == 0 else "not_run")

    def test_what_was_predicted_or_assumed_is_not_there(
        self, tmp_path: Path, port: int, systemd: dict[str, str]
    ) -> None:
        workers = {"gunicorn.workers": 3}
        tree = rendered(tmp_path / "tree", port, cpus=MORE, most_bytes=10**6, **workers)
        _, out, _ = advisor(tree, env=systemd)
        for line in (
            "gunicorn: has as many live workers as rendered: 2 live, 3 rendered",
            f"{CPU}: {CPUS} CPUs now, the settings were computed for {MORE} CPUs: recommend again",
        ):
            assert f"\n{HERE}  FAILED   {line}" in out
        if os.geteuid() == 0:
            grown = "server: takes no more memory than predicted: [0-9]+ MB in 3 processes"
            assert re.search(f"^{HERE}  FAILED   {grown}", out, re.MULTILINE)


def test_a_host_that_is_nothing_like_it(tree: Path, tmp_path: Path) -> None:
    """No systemd, no switch, nobody's plugins or options: each check says how it is."""
    bare = {
        "PATH": "/usr/bin:/bin",
        "PYTEST_ADDOPTS": "--collect-only",
        "PYTEST_PLUGINS": "no_such_plugin",
        "HOME": str(tmp_path),
    }
    if shutil.which("systemctl", path=bare["PATH"]):
        empty = tmp_path / "systemctl"
        empty.write_text("#!/bin/sh\nexit 1\n")
        empty.chmod(0o755)
        bare["PATH"] = f"{tmp_path}:{bare['PATH']}"
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    done = subprocess.run(
        [ADVISOR, "verify", tree],
        capture_output=True,
        text=True,
        check=False,
        env=bare,
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert f"{HERE}  held     shop: the host answers" in lines
    assert re.search(
        rf"^{HERE}  not run  \d checks: `systemctl` ends with", done.stdout, re.MULTILINE
    )
    assert re.fullmatch(r"1 host: \d+ checks held, \d+ failed, \d+ not run", lines[-1])


def test_an_ordinary_user_is_told_what_needs_root(
    tree: Path, as_nobody: Callable[[str], str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(tree, Path(folder) / "tree")
        Path(folder).chmod(0o755)
        said = as_nobody(
            "from pathlib import Path; from advisor.deploy.verify import verify\n"
            f"for one in verify(Path({str(copy)!r})): print(one.status, one.check, one.why)"
        )
    assert "held shop: the host answers" in said
    assert re.search("^not_run /etc/systemd/system/shop.service: .*needs root", said, re.MULTILINE)


@pytest.mark.daemon
def test_a_host_that_does_not_answer(
    tree: Path, tmp_path: Path, not_run: Callable[[str], NoReturn]
) -> None:
    if not shutil.which("ssh"):
        not_run("no ssh")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        closed = int(probe.getsockname()[1])
    here = {"ansible_host": "127.0.0.1", "ansible_port": closed}
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"web1": here}}}))
    code, out, err = advisor(tree, "-i", inventory)
    lines = out.splitlines()
    assert code == 1
    assert re.match("web1  FAILED   shop: the host answers: .*Connection refused", out)
    assert re.fullmatch(r"web1  not run  \d+ checks: the host does not answer", lines[1])
    assert "1 host: 0 checks held, 1 failed," in err


def test_each_kind_of_host_has_its_own_part(tmp_path: Path, port: int) -> None:
    balanced = {
        "hosts": ["10.0.0.11:8080", "10.0.0.12:8080"],
        "listen": "unix",
        "proxy": "nginx",
        "domain": "shop.example",
        "manage": ["server", "proxy", "systemd"],
    }
    tree = rendered(tmp_path / "tree", port, more=balanced)
    hosts = {name: {"ansible_connection": "local"} for name in ("front", "web1", "web2")}
    groups = {"advisor_load_balancers": {"hosts": {"front": {}}}}
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts, "children": groups}}))
    _, out, err = advisor(tree, "-i", inventory, "--limit", "front:web1", "--json")
    checks: dict[str, set[str]] = {name: set() for name in hosts}
    assert out, err
    for one in json.loads(out)["checks"]:
        checks[one["host"]].add(one["check"].partition(": ")[0])
    assert {"shop.service", "cpu.effective"} <= checks["web1"] - checks["front"]
    assert "http://shop.example/healthz" in checks["front"]
    assert not checks["web2"]


def test_strict_counts_what_could_not_be_run(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one(*_: Any, **__: Any) -> list[Check]:
        return [Check("web1", "shop.service: is active", "not_run", "no systemd")]

    monkeypatch.setattr("advisor.deploy.verify.verify", one)
    for words, code in (([], 0), (["--strict"], 1)):
        done = CliRunner().invoke(main.app, ["verify", str(tree), *words])
        assert (getattr(done.exception, "exit_code", 0) if done.exception else 0) == code
        assert ("1 of 1 checks were not run" in done.stderr) is (code == 0)


class TestBadInput:
    def test_no_tree(self, tmp_path: Path) -> None:
        code, _, err = advisor(tmp_path)
        assert code == 2
        assert "holds no rendered tree" in err
        assert advisor(tmp_path / "nothing")[0] == 2

    def test_no_inventory(self, tree: Path, tmp_path: Path) -> None:
        code, _, err = advisor(tree, "-i", tmp_path / "nothing.yml")
        assert (code, "no such file" in err) == (2, True)

    def test_an_inventory_that_is_none(self, tree: Path, tmp_path: Path) -> None:
        (tmp_path / "inventory.yml").write_text("")
        code, _, err = advisor(tree, "-i", tmp_path / "inventory.yml")
        assert code == 2
        assert "inventory" in err

    def test_nobody_matches(self, tree: Path) -> None:
        code, _, err = advisor(tree, "-i", "web1,web2,", "--limit", "db*")
        assert (code, "db*" in err) == (2, True)

    @pytest.mark.parametrize(
        ("variables", "words"),
        [
            ({"ansible_password": "canary-1"}, "a login by key: it does not use ansible_password"),
            ({"ansible_user": "me", "ansible_ssh_pass": "canary-1"}, "a login by key"),
            ({"ansible_become_password": "canary-1"}, "sudo without a password"),
            (
                {"ansible_host": "{{ address }}", "address": "10.0.0.1"},
                "ansible_host is a template",
            ),
        ],
    )
    def test_what_verify_does_not_do_as_ansible_does(
        self, tree: Path, tmp_path: Path, variables: dict[str, str], words: str
    ) -> None:
        inventory = tmp_path / "inventory.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": {"web1": variables}}}))
        code, _, err = advisor(tree, "-i", inventory)
        assert code == 2
        assert "web1: " in err
        assert words in err
        assert "canary" not in err

    def test_a_share_sign_of_ansible_cfg(self, tree: Path, tmp_path: Path) -> None:
        configuration = tmp_path / "ansible.cfg"
        configuration.write_text("[ssh_connection]\nssh_args = -o ControlPath=~/.ssh/%h\n")
        environment = os.environ | {"ANSIBLE_CONFIG": str(configuration)}
        code, _, err = advisor(tree, "-i", "web1,", env=environment)
        assert (code, "ansible.cfg is not understood" in err) == (2, True)

    def test_a_file_was_edited_before(self, tree: Path, tmp_path: Path) -> None:
        copy = shutil.copytree(tree, tmp_path / "tree")
        (copy / "gunicorn" / "gunicorn.conf.py").write_text("workers = 9\n")
        code, _, err = advisor(copy)
        assert (code, "was changed since it was rendered" in err) == (2, True)

    def test_a_junit_file_nowhere(self, tree: Path, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="does not exist"):
            verify(tree, None, junit=tmp_path / "no" / "junit.xml")


class Liar:
    """A host that prints what it was not asked for."""

    class Said:
        rc, stderr = 0, ""
        stdout = "/proc/7/status:Name: a\n/root/.bashrc:evil\n/tmp/x/../../root/y:evil\n"
        stdout_bytes = stdout.encode()

    def run(self, command: str) -> Any:
        said = self.Said()
        said.stdout = "0\n" if command == "id -u" else self.Said.stdout
        return said

    def sudo(self) -> Any:
        return contextlib.nullcontext()


def test_only_what_was_asked_for_is_taken(tree: Path) -> None:
    found = tree_of(tree, HERE, ["app"])
    assert found is not None
    live = Live(Liar(), found)
    assert live.files(["/proc/7/status", "/proc/8/status"]) == {"/proc/7/status": "Name: a\n"}


def test_every_check_has_items_and_every_item_a_check() -> None:
    suite = Path(items.__file__).parent
    asked = re.findall(
        r"\ndef test_\w+\(([^)]*)\)", "".join(path.read_text() for path in suite.glob("test_*.py"))
    )
    names = [{word.split(":")[0].strip() for word in one.split(",")} for one in asked]
    assert all(len(each & set(items.ITEMS)) == 1 for each in names)
    assert set().union(*names) >= set(items.ITEMS)


@pytest.fixture(scope="module")
def certificate(
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "both.pem"
    words = (
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", folder / "key", "-out", folder / "certificate", "-days", "30"),
        *("-subj", "/CN=shop", "-addext", "subjectAltName=DNS:shop.example"),
    )
    subprocess.run(["openssl", *words], check=True, capture_output=True)
    made.write_bytes((folder / "key").read_bytes() + (folder / "certificate").read_bytes())
    return made


@contextlib.contextmanager
def tls_server(certificate: Path, *, lowest: ssl.TLSVersion) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = lowest
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    raw, _ = listener.accept()
                except OSError:
                    return
                with (
                    contextlib.suppress(OSError),
                    context.wrap_socket(raw, server_side=True) as end,
                ):
                    end.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(DEADLINE_S)


def asked(source: str, *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-I", "-c", source, *words], capture_output=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def test_versions_of_tls_are_tried_one_by_one(certificate: Path) -> None:
    with tls_server(certificate, lowest=ssl.TLSVersion.TLSv1_2) as port:
        found = asked(questions.TLS, "127.0.0.1", str(port), "shop.example")
    assert found["versions"]["TLSv1.2"] is True
    assert found["versions"]["TLSv1.3"] is True
    assert {found["versions"][old] for old in ("TLSv1", "TLSv1.1")} <= {False, None}
    assert found["error"] is None
    assert "BEGIN CERTIFICATE" in found["certificate"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_an_old_version_that_is_taken_is_seen(certificate: Path) -> None:
    with tls_server(certificate, lowest=ssl.TLSVersion.TLSv1) as port:
        found = asked(questions.TLS, "127.0.0.1", str(port), "shop.example")
    assert found["versions"]["TLSv1.1"] is True


def test_nobody_who_speaks_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        closed = str(probe.getsockname()[1])
    assert "ConnectionRefused" in asked(questions.TLS, "127.0.0.1", closed, "a")["error"]
    health = asked(questions.HEALTH, "http", "127.0.0.1", closed, "a", "/")
    assert "ConnectionRefused" in health["error"]


def test_this_process_is_found_with_its_start() -> None:
    table = "".join(path.read_text() for path in (Path("/proc/stat"), Path("/proc/self/stat")))
    mine = reading.processes(table, os.sysconf("SC_CLK_TCK"))[os.getpid()]
    assert mine.parent == os.getppid()
    assert mine.started <= time.time() + 1


@pytest.mark.parametrize(
    ("family", "where", "wanted"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1:{port}"),
        (socket.AF_INET, "0.0.0.0", "{port}"),
        (socket.AF_INET6, "::1", "[::1]:{port}"),
        (socket.AF_INET6, "::", "[::]:{port}"),
    ],
)
def test_a_socket_is_found_as_it_was_asked_for(
    family: int, where: str, wanted: str, not_run: Callable[[str], NoReturn]
) -> None:
    if not shutil.which("ss"):
        not_run("no ss")
    try:
        server = socket.create_server((where, 0), family=family, backlog=17)
    except OSError:
        not_run("no IPv6")
    with server:
        port = server.getsockname()[1]
        printed = subprocess.run(["ss", "-Hlntu"], capture_output=True, text=True, check=True)
        found = [
            one
            for one in reading.listeners(printed.stdout)
            if reading.answers(wanted.format(port=port), one.where)
        ]
    assert [one.backlog for one in found] == [17]


def test_a_unix_socket_is_found(tmp_path: Path, not_run: Callable[[str], NoReturn]) -> None:
    if not shutil.which("ss"):
        not_run("no ss")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen(5)
        printed = subprocess.run(["ss", "-Hlnx"], capture_output=True, text=True, check=True)
        where = [one.where for one in reading.listeners(printed.stdout) if one.kind == "unix"]
    assert any(reading.answers(f"unix:{tmp_path / 's'}", one) for one in where)


@pytest.mark.daemon
def test_nginx_shows_files_as_they_are(tmp_path: Path, not_run: Callable[[str], NoReturn]) -> None:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        not_run("no nginx")
    odd = tmp_path / "odd.conf"
    odd.write_bytes("# no end of line, ü".encode())
    conf = tmp_path / "nginx.conf"
    conf.write_text(
        f"pid {tmp_path}/pid;\nerror_log {tmp_path}/log;\nevents {{}}\ninclude {odd};\n"
    )
    done = subprocess.run(
        [str(nginx), "-T", "-c", conf, "-p", tmp_path], capture_output=True, check=True
    )
    assert reading.dumped(done.stdout) == {str(p): p.read_bytes() for p in (conf, odd)}


@given(st.integers(0, 10**6))
def test_whole_seconds_are_read_back(number: int) -> None:
    minutes, rest = divmod(number, 60)
    assert reading.seconds(f"{minutes}min {rest}s") == number
    assert reading.seconds(str(number)) == number
