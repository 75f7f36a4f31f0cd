#!/usr/bin/env python3
"""monte_carlo_pi.py with multiprocessing.Pool.

    python3 with_multiprocessing.py        2,000,000 points in 200 calls
    python3 with_multiprocessing.py 7      never ends
"""
import multiprocessing
import sys

from monte_carlo_pi import CALLS, POINTS, inside


def main():
    killer = int(sys.argv[1]) if len(sys.argv) > 1 else None
    with multiprocessing.Pool() as pool:
        counts = pool.starmap(inside, [(seed, killer) for seed in range(CALLS)])
    print(f"pi is about {4 * sum(counts) / (len(counts) * POINTS):.3f}, from {len(counts)} of {CALLS} calls")


if __name__ == "__main__":
    main()
