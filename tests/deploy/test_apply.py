"""What is looked at before a play begins, what its end amounts to, and how both are said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy import apply as applying
from advisor.deploy.ansible import Played
from advisor.deploy.apply import check_trees, rollback, verdict
from advisor.deploy.inventory import hosts
from advisor.errors import AdvisorError, InvalidInput, Refused
from advisor.report.apply import difference, generations, text
from tests.deploy.trees import HOSTS, rendered

if TYPE_CHECKING:
    from pathlib import Path

REASON = {
    "step": "gate",
    "message": "6 of 20 answers were errors",
    "url": "http://shop.example/healthz",
    "status": 502,
    "lines": ["connect() to unix:/run/shop/shop.sock failed"],
    "look": "journalctl -u shop.service",
}


def host(state: str, name: str = "web1", **more: Any) -> dict[str, Any]:
    return {"host": name, "state": state, **more}


def test_a_tree_as_rendered_may_be_applied(tmp_path: Path) -> None:
    check_trees(rendered(tmp_path))


def test_an_edited_file_is_named_before_any_host_is_asked(tmp_path: Path) -> None:
    site = rendered(tmp_path) / "nginx" / "shop.conf"
    site.write_text(site.read_text() + "# mine\n")
    with pytest.raises(Refused, match=r"nginx/shop\.conf: hand-edit") as refused:
        check_trees(tmp_path)
    assert refused.value.exit_code == 1
    assert "--overwrite" in str(refused.value)


def test_one_tree_of_a_fleet_that_was_edited_keeps_all_back(tmp_path: Path) -> None:
    for name in ("web1", "web2"):
        rendered(tmp_path / "hosts" / name, hosts=HOSTS)
    (tmp_path / "hosts" / "web2" / "gunicorn" / "gunicorn.conf.py").write_text("workers = 9\n")
    with pytest.raises(Refused, match="hosts/web2/gunicorn"):
        check_trees(tmp_path)


def test_without_a_domain_nothing_is_applied(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="domain is not set") as refused:
        check_trees(rendered(tmp_path, domain=None))
    assert refused.value.exit_code == 1


def test_a_folder_without_a_tree_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no rendered tree"):
        check_trees(tmp_path)


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["committed"], None),
        (["committed", "unchanged", "nothing"], None),
        (["changes", "unchanged"], 1),
        (["refused"], 1),
        (["unreachable", "untouched"], 1),
        (["committed", "untouched"], 1),
        (["returned", "untouched"], 5),
        (["refused", "returned"], 5),
        (["return_failed", "returned"], 6),
        ([], 1),
    ],
    ids=str,
)
def test_the_worst_of_the_hosts_is_the_exit_code(states: list[str], code: int | None) -> None:
    error = verdict([host(state) for state in states])
    assert (error.exit_code if error else None) == code


def test_of_a_host_out_of_reach_nothing_is_claimed() -> None:
    assert "is unreachable it is not known" in str(verdict([host("unreachable")]))
    assert "not known" not in str(verdict([host("refused")]))


def ended(code: int, state: str) -> Played:
    words = {"verb": "conclude", "state": state}
    play = {"event": "play", "hosts": ["web1"], "batch": ["web1"]}
    return Played(code, [play, {"event": "advisor", "host": "web1", "words": words}], "no such lb")


@pytest.mark.parametrize(("code", "state"), [(0, "committed"), (2, "refused"), (0, "refused")])
def test_a_play_is_judged_by_its_hosts(
    monkeypatch: pytest.MonkeyPatch, code: int, state: str
) -> None:
    monkeypatch.setattr(applying, "run_playbook", lambda *_, **__: ended(code, state))
    assert [each["state"] for each in rollback(hosts("web1,"))] == [state]


def test_a_play_that_broke_off_though_its_hosts_are_well_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(applying, "run_playbook", lambda *_, **__: ended(4, "committed"))
    with pytest.raises(AdvisorError, match="no such lb"):
        rollback(hosts("web1,"))


def test_what_was_taken_back_says_where_to_look() -> None:
    said = text([host("returned", reason=REASON), host("untouched", "web2")])
    assert "web1: TAKEN BACK\n" in said
    assert "gate: 6 of 20 answers were errors" in said
    assert "http://shop.example/healthz answered 502" in said
    assert "connect() to unix:/run/shop/shop.sock failed" in said
    assert "-> journalctl -u shop.service" in said
    assert "web2: not begun" in said


def test_what_was_applied_says_its_files_and_generations() -> None:
    more = {"generation": 7, "changed": ["nginx/shop.conf"]}
    assert text([host("committed", **{"from": 6}, **more)]) == (
        "web1: applied, generation 6 -> 7\n  nginx/shop.conf\n"
    )
    assert text([host("committed", **more)]).startswith("web1: applied, generation 7\n")


def test_a_log_line_does_not_speak_to_the_terminal() -> None:
    reason = REASON | {"lines": ["\x1b[31mred\x07"], "message": "\x1b]0;title"}
    diff = [{"path": "a", "before": "\x1b[2J\n", "after": "b\n"}]
    assert "\x1b" not in text([host("returned", reason=reason, diff=diff)])


def test_a_difference_is_a_unified_one() -> None:
    diff = [
        {"path": "nginx/shop.conf", "before": "a 1;\nb 2;\n", "after": "a 1;\nb 3;\n"},
        {"path": "sysctl/90-shop.conf", "before": None, "after": "c = 1\n"},
    ]
    assert difference(host("changes", diff=diff)) == (
        "--- web1:nginx/shop.conf\n+++ web1:nginx/shop.conf\n@@ -1,2 +1,2 @@\n a 1;\n-b 2;\n+b 3;\n"
        "--- /dev/null\n+++ web1:sysctl/90-shop.conf\n@@ -0,0 +1 @@\n+c = 1\n"
    )


def test_the_generations_of_a_host_are_listed() -> None:
    known = [
        {"n": 1, "apps": {"shop": "aaa"}, "committed": True, "at": "2026-11-21T10:00:00Z"},
        {"n": 2, "apps": {"shop": "bbb", "pages": "ccc"}, "committed": True, "at": None},
    ]
    said = generations([host("listed", status={"current": 2, "generations": known})])
    assert said.splitlines() == [
        "web1:",
        "    1  2026-11-21T10:00:00Z  shop aaa",
        "  * 2    pages ccc, shop bbb",
    ]
    assert generations([host("listed")]) == "web1: no generation of ours\n"
