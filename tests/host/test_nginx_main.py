from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.demo.processes import program
from advisor.errors import AdvisorError
from advisor.host.components import find
from advisor.host.nginx_main import main_directives, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAIN = """\
user www-data; # load_module modules/ngx_http_remark_module.so;
load_module modules/ngx_http_brotli_filter_module.so;
load_module "/usr/lib/nginx/modules/ngx_stream_module.so";
include modules-enabled/*.conf;
worker_processes auto;
events {
    worker_connections 768;
    use epoll;
}
http {
    worker_rlimit_nofile 1;  # no such place, and no such setting

    # a brace } in a remark, and in words: "}" '{'
    log_format main '$request "{" ; load_module modules/ngx_http_word_module.so;';
    server { return 200 "load_module modules/ngx_http_text_module.so;"; }
}
load_module modules/ngx_http_zstd_filter_module.so;
"""


def loaded(configuration: Path) -> list[str]:
    main = read(configuration)
    assert main
    return main.modules


def test_what_the_main_context_and_its_includes_load(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(MAIN)
    (tmp_path / "modules-enabled").mkdir()
    (tmp_path / "modules-enabled/50.conf").write_text(
        "load_module modules/ngx_http_headers_more_filter_module.so;\ninclude nginx.conf;\n"
    )
    (tmp_path / "modules-enabled/50.off").write_text("load_module modules/ngx_off_module.so;\n")
    assert loaded(tmp_path / "nginx.conf") == [
        "http_brotli_filter",
        "http_headers_more_filter",
        "http_zstd_filter",
        "stream",
    ]


def test_what_cannot_be_read_loads_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.conf")
    (tmp_path / "nginx.conf").write_text(
        "include fifo.conf; include absent.conf; include ; include /; include a**/x;\n"
    )
    assert loaded(tmp_path / "nginx.conf") == []
    assert read(tmp_path / "absent.conf") is None


def test_what_is_set_for_all_sites(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(MAIN + "include limits/*.conf;\n")
    (tmp_path / "limits").mkdir()
    main = read(tmp_path / "nginx.conf")
    assert main
    assert main.settings == {"worker_processes": "auto", "worker_connections": 768}
    (tmp_path / "limits/files.conf").write_text("worker_rlimit_nofile 4096; worker_processes;")
    main = read(tmp_path / "nginx.conf")
    assert main
    assert main.settings["worker_rlimit_nofile"] == 4096
    assert main.settings["worker_processes"] == "auto"


def test_a_number_beyond_measure_is_no_number(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(f"worker_rlimit_nofile {'9' * 10000};")
    main = read(tmp_path / "nginx.conf")
    assert main
    assert isinstance(main.settings["worker_rlimit_nofile"], str)


@given(st.text(alphabet="load_module include;{}'\"\\#\n *x/."))
def test_any_text_has_main_directives(text: str) -> None:
    assert all(words for words in main_directives(text))


@given(st.lists(st.text(alphabet="abc/._*", min_size=1), min_size=1))
def test_words_come_back_without_their_quotes(words: list[str]) -> None:
    text = " ".join(f'"{word}"' for word in words)
    assert list(main_directives(f"http {{ {text}; }} {text};")) == [words]


@pytest.mark.daemon
def test_nginx_agrees(tmp_path: Path, not_run: Callable[[str], NoReturn]) -> None:
    """A module that we say is loaded, nginx looks for; one that we do not, it does not."""
    try:
        nginx = find("nginx") or program("nginx")
    except AdvisorError:
        not_run("no nginx")
    conf = tmp_path / "nginx.conf"
    for text, expected in (
        ("load_module 'modules/ngx_http_absent_module.so'; events {}", ["http_absent"]),
        ("events {} # load_module modules/ngx_http_absent_module.so;", []),
    ):
        conf.write_text(f"pid {tmp_path}/pid; error_log stderr;\n{text}\n")
        done = subprocess.run(
            [nginx, "-t", "-p", str(tmp_path), "-c", str(conf)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ("ngx_http_absent_module" in done.stderr) is bool(expected), done.stderr
        assert loaded(conf) == expected
