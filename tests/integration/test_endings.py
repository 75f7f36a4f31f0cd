"""Jobs that have very many items and end early: their cost is limited even for the largest number of items."""
import json
import signal

import fantail_testing as ft
from fantail_testing import FantailTest, wait_until

ITEMS = 1_000_000_000_000


def peak_memory_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


class Endings(FantailTest):
    def setUp(self):
        super().setUp()
        self.running = self.fleet()
        self.peak_mib = peak_memory_mib(self.running.coordinator.pid)

    def tearDown(self):
        grown = peak_memory_mib(self.running.coordinator.pid) - self.peak_mib
        self.assertLess(grown, 200, "MiB by which the coordinator's peak memory has grown")
        super().tearDown()

    def post(self, job, accept="application/json"):
        return ft.request(self.running.coordinator.port, "POST", "/v1/jobs", json.dumps(job).encode(),
                          {"Content-Type": "application/json", "Accept": accept})

    def assert_told_in_runs(self, errors, name, most=200, items=ITEMS):
        """Checks that the errors of this name are in fewer than `most` entries, and that these entries cover all items
        from the first of these errors to the last item."""
        told = [error for error in errors if error["error"]["name"] == name]
        self.assertLess(len(told), most)
        for one, following in zip(told, told[1:] + [{"index": items}]):
            self.assertEqual(one["index"] + one.get("count", 1), following["index"])

    def test_a_deadline_of_a_job_of_a_trillion_items(self):
        answer = self.post({"task": "sleep", "range": {"start": 1, "stop": ITEMS + 1}, "deadline_s": 0.5, "errors": "runs"},
                           "application/x-ndjson").lines
        self.assertEqual(answer[-1]["status"], "timed_out")
        self.assertEqual(answer[-1]["counts"]["total"], ITEMS)
        self.assert_told_in_runs([line for line in answer if line["type"] == "error"], "deadline_exceeded")

    def test_a_deadline_with_a_reduction(self):
        document = self.post({"task": "sleep", "range": {"start": 1, "stop": ITEMS + 1}, "deadline_s": 0.5, "errors": "runs",
                              "reduce": "sum"}).json
        self.assertEqual(document["status"], "timed_out")
        self.assert_told_in_runs(document["errors"], "deadline_exceeded")

    def test_one_failure_too_many(self):
        failing = self.post({"task": "sleep", "range": {"start": -1, "stop": ITEMS - 1}, "tolerated_failure_count": 0,
                             "errors": "runs", "reduce": "count"}).json
        self.assertEqual(failing["status"], "failed", failing)
        self.assert_told_in_runs(failing["errors"], "cancelled")

    ENDLESS = {"task": "sleep", "range": {"start": 3600, "stop": ITEMS + 3600}, "errors": "runs", "item_timeout_s": 0}

    def assert_cancelled(self, stream):
        lines = stream.rest()
        self.assertEqual(lines[-1]["status"], "cancelled")
        self.assertEqual(lines[-1]["counts"]["cancelled"], ITEMS)
        self.assert_told_in_runs([line for line in lines if line["type"] == "error"], "cancelled")

    def test_a_job_of_a_trillion_items_is_deleted(self):
        with self.running.stream(self.ENDLESS) as stream:
            job = self.running.request("GET", "/v1/jobs").json["jobs"][0]["id"]
            self.assertEqual(self.running.request("DELETE", f"/v1/jobs/{job}").status, 202)
            self.assert_cancelled(stream)

    def test_the_client_of_a_trillion_items_hangs_up(self):
        self.running.stream(self.ENDLESS).hang_up()
        wait_until(lambda: not self.running.request("GET", "/v1/jobs").json["jobs"], "the end of the job")
        cancelled = ft.metric_sum(ft.metrics(self.running.coordinator), "fantail_items_total", outcome="cancelled")
        self.assertEqual(cancelled, ITEMS)

    def test_the_coordinator_of_a_trillion_items_drains(self):
        draining = ft.Fleet(self, self.coordinator(self.running.workers, "--drain-s", "0.5"), self.running.workers)
        with draining.stream(self.ENDLESS) as stream:
            draining.coordinator.send_signal(signal.SIGTERM)
            self.assert_cancelled(stream)

    def test_a_reduction_whose_first_value_comes_last(self):
        """While the first item runs, more values accumulate than one turn of the loop can reduce."""
        body = b"0.6\n" + (b"0." + b"0" * 56 + b"\n") * 20_000
        for accept in (ft.JSON, ft.NDJSON):
            answer = self.running.job(body, accept, ft.NDJSON, "?task=sleep&reduce=sum")
            self.assertEqual(answer.json["result"] if accept == ft.JSON else answer.values[0], 0.6)

    def test_a_document_that_cannot_be_kept_is_refused_at_once(self):
        for source in ({"range": {"stop": ITEMS}}, {"spans": {"stop": ITEMS, "size": 1}}):
            answer = self.post({"task": "square", **source})
            document = self.assert_problem(answer, 400, "/" + next(iter(source)), ("application/x-ndjson", "reduce"))
            self.assertIn("--max-spill-bytes", document["detail"])
        self.assertEqual(ft.metric_sum(ft.metrics(self.running.coordinator), "fantail_items_total"), 0)

    def test_answers_beyond_the_limit_of_all_files_fail_the_job_and_leave_the_disk_alone(self):
        limited = ft.Fleet(self, self.coordinator(self.running.workers, "--result-memory-bytes", "64K", "--max-spill-bytes", "4M"),
                           self.running.workers)
        job = {"task": "square", "range": {"stop": 300_000}}
        self.assert_problem(limited.job(job), 507, words="--max-spill-bytes")
        self.assertEqual(limited.job({"task": "square", "range": {"stop": 10_000}}).json["status"], "succeeded")

    def test_errors_of_a_document_are_told_one_by_one_unless_runs_are_asked_for(self):
        items = 300_000
        document = self.post({"task": "sleep", "range": {"start": 1, "stop": items + 1}, "deadline_s": 0.5}).json
        self.assertEqual(len(document["results"]), items)
        self.assertEqual([error["index"] for error in document["errors"]], list(range(items)))
        runs = self.post({"task": "sleep", "range": {"start": 1, "stop": items + 1}, "deadline_s": 0.5, "errors": "runs"}).json
        self.assertEqual(len(runs["results"]), items)
        self.assertEqual(sum(error.get("count", 1) for error in runs["errors"]), items)
        self.assertLess(len(runs["errors"]), 100)

    LONE = 1000  # how many errors of unanswered items the answers of limited_fleet() list one by one

    def limited_fleet(self, *arguments):
        coordinator = self.coordinator(self.running.workers, "--max-unanswered-errors", str(self.LONE), *arguments)
        return ft.Fleet(self, coordinator, self.running.workers)

    def assert_lone_and_runs(self, errors, name, items):
        """Checks that the first errors are reported one by one, and that the other errors are reported in runs."""
        self.assert_told_in_runs(errors, name, self.LONE + 200, items)
        self.assertGreaterEqual(len([error for error in errors if "count" not in error]), self.LONE)

    def test_unanswered_items_beyond_the_limit_are_told_in_runs_in_every_answer(self):
        limited = self.limited_fleet()
        job = {"task": "sleep", "range": {"start": 1, "stop": ITEMS + 1}, "deadline_s": 0.5}
        lines = limited.job(job, ft.NDJSON).lines
        self.assertEqual(lines[-1]["counts"]["failed"], ITEMS)
        self.assert_lone_and_runs([line for line in lines if line["type"] == "error"], "deadline_exceeded", ITEMS)
        document = limited.job({**job, "reduce": "sum"}).json
        self.assertEqual(document["status"], "timed_out")
        self.assert_lone_and_runs(document["errors"], "deadline_exceeded", ITEMS)
        items = 300_000
        document = limited.job({**job, "range": {"start": 1, "stop": items + 1}}).json
        self.assertEqual(document["results"], [None] * items)
        self.assert_lone_and_runs(document["errors"], "deadline_exceeded", items)

    def test_equal_errors_of_items_that_ran_are_told_one_by_one(self):
        items = 2 * self.LONE
        document = self.limited_fleet().job({"task": "square", "items": ["x"] * items}).json
        self.assertEqual([error["index"] for error in document["errors"]], list(range(items)))

    def test_equal_errors_of_items_that_ran_share_an_entry_if_runs_are_asked_for(self):
        fleet = self.fleet(tasks=self.tasks(fails={"json": {"mode": "python", "command": "m:work"}, "files": {
            "m.py": "def work(item):\n    if item >= 0:\n        return item\n    raise ValueError(f'no {item}')\n"}}))
        job = {"task": "fails", "items": [-1] * 500 + [1] + [-2] * 300, "errors": "runs", "chunk_size": 1000}
        for order in ("input", "completion"):
            lines = fleet.job({**job, "order": order}, ft.NDJSON).lines
            self.assert_shared_entries([line for line in lines if line["type"] == "error"], order)
            self.assertEqual([line["index"] for line in lines if line["type"] == "result"], [500])
            self.assertEqual(lines[-1]["counts"]["failed"], 800)
        self.assert_shared_entries(fleet.job(job).json["errors"], "input")

    def assert_shared_entries(self, errors, order):
        told = [(index, error["error"]["cause"]) for error in errors
                for index in range(error["index"], error["index"] + error.get("count", 1))]
        self.assertEqual(told if order == "input" else sorted(told),
                         [(index, "ValueError: no -1" if index < 500 else "ValueError: no -2")
                          for index in range(801) if index != 500])
        self.assertLess(len(errors), 100)

    def test_the_results_of_a_document_are_limited_without_a_limit_of_temporary_files(self):
        answer = self.limited_fleet("--max-spill-bytes", "0").job({"task": "square", "range": {"stop": ITEMS}})
        self.assert_problem(answer, 400, "/range", ("application/x-ndjson", "reduce"))


if __name__ == "__main__":
    ft.main()
