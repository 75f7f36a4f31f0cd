"""Durable jobs with `reduce`."""
import json
import signal
import unittest

import postgres
from fantail_testing import JSON, NDJSON, main, request, wait_until
from replicas import ITEMS, ReplicasTest
from test_durable_results import DurableTest


class Reductions(DurableTest):
    def post(self, client, job, prefer, **headers):
        return client.ask("POST", "", json.dumps(job), {"Content-Type": JSON, "Prefer": prefer, **headers})

    def test_the_document_has_the_result_and_the_results_have_each_value(self):
        client = self.start_store([self.worker()])
        job = client.submit({"task": "square", "range": {"stop": 2000}, "reduce": "sum", "chunk_size": 7})
        document = client.end(job)
        self.assertEqual((document["status"], document["result"]), ("succeeded", sum(n * n for n in range(2000))))
        self.assertEqual([line["value"] for line in client.results(job).lines if line["type"] == "result"],
                         [n * n for n in range(2000)])
        self.assertEqual(document["reduce"], "sum")
        for member in ("reduce", "result"):
            self.assertNotIn(member, client.list()["jobs"][0])
        self.assertNotIn("result", client.end(client.submit({"task": "square", "items": [1]})))

    def test_the_order_is_that_of_the_items(self):
        client = self.start_store([self.worker(processes=4)])
        items = [[n, "x" * (n % 50)] for n in range(3000)]
        job = client.submit({"task": "echo", "items": items, "reduce": "concat", "chunk_size": 3})
        self.assertEqual(client.end(job)["result"], [part for item in items for part in item])

    def test_a_client_that_waits_gets_what_a_synchronous_one_gets(self):
        client = self.start_store([self.worker()])
        job = {"task": "square", "items": [1, "x", 3], "reduce": "max"}
        synchronous = client.ask("POST", "", json.dumps(job), {"Content-Type": JSON}).json
        waited = self.post(client, job, "wait=60")
        self.assertEqual(waited.status, 200, waited)
        self.assertEqual(list(waited.json), list(synchronous))
        self.assertEqual((waited.json["result"], [e["index"] for e in waited.json["errors"]]), (9, [1]))
        lines = self.post(client, job, "wait=60", Accept=NDJSON).all_lines
        self.assertEqual([line["type"] for line in lines], ["start", "error", "result", "end"])
        self.assertEqual(lines[2], {"type": "result", "value": 9})

    def test_values_that_do_not_fit_fail_the_job(self):
        client = self.start_store([self.worker()])
        document = client.end(client.submit({"task": "echo", "items": [1, "two"], "reduce": "sum"}))
        self.assertEqual((document["status"], document["result"]), ("failed", None))
        self.assertIn("the value of item 2 (index 1)", document["reason"])

    def test_a_result_of_more_than_4_mib_fails_the_job_and_its_values_are_kept(self):
        client = self.start_store([self.worker()])
        job = {"task": "echo", "items": ["x" * 1048576] * 4, "reduce": "concat"}
        document = client.end(client.submit(job))
        self.assertEqual((document["status"], len(document["result"])), ("succeeded", 4 * 1048576))
        job["items"].append("y")
        self.assertEqual(len(client.ask("POST", "", json.dumps(job), {"Content-Type": JSON}).json["result"]), 4 * 1048576 + 1)
        job_id = client.submit(job)
        document = client.end(job_id)
        self.assertEqual((document["status"], document["result"], document["reason"]), (
            "failed", None, "concat cannot be applied to the value of item 5 (index 4): the result would exceed its limit of 4 MiB"))
        self.assertEqual(client.results(job_id, "?from=4").lines[0]["value"], "y")

    def test_a_redrive_reduces_again(self):
        client = self.start_store([self.held_worker()])
        job = client.submit({"task": "held", "items": [1, 2, 4], "reduce": "sum", "item_timeout_s": 5,
                             "retry": {"max_attempts": 1}})
        self.release(1, 4)
        document = client.end(job)
        self.assertEqual((document["status"], document["result"]), ("partial", 5))
        self.release(2)
        redriven = client.ask("POST", f"/{job}/redrive", b"").json
        self.assertNotIn("result", redriven)
        self.assertEqual(client.status(job)["reduce"], "sum")
        document = client.end(job)
        self.assertEqual((document["status"], document["result"]), ("succeeded", 7))

    def test_a_cancelled_job_has_the_values_so_far(self):
        client = self.start_store([self.held_worker()])
        job = client.submit({"task": "held", "items": [1, 2], "reduce": "sum", "chunk_size": 1})
        self.release(1)
        wait_until(lambda: client.status(job)["counts"]["succeeded"] == 1, "a value")
        self.assertEqual(client.ask("DELETE", "/" + job).status, 202)
        document = client.end(job)
        self.assertEqual((document["status"], document["result"]), ("cancelled", 1))


@unittest.skipUnless(postgres.programs(), postgres.REASON)
class ReductionsOfReplicas(ReplicasTest):
    def test_a_job_that_goes_from_one_coordinator_to_another_is_reduced_as_a_whole(self):
        self.start_all(2)
        job = self.submit({"task": "counts", "range": {"stop": ITEMS}, "reduce": "sum"})
        self.wait_for_some(50)
        owner = self.owner()
        self.coordinators[owner].send_signal(signal.SIGTERM)
        port = self.coordinators[1 - owner].port
        wait_until(lambda: request(port, "GET", f"/v1/jobs/{job}").json["ended_at"], "the end of the job")
        document = request(port, "GET", f"/v1/jobs/{job}").json
        self.assertEqual((document["status"], document["result"]), ("succeeded", sum(2 * n for n in range(ITEMS))))


if __name__ == "__main__":
    main()
