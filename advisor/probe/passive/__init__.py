"""Real traffic, watched without a request of ours: access logs, counters, what they add up to."""
