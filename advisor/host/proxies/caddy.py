"""The configuration of a Caddy that runs: from its admin API, else from the file it was given."""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import httpx

from advisor.documents import Unknown
from advisor.host import processes, sockets
from advisor.host.proxies import program
from advisor.host.proxies.caddy_site import admin, endpoints
from advisor.host.proxies.nginx_listen import bracketed
from advisor.host.tree import clean, content, under

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.documents import Server

DEFAULT_ADMIN = "localhost:2019"
TIMEOUT_S = 2
MAX_BYTES = 8 * 1024**2
VARIABLE = re.compile(rb"\{\$")  # the environment's, put in as Caddy reads the file
OPTION = re.compile(r"--?(?P<name>config|adapter)(?:=(?P<value>.*))?", re.DOTALL)


def configuration(server: Server) -> tuple[dict[str, Any] | None, list[Unknown]]:
    """What the Caddy runs as its JSON; None with the reason where neither way tells.

    Asked is only an API that this very process has open on loopback; the request is a GET.
    """
    process = processes.table().get(server.pid)
    uid = process.uid if process else -1
    if (live := _asked(DEFAULT_ADMIN, server.pid, uid)) is not None:
        return live, []
    given = words(process.argv if process else ())
    adapted, why = _adapted(server, given)
    if adapted is None:
        return None, [_unknown(server, "the configuration", why)]
    listen = admin(adapted)
    live = _asked(listen, server.pid, uid) if listen not in {None, DEFAULT_ADMIN} else None
    if live is not None:
        return live, []
    why = f"its admin API does not answer; read from {given.get('config') or 'its file'} instead"
    return adapted, [_unknown(server, "whether it runs its configuration file", why)]


def words(argv: Sequence[str]) -> dict[str, str]:
    """The configuration file and its adapter as a Caddy's command line names them.

    >>> words(["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter=caddyfile"])
    {'config': '/etc/caddy/Caddyfile', 'adapter': 'caddyfile'}
    """
    rest, found = list(argv), {}
    while rest:
        if option := OPTION.fullmatch(rest.pop(0)):
            value = (
                option["value"] if option["value"] is not None else (rest.pop(0) if rest else "")
            )
            found[option["name"]] = value
    return found


def parse(text: str | bytes) -> dict[str, Any] | None:
    """A JSON object; None for anything else, however deep or broken."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _asked(listen: str | None, pid: int, uid: int) -> dict[str, Any] | None:
    """The answer of the admin API at an address on loopback; None without a usable one."""
    for host, port, _ in endpoints(listen):
        if host.startswith("unix:"):
            transport = httpx.HTTPTransport(uds=host.removeprefix("unix:"))
            mine = any(str(one) == host for one in _held(pid, uid))
            base = "http://localhost"
        else:
            transport, base = None, f"http://{bracketed(host)}:{port}"
            loopback = _loopback(host)
            mine = bool(loopback and sockets.accepting(_held(pid, uid), loopback, port))
        if mine:
            return _got(f"{base}/config/", transport)
    return None


def _held(pid: int, uid: int) -> list[sockets.Listener | sockets.UnixListener]:
    """The sockets that the process listens on; all of its user's where it does not show its own."""
    try:
        listening = sockets.listening(pid)
    except OSError:
        return []
    try:
        held = sockets.inodes(pid)
    except OSError:
        return [one for one in listening if isinstance(one, sockets.Listener) and one.uid == uid]
    return [one for one in listening if one.inode in held]


def _loopback(host: str) -> sockets.Address | None:
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return None
    return found if found.is_loopback else None


def _got(url: str, transport: httpx.HTTPTransport | None) -> dict[str, Any] | None:
    try:
        with (
            httpx.Client(trust_env=False, timeout=TIMEOUT_S, transport=transport) as client,
            client.stream("GET", url) as answer,
        ):
            body = b""
            for part in answer.iter_bytes():
                body += part
                if len(body) > MAX_BYTES:
                    return None
            return parse(body) if answer.status_code == httpx.codes.OK else None
    except (httpx.HTTPError, OSError, ValueError):
        return None


def _adapted(server: Server, given: dict[str, str]) -> tuple[dict[str, Any] | None, str]:
    """The configuration file as JSON, or why there is none."""
    name, adapter = given.get("config") or "Caddyfile", given.get("adapter")
    if not (name.startswith("/") or server.directory):
        return None, "its admin API does not answer, and the folder of its file may not be seen"
    path = str(PurePosixPath(server.directory or "/") / name)
    root = processes.filesystem(server.pid)
    try:
        source = content(under(root, path), most=MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not readable"
        return None, f"its admin API does not answer, and {path}: {reason}"
    if adapter is None and (found := parse(source)) is not None:
        return found, ""
    if VARIABLE.search(source):
        return None, f"{path} takes parts from Caddy's environment, which is not looked at"
    adapter = adapter or "caddyfile"
    caddy = program.running("caddy", server.pid)
    if caddy is None:
        return None, "its admin API does not answer, and its program is not one to be run here"
    words = ("adapt", "--config", str(under(root, path)), "--adapter", adapter)
    done, out, _ = program.answer(caddy, *words)
    found = parse(out) if done else None
    return found, "" if found is not None else f"`caddy adapt` does not take {path}"


def _unknown(server: Server, what: str, why: str) -> Unknown:
    remedy = f"{processes.denied()[1]}, or leave Caddy's admin API on"
    return Unknown(what=f"{what} of pid {server.pid} (caddy)", why=clean(why), remedy=remedy)
