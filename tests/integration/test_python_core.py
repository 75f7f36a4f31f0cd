"""The part of the Python client that does no I/O: HTTP answers, and the decisions of a map."""
import json

import fantail_testing as ft
import python_calls  # noqa: F401 (adds the package to sys.path)
from played_coordinator import END, START, cancelled, value
from test_python_executor import WHY_NOT, setUpModule  # noqa: F401

if not WHY_NOT:
    import fantail
    from fantail._core.http import AnswerReader, BrokenAnswer
    from fantail._core.job_object import JobHead
    from fantail._core.map_run import BATCH_BYTES, CAREFUL_ITEMS, JOBS_BYTES, MOST_JOBS, MapRun
    from fantail._core.outage import Cause, Outage, Tries

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
GONE = fantail.Unreachable("gone") if not WHY_NOT else None


class Answers(ft.FantailTest):
    def read(self, data, size, ends=False):
        reader, body = AnswerReader(), b""
        for at in range(0, len(data), size):
            body += reader.feed(data[at:at + size])
        if ends:
            reader.end()
        return reader.is_done, reader.keep_alive, body

    def test_an_answer_may_come_in_pieces_of_any_size(self):
        cases = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", False, (True, True, b"hello")),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", False, (True, False, b"hello")),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", False, (False, True, b"hel")),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", False, (True, True, b"")),
            (b"HTTP/1.0 200 OK\r\n\r\nhello", True, (True, False, b"hello")),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\nhel\r\n2\r\nlo\r\n0\r\nA: b\r\n\r\n", False,
             (True, True, b"hello")),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n", True, (False, True, b"hello")),
        ]
        for data, ends, expected in cases:
            for size in (1, 2, 3, 7, 1000):
                with self.subTest(data=data, size=size):
                    self.assertEqual(self.read(data, size, ends), expected)

    def test_what_is_not_http_is_refused(self):
        for data in (b"SSH-2.0-x\r\n", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n", b"HTTP/1." + b"x" * 70000):
            with self.subTest(data[:60]), self.assertRaises(BrokenAnswer):
                self.read(data, 1000)


class Maps(ft.FantailTest):
    """Tests of a map. The test plays the coordinator, and sets the time in self.now."""

    now = 1000.0

    def run_of(self, items, idempotent=None, reconnect_s=300.0, listed=True, **options):
        """Returns a map of these items. If `listed` is set, the map has already received its list of tasks."""
        options = {"ordered": True, "deadline_s": None, **options}
        run = MapRun(JobHead("x", None, {}), {}, "http://x", "", reconnect_s=reconnect_s, most_jobs=MOST_JOBS, facts=None,
                     is_known=False, now=self.now, **options)
        asking = run.next_exchange(self.now)
        self.assertIn(b"GET /v1/tasks", asking.request)
        if listed:
            self.answer_list(asking, idempotent)
        for item in items:
            run.add_item(item)
        return run

    def answer_list(self, asking, idempotent=None):
        body = json.dumps({"tasks": [{"name": "x", "mode": "stream", "idempotent": idempotent}]}).encode()
        asking.received(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                        % (len(body), body), self.now)

    def play(self, exchange, *lines):
        """Sends the head and lines of an answer whose body ends when the connection is closed."""
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        exchange.received(HEAD + b"\r\n" + data, self.now)

    def play_lines(self, exchange, *lines):
        """Sends more lines of an answer."""
        exchange.received(b"".join(json.dumps(line).encode() + b"\n" for line in lines), self.now)

    def items_of(self, exchange):
        return json.loads(exchange.request.partition(b"\r\n\r\n")[2])["items"]

    def two_jobs(self, idempotent):
        run = self.run_of([1, 2], idempotent)
        first = run.next_exchange(self.now)
        run.add_item(3)
        return run, first, run.next_exchange(self.now)

    def test_a_map_in_doubt_wakes_up_to_ask_again_while_another_job_runs(self):
        run, first, second = self.two_jobs(False)
        self.play(first, START, value(0, 1))
        first.ended(GONE, True, self.now)
        self.play(second, START, value(0, 9))
        asking = run.next_exchange(self.now)
        self.assertIn(b"GET /v1/tasks", asking.request)
        self.assertIsNone(run.wake_at())
        asking.ended(GONE, False, self.now)
        self.assertGreater(run.wake_at(), self.now)
        self.now = run.wake_at()
        self.answer_list(run.next_exchange(self.now), False)
        self.assertIsNone(run.next_exchange(self.now))
        self.assertEqual([getattr(item, "name", item) for item in run.take()], [1, "coordinator_lost", 9])

    def test_answers_after_a_gap_are_kept(self):
        run, first, second = self.two_jobs(None)
        self.play(second, START, value(0, 9), END)
        second.ended(GONE, True, self.now)
        self.assertEqual(run.take(), [])
        self.play(first, START, value(0, 1))
        self.assertEqual(run.take(), [1])
        first.ended(GONE, True, self.now)
        self.now = run.wake_at()
        again = run.next_exchange(self.now)
        self.assertEqual(self.items_of(again), [2])
        self.play(again, START, value(0, 4), END)
        again.ended(GONE, True, self.now)
        self.assertEqual(run.take(), [4, 9])
        run.end_items()
        self.assertTrue(run.is_over)

    def test_before_the_list_has_come_few_items_are_read(self):
        run = self.run_of([], listed=False)
        count = 0
        while run.wants_items:
            run.add_item(1)
            count += 1
        self.assertEqual(count, CAREFUL_ITEMS)

    def test_a_request_of_small_items_passes_proxies_that_allow_one_mebibyte(self):
        run, sizes = self.run_of([]), []
        for n in range(1 << 20):
            if not run.wants_items:
                break
            run.add_item(n % 10)
        while exchange := run.next_exchange(self.now):
            sizes.append(len(exchange.request))
        self.assertLess(max(sizes), 1 << 20)
        self.assertGreater(max(sizes), 900 << 10)

    def test_items_and_answers_have_their_limits(self):
        run = self.run_of([])
        text, read, requests = "x" * 1000, 0, 0
        while run.wants_items:
            run.add_item(text)
            read += 1
            requests += run.next_exchange(self.now) is not None
        self.assertLess(read * len(text), JOBS_BYTES + 2 * BATCH_BYTES)
        self.assertLessEqual(requests, MOST_JOBS)

    def test_small_first_jobs_do_not_keep_the_others_waiting(self):
        run, sent = self.run_of([]), []
        for n in range(1000):
            run.add_item(n)
            while exchange := run.next_exchange(self.now):
                sent.append(len(self.items_of(exchange)))
        self.assertEqual(sent, [1, 1, 2, 4, 8, 16, 32, 64, 128, 256])
        run.end_items()
        self.assertEqual(len(self.items_of(run.next_exchange(self.now))), 1000 - 512)

    def test_no_third_job_begins_while_two_have_enough_work(self):
        run = self.run_of(range(20))
        first = run.next_exchange(self.now)
        for n in range(20):
            run.add_item(n)
        self.assertIsNotNone(run.next_exchange(self.now))
        self.play(first, START, value(0, 1))
        for n in range(100):
            run.add_item(n)
        self.assertIsNone(run.next_exchange(self.now))
        self.play_lines(first, *(value(n, 1) for n in range(1, 15)))
        self.assertIsNotNone(run.next_exchange(self.now))

    def test_an_answer_that_is_not_taken_is_not_read_further(self):
        run = self.run_of([1] * 20)
        exchange = run.next_exchange(self.now)
        self.play(exchange, START, *(value(n, "x" * 50000) for n in range(8)))
        self.assertFalse(exchange.wants_data())
        self.assertEqual(len(run.take()), 8)
        self.assertTrue(exchange.wants_data())

    def test_the_deadline_passes_while_no_coordinator_is_there(self):
        run = self.run_of([1], deadline_s=60)
        exchange = run.next_exchange(self.now)
        self.assertEqual(json.loads(exchange.request.partition(b"\r\n\r\n")[2])["deadline_s"], 60)
        exchange.ended(GONE, False, self.now)
        self.now += 61
        self.assertIsNone(run.next_exchange(self.now))
        self.assertEqual(run.error.status, "timed_out")

    def test_a_drain_that_is_cut_itself_keeps_its_answers(self):
        run = self.run_of([1, 2, 3, 4], False)
        exchange = run.next_exchange(self.now)
        self.play(exchange, START, cancelled(0, False), cancelled(1, True), value(2, 9))
        exchange.ended(GONE, True, self.now)
        self.assertEqual([getattr(item, "name", item) for item in run.take()],
                         ["cancelled", "cancelled", 9, "coordinator_lost"])

    def test_how_long_it_tries_again(self):
        early, known = Outage(10, False), Outage(10, True)
        self.assertIsNone(early.note_failure(Cause.UNREACHED, Tries(), None, 0))
        self.assertIsNotNone(known.note_failure(Cause.UNREACHED, Tries(), None, 0))
        self.assertIsNotNone(known.note_failure(Cause.LOST, Tries(), None, 9))
        self.assertIsNone(known.note_failure(Cause.LOST, Tries(), None, 10))
        known.note_accepted()
        tries = Tries()
        waits = [known.note_failure(Cause.CUT, tries, None, 11 + n) for n in range(5)]
        # There was no new answer for more than 10 s, but the job was accepted. So the client gives up only after 5 cuts.
        self.assertNotIn(None, waits[:4])
        self.assertIsNone(waits[4])
        self.assertEqual(Outage(0, True).note_failure(Cause.LOST, Tries(), None, 0), None)


if __name__ == "__main__":
    ft.main()
