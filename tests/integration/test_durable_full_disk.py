"""A coordinator that starts while the disk of its job store is full, and a disk that becomes full while jobs run."""
import os
import resource

import fantail_testing as ft
from fantail_testing import JSON, main, wait_until

STORED = {"Content-Type": JSON, "Prefer": "respond-async"}
JOB = '{"task":"square","items":[3]}'
# Item 0 gives its answer when the folder "gate" exists. Item 1 gives none.
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
        """Item 0 has a long answer that cannot be recorded, and item 1 waits for a file."""
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
        self.assert_problem(ft.request(coordinator.port, "GET", f"/v1/jobs/{submitted}"), 507, words=["disk is full"])
        resource.prlimit(coordinator.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wait_until(lambda: ft.request(coordinator.port, "GET", f"/v1/jobs/{submitted}").status == 200, "room")
        job = ft.request(coordinator.port, "GET", f"/v1/jobs/{submitted}?wait_s=60").json
        self.assertEqual(job["status"], "succeeded", job)


if __name__ == "__main__":
    main()
