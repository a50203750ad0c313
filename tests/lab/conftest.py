"""Real hosts for tests: `lab` for a whole module, `hosts` for those that one test wears out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.lab.bases import RELEASES, lacking
from tests.lab.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.host import Host

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.daemon)


@pytest.fixture(scope="module")
def lab(not_run: Callable[[str], NoReturn]) -> Iterator[Lab]:
    """Where hosts boot: `lab.boot("debian-12", name="web1")`.

    They end with the module: a kernel has 128 inotify instances for a user by default, and each
    host's systemd takes several.
    """
    if reason := lacking():
        not_run(reason)
    with Lab() as lab:
        yield lab


@pytest.fixture
def hosts(lab: Lab) -> Iterator[Callable[..., Host]]:
    """Boots hosts as `lab.boot` does, and ends them with the test."""
    booted: list[Host] = []

    def boot(release: str, name: str = "web", *, wait: bool = True) -> Host:
        booted.append(host := lab.boot(release, name, wait=wait))
        return host

    yield boot
    for host in booted:
        host.close()


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a module renders the trees that its tests hand to its hosts."""
    return tmp_path_factory.mktemp("trees")


@pytest.fixture(scope="session", params=list(RELEASES))
def release(request: pytest.FixtureRequest) -> str:
    """Each release that the lab boots; a test that asks for it runs on all."""
    return str(request.param)
