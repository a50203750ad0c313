from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.host.proxies import nginx
from advisor.host.proxies.nginx import _Files

PIECES = [
    "{",
    "}",
    ";",
    " ",
    "\n",
    "#",
    '"',
    "'",
    "\\",
    "$",
    "include",
    "http",
    "location ~",
    "if (",
]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], {}),
        (["nginx: master process nginx"], {}),
        (["nginx: master process /usr/sbin/nginx -p /srv -c conf/n.conf"],
         {"p": "/srv", "c": "conf/n.conf"}),
        # a reader of /proc splits a title at its blanks
        (["nginx:", "master", "process", "nginx", "-c", "/n.conf"], {"c": "/n.conf"}),
        (["/usr/sbin/nginx", "-g", "daemon off; master_process off;", "-c/n.conf"],
         {"g": "daemon off; master_process off;", "c": "/n.conf"}),
        (["nginx: master process nginx -g daemon off; -c /n.conf"],
         {"g": "daemon", "c": "/n.conf"}),
    ],
)  # fmt: skip
def test_the_command_line(argv: list[str], expected: dict[str, str]) -> None:
    assert nginx.words(argv) == expected


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5))))
def test_any_text_is_read_without_a_failure(pieces: list[str]) -> None:
    nginx.parse("".join(pieces).encode("utf-8", "surrogatepass"))


@given(st.binary())
def test_any_bytes_are_read_without_a_failure(source: bytes) -> None:
    nginx.parse(source)


def test_a_text_nested_without_end() -> None:
    assert nginx.parse(b"a{" * 100_000) is None
    assert nginx.parse(b"a{" * 5_000 + b"}" * 5_000) is None


def read(folder: Path, main: str) -> tuple[list[str], _Files]:
    (folder / "nginx.conf").write_text(main)
    files = _Files(Path("/"), str(folder))
    return [entry.name for entry in files.read(str(folder / "nginx.conf"))], files


def test_includes_in_their_places_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in ("b.conf", "a.conf", ".hidden.conf"):
        (tmp_path / "d" / name).write_text(f"{name[0].strip('.')}_;")
    (tmp_path / "one").write_text("include d/*.conf;")
    names, files = read(tmp_path, "first; include one; last; include gone*.conf;")
    assert names == ["first", "a_", "b_", "last"]
    assert files.gaps("x") == []


def test_a_circle_of_includes_ends(tmp_path: Path) -> None:
    names, files = read(tmp_path, "x; include nginx.conf; include nginx.conf;")
    assert set(names) == {"x"}
    assert len(names) <= nginx.MAX_FILES
    assert "too much" in files.gaps("main")[0][1]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "folder", "missing", "broken"])
def test_what_is_no_file_is_said(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "part"
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "folder":
        target.mkdir()
    elif kind == "broken":
        target.write_text("server { ")
    names, files = read(tmp_path, "x; include part;")
    assert names == ["x"]
    ((what, why, _),) = files.gaps("main")
    assert str(target) in what
    assert "not understood" in why


def test_a_relative_name_is_below_the_servers_root(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "main").write_text("include *.conf; include /etc/other;")
    (tmp_path / "etc" / "x.conf").write_text("x;")
    (tmp_path / "etc" / "other").write_text("other;")
    files = _Files(tmp_path, "/etc")
    assert [entry.name for entry in files.read("/etc/main")] == ["x", "other"]
