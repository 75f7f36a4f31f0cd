#!/usr/bin/env python3
"""A queue of jobs that take different times: each job starts when a process is free, and its result is printed as soon as
it is known. The queue ends although one job never ends by itself and one job kills its process.

    python3 job_queue.py
"""
import concurrent.futures
import os
import time

import fantail

NAMES = ["mail", "stuck", "report", "crash", "backup", "invoice"]


def job(name):
    if name == "crash":
        os.abort()
    if name == "stuck":
        time.sleep(3600)
    time.sleep(0.05)
    return name.upper()


def main():
    with fantail.Executor(item_timeout_s=2) as executor:
        futures = {executor.submit(job, name): name for name in NAMES}
        for future in concurrent.futures.as_completed(futures):
            error = future.exception()
            print(f"{futures[future]}: {error.name if isinstance(error, fantail.ItemError) else future.result()}")


if __name__ == "__main__":
    main()
