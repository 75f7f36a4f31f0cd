#!/usr/bin/env python3
"""fibonacci.py with multiprocessing.Pool.

    python3 with_multiprocessing.py 30        prints F(0) to F(29)
    python3 with_multiprocessing.py 30 13     never ends
"""
import multiprocessing
import sys

from fibonacci import fibonacci


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    killer = int(sys.argv[2]) if len(sys.argv) > 2 else None
    with multiprocessing.Pool() as pool:
        results = pool.starmap(fibonacci, [(n, killer) for n in range(count)])
    for n, result in enumerate(results):
        print(f"F({n}) = {result}")


if __name__ == "__main__":
    main()
