"""deploy/slurm/fantail.sbatch on a real Slurm cluster of four nodes. `make slurm` runs this file."""
import os
import re
import unittest

import private_network
import slurm_cluster
from fantail_testing import BIN, EXAMPLE_TASKS, ROOT, FantailTest, main, wait_until, write_file

BATCH = os.path.join(ROOT, "deploy", "slurm", "fantail.sbatch")
SLOW = {"mode": "exec", "command": ["sh", "-c", 'sleep 0.25; echo "$0" >> ran; echo $(($0 * $0))', "{}"]}
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT")
ALLOCATION_S = 200  # an allocation has a time limit of two minutes

network = slurm_cluster.missing() or private_network.enter()


@unittest.skipIf(network, network)
class Allocation(FantailTest):
    TIME_LIMIT_S = 900

    def setUp(self):
        super().setUp()
        self.work, self.temporary = (os.path.join(self.folder, name) for name in ("work", "temporary"))
        os.makedirs(self.work)
        os.makedirs(self.temporary)
        write_file(os.path.join(self.work, "items"), "".join(f"{i}\n" for i in range(2000)))
        self.cluster = slurm_cluster.Cluster(self.folder, nodes=4)
        self.addCleanup(self.cluster.close)
        self.cluster.start()

    def submit(self, *words, tasks=EXAMPLE_TASKS, options=()):
        """Submits the batch script. Returns the number of the job."""
        env = {"FANTAIL_TASKS": tasks, "TMPDIR": self.temporary, "PATH": BIN + os.pathsep + os.environ["PATH"]}
        said = self.cluster.run("sbatch", "-o", "out", "-e", "err", "--time=2", *options, BATCH, *words, env=env, cwd=self.work)
        return int(re.search(r"Submitted batch job (\d+)", said).group(1))

    def read(self, name):
        path = os.path.join(self.work, name)
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8") as file:
            return file.read()

    def state(self, job):
        return self.cluster.job(job)["JobState"]

    def wait(self, job):
        """Waits for the end of a job. Returns its exit status."""
        wait_until(lambda: self.state(job) in ENDED, f"the end of job {job}", ALLOCATION_S)
        return int(self.cluster.job(job)["ExitCode"].split(":")[0])

    def done(self):
        """Returns the indexes of the items in the log, in the order of the log. Each of them must have succeeded."""
        rows = [line.split("\t") for line in self.read("log").splitlines()[1:] if line.count("\t") == 12]
        self.assertEqual({(row[6], row[7]) for row in rows} - {("0", "0")}, set())
        return [int(row[-4]) for row in rows]

    def ran(self):
        return [int(line) for line in self.read("ran").split()]

    def assert_nothing_left(self, nodes, folders=0):
        for name in nodes:
            wait_until(lambda name=name: len(self.cluster.processes(name)) == 1, f"only slurmd on {name}")
        found = [place for place in os.walk(self.temporary) if place[0] != self.temporary]
        self.assertEqual(len(os.listdir(self.temporary)), folders, found)

    def test_items_run_once_although_a_node_dies_and_the_time_limit_ends_the_first_allocation(self):
        tasks = self.tasks(slow=SLOW)
        line = ("fantail", "map", "slow", "-a", "items", "--order", "completion", "--joblog", "log", "--resume")
        job = self.submit(*line, tasks=tasks, options=("-N4", "-c2"))
        wait_until(lambda: len(self.done()) >= 100, "the first items")
        self.cluster.cut_off("n3")
        status = self.wait(job)
        self.assertEqual(status, 128 + 15, self.read("err"))
        self.assertIn("asked to end", self.read("err"))
        self.assertIn("Node failure on n3", self.read("err"))
        done, ran = self.done(), self.ran()
        self.assertLess(len(done), 2000)
        self.assertEqual(set(ran) - set(done), set(), "the drain has lost items that ran")
        for _ in range(4):
            before, began = set(self.done()), len(self.ran())
            status = self.wait(self.submit(*line, tasks=tasks, options=("-N3", "-c2")))
            self.assertEqual(set(self.ran()[began:]) & before, set(), "these items were done before")
            if status == 0:
                break
        self.assertEqual(status, 0, self.read("err"))
        self.assertEqual(sorted(self.done()), list(range(2000)))
        self.assertEqual(sorted(map(int, self.read("out").split())), [i * i for i in range(2000)])
        self.assert_nothing_left(("n1", "n2", "n4"), folders=1)  # that of n3
        print(f"{len(done)} of 2,000 items in the first allocation, {len(ran) - len(done)} of them ran twice")

    def test_each_node_runs_as_many_items_at_once_as_the_job_has_processors_there(self):
        """Each item waits until six items have begun, so the items end only if six run at once."""
        together = 'echo >> begun; until [ "$(wc -l < begun)" -ge 6 ]; do sleep 0.05; done; echo $SLURMD_NODENAME'
        tasks = self.tasks(together={"mode": "exec", "command": ["sh", "-c", together, "{}"]})
        job = self.submit("fantail", "map", "together", ":::", *"123456", tasks=tasks, options=("-N3", "-c2"))
        self.assertEqual(self.wait(job), 0, self.read("err"))
        nodes = sorted(self.read("out").split())
        self.assertEqual([nodes[0::2], nodes[1::2]], [sorted(set(nodes))] * 2)
        self.assert_nothing_left(self.cluster.names)

    def test_the_command_has_the_standard_input_of_the_job_and_may_start_steps(self):
        job = self.submit("sh", "-c", "fantail map square > squares; srun --overlap sh -c 'echo $SLURMD_NODENAME' > nodes",
                          options=("-N3", "-i", "items"))
        self.assertEqual(self.wait(job), 0, self.read("err"))
        self.assertEqual(self.read("squares").split(), [str(i * i) for i in range(2000)])
        self.assertEqual(len(set(self.read("nodes").split())), 3)
        self.assert_nothing_left(self.cluster.names)

    def test_the_status_of_the_command_is_that_of_the_job(self):
        self.assertEqual(self.wait(self.submit("sh", "-c", "exit 7", options=("-N2",))), 7)
        self.assertEqual(self.wait(self.submit("fantail", "map", "square", ":::", '"x"', options=("-N2",))), 1)
        self.assert_nothing_left(self.cluster.names)

    def test_a_fleet_that_cannot_start_says_why(self):
        job = self.submit("fantail", "map", "square", ":::", "1", tasks=os.path.join(self.folder, "no-such"), options=("-N2",))
        self.assertEqual(self.wait(job), 3)
        self.assertIn("no worker could start", self.read("err"))
        self.assertRegex(self.read("err"), "worker: .*no-such")
        self.assert_nothing_left(self.cluster.names)

    def test_scancel_ends_everything_and_the_log_is_right(self):
        tasks = self.tasks(slow=SLOW)
        line = ("fantail", "map", "slow", "-a", "items", "--order", "completion", "--joblog", "log", "--resume")
        for options in ((), ("--batch", "--signal=TERM")):
            before = len(self.done())
            job = self.submit(*line, tasks=tasks, options=("-N4", "-c2"))
            wait_until(lambda least=before + 50: len(self.done()) >= least, "some items")
            self.cluster.run("scancel", *options, str(job))
            self.wait(job)
            self.assert_nothing_left(self.cluster.names)
            self.assertEqual(len(set(self.done())), len(self.done()))
            if options:
                self.assertEqual(set(self.ran()[before:]) - set(self.done()), set(), "the drain has lost items that ran")

    def test_the_job_begins_again_elsewhere_if_its_first_node_dies(self):
        write_file(os.path.join(self.work, "items"), "".join(f"{i}\n" for i in range(200)))
        job = self.submit("fantail", "map", "slow", "-a", "items", "--order", "completion", "--joblog", "log", "--resume",
                          tasks=self.tasks(slow=SLOW), options=("-N2", "-c2"))
        wait_until(lambda: len(self.done()) >= 20, "the first items")
        first = self.cluster.job(job)["BatchHost"]
        self.cluster.cut_off(first)
        wait_until(lambda: self.cluster.job(job)["Restarts"] == "1", "the job waits for other nodes", ALLOCATION_S)
        self.assertEqual(self.wait(job), 0, self.read("err"))
        self.assertEqual(sorted(self.done()), list(range(200)))
        self.assertEqual(sorted(set(map(int, self.read("out").split()))), [i * i for i in range(200)])


if __name__ == "__main__":
    main()
