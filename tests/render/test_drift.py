"""Every way in which a tree can differ is found, named with its line, and nothing else is."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from advisor.errors import InvalidInput
from advisor.render import CheckResult, File, Problem, drift_trees, examine, render, write
from advisor.render.drift import (
    PROBLEMS,
    difference,
    first_difference,
    of_checks,
    of_config,
    of_files,
    placed,
)
from advisor.render.rendering import RECOMMENDATION_PATH
from advisor.render.tree import MANIFEST_PATH, Standing, digests, standings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

CONF = "gunicorn/gunicorn.conf.py"
FILES = (CONF, RECOMMENDATION_PATH, MANIFEST_PATH)
FOLDERS = ("gunicorn", ".advisor")


@pytest.fixture(autouse=True)
def no_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemons' verdicts are tests/cli/test_check.py's; here all would say the same."""
    monkeypatch.setattr(drift_trees, "check", lambda *_: [])


@pytest.fixture
def tree(make: Make, tmp_path: Path) -> Path:
    folder = tmp_path / "deploy"
    write(render(make()), folder)
    return folder


def said(folder: Path, stated: dict[str, Any] | None = None) -> list[tuple[str, str, int | None]]:
    return [(each.rule, each.path, each.line) for each in examine(folder, stated).problems]


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_tree_as_rendered_has_no_problem(tree: Path) -> None:
    found = examine(tree)
    assert (found.problems, found.difference) == ((), "")
    assert found.files == len([path for path in tree.rglob("*") if path.is_file()]) - 1


def test_a_hand_edit_is_named_with_its_first_line(tree: Path) -> None:
    text = (tree / CONF).read_text()
    number = text[: text.index("workers =")].count("\n") + 1
    change(tree / CONF, "workers =", "workers  =")
    (problem,) = examine(tree).problems
    assert (problem.rule, problem.path, problem.line) == ("hand-edit", CONF, number)
    assert "workers  =" in problem.text


@pytest.mark.parametrize("content", [b"", b"\xff\x00\n", b"x" * 200_000, b"\x1b[31mred\n"])
def test_whatever_a_file_holds_it_is_a_hand_edit(tree: Path, content: bytes) -> None:
    (tree / CONF).write_bytes(content)
    found = examine(tree)
    assert [(each.rule, each.path, each.line) for each in found.problems] == [
        ("hand-edit", CONF, 1)
    ]
    assert CONF in found.difference


def test_a_huge_file_is_not_read_whole(tree: Path) -> None:
    with (tree / CONF).open("wb") as stream:
        stream.truncate(40 * 1024**3)
    (problem,) = examine(tree).problems
    assert (problem.rule, problem.text) == ("hand-edit", "is larger than 32 MiB")


def test_line_ends_are_told_from_words(tree: Path) -> None:
    (tree / CONF).write_bytes((tree / CONF).read_bytes().replace(b"\n", b"\r\n"))
    (problem,) = examine(tree).problems
    assert (problem.line, problem.text) == (
        1,
        "differs in its line end, or in bytes that are no text",
    )


def test_missing_and_extra_files(tree: Path) -> None:
    (tree / CONF).unlink()
    (tree / "nginx" / "old.conf").write_text("server {}\n")
    (tree / "nginx" / "more").mkdir()
    (tree / ".advisor" / "notes").symlink_to("/etc/passwd")
    (tree / "README.md").write_text("what stands beside the folders is nobody's business\n")
    assert said(tree) == [
        ("missing-file", CONF, None),
        ("extra-file", ".advisor/notes", None),
        ("extra-file", "nginx/more", None),
        ("extra-file", "nginx/old.conf", None),
    ]


def test_a_name_that_is_no_text_can_be_told(tree: Path) -> None:
    (tree / "nginx" / os.fsdecode(b"\xff.conf")).write_text("")
    assert said(tree) == [("extra-file", "nginx/\ufffd.conf", None)]


def test_what_would_be_rendered_otherwise_is_outdated(make: Make, tmp_path: Path) -> None:
    files = render(make())
    was = [
        replace(file, content=file.content.replace(b"workers =", b"workers_ ="))
        for file in files
        if not file.path.startswith("nginx/")
    ]
    write([*was, File("redis/shop.conf", b"maxmemory 1\n", None)], tmp_path)
    problems = {each.path: each for each in examine(tmp_path).problems}
    assert {each.rule for each in problems.values()} == {"outdated-output"}
    assert problems[CONF].line
    assert problems["nginx/shop.conf"].text == "is not there, and would be rendered now"
    assert problems["redis/shop.conf"].text == "would not be rendered any more"


def test_a_changed_recommendation_is_stale_and_its_files_are_outdated(tree: Path) -> None:
    lines = (tree / CONF).read_text().splitlines()
    (number,) = (int(line[len("workers = ") :]) for line in lines if line.startswith("workers = "))
    setting = "- id: gunicorn.workers\n  value: "
    change(tree / RECOMMENDATION_PATH, f"{setting}{number}\n", f"{setting}{number + 1}\n")
    problems = {each.path: each for each in examine(tree).problems}
    assert problems[RECOMMENDATION_PATH].rule == "stale-input"
    assert problems[CONF].rule == "outdated-output"
    assert f'would be "workers = {number + 1}"' in problems[CONF].text


def test_a_comment_in_the_recommendation_is_named_with_its_line(tree: Path) -> None:
    kept = tree / RECOMMENDATION_PATH
    kept.write_text(f"# reviewed\n{kept.read_text()}")
    assert said(tree) == [("stale-input", RECOMMENDATION_PATH, 1)]


@pytest.mark.parametrize(
    ("damage", "line", "words"),
    [
        (lambda text: text + "surprise: 1\n", True, "surprise: unknown key"),
        (lambda text: text + "a: [\n", True, ""),
        (
            lambda text: text.replace("schema: advisor/recommendation/1", "schema: x"),
            True,
            "schema",
        ),
        (lambda text: text.replace("value: shop.example", "value: a;b"), True, "domain"),
        (lambda _: "", False, "expected a mapping"),
        (lambda _: "[" * 5000, False, "nested too deep"),
        (lambda _: "\x00", False, "not valid YAML"),
    ],
)
def test_a_recommendation_that_cannot_be_used_is_named(
    tree: Path, damage: Callable[[str], str], *, line: bool, words: str
) -> None:
    kept = tree / RECOMMENDATION_PATH
    kept.write_text(damage(kept.read_text()))
    problems = examine(tree).problems
    assert {each.rule for each in problems} == {"stale-input"}
    assert {each.path for each in problems} == {RECOMMENDATION_PATH}
    assert any(words in each.text and bool(each.line) == line for each in problems), problems


def test_without_a_usable_recommendation_the_manifest_judges(tree: Path) -> None:
    (tree / RECOMMENDATION_PATH).write_text("[]\n")
    change(tree / CONF, "workers =", "workers  =")
    (tree / "nginx" / "shop.conf").unlink()
    rules = {(rule, path) for rule, path, _ in said(tree)}
    assert ("hand-edit", CONF) in rules
    assert ("missing-file", "nginx/shop.conf") in rules
    assert not [path for rule, path in rules if path.startswith("systemd/")]


def test_a_missing_manifest_is_said_once_and_what_would_be_rendered_judges(tree: Path) -> None:
    (tree / MANIFEST_PATH).unlink()
    assert said(tree) == [("missing-file", MANIFEST_PATH, None)]
    change(tree / CONF, "workers =", "workers  =")
    assert {rule for rule, *_ in said(tree)} == {"missing-file", "hand-edit"}


def test_a_missing_recommendation_is_said_once(tree: Path) -> None:
    (tree / RECOMMENDATION_PATH).unlink()
    assert said(tree) == [("missing-file", RECOMMENDATION_PATH, None)]


def test_a_changed_manifest_is_a_hand_edit(tree: Path) -> None:
    manifest = tree / MANIFEST_PATH
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if CONF not in line) + "nonsense\n")
    (problem,) = examine(tree).problems
    assert (problem.rule, problem.path) == ("hand-edit", MANIFEST_PATH)
    assert CONF in problem.text
    manifest.write_text("".join(lines).replace(lines[1][:8], "00000000", 1))
    (problem,) = examine(tree).problems
    assert "digest is not the manifest's" in problem.text


IN_THE_WAY = [
    *((path, kind) for path in FILES for kind in ("link", "loop", "folder", "pipe")),
    *((path, kind) for path in FOLDERS for kind in ("link", "loop", "file", "pipe")),
]


@pytest.mark.parametrize(("path", "kind"), IN_THE_WAY)
def test_what_is_no_plain_file_is_named_and_never_followed(
    tree: Path, tmp_path: Path, path: str, kind: str
) -> None:
    place = tree / path
    outside = tmp_path / "outside"
    if kind == "link":
        place.rename(outside)
        place.symlink_to(outside)
    else:
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        match kind:
            case "loop":
                place.symlink_to(place)
            case "folder":
                place.mkdir()
            case "pipe":
                os.mkfifo(place)
            case _:
                place.write_text("mine")
    try:
        problems = examine(tree).problems
    except InvalidInput as error:
        # Without its .advisor a folder is no tree.
        assert path == ".advisor"
        words = ("holds no rendered tree", "Too many levels")
        assert any(each in error.message for each in words)  # noqa: PT017 - either way is right
        return
    assert problems
    assert {each.rule for each in problems} <= {"hand-edit", "missing-file", "stale-input"}


def test_a_fleets_trees_are_all_looked_at(make: Make, tmp_path: Path) -> None:
    for name in ("web1", "web2", "web3"):
        (tmp_path / "hosts").mkdir(exist_ok=True)
        write(render(make(settings={"gunicorn.workers": len(name)})), tmp_path / "hosts" / name)
    (tmp_path / "hosts" / "README").write_text("mine")
    assert said(tmp_path) == []
    change(tmp_path / "hosts" / "web2" / CONF, "workers =", "workers  =")
    shutil.rmtree(tmp_path / "hosts" / "web3" / ".advisor")
    found = examine(tmp_path)
    assert [(each.rule, each.path) for each in found.problems] == [
        ("hand-edit", f"hosts/web2/{CONF}"),
        ("missing-file", "hosts/web3/.advisor/manifest"),
        ("missing-file", "hosts/web3/.advisor/recommendation.yml"),
    ]
    assert f"hosts/web2/{CONF}" in found.difference


def test_hosts_with_the_same_files_share_their_verdicts(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def check(files: list[Any], _: Recommendation) -> list[CheckResult]:
        asked.append(files)
        return [CheckResult(CONF, "a check", "failed", (f"{CONF}:3: no",))]

    monkeypatch.setattr(drift_trees, "check", check)
    (tmp_path / "hosts").mkdir()
    for name, workers in (("web1", 2), ("web2", 2), ("web3", 4)):
        write(render(make(settings={"gunicorn.workers": workers})), tmp_path / "hosts" / name)
    assert said(tmp_path) == [
        ("refused", f"hosts/{name}/{CONF}", 3) for name in ("web1", "web2", "web3")
    ]
    assert len(asked) == 2


@pytest.mark.parametrize(
    "make_it",
    [
        lambda _: None,
        lambda path: path.write_text("a file"),
        lambda path: path.mkdir(),
        lambda path: (path / ".advisor").mkdir(parents=True),
        lambda path: (path / "hosts" / "web1").mkdir(parents=True),
        lambda path: path.symlink_to(path),
    ],
)
def test_what_holds_no_tree_is_invalid_input(
    tmp_path: Path, make_it: Callable[[Path], object]
) -> None:
    make_it(tmp_path / "deploy")
    with pytest.raises(InvalidInput, match="deploy"):
        examine(tmp_path / "deploy")


def test_each_key_that_advisor_yml_says_otherwise_is_named(make: Make) -> None:
    rec = make(intent={"domain": "shop.example", "limits.request_body": 1000, "proxy": "nginx"})
    text = next(f.content.decode() for f in render(rec) if f.path == RECOMMENDATION_PATH)
    stated_by = ((key, one) for key, one in rec.intent.items() if one.from_ == "config")
    made = {key: one.value for key, one in stated_by if one.value is not None}
    assert of_config(made, rec, text) == []
    stated = made | {"domain": "blog.example", "server": "gunicorn"}
    del stated["limits.request_body"]
    if rec.intent["server"].from_ == "config":
        del stated["server"]
    problems = of_config(stated, rec, text)
    lines = text.splitlines()
    assert len(problems) == 3
    for problem in problems:
        key = problem.text.partition(":")[0]
        assert problem.line
        assert lines[problem.line - 1].strip() == f"{key}:"
    assert any("'blog.example', this was made with 'shop.example'" in p.text for p in problems)


def test_checks_are_problems_with_their_lines() -> None:
    results = [
        CheckResult(CONF, "a", "passed"),
        CheckResult(CONF, "b", "failed", (f"{CONF}:10: worker_class: no", "nginx.conf:3: [emerg]")),
        CheckResult(CONF, "c", "not_run", ("nothing here",)),
    ]
    assert of_checks(results) == [
        Problem("refused", CONF, 10, "b: worker_class: no"),
        Problem("refused", CONF, None, "b: nginx.conf:3: [emerg]"),
        Problem("not-run", CONF, None, "c: not run: nothing here"),
    ]


def test_a_place_is_taken_off_a_line() -> None:
    assert placed("refused", "a/b", "a/b:3:7: bad") == Problem("refused", "a/b", 3, "bad")
    assert placed("refused", "a/b", "a/b: bad") == Problem("refused", "a/b", None, "bad")
    assert placed("refused", "a/b", "bad") == Problem("refused", "a/b", None, "bad")


def test_the_headers_digest_is_named_only_where_nothing_else_differs() -> None:
    old, new = (f"# x 1, inputs {digest}\nb {digest[0]};\n".encode() for digest in ("0a1", "1a0"))
    assert first_difference(old, new) == (2, 'is "b 0;", would be "b 1;"')
    other = old.replace(b"0a1", b"0a2")
    line, words = first_difference(old, other)
    assert line == 1
    assert "inputs 0a2" in words


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_the_first_difference_is_in_a_line_of_the_file(present: bytes, wanted: bytes) -> None:
    assume(present != wanted)
    line, words = first_difference(present, wanted)
    lines = present.splitlines(keepends=True)
    assert 1 <= line <= max(1, len(lines))
    assert lines[: line - 1] == wanted.splitlines(keepends=True)[: line - 1]
    assert words


@given(st.text("ab\n", max_size=12), st.text("ab\n", max_size=12), st.booleans(), st.booleans())
def test_patch_makes_of_the_tree_what_would_be_rendered(
    tmp_path_factory: pytest.TempPathFactory, old: str, new: str, there: bool, kept: bool
) -> None:
    assume(there or kept)
    assume(old or not there)  # a file that is empty and one that is not are one to patch
    assume(new or not kept)
    folder = tmp_path_factory.mktemp("patch")
    one = Standing(
        "a/b", new.encode() if kept else None, old.encode() if there else None, frozenset()
    )
    if there:
        (folder / "t" / "a").mkdir(parents=True)
        (folder / "t" / "a" / "b").write_text(old)
    text = difference([one], "t")
    if not text:
        assert one.present == one.wanted
        return
    subprocess.run(
        ["git", "apply", "-p0", "-"],
        cwd=folder,
        input=text.encode(),
        check=True,
        env={"PATH": os.environ["PATH"], "GIT_CEILING_DIRECTORIES": str(folder.parent)},
    )
    left = folder / "t" / "a" / "b"
    assert (left.read_text() if left.exists() else None) == (new if kept else None)


def test_every_rule_says_what_to_do() -> None:
    assert all(means.endswith(".") and remedy.endswith(".") for means, remedy in PROBLEMS.values())


@given(st.sampled_from(["a", "b", None]), st.sampled_from(["a", "b", None]), st.integers(0, 3))
def test_a_file_is_all_right_exactly_where_all_three_agree(
    present: str | None, wanted: str | None, known: int
) -> None:
    entries = digests([File("x/y", b"a", None)]) if known else {}
    one = Standing(
        "x/y",
        wanted.encode() if wanted else None,
        present.encode() if present else None,
        entries.get("x/y", frozenset()),
    )
    assume(one.wanted is not None or one.digests)
    agree = present is not None and present == wanted and (known and present == "a")
    assert (of_files([one]) == []) == bool(agree)


def test_standings_are_of_the_files_and_of_the_manifest(tree: Path, make: Make) -> None:
    files = render(make())
    known = digests(files) | {"redis/shop.conf": frozenset({"0" * 64})}
    found = {one.path: one for one in standings(files, tree, known)}
    assert set(found) == {file.path for file in files} | {"redis/shop.conf"}
    assert not any(one.is_edited for one in found.values())
