"""Durable jobs whose coordinator ends: kill -9, SIGTERM, and the end of a whole `fantail local`."""
import argparse
import collections
import contextlib
import http.client
import json
import os
import re
import signal
import time

from fantail_testing import EXAMPLE_TASKS, FantailTest, Stream, main, metric_sum, metrics, request, wait_until
from counting_task import COUNTS
from stored_file import read_number

ITEMS = 600


class DurableTest(FantailTest):
    """The fleet is a worker whose task notes each run of an item, and a coordinator that has a store and can be
    restarted."""

    def setUp(self):
        super().setUp()
        self.runs_file = os.path.join(self.folder, "runs")
        self.store = os.path.join(self.folder, "jobs.db")
        self.ports = None

    def counting_tasks(self, idempotent=None, pause_s=0.005):
        task = {"mode": "python", "command": "counts:run", "env": {"RUNS": self.runs_file, "PAUSE_S": str(pause_s)}}
        if idempotent is not None:
            task["idempotent"] = idempotent
        return self.tasks(counts={"json": task, "files": {"counts.py": COUNTS}})

    def start_coordinator(self, *arguments):
        """Starts the coordinator. The coordinator uses the same ports after each start."""
        if not self.ports:
            self.ports = self.free_port(), self.free_port()
        self.coordinator_program = self.start(
            "fantail-coordinator", "--port", self.ports[0], "--admin-port", self.ports[1], "--workers",
            "static://" + ",".join(f"127.0.0.1:{w.port}" for w in self.workers), "--store", f"sqlite:{self.store}",
            *arguments, ready=True)

    def start_all(self, tasks, workers=1):
        self.workers = [self.worker(tasks=tasks) for _ in range(workers)]
        self.start_coordinator()

    def request(self, method, path, body=None, **headers):
        return request(self.ports[0], method, path, body, headers)

    def submit(self, job, **headers):
        answer = self.request("POST", "/v1/jobs", json.dumps(job).encode(), Prefer="respond-async", **headers)
        self.assertEqual(answer.status, 202, answer)
        self.assertEqual(answer.headers["Location"], "/v1/jobs/" + answer.json["id"])
        return answer.json["id"]

    def job(self, job_id, query=""):
        return self.request("GET", f"/v1/jobs/{job_id}{query}").json

    def wait_for_end(self, job_id):
        return wait_until(lambda: (job := self.job(job_id))["ended_at"] and job, "the end of the job")

    def results(self, job_id):
        lines = self.request("GET", f"/v1/jobs/{job_id}/results").all_lines
        return [line for line in lines if line["type"] in ("result", "error")]

    def runs(self):
        """Returns how often each item has run so far."""
        if not os.path.exists(self.runs_file):
            return collections.Counter()
        with open(self.runs_file, encoding="ascii") as lines:
            return collections.Counter(map(int, lines.read().split()))

    def recorded(self):
        """Returns how many answers the store has. Reads the file of the store, and sends no request to the
        coordinator."""
        return read_number(self.store, "SELECT sum(succeeded + failed) FROM job")

    def wait_for_some(self, least):
        wait_until(lambda: self.recorded() >= least, f"{least} recorded answers")

    def assert_all_right(self, job_id, items=ITEMS):
        job = self.wait_for_end(job_id)
        self.assertEqual(job["status"], "succeeded", job)
        self.assert_counts(job["counts"], total=items, succeeded=items, failed=0, cancelled=0)
        lines = self.results(job_id)
        self.assertEqual([(line["index"], line["value"]) for line in lines], [(n, 2 * n) for n in range(items)])


class Ends(DurableTest):
    def kill_and_start_again(self):
        """Kills the coordinator and starts it again. Returns how many answers had been recorded when the coordinator
        was killed."""
        self.coordinator_program.kill()
        recorded = self.recorded()
        self.start_coordinator()
        return recorded

    def test_after_kill_9_only_items_without_a_recorded_answer_run_again(self):
        self.start_all(self.counting_tasks())
        job_id = self.submit({"task": "counts", "items": list(range(ITEMS))})
        answered = 0
        for least in (50, 200, 350):
            self.wait_for_some(least)
            answered = self.kill_and_start_again()
        self.assert_all_right(job_id)
        again = sum(n - 1 for n in self.runs().values())
        self.assertLessEqual(again, 3 * ITEMS - answered)
        self.assertEqual(set(self.runs()), set(range(ITEMS)))

    def test_an_answer_that_was_recorded_before_the_kill_is_not_computed_again(self):
        self.start_all(self.counting_tasks())
        job_id = self.submit({"task": "counts", "range": {"stop": ITEMS}})
        self.wait_for_some(100)
        before = {line["index"] for line in self.lines_so_far(job_id, 60)}
        self.coordinator_program.kill()
        wait_until(lambda: metric_sum(metrics(self.workers[0]), "fantail_worker_slots", state="busy") == 0,
                   "idle slots")
        runs = self.runs()
        self.start_coordinator()
        self.assert_all_right(job_id)
        after = self.runs()
        self.assertEqual([n for n in before if after[n] != runs[n]], [])

    def lines_so_far(self, job_id, n):
        """Opens a stream of the running job's results, and returns the first n result lines."""
        stream = Stream(self.ports[0], None, {}, f"/v1/jobs/{job_id}/results", method="GET")
        lines = []
        while len(lines) < n:
            line = stream.line()
            if line["type"] == "result":
                lines.append(line)
        stream.close()
        return lines

    def test_sigterm_hands_the_job_back_at_once(self):
        self.start_all(self.counting_tasks(pause_s=0.05))
        job_id = self.submit({"task": "counts", "items": list(range(200))})
        self.wait_for_some(10)
        self.coordinator_program.send_signal(signal.SIGTERM)
        self.assertEqual(self.coordinator_program.wait(), 0)
        self.assertLess(self.recorded(), 200)
        self.start_coordinator()
        self.assert_all_right(job_id, 200)

    def test_a_drain_does_not_wait_for_a_store_whose_file_was_removed(self):
        self.start_all(self.counting_tasks(pause_s=0.05))
        self.submit({"task": "counts", "items": list(range(2000))})
        self.wait_for_some(10)
        os.unlink(self.store)
        begun = time.monotonic()
        self.coordinator_program.send_signal(signal.SIGTERM)
        self.assertEqual(self.coordinator_program.wait(), 0)
        self.assertLess(time.monotonic() - begun, 15)
        self.assertIn("the drain gives up a durable job", self.coordinator_program.stderr())

    def test_each_read_says_that_the_file_of_the_store_was_moved_away(self):
        self.start_all(self.counting_tasks(pause_s=0.05))
        job_id = self.submit({"task": "counts", "items": list(range(100))})
        self.wait_for_some(5)
        path = f"/v1/jobs/{job_id}"
        streams = [Stream(self.ports[0], None, {}, path + end, method="GET") for end in ("/results", "/events")]
        os.rename(self.store, self.store + ".away")
        for read in (path, path + "?wait_s=30", path + "/results", path + "/events", "/v1/jobs"):
            self.assert_problem(self.request("GET", read), 500, words=["its file was removed or replaced"])
        for stream in streams:
            with contextlib.suppress(http.client.IncompleteRead):
                stream.response.read()
            stream.close()
        os.rename(self.store + ".away", self.store)
        self.assert_all_right(job_id, 100)

    def test_a_task_that_must_not_run_twice_does_not(self):
        self.start_all(self.counting_tasks(idempotent=False, pause_s=0.01))
        job_id = self.submit({"task": "counts", "items": list(range(ITEMS))})
        for least in (50, 150):
            self.wait_for_some(least)
            self.kill_and_start_again()
        job = self.wait_for_end(job_id)
        self.assertEqual([n for n, times in self.runs().items() if times > 1], [])
        self.assertEqual(job["status"], "partial", job)
        lines = self.results(job_id)
        self.assertEqual([line["index"] for line in lines], list(range(ITEMS)))
        errors = [line["error"] for line in lines if line["type"] == "error"]
        self.assertEqual({e["name"] for e in errors}, {"worker_lost"})
        self.assertEqual(len(errors), job["errors"]["worker_lost"])
        self.assertTrue(any("it is not known whether the item ran" in e["cause"] for e in errors), errors[0])

    def test_a_drain_waits_for_items_that_must_not_run_twice(self):
        self.start_all(self.counting_tasks(idempotent=False, pause_s=4))
        job_id = self.submit({"task": "counts", "items": list(range(6))})
        wait_until(self.runs, "an item that runs")
        self.coordinator_program.send_signal(signal.SIGTERM)
        self.assertEqual(self.coordinator_program.wait(), 0)
        self.assertEqual(self.recorded(), len(self.runs()))
        self.assertLess(len(self.runs()), 6)
        self.start_coordinator()
        self.assert_all_right(job_id, 6)
        self.assertEqual(set(self.runs().values()), {1})

    def test_a_task_that_is_described_late_runs_no_item_twice(self):
        tasks = self.counting_tasks(idempotent=False, pause_s=0.01)
        port = self.free_port()
        self.workers = [argparse.Namespace(port=port)]
        self.start_coordinator()
        job_id = self.submit({"task": "counts", "items": list(range(ITEMS))})
        self.workers = [self.worker(tasks=tasks, port=port)]
        for least in (50, 150):
            self.wait_for_some(least)
            self.kill_and_start_again()
        self.wait_for_end(job_id)
        self.assertEqual([n for n, times in self.runs().items() if times > 1], [])

    def test_the_metrics_count_each_answer_and_each_end_once(self):
        self.start_all(self.counting_tasks(pause_s=0.02))
        job_id = self.submit({"task": "counts", "items": list(range(100))})
        self.wait_for_some(10)
        self.coordinator_program.send_signal(signal.SIGTERM)
        self.assertEqual(self.coordinator_program.wait(), 0)
        recorded = self.recorded()
        self.assertEqual([line for line in self.coordinator_program.log_lines() if line["msg"] == "job ended"], [])
        self.start_coordinator()
        self.assert_all_right(job_id, 100)
        text = metrics(self.coordinator_program)
        self.assertEqual(metric_sum(text, "fantail_items_total", outcome="succeeded"), 100 - recorded)
        self.assertEqual(metric_sum(text, "fantail_items_total"), 100 - recorded)
        self.assertEqual(metric_sum(text, "fantail_jobs_total"), 1)

    def test_a_cancelled_job_stays_cancelled_after_a_kill(self):
        self.start_all(self.counting_tasks(pause_s=0.05))
        job_id = self.submit({"task": "counts", "items": list(range(ITEMS))})
        self.wait_for_some(1)
        self.assertEqual(self.request("DELETE", f"/v1/jobs/{job_id}").status, 202)
        self.kill_and_start_again()
        self.assertEqual(self.wait_for_end(job_id)["status"], "cancelled")

    def test_jobs_that_wait_for_a_worker_survive_too(self):
        self.start_all(self.counting_tasks())
        port = self.workers[0].port
        self.workers[0].kill()
        job_id = self.submit({"task": "counts", "items": list(range(20))})
        self.kill_and_start_again()
        self.workers[0] = self.worker(tasks=os.path.join(self.folder, "tasks"), port=port)
        self.assert_all_right(job_id, 20)


class Local(DurableTest):
    def start_local(self):
        env = self.environment(XDG_STATE_HOME=os.path.join(self.folder, "state"))
        program = self.start("fantail", "local", "--port", self.ports[0], "--tasks", self.counting_tasks(), env=env)
        wait_until(lambda: re.search("^fantail: ready at", program.stdout(), re.M) or not program.alive(), "the ready line")
        self.assertTrue(program.alive(), program.describe())
        return program

    def test_a_laptop_that_loses_power_goes_on_where_it_was(self):
        self.ports = self.free_port(), None
        local = self.start_local()
        job_id = self.submit({"task": "counts", "items": list(range(ITEMS))})
        wait_until(lambda: self.job(job_id)["counts"]["succeeded"] >= 100, "100 answers")
        local.killed = True
        local.destroy()
        for pid in self._strangers():
            with contextlib.suppress(ProcessLookupError):  # the process may have ended with its parent
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self._strangers(), "the end of the fleet")
        self.start_local()
        self.assert_all_right(job_id)


class Refusals(DurableTest):
    def setUp(self):
        super().setUp()
        self.start_all(EXAMPLE_TASKS)
        wait_until(lambda: self.request("GET", "/v1/tasks").json["tasks"], "the tasks of the worker")

    def post(self, body, **headers):
        return self.request("POST", "/v1/jobs", body, Prefer="respond-async", **headers)

    def test_a_wrong_request_leaves_no_job(self):
        for body, status, pointer in ((b'{"task":"square","items":[1,', 400, None),
                                      (b'{"task":"nope","items":[1]}', 404, "/task"),
                                      (b'{"items":[1]}', 400, "/task"),
                                      (b'{"task":"square","items":[1],"labels":[1]}', 400, "/labels"),
                                      (b'{"task":"square","items":[1],"reduce":"median"}', 400, "/reduce"),
                                      (b'{"task":"square","items":[' + b"1," * 1_000_000 + b"}", 400, None)):
            with self.subTest(body[:40]):
                self.assert_problem(self.post(body), status, pointer)
        self.assertEqual(self.request("GET", "/v1/jobs").json["jobs"], [])

    def test_a_key_names_one_job(self):
        key = {"Idempotency-Key": 'k"1'}
        first = self.post(b'{"task":"square","items":[1,2]}', **key)
        again = self.post(b'{"task":"square","items":[1,2]}', **key)
        quoted = self.post(b'{"task":"square","items":[1,2]}', **{"Idempotency-Key": r'"k\"1"'})
        self.assertEqual((first.status, again.status, quoted.status), (202, 202, 202))
        self.assertEqual({first.json["id"], again.json["id"], quoted.json["id"]}, {first.json["id"]})
        self.assert_problem(self.post(b'{"task":"square","items":[1,2,3]}', **key), 422, words=first.json["id"])
        self.assertEqual(len(self.request("GET", "/v1/jobs").json["jobs"]), 1)

    def test_a_wrong_key_is_refused_also_if_the_job_is_not_durable(self):
        for key in ("x" * 256, '""', '"k"1"'):
            for headers in ({}, {"Prefer": "respond-async"}):
                answer = self.request("POST", "/v1/jobs", b'{"task":"square","items":[3]}', **headers, **{"Idempotency-Key": key})
                self.assert_problem(answer, 400, words="Idempotency-Key")

    def test_the_client_gets_its_lines_if_it_does_not_ask(self):
        self.assertEqual(self.request("POST", "/v1/jobs", b'{"task":"square","items":[3]}').json["results"], [9])

    def test_many_items_of_many_sizes(self):
        items = [n if n % 7 else "x" * (n % 5000) for n in range(20_000)]
        answer = self.post(json.dumps({"task": "echo", "items": items}).encode())
        self.assertEqual(answer.status, 202)
        job = self.wait_for_end(answer.json["id"])
        self.assert_counts(job["counts"], total=len(items), succeeded=len(items))
        self.assertEqual([line["value"] for line in self.results(answer.json["id"])], items)

    def test_a_second_coordinator_is_refused_the_file(self):
        second = self.start("fantail-coordinator", "--port", self.free_port(), "--admin-port", self.free_port(),
                            "--workers", "static://127.0.0.1:1", "--store", f"sqlite:{self.store}")
        second.any_status = True
        self.assertNotEqual(second.wait(), 0)
        self.assertIn(str(self.coordinator_program.pid), second.stderr())


if __name__ == "__main__":
    main()
