"""Answers every byte after 20 ms, five at a time or so many: `downstream.py PORT [AT_ONCE]`."""

from __future__ import annotations

import asyncio
import sys


async def main(port: int, at_once: int = 5) -> None:
    slots = asyncio.Semaphore(at_once)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(1):
                async with slots:
                    await asyncio.sleep(0.02)
                writer.write(b"!")
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port, backlog=2048) as server:
        await server.serve_forever()


asyncio.run(main(*map(int, sys.argv[1:])))
