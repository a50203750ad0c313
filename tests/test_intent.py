"""advisor.yml: what it accepts, and that nothing hostile gets past its allow-lists."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor import files
from advisor.errors import InvalidInput
from advisor.intent import Intent, parse_size

FULL = """
app: {name: shop, module: "shop.main:app", interface: asgi, directory: /srv/shop,
      virtualenv: /srv/shop/venv, user: shop, health: /healthz,
      environment: {LOG_LEVEL: info}, environment_file: /etc/shop/env,
      writable: [/srv/shop/uploads]}
server: gunicorn
listen: unix
proxy: nginx
domain: shop.example
tls: {certificate: /etc/ssl/shop.pem, key: /etc/ssl/shop.key}
static: {/static/: /srv/shop/static}
routes: {/ws: websocket, /events: stream, /api/search: {microcache: 1s}}
targets: {rate_rps: 500, p99_s: 0.3, concurrency: 200}
budget: {memory: 4G, cpus: 2}
database: {max_connections: 100, reserved: 10}
redis: {role: cache}
background: {celery: {app: shop.tasks, kind: cpu}}
limits: {request_body: 10M, rate_per_client_rps: 20}
manage: [server, proxy, systemd]
systemd: {mode: dropin, unit: shop-web.service}
pins: {gunicorn.workers: 4}
"""


def read(text: str) -> Intent:
    data = files.parse(text, name="advisor.yml", is_json=False)
    return files.validate(Intent, data, name="advisor.yml")


def test_the_whole_of_the_design_is_accepted() -> None:
    intent = read(FULL)
    assert intent.budget.memory == 4 * 1024**3
    assert intent.limits.request_body == 10 * 1024**2
    assert intent.pins == {"gunicorn.workers": 4}


def test_only_the_module_has_to_be_there() -> None:
    assert read("app: {module: shop}").server is None
    with pytest.raises(InvalidInput, match=r"advisor\.yml: app\.module: missing"):
        read("app: {name: shop}")


def test_the_schema_accepts_what_the_model_accepts() -> None:
    schema = Intent.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    raw = files.parse(FULL, name="advisor.yml", is_json=False)
    raw["budget"]["memory"] = 4 * 1024**3
    raw["limits"]["request_body"] = 10 * 1024**2
    jsonschema.validate(raw, schema)


HOSTILE = ["\n", "\r", '"', "'", ";", "{", "}", "$", "%", "`", "\\", "#", " ", "\x00", "{{", "é"]
TEXTS = {
    "app.name": ("shop", lambda v: {"name": v}),
    "app.module": ("shop.main:app", lambda v: {"module": v}),
    "app.directory": ("/srv/shop", lambda v: {"directory": v}),
    "app.virtualenv": ("/srv/shop/venv", lambda v: {"virtualenv": v}),
    "app.user": ("shop", lambda v: {"user": v}),
    "app.health": ("/healthz", lambda v: {"health": v}),
    "app.environment_file": ("/etc/shop/env", lambda v: {"environment_file": v}),
    "app.writable[0]": ("/srv/shop/up", lambda v: {"writable": [v]}),
    "app.environment.LOG": ("info", lambda v: {"environment": {"LOG": v}}),
}


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("bad", HOSTILE)
@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_hostile_text_is_refused_with_its_field(field: str, bad: str, place: str) -> None:
    good, build = TEXTS[field]
    half = len(good) // 2
    text = {
        "start": bad + good,
        "middle": good[:half] + bad + good[half:],
        "end": good + bad,
    }[place]
    assert files.validate(Intent, {"app": {"module": "m"} | build(good)}, name="a")
    with pytest.raises(InvalidInput) as caught:
        files.validate(Intent, {"app": {"module": "m"} | build(text)}, name="advisor.yml")
    assert f"advisor.yml: {field}:" in caught.value.message


@pytest.mark.parametrize("bad", HOSTILE)
def test_hostile_domains_and_listeners_are_refused(bad: str) -> None:
    app = {"app": {"module": "m"}}
    for key, good in (("domain", "shop.example"), ("listen", "127.0.0.1:8000")):
        assert files.validate(Intent, app | {key: good}, name="a")
        with pytest.raises(InvalidInput, match=f"a: {key}:"):
            files.validate(Intent, app | {key: good + bad}, name="a")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("listen", "127.0.0.1"),
        ("listen", "127.0.0.1:0"),
        ("listen", "127.0.0.1:65536"),
        ("listen", "::1:8000"),
        ("listen", "[127.0.0.1]:8000"),
        ("listen", "[fe80::1%eth0]:8000"),
        ("listen", "localhost:8000"),
        ("domain", "-shop.example"),
        ("domain", "a..b"),
        ("targets", {"rate_rps": -1}),
        ("targets", {"rate_rps": 0}),
        ("targets", {"rate_rps": True}),
        ("targets", {"concurrency": 1.5}),
        ("budget", {"memory": "-1M"}),
        ("budget", {"memory": "lots"}),
        ("budget", {"memory": 0}),
        ("budget", {"cpus": float("nan")}),
        ("budget", {"cpus": float("inf")}),
        ("manage", ["nginx"]),
        ("tls", {"certificate": "/a"}),
        ("tls", {"acme": True, "key": "/a", "certificate": "/b"}),
        ("tls", {}),
        ("systemd", {"mode": "dropin", "unit": "shop.socket"}),
        ("pins", {"workers": 4}),
        ("sever", "gunicorn"),
    ],
)
def test_wrong_values_are_refused_with_their_key(key: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=f"a: {key}"):
        files.validate(Intent, {"app": {"module": "m"}, key: value}, name="a")


@pytest.mark.parametrize("value", ["unix", "127.0.0.1:8000", "[::1]:8000", "0.0.0.0:65535"])
def test_listeners(value: str) -> None:
    assert read(f"app: {{module: m}}\nlisten: '{value}'").listen == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("700M", 700 * 1024**2),
        ("1.5G", 3 * 1024**3 // 2),
        ("64MiB", 64 * 1024**2),
        ("2T", 2 * 1024**4),
        (" 8K ", 8192),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    assert parse_size(text) == expected


@given(st.text())
def test_no_text_makes_a_size_or_anything_but_value_error(text: str) -> None:
    try:
        assert parse_size(text) >= 0
    except ValueError as error:
        assert "700M" in str(error)  # noqa: PT017 - either outcome is right, nothing else is


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_no_value_of_any_key_ends_in_anything_but_invalid_input(value: Any) -> None:
    for key in Intent.model_fields:
        try:
            files.validate(Intent, {"app": {"module": "m"}, key: value}, name="a")
        except InvalidInput as error:
            assert error.message.startswith("a: ")  # noqa: PT017 - either outcome is right
