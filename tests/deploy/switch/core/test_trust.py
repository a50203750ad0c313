"""What others than root could have written is not acted on: it is named, and nothing is changed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from advisor.deploy.switch import trust
from advisor.deploy.switch.__main__ import main
from advisor.deploy.switch.documents import Install, Refused
from tests.deploy.switch.core.made import asked, done, live, switch, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from advisor.deploy.switch.layout import Layout

STRANGER = 65534
RELIED_ON = (
    "etc/advisor",
    "etc/advisor/generations",
    "etc/advisor/generations/1",
    "etc/advisor/generations/1/shop/nginx/shop.conf",
    "etc/advisor/generations/2/shop",
    "etc/advisor/generations/2/shop/nginx",
    "etc/advisor/generations/2/shop/.advisor/install.json",
    "var/lib/advisor/journal.jsonl",
    "usr/local/lib/advisor",
    "usr/local/lib/advisor/switch.pyz",
)


@pytest.fixture
def host(layout: Layout) -> Layout:
    """One with two generations and the program."""
    for says in "12":
        assert done(switch(layout), asked(tree(says=says)))["state"] == "committed"
    layout.program.parent.mkdir(parents=True, mode=0o755)
    layout.program.touch(mode=0o755)
    assert done(switch(layout), asked(tree(says="2")))["state"] == "unchanged"
    return layout


def assert_refused(host: Layout, word: str) -> None:
    before = live(host)
    for request in (asked(tree(says="3"), overwrite=True), asked(to=1, overwrite=True)):
        operation = done(switch(host), request)
        assert operation["state"] == "refused"
        assert word in operation["reason"]["message"]
        assert "chmod go-w" in operation["reason"]["look"]
    assert live(host) == before


@pytest.mark.parametrize("path", RELIED_ON)
@pytest.mark.parametrize("bit", [0o002, 0o020], ids=["by all", "by its group"])
def test_what_others_may_write_is_refused(host: Layout, path: str, bit: int) -> None:
    there = host.root / path
    there.chmod(there.stat().st_mode | bit)
    assert_refused(host, f"{there} may be written by others")
    there.chmod(there.stat().st_mode & ~0o022)
    assert done(switch(host), asked(tree(says="3")))["state"] == "committed"


@pytest.mark.parametrize("path", [*RELIED_ON, "etc/advisor/current", "var/lib/advisor"])
def test_what_belongs_to_another_is_refused(
    host: Layout, path: str, not_run: Callable[[str], NoReturn]
) -> None:
    if os.geteuid() != 0:
        not_run("only root can give a file away")
    os.chown(host.root / path, STRANGER, -1, follow_symlinks=False)
    assert_refused(host, f"{host.root / path} belongs to the user with the number {STRANGER}")


def test_a_request_that_others_may_write_is_refused(
    host: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "request.json"
    file.write_text(json.dumps(asked(tree(says="3"))))

    def said(verb: str) -> dict[str, Any]:
        main(["--root", str(host.root), verb, str(file)])
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    file.chmod(0o666)
    for verb in ("request", "check", "drain", "undrain"):
        assert f"{file} may be written by others (mode 0666)" in said(verb)["refused"]
    file.chmod(0o600)
    assert "refused" not in said("check")


def test_a_row_that_lets_others_write_is_none() -> None:
    document = json.loads(tree()[".advisor/install.json"])
    for mode in ("0646", "0664", "0777"):
        document["files"][0]["mode"] = mode
        with pytest.raises(Refused, match="mode"):
            Install.from_json(json.dumps(document))


def test_a_link_counts_by_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    assert trust.problem(tmp_path / "link") is None
    assert trust.problem(tmp_path / "none") is None
