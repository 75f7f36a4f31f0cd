#!/usr/bin/env python3
"""Measures calls of Python functions with one library, on two processes. Prints one JSON object.

python_calls.py LIBRARY MEASURE

LIBRARY  fantail    fantail.Executor, and fantail.Pool for `memory`
         pool       multiprocessing.Pool
         futures    concurrent.futures.ProcessPoolExecutor
         joblib     joblib.Parallel with its backend loky
         dask       a Client of Dask with a local cluster of two processes
         celery     Celery with two processes on Redis; the results come back through Redis, too
         serial     a loop in this process
MEASURE  map        a square over range(1,000,000), without the start: items per second. futures sends each item alone, and
                    gets 20,000 items
         one        the round trip of one call at a time: p50 in us
         echo       200 arrays of 1 MiB there and back, without the start: MB/s
         first      from before the import of the library to the first result: ms
         cpu        64 calls that compute for about 30 ms each, without the start: seconds
         endless    imap over an endless generator: by how many MiB the memory of this process grows from result 100,000 to
                    result 1,000,000
         parent     map over 10,000,000 ints: MiB of this process beyond the list of the results
"""
import itertools
import json
import os
import resource
import statistics
import sys
import time

BEGUN = time.perf_counter()
PROCESSES = 2
ITEMS, ITEMS_ALONE = 1_000_000, 20_000
ROUND_TRIPS = 2000
ARRAYS, ARRAY_BYTES = 200, 1 << 20
CPU_CALLS, CPU_STEPS = 64, 400_000
MANY = 10_000_000


def square(n):
    return n * n


def same(value):
    return value


def compute(n):
    total = 0
    for i in range(CPU_STEPS):
        total = (total * 31 + i + n) & 0xFFFFFFFF
    return total


def mib():
    """Returns the memory of this process now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def arrays():
    """Returns NumPy arrays if NumPy is installed, and otherwise byte arrays."""
    try:
        import numpy
    except ImportError:
        return [bytearray(b"%09d" % n) + bytearray(ARRAY_BYTES - 9) for n in range(ARRAYS)]
    return [numpy.full(ARRAY_BYTES // 8, n, dtype="f8") for n in range(ARRAYS)]


class Fantail:
    def __init__(self):
        import fantail
        self.executor = fantail.Executor(PROCESSES)

    def map(self, function, items):
        return list(self.executor.map(function, items))

    def one(self, function, item):
        return self.executor.submit(function, item).result()

    def close(self):
        self.executor.shutdown()


class Pool:
    def __init__(self):
        import multiprocessing
        self.pool = multiprocessing.Pool(PROCESSES)

    def map(self, function, items):
        return self.pool.map(function, items)

    def one(self, function, item):
        return self.pool.apply(function, (item,))

    def close(self):
        self.pool.terminate()


class Futures(Fantail):
    def __init__(self):
        from concurrent.futures import ProcessPoolExecutor
        self.executor = ProcessPoolExecutor(PROCESSES)


class Joblib:
    def __init__(self):
        import joblib
        self.parallel, self.delayed = joblib.Parallel(PROCESSES), joblib.delayed

    def map(self, function, items):
        return self.parallel(self.delayed(function)(item) for item in items)

    def one(self, function, item):
        return self.map(function, [item])[0]

    def close(self):
        pass


class Dask:
    def __init__(self):
        from distributed import Client
        self.client = Client(n_workers=PROCESSES, threads_per_worker=1, dashboard_address=None)

    def map(self, function, items):
        return self.client.gather(self.client.map(function, items, pure=False))

    def one(self, function, item):
        return self.client.submit(function, item, pure=False).result()

    def close(self):
        self.client.close()


class Celery:
    def __init__(self):
        import python_celery
        self.tasks = python_celery.Tasks(PROCESSES)

    def map(self, function, items):
        return self.tasks.map(function.__name__, items)

    def one(self, function, item):
        return self.map(function, [item])[0]

    def close(self):
        self.tasks.close()


class Serial:
    def map(self, function, items):
        return list(map(function, items))

    def one(self, function, item):
        return function(item)

    def close(self):
        pass


LIBRARIES = {"fantail": Fantail, "pool": Pool, "futures": Futures, "joblib": Joblib, "dask": Dask, "celery": Celery,
             "serial": Serial}


def seconds_of(library, function, items):
    """Returns the time that a map takes. The processes have run other calls before it."""
    library.map(square, range(100))
    begun = time.perf_counter()
    results = library.map(function, items)
    taken = time.perf_counter() - begun
    assert len(results) == len(items)
    return taken


def measure(library, what):
    if what == "map":
        items = range(ITEMS_ALONE if isinstance(library, Futures) else ITEMS)
        return len(items) / seconds_of(library, square, items)
    if what == "echo":
        items = arrays()
        return ARRAYS * ARRAY_BYTES / 1e6 / seconds_of(library, same, items)
    if what == "cpu":
        return seconds_of(library, compute, range(CPU_CALLS))
    if what == "first":
        assert library.one(square, 12) == 144
        return 1e3 * (time.perf_counter() - BEGUN)
    times = []
    for _ in range(ROUND_TRIPS + ROUND_TRIPS // 10):
        begun = time.perf_counter()
        library.one(square, 12)
        times.append(time.perf_counter() - begun)
    return 1e6 * statistics.median(times[ROUND_TRIPS // 10:])


def endless():
    import fantail
    with fantail.Pool(PROCESSES) as pool:
        results = pool.imap(square, itertools.count())
        for _ in range(100_000):
            next(results)
        before = mib()
        for _ in range(900_000):
            next(results)
        return mib() - before


def parent():
    import fantail
    with fantail.Pool(PROCESSES) as pool:
        pool.map(square, range(1000))
        before = mib()
        results = pool.map(square, range(MANY))
        assert results[-1] == (MANY - 1) ** 2
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return peak - before - (sys.getsizeof(results) + MANY * sys.getsizeof(MANY**2)) / 2**20


def main():
    name, what = sys.argv[1:]
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "clients", "python"))
    if what in ("endless", "parent"):
        value = {"endless": endless, "parent": parent}[what]()
    else:
        library = LIBRARIES[name]()
        value = measure(library, what)
        library.close()
    print(json.dumps({"value": value}))


if __name__ == "__main__":
    main()
