from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from advisor.errors import InvalidInput, TooLittleEvidence
from advisor.host.proxies.site import AccessLog
from advisor.probe.address import Endpoint, resolve
from advisor.probe.choice import Choice, chosen

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Endpoint("http", "127.0.0.1", "127.0.0.1", 8000, "/items")


def choose(choice: Choice, endpoint: Endpoint = HERE, log: AccessLog | None = None) -> object:
    return asyncio.run(chosen(endpoint, choice, log))


def test_by_default_the_urls_own_route() -> None:
    found = asyncio.run(chosen(HERE, Choice(), None))
    assert found.weights == {"/items": 1.0}
    assert (found.named, found.sent, found.unknown) == (True, 0, ())


def test_routes_by_hand() -> None:
    found = asyncio.run(chosen(HERE, Choice(endpoints=("/a=3", "/b=1")), None))
    assert found.weights == {"/a": 0.75, "/b": 0.25}
    assert found.named


def test_contradictions_and_absent_logs() -> None:
    with pytest.raises(InvalidInput, match="not both"):
        choose(Choice(endpoints=("/a",), source="log"))
    with pytest.raises(TooLittleEvidence, match="no access log is known"):
        choose(Choice(source="log"))
    with pytest.raises(InvalidInput, match="absent"):
        choose(Choice(source="log"), log=AccessLog(Path("/absent/access.log"), "combined"))


def test_a_log_gives_its_mix_and_says_what_it_left_out(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "access.log", "$status $request_method $request_uri")
    private = "/reset/5dGh71kQx0ZpW9aYt3Vb"
    lines = ["200 GET /items"] * 6 + ["200 GET /about"] * 2 + [f"200 GET {private}"] * 2
    log.path.write_text("\n".join(lines) + "\n")
    found = asyncio.run(chosen(HERE, Choice(source="log"), log))
    assert found.weights == {"/items": 0.6, "/about": 0.2}
    assert not found.named
    assert [gap.what for gap in found.unknown] == ["20% of the logged requests"]
    log.path.write_text("nothing that can be read\n")
    with pytest.raises(TooLittleEvidence, match="no GET request"):
        choose(Choice(source="log"), log=log)


@pytest.mark.daemon
def test_an_openapi_document_gives_routes_that_can_be_asked(serve: Callable[..., str]) -> None:
    endpoint = resolve(serve("uvicorn", "http_app:app", ready="/plain") + "/plain")
    found = asyncio.run(chosen(endpoint, Choice(source="openapi"), None))
    assert "/plain" in found.weights
    assert found.sent == 1
    assert not found.named
    assert found.unknown
    assert all("--endpoint" in gap.remedy for gap in found.unknown)
