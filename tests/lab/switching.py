"""The switch's own verbs on hosts of the lab, as the plays call them."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor.deploy import parcel
from advisor.deploy.pack import pack
from advisor.deploy.switch.journal import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.lab.host import Host

PROGRAM = "/usr/local/lib/advisor/switch.pyz"
SWITCH = f"python3 -I {PROGRAM}"
UNIT = "advisor-switch.service"
# What is asked of an operation that is not about time.
QUICK = {"dwell_s": 0.5, "deadline_s": 60.0}
END_S = 150.0


def until(holds: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether that came true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def installed(host: Host, *trees: Path) -> None:
    """The program and its units on a host whose nginx runs, and the users of these trees."""
    host.run("systemctl enable --now nginx")
    host.put(PROGRAM, pack(), 0o755)
    assert said(host, "install") == {"changed": True}
    for tree in trees:
        host.run("systemd-sysusers -", stdin=(tree / "systemd/sysusers.conf").read_bytes())


def said(host: Host, words: str, stdin: bytes = b"") -> dict[str, Any]:
    """What a verb answers."""
    answer: dict[str, Any] = json.loads(host.run(f"{SWITCH} {words}", stdin=stdin, timeout=170).out)
    return answer


def asking(tree: Path | Mapping[str, bytes] | None, app: str = "shop", **more: Any) -> bytes:
    """A request: to apply a tree (a folder, or its files), or without one to roll back."""
    files = parcel.read_tree(tree) if isinstance(tree, Path) else tree
    handed = parcel.parcel(files, ["app"]) if files is not None else None
    about = {"id": secrets.token_hex(8), "by": "lab", **QUICK}
    verb = "rollback" if files is None else "apply"
    return parcel.request(handed, app, **{**about, "verb": verb, **more})


def requested(host: Host, tree: Path | Mapping[str, bytes] | None, **more: Any) -> str:
    """The id of an operation that the host has taken in."""
    request = asking(tree, **more)
    id_ = str(json.loads(request)["id"])
    assert said(host, "request -", request) == {"id": id_}
    return id_


def wait(host: Host, id_: str) -> dict[str, Any]:
    """The operation once it is held, or at its end."""
    return said(host, f"wait {id_} --seconds {END_S:g}")


def ended(host: Host, id_: str) -> dict[str, Any]:
    """The operation at its end; held is none."""
    until(lambda: said(host, f"wait {id_} --seconds 10")["state"] in TERMINAL, END_S)
    operation = wait(host, id_)
    assert operation["state"] in TERMINAL, operation
    return operation


def carried_out(host: Host, tree: Path | Mapping[str, bytes] | None, **more: Any) -> dict[str, Any]:
    """The operation at its end, committed where it was held."""
    id_ = requested(host, tree, **more)
    found = wait(host, id_)
    return said(host, f"commit {id_}") if found["state"] == "held" else found


def committed(host: Host, tree: Path | Mapping[str, bytes] | None, **more: Any) -> dict[str, Any]:
    """As `carried_out`, and it went well."""
    operation = carried_out(host, tree, **more)
    assert operation["state"] == "committed", operation
    return operation


def message(operation: Mapping[str, Any]) -> str:
    """Why it was refused or taken back."""
    return str(operation["reason"]["message"])


def altered(tree: Path, path: str, change: Callable[[bytes], bytes]) -> dict[str, bytes]:
    """A tree's files, one of them otherwise: one that a checker has not seen."""
    files = {at: each for at, each in parcel.read_tree(tree).items() if at != parcel.MANIFEST}
    files[path] = change(files[path])
    return {**files, parcel.MANIFEST: parcel.manifest(files)}


def marker(host: Host, app: str = "shop") -> str:
    """Which generation's processes answer."""
    return str(json.loads(host.fetch("/pid", host=f"{app}.example").body)["marker"])


def pids(host: Host, unit: str) -> tuple[str, frozenset[str]]:
    """A unit's main process, and its children."""
    main = host.run(f"systemctl show --value -p MainPID {unit}").out.strip()
    return main, frozenset(host.run(f"pgrep -P {main}").out.split())


def assert_at_rest(host: Host, number: int, says: str | None = None) -> None:
    """This generation, committed, whole and served; nothing half, and nobody at work."""
    shown = said(host, "status")
    assert (shown["current"], shown["committed"]) == (number, number), shown
    assert not [each for app in shown["apps"].values() for each in app["drift"]], shown
    assert (shown["waiting"], shown["problem"]) == ([], None)
    assert number == max(each["n"] for each in shown["generations"])
    assert all(each["committed"] for each in shown["generations"])
    assert host.run("readlink /etc/advisor/current").out == f"generations/{number}\n"
    assert not host.run("find /etc /var/lib/advisor -name '.*.advisor' -o -name '.new-*'").out
    assert not host.run("find /etc/nginx /etc/systemd -xtype l", check=False).out
    for app in shown["apps"]:
        install = json.loads(host.read(f"/etc/advisor/current/{app}/.advisor/install.json"))
        for unit in ("nginx.service", *(each["name"] for each in install["units"])):
            assert host.run(f"systemctl is-active {unit}").out == "active\n"
        assert host.fetch("/healthz", host=f"{app}.example").status == 200
    if says is not None:
        assert marker(host) == says
