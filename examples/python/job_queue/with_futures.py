#!/usr/bin/env python3
"""job_queue.py with concurrent.futures.ProcessPoolExecutor: the job "crash" breaks the executor, and every job that has not
ended by then fails.

    python3 with_futures.py
"""
import concurrent.futures

from job_queue import NAMES, job


def main():
    with concurrent.futures.ProcessPoolExecutor() as executor:
        futures = {executor.submit(job, name): name for name in NAMES}
        for future in concurrent.futures.as_completed(futures):
            error = future.exception()
            print(f"{futures[future]}: {type(error).__name__ if error else future.result()}")


if __name__ == "__main__":
    main()
