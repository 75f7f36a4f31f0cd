"""Shared by the tests of several coordinators with one PostgreSQL database."""
import json
import os
import unittest

import postgres
from counting_task import COUNTS
from ports import is_listened_on
from fantail_testing import FantailTest, Program, metrics, request, wait_until

ITEMS = 400
TAKE_OVER_S = 15  # docs/jobs.md promises this time


def read_ranges(data):
    """Returns [(first, n)] of a block of values, from the column `ranges`, whose format is in block_codec.h."""
    numbers, number, shift = [], 0, 0
    for byte in data[1:-4]:
        number |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    ranges, end = [], 0
    for gap, length in zip(numbers[1::2], numbers[2::2]):
        first = end + ((gap >> 1) ^ -(gap & 1))
        ranges.append((first, length >> 1))
        end = first + (length >> 1)
    assert len(ranges) == numbers[0], data
    return ranges


class TestServer(postgres.Server):
    """A database server of the test. The server ends after the programs of the test, and before the folder of the test
    is removed."""

    def __init__(self, test, primary=None):
        super().__init__(primary)
        self.test = test
        test.addCleanup(self.remove)
        test.addCleanup(test._end_programs)  # cleanups run in reverse order

    def start(self):
        super().start()
        program = Program.__new__(Program)
        program.process, program.pid, program.name, program.argv = self.process, self.process.pid, "postgres", []
        program.killed = program.any_status = True
        program.asked_to_end = False
        program.stdout_path = program.stderr_path = os.path.join(self.folder, "log")
        self.test._programs.insert(0, program)  # the server gets SIGTERM last, because it waits for its clients


@unittest.skipUnless(postgres.programs(), postgres.REASON)
class ReplicasTest(FantailTest):
    server_settings = ""

    def setUp(self):
        super().setUp()
        self.server = TestServer(self)
        self.server.configure(self.server_settings)
        self.server.start()
        self.url = self.server.database()
        self.runs_file = os.path.join(self.folder, "runs")
        self.coordinators = []

    def counting_tasks(self, pause_s=0.01, idempotent=None):
        task = {"mode": "python", "command": "counts:run", "env": {"RUNS": self.runs_file, "PAUSE_S": str(pause_s)}}
        if idempotent is not None:
            task["idempotent"] = idempotent
        return self.tasks(counts={"json": task, "files": {"counts.py": COUNTS}})

    def start_all(self, coordinators=2, pause_s=0.01, idempotent=None):
        self.workers = [self.worker(tasks=self.counting_tasks(pause_s, idempotent))]
        for _ in range(coordinators):
            self.start_coordinator()

    def start_coordinator(self, *arguments, workers=None):
        secret = os.path.join(self.folder, "store-url")
        with open(secret, "w", encoding="ascii") as file:
            file.write(self.url + "\n")
        self.coordinators.append(self.coordinator(workers or self.workers, "--store-file", secret, *arguments))
        wait_until(lambda: self.state(self.coordinators[-1]) == "ready", "a store that is ready")
        return self.coordinators[-1]

    def start_again(self, coordinator):
        """Restarts a coordinator that has ended, on the same ports. Does not wait until the store of the coordinator is
        ready."""
        wait_until(lambda: not is_listened_on(coordinator.port), f"the end of what listens on {coordinator.port}")
        started = self.start("fantail-coordinator", *coordinator.argv[1:], ready=True)
        self.coordinators[self.coordinators.index(coordinator)] = started
        return started

    @staticmethod
    def state(coordinator):
        """Returns the state of the coordinator's store, from its metrics."""
        for line in metrics(coordinator).splitlines():
            if line.startswith("fantail_store_state{") and line.endswith(" 1"):
                return line.split('"')[1]
        return None

    def submit(self, job, at=0, **headers):
        answer = self.post(job, at, **headers)
        self.assertEqual(answer.status, 202, answer)
        return answer.json["id"]

    def post(self, job, at=0, **headers):
        return request(self.coordinators[at].port, "POST", "/v1/jobs", json.dumps(job).encode(),
                       {"Prefer": "respond-async", **headers})

    def job(self, job_id, at=0):
        """Asks again after a 503, because a coordinator pauses between two attempts to connect to the database."""
        def asked():
            answer = request(self.coordinators[at].port, "GET", f"/v1/jobs/{job_id}")
            return answer if answer.status != 503 else None
        return wait_until(asked, "an answer about the job").json

    def sql(self, text):
        return self.server.query(self.url, text)

    def recorded(self):
        return int(self.sql("SELECT coalesce(sum(succeeded + failed), 0) FROM fantail.job"))

    def wait_for_some(self, least):
        wait_until(lambda: self.recorded() >= least, f"{least} recorded answers")

    def owner(self):
        """Returns the index in self.coordinators of the coordinator that runs the only job. Returns None if no
        coordinator runs the job."""
        name = self.sql("SELECT c.name FROM fantail.job j JOIN fantail.coordinator c ON c.id = j.holder"
                        " WHERE j.state = 'running'")
        pids = [str(c.pid) for c in self.coordinators]
        return pids.index(name.rpartition("/")[2]) if name else None

    def wait_for_owner(self, other_than=None, limit_s=60):
        wait_until(lambda: self.owner() not in (None, other_than), "a coordinator that runs the job", limit_s)
        return self.owner()

    def assert_all_right(self, job_id, at, items=ITEMS):
        job = wait_until(lambda: (j := self.job(job_id, at))["ended_at"] and j, "the end of the job")
        self.assertEqual(job["status"], "succeeded", job)
        self.assert_counts(job["counts"], total=items, succeeded=items, failed=0, cancelled=0)
        lines = request(self.coordinators[at].port, "GET", f"/v1/jobs/{job_id}/results").all_lines
        values = [(line["index"], line["value"]) for line in lines if line["type"] == "result"]
        self.assertEqual(values, [(n, 2 * n) for n in range(items)])
        twice = self.sql("SELECT count(*) - count(DISTINCT (job, ranges)) FROM fantail.block WHERE kind = 'values'")
        self.assertEqual(twice, "0", "a block of answers is in the database twice")

    def assert_each_once(self, job_id, items):
        """Checks that each item has its value in exactly one block of the store."""
        rows = self.sql("SELECT b.kind, encode(b.ranges, 'hex') FROM fantail.block b JOIN fantail.job j ON j.seq = b.job"
                        f" WHERE j.id = '{job_id}' AND b.kind IN ('values', 'errors')").split()
        self.assertEqual([row for row in rows if not row.startswith("values|")], [], "there is a block of errors")
        spans = sorted(span for row in rows for span in read_ranges(bytes.fromhex(row.partition("|")[2])))
        ends = [first + n for first, n in spans]
        self.assertEqual([first for first, _ in spans], [0] + ends[:-1], "there is a gap, or an item is there twice")
        self.assertEqual(ends[-1], items)
