"""The switch's verbs. Each prints one JSON object on standard output.

It ends with 0 wherever the object is an answer, a refusal too; with 1 where it could not answer.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import drain, requests, serve, status, trust, units
from .documents import Refused, Request, refuse
from .effects import Host
from .journal import TERMINAL, Journal, boot_id, now
from .layout import Layout
from .lock import Lock, busy, holder
from .operation import Switch
from .systemd import Systemd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Options = argparse.Namespace
Answer = dict[str, Any]

# How long a request waits for another that is just being taken in.
TAKING_IN_S = 1.0
# A return reloads, and looks for a while: this long an answer's end is waited for.
END_S = 120.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; the exit code."""
    options = _parser().parse_args(arguments)
    layout = Layout(options.root)
    try:
        answer, code = VERBS[options.verb](options, layout), 0
    except Refused as error:
        refusal = error.refusal
        answer, code = {"refused": refusal.message, "reason": refusal.as_json()}, 0
    except OSError as error:
        answer, code = {"error": str(error)}, 1
    print(json.dumps(answer))  # noqa: T201 - this is what the program is for
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="switch", description=__doc__)
    # Everything below another folder than /: for tests.
    parser.add_argument("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name in ("status", "run", "boot", "install"):
        verbs.add_parser(name)
    for name in ("request", "check", "drain", "undrain"):
        verbs.add_parser(name).add_argument("file", help="the request; - is standard input")
    for name in ("wait", "commit", "return"):
        verb = verbs.add_parser(name)
        verb.add_argument("id")
        verb.add_argument("--seconds", type=float, default=END_S)
    return parser


def _status(_options: Options, layout: Layout) -> Answer:
    return status.status(layout)


def _request(options: Options, layout: Layout) -> Answer:
    data = _read(options.file)
    request = Request.from_data(data)
    if request.check:
        raise refuse("request", "the request is one to check", "The verb for it is check.")
    requests.make_folders(layout)
    lock = Lock(layout)
    who = {"id": request.id, "by": request.by, "verb": request.verb, "app": request.app}
    lock.take({**who, "since": now()}, wait_s=TAKING_IN_S)
    try:
        _take_in(layout, request, data)
    finally:
        lock.release()
    try:
        units.start(Systemd())
    except Refused:
        requests.finish(layout, request.id)
        raise
    return {"id": request.id}


def _take_in(layout: Layout, request: Request, data: Answer) -> None:
    waiting = [one for one in requests.waiting(layout) if one.boot == boot_id()]
    if waiting:
        units.start(Systemd())
        raise Refused(busy(waiting[0].who))
    if Journal(layout).lines(request.id):
        raise refuse("request", f"{request.id} is the id of an earlier operation")
    requests.submit(layout, request.id, data)


def _wait(options: Options, layout: Layout) -> Answer:
    _known(options.id, layout)
    serve.wait_until(layout, options.id, TERMINAL | {"held"}, options.seconds)
    return _known(options.id, layout)


def _answer(options: Options, layout: Layout) -> Answer:
    """Commit or return what is held; the operation at its end."""
    found = _known(options.id, layout)
    if found["state"] in TERMINAL:
        return found
    requests.give_answer(layout, options.id, options.verb)
    if holder(layout) is None:
        units.start(Systemd())
    serve.wait_until(layout, options.id, TERMINAL, options.seconds)
    return _known(options.id, layout)


def _known(id_: str, layout: Layout) -> Answer:
    found = status.operation(layout, id_)
    if found is None:
        raise refuse("request", f"no operation {id_} is known on this host")
    return {**found, "is_running": holder(layout) is not None}


def _run(_options: Options, layout: Layout) -> Answer:
    return {"done": serve.work(Switch(layout, Host(layout)), Lock(layout))}


def _boot(_options: Options, layout: Layout) -> Answer:
    return {"changed": serve.boot(layout, Systemd(), Lock(layout))}


def _check(options: Options, layout: Layout) -> Answer:
    request = Request.from_data(_read(options.file))
    return status.check(request, Switch(layout, Host(layout)))


def _install(_options: Options, layout: Layout) -> Answer:
    return {"changed": units.install(layout, Systemd())}


def _drain(options: Options, layout: Layout) -> Answer:
    return drain.drain(_read(options.file), layout)


def _undrain(options: Options, layout: Layout) -> Answer:
    return drain.undrain(_read(options.file), layout)


def _read(name: str) -> Answer:
    try:
        data = json.loads(sys.stdin.buffer.read() if name == "-" else _trusted(name))
    except (ValueError, RecursionError) as error:
        raise refuse("request", f"{name}: not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise refuse("request", f"{name}: should be a mapping of keys to values")
    return data


def _trusted(name: str) -> bytes:
    """A file's bytes; `Refused` where somebody but root could have put others there."""
    with Path(name).open("rb") as stream:
        problem = trust.problem_of(os.fstat(stream.fileno()))
        if problem:
            raise refuse("request", f"{name} {problem}: it is not trusted", trust.LOOK)
        return stream.read()


VERBS: dict[str, Callable[[Options, Layout], Answer]] = {
    "status": _status,
    "request": _request,
    "wait": _wait,
    "commit": _answer,
    "return": _answer,
    "run": _run,
    "boot": _boot,
    "check": _check,
    "install": _install,
    "drain": _drain,
    "undrain": _undrain,
}


if __name__ == "__main__":
    raise SystemExit(main())
