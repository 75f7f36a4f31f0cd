"""Workers killed, stopped, drained, started late or made slow while a job runs: every item gets its right answer."""
import math
import threading
import time
import unittest

import fake_worker as fw
import fantail_testing as ft
from fault_testing import (EJECTION_S, SLOW, SLOW_REASON, FaultTest, Monkey, Supervisor, drain, freeze, kill, say,
                           sleep_items)
from fantail_testing import in_time, wait_until, with_more_time


# The retry budget of docs/decisions/scheduler.md: a share of the first attempts, a minimum number per job, and a number
# per second.
BUDGET_SHARE, BUDGET_MIN, BUDGET_PER_S = 0.2, 3, 10


class Monkeys(FaultTest):
    """Runs items of 5 ms. Meanwhile, every 200 ms, a random worker is damaged."""

    ITEMS = sleep_items(20000 if SLOW else 3000, 0.005)

    def run_hurt(self, name, hurt, workers=4, processes=2, items=None):
        items = items or self.ITEMS
        fleet = self.fleet(workers=workers, processes=processes)
        with Monkey(self, fleet, hurt, processes=processes) as monkey:
            seconds, lines = self.timed_stream(fleet, {"task": "sleep", "items": items})
        counts = lines[-1]["counts"]
        say(f"{name}: {len(items)} items of 5 ms, {monkey.hurts} times hurt, {seconds:.1f} s, counts {counts}")
        self.assert_all_right(lines, items)
        self.assert_within_budget(fleet, seconds)
        return counts

    def assert_within_budget(self, fleet, seconds):
        """Checks the number of failed attempts. All failed attempts were repeated, and the budget limits the number of
        repeated attempts."""
        text = ft.request(fleet.coordinator.admin_port, "GET", "/metrics").body.decode()
        ended = {result: ft.metric_sum(text, "fantail_chunk_attempts_total", result=result)
                 for result in ("complete", "lost", "silent", "not_connected", "unavailable", "bad_status", "protocol")}
        first = ended.pop("complete")
        budget = BUDGET_SHARE * first + BUDGET_MIN + BUDGET_PER_S * seconds
        say(f"    {first:.0f} attempts complete, {ended} failed, {budget:.0f} may be made again")
        self.assertLessEqual(sum(ended.values()), budget)

    def test_killed_at_random(self):
        self.run_hurt("SIGKILL", kill)

    def test_stopped_at_random(self):
        self.run_hurt("SIGSTOP", freeze(0.4))

    def test_drained_at_random(self):
        counts = self.run_hurt("SIGTERM", drain, items=self.ITEMS if SLOW else self.ITEMS[:2000])
        self.assertEqual(counts["retried"], 0)


class ComingAndGoing(FaultTest):
    def test_a_job_waits_for_the_first_worker(self):
        delay = 10 if SLOW else 1
        port = self.free_port()
        fleet = ft.Fleet(self, self.coordinator(f"static://127.0.0.1:{port}", "--worker-wait-s", "60"), [])
        with fleet.stream({"task": "square", "items": [1, 2, 3]}) as stream:
            self.assertEqual(stream.line_of("waiting")["reason"], "no_workers")
            time.sleep(delay)
            fleet.workers.append(self.worker(port=port))
            start = time.monotonic()
            lines = stream.rest()
        say(f"the worker came after {delay} s, the job ended {time.monotonic() - start:.1f} s later")
        self.assertEqual([line["value"] for line in lines if line["type"] == "result"], [1, 4, 9])

    def test_no_worker_is_503_after_the_wait(self):
        gone = self.worker()
        gone.stop()
        fleet = ft.Fleet(self, self.coordinator([gone], "--worker-wait-s", "1"), [])
        start = time.monotonic()
        answer = fleet.job({"task": "square", "items": [1, 2, 3]})
        say(f"no worker, --worker-wait-s 1: {answer.status} after {time.monotonic() - start:.1f} s")
        self.assert_problem(answer, 503, words=["worker"])
        self.assertIn("Retry-After", answer.headers)

    def test_a_worker_that_comes_during_the_job_gets_work(self):
        def attempt(count):
            items = sleep_items(count, 0.02)
            first, port = self.worker(processes=1), self.free_port()
            fleet = ft.Fleet(self, self.coordinator(f"static://127.0.0.1:{first.port},127.0.0.1:{port}"), [first])
            with fleet.stream({"task": "sleep", "items": items}) as stream:
                lines = [stream.line() for _ in range(20)]
                added = self.worker(port=port, processes=1)
                lines += stream.rest()
            self.assert_all_right(lines, items)
            in_time(fleet.metric(added, "fantail_items_total") > 40, "work for the added worker")
        with_more_time(attempt, (400, 1600, 6400))


class Poison(FaultTest):
    """Items that kill the worker itself."""

    def test_only_the_items_that_kill_workers_fail(self):
        self.check_poison()

    def test_poison_takes_no_more_attempts_than_its_chunk_can_be_halved(self):
        self.check_poison(chunk_size=64)

    def check_poison(self, chunk_size=None):
        count = 10000 if SLOW else 1000
        largest_chunk = chunk_size or count
        poison = [count // 7, count // 2, count - 3]
        items = list(range(count))
        for index in poison:
            items[index] = {"do": "kill_worker"}
        fleet = self.fleet(workers=4)
        with Supervisor(self, fleet, processes=2) as supervisor:
            job = {"task": "misbehave", "items": items} | ({"chunk_size": chunk_size} if chunk_size else {})
            seconds, lines = self.timed_stream(fleet, job)
        errors = [line for line in lines if line["type"] == "error"]
        results = [line for line in lines if line["type"] == "result"]
        log = [line for line in fleet.coordinator.log_lines() if line.get("how") in ("lost", "not_connected")]
        say(f"poison: {count} items, {seconds:.1f} s, {supervisor.deaths} workers killed, attempts "
            f"{[e['error']['attempts'] for e in errors]}, lost attempts in all "
            f"{sum(1 for line in log if line['how'] == 'lost')}, counts {lines[-1]['counts']}")
        self.assertEqual([e["index"] for e in errors], poison)
        self.assertEqual({e["error"]["name"] for e in errors}, {"worker_lost"})
        self.assertEqual([r["value"] for r in results], [i for i in items if isinstance(i, int)])
        # Each attempt of a poison item kills a worker: three attempts of the item alone, and one for each halving of its
        # chunk.
        self.assertLessEqual(supervisor.deaths, 3 * (3 + math.log2(largest_chunk)))
        for error in errors:
            self.assertGreaterEqual(error["error"]["attempts"], 3)
            self.assertLess(error["error"]["attempts"], 3 + math.log2(largest_chunk))


class Uneven(FaultTest):
    """One worker is much slower than the other workers, or fails every request."""

    def test_a_slow_worker_holds_nobody(self):
        items, each_s = sleep_items(800, 0.01), 0.2
        good = [self.worker(processes=1) for _ in range(3)]
        fake = self.fake(fw.slow(each_s), slots=1)
        fleet = ft.Fleet(self, self.coordinator([*good, fake]), good)
        seconds, lines = self.timed_stream(fleet, {"task": "sleep", "items": items})
        self.assert_all_right(lines, items)
        # The slow worker must not get a quarter of the items. The slow worker gets a share in proportion to its speed, and
        # some items before its speed is known.
        self.assertLess(sum(fake.item_deliveries().values()), seconds / each_s + 60)

    def test_a_black_hole_is_ejected(self):
        items = sleep_items(800, 0.01)
        good = [self.worker(processes=1) for _ in range(3)]
        fake = self.fake(fw.server_error, slots=1)
        fleet = ft.Fleet(self, self.coordinator([*good, fake]), good)
        seconds, lines = self.timed_stream(fleet, {"task": "sleep", "items": items})
        self.assert_all_right(lines, items)
        self.assertLessEqual(len(fake.requests), 8 + seconds / EJECTION_S)

    @unittest.skipUnless(SLOW, SLOW_REASON)
    def test_figures_of_one_bad_worker_among_eight(self):
        def seconds_with(behaviour):
            honest = [self.fake(fw.slow(0.01), name=f"w{i}", slots=1) for i in range(7)]
            others = [self.fake(behaviour, name="bad", slots=1)] if behaviour else []
            coordinator = self.coordinator([*others, *honest])
            fleet = ft.Fleet(self, coordinator, [])
            items = sleep_items(3000, 0.01)
            seconds, lines = self.timed_stream(fleet, {"task": "sleep", "items": items})
            self.assert_all_right(lines, items)
            coordinator.stop()
            return seconds
        alone = seconds_with(None)
        slow, hole = seconds_with(fw.slow(0.2)), seconds_with(fw.server_error)
        say(f"7 workers alone {alone:.2f} s; and one 20x slower {slow:.2f} s ({slow / alone:.2f}x); "
            f"and a black hole {hole:.2f} s ({hole / alone:.2f}x)")
        self.assertLess(slow, 1.25 * alone)
        self.assertLess(hole, 1.10 * alone)


class Fairness(FaultTest):
    def small(self, fleet):
        start = time.monotonic()
        document = fleet.job({"task": "square", "items": list(range(10))}, timeout_s=120).json
        self.assert_document_right(document, [i * i for i in range(10)])
        return time.monotonic() - start

    def test_a_small_job_ends_while_a_big_one_runs(self):
        fleet = self.fleet(workers=2)
        self.small(fleet)
        alone = sorted(self.small(fleet) for _ in range(15))[7]
        big = {"task": "square", "range": {"start": 0, "stop": 1000000}} if SLOW else \
            {"task": "sleep", "items": [0.001] * 400000}
        with fleet.stream(big, timeout_s=300) as stream:
            for _ in range(100):
                stream.line()
            reader = threading.Thread(target=stream.read_until_cut)
            reader.start()
            beside = []
            while reader.is_alive() and len(beside) < 15:
                beside.append(self.small(fleet))
            self.assertTrue(reader.is_alive() or SLOW, "the big job ended before the small ones")
            stream.shut_down()
            reader.join()
        beside.sort()
        say(f"10 items alone {alone * 1e3:.1f} ms, beside a big job {beside[len(beside) // 2] * 1e3:.1f} ms (medians, "
            f"{beside[len(beside) // 2] / alone:.1f}x, {len(beside)} times)")
        wait_until(lambda: fleet.request("GET", "/v1/jobs").json["jobs"] == [], "no job left")


if __name__ == "__main__":
    ft.main()
