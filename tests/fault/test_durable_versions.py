"""Two versions share one database during a rolling update: an older version, which has an older database schema, and
this version. If FANTAIL_OLDER_BIN is set, it names a folder with the programs of the older version. Otherwise these
programs are built from the history of the repository."""
import os
import shutil
import signal
import subprocess

import fantail_testing as ft
import replicas
from fantail_testing import request, wait_until
from fault_testing import SLOW, SLOW_REASON, say

# The last commit before coordinators told the database which tasks their workers have.
OLDER = "0dbb0cc18513cead7b3f6bf69789369e8c9f30df"
OLDER_BIN = os.environ.get("FANTAIL_OLDER_BIN")
JOBS = 6
BUILD_TIMEOUT_S = 600


def run(*command, **options):
    return subprocess.run(command, check=True, timeout=BUILD_TIMEOUT_S, **options)


class Versions(replicas.ReplicasTest):
    TIME_LIMIT_S = 900

    def older_programs(self):
        """Returns the folder of the programs of the older version."""
        if OLDER_BIN:
            return OLDER_BIN
        if not SLOW:
            self.skipTest(SLOW_REASON)
        known = shutil.which("git") and subprocess.run(["git", "-C", ft.ROOT, "cat-file", "-e", f"{OLDER}^{{commit}}"],
                                                       stderr=subprocess.DEVNULL, check=False).returncode == 0
        if not known:
            self.skipTest(f"the history of the repository, with the commit {OLDER[:8]}, is not here")
        source = os.path.join(self.folder, "older")
        os.mkdir(source)
        archive = run("git", "-C", ft.ROOT, "archive", OLDER, stdout=subprocess.PIPE).stdout
        run("tar", "-x", "-C", source, input=archive)
        env = {name: value for name, value in os.environ.items() if not name.startswith(("FANTAIL_", "MAKE", "MFLAGS"))}
        run("make", "-C", source, "-j2", "all", env=env, stdout=subprocess.DEVNULL)
        return os.path.join(source, "build", "bin")

    def start_older(self, folder, tasks):
        """Starts a worker and a coordinator of the older version."""
        self.older_worker = self.start(os.path.join(folder, "fantail-worker"), "--port", self.free_port(), "--admin-port",
                                       self.free_port(), "--tasks", tasks, "--processes", 2, name="older-worker", ready=True)
        secret = os.path.join(self.folder, "store-url")
        ft.write_file(secret, self.url + "\n")
        started = self.start(os.path.join(folder, "fantail-coordinator"), "--port", self.free_port(), "--admin-port",
                             self.free_port(), "--workers", f"static://127.0.0.1:{self.older_worker.port}", "--store-file",
                             secret, name="older-coordinator", ready=True)
        self.coordinators.append(started)
        wait_until(lambda: self.state(started) == "ready", "a store that is ready")

    def version(self):
        return int(self.sql("SELECT version FROM fantail.schema_version"))

    def submit_some(self, at):
        return [self.submit({"task": "counts", "items": list(range(replicas.ITEMS))}, at=at) for _ in range(JOBS)]

    def test_the_jobs_of_both_versions_end_right_while_one_replaces_the_other(self):
        folder = self.older_programs()
        tasks = self.counting_tasks(pause_s=0.002, idempotent=True)
        self.start_older(folder, tasks)
        before, jobs = self.version(), self.submit_some(at=0)
        self.wait_for_some(1)
        self.workers = [self.worker(tasks=tasks)]
        self.start_coordinator()
        self.assertGreater(self.version(), before, "this version has updated the schema")
        jobs += self.submit_some(at=0) + self.submit_some(at=1)
        one = [self.submit({"task": "counts", "items": [n]}, at=n % 2) for n in range(20)]
        for at in (0, 1):
            answer = request(self.coordinators[at].port, "POST", "/v1/jobs",
                             b'{"task":"counts","items":[0,1]}', {"Prefer": "wait=60"})
            self.assertEqual((answer.status, answer.json["results"]), (200, [0, 2]), answer)
        ended = sum(bool(self.job(job, at)["ended_at"]) for job in jobs for at in (1,))
        self.coordinators[0].send_signal(signal.SIGTERM)
        self.assertEqual(self.coordinators[0].wait(), 0)
        say(f"{ended} of {len(jobs)} jobs had ended when the older version was stopped; schema {before}, then {self.version()}")
        for job in jobs:
            self.assert_all_right(job, at=1)
            self.assert_each_once(job, replicas.ITEMS)
        for n, job in enumerate(one):
            wait_until(lambda j=job: self.job(j, 1)["ended_at"], "the end of a job of one item")
            lines = request(self.coordinators[1].port, "GET", f"/v1/jobs/{job}/results").all_lines
            self.assertEqual([line["value"] for line in lines if line["type"] == "result"], [2 * n])


if __name__ == "__main__":
    ft.main()
