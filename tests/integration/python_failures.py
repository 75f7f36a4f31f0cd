"""Runs one bad call among 20 calls, and prints what the caller gets.

    python_failures.py LIBRARY CASE     LIBRARY: fantail, Pool or ProcessPoolExecutor
"""
import concurrent.futures
import functools
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time

from python_calls import Unloadable

CALLS, BAD = 20, 7
MOST_READ, READ_S = 10_000, 5


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def leave():
    os._exit(3)


def raise_unloadable():
    raise Unloadable("a", "reason")


def run(bad, n):
    return bad() if n == BAD else n


CASES = {"kill": kill, "os._exit": leave, "sys.exit": sys.exit, "exception": raise_unloadable, "result": threading.Lock}


def numbers(read):
    for n in itertools.count():
        read.append(n)
        if n == MOST_READ:
            return
        yield n


def read_ahead(results, read):
    """Takes one result, and gives the library some time to read more of the endless iterable."""
    next(iter(results))
    end = time.monotonic() + READ_S
    while len(read) <= MOST_READ and time.monotonic() < end:
        time.sleep(0.05)
    return "reads without a limit" if len(read) > MOST_READ else "reads a little ahead"


def with_fantail(case):
    import fantail
    with fantail.Pool(2) as pool:
        if case == "endless":
            read = []
            return read_ahead(pool.imap(abs, numbers(read)), read)
        results = pool.map(functools.partial(run, CASES[case]), range(CALLS), return_exceptions=True)
    return f"{sum(isinstance(result, int) for result in results)} results and {results[BAD].name}"


def with_pool(case):
    with multiprocessing.Pool(2) as pool:
        if case == "endless":
            read = []
            return read_ahead(pool.imap(abs, numbers(read)), read)
        return pool.map(functools.partial(run, CASES[case]), range(CALLS), chunksize=1)


def with_futures(case):
    with concurrent.futures.ProcessPoolExecutor(2) as executor:
        if case == "endless":
            read = []
            return read_ahead(executor.map(abs, numbers(read)), read)
        return list(executor.map(functools.partial(run, CASES[case]), range(CALLS)))


def main():
    library, case = sys.argv[1:]
    try:
        print({"fantail": with_fantail, "Pool": with_pool, "ProcessPoolExecutor": with_futures}[library](case))
    except BaseException as error:
        print(type(error).__name__)


if __name__ == "__main__":
    main()
