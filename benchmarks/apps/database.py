"""A stand-in for a database: `database.py PORT LIMIT`.

It greets each connection, refuses those beyond its limit, and answers every byte after 10 ms.
"""

from __future__ import annotations

import asyncio
import sys

WELCOME, REFUSED = b"+", b"-"


async def main(port: int, limit: int) -> None:
    """Serve until the process is ended."""
    inside: set[asyncio.StreamWriter] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if len(inside) >= limit:
                writer.write(REFUSED)
                await writer.drain()
                return
            inside.add(writer)
            writer.write(WELCOME)
            while await reader.read(1):
                await asyncio.sleep(0.01)
                writer.write(b"!")
        except ConnectionError:
            pass
        finally:
            inside.discard(writer)
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port, backlog=2048) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
