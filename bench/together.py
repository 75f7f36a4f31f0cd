"""Makes thousands of chunks, or thousands of jobs, begin and end at the same time, and counts the turns of the
coordinator's loop that take longer than 20 ms."""
import contextlib
import json
import socket
import time
import urllib.request

from endings import Service, running_jobs, wait_for
from held_workers import SLOTS, HeldWorkers

WORKERS = 100
JOBS = 5_000
COMMON_BYTES, COMMON_CHUNKS = 4 << 20, 32
JOB_WAIT_S = 3  # how long a job waits for a worker


def long_turns(coordinator):
    turns = coordinator.turns()
    return turns[float("inf")] - turns[0.02]


def post(coordinator, job, path="/v1/jobs"):
    """Sends a job, and returns the connection."""
    body = json.dumps(job).encode()
    client = socket.create_connection(("127.0.0.1", coordinator.port))
    client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: application/x-ndjson\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return client


def delete_all(coordinator):
    for job in running_jobs(coordinator):
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{coordinator.port}/v1/jobs/{job['id']}",
                                                      method="DELETE")).close()


def has_no_job(coordinator):
    return not running_jobs(coordinator)


class Counter:
    """For each step, adds a line to the report: how many turns of the loop took longer than 20 ms."""

    def __init__(self, report, coordinator):
        self.report, self.coordinator, self.before = report, coordinator, long_turns(coordinator)

    def step(self, name):
        now = long_turns(self.coordinator)
        self.report.add("endings", f"{name}: turns above 20 ms", now - self.before, "", "0", now == self.before)
        self.before = long_turns(self.coordinator)


def many_chunks(report, build, folder):
    chunks = WORKERS * SLOTS
    with contextlib.ExitStack() as stack:
        workers = stack.enter_context(contextlib.closing(HeldWorkers(folder, WORKERS)))
        coordinator = stack.enter_context(contextlib.closing(Service(build, "fantail-coordinator", "--workers", workers.addresses())))
        counter = Counter(report, coordinator)
        job = {"task": "sleep", "range": {"stop": 1_000_000}, "chunk_size": 1, "hedge": {"enabled": False}, "errors": "runs"}
        client = post(coordinator, job)
        wait_for(lambda: workers.count() == chunks)
        counter.step(f"{chunks:,} chunks to a cold fleet")
        workers.release()
        wait_for(lambda: running_jobs(coordinator)[0]["counts"]["succeeded"] >= chunks)
        wait_for(lambda: workers.count() == chunks)
        counter.step(f"{chunks:,} chunks answered together")
        delete_all(coordinator)
        wait_for(lambda: has_no_job(coordinator))
        counter.step(f"DELETE with {chunks:,} chunks in flight")
        client.close()
        client = post(coordinator, {**job, "common": "x" * COMMON_BYTES, "max_concurrency": COMMON_CHUNKS})
        wait_for(lambda: workers.count() == COMMON_CHUNKS)
        counter.step(f"{COMMON_CHUNKS} chunks with `common` of {COMMON_BYTES >> 20} MiB")
        client.close()
        wait_for(lambda: has_no_job(coordinator))


def many_jobs_end(report, build, tasks):
    with contextlib.ExitStack() as stack:
        worker = Service(build, "fantail-worker", "--tasks", tasks, "--processes", "2")
        stack.callback(worker.close)
        coordinator = stack.enter_context(contextlib.closing(Service(
            build, "fantail-coordinator", "--workers", f"static://127.0.0.1:{worker.port}", "--worker-wait-s", str(JOB_WAIT_S))))
        counter = Counter(report, coordinator)
        for _ in range(JOBS):
            stack.enter_context(post(coordinator, {"task": "sleep", "items": [600]}))
        wait_for(lambda: len(running_jobs(coordinator)) == JOBS)
        counter.step(f"{JOBS:,} jobs begin, and GET /v1/jobs lists them")
        worker.process.kill()
        wait_for(lambda: has_no_job(coordinator))
        counter.step(f"{JOBS:,} jobs give up together")


def together(report, build, tasks, folder):
    many_chunks(report, build, folder)
    many_jobs_end(report, build, tasks)
