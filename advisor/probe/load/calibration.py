"""What the client itself adds to a response time, measured on this host a moment before.

A tiny server in a process of its own answers at once; its CPU is known from its clock. What
remains of the response is the client, the loopback and two wake-ups.
"""

from __future__ import annotations

import asyncio
import statistics
import sys

from advisor.probe.address import Endpoint
from advisor.probe.load.engine import Engine
from advisor.probe.sample.clocks import process_cpu_s

SECONDS = 0.3

# Prints its port, serves one connection after another, ends with its standard input.
_SERVER = """
import socket, sys, threading, os
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
answer = b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"
while True:
    client = listener.accept()[0]
    while client.recv(65536):
        client.sendall(answer)
"""


async def client_overhead_s() -> float | None:
    """Seconds of a lone request's response that are not the server's; None if it cannot be told."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", "-c", _SERVER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        if process.stdout is None:
            return None
        port = await asyncio.wait_for(process.stdout.readline(), timeout=5)
        return await _measure(process.pid, int(port))
    except (TimeoutError, ValueError):
        return None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _measure(pid: int, port: int) -> float | None:
    engine = Engine(Endpoint("http", "127.0.0.1", "127.0.0.1", port, "/"))
    try:
        engine.run_at(1)
        await asyncio.sleep(SECONDS / 3)
        seen, before = len(engine.tally.latencies), process_cpu_s(pid)
        await asyncio.sleep(SECONDS)
        latencies, after = engine.tally.latencies[seen:], process_cpu_s(pid)
    finally:
        engine.close()
    if not latencies or before is None or after is None:
        return None
    return max(0.0, statistics.median(latencies) - (after - before) / len(latencies))
