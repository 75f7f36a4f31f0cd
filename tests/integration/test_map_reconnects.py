"""`fantail map` against a fleet whose coordinator is lost, replaced or unavailable. Some of the tests have a task whose items
must not run twice."""
import collections
import contextlib
import http.client
import json
import os
import signal
import subprocess
import threading

import fantail_testing as ft
import proxies
from certificates import Authority
from cli_testing import FANTAIL, CliTest, Ended, PlayedTest
from fantail_testing import wait_until
from played_coordinator import DELETED, DRAINED, END, START, cancelled, value

# Each item writes its number to a file when it begins, and takes at least `pause` seconds. The item `stop` also waits
# until the gate is open.
TASK = """
import json, os, sys, time
runs = os.open({runs!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for line in sys.stdin:
    n = json.loads(line)
    os.write(runs, b"%d\\n" % n)
    while n == {stop} and not os.path.exists({gate!r}):
        time.sleep(0.02)
    time.sleep({pause})
    print('{{"value":%d}}' % (n * n), flush=True)
"""


class Run:
    """A running `fantail map`. A thread writes the input of the command. The output of the command goes to files."""

    def __init__(self, test, *arguments, items, name="map"):
        self.out_path, self.err_path = (os.path.join(test.folder, f"{name}.{kind}") for kind in ("stdout", "stderr"))
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen([FANTAIL, "map", *map(str, arguments)], stdin=subprocess.PIPE, stdout=out,
                                            stderr=err, env=test.environment(), cwd=test.folder)
        test.addCleanup(self.end)
        self.feeder = threading.Thread(target=self.feed, args=(items,))
        self.feeder.start()

    def feed(self, items):
        with contextlib.suppress(OSError), self.process.stdin as stdin:
            stdin.write("".join(f"{item}\n" for item in items).encode())

    def end(self):
        self.process.kill()
        self.process.wait()
        self.feeder.join()

    @staticmethod
    def read(path):
        with open(path, "rb") as source:
            return source.read()

    @property
    def err(self):
        return self.read(self.err_path).decode()

    def lines(self):
        return self.read(self.out_path).decode().splitlines()

    def wait(self):
        """Waits for the end of the command. Returns its output."""
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"fantail map did not end: {self.err[-2000:]}") from None
        ended = Ended(self.process, self.read(self.out_path), self.read(self.err_path))
        assert b"Sanitizer" not in ended.err and b"runtime error:" not in ended.err and b"BUG at" not in ended.err, ended
        return ended


class Reconnects(CliTest):
    """Real services. Item STOP of the task waits for a gate, so that its job is running when the coordinator is lost."""

    STOP = 3000
    # If items must not run twice, `fantail map` puts work for about 0.25 s into each job. Without a pause in each item,
    # a fast machine could send the whole input in one job. With the whole input in one job, the command could not know
    # whether the items after STOP had run.
    PAUSE = 0.001

    def setUp(self):
        super().setUp()
        self.gate_path, self.runs_path = os.path.join(self.folder, "gate"), os.path.join(self.folder, "runs")

    def workers(self, count=1, pause=0, **task):
        program = TASK.format(runs=self.runs_path, stop=self.STOP, gate=self.gate_path, pause=pause)
        # Python's input buffer does no harm, because a worker sends more items only after the earlier items are answered.
        tasks = self.tasks(noted={"json": {"mode": "stream", "command": ["python3", "-u", "noted.py"],
                                           "item_timeout_s": 900, **task}, "files": {"noted.py": program}})
        return [self.worker(tasks=tasks) for _ in range(count)]

    def restart(self, coordinator, workers, *arguments):
        """Starts a coordinator on the port of another coordinator, after that other coordinator has ended."""
        wait_until(lambda: not ft.is_listened_on(coordinator.port), "the end of the old coordinator")
        addresses = ",".join(f"127.0.0.1:{w.port}" for w in workers)
        return self.start("fantail-coordinator", "--port", coordinator.port, "--admin-port", self.free_port(),
                          "--workers", f"static://{addresses}", *arguments, ready=True)

    def open_gate(self):
        ft.write_file(self.gate_path, "")

    def runs(self):
        """Returns how often each item has begun."""
        with contextlib.suppress(FileNotFoundError), open(self.runs_path, encoding="ascii") as runs:
            return collections.Counter(int(line) for line in runs)
        return collections.Counter()

    def failed(self):
        """Returns {index of the item: its line of the errors file}."""
        with open(os.path.join(self.folder, "errors"), encoding="utf-8") as lines:
            return {error["index"]: error for error in map(json.loads, lines)}

    def wait_for_the_stop(self):
        wait_until(lambda: self.runs()[self.STOP] > 0, "the item that waits")

    def with_its_job(self, coordinators):
        """Returns the coordinator that runs the job with the waiting item."""
        def find():
            return [c for c in coordinators if ft.request(c.port, "GET", "/v1/jobs").json["jobs"]]
        return wait_until(find, "the job")[0]

    def assert_squares(self, ended, count):
        self.assertEqual(ended.status, 0, ended)
        self.assertEqual(ended.lines, [str(n * n) for n in range(count)])

    def behind_haproxy(self, workers, *arguments):
        coordinators = [self.coordinator(workers, *arguments) for _ in range(2)]
        return proxies.start_pool(self, [c.port for c in coordinators]), coordinators

    @proxies.needs("haproxy")
    def test_each_answer_comes_once_and_in_order_when_a_coordinator_is_killed(self):
        workers = self.workers()
        port, coordinators = self.behind_haproxy(workers)
        run = Run(self, "noted", "--url", f"http://127.0.0.1:{port}", items=range(50000))
        self.wait_for_the_stop()
        self.with_its_job(coordinators).kill()
        self.open_gate()
        self.assert_squares(run.wait(), 50000)
        self.assertIn("reconnecting for up to 300 s", run.err)

    def test_a_coordinator_that_comes_back_at_the_same_address_is_found(self):
        workers = self.workers()
        for order in ("input", "completion"):
            with self.subTest(order):
                coordinator = self.coordinator(workers)
                run = Run(self, "noted", "--order", order, "--url", f"http://127.0.0.1:{coordinator.port}",
                          items=range(50000), name=order)
                wait_until(lambda: self.runs()[self.STOP] > 0 and run.lines(), "answers, and the start of the item that waits")
                coordinator.kill()
                wait_until(lambda run=run: "reconnecting" in run.err, "the loss")
                self.open_gate()
                self.restart(coordinator, workers)
                ended = run.wait()
                ended.out = "".join(f"{n}\n" for n in sorted(map(int, ended.lines))).encode()
                self.assert_squares(ended, 50000)
                os.unlink(self.gate_path)
                os.truncate(self.runs_path, 0)

    @proxies.needs("haproxy")
    def test_a_rolling_replacement_of_the_coordinators_loses_nothing(self):
        """The job takes longer than the time limit of the drain, so the draining coordinator ends the job early."""
        workers = self.workers()
        for order in ("input", "completion"):
            with self.subTest(order):
                port, coordinators = self.behind_haproxy(workers, "--drain-s", 0.2)
                run = Run(self, "noted", "--order", order, "--url", f"http://127.0.0.1:{port}", items=range(20000),
                          name=order)
                self.wait_for_the_stop()
                first = self.with_its_job(coordinators)
                coordinators.sort(key=lambda c, first=first: c is not first)
                for coordinator in coordinators:
                    self.assertEqual(coordinator.stop(), 0)
                    self.restart(coordinator, workers, "--drain-s", 0.2)
                    self.open_gate()
                ended = run.wait()
                self.assertIn("the coordinator is shutting down; reconnecting", run.err)
                if order == "completion":
                    ended.out = "".join(f"{n}\n" for n in sorted(map(int, ended.lines))).encode()
                self.assert_squares(ended, 20000)
                os.unlink(self.gate_path)
                os.truncate(self.runs_path, 0)

    def test_a_drain_fails_only_items_that_may_have_run_and_must_not_run_twice(self):
        workers = self.workers(idempotent=False)
        coordinator = self.coordinator(workers, "--drain-s", 0.2)
        run = Run(self, "noted", "--chunk-size", 4, "--errors", "errors", "--url",
                  f"http://127.0.0.1:{coordinator.port}", items=range(6000))
        self.wait_for_the_stop()
        self.assertEqual(coordinator.stop(), 0)
        self.open_gate()
        self.restart(coordinator, workers)
        ended = run.wait()
        self.assertEqual(ended.status, 1, ended)
        failed = self.failed()
        self.assertIn(self.STOP, failed)
        self.assertEqual({error["error"]["name"] for error in failed.values()}, {"coordinator_lost"})
        self.assertLess(len(failed), 600)  # at most the items in the chunks that the worker had
        self.assertEqual(ended.lines, ["null" if n in failed else str(n * n) for n in range(6000)])
        self.assertEqual(set(self.runs().values()), {1})

    def test_an_item_that_must_not_run_twice_fails_and_the_others_go_on(self):
        workers = self.workers(idempotent=False, pause=self.PAUSE)
        coordinator = self.coordinator(workers)
        run = Run(self, "noted", "--errors", "errors", "--url", f"http://127.0.0.1:{coordinator.port}",
                  items=range(6000))
        self.wait_for_the_stop()
        coordinator.kill()
        wait_until(lambda: "reconnecting" in run.err, "the loss")
        self.open_gate()
        self.restart(coordinator, workers)
        ended = run.wait()
        self.assertEqual(ended.status, 1, ended)
        failed = self.failed()
        self.assertIn(self.STOP, failed)
        self.assertEqual({error["error"]["name"] for error in failed.values()}, {"coordinator_lost"})
        self.assertIn("not known whether the item ran", failed[self.STOP]["error"]["cause"])
        self.assertEqual(failed[self.STOP]["item"], self.STOP)
        self.assertEqual(ended.lines, ["null" if n in failed else str(n * n) for n in range(6000)])
        runs = self.runs()
        self.assertEqual(set(runs.values()), {1})
        self.assertEqual(set(range(6000)) - set(runs) - set(failed), set())
        self.assertLess(len(failed), 3000)

    @staticmethod
    def status_of(port):
        """Returns the status of the answer, or None if there was no answer. HAProxy sends no answer if a connection that it
        has kept open to the coordinator is lost."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return ft.request(port, "GET", "/v1/tasks").status

    @proxies.needs("haproxy")
    def test_a_proxy_without_a_coordinator_puts_no_further_items_in_doubt(self):
        workers = self.workers(idempotent=False, pause=self.PAUSE)
        port, coordinators = self.behind_haproxy(workers)
        run = Run(self, "noted", "--max-concurrency", 8, "--url", f"http://127.0.0.1:{port}", items=range(6000))
        self.wait_for_the_stop()
        for coordinator in coordinators:
            coordinator.kill()
        wait_until(lambda: "reconnecting" in run.err, "the loss")
        wait_until(lambda: self.status_of(port) == 503, "the answer of the proxy alone")
        self.open_gate()
        self.restart(coordinators[1], workers)
        ended = run.wait()
        self.assertEqual(ended.status, 1, ended)
        self.assertEqual(set(self.runs().values()), {1})
        self.assertLess(ended.lines.count("null"), 3000)
        self.assertEqual(ended.lines[-1], str(5999 * 5999))

    def test_https_is_reconnected_too(self):
        authority = Authority(os.path.join(self.folder, "ca"))
        cert, key = authority.issue("server")
        tls = ("--tls-cert", cert, "--tls-key", key)
        workers = self.workers()
        coordinator = self.coordinator(workers, *tls)
        run = Run(self, "noted", "--url", f"https://localhost:{coordinator.port}", "--cacert", authority.ca,
                  items=range(5000))
        self.wait_for_the_stop()
        coordinator.kill()
        wait_until(lambda: "reconnecting" in run.err, "the loss")
        self.open_gate()
        self.restart(coordinator, workers, *tls)
        self.assert_squares(run.wait(), 5000)

    def test_a_command_does_not_run_twice_when_the_coordinator_of_a_private_fleet_is_killed(self):
        script = f'echo "$1" >>{self.runs_path}; [ "$1" != 30 ] || until [ -e {self.gate_path} ]; do sleep 0.05; done'
        self.STOP = 30
        path = os.path.join(self.folder, "items")
        ft.write_file(path, "".join(f"{n}\n" for n in range(60)))
        with open(path, "rb") as items:
            command = ["-P", "2", "--joblog", "log", "--", "sh", "-c", script, "sh"]
            process = subprocess.Popen([FANTAIL, "map", *command], stdin=items,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment(),
                                       cwd=self.folder)
        self.addCleanup(process.kill)
        self.wait_for_the_stop()
        for pid in ft.descendants(process.pid):
            if "fantail-coordinator" in ft.command_line(pid).split(" ")[0]:
                os.kill(pid, signal.SIGKILL)
        self.open_gate()
        ended = Ended(process, *process.communicate(timeout=60))
        self.assertEqual(ended.status, 1, ended)
        self.assertIn(b"coordinator_lost", ended.err)
        self.assertIn(b"a command runs only once for an item", ended.err)
        self.assertEqual(len(ended.lines), 60)
        self.assertEqual(set(self.runs().values()), {1})
        with open(path, "rb") as items:
            again = subprocess.run([FANTAIL, "map", "--resume", *command], stdin=items, capture_output=True, timeout=60,
                                   env=self.environment(), cwd=self.folder, check=False)
        self.assertEqual((again.returncode, again.stdout), (0, b""), again)  # every item is in the log
        self.assertEqual(set(self.runs().values()), {1})

    def reduction(self, workers, items, end, *arguments, name):
        """Runs a job with --reduce sum. Ends the coordinator and starts it again while an item waits. Returns the
        output."""
        coordinator = self.coordinator(workers, "--drain-s", 0.2)
        run = Run(self, "noted", "--reduce", "sum", "--url", f"http://127.0.0.1:{coordinator.port}", *arguments,
                  items=items, name=name)
        self.wait_for_the_stop()
        if '"x"' in items:
            wait_until(lambda: "crashed" in run.err, "the failed item")
        end(coordinator)
        self.open_gate()
        self.restart(coordinator, workers)
        ended = run.wait()
        os.unlink(self.gate_path)
        os.truncate(self.runs_path, 0)
        return ended

    def test_a_reduction_is_sent_again_as_a_whole(self):
        workers = self.workers()
        for name, end in (("kill", ft.Program.kill), ("drain", ft.Program.stop)):
            ended = self.reduction(workers, [*range(5000)], end, name=name)
            self.assertEqual((ended.status, ended.lines), (0, [str(sum(n * n for n in range(5000)))]), ended)
            self.assertIn(b"reconnecting", ended.err)

    def test_a_reduction_that_cannot_be_sent_again_says_why(self):
        workers = self.workers()
        large = [" " * 3000 + str(n) for n in range(4000)]
        for name, items, arguments, why in (
                ("large", large, (), b"because the input is larger than 8 MiB, so it was not kept"),
                ("failed", ['"x"', *range(5000)], (), b"because some items have already failed"),
                ("once", [*range(5000)], ("--max-attempts", 1), b"because its items must not run twice")):
            with self.subTest(name):
                ended = self.reduction(workers, items, ft.Program.kill, *arguments, name=name)
                self.assertEqual((ended.status, ended.out), (3, b""), ended)
                self.assertIn(why, ended.err)

    def test_a_coordinator_that_never_comes_back_ends_the_run_after_the_limit(self):
        workers = self.workers()
        for idempotent in (True, False):
            with self.subTest(idempotent=idempotent):
                more = () if idempotent else ("--max-attempts", 1)
                coordinator = self.coordinator(workers)
                run = Run(self, "noted", "--reconnect-s", 1, "--url", f"http://127.0.0.1:{coordinator.port}", *more,
                          items=range(10000), name=f"never-{idempotent}")
                wait_until(lambda run=run: len(run.lines()) > 10, "answers")
                coordinator.kill()
                ended = run.wait()
                self.assertEqual(ended.status, 3, ended)
                self.assertIn(b"no coordinator has answered for 1 s (--reconnect-s)", ended.err)
                may_fail = set() if idempotent else {"null"}
                wrong = [n for n, line in enumerate(ended.lines) if line not in {str(n * n)} | may_fail]
                self.assertEqual(wrong, [])

    def test_without_reconnecting_a_loss_ends_the_run_at_once(self):
        workers = self.workers()
        coordinator = self.coordinator(workers)
        run = Run(self, "noted", "--reconnect-s", 0, "--url", f"http://127.0.0.1:{coordinator.port}", items=range(10000))
        wait_until(run.lines, "answers")
        coordinator.kill()
        ended = run.wait()
        self.assertEqual(ended.status, 3, ended)
        self.assertIn(b"cut", ended.err)
        self.assertNotIn(b"reconnecting", ended.err)

    def test_ctrl_c_and_the_deadline_end_the_waiting(self):
        workers = self.workers()
        coordinator = self.coordinator(workers)
        url = f"http://127.0.0.1:{coordinator.port}"
        late = Run(self, "noted", "--deadline-s", 20, "--url", url, items=range(10000), name="late")
        stopped = Run(self, "noted", "--url", url, items=range(10000), name="stopped")
        for run in (late, stopped):
            wait_until(run.lines, "answers")
        coordinator.kill()
        for run in (late, stopped):
            wait_until(lambda run=run: "reconnecting" in run.err, "the loss")
        stopped.process.send_signal(signal.SIGINT)
        self.assertEqual(stopped.wait().status, -signal.SIGINT)
        ended = late.wait()
        self.assertEqual(ended.status, 3, ended)
        self.assertIn(b"--deadline-s has passed while no coordinator could be reached", ended.err)


class Played(PlayedTest):
    """A small server plays a coordinator or a proxy."""

    def test_a_line_that_was_cut_is_no_answer(self):
        half = b'{"type":"result","index":1,"value":12'
        url, bodies = self.serve([START, value(0, 1), half], [START, value(0, 123), value(1, 4), END])
        ended = self.map(url)
        self.assertEqual((ended.status, ended.lines), (0, ["1", "123", "4"]), ended)
        self.assertEqual(bodies, [b"1\n2\n3\n", b"2\n3\n"])

    def test_in_completion_order_only_the_unanswered_items_are_sent_again(self):
        failed = {"type": "error", "index": 1, "error": {"name": "task_error", "cause": "bad"}}
        url, bodies = self.serve([START, value(1, "b")], [START, failed, value(2, "d")], [START, value(0, "a"), END])
        errors = os.path.join(self.folder, "errors")
        ended = self.map(url, "--order", "completion", "--errors", errors, stdin="1\n\n2\n3\n4\n")
        self.assertEqual((ended.status, ended.lines), (1, ['"b"', "null", '"d"', '"a"']), ended)
        self.assertEqual(bodies, [b"1\n\n2\n3\n4\n", b"1\n\n3\n4\n", b"1\n\n"])
        with open(errors, encoding="utf-8") as lines:
            [error] = map(json.loads, lines)
        self.assertEqual((error["index"], error["item"]), (2, 3))

    def test_an_answer_to_no_item_is_a_fault_of_the_service(self):
        url, _ = self.serve([START, value(3, "b"), END])
        ended = self.map(url, "--order", "completion")
        self.assertEqual(ended.status, 3, ended)
        self.assertIn(b"an answer to an item that the job does not have", ended.err)

    def test_a_full_or_lost_coordinator_behind_a_proxy_is_asked_again(self):
        good = [START, value(0, 1), value(1, 4), value(2, 9), END]
        for status in (429, 502, 503, 504):
            with self.subTest(status):
                url, bodies = self.serve((status, "text/html"), (status, "text/html"), good)
                ended = self.map(url)
                self.assertEqual((ended.status, ended.lines), (0, ["1", "4", "9"]), ended)
                self.assertEqual(len(bodies), 3)

    def test_a_page_with_status_200_is_a_loss_once_a_coordinator_has_answered(self):
        url, bodies = self.serve([START, value(0, 1)], (200, "text/html"), [START, value(0, 4), value(1, 9), END])
        ended = self.map(url)
        self.assertEqual((ended.status, ended.lines), (0, ["1", "4", "9"]), ended)
        self.assertEqual(bodies, [b"1\n2\n3\n", b"2\n3\n", b"2\n3\n"])

    def test_what_a_proxy_answers_puts_items_in_doubt_that_must_not_run_twice(self):
        good = [START, value(0, 1), value(1, 4), value(2, 9), END]
        problem, page = "application/problem+json", "text/html"
        for status, kind, doubt in ((503, problem, False), (429, problem, False), (503, page, True), (502, page, True)):
            with self.subTest(status=status, kind=kind):
                url, bodies = self.serve((status, kind), good, idempotent=False)
                ended = self.map(url)
                self.assertEqual((ended.status, ended.lines), (1, ["null"] * 3) if doubt else (0, ["1", "4", "9"]), ended)
                self.assertEqual(len(bodies), 1 if doubt else 2)

    def test_options_that_forbid_a_second_run_hold_after_a_loss(self):
        url, bodies = self.serve([START, value(0, 1)], idempotent=True)
        ended = self.map(url, "--max-attempts", 1)
        self.assertEqual((ended.status, ended.lines), (1, ["1", "null", "null"]), ended)
        self.assertIn(b"item 2 (line 2): coordinator_lost", ended.err)
        self.assertEqual(len(bodies), 1)
        url, bodies = self.serve([START, value(2, 1)], idempotent=False)
        ended = self.map(url, "--order", "completion")
        self.assertEqual((ended.status, ended.lines), (1, ["1", "null", "null"]), ended)
        self.assertIn(b"item 1 (line 1): coordinator_lost", ended.err)
        self.assertIn(b"item 2 (line 2): coordinator_lost", ended.err)

    def drained(self, idempotent, *arguments, last=DRAINED, left=0):
        """Maps five items. The first answer says that the coordinator drains. The second answer has values for `left`
        items."""
        tail = [cancelled(1, True), value(2, 9), cancelled(3, False), cancelled(4, False), last]
        again = [START, *(value(n, f"again {n}") for n in range(left)), END]
        url, bodies = self.serve([START, value(0, 1), *tail], again, idempotent=idempotent)
        return self.map(url, *arguments, stdin="1\n2\n3\n4\n5\n"), bodies

    def test_what_a_drain_has_cut_is_sent_again(self):
        again = [f'"again {n}"' for n in range(5)]
        ended, bodies = self.drained(None, left=4)
        self.assertEqual((ended.status, ended.lines), (0, ["1", *again[:4]]), ended)
        self.assertEqual(bodies[1], b"2\n3\n4\n5\n")
        ended, bodies = self.drained(None, "--order", "completion", left=3)
        self.assertEqual((ended.status, ended.lines), (0, ["1", "9", *again[:3]]), ended)
        self.assertEqual(bodies[1], b"2\n4\n5\n")
        for order in ("input", "completion"):
            ended, bodies = self.drained(False, "--order", order, left=2)
            self.assertEqual((ended.status, ended.lines), (1, ["1", "null", "9", *again[:2]]), ended)
            self.assertEqual(bodies[1], b"4\n5\n")
            self.assertIn(b"item 2 (line 2): coordinator_lost", ended.err)
        ended, bodies = self.drained(False, "--reconnect-s", 0)
        self.assertEqual((ended.status, ended.lines, len(bodies)), (3, ["1"], 1), ended)

    def test_one_line_may_stand_for_many_items(self):
        tail = [{**cancelled(1, True), "count": 2}, {**cancelled(3, False), "count": 2}, DRAINED]
        again = [START, {"type": "error", "index": 0, "count": 2, "error": {"name": "x", "cause": "y"}}, END]
        for order in ("input", "completion"):
            url, bodies = self.serve([START, value(0, 1), *tail], again, idempotent=False)
            ended = self.map(url, "--order", order, stdin="1\n2\n3\n4\n5\n")
            self.assertEqual((ended.status, ended.lines), (1, ["1", *["null"] * 4]), ended)
            self.assertEqual(bodies[1], b"4\n5\n")
            self.assertEqual(ended.err.count(b"coordinator_lost"), 2, ended)
            self.assertIn(b"item 5 (line 5): x: y" if order == "input" else b"item 5 (index 4): x: y", ended.err)
        url, _ = self.serve([START, {**cancelled(0, True), "count": 1 << 60}, END])
        ended = self.map(url)
        self.assertEqual(ended.status, 3, ended)

    def test_a_job_that_was_cancelled_by_someone_is_not_sent_again(self):
        ended, bodies = self.drained(None, last=DELETED)
        self.assertEqual((ended.status, ended.lines), (3, ["1", "null", "9", "null", "null"]), ended)
        self.assertIn(b"it was cancelled by a client", ended.err)
        self.assertEqual(len(bodies), 1)

    def test_a_drain_that_is_cut_itself_keeps_its_answers(self):
        url, bodies = self.serve([START, cancelled(0, False), cancelled(1, True), value(2, 9)], idempotent=False)
        ended = self.map(url, stdin="1\n2\n3\n4\n")
        self.assertEqual((ended.status, ended.lines), (1, ["null", "null", "9", "null"]), ended)
        self.assertIn(b"item 1 (line 1): cancelled", ended.err)
        self.assertIn(b"item 4 (line 4): coordinator_lost", ended.err)
        self.assertEqual(len(bodies), 1)

    def test_a_service_that_is_lost_before_it_has_accepted_anything_is_given_up_soon(self):
        url, bodies = self.serve((502, "text/html"), tasks_status=502)
        ended = self.map(url)
        self.assertEqual(ended.status, 3, ended)
        self.assertRegex(ended.err, b"answered with status 502: .* from a proxy .*; check --url")
        self.assertLess(len(bodies), 10)


if __name__ == "__main__":
    ft.main()
