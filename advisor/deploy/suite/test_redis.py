"""Redis: it has the values of our file now, and will have them after its next start."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from advisor.deploy.suite.questions import REDIS
from advisor.deploy.suite.verdict import held, not_run
from advisor.deploy.switch.activation import redis_conf
from advisor.deploy.switch.redis import directives, settings, size

if TYPE_CHECKING:
    from advisor.deploy.suite.live import Live
    from advisor.deploy.suite.tree import Tree
    from advisor.deploy.switch.documents import Row


def test_has_the_values(live: Live, tree: Tree, cache: Row) -> None:
    """Is in force."""
    wanted = settings(tree.text(cache))
    found = live.script(REDIS, redis_conf(tree.install), *wanted, root=True)
    if "error" in found:
        not_run(found["error"])
    # What this version does not know, the file says for another.
    has = {name: value for name, value in found.items() if value is not None}
    odd = [name for name, value in has.items() if not _same(value, wanted[name])]
    held(not odd, "; ".join(f"{name} is {has[name]}, not {wanted[name]}" for name in odd))


def test_is_read_at_a_start(live: Live, tree: Tree, cache: Row) -> None:
    """Is included by the daemon's own file, and nothing after it says otherwise."""
    main = redis_conf(tree.install)
    text = live.files([main], root=True).get(main)
    if text is None:
        not_run(f"{main} is not there, or may not be read")
    lines = list(directives(text))
    at = [number for number, line in enumerate(lines) if _includes(line, cache.target)]
    held(bool(at), f"a start forgets it: add `include {cache.target}` as the last line of {main}")
    later = {name for name, *_ in lines[at[-1] + 1 :]} & settings(tree.text(cache)).keys()
    held(not later, f"{main} sets {', '.join(sorted(later))} again after it")


def _includes(line: list[str], target: str) -> bool:
    return line[0] == "include" and any(fnmatchcase(target, path) for path in line[1:])


def _same(found: str, wanted: str) -> bool:
    """Redis gives sizes in bytes, whatever it was told in."""
    return found == wanted or (found.isdecimal() and size(wanted) == int(found))
