"""PATCH of a durable job: options that change while the job waits or runs."""
import json

import fantail_testing as ft
from fantail_testing import JSON, main, wait_until
from test_durable_results import DurableTest

PATCH = "application/merge-patch+json"
DEFAULTS = {"max_concurrency": 0, "priority": 5, "tolerated_failure_count": None, "tolerated_failure_percentage": 100,
            "deadline_s": 0, "max_rate": 0}


class Changing(DurableTest):
    def change(self, client, job, body, content_type=PATCH):
        text = body if isinstance(body, str) else json.dumps(body)
        return client.ask("PATCH", f"/{job}", text, {"Content-Type": content_type})

    def busy(self, client):
        return ft.metric_sum(ft.metrics(self.held), "fantail_worker_slots", state="busy")

    def start_held(self, *arguments):
        self.held = self.held_worker()
        return self.start_store([self.held], *arguments)

    def test_the_rate_of_a_running_job_can_be_changed(self):
        client = self.start_held()
        job = client.submit({"task": "held", "items": list(range(4)), "max_rate": 0.001})
        wait_until(lambda: self.busy(client) == 1, "the first item")
        self.assertEqual(client.status(job)["options"], {**DEFAULTS, "max_rate": 0.001})
        answer = self.change(client, job, {"max_rate": None})
        self.assertEqual((answer.status, answer.json["options"]), (200, DEFAULTS))
        wait_until(lambda: self.busy(client) == 4, "all items")
        self.release(*range(4))
        self.assertEqual(client.end(job)["options"]["max_rate"], 0)

    def test_the_concurrency_of_a_running_job_grows_and_the_answer_has_all_options(self):
        client = self.start_held()
        job = client.submit({"task": "held", "items": list(range(8)), "max_concurrency": 1})
        wait_until(lambda: self.busy(client) == 1, "the first item")
        self.assertEqual(client.status(job)["options"], {**DEFAULTS, "max_concurrency": 1})
        answer = self.change(client, job, {"max_concurrency": 3, "priority": 9})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["options"], {**DEFAULTS, "max_concurrency": 3, "priority": 9})
        self.assertEqual((answer.json["id"], answer.json["priority"]), (job, 9))
        wait_until(lambda: self.busy(client) == 3, "three items at the same time")
        answer = self.change(client, job, {"max_concurrency": None}, JSON)
        self.assertEqual(answer.json["options"], {**DEFAULTS, "priority": 9})
        wait_until(lambda: self.busy(client) == 4, "all slots")
        self.release(*range(8))
        self.assertEqual(client.end(job)["options"]["priority"], 9)

    def test_changes_survive_a_restart(self):
        client = self.start_held()
        job = client.submit({"task": "held", "items": list(range(8))})
        wait_until(lambda: self.busy(client) == 4, "all slots")
        self.assertEqual(self.change(client, job, {"max_concurrency": 2}).status, 200)
        client.coordinator.kill()
        client = self.start_store([self.held])
        wait_until(lambda: client.status(job)["status"] == "running" and self.busy(client) == 2, "two items at the same time")
        self.assertEqual(client.status(job)["options"]["max_concurrency"], 2)
        self.release(*range(8))
        self.assertEqual(client.end(job)["status"], "succeeded")

    def test_a_deadline_is_set_and_ends_the_job(self):
        client = self.start_held()
        job = client.submit({"task": "held", "items": [0]})
        wait_until(lambda: self.busy(client) == 1, "the item")
        self.assertEqual(self.change(client, job, {"deadline_s": 0.001}).status, 200)
        self.assertEqual(client.end(job)["status"], "timed_out")

    def test_a_tolerance_that_is_exceeded_already_ends_the_job(self):
        client = self.start_store([self.worker(tasks=self.tasks(held=failing_task(self.folder)), processes=1)])
        self.addCleanup(self.release, *range(200))
        job = client.submit({"task": "held", "items": ["fail", "fail", 0], "chunk_size": 1})
        wait_until(lambda: client.status(job)["counts"]["failed"] == 2, "two errors")
        self.assertEqual(self.change(client, job, {"tolerated_failure_count": 1}).status, 200)
        self.assertEqual(client.end(job)["status"], "failed")

    def test_wrong_changes_are_refused_with_their_place(self):
        client = self.start_held()
        job = client.submit({"task": "held", "items": [0]})
        for body, pointer in (({"priority": 10}, "/priority"), ({"priority": "5"}, "/priority"),
                              ({"task": "other"}, "/task"), ({"deadline_s": -1}, "/deadline_s"), ("[]", ""), ("{", "")):
            answer = self.change(client, job, body)
            self.assertEqual((answer.status, answer.json["pointer"]), (400, pointer), answer)
            self.assertEqual(answer.headers.get_content_type(), "application/problem+json")
        self.assertEqual(self.change(client, job, {}, "text/plain").status, 415)
        self.assertEqual(self.change(client, job, "{" + " " * 20000).status, 413)
        self.assertEqual(self.change(client, "0195f2c4-0000-7000-8000-000000000001", {"priority": 1}).status, 404)
        self.assertEqual(client.status(job)["options"], DEFAULTS)
        self.release(0)
        client.end(job)
        self.assertEqual(self.change(client, job, {"priority": 1}).status, 409)

    def test_a_job_that_is_not_durable_cannot_be_changed(self):
        for arguments in ((), ("--store", f"sqlite:{self.folder}/jobs.db")):
            coordinator = self.coordinator([self.held_worker()], *arguments)
            stream = ft.Stream(coordinator.port, b'{"task":"held","items":[0]}', {"Accept": ft.NDJSON})
            job = wait_until(lambda: running(coordinator), "the job")
            answer = ft.request(coordinator.port, "PATCH", f"/v1/jobs/{job}", b'{"priority":1}', {"Content-Type": PATCH})
            self.assertEqual(answer.status, 409, answer)
            self.assertEqual(ft.request(coordinator.port, "PATCH", "/v1/jobs/x", b"{}", {}).status, 404)
            stream.close()

    def test_a_synchronous_job_has_no_results_to_read_later(self):
        coordinator = self.coordinator([self.held_worker()], "--store", f"sqlite:{self.folder}/jobs.db")
        stream = ft.Stream(coordinator.port, b'{"task":"held","items":[0]}', {"Accept": ft.NDJSON})
        job = wait_until(lambda: running(coordinator), "the job")
        for method, call in (("GET", "results"), ("GET", "events"), ("POST", "redrive")):
            answer = ft.request(coordinator.port, method, f"/v1/jobs/{job}/{call}", None, {})
            self.assert_problem(answer, 409, words="only a durable job")
        stream.close()


def running(coordinator):
    """Returns the id of the synchronous job that runs, or None if there is none."""
    jobs = ft.request(coordinator.port, "GET", "/v1/jobs").json
    return next((job["id"] for job in jobs.get("synchronous", jobs["jobs"])), None)


def failing_task(folder):
    """Returns a task like held_task(), except that the item "fail" fails."""
    script = f"read i; [ $i != '\"fail\"' ] || exit 1; until [ -e {folder}/go-$i ]; do sleep 0.05; done; echo $i"
    return {"mode": "exec", "command": ["sh", "-c", script], "item_timeout_s": 3600}


if __name__ == "__main__":
    main()
