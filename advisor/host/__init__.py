"""What a host is: its limits, programs and running app servers."""

from advisor.host.facts import gather, look

__all__ = ["gather", "look"]
