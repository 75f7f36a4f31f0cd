"""Many jobs run at the same time: their total memory is limited, and all jobs end correctly. A job has few chunks even on many
workers."""
import http.client
import json
import os
import resource
import socket
import subprocess
import threading

import fantail_testing as ft
from fantail_testing import JSON, NDJSON, FantailTest, wait_until

KIB, MIB = 1 << 10, 1 << 20

WIDE = """
def run(item):
    return f"{item}:" + "x" * 1000
"""


HELD = """
import os
import time

def run(item):
    while not os.path.exists({path!r}):
        time.sleep(0.01)
    return len(item)
"""


def value_of(index):
    return f"{index}:" + "x" * 1000


class SlowReaders(FantailTest):
    JOBS, ITEMS = 24, 4000  # 4 MB of answers for each job

    def open_unread(self, fleet, accept, **options):
        """Posts a job, and returns the socket without reading the answer. The receive buffer is small, so the kernel
        takes little of the answer."""
        body = json.dumps({"task": "wide", "range": {"stop": self.ITEMS}, **options}).encode()
        s = socket.socket()
        self.addCleanup(s.close)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * KIB)
        s.settimeout(60)
        s.connect(("127.0.0.1", fleet.port))
        s.sendall(f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nAccept: {accept}\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return s

    def values(self, s, accept):
        """Reads the answer to its end. Returns the values of all items, in their order."""
        response = http.client.HTTPResponse(s)
        response.begin()
        self.assertEqual(response.status, 200)
        answer = ft.Answer(response.status, response.headers, response.read())
        response.close()
        if accept == JSON:
            return answer.json["results"]
        self.assertEqual(answer.end["status"], "succeeded")
        return [line["value"] for line in answer.lines if line["type"] == "result"]

    def test_they_share_the_memory_for_answers_and_get_all(self):
        total = MIB
        fleet = self.fleet(tasks=self.tasks(wide={"json": {"mode": "python", "command": ["task:run"]},
                                                  "files": {"task.py": WIDE}}),
                           coordinator_arguments=("--result-memory-total-bytes", "1M"))
        kinds = [NDJSON, JSON] * (self.JOBS // 2)
        unread = [self.open_unread(fleet, accept) for accept in kinds]
        most = 0

        def all_ended():
            nonlocal most
            text = ft.metrics(fleet.coordinator)
            most = max(most, ft.metric_sum(text, "fantail_answer_memory_bytes"))
            return ft.metric_sum(text, "fantail_jobs_total", status="succeeded") == self.JOBS
        wait_until(all_ended, "the end of all jobs", 120)
        # Each job may hold its share of the memory, 16 KiB more, and the answers that are being sent.
        self.assertLess(most, total + self.JOBS * (16 + 96) * KIB)
        expected = [value_of(i) for i in range(self.ITEMS)]
        for s, accept in zip(unread, kinds):
            self.assertEqual(self.values(s, accept), expected)
            s.close()
        wait_until(lambda: fleet.metric(fleet.coordinator, "fantail_answer_memory_bytes") == 0, "no answers in memory")


    def test_a_stream_pauses_while_nobody_reads_it_and_then_ends_right(self):
        fleet = self.fleet(tasks=self.tasks(wide={"json": {"mode": "python", "command": ["task:run"]},
                                                  "files": {"task.py": WIDE}}),
                           coordinator_arguments=("--result-memory-bytes", "64K", "--max-spill-bytes", "8M"))
        self.ITEMS = 30000  # 30 MB of answers
        s = self.open_unread(fleet, NDJSON, chunk_size=100)

        def settled():
            return fleet.request("GET", "/v1/jobs").json["jobs"][0]["counts"]["succeeded"]
        before = [-1]

        def stands_still():
            before.append(settled())
            return before[-1] == before[-2] > 1000 and fleet.metric(fleet.coordinator, "fantail_items_in_flight") == 0
        wait_until(stands_still, "a job that pauses", 120)
        self.assertLess(settled(), self.ITEMS)
        self.assertEqual(self.values(s, NDJSON), [value_of(i) for i in range(self.ITEMS)])
        s.close()


class WaitingItems(FantailTest):
    UPLOADS, ITEMS = 12, 2000

    def test_uploads_that_wait_for_workers_share_the_memory_for_items(self):
        gate = self.gate()
        tasks = self.tasks(held={"json": {"mode": "python", "command": ["task:run"]},
                                 "files": {"task.py": HELD.format(path=gate.path)}},
                           small={"json": {"mode": "python", "command": ["task:run"]},
                                  "files": {"task.py": "def run(item):\n    return item + 1\n"}})
        fleet = self.fleet(tasks=tasks, coordinator_arguments=("--item-memory-total-bytes", "2M"))
        body = json.dumps("y" * 1000).encode() + b"\n"
        answers = {}

        def upload(i):
            answers[i] = fleet.job(body * self.ITEMS, content_type=NDJSON, accept=NDJSON, query="?task=held", timeout_s=120)
        threads = [threading.Thread(target=upload, args=(i,)) for i in range(self.UPLOADS)]
        for thread in threads:
            thread.start()

        def held():
            return fleet.metric(fleet.coordinator, "fantail_item_memory_bytes")
        wait_until(lambda: fleet.metric(fleet.coordinator, "fantail_jobs_running") == self.UPLOADS and held() > MIB // 2,
                   "uploads that have filled their part")
        self.assertLess(held(), 2 * MIB)
        self.assertEqual(fleet.job({"task": "small", "items": [1, 2]}).json["results"], [2, 3])
        gate.open()
        for thread in threads:
            thread.join()
        for i in range(self.UPLOADS):
            self.assertEqual([line.get("value") for line in answers[i].lines if line["type"] == "result"],
                             [1000] * self.ITEMS)
        wait_until(lambda: held() == 0, "no items in memory")


class ManyWaiting(FantailTest):
    JOBS = 1200  # so many waiting connections that the server resumes them in groups

    def test_all_are_answered_when_their_items_end(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 2 * self.JOBS:
            self.skipTest(f"the hard limit on open files is {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        gate = self.gate()
        fleet = self.fleet(tasks=self.tasks(held={"json": {"mode": "python", "command": ["task:run"], "processes": 1},
                                                  "files": {"task.py": HELD.format(path=gate.path)}}))
        waiting = []
        for i in range(self.JOBS):
            body = json.dumps({"task": "held", "items": ["z" * i]}).encode()
            s = socket.create_connection(("127.0.0.1", fleet.port), timeout=60)
            self.addCleanup(s.close)
            s.sendall(f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nContent-Length: {len(body)}\r\n\r\n"
                      .encode() + body)
            waiting.append(s)
        wait_until(lambda: fleet.metric(fleet.coordinator, "fantail_jobs_running") == self.JOBS, "all jobs")
        gate.open()
        for i, s in enumerate(waiting):
            response = http.client.HTTPResponse(s)
            response.begin()
            self.assertEqual(json.loads(response.read())["results"], [i])
            response.close()


class ManyWorkers(ft.SharedFleetTest):
    WORKERS, ITEMS = 24, 100_000
    MOST_CHUNKS = 2000  # if chunks stayed small, there would be nearly as many chunks as items
    fleet_options = {"workers": WORKERS, "processes": 1, "tasks": ft.EXAMPLE_TASKS}

    def chunks_of(self, job):
        fleet = self.shared
        before = fleet.metric(fleet.coordinator, "fantail_chunk_attempts_total")
        answer = fleet.job(job).json
        return answer, fleet.metric(fleet.coordinator, "fantail_chunk_attempts_total") - before

    def test_tiny_items_are_sent_in_large_chunks(self):
        answer, chunks = self.chunks_of({"task": "square", "range": {"stop": self.ITEMS}, "reduce": "sum"})
        self.assertEqual(answer["result"], sum(n * n for n in range(self.ITEMS)))
        self.assertLess(chunks, self.MOST_CHUNKS)

    def test_tiny_items_that_all_fail_are_sent_in_large_chunks(self):
        answer, chunks = self.chunks_of({"task": "square", "items": ["x"] * self.ITEMS, "errors": "runs"})
        self.assert_counts(answer["counts"], total=self.ITEMS, failed=self.ITEMS)
        self.assertLess(chunks, self.MOST_CHUNKS)


class OpenFiles(FantailTest):
    def test_a_low_soft_limit_is_raised_but_not_for_tasks(self):
        def low():
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1024))
        tasks = self.tasks(limit={"mode": "exec", "command": ["/bin/sh", "-c", "ulimit -n"]})
        worker = self.start("fantail-worker", "--port", self.free_port(), "--admin-port", self.free_port(), "--tasks", tasks,
                            "--processes", 1, ready=True, before_exec=low)
        coordinator = self.coordinator([worker], before_exec=low)
        fleet = ft.Fleet(self, coordinator, [worker])
        for program in (worker, coordinator):
            self.assertEqual(fleet.metric(program, "process_max_fds"), 1024)
            line = next(line for line in program.log_lines() if line["msg"].startswith("the limit on open files"))
            self.assertEqual((line["open_files"], line["connections"]), (1024, 704))
        self.assertEqual(fleet.job({"task": "limit", "items": [0]}).json["results"], [256])

    def test_a_service_with_too_few_open_files_does_not_start(self):
        programs = [["fantail-coordinator"], ["fantail-coordinator", "--store", f"sqlite:{self.folder}/store.db"],
                    ["fantail-worker", "--tasks", ft.EXAMPLE_TASKS]]
        for limit in (6, 7, 8, 9, 12, 20, 79):
            for program, *arguments in programs:
                ended = subprocess.run(["sh", "-c", f'ulimit -n {limit}; exec "$0" "$@"', os.path.join(ft.BIN, program),
                                        *arguments, "--port", "0", "--admin-port", "0"], capture_output=True, timeout=60)
                self.assertEqual(ended.returncode, 1, ended)
                self.assertIn(b"the limit on open files is %d, and a service needs at least 80" % limit, ended.stderr)

    def test_a_service_with_just_enough_open_files_runs_jobs(self):
        def low():
            resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))
        worker = self.start("fantail-worker", "--port", self.free_port(), "--admin-port", self.free_port(), "--processes", 2,
                            "--tasks", ft.EXAMPLE_TASKS, ready=True, before_exec=low)
        coordinator = self.coordinator([worker], "--store", f"sqlite:{self.folder}/store.db", before_exec=low)
        fleet = ft.Fleet(self, coordinator, [worker])
        answer = fleet.job({"task": "square", "items": list(range(1000))})
        self.assertEqual(answer.json["counts"]["succeeded"], 1000, answer)


if __name__ == "__main__":
    ft.main()
