"""Python tasks with "concurrency": an async function runs many items at the same time in one process."""
import json
import os
import subprocess
import threading

import fantail_testing as ft
from fantail_testing import FantailTest, wait_until
from hosts_testing import Hosts, host

MODULE = """
import asyncio, functools, os, signal, sys, time

calls = []
running = most = 0

def load():
    calls.append("load")

async def connect():
    await asyncio.sleep(0)
    calls.append("connect")

async def together(item):
    global running, most
    running += 1
    most = max(most, running)
    await asyncio.sleep(item)
    running -= 1
    return most

async def echo(item):
    return item

async def late(item):
    await asyncio.sleep(0.3 if item == 0 else 0)
    return item

async def with_calls(item, common=None, traceparent=None):
    await asyncio.sleep(0)
    return [calls, item, common]

def plain(item):
    return item

def decorated(function):
    @functools.wraps(function)
    def wrapper(item):
        return function(item)
    return wrapper

wrapped = decorated(echo)
partial = functools.partial(echo)

async def many(item):
    yield item

async def kinds(item):
    if item == "raise":
        raise ValueError("no")
    if item == "exit":
        sys.exit(3)
    if item == "interrupt":
        raise KeyboardInterrupt
    if item == "cancelled":
        raise asyncio.CancelledError
    if item == "nan":
        return float("nan")
    if item == "set":
        return {1}
    if item == "task":
        async def leave():
            sys.exit(4)
        asyncio.ensure_future(leave())
        await asyncio.sleep(0.01)
    if item == "fork":
        if os.fork() == 0:
            return "child"
        os.wait()
    if item == "big":
        return "x" * 3000000
    return item

class Model:
    def __init__(self):
        self.loop = asyncio.get_running_loop()

    async def __call__(self, item):
        return [calls, item, self.loop is asyncio.get_running_loop()]

class Plain:
    def __call__(self, item):
        return item

async def prints(item):
    print("begin", item)
    await asyncio.sleep(0.05)
    sys.stderr.write("half ")
    await asyncio.sleep(0.05)
    sys.stderr.write("%s\\nlast\\ud800" % item)
    await asyncio.to_thread(print, "thread", item)
    os.write(2, b"raw\\n")

async def prints_much(item):
    print("x" * 40000)
    for _ in range(40000):
        print(item, end="")
        assert len(sys.stdout.begun.get("1", "")) <= 16384
    print()

async def blocks(item):
    with open("begun", "a") as out:
        out.write("%s\\n" % item)
    if item > 0:
        async def inner():
            time.sleep(item)
        await inner()
    await asyncio.sleep(0.01)
    return item

async def tidy(item):
    try:
        await asyncio.sleep(1000)
    finally:
        await asyncio.sleep(0.01)
        with open("tidied", "a") as out:
            out.write("%d " % item)
"""


def numbered(items):
    return ['{"id":%d,"item":%s}' % (i, json.dumps(item)) for i, item in enumerate(items, 1)]


class CoroutinesOfTheHost(Hosts):
    def setUp(self):
        super().setUp()
        self.write("m", MODULE)

    def command(self, function, *options):
        return host("python", "--concurrency", "100", *options, "m:" + function)

    def by_id(self, function, items, *options, control=()):
        """Returns the answers without their ids, in the order of the items."""
        answers = self.run_host(self.command(function, *options), [*control, *numbered(items)])
        self.assertEqual(sorted(answer["id"] for answer in answers), list(range(1, len(items) + 1)))
        return [{name: value for name, value in answer.items() if name != "id"}
                for answer in sorted(answers, key=lambda answer: answer["id"])]

    def test_items_run_at_the_same_time_and_are_answered_as_they_end(self):
        self.assertEqual(max(answer["value"] for answer in self.by_id("together", [0.2] * 20)), 20)
        answers = self.run_host(self.command("late"), numbered(range(5)))
        self.assertEqual([answer["id"] for answer in answers], [2, 3, 4, 5, 1])

    def test_values_of_all_kinds_and_sizes(self):
        items = [1, None, "ä\u2028", [1, {"item": ',"item":'}], "big", "set"]
        self.assertEqual([answer["value"] for answer in self.by_id("kinds", items)], [*items[:4], "x" * 3000000, [1]])
        self.assertEqual(self.by_id("echo", ["y" * 3000000, 2])[0]["value"], "y" * 3000000)

    def test_an_exception_costs_only_its_item(self):
        causes = {"raise": "ValueError: no", "exit": "SystemExit: 3", "interrupt": "KeyboardInterrupt",
                  "cancelled": "asyncio.exceptions.CancelledError", "nan": "ValueError: NaN and infinity"}
        answers = self.by_id("kinds", [1, *causes, 2])
        self.assertEqual((answers[0], answers[-1]), ({"value": 1}, {"value": 2}))
        for answer, cause in zip(answers[1:], causes.values()):
            self.assertEqual(answer["error"]["name"], "task_error")
            self.assertTrue(answer["error"]["cause"].startswith(cause), answer)
        self.assertEqual(answers[1]["error"]["place"], "m.py:50")

    def test_an_item_that_cannot_be_decoded_fails_alone(self):
        answers = self.run_host(self.command("echo"), ['{"id":1,"item":nonsense}', '{"id":2,"item":5}'])
        self.assertEqual(["value" in answer for answer in answers], [False, True])

    def test_a_task_that_leaves_the_loop_or_forks_costs_no_other_item(self):
        self.assertEqual(self.by_id("kinds", ["task", 1, "fork", 2]), [{"value": v} for v in ("task", 1, "fork", 2)])

    def test_setup_and_classes_are_loaded_while_the_loop_runs(self):
        self.assertEqual(self.by_id("with_calls", [1], "--setup", "m:connect"), [{"value": [["connect"], 1, None]}])
        self.assertEqual(self.by_id("with_calls", [1], "--setup", "m:load"), [{"value": [["load"], 1, None]}])
        self.assertEqual(self.by_id("Model", [7], "--setup", "m:connect"), [{"value": [["connect"], 7, True]}])

    def test_each_item_keeps_the_common_value_that_was_set_before_it(self):
        lines = ["#common 1", *numbered([5]), "#common 2", '{"id":2,"item":6}']
        answers = self.run_host(self.command("with_calls"), lines)
        self.assertEqual({a["id"]: a["value"][1:] for a in answers}, {1: [5, 1], 2: [6, 2]})

    def test_wrapped_async_functions_are_accepted(self):
        for name in "wrapped", "partial":
            self.assertEqual(self.by_id(name, [1, 2]), [{"value": 1}, {"value": 2}])

    def test_what_is_no_async_function_is_refused_with_what_to_write_instead(self):
        for name in "plain", "Plain", "many":
            self.assertEqual(self.run_host(self.command(name), numbered([1]), status=1), [])
            self.assertIn("is not an async function", self.stderr)
            self.assertIn("remove \"concurrency\"", self.stderr)

    def test_a_cancelled_item_may_tidy_up_and_is_answered(self):
        process = self.start(self.command("tidy"))
        process.stdin.write("".join(line + "\n" for line in [*numbered([0, 1, 2]), "#cancel 2", "#cancel 9"]).encode())
        process.stdin.flush()
        [answer] = self.answers_before_an_end(process, 1)
        self.assertEqual((answer["id"], answer["error"]["cause"]), (2, "asyncio.exceptions.CancelledError"))
        with open(os.path.join(self.folder, "tidied"), encoding="ascii") as tidied:
            self.assertEqual(tidied.read(), "1 ")

    def test_the_item_that_blocks_the_loop_is_named_while_it_does(self):
        process = self.start(self.command("blocks"))
        process.stdin.write("".join(line + "\n" for line in numbered([0, 2, 0])).encode())
        process.stdin.flush()
        lines = self.lines_before_an_end(process, lambda lines: lines[-1:] == [b"#blocked 0"])
        self.assertEqual([line for line in lines if line.startswith(b"#blocked")], [b"#blocked 2", b"#blocked 0"])

    def test_what_an_item_prints_is_marked_with_its_id(self):
        done = subprocess.run(self.command("prints"), input="\n".join([*numbered(["a", "b"]), ""]).encode(),
                              capture_output=True, timeout=60, cwd=self.folder)
        lines = done.stdout.decode().splitlines()
        for item_id, item in (1, "a"), (2, "b"):
            mine = [line for line in lines if line.startswith((f"#log {item_id} ", '{"id":%d,' % item_id))]
            self.assertEqual(mine, [f"#log {item_id} {text}" for text in
                                    ("begin " + item, "half " + item, "thread " + item, "last\\ud800")]
                             + ['{"id":%d,"value":null}' % item_id])
        self.assertEqual(done.stderr, b"raw\n" * 2)

    def test_a_long_line_is_marked_in_pieces_and_not_kept(self):
        done = subprocess.run(self.command("prints_much"), input=(numbered(["y"])[0] + "\n").encode(), capture_output=True,
                              timeout=60, cwd=self.folder)
        lines = done.stdout.decode().splitlines()
        texts = [line.removeprefix("#log 1 ") for line in lines if line.startswith("#log 1 ")]
        self.assertEqual("".join(texts), "x" * 40000 + "y" * 40000)
        self.assertLessEqual(max(map(len, texts)), 16384)
        self.assertNotIn("", texts)
        self.assertIn('{"id":1,"value":null}', lines)

    def test_a_wrong_number_is_refused(self):
        for number in "0", "x", "-1":
            self.assertEqual(self.run_host(host("python", "--concurrency", number, "m:echo"), [], status=2), [])


class AsyncTasks(FantailTest):
    def fleet_of(self, function, module=MODULE, **fields):
        task = {"mode": "python", "command": "m:" + function, "concurrency": 50, "processes": 1, **fields}
        self.folder_of_tasks = self.tasks(many={"json": task, "files": {"m.py": module}})
        return self.fleet(tasks=self.folder_of_tasks)

    def job(self, fleet, items, **options):
        body = {"task": "many", "items": items, "retry": {"max_attempts": 1}, "hedge": {"enabled": False}, **options}
        return fleet.job(body).json

    def test_items_of_a_job_run_at_the_same_time(self):
        answer = self.job(self.fleet_of("together"), [0.2] * 100)
        self.assertEqual(max(answer["results"]), 50)

    def test_a_late_item_is_cancelled_alone_and_may_tidy_up(self):
        fleet = self.fleet_of("tidy")
        answer = self.job(fleet, [1, 2, 3], item_timeout_s=1)
        self.assertEqual([e["error"]["name"] for e in answer["errors"]], ["timed_out"] * 3)
        with open(os.path.join(self.folder_of_tasks, "many", "tidied"), encoding="ascii") as tidied:
            self.assertEqual(sorted(tidied.read().split()), ["1", "2", "3"])
        self.assertEqual(fleet.metric(fleet.workers[0], "fantail_process_restarts_total"), 0)

    def begun(self):
        """Returns the items that have begun. An item that has begun twice is listed twice."""
        path = os.path.join(self.folder_of_tasks, "many", "begun")
        if not os.path.exists(path):
            return []
        with open(path, encoding="ascii") as lines:
            return lines.read().split()

    def test_an_item_that_blocks_the_loop_fails_alone(self):
        fleet = self.fleet_of("blocks")
        answer = self.job(fleet, [0] * 20 + [1000] + [0] * 20, item_timeout_s=3)
        self.assertEqual([(e["index"], e["error"]["name"]) for e in answer["errors"]], [(20, "timed_out")])
        self.assertEqual(fleet.metric(fleet.workers[0], "fantail_process_restarts_total", reason="timed_out"), 1)
        self.assertEqual(self.begun().count("1000"), 1)

    def test_an_item_that_blocks_the_loop_is_charged_although_another_job_has_ended(self):
        """The process does not cancel the items of the job that has ended, because the item of the other job blocks the
        process."""
        fleet = self.fleet_of("blocks")
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.job(fleet, [1000], item_timeout_s=2)))
        thread.start()
        wait_until(lambda: self.begun() == ["1000"], "the item that blocks the process")
        stream = fleet.stream({"task": "many", "items": [0] * 3})
        wait_until(lambda: fleet.busy_slots() == 4, "four items in the process")
        stream.close()
        thread.join()
        self.assertEqual([e["error"]["name"] for e in answers[0]["errors"]], ["timed_out"])

    def test_an_item_that_blocks_the_loop_within_its_time_limit_costs_no_item(self):
        fleet = self.fleet_of("blocks")
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.job(fleet, [8])))
        thread.start()
        wait_until(lambda: self.begun() == ["8"], "the long item")
        self.assertEqual(self.job(fleet, [0] * 5, item_timeout_s=2)["results"], [0] * 5)
        thread.join()
        self.assertEqual(answers[0]["results"], [8])

    def test_the_log_says_which_item_has_printed_a_line(self):
        fleet = self.fleet_of("prints")
        self.job(fleet, list(range(20)))
        lines = [line for line in fleet.workers[0].log_lines() if line["msg"] == "stderr" and line.get("line") != "raw"]
        self.assertEqual(len([line for line in lines if line["line"].startswith("begin")]), 20)
        for line in lines:
            if line["line"].startswith(("begin", "half", "thread")):
                self.assertEqual(line["line"].split()[1], str(line["index"]))

    def test_a_function_that_is_not_async_is_named_by_its_task(self):
        answer = self.job(self.fleet_of("plain"), [1])
        [error] = answer["errors"]
        self.assertEqual(error["error"]["name"], "crashed")
        self.assertIn("m:plain in the folder", error["error"]["stderr"])
        self.assertIn("many is not an async function", error["error"]["stderr"])


if __name__ == "__main__":
    ft.main()
