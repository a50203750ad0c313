"""Units and sockets: there, as rendered, running, and coming back at boot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.deploy.suite.verdict import held

if TYPE_CHECKING:
    from advisor.deploy.suite.live import Live
    from advisor.deploy.suite.tree import Tree
    from advisor.deploy.switch.documents import Unit

# What a unit that serves can be in; a socket is active in both (systemd.unit(5), unit states).
UP = {"running", "listening", "exited"}


def test_is_active(live: Live, unit: Unit) -> None:
    """Is active."""
    found = live.unit(unit.name)
    held(found.get("LoadState") == "loaded", f"it is {found.get('LoadState', 'not known')}")
    state = f"{found.get('ActiveState')} ({found.get('SubState')})"
    held(found.get("ActiveState") == "active" and found.get("SubState") in UP, f"it is {state}")


def test_starts_at_boot(live: Live, own_unit: Unit) -> None:
    """Starts at boot."""
    found = live.unit(own_unit.name).get("UnitFileState") or "not known"
    held(found == "enabled", f"it is {found}")


def test_is_as_rendered(live: Live, tree: Tree, unit: Unit) -> None:
    """Is what systemd has loaded."""
    found = live.unit(unit.name)
    ours = {row.target for row in tree.install.files}
    loaded = {found.get("FragmentPath", ""), *found.get("DropInPaths", "").split()}
    held(bool(ours & loaded), f"systemd reads {', '.join(sorted(filter(None, loaded))) or 'none'}")
    held(
        found.get("NeedDaemonReload") == "no",
        "its file has changed since: systemctl daemon-reload, then apply again",
    )
