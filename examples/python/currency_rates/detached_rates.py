#!/usr/bin/env python3
"""Fetches the rates of currency_rates.py as a durable job. One program submits the job and ends; another program reads the
rates later.

    python3 detached_rates.py            does everything, with a fleet of its own
    python3 detached_rates.py kill       the worker is killed when the first 100 rates are known

    python3 detached_rates.py submit URL HOST PORT      submits the job to a fleet, and prints the job's id
    python3 detached_rates.py read URL ID               waits for the job, and prints the rates
"""
import os
import signal
import subprocess
import sys
import tempfile
import time

import fantail
from rates import PAIRS, local_fleet, print_rates, rate_server


def submit(url, host, port):
    job = fantail.Client(url).submit("rate", PAIRS, common={"host": host, "port": int(port)}, item_timeout_s=3, labels=["rates"])
    print(job.id)


def read(url, job_id):
    job = fantail.Client(url).job(job_id)
    status = job.wait()
    print(f"the job has ended as {status.status}")
    print_rates(job.results(return_exceptions=True), lambda error: error.name)


# ---- The same in one program ----------------------------------------------------------------------------------------

def run(*arguments):
    """Runs this program with the arguments, and returns what it prints."""
    command = [sys.executable, os.path.abspath(__file__), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def kill_worker(fleet, url, job_id):
    while fantail.Client(url).job(job_id).status().counts["succeeded"] < 100:
        time.sleep(0.05)
    with open(f"/proc/{fleet.pid}/task/{fleet.pid}/children", encoding="ascii") as file:
        for pid in map(int, file.read().split()):
            if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "fantail-worker":
                os.kill(pid, signal.SIGKILL)
                print("the worker is killed")


def show(wants_kill):
    with tempfile.TemporaryDirectory() as folder, rate_server() as (host, port), \
            local_fleet("--store", f"sqlite:{folder}/jobs.db") as (fleet, url):
        job_id = run("submit", url, host, str(port)).strip()
        if wants_kill:
            kill_worker(fleet, url, job_id)
        print(run("read", url, job_id), end="")


def main():
    command, *arguments = sys.argv[1:] or ["show"]
    if command in ("submit", "read"):
        {"submit": submit, "read": read}[command](*arguments)
    else:
        show(command == "kill")


if __name__ == "__main__":
    main()
