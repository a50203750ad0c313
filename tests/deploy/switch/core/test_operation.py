"""One operation after another on a host below a folder: what each leaves there."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy.switch import generations
from advisor.deploy.switch.documents import Refusal, Request
from advisor.deploy.switch.generations import KEPT
from advisor.deploy.switch.journal import Journal
from advisor.deploy.switch.lock import Lock
from advisor.deploy.switch.serve import boot
from advisor.deploy.switch.status import check, status
from tests.deploy.switch.core.made import (
    SITE,
    TARGETS,
    UNIT,
    USUAL,
    Killed,
    Told,
    asked,
    done,
    live,
    run,
    switch,
    take_in,
    tree,
    whole,
)

if TYPE_CHECKING:
    from pathlib import Path

    from advisor.deploy.switch.documents import Install
    from advisor.deploy.switch.layout import Layout

SHOP_SITE, SHOP_UNIT = SITE.format(app="shop"), UNIT.format(app="shop")


def applied(layout: Layout, says: str = "1", app: str = "shop", **more: Any) -> dict[str, Any]:
    return done(switch(layout), asked(tree(app, says), app=app, **more))


def text(layout: Layout, target: str) -> str:
    return layout.at(target).read_text(encoding="utf-8")


def test_a_first_apply_makes_a_generation_and_the_links_through_current(layout: Layout) -> None:
    here = switch(layout)
    operation = done(here, asked(tree()))
    assert (operation["state"], operation["from"], operation["generation"]) == (
        "committed",
        None,
        1,
    )
    assert operation["gate"] == {"answers": 100}
    assert str(layout.current.readlink()) == "generations/1"
    assert str(layout.at(SHOP_SITE).readlink()) == str(layout.current / "shop/nginx/shop.conf")
    assert text(layout, SHOP_UNIT) == "in systemd/{app}.service 1\n"
    assert here.services.calls == ["live without health", "staged", "baseline", "activate", "gate"]


def test_folders_let_in_whom_they_must(layout: Layout) -> None:
    applied(layout)
    done(switch(layout), asked(tree("blog", "1", [*USUAL, "caddy/Caddyfile"]), app="blog"))
    modes = {
        path: (layout.root / path).stat().st_mode & 0o777
        for path in (
            "etc/advisor",
            "etc/advisor/generations/2",
            "etc/advisor/generations/2/shop",
            "etc/advisor/generations/2/blog",
            "etc/advisor/generations/2/shop/.advisor",
            "etc/advisor/generations/2/shop/.advisor/install.json",
            "etc/advisor/generations/2/shop/nginx/shop.conf",
            "var/lib/advisor",
            "var/lib/advisor/requests",
            "var/lib/advisor/journal.jsonl",
        )
    }
    assert list(modes.values()) == [
        0o755, 0o755, 0o750, 0o751, 0o750, 0o640, 0o640, 0o700, 0o700, 0o600,
    ]  # fmt: skip


def test_the_same_tree_again_changes_and_reloads_nothing(layout: Layout) -> None:
    applied(layout)
    before, here = live(layout), switch(layout)
    times = {path: path.stat().st_mtime_ns for path in layout.etc.rglob("*")}
    operation = done(here, asked(tree()))
    assert operation["state"] == "unchanged"
    assert here.services.calls == []
    assert live(layout) == before
    assert {path: path.stat().st_mtime_ns for path in layout.etc.rglob("*")} == times


def test_only_what_differs_is_activated_and_the_rest_keeps_its_age(layout: Layout) -> None:
    applied(layout)
    applied(layout, app="blog")
    old = (layout.current / "shop/nginx/shop.conf").stat().st_mtime_ns
    files = tree()
    files["gunicorn/gunicorn.conf.py"] = b"workers = 3\n"
    operation = done(switch(layout), asked(whole(files)))
    assert operation["changed"] == [".advisor/manifest", "gunicorn/gunicorn.conf.py"]
    assert (layout.current / "shop/nginx/shop.conf").stat().st_mtime_ns == old
    assert (layout.current / "blog/nginx/blog.conf").is_file()


@pytest.mark.parametrize("call", ["live", "staged"])
def test_a_refusal_before_the_switch_changes_nothing(layout: Layout, call: str) -> None:
    applied(layout)
    before = live(layout)
    refusal = Refusal(call, "others are at work", lines=("a line",), look="ask them")
    told = Told(layout, lambda name: refusal if name == call else None)
    operation = done(switch(layout, told), asked(tree(says="2")))
    assert operation["state"] == "refused"
    assert operation["reason"] == refusal.as_json()
    assert live(layout) == before
    assert generations.numbers(layout) == [1]
    assert "activate" not in told.calls


@pytest.mark.parametrize("call", ["activate", "gate"])
def test_a_refusal_after_the_switch_is_taken_back(layout: Layout, call: str) -> None:
    applied(layout)
    before = live(layout)
    refusal = Refusal(call, "slower than before", url="http://shop.example/healthz", status=502)
    heard = iter([refusal])
    told = Told(layout, lambda name: next(heard, None) if name == call else None)
    operation = done(switch(layout, told), asked(tree(says="2")))
    assert (operation["state"], operation["reason"]) == ("returned", refusal.as_json())
    assert live(layout) == before
    assert told.serving["shop"][SHOP_SITE] == b"in nginx/{app}.conf 1\n"
    assert generations.numbers(layout) == [1]


def test_a_first_apply_that_is_taken_back_leaves_the_host_bare(layout: Layout) -> None:
    before = live(layout)
    told = Told(layout, lambda name: Refusal("gate", "502") if name == "gate" else None)
    assert done(switch(layout, told), asked(tree()))["state"] == "returned"
    assert live(layout) == before
    assert not layout.current.is_symlink()


def test_without_a_commit_the_deadline_returns(layout: Layout) -> None:
    applied(layout)
    before = live(layout)
    operation = done(switch(layout, answer=None), asked(tree(says="2"), deadline_s=30))
    assert operation["state"] == "returned"
    assert "no commit came within 30 s" in operation["reason"]["message"]
    assert live(layout) == before


def test_the_controller_may_ask_for_the_return(layout: Layout) -> None:
    applied(layout)
    operation = done(switch(layout, answer="return"), asked(tree(says="2")))
    assert operation["state"] == "returned"
    assert "root@controller asked" in operation["reason"]["message"]


def test_a_return_that_fails_says_what_to_do_and_keeps_the_journal(layout: Layout) -> None:
    applied(layout)
    told = Told(
        layout, lambda name: Refusal("gate", "502", lines=("x",)) if name == "gate" else None
    )
    operation = done(switch(layout, told), asked(tree(says="2")))
    assert operation["state"] == "return_failed"
    assert "the return failed: 502" in operation["reason"]["message"]
    assert "reload the services" in operation["reason"]["look"]
    assert text(layout, SHOP_SITE) == "in nginx/{app}.conf 1\n"
    assert [line["step"] for line in Journal(layout).lines(operation["id"])][-1] == "return_failed"


def test_a_defect_of_a_check_is_a_reason_and_no_end_of_the_switch(layout: Layout) -> None:
    def defect(name: str) -> None:
        if name == "gate":
            raise KeyError("pid")

    applied(layout)
    operation = done(switch(layout, Told(layout, defect)), asked(tree(says="2")))
    assert operation["state"] == "return_failed"
    assert "KeyError" in operation["reason"]["message"]
    assert text(layout, SHOP_SITE) == "in nginx/{app}.conf 1\n"


# Administrators' files


@pytest.mark.parametrize("kind", ["file", "link"])
def test_somebodys_file_is_refused_then_saved_and_comes_back(layout: Layout, kind: str) -> None:
    target = layout.at(SHOP_SITE)
    if kind == "file":
        target.write_text("# mine\n")
        target.chmod(0o604)
    else:
        target.symlink_to("../sites-available/shop")
    before = live(layout)
    operation = applied(layout)
    assert operation["state"] == "refused"
    assert SHOP_SITE in operation["reason"]["message"]
    assert "--overwrite" in operation["reason"]["look"]
    assert live(layout) == before

    assert applied(layout, overwrite=True)["state"] == "committed"
    assert text(layout, SHOP_SITE) == "in nginx/{app}.conf 1\n"
    without = [path for path in USUAL if not path.startswith("nginx")]
    assert done(switch(layout), asked(tree(says="1", paths=without)))["state"] == "committed"
    assert live(layout)[SHOP_SITE] == before[SHOP_SITE]
    if kind == "file":
        assert target.stat().st_mode & 0o777 == 0o604


def test_what_a_returned_apply_replaced_is_back(layout: Layout) -> None:
    layout.at(SHOP_SITE).write_text("# mine\n")
    before = live(layout)
    told = Told(layout, lambda name: Refusal("gate", "502") if name == "gate" else None)
    operation = done(switch(layout, told), asked(tree(), overwrite=True))
    assert operation["state"] == "returned"
    assert live(layout) == before
    assert list(layout.saved.iterdir()) == []


def test_a_folder_in_the_way_is_refused_whatever_is_said(layout: Layout) -> None:
    layout.at(SHOP_SITE).mkdir()
    operation = applied(layout, overwrite=True)
    assert operation["state"] == "refused"
    assert f"{SHOP_SITE} is a folder" in operation["reason"]["message"]


def test_a_packages_own_file_is_nobodys_edit_until_it_is_edited(layout: Layout) -> None:
    shipped = layout.at("/etc/caddy/Caddyfile")
    shipped.write_text(":80\n")
    digest = hashlib.md5(b":80\n", usedforsecurity=False).hexdigest()
    layout.at("/var/lib/dpkg").mkdir(parents=True)
    layout.at("/var/lib/dpkg/status").write_text(
        f"Package: caddy\nConffiles:\n /etc/caddy/Caddyfile {digest}\n"
    )
    files = tree(paths=[*USUAL, "caddy/Caddyfile"])
    assert done(switch(layout), asked(files))["state"] == "committed"
    assert done(switch(layout), asked(tree(says="2")))["state"] == "committed"
    assert shipped.read_text() == ":80\n"
    shipped.write_text(":8080\n")
    assert done(switch(layout), asked(files))["state"] == "refused"


def test_folders_that_were_made_for_a_drop_in_go_with_it(layout: Layout) -> None:
    dropin = "/etc/systemd/system/shop.service.d/10-advisor.conf"
    done(switch(layout), asked(tree(paths=[*USUAL, "systemd/10-advisor.conf"])))
    assert layout.at(dropin).is_symlink()
    done(switch(layout), asked(tree(says="2")))
    assert not layout.at(dropin).parent.exists()


@pytest.mark.parametrize("how", ["through the link", "in place of it", "removed", "mode"])
def test_edits_by_hand_are_drift_refused_and_saved(layout: Layout, how: str) -> None:
    applied(layout)
    site = layout.at(SHOP_SITE)
    if how == "through the link":
        site.write_text("# hotfix\n")
    elif how == "mode":
        (layout.current / "shop/nginx/shop.conf").chmod(0o666)
    else:
        site.unlink()
        if how == "in place of it":
            site.write_text("# hotfix\n")
    before = live(layout)
    drifted = status(layout)["apps"]["shop"]["drift"]
    assert len(drifted) == 1
    for says in ("1", "2"):
        operation = applied(layout, says)
        assert operation["state"] == "refused"
        assert drifted[0]["what"] in operation["reason"]["message"]
    assert live(layout) == before
    assert applied(layout, "2", overwrite=True)["state"] == "committed"
    assert text(layout, SHOP_SITE) == "in nginx/{app}.conf 2\n"
    assert status(layout)["apps"]["shop"]["drift"] == []
    if site_was_edited := how in {"through the link", "in place of it"}:
        copies = [path for path in layout.saved.rglob("*") if path.is_file()]
        assert b"# hotfix\n" in [path.read_bytes() for path in copies]
    assert site_was_edited == (b"# hotfix\n" in contents(layout))


def contents(layout: Layout) -> list[bytes]:
    return [path.read_bytes() for path in layout.saved.rglob("*") if path.is_file()]


def test_an_edit_that_the_new_tree_says_too_is_no_loss(layout: Layout) -> None:
    applied(layout)
    layout.at(SHOP_SITE).write_bytes(tree(says="2")["nginx/shop.conf"])
    assert applied(layout, "2")["state"] == "committed"


def test_another_apps_drift_stays_as_it_is(layout: Layout) -> None:
    applied(layout)
    applied(layout, app="blog")
    blog = layout.at(SITE.format(app="blog"))
    blog.unlink()
    blog.write_text("# hotfix\n")
    assert applied(layout, "2")["state"] == "committed"
    assert blog.read_text() == "# hotfix\n"
    assert status(layout)["apps"]["blog"]["drift"] == [
        {"path": SITE.format(app="blog"), "what": "is a file, and no link of ours"}
    ]


# Several apps, some components


def test_the_caddyfile_is_the_one_applied_last_and_stays_so(layout: Layout) -> None:
    paths = [*USUAL, "caddy/Caddyfile"]
    for app in ("shop", "blog"):
        done(switch(layout), asked(tree(app, "1", paths), app=app))
    leads = layout.at("/etc/caddy/Caddyfile")
    assert "/blog/" in str(leads.readlink())
    assert done(switch(layout), asked(tree("shop", "1", paths)))["state"] == "unchanged"
    done(switch(layout), asked(tree("shop", "2", paths)))
    assert "/shop/" in str(leads.readlink())
    assert status(layout)["apps"]["blog"]["drift"] == []
    done(switch(layout), asked(tree("shop", "2")))
    assert "/blog/" in str(leads.readlink())


def test_two_apps_cannot_have_one_path(layout: Layout) -> None:
    applied(layout)
    files = tree("blog", "1")
    install = json.loads(files[".advisor/install.json"])
    install["files"][0]["target"] = SHOP_SITE
    files[".advisor/install.json"] = json.dumps(install).encode()
    operation = done(switch(layout), asked(whole(files), app="blog"))
    assert operation["state"] == "refused"
    assert f"{SHOP_SITE} is wanted by blog and shop" in operation["reason"]["message"]


def test_components_take_the_rest_from_what_is_there(layout: Layout) -> None:
    applied(layout)
    request = asked(tree(says="2"), components=["nginx"])
    operation = done(switch(layout), request)
    assert operation["state"] == "committed"
    assert text(layout, SHOP_SITE) == "in nginx/{app}.conf 2\n"
    assert text(layout, SHOP_UNIT) == "in systemd/{app}.service 1\n"
    assert status(layout)["apps"]["shop"]["drift"] == []
    assert done(switch(layout), {**request, "id": "0" * 16})["state"] == "unchanged"
    assert applied(layout, "2")["changed"].count("nginx/shop.conf") == 0


def test_a_component_alone_needs_no_units_and_no_proxy(layout: Layout) -> None:
    operation = done(switch(layout), asked(tree(), components=["gunicorn"]))
    assert operation["state"] == "committed"
    install = generations.installs(layout, 1)["shop"]
    assert ([row.component for row in install.files], install.units) == (["gunicorn"], [])
    assert install.health is None


def test_an_unknown_component_is_named(layout: Layout) -> None:
    operation = done(switch(layout), asked(tree(), components=["apache"]))
    assert operation["reason"]["message"] == "the tree has no apache"


# Rollback


def test_a_rollback_of_one_app_is_a_new_generation_with_its_older_tree(layout: Layout) -> None:
    applied(layout, "1")
    applied(layout, "2")
    applied(layout, "1", app="blog")
    here = switch(layout)
    operation = done(here, asked())
    assert (operation["state"], operation["from"], operation["generation"]) == ("committed", 3, 4)
    assert text(layout, SHOP_SITE) == "in nginx/{app}.conf 1\n"
    assert (layout.current / "blog").is_dir()
    assert here.services.calls[0] == "live without health"


def test_a_rollback_to_a_number_may_remove_the_app(layout: Layout) -> None:
    applied(layout, app="blog")
    applied(layout)
    operation = done(switch(layout), asked(to=1))
    assert operation["state"] == "committed"
    assert not layout.at(SHOP_SITE).is_symlink()
    assert sorted(generations.installs(layout, 3)) == ["blog"]


def test_a_rollback_of_all_apps_takes_the_whole_of_a_generation(layout: Layout) -> None:
    applied(layout, "1")
    applied(layout, "1", app="blog")
    applied(layout, "2")
    applied(layout, "2", app="blog")
    operation = done(switch(layout), asked(to=2, all_apps=True))
    assert operation["state"] == "committed"
    assert "blog/nginx/blog.conf" in operation["changed"]
    assert text(layout, SHOP_SITE) == "in nginx/{app}.conf 1\n"
    assert text(layout, SITE.format(app="blog")) == "in nginx/{app}.conf 1\n"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"to": 9}, "there is no generation 9"),
        ({}, "no generation before this one has shop otherwise"),
        ({"all_apps": True}, "there is no generation before this one"),
        ({"app": "wiki"}, "wiki is not installed here"),
    ],
)
def test_a_rollback_to_nowhere_says_what_there_is(
    layout: Layout, more: dict[str, Any], message: str
) -> None:
    applied(layout)
    operation = done(switch(layout), asked(**more))
    assert operation["state"] == "refused"
    assert message in operation["reason"]["message"]
    assert operation["reason"]["look"]


def test_a_returned_generation_is_none_to_go_back_to(layout: Layout) -> None:
    applied(layout, "1")
    done(switch(layout, answer="return"), asked(tree(says="2")))
    operation = done(switch(layout), asked(to=2))
    assert operation["reason"]["message"] == "there is no generation 2"


def test_the_last_generations_are_kept_and_the_current_one(layout: Layout) -> None:
    for says in range(KEPT + 3):
        applied(layout, str(says))
    assert generations.numbers(layout) == list(range(4, KEPT + 4))
    listed = status(layout)["generations"]
    assert [each["n"] for each in listed if each["committed"]] == list(range(4, KEPT + 4))


# What else can be wrong


def test_a_stale_plan_is_refused(layout: Layout) -> None:
    applied(layout)
    operation = applied(layout, "2", expected_current=0)
    assert "the plan is stale" in operation["reason"]["message"]
    assert applied(layout, "2", expected_current=1)["state"] == "committed"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda files: files.update({"nginx/shop.conf": b"x"}), "nginx/shop.conf was edited"),
        (lambda files: files.update({"nginx/more.conf": b"x"}), "nginx/more.conf is not of the"),
        (lambda files: files.pop("nginx/shop.conf"), "nginx/shop.conf is missing"),
        (lambda files: files.pop(".advisor/install.json"), ".advisor/install.json is not there"),
        (lambda files: files.pop(".advisor/manifest"), ".advisor/manifest is not there"),
    ],
)
def test_a_tree_that_is_not_as_rendered_is_refused(layout: Layout, edit: Any, message: str) -> None:
    files = tree()
    edit(files)
    operation = done(switch(layout), asked(files))
    assert operation["state"] == "refused"
    assert message in operation["reason"]["message"]


def test_an_unknown_group_is_named_before_anything_is_changed(layout: Layout) -> None:
    files = tree()
    install = json.loads(files[".advisor/install.json"])
    install["group"] = "no_such_group"
    files[".advisor/install.json"] = json.dumps(install).encode()
    before = live(layout)
    operation = done(switch(layout), asked(whole(files)))
    assert operation["reason"]["message"] == "the group no_such_group is not known on this host"
    assert live(layout) == before
    assert not list(layout.generations.iterdir())


def one_and_a_second_staged(layout: Layout) -> dict[str, Any]:
    """The status before there was a second one."""
    applied(layout, "1")
    settled = status(layout)
    generations.stage(layout, 2, {"shop": whole(tree(says="2"))}, 1)
    return settled


def test_a_generation_that_goes_while_the_status_reads_it_is_no_error(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = one_and_a_second_staged(layout)
    generations.swap(layout, 2)
    read_tree = generations.read_tree

    def and_it_returns(folder: Path) -> dict[str, bytes]:
        monkeypatch.setattr(generations, "read_tree", read_tree)
        generations.swap(layout, 1)
        generations.discard(layout, 2)
        return read_tree(folder)

    monkeypatch.setattr(generations, "read_tree", and_it_returns)
    assert status(layout) == settled


def test_a_generation_that_goes_while_it_is_listed_is_left_out(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = one_and_a_second_staged(layout)
    installs = generations.installs

    def and_it_goes(layout: Layout, number: int | None) -> dict[str, Install]:
        if number == 2:
            generations.discard(layout, 2)
        return installs(layout, number)

    monkeypatch.setattr(generations, "installs", and_it_goes)
    assert status(layout) == settled


def test_a_dangling_current_is_refused_and_mended_by_a_whole_rollback(layout: Layout) -> None:
    applied(layout, "1")
    applied(layout, "2")
    layout.generation(2).rename(layout.root / "gone")
    operation = applied(layout, "3")
    assert operation["state"] == "refused"
    assert "generation 2 is not there" in operation["reason"]["message"]
    assert "generation 2 is not there" in status(layout)["problem"]["message"]
    assert done(switch(layout), asked(to=1, all_apps=True))["state"] == "committed"
    assert text(layout, SHOP_SITE) == "in nginx/{app}.conf 1\n"


def test_a_generation_that_is_not_whole_is_refused(layout: Layout) -> None:
    applied(layout, "1")
    applied(layout, "2")
    (layout.generation(1) / "shop/.advisor/install.json").unlink()
    operation = done(switch(layout), asked(to=1))
    assert "generation 1 is not whole" in operation["reason"]["message"]


def test_something_else_in_currents_place_is_refused(layout: Layout) -> None:
    layout.current.mkdir(parents=True)
    operation = applied(layout)
    assert "is no link to a generation" in operation["reason"]["message"]


def test_a_drained_site_is_not_touched(layout: Layout) -> None:
    applied(layout)
    site = layout.at(SHOP_SITE)
    site.unlink()
    site.symlink_to(layout.at("/run/advisor/drained/shop/shop.conf"))
    assert status(layout)["apps"]["shop"]["drift"] == []
    assert applied(layout, app="blog")["state"] == "committed"
    operation = applied(layout, "2", overwrite=True)
    assert "is drained" in operation["reason"]["message"]
    assert "/run/advisor/drained/" in str(site.readlink())


def test_check_shows_the_difference_and_writes_nothing(layout: Layout) -> None:
    applied(layout)
    everything = sorted((path, path.lstat().st_mtime_ns) for path in layout.root.rglob("*"))
    request = Request.from_data(asked(tree(says="2"), check=True))
    here = switch(layout)
    found = check(request, here)
    assert (found["state"], found["from"]) == ("checked", 1)
    assert {"path": "nginx/shop.conf"} | {
        "before": "in nginx/{app}.conf 1\n",
        "after": "in nginx/{app}.conf 2\n",
    } in found["diff"]
    assert here.services.calls == ["live", "staged"]
    layout.run.parent.rmdir()
    after = sorted((path, path.lstat().st_mtime_ns) for path in layout.root.rglob("*"))
    root = layout.root
    assert [each for each in after if each[0] != root] == everything
    assert check(Request.from_data(asked(tree())), here)["state"] == "unchanged"
    refused = check(Request.from_data(asked(to=7)), here)
    assert (refused["state"], refused["diff"]) == ("refused", [])


def test_a_request_of_an_earlier_boot_is_refused_not_done(layout: Layout) -> None:
    id_ = take_in(layout, asked(tree()))
    path = layout.requests / f"{id_}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "boot": "an earlier one"}))
    run(switch(layout))
    assert Journal(layout).lines(id_)[-1]["step"] == "refused"
    assert not layout.current.is_symlink()
    assert list(layout.requests.iterdir()) == []


def test_a_journal_that_was_cut_goes_on(layout: Layout) -> None:
    applied(layout)
    with layout.journal.open("ab") as stream:
        stream.write(b'{"id": "0123456789abcdef", "step": "swit')
    operation = applied(layout, "2")
    assert (operation["state"], operation["verb"]) == ("committed", "apply")
    assert status(layout)["operation"] == operation


def test_a_long_journal_is_shortened_and_forgets_no_generation(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied(layout, "first")
    monkeypatch.setattr("advisor.deploy.switch.journal.KEPT_OPERATIONS", 2)
    monkeypatch.setattr("advisor.deploy.switch.journal.MOST_BYTES", 100)
    for says in "23":
        done(switch(layout, answer="return"), asked(tree(says=says)))
    assert applied(layout, "4")["state"] == "committed"
    assert len(Journal(layout).operations()) == 3
    assert done(switch(layout), asked())["state"] == "committed"
    assert text(layout, SHOP_SITE) == "in nginx/{app}.conf first\n"


def test_at_boot_what_was_held_is_returned_without_a_daemon(layout: Layout) -> None:
    applied(layout)
    before = live(layout)

    def kill(name: str) -> None:
        if name == "gate":
            raise Killed

    id_ = take_in(layout, asked(tree(says="2", paths=[*USUAL, "nginx/{app}-more.conf"])))
    with pytest.raises(Killed):
        run(switch(layout, Told(layout, kill)))
    assert live(layout) != before
    acted: list[tuple[str, ...]] = []

    class Manager:
        def act(self, verb: str, *words: str) -> None:
            acted.append((verb, *words))

    lock = Lock(layout)
    assert boot(layout, Manager(), lock)
    lock.release()
    assert live(layout) == before
    assert acted == [("daemon-reload",)]
    lines = Journal(layout).lines(id_)
    assert lines[-1]["step"] == "returned"
    assert "the machine was restarted" in lines[-1]["reason"]["message"]
    assert not boot(layout, Manager(), lock)
    lock.release()
    assert len(acted) == 1


def test_every_target_of_the_trees_here_is_linked_or_below_current(layout: Layout) -> None:
    done(switch(layout), asked(tree(paths=list(TARGETS))))
    for target in TARGETS.values():
        assert layout.at(target.format(app="shop")).read_bytes()
