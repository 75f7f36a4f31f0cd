"""The pairs of currencies, a slow server of their exchange rates, and a fleet on this machine, so that the programs of this
folder need no network.

    python3 rates.py     runs the server, prints its address, and ends when standard input ends
"""
import asyncio
import collections
import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DOLLARS = {"USD": 1, "EUR": 1.08, "GBP": 1.25, "CHF": 1.12, "JPY": 0.0064, "CNY": 0.14, "AUD": 0.66, "CAD": 0.73, "NZD": 0.6,
           "SEK": 0.095, "NOK": 0.094, "DKK": 0.145, "PLN": 0.25, "CZK": 0.043, "HUF": 0.0028, "RON": 0.22, "TRY": 0.031,
           "ILS": 0.27, "ZAR": 0.055, "INR": 0.012, "KRW": 0.00073, "SGD": 0.74, "HKD": 0.128, "TWD": 0.031, "THB": 0.027,
           "MXN": 0.058, "BRL": 0.19, "CLP": 0.0011, "PHP": 0.017}
CURRENCIES = [*DOLLARS, "XAU"]  # the server does not know the last one
PAIRS = list(itertools.permutations(CURRENCIES, 2))


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


async def serve():
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
    print(*server.sockets[0].getsockname(), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)  # without a message for each answer that is not finished


def print_rates(rates, name_of):
    """Prints three rates, the number of known rates, and why the others are not known. In `rates`, an exception stands in the
    place of each rate that is not known. name_of() returns the name to print for an exception."""
    found = dict(zip(PAIRS, rates))
    for base, quote in (("EUR", "USD"), ("USD", "JPY"), ("CHF", "GBP")):
        rate = found[base, quote]
        print(f"{base}/{quote} = {name_of(rate) if isinstance(rate, Exception) else format(rate, '.4f')}")
    errors = {pair: rate for pair, rate in found.items() if isinstance(rate, Exception)}
    print(f"{len(found) - len(errors)} rates")
    for name, count in collections.Counter(map(name_of, errors.values())).most_common():
        print(f"{count} without a rate: {name}")


# ---- Programs beside this one ---------------------------------------------------------------------------------------

@contextlib.contextmanager
def started(*command):
    """Runs a program until the end of the `with` block. Yields the program and the first line that it prints."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline()
        finally:
            process.terminate()


@contextlib.contextmanager
def rate_server():
    """Yields the host and the port of a server of rates."""
    with started(sys.executable, os.path.join(HERE, "rates.py")) as (_, line):
        host, port = line.split()
        yield host, int(port)


@contextlib.contextmanager
def local_fleet(*options):
    """Runs `fantail local` on a free port, and yields its process and its URL. A program in production uses the URL of a fleet
    that is already running."""
    program = shutil.which("fantail", path=os.environ.get("FANTAIL_BIN")) or "fantail"
    with started(program, "local", "--port", "0", "--tasks", os.path.join(HERE, "tasks"), *options) as (process, line):
        yield process, re.search(r"ready at (\S+)", line).group(1)


if __name__ == "__main__":
    asyncio.run(serve())
