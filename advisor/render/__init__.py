"""A recommendation to files that the real daemons have accepted."""

from __future__ import annotations

from advisor.render.checks import CheckResult, check
from advisor.render.drift import PROBLEMS, Problem
from advisor.render.drift_trees import Examined, examine
from advisor.render.rendering import File, not_rendered, render
from advisor.render.stage import stage_nginx
from advisor.render.tree import Change, plan, write

__all__ = [
    "PROBLEMS",
    "Change",
    "CheckResult",
    "Examined",
    "File",
    "Problem",
    "check",
    "examine",
    "not_rendered",
    "plan",
    "render",
    "stage_nginx",
    "write",
]
