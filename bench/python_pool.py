#!/usr/bin/env python3
"""Measures multiprocessing.Pool, for comparisons with fantail. Prints one JSON object.

python_pool.py map ITEMS         Pool(2).map of a square over range(ITEMS), default chunks, without the pool's start
python_pool.py apply COUNT       the round trip of Pool(2).apply
python_pool.py echo COUNT SIZE   Pool(2).map and .imap of a function that returns its item, over COUNT strings of SIZE
python_pool.py start             starting a pool, one item, and the end of the pool
"""
import json
import multiprocessing
import sys
import time


def square(n):
    return n * n


def measure_map(items):
    with multiprocessing.Pool(2) as pool:
        pool.map(square, range(1000))
        start = time.perf_counter()
        results = pool.map(square, range(items))
        seconds = time.perf_counter() - start
    assert results[-1] == (items - 1) ** 2
    return {"seconds": round(seconds, 4), "per_second": round(items / seconds)}


def measure_apply(count):
    with multiprocessing.Pool(2) as pool:
        times = []
        for i in range(count + count // 10):
            start = time.perf_counter()
            pool.apply(square, (12,))
            times.append(time.perf_counter() - start)
    times = sorted(times[count // 10:])
    return {"p50_us": round(times[count // 2] * 1e6, 1), "p99_us": round(times[count * 99 // 100] * 1e6, 1)}


def same(item):
    return item


def measure_echo(count, size):
    # All items differ, because pickle writes a repeated object only once.
    items, rates = [f"{n:09}" + "x" * (size - 9) for n in range(count)], {}
    with multiprocessing.Pool(2) as pool:
        pool.map(same, items[:2])
        for name, run in (("map", pool.map), ("imap", pool.imap)):
            start = time.perf_counter()
            echoed = sum(len(item) for item in run(same, items))
            rates[name + "_mb_per_second"] = round(echoed / 1e6 / (time.perf_counter() - start))
            assert echoed == count * size
    return rates


def measure_start():
    start = time.perf_counter()
    with multiprocessing.Pool(2) as pool:
        assert pool.map(square, [3]) == [9]
    return {"seconds": round(time.perf_counter() - start, 4)}


if __name__ == "__main__":
    what, numbers = sys.argv[1], [int(a) for a in sys.argv[2:]]
    print(json.dumps({"map": measure_map, "apply": measure_apply, "echo": measure_echo, "start": measure_start}[what](*numbers)))
