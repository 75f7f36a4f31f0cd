"""A container reaches its memory limit. In a cluster, the kernel kills all processes of the container together, because a
kubelet sets memory.oom.group.

A container is a control group (version 2). If control groups can limit memory on this machine, `memory.max` and
`memory.oom.group` work as in a cluster. If control groups cannot limit memory, this test watches the memory of the group. At
the limit, the test kills the group with `cgroup.kill`, which sends SIGKILL to all processes together, as the kernel does.
"""
import os
import threading
import time

import fantail_testing as ft
from fault_testing import FaultTest, Supervisor, say

LIMIT = 700 << 20  # a sanitized worker and its processes use up to 300 MiB
EAT = """
import time

def run(item):
    if item != "large":
        time.sleep(0.01)
        return item
    held = []
    for _ in range(80):
        held.append(bytearray(b"x" * (32 << 20)))
        time.sleep(0.01)
    return len(held)
"""
ITEMS = [*range(100), "large", *range(101, 200)]
ROOT = next((path for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
             if os.path.exists(path + "/cgroup.controllers")), None)


class Container:
    """A control group with a memory limit."""

    def __init__(self, name):
        self.path = f"{ROOT}/fantail-test-{os.getpid()}-{name}"
        os.mkdir(self.path)
        self.limited = os.path.exists(self.path + "/memory.oom.group")
        self.over = threading.Event()
        if self.limited:
            self.write("memory.max", LIMIT)
            self.write("memory.oom.group", 1)
        else:
            threading.Thread(target=self._watch, daemon=True).start()

    def write(self, name, value):
        with open(f"{self.path}/{name}", "w", encoding="ascii") as file:
            file.write(str(value))

    def enter(self):
        """Moves the calling process into the group. Use this as the preexec_fn of a program."""
        self.write("cgroup.procs", os.getpid())

    def processes(self):
        with open(self.path + "/cgroup.procs", encoding="ascii") as file:
            return file.read().split()

    def memory(self):
        pages = 0
        for pid in self.processes():
            try:
                with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                    _, resident, shared, *_ = map(int, file.read().split())
                pages += resident - shared
            except OSError:
                pass  # the process has ended
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _watch(self):
        while not self.over.wait(0.005):
            if self.memory() > LIMIT:
                self.write("cgroup.kill", 1)

    def close(self):
        self.over.set()
        self.write("cgroup.kill", 1)
        ft.wait_until(lambda: not self.processes(), "an empty control group")
        os.rmdir(self.path)


def why_not():
    if not ROOT:
        return "there are no control groups of version 2"
    try:
        probe = Container("probe")
    except OSError as e:
        return f"control groups cannot be made here: {e}"
    try:
        if not os.path.exists(probe.path + "/cgroup.kill"):
            return "this kernel has no cgroup.kill (Linux 5.14)"
        probe.close()
    except OSError as e:
        return f"control groups cannot be used here: {e}"
    return None


class ContainerMemory(FaultTest):
    def setUp(self):
        reason = why_not()
        if reason:
            self.skipTest(reason)
        self.containers = []
        self.addCleanup(lambda: [container.close() for container in self.containers])  # after the programs have ended
        super().setUp()

    def worker(self, *arguments, tasks=None, port=None, **_):
        """Starts a worker in its own container."""
        container = Container(len(self.containers))
        self.containers.append(container)
        worker = self.start("fantail-worker", "--port", port or self.free_port(), "--admin-port", self.free_port(), "--tasks",
                            tasks, "--processes", 2, *arguments, ready=True, before_exec=container.enter)
        self.assertIn(str(worker.pid), container.processes())
        return worker

    def eating_fleet(self, **options):
        tasks = self.tasks(eat={"json": {"mode": "python", "command": ["task:run"], **options}, "files": {"task.py": EAT}})
        return tasks, self.fleet(workers=2, tasks=tasks)

    def failures(self, answer):
        self.assertEqual([value for value in answer["results"] if value is not None], [i for i in ITEMS if i != "large"])
        return [(entry["index"], entry["error"]["name"]) for entry in answer["errors"]]

    def test_one_item_kills_its_worker_with_all_processes_and_only_that_item_fails(self):
        tasks, fleet = self.eating_fleet()
        began = time.monotonic()
        with Supervisor(self, fleet, tasks=tasks) as supervisor:  # restarts a container, as a kubelet does
            answer = fleet.job({"task": "eat", "items": ITEMS, "chunk_size": 20, "retry": {"max_attempts": 3}},
                               timeout_s=180).json
        means = "the kernel" if self.containers[0].limited else "this test"
        say(f"{supervisor.deaths} containers were killed whole (by {means}) for one item, in {time.monotonic() - began:.1f} s: "
            f"{answer['counts']}")
        self.assertEqual(self.failures(answer), [(100, "worker_lost")])
        if self.containers[0].limited:
            self.assertIn('"tasks":"eat"', fleet.workers[0].stderr())
        self.assertGreaterEqual(supervisor.deaths, 2)

    def test_with_memory_bytes_only_the_process_of_the_item_ends(self):
        _, fleet = self.eating_fleet(memory_bytes=200 << 20)
        answer = fleet.job({"task": "eat", "items": ITEMS, "chunk_size": 20, "retry": {"max_attempts": 3}}, timeout_s=180).json
        self.assertEqual(self.failures(answer), [(100, "out_of_memory")])
        self.assertTrue(all(worker.alive() for worker in fleet.workers))
        self.assertEqual(len(self.containers), 2)


if __name__ == "__main__":
    ft.main()
