#!/usr/bin/env python3
"""Fetches the exchange rates of all pairs of 30 currencies from a slow server. Coroutines fetch 100 rates at the same time.

    python3 currency_rates.py

One process of the task `rate` (tasks/rate) has up to 100 fetches in flight: the function of the task is an `async def`
function, and its task.json says "concurrency": 100. This program has a coroutine too, which reads the rates as they arrive.
"""
import asyncio

import fantail.aio
from rates import PAIRS, local_fleet, print_rates, rate_server


async def fetch_all(url, host, port):
    async with fantail.aio.Client(url) as client:
        found = client.map("rate", PAIRS, common={"host": host, "port": port}, item_timeout_s=5, retry={"max_attempts": 1},
                           return_exceptions=True)
        return [rate async for rate in found]


def main():
    with rate_server() as (host, port), local_fleet() as (_, url):
        rates = asyncio.run(fetch_all(url, host, port))
    print_rates(rates, lambda error: error.name)


if __name__ == "__main__":
    main()
