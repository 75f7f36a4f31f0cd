#!/usr/bin/env python3
"""Fetches the exchange rates of all pairs of 30 currencies from a slow server with coroutines, a hundred at the same time.

    python3 currency_rates.py

The server needs 0.2 s for each of the 870 rates. Fetched one after another, the rates would take three minutes. But a fetch
only waits, so one process of the task `rate` (tasks/rate) has up to 100 fetches in flight: its function is an `async def`
function, and its task.json says "concurrency": 100. This program is a coroutine too: it reads the rates as they arrive.

The server never answers GBP/CHF, and has no rate for XAU. With asyncio.gather() in one program, the first exception
would be raised and the other results lost, and a fetch without an answer would wait for ever. Here only the fetch of
GBP/CHF is cancelled, after its time limit of 5 s. Each error is reported for the pair that caused it.

The rates come from a server that this program starts, so that no network is needed.
"""
import asyncio
import contextlib
import itertools
import json
import os
import re
import shutil
import time

import fantail.aio

HERE = os.path.dirname(os.path.abspath(__file__))
DOLLARS = {"USD": 1, "EUR": 1.08, "GBP": 1.25, "CHF": 1.12, "JPY": 0.0064, "CNY": 0.14, "AUD": 0.66, "CAD": 0.73, "NZD": 0.6,
           "SEK": 0.095, "NOK": 0.094, "DKK": 0.145, "PLN": 0.25, "CZK": 0.043, "HUF": 0.0028, "RON": 0.22, "TRY": 0.031,
           "ILS": 0.27, "ZAR": 0.055, "INR": 0.012, "KRW": 0.00073, "SGD": 0.74, "HKD": 0.128, "TWD": 0.031, "THB": 0.027,
           "MXN": 0.058, "BRL": 0.19, "CLP": 0.0011, "PHP": 0.017}
CURRENCIES = [*DOLLARS, "XAU"]  # the server does not know the last one


# ---- The server of rates --------------------------------------------------------------------------------------------

async def answer(reader, writer):
    base, quote = (await reader.readline()).split()[1].decode().strip("/").split("/")
    if (base, quote) == ("GBP", "CHF"):
        await reader.read()  # until the client gives up
    else:
        await asyncio.sleep(0.2)
        known = base in DOLLARS and quote in DOLLARS
        body = json.dumps({"rate": round(DOLLARS[base] / DOLLARS[quote], 6)} if known else {}).encode()
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (b"200 OK" if known else b"404 Not Found", len(body)) + body)
    writer.close()


# ---- The fleet ------------------------------------------------------------------------------------------------------

@contextlib.asynccontextmanager
async def local_fleet(tasks):
    """Runs `fantail local` on a free port. A program in production uses the URL of a fleet that is already running."""
    program = shutil.which("fantail", path=os.environ.get("FANTAIL_BIN")) or "fantail"
    process = await asyncio.create_subprocess_exec(program, "local", "--port", "0", "--tasks", tasks, stdout=asyncio.subprocess.PIPE)
    try:
        line = (await process.stdout.readline()).decode()
        yield re.search(r"ready at (\S+)", line).group(1)
    finally:
        process.terminate()
        await process.wait()


async def main():
    pairs = list(itertools.permutations(CURRENCIES, 2))
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
    host, port = server.sockets[0].getsockname()
    rates, errors = {}, {}
    async with server, local_fleet(os.path.join(HERE, "tasks")) as url, fantail.aio.Client(url) as client:
        begun = time.monotonic()
        found = client.map("rate", pairs, common={"host": host, "port": port}, item_timeout_s=5,
                           retry={"max_attempts": 1}, return_exceptions=True)
        waiting = iter(pairs)
        async for rate in found:
            (errors if isinstance(rate, Exception) else rates)[next(waiting)] = rate
        taken = time.monotonic() - begun
    for pair in (("EUR", "USD"), ("USD", "JPY"), ("CHF", "GBP")):
        print(f"{pair[0]}/{pair[1]} = {rates[pair]:.4f}")
    print(f"GBP/CHF: {errors.pop(('GBP', 'CHF')).name}")
    print(f"{len(rates)} rates; {len(errors)} pairs with XAU have none: {errors['USD', 'XAU'].cause}")
    print("all rates in less than a minute:", taken < 60)


if __name__ == "__main__":
    asyncio.run(main())
