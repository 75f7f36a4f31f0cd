"""Many durable jobs through HAProxy, while the containers of their fleet are replaced, killed, paused and restarted.

The clients retry as docs/protocol.md says, and check that each item has one answer, in order, with the right value.
"""
import concurrent.futures
import os
import random
import subprocess
import sys
import threading
import time

from compose_fleet import PORT
from engine import ROOT, check, run, say, wait_for

for folder in ("integration", "fault"):
    sys.path.append(os.path.join(ROOT, "tests", folder))
import manifest_tools  # noqa: E402 (compose_fleet has added its folder to the path)
from durable_clients import Client, Curl  # noqa: E402 (the lines above add its folder to the path)

JOBS, ITEMS = 20, 200
ROUNDS = 2
PAUSE_S = 12  # longer than a lease
MAP = os.path.join(manifest_tools.BIN, "fantail")


def items(count):
    """Returns different numbers of seconds, so that a wrong answer is noticed."""
    return [round(0.01 + i / 1e6, 6) for i in range(count)]


def client(name, count=ITEMS):
    return Client(int(PORT), name, "sleep", items(count), timeout_s=40)


def check_clients(clients, what):
    for one in clients:
        one.join()
    problems = [one.problem for one in clients if one.problem]
    cuts = sum(one.runs - 1 if isinstance(one, Curl) else one.cuts for one in clients)
    check(not problems, f"{what}: {len(clients) - len(problems)} of {len(clients)} jobs have each answer once, in order; "
                        f"followers read on {cuts} times {problems[:2]}")


class Map(threading.Thread):
    """Runs `fantail map`. Until `over` is set, an item is written every 0.1 s. Then the rest of the items is written."""

    def __init__(self, count):
        super().__init__(daemon=True)
        self.over, self.items, self.lines = threading.Event(), items(count), []
        self.process = subprocess.Popen([MAP, "map", "sleep", "--url", f"http://127.0.0.1:{PORT}"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.start()

    def run(self):
        reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        reader.start()
        with self.process.stdin as stdin:
            for item in self.items:
                stdin.write(f"{item}\n")
                stdin.flush()
                self.over.wait(0.1)
        reader.join()

    def check(self, quiet):
        """Checks the answers after the rest of the input. If `quiet` is set, `fantail map` must also have reported nothing."""
        self.over.set()
        self.join()
        said = self.process.stderr.read()
        right = self.lines == [f"{item}\n" for item in self.items]
        check(self.process.wait() == 0 and right and not (quiet and said),
              f"fantail map: exit {self.process.returncode}, {len(self.lines)} of "
              f"{len(self.items)} answers, in order: {right} {said}")


def start_map(count):
    """Starts `fantail map`, and returns a Map. If the program is not built, returns None."""
    if os.access(MAP, os.X_OK):
        return Map(count)
    say("        skipped: fantail map: run `make` first")
    return None


def replace_all(fleet, workers):
    """Replaces both coordinators one after the other, as a rolling update does."""
    clients = [client("long", 3 * ITEMS)]
    wait_for("the first job", lambda: clients[0].id)
    curl = Curl(int(PORT), clients[0].id, clients[0].items)
    mapping = start_map(600)
    for step, name in enumerate(fleet.containers("coordinator")):
        clients += [client(f"rolling-{step}-{i}") for i in range(JOBS // 2)]
        fleet.end(name, 130)
        fleet.up(2, workers)
        fleet.wait("coordinator", 2)
    if mapping:
        mapping.check(quiet=True)
    check_clients(clients, "while both coordinators were replaced")
    check_clients([curl], "curl")
    refused = [text for one in clients for text in one.refusals + one.lost_submissions]
    check(not refused, f"no submission failed {refused[:2]}")


class Storm:
    """Damages one container after the other."""

    def __init__(self, fleet, coordinators, workers):
        self.fleet, self.size = fleet, (coordinators, workers)
        self.random = random.Random(1)

    def one_of(self, service):
        return self.random.choice(self.fleet.containers(service))

    def up(self):
        self.fleet.up(*self.size)
        self.fleet.wait("coordinator", self.size[0])
        self.fleet.wait("worker", self.size[1])

    def kill(self, service):
        name = self.one_of(service)
        run("docker", "kill", name)
        with self.fleet.lock:
            run("docker", "rm", "-v", name)

    def kill_coordinator(self):
        self.kill("coordinator")

    def kill_worker(self):
        self.kill("worker")

    def pause_coordinator(self):
        """Pauses a coordinator until its leases have expired."""
        name = self.one_of("coordinator")
        run("docker", "pause", name)
        time.sleep(PAUSE_S)
        run("docker", "unpause", name)

    def end_coordinator(self):
        self.fleet.end(self.one_of("coordinator"), 130)

    def restart_database(self):
        """Ends PostgreSQL immediately, without a checkpoint."""
        run("docker", "kill", "-s", "QUIT", self.one_of("postgres"))
        time.sleep(1)

    def rage(self):
        kinds = [self.kill_coordinator, self.pause_coordinator, self.end_coordinator, self.kill_worker, self.restart_database]
        for _ in range(ROUNDS):
            for kind in self.random.sample(kinds, len(kinds)):
                say(f"        {kind.__name__}")
                kind()
                self.up()


def survive(fleet, workers):
    """Keeps JOBS jobs and a `fantail map` running while containers are damaged."""
    storm = Storm(fleet, 3, workers)
    storm.up()
    mapping = start_map(2000)
    clients = []
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        raging = thread.submit(storm.rage)
        while not raging.done():
            if sum(one.is_alive() for one in clients) < JOBS:
                clients.append(client(f"storm-{len(clients)}"))
            time.sleep(0.05)
    raging.result()  # raises the exception that has ended the storm too early
    if mapping:
        mapping.check(quiet=False)
    check_clients(clients, "in the storm")
