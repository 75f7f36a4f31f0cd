"""fantail.Client of the Python package, when a coordinator is lost, drains or is unavailable."""
import itertools

import fantail_testing as ft
from played_coordinator import DELETED, DRAINED, END, START, cancelled, serve, value
from test_python_executor import WHY_NOT, setUpModule  # noqa: F401
from two_coordinators import TwoCoordinators

if not WHY_NOT:
    import fantail


class Losses(TwoCoordinators):
    def test_each_value_comes_once_and_in_order_when_a_coordinator_is_killed(self):
        self.start_all()
        self.kill_one_later()
        got = list(fantail.Client(self.url).map("noted", range(5000)))
        self.assert_killed()
        self.assertEqual(got, [2 * n for n in range(5000)])

    def test_in_completion_order_each_value_comes_once(self):
        self.start_all()
        self.kill_one_later()
        got = list(fantail.Client(self.url).map("noted", range(1000), ordered=False))
        self.assert_killed()
        self.assertEqual(sorted(got), [2 * n for n in range(1000)])

    def test_an_item_that_must_not_run_twice_fails_when_its_coordinator_is_killed(self):
        self.start_all(idempotent=False)
        self.kill_one_later(single=True)
        got = list(fantail.Client(self.url).map("noted", range(3000), return_exceptions=True))
        self.assert_killed()
        self.assertEqual(len(got), 3000)
        self.assert_failed_once(got)

    def test_a_coordinator_that_never_comes_back_ends_the_map_after_the_limit(self):
        self.start_all()
        values = fantail.Client(self.url, reconnect_s=0.5).map("noted", itertools.repeat(1))
        next(values)
        for coordinator in self.coordinators:
            coordinator.kill()
        with self.assertRaises(fantail.Unreachable) as caught:
            for _ in values:
                pass
        self.assertIn("0.5 s", str(caught.exception))


class Played(ft.FantailTest):
    """A small server plays a coordinator or a proxy."""

    def map(self, url, items, **options):
        return list(fantail.Client(url, reconnect_s=30).map("x", items, return_exceptions=True, **options))

    def items_of(self, bodies):
        return [ft.json.loads(body)["items"] for body in bodies]

    def names(self, got):
        return [item.name if isinstance(item, fantail.ItemError) else item for item in got]

    def test_a_line_that_was_cut_is_no_answer(self):
        half = b'{"type":"result","index":1,"value":12'
        url, bodies = serve(self, [START, value(0, 1), half], [START, value(0, 123), value(1, 4), END])
        self.assertEqual(self.map(url, [1, 2, 3]), [1, 123, 4])
        self.assertEqual(self.items_of(bodies), [[1, 2, 3], [2, 3]])

    def test_in_completion_order_only_the_unanswered_items_are_sent_again(self):
        url, bodies = serve(self, [START, value(1, "b")], [START, value(0, "a"), value(1, "c"), END])
        self.assertEqual(self.map(url, [1, 2, 3], ordered=False), ["b", "a", "c"])
        self.assertEqual(self.items_of(bodies), [[1, 2, 3], [1, 3]])

    def test_what_a_drain_has_cut_is_sent_again(self):
        first = [START, value(0, 1), cancelled(1, True), value(2, 9), cancelled(3, False), DRAINED]
        url, bodies = serve(self, first, [START, value(0, 4), value(1, 16), END])
        self.assertEqual(self.map(url, [1, 2, 3, 4]), [1, 4, 9, 16])
        self.assertEqual(self.items_of(bodies)[1], [2, 4])
        url, bodies = serve(self, first, [START, value(0, 16), END], idempotent=False)
        self.assertEqual(self.names(self.map(url, [1, 2, 3, 4])), [1, "coordinator_lost", 9, 16])
        self.assertEqual(self.items_of(bodies)[1], [4])

    def test_a_job_that_someone_has_cancelled_is_not_sent_again(self):
        url, bodies = serve(self, [START, value(0, 1), {**cancelled(1, True), "count": 2}, DELETED])
        got = []
        with self.assertRaises(fantail.JobFailed) as caught:
            for item in fantail.Client(url).map("x", [1, 2, 3], return_exceptions=True):
                got.append(item)
        self.assertIn("cancelled by a client", str(caught.exception))
        self.assertEqual((self.names(got), len(bodies)), ([1, "cancelled", "cancelled"], 1))

    def test_options_that_forbid_a_second_run_hold_after_a_loss(self):
        url, bodies = serve(self, [START, value(0, 1)], idempotent=True)
        got = self.map(url, [1, 2, 3], retry={"max_attempts": 1})
        self.assertEqual((self.names(got), len(bodies)), ([1, "coordinator_lost", "coordinator_lost"], 1))

    def test_what_a_proxy_answers_puts_items_in_doubt_that_must_not_run_twice(self):
        good = [START, value(0, 1), value(1, 4), END]
        problem, page = "application/problem+json", "text/html"
        for status, kind, doubt in ((503, problem, False), (429, problem, False), (503, page, True), (502, page, True)):
            with self.subTest(status=status, kind=kind):
                url, bodies = serve(self, (status, kind), good, idempotent=False)
                self.assertEqual(self.names(self.map(url, [1, 2])), ["coordinator_lost"] * 2 if doubt else [1, 4])
                self.assertEqual(len(bodies), 1 if doubt else 2)
                url, bodies = serve(self, (status, kind), good)
                self.assertEqual(self.map(url, [1, 2]), [1, 4])

    def test_a_value_that_python_does_not_read_by_itself(self):
        """Python refuses to parse an integer of more than 4300 digits, and deeply nested JSON."""
        deep = b'{"type":"result","index":1,"value":%s}\n' % (b"[" * 100000 + b"]" * 100000)
        url, _ = serve(self, [START, b'{"type":"result","index":0,"value":1%s}\n' % (b"0" * 5000), deep, value(2, 3), END])
        got = self.map(url, [1, 2, 3])
        self.assertEqual((got[0], got[2]), (10**5000, 3))
        self.assertEqual((got[1].name, got[1].index), ("bad_output", 1))

    def test_a_proxy_that_refuses_a_large_request_is_named(self):
        for answers in ([(413, "text/html")], [[START, value(0, 1)], (413, "text/html")]):
            url, bodies = serve(self, *answers)
            with self.assertRaises(fantail.Refused) as caught:
                self.map(url, [1, 2])
            self.assertEqual((caught.exception.status, len(bodies)), (413, len(answers)))
            self.assertIn("proxy", str(caught.exception))

    def test_an_answer_to_no_item_is_a_fault_of_the_service(self):
        for answer in (value(3, 1), value(0, 1), {**cancelled(0, True), "count": 1 << 60}, b"[]\n", b"nonsense\n"):
            url, _ = serve(self, [START, value(0, 1), answer, END])
            with self.subTest(answer), self.assertRaises(fantail.NotFantail):
                self.map(url, [1, 2])


if __name__ == "__main__":
    ft.main()
