"""How it went on each host, as text for people: apply, its check, rollback and its list."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from advisor.report.layout import printed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

WORDS = {
    "committed": "applied",
    "unchanged": "unchanged",
    "nothing": "nothing in the tree is for this host",
    "changes": "would change",
    "refused": "REFUSED",
    "returned": "TAKEN BACK",
    "return_failed": "NOT TAKEN BACK",
    "unreachable": "UNREACHABLE",
    "untouched": "not begun: an earlier batch failed",
    "listed": "no generation of ours",
}


def text(found: Sequence[Mapping[str, Any]]) -> str:
    """The differences where there are any, then a line a host with what it says below it."""
    differences = "".join(difference(each) for each in found)
    harmless = "".join(char for char in differences if char.isprintable() or char in "\n\t")
    return harmless + printed(line for each in found for line in _host(each))


def _host(found: Mapping[str, Any]) -> Iterator[str]:
    state = str(found["state"])
    yield f"{found['host']}: {WORDS.get(state, state)}{_steps(found)}"
    # The tree's own records differ with everything else, and no daemon reads them.
    for path in found.get("changed", ()):
        if not path.startswith(".advisor/"):
            yield f"  {path}"
    for role in found.get("missing", ()):
        yield f"  a package is missing: the role {role} would install it"
    yield from _reason(found.get("reason") or {})
    for note in found.get("notes", ()):
        yield f"  {note}"


def _steps(found: Mapping[str, Any]) -> str:
    """From which generation to which; a host that had none says only the new one."""
    if found["state"] != "committed" or found.get("generation") is None:
        return ""
    before = f"{found['from']} -> " if found.get("from") is not None else ""
    return f", generation {before}{found['generation']}"


def _reason(reason: Mapping[str, Any]) -> Iterator[str]:
    if not reason:
        return
    yield f"  {reason['step']}: {reason['message']}"
    if reason.get("url"):
        answer = f" answered {reason['status']}" if reason.get("status") else " gave no answer"
        yield f"  {reason['url']}{answer}"
    for line in reason.get("lines", ()):
        yield f"    {line}"
    if reason.get("look"):
        yield f"  -> {reason['look']}"


def difference(found: Mapping[str, Any]) -> str:
    """The unified difference of what would change on a host, its name before each path."""
    parts = []
    for each in found.get("diff", ()):
        name = f"{found['host']}:{each['path']}"
        before, after = each["before"], each["after"]
        lines = difflib.unified_diff(
            (before or "").splitlines(keepends=True),
            (after or "").splitlines(keepends=True),
            name if before is not None else "/dev/null",
            name if after is not None else "/dev/null",
        )
        parts += [line if line.endswith("\n") else f"{line}\n" for line in lines]
    return "".join(parts)


def generations(found: Sequence[Mapping[str, Any]]) -> str:
    """A line a generation of each host, the newest last, the current one marked."""
    return printed(line for each in found for line in _generations(each))


def _generations(found: Mapping[str, Any]) -> Iterator[str]:
    status = found.get("status") or {}
    if not status.get("generations"):
        state = str(found["state"])
        yield f"{found['host']}: {WORDS.get(state, state)}"
        yield from _reason(found.get("reason") or {})
        return
    yield f"{found['host']}:"
    for each in status["generations"]:
        mark = "*" if each["n"] == status.get("current") else " "
        apps = ", ".join(f"{app} {inputs}" for app, inputs in sorted(each["apps"].items()))
        is_kept = "" if each.get("committed") else ", not committed"
        yield f"  {mark} {each['n']}  {each.get('at') or ''}  {apps}{is_kept}"
