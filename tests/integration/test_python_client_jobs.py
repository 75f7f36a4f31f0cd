"""Durable jobs of fantail.Client: submitted, found, waited for, read, cancelled and redriven."""
import datetime
import itertools
import os

import fantail_testing as ft
from fake_coordinator import ERROR, FakeCoordinator
from test_python_executor import WHY_NOT, setUpModule  # noqa: F401

if not WHY_NOT:
    import fantail

ID = "0195f2c4-1a2b-7000-8000-000000000001"

# The item is a path. Fails until the file exists.
NEEDS = """
import os

def run(item):
    with open(item) as file:
        return file.read()
"""


class Real(ft.FantailTest):
    """A coordinator with a job store."""

    def setUp(self):
        super().setUp()
        tasks = self.tasks(needs={"json": {"mode": "python", "command": "needs:run"}, "files": {"needs.py": NEEDS}},
                           sleep={"json": {"mode": "exec", "command": ["sleep", "{}"]}})
        store = f"sqlite:{os.path.join(self.folder, 'jobs.db')}"
        self.fleet_used = self.fleet(tasks=tasks, coordinator_arguments=("--store", store))
        self.client = fantail.Client(f"http://127.0.0.1:{self.fleet_used.port}")

    def paths(self, count):
        """Returns the paths of `count` files. The last file does not exist."""
        paths = [os.path.join(self.folder, f"file-{n}") for n in range(count)]
        for n, path in enumerate(paths[:-1]):
            ft.write_file(path, str(n))
        return paths

    def test_a_job_is_submitted_waited_for_read_and_redriven(self):
        paths = self.paths(3)
        job = self.client.submit("needs", paths, labels=["a", "b"], priority=7)
        status = job.wait(60)
        self.assertEqual((status.status, status.has_ended, status.task, status.labels), ("partial", True, "needs", ["a", "b"]))
        self.assertEqual((status.counts["succeeded"], status.counts["failed"]), (2, 1))
        self.assertEqual(status.errors, {"task_error": 1})
        self.assertLess(abs(datetime.datetime.now(datetime.timezone.utc) - status.ended_at).total_seconds(), 3600)
        got = []
        with self.assertRaises(fantail.ItemError) as caught:
            for item in job.results():
                got.append(item)
        self.assertEqual((got, caught.exception.index), (["0", "1"], 2))
        self.assertEqual(list(job.results(only="values")), ["0", "1"])
        self.assertEqual(list(job.results(start=1, only="values")), ["1"])
        self.assertEqual([error.index for error in job.results(only="errors")], [2])
        ft.write_file(paths[2], "2")
        job.redrive()
        self.assertEqual(list(self.client.job(job.id).results()), ["0", "1", "2"])
        self.assertEqual(job.wait().status, "succeeded")
        with self.assertRaises(fantail.Refused) as caught:
            job.redrive()
        self.assertEqual(caught.exception.status, 409)

    def test_a_job_that_runs_is_waited_for_in_vain_and_cancelled(self):
        job = self.client.submit("sleep", ["3600"])
        with self.assertRaises(fantail.WaitTimeout) as caught:
            job.wait(0.1)
        self.assertIsInstance(caught.exception, TimeoutError)
        self.assertFalse(job.status().has_ended)
        self.assertIn(job.cancel().status, ("running", "cancelled"))  # the status is `running` until the processes have ended
        self.assertEqual(job.wait(60).status, "cancelled")
        self.assertEqual(job.cancel().status, "cancelled")
        [error] = job.results(return_exceptions=True)
        self.assertEqual(error.name, "cancelled")

    def test_jobs_are_found_by_their_label_and_status(self):
        paths = self.paths(2)
        ids = {label: self.client.submit("needs", paths[:1], labels=[label]).id for label in ("red", "blue")}
        for job in ids.values():
            self.client.job(job).wait(60)
        self.assertEqual([status.id for status in self.client.jobs(label="red")], [ids["red"]])
        self.assertEqual({status.id for status in self.client.jobs(status="succeeded,partial")}, set(ids.values()))
        self.assertEqual(list(self.client.jobs(task="other")), [])

    def test_a_key_makes_one_job(self):
        paths = self.paths(2)
        first, second = (self.client.submit("needs", paths[:1], idempotency_key='of "june"') for _ in range(2))
        self.assertEqual(first.id, second.id)
        with self.assertRaises(fantail.Refused) as caught:
            self.client.submit("needs", paths, idempotency_key='of "june"')
        self.assertEqual(caught.exception.status, 422)
        with self.assertRaises(ValueError):
            self.client.submit("needs", paths, idempotency_key="\n")

    def test_what_cannot_be_submitted_is_refused(self):
        with self.assertRaises(fantail.TaskNotFound) as caught:
            self.client.submit("need", ["x"])
        self.assertEqual(sorted(caught.exception.tasks), ["needs", "sleep"])
        with self.assertRaises(TypeError) as caught:
            self.client.submit("needs", ["x", {1}])
        self.assertIn("item 1", str(caught.exception))
        for call in (lambda job: job.status(), lambda job: job.wait(), lambda job: list(job.results()),
                     lambda job: job.cancel(), lambda job: job.redrive()):
            with self.assertRaises(fantail.JobNotFound):
                call(self.client.job(ID))

    def test_a_reduced_value_is_in_the_status(self):
        status = self.client.submit("needs", self.paths(3)[:2], reduce="max").wait(60)
        self.assertEqual(status.result, "1")


class WithoutStore(ft.FantailTest):
    def test_without_a_job_store_no_item_runs(self):
        client = fantail.Client(f"http://127.0.0.1:{self.fleet().port}")
        with self.assertRaises(fantail.NoJobStore):
            client.submit("square", [1])
        self.assertEqual(list(client.jobs()), [])


class Played(ft.FantailTest):
    """A small server plays a coordinator with a job store, and cuts its answers off."""

    def setUp(self):
        super().setUp()
        self.fake = FakeCoordinator(self)
        self.client = fantail.Client(self.fake.url)

    def asked(self, word):
        return [path for _, path, _, _ in self.fake.requests if word in path]

    def test_results_go_on_after_a_cut_with_the_next_item(self):
        self.fake.add(ID, answers=[0, 1, (2, ERROR), 4, None, 6])
        self.fake.lines_before_cut = [2, 1, 1]
        got = list(self.client.job(ID).results(return_exceptions=True))
        self.assertEqual([item if isinstance(item, int) else item.index for item in got], [0, 1, 2, 3, 4, 5, 6])
        self.assertEqual([path.split("from=")[1] for path in self.asked("results")], ["0", "2", "4", "5"])

    def test_a_result_that_is_missing_is_a_fault_of_the_service(self):
        job = self.fake.add(ID, answers=[0, 1])
        lines = job.lines
        job.lines = lambda start, only: itertools.islice(lines(start, only), 1, None)
        with self.assertRaises(fantail.NotFantail):
            list(self.client.job(ID).results())

    def test_a_submission_whose_answer_is_lost_makes_one_job(self):
        self.fake.cut_after_post = 1
        self.fake.busy_keys = 1
        job = self.client.submit("square", [1])
        keys = [headers["Idempotency-Key"] for method, _, headers, _ in self.fake.requests if method == "POST"]
        self.assertGreater(len(keys), 1)
        self.assertEqual((len(set(keys)), list(self.fake.jobs)), (1, [job.id]))

    def test_a_service_that_is_away_is_asked_again_but_cancel_only_once(self):
        self.fake.add(ID, answers=[1])
        self.fake.away = 2
        self.assertEqual(self.client.job(ID).status().status, "succeeded")
        self.fake.away = 1
        with self.assertRaises(fantail.Refused) as caught:
            self.client.job(ID).redrive()
        self.assertEqual(caught.exception.status, 503)
        self.assertEqual(len(self.asked("redrive")), 1)

    def test_the_list_has_all_pages(self):
        self.fake.page = 2
        ids = [ID[:-1] + str(n) for n in range(5)]
        for job in ids:
            self.fake.add(job, answers=[1])
        self.assertEqual(sorted(status.id for status in self.client.jobs()), ids)
        self.assertEqual(len(self.asked("cursor=")), 2)


if __name__ == "__main__":
    ft.main()
