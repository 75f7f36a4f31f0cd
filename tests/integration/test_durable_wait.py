"""Durable jobs whose client waits for their end: Prefer: wait=N."""
import concurrent.futures
import http.client
import json
import time

import fantail_testing as ft
from fantail_testing import JSON, NDJSON, main, wait_until
from test_durable_results import DurableTest


class Waiting(DurableTest):
    def post(self, client, body, prefer, **headers):
        return client.ask("POST", "", json.dumps(body), {"Content-Type": JSON, "Prefer": prefer, **headers})

    def test_a_job_that_ends_in_time_is_answered_like_a_synchronous_one(self):
        client = self.start_store([self.worker()])
        job = {"task": "square", "items": [2, "x", 4]}
        synchronous = client.ask("POST", "", json.dumps(job), {"Content-Type": JSON}).json
        for prefer in ("wait=60", "respond-async, wait=60"):
            answer = self.post(client, job, prefer)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.headers["Preference-Applied"], "wait=60")
            self.assertEqual(answer.headers["Fantail-Job"], answer.json["id"])
            self.assertEqual(list(answer.json), list(synchronous))
            self.assertEqual(answer.json["results"], synchronous["results"])
            self.assertEqual([error["index"] for error in answer.json["errors"]], [1])
            self.assertEqual((answer.json["status"], answer.json["counts"]),
                             (synchronous["status"], synchronous["counts"]))
            self.assertEqual(client.status(answer.json["id"])["status"], "partial")

    def test_a_client_can_take_lines(self):
        client = self.start_store([self.worker()])
        answer = self.post(client, {"task": "square", "range": {"stop": 3}}, "wait=60", Accept=NDJSON)
        self.assertEqual(answer.headers.get_content_type(), NDJSON)
        self.assertEqual([line["value"] for line in answer.lines[:3]], [0, 1, 4])
        self.assertEqual(answer.end["status"], "succeeded")

    def test_a_large_document_is_whole(self):
        client = self.start_store([self.worker()])
        answer = self.post(client, {"task": "square", "range": {"stop": 200000}}, "wait=600")
        self.assertEqual(answer.json["results"], [n * n for n in range(200000)])

    def test_a_document_with_too_many_results_is_not_written(self):
        client = self.start_store([self.worker()])
        job = {"task": "sleep", "range": {"start": 1, "stop": 1_000_000_002}, "deadline_s": 0.5}
        answer = self.post(client, job, "wait=60")
        self.assertEqual((answer.status, answer.json["status"]), (202, "timed_out"), answer)
        answer = self.post(client, {**job, "reduce": "count", "errors": "runs"}, "wait=60")
        self.assertEqual((answer.status, answer.json["status"]), (200, "timed_out"), str(answer)[:500])

    def test_a_job_that_takes_longer_is_answered_202_and_goes_on(self):
        client = self.start_store([self.held_worker()])
        for prefer in ("wait=1", "respond-async, wait=1", "wait=0"):
            answer = self.post(client, {"task": "held", "items": [0]}, prefer)
            self.assertEqual(answer.status, 202, answer)
            self.assertEqual(answer.headers["Location"], "/v1/jobs/" + answer.json["id"])
            self.assertEqual(answer.headers["Preference-Applied"], prefer)
            self.assertIn(answer.json["status"], ("pending", "running"))
        self.release(0)
        self.assertEqual(client.end(answer.json["id"])["status"], "succeeded")

    def test_a_request_with_the_same_key_waits_for_the_same_job(self):
        client = self.start_store([self.held_worker()])
        job = {"task": "held", "items": [0, 1]}
        with concurrent.futures.ThreadPoolExecutor() as threads:
            first = threads.submit(self.post, client, job, "wait=600", **{"Idempotency-Key": "one"})
            wait_until(lambda: [j for j in client.list()["jobs"] if j["status"] == "running"], "the job")
            second = threads.submit(self.post, client, job, "wait=600", **{"Idempotency-Key": "one"})
            self.release(0, 1)
            documents = [answer.result().json for answer in (first, second)]
        self.assertEqual(documents[0]["id"], documents[1]["id"])
        self.assertEqual([document["results"] for document in documents], [[0, 1]] * 2)
        self.assertEqual(len(client.list()["jobs"]), 1)

    def test_the_job_outlives_a_client_that_hangs_up(self):
        client = self.start_store([self.held_worker()])
        connection = http.client.HTTPConnection("127.0.0.1", client.coordinator.port)
        connection.request("POST", "/v1/jobs", json.dumps({"task": "held", "items": [0]}),
                           {"Content-Type": JSON, "Prefer": "wait=600"})
        wait_until(lambda: client.list()["jobs"], "the job")
        connection.close()
        requests = "fantail_http_requests_in_flight"
        wait_until(lambda: ft.metric_sum(ft.metrics(client.coordinator), requests) == 0, "the end of the request")
        self.release(0)
        self.assertEqual(client.end(client.list()["jobs"][0]["id"])["status"], "succeeded")

    def test_a_drain_answers_202(self):
        client = self.start_store([self.held_worker()], "--drain-s", "120")
        with concurrent.futures.ThreadPoolExecutor() as threads:
            waiting = threads.submit(self.post, client, {"task": "held", "items": [0]}, "wait=600")
            wait_until(lambda: client.list()["jobs"], "the job")
            started = time.monotonic()
            client.coordinator.send_signal(ft.signal.SIGTERM)
            self.assertEqual(waiting.result().status, 202)
        self.release(0)
        self.assertEqual(client.coordinator.wait(), 0)
        self.assertLess(time.monotonic() - started, 60)

    def test_a_preference_that_cannot_be_read_is_ignored(self):
        client = self.start_store([self.worker()])
        answer = self.post(client, {"task": "square", "items": [3]}, "wait=soon")
        self.assertEqual((answer.status, answer.json["results"]), (200, [9]))
        self.assertIsNone(answer.headers["Preference-Applied"])
        self.assertEqual(client.list()["jobs"], [])

    def test_without_a_store_the_preference_is_ignored(self):
        coordinator = self.coordinator([self.worker()])
        answer = ft.request(coordinator.port, "POST", "/v1/jobs", b'{"task":"square","items":[3]}',
                            {"Content-Type": JSON, "Prefer": "wait=60"})
        self.assertEqual((answer.status, answer.json["results"]), (200, [9]))
        self.assertIsNone(answer.headers["Preference-Applied"])


if __name__ == "__main__":
    main()
