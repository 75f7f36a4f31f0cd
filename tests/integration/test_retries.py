"""Items that fail are sent again together, keep their places in the results, and get their errors together when the job
ends."""
import os

import fantail_testing as ft
from fantail_testing import NDJSON, FantailTest

# Every third item fails the first time that it runs.
FLAKY = """
import os
def run(item):
    if item % 3 == 0:
        try:
            os.close(os.open(os.path.join(os.environ["SEEN"], str(item)), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return item
        raise ValueError("the first time")
    return item
"""

RETRY = {"on": ["task_error"], "max_attempts": 2, "interval_s": 0.1, "jitter": "none"}


class Retries(FantailTest):
    def run_flaky(self, items, accept=None, **job):
        seen = os.path.join(self.folder, "seen")
        os.makedirs(seen)
        task = {"mode": "python", "command": ["flaky:run"], "env": {"SEEN": seen}}
        tasks = self.tasks(flaky={"json": task, "files": {"flaky.py": FLAKY}})
        fleet = self.fleet(workers=2, tasks=tasks)
        answer = fleet.job({"task": "flaky", "range": {"start": 0, "stop": items}, "retry": RETRY, **job}, accept)
        retried = (items + 2) // 3
        counts = answer.end["counts"] if accept else answer.json["counts"]
        self.assert_counts(counts, total=items, succeeded=items, failed=0, retried=retried)
        attempts = fleet.metric(fleet.coordinator, "fantail_chunk_attempts_total")
        self.assertLess(attempts, retried / 2, "the items were not sent again together")
        return answer

    def test_items_that_failed_are_sent_again_together_and_keep_their_places(self):
        self.assertEqual(self.run_flaky(3000, chunk_size=500).json["results"], list(range(3000)))

    def test_each_answer_of_a_chunk_of_retries_has_its_own_index(self):
        answer = self.run_flaky(3000, NDJSON, chunk_size=500, order="completion")
        results = [line for line in answer.lines if line["type"] == "result"]
        self.assertEqual(sorted(line["index"] for line in results), list(range(3000)))
        self.assertTrue(all(line["value"] == line["index"] for line in results))

    def test_a_job_whose_items_all_wait_ends_at_its_deadline_with_few_records(self):
        answer = self.fleet().job({"task": "sleep", "range": {"start": -300000, "stop": 0}, "errors": "runs",
                                   "retry": {**RETRY, "interval_s": 30}, "deadline_s": 5}, timeout_s=ft.LIMIT_S)
        self.assertEqual(answer.json["status"], "timed_out")
        self.assert_counts(answer.json["counts"], total=300000, failed=300000, succeeded=0)
        self.assertGreater(answer.json["counts"]["retried"], 1000)
        self.assertLess(len(answer.json["errors"]), 500)


if __name__ == "__main__":
    ft.main()
