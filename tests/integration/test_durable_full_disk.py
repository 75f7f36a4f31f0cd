"""A coordinator that starts while the disk of its job store is full."""
import resource

import fantail_testing as ft
from fantail_testing import JSON, main, wait_until

STORED = {"Content-Type": JSON, "Prefer": "respond-async"}
JOB = '{"task":"square","items":[3]}'


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
