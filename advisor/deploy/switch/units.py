"""The switch's own units, and how they come onto a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import disk
from .documents import refuse
from .systemd import failed

if TYPE_CHECKING:
    from .layout import Layout
    from .systemd import Manager

SERVICE = "advisor-switch.service"
BOOT = "advisor-boot.service"

# Restart=on-failure: a switch that is killed is started again, and takes back what it had begun;
# SIGTERM counts as a clean end (systemd.service(5)), so a shutdown leaves that to the boot unit.
# Once in each boot too, for what that unit could not end: OnFailure= there would have systemd start
# it again with sysinit.target, which this needs and which waits for it, and so for ever.
SERVICE_TEXT = """\
# Installed by advisor: carries out what a controller asked for, detached from its connection.
[Unit]
Description=Advisor: apply or return a configuration
StartLimitIntervalSec=60
StartLimitBurst=30

[Service]
Type=exec
ExecStart=/usr/bin/python3 -I /usr/local/lib/advisor/switch.pyz run
Restart=on-failure
RestartSec=200ms
UMask=0077

[Install]
WantedBy=multi-user.target
"""

# Once a boot: what it does while daemons run would be known to none of them.
# Before anything reads what it may return: the sockets and services, and sysctl.d and tmpfiles.d,
# neither of which local-fs.target waits for (bootup(7)). sysusers.d does come before: systemd-udevd
# follows systemd-sysusers.service, and local-fs.target follows systemd-udevd.
BOOT_TEXT = """\
# Installed by advisor: returns what was not committed before the machine went down.
[Unit]
Description=Advisor: return to the last committed generation
DefaultDependencies=no
RequiresMountsFor=/etc/advisor /var/lib/advisor /usr/local/lib/advisor
After=local-fs.target
Before=systemd-sysctl.service systemd-tmpfiles-setup.service
Before=sysinit.target sockets.target basic.target
Conflicts=shutdown.target
Before=shutdown.target
ConditionPathExists=/var/lib/advisor/journal.jsonl

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/python3 -I /usr/local/lib/advisor/switch.pyz boot
UMask=0077

[Install]
WantedBy=sysinit.target
"""

TEXTS = {SERVICE: SERVICE_TEXT, BOOT: BOOT_TEXT}
WANTED = {SERVICE: "multi-user.target", BOOT: "sysinit.target"}


def install(layout: Layout, manager: Manager) -> bool:
    """Write the units and enable them; whether that changed anything.

    Raises `Refused` where systemd does not take them, `OSError` where the disk fails.
    """
    changed = [name for name, text in TEXTS.items() if _differs(layout, name, text)]
    for name in changed:
        disk.replace(layout.units / name, TEXTS[name].encode(), mode=0o644)
    links = {name: layout.units / f"{target}.wants" / name for name, target in WANTED.items()}
    disabled = [name for name, link in links.items() if not link.is_symlink()]
    if changed:
        _act(manager, "daemon-reload")
    if disabled:
        _act(manager, "enable", *disabled)
    return bool(changed or disabled)


def start(manager: Manager) -> None:
    """Have systemd run the switch, and do not wait; `Refused` where it does not take the job."""
    # Too many starts in a short time would leave it in a state that refuses more.
    manager.act("reset-failed", SERVICE)
    _act(manager, "start", "--no-block", SERVICE)


def _act(manager: Manager, verb: str, *words: str) -> None:
    done = manager.act(verb, *words)
    if not done.is_good:
        raise refuse("request", failed(done, [verb, *words]), f"systemctl status {SERVICE}")


def _differs(layout: Layout, name: str, text: str) -> bool:
    try:
        return (layout.units / name).read_text(encoding="utf-8") != text
    except OSError:
        return True
