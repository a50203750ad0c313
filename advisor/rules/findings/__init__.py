"""What is wrong or risky and no setting of ours mends: one small function a finding."""

from advisor.rules.findings import capacity, deployment, host, live, load, nginx, restarts, stores
from advisor.rules.findings.case import FINDINGS, Case, find

__all__ = [
    "FINDINGS",
    "Case",
    "capacity",
    "deployment",
    "find",
    "host",
    "live",
    "load",
    "nginx",
    "restarts",
    "stores",
]
