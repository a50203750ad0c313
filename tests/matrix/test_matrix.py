"""The real daemons accept every combination, each rendered for the versions that judge it."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from advisor.render.checks import CHECKERS
from advisor.render.checks.result import find_program, run
from advisor.render.kit import COMPONENTS
from advisor.rules.versions import CAPABILITIES
from tests.matrix import gixy
from tests.matrix.build import Built, built, complaints, groups, meaning
from tests.matrix.combinations import SERVERS, Combination
from tests.matrix.daemons import SID, TARGETS, Target, components, made, using

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import NoReturn

    from tests.matrix.build import Group

    NotRun = Callable[[str], NoReturn]

pytestmark = [pytest.mark.daemon, pytest.mark.timeout(600)]

CHECKED = sorted({output.checker for component in COMPONENTS for output in component.outputs})
# Processes at a time; the daemons' checks wait more for the disk than for each other.
TOGETHER = 3
SHOWN = 25
FIRST_ASGI = CAPABILITIES["gunicorn.asgi_worker"].first
MOST_EXPOSURE = 1.5
BAD_SITE = "server { listen 80; location /x { alias /srv/x/; } server_tokens on; }"

# Each target with each of its checkers, and those targets that have them all.
CHECKS = [
    pytest.param(target, checker, id=f"{target.name}-{checker}")
    for target in TARGETS
    for checker in CHECKED
    if target.only in {None, checker}
]
HOSTS = [target for target in TARGETS if target.only is None]
on_hosts = pytest.mark.parametrize("target", HOSTS, ids=lambda target: target.name)


@pytest.fixture(scope="module")
def rendered() -> Callable[[Target, NotRun], list[Built]]:
    """Every combination for a target, rendered once."""
    kept: dict[str, list[Built]] = {}

    def give(target: Target, not_run: NotRun) -> list[Built]:
        if target.name not in kept:
            kept[target.name] = built(components(target, not_run), target.only)
        return kept[target.name]

    return give


def refused(checker: str, found: list[Group], environment: str) -> list[str]:
    """What the checker says against the groups, under the Gunicorn of an environment."""

    def judge(group: Group) -> list[str]:
        inputs = group.first.inputs
        if checker == "gunicorn":
            intent = inputs.intent.model_copy(update={"app_virtualenv": environment})
            inputs = replace(inputs, intent=intent)
        return complaints(group, CHECKERS[checker](group.files, inputs))

    with ThreadPoolExecutor(TOGETHER) as pool:
        return [line for lines in pool.map(judge, found) for line in lines]


def report(lines: list[str]) -> str:
    """The first of each kind; what differs in numbers and in the combination is of one kind."""
    kinds: dict[str, list[str]] = {}
    for line in lines:
        kinds.setdefault(re.sub(r"\d+|  \[.*", "", line), []).append(line)
    shown = [f"{len(alike)} like: {alike[0]}" for alike in kinds.values()]
    return "\n".join([f"{len(lines)} refused", *shown[:SHOWN]])


@pytest.mark.parametrize(("target", "checker"), CHECKS)
def test_every_combination_is_accepted(
    target: Target, checker: str, not_run: NotRun, rendered: Callable[..., list[Built]]
) -> None:
    with using(target, not_run):
        found = groups(rendered(target, not_run), checker)
        assert found, f"no combination has a file for {checker}"
        lines = refused(checker, found, str(made(target.gunicorn, not_run)))
    assert not lines, report(lines)


def test_sids_nginx_is_reported(not_run: NotRun, rendered: Callable[..., list[Built]]) -> None:
    with using(SID, not_run):
        found = groups(rendered(SID, not_run), "nginx")
        lines = refused("nginx", found, "")
    if lines:
        # Sid changes every day: what its nginx refuses is shown in the run's summary, and fails
        # nothing, since nothing here could have prevented it.
        pytest.xfail(report(lines))


def _files(group: Group, folder: Path) -> list[list[Path]]:
    """The group's nginx files in a folder, by host: a load balancer's is another one's."""
    hosts: dict[str, list[Path]] = {}
    for file in group.files:
        place = folder / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(gixy.readable(file.content), encoding="utf-8")
        hosts.setdefault(file.path.partition("/")[0], []).append(place)
    return list(hosts.values())


@on_hosts
def test_gixy_finds_nothing(
    target: Target, not_run: NotRun, tmp_path: Path, rendered: Callable[..., list[Built]]
) -> None:
    program = made("gixy", not_run) / "bin" / "gixy"
    with using(target, not_run):
        found = groups(rendered(target, not_run), "nginx")
    hosts = [
        (group, files)
        for number, group in enumerate(found)
        for files in _files(group, tmp_path / str(number))
    ]
    issues = gixy.issues(program, [files for _, files in hosts], tmp_path)
    lines = [
        f"{line}  [{group.count} x, as {group.first.combination}]"
        for (group, _), found_there in zip(hosts, issues, strict=True)
        for line in found_there
    ]
    assert not lines, report(lines)


def test_gixy_has_nothing_against_the_host_and_sees_a_bad_site(
    not_run: NotRun, tmp_path: Path
) -> None:
    program = made("gixy", not_run) / "bin" / "gixy"
    bad = tmp_path / "bad.conf"
    bad.write_text(BAD_SITE, encoding="ascii")
    good, found = gixy.issues(program, [[], [bad]], tmp_path)
    assert good == []
    assert any("alias_traversal" in line for line in found)


@pytest.mark.parametrize(
    ("target", "server"),
    [
        pytest.param(target, server, id=f"{target.name}-{server}")
        for target in HOSTS
        for server in SERVERS
        if server != "asgi" or target.versions["gunicorn"] >= FIRST_ASGI
    ],
)
def test_the_default_units_exposure_is_small(
    target: Target,
    server: str,
    not_run: NotRun,
    rendered: Callable[..., list[Built]],
    tmp_path: Path,
) -> None:
    plain = Combination(server, "nginx", "http", "unix")
    with using(target, not_run):
        found = next(one for one in rendered(target, not_run) if one.combination == plain)
        (service,) = (file for file in found.files if file.path == "systemd/shop.service")
        unit = tmp_path / "shop.service"
        unit.write_bytes(service.content)
        program = find_program("systemd-analyze")
        done = run([str(program), "security", "--offline=true", "--no-pager", unit])
    exposure = re.search(r"Overall exposure level for shop\.service: ([\d.]+)", done.stdout)
    assert exposure, done
    assert float(exposure[1]) <= MOST_EXPOSURE


# What a version brings, and the text by which it shows in a file.
GATED = {
    "    http2 on;": ("nginx", (1, 25, 1)),
    "X25519MLKEM768": ("openssl", (3, 5)),
    "control_socket_disable = ": ("gunicorn", (25, 1)),
}


@on_hosts
@pytest.mark.parametrize("text", GATED)
def test_what_a_version_lacks_is_not_rendered_for_it(
    target: Target, text: str, not_run: NotRun, rendered: Callable[..., list[Built]]
) -> None:
    component, since = GATED[text]
    with using(target, not_run):
        found = [
            file
            for one in rendered(target, not_run)
            for file in one.files
            if file.output is not None and text.encode() in meaning(file)
        ]
    assert bool(found) == (target.versions[component] >= since)
