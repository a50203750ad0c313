from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import InvalidInput
from advisor.render import not_rendered, render
from advisor.render.kit.sysctl import KEYS, SYSCTL
from advisor.render.quoting import sysctl
from advisor.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

PATH = "sysctl/90-shop.conf"
MANAGE = {"manage": ["server", "proxy", "systemd", "sysctl"]}
VALUES = {
    "sysctl.somaxconn": 8192,
    "sysctl.tcp_max_syn_backlog": 4096,
    "sysctl.ip_local_port_range": [16384, 65535],
    "sysctl.tcp_fin_timeout": 60,
    "sysctl.tcp_migrate_req": 1,
    "sysctl.file_max": 2**40,
}


def texts(rec: Recommendation) -> dict[str, str]:
    return {file.path: file.content.decode() for file in render(rec)}


def assigned(text: str) -> dict[str, str]:
    """As sysctl.d(5) reads it: lines that begin with # or ; are none."""
    lines = [line for line in text.split("\n") if line.strip() and line[0] not in "#;"]
    return {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}


def test_the_component_writes_all_settings_of_its_rules() -> None:
    ours = {
        id_
        for id_, rule in RULES.items()
        if id_.startswith("sysctl.") and rule.applied_by == "file"
    }
    assert set(SYSCTL.settings) == set(KEYS) == set(VALUES) == ours


def test_each_key_has_its_value_under_its_reason(make: Make) -> None:
    text = texts(make(intent=MANAGE, settings=VALUES))[PATH]
    assert assigned(text) == {
        "net.core.somaxconn": "8192",
        "net.ipv4.tcp_max_syn_backlog": "4096",
        "net.ipv4.ip_local_port_range": "16384 65535",
        "net.ipv4.tcp_fin_timeout": "60",
        "net.ipv4.tcp_migrate_req": "1",
        "fs.file-max": str(2**40),
    }
    lines = text.split("\n")
    for line in lines:
        if " = " in line:
            assert lines[lines.index(line) - 1].startswith("# ")


def test_it_is_rendered_only_where_manage_names_it(make: Make) -> None:
    rec = make(settings=VALUES)
    assert PATH not in texts(rec)
    assert set(VALUES) <= set(not_rendered(rec))


def test_what_suffices_is_not_set(make: Make) -> None:
    text = texts(make(intent=MANAGE))[PATH]
    assert assigned(text) == {}
    assert "# Nothing has to be raised" in text
    one = texts(make(intent=MANAGE, settings={"sysctl.somaxconn": 8192}))[PATH]
    assert set(assigned(one)) == {"net.core.somaxconn"}
    assert "Nothing has to be raised" not in one


@given(value=st.one_of(st.integers(0, 2**63), st.lists(st.integers(0, 65535), min_size=1)))
def test_numbers_are_read_back(value: int | list[int]) -> None:
    read = [int(word) for word in sysctl(value).split(" ")]
    assert read == (value if isinstance(value, list) else [value])


@pytest.mark.parametrize("value", [True, "1 2", "8192\nkernel.modprobe = /x", -1, [1, "a"], ""])
def test_anything_else_is_refused(value: int) -> None:
    with pytest.raises(InvalidInput, match="sysctl"):
        sysctl(value)


def test_a_load_balancer_of_caddys_keeps_what_waits_at_a_reload(make: Make) -> None:
    hosts = {"hosts": ["10.0.0.11:8000", "10.0.0.12:8000"], "domain": "shop.example"}
    path = "load_balancer/90-shop-balancer.conf"
    found = texts(make(intent=MANAGE | hosts | {"proxy": "caddy"}, settings=VALUES))
    assert assigned(found[path]) == {"net.ipv4.tcp_migrate_req": "1"}
    assert path not in texts(make(intent=MANAGE | hosts, settings=VALUES))
    assert path not in texts(make(intent=MANAGE | {"proxy": "caddy"}, settings=VALUES))
