#!/usr/bin/env python3
"""merge_sort.py with concurrent.futures.ProcessPoolExecutor.

    python3 with_futures.py            sorts
    python3 with_futures.py kill       ends with BrokenProcessPool
"""
import concurrent.futures
import functools
import random
import sys

from merge_sort import COUNT, PARTS, merge, sort


def main():
    numbers = list(range(COUNT))
    random.Random(1).shuffle(numbers)
    parts = [numbers[start::PARTS] for start in range(PARTS)]
    killed_part = 2 if sys.argv[1:] == ["kill"] else None
    with concurrent.futures.ProcessPoolExecutor() as executor:
        runs = list(executor.map(functools.partial(sort, killed_part), enumerate(parts)))
        while len(runs) > 1:
            runs = list(executor.map(merge, zip(runs[::2], runs[1::2])))
    print(f"{len(runs[0]):,} integers are sorted: {runs[0] == list(range(COUNT))}")


if __name__ == "__main__":
    main()
