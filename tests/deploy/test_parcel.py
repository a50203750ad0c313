from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy import parcel as parcels
from advisor.deploy.parcel import INSTALL, MANIFEST, PARTS, parcel, read_tree, tree_for
from advisor.deploy.switch.documents import Request
from advisor.errors import InvalidInput
from advisor.render.install import PATHS
from advisor.render.kit import COMPONENTS
from advisor.render.tree import MANIFEST_PATH
from tests.deploy.trees import HOSTS, rendered

if TYPE_CHECKING:
    from pathlib import Path


def of(directory: Path, *parts: str) -> parcels.Parcel:
    found = parcel(read_tree(directory), parts or ("app",))
    assert found
    return found


def test_an_apps_host_gets_the_tree_as_it_is(tmp_path: Path) -> None:
    rendered(tmp_path)
    handed = of(tmp_path)
    there = {
        str(path.relative_to(tmp_path)): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert handed.files == there
    digest = hashlib.sha256((tmp_path / MANIFEST_PATH).read_bytes()).hexdigest()
    assert handed.manifest_digest == digest


def test_a_load_balancer_gets_its_own_files_alone(tmp_path: Path) -> None:
    rendered(tmp_path, hosts=HOSTS)
    app, balancer = of(tmp_path), of(tmp_path, "load_balancer")
    assert {path.partition("/")[0] for path in balancer.files} == {"load_balancer", ".advisor"}
    assert not any(path.startswith("load_balancer/") for path in app.files)
    assert json.loads(balancer.files[INSTALL])["units"] == []
    assert app.manifest_digest != balancer.manifest_digest


@pytest.mark.parametrize("parts", [("app",), ("load_balancer",)])
def test_a_parcels_manifest_has_each_of_its_files(tmp_path: Path, parts: tuple[str, ...]) -> None:
    rendered(tmp_path, hosts=HOSTS)
    handed = of(tmp_path, *parts)
    lines = handed.files[MANIFEST].decode().splitlines()
    entries = dict(reversed(line.split("  ")) for line in lines)
    assert entries == {
        path: hashlib.sha256(content).hexdigest()
        for path, content in handed.files.items()
        if path != MANIFEST
    }


def test_one_host_may_be_of_two_kinds(tmp_path: Path) -> None:
    rendered(tmp_path, hosts=HOSTS, manage=["server", "proxy", "systemd", "monitoring"])
    both = of(tmp_path, "app", "monitoring")
    rows = {row["component"] for row in both.install["files"]}
    assert {"gunicorn", "monitoring"} <= rows
    assert both.install["units"]


def test_a_tree_without_a_load_balancer_has_nothing_for_one(tmp_path: Path) -> None:
    rendered(tmp_path)
    assert parcel(read_tree(tmp_path), ("load_balancer",)) is None


def test_a_changed_file_is_named(tmp_path: Path) -> None:
    rendered(tmp_path)
    (tmp_path / "nginx" / "shop.conf").write_text("server {}\n")
    with pytest.raises(InvalidInput, match=r"nginx/shop\.conf: was changed"):
        read_tree(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    rendered(tmp_path)
    (tmp_path / "nginx" / "shop.conf").unlink()
    with pytest.raises(InvalidInput, match=r"nginx/shop\.conf: No such file"):
        read_tree(tmp_path)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../b", "nginx/../../x"])
def test_a_manifest_leads_nowhere_else(tmp_path: Path, path: str) -> None:
    rendered(tmp_path)
    with (tmp_path / MANIFEST).open("a") as stream:
        stream.write(f"{'0' * 64}  {path}\n")
    with pytest.raises(InvalidInput, match="no entry of a manifest"):
        read_tree(tmp_path)


def test_a_tree_of_an_older_advisor_is_rendered_again(tmp_path: Path) -> None:
    rendered(tmp_path)
    lines = (tmp_path / MANIFEST).read_text().splitlines(keepends=True)
    (tmp_path / MANIFEST).write_text("".join(line for line in lines if INSTALL not in line))
    with pytest.raises(InvalidInput, match=r"no \.advisor/install\.json"):
        of(tmp_path)


def test_a_tree_that_is_not_for_a_host_is_refused(tmp_path: Path) -> None:
    rendered(tmp_path, domain=None)
    with pytest.raises(InvalidInput, match="domain is not set"):
        of(tmp_path)


def test_a_fleets_host_has_its_own_tree(tmp_path: Path) -> None:
    for host in ("web1", "web2"):
        rendered(tmp_path / "hosts" / host, hosts=HOSTS)
    assert tree_for(tmp_path, "web2", ["app"]) == tmp_path / "hosts" / "web2"
    with pytest.raises(InvalidInput, match="no tree for web3"):
        tree_for(tmp_path, "web3", ["app"])


def test_one_tree_is_for_all(tmp_path: Path) -> None:
    rendered(tmp_path)
    assert tree_for(tmp_path, "web3", ["app"]) == tmp_path


def test_a_folder_without_a_tree_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no rendered tree"):
        tree_for(tmp_path, "web1", ["app"])


def test_a_load_balancers_files_are_the_same_in_the_trees_of_its_hosts(tmp_path: Path) -> None:
    rendered(tmp_path / "hosts" / "web1", hosts=HOSTS)
    rendered(tmp_path / "hosts" / "web2", {"gunicorn.workers": 7}, hosts=HOSTS)
    assert tree_for(tmp_path, "lb", ["load_balancer"]) == tmp_path / "hosts" / "web1"


def test_trees_that_disagree_on_the_load_balancer_are_refused(tmp_path: Path) -> None:
    rendered(tmp_path / "hosts" / "web1", hosts=HOSTS)
    rendered(tmp_path / "hosts" / "web2", hosts=[HOSTS[0], "10.0.0.13:8080"])
    with pytest.raises(InvalidInput, match="are not those of"):
        tree_for(tmp_path, "lb", ["load_balancer"])


@pytest.mark.parametrize(
    ("intent", "parts", "needed"),
    [
        ({}, ("app",), {"app_service": "systemctl", "proxy_nginx": "nginx"}),
        ({"proxy": "caddy"}, ("app",), {"app_service": "systemctl", "proxy_caddy": "caddy"}),
        ({"hosts": HOSTS}, ("load_balancer",), {"load_balancer": "nginx"}),
        ({"hosts": HOSTS, "proxy": "caddy"}, ("load_balancer",), {"load_balancer": "caddy"}),
    ],
    ids=str,
)
def test_it_says_which_daemons_it_is_for(
    tmp_path: Path, intent: dict[str, Any], parts: tuple[str, ...], needed: dict[str, str]
) -> None:
    rendered(tmp_path, **intent)
    assert of(tmp_path, *parts).needs() == needed


def test_part_of_it_needs_less(tmp_path: Path) -> None:
    rendered(tmp_path)
    assert of(tmp_path).needs(["nginx"]) == {"proxy_nginx": "nginx"}


def test_the_switch_reads_the_request(tmp_path: Path) -> None:
    rendered(tmp_path)
    handed = of(tmp_path)
    fields = {"id": "0123456789abcdef", "by": "ann@control", "verb": "apply", "to": None}
    text = parcels.request(handed, "shop", **fields, deadline_s=60.0, components=["nginx"])
    read = Request.from_json(text)
    assert read.files == handed.files
    assert (read.app, read.components) == ("shop", {"nginx"})
    assert base64.b64encode(handed.files[MANIFEST]).decode() in text.decode()


def test_every_part_has_its_document() -> None:
    assert PARTS == PATHS


def test_every_folder_of_a_tree_has_its_role() -> None:
    folders = {each.path.partition("/")[0] for one in COMPONENTS for each in one.outputs}
    assert folders == {*parcels.NEEDS, "load_balancer"}
