"""A limit on the memory of a service (ulimit -v). Only the job that needs too much memory fails, and all other jobs
continue."""
import contextlib
import http.client
import json
import re
import resource
import select
import socket
import threading

import fantail_testing as ft
from fantail_testing import JSON, NDJSON, FantailTest, wait_until

LARGE = 48 << 20
SPARE = 40 << 20  # how much more memory a service may use: more than its memory reserve, and less than a large item
COPIED = 17 << 20  # an item of this size fits, but its copy does not

TASK = """
import time

def run(item):
    if item == "large":
        return "x" * (48 << 20)
    if item == "medium":
        return "x" * (2 << 20)
    if isinstance(item, str):
        return len(item)
    if item < 0:
        time.sleep(0.05)
    return item
"""


def limit_memory(program):
    """Limits the address space of the program to its current size plus SPARE bytes. The current size includes the
    address space that a sanitizer has reserved."""
    with open(f"/proc/{program.pid}/status", encoding="ascii") as status:
        size = int(re.search(r"^VmSize:\s+(\d+) kB", status.read(), re.M)[1]) << 10
    resource.prlimit(program.pid, resource.RLIMIT_AS, (size + SPARE, resource.RLIM_INFINITY))


def lift_limit(program):
    resource.prlimit(program.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class MemoryLimit(FantailTest):
    def start_fleet(self, *coordinator_arguments):
        tasks = self.tasks(sized={"json": {"mode": "python", "command": ["task:run"], "processes": 2},
                                  "files": {"task.py": TASK}})
        fleet = self.fleet(tasks=tasks, coordinator_arguments=coordinator_arguments)
        self.assertEqual(fleet.job({"task": "sized", "items": ["abc", 1]}).json["results"], [3, 1])
        return fleet

    def check_others(self, fleet, program, cause, may_refuse=False):
        """Limits the memory of the program, and calls `cause` while other jobs run. Checks that the program still
        lives, and that each other job has its results. With may_refuse, the program may refuse other jobs with 503."""
        answers, over = [], threading.Event()

        def run_jobs():
            while not over.is_set():
                answers.append(fleet.job({"task": "sized", "items": [-1, 2, 3]}))
        other = threading.Thread(target=run_jobs)
        other.start()
        try:
            wait_until(lambda: answers, "the first of the other jobs")
            limit_memory(program)
            cause()
        finally:
            over.set()
            other.join(60)
            lift_limit(program)
        self.assertTrue(program.alive(), program.describe())
        for answer in answers:
            if may_refuse and answer.status == 503:
                continue
            self.assertEqual((answer.status, answer.json and answer.json["results"]), (200, [-1, 2, 3]), answer)
        self.assertEqual(fleet.job({"task": "sized", "items": ["x" * 1000]}).json["results"], [1000])

    def test_a_body_that_does_not_fit_is_refused_and_other_jobs_go_on(self):
        fleet = self.start_fleet()
        string = b'"' + b"x" * LARGE + b'"'

        def send_large():
            for body, content_type, query in ((string, NDJSON, "?task=sized"),
                                              (b'{"task":"sized","items":[' + string + b"]}", JSON, ""),
                                              (b'{"task":"sized","items":[1],"common":"' + b"x" * (3 << 20) + b'"}', JSON, "")):
                answer = fleet.job(body, None, content_type, query)
                if len(body) > LARGE:
                    self.assert_problem(answer, 503, words=["memory limit"])
                else:
                    self.assertIn(answer.status, (200, 503), answer)
        self.check_others(fleet, fleet.coordinator, send_large)

    def test_an_answer_that_does_not_fit_fails_its_job_and_other_jobs_go_on(self):
        fleet = self.start_fleet()

        def ask_for_large():
            document = fleet.job({"task": "sized", "items": ["large"]}).json
            self.assertEqual(document["status"], "failed", str(document)[:500])
            self.assertIn("memory limit", document["reason"])
        self.check_others(fleet, fleet.coordinator, ask_for_large)

    def test_a_result_that_does_not_fit_fails_its_job_and_other_jobs_go_on(self):
        fleet = self.start_fleet("--result-memory-bytes", "1M")

        def reduce_large():
            document = fleet.job({"task": "sized", "items": ["medium"] * 24, "reduce": "concat"}).json
            self.assertEqual((document["status"], document["result"]), ("failed", None), str(document)[:500])
            self.assertIn("memory limit", document["reason"])
        # The result may take all memory except the reserve. While only the reserve is left, a new job is refused.
        self.check_others(fleet, fleet.coordinator, reduce_large, may_refuse=True)

    def test_a_long_recorded_answer_waits_until_there_is_memory(self):
        fleet = self.start_fleet("--store", f"sqlite:{self.folder}/jobs.db")
        answer = ft.request(fleet.port, "POST", "/v1/jobs", json.dumps({"task": "sized", "items": ["abc", "large"]}),
                            {"Content-Type": JSON, "Prefer": "respond-async"})
        job = f"/v1/jobs/{answer.json['id']}"
        self.assertEqual(fleet.request("GET", job + "?wait_s=60").json["status"], "succeeded")
        connection = http.client.HTTPConnection("127.0.0.1", fleet.port, timeout=60)
        self.addCleanup(connection.close)

        def read_large():
            connection.request("GET", job + "/results")
            wait_until(lambda: fleet.metric(fleet.coordinator, "fantail_store_calls_total", status="away"), "a lack of memory")
        self.check_others(fleet, fleet.coordinator, read_large)
        lines = [json.loads(line) for line in connection.getresponse().read().splitlines()]
        self.assertEqual([len(line["value"]) for line in lines if line["type"] == "result" and line["index"] == 1], [LARGE])
        self.assertEqual(lines[-1]["status"], "succeeded")

    def test_a_durable_job_waits_until_there_is_memory_for_its_answer(self):
        fleet = self.start_fleet("--store", f"sqlite:{self.folder}/jobs.db")
        port = fleet.coordinator.port

        def ask_for_large():
            answer = ft.request(port, "POST", "/v1/jobs", json.dumps({"task": "sized", "items": ["abc", "large"]}),
                                {"Content-Type": JSON, "Prefer": "respond-async"})
            self.assertEqual(answer.status, 202, answer)
            self.job = answer.json["id"]
            wait_until(lambda: "waits until there is memory" in fleet.coordinator.stderr(), "a lack of memory")
        self.check_others(fleet, fleet.coordinator, ask_for_large)
        document = ft.request(port, "GET", f"/v1/jobs/{self.job}?wait_s=60").json
        self.assertEqual((document["status"], document["counts"]["succeeded"]), ("succeeded", 2), str(document)[:500])
        self.assertGreater(fleet.metric(fleet.coordinator, "fantail_chunk_attempts_total", result="no_room"), 0)

    def test_an_answer_that_does_not_fit_into_the_worker_fails_its_item_and_other_items_go_on(self):
        fleet = self.start_fleet()

        def ask_for_large():
            document = fleet.job({"task": "sized", "items": ["large"], "retry": {"max_attempts": 1}}).json
            error = document["errors"][0]["error"]
            self.assertEqual(error["name"], "out_of_memory", str(error)[:500])
            self.assertIn("memory limit", error["cause"])
        self.check_others(fleet, fleet.workers[0], ask_for_large)

    def test_an_item_whose_copy_does_not_fit_fails_alone_if_its_process_runs_many_items(self):
        source = TASK.replace("def run", "async def run").replace("time.sleep(0.05)", "pass")
        tasks = self.tasks(sized={"json": {"mode": "python", "command": ["task:run"], "processes": 1, "concurrency": 8},
                                  "files": {"task.py": source}})
        fleet = self.fleet(tasks=tasks)
        self.assertEqual(fleet.job({"task": "sized", "items": ["abc", 1]}).json["results"], [3, 1])
        limit_memory(fleet.workers[0])
        answer = fleet.job({"task": "sized", "items": ["x" * COPIED, 7]}).json
        self.assertEqual([(e["index"], e["error"]["name"]) for e in answer["errors"]], [(0, "out_of_memory")])
        self.assertIn("the item needs more memory", answer["errors"][0]["error"]["cause"])
        self.assertEqual(answer["results"], [None, 7])
        self.assertEqual(fleet.job({"task": "sized", "items": ["abc", 1]}).json["results"], [3, 1])
        lift_limit(fleet.workers[0])

    def test_values_between_two_tasks_that_do_not_fit_fail_their_items_and_other_items_go_on(self):
        fleet = self.start_fleet()

        def pass_on_much():
            job = {"task": ["sized", "sized"], "items": ["medium"] * 24, "chunk_size": 24, "retry": {"max_attempts": 1}}
            document = fleet.job(job).json
            self.assertEqual({error["error"]["name"] for error in document["errors"]}, {"out_of_memory"}, document["errors"])
            for index, value in enumerate(document["results"]):
                self.assertIn(value, (2 << 20, None), index)
        self.check_others(fleet, fleet.workers[0], pass_on_much)

    def test_items_that_do_not_fit_into_the_worker_are_refused_and_other_items_go_on(self):
        fleet = self.start_fleet()

        def send_large():
            answer = ft.request(fleet.workers[0].port, "POST", "/v1/tasks/sized", json.dumps("x" * LARGE).encode() + b"\n",
                                {"Content-Type": NDJSON})
            self.assert_problem(answer, 507, words=["memory limit"])
        self.check_others(fleet, fleet.workers[0], send_large)

    def test_an_item_that_fits_into_no_worker_fails_by_the_name_of_its_fault(self):
        fleet = self.start_fleet()

        def send_large():
            document = fleet.job({"task": "sized", "items": ["x" * LARGE], "retry": {"max_attempts": 2}}).json
            error = document["errors"][0]["error"]
            self.assertEqual((error["name"], error["attempts"]), ("out_of_memory", 2), str(error)[:500])
            self.assertIn("no memory", error["cause"])
        self.check_others(fleet, fleet.workers[0], send_large)
        self.assertEqual(fleet.metric(fleet.coordinator, "fantail_chunk_attempts_total", result="no_memory"), 2)

    def test_connections_that_do_not_fit_are_refused_and_the_service_goes_on(self):
        fleet = self.start_fleet()

        def job_succeeds():
            with contextlib.suppress(OSError, http.client.HTTPException):
                return fleet.job({"task": "sized", "items": ["abc", 1]}).status == 200

        for program in (fleet.coordinator, fleet.workers[0]):
            limit_memory(program)
            with contextlib.ExitStack() as stack:
                idle = [stack.enter_context(socket.create_connection(("127.0.0.1", program.port))) for _ in range(600)]
                wait_until(lambda: any(s.recv(1000).startswith(b"HTTP/1.1 503 ") for s in select.select(idle, [], [], 0)[0]),
                           "a refusal")
            wait_until(job_succeeds, "a job")
            self.assertIn("connections are refused", program.stderr())
            self.assertTrue(program.alive(), program.describe())
            lift_limit(program)


if __name__ == "__main__":
    ft.main()
