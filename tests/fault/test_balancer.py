"""A real load balancer between the coordinator and the workers."""
import os
import shutil
import signal
import socket
import subprocess
import time
import unittest

import fantail_testing as ft
from fault_testing import SLOW, SLOW_REASON, FaultTest, Monkey, kill, say, sleep_items
from fantail_testing import in_time, wait_until, with_more_time

CONFIG = """
global
    maxconn 2000
defaults
    mode {mode}
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout queue 5s
    option abortonclose
    option http-no-delay
    option redispatch 1
    {options}
frontend in
    bind 127.0.0.1:{port}
    default_backend workers
backend workers
    balance {balance}
{servers}
"""


@unittest.skipUnless(shutil.which("haproxy"), "haproxy is missing (package haproxy)")
class Balanced(FaultTest):
    def haproxy(self, workers, mode="http", balance="leastconn"):
        port = self.free_port()
        path = os.path.join(self.folder, "haproxy.cfg")
        servers = "\n".join(f"    server w{i} 127.0.0.1:{w.port} check inter 200ms fall 2 rise 1"
                            for i, w in enumerate(workers))
        options = "option httpchk GET /readyz" if mode == "http" else ""
        ft.write_file(path, CONFIG.format(port=port, mode=mode, balance=balance, servers=servers, options=options))
        with open(os.path.join(self.folder, "haproxy.log"), "wb") as log:
            process = subprocess.Popen(["haproxy", "-f", path, "-db"], stdout=log, stderr=log)

        def end():
            process.kill()
            process.wait()
        self.addCleanup(end)

        def listens():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0
        wait_until(listens, "HAProxy")
        return port

    def balanced_fleet(self, workers=2, *arguments, processes=2, mode="http", balance="leastconn"):
        started = [self.worker(*arguments, processes=processes) for _ in range(workers)]
        port = self.haproxy(started, mode, balance)
        return ft.Fleet(self, self.coordinator(f"http://127.0.0.1:{port}"), started)

    def test_a_job_goes_through_and_both_workers_get_work(self):
        def attempt(count):
            fleet = self.balanced_fleet()
            items = sleep_items(count, 0.005)
            _, lines = self.timed_stream(fleet, {"task": "sleep", "items": items})
            self.assert_all_right(lines, items)
            done = [fleet.metric(worker, "fantail_items_total") for worker in fleet.workers]
            say(f"items per worker through HAProxy: {done}")
            in_time(min(done) > 60, "more than 60 items for each worker")
        with_more_time(attempt, (400, 1600, 6400))

    def test_cancel_through_it_stops_the_processors(self):
        fleet = self.balanced_fleet()
        with fleet.stream({"task": "misbehave", "items": [{"do": "burn"}] * 8}, query="?progress_s=0.2") as stream:
            burning = fleet.wait_until_burning(2)
            stream.hang_up()
            start = time.monotonic()
        fleet.wait_until_quiet(burning)
        say(f"cancel through HAProxy: quiet after {time.monotonic() - start:.1f} s")
        self.assertEqual(fleet.job({"task": "square", "items": [3]}).json["results"], [9])

    def test_a_deadline_through_it_stops_the_processors(self):
        fleet = self.balanced_fleet()

        def attempt(deadline_s):
            job = {"task": "misbehave", "items": [{"do": "burn"}] * 8, "deadline_s": deadline_s}
            with fleet.stream(job) as stream:
                burning = fleet.wait_until_burning(2, deadline_s)
                self.assertEqual(stream.rest()[-1]["status"], "timed_out")
            fleet.wait_until_quiet(burning)
        with_more_time(attempt, (2, 8, 32))

    def test_a_killed_worker_behind_it_costs_no_item(self):
        fleet = self.balanced_fleet(workers=3)
        items = sleep_items(600, 0.01)
        with fleet.stream({"task": "sleep", "items": items}) as stream:
            lines = [stream.line() for _ in range(50)]
            fleet.workers[0].kill()
            lines += stream.rest()
        self.assert_all_right(lines, items)

    def test_a_drained_worker_behind_it_costs_no_item_and_no_retry(self):
        """During the shutdown delay, a draining worker still accepts requests. Meanwhile, the health checks of HAProxy
        find that the worker is not ready."""
        def attempt(delay_s):
            fleet = self.balanced_fleet(2, "--shutdown-delay-s", delay_s)
            items = sleep_items(600, delay_s / 75)  # about half of the items run after the delay
            with fleet.stream({"task": "sleep", "items": items}) as stream:
                lines = [stream.line() for _ in range(50)]
                fleet.workers[0].send_signal(signal.SIGTERM)
                lines += stream.rest()
            self.assert_all_right(lines, items)
            in_time(lines[-1]["counts"]["retried"] == 0, "health checks that are quicker than the shutdown delay")
        with_more_time(attempt, (1, 4, 16))

    @unittest.skipUnless(SLOW, SLOW_REASON)
    def test_workers_killed_at_random_behind_it(self):
        fleet = self.balanced_fleet(workers=4)
        items = sleep_items(10000, 0.005)
        with Monkey(self, fleet, kill, every_s=1, processes=2):
            seconds, lines = self.timed_stream(fleet, {"task": "sleep", "items": items})
        say(f"killed behind HAProxy: {seconds:.1f} s, {lines[-1]['counts']}")
        self.assert_all_right(lines, items)

    @unittest.skipUnless(SLOW, SLOW_REASON)
    def test_a_new_worker_behind_a_per_connection_balancer_carries_its_share(self):
        first, late = self.worker(), self.worker()
        late.stop()
        port = self.haproxy([first, late], mode="tcp", balance="roundrobin")
        fleet = ft.Fleet(self, self.coordinator(f"http://127.0.0.1:{port}"), [first])
        with fleet.stream({"task": "sleep", "items": [0.05] * 6000}, timeout_s=300) as stream:
            for _ in range(200):
                stream.line()
            added = self.worker(port=late.port)
            start = time.monotonic()

            def share():
                before = [fleet.metric(w, "fantail_items_total") for w in (first, added)]
                for _ in range(150):
                    stream.line()
                now = [fleet.metric(w, "fantail_items_total") for w in (first, added)]
                mine, all_of_it = now[1] - before[1], sum(now) - sum(before)
                return all_of_it and mine / all_of_it > 0.4
            wait_until(share, "a fair share for the new worker")
            seconds = time.monotonic() - start
            stream.hang_up()
        say(f"a new worker behind a TCP balancer has its share of the work after {seconds:.0f} s")
        self.assertLess(seconds, 30)


if __name__ == "__main__":
    ft.main()
