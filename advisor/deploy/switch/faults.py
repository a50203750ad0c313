"""A failure as people read it."""

from __future__ import annotations

import sys
import traceback

from .documents import Refusal, Refused

DISK = "Look at the disk: df, mount, dmesg."
DEFECT = "This is a defect of advisor's: journalctl -u advisor-switch has all of it."


def reason_of(error: Exception, step: str) -> Refusal:
    """What a refusal, the system, or a defect of ours says; a defect's traceback goes to stderr.

    >>> reason_of(OSError(28, "No space left on device", "/etc/advisor"), "staged").message
    '/etc/advisor: No space left on device'
    """
    if isinstance(error, Refused):
        return error.refusal
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Refusal(step, f"{where}{error.strerror or error}", look=DISK)
    traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
    return Refusal(step, f"{type(error).__name__}: {error}", look=DEFECT)


def stop_at(refusal: Refusal | None) -> None:
    """Raise what a service refused, if it did."""
    if refusal:
        raise Refused(refusal)
