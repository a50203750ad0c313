"""A recommendation to files that the real daemons have accepted."""

from __future__ import annotations

from advisor.render.checks import CheckResult, check
from advisor.render.rendering import File, not_rendered, render
from advisor.render.stage import stage_nginx
from advisor.render.tree import Change, plan, write

__all__ = [
    "Change",
    "CheckResult",
    "File",
    "check",
    "not_rendered",
    "plan",
    "render",
    "stage_nginx",
    "write",
]
