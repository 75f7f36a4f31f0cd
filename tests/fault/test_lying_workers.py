"""Workers that refuse requests, give false answers, close connections or do not answer. If there is also a good worker,
the job succeeds. Without a good worker, the job fails and gives the reason."""
import collections
import time

import fake_worker as fw
import fantail_testing as ft
from fantail_testing import in_time, wait_until, with_more_time
from fault_testing import EJECTION_S, FaultTest, sleep_items

# Fewer attempts and shorter pauses than by default, so that an item fails quickly.
QUICK_RETRY = {"max_attempts": 2, "interval_s": 0.01}


class BesideAGoodWorker(FaultTest):
    """The job gets all answers, and only right ones, whatever the other worker does."""

    def run_beside(self, behaviour, count=300, requests=1, answered=0, **job):
        """Runs a job of `count` items. Repeats the job with more items until the fake worker has had enough requests
        and has answered enough items."""
        def attempt(count):
            items = sleep_items(count, 0.004)
            fake = self.fake(behaviour)
            good = self.worker()
            fleet = ft.Fleet(self, self.coordinator([fake, good]), [good])
            start = time.monotonic()
            answer = fleet.job({"task": "sleep", "items": items, **job})
            self.seconds = time.monotonic() - start
            self.hedges = fleet.metric(fleet.coordinator, "fantail_hedges_total")
            self.assertEqual(answer.status, 200, answer)
            self.assert_document_right(answer.json, items)
            # The good worker may have finished all items before the fake has read its request.
            wait_until(lambda: fake.requests, "a request to the fake")
            repeated = {k: n for k, n in fake.deliveries().items() if n > 1}
            self.assertEqual(repeated, {}, "a chunk came twice under one attempt number: something repeated the request")
            in_time(len(fake.requests) >= requests and len(fake.item_deliveries()) > answered, "work for the fake")
            return fake, answer.json
        return with_more_time(attempt, (count, 4 * count, 16 * count))

    def test_an_honest_fake_takes_its_share(self):
        _, document = self.run_beside(fw.slow(0.004), answered=20)
        self.assertEqual(document["counts"]["retried"], 0)

    def test_a_slow_worker(self):
        self.run_beside(fw.slow(0.2), 100)

    def test_a_worker_that_answers_500_is_left_alone_after_a_few(self):
        fake, document = self.run_beside(fw.server_error)
        self.assertLessEqual(len(fake.requests), 8 + self.seconds / EJECTION_S)
        self.assertGreaterEqual(document["counts"]["retried"], 1)

    def test_a_full_worker_costs_no_attempt(self):
        fake, document = self.run_beside(fw.too_many_requests)
        self.assertEqual(document["counts"]["retried"], 0)

    def test_a_worker_that_is_not_available_costs_no_attempt(self):
        fake, document = self.run_beside(fw.unavailable)
        self.assertEqual(document["counts"]["retried"], 0)
        self.assertLessEqual(len(fake.requests), 8 + self.seconds / fw.RETRY_AFTER_S)

    def test_a_reset_before_the_headers(self):
        fake, document = self.run_beside(fw.reset_before_headers)
        self.assertGreaterEqual(document["counts"]["retried"], 1)

    def test_a_reset_in_the_middle_of_a_line(self):
        self.run_beside(fw.reset_mid_line, count=60, chunk_size=8)

    def test_an_answer_that_ends_without_its_end_line(self):
        self.run_beside(fw.truncated, count=60, chunk_size=8)

    def test_a_body_that_is_cut(self):
        self.run_beside(fw.cut_in_the_body, count=60, chunk_size=8)

    def test_too_few_answers(self):
        self.run_beside(fw.too_few, count=60, chunk_size=8)

    def test_too_many_answers(self):
        self.run_beside(fw.too_many, count=60, chunk_size=8)

    def test_lines_that_are_no_answers(self):
        for behaviour in (fw.garbage, fw.wrong_envelope, fw.broken_json, fw.wrong_type):
            with self.subTest(behaviour.__name__):
                self.run_beside(behaviour, 150)

    def test_a_line_without_an_end(self):
        self.run_beside(fw.endless_line)

    def test_answers_without_an_end(self):
        self.run_beside(fw.endless_answers)

    def test_a_worker_that_never_answers_is_hedged(self):
        fake, document = self.run_beside(fw.no_answer)
        held = [len(request.items) for request in fake.requests]
        self.assertGreaterEqual(self.hedges, 1, f"{self.seconds:.1f} s, {document['counts']}, the fake was given {held}")

    def test_a_worker_that_falls_silent_halfway_is_hedged(self):
        self.run_beside(fw.silent_after_half, count=60, chunk_size=8)

    def test_a_worker_that_dies_on_a_kept_connection_gets_each_attempt_once(self):
        self.run_beside(fw.answers_then_dies, requests=2)


class Alone(FaultTest):
    """Without a good worker, each item gets an error with a name and a cause, and the job ends."""

    def run_alone(self, behaviour, *arguments, items=2, **job):
        fake = self.fake(behaviour)
        fleet = ft.Fleet(self, self.coordinator([fake], *arguments), [])
        answer = fleet.job({"task": "echo", "items": list(range(items)), "retry": QUICK_RETRY, **job})
        return fake, answer

    def assert_lost(self, behaviour, cause, **job):
        fake, answer = self.run_alone(behaviour, **job)
        self.assertEqual(answer.status, 200, answer)
        document = answer.json
        self.assertIn(document["status"], ("partial", "failed"))
        self.assertTrue(document["errors"], document)
        for entry in document["errors"]:
            self.assertEqual(entry["error"]["name"], "worker_lost", entry)
            self.assertIn(cause, entry["error"]["cause"])
            self.assertGreaterEqual(entry["error"]["attempts"], 1)
        self.assertEqual([n for n in fake.deliveries().values() if n > 1], [])
        return fake, document

    def test_a_status_that_the_coordinator_does_not_expect(self):
        """The cause of the error is the text that the worker sends."""
        _, document = self.assert_lost(fw.bad_request, "the worker answered with status 400: as told")
        self.assertEqual({e["error"]["attempts"] for e in document["errors"]}, {2})

    def test_500(self):
        _, document = self.assert_lost(fw.server_error, "server error")
        self.assertEqual({e["error"]["attempts"] for e in document["errors"]}, {2})

    def test_a_reset_before_the_headers(self):
        self.assert_lost(fw.reset_before_headers, "vanished")

    def test_a_reset_in_the_middle_of_a_line(self):
        self.assert_lost(fw.reset_mid_line, "vanished")

    def test_too_few_answers(self):
        self.assert_lost(fw.too_few, "broke the protocol")

    def test_too_many_answers_lose_nothing(self):
        _, answer = self.run_alone(fw.too_many)
        self.assertIn(answer.json["status"], ("succeeded", "partial"))

    def test_lines_that_are_no_answers(self):
        for behaviour in (fw.garbage, fw.wrong_envelope, fw.broken_json, fw.wrong_type):
            with self.subTest(behaviour.__name__):
                self.assert_lost(behaviour, "broke the protocol", items=1)

    def test_a_line_without_an_end(self):
        self.assert_lost(fw.endless_line, "broke the protocol", items=1)

    def test_a_worker_that_never_answers_is_given_up_after_the_items_time(self):
        self.assert_lost(fw.no_answer, "silent", items=1, item_timeout_s=0.2, retry={"max_attempts": 1})

    def test_a_worker_that_is_full_is_waited_for_and_seldom_asked(self):
        fake, answer = self.run_alone(fw.too_many_requests, "--worker-wait-s", "1", deadline_s=4)
        self.assertEqual(answer.json["status"], "timed_out")
        self.assertLessEqual(len(fake.requests), 12)

    def test_a_full_worker_that_has_room_later_answers_everything(self):
        def full_at_first(request):
            (fw.too_many_requests if len(request.fake.requests) <= 4 else fw.honest)(request)
        fake, answer = self.run_alone(full_at_first, items=50)
        self.assert_document_right(answer.json, list(range(50)))

    def test_a_worker_that_is_never_available_ends_in_503(self):
        fake, answer = self.run_alone(fw.unavailable, "--worker-wait-s", "3")
        self.assert_problem(answer, 503)
        self.assertLessEqual(len(fake.requests), 20)

    def test_a_deadline_ends_a_job_whose_worker_is_silent(self):
        fake, answer = self.run_alone(fw.no_answer, deadline_s=1)
        self.assertEqual(answer.json["status"], "timed_out")
        self.assertEqual({e["error"]["name"] for e in answer.json["errors"]}, {"deadline_exceeded"})


class Unasked(FaultTest):
    """An answer counts only for the attempt that its headers name."""

    def run_jobs(self, fake, count=30):
        """Runs jobs of one item each, one after another, so that later requests use a connection that was used before."""
        fleet = ft.Fleet(self, self.coordinator([fake]), [])
        results = []
        for i in range(count):
            answer = fleet.job({"task": "echo", "items": [i], "retry": {"max_attempts": 20, "interval_s": 0.001}})
            results += [(i, value) for value in answer.json["results"]]
        return fleet, results

    def test_an_unasked_second_answer_is_taken_for_no_chunk(self):
        for name, names in fw.UNASKED_NAMES.items():
            with self.subTest(name):
                _, results = self.run_jobs(self.fake(fw.unasked(names)))
                self.assertEqual([pair for pair in results if pair[1] is not None and pair[0] != pair[1]], [])
                self.assertTrue(any(pair[0] == pair[1] for pair in results), results)

    def once_fleet(self, fake):
        """Returns a fleet that knows that the items of the task `once` must not run twice."""
        fleet = ft.Fleet(self, self.coordinator([fake]), [])
        once = {"name": "once", "idempotent": False}
        wait_until(lambda: any({**task, **once} == task for task in fleet.request("GET", "/v1/tasks").json["tasks"]),
                   "the list of tasks")
        return fleet

    def test_a_late_refusal_of_another_chunk_never_settles_a_chunk_as_not_run(self):
        """The fake runs each item that it receives. An item of the task `once` is sent again only if the coordinator
        believes that the item has not run."""
        for status in fw.REFUSALS:
            with self.subTest(status):
                names = list(fw.UNASKED_NAMES.values())
                fake = self.fake(fw.late_refusals(status, names))
                fleet, lost = self.once_fleet(fake), 0
                while lost < len(names):
                    document = fleet.job({"task": "once", "items": [lost], "retry": {"interval_s": 0.001}}).json
                    self.assertIn(document["results"], ([lost], [None]))
                    lost += document["results"] == [None]
                received = collections.Counter(request.chunk for request in fake.requests)
                self.assertEqual([chunk for chunk, times in received.items() if times > 1], [])
                self.assertEqual(len(fake.seen), lost)

    def test_the_last_message_of_a_worker_shows_that_it_has_not_read_the_request(self):
        fake = self.fake(fw.last_message)
        fleet = self.once_fleet(fake)
        wait_until(lambda: fleet.job({"task": "once", "items": [1]}).json["results"] == [1] and fake.seen, "the last message")
        self.assertEqual(fleet.metric(fleet.coordinator, "fantail_items_total", outcome="failed"), 0)

    def test_an_answer_for_another_attempt_ends_its_connection_and_counts_as_a_fault(self):
        for name, names in fw.UNASKED_NAMES.items():
            if names is fw.SAME_NAMES or name in ("none", "the chunk only"):
                continue
            with self.subTest(name):
                fake = self.fake(fw.misnamed(names))
                fleet = ft.Fleet(self, self.coordinator([fake]), [])
                answer = fleet.job({"task": "echo", "items": [1], "retry": QUICK_RETRY})
                [entry] = answer.json["errors"]
                self.assertEqual(entry["error"]["name"], "worker_lost")
                self.assertIn("broke the protocol", entry["error"]["cause"])
                wait_until(lambda f=fake: all(c not in f.chunk_connections for c in f.connections),
                           "the end of the fake's connections")

    def test_a_worker_that_names_nothing_gets_a_connection_for_each_chunk(self):
        fake = self.fake(fw.nameless)
        _, results = self.run_jobs(fake, 10)
        self.assertEqual(results, [(i, i) for i in range(10)])
        self.assertEqual(len(set(fake.chunk_connections)), 10)

    def test_a_worker_that_names_its_answers_keeps_its_connection(self):
        fake = self.fake(fw.honest)
        _, results = self.run_jobs(fake, 10)
        self.assertEqual(results, [(i, i) for i in range(10)])
        self.assertLess(len(set(fake.chunk_connections)), 5)

    def test_a_worker_of_an_older_version_may_take_the_place_of_a_newer_one(self):
        newer = self.fake(fw.honest)
        fleet, results = self.run_jobs(newer, 3)
        newer.close()
        older = fw.FakeWorker(fw.nameless, port=newer.port)
        self.addCleanup(older.close)
        job = {"task": "echo", "items": [5], "retry": {"max_attempts": 20}}
        wait_until(lambda: fleet.job(job).json["results"] == [5], "an answer of the older worker")
        self.assertEqual([fleet.job(job).json["results"] for _ in range(5)], [[5]] * 5)


class SlowToTell(FaultTest):
    """A worker that answers GET /v1/tasks slowly."""

    def test_a_job_that_waits_for_the_list_of_tasks_is_left_alone_by_the_clock(self):
        fake = self.fake(fw.honest, get_delay_s=1)
        fleet = ft.Fleet(self, self.coordinator([fake], "--heartbeat-s", "0.1"), [])
        with fleet.stream({"task": "echo", "items": [1, 2]}, query="?progress_s=0.1") as stream:
            lines = stream.rest()
        self.assert_all_right([line for line in lines if line["type"] in ("result", "error", "end")], [1, 2])

    def test_a_task_that_turns_out_to_be_unknown_is_404_also_late(self):
        fake = self.fake(fw.honest, get_delay_s=1)
        fleet = ft.Fleet(self, self.coordinator([fake], "--heartbeat-s", "0.1"), [])
        self.assert_problem(fleet.job({"task": "no_such", "items": [1]}, accept=ft.NDJSON), 404, words=["no_such"])


class RetryStorm(FaultTest):
    """If all workers fail, each of them gets few requests."""

    def test_every_worker_answering_503_sees_few_requests(self):
        fakes = [self.fake(fw.unavailable, name=f"fake{i}") for i in range(4)]
        fleet = ft.Fleet(self, self.coordinator(fakes, "--worker-wait-s", "4"), [])
        answer = fleet.job({"task": "echo", "items": list(range(1000))})
        self.assert_problem(answer, 503)
        requests = [r for fake in fakes for r in fake.requests]
        first = sum(1 for r in requests if r.attempt == 1)
        self.assertLessEqual(len(requests), 1.2 * first + 3, f"{first} of them first attempts")

    def test_every_worker_answering_500_sees_few_requests(self):
        fakes = [self.fake(fw.server_error, name=f"fake{i}") for i in range(4)]
        fleet = ft.Fleet(self, self.coordinator(fakes), [])
        answer = fleet.job({"task": "echo", "items": list(range(1000)), "deadline_s": 5})
        self.assertIn(answer.json["status"], ("timed_out", "partial"))
        requests = [r for fake in fakes for r in fake.requests]
        first = sum(1 for r in requests if r.attempt == 1)
        # When the retry budget is spent, a few more retries are allowed. The ejection of the workers limits these
        # retries.
        self.assertLessEqual(len(requests), 1.2 * first + 3 + 6, f"{first} of them first attempts")


if __name__ == "__main__":
    ft.main()
