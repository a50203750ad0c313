"""`probe --observe`: the app's processes and the proxy's log, watched under real traffic.

Nothing is sent to the app. The demand is that of real requests at the real rate, and all that
the server does in the background is in it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from advisor.documents import Cost, Measurement, Target
from advisor.errors import InvalidInput
from advisor.host import limits, servers
from advisor.host.locate import Located
from advisor.probe import address
from advisor.probe.interrupt import run_until_signal
from advisor.probe.passive import reckon, sources
from advisor.probe.passive.seen import Room
from advisor.probe.passive.watch import Watch, refreshed
from advisor.probe.sample import memory
from advisor.probe.target import find, target_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from advisor.documents import Server, Unknown
    from advisor.host.proxies.site import Site
    from advisor.probe.choice import Allowed, Choice

LEAST_S, MOST_S = 5.0, 7 * 86400.0


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
        target_of(name, found, found.server),
        seconds=seconds,
        access_log=choice.access_log,
        log_format=choice.log_format,
        stub_status=stub_status,
        site=found.site,
        on_progress=on_progress,
    )
    return measured.model_copy(update={"unknown": [*found.unknown, *measured.unknown]})


def observe(
    target: Target,
    *,
    seconds: float,
    pid: int | None = None,
    access_log: Path | None = None,
    log_format: str | None = None,
    stub_status: str | None = None,
    site: Site | None = None,
    on_progress: Callable[[str], None],
) -> Measurement:
    """Watch the app of `target` for so many seconds of real traffic; no request is sent to it.

    The server is that of `pid`, else of `target.pid`; without either its processes stay unknown.
    Requests are counted in `access_log` (its format that of `log_format`, else the site's, else
    recognised), in `stub_status`, or in what `site` has. `on_progress` gets a line every 5 s.

    Raises `InvalidInput` for a log or a format that cannot be read, `TooLittleEvidence` where no
    request came by or the server ended at once, `Interrupted` on SIGINT and SIGTERM.
    """
    if not LEAST_S <= seconds <= MOST_S:
        raise InvalidInput(f"--observe {seconds:g}: takes {LEAST_S:g} to {MOST_S:g} seconds")
    chosen = target.pid if pid is None else pid
    server = servers.server_of(chosen) if chosen is not None else None
    counter, unread = sources.choose(access_log, log_format, stub_status, site)
    watch = Watch(server, counter, _room(server), on_progress)
    return run_until_signal(_observe(watch, target, seconds, unread))


async def _observe(
    watch: Watch, target: Target, seconds: float, unread: list[Unknown]
) -> Measurement:
    started, own_cpu = time.perf_counter(), time.process_time()
    async with watch.counter:
        await watch.run(seconds)
    seen = watch.seen()
    server = refreshed(seen.server)
    if server is not None:
        target = target.model_copy(
            update={
                "pid": server.pid,
                "server": server.kind,
                "worker_class": server.worker_class,
                "workers": len(server.workers),
                "threads": server.threads,
            }
        )
    return reckon.measurement(
        replace(seen, server=server),
        target=target,
        holdings=memory.holdings(server) if server else None,
        cost=Cost(
            requests=0,
            duration_s=round(time.perf_counter() - started, 3),
            client_cpu_s=round(time.process_time() - own_cpu, 3),
            server_cpu_s=0.0,
        ),
        unknown=unread,
    )


def _room(server: Server | None) -> Room:
    cpu, _ = limits.cpu(server.pid if server else None)
    own, _ = limits.cpu()
    shares = cpu.binding == own.binding and cpu.quota == "limited"
    return Room(cores=cpu.effective, host_cores=cpu.logical, shares_limit=shares)
