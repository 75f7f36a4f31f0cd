"""A process dies or hangs while answers are still in its buffers. Only the item that caused the crash or the hang may
fail."""
import collections
import os
import subprocess

import fantail_testing as ft
from fantail_testing import FantailTest

# A stream program that writes its answers in batches, like any program with a buffered stdout.
BATCHES = """
import os, signal, sys, time
out = []
rest = b""
while True:
    block = os.read(0, 1 << 16)
    if not block:
        break
    *lines, rest = (rest + block).split(b"\\n")
    for line in lines:
        if line == b'"kill"':
            os.kill(os.getpid(), signal.SIGKILL)
        if line == b'"stop"':
            os.kill(os.getpid(), signal.SIGSTOP)
        if line == b'"close"':
            os.close(1)
            time.sleep(1000)
        if line == b'"cut"':
            os.write(1, b"".join(out)[:-3] or b"{")
            os._exit(0)
        out.append(b'{"value":' + line + b'}\\n')
    os.write(1, b"".join(out))
    out = []
"""

# Notes each run of an item, and kills its process at item 50.
NOTES = """
import os
def run(item):
    out = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(out, b"%d\\n" % item)
    os.close(out)
    if item == 50:
        os.kill(os.getpid(), 9)
    return item
"""

# Notes each run of an item, and hangs at item 50: "stop" stops the whole process, "regex" holds the interpreter lock, and
# "sleep" does neither.
HANGS = """
import os, re, signal, time
def run(item):
    out = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(out, b"%d\\n" % item)
    os.close(out)
    if item == 50 and os.environ["HOW"] == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if item == 50 and os.environ["HOW"] == "sleep":
        time.sleep(1000)
    if item == 50:
        re.match(r"(a+)+$", 60 * "a" + "b")
    return item
"""

HANGS_IN_C = """
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "fantail_task.h"

int fantail_task(const struct fantail_item *item, struct fantail_reply *reply)
{
    if (strcmp(item->json, "50") == 0) HANG;
    fantail_reply_value(reply, item->json, item->len);
    return 0;
}
"""

ITEM_S = 5  # on a busy machine, a process may wait seconds for a processor


class CrashAttribution(FantailTest):
    def run_with_poison(self, poison, total, word="kill", **options):
        tasks = self.tasks(batches={"json": {"mode": "stream", "command": ["python3", "./task.py"], **options},
                                    "files": {"task.py": BATCHES}})
        items = [word if i in poison else i for i in range(total)]
        answer = self.fleet(tasks=tasks).job({"task": "batches", "items": items, "chunk_size": total,
                                              "retry": {"max_attempts": 1}})
        failed = [entry["index"] for entry in answer.json["errors"]]
        self.assertEqual(failed, sorted(poison))
        good = [i for i in range(total) if i not in poison]
        self.assertEqual([v for v in answer.json["results"] if v is not None], good)
        return [entry["error"] for entry in answer.json["errors"]]

    def test_a_process_that_dies_with_buffered_answers_costs_only_the_item_that_killed_it(self):
        self.assertEqual([error["signal"] for error in self.run_with_poison({4000}, 8000)], [9])

    def test_a_process_that_stops_with_buffered_answers_costs_only_the_item_at_which_it_stopped(self):
        for ids in False, True:
            with self.subTest(ids=ids):
                errors = self.run_with_poison({4000}, 8000, "stop", item_timeout_s=ITEM_S)
                self.assertEqual([(error["name"], error["attempts"]) for error in errors], [("timed_out", 1)])

    def test_a_process_that_ends_its_output_early_costs_only_the_item_at_which_it_did(self):
        for word in "close", "cut":
            with self.subTest(word):
                self.assertEqual([error["name"] for error in self.run_with_poison({4000}, 8000, word)], ["bad_output"])

    def test_several_poison_items_side_by_side_are_all_found(self):
        self.run_with_poison({10, 11, 3000, 3001, 3500, 7999}, 8000)

    def test_a_task_that_must_not_repeat_gets_one_item_at_a_time(self):
        self.run_with_poison({50}, 200, idempotent=False)

    def runs_without_retries(self, name, **options):
        """Returns how often each item has run in a job that allows one attempt and no hedge."""
        runs = os.path.join(self.folder, name)
        task = {"mode": "python", "command": ["notes:run"], "processes": 1, "env": {"RUNS": runs}, **options}
        tasks = self.tasks(**{name: {"json": task, "files": {"notes.py": NOTES}}})
        answer = self.fleet(tasks=tasks).job({"task": name, "items": list(range(100)), "chunk_size": 100,
                                              "retry": {"max_attempts": 1}, "hedge": {"enabled": False}})
        self.assertEqual([(entry["index"], entry["error"]["attempts"]) for entry in answer.json["errors"]], [(50, 1)])
        with open(runs, encoding="ascii") as lines:
            return collections.Counter(map(int, lines))

    def test_only_idempotent_false_forbids_every_additional_run(self):
        once = self.runs_without_retries("once", idempotent=False)
        self.assertEqual(once, {i: 1 for i in range(100)})
        again = self.runs_without_retries("again")
        self.assertEqual(set(again), set(range(100)))
        self.assertGreater(again[50], 1)

    def hang(self, json, files, items=100):
        """Runs a task that hangs at item 50. Checks that only this item fails. Returns how often the item reached its time
        limit."""
        task = {"processes": 1, "item_timeout_s": ITEM_S, **json}
        tasks = self.tasks(hangs={"json": task, "files": files})
        if task["mode"] == "native":
            hosts = os.path.join(ft.ROOT, "services", "hosts")
            subprocess.run(["cc", "-fPIC", "-shared", "-I", hosts, "-o", "hangs.so", "hangs.c"],
                           cwd=os.path.join(tasks, "hangs"), check=True, timeout=ft.LIMIT_S)
        fleet = self.fleet(tasks=tasks)
        body = {"task": "hangs", "chunk_size": 1000, "retry": {"max_attempts": 1}, "hedge": {"enabled": False}}
        warm_up = [i + 1000 for i in range(1000)]  # the process then gets many items at a time
        self.assertEqual(fleet.job({**body, "items": warm_up}).json["results"], warm_up)
        answer = fleet.job({**body, "items": list(range(items))}).json
        self.assertEqual([(e["index"], e["error"]["name"], e["error"]["attempts"]) for e in answer["errors"]],
                         [(50, "timed_out", 1)])
        self.assertEqual(answer["results"], [None if i == 50 else i for i in range(items)])
        return fleet.metric(fleet.workers[0], "fantail_process_restarts_total", reason="timed_out")

    def test_a_python_item_that_hangs_costs_no_item_that_was_done_before_it(self):
        for how, most in ("stop", 2), ("regex", 2), ("sleep", 1):
            with self.subTest(how):
                runs = os.path.join(self.folder, how)
                task = {"mode": "python", "command": ["hangs:run"], "env": {"RUNS": runs, "HOW": how}}
                self.assertLessEqual(self.hang(task, {"hangs.py": HANGS}), most)
                with open(runs, encoding="ascii") as lines:
                    self.assertLessEqual(collections.Counter(lines)["50\n"], most)

    def test_a_native_item_that_hangs_costs_no_item_that_was_done_before_it(self):
        for code, most in ("raise(SIGSTOP)", 2), ("pause()", 1):
            with self.subTest(code):
                task = {"mode": "native", "command": ["./hangs.so"]}
                times = self.hang(task, {"hangs.c": HANGS_IN_C.replace("HANG", code)}, items=1000)
                self.assertLessEqual(times, most)


if __name__ == "__main__":
    ft.main()
