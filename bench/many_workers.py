"""Runs a coordinator with many real workers on this machine. All connections use socket files."""
import contextlib
import http.client
import json
import os
import socket
import subprocess
import time

START_TIMEOUT_S = 120
START_AT_ONCE = 50  # maximum number of workers that start at the same time


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=600)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class ManyWorkers:
    def __init__(self, build, tasks, folder, workers, processes):
        self.folder = folder
        self.children = []
        try:
            self.start(build, tasks, workers, processes)
        except BaseException:
            self.close()
            raise

    def start(self, build, tasks, workers, processes):
        sockets = [os.path.join(self.folder, f"w{i}") for i in range(workers)]
        for i, path in enumerate(sockets):
            self.spawn(build, "fantail-worker", "--host", f"unix:{path}", "--admin-host", f"unix:{path}a", "--tasks", tasks,
                       "--processes", str(processes))
            if i >= START_AT_ONCE:
                self.wait_for(sockets[i - START_AT_ONCE])
        for path in sockets:
            self.wait_for(path)
        self.public, self.admin = os.path.join(self.folder, "c"), os.path.join(self.folder, "ca")
        self.coordinator = self.spawn(build, "fantail-coordinator", "--host", f"unix:{self.public}", "--admin-host",
                                      f"unix:{self.admin}", "--workers",
                                      "static://" + ",".join(f"unix:{path}" for path in sockets))
        self.wait_for(self.public)
        self.wait_for(self.admin)

    def spawn(self, build, name, *arguments):
        child = subprocess.Popen([os.path.join(build, "bin", name), *arguments, "--log-level", "error"],
                                 stdout=subprocess.DEVNULL)
        self.children.append(child)
        return child

    @staticmethod
    def wait_for(path):
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(path) == 0:
                    return
            if time.monotonic() > deadline:
                raise SystemExit(f"nothing listens at {path}")
            time.sleep(0.01)

    def close(self):
        for child in reversed(self.children):
            child.terminate()
        for child in self.children:
            child.wait()

    def request(self, path, method, target, body=None):
        with contextlib.closing(UnixConnection(path)) as connection:
            connection.request(method, target, body, {"Content-Type": "application/json"} if body else {})
            return connection.getresponse().read()

    def chunks(self):
        text = self.request(self.admin, "GET", "/metrics").decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.startswith("fantail_chunk_attempts_total{"))

    def cpu_s(self):
        """Returns the coordinator's processor time."""
        with open(f"/proc/{self.coordinator.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self):
        with open(f"/proc/{self.coordinator.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024

    def job(self, job):
        """Runs a job. Returns the duration of the job in seconds, the number of its chunks, and the processor time that
        the coordinator spent on it."""
        chunks, cpu_s, start = self.chunks(), self.cpu_s(), time.perf_counter()
        result = json.loads(self.request(self.public, "POST", "/v1/jobs", json.dumps(job)))
        seconds = time.perf_counter() - start
        if result["status"] != "succeeded":
            raise SystemExit(f"the job ended {result['status']}: {json.dumps(result)[:500]}")
        return seconds, self.chunks() - chunks, self.cpu_s() - cpu_s
