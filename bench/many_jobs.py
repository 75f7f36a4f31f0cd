"""Compares many concurrent jobs with few concurrent jobs. Each job has its own connection. This benchmark also measures
many clients that do not read their answers."""
import contextlib
import http.client
import io
import json
import os
import selectors
import socket
import statistics
import time

from endings import Service, resident_mib

ITEMS = 20
MANY, FEW = 10_000, 100
WAIT_S = 300
UNREAD_JOBS, UNREAD_ITEMS = 2_000, 16_000  # about 700 KB of answers for each job


class Answered(io.BytesIO):
    """Gives http.client the received bytes of a connection, as if this object were the socket."""

    def makefile(self, *_):
        return self


class Client:
    """One connection with one job. The last byte of the request body is sent only by go()."""

    def __init__(self, port, number):
        self.first = number * ITEMS
        body = json.dumps({"task": "square", "items": list(range(self.first, self.first + ITEMS))}).encode()
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
                            b"Content-Length: %d\r\n\r\n" % len(body) + body[:-1])
        self.last, self.received = body[-1:], []

    def go(self):
        self.socket.sendall(self.last)
        self.socket.setblocking(False)

    def read(self):
        """Returns whether the answer is complete."""
        piece = self.socket.recv(65536)
        self.received.append(piece)
        return not piece

    def check(self):
        self.socket.close()
        response = http.client.HTTPResponse(Answered(b"".join(self.received)))
        response.begin()
        result = json.loads(response.read())
        expected = [n * n for n in range(self.first, self.first + ITEMS)]
        if response.status != 200 or result["results"] != expected:
            raise SystemExit(f"a job was answered {response.status}: {json.dumps(result)[:300]}")


def wave(port, first, count, all_here):
    """Runs `count` concurrent jobs. Calls all_here() when everything but the last byte of each job has been sent, so no
    job can have ended yet."""
    clients = [Client(port, first + i) for i in range(count)]
    all_here(count)
    with selectors.DefaultSelector() as selector:
        for client in clients:
            client.go()
            selector.register(client.socket, selectors.EVENT_READ, client)
        while selector.get_map():
            for key, _ in selector.select():
                if key.data.read():
                    selector.unregister(key.fileobj)
    for client in clients:
        client.check()


def cpu_s(service):
    """Returns the processor time of the service's only thread."""
    with open(f"/proc/{service.process.pid}/schedstat", encoding="ascii") as stat:
        return int(stat.read().split()[0]) / 1e9


def wait_for(condition):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"the condition was not met within {WAIT_S} s")
        time.sleep(0.1)


def metric(service, name):
    connection = http.client.HTTPConnection("127.0.0.1", service.admin_port)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + " ", name + "{")))


def cost(coordinator, at_once, total):
    """Runs `total` jobs in waves of `at_once` jobs. Returns the coordinator's processor time per job in s, and its
    largest memory in MiB while all jobs of a wave waited."""
    most_mib = 0

    def all_here(count):
        nonlocal most_mib
        wait_for(lambda: metric(coordinator, "fantail_jobs_running") == count)
        most_mib = max(most_mib, resident_mib(coordinator))
    begun = cpu_s(coordinator)
    for first in range(0, total, at_once):
        wave(coordinator.port, first, at_once, all_here)
    return (cpu_s(coordinator) - begun) / total, most_mib


@contextlib.contextmanager
def services(build, tasks):
    with contextlib.closing(Service(build, "fantail-worker", "--tasks", tasks, "--processes", "2")) as worker:
        with contextlib.closing(Service(build, "fantail-coordinator", "--workers",
                                        f"static://127.0.0.1:{worker.port}")) as coordinator:
            yield coordinator


def unread(report, build, tasks):
    """Measures jobs whose clients do not read their streams."""
    body = json.dumps({"task": "square", "range": {"stop": UNREAD_ITEMS}}).encode()
    head = (f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: application/x-ndjson\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    with services(build, tasks) as coordinator, contextlib.ExitStack() as stack:
        before = resident_mib(coordinator)
        for _ in range(UNREAD_JOBS):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", coordinator.port))
            client.sendall(head + body)
        wait_for(lambda: metric(coordinator, "fantail_items_total") == UNREAD_JOBS * UNREAD_ITEMS)
        held = resident_mib(coordinator) - before
        answers = metric(coordinator, "fantail_answer_memory_bytes") / (1 << 20)
    report.add("jobs", f"held for {UNREAD_JOBS:,} clients that do not read", held, "MiB", "below 1,024", held < 1024)
    report.add("jobs", "of this, answers (--result-memory-total-bytes is 256 MiB)", answers, "MiB")


def jobs(report, build, tasks):
    with services(build, tasks) as coordinator:
        idle_mib = resident_mib(coordinator)
        cost(coordinator, FEW, MANY)
        few, many = [], []
        for _ in range(report.rounds):
            few.append(cost(coordinator, FEW, MANY))
            many.append(cost(coordinator, MANY, MANY))
    one, all_of_them = statistics.median(c for c, _ in few), statistics.median(c for c, _ in many)
    most_mib = max(mib for _, mib in many) - idle_mib
    report.add("jobs", f"coordinator's processor time for a job of {ITEMS} items, {FEW} at once", one * 1e6, "us")
    report.add("jobs", f"the same, {MANY:,} at once", all_of_them * 1e6, "us")
    report.ratio("jobs", f"{MANY:,} at once / {FEW} at once", all_of_them / one, most=1.25)
    report.add("jobs", f"memory of {MANY:,} jobs that wait, each with its connection", most_mib / MANY * 1024, "KiB each",
               "below 20", most_mib / MANY * 1024 < 20)
    unread(report, build, tasks)
