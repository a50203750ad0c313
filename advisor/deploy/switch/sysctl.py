"""Kernel settings: whether they exist here, and setting them live as systemd does at boot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .commands import run
from .documents import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .livevalues import Store

PROC = Path("/proc/sys")
PROGRAM = "/usr/lib/systemd/systemd-sysctl"


def settings(text: str) -> dict[str, str]:
    r"""The keys of a file in sysctl.d's format, blanks as the kernel prints them.

    >>> settings("# why\nnet.core.somaxconn = 4096\nnet.ipv4.ip_local_port_range = 1024 65535\n")
    {'net.core.somaxconn': '4096', 'net.ipv4.ip_local_port_range': '1024 65535'}
    """
    pairs = (line.partition("=") for line in text.splitlines() if line.strip()[:1] not in "#;")
    return {key.strip(): " ".join(value.split()) for key, equals, value in pairs if equals}


def missing(text: str, proc: Path = PROC) -> Refusal | None:
    """The keys that this kernel does not have; at boot they would be passed over in silence."""
    absent = tuple(key for key in settings(text) if not _file(key, proc).exists())
    if not absent:
        return None
    return Refusal(
        step="check",
        message=f"this kernel has no {', '.join(absent)}",
        look="Load the module that brings it, or take `host` out of `manage` in advisor.yml.",
    )


def apply(keys: list[str]) -> tuple[str, ...]:
    """Set the keys as at boot: of all files in sysctl.d the one whose name sorts last counts."""
    if not keys:
        return ()
    done = run([PROGRAM, *(f"--prefix={key.replace('.', '/')}" for key in keys)])
    return () if done.is_good else tuple(done.said) or (f"systemd-sysctl ended with {done.code}",)


def switch(
    app: str,
    new: Mapping[str, str],
    store: Store,
    *,
    proc: Path = PROC,
    set_all: Callable[[list[str]], tuple[str, ...]] = apply,
) -> Refusal | None:
    """From the keys that an app has set to its new ones; what nobody sets gets back what was."""
    gone = [key for key in store.names(app) if key not in new]
    store.keep(app, {key: _read(key, proc) for key in new})
    try:
        for key, value in store.due(app, gone).items():
            # A container that may not set it has it as it was.
            if _read(key, proc) != value:
                _file(key, proc).write_text(value, encoding="ascii")
    except OSError as error:
        return _refused((f"{error.filename}: {error.strerror}",))
    wrong = set_all(sorted({*gone, *new}))
    store.forget(app, gone)
    lower = tuple(
        f"{key} is {_read(key, proc)}, and should be {value}"
        for key, value in new.items()
        if not _holds(_read(key, proc), value)
    )
    return _refused(wrong or lower) if wrong or lower else None


def _refused(lines: tuple[str, ...]) -> Refusal:
    return Refusal(
        step="activate",
        message="kernel settings could not be set",
        lines=lines,
        look="A container may not set most of them, and a file that sorts later in sysctl.d wins: "
        "see `systemd-analyze cat-config sysctl.d`.",
    )


def _holds(found: str, wanted: str) -> bool:
    """Whether the kernel has the value; a single number may be higher, where another file asks."""
    if found.isdecimal() and wanted.isdecimal():
        return int(found) >= int(wanted)
    return found == wanted


def _read(key: str, proc: Path) -> str:
    return " ".join(_file(key, proc).read_text(encoding="ascii").split())


def _file(key: str, proc: Path) -> Path:
    return proc / key.replace(".", "/")
