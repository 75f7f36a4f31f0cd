"""The metrics of durable jobs and of the job store."""
from fantail_testing import main, metric_sum, metrics, wait_until
from test_durable_results import DurableTest


class Metrics(DurableTest):
    def metric(self, client, name, **labels):
        return metric_sum(metrics(client.coordinator), name, **labels)

    def test_the_calls_transactions_and_blocks_of_a_job_are_counted(self):
        client = self.start_store([self.worker()])
        before = self.metric(client, "fantail_store_commits_total")
        client.end(client.submit({"task": "square", "items": [2, "x", 4]}))
        for op in ("add_job", "add_block", "accept", "end"):
            self.assertGreaterEqual(self.metric(client, "fantail_store_call_seconds_count", op=op), 1, op)
        self.assertGreater(self.metric(client, "fantail_store_commits_total"), before)
        for kind in ("items", "values", "errors"):
            self.assertGreaterEqual(self.metric(client, "fantail_store_blocks_total", kind=kind), 1, kind)
            self.assertGreater(self.metric(client, "fantail_store_block_bytes_total", kind=kind), 0, kind)
        self.assertEqual(self.metric(client, "fantail_store_blocks_total", kind="sent"), 0)
        self.assertEqual(self.metric(client, "fantail_store_block_bytes_total", kind="items"), len('2\n"x"\n4\n'))

    def test_pending_jobs_are_counted_and_have_an_age(self):
        client = self.start_store([self.held_worker()], "--max-jobs", "1")
        jobs = [client.submit({"task": "held", "items": [n]}) for n in range(3)]
        wait_until(lambda: self.metric(client, "fantail_store_pending_jobs") == 2, "two jobs that wait")
        wait_until(lambda: self.metric(client, "fantail_store_oldest_pending_seconds") >= 1, "the age of a job")
        self.assertGreater(self.metric(client, "fantail_store_size_bytes"), 0)
        self.release(0, 1, 2)
        for job in jobs:
            client.end(job)
        wait_until(lambda: self.metric(client, "fantail_store_pending_jobs") == 0, "no job that waits")
        self.assertEqual(self.metric(client, "fantail_store_oldest_pending_seconds"), 0)

    def test_answers_are_counted_while_their_job_runs(self):
        client = self.start_store([self.held_worker()])
        job = client.submit({"task": "held", "items": [0, 1], "chunk_size": 2})
        self.release(0)
        wait_until(lambda: self.metric(client, "fantail_item_answers_total") == 1, "an answer")
        self.assertEqual(client.status(job)["status"], "running")
        self.release(1)
        client.end(job)
        self.assertEqual(self.metric(client, "fantail_item_answers_total"), 2)


if __name__ == "__main__":
    main()
