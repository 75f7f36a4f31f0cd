"""A process dies while answers are still in its buffers. Only the item that killed the process may fail."""
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


if __name__ == "__main__":
    ft.main()
