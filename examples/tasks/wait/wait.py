"""Waits for a number of seconds. One process waits for many items at the same time, as it would wait for answers from the network."""
import asyncio


async def wait(seconds):
    if not isinstance(seconds, (int, float)) or not 0 <= seconds <= 1e6:
        raise ValueError("seconds from 0 to 1000000 were expected")
    await asyncio.sleep(seconds)
    return seconds
