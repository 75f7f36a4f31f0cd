"""Starts other job queues with two worker processes each: Celery and RQ on Redis, procrastinate on PostgreSQL.

The queues come from PyPI, and are installed once into a virtual environment in build-tools. peer_jobs.py runs in this
environment. If something is missing, the queue is skipped, and the reason is printed.
"""
import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.append(os.path.join(ROOT, "tests", "integration"))
import postgres  # noqa: E402 (after the path to it)

JOBS = 2_000
WORKERS = 2
ENVIRONMENT = os.path.join(ROOT, "build-tools", "peers{}.{}".format(*sys.version_info))
PACKAGES = {"celery": ("celery[redis]~=5.5",), "rq": ("rq>=2.6",), "procrastinate": ("procrastinate~=3.5", "psycopg[binary]"),
            "joblib": ("joblib~=1.5", "numpy", "cloudpickle"), "distributed": ("distributed",), "aiohttp": ("aiohttp~=3.9",)}
INSTALL_TIMEOUT_S, START_TIMEOUT_S, ROUND_TIMEOUT_S, END_TIMEOUT_S = 180, 30, 120, 15
NO_REDIS = "Redis is missing (package redis-server)"


# ---- The environment ----------------------------------------------------------------------------------------------

def failure_of(command):
    """Runs a command. Returns None, or the reason why the command failed."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=INSTALL_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"not within {INSTALL_TIMEOUT_S} s"
    return None if done.returncode == 0 else (done.stdout.strip().splitlines() or [""])[-1][:200]


def python():
    return os.path.join(ENVIRONMENT, "bin", "python")


@functools.cache
def environment_fault():
    return None if os.access(python(), os.X_OK) else failure_of([sys.executable, "-m", "venv", ENVIRONMENT])


@functools.cache
def package_fault(name):
    """Installs the packages of a queue, if they are not installed yet. Returns None, or why the packages cannot be
    used."""
    why = environment_fault()
    if not why and failure_of([python(), "-c", f"import {name}"]):
        why = failure_of([python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout",
                          "10", "--only-binary", ":all:", *PACKAGES[name]])
    return f"{name} (PyPI) cannot be installed: {why}" if why else None


# ---- Servers and workers --------------------------------------------------------------------------------------------

def end(process):
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_TIMEOUT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def spawn(stack, folder, name, command):
    """Starts a process that is ended when `stack` is closed. The output of the process goes to a file."""
    with open(os.path.join(folder, name + ".log"), "wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    stack.callback(end, process)
    return process


def redis_socket(stack, folder):
    """Starts Redis with its defaults: it keeps the jobs in memory and writes them to its file only now and then."""
    path = os.path.join(folder, "redis.socket")
    process = spawn(stack, folder, "redis", [shutil.which("redis-server"), "--port", "0", "--unixsocket", path, "--dir", folder])
    give_up = time.monotonic() + START_TIMEOUT_S
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > give_up:
            raise SystemExit("redis-server did not start")
        time.sleep(0.02)
    return path


def postgres_database(stack):
    """Starts PostgreSQL. Returns (a function that makes a new database and returns its URL, None), or (None, the reason)."""
    if not postgres.programs():
        return None, postgres.REASON
    server = postgres.Server()
    stack.callback(server.remove)
    server.start()
    return server.database, None


def peer(stack, folder, name, url):
    """Starts the workers of a queue. Returns the measurement, a function that returns jobs per second."""
    script = os.path.join(HERE, "peer_jobs.py")
    subprocess.run([python(), script, "prepare", name, url], check=True, timeout=START_TIMEOUT_S)
    # A worker of Celery starts its two processes itself.
    for i in range(1 if name == "celery" else WORKERS):
        spawn(stack, folder, f"{name}-{i}", [python(), script, "worker", name, url])

    def rate():
        done = subprocess.run([python(), script, "client", name, url, str(JOBS)], stdout=subprocess.PIPE, check=True,
                              timeout=ROUND_TIMEOUT_S)
        return JOBS / json.loads(done.stdout)["seconds"]
    return rate


def start(stack, folder, database, why_no_database):
    """Starts each queue that can run here. Returns ({name: its measurement}, {name: why it cannot run})."""
    os.mkdir(folder)
    redis = shutil.which("redis-server") and redis_socket(stack, folder)
    measures, reasons = {}, {}
    for package, name in (("celery", "Celery, Redis"), ("rq", "RQ, Redis"), ("procrastinate", "procrastinate, PostgreSQL")):
        uses_redis = "Redis" in name
        why = (None if redis else NO_REDIS) if uses_redis else why_no_database
        why = why or package_fault(package)
        if why:
            reasons[name] = why
        else:
            measures[name] = peer(stack, folder, package, redis if uses_redis else database())
    return measures, reasons
