"""uvicorn.env: read back, gated, and at work."""

from __future__ import annotations

import doctest
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from advisor.render.kit import environment, granian, since, uvicorn
from advisor.render.quoting import environment as quoted
from tests.render.kit.servers import (
    assigned,
    comments,
    recommended,
    text_of,
    told,
    usual,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

ENV = "uvicorn/uvicorn.env"
# As the rules give them for two workers behind nginx.
USUAL: dict[str, Any] = {
    "workers": 2,
    "timeout_keep_alive": 75,
    "timeout_graceful_shutdown": 2,
    "timeout_worker_healthcheck": 9,
    "limit_concurrency": None,
    "backlog": 2048,
    "loop": "auto",
    "http": "auto",
    "ws": "auto",
    "limit_max_requests": 100000,
    "limit_max_requests_jitter": 10000,
}


@pytest.mark.parametrize("module", [environment, granian, since, uvicorn])
def test_the_examples_in_the_docstrings_are_true(module: ModuleType) -> None:
    results = doctest.testmod(module)
    assert results.attempted
    assert not results.failed


@usual
@given(values=values_of("uvicorn"))
def test_what_is_recommended_reads_back(make: Make, values: dict[str, Any]) -> None:
    found = assigned(text_of(recommended(make, "uvicorn", values), ENV))
    assert found.pop("UVICORN_FORWARDED_ALLOW_IPS") == "*"
    assert found == {
        f"UVICORN_{name.upper()}": quoted(value)
        for name, value in values.items()
        if value is not None
    }


@pytest.mark.parametrize(
    ("version", "left_out"),
    [
        (
            "0.16.0",
            "timeout_graceful_shutdown timeout_worker_healthcheck limit_max_requests_jitter",
        ),
        ("0.34.0", "timeout_worker_healthcheck limit_max_requests_jitter"),
        ("0.40.0", "limit_max_requests_jitter"),
        ("0.54.0", ""),
        (
            "absent",
            "timeout_graceful_shutdown timeout_worker_healthcheck limit_max_requests_jitter",
        ),
    ],
)
def test_what_a_version_does_not_know_is_left_out_with_the_reason(
    make: Make, version: str, left_out: str
) -> None:
    text = text_of(recommended(make, "uvicorn", USUAL, version=version), ENV)
    expected = {f"UVICORN_{name.upper()}" for name in left_out.split()}
    every = {f"UVICORN_{name.upper()}" for name, value in USUAL.items() if value is not None}
    assert every - set(assigned(text)) == expected
    for name in expected:
        assert f"{name} is left out: it needs Uvicorn" in comments(text)


def test_a_value_that_a_version_does_not_know_is_left_out_too(make: Make) -> None:
    pinned = {"ws": "websockets-sansio"}
    old = text_of(recommended(make, "uvicorn", pinned, version="0.34.0"), ENV)
    assert "UVICORN_WS" not in assigned(old)
    assert "UVICORN_WS=websockets-sansio is left out: it needs Uvicorn 0.35" in comments(old)
    assert (
        assigned(text_of(recommended(make, "uvicorn", pinned), ENV))["UVICORN_WS"] == pinned["ws"]
    )


@pytest.mark.parametrize(
    ("intent", "believed"),
    [
        ({}, "*"),
        ({"proxy": "caddy"}, "*"),
        ({"proxy": "none"}, None),
        ({"listen": "127.0.0.1:8000"}, "127.0.0.1,::1"),
        ({"listen": "10.0.0.5:8000"}, "127.0.0.1,::1,10.0.0.5"),
        ({"manage": ["server"]}, None),
    ],
)
def test_only_the_local_proxy_is_believed(
    make: Make, intent: dict[str, Any], believed: str | None
) -> None:
    found = assigned(text_of(recommended(make, "uvicorn", USUAL, **intent), ENV))
    assert found.get("UVICORN_FORWARDED_ALLOW_IPS") == believed


def test_a_reason_stands_above_each_value(make: Make) -> None:
    lines = text_of(recommended(make, "uvicorn", USUAL), ENV).split("\n")
    for above, line in itertools.pairwise(lines):
        assert not line or line.startswith("#") or above.startswith("# "), line


@pytest.mark.daemon
@pytest.mark.parametrize("module", ["served:app", "served:create_app()"])
@pytest.mark.parametrize("workers", [1, 2])
def test_it_answers_on_a_socket_handed_over(
    make: Make, tmp_path: Path, module: str, workers: int
) -> None:
    rec = recommended(make, "uvicorn", USUAL | {"workers": workers}, module=module)
    seen = told(rec, tmp_path)
    assert (seen["scheme"], seen["client"]) == ("https", "203.0.113.7")


@pytest.mark.daemon
def test_it_answers_on_a_port_handed_over(make: Make, tmp_path: Path, free_port: int) -> None:
    rec = recommended(make, "uvicorn", USUAL, listen=f"127.0.0.1:{free_port}")
    seen = told(rec, tmp_path)
    assert (seen["scheme"], seen["client"]) == ("https", "203.0.113.7")


@pytest.mark.daemon
def test_started_beside_a_unit_that_exists_it_believes_nobody(make: Make, tmp_path: Path) -> None:
    dropin = {"systemd.mode": "dropin", "systemd.unit": "web.service"}
    rec = recommended(make, "uvicorn", USUAL | {"workers": 1}, **dropin)
    assert told(rec, tmp_path)["scheme"] == "http"
