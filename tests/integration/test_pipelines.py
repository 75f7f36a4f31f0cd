"""Jobs of several tasks: the value of each item becomes the item of the next task, and if an item fails in any task, the
original item has failed."""
import json
import signal

import fantail_testing as ft
from fantail_testing import NDJSON, FantailTest, SharedFleetTest, with_more_time

CHUNK = "application/vnd.fantail.chunk+x-ndjson"
# Answers [item, common], so that the second task shows what it got from the first.
WRAP = {"json": {"mode": "python", "command": ["wrap:run"]},
        "files": {"wrap.py": "def run(item, common=None):\n    return [item, common]\n"}}
ONCE = {"json": {"mode": "python", "command": ["once:run"], "idempotent": False},
        "files": {"once.py": "import os, signal, time\n\ndef run(item):\n    if item == 'crash':\n"
                             "        os.kill(os.getpid(), signal.SIGKILL)\n    return item\n"}}


def with_examples(keeper, **more):
    """Returns the folders of a test's own tasks and of the example tasks, as the text of --tasks."""
    return ":".join([keeper.tasks(**more), ft.EXAMPLE_TASKS])


def timed_out(document):
    """Returns the items that exceeded their time limit or the deadline."""
    return [e["index"] for e in document["errors"] if e["error"]["name"] in ("timed_out", "deadline_exceeded")]


class Values(SharedFleetTest):
    @classmethod
    def make_fleet_options(cls, keeper):
        return {"workers": 2, "tasks": with_examples(keeper, wrap=WRAP, once=ONCE, broken={"mode": "nonsense"})}

    def test_each_value_is_the_next_tasks_item(self):
        answer = self.shared.job({"task": ["square", "wrap", "echo"], "items": [1, 2, 3], "common": {"a": 1}})
        self.assertEqual(answer.json["status"], "succeeded", answer)
        self.assertEqual(answer.json["results"], [[1, {"a": 1}], [4, {"a": 1}], [9, {"a": 1}]])

    def test_common_reaches_every_task(self):
        document = self.shared.job({"task": ["wrap", "wrap"], "items": [1], "common": "c"}).json
        self.assertEqual(document["results"], [[[1, "c"], "c"]])

    def test_in_the_query_tasks_stand_with_commas(self):
        answer = self.shared.job(b"2\n3\n", NDJSON, NDJSON, "?task=square,square,square")
        self.assertEqual(answer.values, [256, 6561])

    def test_many_items_come_through_in_order(self):
        answer = self.shared.job({"task": ["square", "echo", "wrap"], "range": {"start": 0, "stop": 20000}})
        self.assertEqual(answer.json["results"], [[n * n, None] for n in range(20000)])

    def test_large_items_come_through(self):
        items = [chr(97 + n) * (300_000 + n) for n in range(20)]
        self.assertEqual(self.shared.job({"task": ["echo"] * 3, "items": items}).json["results"], items)

    def test_there_may_be_sixteen_tasks_and_no_more(self):
        document = self.shared.job({"task": ["echo"] * 16, "items": [1, {"a": []}]}).json
        self.assertEqual((document["status"], document["results"]), ("succeeded", [1, {"a": []}]))
        answer = self.shared.job({"task": ["echo"] * 17, "items": [1]})
        self.assert_problem(answer, 400, "/task", "1 to 16")
        self.assert_problem(self.shared.job(b"1\n", None, NDJSON, "?task=" + ",".join(["echo"] * 17)), 400, "/task")

    def test_no_items_succeed_at_once(self):
        document = self.shared.job({"task": ["echo", "square"], "items": []}).json
        self.assertEqual((document["status"], document["results"]), ("succeeded", []))


class Errors(SharedFleetTest):
    @classmethod
    def make_fleet_options(cls, keeper):
        return {"workers": 2, "tasks": with_examples(keeper, wrap=WRAP, once=ONCE, broken={"mode": "nonsense"})}

    def test_an_item_that_fails_in_any_task_is_named_by_its_index(self):
        document = self.shared.job({"task": ["square", "misbehave", "square"], "items": [2, "x", 3, 2 ** 20, 4]}).json
        self.assertEqual(document["status"], "partial")
        self.assertEqual(document["results"], [16, None, 81, None, 256])
        self.assertEqual([(e["index"], e["error"]["name"]) for e in document["errors"]],
                         [(1, "task_error"), (3, "task_error")])
        self.assertIn("an integer was expected", document["errors"][0]["error"]["cause"])
        self.assertIn("too large", document["errors"][1]["error"]["cause"])

    def test_a_crash_in_a_later_task_costs_its_item_only_and_is_tried_again(self):
        items = [1, {"do": "crash"}, 2, {"do": "garbage"}, {"do": "exit", "code": 3}, 3]
        document = self.shared.job({"task": ["echo", "misbehave", "wrap"], "items": items,
                                    "retry": {"max_attempts": 2}}).json
        self.assertEqual(document["results"], [[1, None], None, [2, None], None, None, [3, None]])
        errors = {e["index"]: e["error"] for e in document["errors"]}
        self.assertEqual({i: e["name"] for i, e in errors.items()}, {1: "crashed", 3: "bad_output", 4: "crashed"})
        self.assertEqual((errors[1]["signal"], errors[4]["exit_code"]), (9, 3))
        self.assertEqual((errors[1]["attempts"], errors[3]["attempts"]), (2, 1))

    def test_an_item_that_hangs_in_a_later_task_times_out_alone(self):
        def attempt(limit_s):
            document = self.shared.job({"task": ["echo", "misbehave"], "items": [1, {"do": "hang"}, 2],
                                        "item_timeout_s": limit_s, "retry": {"max_attempts": 1}}).json
            ft.in_time(timed_out(document) == [1], "the other items")
            self.assertEqual(document["results"], [1, None, 2])
            self.assertEqual(document["errors"][0]["error"]["name"], "timed_out")
        with_more_time(attempt, (0.5, 4, 16))

    def test_a_task_that_must_not_run_twice_holds_for_all_of_them(self):
        document = self.shared.job({"task": ["echo", "once", "echo"], "items": ["a", "crash", "b"]}).json
        self.assertEqual(document["results"], ["a", None, "b"])
        error = document["errors"][0]["error"]
        self.assertEqual((error["name"], error["attempts"]), ("crashed", 1))
        self.assert_counts(document["counts"], retried=0, hedged=0)

    def test_an_unknown_or_broken_task_is_named_wherever_it_stands(self):
        self.assert_problem(self.shared.job({"task": ["echo", "nope"], "items": [1]}), 404, "/task", "nope")
        self.assert_problem(self.shared.job({"task": ["echo", "broken", "echo"], "items": [1]}), 422, "/task", "broken")

    def test_a_deadline_ends_all_of_them(self):
        def attempt(deadline_s):
            document = self.shared.job({"task": ["echo", "sleep", "echo"], "items": [0, 600, 0], "chunk_size": 1,
                                        "deadline_s": deadline_s}).json
            self.assertEqual(document["status"], "timed_out")
            ft.in_time(timed_out(document) == [1], "the other items")
            self.assertEqual(document["results"], [0, None, 0])
            self.assertEqual(document["errors"][0]["error"]["name"], "deadline_exceeded")
        with_more_time(attempt)

    def test_a_worker_refuses_what_it_cannot_run(self):
        port = self.shared.workers[0].port
        for header, status in (({"pipeline": ["square", "nope"]}, 404), ({"pipeline": ["square", "broken"]}, 404),
                               ({"pipeline": ["echo", "square"]}, 400), ({"pipeline": ["square"] * 17}, 400)):
            with self.subTest(header):
                body = json.dumps(header).encode() + b"\n1\n"
                answer = ft.request(port, "POST", "/v1/tasks/square", body, {"Content-Type": CHUNK})
                problem = self.assert_problem(answer, status)
                self.assertEqual("square" in problem.get("tasks", ()), status == 404, problem)


class Fleets(FantailTest):
    def test_a_client_that_hangs_up_stops_the_later_tasks_too(self):
        fleet = self.fleet(processes=2)
        stream = fleet.stream({"task": ["echo", "misbehave"], "items": [{"do": "burn"}] * 4, "chunk_size": 1})
        burning = fleet.wait_until_burning()
        stream.hang_up()
        fleet.wait_until_quiet(burning)

    def test_a_killed_and_a_drained_worker_cost_no_item(self):
        fleet = self.fleet(workers=3)
        items = [0.01] * 600
        with fleet.stream({"task": ["sleep", "echo", "sleep"], "items": items, "chunk_size": 8}) as stream:
            lines = [stream.line() for _ in range(20)]
            fleet.workers[0].kill()
            lines += [stream.line() for _ in range(100)]
            fleet.workers[1].send_signal(signal.SIGTERM)
            lines += stream.rest()
        self.assertEqual([line.get("index") for line in lines[:-1]], list(range(600)))
        self.assertEqual([line.get("value") for line in lines[:-1]], items)
        self.assertEqual(lines[-1]["status"], "succeeded")
        self.assertEqual(fleet.workers[1].wait(), 0)

    def test_a_drained_worker_hands_back_free_of_charge(self):
        fleet = self.fleet(workers=2, processes=1)
        with fleet.stream({"task": ["echo", "sleep", "echo"], "items": [0.05] * 60, "chunk_size": 10}) as stream:
            lines = [stream.line() for _ in range(5)]
            fleet.workers[0].send_signal(signal.SIGTERM)
            lines += stream.rest()
        self.assertEqual(len([line for line in lines if line["type"] == "result"]), 60)
        self.assertEqual((lines[-1]["status"], lines[-1]["counts"]["retried"]), ("succeeded", 0))


if __name__ == "__main__":
    ft.main()
