"""Replaces both coordinators one after the other, as a rolling update does, while clients of every kind are active."""
import collections
import os
import signal
import subprocess
import threading

import fantail_testing as ft
import proxies
import replicas
from durable_clients import Client, Curl
from fantail_testing import wait_until
from fault_testing import SLOW, say

ROUNDS = 5 if SLOW else 1
JOBS, ITEMS = (20, 5000) if SLOW else (6, 800)
LONG = 10 * ITEMS  # number of items of the job that curl follows
MAPPED = 20000 if SLOW else 2000
PAUSE_S = 0.002


@proxies.needs("haproxy")
class Replacement(replicas.ReplicasTest):
    TIME_LIMIT_S = 900 if SLOW else 240

    def start_fleet(self):
        # The items of `mapped` must not run twice. The items of `stored` may run twice, as a hedge or after a
        # take-over.
        places = {name: os.path.join(self.folder, name) for name in ("mapped", "stored")}
        tasks = self.tasks(**{name: {"json": {"mode": "python", "command": "counts:run", "idempotent": name == "stored",
                                              "env": {"RUNS": place, "PAUSE_S": str(PAUSE_S)}},
                                     "files": {"counts.py": replicas.COUNTS}} for name, place in places.items()})
        self.workers = [self.worker(tasks=tasks) for _ in range(2)]
        for _ in range(2):
            # The shutdown delay is long enough for the health checks of the proxy to find that a coordinator is not
            # ready.
            self.start_coordinator("--shutdown-delay-s", 4, "--drain-s", 120)
        return proxies.start_pool(self, [c.port for c in self.coordinators]), places

    @staticmethod
    def client(port, number, count=ITEMS):
        items = list(range(count))
        return Client(port, f"job-{number}", "stored", items, [2 * n for n in items])

    def start_map(self, port):
        """Starts `fantail map`. Its input keeps arriving until both coordinators have been replaced, so jobs begin and end all
        the time."""
        self.out, self.err = (open(os.path.join(self.folder, f"map.{end}"), "w+b") for end in ("out", "err"))
        self.addCleanup(self.out.close)
        self.addCleanup(self.err.close)
        run = subprocess.Popen([os.path.join(ft.BIN, "fantail"), "map", "mapped", "--url", f"http://127.0.0.1:{port}"],
                               stdin=subprocess.PIPE, stdout=self.out, stderr=self.err, env=self.environment())
        self.addCleanup(run.wait)
        self.addCleanup(run.kill)
        feeder = threading.Thread(target=self.feed, args=(run.stdin,), daemon=True)
        feeder.start()
        return run

    def feed(self, stdin):
        with stdin:
            for n in range(MAPPED):
                stdin.write(b"%d\n" % n)
                if n % 100 == 99:
                    stdin.flush()
                    self.over.wait(ROUNDS * 20 * 100 / MAPPED)

    def replace(self, i):
        ending = self.coordinators[i]
        ending.send_signal(signal.SIGTERM)
        self.assertEqual(ending.wait(150), 0, ending.describe())
        started = self.start_again(ending)
        wait_until(lambda: self.state(started) == "ready", "a store that is ready")
        ports = [c.port for c in self.coordinators]
        wait_until(lambda: proxies.pool_servers_up(self, ports) == len(ports), "a proxy that uses each coordinator")

    @staticmethod
    def runs(path):
        with open(path, encoding="ascii") as lines:
            return collections.Counter(lines.read().split())

    def test_no_client_notices_that_both_coordinators_are_replaced(self):
        port, places = self.start_fleet()
        self.over = threading.Event()
        mapping = self.start_map(port)
        clients = [self.client(port, 0, LONG)]
        wait_until(lambda: clients[0].id, "the first job")
        curl = Curl(port, clients[0].id, clients[0].answers)
        clients += [self.client(port, n) for n in range(1, JOBS // 2)]
        for step in range(2 * ROUNDS):
            while len(clients) < JOBS * (step + 2 * ROUNDS) // (4 * ROUNDS):
                clients.append(self.client(port, len(clients)))
            self.replace(step % 2)
        clients += [self.client(port, n) for n in range(len(clients), JOBS)]
        self.over.set()
        for client in (*clients, curl):
            client.join()
        self.assertEqual([c.problem for c in (*clients, curl) if c.problem], [])
        self.assertEqual((mapping.wait(120), self.errors()), (0, b""))
        self.check_map(places["mapped"])
        self.check_jobs(clients, places["stored"])
        say(f"{2 * ROUNDS} replacements: {MAPPED} mapped items, {JOBS} jobs of {ITEMS} or {LONG} items; followers read on"
            f" {sum(c.cuts for c in clients)} times, curl {curl.runs - 1} times")

    def errors(self):
        self.err.seek(0)
        return self.err.read()

    def check_map(self, runs):
        self.out.seek(0)
        self.assertEqual(self.out.read(), b"".join(b"%d\n" % (2 * n) for n in range(MAPPED)))
        self.assertEqual([n for n, count in self.runs(runs).items() if count > 1], [], "items that ran twice")

    def check_jobs(self, clients, runs):
        self.assertEqual([(c.key, c.refusals, c.lost_submissions) for c in clients if c.refusals or c.lost_submissions], [])
        for client in clients:
            self.assert_each_once(client.id, len(client.items))
        self.assertEqual(len(self.runs(runs)), LONG)
        say(f"{sum(self.runs(runs).values()) - sum(len(c.items) for c in clients)} items of durable jobs ran twice")


if __name__ == "__main__":
    ft.main()
