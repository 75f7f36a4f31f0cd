#!/usr/bin/env python3
"""Estimates pi: throws points into a square, and counts those inside the circle.

    python3 monte_carlo_pi.py        2,000,000 points in 200 calls
    python3 monte_carlo_pi.py 7      the process of call 7 is killed

An estimate does not need every call, so this program simply leaves out the calls without a result.
"""
import os
import random
import signal
import sys

import fantail

CALLS, POINTS = 200, 10_000


def inside(seed, killer):
    if seed == killer:
        os.kill(os.getpid(), signal.SIGKILL)
    throw = random.Random(seed).random
    return sum(throw() ** 2 + throw() ** 2 < 1 for _ in range(POINTS))


def main():
    killer = int(sys.argv[1]) if len(sys.argv) > 1 else None
    with fantail.Pool() as pool:
        counts = pool.starmap(inside, [(seed, killer) for seed in range(CALLS)], return_exceptions=True)
    known = [count for count in counts if isinstance(count, int)]
    print(f"pi is about {4 * sum(known) / (len(known) * POINTS):.3f}, from {len(known)} of {CALLS} calls")


if __name__ == "__main__":
    main()
