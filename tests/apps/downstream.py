"""A service that answers every byte after 20 ms, five at a time: `downstream.py PORT`."""

from __future__ import annotations

import asyncio
import sys


async def main(port: int) -> None:
    five = asyncio.Semaphore(5)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(1):
                async with five:
                    await asyncio.sleep(0.02)
                writer.write(b"!")
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port, backlog=2048) as server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1])))
