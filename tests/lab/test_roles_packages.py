"""What a tree needs and a host lacks: the roles install it, or say what they cannot install."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy.ansible import playbooks
from tests.lab.controller import apply, marker
from tests.lab.trees import MANAGED, shop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.host import Host
    from tests.lab.lab import Lab

    Boot = Callable[..., Host]

SITE = playbooks() / "site.yml"
MARKED = {"marker": "one"}
MEMORY = 64 * 1024**2
CACHE = {
    "settings": {"redis.maxmemory": MEMORY},
    "manage": [*MANAGED, "redis"],
    "redis__role": "cache",
}
# By the proxy: what else the tree has, the packages that go, and the role and service of each.
CASES: dict[str, tuple[dict[str, Any], str, dict[str, str]]] = {
    "nginx": ({}, "nginx nginx-common", {"proxy_nginx": "nginx"}),
    "caddy": (
        CACHE,
        "caddy redis-server redis-tools",
        {"proxy_caddy": "caddy", "cache_redis": "redis-server"},
    ),
}
# All that an apply might bring or touch: packages, files with mode and time, users, processes.
STANDING = """
dpkg-query -Wf '${Package} ${Version} ${db:Status-Abbrev}\\n'
find /etc /usr/local /var/lib/advisor /run/advisor -printf '%p %m %u %T@ %l\\n' 2>/dev/null
getent passwd
pgrep -a 'nginx|gunicorn|caddy|redis|prometheus'
true
"""


def standing(host: Host) -> set[str]:
    return set(host.run(STANDING).out.splitlines())


def purge(host: Host, packages: str) -> None:
    """Really gone, with their settings, services and users' files."""
    host.run(f"apt-get -qq -y purge {packages}")


@pytest.mark.parametrize("proxy", CASES)
def test_what_is_missing_is_installed_once(
    lab: Lab, hosts: Boot, release: str, tmp_path: Path, proxy: str
) -> None:
    more, packages, services = CASES[proxy]
    host = hosts(release, "web1")
    tree = shop(host, tmp_path / "tree", knobs=MARKED, proxy=proxy, **more)
    purge(host, packages)
    # With the user there, a check comes as far as the programs that it lacks.
    host.run("useradd --system --user-group shop")
    before = standing(host)
    check = apply(lab, tree, host, more=("--check",))
    assert check.code == 1, check.out + check.err
    assert "web1: would change" in check.out
    for role in services:
        assert f"a package is missing: the role {role} would install it" in check.out
    assert "an apply installs it, and then has the files checked" in check.out
    assert standing(host) ^ before == set()

    # Ansible's own module needs this one, and brings it by itself.
    purge(host, "python3-apt")
    done = apply(lab, tree, host)
    assert done.code == 0, done.out + done.err
    assert "web1: applied, generation 1" in done.out
    assert marker(host) == "one"
    for service in services.values():
        assert host.run(f"systemctl is-active {service}").out == "active\n"
        assert host.run(f"systemctl is-enabled {service}").out == "enabled\n"
    if "cache_redis" in services:
        assert host.run("redis-cli config get maxmemory").out.split()[1] == str(MEMORY)

    log = host.read("/var/log/dpkg.log")
    again = apply(lab, tree, host)
    assert (again.code, again.out) == (0, "web1: unchanged\n")
    said = lab.ansible(
        "ansible-playbook", "-i", lab.inventory([host]), "-e", f"advisor_tree={tree}", SITE
    ).out
    assert "changed=0" in said
    assert host.read("/var/log/dpkg.log") == log


def test_what_is_removed_later_is_installed_again(lab: Lab, hosts: Boot, tmp_path: Path) -> None:
    host = hosts("debian-12", "web1")
    tree = shop(host, tmp_path / "tree", knobs=MARKED)
    # As its package has it: one that its administrator disabled apt leaves down.
    host.run("systemctl enable --now nginx")
    assert apply(lab, tree, host).code == 0
    # Its settings stay, and our link among them: nothing has drifted.
    host.run("apt-get -qq -y remove nginx")
    check = apply(lab, tree, host, more=("--check",))
    assert check.code == 1, check.out + check.err
    assert "a package is missing: the role proxy_nginx would install it" in check.out
    done = apply(lab, tree, host)
    assert done.code == 0, done.out + done.err
    assert marker(host) == "one"
    again = apply(lab, tree, host)
    assert (again.code, again.out) == (0, "web1: unchanged\n")


def test_what_cannot_be_installed_is_named_and_nothing_is_changed(
    lab: Lab, hosts: Boot, tmp_path: Path
) -> None:
    found = [hosts("debian-12", name, wait=False) for name in ("web1", "web2")]
    for host in found:
        host.wait()
    whole, lacking = found
    tree = shop(whole, tmp_path / "tree", knobs=MARKED)
    whole.run("useradd --system --user-group shop")
    purge(lacking, "nginx nginx-common")
    lacking.run(": >/srv/apt/Packages; apt-get -qq update")
    before = [standing(host) for host in found]
    why = "Install nginx where it is missing: No package matching 'nginx' is available"

    done = apply(lab, tree, lacking)
    assert done.code == 1, done.out + done.err
    assert "web2: REFUSED" in done.out
    assert f"prepare: {why}" in done.out
    check = apply(lab, tree, lacking, more=("--check",))
    assert check.code == 1, check.out + check.err
    assert f"prepare: {why}" in check.out

    # In one batch, the other host is left as it is too, and told why.
    together = ("-e", f"advisor_tree={tree}", "-e", '{"advisor_serial": ["100%"]}')
    played = lab.ansible(
        "ansible-playbook", "-i", lab.inventory(found), *together, SITE, check=False
    )
    assert played.code != 0
    assert f"web2 of the same batch: refused: {why}" in played.out
    assert [standing(host) ^ was for host, was in zip(found, before, strict=True)] == [set(), set()]
