"""What is read of the server while it works: clocks, waits, memory, sockets. Effects only."""
