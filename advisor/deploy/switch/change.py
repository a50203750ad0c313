"""What a request comes to on this host: the next generation, and how it differs from this one.

Nothing is written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import drift, generations, links, trust
from .documents import MANIFEST_PATH, refuse
from .layout import CURRENT
from .takeback import installs
from .trees import check_whole, differing, install_of, mixed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from .documents import Install, Request, Row, Tree
    from .layout import Layout
    from .links import Move
    from .takeback import Begun

TO_OVERWRITE = (
    "Look at the edits, put them into advisor.yml, or give --overwrite to save them away."
)


@dataclass(frozen=True)
class Change:
    """The way from generation `base` (null: none is installed) to generation `number`.

    `changed` has, for each app that differs, the paths of its tree whose file, mode or link
    differs; `edited` are files of the base that somebody edited, by their paths on the host. Apps
    that are `unserved` have daemons that a failed return left with another generation's files:
    theirs are changed too, and `old` is what those run.
    """

    base: int | None
    number: int
    old: Mapping[str, Install]
    new: Mapping[str, Install]
    before: Mapping[str, Tree]
    after: Mapping[str, Tree]
    changed: Mapping[str, frozenset[str]]
    links: Mapping[str, str]
    moves: Sequence[Move]
    edited: Collection[str]
    unserved: Collection[str] = ()

    @property
    def paths(self) -> list[str]:
        """What changed, for people: with the app's name where it is more than one app."""
        if len(self.changed) == 1:
            return sorted(next(iter(self.changed.values())))
        return sorted(f"{app}/{path}" for app, paths in self.changed.items() for path in paths)


def change_of(
    request: Request,
    layout: Layout,
    number: int,
    committed: Sequence[int],
    unserved: Begun | None = None,
) -> Change | None:
    """What a request changes; null where all is as it asks already.

    `committed` are the generations that one can go back to, oldest first; `unserved` is the last
    change, where its return failed. Raises `Refused`: what others than root may write, a stale
    plan, a tree that is not whole, drift or somebody's file in the way, another app's file that is
    lost, an unknown generation.
    """
    base = generations.current(layout)
    trust.check(layout, base)
    _check_fresh(request, base)
    before = _standing(request, layout, base)
    after = _wanted(request, layout, before, base, committed)
    old: Mapping[str, Install] = {app: install_of(tree, app) for app, tree in before.items()}
    new = {app: install_of(tree, app) for app, tree in after.items()}
    affected = sorted({*old, *new}) if request.all_apps else [request.app]
    _check_others(before, [install for app, install in old.items() if app not in affected])
    lost = {
        app: [
            one
            for one in drift.of_app(layout, base, old[app], before[app])
            if not _survives(one, before[app], after.get(app, {}))
        ]
        for app in affected
        if base is not None and app in old
    }
    _check_lost(request, lost)
    differ = {app: differing(before.get(app, {}), after.get(app, {})) for app in affected}
    # A tree that stays as it is takes nothing from another app.
    wanted = links.wanted(layout, new, [app for app in affected if differ[app]])
    rows = {app: [*_linked(old.get(app)), *_linked(new.get(app))] for app in affected}
    targets = {row.target for each in rows.values() for row in each}
    moves = links.plan(
        layout,
        number,
        {target: text for target, text in wanted.items() if target in targets},
        targets - set(wanted),
        overwrite=request.overwrite,
    )
    moved = {move.target for move in moves}
    changed = {
        app: differ[app]
        | {row.path for row in rows[app] if row.target in moved}
        | {one.path for one in lost.get(app, ())}
        for app in affected
    }
    old, stale = _running(layout, old, unserved)
    for app in {*old, *new} & {*stale}:
        changed[app] = changed.get(app, frozenset()) | stale[app]
    changed = {app: paths for app, paths in changed.items() if paths}
    if not changed:
        return None
    edited = [f"{CURRENT}/{app}/{one.path}" for app in lost for one in lost[app] if one.is_edit]
    return Change(
        base, number, old, new, before, after, changed, wanted, moves, edited, frozenset(stale)
    )


def _running(
    layout: Layout, old: Mapping[str, Install], unserved: Begun | None
) -> tuple[Mapping[str, Install], Mapping[str, frozenset[str]]]:
    """What each app's daemons were given last, and the paths in which that is not what stands."""
    if unserved is None:
        return old, {}
    stale, given = unserved.changed, installs(layout, unserved.number)
    kept = {app: install for app, install in old.items() if app not in stale}
    return kept | {app: given[app] for app in given if app in stale}, stale


def _linked(install: Install | None) -> Sequence[Row]:
    return links.linked(install) if install else ()


def _check_others(before: Mapping[str, Tree], others: Iterable[Install]) -> None:
    """Refuse where another app's file would be lost: the next generation has it from here."""
    gone = [
        f"{other.app}/{path}"
        for other in others
        for path in (MANIFEST_PATH, *(row.path for row in other.files))
        if path not in before[other.app]
    ]
    if gone:
        raise refuse(
            "live",
            f"missing, or no plain files any more: {', '.join(gone)}",
            "They are another app's: apply that one first, with --overwrite.",
        )


def _survives(one: drift.Drift, before: Tree, after: Tree) -> bool:
    """Whether the next generation has a drifted file as it is now."""
    return one.is_edit and before[one.path] == after.get(one.path)


def _check_lost(request: Request, lost: Mapping[str, Sequence[drift.Drift]]) -> None:
    words = [one.words for found in lost.values() for one in found]
    if words and not request.overwrite:
        raise refuse("live", "the host was changed by hand: " + "; ".join(words), TO_OVERWRITE)


def _check_fresh(request: Request, base: int | None) -> None:
    expected = request.expected_current
    if expected is not None and expected != (base or 0):
        raise refuse(
            "live",
            f"the plan is stale: it was made for generation {expected or 'none'}, "
            f"the host has {base or 'none'}",
            "Look at what changed meanwhile (apply --check), and apply again.",
        )


def _standing(request: Request, layout: Layout, base: int | None) -> dict[str, Tree]:
    """The trees as they are now. A whole host's rollback goes on where they are lost."""
    is_lost = base is not None and not layout.generation(base).is_dir()
    if is_lost and request.verb == "rollback" and request.all_apps:
        return {}
    return generations.trees(layout, base)


def _wanted(
    request: Request,
    layout: Layout,
    before: Mapping[str, Tree],
    base: int | None,
    committed: Sequence[int],
) -> Mapping[str, Tree]:
    if request.verb == "apply":
        return {**before, request.app: _applied(request, before.get(request.app))}
    there = [number for number in committed if layout.generation(number).is_dir()]
    older = [number for number in there if number < (base or 0)]
    if request.to is not None and request.to not in there:
        raise refuse("live", f"there is no generation {request.to}", _choice(there))
    if request.all_apps:
        if request.to is None and not older:
            raise refuse("live", "there is no generation before this one", _choice(there))
        return generations.trees(layout, request.to or older[-1])
    others = {app: tree for app, tree in before.items() if app != request.app}
    then = _older(request, layout, before.get(request.app), older)
    return others if then is None else {**others, request.app: then}


def _applied(request: Request, before: Tree | None) -> Tree:
    """The requested tree, or those components of it in what stands."""
    check_whole(request.files, request.app)
    if request.components is None:
        return request.files
    return mixed(before, request.files, request.components)


def _older(request: Request, layout: Layout, now: Tree | None, older: Sequence[int]) -> Tree | None:
    """An app's tree in the generation that is asked for, or in the last that has another one.

    Null where that generation does not have the app.
    """
    if request.to is not None:
        return generations.trees(layout, request.to).get(request.app)
    if now is None:
        raise refuse("live", f"{request.app} is not installed here", "Is it another app's name?")
    for number in reversed(older):
        tree = generations.trees(layout, number).get(request.app)
        if tree is not None and tree != now:
            return tree
    raise refuse(
        "live", f"no generation before this one has {request.app} otherwise", _choice(older)
    )


def _choice(there: Sequence[int]) -> str:
    return f"There are: {', '.join(map(str, there))}." if there else "There is none to go back to."
