"""Settings: one module a component, one small pure function a setting.

Importing this package registers every rule, in the order in which settings are written.
"""

from advisor.rules import joint, gunicorn, nginx, systemd  # noqa: I001 - the order of documents
from advisor.rules.registry import RULES, decide

__all__ = ["RULES", "decide", "gunicorn", "joint", "nginx", "systemd"]
