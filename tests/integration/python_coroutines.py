"""Coroutine functions that the tests of the Python package run in other processes."""
import asyncio
import os

kept = {}


async def twice(n):
    await asyncio.sleep(0)
    return 2 * n


async def fail_at(bad, n):
    await asyncio.sleep(0)
    if n == bad:
        raise ValueError(f"{n} is not wanted")
    return n


async def end_at(bad, end, n):
    await asyncio.sleep(0)
    if n == bad:
        end(4)
    return n


async def fork(n):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return n


async def keep_loop():
    kept["loop"] = asyncio.get_running_loop()


async def is_in_kept_loop():
    return asyncio.get_running_loop() is kept["loop"]


async def meet(folder, count, n):
    """Waits until `count` coroutines have come here."""
    with open(os.path.join(folder, f"met-{n}"), "w", encoding="ascii"):
        pass
    while len([name for name in os.listdir(folder) if name.startswith("met-")]) < count:
        await asyncio.sleep(0.05)
    return n


class Adder:
    async def __call__(self, n):
        return n + 1

    async def add(self, n, by=1):
        return n + by
