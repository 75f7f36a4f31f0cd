"""A coordinator that starts while the disk of its job store is full, and a disk that becomes full while jobs run."""
import contextlib
import json
import os
import resource
import subprocess

import fantail_testing as ft
from fantail_testing import JSON, main, wait_until

STORED = {"Content-Type": JSON, "Prefer": "respond-async"}
JOB = '{"task":"square","items":[3]}'
# Item 0 gives its answer when the folder "gate" exists. Item 1 gives no answer.
LONG_ANSWER = """
import os, time
def run(item):
    while item or not os.path.exists("%(gate)s"):
        time.sleep(0.01)
    return os.urandom(2000000).hex()
"""
SPARE_BYTES = 400_000  # room for many small transactions, but not for the long answer


def fill_disk():
    """Limits the files of this process to 4096 bytes, so that a longer write fails as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))


class FullDisk(ft.FantailTest):
    def test_the_coordinator_starts_and_keeps_jobs_when_there_is_room(self):
        fleet = self.fleet(coordinator_arguments=("--store", f"sqlite:{self.folder}/jobs.db"), before_exec=fill_disk)
        coordinator = fleet.coordinator

        def submit():
            return ft.request(coordinator.port, "POST", "/v1/jobs", JOB, STORED)
        self.assert_problem(submit(), 507, words=["disk is full"])
        self.assert_problem(fleet.request("GET", "/v1/jobs"), 507)
        self.assertEqual(fleet.job({"task": "square", "items": [3]}).json["results"], [9])
        self.assertEqual(fleet.metric(coordinator, "fantail_store_waits_for_room"), 1)
        self.assertIn("durable jobs are refused until", coordinator.stderr())
        resource.prlimit(coordinator.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        answer = wait_until(lambda: (a := submit()).status == 202 and a, "room")
        job = ft.request(coordinator.port, "GET", f"/v1/jobs/{answer.json['id']}?wait_s=60").json
        self.assertEqual(job["status"], "succeeded", job)
        self.assertEqual(fleet.metric(coordinator, "fantail_store_waits_for_room"), 0)

    def test_a_running_job_says_that_it_waits_for_room_and_a_delete_says_so_too(self):
        """Item 0 has a long answer that cannot be recorded, and item 1 never ends."""
        gate = os.path.join(self.folder, "gate")
        source = LONG_ANSWER % {"gate": gate}
        tasks = self.tasks(long={"json": {"mode": "python", "command": ["long:run"]}, "files": {"long.py": source}})
        store = os.path.join(self.folder, "jobs.db")
        fleet = self.fleet(tasks=tasks, coordinator_arguments=("--store", f"sqlite:{store}"))
        port, pid = fleet.coordinator.port, fleet.coordinator.pid
        job_id = ft.request(port, "POST", "/v1/jobs", '{"task":"long","items":[0,1],"chunk_size":1}', STORED).json["id"]
        path = f"/v1/jobs/{job_id}"
        wait_until(lambda: fleet.busy_slots() == 2, "both items on a slot")
        used = max(os.path.getsize(name) for name in (store, store + "-wal"))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (used + SPARE_BYTES, resource.RLIM_INFINITY))
        os.mkdir(gate)
        job = wait_until(lambda: (j := ft.request(port, "GET", path).json).get("waiting", {}).get("reason") == "store" and j,
                         "the reason to wait")
        self.assertEqual(job["status"], "running", job)
        self.assertIn("the job store cannot be used", job["waiting"]["detail"])
        with ft.Stream(port, None, {}, path + "/results", method="GET") as stream:
            self.assertEqual(stream.line_of("waiting")["reason"], "store")
        self.assert_problem(ft.request(port, "DELETE", path), 507, words=["was stopped", "cannot be recorded"])
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        job = ft.request(port, "GET", path + "?wait_s=60").json
        self.assertEqual((job["status"], job.get("waiting")), ("cancelled", None), job)
        self.assert_counts(job["counts"], total=2, succeeded=1, cancelled=1)


    def test_it_also_starts_with_an_old_store_whose_files_may_not_grow(self):
        store = ("--store", f"sqlite:{self.folder}/jobs.db")
        fleet = self.fleet(coordinator_arguments=store)
        submitted = fleet.request("POST", "/v1/jobs", '{"task":"square","items":[3]}', STORED).json["id"]
        fleet.coordinator.kill()
        fleet.coordinator.wait()
        coordinator = self.coordinator(fleet.workers, *store, before_exec=fill_disk)
        self.assertIn("File too large", coordinator.stderr())
        self.assertEqual(ft.request(coordinator.port, "GET", f"/v1/jobs/{submitted}").status, 200)
        self.assert_problem(ft.request(coordinator.port, "DELETE", f"/v1/jobs/{submitted}"), 507, words=["disk is full"])
        resource.prlimit(coordinator.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        job = ft.request(coordinator.port, "GET", f"/v1/jobs/{submitted}?wait_s=60").json
        self.assertEqual(job["status"], "succeeded", job)


class SmallDisk(ft.FantailTest):
    """The store has a small disk of its own, and another program fills it."""
    MIB = 1 << 20
    SIZE_MIB = 32

    def setUp(self):
        super().setUp()
        self.disk = os.path.join(self.folder, "disk")
        os.mkdir(self.disk)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.SIZE_MIB}m", "tmpfs", self.disk],
                                 capture_output=True)
        if mounted.returncode:
            self.skipTest("this user may not mount a file system")
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.disk], check=True)
        self.store = ("--store", f"sqlite:{self.disk}/jobs.db")
        gate = os.path.join(self.folder, "gate")
        source = LONG_ANSWER % {"gate": gate}
        tasks = self.tasks(long={"json": {"mode": "python", "command": ["long:run"]}, "files": {"long.py": source}},
                           echo={"mode": "stream", "command": ["cat"], "envelope": False})
        self.started = self.fleet(tasks=tasks, processes=2, coordinator_arguments=self.store)
        self.coordinator_now = self.started.coordinator

    def ask(self, method, path, body=None):
        return ft.request(self.coordinator_now.port, method, path, body, STORED)

    def submit(self, size):
        return self.ask("POST", "/v1/jobs", json.dumps({"task": "echo", "items": [os.urandom(size // 2).hex()]}))

    def run_jobs(self, size, most=10 ** 6):
        """Runs jobs until one is refused. Returns the ids of the jobs that ended."""
        ids = []
        while len(ids) < most and (answer := self.submit(size)).status == 202:
            ids.append(answer.json["id"])
            self.assertEqual(self.ask("GET", f"/v1/jobs/{ids[-1]}?wait_s=60").json["status"], "succeeded")
        return ids

    def fill(self):
        """Fills the disk to its last byte, as another program could."""
        with open(os.path.join(self.disk, "other"), "ab", buffering=0) as other:
            for size in (self.MIB, 4096, 1):
                with contextlib.suppress(OSError):
                    while other.write(bytes(size)):
                        pass

    def free_bytes(self):
        return os.statvfs(self.disk).f_bavail * os.statvfs(self.disk).f_frsize

    def start_again(self):
        self.coordinator_now.kill()
        self.coordinator_now.wait()
        self.coordinator_now = self.coordinator(self.started.workers, *self.store)

    def assert_all_can_be_removed(self, ids):
        for job in ids:
            self.assertEqual(self.ask("GET", f"/v1/jobs/{job}").status, 200)
            self.assertEqual(self.ask("DELETE", f"/v1/jobs/{job}").status, 204)

    def assert_accepts_again(self):
        answer = wait_until(lambda: (a := self.submit(1000)).status == 202 and a, "room for a job")
        self.assertEqual(self.ask("GET", f"/v1/jobs/{answer.json['id']}?wait_s=60").json["status"], "succeeded")

    def test_ended_jobs_can_be_removed_until_new_jobs_are_accepted(self):
        for size in (self.MIB, 10_000):
            with self.subTest(size=size):
                ids = self.run_jobs(size, most=60)
                self.fill()
                self.assert_problem(wait_until(lambda: (a := self.submit(size)).status == 507 and a, "a full disk"), 507,
                                    words=["disk is full"])
                self.assert_all_can_be_removed(ids)
                os.unlink(os.path.join(self.disk, "other"))
                self.assert_accepts_again()

    def test_removed_jobs_make_room_although_another_program_keeps_the_rest(self):
        ids = self.run_jobs(self.MIB)
        self.assertGreater(len(ids), 5)
        self.fill()
        self.start_again()
        self.assert_all_can_be_removed(ids)
        self.assert_accepts_again()
        wait_until(lambda: self.free_bytes() > len(ids) * self.MIB // 2, "the room of the removed jobs")

    def test_a_killed_coordinator_goes_on_on_a_full_disk(self):
        ids = self.run_jobs(100_000, most=20)
        body = json.dumps({"task": "long", "items": [1], "chunk_size": 1})
        running = self.ask("POST", "/v1/jobs", body).json["id"]
        wait_until(lambda: self.started.busy_slots() == 1, "a running item")
        self.fill()
        self.start_again()
        self.assertEqual(self.ask("GET", "/v1/jobs?status=succeeded").status, 200)
        self.assert_all_can_be_removed(ids)
        self.assertIn(self.ask("DELETE", f"/v1/jobs/{running}").status, (202, 507))
        os.unlink(os.path.join(self.disk, "other"))
        self.assertEqual(self.ask("GET", f"/v1/jobs/{running}?wait_s=60").json["status"], "cancelled")
        self.assert_all_can_be_removed([running])

    def test_jobs_can_be_read_when_even_the_reserve_is_used_up(self):
        ids = self.run_jobs(100_000, most=5)
        running = self.ask("POST", "/v1/jobs", json.dumps({"task": "long", "items": [1]})).json["id"]
        wait_until(lambda: self.started.busy_slots() == 1, "a running item")
        self.coordinator_now.kill()
        self.coordinator_now.wait()
        os.truncate(os.path.join(self.disk, "jobs.db.reserve"), 0)
        self.fill()
        self.coordinator_now = self.coordinator(self.started.workers, *self.store)
        self.assertIn("durable jobs are refused until", self.coordinator_now.stderr())
        for job in (running, *ids):
            self.assertEqual(self.ask("GET", f"/v1/jobs/{job}").status, 200)
        self.assertEqual(self.ask("GET", f"/v1/jobs/{ids[0]}/results").status, 200)
        self.assert_problem(self.ask("DELETE", f"/v1/jobs/{ids[0]}"), 507)
        os.unlink(os.path.join(self.disk, "other"))
        wait_until(lambda: self.ask("DELETE", f"/v1/jobs/{ids[0]}").status == 204, "room")
        self.assert_accepts_again()


if __name__ == "__main__":
    main()
