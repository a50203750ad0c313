"""Which of the servers on a host a recommendation is for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.errors import InvalidInput, TooLittleEvidence

if TYPE_CHECKING:
    from advisor.documents import Facts, Measurement, Server
    from advisor.intent import Intent


def servers_for(
    facts: Facts,
    measurement: Measurement | None,
    intent: Intent | None,
    *,
    pid: int | None,
    single: bool,
) -> list[Server | None]:
    """The servers asked about: by PID, by what was measured, by advisor.yml, else all.

    None stands for an app that does not run here. Raises `InvalidInput` where `pid` is no
    server's, or where one app has to be named because the result is to be one document
    (`single`); `TooLittleEvidence` where there is no app at all.
    """
    if pid is not None:
        return [_with_pid(facts, pid)]
    if measurement is not None:
        measured = measurement.target.pid
        return [next((s for s in facts.servers if measured in _pids(s)), None)]
    if intent is not None:
        running = [s for s in facts.servers if s.app == intent.app.module]
        return [running[0] if len(running) == 1 else None]
    known = [server for server in facts.servers if server.app is not None]
    if not known:
        raise TooLittleEvidence(
            "no app was given, and no Gunicorn or Uvicorn whose app can be told runs here",
            remedy="Start the app, or give its URL, --pid, or --config with app.module.",
        )
    if single and len(known) > 1:
        found = "\n".join(f"  {server.pid}  {_described(server)}" for server in known)
        raise InvalidInput(
            f"{len(known)} apps run here, and one document holds one:\n{found}",
            remedy="Choose one with its URL or --pid.",
        )
    return list(known)


def _with_pid(facts: Facts, pid: int) -> Server:
    for server in facts.servers:
        if pid in _pids(server):
            return server
    raise InvalidInput(
        f"--pid {pid}: not a process of a Gunicorn or Uvicorn server",
        remedy="advisor inspect lists the servers it finds.",
    )


def _pids(server: Server) -> set[int]:
    return {server.pid, *(worker.pid for worker in server.workers)}


def _described(server: Server) -> str:
    where = ", ".join(server.listen) or "no socket seen"
    return f"{server.app} ({server.kind}, {where})"
