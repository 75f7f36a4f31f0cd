"""Shared by the tests of the Python client: one of two coordinators is killed in the middle of a map."""
import contextlib
import os
import threading

import fantail_testing as ft
from balancer import Balancer
from fantail_testing import wait_until

STOP = 700

# Each item writes its number to a file when it begins. The item STOP also waits until the gate is open.
NOTED = """
import os, time
out = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def run(item):
    os.write(out, b"%d\\n" % item)
    while item == int(os.environ["STOP"]) and not os.path.exists(os.environ["GATE"]):
        time.sleep(0.01)
    return item * 2
"""


class TwoCoordinators(ft.FantailTest):
    """The task `noted` doubles its items. self.url is the address of a balancer in front of the coordinators."""

    def start_all(self, **task):
        self.runs_path, self.gate_path = os.path.join(self.folder, "runs"), os.path.join(self.folder, "gate")
        env = {"RUNS": self.runs_path, "GATE": self.gate_path, "STOP": str(STOP)}
        json = {"mode": "python", "command": "noted:run", "env": env, **task}
        workers = [self.worker(tasks=self.tasks(noted={"json": json, "files": {"noted.py": NOTED}}))]
        self.coordinators = [self.coordinator(workers) for _ in range(2)]
        self.url = Balancer(self, [c.port for c in self.coordinators]).url

    def kill_one_later(self, single=False):
        """Starts a thread that waits for the item STOP, kills a coordinator that runs a job, and opens the gate. With
        `single`, the thread first waits until only the job with the item STOP runs. If items may run twice, other jobs may
        also have to wait for the item STOP, because a process has several items."""
        self.killed, self.failure = None, None
        killer = threading.Thread(target=self._kill, args=(single,), daemon=True)
        killer.start()
        self.addCleanup(killer.join)
        self.addCleanup(ft.write_file, self.gate_path, "")

    def _kill(self, single):
        try:
            wait_until(lambda: STOP in self.runs(), "the item that waits")
            self.killed = wait_until(lambda: (found := self.with_jobs()) and (not single or len(found) == 1) and found,
                                     "a single job" if single else "a job")[0]
            self.killed.kill()
        except BaseException as error:
            self.failure = error
        ft.write_file(self.gate_path, "")

    def with_jobs(self):
        """Returns the coordinator of each running job."""
        return [c for c in self.coordinators for _ in ft.request(c.port, "GET", "/v1/jobs").json["jobs"]]

    def runs(self):
        with contextlib.suppress(FileNotFoundError), open(self.runs_path, encoding="ascii") as runs:
            return [int(line) for line in runs]
        return []

    def assert_killed(self):
        self.assertIsNone(self.failure)
        self.assertIsNotNone(self.killed)

    def assert_failed_once(self, got):
        """Checks that no item ran twice, and that the failed items are those that may have been running when their coordinator
        was killed."""
        failed = [n for n, item in enumerate(got) if not isinstance(item, int)]
        self.assertIn(STOP, failed)
        self.assertEqual({(got[n].name, got[n].index) for n in failed}, {("coordinator_lost", n) for n in failed})
        self.assertEqual([item for item in got if isinstance(item, int)], [2 * n for n in range(len(got)) if n not in failed])
        self.assertEqual(len(self.runs()), len(set(self.runs())), "an item ran twice")
        self.assertEqual(set(range(len(got))) - set(self.runs()) - set(failed), set())
