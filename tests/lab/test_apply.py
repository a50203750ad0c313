"""`advisor apply` and `rollback`, and the plays by themselves, against real hosts."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy.ansible import playbooks
from tests.lab.trees import shop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.host import Done, Host
    from tests.lab.lab import Lab

    Boot = Callable[..., Host]

SITE = playbooks() / "site.yml"
# Short, for most tests are not about the dwell time.
QUICK = ("--dwell", "1")
MARKED = {"marker": "one"}
# Everything that an apply might touch, with its content, mode and time; and who runs.
SNAPSHOT = """
find /etc /usr/local /var/lib /run/advisor /run/systemd/transient ! -path '*/systemd/timesync*' \
    -printf '%p %m %u %T@ %l\\n' 2>/dev/null
find /etc /var/lib/advisor -type f -exec sha256sum {} + 2>/dev/null
pgrep -a 'nginx|gunicorn'
true
"""


@pytest.fixture(scope="module")
def web(lab: Lab, release: str) -> Host:
    """One that starts without anything of ours."""
    host = lab.boot(release, name="web1")
    host.run("systemctl start nginx")
    return host


def advisor(lab: Lab, verb: str, *words: str | Path) -> Done:
    return lab.ansible("advisor", verb, *words, check=False)


def apply(lab: Lab, tree: Path, *hosts: Host, more: tuple[str, ...] = QUICK) -> Done:
    return advisor(lab, "apply", tree, "-i", lab.inventory(hosts), *more)


def outcomes(done: Done) -> dict[str, dict[str, Any]]:
    return {each["host"]: each for each in json.loads(done.out)["hosts"]}


def states(done: Done) -> dict[str, str]:
    return {host: each["state"] for host, each in outcomes(done).items()}


def snapshot(host: Host) -> set[str]:
    return set(host.run(SNAPSHOT).out.splitlines())


def marker(host: Host) -> str:
    return str(json.loads(host.fetch("/pid", host="shop.example").body)["marker"])


# The order of these matters: one host, from nothing to a rollback.


def test_a_check_shows_all_of_a_first_apply_and_changes_nothing(
    lab: Lab, web: Host, trees: Path
) -> None:
    tree = shop(web, trees / web.name / "one", knobs=MARKED)
    before = snapshot(web)
    done = apply(lab, tree, web, more=("--check",))
    assert done.code == 1, done.out + done.err
    assert "web1: would change" in done.out
    assert "+++ web1:nginx/shop.conf" in done.out
    assert snapshot(web) ^ before == set()


def test_a_first_apply_serves_the_app(lab: Lab, web: Host, trees: Path) -> None:
    done = apply(lab, trees / web.name / "one", web)
    assert done.code == 0, done.out + done.err
    assert "web1: applied, generation 1" in done.out
    assert marker(web) == "one"
    assert web.run("readlink /etc/nginx/conf.d/shop.conf").out.strip() == (
        "/etc/advisor/current/shop/nginx/shop.conf"
    )
    assert web.run("stat -c '%a %U' /var/lib/advisor").out == "700 root\n"


def test_a_second_apply_changes_nothing_and_is_short(lab: Lab, web: Host, trees: Path) -> None:
    tree = trees / web.name / "one"
    before = snapshot(web)
    done = apply(lab, tree, web)
    assert (done.code, done.out) == (0, "web1: unchanged\n")
    words = ("-i", lab.inventory([web]), "-e", f"advisor_tree={tree}", SITE)
    said = lab.ansible("ansible-playbook", *words).out
    assert len(re.findall(r"^TASK \[", said, re.MULTILINE)) <= 10
    assert re.search(r"web1 +: ok=\d+ +changed=0 +unreachable=0 +failed=0", said)
    assert snapshot(web) ^ before == set()
    check = apply(lab, tree, web, more=("--check",))
    assert (check.code, check.out) == (0, "web1: unchanged\n")


def test_a_change_is_applied_and_its_check_had_shown_it(lab: Lab, web: Host, trees: Path) -> None:
    tree = shop(web, trees / web.name / "two", knobs={"marker": "two"})
    before = snapshot(web)
    check = apply(lab, tree, web, more=("--check",))
    assert check.code == 1, check.out + check.err
    assert re.search(r"^-.*SHOP_MARKER=one", check.out, re.MULTILINE)
    assert re.search(r"^\+.*SHOP_MARKER=two", check.out, re.MULTILINE)
    assert snapshot(web) ^ before == set()
    done = apply(lab, tree, web)
    assert done.code == 0, done.out + done.err
    assert marker(web) == "two"


def test_what_harms_is_taken_back_and_says_where_to_look(lab: Lab, web: Host, trees: Path) -> None:
    tree = shop(web, trees / web.name / "bad", knobs={"marker": "bad", "health_status": 503})
    done = apply(lab, tree, web)
    assert done.code == 5, done.out + done.err
    assert "web1: TAKEN BACK" in done.out
    assert "/healthz answered 503" in done.out
    assert marker(web) == "two"


def test_what_the_target_refuses_never_runs(lab: Lab, web: Host, trees: Path) -> None:
    tree = shop(web, trees / web.name / "broken", knobs={"import_fails": 1})
    workers = web.run("pgrep -f gunicorn").out
    done = apply(lab, tree, web)
    assert done.code == 1, done.out + done.err
    assert "web1: REFUSED" in done.out
    assert web.run("pgrep -f gunicorn").out == workers


def test_it_goes_back_and_lists_where_to(lab: Lab, web: Host) -> None:
    inventory = lab.inventory([web])
    assert marker(web) == "two"
    done = advisor(lab, "rollback", "-i", inventory)
    assert done.code == 0, done.out + done.err
    assert marker(web) == "one"
    listed = advisor(lab, "rollback", "-i", inventory, "--list")
    assert listed.code == 0, listed.out + listed.err
    assert len(re.findall(r"^  \* \d+ .* shop [0-9a-f]{12}$", listed.out, re.MULTILINE)) == 1
    first = advisor(lab, "rollback", "-i", inventory, "--to", "2", "--json")
    assert first.code == 0, first.out + first.err
    assert states(first) == {"web1": "committed"}
    assert marker(web) == "two"
    # There is where it is: without a number it would go back to the one before.
    again = advisor(lab, "rollback", "-i", inventory, "--to", "2", "--json")
    assert (again.code, states(again)) == (0, {"web1": "unchanged"})
    unknown = advisor(lab, "rollback", "-i", inventory, "--to", "99")
    assert unknown.code == 1, unknown.out + unknown.err
    assert "99" in unknown.out


def test_an_edit_on_the_host_is_named_and_kept(lab: Lab, web: Host, trees: Path) -> None:
    path = "/etc/advisor/current/shop/nginx/shop.conf"
    web.run(f"echo '# an administrator was here' >> {path}")
    tree = trees / web.name / "one"
    done = apply(lab, tree, web)
    assert done.code == 1, done.out + done.err
    assert "nginx/shop.conf" in done.out
    assert b"an administrator was here" in web.read(path)
    over = apply(lab, tree, web, more=("--overwrite", *QUICK))
    assert over.code == 0, over.out + over.err
    assert b"an administrator was here" not in web.read(path)
    assert (
        "an administrator was here" in web.run("grep -r administrator /var/lib/advisor/saved").out
    )


def test_no_secret_of_the_environment_is_said(lab: Lab, web: Host, trees: Path) -> None:
    web.put("/etc/shop/env", "SHOP_TOKEN=canary-8c1f\n", mode=0o600)
    tree = shop(
        web,
        trees / web.name / "secret",
        knobs={"health_status": 500},
        app__environment_file="/etc/shop/env",
    )
    done = advisor(lab, "apply", tree, "-i", lab.inventory([web]), *QUICK, "--verbose")
    assert done.code == 5, done.out + done.err
    assert "canary-8c1f" not in done.out + done.err
    assert web.run("grep -rl canary-8c1f /var/lib/advisor /etc/advisor", check=False).out == ""


# Each of these has hosts of its own.


def test_an_admin_with_sudo_applies(lab: Lab, hosts: Boot, tmp_path: Path) -> None:
    host = hosts("debian-12", "web1")
    tree = shop(host, tmp_path / "tree", knobs=MARKED)
    done = advisor(lab, "apply", tree, "-i", lab.inventory([host], user="admin"), *QUICK)
    assert done.code == 0, done.out + done.err
    assert marker(host) == "one"


def test_an_untested_system_is_refused_with_a_word(lab: Lab, hosts: Boot, tmp_path: Path) -> None:
    host = hosts("debian-12", "web1")
    tree = shop(host, tmp_path / "tree", knobs=MARKED)
    host.run("sed -i 's/^VERSION_ID=.*/VERSION_ID=\"11\"/' /usr/lib/os-release")
    before = snapshot(host)
    done = apply(lab, tree, host)
    assert done.code == 1, done.out + done.err
    assert "debian 11 is untested: nothing was done" in done.out
    assert "Debian 12 and 13 are tested." in done.out
    assert snapshot(host) ^ before == set()


def test_part_of_a_tree_is_applied_by_its_role_in_others_plays(
    lab: Lab, hosts: Boot, tmp_path: Path
) -> None:
    host = hosts("debian-12", "web1")
    tree = shop(host, tmp_path / "tree", knobs=MARKED)
    assert apply(lab, tree, host).code == 0
    shop(host, tree, {"nginx.client_max_body_size": 7340032}, knobs={"marker": "two"})
    play = tmp_path / "play.yml"
    play.write_text(
        "- name: Others' own\n  hosts: all\n  gather_facts: false\n  roles:\n"
        f"    - {{role: proxy_nginx, advisor_tree: {tree}, advisor_dwell_s: 1}}\n"
    )
    environment = {"ANSIBLE_ROLES_PATH": str(playbooks() / "roles")}
    lab.ansible("ansible-playbook", "-i", lab.inventory([host]), play, environment=environment)
    there = host.read("/etc/nginx/conf.d/shop.conf")
    assert there == (tree / "nginx" / "shop.conf").read_bytes()
    assert b"7340032" in there or b"7m" in there
    assert marker(host) == "one"


def fleet(lab: Lab, hosts: Boot, tmp_path: Path, **bad: dict[str, Any]) -> tuple[list[Host], Path]:
    """Three hosts that serve generation one, and a folder with the next of each."""
    found = [hosts("debian-12", f"web{number}", wait=False) for number in (1, 2, 3)]
    for host in found:
        host.wait()
        shop(host, tmp_path / "old" / "hosts" / host.name, knobs=MARKED)
        knobs = {"marker": "two"} | bad.get(host.name, {})
        shop(host, tmp_path / "new" / "hosts" / host.name, knobs=knobs)
    done = apply(lab, tmp_path / "old", *found)
    assert done.code == 0, done.out + done.err
    return found, tmp_path / "new"


def test_the_canary_alone_is_taken_back(lab: Lab, hosts: Boot, tmp_path: Path) -> None:
    found, new = fleet(lab, hosts, tmp_path, web1={"health_status": 503})
    done = apply(lab, new, *found, more=("--json", *QUICK))
    assert done.code == 5, done.out + done.err
    assert states(done) == {"web1": "returned", "web2": "untouched", "web3": "untouched"}
    assert [marker(host) for host in found] == ["one", "one", "one"]


def test_a_failed_batch_is_taken_back_as_a_whole_and_the_run_resumed(
    lab: Lab, hosts: Boot, tmp_path: Path
) -> None:
    found, new = fleet(lab, hosts, tmp_path, web3={"health_status": 503})
    play = (SITE, "-e", f"advisor_tree={new}", "-e", '{"advisor_serial": [1, "100%"]}')
    inventory = lab.inventory(found)
    done = lab.ansible(
        "ansible-playbook", "-i", inventory, *play, "-e", "advisor_dwell_s=1", check=False
    )
    assert done.code != 0
    assert [marker(host) for host in found] == ["two", "one", "one"]
    assert "web3 of the same batch" in done.out
    shop(found[2], new / "hosts" / "web3", knobs={"marker": "two"})
    pid = found[0].run("systemctl show -P MainPID shop.service").out
    again = apply(lab, new, *found, more=("--json", *QUICK))
    assert again.code == 0, again.out + again.err
    assert states(again) == {"web1": "unchanged", "web2": "committed", "web3": "committed"}
    assert found[0].run("systemctl show -P MainPID shop.service").out == pid
    assert [marker(host) for host in found] == ["two", "two", "two"]


def test_a_host_out_of_reach_keeps_its_batch_back(lab: Lab, hosts: Boot, tmp_path: Path) -> None:
    found, new = fleet(lab, hosts, tmp_path)
    found[1].cut()
    done = apply(lab, new, *found, more=("--json", *QUICK))
    found[1].mend()
    assert done.code == 1, done.out + done.err
    assert states(done) == {"web1": "committed", "web2": "unreachable", "web3": "untouched"}
    assert marker(found[1]) == "one"
    assert marker(found[2]) == "one"


def test_a_rolling_apply_behind_a_load_balancer_loses_no_request(
    lab: Lab, hosts: Boot, tmp_path: Path
) -> None:
    webs = [hosts("debian-12", name, wait=False) for name in ("web1", "web2")]
    balancer = hosts("debian-12", "lb", wait=False)
    every = [*webs, balancer]
    for host in every:
        host.wait()
    peers = [f"{host.address}:8080" for host in webs]
    inventory = lab.inventory(every, groups={"advisor_load_balancers": [balancer]})
    tree = shop(webs[0], tmp_path / "tree", knobs=MARKED, hosts=peers)
    first = advisor(lab, "apply", tree, "-i", inventory, "--json", *QUICK)
    assert first.code == 0, first.out + first.err
    assert states(first) == dict.fromkeys(("web1", "web2", "lb"), "committed")
    assert marker(balancer) == "one"

    shop(webs[0], tree, knobs={"marker": "two"}, hosts=peers)
    seen: list[tuple[int, str]] = []
    sites: set[str] = set()
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            answer = balancer.fetch("/pid", host="shop.example")
            found = json.loads(answer.body)["marker"] if answer.status == 200 else ""
            seen.append((answer.status, found))
            # Below /run: the copy that leaves a host out.
            site = balancer.disk / "etc/nginx/conf.d/shop.conf"
            sites.add(site.readlink().parts[1])

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        done = advisor(lab, "apply", tree, "-i", inventory, "--json", *QUICK)
    finally:
        ended.set()
        asking.join()
    assert done.code == 0, done.out + done.err
    assert "notes" not in str(outcomes(done)), done.out
    assert {status for status, _ in seen} == {200}
    assert {found for _, found in seen} == {"one", "two"}
    assert sites == {"etc", "run"}
    assert marker(balancer) == "two"
    assert balancer.run("readlink /etc/nginx/conf.d/shop.conf").out.strip() == (
        "/etc/advisor/current/shop/load_balancer/shop.conf"
    )
    back = advisor(lab, "rollback", "-i", inventory, "--json")
    assert back.code == 0, back.out + back.err
    assert states(back) == dict.fromkeys(("web1", "web2"), "committed")
    assert marker(balancer) == "one"
