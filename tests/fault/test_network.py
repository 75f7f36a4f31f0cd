"""Lost packets, a cut link, and names whose addresses change. The tests run in network namespaces of this process."""
import http.client
import tempfile
import threading
import time
import unittest

import fantail_testing as ft
import private_network
from fault_testing import SLOW, FaultTest, say, sleep_items
from fantail_testing import in_time, wait_until, with_more_time
from name_server import NameServer

REASON = None


def setUpModule():
    global REASON
    REASON = private_network.enter()
    if REASON:
        raise unittest.SkipTest(REASON)


class OtherHosts(FaultTest):
    def far_worker(self, number, **options):
        host = private_network.Host(number)
        self.addCleanup(host.close)
        worker = self.start("fantail-worker", "--host", host.address, "--insecure", "--port", 8081, "--admin-host",
                            host.address, "--admin-port", 9081, "--tasks",
                            ft.EXAMPLE_TASKS, "--processes", 2, ready=True, before_exec=host.enter)
        return host, worker

    def work_of(self, host):
        """Returns how many items the worker on the other host has answered."""
        connection = http.client.HTTPConnection(host.address, 9081, timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("fantail_items_total{"))

    def fleet_with(self, host, near=3):
        workers = [self.worker() for _ in range(near)]
        addresses = [f"127.0.0.1:{w.port}" for w in workers] + [f"{host.address}:8081"]
        return ft.Fleet(self, self.coordinator("static://" + ",".join(addresses)), workers)

    def test_one_of_four_workers_loses_30_percent_of_its_packets(self):
        host, _ = self.far_worker(1)
        fleet = self.fleet_with(host)
        means = host.lose(30)
        if not means:
            self.skipTest("neither netem nor the statistic match of iptables")
        items = sleep_items(20000 if SLOW else 2000, 0.005)
        seconds, lines = self.timed_stream(fleet, {"task": "sleep", "items": items})
        say(f"30 % loss ({means}) on one of four: {len(items)} items in {seconds:.1f} s, {lines[-1]['counts']}")
        self.assert_all_right(lines, items)

    def test_a_wire_that_is_cut_costs_no_item(self):
        host, _ = self.far_worker(2)
        fleet = self.fleet_with(host)
        items = sleep_items(2000, 0.005)
        with fleet.stream({"task": "sleep", "items": items}) as stream:
            lines = [stream.line() for _ in range(200)]
            far = self.work_of(host)
            host.cut()
            start = time.monotonic()
            lines += stream.rest()
        self.assertGreater(far, 0, "the far worker had no work")
        say(f"a cut wire, {far:.0f} items answered before: the rest took {time.monotonic() - start:.1f} s, {lines[-1]['counts']}")
        self.assert_all_right(lines, items)


NAME = "workers.test"


class Names(FaultTest):
    """Coordinators find workers by dns://, with a name server that the test runs."""

    @classmethod
    def setUpClass(cls):
        cls.resolver_folder = tempfile.TemporaryDirectory(prefix="fantail-dns-")
        try:
            private_network.use_resolver(cls.resolver_folder.name)
        except OSError as e:
            raise unittest.SkipTest(f"resolv.conf cannot be replaced here: {e}")
        cls.names = NameServer()

    def named_worker(self, last, processes=1):
        return self.start("fantail-worker", "--host", f"127.0.1.{last}", "--port", 8081, "--admin-port", 0, "--tasks",
                          ft.EXAMPLE_TASKS, "--processes", processes, ready=True)

    def named_fleet(self, count):
        workers = [self.named_worker(i + 1) for i in range(count)]
        self.names.set(NAME, [f"127.0.1.{i + 1}" for i in range(count)])
        return ft.Fleet(self, self.coordinator(f"dns://{NAME}:8081"), workers)

    def test_equal_workers_get_equal_work(self):
        fleet = self.named_fleet(20 if SLOW else 5)

        def attempt(count):
            """By chance or on a busy machine, one worker may get more items than the other workers for a while. In longer
            runs, the workers' shares are more equal."""
            items = sleep_items(count * len(fleet.workers), 0.01)
            before = [fleet.metric(w, "fantail_items_total") for w in fleet.workers]
            _, lines = self.timed_stream(fleet, {"task": "sleep", "items": items})
            self.assert_all_right(lines, items)
            done = [fleet.metric(w, "fantail_items_total") - n for w, n in zip(fleet.workers, before)]
            ratio = max(done) / (sum(done) / len(done))
            say(f"balance over {len(done)} workers in dns mode: max/mean {ratio:.2f}")
            in_time(ratio < (1.2 if SLOW else 1.5), f"a balance better than {ratio:.2f}")
        with_more_time(attempt, (200, 800))

    def test_a_worker_added_to_the_name_gets_work_and_one_removed_gets_none(self):
        fleet = self.named_fleet(2)
        added = self.named_worker(3)
        with fleet.stream({"task": "sleep", "items": [0.02] * 20000}, timeout_s=120) as stream:
            for _ in range(20):
                stream.line()
            reader = threading.Thread(target=stream.read_until_cut)
            reader.start()
            self.names.set(NAME, ["127.0.1.2", "127.0.1.3"])
            start = time.monotonic()
            wait_until(lambda: fleet.metric(added, "fantail_items_total") > 0, "work for the added worker")
            got = time.monotonic() - start
            first = fleet.workers[0]

            def idle():
                before = fleet.metric(first, "fantail_items_total")
                time.sleep(0.5)
                return fleet.metric(first, "fantail_items_total") == before
            wait_until(idle, "no work for the removed worker")
            say(f"dns: added has work after {got:.1f} s, removed has none after {time.monotonic() - start:.1f} s")
            fleet.coordinator.kill()
            reader.join()

    def test_a_name_server_that_forgets_and_remembers_costs_no_item(self):
        fleet = self.named_fleet(2)
        items = sleep_items(600, 0.02)
        with fleet.stream({"task": "sleep", "items": items}) as stream:
            lines = [stream.line() for _ in range(10)]
            self.names.set(NAME, [])
            time.sleep(6)
            self.names.set(NAME, ["127.0.1.1", "127.0.1.2"])
            lines += stream.rest()
        self.assert_all_right(lines, items)


if __name__ == "__main__":
    ft.main()
