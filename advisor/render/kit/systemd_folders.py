"""What has to be there before the app's service starts: its user, and folders (tmpfiles.d)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.render.kit.systemd_names import has_unit, own_folder
from advisor.render.place import any_below, proxy_group
from advisor.rules.versions import CAPABILITIES

if TYPE_CHECKING:
    from advisor.render.values import Inputs

# A leading colon leaves a folder that is there as it is.
KEEPS = "systemd.tmpfiles_keep"


@dataclass(frozen=True)
class Folder:
    """A `d` line of tmpfiles.d: a folder, its mode and owner, and why it is there.

    A leading colon: only for a folder that is made anew, so that one that is there keeps what
    its owner gave it. A dash is the superuser's.
    """

    path: str
    mode: str
    user: str
    group: str
    says: str


def has_own_user(inputs: Inputs) -> bool:
    """Whether the app has a system user of its own, named like it, and not somebody's."""
    return has_unit(inputs) and inputs.intent.user == inputs.intent.app_name


def has_folders(inputs: Inputs) -> bool:
    """Whether there is a folder to make."""
    return bool(folders(inputs))


def folders(inputs: Inputs) -> list[Folder]:
    """The folder of a socket that the server makes itself, and those that the app writes to."""
    makes = has_unit(inputs) and inputs.can(KEEPS)
    paths = dict.fromkeys(inputs.intent.app_writable or []) if makes else {}
    return [*_of_socket(inputs), *(_writable(path, inputs) for path in paths)]


def not_made(inputs: Inputs) -> list[str]:
    """Why the folders that the app writes to are not made, where they are not: two lines."""
    if not inputs.intent.app_writable or inputs.can(KEEPS):
        return []
    first = CAPABILITIES[KEEPS].first[0]
    since = f"since systemd {first}; the target's version is {inputs.found('systemd')}."
    return [
        "The folders of app.writable have to be there before the service starts. tmpfiles.d leaves",
        f"alone those that are there, and so could make the others, {since}",
    ]


def _of_socket(inputs: Inputs) -> list[Folder]:
    """Set-group-ID: the socket inside has the folder's group, which is the proxy's."""
    folder, group = own_folder(inputs), proxy_group(inputs.intent)
    if folder is None:
        return []
    if group is None:
        says = "The server makes its socket here, for its own user."
        return [Folder(folder, "0700", inputs.intent.user, _group(inputs), says)]
    says = "The server makes its socket here: of the folder's group, and for nobody else."
    return [Folder(folder, "2750", inputs.intent.user, group, says)]


def _writable(path: str, inputs: Inputs) -> Folder:
    """Closed to others, unless the proxy serves files from it."""
    served = list((inputs.intent.static or {}).values())
    is_served = any_below([path], *served) or any_below(served, path)
    group = _group(inputs)
    return Folder(
        path,
        ":0755" if is_served else ":0750",
        f":{inputs.intent.user}",
        group if group == "-" else f":{group}",
        "app.writable: the service does not start without it.",
    )


def _group(inputs: Inputs) -> str:
    """The own user's group has its name; what group somebody else has is not known."""
    return inputs.intent.user if has_own_user(inputs) else "-"
