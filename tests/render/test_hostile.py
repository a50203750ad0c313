"""Strings that a grammar could read as syntax reach no file; others change no structure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from advisor.errors import InvalidInput
from advisor.intent import Intent
from advisor.render import render
from advisor.render.quoting import COMMENT_WIDTH, comment
from advisor.render.values import IntentValues
from advisor.rules import RULES, refusal
from tests.render.trees import trees

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

HOSTILE = "\n\r\0\t \"'`;{}$%\\#&|<>*?!^\u202e\u2028é"
ENDINGS = ("\n", "\r", ";", "}", "\n}", "\0", "#", "\\", '"', "\u2028")
FRAGMENTS = ("{{ 7 * 7 }}", "{% raw %}", "${x}", "%h", "; include /etc/passwd", "a\nUser=root", "#")
usual = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


# Where the text goes, and the field that the refusal has to name.
PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "app.directory": lambda text: {"app.directory": f"/{text}"},
    "app.virtualenv": lambda text: {"app.virtualenv": f"/{text}"},
    "app.environment_file": lambda text: {"app.environment_file": f"/{text}"},
    "app.user": lambda text: {"app.user": text},
    "app.health": lambda text: {"app.health": f"/{text}"},
    "app.writable": lambda text: {"app.writable": [f"/{text}"]},
    "app.environment name": lambda text: {"app.environment": {text: "x"}},
    "app.environment value": lambda text: {"app.environment": {"X": text}},
    "app.interface": lambda text: {"app.interface": text},
    "server": lambda text: {"server": text},
    "domain": lambda text: {"domain": text},
    "listen": lambda text: {"listen": text},
    "listen port": lambda text: {"listen": f"127.0.0.1:{text}"},
    "proxy": lambda text: {"proxy": text},
    "tls certificate": lambda text: {"tls": {"certificate": f"/{text}", "key": "/k"}},
    "tls key": lambda text: {"tls": {"certificate": "/c", "key": f"/{text}"}},
    "static path": lambda text: {"static": {f"/{text}": "/srv/x"}},
    "static folder": lambda text: {"static": {"/x": f"/{text}"}},
    "routes path": lambda text: {"routes": {f"/{text}": "websocket"}},
    "routes kind": lambda text: {"routes": {"/x": text}},
    "routes time": lambda text: {"routes": {"/x": {"microcache": text}}},
    "hosts name": lambda text: {"hosts": ["10.0.0.1:80", f"{text}:80"]},
    "hosts socket": lambda text: {"hosts": [f"unix:/run/{text}", "unix:/run/a/a.sock"]},
    "hosts port": lambda text: {"hosts": ["10.0.0.1:80", f"10.0.0.2:{text}"]},
    "redis.role": lambda text: {"redis.role": text},
    "background.celery app": lambda text: {"background.celery": {"app": text, "kind": "io"}},
    "background.celery kind": lambda text: {"background.celery": {"app": "a:b", "kind": text}},
    "background.rq queue": lambda text: {"background.rq": {"queues": [text], "kind": "io"}},
    "background.rq kind": lambda text: {"background.rq": {"queues": ["q"], "kind": text}},
    "limits.request_body": lambda text: {"limits.request_body": text},
    "limits.rate_per_client_rps": lambda text: {"limits.rate_per_client_rps": text},
    "systemd.mode": lambda text: {"systemd.mode": text},
    "systemd.unit": lambda text: {"systemd.mode": "dropin", "systemd.unit": f"{text}.service"},
    "manage": lambda text: {"manage": [text]},
}
# The app's own three are at the top of a recommendation too, and have a test of their own.
AT_THE_TOP = {"app.name", "app.module"}

hostile_text = st.one_of(
    st.sampled_from(FRAGMENTS),
    st.tuples(
        st.text("ab/.", max_size=5), st.sampled_from(HOSTILE), st.text("ab/.", max_size=5)
    ).map("".join),
)


def test_every_key_that_render_reads_has_its_hostile_text() -> None:
    fields = IntentValues.model_fields.values()
    keys = {str(field.alias) for field in fields}
    assert {place.partition(" ")[0] for place in PLACES} | AT_THE_TOP == keys
    assert {key.partition(".")[0] for key in keys} <= set(Intent.model_fields)


@pytest.mark.parametrize("place", PLACES)
@usual
@given(hostile=hostile_text)
def test_a_hostile_intent_is_refused_by_its_fields_name(
    make: Make, place: str, hostile: str
) -> None:
    assume(not (place == "domain" and hostile.startswith("*.")))
    with pytest.raises(InvalidInput, match=re.escape(place.partition(" ")[0])):
        render(make(intent=PLACES[place](hostile)))


@pytest.mark.parametrize("key", ["name", "module"])
@usual
@given(hostile=hostile_text)
def test_a_hostile_app_is_refused_by_its_fields_name(make: Make, key: str, hostile: str) -> None:
    rec = make(app={key: hostile}, intent={f"app.{key}": hostile})
    with pytest.raises(InvalidInput, match=rf"app\.{key}"):
        render(rec)


@dataclass(frozen=True)
class Text:
    """A setting that holds text: by itself or in a list, and what its allow-list lets through."""

    id: str
    is_listed: bool
    right: st.SearchStrategy[str]

    def value(self, text: str) -> str | list[str]:
        return [text] if self.is_listed else text


def right(schema: dict[str, Any]) -> st.SearchStrategy[str] | None:
    """What an allow-list lets through, by its JSON Schema; null where that is for no text."""
    match schema:
        case {"pattern": pattern}:
            inner = pattern.removeprefix("^").removesuffix("$")
            return st.from_regex(re.compile(inner, re.ASCII), fullmatch=True)
        case {"enum": words} if isinstance(words[0], str):
            return st.sampled_from(words)
        case {"const": str(word)}:
            return st.just(word)
    return None


def texts() -> Iterator[Text]:
    for id_, rule in RULES.items():
        if rule.applied_by == "code":
            continue  # it is for the app to paste, and reaches no file of ours
        schema = TypeAdapter(rule.accepts).json_schema()
        for kind in schema.get("anyOf", [schema]):
            is_listed = kind.get("type") == "array"
            allowed = right(kind.get("items", {}) if is_listed else kind)
            if allowed is not None:
                yield Text(id_, is_listed, allowed)


TEXTS = list(texts())
any_text = pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.id)


def test_settings_that_hold_text_are_found() -> None:
    found = {text.id for text in TEXTS}
    assert found >= {
        *("gunicorn.worker_class", "gunicorn.worker_tmp_dir", "redis.save", "celery.pool"),
        *("nginx.microcache_key", "nginx.microcache_valid", "nginx.ssl_ciphers"),
        "caddy.trusted_proxies",
        *("nginx.set_real_ip_from", "nginx.limit_req_rate", "nginx.gzip_types"),
        *("caddy.static_cache_control", "caddy.microcache_bypass", "caddy.lb_policy"),
    }
    assert "gunicorn.workers" not in found


@any_text
@settings(usual, max_examples=30)
@given(hostile=hostile_text)
def test_a_hostile_setting_is_refused_by_its_id(make: Make, text: Text, hostile: str) -> None:
    value = text.value(hostile)
    # A variable of nginx starts with $: what a setting's own allow-list holds is no syntax there.
    assume(refusal(text.id, value) is not None)
    with pytest.raises(InvalidInput, match=re.escape(text.id)):
        render(make(settings={text.id: value}))


@any_text
@settings(usual, max_examples=30)
@given(data=st.data())
def test_what_a_setting_may_hold_does_not_go_on_behind_its_end(
    make: Make, text: Text, data: st.DataObject
) -> None:
    """A pattern that ends in $ would let a last line's end through."""
    value = text.value(data.draw(text.right) + data.draw(st.sampled_from(ENDINGS)))
    with pytest.raises(InvalidInput, match=re.escape(text.id)):
        render(make(settings={text.id: value}))


def shape(tree: Any) -> Any:
    """A tree without the text of its values: data that holds reasons may say others."""
    match tree:
        case dict():
            return {key: shape(value) for key, value in tree.items()}
        case list():
            return [shape(value) for value in tree]
        case _:
            return type(tree)


@usual
@given(why=st.text(max_size=400))
def test_a_reason_stays_a_comment(make: Make, why: str) -> None:
    usual_files = trees(render(make()))
    ids = [setting.id for setting in make().settings]
    found = trees(render(make(why=dict.fromkeys(ids, why))))
    assert found.keys() == usual_files.keys()
    for path, tree in found.items():
        if path.endswith(".json"):
            assert shape(tree) == shape(usual_files[path])
        else:
            assert tree == usual_files[path]


@given(text=st.text())
def test_a_comment_is_one_printable_line(text: str) -> None:
    line = comment(text)
    assert line.isprintable()
    assert len(line) <= COMMENT_WIDTH
    assert not line.endswith("\\")
    assert line.splitlines() in ([], [line])
