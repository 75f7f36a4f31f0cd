#!/usr/bin/env python3
"""Sorts 1,000,000 shuffled integers: the processes sort parts, and merge pairs of parts until one is left.

    python3 merge_sort.py            sorts
    python3 merge_sort.py kill       the process that sorts the third part is killed, and the part is sorted again
"""
import functools
import heapq
import os
import random
import signal
import sys

import fantail

COUNT, PARTS = 1_000_000, 16


def sort(killed_part, numbered):
    number, part = numbered
    if number == killed_part:
        os.kill(os.getpid(), signal.SIGKILL)
    return sorted(part)


def merge(pair):
    return list(heapq.merge(*pair))


def main():
    numbers = list(range(COUNT))
    random.Random(1).shuffle(numbers)
    parts = [numbers[start::PARTS] for start in range(PARTS)]
    killed_part = 2 if sys.argv[1:] == ["kill"] else None
    with fantail.Executor() as executor:
        runs = list(executor.map(functools.partial(sort, killed_part), enumerate(parts), return_exceptions=True))
        for number, run in enumerate(runs):
            if isinstance(run, fantail.ItemError):
                print(f"part {number}: {run.name}, signal {run.signal}; it is sorted again")
                runs[number] = executor.submit(sorted, parts[number]).result()
        while len(runs) > 1:
            runs = list(executor.map(merge, zip(runs[::2], runs[1::2])))
    print(f"{len(runs[0]):,} integers are sorted: {runs[0] == list(range(COUNT))}")


if __name__ == "__main__":
    main()
