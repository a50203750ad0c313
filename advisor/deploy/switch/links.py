"""The daemons' own paths: which links a generation wants, and how to get there and back.

A change is planned as moves, each with what stands at a path before and after. The journal has
them before the first is made, so that whoever finds the work half done can end it either way.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from . import disk
from .documents import Links, refuse
from .layout import CURRENT
from .saved import Stood, is_as_shipped, is_the_same, latest, look, put_back

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from .documents import Install, Row
    from .layout import Layout

DRAINED = "/run/advisor/drained"
# Every app with Caddy has this one; "the one applied last stands", as the file itself says.
SHARED = frozenset({"/etc/caddy/Caddyfile"})

_DRAINED = "is drained: wait until the lease has ended, or undrain"
_WORDS = {"folder": "is a folder", "other": "is no file, or its folder is none"}


@dataclass(frozen=True)
class Move:
    """One path of a daemon: what stands there before the change, and after it."""

    target: str
    before: Stood
    after: Stood

    def as_json(self) -> dict[str, Any]:
        """As the journal has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Move:
        """As the journal has it."""
        before, after = Stood.from_json(data["before"]), Stood.from_json(data["after"])
        return cls(data["target"], before, after)


def linked(install: Install) -> list[Row]:
    """The rows whose daemon looks elsewhere than below `current`."""
    return [row for row in install.files if not row.target.startswith(f"{CURRENT}/")]


def wanted(
    layout: Layout, installs: Mapping[str, Install], applied: Collection[str] = ()
) -> dict[str, str]:
    """Every link that these apps want, by its path.

    Of several apps that have one path, the one that is being applied gets it, or the one that
    has it. Raises `Refused` where a path is not one that apps share.
    """
    claims: dict[str, dict[str, str]] = {}
    for app, install in sorted(installs.items()):
        for row in linked(install):
            claims.setdefault(row.target, {})[app] = layout.destination(app, row.path)
    _check_claims(claims)
    return {target: _chosen(layout, target, claim, applied) for target, claim in claims.items()}


def plan(
    layout: Layout, number: int, links: Links, given_up: Iterable[str], *, overwrite: bool
) -> list[Move]:
    """The moves to these links, and away from the paths that are given up.

    Raises `Refused` naming every path where somebody else's file or link is in the way, or that is
    drained; with `overwrite`, only those that cannot be replaced.
    """
    moves: list[Move] = []
    in_the_way: list[str] = []
    for target, text in sorted(links.items()):
        stood = look(layout, target)
        if stood == Stood("link", text):
            continue
        problem = _problem(layout, target, stood, overwrite=overwrite)
        if problem:
            in_the_way.append(f"{target} {problem}")
        before = Stood("file", saved=number) if stood.kind == "file" else stood
        moves.append(Move(target, before, Stood("link", text)))
    for target in sorted(given_up):
        stood = look(layout, target)
        if is_ours(layout, stood):
            moves.append(Move(target, stood, latest(layout, target)))
        elif is_drained(layout, stood):
            in_the_way.append(f"{target} {_DRAINED}")
    if in_the_way:
        look_at = (
            "Move them away; with --overwrite a file or a link is saved below "
            f"{layout.saved} and replaced, and comes back when ours goes."
        )
        raise refuse("live", "these are not ours: " + "; ".join(in_the_way), look_at)
    return moves


def carry_out(layout: Layout, moves: Sequence[Move], *, back: bool = False) -> list[str]:
    """Make the moves, or take them back; the paths that somebody has changed meanwhile.

    Moves that are made already are passed over: it ends the same, however often it is begun.
    """
    changed: list[str] = []
    for move in reversed(moves) if back else moves:
        source, goal = (move.after, move.before) if back else (move.before, move.after)
        disk.discard(disk.making(layout.at(move.target)))
        is_done = is_the_same(layout, move.target, goal)
        if not is_done and not is_the_same(layout, move.target, source):
            changed.append(move.target)
            continue
        if goal.kind == "absent" or not is_done:
            for folder in source.made:
                disk.make_folder(layout.at(folder), mode=0o755)
            put_back(layout, move.target, goal)
    return changed


def replaced(layout: Layout, moves: Iterable[Move]) -> dict[str, Stood]:
    """What a generation's moves take from others, by path; nothing, where nothing is there."""
    return {
        move.target: move.before
        for move in moves
        if is_ours(layout, move.after) and not is_ours(layout, move.before)
    }


def is_ours(layout: Layout, stood: Stood) -> bool:
    """Whether it is a link into the current generation."""
    return stood.kind == "link" and stood.text.startswith(f"{layout.at(CURRENT)}/")


def is_drained(layout: Layout, stood: Stood) -> bool:
    """Whether it is a link to a balancer's site without some of its peers, for a while."""
    return stood.kind == "link" and stood.text.startswith(f"{layout.at(DRAINED)}/")


def problem_of(layout: Layout, app: str, row: Row) -> str | None:
    """How a daemon's path differs from the link that it should be, in words."""
    stood = look(layout, row.target)
    is_shared = row.target in SHARED and is_ours(layout, stood)
    if is_shared or is_drained(layout, stood):
        return None
    if stood == Stood("link", layout.destination(app, row.path)):
        return None
    if stood.kind == "absent":
        return "is missing"
    if stood.kind == "link":
        return f"leads to {stood.text}"
    return _WORDS.get(stood.kind, "is a file, and no link of ours")


def _problem(layout: Layout, target: str, stood: Stood, *, overwrite: bool) -> str | None:
    """Why a path cannot become ours, in words."""
    if stood.kind == "absent" or is_ours(layout, stood):
        return None
    if is_drained(layout, stood):
        return _DRAINED
    if stood.kind in _WORDS:
        return _WORDS[stood.kind]
    if overwrite or (stood.kind == "file" and is_as_shipped(layout, target)):
        return None
    return "is a file" if stood.kind == "file" else f"is a link to {stood.text}"


def _chosen(layout: Layout, target: str, claim: Mapping[str, str], applied: Collection[str]) -> str:
    standing = look(layout, target).text
    mine = [text for app, text in claim.items() if app in applied]
    held = [text for text in claim.values() if text == standing]
    if set(mine) & set(held):
        return standing
    return [*mine, *held, *claim.values()][0]


def _check_claims(claims: Mapping[str, Mapping[str, str]]) -> None:
    for target, claim in claims.items():
        if len(claim) > 1 and target not in SHARED:
            raise refuse(
                "live",
                f"{target} is wanted by {' and '.join(claim)}",
                "One app's tree must give it up: name its unit or site otherwise.",
            )
