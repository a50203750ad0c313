"""What nginx.conf says for all sites is read, and only what is too low is said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from advisor.rules.findings import find
from tests.rules.situations import calm, host, in_flight, wants, without

if TYPE_CHECKING:
    from advisor.documents import Finding
    from advisor.rules.findings import Case


def proxied(concurrency: int, **settings: Any) -> Case:
    """A calm host of four CPUs behind an nginx whose main file sets this."""
    case = wants(calm(), proxy="nginx", domain="shop.example", tls={"acme": True})
    case = host(in_flight(case, concurrency), "cpu", logical=4)
    nginx = case.facts.components["nginx"].model_copy(update={"settings": settings})
    found = {**case.facts.components, "nginx": nginx}
    return replace(case, facts=case.facts.model_copy(update={"components": found}))


def said(case: Case) -> Finding | None:
    return next((each for each in find(case) if each.id == "nginx-connections"), None)


# A request in flight takes two connections; None is a setting that nginx.conf does not have.
@pytest.mark.parametrize(
    ("concurrency", "processes", "connections", "descriptors", "severity", "lines"),
    [
        # Debian's nginx.conf: 4 x 768, of which one process holds 768.
        (384, "auto", 768, None, None, []),
        (
            385,
            "auto",
            768,
            None,
            "info",
            ["worker_rlimit_nofile 2048;", "events { worker_connections 1024; }"],
        ),
        (
            1537,
            "auto",
            768,
            None,
            "warning",
            ["worker_rlimit_nofile 8192;", "events { worker_connections 4096; }"],
        ),
        # nginx's own values: one process of 512.
        (256, None, None, None, None, []),
        (
            257,
            None,
            None,
            None,
            "warning",
            [
                "worker_processes auto;",
                "worker_rlimit_nofile 2048;",
                "events { worker_connections 1024; }",
            ],
        ),
        # Connections enough, and a descriptor too few for each.
        (512, 4, 4096, None, None, []),
        (513, 4, 4096, None, "info", ["worker_rlimit_nofile 8192;"]),
        (513, 4, 4096, 1025, "info", ["worker_rlimit_nofile 8192;"]),
        (513, 4, 4096, 1026, None, []),
        (2048, 4, 4096, 8192, None, []),
        # As many processes as CPUs, or more, are enough.
        (
            2049,
            6,
            4096,
            16384,
            "info",
            ["events { worker_connections 8192; }"],
        ),
        # Values that are no number count as not set.
        (
            257,
            "many",
            "x",
            "y",
            "warning",
            [
                "worker_processes auto;",
                "worker_rlimit_nofile 2048;",
                "events { worker_connections 1024; }",
            ],
        ),
    ],
)
def test_what_is_too_low_is_said(
    concurrency: int,
    processes: str | int | None,
    connections: str | int | None,
    descriptors: str | int | None,
    severity: str | None,
    lines: list[str],
) -> None:
    given = {
        "worker_processes": processes,
        "worker_connections": connections,
        "worker_rlimit_nofile": descriptors,
    }
    settings = {name: value for name, value in given.items() if value is not None}
    found = said(proxied(concurrency, **settings))
    assert (found and found.severity) == severity
    if found:
        assert found.remedy == f"In nginx.conf have at least: {' '.join(lines)}"
        read = {f"components.nginx.settings.{name}": value for name, value in settings.items()}
        assert found.evidence == {
            "plan.concurrency": concurrency,
            "connections": 2 * concurrency,
            **read,
        }


def test_the_numbers_of_nginx_conf_are_told() -> None:
    found = said(proxied(1537, worker_processes="auto", worker_connections=768))
    assert found
    assert found.title == "nginx runs out of connections"
    assert "4 x 768" in found.detail
    assert "no worker_rlimit_nofile" in found.detail
    found = said(proxied(1000, worker_connections=768, worker_rlimit_nofile=1000))
    assert found
    assert "1 x 768" in found.detail
    assert "worker_rlimit_nofile 1000" in found.detail


def test_a_file_that_was_not_read_is_said_to_be_unknown() -> None:
    found = said(without(proxied(257), "nginx"))
    assert found
    assert (found.severity, found.title) == ("info", "nginx may run out of connections")
    assert "was not read" in found.detail


def test_without_an_nginx_before_the_app_nothing_is_said() -> None:
    case = wants(proxied(5000), proxy="none")
    assert said(case) is None
