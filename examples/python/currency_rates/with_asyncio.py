#!/usr/bin/env python3
"""currency_rates.py with asyncio alone: one program makes all fetches, 100 at the same time.

    python3 with_asyncio.py            fetches the rates
    python3 with_asyncio.py kill       the program is killed after 400 rates, and all rates are lost
"""
import asyncio
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "tasks", "rate"))

from rate import rate  # noqa: E402 (the line above adds its folder to the path)
from rates import PAIRS, print_rates, rate_server  # noqa: E402


async def fetch_all(host, port, killed_after):
    at_once = asyncio.Semaphore(100)
    known = 0

    async def fetch(pair):
        nonlocal known
        async with at_once:
            found = await asyncio.wait_for(rate(pair, {"host": host, "port": port}), 5)
        known += 1
        if known == killed_after:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    return await asyncio.gather(*map(fetch, PAIRS), return_exceptions=True)


def main():
    killed_after = 400 if sys.argv[1:] == ["kill"] else None
    with rate_server() as (host, port):
        rates = asyncio.run(fetch_all(host, port, killed_after))
    print_rates(rates, lambda error: type(error).__name__)


if __name__ == "__main__":
    main()
