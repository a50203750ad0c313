"""`probe --observe` of an app that is named by its URL or a PID."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.errors import InvalidInput
from advisor.host import servers
from advisor.host.locate import Located
from advisor.probe import address
from advisor.probe.observe import observe
from advisor.probe.target import find, target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from advisor.documents import Measurement
    from advisor.probe.choice import Allowed, Choice


def observe_app(
    url: str | None,
    *,
    seconds: float,
    pid: int | None,
    unix_socket: Path | None,
    choice: Choice,
    stub_status: str | None,
    allowed: Allowed,
    on_progress: Callable[[str], None],
) -> Measurement:
    """Watch the app at `url`, or of `pid`, under real traffic; as `observe`.

    Raises what `observe` raises, and `InvalidInput` where neither is given or an option asks for
    load.
    """
    if choice.endpoints or choice.source or allowed.saturate:
        raise InvalidInput(
            "--observe sends nothing: --endpoint, --routes and --saturate are not for it"
        )
    if url:
        endpoint = address.resolve(
            url, remote=allowed.remote, public=allowed.public, socket=unix_socket
        )
        found, name = find(endpoint, pid), endpoint.url
    elif pid is not None:
        server = servers.server_of(pid)
        found, name = Located(server), next(iter(server.listen), f"pid {pid}")
    else:
        raise InvalidInput(
            "--observe: a URL or --pid is needed",
            remedy="`advisor inspect` lists the servers that run here and their PIDs.",
        )
    measured = observe(
        target(name, found, found.server),
        seconds=seconds,
        access_log=choice.access_log,
        log_format=choice.log_format,
        stub_status=stub_status,
        site=found.site,
        on_progress=on_progress,
    )
    return measured.model_copy(update={"unknown": [*found.unknown, *measured.unknown]})
