#!/usr/bin/env python3
"""detached_rates.py with Celery on Redis. Needs the program redis-server.

    pip install 'celery[redis]'
    python3 with_celery.py            does everything, with a Redis and a worker of its own
    python3 with_celery.py kill       the worker is killed when the first 100 rates are known, and another worker is started

    python3 with_celery.py submit HOST PORT FILE      submits the tasks, and writes their ids to a file
    python3 with_celery.py read FILE                  waits for the tasks, and prints the rates
"""
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

import celery
from rates import HERE, PAIRS, print_rates, rate_server, started

QUIET_S = 10  # if no task ends for this long, the tasks that have not ended are given up

# The programs that this program starts inherit this variable, so all of them use the same socket.
SOCKET = os.environ.setdefault("REDIS_SOCKET", os.path.join(tempfile.gettempdir(), f"rates-{os.getpid()}.socket"))
broker = f"redis+socket://{SOCKET}"
app = celery.Celery("with_celery", broker=broker, backend=broker)


@app.task(name="rate")
def rate(base, quote, host, port):
    with urllib.request.urlopen(f"http://{host}:{port}/{base}/{quote}", timeout=5) as answer:
        return json.load(answer)["rate"]


def submit(host, port, path):
    submitted = [rate.delay(base, quote, host, port) for base, quote in PAIRS]
    with open(path, "w", encoding="ascii") as file:
        json.dump([result.id for result in submitted], file)


def results_of(path):
    with open(path, encoding="ascii") as file:
        return [app.AsyncResult(task_id) for task_id in json.load(file)]


def ended(results):
    return sum(result.ready() for result in results)


def read(path):
    results = results_of(path)
    known, last = 0, time.monotonic()
    while known < len(results) and time.monotonic() < last + QUIET_S:
        time.sleep(0.2)
        now_known = ended(results)
        if now_known > known:
            known, last = now_known, time.monotonic()
    rates = [result.result if result.ready() else LookupError(f"the task is {result.state}") for result in results]
    print_rates(rates, lambda error: error.args[0] if isinstance(error, LookupError) else type(error).__name__)


# ---- The same in one program ----------------------------------------------------------------------------------------

def run(*arguments):
    subprocess.run([sys.executable, os.path.abspath(__file__), *arguments], check=True)


@contextlib.contextmanager
def worker():
    """Runs a worker until the end of the `with` block."""
    with subprocess.Popen([sys.executable, "-m", "celery", "-A", "with_celery", "worker", "--pool", "threads", "--concurrency",
                           "100", "--loglevel", "CRITICAL", "--without-mingle", "--without-gossip"], cwd=HERE,
                          stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextlib.contextmanager
def redis(folder):
    with started("redis-server", "--port", "0", "--unixsocket", SOCKET, "--dir", folder):
        while not os.path.exists(SOCKET):
            time.sleep(0.02)
        yield


def show(wants_kill):
    with tempfile.TemporaryDirectory() as folder, rate_server() as (host, port), redis(folder):
        path = os.path.join(folder, "ids")
        run("submit", host, str(port), path)
        if wants_kill:
            with worker() as first:
                while ended(results_of(path)) < 100:
                    time.sleep(0.05)
                first.kill()
            print("the worker is killed", flush=True)
        with worker():
            run("read", path)


def main():
    command, *arguments = sys.argv[1:] or ["show"]
    if command in ("submit", "read"):
        {"submit": submit, "read": read}[command](*arguments)
    else:
        show(command == "kill")


if __name__ == "__main__":
    main()
