"""Rollouts while every name server answers from a cache of 30 s, as cluster DNS does.

In a network namespace of this process, the workers have the addresses 127.0.1.N, and the coordinators 127.0.2.N. The
address 127.0.3.1 is a balancer of the coordinators, like the cluster address of a Service. The balancer always knows
which coordinators are ready.
"""
import json
import random
import signal
import socket
import tempfile
import threading
import time
import unittest

import fantail_testing as ft
import private_network
from fantail_testing import wait_until
from fault_testing import FaultTest, say
from name_server import NameServer

REASON = None
CACHE_S = 30
WORKERS, COORDINATORS, BALANCER = "workers.test", "coordinators.test", "balancer.test"
TOKEN = "workers-0123456789abcdef"
# This limit is well below CACHE_S, so a program that meets it has not waited for the cache to expire. The limit is
# several times as long as an idle machine needs.
LIMIT_S = 12


def setUpModule():
    global REASON
    REASON = private_network.enter()
    if REASON:
        raise unittest.SkipTest(REASON)


class Balancer:
    """Forwards each connection to a random coordinator. Like kube-proxy, it forwards bytes and knows no HTTP."""

    def __init__(self, address):
        self.coordinators = []
        self.listener = socket.create_server((address, 8080), backlog=100)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client):
        with client:
            try:
                with socket.create_connection((random.choice(self.coordinators), 8080), timeout=10) as server:
                    back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
                    back.start()
                    self._copy(client, server)
                    back.join()
            except (OSError, IndexError):
                pass

    @staticmethod
    def _copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class CachedNames(FaultTest):
    @classmethod
    def setUpClass(cls):
        cls.resolver_folder = tempfile.TemporaryDirectory(prefix="fantail-dns-")
        try:
            private_network.use_resolver(cls.resolver_folder.name)
        except OSError as e:
            raise unittest.SkipTest(f"resolv.conf cannot be replaced here: {e}")
        cls.names = NameServer(CACHE_S)
        cls.balancer = Balancer("127.0.3.1")

    def setUp(self):
        super().setUp()
        self.tokens = f"{self.folder}/tokens"
        ft.write_file(self.tokens, TOKEN + "\n")
        self.balancer.coordinators = []
        self.names.set(BALANCER, ["127.0.3.1"])
        self.names.set(WORKERS, [])
        self.names.set(COORDINATORS, [])
        self.coordinators, self.workers = {}, {}  # the ready programs, by address
        self.next_worker, self.next_coordinator = 1, 1

    def publish(self):
        """Immediately puts the ready programs into the records and the balancer, as an orchestrator does."""
        self.names.set(WORKERS, self.workers)
        self.names.set(COORDINATORS, self.coordinators)
        self.balancer.coordinators = list(self.coordinators)

    def add_worker(self, register=f"dns://{COORDINATORS}:8080,balancer://{BALANCER}:8080"):
        address = f"127.0.1.{self.next_worker}"
        self.next_worker += 1
        worker = self.start("fantail-worker", "--host", address, "--port", 8081, "--admin-port", 0, "--tasks",
                            ft.EXAMPLE_TASKS, "--processes", 2, "--token-file", self.tokens, "--register", register,
                            ready=True)
        worker.ready_at = time.monotonic()
        self.workers[address] = worker
        self.publish()
        return worker

    def add_coordinator(self, workers=f"dns://{WORKERS}:8081"):
        address = f"127.0.2.{self.next_coordinator}"
        self.next_coordinator += 1
        coordinator = self.start("fantail-coordinator", "--host", address, "--port", 8080, "--admin-port", 0,
                                 "--workers", workers, "--register-workers", "--worker-token-file", self.tokens,
                                 "--dns-refresh-s", 1, ready=True)
        coordinator.host, coordinator.ready_at = address, time.monotonic()
        self.coordinators[address] = coordinator
        self.publish()
        return coordinator

    def end(self, program):
        """Ends a program as an orchestrator does: first removes it from the records, and then sends SIGTERM."""
        for group in (self.workers, self.coordinators):
            for address in [a for a, p in group.items() if p is program]:
                del group[address]
        self.publish()
        program.send_signal(signal.SIGTERM)

    def stream(self, coordinator, items):
        stream = ft.Stream(8080, json.dumps({"task": "sleep", "items": items}).encode(),
                           {"Content-Type": ft.JSON, "Accept": ft.NDJSON}, host=coordinator.host, timeout_s=120)
        self.addCleanup(stream.close)
        return stream

    def wait_registered(self, coordinator, count):
        wait_until(lambda: ft.metric_sum(ft.metrics(coordinator), "fantail_workers_registered") == count,
                   f"{count} registered workers")

    def worked(self, worker):
        return ft.metric_sum(ft.metrics(worker), "fantail_items_total") > 0

    def fleet_of(self, coordinators, workers):
        coordinators = [self.add_coordinator() for _ in range(coordinators)]
        workers = [self.add_worker() for _ in range(workers)]
        for coordinator in coordinators:
            self.wait_registered(coordinator, len(workers))
        self.names.refill()
        return coordinators, workers

    def assert_cached(self, name, programs):
        """Checks that the cache has none of these programs, so that no program can have found them through the
        cache."""
        published = {WORKERS: self.workers, COORDINATORS: self.coordinators}[name]
        addresses = {address for address, program in published.items() if program in programs}
        self.assertEqual(len(addresses), len(programs))
        self.assertEqual(addresses & set(self.names.cached(name)), set(), "the cache expired; the machine is very slow")

    def read_in_background(self, stream):
        """Reads the stream in a thread. Returns the thread, the lines, and a list with the longest pause between two
        lines."""
        lines, longest = [], [0.0]

        def read():
            last = time.monotonic()
            while (line := stream.line()) is not None:
                now = time.monotonic()
                longest[0] = max(longest[0], now - last)
                last = now
                lines.append(line)
        thread = threading.Thread(target=read)
        thread.start()
        return thread, lines, longest

    def test_a_new_worker_gets_work_at_once(self):
        (coordinator,), _ = self.fleet_of(1, 1)
        items = [0.05] * 400
        stream = self.stream(coordinator, items)
        thread, lines, _ = self.read_in_background(stream)
        wait_until(lambda: lines, "a running stream")
        new = self.add_worker()
        wait_until(lambda: self.worked(new), "work for the new worker", LIMIT_S)
        say(f"a cache of {CACHE_S} s: the first item of a new worker was answered {time.monotonic() - new.ready_at:.2f} s"
            " after it was ready")
        self.assert_cached(WORKERS, [new])
        thread.join()
        self.assert_all_right(lines, items)

    def test_a_rollout_of_all_workers_does_not_stop_a_stream(self):
        (coordinator,), old = self.fleet_of(1, 3)
        items = [0.05] * 2000
        stream = self.stream(coordinator, items)
        thread, lines, longest = self.read_in_background(stream)
        wait_until(lambda: lines, "a running stream")
        began, new = time.monotonic(), []
        for worker in old:
            new.append(self.add_worker())
            self.end(worker)
        for worker in new:
            wait_until(lambda: self.worked(worker), "work for the new worker", LIMIT_S)
        self.assert_cached(WORKERS, new)
        took = time.monotonic() - began
        thread.join()
        self.assert_all_right(lines, items)
        say(f"a cache of {CACHE_S} s: all 3 workers were replaced within {took:.1f} s; the longest pause of the stream "
            f"was {longest[0]:.2f} s")
        self.assertLess(longest[0], LIMIT_S)

    def test_a_rollout_of_all_coordinators_and_all_workers_at_once(self):
        """After the rollout, the cached answers list only coordinators and workers that have ended."""
        coordinators, workers = self.fleet_of(2, 2)
        new_coordinators, new_workers = [], []
        for old_coordinator, old_worker in zip(coordinators, workers):
            new_coordinators.append(self.add_coordinator())
            self.end(old_coordinator)
            new_workers.append(self.add_worker())
            self.end(old_worker)
        items = [0.05] * 40
        streams = [self.stream(coordinator, items) for coordinator in new_coordinators]
        for coordinator, stream in zip(new_coordinators, streams):
            self.assertEqual(stream.line_of("result")["index"], 0)
            say(f"a cache of {CACHE_S} s, both rolled out: the first item of a new coordinator was answered "
                f"{time.monotonic() - coordinator.ready_at:.2f} s after it was ready")
            self.wait_registered(coordinator, 2)
            say(f"    it knew all workers {time.monotonic() - coordinator.ready_at:.2f} s after it was ready")
        self.assert_cached(WORKERS, new_workers)
        self.assert_cached(COORDINATORS, new_coordinators)
        for stream in streams:
            self.assertEqual(stream.rest()[-1]["status"], "succeeded")

    def test_a_new_coordinator_needs_no_list_of_workers(self):
        """The cached list of coordinators does not have the new coordinator. Each worker finds the new coordinator
        through the balancer."""
        (first,), _ = self.fleet_of(1, 2)
        new = self.add_coordinator(workers="register://")
        self.wait_registered(new, 2)
        say(f"a cache of {CACHE_S} s: both workers had registered at a new coordinator {time.monotonic() - new.ready_at:.2f} s"
            " after it was ready")
        self.assert_cached(COORDINATORS, [new])
        self.end(first)
        self.assertEqual(self.stream(new, [0.01] * 10).rest()[-1]["status"], "succeeded")

    def test_a_balancer_alone_is_enough(self):
        coordinators = [self.add_coordinator(workers="register://") for _ in range(3)]
        worker = self.add_worker(register=f"balancer://{BALANCER}:8080")
        for coordinator in coordinators:
            self.wait_registered(coordinator, 1)
        say(f"a worker had found three coordinators through their balancer {time.monotonic() - worker.ready_at:.2f} s after "
            "it was ready")
        wait_until(lambda: ft.metric_sum(ft.metrics(worker), "fantail_registered_coordinators") == 3, "all three")
        self.end(worker)
        for coordinator in coordinators:
            self.wait_registered(coordinator, 0)


if __name__ == "__main__":
    ft.main()
