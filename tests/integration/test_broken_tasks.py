"""Jobs that were accepted before the coordinator knew that no worker can run their task. The client gets the reason."""
import json
import os
import signal
import threading

import fantail_testing as ft
from fantail_testing import FantailTest, request, wait_until, write_file

FAULT = "must be one of"
# Each of these task names appears twice in the reason. So if the reason is cut at a fixed size, the cut falls on a different
# byte of a three-byte character for each name.
LONG = ("long", "long1", "long12")


class BrokenTasks(FantailTest):
    def new_coordinator(self, *arguments):
        self.worker_port = self.free_port()
        return self.coordinator(f"static://127.0.0.1:{self.worker_port}", *arguments)

    def start_worker(self, **tasks):
        return self.worker(tasks=self.tasks(**tasks or {"typo": {"mode": "pyton"}}), port=self.worker_port)

    def wait_until_running(self, port, key="synchronous"):
        def running():
            return [job for job in request(port, "GET", "/v1/jobs").json.get(key, []) if job["status"] == "running"]
        return wait_until(running, "the start of the job")

    def test_a_job_that_came_before_the_worker_is_answered_422_with_the_reason(self):
        coordinator = self.new_coordinator()
        answers = []
        client = threading.Thread(
            target=lambda: answers.append(request(coordinator.port, "POST", "/v1/jobs", '{"task":"typo","items":[2]}')))
        client.start()
        self.wait_until_running(coordinator.port, "jobs")
        self.start_worker()
        client.join(ft.LIMIT_S)
        self.assert_problem(answers[0], 422, "/task", ['task "typo" cannot run', FAULT])

    def test_a_stream_that_came_before_the_worker_fails_with_the_reason(self):
        coordinator = self.new_coordinator()
        with ft.Stream(coordinator.port, '{"task":"typo","items":[2]}', {"Accept": ft.NDJSON}) as job:
            self.assertEqual(job.line_of("waiting")["reason"], "no_workers")
            self.start_worker()
            end = job.rest()[-1]
        self.assertEqual(end["status"], "failed", end)
        self.assertIn(FAULT, end["reason"])

    def test_a_task_that_breaks_after_an_answer_is_explained_while_the_job_waits_and_in_its_errors(self):
        gate = self.gate()
        coordinator = self.new_coordinator("--worker-wait-s", "1")
        worker = self.start_worker(typo=gate.task)
        job = {"task": "typo", "items": [1, 2, 3], "chunk_size": 1, "max_concurrency": 1}
        with ft.Stream(coordinator.port, json.dumps(job), {"Accept": ft.NDJSON}) as stream:
            wait_until(ft.Fleet(self, coordinator, [worker]).busy_slots, "the first item")
            write_file(os.path.join(self.folder, "tasks", "typo", "task.json"), '{"mode":"pyton"}')
            worker.send_signal(signal.SIGHUP)
            wait_until(lambda: FAULT in worker.stderr(), "the fault")
            gate.open()
            self.assertEqual(stream.line_of("result")["index"], 0)
            waiting = stream.line_of("waiting")
            self.assertEqual(waiting["reason"], "no_task")
            self.assertIn(FAULT, waiting["detail"])
            *lines, end = stream.rest()
        errors = [line["error"] for line in lines if line["type"] == "error"]
        self.assertEqual([error["name"] for error in errors], ["worker_lost"] * 2)
        for error in errors:
            self.assertIn(FAULT, error["cause"])
        self.assertIn(FAULT, end["reason"])

    def test_a_job_fails_with_the_reason_of_the_worker_that_answered_if_another_one_is_away(self):
        store = "sqlite:" + os.path.join(self.folder, "jobs.db")
        coordinator = self.new_coordinator("--store", store)
        answer = request(coordinator.port, "POST", "/v1/jobs", '{"task":"typo","items":[2]}', {"Prefer": "respond-async"})
        self.assertEqual(coordinator.stop(), 0)
        self.start_worker()
        workers = f"static://127.0.0.1:{self.worker_port},127.0.0.1:{self.free_port()}"
        coordinator = self.coordinator(workers, "--store", store, "--worker-wait-s", "3")
        path = "/v1/jobs/" + answer.json["id"]
        job = wait_until(lambda: (job := request(coordinator.port, "GET", path).json)["ended_at"] and job, "the end")
        self.assertIn(FAULT, job["reason"])
        [error] = [line["error"] for line in request(coordinator.port, "GET", path + "/results").lines
                   if line["type"] == "error"]
        for words in (FAULT, "the other workers could not be reached"):
            self.assertIn(words, error["cause"])

    def test_a_durable_job_that_came_before_the_worker_waits_and_fails_with_the_reason(self):
        store = "sqlite:" + os.path.join(self.folder, "jobs.db")
        coordinator = self.new_coordinator("--store", store)
        headers = {"Prefer": "respond-async"}
        path = "/v1/jobs/" + request(coordinator.port, "POST", "/v1/jobs", '{"task":"typo","items":[2]}', headers).json["id"]
        self.start_worker()
        def waits():
            return request(coordinator.port, "GET", path).json.get("waiting", {}).get("reason") == "no_task"
        wait_until(waits, "the worker's answer")
        wait_until(lambda: FAULT in request(coordinator.port, "GET", path).json["waiting"].get("detail", ""), "the reason")
        self.assertEqual(coordinator.stop(), 0)
        workers = f"static://127.0.0.1:{self.worker_port}"
        coordinator = self.coordinator(workers, "--store", store, "--worker-wait-s", "1")
        job = wait_until(lambda: (job := request(coordinator.port, "GET", path).json)["ended_at"] and job, "the end")
        self.assertEqual(job["status"], "failed", job)
        self.assertIn(FAULT, job["reason"])
        [error] = [line["error"] for line in request(coordinator.port, "GET", path + "/results").lines
                   if line["type"] == "error"]
        self.assertIn(FAULT, error["cause"])

    def test_a_long_reason_of_a_durable_job_is_cut_between_two_characters(self):
        store = "sqlite:" + os.path.join(self.folder, "jobs.db")
        coordinator = self.new_coordinator("--store", store)
        ids = []
        for name in LONG:
            job = json.dumps({"task": name, "items": [1]})
            answer = request(coordinator.port, "POST", "/v1/jobs", job, {"Prefer": "respond-async"})
            ids.append(answer.json["id"])
        self.assertEqual(coordinator.stop(), 0)
        self.start_worker(**{name: {"command": "cat", "\u20ac" * 300: 1} for name in LONG})
        coordinator = self.coordinator(f"static://127.0.0.1:{self.worker_port}", "--store", store, "--worker-wait-s", "1")
        for job_id in ids:
            path = "/v1/jobs/" + job_id
            job = wait_until(lambda p=path: (job := request(coordinator.port, "GET", p).json)["ended_at"] and job, "the end")
            self.assertRegex(job["reason"], "unknown field \"\u20ac+$")

    def test_an_error_has_standard_error_only_if_the_process_ended(self):
        source = """
import os, sys
def run(item):
    print("before", item, file=sys.stderr)
    if item == 1:
        raise ValueError("no")
    os._exit(3)
"""
        fleet = self.fleet(tasks=self.tasks(work={"json": {"mode": "python", "command": "work:run", "processes": 1},
                                                  "files": {"work.py": source}}))
        raised, ended = (e["error"] for e in fleet.job({"task": "work", "items": [1, 2], "chunk_size": 1,
                                                         "retry": {"max_attempts": 1}}).json["errors"])
        self.assertEqual((raised["name"], raised["stderr"]), ("task_error", ""))
        self.assertIn("ValueError: no", raised["traceback"])
        self.assertEqual(ended["name"], "crashed")
        self.assertTrue(ended["stderr"].endswith("before 2\n"), ended)


if __name__ == "__main__":
    ft.main()
