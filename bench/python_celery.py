"""The functions of python_calls.py as tasks of Celery. Tasks starts a Redis, which listens on a socket file, and a worker."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import celery
import python_calls

FUNCTIONS = (python_calls.square, python_calls.compute)
START_TIMEOUT_S, LIMIT_S = 30, 100
# The worker inherits the path.
SOCKET = os.environ.setdefault("REDIS_SOCKET", os.path.join(tempfile.gettempdir(), f"fantail-bench-{os.getpid()}.socket"))

app = celery.Celery("python_celery", broker=f"redis+socket://{SOCKET}", backend=f"redis+socket://{SOCKET}")
TASKS = {function.__name__: app.task(name=function.__name__)(function) for function in FUNCTIONS}


class Tasks:
    def __init__(self, processes):
        self.folder = tempfile.mkdtemp(prefix="fantail-bench-")
        self.servers = []
        try:
            self.start_servers(processes)
        except BaseException:
            self.close()
            raise

    def start_servers(self, processes):
        self.start("redis-server", "--port", "0", "--unixsocket", SOCKET, "--dir", self.folder)
        give_up = time.monotonic() + START_TIMEOUT_S
        while not os.path.exists(SOCKET):
            if time.monotonic() > give_up:
                raise SystemExit("redis-server did not start")
            time.sleep(0.02)
        self.start(sys.executable, "-m", "celery", "-A", "python_celery", "worker", "--concurrency", str(processes), "--loglevel",
                   "ERROR")
        assert self.map("square", [3]) == [9]

    def start(self, *command):
        self.servers.append(subprocess.Popen(command, cwd=os.path.dirname(os.path.abspath(__file__)), stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def map(self, name, items):
        submitted = [TASKS[name].delay(item) for item in items]
        return [result.get(timeout=LIMIT_S) for result in submitted]

    def close(self):
        for server in reversed(self.servers):
            server.send_signal(signal.SIGTERM)
            server.wait()
        shutil.rmtree(self.folder)
