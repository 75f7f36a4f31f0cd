#!/usr/bin/env python3
"""A pool of processes computes the Fibonacci numbers. With a second argument, one of the processes is killed.

    python3 fibonacci.py 30        prints F(0) to F(29)
    python3 fibonacci.py 30 13     kills the process that computes F(13), as the kernel does when memory is short
"""
import os
import signal
import sys

import fantail


def fibonacci(n, killer):
    if n == killer:
        os.kill(os.getpid(), signal.SIGKILL)
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    killer = int(sys.argv[2]) if len(sys.argv) > 2 else None
    with fantail.Pool() as pool:
        results = pool.starmap(fibonacci, [(n, killer) for n in range(count)], return_exceptions=True)
    for n, result in enumerate(results):
        print(f"F({n}) = {result}")


if __name__ == "__main__":
    main()
