"""Measurements of a running app, taken from both sides: the client's and the processes'."""

from advisor.probe.run import probe

__all__ = ["probe"]
