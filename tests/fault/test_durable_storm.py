"""Durable jobs of three coordinators behind HAProxy, while coordinators, workers, database servers and proxies are
killed, stopped and restarted."""
import collections
import contextlib
import random
import signal
import threading
import time
import unittest

import fantail_testing as ft
import proxies
import replicas
from durable_clients import Client
from fantail_testing import wait_until
from fault_testing import SLOW, say, sleep_items


class Storm(threading.Thread):
    """Damages a part of the fleet every `every_s` seconds. All kinds of damage are equally frequent. A part is never
    damaged in two ways at the same time."""

    def __init__(self, test, rounds, every_s, seed):
        super().__init__(daemon=True)
        self.test, self.every_s = test, every_s
        self.random = random.Random(seed)
        self.kinds = [self.kill_coordinator, self.stop_coordinator, self.end_coordinator, self.kill_worker,
                      self.restart_database]
        self.rounds, self.harm, self.problem = rounds, collections.Counter(), None
        self.lock, self.busy, self.pace = threading.Lock(), set(), threading.Event()
        self.servers = [test.server]
        self.start()

    def run(self):
        helpers = []
        for _ in range(self.rounds):
            for kind in self.random.sample(self.kinds, len(self.kinds)):
                helpers.append(threading.Thread(target=self.do, args=(kind,), daemon=True))
                helpers[-1].start()
                self.pace.wait(self.every_s)
        for helper in helpers:
            helper.join()

    def do(self, kind):
        try:
            kind()
        except BaseException as e:  # the test reports the error
            self.problem = self.problem or e

    @contextlib.contextmanager
    def part(self, parts, name):
        """Reserves a random free part for the `with` block, and yields the index of this part; yields None if no part is
        free."""
        with self.lock:
            free = [i for i in range(len(parts)) if (id(parts), i) not in self.busy]
            i = self.random.choice(free) if free else None
            self.busy.add((id(parts), i))
            self.harm[name if free else "harm that found no part"] += 1
        try:
            yield i
        finally:
            with self.lock:
                self.busy.discard((id(parts), i))

    def harm_coordinator(self, name, harm):
        coordinators = self.test.coordinators
        with self.part(coordinators, name) as i:
            if i is None:
                return
            harm(coordinators[i])
            if not coordinators[i].alive():
                self.test.start_again(coordinators[i])

    def kill_coordinator(self):
        self.harm_coordinator("coordinators killed", lambda c: c.kill())

    def end_coordinator(self):
        def end(coordinator):
            assert coordinator.stop() == 0, coordinator.describe()
        self.harm_coordinator("coordinators ended", end)

    def stop_coordinator(self):
        def stop(coordinator):
            coordinator.send_signal(signal.SIGSTOP)
            try:
                wait_until(lambda: self.test.has_no_lease(coordinator), "the end of its leases", 120)
            finally:
                coordinator.send_signal(signal.SIGCONT)
        self.harm_coordinator("coordinators stopped past their leases", stop)

    def kill_worker(self):
        workers = self.test.workers
        with self.part(workers, "workers killed") as i:
            if i is not None:
                workers[i].kill()
                workers[i] = self.test.worker(port=workers[i].port)

    def restart_database(self):
        with self.part(self.servers, "restarts of the database") as i:
            if i is not None:
                self.servers[i].stop(signal.SIGQUIT)
                self.servers[i].start()


@proxies.needs("haproxy")
class DurableStorm(replicas.ReplicasTest):
    TIME_LIMIT_S = 900 if SLOW else 240
    WORKERS, COORDINATORS = (5, 3) if SLOW else (2, 3)
    JOBS, ITEMS, ITEM_S = (20, 50000, 0.001) if SLOW else (6, 1500, 0.004)
    ROUNDS = 12 if SLOW else 1

    def has_no_lease(self, coordinator):
        """Returns whether the leases of this coordinator have expired; False if the database does not answer."""
        count = self.server.run("psql", "-X", "-q", "-A", "-t", "-d", self.url, "-c",
                                "SELECT count(*) FROM fantail.job j JOIN fantail.coordinator c ON c.id = j.holder"
                                f" WHERE c.name LIKE '%/{coordinator.pid}' AND j.state = 'running'"
                                " AND j.lease_until_ms > extract(epoch FROM clock_timestamp()) * 1000", check=False)
        return count == "0"

    def start_fleet(self):
        self.workers = [self.worker() for _ in range(self.WORKERS)]
        for _ in range(self.COORDINATORS):
            self.start_coordinator()
        return proxies.start_pool(self, [c.port for c in self.coordinators])

    def client(self, port, number):
        items = [round(item + number * 1e-6, 9) for item in sleep_items(self.ITEMS, self.ITEM_S)]
        return Client(port, f"job-{number}", "sleep", items)

    def test_each_job_ends_right_whatever_is_killed_stopped_or_restarted(self):
        port = self.start_fleet()
        clients = [self.client(port, number) for number in range(self.JOBS // 2)]
        wait_until(lambda: all(c.id or c.problem for c in clients), "the first jobs", 120)
        begun = time.monotonic()
        storm = Storm(self, self.ROUNDS, 1, seed=self.JOBS)
        while len(clients) < self.JOBS:
            clients.append(self.client(port, len(clients)))
            storm.join(self.ROUNDS * len(storm.kinds) / self.JOBS)
        storm.join()
        over = sum(c.over.is_set() for c in clients)
        say(f"the storm took {time.monotonic() - begun:.0f} s: {dict(storm.harm)}; {over} of {self.JOBS} jobs ended meanwhile")
        self.assertIsNone(storm.problem)
        for client in clients:
            client.join()
        say(f"all jobs took {time.monotonic() - begun:.0f} s; their clients were cut {sum(c.cuts for c in clients)} times,"
            f" and refused {sum(len(c.refusals) for c in clients)} times")
        self.assertEqual([c.problem for c in clients if c.problem], [])
        self.assertEqual(self.sql("SELECT count(*) FROM fantail.job"), str(self.JOBS))
        for client in clients:
            self.assert_each_once(client.id, self.ITEMS)


if __name__ == "__main__":
    ft.main()
