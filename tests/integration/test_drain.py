"""The shutdown of both services has its steps in the right order, and no client loses an answer."""
import http.client
import json
import os
import signal
import socket
import threading
import time

import fantail_testing as ft
from fantail_testing import NDJSON, FantailTest, in_time, wait_until, with_more_time

NDJSON_HEADERS = {"Content-Type": NDJSON}


class Watch:
    """Sends requests for one path to one port until the `with` block ends. Each request has a new connection."""

    def __init__(self, port, path):
        self.port, self.path = port, path
        self.seen = []  # (begun, ended, status, detail, Connection header); status None: no connection was possible
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        wait_until(lambda: self.seen, f"an answer of {self.path}")
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()

    def _run(self):
        while not self.ending.wait(0.01):
            begun = time.monotonic()
            self.seen.append((begun, *self._ask()))

    def _ask(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", self.path)
            response = connection.getresponse()
            detail = json.loads(response.read())["detail"] if response.status == 503 else ""
            return time.monotonic(), response.status, detail, (response.headers["Connection"] or "").lower()
        except (OSError, http.client.HTTPException):
            return time.monotonic(), None, "", ""
        finally:
            connection.close()

    def first(self, status):
        """Returns the time of the first answer with this status, or infinity if there was none."""
        return next((ended for _, ended, s, _, _ in self.seen if s == status), float("inf"))

    def last(self, status):
        """Returns when the last request that got this status was sent, or minus infinity if no request got this status."""
        return max((begun for begun, _, s, _, _ in self.seen if s == status), default=float("-inf"))


class Drain(FantailTest):
    def start_both(self, *arguments, processes=2, **options):
        """Starts two fleets, so that a test can end the coordinator of one and a worker of the other, and nothing else.
        Returns {"coordinator": fleet, "worker": fleet}."""
        return {"coordinator": self.fleet(coordinator_arguments=arguments, processes=processes, **options),
                "worker": self.fleet(worker_arguments=arguments, processes=processes, **options)}

    def program_of(self, kind, fleet):
        return fleet.coordinator if kind == "coordinator" else fleet.workers[0]

    def post_for(self, kind, fleet, task, items):
        """Returns (port, path, body, headers) of a request that gives the service work."""
        if kind == "worker":
            return (fleet.workers[0].port, f"/v1/tasks/{task}", "".join(json.dumps(i) + "\n" for i in items).encode(),
                    NDJSON_HEADERS)
        return (fleet.port, "/v1/jobs", json.dumps({"task": task, "chunk_size": 1, "items": items}).encode(),
                {"Content-Type": ft.JSON, "Accept": NDJSON})

    def begin_work(self, kind, fleet, task, items):
        port, path, body, headers = self.post_for(kind, fleet, task, items)
        stream = ft.Stream(port, body, headers, path)
        self.addCleanup(stream.close)
        return stream

    @staticmethod
    def ask_on(connection, method, path, body=None, headers=None):
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return ft.Answer(response.status, response.headers, response.read())

    def kept_connection(self, program):
        """Sends a request and reads its answer. Returns the connection, which stays open."""
        connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=60)
        self.addCleanup(connection.close)
        self.assertEqual(self.ask_on(connection, "GET", "/livez").status, 200)
        return connection

    def read_to_end(self, s):
        received = b""
        while piece := s.recv(65536):
            received += piece
        return received


class Order(Drain):
    def check(self, kind, delay_s):
        gate = self.gate()
        fleet = self.fleet(processes=1, tasks=f"{self.tasks(wait=gate.task)}:{ft.EXAMPLE_TASKS}",
                           **{f"{kind}_arguments": ("--shutdown-delay-s", delay_s)})
        program = self.program_of(kind, fleet)
        with Watch(program.port, "/livez") as public, Watch(program.port, "/readyz") as public_ready, \
                Watch(program.admin_port, "/livez") as admin, Watch(program.admin_port, "/readyz") as admin_ready:
            running = self.begin_work(kind, fleet, "wait", [1])
            wait_until(lambda: fleet.busy_slots() == 1, "the item")
            signalled = time.monotonic()
            program.send_signal(signal.SIGTERM)
            wait_until(lambda: admin_ready.first(503) < float("inf"), "unready")
            self.check_that_work_is_still_taken(kind, fleet)
            wait_until(lambda: admin.last(200) > public.first(None), "the end of the public port only")
            opened = time.monotonic()
            gate.open()
            self.assertEqual([line["value"] for line in running.rest() if "value" in line], [1])
            self.assertEqual(program.wait(), 0)
            wait_until(lambda: admin.first(None) < float("inf"), "the admin port's end")
        for ready in (public_ready, admin_ready):
            in_time(ready.first(503) < public.first(None), "a probe during the delay")
            self.assertEqual({seen[3] for seen in ready.seen if seen[2] == 503}, {"draining"})
            self.assertGreater(ready.first(503), signalled)
            self.assertFalse([seen for seen in ready.seen if seen[2] == 200 and seen[0] > ready.first(503)])
        # /livez answers 200 until the port is closed.
        for live in (public, admin):
            self.assertLessEqual({seen[2] for seen in live.seen}, {200, None})
        closing = [seen for seen in public.seen if seen[2] == 200 and seen[0] > admin_ready.first(503)]
        in_time(closing, "a probe during the delay")
        self.assertEqual({seen[4] for seen in closing}, {"close"})
        # The order is: not ready, the delay, the listener is closed, running work has ended, the admin port is closed.
        self.assertGreaterEqual(public.first(None) - signalled, delay_s)
        self.assertLess(public.last(200), opened)
        self.assertGreater(admin.first(None), opened)
        self.check_log(program, delay_s)

    def check_that_work_is_still_taken(self, kind, fleet):
        port, path, body, headers = self.post_for(kind, fleet, "square", [3])
        try:
            answer = ft.request(port, "POST", path, body, headers)
        except ConnectionRefusedError:
            in_time(False, "more work during the delay")
        in_time(answer.status != 503, "more work during the delay")
        self.assertEqual(answer.status, 200)
        self.assertEqual([line["value"] for line in answer.lines if "value" in line], [9])
        self.assertEqual(answer.headers["Connection"].lower(), "close")

    def check_log(self, program, delay_s):
        steps = ["asked to end", "not ready", "draining", "drained", "closed"]
        at = {line["msg"]: line["ts"] for line in program.log_lines() if line["msg"] in steps}
        self.assertEqual([msg for msg in at], steps)
        self.assertEqual(sorted(at.values()), list(at.values()))
        self.assertGreaterEqual(program.logged_at("draining") - program.logged_at("asked to end"), delay_s - 0.01)

    def test_a_worker_walks_out_step_by_step(self):
        with_more_time(lambda delay_s: self.check("worker", delay_s))

    def test_a_coordinator_walks_out_step_by_step(self):
        with_more_time(lambda delay_s: self.check("coordinator", delay_s))


class Kept(Drain):
    """Connections that stay open after a request was answered."""

    def test_an_idle_one_is_ended_with_an_answer_and_delays_nothing(self):
        for kind, fleet in self.start_both("--drain-s", "600").items():
            program = self.program_of(kind, fleet)
            idle = self.kept_connection(program)
            self.assertEqual(program.stop(), 0, kind)
            # When a service ends, it sends 503 on each idle connection. If a client sends a request just before it
            # receives this 503, the client takes the 503 as its answer.
            answer = self.read_to_end(idle.sock)
            self.assertTrue(answer.startswith(b"HTTP/1.1 503 "), answer)
            self.assertIn(b"\r\nConnection: close\r\n", answer)
            self.assertIn(b"\r\nRetry-After: 1\r\n", answer)
            self.assertIn(b'"detail":"draining"', answer)

    def test_a_request_on_one_is_served_during_the_delay_and_closes_it(self):
        for kind, fleet in self.start_both("--shutdown-delay-s", "600").items():
            program = self.program_of(kind, fleet)
            kept = self.kept_connection(program)
            program.any_status = True
            program.send_signal(signal.SIGTERM)
            wait_until(lambda: ft.request(program.admin_port, "GET", "/readyz").status == 503, "unready")
            _, path, body, headers = self.post_for(kind, fleet, "square", [5])
            answer = self.ask_on(kept, "POST", path, body, headers)
            self.assertEqual([line["value"] for line in answer.lines if "value" in line], [25])
            self.assertEqual(answer.headers["Connection"].lower(), "close")
            program.send_signal(signal.SIGINT)

    def test_a_chunk_on_one_is_handed_back_while_the_worker_drains(self):
        gate = self.gate()
        fleet = self.fleet(processes=1, tasks=f"{self.tasks(wait=gate.task)}:{ft.EXAMPLE_TASKS}")
        worker = fleet.workers[0]
        kept = self.kept_connection(worker)
        running = self.begin_work("worker", fleet, "wait", [1])
        wait_until(lambda: fleet.busy_slots() == 1, "the item")
        worker.send_signal(signal.SIGTERM)
        wait_until(lambda: "draining" in [line["msg"] for line in worker.log_lines()], "the drain")
        answer = self.ask_on(kept, "POST", "/v1/tasks/square", b"2\n", NDJSON_HEADERS)
        self.assert_problem(answer, 503, words="draining")
        self.assertEqual(answer.headers["Connection"].lower(), "close")
        gate.open()
        self.assertEqual(running.rest(), [{"value": 1}, {"end": "complete", "done": 1}])
        self.assertEqual(worker.wait(), 0)

    def test_nobody_is_left_in_doubt_by_a_worker_that_goes(self):
        """Each request must get its answer or a 503, or its connection must be refused. Some requests are sent at the
        moment when the worker ends."""
        for _ in range(8):
            worker, unclear, answered = self.worker(), [], [0] * 8

            def client(i):
                connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=60)
                status = 200
                while status == 200:
                    if connection.sock is None:
                        try:
                            connection.connect()
                        except OSError:
                            return
                    try:
                        status = self.ask_on(connection, "POST", "/v1/tasks/square", b"2\n", NDJSON_HEADERS).status
                    except (OSError, http.client.HTTPException) as e:
                        unclear.append(repr(e))
                        return
                    answered[i] += 1
                connection.close()
                if status != 503:
                    unclear.append(status)
            clients = [threading.Thread(target=client, args=(i,)) for i in range(len(answered))]
            for thread in clients:
                thread.start()
            wait_until(lambda: min(answered) > 3, "answers for all")
            self.assertEqual(worker.stop(), 0)
            for thread in clients:
                thread.join()
            self.assertEqual(unclear, [])


class Slow(Drain):
    """Slow clients, and work that takes longer than the drain."""

    BIG = "x" * 100000

    def open_unread(self, kind, fleet, items):
        """Sends a request on a connection with a small receive buffer. Returns the connection without reading the
        answer."""
        port, path, body, headers = self.post_for(kind, fleet, "upper", items)
        s = socket.socket()
        self.addCleanup(s.close)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.settimeout(60)
        s.connect(("127.0.0.1", port))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        s.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return s

    def wait_for_the_work(self, kind, fleet, items):
        def answered():
            return fleet.metric(fleet.workers[0], "fantail_items_total") == items if kind == "coordinator" else \
                fleet.metric(fleet.workers[0], "fantail_items_queued") == 0
        wait_until(answered, "the items' answers")

    def test_a_slow_reader_gets_all_of_it(self):
        items = [self.BIG] * 120
        for kind, fleet in self.start_both("--drain-s", "60").items():
            program = self.program_of(kind, fleet)
            s = self.open_unread(kind, fleet, items)
            self.assertEqual(s.recv(12, socket.MSG_PEEK), b"HTTP/1.1 200")
            self.wait_for_the_work(kind, fleet, len(items))
            program.send_signal(signal.SIGTERM)
            wait_until(lambda: "draining" in [line["msg"] for line in program.log_lines()], "the drain")
            # When a container ends, the bytes that are still in the kernel are lost, so the service must wait until
            # these bytes have been sent. Half a second is enough to notice a service that does not wait. On a busy machine,
            # this check may miss a service that does not wait, but the check never fails for a service that waits.
            time.sleep(0.5)
            self.assertNotIn("drained", [line["msg"] for line in program.log_lines()])
            response = http.client.HTTPResponse(s)
            response.begin()
            answer = ft.Answer(response.status, response.headers, response.read())
            self.assertEqual([line["value"] for line in answer.lines if "value" in line],
                             [item.upper() for item in items], kind)
            if kind == "coordinator":
                self.assertEqual(answer.end["status"], "succeeded")
            else:
                self.assertEqual(answer.lines[-1], {"end": "complete", "done": len(items)})
            response.close()
            s.close()
            self.assertEqual(program.wait(), 0)

    def test_one_who_never_reads_is_cut_off_at_the_end_of_the_drain(self):
        items = [self.BIG] * 120
        for kind, fleet in self.start_both("--drain-s", "0.5").items():
            program = self.program_of(kind, fleet)
            s = self.open_unread(kind, fleet, items)
            self.assertEqual(s.recv(12, socket.MSG_PEEK), b"HTTP/1.1 200")
            self.wait_for_the_work(kind, fleet, len(items))  # fewer answers would fit into the kernel's buffers
            self.assertEqual(program.stop(), 0, kind)
            self.assertIn("the drain timed out; running requests are cut off",
                          [line["msg"] for line in program.log_lines()])

    def test_a_job_longer_than_the_coordinators_drain_ends_cancelled_with_what_was_answered(self):
        fleet = self.fleet(processes=1, coordinator_arguments=("--drain-s", "0.5"))
        lines = []
        with fleet.stream({"task": "sleep", "items": [0, 600], "chunk_size": 1}) as stream:
            lines.append(stream.line())
            self.assertEqual(fleet.coordinator.stop(), 0)
            lines += stream.rest()
        self.assertEqual(lines[0], {"type": "result", "index": 0, "value": 0})
        self.assertEqual(lines[-1]["type"], "end")
        self.assertEqual(lines[-1]["status"], "cancelled")
        self.assertIn("shutting down", json.dumps(lines[-1]))
        self.assertIs(lines[-1]["draining"], True)
        self.assertEqual((lines[1]["error"]["name"], lines[1]["error"]["sent"]), ("cancelled", True))
        self.assert_counts(lines[-1]["counts"], total=2, succeeded=1, cancelled=1)
        # The worker must also notice that the client has closed its connection.
        wait_until(lambda: fleet.metric(fleet.workers[0], "fantail_chunks_in_flight") == 0, "a quiet worker")

    def test_an_item_longer_than_the_workers_drain_is_handed_back_and_costs_no_retry(self):
        first = self.worker("--drain-s", "0.3", processes=1)
        fleet = ft.Fleet(self, self.coordinator([first]), [first])
        with fleet.stream({"task": "sleep", "items": [0, 4], "chunk_size": 1}) as stream:
            stream.line()
            wait_until(lambda: fleet.metric(first, "fantail_chunks_in_flight") == 1, "the long item")
            self.assertEqual(first.stop(), 0)
            fleet.workers.append(self.worker(port=first.port, processes=1))
            lines = stream.rest()
        self.assertEqual(lines[-1]["status"], "succeeded")
        self.assert_counts(lines[-1]["counts"], total=2, succeeded=2, failed=0, retried=0)

    def test_a_worker_says_which_items_its_drain_cut(self):
        fleet = self.fleet(processes=2, worker_arguments=("--drain-s", "0.3"))
        worker = fleet.workers[0]
        stream = self.begin_work("worker", fleet, "sleep", [0, 600, 0, 0, 600])
        first = stream.line()
        processes = ft.descendants(worker.pid)
        self.assertTrue(processes)
        worker.send_signal(signal.SIGTERM)
        lines = [first] + stream.rest()
        self.assertEqual(lines, [{"value": 0}, {"end": "draining", "done": 1}])
        self.assertEqual(worker.wait(), 0)
        self.assertFalse([pid for pid in processes if ft.read_stat(pid)])

    @staticmethod
    def read_file(path):
        with open(path, encoding="utf-8") as source:
            return source.read()

    def test_an_item_that_must_not_run_twice_is_lost_with_its_worker_and_no_other_is(self):
        marks = os.path.join(self.folder, "marks")
        script = (f'#!/bin/sh\nwhile read -r item; do echo "$item" >>{marks}; '
                  '[ "$item" = 0 ] || sleep 600; echo "{\\"value\\":$item}"; done\n')
        tasks = self.tasks(once={"json": {"mode": "stream", "command": ["./once.sh"], "idempotent": False,
                                          "item_timeout_s": 900},
                                 "files": {"once.sh": script}})
        fleet = self.fleet(processes=1, tasks=tasks, worker_arguments=("--drain-s", "0.3"))
        stream = self.begin_work("worker", fleet, "once", [0, 1, 2, 3])
        first = stream.line()
        wait_until(lambda: self.read_file(marks) == "0\n1\n", "the second item")
        fleet.workers[0].send_signal(signal.SIGTERM)
        lines = [first] + stream.rest()
        self.assertEqual(lines[0], {"value": 0})
        self.assertEqual(lines[1]["error"]["name"], "worker_lost")
        self.assertEqual(lines[2:], [{"end": "draining", "done": 2}])
        self.assertEqual(fleet.workers[0].wait(), 0)
        self.assertEqual(self.read_file(marks), "0\n1\n")


class Twice(Drain):
    """A second signal."""

    def check(self, kind, *arguments):
        tasks = self.tasks(family={"json": {"mode": "exec", "command": ["./family.sh"], "item_timeout_s": 900},
                                   "files": {"family.sh": "#!/bin/sh\nsetsid sleep 600 &\nsleep 600\n"}})
        fleet = self.fleet(processes=2, tasks=tasks, **{f"{kind}_arguments": arguments})
        program, worker = self.program_of(kind, fleet), fleet.workers[0]
        port, path, body, headers = self.post_for(kind, fleet, "family", [1, 2])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            s.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body)

            def sleepers():
                return [pid for pid in ft.descendants(worker.pid) if ft.command_line(pid).startswith("sleep 600")]
            wait_until(lambda: len(sleepers()) == 4, "the family")
            family = ft.descendants(worker.pid)
            program.any_status = True
            program.send_signal(signal.SIGTERM)
            wait_until(lambda: ft.request(program.admin_port, "GET", "/readyz").status == 503, "unready")
            program.send_signal(signal.SIGINT)
            self.assertEqual(program.wait(), 1)
            if kind == "worker":
                left = [ft.command_line(pid) for pid in family if (stat := ft.read_stat(pid)) and stat[1] != "Z"]
                self.assertEqual(left, [])
            else:
                wait_until(lambda: not sleepers(), "the cancelled items' end")
        self.assertIn("asked to end a second time: ending at once", [line["msg"] for line in program.log_lines()])

    def test_a_worker_in_its_drain_ends_at_once_and_leaves_no_process_behind(self):
        self.check("worker", "--drain-s", "600")

    def test_a_worker_in_its_delay_ends_at_once_and_leaves_no_process_behind(self):
        self.check("worker", "--shutdown-delay-s", "600")

    def test_a_coordinator_in_its_drain_ends_at_once(self):
        self.check("coordinator", "--drain-s", "600")

    def test_a_coordinator_in_its_delay_ends_at_once(self):
        self.check("coordinator", "--shutdown-delay-s", "600")


if __name__ == "__main__":
    ft.main()
