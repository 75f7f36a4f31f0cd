"""A process dies while answers are still in its buffers. Only the item that killed the process may fail."""
import collections
import os

import fantail_testing as ft
from fantail_testing import FantailTest

# A stream program that writes its answers in batches, like any program with a buffered stdout.
BATCHES = """
import os, signal, sys
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


class CrashAttribution(FantailTest):
    def run_with_poison(self, poison, total, **options):
        tasks = self.tasks(batches={"json": {"mode": "stream", "command": ["python3", "./task.py"], **options},
                                    "files": {"task.py": BATCHES}})
        items = ["kill" if i in poison else i for i in range(total)]
        answer = self.fleet(tasks=tasks).job({"task": "batches", "items": items, "chunk_size": total,
                                              "retry": {"max_attempts": 1}})
        failed = [entry["index"] for entry in answer.json["errors"]]
        self.assertEqual(failed, sorted(poison))
        self.assertTrue(all(entry["error"]["signal"] == 9 for entry in answer.json["errors"]))
        good = [i for i in range(total) if i not in poison]
        self.assertEqual([v for v in answer.json["results"] if v is not None], good)

    def test_a_process_that_dies_with_buffered_answers_costs_only_the_item_that_killed_it(self):
        self.run_with_poison({4000}, 8000)

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


if __name__ == "__main__":
    ft.main()
