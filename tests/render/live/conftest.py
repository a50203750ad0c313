"""Deployments that a module's tests share, and certificates for them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from advisor.render.checks.result import find_program
from tests.render.live.site import advise, deployed
from tests.render.live_common.clients import self_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.render.live.site import Site


@pytest.fixture(scope="session")
def folder(
    tmp_path_factory: pytest.TempPathFactory, not_run: Callable[[str], NoReturn]
) -> Callable[[], Path]:
    """A new folder for a deployment; its path is short enough for a unix socket's."""
    if find_program("nginx") is None:
        not_run("nginx is not installed")

    def make() -> Path:
        path = tmp_path_factory.mktemp("site")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture(scope="module")
def start(folder: Callable[[], Path]) -> Iterator[Callable[..., Site]]:
    """Deploys keys of advisor.yml until the module's tests are over; without the app on request."""
    with contextlib.ExitStack() as stack:

        def start_one(*, with_app: bool = True, **keys: Any) -> Site:
            return stack.enter_context(deployed(advise(**keys), folder(), with_app=with_app))

        yield start_one


@pytest.fixture(scope="session")
def certificate(
    tmp_path_factory: pytest.TempPathFactory, not_run: Callable[[str], NoReturn]
) -> Callable[[str], dict[str, str]]:
    """A self-signed pair for the domain, as advisor.yml's `tls`; its key is `ecdsa` or `rsa`."""
    openssl = find_program("openssl")
    if openssl is None:
        not_run("openssl is not installed")
    made: dict[str, dict[str, str]] = {}

    def make(kind: str) -> dict[str, str]:
        if kind not in made:
            made[kind] = self_signed(tmp_path_factory.mktemp(kind), kind, openssl)
        return made[kind]

    return make
