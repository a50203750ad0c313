"""What a kill, a power cut or a failed disk left unfinished is ended, one way or the other.

Ended as committed only where the controller's commit was already there; returned where anything
had been changed; refused where nothing had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import disk, generations, requests
from .documents import Refusal
from .journal import TERMINAL, Journal, Log
from .takeback import Begun, discard, take_back

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .journal import Line
    from .layout import Layout
    from .services import Services

SEE = "journalctl -u advisor-switch says how it ended; apply again."


def unfinished(journal: Journal) -> dict[str, list[Line]]:
    """The operations that have no end, or whose return left files of both generations."""
    return {id_: lines for id_, lines in journal.operations().items() if not _has_end(lines)}


def recover(layout: Layout, services: Services | None) -> bool:
    """End what is unfinished; whether files that daemons read may have changed.

    The lock is held. Without services, at boot, only files are returned. Raises `OSError` where
    an end cannot be written down.
    """
    requests.make_folders(layout)
    generations.sweep(layout)
    for path in (layout.current, layout.journal, layout.reserve):
        disk.discard(disk.making(path))
    journal = Journal(layout)
    returned = [_settle(id_, lines, layout, services) for id_, lines in unfinished(journal).items()]
    _discard_unborn(journal, layout)
    requests.sweep(layout, journal.operations())
    return any(returned)


def _discard_unborn(journal: Journal, layout: Layout) -> None:
    """Remove generations of operations that ended otherwise, where a cut kept that from it."""
    for lines in journal.operations().values():
        number = next((line["generation"] for line in lines if line.get("generation")), None)
        is_over = lines[-1]["step"] in {"refused", "returned"}
        if is_over and number and layout.generation(number).is_dir():
            discard(layout, number, with_saved=not lines[-1].get("kept"))


def _settle(id_: str, lines: Sequence[Line], layout: Layout, services: Services | None) -> bool:
    log = Log(Journal(layout), id_)
    begun = Begun.from_lines(lines)
    reason = _reason(lines, is_boot=services is None)
    if begun is None:
        for number in {line["generation"] for line in lines if "generation" in line}:
            discard(layout, number)
        log("refused", reason=reason.as_json())
        return False
    is_wanted = lines[-1]["step"] == "held" and requests.answer(layout, id_) == "commit"
    if is_wanted:
        log("committed", generation=begun.number)
        return False
    take_back(begun, layout, services, log, reason)
    return True


def _has_end(lines: Sequence[Line]) -> bool:
    return lines[-1]["step"] in TERMINAL and not lines[-1].get("is_mixed")


def _reason(lines: Sequence[Line], *, is_boot: bool) -> Refusal:
    last = lines[-1]["step"]
    given = next((line["reason"] for line in reversed(lines) if line.get("reason")), None)
    if given and last in {"returning", "return_failed"}:
        return Refusal(**given)
    what = "the machine was restarted" if is_boot else "the switch was ended"
    return Refusal(last, f"{what} before this was committed; its last step was {last}", look=SEE)
