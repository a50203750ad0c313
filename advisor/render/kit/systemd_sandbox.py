"""What the app's processes may not do, and what that is relaxed for, with its cost.

One sandbox for all that runs the app's code: the server, and the background workers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.render.kit.systemd_lines import (
    LOCKS,
    Directive,
    assumed,
    known,
    missing,
    of_settings,
)
from advisor.render.kit.systemd_names import has_command, has_socket, own_folder
from advisor.render.place import any_below, app_paths, is_unix, stream

if TYPE_CHECKING:
    from advisor.render.values import Inputs

HOMES = ("/home", "/root", "/run/user")
TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - named, not used
LOWEST_FREE_PORT = 1024

HOME = (
    "Relaxed from yes: the app lives in a home folder. Cost: it can read the others' homes where",
    "their modes let it.",
)
TMP = (
    "PrivateTmp is left out: it would hide the app, which lives under /tmp. Cost: it shares /tmp",
    "with every other process, which can put files in its way.",
)
PORT = (
    "Relaxed: this server opens its port itself, and below 1024 that takes a privilege, outside of",
    "a user namespace (PrivateUsers). Cost: what breaks in may take any free port of the host.",
)
# What stays open by default, and what it costs. An app that can do without pins it.
OPEN = {
    "MemoryDenyWriteExecute": (
        "MemoryDenyWriteExecute is left out: it breaks JIT compilers and some C callbacks. Cost:",
        "what breaks in may run code that it writes. Pin systemd.memory_deny_write_execute: true.",
    ),
    "ProcSubset": (
        "ProcSubset is left out: libraries read /proc/meminfo and the like. Cost: the app sees the",
        "host's figures. Pin systemd.proc_subset: pid.",
    ),
}
NETWORK = (
    "The network is open (no PrivateNetwork, no IPAddressDeny): the app reaches databases, Redis",
    "and other services by it. Cost: what breaks in may connect anywhere.",
)

# With what each takes of systemd (rules/versions.py), where it is younger than ten years.
SANDBOX = (
    Directive("PrivateDevices", (True,)),
    Directive("PrivateMounts", (True,), "private_mounts"),
    Directive("ProtectProc", ("invisible",), "protect_proc"),
    Directive("ProtectClock", (True,), "protect_clock"),
    Directive("ProtectHostname", (True,), "protect_hostname"),
    Directive("ProtectControlGroups", (True,), "protect_control_groups"),
    Directive("ProtectKernelLogs", (True,), "protect_kernel_logs"),
    Directive("ProtectKernelModules", (True,), "protect_kernel_modules"),
    Directive("ProtectKernelTunables", (True,), "protect_kernel_tunables"),
    Directive("NoNewPrivileges", (True,)),
    Directive("LockPersonality", (True,), "lock_personality"),
    Directive("RestrictNamespaces", (True,), "restrict_namespaces"),
    Directive("RestrictRealtime", (True,), "restrict_realtime"),
    Directive("RestrictSUIDSGID", (True,), "restrict_suid_sgid"),
    # A unix socket or TCP: databases, Redis and the proxy are reached by either.
    Directive("RestrictAddressFamilies", ("AF_UNIX", "AF_INET", "AF_INET6")),
    Directive("KeyringMode", ("private",), "keyring_mode"),
    Directive("SystemCallArchitectures", ("native",)),
    # The group is as old as the allow lists of systemd's own units. A systemd without
    # it would read an empty allow list, so there the second line stands alone, and denies.
    Directive("SystemCallFilter", ("@system-service",), "system_service_group"),
    Directive("SystemCallFilter", ("~@privileged", "@resources"), "resources_group"),
    Directive("SystemCallErrorNumber", ("EPERM",)),
)


def sandbox(inputs: Inputs, *, serves: bool = True) -> dict[str, Any]:
    """What `systemd/sandbox.j2` writes: `sandbox`, and what is said below it, `left_open`.

    What does not serve opens no socket and no port, and gets nothing for one.
    """
    paths = app_paths(inputs.intent)
    low = serves and opens_low_port(inputs)
    directives = [
        Directive("ProtectSystem", ("strict",), "protect_system_strict"),
        *(
            Directive("ReadWritePaths", (path,), "read_write_paths")
            for path in inputs.intent.app_writable or []
        ),
        *(socket_folder(inputs) if serves else []),
        *_homes(in_home=any_below(paths, *HOMES)),
        *_temporary(in_tmp=any_below(paths, *TEMPORARY)),
        *_privileges(low=low),
        *SANDBOX,
        *of_settings(inputs, LOCKS),
    ]
    written = {directive.name for directive in directives}
    open_ = [line for name, lines in OPEN.items() if name not in written for line in lines]
    return {
        "sandbox": known(inputs, directives),
        "left_open": [*open_, *NETWORK, *missing(inputs, directives), *assumed(inputs)],
    }


def relaxed(inputs: Inputs) -> list[str]:
    """For what the sandbox is wider than by default: a word or two each."""
    paths = app_paths(inputs.intent)
    reasons = {
        "a home folder": any_below(paths, *HOMES),
        "an app under /tmp": any_below(paths, *TEMPORARY),
        "a port below 1024": opens_low_port(inputs),
    }
    return [name for name, is_so in reasons.items() if is_so]


def opens_low_port(inputs: Inputs) -> bool:
    """Whether the server itself, and no socket unit, has to open a privileged port."""
    own = has_command(inputs) and not has_socket(inputs) and not is_unix(inputs.intent)
    return own and int(stream(inputs.intent).rpartition(":")[2]) < LOWEST_FREE_PORT


def socket_folder(inputs: Inputs) -> list[Directive]:
    """The folder of the server's own socket, and what empties it.

    A socket that a killed server left would keep the next one from binding.
    """
    folder = own_folder(inputs)
    if folder is None:
        return []
    says = ("The server makes its socket itself, in a folder of tmpfiles.d.",)
    return [
        Directive("ReadWritePaths", (folder,), "read_write_paths", says=says),
        Directive("ExecStartPre", ("/bin/rm", "-f", stream(inputs.intent))),
    ]


def _homes(*, in_home: bool) -> list[Directive]:
    if in_home:
        return [Directive("ProtectHome", ("read-only",), says=HOME)]
    return [Directive("ProtectHome", (True,))]


def _temporary(*, in_tmp: bool) -> list[Directive]:
    """Without PrivateTmp, ProtectSystem=strict shuts /tmp as well (systemd.exec(5))."""
    if in_tmp:
        return [Directive("ReadWritePaths", TEMPORARY, "read_write_paths", says=TMP)]
    return [Directive("PrivateTmp", (True,))]


def _privileges(*, low: bool) -> list[Directive]:
    words = ("CAP_NET_BIND_SERVICE",) if low else ()
    return [
        *([] if low else [Directive("PrivateUsers", (True,), "private_users")]),
        Directive("CapabilityBoundingSet", words, says=PORT if low else ()),
        Directive("AmbientCapabilities", words, "ambient_capabilities"),
    ]
