"""Shared by all fault tests: damages fleets on purpose, and checks that nothing was lost."""
import http.client
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

import fantail_testing as ft  # noqa: E402
from fake_worker import FakeWorker  # noqa: E402
from fantail_testing import FantailTest  # noqa: E402

# `make fault` sets FANTAIL_SLOW_TESTS. If this variable is set, the tests run at full size and check durations, so the machine
# must be idle.
SLOW = bool(os.environ.get("FANTAIL_SLOW_TESTS"))
SLOW_REASON = "slow, and measures durations; `make fault` runs it"

# The first ejection of a worker lasts this long; each further ejection lasts twice as long as the one before.
EJECTION_S = 5


def say(text):
    """Prints a measured figure."""
    print(f"    measured: {text}", file=sys.stderr, flush=True)


def sleep_items(count, seconds):
    """Returns items for the task sleep, which take about `seconds` each. All items differ, so that each answer shows to
    which item it belongs."""
    return [round(seconds + i * 1e-9, 9) for i in range(count)]


class FaultTest(FantailTest):
    TIME_LIMIT_S = 900 if SLOW else 240

    def fake(self, behaviour, **options):
        fake = FakeWorker(behaviour, **options)
        self.addCleanup(fake.close)
        return fake

    def assert_all_right(self, lines, items, status="succeeded"):
        """Checks that there is one result line for each item, in order, with the item's own value, and no error line."""
        errors = [line for line in lines if line["type"] == "error"]
        self.assertEqual(errors[:3], [], f"{len(errors)} items failed; the end: {lines[-1]}")
        results = [line for line in lines if line["type"] == "result"]
        self.assertEqual([line["index"] for line in results], list(range(len(items))))
        self.assertEqual([line["value"] for line in results], items)
        self.assertEqual(lines[-1]["type"], "end")
        self.assertEqual(lines[-1]["status"], status)
        self.assert_counts(lines[-1]["counts"], total=len(items), succeeded=len(items), failed=0, cancelled=0)

    def assert_document_right(self, document, items):
        self.assertEqual(document["errors"], [], document["counts"])
        self.assertEqual(document["results"], items)
        self.assertEqual(document["status"], "succeeded")

    def timed_stream(self, fleet, body, timeout_s=600):
        """Runs a job. Returns (seconds, lines)."""
        start = time.monotonic()
        with fleet.stream(body, timeout_s=timeout_s) as stream:
            lines = stream.rest()
        return time.monotonic() - start, lines


class Supervisor:
    """While the `with` block runs, restarts each dead worker of a fleet on the same port, as an orchestrator does."""

    def __init__(self, test, fleet, **worker_options):
        self.test, self.fleet, self.options = test, fleet, worker_options
        self.deaths, self.problem = 0, None
        self.lock, self.ending = threading.Lock(), threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()
        for worker in self.fleet.workers:
            if worker.alive() and worker.is_stopped:
                worker.send_signal(signal.SIGCONT)
            if not self._serves(worker):
                worker.wait()
                self._note_death(worker)
        if self.problem:
            raise self.problem

    def _run(self):
        try:
            while not self.ending.wait(0.02):
                self.turn()
                self._restart_the_dead()
        except BaseException as e:  # the main thread reports the error
            self.problem = e

    def turn(self):
        """Called every 20 ms. Subclasses may override it."""

    @staticmethod
    def _serves(worker):
        """Returns whether the worker answers. A dying program closes its sockets some time before it has an exit
        status."""
        try:
            return ft.request(worker.admin_port, "GET", "/livez").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def _note_death(self, worker):
        self.deaths += 1
        worker.killed = worker.killed or worker.process.returncode == -signal.SIGKILL

    def _restart_the_dead(self):
        for i, worker in enumerate(self.fleet.workers):
            if worker.alive():
                continue
            self._note_death(worker)
            self.fleet.workers[i] = self.test.worker(port=worker.port, **self.options)


class Monkey(Supervisor):
    """Every `every_s` seconds, the supervisor's thread calls hurt(monkey, worker), which damages a random worker."""

    def __init__(self, test, fleet, hurt, every_s=0.2, seed=1, **worker_options):
        super().__init__(test, fleet, **worker_options)
        self.hurt, self.every_s = hurt, every_s
        self.random, self.next, self.hurts = random.Random(seed), time.monotonic(), 0
        self.later = []

    def turn(self):
        now = time.monotonic()
        for entry in [e for e in self.later if e[0] <= now]:
            self.later.remove(entry)
            entry[1]()
        if now < self.next:
            return
        self.next = now + self.every_s
        living = [w for w in self.fleet.workers if w.alive()]
        if living:
            self.hurts += 1
            self.hurt(self, self.random.choice(living))


def kill(monkey, worker):
    worker.kill()


def freeze(seconds):
    """Returns a function that stops a worker with SIGSTOP for `seconds`: its connections stay open, but it does not
    answer."""
    def hurt(monkey, worker):
        worker.send_signal(signal.SIGSTOP)

        def wake():
            if worker.alive() and worker.is_stopped:
                worker.send_signal(signal.SIGCONT)
        monkey.later.append((time.monotonic() + seconds, wake))
    return hurt


def drain(monkey, worker):
    if not worker.asked_to_end:  # a second SIGTERM would end the worker immediately
        worker.send_signal(signal.SIGTERM)
