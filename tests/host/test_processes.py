from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.host import processes
from advisor.host.tree import clean

SIZES = st.integers(0, 10**9)


@given(SIZES, SIZES, SIZES, SIZES)
def test_uss_is_the_sum_of_private_pages(pss: int, clean: int, dirty: int, huge: int) -> None:
    text = (
        "55-7f ---p 00000000 00:00 0                          [rollup]\n"
        f"Rss:  9 kB\nPss: {pss} kB\nPss_Dirty: 7 kB\nPrivate_Clean: {clean} kB\n"
        f"Private_Dirty: {dirty} kB\nPrivate_Hugetlb: {huge} kB\nLocked: 8 kB\n"
    )
    found = processes.parse_smaps_rollup(text)
    assert found == processes.Usage(pss * 1024, (clean + dirty + huge) * 1024)


def test_an_ending_process_has_no_memory() -> None:
    with pytest.raises(ProcessLookupError):
        processes.parse_smaps_rollup("")


def test_pss_lies_between_uss_and_rss_for_every_process() -> None:
    seen = 0
    for pid in processes.table():
        try:
            before = processes.usage(pid)
            rss = psutil.Process(pid).memory_info().rss
            after = processes.usage(pid)
        except (OSError, psutil.Error):
            continue
        if before == after:  # a process at work changes between two looks
            seen += 1
            # The kernel batches its RSS counters: a page or two for each thread and CPU.
            assert before.uss_bytes <= before.pss_bytes <= rss * 1.02 + 2**20
    assert seen


def test_the_table_holds_this_process() -> None:
    found = processes.table()[os.getpid()]
    assert (found.parent, found.uid) == (os.getppid(), os.geteuid())
    assert found.argv
    assert found in processes.children(processes.table(), os.getppid())


def test_the_table_is_that_of_psutil() -> None:
    seen = 0
    for process in psutil.process_iter():
        try:
            found = processes.table().get(process.pid)
            with process.oneshot():
                name, words, parent = process.name(), process.cmdline(), process.ppid()
        except psutil.Error:
            continue
        if found is not None and found == processes.table().get(process.pid):
            seen += 1
            assert found.argv == tuple(map(clean, words))
            assert found.parent == parent
            # The kernel keeps 15 bytes of a name; psutil guesses the rest from the words.
            assert clean(name).startswith(found.name)
    assert seen


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", ()),
        (b"nginx\0-t\0", ("nginx", "-t")),
        (b"gunicorn: master [our shop]\0", ("gunicorn:", "master", "[our", "shop]")),
        (b"nginx: worker process", ("nginx:", "worker", "process")),
        (b"gunicorn: master [shop]\0\0\0", ("gunicorn: master [shop]", "", "")),
        (b"a b\0c d\0", ("a b", "c d")),
    ],
)
def test_a_command_line_and_what_titles_make_of_it(raw: bytes, words: tuple[str, ...]) -> None:
    assert processes.parse_cmdline(raw) == words


def test_words_that_are_no_text_are_read() -> None:
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [os.fsencode(sys.executable), b"-c", code.encode(), b"caf\xe9\x1b[2J"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        # For a moment of its exec(2) a process has no words at all.
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        assert processes.table()[process.pid].argv[-1] == "caf\ufffd\ufffd[2J"


def test_only_two_variables_of_an_environment_are_looked_at() -> None:
    secrets = {"WEB_CONCURRENCY": "3", "SECRET_KEY": "hunter2", "GUNICORN_CMD_ARGS": "-w 2"}
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=secrets,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = processes.environment(process.pid)
        process.communicate(b"\n")
    assert found == {"WEB_CONCURRENCY": "3", "GUNICORN_CMD_ARGS": "-w 2"}


def test_a_process_that_is_gone() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for read in (processes.usage, processes.environment, processes.directory):
        with pytest.raises(OSError, match=str(gone.pid)):
            read(gone.pid)
    assert processes.unit(gone.pid) is None


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/system.slice/shop.service", "shop.service"),
        ("/system.slice/system-shop.slice/shop@eu.service", "shop@eu.service"),
        ("/system.slice/shop.service/payload", "shop.service"),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service", "shop.service"),
        ("/user.slice/user-1000.slice/user@1000.service/init.scope", None),
        ("/user.slice/user-1000.slice/session-1.scope", None),
        ("/system.slice/docker-3f1c.scope", None),
        ("/", None),
    ],
)
def test_the_unit_of_a_process(path: str, unit: str | None) -> None:
    assert processes.parse_unit(f"0::{path}\n") == unit
    assert processes.parse_unit(f"4:memory:/x.service\n1:name=systemd:{path}\n") == unit


def test_a_user_without_a_name_is_a_number() -> None:
    assert processes.user(0) == "root"
    assert processes.user(2**31 - 7) == str(2**31 - 7)
