"""What comes from elsewhere is read strictly: a document, or a refusal that names the field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.deploy.switch.documents import (
    INSTALL_PATH,
    MANIFEST_PATH,
    Install,
    Refusal,
    Refused,
    Request,
)
from advisor.deploy.switch.trees import check_whole, edits, mixed
from tests.deploy.switch.core.made import TARGETS, asked, tree, whole

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


def installed(**more: Any) -> str:
    return json.dumps({**json.loads(tree()[INSTALL_PATH]), **more})


def test_an_install_is_read_as_it_was_written() -> None:
    install = Install.from_json(installed())
    assert (install.app, install.server, install.proxy) == ("shop", "gunicorn", "nginx")
    assert install.files[0].mode == 0o640
    assert install.own_units == ["shop.service"]
    assert install.health
    assert install.health.url == "http://shop.example/healthz"
    assert Install.from_json(installed(health=None, proxy=None, server=None)).health is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"schema": "advisor/install/2"}, "this switch reads 'advisor/install/1'"),
        ({"app": "../etc"}, "app: not allowed: '../etc'"),
        ({"files": [{}]}, "files[0]: mode: missing"),
        ({"files": {}}, "files: wrong value"),
        ({"health": {"scheme": "http"}}, "health: address: missing"),
    ],
)
def test_a_wrong_install_is_named(more: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused) as caught:
        Install.from_json(installed(**more))
    assert message in caught.value.refusal.message


@pytest.mark.parametrize(
    "target",
    ["nginx.conf", "/etc/../root/.ssh/authorized_keys", "/etc/nginx/./a", "/etc", "/etc/a b"],
)
def test_a_target_is_a_plain_absolute_path(target: str) -> None:
    row = {**json.loads(tree()[INSTALL_PATH])["files"][0], "target": target}
    with pytest.raises(Refused):
        Install.from_json(installed(files=[row]))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"id": "1"}, "id: not allowed"),
        ({"verb": "destroy"}, "verb: should be apply or rollback"),
        ({"files": {"../x": ""}}, "no path of a tree"),
        ({"files": {"/etc/passwd": ""}}, "no path of a tree"),
        ({"files": {"nginx/a.conf": "%"}}, "is no base64"),
        ({"files": {"nginx/a.conf": 1}}, "is no base64"),
        ({"deadline_s": float("nan")}, "should be 0 to 3600"),
        ({"deadline_s": -1}, "should be 0 to 3600"),
        ({"overwrite": 1}, "overwrite: wrong value"),
        ({"to": True}, "to: wrong value"),
    ],
)
def test_a_wrong_request_is_named(more: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused) as caught:
        Request.from_data({**asked(tree()), **more})
    assert message in caught.value.refusal.message


def test_a_request_is_read_as_it_was_written() -> None:
    request = Request.from_json(json.dumps(asked(tree(), components=["nginx"], to=None)))
    assert request.files == tree()
    assert request.components == {"nginx"}
    assert Request.from_data(asked(to=3, files=None)).to == 3


@given(json_values)
def test_any_json_is_a_document_or_refused(value: Any) -> None:
    for read in (Install.from_json, Request.from_json):
        with pytest.raises(Refused):
            read(json.dumps(value))


@given(st.sampled_from(sorted(asked({}))), json_values)
def test_a_request_with_any_value_is_read_or_refused(key: str, value: Any) -> None:
    try:
        Request.from_data({**asked(tree()), key: value})
    except Refused as error:
        assert error.refusal.message  # noqa: PT017 - either is right


@given(st.sampled_from(sorted(json.loads(tree()[INSTALL_PATH]))), json_values)
def test_an_install_with_any_value_is_read_or_refused(key: str, value: Any) -> None:
    try:
        Install.from_json(installed(**{key: value}))
    except Refused as error:
        assert error.refusal.message  # noqa: PT017 - either is right


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        Request.from_json(raw)


@given(
    st.sets(st.sampled_from(sorted(TARGETS))),
    st.sets(st.sampled_from(sorted(TARGETS)), min_size=1),
    st.data(),
)
def test_a_mix_is_as_whole_as_a_rendered_tree(old: set[str], new: set[str], data: Any) -> None:
    before, after = tree(says="1", paths=sorted(old)), tree(says="2", paths=sorted(new))
    there = {path.partition("/")[0] for path in old | new}
    components = data.draw(st.frozensets(st.sampled_from(sorted(there)), min_size=1))
    mix = mixed(before, after, components)
    install = check_whole(mix, "shop")
    assert edits(mix) == {}
    for path in (row.path for row in install.files):
        is_new = path.partition("/")[0] in components
        assert mix[path] == (after if is_new else before)[path]
    assert mixed(mix, after, components) == mix
    everything = mixed(before, after, frozenset(there))
    assert {path for path in everything if not path.startswith(".")} == set(after) - {
        path for path in after if path.startswith(".")
    }


def test_without_its_proxys_files_the_app_itself_is_asked() -> None:
    direct = {"scheme": "http", "address": "/run/shop.sock", "port": 0, "host": "s", "path": "/"}
    files = {path: content for path, content in tree().items() if path != MANIFEST_PATH}
    after = whole({**files, INSTALL_PATH: installed(direct=direct).encode()})
    mix = check_whole(mixed(None, after, frozenset({"systemd"})), "shop")
    assert mix.health is not None
    assert (mix.health.address, mix.proxy) == ("/run/shop.sock", None)
    both = check_whole(mixed(None, after, frozenset({"systemd", "nginx"})), "shop")
    assert both.health is not None
    assert (both.health.port, both.proxy) == (80, "nginx")


def test_an_edit_survives_a_mix_as_an_edit() -> None:
    before = {**tree(), "systemd/shop.service": b"edited"}
    mix = mixed(before, tree(says="2"), frozenset({"nginx"}))
    assert edits(mix) == {"systemd/shop.service": "was edited"}


def test_a_refusal_travels_as_json() -> None:
    refusal = Refusal("gate", "502", "http://shop.example/", 502, ("a", "b"), "look")
    assert Refusal(**json.loads(json.dumps(refusal.as_json()))).as_json() == refusal.as_json()
