"""What sends the requests: the engine, its arrivals, and what it costs itself."""
