"""What a look at a host says: whether anything may be done there, and whether anything is to do.

Ansible's action plugin uses this where nothing of ours is installed: standard library alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.deploy.batches import TERMINAL
from advisor.deploy.target import PROGRAM, Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.deploy.parcel import Parcel

# What the lab boots.
TESTED = {"debian": ("12", "13")}
# What is at rest, but not as it was installed: after a return that failed files and daemons differ.
RESTING = TERMINAL - {"return_failed"}


def prepared(found: Mapping[str, Any]) -> list[str]:
    """The roles that have something to bring: a daemon, or the app's user."""
    roles = [*found["missing"], *(["app_service"] if found["lacks_user"] else [])]
    return list(dict.fromkeys(roles))


def has(status: Mapping[str, Any], handed: Parcel) -> bool:
    """Whether a host has and serves exactly these files, and nothing is under way."""
    there = (status.get("apps") or {}).get(handed.app) or {}
    at_rest = (status.get("operation") or {}).get("state") in {None, *RESTING}
    same = there.get("manifest") == handed.manifest_digest and not there.get("drift")
    return bool(same and at_rest and handed.app not in (status.get("unserved") or ()))


def app_to_roll_back(status: Mapping[str, Any], named: str, *, all_apps: bool) -> str:
    """The app of a host that is named, or the only one; `Trouble` where that is none."""
    apps = sorted(status.get("apps") or {})
    if not apps or (named and named not in apps):
        raise Trouble(
            f"there is no app {named} of ours" if named else "there is no app of ours",
            remedy=f"There are: {', '.join(apps)}." if apps else "Apply a tree first.",
        )
    if not named and len(apps) > 1 and not all_apps:
        raise Trouble(
            f"there are several apps: {', '.join(apps)}",
            remedy="Name one: --app NAME; or roll the whole host back: --all-apps.",
        )
    return named or apps[0]


def check(found: Mapping[str, Any]) -> None:
    """Raise `Trouble` for a host on which none of this was ever tested."""
    name, version = found["system"]["id"], found["system"]["version"]
    if version not in TESTED.get(name, ()):
        raise Trouble(
            f"{name} {version} is untested: nothing was done",
            remedy="Debian 12 and 13 are tested.",
        )
    if not found["is_root"]:
        raise Trouble("root is needed", remedy="Let Ansible become root there.")
    if not found["has_systemd"]:
        raise Trouble("systemd does not run there", remedy="Name a host that it has booted.")
    if "broken" in (found["status"] or {}):
        raise Trouble(
            f"the switch there does not answer: {found['status']['broken']}",
            remedy=f"Remove {PROGRAM}, and apply again.",
        )
