"""Measurements: of an app under load, and of one that is only watched."""

from advisor.probe.choice import Allowed, Choice
from advisor.probe.observe import observe_app
from advisor.probe.run import probe

__all__ = ["Allowed", "Choice", "observe_app", "probe"]
