"""Deployments that a module's tests share, by each Caddy that is supported."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from advisor.render.checks.result import find_program
from tests.render.live_caddy.site import VERSIONS, Program, advise, deployed, programs
from tests.render.live_common.clients import self_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.render.live_caddy.site import Site


@pytest.fixture(scope="module", params=VERSIONS)
def program(request: pytest.FixtureRequest, not_run: Callable[[str], NoReturn]) -> Program:
    """Each Caddy in turn."""
    found = programs()
    if request.param not in found:
        not_run(f"Caddy {request.param} is not here: scripts/daemons.sh, or ADVISOR_CADDY")
    return found[request.param]


@pytest.fixture(scope="module")
def folder() -> Iterator[Callable[[], Path]]:
    """A new folder for a deployment; its path is short enough for a unix socket's."""
    with contextlib.ExitStack() as stack:

        def make() -> Path:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="caddy-")))
            path.chmod(0o755)
            return path

        yield make


@pytest.fixture(scope="module")
def start(program: Program, folder: Callable[[], Path]) -> Iterator[Callable[..., Site]]:
    """Deploys keys of advisor.yml until the module's tests are over, with an app or without."""
    with contextlib.ExitStack() as stack:

        def start_one(*, with_app: bool = True, **keys: Any) -> Site:
            rec = advise(program.version, **keys)
            return stack.enter_context(deployed(program, rec, folder(), with_app=with_app))

        yield start_one


@pytest.fixture(scope="module")
def certificate(folder: Callable[[], Path], not_run: Callable[[str], NoReturn]) -> dict[str, str]:
    """A self-signed pair for the domain, as advisor.yml's `tls`."""
    openssl = find_program("openssl")
    if openssl is None:
        not_run("openssl is not installed")
    return self_signed(folder(), "ecdsa", openssl)
