"""Compares durable jobs with the same jobs without a store, and the store with bare files and bare inserts."""
import collections
import contextlib
import http.client
import json
import os
import re
import selectors
import shutil
import socket
import sqlite3
import statistics
import subprocess
import threading
import time

import peers
from endings import Service
from many_jobs import metric

ITEMS = 1_000_000
LARGE_ITEMS, LARGE_BYTES = 200, 1 << 20
SMALL_JOBS, SMALL_CLIENTS = 5_000, 64
ENDED_JOBS, READS = 100_000, 2_000
ONE = b'{"task":"square","items":[12]}'
RESULT = b"144],"  # the end of "results":[144], which may be in two chunks of the answer
STORED = {"Prefer": "respond-async"}
NDJSON = {"Content-Type": "application/x-ndjson"}
BULK_BYTES = 10_000_000_000
CALL_TIMEOUT_S = 900


def call(port, method, path, body=None, headers=None, on_connection=None):
    """Returns the status and the body."""
    connection = on_connection or http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_TIMEOUT_S)
    connection.request(method, path, body, headers or {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    if not on_connection:
        connection.close()
    return response.status, answer


def expect(wanted, call_result):
    status, answer = call_result
    if status != wanted:
        raise SystemExit(f"answered {status}, expected {wanted}: {answer[:300]}")
    return answer


@contextlib.contextmanager
def services(build, tasks, folder, store_url=None):
    """Starts a worker of two processes, and a coordinator with a job store: an SQLite file, or the given PostgreSQL
    database."""
    store = os.path.join(folder, "jobs.db")
    with contextlib.closing(Service(build, "fantail-worker", "--tasks", tasks, "--processes", "2")) as worker:
        with contextlib.closing(Service(build, "fantail-coordinator", "--workers", f"static://127.0.0.1:{worker.port}",
                                        "--store", store_url or f"sqlite:{store}", "--max-body-bytes", "16G")) as coordinator:
            yield coordinator
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(store + end)


def submit(port, task, path, connection=None):
    """Submits a durable job with the items of a file. Returns its id."""
    with open(path, "rb") as body:
        answer = expect(202, call(port, "POST", f"/v1/jobs?task={task}", body, {
            **NDJSON, **STORED, "Content-Length": str(os.path.getsize(path))}, connection))
    return json.loads(answer)["id"]


def wait_for_end(port, job):
    document = json.loads(expect(200, call(port, "GET", f"/v1/jobs/{job}?wait_s=600")))
    if document["status"] != "succeeded":
        raise SystemExit(f"the job ended {document['status']}: {json.dumps(document)[:500]}")


def durable_s(port, task, path):
    begun = time.perf_counter()
    job = submit(port, task, path)
    wait_for_end(port, job)
    taken = time.perf_counter() - begun
    expect(204, call(port, "DELETE", f"/v1/jobs/{job}"))
    return taken


def plain_s(port, task, path):
    """Runs the same job without a store. The answers of the job are streamed to a client that discards them."""
    begun = time.perf_counter()
    subprocess.run(["curl", "-sSN", "-o", os.devnull, "-H", "Content-Type: application/x-ndjson", "-H",
                    "Accept: application/x-ndjson", "-H", "Expect:", "-T", path, "-X", "POST",
                    f"http://127.0.0.1:{port}/v1/jobs?task={task}"], check=True, timeout=CALL_TIMEOUT_S)
    return time.perf_counter() - begun


class Fsyncs:
    """Counts the calls of fsync and similar functions that a process makes, if strace is installed."""

    def __init__(self, service):
        self.process = None
        if shutil.which("strace"):
            self.process = subprocess.Popen(["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync,sync_file_range", "-p",
                                             str(service.process.pid)], stderr=subprocess.PIPE)
            time.sleep(1)

    def count(self):
        if not self.process:
            return None
        self.process.terminate()
        return len(re.findall(rb"sync\(|sync_file_range\(", self.process.communicate()[1]))


def rates(report, coordinator, folder):
    ints, large = os.path.join(folder, "ints"), os.path.join(folder, "large")
    with open(ints, "w", encoding="ascii") as out:
        out.writelines(f"{n}\n" for n in range(ITEMS))
    with open(large, "w", encoding="ascii") as out:
        out.writelines(f'"{"x" * (LARGE_BYTES - 2)}"\n' for _ in range(LARGE_ITEMS))
    for task, path, what, least in (("square", ints, f"{ITEMS:,} integers", 0.5),
                                    ("echo", large, f"{LARGE_ITEMS} items of 1 MiB", 0.3)):
        stored, plain = report.alternate(lambda t=task, p=path: durable_s(coordinator.port, t, p),
                                         lambda t=task, p=path: plain_s(coordinator.port, t, p))
        report.add("durable", f"{what}: from submission to the last recorded answer", stored, "s")
        report.add("durable", f"{what}: a stream, without the store", plain, "s")
        report.ratio("durable", f"{what}: rate of the durable job / the stream", plain / stored, least=least)
    before, fsyncs = metric(coordinator, "fantail_store_calls_total"), Fsyncs(coordinator)
    durable_s(coordinator.port, "square", ints)
    calls, count = metric(coordinator, "fantail_store_calls_total") - before, fsyncs.count()
    report.add("durable", f"{ITEMS:,} integers: calls to the store", calls, "", "below 200", calls < 200)
    if count is not None:
        report.add("durable", f"{ITEMS:,} integers: fsyncs", count, "", "below 200", count < 200)


def bare_insert_ms(folder, count):
    """Returns the median time in ms of an insert that waits until its data is on the disk."""
    path, samples = os.path.join(folder, "bare.db"), []
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE IF NOT EXISTS job (id INTEGER PRIMARY KEY, body TEXT)")
        for _ in range(count):
            begun = time.perf_counter()
            db.execute("INSERT INTO job (body) VALUES (?)", (ONE.decode(),))
            samples.append(time.perf_counter() - begun)
    return statistics.median(samples) * 1e3


def one_item_ms(port, wait, count):
    """Returns the median time in ms from the submission of a one-item job to its answer 202; with `wait`, to the answer with
    its result (Prefer: wait)."""
    samples = []
    client = Submitter(port, wait)
    for _ in range(count):
        begun = time.perf_counter()
        client.send()
        while not client.read():
            pass
        samples.append(time.perf_counter() - begun)
    client.socket.close()
    return statistics.median(samples) * 1e3


def latency(report, coordinator, folder):
    count = 300
    accepted, ended, bare = report.alternate(lambda: one_item_ms(coordinator.port, False, count),
                                             lambda: one_item_ms(coordinator.port, True, count),
                                             lambda: bare_insert_ms(folder, count))
    report.add("durable", "a job of one item, to its 202, p50", accepted, "ms")
    report.add("durable", "a job of one item, to its result with Prefer: wait, p50", ended, "ms")
    report.add("durable", "bare insert into SQLite, with its fsync, p50", bare, "ms")
    report.ratio("durable", "to the 202 / bare insert", accepted / bare, most=2)
    report.ratio("durable", "to the result / bare insert", ended / bare, most=4)


class Submitter:
    """A connection that stays open and submits one small job after another. With `wait`, the answer to each submission
    has the result of the job."""

    def __init__(self, port, wait=False):
        self.request = (b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nPrefer: %s\r\n"
                        b"Content-Length: %d\r\n\r\n" % (b"wait=60" if wait else b"respond-async", len(ONE)) + ONE)
        self.wanted = b"HTTP/1.1 200 " if wait else b"HTTP/1.1 202 ", RESULT if wait else b""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def send(self):
        self.socket.sendall(self.request)

    def read(self):
        """Returns whether the answer is complete."""
        self.received += self.socket.recv(65536)
        head, end, body = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if not end or not (len(body) >= int(length.group(1)) if length else body.endswith(b"\r\n0\r\n\r\n")):
            return False
        if not head.startswith(self.wanted[0]) or self.wanted[1] not in body:
            raise SystemExit(f"a job was answered {self.received[:500]}")
        self.received = b""
        return True


def submit_many(port, count, wait=False):
    """Submits `count` jobs of one item on several parallel connections. Returns the seconds until all jobs are accepted; with
    `wait`, until all jobs are answered."""
    clients = [Submitter(port, wait) for _ in range(min(SMALL_CLIENTS, count))]
    begun, left = time.perf_counter(), count
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.send()
            left -= 1
        while selector.get_map():
            for key, _ in selector.select():
                if not key.data.read():
                    continue
                if left > 0:
                    key.data.send()
                    left -= 1
                else:
                    selector.unregister(key.fileobj)
                    key.data.socket.close()
    return time.perf_counter() - begun


def unended(port):
    return sum(len(json.loads(expect(200, call(port, "GET", f"/v1/jobs?status={status}&limit=1")))["jobs"])
               for status in ("pending", "running"))


def submit_and_end(port, count):
    """Submits `count` jobs. Returns the seconds until all these jobs have ended."""
    begun = time.perf_counter()
    submit_many(port, count)
    while unended(port):
        time.sleep(0.02)
    return time.perf_counter() - begun


def small_jobs(report, coordinator):
    submit_and_end(coordinator.port, SMALL_JOBS)
    rate = statistics.median(SMALL_JOBS / submit_and_end(coordinator.port, SMALL_JOBS) for _ in range(report.rounds))
    report.add("durable", f"jobs of one item, {SMALL_CLIENTS} clients, submitted and ended", rate, "jobs/s", "at least 1,000",
               rate >= 1000)


def read_ms(port, path, count):
    samples = []
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.connect()
    for i in range(count):
        begun = time.perf_counter()
        expect(200, call(port, "GET", path(i), None, {}, connection))
        samples.append((time.perf_counter() - begun) * 1e3)
    connection.close()
    samples.sort()
    return samples[int(len(samples) * 0.99)]


def full_store(report, coordinator):
    """Measures how long it takes to read one job and the list of jobs while the store has very many ended jobs."""
    submit_and_end(coordinator.port, ENDED_JOBS)
    ids, cursor = collections.deque(), ""
    for _ in range(20):
        page = json.loads(expect(200, call(coordinator.port, "GET", f"/v1/jobs?limit=100{cursor}")))
        ids.extend(job["id"] for job in page["jobs"])
        cursor = f"&cursor={page['next']}"
    one = read_ms(coordinator.port, lambda i: f"/v1/jobs/{ids[i * 7 % len(ids)]}", READS)
    page = read_ms(coordinator.port, lambda _: "/v1/jobs", READS // 10)
    report.add("durable", f"GET /v1/jobs/{{id}} of {ENDED_JOBS:,} ended jobs, p99", one, "ms", "below 5", one < 5)
    report.add("durable", f"first page of the list of {ENDED_JOBS:,} jobs, p99", page, "ms", "below 20", page < 20)


class FileServer:
    """Sends a file on each connection, as fast as the kernel can send it."""

    def __init__(self, path):
        self.path = path
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection, open(self.path, "rb") as source:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                                       % os.path.getsize(self.path))
                    connection.sendfile(source)

    def close(self):
        self.listener.close()


def download_s(url, path=os.devnull):
    begun = time.perf_counter()
    subprocess.run(["curl", "-sSf", "-o", path, url], check=True, timeout=CALL_TIMEOUT_S)
    return time.perf_counter() - begun


def reading(report, coordinator, folder):
    for task, name in (("square", "ints"), ("echo", "large")):
        job, path = submit(coordinator.port, task, os.path.join(folder, name)), os.path.join(folder, "results")
        wait_for_end(coordinator.port, job)
        results = f"http://127.0.0.1:{coordinator.port}/v1/jobs/{job}/results"
        download_s(results, path)
        with contextlib.closing(FileServer(path)) as bare_server:
            ours, bare = report.alternate(lambda u=results: download_s(u),
                                          lambda s=bare_server: download_s(f"http://127.0.0.1:{s.port}/"))
        mb = os.path.getsize(path) / 1e6
        report.add("durable", f"results of {task} read, {mb:.0f} MB", mb / ours, "MB/s")
        report.add("durable", "the same bytes from a file", mb / bare, "MB/s")
        report.ratio("durable", f"results of {task} / bare file", bare / ours, least=0.5)
        expect(204, call(coordinator.port, "DELETE", f"/v1/jobs/{job}"))


def durable(report, build, tasks, folder):
    with services(build, tasks, folder) as coordinator:
        rates(report, coordinator, folder)
        reading(report, coordinator, folder)
    with services(build, tasks, folder) as coordinator:
        latency(report, coordinator, folder)
        small_jobs(report, coordinator)
        full_store(report, coordinator)
    postgres_rates(report, build, tasks, folder)
    queues(report, build, tasks, folder)


class Statements:
    """Counts the statements that a coordinator sends to PostgreSQL, if strace is installed. Each statement has
    one message of the kind Query (Q) or Bind (B), and this message is the first one in its call of sendto()."""

    def __init__(self, service):
        self.process = None
        if shutil.which("strace"):
            self.process = subprocess.Popen(["strace", "-f", "-qq", "-s", "1", "-e", "trace=sendto", "-p",
                                             str(service.process.pid)], stderr=subprocess.PIPE)
            threading.Thread(target=self.read, daemon=True).start()
            self.count = 0
            time.sleep(1)

    def read(self):
        for line in self.process.stderr:
            self.count += bool(re.search(rb'sendto\(\d+, "[QB]"', line))

    def stop(self):
        if not self.process:
            return None
        self.process.terminate()
        self.process.wait()
        return self.count


def postgres_rates(report, build, tasks, folder):
    """Compares a durable job in PostgreSQL with the same job as a stream without the store."""
    ints = os.path.join(folder, "ints")
    with contextlib.ExitStack() as stack:
        database, why = peers.postgres_database(stack)
        if not database:
            print(f"durable   skipped: PostgreSQL: {why}", flush=True)
            return
        coordinator = stack.enter_context(services(build, tasks, folder, database()))
        stored, plain = report.alternate(lambda: durable_s(coordinator.port, "square", ints),
                                         lambda: plain_s(coordinator.port, "square", ints))
        statements = Statements(coordinator)
        job = submit(coordinator.port, "square", ints)
        wait_for_end(coordinator.port, job)
        count = statements.stop()
    report.add("durable", f"PostgreSQL, {ITEMS:,} integers: from submission to the last recorded answer", stored, "s")
    report.ratio("durable", f"PostgreSQL, {ITEMS:,} integers: rate of the durable job / the stream", plain / stored,
                 least=0.3)
    if count is not None:
        report.add("durable", f"PostgreSQL, {ITEMS:,} integers: statements", count, "", "below 200", count < 200)


def queues(report, build, tasks, folder):
    """Compares small durable jobs with the same jobs in other job queues. Each queue has two worker processes."""
    with contextlib.ExitStack() as stack:
        def ours(name, *store_url):
            inner = os.path.join(folder, name)
            os.mkdir(inner)
            coordinator = stack.enter_context(services(build, tasks, inner, *store_url))
            return lambda: peers.JOBS / submit_many(coordinator.port, peers.JOBS, wait=True)

        measures = {"fantail, SQLite": ours("sqlite")}
        database, why = peers.postgres_database(stack)
        if database:
            measures["fantail, PostgreSQL"] = ours("postgres", database())
        others, reasons = peers.start(stack, os.path.join(folder, "peers"), database, why)
        measures.update(others)
        rates = dict(zip(measures, report.alternate(*measures.values())))
    for name, rate in rates.items():
        report.add("durable", f"{peers.JOBS:,} jobs of one item: {name}", rate, "jobs/s")
    for name in others:
        base = "fantail, PostgreSQL" if "PostgreSQL" in name else "fantail, SQLite"
        report.add("durable", f"{base} / {name}", rates[base] / rates[name], "")
    for name, reason in reasons.items():
        print(f"durable   skipped: {name}: {reason}", flush=True)


def bulk_body(out, size):
    """Writes at most `size` bytes to a pipe, as items of about 4 KiB that compress to about half their size."""
    block = b"".join(b'"%s"\n' % os.urandom(2046).hex().encode() for _ in range(4096))
    with contextlib.suppress(BrokenPipeError), out:
        for _ in range(size // len(block)):
            out.write(block)


def bulk(report, build, tasks, folder):
    """Measures a durable job of very many bytes, which must run in a limited amount of memory."""
    with services(build, tasks, folder) as coordinator:
        begun = time.perf_counter()
        with subprocess.Popen(["curl", "-sSf", "-H", "Content-Type: application/x-ndjson", "-H", "Prefer: respond-async", "-H",
                               "Expect:", "-T", "-", "-X", "POST", f"http://127.0.0.1:{coordinator.port}/v1/jobs?task=echo"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as curl:
            threading.Thread(target=bulk_body, args=(curl.stdin, BULK_BYTES)).start()
            job = json.loads(curl.stdout.read())["id"]
        accepted_s = time.perf_counter() - begun
        while json.loads(expect(200, call(coordinator.port, "GET", f"/v1/jobs/{job}?wait_s=600")))["status"] != "succeeded":
            pass
        ended_s = time.perf_counter() - begun
        download_s(f"http://127.0.0.1:{coordinator.port}/v1/jobs/{job}/results")
        with open(f"/proc/{coordinator.process.pid}/status", encoding="ascii") as status:
            peak_mib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
    report.add("bulk", f"durable job of {BULK_BYTES / 1e9:.0f} GB: submission", BULK_BYTES / 1e6 / accepted_s, "MB/s")
    report.add("bulk", "the same, to its last recorded answer", BULK_BYTES / 1e6 / ended_s, "MB/s")
    report.add("bulk", "coordinator's peak memory, with the results read", peak_mib, "MiB", "below 128", peak_mib < 128)
