"""Ends a job of millions of items in every possible way, and requests /livez every 10 ms meanwhile."""
import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ITEMS = 5_000_000
BODY_ITEMS = 4_000_000  # items of 2 bytes each: a coordinator holds this many without pausing the upload
RUNS_FOR_S = 1
SMALL_DISK_BYTES = 4 << 20
NDJSON, JSON = "application/x-ndjson", "application/json"
CURL_TIMEOUT_S = 600
UNREAD_CLIENTS, UNREAD_ITEMS = 10, 1_500_000
MEMORY_GAP_S = 6  # a coordinator returns freed memory to the kernel every 5 s


class Service:
    """A service that runs on free ports of 127.0.0.1."""

    def __init__(self, build, name, *arguments, before_exec=None):
        command = [os.path.join(build, "bin", name), "--host", "127.0.0.1", "--port", "0", "--admin-port", "0", "--ready-fd", "1",
                   "--log-level", "error", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=before_exec)
        _, self.port, self.admin_port = (int(word) if word.isdigit() else word for word in
                                         self.process.stdout.readline().decode().split())

    def turns(self):
        """Returns the histogram of loop turns as {upper bound in seconds: number of turns up to this bound}."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/metrics") as answer:
            found = re.findall(r'fantail_loop_turn_seconds_bucket\{le="([^"]+)"\} (\d+)', answer.read().decode())
        return {float(bound): int(count) for bound, count in found}

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


class Probe:
    def __init__(self, port):
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "livez_probe.py"), str(port)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def close(self):
        self.process.stdin.close()
        times = json.loads(self.process.stdout.read())
        self.process.wait()
        self.process.stdout.close()
        return times


def start_curl(coordinator, job, accept, body, query):
    content, data = ("application/x-ndjson", f"@{body}") if body else ("application/json", json.dumps(job))
    return subprocess.Popen(["curl", "-sS", "-N", "-o", "/dev/null", "-D", "-", "--max-time", str(CURL_TIMEOUT_S), "-H",
                             f"Content-Type: {content}", "-H", f"Accept: {accept}", "-H", "Expect:", "--data-binary", data,
                             f"http://127.0.0.1:{coordinator.port}/v1/jobs{query}"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL)


def running_job(coordinator):
    """Waits until the job has all its items, and returns the id of the job."""
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{coordinator.port}/v1/jobs") as answer:
            jobs = json.loads(answer.read())["jobs"]
        if jobs and jobs[0]["counts"]["total"] >= BODY_ITEMS:
            return jobs[0]["id"]
        time.sleep(0.02)


# For each ending: the fields that it adds to the job, and the action while the job runs.

def delete(coordinator, _client):
    urllib.request.urlopen(urllib.request.Request(
        f"http://127.0.0.1:{coordinator.port}/v1/jobs/{running_job(coordinator)}", method="DELETE")).close()


def hang_up(coordinator, client):
    running_job(coordinator)
    client.send_signal(signal.SIGKILL)


def drain(coordinator, _client):
    running_job(coordinator)
    coordinator.process.send_signal(signal.SIGTERM)


def nothing(_coordinator, _client):
    pass


ENDINGS = {
    "deadline": ({"deadline_s": RUNS_FOR_S}, nothing),
    "tolerance": ({"tolerated_failure_count": 0}, nothing),
    "DELETE": ({}, delete),
    "hang-up": ({}, hang_up),
    "drain": ({}, drain),
    "disk full": ({}, nothing),
}
# For each form of a job: whether its items are in the body, the type of its answer, and other fields.
FORMS = {
    "range, stream": (False, NDJSON, {}),
    "range, stream of runs": (False, NDJSON, {"errors": "runs"}),
    "range, document": (False, JSON, {"errors": "runs"}),
    "range, reduced": (False, JSON, {"reduce": "count"}),
    "body, stream": (True, NDJSON, {}),
    "body, document": (True, JSON, {"errors": "runs"}),
    "body, reduced": (True, JSON, {"reduce": "count"}),
}


def item_range(ending):
    """Returns the range of the items. With a full disk, the task is `square`. Otherwise the task is `sleep`, whose
    items take seconds. If a failure must end the job, the first item is one that fails."""
    first = {"tolerance": -1, "disk full": 0}.get(ending, 1)
    return {"start": first, "stop": first + ITEMS}


def write_body(path, ending):
    first, rest = {"tolerance": ("-1", "9"), "disk full": ("9", "9")}.get(ending, ("9", "9"))
    with open(path, "w", encoding="ascii") as out:
        out.write(first + "\n" + (rest + "\n") * (BODY_ITEMS - 1))


def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_DISK_BYTES, SMALL_DISK_BYTES))


def start_coordinator(build, worker, ending):
    small = ending == "disk full"
    return Service(build, "fantail-coordinator", "--workers", f"static://127.0.0.1:{worker.port}", "--drain-s", "1",
                   *(("--result-memory-bytes", "64K") if small else ()), before_exec=limit_files if small else None)


def run_one(build, tasks, folder, ending, form):
    """Runs one job to its end. Returns the times of requests to /livez of the coordinator, the worker and a bare HTTP
    server, the numbers of turns above 20 ms of the coordinator and the worker, and the duration of the job in s."""
    fields, act = ENDINGS[ending]
    in_body, accept, more = FORMS[form]
    task = "square" if ending == "disk full" else "sleep"
    options = {"task": task, **fields, **more}
    body = os.path.join(folder, "body") if in_body else None
    if in_body:
        write_body(body, ending)
    query = "?" + "&".join(f"{name}={value}" for name, value in options.items()) if in_body else ""
    with contextlib.ExitStack() as stack:
        worker = stack.enter_context(contextlib.closing(Service(build, "fantail-worker", "--tasks", tasks, "--processes", "2")))
        coordinator = stack.enter_context(contextlib.closing(start_coordinator(build, worker, ending)))
        bare = stack.enter_context(subprocess.Popen([os.path.join(build, "bench", "bare_mhd_echo")], stdin=subprocess.PIPE,
                                                    stdout=subprocess.PIPE))
        probes = [Probe(port) for port in (coordinator.admin_port, worker.admin_port, int(bare.stdout.readline()))]
        begun = time.perf_counter()
        client = start_curl(coordinator, {**options, "range": item_range(ending)}, accept, body, query)
        act(coordinator, client)
        head = client.communicate()[0].decode()
        if ending == "hang-up":
            time.sleep(1)  # the coordinator notices meanwhile that the client is gone, and ends the job
        took_s = time.perf_counter() - begun
        if ending not in ("hang-up", "drain") and " 200 " not in head and " 507 " not in head:
            raise SystemExit(f"{ending}, {form}: {head}")
        turns = [{}, worker.turns()] if ending == "drain" else [coordinator.turns(), worker.turns()]
        times = [probe.close() for probe in probes]
        bare.stdin.close()
    return times, [count[float("inf")] - count[0.02] if count else 0 for count in turns], took_s


def running_jobs(coordinator):
    with urllib.request.urlopen(f"http://127.0.0.1:{coordinator.port}/v1/jobs") as answer:
        return json.loads(answer.read())["jobs"]


def resident_mib(service):
    with open(f"/proc/{service.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def wait_for(condition):
    deadline = time.monotonic() + CURL_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"the condition was not met within {CURL_TIMEOUT_S} s")
        time.sleep(0.1)


def unread(report, build, tasks):
    """Measures the coordinator's memory for clients that do not read their streams, before and after these clients
    disconnect."""
    body = json.dumps({"task": "square", "range": {"stop": UNREAD_ITEMS}}).encode()
    head = (f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nAccept: {NDJSON}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    with contextlib.ExitStack() as stack:
        worker = stack.enter_context(contextlib.closing(Service(build, "fantail-worker", "--tasks", tasks, "--processes", "2")))
        coordinator = stack.enter_context(contextlib.closing(start_coordinator(build, worker, "unread")))
        before = resident_mib(coordinator)
        clients = [socket.create_connection(("127.0.0.1", coordinator.port)) for _ in range(UNREAD_CLIENTS)]
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(head + body)
        wait_for(lambda: sum(job["counts"]["succeeded"] for job in running_jobs(coordinator)) == UNREAD_ITEMS * UNREAD_CLIENTS)
        held = (resident_mib(coordinator) - before) / UNREAD_CLIENTS
        for client in clients:
            client.close()
        wait_for(lambda: not running_jobs(coordinator))
        time.sleep(MEMORY_GAP_S)
        left = resident_mib(coordinator) - before
        turns = coordinator.turns()
    report.add("endings", "held for a client that does not read (--result-memory-bytes is 16 MiB)", held, "MiB", "below 20", held < 20)
    report.add("endings", f"still held after {UNREAD_CLIENTS} such clients have left", left, "MiB", "below 32", left < 32)
    report.add("endings", "turns of the coordinator above 20 ms meanwhile", turns[float("inf")] - turns[0.02], "")


def endings(report, build, tasks, folder, endings_wanted=None):
    unread(report, build, tasks)
    worst = [0.0, 0.0, 0.0]
    for ending in ENDINGS:
        for form in FORMS:
            if ending == "disk full" and "reduced" in form:
                continue  # a reduction writes no answers to disk
            if endings_wanted and f"{ending} {form}" not in endings_wanted:
                continue
            times, long_turns, took_s = run_one(build, tasks, folder, ending, form)
            own, worker, bare = (one["p100"] for one in times)
            worst = [max(pair) for pair in zip(worst, (own, worker, bare))]
            report.add("endings", f"{ending}, {form} ({took_s:.1f} s; long turns {long_turns[0]}, worker {long_turns[1]}; "
                       f"worker p100 {worker:.0f} ms, bare loop {bare:.0f} ms): /livez p100", own, "ms")
    own, worker, bare = worst
    report.add("endings", "bare loop beside it, the worst p100: the machine's own noise", bare, "ms")
    noise = max(0.0, bare - 5)
    report.add("endings", "worker, the worst p100 of /livez", worker, "ms", "below 50 + noise", worker < 50 + noise)
    report.add("endings", "coordinator, the worst p100 of /livez", own, "ms", "below 50 + noise", own < 50 + noise)
