"""environment/app.env: what the app has to read, and nothing that is not ours to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import InvalidInput
from advisor.render import render
from advisor.render.kit.environment import NAMES, SETTINGS, WORKERS, variable
from advisor.render.quoting import environment as quoted
from advisor.rules import RULES
from tests.render.kit.servers import assigned, comments, recommended, text_of, usual

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

ENV = "environment/app.env"
POOLS: dict[str, Any] = {
    "anyio.tokens": 80,
    "sqlalchemy.pool_size": 8,
    "sqlalchemy.max_overflow": 0,
    "sqlalchemy.pool_pre_ping": True,
    "asyncpg.max_size": 12,
    "httpx.max_connections": 200,
}


def with_pools(make: Make, pools: dict[str, Any], **intent: Any) -> Recommendation:
    return make(intent={"manage": ["server"]} | intent, settings=pools)


def test_every_setting_is_one_that_code_applies() -> None:
    assert {RULES[id_].applied_by for id_ in SETTINGS} == {"code"}
    assert set(NAMES) == {WORKERS, *map(variable, SETTINGS)}


def test_each_value_is_handed_over_with_its_reason(make: Make) -> None:
    rec = make(
        intent={"manage": ["server"]},
        settings=POOLS,
    )
    text = text_of(rec, ENV)
    assert assigned(text) == {
        "WEB_CONCURRENCY": "2",
        "ANYIO_TOKENS": "80",
        "SQLALCHEMY_POOL_SIZE": "8",
        "SQLALCHEMY_MAX_OVERFLOW": "0",
        "SQLALCHEMY_POOL_PRE_PING": "true",
        "ASYNCPG_MAX_SIZE": "12",
        "HTTPX_MAX_CONNECTIONS": "200",
    }
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line and not line.startswith("#"):
            assert lines[number - 1].startswith("# "), line
    assert "The app's code has to read them" in comments(text)


@usual
@given(
    values=st.fixed_dictionaries(
        {}, optional={id_: st.integers(1, 1000) for id_ in SETTINGS if "pre_ping" not in id_}
    )
)
def test_what_is_recommended_reads_back(make: Make, values: dict[str, int]) -> None:
    found = assigned(text_of(with_pools(make, values), ENV))
    assert found.pop(WORKERS) == "2"
    assert found == {variable(id_): str(value) for id_, value in values.items()}


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn", "hypercorn", "granian"])
def test_the_workers_are_those_of_the_server(make: Make, server: str) -> None:
    rec = recommended(make, server, {"workers": 7}, manage=["server"])
    assert assigned(text_of(rec, ENV)) == {"WEB_CONCURRENCY": "7"}


def test_what_advisor_yml_states_of_the_environment_stays(make: Make) -> None:
    stated = {"app.environment": {"WEB_CONCURRENCY": "4", "ANYIO_TOKENS": "9"}}
    found = assigned(text_of(with_pools(make, POOLS, **stated), ENV))
    assert not {"WEB_CONCURRENCY", "ANYIO_TOKENS"} & set(found)


@pytest.mark.parametrize("intent", [{"manage": ["systemd"]}, {"manage": ["proxy"]}, {"manage": []}])
def test_it_is_there_only_where_the_server_is_ours(make: Make, intent: dict[str, Any]) -> None:
    assert ENV not in {file.path for file in render(with_pools(make, POOLS, **intent))}


def test_nothing_to_hand_over_is_no_file(make: Make) -> None:
    assert ENV not in {file.path for file in render(with_pools(make, {"gunicorn.workers": None}))}


def test_it_names_where_secrets_are_and_holds_none(make: Make) -> None:
    text = text_of(with_pools(make, POOLS), ENV)
    assert "those are in /etc/shop/env" in comments(text)
    none = text_of(with_pools(make, POOLS, **{"app.environment_file": None}), ENV)
    assert "app.environment_file of advisor.yml names the file" in comments(none)


@pytest.mark.parametrize("value", ["a b", '"', "'", "a\\", "$x", "#", "a\nB=c", "~/x", "é", "`"])
def test_a_value_that_needs_quotes_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="environment"):
        quoted(value)
