"""The figures that the alerts ask for are those that a real Caddy shows, old and new."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
from typing import TYPE_CHECKING, NoReturn

import httpx
import pytest

from advisor.render import render
from advisor.render.checks.caddy_stage import stage_caddy
from tests.render.kit.monitored import rec_of
from tests.render.live_caddy.site import programs
from tests.render.live_common.running import stopped, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

pytestmark = pytest.mark.daemon

ASKED = 3
ADMIN, SITE, APP = "localhost:2019", ":8080", "127.0.0.1:8000"
_FIGURE = re.compile(r"^(?P<name>\w+)\{(?P<labels>.*)\} (?P<value>\S+)$", re.MULTILINE)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(program: str, caddyfile: Path, port: int) -> Iterator[None]:
    process = subprocess.Popen(
        [program, "run", "--adapter", "caddyfile", "--config", caddyfile],
        env={"HOME": str(caddyfile.parent), "PATH": os.defpath},
        stderr=subprocess.DEVNULL,
    )
    with stopped(process):

        def is_up() -> bool:
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", port)) == 0

        until(is_up, "Caddy")
        yield


@pytest.mark.parametrize("version", ["2.6", "2.11"])
def test_a_dead_app_is_what_is_missing_to_all_requests(
    make: Make, version: str, tmp_path: Path, not_run: Callable[[str], NoReturn]
) -> None:
    found = programs().get(version)
    if found is None:
        not_run(f"Caddy {version} is not here: scripts/daemons.sh, or ADVISOR_CADDY")
    rec = rec_of(make, "cache", intent={"domain": None}, components={"caddy": found.version})
    files = [file for file in render(rec) if file.path.startswith("caddy/")]
    admin, site, app = free_port(), free_port(), free_port()
    swap = {ADMIN: f"127.0.0.1:{admin}", SITE: f":{site}", APP: f"127.0.0.1:{app}"}
    stage = stage_caddy(files, tmp_path, swap=swap)
    with running(found.path, stage.caddyfile, site):
        for _ in range(ASKED):
            assert httpx.get(f"http://127.0.0.1:{site}/").status_code == 502
        text = httpx.get(f"http://127.0.0.1:{admin}/metrics").text
    asked = figures(text, "caddy_http_requests_total")
    assert {value for _, value in asked} == {ASKED}
    fine = figures(text, "caddy_http_request_duration_seconds_count")
    assert [labels for labels, _ in fine if not re.search(r'code="5..', labels)] == []


def figures(text: str, name: str) -> list[tuple[str, float]]:
    """Labels and value of each series of that name."""
    return [
        (match["labels"], float(match["value"]))
        for match in _FIGURE.finditer(text)
        if match["name"] == name
    ]
