"""Strings that a grammar could read as syntax reach no file; others change no structure."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from advisor.errors import InvalidInput
from advisor.render import render
from advisor.render.quoting import COMMENT_WIDTH, comment

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

HOSTILE = "\n\r\0\t \"'`;{}$%\\#&|<>*?!^\u202e\u2028é"
FRAGMENTS = ("{{ 7 * 7 }}", "{% raw %}", "${x}", "%h", "; include /etc/passwd", "a\nUser=root", "#")
usual = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


# Where the text goes, and the field that the refusal has to name.
PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "app.directory": lambda text: {"app.directory": f"/{text}"},
    "app.virtualenv": lambda text: {"app.virtualenv": f"/{text}"},
    "app.environment_file": lambda text: {"app.environment_file": f"/{text}"},
    "app.user": lambda text: {"app.user": text},
    "app.writable": lambda text: {"app.writable": [f"/{text}"]},
    "domain": lambda text: {"domain": text},
    "listen": lambda text: {"listen": text},
    "static path": lambda text: {"static": {f"/{text}": "/srv/x"}},
    "static folder": lambda text: {"static": {"/x": f"/{text}"}},
    "app.environment name": lambda text: {"app.environment": {text: "x"}},
    "app.environment value": lambda text: {"app.environment": {"X": text}},
}

hostile_text = st.one_of(
    st.sampled_from(FRAGMENTS),
    st.tuples(
        st.text("ab/.", max_size=5), st.sampled_from(HOSTILE), st.text("ab/.", max_size=5)
    ).map("".join),
)


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


@pytest.mark.parametrize("id_", ["gunicorn.worker_class", "gunicorn.worker_tmp_dir"])
@usual
@given(hostile=hostile_text)
def test_a_hostile_setting_is_refused_by_its_id(make: Make, id_: str, hostile: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(id_)):
        render(make(settings={id_: hostile}))


def structure(rec: Recommendation) -> dict[str, Any]:
    """What the files say, values aside: assigned names, directives with their nesting, keys."""
    out: dict[str, Any] = {}
    for file in render(rec):
        if file.output is None:
            continue
        text = file.content.decode()
        template = file.output.template
        if file.output.checker == "gunicorn":
            out[template] = [ast.unparse(node.targets[0]) for node in ast.parse(text).body]
            continue
        # split("\n"): what nginx and systemd take for a line's end, and nothing else
        meaning = [line for line in text.split("\n") if not re.match(r"\s*#|\s*$", line)]
        if file.output.checker == "nginx":
            assert all(re.fullmatch(r"[^;{}]*[;{]|\s*}", line) for line in meaning)
            out[template] = [(line.split()[0], line[-1]) for line in meaning]
        else:
            assert all(re.fullmatch(r"\[\w+\]|\w+=.*", line) for line in meaning)
            out[template] = [line.partition("=")[0] for line in meaning]
    return out


segment = st.from_regex(r"\A[A-Za-z0-9._~@+-]{1,12}\Z").filter(lambda part: part not in {".", ".."})
folder = st.lists(segment, min_size=1, max_size=4).map(lambda parts: "/srv/" + "/".join(parts))


@usual
@given(
    name=st.from_regex(r"\A[a-z][a-z0-9]{0,8}([-_][a-z0-9]{1,8}){0,2}\Z"),
    user=st.from_regex(r"\A[a-z_][a-z0-9_-]{0,20}\Z"),
    module=st.from_regex(
        r"\A[A-Za-z_]\w{0,9}(\.[A-Za-z_]\w{0,9}){0,2}:[a-z]{1,9}(\(\))?\Z",
        alphabet=st.characters(max_codepoint=127),
    ),
    domain=st.from_regex(r"\A(\*\.)?[a-z0-9]{1,9}(\.[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?){0,3}\Z"),
    directory=folder,
    static=folder,
    value=st.from_regex(r"\A[A-Za-z0-9._~@+/:,=-]{0,40}\Z"),
)
def test_accepted_values_change_no_structure(
    make: Make,
    name: str,
    user: str,
    module: str,
    domain: str,
    directory: str,
    static: str,
    value: str,
) -> None:
    intent = {
        "app.name": name,
        "app.module": module,
        "app.user": user,
        "app.directory": directory,
        "app.virtualenv": directory,
        "app.writable": [directory],
        "app.environment": {"A": value, "B": "b"},
        "domain": domain,
        "static": {static: static, "/media": "/srv/media"},
    }
    rec = make(intent=intent, app={"name": name, "module": module})
    assert structure(rec) == structure(make())


@usual
@given(why=st.text(max_size=400))
def test_a_reason_stays_a_comment(make: Make, why: str) -> None:
    ids = ("gunicorn.workers", "nginx.upstream_keepalive", "systemd.limit_nofile")
    rec = make(why=dict.fromkeys(ids, why))
    assert structure(rec) == structure(make())


@given(text=st.text())
def test_a_comment_is_one_printable_line(text: str) -> None:
    line = comment(text)
    assert line.isprintable()
    assert len(line) <= COMMENT_WIDTH
    assert not line.endswith("\\")
    assert line.splitlines() in ([], [line])
