"""Durable jobs of several coordinators with one PostgreSQL database."""
import concurrent.futures
import signal
import threading
import time

from fantail_testing import main, metric_sum, metrics, request, wait_until
from programs import descendants
from replicas import ITEMS, TAKE_OVER_S, ReplicasTest


class TakeOvers(ReplicasTest):
    def test_another_coordinator_finishes_the_job_of_one_that_was_killed(self):
        self.start_all(3)
        job_id = self.submit({"task": "counts", "items": list(range(ITEMS))})
        self.wait_for_some(40)
        first = self.owner()
        self.coordinators[first].kill()
        second = self.wait_for_owner(first, TAKE_OVER_S)
        self.assert_all_right(job_id, second)

    def test_a_coordinator_that_slept_past_its_lease_writes_nothing_and_stops(self):
        self.start_all(2, pause_s=0.05)
        job_id = self.submit({"task": "counts", "items": list(range(ITEMS))})
        self.wait_for_some(20)
        first = self.owner()
        sleeper = self.coordinators[first]
        sleeper.send_signal(signal.SIGSTOP)
        second = self.wait_for_owner(first, TAKE_OVER_S)
        sleeper.send_signal(signal.SIGCONT)
        wait_until(lambda: metric_sum(metrics(sleeper), "fantail_store_fenced_total") == 1, "a run that is told")
        wait_until(lambda: metric_sum(metrics(sleeper), "fantail_items_in_flight") == 0, "the end of its chunks")
        self.assertEqual(self.owner(), second)
        self.assert_all_right(job_id, second)
        self.assert_all_right(job_id, first)

    def test_a_coordinator_that_drains_hands_its_job_over_before_its_lease_ends(self):
        self.start_all(2, pause_s=0.05)
        job_id = self.submit({"task": "counts", "items": list(range(ITEMS))})
        self.wait_for_some(20)
        first = self.owner()
        self.coordinators[first].send_signal(signal.SIGTERM)
        self.assertEqual(self.coordinators[first].wait(), 0)
        # The coordinator hands the job back before it ends, so the job need not wait until the lease of the job
        # expires.
        self.assertNotEqual(self.owner(), first)
        self.assert_all_right(job_id, 1 - first)

    def test_what_must_not_run_twice_does_not_when_its_coordinator_sleeps(self):
        self.start_all(2, pause_s=0.02, idempotent=False)
        job_id = self.submit({"task": "counts", "items": list(range(ITEMS))})
        self.wait_for_some(20)
        first = self.owner()
        self.coordinators[first].send_signal(signal.SIGSTOP)
        second = self.wait_for_owner(first, TAKE_OVER_S)
        self.coordinators[first].send_signal(signal.SIGCONT)
        wait_until(lambda: self.job(job_id, second)["ended_at"], "the end of the job")
        with open(self.runs_file, encoding="ascii") as lines:
            ran = lines.read().split()
        self.assertEqual(len(ran), len(set(ran)))

    def test_a_job_is_cancelled_wherever_it_runs(self):
        self.start_all(2, pause_s=0.05)
        job_id = self.submit({"task": "counts", "items": list(range(ITEMS))})
        other = 1 - self.wait_for_owner()
        answer = request(self.coordinators[other].port, "DELETE", f"/v1/jobs/{job_id}")
        self.assertEqual(answer.status, 202, answer)
        wait_until(lambda: self.job(job_id, other)["status"] == "cancelled", "the end of the job")

    def test_the_processes_of_a_job_that_is_cancelled_elsewhere_are_ended(self):
        self.start_all(2, pause_s=600)
        job_id = self.submit({"task": "counts", "items": list(range(ITEMS))})
        other = 1 - self.wait_for_owner()
        [worker] = self.workers
        wait_until(lambda: metric_sum(metrics(worker), "fantail_worker_slots", state="busy") == 2, "items that run")
        busy = set(descendants(worker.pid))
        self.assertGreaterEqual(len(busy), 2)
        self.assertEqual(request(self.coordinators[other].port, "DELETE", f"/v1/jobs/{job_id}").status, 202)
        wait_until(lambda: not busy & set(descendants(worker.pid)), "the end of the processes")
        wait_until(lambda: self.job(job_id, other)["status"] == "cancelled", "the end of the job")

    def test_one_key_makes_one_job_on_all_coordinators(self):
        self.start_all(2)
        job = {"task": "counts", "items": [1]}
        first = self.submit(job, 0, **{"Idempotency-Key": "one"})
        self.assertEqual(self.submit(job, 1, **{"Idempotency-Key": "one"}), first)

    def send_until_accepted(self, at, key, start):
        """Sends a job as soon as all threads have reached the barrier `start`. Returns the id of the job."""
        start.wait(60)
        for _ in range(60):
            answer = self.post({"task": "counts", "items": [1]}, at, **{"Idempotency-Key": key})
            if answer.status != 409:
                break
            self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
            time.sleep(int(answer.headers["Retry-After"]))
        self.assertEqual(answer.status, 202, answer)
        return answer.json["id"]

    def test_one_key_makes_one_job_on_two_coordinators_at_the_same_moment(self):
        self.start_all(2, pause_s=0)
        start = threading.Barrier(4)
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            for n in range(10):
                sent = [threads.submit(self.send_until_accepted, at, f"key {n}", start) for at in (0, 1, 0, 1)]
                self.assertEqual(len({future.result() for future in sent}), 1, f"key {n}")
        self.assertEqual(self.sql("SELECT count(*), count(DISTINCT key) FROM fantail.job"), "10|10")


class Claims(ReplicasTest):
    """Each coordinator has a worker of its own, or an address at which no worker listens yet."""

    def setUp(self):
        super().setUp()
        self.workers = []
        self.worker_ports = [self.free_port(), self.free_port()]

    def start_coordinators(self):
        for port in self.worker_ports:
            self.start_coordinator("--worker-wait-s", 5, workers=f"static://127.0.0.1:{port}")

    def start_worker(self, at):
        self.worker(tasks=self.counting_tasks(), port=self.worker_ports[at])

    def test_a_coordinator_without_workers_leaves_jobs_to_one_that_has_them(self):
        self.start_worker(1)
        self.start_coordinators()
        wait_until(lambda: self.sql("SELECT count(*) FROM fantail.coordinator WHERE serves ? 'counts'") == "1", "its tasks")
        jobs = [self.submit({"task": "counts", "items": list(range(ITEMS))}, 0) for _ in range(3)]
        for job_id in jobs:
            self.assert_all_right(job_id, 0)
        self.assertEqual(metric_sum(metrics(self.coordinators[0]), "fantail_jobs_total"), 0)
        self.assertEqual(metric_sum(metrics(self.coordinators[1]), "fantail_jobs_total", status="succeeded"), 3)
        self.assertEqual(metric_sum(metrics(self.coordinators[1]), "fantail_items_total", outcome="succeeded"), 3 * ITEMS)

    def test_a_job_that_waits_goes_to_a_coordinator_that_gets_workers(self):
        for port in self.worker_ports:
            self.start_coordinator(workers=f"static://127.0.0.1:{port}")
        job_id = self.submit({"task": "counts", "items": list(range(ITEMS))})
        first = self.wait_for_owner()
        wait_until(lambda: self.job(job_id, first).get("waiting"), "a job that waits")
        self.start_worker(1 - first)
        second = self.wait_for_owner(first)
        self.assertEqual(second, 1 - first)
        self.assert_all_right(job_id, first)
        self.assertEqual(metric_sum(metrics(self.coordinators[first]), "fantail_jobs_total"), 0)

    def test_without_workers_anywhere_the_job_fails_by_its_rule(self):
        self.start_coordinators()
        job_id = self.submit({"task": "counts", "items": list(range(5))})
        job = wait_until(lambda: (j := self.job(job_id, 1))["ended_at"] and j, "the end of the job")
        self.assertEqual((job["status"], job["errors"]), ("failed", {"worker_lost": 5}), job)


class Away(ReplicasTest):
    def test_a_job_survives_a_server_that_ends_at_once(self):
        self.start_all(1)
        job_id = self.submit({"task": "counts", "items": list(range(ITEMS))})
        for least in (50, 150, 250):
            self.wait_for_some(least)
            self.server.stop(signal.SIGQUIT)
            self.server.start()
        self.assert_all_right(job_id, 0)

    def test_without_the_server_only_durable_jobs_wait(self):
        self.start_all(1)
        self.server.stop()
        wait_until(lambda: self.state(self.coordinators[0]) == "unreachable", "a state in the metrics")
        answer = self.post({"task": "counts", "items": [1]})
        self.assertEqual(answer.status, 503, answer)
        self.assertIn("Retry-After", answer.headers)
        port = self.coordinators[0].port
        self.assertEqual(request(port, "GET", "/readyz").status, 200)
        job = request(port, "POST", "/v1/jobs", b'{"task":"counts","items":[1,2]}').json
        self.assertEqual(job["results"], [2, 4])
        why = [line for line in self.coordinators[0].log_lines() if line["msg"] == "the job store cannot be used"]
        self.assertEqual(why[-1]["state"], "unreachable")
        self.server.start()
        wait_until(lambda: self.state(self.coordinators[0]) == "ready", "a store that is back")
        self.assert_all_right(self.submit({"task": "counts", "items": list(range(5))}), 0, 5)

    def test_a_coordinator_starts_without_the_server_and_finds_it_later(self):
        self.server.stop()
        self.workers = [self.worker(tasks=self.counting_tasks())]
        self.coordinators = [self.coordinator(self.workers, "--store", self.url)]
        self.assertEqual(request(self.coordinators[0].port, "GET", "/readyz").status, 200)
        self.server.start()
        wait_until(lambda: self.state(self.coordinators[0]) == "ready", "a store that is there")
        self.assert_all_right(self.submit({"task": "counts", "items": list(range(5))}), 0, 5)

    def test_each_reason_has_its_state(self):
        self.start_all(1)
        coordinator = self.coordinators[0]
        self.server.admit("host postgres all 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        self.end_connections()
        wait_until(lambda: self.state(coordinator) == "no_login", "a password that is missing")
        self.server.admit("host all all 127.0.0.1/32 trust\n")
        self.server.reload()
        wait_until(lambda: self.state(coordinator) == "ready", "a store that is ready again")
        admin = self.server.url("postgres")
        name = self.url.rpartition("/")[2]
        self.server.query(admin, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        self.end_connections()
        wait_until(lambda: self.state(coordinator) == "read_only", "a server that is read-only")
        self.server.query(admin, f"ALTER DATABASE {name} RESET default_transaction_read_only")
        wait_until(lambda: self.state(coordinator) == "ready", "a store that is ready again")

    def end_connections(self):
        self.server.reload()
        self.server.query(self.server.url("postgres"), "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                          f" WHERE datname = '{self.url.rpartition('/')[2]}'")

    def test_no_log_line_and_no_metric_has_the_password(self):
        self.workers = [self.worker(tasks=self.counting_tasks())]
        self.server.admit("host all all 127.0.0.1/32 scram-sha-256\n")
        self.server.reload()
        url = self.url.replace("fantail@", "fantail:very-secret@")
        coordinator = self.coordinator(self.workers, "--store", url, "--log-level", "debug")
        wait_until(lambda: self.state(coordinator) == "no_login", "a password that is refused")
        self.assertNotIn("very-secret", coordinator.stderr())


if __name__ == "__main__":
    main()
