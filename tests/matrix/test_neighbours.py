"""Two apps on one host: neither takes the other's names, ports or files."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

from advisor import files
from advisor.intent import Intent
from advisor.recommend import recommend
from advisor.render import render, stage_nginx
from advisor.render.checks.caddy_stage import stage_caddy
from advisor.render.checks.result import find_program, run
from tests.matrix.build import facts_of
from tests.matrix.combinations import advisor_yml, combinations
from tests.matrix.daemons import TARGETS, Target, components, using

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import NoReturn

    from advisor.documents import Facts
    from advisor.render import File
    from tests.matrix.combinations import Combination

    NotRun = Callable[[str], NoReturn]

pytestmark = [pytest.mark.daemon, pytest.mark.timeout(300)]

# What is the host's as a whole, whichever app asked for it.
SHARED = {"/etc/caddy/Caddyfile", "/etc/nginx/conf.d/00-default.conf"}
# Names that are one where a grammar has no - for them.
NAMES = (("shop", "other"), ("shop-a", "shop_a"), ("shop", "shop-other"))
HOSTS = [target for target in TARGETS if target.only is None]


def beside(combination: Combination, facts: Facts, name: str, port: int) -> list[File]:
    """The combination as another app's: another name, domain, unit, port and folders."""
    text = json.dumps(advisor_yml(combination))
    data = json.loads(text.replace("shop", "app").replace(":8000", f":{port}"))
    domain = {"domain": f"{name.replace('_', '0')}.example"} if "domain" in data else {}
    data = data | {"app": data["app"] | {"name": name}} | domain
    # One site of a host has the socket's options (the rule's reason says so).
    if data["pins"].get("nginx.http3"):
        data["pins"]["nginx.http3_reuseport"] = False
    if "systemd" in data:
        data["systemd"]["unit"] = f"{name}-web.service"
    intent = files.validate(Intent, data, name="advisor.yml")
    return render(recommend(facts, None, intent, server=None))


def pairs(proxy: str) -> list[tuple[Combination, Combination]]:
    """Deployments of apps that have domains, each with one that has other features."""
    found = [
        one
        for one in combinations()
        if one.proxy == proxy and len(one.features) > 1 and "no-domain" not in one.features
    ]
    return list(zip(found, [*found[7:], *found[:7]], strict=True))[::3]


def of_folder(found: list[File], folder: str, *, host: bool) -> list[File]:
    """A folder's files; without those of the host as a whole, unless they are wanted."""
    return [
        file
        for file in found
        if file.output
        and PurePosixPath(file.path).parts[0] == folder
        and (host or file.output.target not in SHARED)
    ]


@pytest.mark.parametrize("names", NAMES, ids="+".join)
@pytest.mark.parametrize("target", HOSTS, ids=lambda target: target.name)
def test_nginx_takes_both(
    target: Target, names: tuple[str, str], not_run: NotRun, tmp_path: Path
) -> None:
    refused = []
    with using(target, not_run):
        facts = facts_of(components(target, not_run))
        nginx = str(find_program("nginx"))
        for number, (first, second) in enumerate(pairs("nginx")):
            one = of_folder(beside(first, facts, names[0], 8000), "nginx", host=True)
            other = of_folder(beside(second, facts, names[1], 8001), "nginx", host=False)
            folder = tmp_path / str(number)
            folder.mkdir()
            conf = stage_nginx([*one, *other], folder)
            done = run([nginx, "-t", "-q", "-e", "stderr", "-c", conf, "-p", folder])
            if done.code != 0 or done.stderr.strip():
                refused.append(f"{first} | {second}: {done.stderr.strip()[:300]}")
    assert not refused, "\n".join([str(len(refused)), *refused[:10]])


@pytest.mark.parametrize("target", HOSTS, ids=lambda target: target.name)
def test_caddy_takes_both_with_eithers_global_options(
    target: Target, not_run: NotRun, tmp_path: Path
) -> None:
    refused = []
    with using(target, not_run):
        facts = facts_of(components(target, not_run))
        caddy = str(find_program("caddy"))
        for number, (first, second) in enumerate(pairs("caddy")):
            one = beside(first, facts, "shop", 8000)
            other = beside(second, facts, "shop-other", 8001)
            for order in ((one, other), (other, one)):
                folder = tmp_path / f"{number}-{order[0] is one}"
                folder.mkdir()
                sites = of_folder(order[1], "caddy", host=False)
                stage = stage_caddy([*of_folder(order[0], "caddy", host=True), *sites], folder)
                words = ["--config", stage.caddyfile, "--adapter", "caddyfile"]
                done = run([caddy, "adapt", *words], environment={"HOME": str(folder)})
                if done.code != 0 or "warn" in done.stderr.lower():
                    refused.append(f"{first} | {second}: {done.stderr.strip()[-300:]}")
    assert not refused, "\n".join([str(len(refused)), *refused[:10]])


@pytest.mark.parametrize("names", NAMES, ids="+".join)
def test_no_file_of_one_is_the_others(names: tuple[str, str]) -> None:
    facts = facts_of({})
    for proxy in ("nginx", "caddy"):
        for first, second in pairs(proxy):
            if "unix" in first.socket and first.server.startswith("granian"):
                continue  # refused where Granian's version is not known
            one = targets(beside(first, facts, names[0], 8000), names[0])
            other = targets(beside(second, facts, names[1], 8001), names[1])
            assert (one & other) - SHARED == set()


def targets(found: list[File], name: str) -> set[str]:
    """Where a host has the files, load balancers' aside: those are on another host."""
    return {
        file.output.target.format(app=name, user=name)
        for file in found
        if file.output and not file.path.startswith("load_balancer/")
    }
