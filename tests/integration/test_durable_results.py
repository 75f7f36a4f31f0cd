"""Durable jobs are read (results, state, list) and changed (DELETE, redrive)."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import subprocess
import time

import fantail_testing as ft
from fantail_testing import JSON, NDJSON, FantailTest, SharedFleetTest, wait_until

ENDED = ("succeeded", "partial", "failed", "cancelled", "timed_out")


class Client:
    """Sends requests about durable jobs to a coordinator."""

    def __init__(self, test, coordinator):
        self.test, self.coordinator = test, coordinator

    def url(self, path):
        """Returns the target of a request for this path below /v1/jobs."""
        return "/v1/jobs" + path

    def ask(self, method, path, body=None, headers=None):
        return ft.request(self.coordinator.port, method, self.url(path), body, headers)

    def submit(self, body):
        """Submits a durable job and returns its id."""
        answer = self.ask("POST", "", json.dumps(body), {"Content-Type": JSON, "Prefer": "respond-async"})
        self.test.assertEqual(answer.status, 202, answer)
        return answer.json["id"]

    def status(self, job, wait_s=None):
        answer = self.ask("GET", f"/{job}" + (f"?wait_s={wait_s}" if wait_s is not None else ""))
        self.test.assertEqual(answer.status, 200, answer)
        return answer.json

    def end(self, job):
        document = self.status(job, wait_s=60)
        self.test.assertIn(document["status"], ENDED, document)
        return document

    def results(self, job, query=""):
        answer = self.ask("GET", f"/{job}/results{query}")
        self.test.assertEqual(answer.status, 200, answer)
        self.test.assertEqual(answer.headers.get_content_type(), NDJSON)
        self.test.assertEqual(answer.headers["Fantail-Job"], job)
        self.test.assertEqual(answer.all_lines[0], {"type": "start", "id": job})
        return answer

    def list(self, query=""):
        answer = self.ask("GET", query)
        self.test.assertEqual(answer.status, 200, answer)
        self.test.assertEqual(answer.json["scope"], "store")
        return answer.json


class Follower:
    """A stream of results that is read line by line."""

    def __init__(self, client, job, query=""):
        self.connection = http.client.HTTPConnection("127.0.0.1", client.coordinator.port, timeout=60)
        self.connection.request("GET", client.url(f"/{job}/results{query}"))
        self.response = self.connection.getresponse()

    def line(self):
        """Returns the next line that is neither the start line nor a heartbeat. Returns None at the end of the
        stream."""
        while True:
            text = self.response.readline()
            line = json.loads(text) if text else None
            if line is None or line["type"] not in ("start", "heartbeat"):
                return line

    def lines(self):
        return list(iter(self.line, None))

    def is_cut(self):
        with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
            while text := self.response.readline():
                if json.loads(text)["type"] == "end":
                    return False
        return True

    def close(self):
        self.response.close()
        self.connection.close()


def held_task(folder):
    """Returns a task whose item i ends when release() makes a file for this item. The value of each item is the item
    itself."""
    script = f"read i; until [ -e {folder}/go-$i ]; do sleep 0.05; done; echo $i"
    return {"mode": "exec", "command": ["sh", "-c", script], "item_timeout_s": 3600}


class DurableTest(FantailTest):
    def start_store(self, workers, *arguments):
        return Client(self, self.coordinator(workers, "--store", f"sqlite:{self.folder}/jobs.db", *arguments))

    def held_worker(self, processes=4):
        self.addCleanup(self.release, *range(200))
        return self.worker(tasks=self.tasks(held=held_task(self.folder)), processes=processes)

    def release(self, *items):
        for item in items:
            ft.write_file(os.path.join(self.folder, f"go-{item}"), "")


class Reading(SharedFleetTest):
    """Jobs that have ended."""

    @classmethod
    def make_fleet_options(cls, keeper):
        return {"coordinator_arguments": ("--store", f"sqlite:{keeper.folder}/jobs.db")}

    def setUp(self):
        super().setUp()
        self.client = Client(self, self.shared.coordinator)

    def a_job(self):
        """Runs a job whose items 3 and 5 fail. Returns its id."""
        job = self.client.submit({"task": "square", "items": [0, 1, 2, "x", 4, "y"], "chunk_size": 2})
        self.assertEqual(self.client.end(job)["status"], "partial")
        return job

    def test_the_lines_are_those_of_the_synchronous_stream(self):
        body = {"task": "square", "items": [0, 1, 2, "x", 4, "y"]}
        synchronous = self.shared.job(body, accept=NDJSON)
        stored = self.client.results(self.a_job())

        def plain(lines):
            return [{**line, "error": {**line["error"], "worker": None}} if line["type"] == "error" else line
                    for line in lines]
        self.assertEqual(plain(stored.lines[:-1]), plain(synchronous.lines[:-1]))
        self.assertEqual(set(stored.end), set(synchronous.end))
        self.assertEqual((stored.end["status"], stored.end["counts"]),
                         (synchronous.end["status"], synchronous.end["counts"]))

    def test_a_client_can_read_from_any_item_and_only_values_or_errors(self):
        job = self.a_job()
        for query, indexes in (("", range(6)), ("?from=0", range(6)), ("?from=4", [4, 5]), ("?from=6", []),
                               ("?from=1000", []), ("?only=values", [0, 1, 2, 4]), ("?only=errors", [3, 5]),
                               ("?only=errors&from=4", [5])):
            lines = self.client.results(job, query).lines
            self.assertEqual([line["index"] for line in lines[:-1]], list(indexes), query)
            self.assertEqual(lines[-1]["type"], "end")

    def test_wrong_queries_are_refused_with_their_name(self):
        job = self.a_job()
        for query, pointer in (("from=-1", "/from"), ("from=a", "/from"), ("only=all", "/only"),
                               ("progress_s=x", "/progress_s")):
            self.assert_problem(self.client.ask("GET", f"/{job}/results?{query}"), 400, pointer)
        self.assert_problem(self.client.ask("GET", f"/{job}/results?form=1"), 400, words="form")
        self.assert_problem(self.client.ask("GET", f"/{job}?wait_s=3601"), 400, "/wait_s")
        self.assert_problem(self.client.ask("GET", f"/{job}?wait=1"), 400, words="wait")

    def test_jobs_that_do_not_exist(self):
        unknown = "0195f2c4-0000-7000-8000-000000000000"
        for job in (unknown, self.a_job() + "0", "x", "%00"):
            for method, path in (("GET", ""), ("GET", "/results"), ("DELETE", ""), ("POST", "/redrive")):
                answer = self.client.ask(method, f"/{job}{path}")
                self.assertIn(answer.status, (400, 404), answer)
        self.assert_problem(self.client.ask("GET", f"/{unknown}/results"), 404, words=unknown)

    def test_a_large_job_is_read_whole_by_several_clients_at_once(self):
        job = self.client.submit({"task": "square", "range": {"stop": 30000}})
        want = [n * n for n in range(30000)]
        with concurrent.futures.ThreadPoolExecutor() as threads:
            for answer in threads.map(lambda _: self.client.results(job), range(3)):
                self.assertEqual(answer.values, want)
                self.assertEqual([line["index"] for line in answer.lines[:-1]], list(range(30000)))
        self.assertEqual(self.client.results(job, "?from=29990").values, want[29990:])

    def test_a_document_has_times_and_counts(self):
        job = self.client.submit({"task": "square", "items": [1, "x"], "labels": ["a", "b c"], "priority": 7})
        document = self.client.end(job)
        self.assertEqual({name: document[name] for name in ("durable", "labels", "priority", "errors", "redrive_count")},
                         {"durable": True, "labels": ["a", "b c"], "priority": 7, "errors": {"task_error": 1},
                          "redrive_count": 0})
        self.assert_counts(document["counts"], total=2, succeeded=1, failed=1, cancelled=0)
        times = [document[name] for name in ("created_at", "started_at", "ended_at")]
        self.assertEqual(times, sorted(times))
        for text in times:
            self.assertRegex(text, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_a_head_request_ends(self):
        job = self.a_job()
        for path in (f"/{job}", f"/{job}/results", ""):
            answer = self.client.ask("HEAD", path)
            self.assertEqual((answer.status, answer.body), (200, b""))

    # The list.

    def ids(self, query):
        return [job["id"] for job in self.client.list(query)["jobs"]]

    def test_the_list_is_in_pages_newest_first(self):
        jobs = [self.client.submit({"task": "square", "items": [1], "labels": ["pages"]}) for _ in range(5)]
        newest_first, seen, cursor = jobs[::-1], [], ""
        for size in (2, 2, 1):
            page = self.client.list(f"?label=pages&limit=2{cursor}")
            self.assertEqual(len(page["jobs"]), size)
            seen += [job["id"] for job in page["jobs"]]
            cursor = f"&cursor={page['next']}"
        self.assertIsNone(page["next"])
        self.assertEqual(seen, newest_first)
        self.assertEqual(set(page["jobs"][0]) | {"options"}, set(self.client.status(seen[-1])))

    def test_the_list_can_be_filtered(self):
        good = self.client.submit({"task": "square", "items": [1], "labels": ["filter", "é&+ x"]})
        bad = self.client.submit({"task": "echo", "items": [1], "labels": ["filter"]})
        part = self.client.submit({"task": "square", "items": [1, "x"], "labels": ["filter"]})
        for job in (good, bad, part):
            self.client.end(job)
        for query, jobs in (("status=succeeded", [bad, good]), ("status=partial", [part]),
                            ("status=partial,succeeded", [part, bad, good]), ("status=pending,running", []),
                            ("task=square", [part, good]), ("task=echo", [bad]), ("task=none", []),
                            ("task=square&status=partial", [part])):
            self.assertEqual(self.ids(f"?label=filter&{query}"), jobs, query)
        self.assertEqual(self.ids("?label=%C3%A9%26%2B%20x"), [good])
        self.assertEqual(self.ids("?label=no"), [])
        middle = self.client.status(bad)["created_at"]
        self.assertEqual(self.ids(f"?label=filter&created_after={middle}"), [part])
        self.assertEqual(self.ids(f"?label=filter&created_before={middle}"), [good])
        for old in ("2020-01-01", "1970-01-01", "0001-01-01"):
            self.assertEqual(self.ids(f"?label=filter&created_before={old}"), [], old)
            self.assertEqual(self.ids(f"?label=filter&created_after={old}"), [part, bad, good], old)
        self.assertEqual(self.ids("?label=filter&created_after=2020-01-01T00:00:00%2B02:00"), [part, bad, good])

    def test_wrong_filters_are_refused_with_their_name(self):
        for name, values in (("status", ("", "done", "receiving", "running,")), ("task", ("", "a/b")),
                             ("label", ("", "x" * 65, "a,b", "a%0Ab")), ("created_after", ("now", "2026-13-01")),
                             ("created_before", ("1", "10000-01-01")), ("limit", ("0", "201", "-1", "x", "")),
                             ("cursor", ("x", "", "0195f2c4-0000-7000-8000-00000000000g", 36 * "-",
                                         "0195f2c4-0000-4000-8000-000000000001"))):
            for value in values:
                self.assert_problem(self.client.ask("GET", f"?{name}={value}"), 400, "/" + name, name)
        self.assert_problem(self.client.ask("GET", "?state=running"), 400, words="state")
        self.assert_problem(self.client.ask("GET", "?limit=1&label=a&limit=2"), 400, "/limit", "given twice")

    def test_synchronous_jobs_are_listed_apart(self):
        with self.shared.stream({"task": "sleep", "items": [60]}) as stream:
            job = stream.response.headers["Fantail-Job"]
            listed = self.client.list()
            self.assertEqual([j["id"] for j in listed["synchronous"]], [job])
            self.assertNotIn(job, [j["id"] for j in listed["jobs"]])
            self.assertNotIn("durable", self.client.status(job))
            self.assert_problem(self.client.ask("GET", f"/{job}/results"), 409)
            self.assertEqual(self.client.ask("DELETE", f"/{job}").status, 202)
            self.assertEqual(stream.line_of("end")["status"], "cancelled")

    # DELETE and redrive.

    def test_a_job_that_has_ended_is_removed(self):
        job = self.a_job()
        removed = self.client.ask("DELETE", f"/{job}")
        self.assertEqual((removed.status, removed.body), (204, b""))
        for method, path in (("GET", ""), ("GET", "/results"), ("DELETE", ""), ("POST", "/redrive")):
            self.assert_problem(self.client.ask(method, f"/{job}{path}"), 404, words=job)
        self.assertNotIn(job, self.ids("?limit=200"))

    def test_a_job_without_failed_items_is_not_redriven(self):
        job = self.client.submit({"task": "square", "items": [1]})
        self.client.end(job)
        self.assert_problem(self.client.ask("POST", f"/{job}/redrive"), 409, words="value")
        self.assertEqual(self.client.status(job)["redrive_count"], 0)

    def test_a_redrive_runs_failed_items_again(self):
        job = self.a_job()
        answer = self.client.ask("POST", f"/{job}/redrive")
        self.assertEqual(answer.status, 202, answer)
        self.assertEqual(answer.json["redrive_count"], 1)
        document = self.client.end(job)
        self.assertEqual(document["errors"], {"task_error": 2})
        self.assert_counts(document["counts"], total=6, succeeded=4, failed=2, cancelled=0)
        self.assertEqual(len(self.client.results(job).lines), 7)


class Following(DurableTest):
    """Jobs that run."""

    def test_curl_gets_each_answer_when_it_is_recorded(self):
        client = self.start_store([self.held_worker()])
        job = client.submit({"task": "held", "items": list(range(4)), "chunk_size": 1})
        url = f"http://127.0.0.1:{client.coordinator.port}/v1/jobs/{job}/results"
        with subprocess.Popen(["curl", "-sN", url], stdout=subprocess.PIPE) as curl:
            self.assertEqual(json.loads(curl.stdout.readline())["type"], "start")
            for item in range(4):
                self.release(item)
                self.assertEqual(json.loads(curl.stdout.readline()), {"type": "result", "index": item, "value": item})
            end = json.loads(curl.stdout.readline())
            self.assertEqual((end["type"], end["status"]), ("end", "succeeded"))
            self.assertEqual(curl.wait(60), 0)

    def test_the_order_is_that_of_the_items(self):
        client = self.start_store([self.held_worker()])
        job = client.submit({"task": "held", "items": list(range(3)), "chunk_size": 1})
        follower = Follower(client, job)
        self.release(1, 2)
        wait_until(lambda: client.status(job)["counts"]["succeeded"] == 2, "the answers of two items")
        self.release(0)
        self.assertEqual([line.get("value") for line in follower.lines()], [0, 1, 2, None])
        follower.close()

    def test_several_clients_follow_and_one_resumes_after_a_cut(self):
        client = self.start_store([self.held_worker()])
        job = client.submit({"task": "held", "items": list(range(6)), "chunk_size": 1})
        first, second = Follower(client, job), Follower(client, job, "?from=2")
        self.release(0, 1, 2)
        got = [first.line() for _ in range(2)]
        first.close()
        self.release(3, 4, 5)
        resumed = Follower(client, job, f"?from={got[-1]['index'] + 1}")
        self.assertEqual([line.get("value") for line in got + resumed.lines()], [0, 1, 2, 3, 4, 5, None])
        self.assertEqual([line.get("value") for line in second.lines()], [2, 3, 4, 5, None])
        for follower in (second, resumed):
            follower.close()

    def test_a_client_reads_on_when_its_coordinator_was_killed_and_started_again(self):
        worker = self.held_worker()
        client = self.start_store([worker])
        job = client.submit({"task": "held", "items": list(range(4)), "chunk_size": 1})
        follower = Follower(client, job)
        self.release(0, 1)
        got = [follower.line() for _ in range(2)]
        client.coordinator.kill()
        follower.close()
        client = self.start_store([worker])
        self.release(2, 3)
        follower = Follower(client, job, "?from=2")
        self.assertEqual([line.get("value") for line in got + follower.lines()], [0, 1, 2, 3, None])
        follower.close()

    def test_heartbeats_and_progress_come_while_nothing_is_answered(self):
        client = self.start_store([self.held_worker()], "--heartbeat-s", "1")
        job = client.submit({"task": "held", "items": [0]})
        quiet, progress = Follower(client, job), Follower(client, job, "?progress_s=1")
        kinds = [json.loads(quiet.response.readline())["type"] for _ in range(3)]
        self.assertEqual(kinds, ["start", "heartbeat", "heartbeat"])
        self.assertEqual(progress.line()["counts"]["total"], 1)
        for follower in (quiet, progress):
            follower.close()

    def test_waiting_for_the_end(self):
        client = self.start_store([self.held_worker()])
        job = client.submit({"task": "held", "items": [0]})
        self.assertIn(client.status(job, wait_s=0)["status"], ("pending", "running"))
        self.assertEqual(client.status(job, wait_s=0.3)["status"], "running")
        with concurrent.futures.ThreadPoolExecutor() as threads:
            ends = [threads.submit(client.status, job, 60) for _ in range(3)]
            self.release(0)
            self.assertEqual([end.result()["status"] for end in ends], ["succeeded"] * 3)
        self.assertEqual(client.status(job, wait_s=60)["status"], "succeeded")

    def test_a_drain_cuts_followers_and_answers_those_who_wait(self):
        client = self.start_store([self.held_worker()], "--drain-s", "120")
        job = client.submit({"task": "held", "items": [0, 1], "chunk_size": 1, "max_concurrency": 1})
        follower = Follower(client, job)
        self.release(0)
        self.assertEqual(follower.line()["value"], 0)
        with concurrent.futures.ThreadPoolExecutor() as threads:
            waiting = threads.submit(client.status, job, 60)
            requests = "fantail_http_requests_in_flight"
            wait_until(lambda: ft.metric_sum(ft.metrics(client.coordinator), requests) == 2, "the request that waits")
            started = time.monotonic()
            client.coordinator.send_signal(ft.signal.SIGTERM)
            self.assertTrue(follower.is_cut())
            with contextlib.suppress(ConnectionError):
                self.assertIn(waiting.result()["status"], ("pending", "running"))
        self.release(1)
        self.assertEqual(client.coordinator.wait(), 0)
        self.assertLess(time.monotonic() - started, 60)
        follower.close()

    # Other ways in which a job ends.

    def test_a_job_fails_when_too_many_items_do(self):
        client = self.start_store([self.worker()])
        job = client.submit({"task": "square", "items": ["x"] * 3 + list(range(50)), "tolerated_failure_count": 1,
                             "chunk_size": 1, "max_concurrency": 1})
        document = client.end(job)
        self.assertEqual(document["status"], "failed")
        self.assertIn("failed", document["reason"])
        self.assertEqual(document["counts"]["failed"], 2)
        end = client.results(job).end
        self.assertEqual((end["status"], end["reason"]), ("failed", document["reason"]))
        self.assertEqual([line["index"] for line in client.results(job).lines[:-1]], list(range(53)))

    def test_a_job_ends_at_its_deadline(self):
        client = self.start_store([self.held_worker()])
        job = client.submit({"task": "held", "items": [0, 1], "deadline_s": 1})
        document = client.end(job)
        self.assertEqual((document["status"], document["errors"]), ("timed_out", {"deadline_exceeded": 2}))
        self.assertEqual(client.results(job).end["status"], "timed_out")

    def test_a_job_is_removed_some_time_after_its_end(self):
        """A coordinator removes old jobs when it starts, and then once a minute."""
        worker = self.worker()
        client = self.start_store([worker])
        job = client.submit({"task": "square", "items": [1]})
        client.end(job)
        client.coordinator.stop()
        client = self.start_store([worker], "--job-ttl-s", "0.001")
        wait_until(lambda: client.ask("GET", f"/{job}").status == 404, "the removal of the job")
        self.assertEqual(client.list()["jobs"], [])

    # DELETE and redrive.

    def test_a_running_job_is_cancelled_and_then_removed(self):
        client = self.start_store([self.held_worker()])
        job = client.submit({"task": "held", "items": [0, 1, 2], "chunk_size": 1})
        self.release(0)
        follower = Follower(client, job)
        self.assertEqual(follower.line()["value"], 0)
        self.assert_problem(client.ask("POST", f"/{job}/redrive"), 409, words="not ended")
        self.assertEqual(client.ask("DELETE", f"/{job}").status, 202)
        lines = follower.lines()
        self.assertEqual([line.get("error", {}).get("name") for line in lines], ["cancelled", "cancelled", None])
        self.assertEqual(lines[-1]["status"], "cancelled")
        self.assert_counts(client.end(job)["counts"], total=3, succeeded=1, failed=0, cancelled=2)
        self.assert_problem(client.ask("DELETE", f"/{job}?only=cancel"), 409, words="has ended")
        self.assert_problem(client.ask("DELETE", f"/{job}?only=remove"), 400, "/only", words="must be cancel")
        self.assertEqual(client.ask("DELETE", f"/{job}").status, 204)
        follower.close()

    def test_a_job_that_never_ran_is_cancelled_at_once(self):
        client = self.start_store(f"static://127.0.0.1:{self.free_port()}")
        jobs = [client.submit({"task": "square", "items": [1, 2]}) for _ in range(2)]
        for job, query in zip(jobs, ("", "?only=cancel")):
            self.assertEqual(client.ask("DELETE", f"/{job}{query}").status, 202)
            document = client.end(job)
            self.assertEqual((document["status"], document["errors"]), ("cancelled", {"cancelled": 2}))
            lines = client.results(job).lines
            self.assertEqual([line.get("error", {}).get("name") for line in lines], ["cancelled", "cancelled", None])
            self.assertEqual(lines[-1]["status"], "cancelled")

    def test_a_follower_of_a_job_that_is_removed_is_told(self):
        client = self.start_store([self.held_worker()])
        job = client.submit({"task": "held", "range": {"stop": 200}})
        self.release(*range(200))
        client.end(job)
        # If the kernel has buffered the whole answer before the DELETE, the end line says succeeded.
        follower = Follower(client, job)
        self.assertEqual(client.ask("DELETE", f"/{job}").status, 204)
        lines = follower.lines()
        self.assertEqual([line["value"] for line in lines[:-1]], list(range(len(lines) - 1)))
        self.assertIn(lines[-1]["status"], ("succeeded", "removed"))
        follower.close()

    def test_a_long_common_value_reaches_the_task_and_the_other_options_are_kept(self):
        task = {"json": {"mode": "python", "command": "m:work"}, "files": {"m.py": "def work(item, common):\n    return common[item]\n"}}
        client = self.start_store([self.worker(tasks=self.tasks(pick=task))])
        job = client.submit({"priority": 3, "common": [f"{i} \u20ac \\ \"" for i in range(50000)], "task": "pick",
                             "items": [0, 49999], "tolerated_failure_count": 1})
        self.assertEqual(client.results(job).values, ["0 \u20ac \\ \"", "49999 \u20ac \\ \""])
        options = client.end(job)["options"]
        self.assertEqual((options["priority"], options["tolerated_failure_count"]), (3, 1))

    def test_a_redrive_runs_only_what_failed_and_the_reader_follows_it(self):
        """Each run of an item is noted in a file. Odd items fail until the file `good` exists."""
        script = (f"read i; echo $i >> {self.folder}/runs; if [ $((i % 2)) = 1 ] && [ ! -e {self.folder}/good ]; "
                  "then exit 1; fi; echo $i")
        task = {"mode": "exec", "command": ["sh", "-c", script]}
        client = self.start_store([self.worker(tasks=self.tasks(odd=task))])
        job = client.submit({"task": "odd", "items": list(range(6))})
        self.assertEqual(client.end(job)["status"], "partial")
        ft.write_file(os.path.join(self.folder, "good"), "")
        self.assertEqual(client.ask("POST", f"/{job}/redrive").status, 202)
        answer = client.results(job)
        self.assertEqual(answer.values, list(range(6)))
        self.assertEqual(answer.end["status"], "succeeded")
        document = client.end(job)
        self.assertEqual((document["redrive_count"], document["errors"], document["reason"]), (1, {}, None))
        self.assert_counts(document["counts"], total=6, succeeded=6, failed=0, cancelled=0)
        with open(os.path.join(self.folder, "runs"), encoding="ascii") as runs:
            self.assertEqual(sorted(int(line) for line in runs), [0, 1, 1, 2, 3, 3, 4, 5, 5])


class WithoutStore(SharedFleetTest):
    def test_nothing_changes_and_the_message_says_what_to_do(self):
        answer = self.shared.request("GET", "/v1/jobs")
        self.assertEqual(answer.json, {"scope": "replica", "jobs": []})
        self.assert_problem(self.shared.request("GET", "/v1/jobs?status=running"), 400, words="status")
        unknown = "/v1/jobs/0195f2c4-0000-7000-8000-000000000000"
        for method, path in (("GET", "/results"), ("POST", "/redrive")):
            self.assert_problem(self.shared.request(method, unknown + path), 404, words="--store")
        self.assert_problem(self.shared.request("GET", unknown), 404, words="not running")


if __name__ == "__main__":
    ft.main()
