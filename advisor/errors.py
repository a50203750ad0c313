"""Every error a user can meet, and the exit code each one ends with.

    AdvisorError                1
    ├── CheckFailed             1   a daemon or our own check refused what was rendered
    ├── Refused                 1   an apply or rollback that changed nothing, or found changes
    ├── InvalidInput            2   a document, option or advisor.yml is wrong
    │   └── GuardRefused        2   a probe that a safety guard refused
    ├── NothingFeasible         3   no configuration satisfies every constraint
    ├── TooLittleEvidence       4   no app, or one that gives no usable answer
    ├── Returned                5   applied, and taken back by the hosts themselves
    ├── ReturnFailed            6   applied, and taking it back failed too
    └── Interrupted         130/143 SIGINT or SIGTERM

A message says what and where; `remedy` says what to do next. The command line prints both
and nothing else; only a defect of ours ends in a traceback.
"""

from __future__ import annotations


class AdvisorError(Exception):
    """Base of every expected failure."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class CheckFailed(AdvisorError):
    """A rendered file did not pass the check of the daemon that will read it."""

    exit_code = 1


class Refused(AdvisorError):
    """An apply or rollback was refused with nothing changed, or a check of one found changes."""

    exit_code = 1


class InvalidInput(AdvisorError):
    """An option, advisor.yml or a document is wrong; the message names the field."""

    exit_code = 2


class GuardRefused(InvalidInput):
    """A probe was refused because of where its URL leads."""


class NothingFeasible(AdvisorError):
    """The constraints leave no configuration; the message shows the arithmetic."""

    exit_code = 3


class TooLittleEvidence(AdvisorError):
    """There is no app to look at, or it gives no usable answer."""

    exit_code = 4


class Returned(AdvisorError):
    """What was applied harmed, or its batch failed, and the hosts are as they were before."""

    exit_code = 5


class ReturnFailed(AdvisorError):
    """What was applied could not be taken back: the message says what stands on which host."""

    exit_code = 6


class Interrupted(AdvisorError):
    """A signal ended the work; `exit_code` is 128 plus its number."""

    def __init__(self, signum: int) -> None:
        super().__init__("interrupted")
        self.exit_code = 128 + signum
