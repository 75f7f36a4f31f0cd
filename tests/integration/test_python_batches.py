"""Python tasks with "batch": the function gets a list of items, and each item still has an answer of its own."""
import json

import fantail_testing as ft
from fantail_testing import FantailTest
from hosts_testing import Hosts, host

MODULE = """
import os
import time

def sizes(batch):
    return [len(batch)] * len(batch)

def checked(batch):
    for item in batch:
        if item["n"] < 0:
            raise ValueError("%d is negative" % item["n"])
    return [item.pop("n") for item in batch]

def greedy(batch):
    if len(batch) > 2:
        raise MemoryError
    return batch

def short(batch):
    return batch[:-1]

def other(batch):
    return {"none": None, "text": "ab", "set": {1, 2}, "number": 2.5, "dict": {"a": 1, "b": 2}}[batch[0]]

def kinds(batch):
    if batch[0] == "tuple":
        return tuple(batch)
    return (item for item in batch)

def placed(batch):
    return [ValueError("no %s here" % item) if item == "bad" else float("nan") if item == "nan" else item for item in batch]

def caught(batch):
    try:
        {}[batch[0]]
    except KeyError as error:
        return [error] * len(batch)

def with_common(batch, common):
    return [[len(batch), common]] * len(batch)

def leave(batch):
    if "exit" in batch:
        raise SystemExit(3)
    return batch

def forks(batch):
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    return batch

def evil(batch):
    if "kill" in batch:
        os.kill(os.getpid(), 9)
    if "hang" in batch:
        time.sleep(1000)
    return batch

def slow_sizes(batch):
    time.sleep(0.05)
    return [len(batch)] * len(batch)
"""


class BatchesOfTheHost(Hosts):
    def setUp(self):
        super().setUp()
        self.write("m", MODULE)

    def batch(self, name, most=8):
        return host("python", "--batch", str(most), "m:" + name)

    def causes(self, name, items):
        answers = self.run_host(self.batch(name), [json.dumps(item) for item in items])
        return [answer["error"]["cause"] if "error" in answer else answer["value"] for answer in answers]

    def test_the_function_gets_the_items_that_have_arrived_up_to_the_limit(self):
        self.assertEqual(self.values(self.batch("sizes", 4), range(10)), [4] * 8 + [2, 2])
        self.assertEqual(self.values(self.batch("sizes", 1), range(2)), [1, 1])

    def test_a_tuple_and_a_generator_are_lists(self):
        for kind in "tuple", "generator":
            self.assertEqual(self.values(self.batch("kinds"), [kind, 1, 2]), [kind, 1, 2])

    def test_an_exception_costs_only_the_item_that_caused_it(self):
        items = [{"n": n} for n in range(20)]
        items[5]["n"] = items[17]["n"] = -1
        answers = self.run_host(self.batch("checked", 16), [json.dumps(item) for item in items])
        failed = [i for i, answer in enumerate(answers) if "error" in answer]
        self.assertEqual(failed, [5, 17])
        self.assertEqual([answer["value"] for answer in answers if "value" in answer], [n for n in range(20) if n not in failed])
        self.assertEqual(answers[5]["error"]["cause"], "ValueError: -1 is negative")
        self.assertEqual(answers[5]["error"]["place"], "m.py:11")

    def test_an_exit_and_a_line_that_cannot_be_decoded_cost_one_item(self):
        self.assertEqual(self.causes("leave", [1, "exit", 2]), [1, "SystemExit: 3", 2])
        answers = self.run_host(self.batch("sizes"), ["1", "not json", "2"])
        self.assertEqual(["value" in answer for answer in answers], [True, False, True])

    def test_a_batch_that_needs_too_much_memory_runs_in_smaller_ones(self):
        self.assertEqual(self.values(self.batch("greedy"), range(8)), list(range(8)))

    def test_an_exception_in_the_place_of_a_value_is_the_error_of_its_item(self):
        answers = self.causes("placed", [1, "bad", "nan", 2])
        self.assertEqual(answers[:2] + answers[3:], [1, "ValueError: no bad here", 2])
        self.assertIn("NaN and infinity cannot be expressed in JSON", answers[2])
        error = self.error(self.batch("caught"), "x")
        self.assertEqual([error["cause"], error["place"]], ["KeyError: 'x'", "m.py:35"])

    def test_a_list_of_another_length_fails_each_item_of_the_batch(self):
        self.assertEqual(self.causes("short", [1, 2, 3]), ["TypeError: the function returned 2 values for a batch of 3 items"] * 3)

    def test_a_value_that_is_not_a_list_fails_each_item_with_its_type(self):
        for kind, name in (("none", "NoneType"), ("text", "str"), ("set", "set"), ("number", "float"), ("dict", "dict")):
            cause = ("TypeError: the function must return a list with one value for each item of its batch, and not a value of "
                     f"type {name}")
            self.assertEqual(self.causes("other", [kind, 1]), [cause] * 2)

    def test_a_batch_has_one_common_value(self):
        lines = ["1", '#common {"a":1}', "2", "#traceparent 00-0-0-00", "3"]
        answers = self.run_host(self.batch("with_common"), lines)
        self.assertEqual([answer["value"] for answer in answers], [[1, None], [2, {"a": 1}], [2, {"a": 1}]])

    def test_a_fork_of_the_function_answers_nothing(self):
        self.assertEqual(self.values(self.batch("forks"), [1, 2, 3]), [1, 2, 3])

    def test_a_wrong_size_is_refused_with_the_usage(self):
        for most in "0", "-1", "x", "1.5":
            self.assertEqual(self.run_host(self.batch("sizes", most), [], status=2), [])
            self.assertIn("--batch N", self.stderr)


class BatchesOfTheWorker(FantailTest):
    def batch_fleet(self, name, **options):
        task = {"mode": "python", "command": "m:" + name, "batch": 16, **options}
        return self.fleet(tasks=self.tasks(t={"json": task, "files": {"m.py": MODULE}}))

    def test_a_job_fills_the_batches_of_each_process(self):
        fleet = self.batch_fleet("slow_sizes")
        answer = fleet.job({"task": "t", "items": list(range(400))})
        self.assertEqual(answer.json["errors"], [])
        self.assertEqual(max(answer.json["results"]), 16)
        self.assertGreater(answer.json["results"].count(16), 200)

    def test_each_item_of_a_batch_has_a_slot(self):
        worker = self.worker(processes=3, tasks=self.tasks(t={"json": {"mode": "python", "command": "m:sizes", "batch": 16},
                                                              "files": {"m.py": MODULE}}))
        task, = ft.request(worker.port, "GET", "/v1/tasks").json["tasks"]
        self.assertEqual([task["processes"], task["batch"], task["slots"]], [3, 16, 48])
        answer = ft.request(worker.port, "POST", "/v1/tasks/t", b"0\n")
        self.assertEqual([answer.headers["Fantail-Slots"], answer.headers["Fantail-Free"]], ["48", "47"])

    def test_an_item_that_kills_its_process_is_the_only_one_that_fails(self):
        answer = self.batch_fleet("evil").job({"task": "t", "retry": {"max_attempts": 1},
                                               "items": ["kill" if i == 50 else i for i in range(100)]})
        self.assertEqual([(entry["index"], entry["error"]["name"]) for entry in answer.json["errors"]], [(50, "crashed")])
        self.assertEqual([value for value in answer.json["results"] if value is not None], [i for i in range(100) if i != 50])

    def test_an_item_that_hangs_is_the_only_one_that_fails(self):
        answer = self.batch_fleet("evil", item_timeout_s=1).job({"task": "t", "retry": {"max_attempts": 1}, "chunk_size": 40,
                                                                 "items": ["hang" if i == 30 else i for i in range(40)]})
        self.assertEqual([(entry["index"], entry["error"]["name"]) for entry in answer.json["errors"]], [(30, "timed_out")])
        self.assertEqual([value for value in answer.json["results"] if value is not None], [i for i in range(40) if i != 30])

    def test_few_items_are_spread_over_the_processes_and_many_fill_batches(self):
        worker = self.worker(processes=2, tasks=self.tasks(t={"json": {"mode": "python", "command": "m:slow_sizes", "batch": 16},
                                                              "files": {"m.py": MODULE}}))
        ft.wait_until(lambda: self.both_ran(worker), "two processes that took half of the items each")

    def both_ran(self, worker):
        """Returns whether a chunk of 12 items ran as two batches of 6, as it does when both processes are ready."""
        answer = ft.request(worker.port, "POST", "/v1/tasks/t", b"0\n" * 12)
        return answer.body.count(b'{"value":6}') == 12


if __name__ == "__main__":
    ft.main()
