"""`fantail map` behind a proxy that limits the size of a request or loses the coordinator."""
import json
import os

import fantail_testing as ft
import proxies
from cli_testing import CliTest, PlayedTest
from played_coordinator import END, START, value

MIB = 1024 * 1024
BIG = json.dumps("x" * (3 * MIB // 2))


class StockNginx(CliTest):
    """Stock nginx refuses bodies above 1 MiB."""

    def setUp(self):
        super().setUp()
        if not proxies.have("nginx"):
            self.skipTest("nginx is not installed")
        tasks = self.tasks(echo={"mode": "stream", "command": ["cat"], "envelope": False})
        fleet = self.fleet(tasks=tasks)
        self.url = f"http://127.0.0.1:{proxies.start(self, 'nginx', fleet.coordinator.port)}"

    def items(self, *more):
        """Returns about 8 MiB of items, with `more` in the middle. With this much input, a batch grows above 1 MiB."""
        items = [json.dumps(f"{i:x>999}") for i in range(8 * MIB // 1000)]
        return items[:4000] + list(more) + items[4000:]

    def map(self, items, *arguments):
        return self.cli("map", "echo", "--url", self.url, *arguments, stdin="\n".join(items))

    def test_a_long_input_is_sent_in_smaller_batches(self):
        items = self.items()
        ended = self.map(items)
        self.assertEqual((ended.status, ended.err), (0, b""), ended)
        self.assertEqual(ended.lines, items)
        ended = self.map(items, "--order", "completion")
        self.assertEqual((ended.status, sorted(ended.lines)), (0, sorted(items)), ended)

    def test_an_item_that_is_too_large_fails_alone(self):
        items = self.items(BIG)
        for arguments in [], ["--max-attempts", 1]:
            ended = self.map(items, *arguments)
            self.assertEqual(ended.status, 1, ended)
            self.assertEqual(ended.lines, ["null" if item == BIG else item for item in items])
            self.assertRegex(ended.err, b"item 4001 \\(line 4001\\): bad_item: a request with only this item, 1572867 bytes, is "
                                        b"too large \\(413\\): .* proxy .*client_max_body_size.*docs/proxies.md\n")
            self.assertIn(f"1 of {len(items):,} items failed".encode(), ended.err)

    def test_a_reduction_says_that_the_proxy_refused_it(self):
        ended = self.map(self.items(), "--reduce", "count")
        self.assertEqual(ended.status, 3, ended)
        self.assertRegex(ended.err, b"refused the job \\(413\\): .* proxy .*client_max_body_size.*docs/proxies.md\n")


class Played(PlayedTest):
    ITEMS = ["1", "", "22", '"ten bytes"', '"more than ten bytes"', " ", "333", "not JSON", "4", "5", "", "6", " ", ""]

    def serve_limited(self, max_bytes, kind="text/html", **more):
        def answer(body):
            if len(body) > max_bytes:
                return (413, kind)
            items = [line for line in body.decode().splitlines() if line.strip()]
            return [START, *(value(i, json.loads(item)) for i, item in enumerate(items)), END]
        return self.serve(answer, **more)

    def test_only_an_item_above_the_limit_and_a_bad_item_fail(self):
        wanted = ["1", "22", '"ten bytes"', "null", "333", "null", "4", "5", "6"]
        stdin = "\n".join(self.ITEMS)
        for kind in "text/html", "application/problem+json":
            for order in "input", "completion":
                for idempotent in None, False:
                    with self.subTest(kind=kind, order=order, idempotent=idempotent):
                        url, bodies = self.serve_limited(12, kind, idempotent=idempotent)
                        errors = os.path.join(self.folder, "errors")
                        ended = self.map(url, "--order", order, "--errors", errors, stdin=stdin)
                        self.assertEqual((ended.status, ended.lines), (1, wanted), ended)
                        with open(errors, encoding="utf-8") as lines:
                            failed = [json.loads(line) for line in lines]
                        self.assertEqual([(line["index"], line["item"]) for line in failed],
                                         [(3, '"more than ten bytes"'), (5, "not JSON")])
                        self.assertNotIn(b"", bodies)
                        self.assertLess(len(bodies), 20)

    def test_the_limit_is_remembered(self):
        items = [str(n) for n in range(100000, 150000)]
        url, bodies = self.serve_limited(50000)
        ended = self.map(url, stdin="\n".join(items))
        self.assertEqual((ended.status, ended.lines), (0, items), ended)
        sent = [len(body) for body in bodies if len(body) <= 50000]
        self.assertEqual(sum(sent), 7 * len(items))
        self.assertGreater(max(sent), 25000)
        self.assertLessEqual(len(bodies) - len(sent), 17)  # at most the jobs that ran before the first answer

    def test_after_a_loss_the_rest_of_a_batch_is_still_sent_in_pieces(self):
        def cut_once(body):
            return [START, value(0, 1)]

        def answer(body):
            return (413, "text/html") if len(body) > 4 else \
                [START, *(value(i, int(item)) for i, item in enumerate(body.split())), END]
        for order in "input", "completion":
            with self.subTest(order):
                url, bodies = self.serve(answer, cut_once, answer)
                ended = self.map(url, "--order", order, stdin="1\n2\n3\n4\n")
                self.assertEqual((ended.status, ended.lines), (0, ["1", "2", "3", "4"]), ended)
                self.assertEqual(bodies, [b"1\n2\n3\n4\n", b"1\n2\n", b"2\n3\n", b"4\n"])

    def test_the_message_names_the_proxy_as_the_likely_sender(self):
        job = os.path.join(self.folder, "job.json")
        ft.write_file(job, '{"task":"x","items":[1]}')
        for status, words in ((408, b"too slowly"), (413, b"smaller bodies"), (502, b"no answer from the coordinator"),
                              (503, b"no answer from the coordinator"), (504, b"no answer from the coordinator")):
            for kind in "text/html", "application/json", "application/problem+json":
                with self.subTest(status=status, kind=kind):
                    url, _ = self.serve((status, kind))
                    by_proxy = kind != "application/problem+json"
                    ended = self.cli("submit", "-f", job, "--url", url)
                    self.assertEqual((ended.status, words in ended.err, b"probably comes from a proxy" in ended.err),
                                     (3, by_proxy, by_proxy), ended)
                    ended = self.map(url, "--reconnect-s", 0, stdin="1\n")
                    self.assertEqual((ended.status, words in ended.err), (1 if status == 413 else 3, by_proxy), ended)


if __name__ == "__main__":
    ft.main()
