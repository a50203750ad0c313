"""The proxies' settings together: always of their own type, and in order."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from advisor.documents import Estimate
from advisor.rules import RULES, registry, versions
from tests.rules.cases.nginx import CACHED, ROUTES, fact
from tests.rules.cases.nginx_gzip import STATIC

PROXIES = {id_: rule for id_, rule in RULES.items() if id_.startswith(("nginx.", "caddy."))}
MODULES = ("nginx", "nginx_balance", "nginx_edge", "nginx_gzip", "nginx_tls", "nginx_cache")
MODULES += ("caddy", "caddy_balance", "caddy_edge", "caddy_front")
CASES = [
    (id_, seen)
    for module in MODULES
    for id_, cases in import_module(f"tests.rules.cases.{module}").CASES.items()
    for seen, _ in cases
]


def decided(evidence: dict[str, Any], pins: dict[str, Any] | None = None) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "RULES", PROXIES)
        decision = registry.decide(evidence, pins or {})
    assert decision.unknown == []
    return {setting.id: setting.value for setting in decision.settings}


def in_its_type(id_: str, value: Any) -> None:
    TypeAdapter(RULES[id_].accepts).validate_python(value, strict=True)


@pytest.mark.parametrize(("id_", "seen"), CASES)
def test_what_a_rule_says_may_be_pinned(id_: str, seen: dict[str, Any]) -> None:
    rule = RULES[id_]
    choice = rule.decide({name: seen.get(name) for name in (*rule.needs, *rule.wants)})
    if choice is not None:
        in_its_type(id_, choice.value)


@pytest.mark.parametrize("id_", PROXIES)
def test_a_default_is_of_the_settings_type_or_the_products_word(id_: str) -> None:
    if id_ not in {"nginx.limit_req_burst", "nginx.proxy_next_upstream_tries"}:
        in_its_type(id_, RULES[id_].default)


POSITIVE = st.floats(min_value=1e-9, max_value=1e12)
SIZES = st.integers(min_value=1, max_value=2**40)
EVIDENCE = st.fixed_dictionaries(
    {
        "proxy": st.sampled_from(["nginx", "caddy", "none"]),
        "server": st.sampled_from(["gunicorn", "uvicorn", "hypercorn", "granian"]),
        "plan.kind": st.sampled_from(["one", "threads", "loop"]),
        "plan.concurrency": st.integers(min_value=1, max_value=1024),
        "hosts": st.lists(st.just("10.0.0.11:8000"), max_size=300),
        "routes": st.sampled_from([{}, ROUTES["routes"], CACHED["routes"]]),
        "static": st.sampled_from([{}, STATIC["static"]]),
    },
    optional={
        "gunicorn.timeout": st.integers(min_value=0, max_value=86400),
        "latency_s.p99": POSITIVE.map(lambda p: Estimate(value=p, low=p / 2, high=p * 2, n=9)),
        "tls": st.just({"acme": True}),
        "app.health": st.just("/healthz"),
        "limits.request_body": SIZES,
        "limits.rate_per_client_rps": POSITIVE,
        "targets.rate_rps": POSITIVE,
        "http": st.lists(
            st.builds(
                fact,
                path=st.sampled_from(["/", "/search", "/a"]),
                bytes=st.integers(min_value=0, max_value=2**40),
                compressed=st.booleans(),
                compressible_ratio=st.none() | st.floats(min_value=0, max_value=2),
            ),
            max_size=4,
        ),
        "target.through": st.lists(st.just("nginx"), max_size=1),
        "components.caddy.modules": st.lists(st.just("http.handlers.cache"), max_size=1),
        "components.nginx.modules": st.lists(st.sampled_from(["http_v2", "brotli"]), max_size=2),
        **{f"can.{name}": st.booleans() for name in versions.CAPABILITIES},
    },
)


@given(EVIDENCE)
def test_whatever_is_known_the_values_are_of_their_type(evidence: dict[str, Any]) -> None:
    values = decided(evidence)
    assert {id_.partition(".")[0] for id_ in values} <= {evidence["proxy"]}
    for id_, value in values.items():
        in_its_type(id_, value)


@given(EVIDENCE)
def test_the_proxy_outlasts_the_server_and_its_own_parts_agree(evidence: dict[str, Any]) -> None:
    values = decided(evidence)
    if evidence["server"] == "gunicorn":
        limit = evidence.get("gunicorn.timeout", 0)
        for id_ in ("nginx.proxy_read_timeout", "caddy.response_header_timeout"):
            assert values.get(id_, limit) >= limit
    if evidence["server"] == "granian":
        for id_ in ("nginx.upstream_keepalive_timeout", "caddy.upstream_keepalive_idle"):
            assert (values.get(id_) or 0) < 30
    if buffers := values.get("nginx.proxy_buffers"):
        # nginx refuses to start unless what may be busy (twice a buffer) leaves one free.
        assert 2 * values["nginx.proxy_buffer_size"] <= (buffers[0] - 1) * buffers[1]


def test_who_is_trusted_can_be_pinned() -> None:
    values = decided({"proxy": "nginx"}, {"nginx.set_real_ip_from": ["10.0.0.0/8"]})
    assert values["nginx.real_ip_header"] == "X-Forwarded-For"
    assert values["nginx.real_ip_recursive"] is True
    assert "nginx.real_ip_header" not in decided({"proxy": "nginx"})
