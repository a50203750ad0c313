"""hypercorn.toml: read back, gated, and at work."""

from __future__ import annotations

import stat
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from tests.render.kit.servers import (
    comments,
    recommended,
    serving,
    text_of,
    told,
    usual,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

TOML = "hypercorn/hypercorn.toml"
# As the rules give them for two workers behind nginx.
USUAL: dict[str, Any] = {
    "workers": 2,
    "keep_alive_timeout": 75,
    "graceful_timeout": 2,
    "backlog": 2048,
    "worker_class": "uvloop",
    "max_requests": 100000,
    "max_requests_jitter": 10000,
    "websocket_ping_interval": 20,
}


@usual
@given(values=values_of("hypercorn"))
def test_what_is_recommended_reads_back(make: Make, values: dict[str, Any]) -> None:
    found = tomllib.loads(text_of(recommended(make, "hypercorn", values), TOML))
    assert found == {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize(
    ("version", "left_out"),
    [
        ("0.9.0", {*USUAL} - {"workers", "keep_alive_timeout", "backlog", "worker_class"}),
        ("0.14.4", {"max_requests", "max_requests_jitter"}),
        ("0.16.0", set()),
        ("absent", {*USUAL} - {"workers", "keep_alive_timeout", "backlog", "worker_class"}),
    ],
)
def test_what_a_version_does_not_know_is_left_out_with_the_reason(
    make: Make, version: str, left_out: set[str]
) -> None:
    text = text_of(recommended(make, "hypercorn", USUAL, version=version), TOML)
    assert set(USUAL) - set(tomllib.loads(text)) == left_out
    for name in left_out:
        assert f"{name} is left out: it needs Hypercorn" in comments(text)


def test_it_says_what_the_app_has_to_do_behind_a_proxy(make: Make) -> None:
    assert "ProxyFixMiddleware" in text_of(recommended(make, "hypercorn", USUAL), TOML)
    alone = recommended(make, "hypercorn", USUAL, proxy="none")
    assert "ProxyFixMiddleware" not in text_of(alone, TOML)


@pytest.mark.daemon
@pytest.mark.parametrize(
    ("module", "scheme"),
    [("served:app", "http"), ("served:create_app()", "http"), ("served:create_fixed()", "https")],
)
def test_it_answers_on_a_socket_handed_over(
    make: Make, tmp_path: Path, module: str, scheme: str
) -> None:
    seen = told(recommended(make, "hypercorn", USUAL, module=module), tmp_path)
    assert seen["scheme"] == scheme


@pytest.mark.daemon
def test_it_answers_on_a_port_handed_over(make: Make, tmp_path: Path, free_port: int) -> None:
    rec = recommended(make, "hypercorn", USUAL | {"workers": 1}, listen=f"127.0.0.1:{free_port}")
    assert told(rec, tmp_path)


@pytest.mark.daemon
def test_a_socket_of_its_own_is_closed_to_all_but_its_group(make: Make, tmp_path: Path) -> None:
    """By itself Hypercorn would leave it 0755, so that the proxy could not connect."""
    dropin = {"systemd.mode": "dropin", "systemd.unit": "web.service"}
    rec = recommended(make, "hypercorn", USUAL | {"workers": 1}, **dropin)
    with serving(rec, tmp_path):
        mode = (tmp_path / "app.sock").stat().st_mode
    assert stat.S_IMODE(mode) == 0o770
