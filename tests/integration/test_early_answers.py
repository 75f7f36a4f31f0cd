"""Programs that answer an item before they have read the item. An early answer is wrong. An early answer must not harm the
worker, and the later items must be answered."""
import json

import fantail_testing as ft
from fantail_testing import FantailTest

# The program reads each short item, and answers it with 1. When the first long item arrives, the program waits until its
# input pipe is nearly full. The program then answers the next EARLY items, although it has read only the beginning of the
# first of them. From then on, the program answers each item that it reads. With ids, only the first answer to an item counts.
PROGRAM = r'''
import array, fcntl, os, sys, termios, time
mode, early = sys.argv[1], int(sys.argv[2])
known = 0

def waiting():
    """Returns how many bytes can be read."""
    count = array.array("i", [0])
    fcntl.ioctl(0, termios.FIONREAD, count)
    return count[0]

def answer(numbers):
    form = {"ids": b'{"id":%d,"value":1}\n', "envelopes": b'{"value":1}\n', "values": b"1\n"}[mode]
    lines = b"".join(form % n if mode == "ids" else form for n in numbers)
    while lines:
        lines = lines[os.write(1, lines):]

rest = b""
while True:
    piece = os.read(0, 65536)
    if not piece:
        break
    *lines, rest = (rest + piece).split(b"\n")
    numbers = [int(line[6:line.index(b",")]) if mode == "ids" else 0 for line in lines]
    answer(numbers)
    known = max([known, *numbers])
    if len(rest) > 100 and early:
        while waiting() < 60000:
            time.sleep(0.001)
        answer(range(known + 1, known + early + 1))
        early = 0
'''


# How many long items are answered early, and the bytes of a long item. An item of 1,500,000 bytes does not fit in a pipe.
CASES = ((1, 1500000), (2, 1500000), (2, 400000), (4, 400000))


class EarlyAnswers(FantailTest):
    def run_early(self, mode, early, size):
        """Returns the answers to 2000 short items and then 10 long items. The long items together do not fit in a pipe."""
        task = {"mode": "stream", "command": ["python3", "./task.py", mode, str(early)], "ids": mode == "ids",
                "envelope": mode != "values", "item_timeout_s": 2}
        worker = self.worker(processes=1, tasks=self.tasks(t={"json": task, "files": {"task.py": PROGRAM}}))
        body = b"1\n" * 2000 + 10 * (b'"' + b"x" * size + b'"\n')
        answer = ft.request(worker.port, "POST", "/v1/tasks/t", body)
        self.assertEqual(ft.request(worker.port, "POST", "/v1/tasks/t", b"1\n").status, 200)  # the worker still works
        return [json.loads(line) for line in answer.body.splitlines()]

    def test_with_ids_each_item_is_answered_once_and_the_worker_goes_on(self):
        for early, size in CASES:
            with self.subTest(early=early, size=size):
                answers = self.run_early("ids", early, size)
                self.assertEqual(answers[-1], {"end": "complete", "done": 2010})
                self.assertEqual(answers[:-1], [{"value": 1}] * 2010)

    def test_without_ids_the_worker_goes_on(self):
        for mode in ("envelopes", "values"):
            for early, size in CASES:
                with self.subTest(mode, early=early, size=size):
                    answers = self.run_early(mode, early, size)
                    self.assertEqual(answers[-1], {"end": "complete", "done": 2010})
                    self.assertEqual(answers[:2000], [{"value": 1}] * 2000)


if __name__ == "__main__":
    ft.main()
