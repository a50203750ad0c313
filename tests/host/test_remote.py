"""A host that was gathered reads as it reads itself, and its copy is never left."""

from __future__ import annotations

import doctest
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.documents import APP_ENVIRONMENT
from advisor.errors import InvalidInput
from advisor.host import (
    cgroups,
    commandline,
    components,
    gather,
    installation,
    limits,
    processes,
    secrets,
)
from advisor.host.redis.places import NAMES
from advisor.host.remote import Gathered, lay
from tests.host.gathering import gathered_here, module, still

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.host.remote import Copy

FIXTURES = Path(__file__).parent / "fixtures"
lines = pytest.importorskip("ansible.module_utils.advisor_copy").lines
masks = pytest.importorskip("ansible.module_utils.advisor_masks")
programs = pytest.importorskip("ansible.module_utils.advisor_programs")
found_servers = pytest.importorskip("ansible.module_utils.advisor_servers")

ENVIRONMENTS = {*installation.PACKAGES, *installation.NAMES.values()}
NOTHING: dict[str, Any] = {
    "schema": "advisor/gathered/1",
    "files": {"/proc/meminfo": "MemTotal: 1000 kB\n", "/proc/self/status": "Uid:\t0\t7\t0\t0\n"},
    "links": {},
    "folders": [],
    "answers": [],
    "denied": [],
}


def laid(root: Path, **changes: Any) -> Copy:
    data = NOTHING | changes | {"files": NOTHING["files"] | changes.get("files", {})}
    return lay(Gathered.model_validate(data), root)


def process(pid: int, *words: str, **more: str) -> dict[str, str]:
    """The files of a process in a copy."""
    return {
        f"/proc/{pid}/status": f"Name:\t{words[0]}\nState:\tS\nPPid:\t1\nUid:\t0\t0\t0\t0\n",
        f"/proc/{pid}/cmdline": "".join(f"{word}\0" for word in words),
        **{f"/proc/{pid}/{name}": text for name, text in more.items()},
    }


@pytest.mark.daemon
def test_what_is_gathered_here_is_what_inspect_finds_here(
    launch: Callable[..., Any], free_port: Callable[[], int], tmp_path: Path
) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("timeout = 41\nkeepalive = int('3')\n")
    one = launch("gunicorn", "-b", f"127.0.0.1:{free_port()}", "-w", 2, "shop:wsgi", workers=2)
    two = launch(
        "uvicorn", "--uds", tmp_path / "s.sock", "shop:app", environment={"UVICORN_BACKLOG": "99"}
    )
    ours = {one.pid, two.pid}
    copy = lay(gathered_here(), tmp_path / "copy")
    for pid in (one.pid, None):
        here, there = gather(pid).as_data(), copy.facts(pid).as_data()
        for facts in (here, there):
            still(facts)
            # Other servers, and Redis, may come and go beside this test.
            facts["servers"] = [each for each in facts["servers"] if each["pid"] in ours]
            said = [gap for gap in facts["unknown"] if f"pid {one.pid}" in gap["what"]]
            facts["unknown"] = said
            facts.pop("redis", None)
        assert not any("loaded" in each for each in there["components"].values())
        for each in here["components"].values():
            each.pop("loaded", None)  # by the maps of a process, which are not gathered
        if pid is None:  # whose environment is the host's depends on which server is the first
            assert here.pop("components").keys() >= there.pop("components").keys() - ENVIRONMENTS
        assert here == there
        gunicorn, uvicorn = there["servers"]
        assert (gunicorn["settings"]["timeout"], uvicorn["settings"]["backlog"]) == (41, 99)
        assert [gap["what"] for gap in there["unknown"]] == [
            f"keepalive of pid {one.pid} (gunicorn)"
        ]


@pytest.mark.daemon
def test_no_secret_and_nothing_of_others_leaves_the_host(
    launch: Callable[..., Any], free_port: Callable[[], int]
) -> None:
    secret = "hunter" + "2"
    launch(
        *("gunicorn", "-b", f"127.0.0.1:{free_port()}", "-e", f"SHOP={secret}a"),
        *("--env", f"OTHER={secret}b", "shop:wsgi"),
        environment={
            "DATABASE_URL": f"postgres://u:{secret}c@db/shop",
            "GUNICORN_CMD_ARGS": f"-e X={secret}d --threads 3",
        },
    )
    with subprocess.Popen(
        [sys.executable, "-c", "input()", f"{secret}e"], stdin=subprocess.PIPE
    ) as stranger:
        data = module().gathered()
        stranger.communicate(b"\n")
    assert secret not in json.dumps(data)
    assert "--threads 3" in json.dumps(data)


def test_the_module_reads_what_the_reader_looks_at() -> None:
    assert masks.VARIABLES == processes.ENVIRONMENT
    assert masks.SECRET_OPTIONS == secrets.OPTIONS
    asked = {command for _, command, _ in components.READERS}
    assert set(programs.COMMANDS) == asked | {components.CADDY_MODULES}
    gauges = {gauge.file for gauge in (*limits.CPU_GAUGES, *limits.MEMORY_GAUGES)}
    assert gauges < set(found_servers.CGROUP_FILES)
    assert {name.encode() for name in NAMES} == found_servers.STORES
    for name in (*commandline.READERS, *commandline.MODULES, "multiprocessing.spawn"):
        assert found_servers.SERVERS.search(name.encode())


def test_the_examples_in_the_module_are_true() -> None:
    for part in (masks, programs, found_servers):
        outcome = doctest.testmod(part)
        assert outcome.attempted
        assert outcome.failed == 0


@pytest.mark.parametrize("name", sorted(path.stem for path in FIXTURES.glob("*.tree")))
def test_every_group_that_limits_a_process_is_taken(name: str, tree: Callable[[str], Path]) -> None:
    root = tree(name)
    mounts, memberships = (root / "proc/self/mountinfo", root / "proc/812/cgroup")
    if not mounts.exists() or not memberships.exists():
        return
    kept = lines(mounts.read_bytes(), lambda row: b" - cgroup" in row)
    taken = found_servers.groups(kept, memberships.read_bytes())
    for controller in ("cpu", "cpuset", "memory"):
        own = cgroups.parse_membership(memberships.read_text())
        found = cgroups.levels(controller, own, cgroups.parse_mounts(mounts.read_text()), root)
        assert {str(path) for path in found.directories} <= set(taken)


@pytest.mark.daemon
def test_a_container_is_read_through_its_own_file_system(
    tmp_path: Path, not_run: Callable[[str], NoReturn]
) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        not_run("only root can mount, in a namespace of its own")
    for name, timeout in (("outside", 1), ("inside", 77)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "conf.py").write_text(f"timeout = {timeout}\n")
    script = tmp_path / "gunicorn"
    script.write_text("print(flush=True); input()\n")
    line = (
        f"mount --bind {tmp_path}/inside {tmp_path}/outside && exec {sys.executable} {script}"
        f" -c {tmp_path}/outside/conf.py shop:app"
    )
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", line], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        copy = lay(gathered_here(), tmp_path / "copy")
        found = [facts.servers for facts in (gather(process.pid), copy.facts(process.pid))]
        process.communicate(b"\n")
    here, there = (
        next(each for each in each_found if each.pid == process.pid) for each_found in found
    )
    assert there.settings["timeout"] == 77
    assert here.settings == there.settings


PHRASES = {
    "gunicorn": (
        *("-e API_TOKEN=s3cret", "--env A=s3cret", "--env=KEY=s3cret", "-eB=s3cret"),
        *("-w 2", "--threads=3", "shop:app", "-c /srv/shop/gunicorn.conf.py", "--password=s3cret"),
    ),
    "uvicorn": ("--ssl-keyfile-password s3cret", "--ssl-keyfile-password=s3cret", "--port 81"),
    "hypercorn": ("--keyfile-password s3cret", "--keyfile-password=s3cret", "-c h.toml"),
}
LINES = st.sampled_from(sorted(PHRASES)).flatmap(
    lambda kind: st.lists(st.sampled_from(PHRASES[kind])).map(
        lambda found: [kind, "shop:app", *" ".join(found).split()]
    )
)


@given(LINES)
def test_masked_words_say_the_same_but_for_the_secrets(words: list[str]) -> None:
    hidden = masks.masked(words)
    assert "s3cret" not in " ".join(hidden)
    assert secrets.secret_options(hidden) == secrets.secret_options(words)
    assert commandline.parse(hidden) == commandline.parse(words)


def test_what_nginx_conf_says_is_found_through_the_copy(tmp_path: Path) -> None:
    main = (
        b"load_module a/ngx_x_module.so; include m/*.conf; http { include secret.conf; }"
        b"events { worker_connections 768; } worker_processes auto;"
    )
    copy = laid(
        tmp_path,
        files={
            "/etc/nginx/nginx.conf": programs.taken(main).decode(),
            "/etc/nginx/m/1.conf": "load_module 'ngx_y_module.so';\n",
        },
        answers=[
            {
                "words": ["nginx", "-V"],
                "path": "/usr/sbin/nginx",
                "text": "nginx version: nginx/1.26.3\n--conf-path=/etc/nginx/nginx.conf\n",
            }
        ],
    )
    assert b"secret" not in programs.taken(main)
    nginx = copy.facts().components["nginx"]
    assert (nginx.version, nginx.path, nginx.modules) == ("1.26.3", "/usr/sbin/nginx", ["x", "y"])
    assert nginx.settings == {"worker_processes": "auto", "worker_connections": 768}


def test_a_path_that_leads_out_stays_in_the_copy(tmp_path: Path) -> None:
    root = tmp_path / "copy"
    root.mkdir()
    laid(root, files={"/../../escaped": "x", "relative": "y"}, folders=["/../out"])
    assert {path.name for path in tmp_path.iterdir()} == {"copy"}
    assert (root / "escaped").read_text() == "x"
    assert (root / "relative").read_text() == "y"


@pytest.mark.parametrize(
    "path", ["{up}{outside}", "/proc/812/cwd{outside}", "/proc/812/root{outside}"]
)
def test_a_host_cannot_have_our_own_files_read(path: str, tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text("timeout = 7777\n")
    named = path.format(up="/.." * 20, outside=tmp_path / "theirs.py")
    root = tmp_path / "copy"
    root.mkdir()
    copy = laid(
        root,
        files=process(812, "gunicorn", "-c", named, "shop:app", environ=""),
        links={"/proc/812/cwd": "/", "/proc/812/root": "/"},
    )
    (server,) = copy.facts(812).servers
    assert "timeout" not in server.settings
    assert not [path for path in root.rglob("*") if path.is_symlink()]


@pytest.mark.parametrize(
    "changes",
    [
        {"files": {"/a": "x", "/a/b": "y"}},
        {"files": {"/a": "\u20ac"}},
        {"files": {"/a\0b": "x"}},
        {"files": {f"/{'n' * 300}": "x"}},
        {"folders": ["/proc/meminfo/x"], "files": {"/proc/meminfo": "x"}},
    ],
)
def test_what_cannot_be_laid_out_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not to be laid out"):
        laid(tmp_path, **changes)


def test_bytes_that_are_no_text_survive(tmp_path: Path) -> None:
    laid(tmp_path, files={"/srv/caf\xe9": "\xff\x00"})
    assert (tmp_path / os.fsdecode(b"srv/caf\xe9")).read_bytes() == b"\xff\x00"


def test_what_the_login_may_not_read_is_said(tmp_path: Path) -> None:
    denied = [
        "/proc/812/environ",
        "/proc/812/fd",
        "/proc/812/ns/net",
        "/etc/x.py",
        "/proc/9/ns/net",
    ]
    gaps = [gap for gap in laid(tmp_path, denied=denied).facts().unknown if "uid 7" in gap.why]
    assert [gap.what for gap in gaps] == ["/etc/x.py", "environment, sockets of pid 812"]
    assert "ansible_become" in gaps[0].remedy


def test_redis_is_seen_and_not_asked(tmp_path: Path) -> None:
    copy = laid(tmp_path, files=process(90, "redis-server", "127.0.0.1:6379"))
    assert "state of pid 90 (redis-server)" in {gap.what for gap in copy.facts().unknown}


def test_without_a_server_there_is_no_environment_of_ours(tmp_path: Path) -> None:
    facts = laid(tmp_path).facts()
    assert facts.components == {}
    assert APP_ENVIRONMENT in {gap.what for gap in facts.unknown}


def test_the_named_environment_is_gathered(tmp_path: Path) -> None:
    site = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    (site / "gunicorn-20.1.0.dist-info").mkdir(parents=True)
    (tmp_path / "venv" / "pyvenv.cfg").write_text("version = 3.11.2\n")
    (tmp_path / "copy").mkdir()
    gathered = gathered_here(str(tmp_path / "venv"))
    without_servers = gathered.model_copy(
        update={"files": {k: v for k, v in gathered.files.items() if "cmdline" not in k}}
    )
    copy = lay(without_servers, tmp_path / "copy", tmp_path / "venv")
    assert copy.facts().components["gunicorn"].version == "20.1.0"


@given(st.binary())
def test_any_configuration_is_shortened_to_what_is_taken(text: bytes) -> None:
    kept = programs.taken(text)
    assert programs.taken(kept) == kept


@given(st.binary(), st.binary())
def test_any_command_line_and_environment_is_masked(line: bytes, environ: bytes) -> None:
    assert masks.line(line).count(b"\0") == line.count(b"\0")
    assert masks.chosen(masks.chosen(environ)) == masks.chosen(environ)
