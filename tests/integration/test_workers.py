"""Workers that die, drain, become full or lose their clients. Also tests the HTTP interface of the worker."""
import contextlib
import json
import os
import signal
import socket
import time

import fantail_testing as ft
from fantail_testing import NDJSON, FantailTest, SharedFleetTest, wait_until, with_more_time

CHUNK = "application/vnd.fantail.chunk+x-ndjson"


class Dying(FantailTest):
    def results_while(self, fleet, act, items=120, seconds=0.05):
        """Streams a job of items that sleep, and calls act() when a few items have been answered. Returns the lines of
        the stream."""
        with fleet.stream({"task": "sleep", "items": [seconds] * items}) as stream:
            lines = [stream.line() for _ in range(8)]
            act()
            return lines + stream.rest()

    def assert_complete(self, lines, items=120, seconds=0.05):
        self.assertEqual([line for line in lines if line["type"] == "error"], [])
        results = [line for line in lines if line["type"] == "result"]
        self.assertEqual([line["index"] for line in results], list(range(items)))
        self.assertEqual({line["value"] for line in results}, {seconds})
        self.assertEqual(lines[-1]["status"], "succeeded")

    def test_a_killed_worker_costs_no_item(self):
        fleet = self.fleet(workers=3)
        self.assert_complete(self.results_while(fleet, fleet.workers[0].kill))

    def test_two_of_three_workers_killed_cost_no_item(self):
        fleet = self.fleet(workers=3)
        self.assert_complete(self.results_while(
            fleet, lambda: (fleet.workers[0].kill(), fleet.workers[2].kill())))

    def test_a_worker_told_to_end_hands_back_what_it_has_not_started(self):
        fleet = self.fleet(workers=2)
        lines = self.results_while(fleet, lambda: fleet.workers[0].send_signal(signal.SIGTERM))
        self.assert_complete(lines)
        self.assertEqual(lines[-1]["counts"]["retried"], 0)
        self.assertEqual(fleet.workers[0].wait(), 0)

    def test_a_worker_that_comes_back_is_used_again(self):
        fleet = self.fleet(workers=1)
        port = fleet.workers[0].port
        fleet.workers[0].kill()
        fleet.workers[0] = self.worker(port=port)
        self.assertEqual(fleet.job({"task": "square", "items": [3]}).json["results"], [9])

    def test_a_stopped_worker_does_not_hold_the_job(self):
        fleet = self.fleet(workers=2)

        def stop():
            fleet.workers[0].send_signal(signal.SIGSTOP)
            self.addCleanup(fleet.workers[0].send_signal, signal.SIGCONT)
        # The coordinator hedges the items of the stopped worker, so the other worker answers them.
        lines = self.results_while(fleet, stop, items=40)
        self.assert_complete(lines, items=40)

    def test_task_processes_end_with_their_killed_worker(self):
        fleet = self.fleet()
        with fleet.stream({"task": "sleep", "items": [60, 60]}) as stream:
            processes = wait_until(lambda: fleet.task_processes(), "task processes")
            fleet.workers[0].kill()
            wait_until(lambda: not any(map(ft.runs, processes)), "the end of the task processes")
            stream.hang_up()

    def test_an_idle_fleet_uses_no_processor(self):
        fleet = self.fleet()
        fleet.job({"task": "square", "items": [1]})
        programs = [fleet.coordinator.pid, fleet.workers[0].pid]

        def rests():
            """Measures processor time and not elapsed time, because on a busy machine the services may need longer
            until they are idle."""
            before = ft.cpu_seconds(programs)
            time.sleep(2)
            return ft.cpu_seconds(programs) - before < 0.3
        wait_until(rests, "two seconds almost without processor time", 20)


class HangingUp(FantailTest):
    """When a client closes its connection, the work for this client stops."""

    BURN = {"task": "misbehave", "items": [{"do": "burn"}] * 6}

    def test_a_client_that_hangs_up_stops_the_processors(self):
        for query in ("", "?progress_s=0.5"):
            with self.subTest(query):
                fleet = self.fleet()
                with fleet.stream(self.BURN, query=query) as stream:
                    burning = fleet.wait_until_burning(2)
                    stream.hang_up()
                fleet.wait_until_quiet(burning)
                self.assertEqual(fleet.job({"task": "square", "items": [3]}).json["results"], [9])

    def test_a_client_that_waits_for_a_document_and_leaves_stops_the_processors(self):
        fleet = self.fleet()
        body = json.dumps(self.BURN).encode()
        s = socket.create_connection(("127.0.0.1", fleet.port))
        s.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        burning = fleet.wait_until_burning(2)
        s.close()
        fleet.wait_until_quiet(burning)
        wait_until(lambda: fleet.request("GET", "/v1/jobs").json["jobs"] == [], "no job left")

    def test_a_deadline_stops_the_processors(self):
        fleet = self.fleet()

        def attempt(deadline_s):
            with fleet.stream({**self.BURN, "deadline_s": deadline_s}) as stream:
                burning = fleet.wait_until_burning(2, deadline_s)
                self.assertEqual(stream.rest()[-1]["status"], "timed_out")
            fleet.wait_until_quiet(burning)
        with_more_time(attempt, (2, 8, 32))

    def test_a_coordinator_that_dies_stops_the_processors(self):
        fleet = self.fleet()
        with fleet.stream(self.BURN) as stream:
            burning = fleet.wait_until_burning(2)
            fleet.coordinator.kill()
            fleet.wait_until_quiet(burning)
            stream.close()


class WorkerHttp(SharedFleetTest):
    """The answers of a worker to direct HTTP requests, as from curl."""

    def post(self, task, body, content_type=NDJSON, headers=None):
        return ft.request(self.shared.workers[0].port, "POST", f"/v1/tasks/{task}", body,
                          {"Content-Type": content_type, **(headers or {})})

    def test_items_are_answered_in_order_and_the_end_is_said(self):
        answer = self.post("square", b"1\n2\n3\n")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers.get_content_type(), NDJSON)
        self.assertEqual(answer.body, b'{"value":1}\n{"value":4}\n{"value":9}\n{"end":"complete","done":3}\n')

    def test_the_answer_tells_who_the_worker_is_and_what_it_has(self):
        answer = self.post("square", b"1\n")
        self.assertTrue(answer.headers["Fantail-Worker"])
        self.assertEqual(answer.headers["Fantail-Slots"], "2")
        self.assertIn(int(answer.headers["Fantail-Free"]), (0, 1, 2))

    def test_no_header_of_an_answer_stands_there_twice(self):
        for body, content_type, status in ((b"1\n", NDJSON, 200), (b"[\n", NDJSON, 400), (b"1\n", "a/b", 415),
                                           (b"no header object\n", CHUNK, 400)):
            answer = self.post("square", body, content_type)
            names = [name.lower() for name in answer.headers]
            self.assertEqual((answer.status, sorted(set(names))), (status, sorted(names)), answer)
            self.assertIn("fantail-free", names)

    def test_the_metric_counts_the_slots_that_answers_tell(self):
        worker = self.worker(processes=3, tasks=self.tasks(
            wide={"command": ["cat"], "envelope": False, "processes": 5}, plain={"command": ["cat"], "envelope": False}))
        text = ft.metrics(worker)
        for task, slots in (("wide", 5), ("plain", 3)):
            answer = ft.request(worker.port, "POST", f"/v1/tasks/{task}", b"1\n", {"Content-Type": NDJSON})
            self.assertEqual(int(answer.headers["Fantail-Slots"]), slots)
            self.assertEqual(ft.metric_sum(text, "fantail_worker_slots", task=task), slots)
            self.assertEqual(ft.metric_sum(text, "fantail_worker_slots", task=task, state="busy"), 0)

    def test_a_slot_is_busy_while_its_item_runs(self):
        worker = self.worker(processes=2)
        with socket.create_connection(("127.0.0.1", worker.port)) as connection:
            connection.sendall(b"POST /v1/tasks/sleep HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                               b"Content-Length: 4\r\n\r\n600\n")
            def busy(task):
                text = ft.metrics(worker)
                return [ft.metric_sum(text, "fantail_worker_slots", task=task, state=state) for state in ("busy", "idle")]
            wait_until(lambda: busy("sleep") == [1, 1], "a busy slot")
            self.assertEqual(busy("square"), [0, 2])

    def test_an_answer_begins_before_its_first_item_has_ended(self):
        with ft.Stream(self.shared.workers[0].port, b"3600\n", {"Content-Type": NDJSON}, "/v1/tasks/sleep", 30) as stream:
            self.assertEqual(stream.response.headers["Fantail-Slots"], "2")
            stream.hang_up()

    def test_the_largest_head_is_taken_with_a_long_body(self):
        head = (b"POST /v1/tasks/square HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                b"Content-Type: application/x-ndjson\r\nContent-Length: 300000\r\n")
        head += b"".join(b"X-%03d: y\r\n" % n for n in range(250))
        head += b"X-Long: " + b"a" * (32 * 1024 - len(head) - 12) + b"\r\n\r\n"
        self.assertEqual(len(head), 32 * 1024)
        answer = ft.raw_request(self.shared.workers[0].port, head + b"\n" * 299_997 + b"12\n")
        self.assertRegex(answer, rb"^HTTP/1.1 200 ")
        self.assertIn(b'{"value":144}\n', answer)

    def test_a_last_line_without_a_newline_counts(self):
        self.assertEqual(self.post("square", b"5").body, b'{"value":25}\n{"end":"complete","done":1}\n')

    def test_a_client_that_asks_is_told_what_its_items_cost(self):
        answer = self.post("sleep", b"0.3\n0.2\n", headers={"Fantail-Cost": "lines"})
        cost = answer.lines[-1]["cost"]
        self.assertEqual(cost["items"], 2)
        # On a busy machine the worker may notice the start of an item late. Even then, the cost must include both items, not
        # only one.
        self.assertGreater(cost["slot_s"], 0.3)
        self.assertGreater(cost["chunk_s"], 0)
        self.assertTrue(any(list(line) == ["cost"] and line["cost"]["slot_s"] > 0.1 for line in answer.lines[:-1]), answer.lines)

    def test_no_lines_are_no_items(self):
        self.assertEqual(self.post("square", b"").body, b'{"end":"complete","done":0}\n')

    def test_a_chunk_header_carries_common_and_the_time_limit(self):
        def attempt(limit_s):
            body = b'{"common":{"a":1},"item_timeout_s":%g}\n{"do":"hang"}\n1\n' % limit_s
            lines = [json.loads(line) for line in self.post("misbehave", body, CHUNK).body.splitlines()]
            self.assertEqual(lines[0]["error"]["name"], "timed_out")
            ft.in_time(lines[1].get("error", {}).get("name") != "timed_out", "the item after it")
            self.assertEqual(lines[1:], [{"value": 1}, {"end": "complete", "done": 2}])
        with_more_time(attempt, (0.5, 4, 16))

    def test_a_failing_item_is_an_error_line(self):
        answer = self.post("square", b'1\n"x"\n3\n')
        lines = [json.loads(line) for line in answer.body.splitlines()]
        self.assertEqual(lines[1]["error"]["name"], "task_error")
        self.assertEqual(lines[2:], [{"value": 9}, {"end": "complete", "done": 3}])

    def test_a_line_that_is_no_json_is_refused(self):
        problem = self.assert_problem(self.post("square", b"1\n{bad\n3\n"), 400, words=["item 1 is not valid JSON"])
        self.assertEqual((problem["item"], problem["offset"]), (1, 3))

    def test_the_type_of_the_coordinator_means_that_the_items_are_checked(self):
        """The worker passes a line that is not JSON to the task. But it refuses a chunk if a line begins with `#`, because an
        item must not become a control line."""
        answer = self.post("square", b"{}\n1\n{bad\n3\n", CHUNK)
        lines = [json.loads(line) for line in answer.body.splitlines()]
        self.assertEqual((answer.status, lines[1]["error"]["name"]), (200, "task_error"))
        self.assertEqual([lines[0], *lines[2:]], [{"value": 1}, {"value": 9}, {"end": "complete", "done": 3}])
        self.assertEqual(self.assert_problem(self.post("square", b"{}\n1\n#cancel 1\n3\n", CHUNK), 400)["item"], 1)

    def test_an_unknown_task_is_404(self):
        self.assert_problem(self.post("sqare", b"1\n"), 404, words=["sqare"])

    def test_a_wrong_method_type_or_path_is_refused(self):
        port = self.shared.workers[0].port
        self.assertEqual(self.assert_problem(ft.request(port, "GET", "/v1/tasks/square"), 405)["status"], 405)
        self.assert_problem(self.post("square", b"<x/>", "text/html"), 415)
        self.assert_problem(ft.request(port, "GET", "/v1/nothing"), 404)

    def test_a_broken_chunk_header_is_400(self):
        for header in (b"[]\n", b"{bad\n", b'{"common":1,"unknown":2}\n1\n', b'{"item_timeout_s":"x"}\n1\n'):
            with self.subTest(header):
                self.assert_problem(self.post("square", header, CHUNK), 400)

    def test_a_passed_deadline_hands_everything_back(self):
        answer = self.post("square", b"1\n2\n", headers={"Fantail-Deadline-Ms": "0"})
        lines = [json.loads(line) for line in answer.body.splitlines()]
        self.assertEqual(lines[-1]["end"], "deadline")
        self.assertEqual(lines[-1]["done"], len(lines) - 1)

    def test_a_deadline_that_is_no_number_is_refused(self):
        for value in ("soon", "-1", "1.5", "0x10", "", "NaN"):
            with self.subTest(value):
                answer = self.post("square", b"1\n", headers={"Fantail-Deadline-Ms": value})
                self.assert_problem(answer, 400, words="Fantail-Deadline-Ms")
        for value in ("60000", "9" * 30):
            with self.subTest(value):
                answer = self.post("square", b"2\n", headers={"Fantail-Deadline-Ms": value})
                self.assertEqual(answer.body, b'{"value":4}\n{"end":"complete","done":1}\n')

    def test_refusals_too_tell_who_the_worker_is_and_what_it_has(self):
        for task, content_type, status in (("square", "text/html", 415), ("nope", NDJSON, 404)):
            answer = self.post(task, b"1\n", content_type)
            self.assertEqual(answer.status, status)
            self.assertTrue(answer.headers["Fantail-Worker"])
            self.assertEqual(answer.headers["Fantail-Slots"], "2")

    def test_the_tasks_are_described(self):
        tasks = ft.request(self.shared.workers[0].port, "GET", "/v1/tasks").json["tasks"]
        square = next(task for task in tasks if task["name"] == "square")
        self.assertTrue(square["description"])
        self.assertIs(square["idempotent"], True)
        self.assertEqual(square["slots"], 2)

    def test_the_tasks_are_not_sent_again_while_they_are_the_same(self):
        port = self.shared.workers[0].port
        first = ft.request(port, "GET", "/v1/tasks")
        again = ft.request(port, "GET", "/v1/tasks", headers={"If-None-Match": first.headers["ETag"]})
        self.assertEqual((again.status, again.body), (304, b""))
        other = ft.request(port, "GET", "/v1/tasks", headers={"If-None-Match": '"0"'})
        self.assertEqual((other.status, other.body), (200, first.body))


class FullAndDraining(FantailTest):
    def post_later(self, port, body, task="sleep"):
        s = socket.create_connection(("127.0.0.1", port), timeout=30)
        s.sendall(b"POST /v1/tasks/%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                  b"Content-Length: %d\r\n\r\n" % (task.encode(), len(body)) + body)
        return s

    def test_answers_gather_but_do_not_wait_for_an_item_that_takes_long(self):
        worker = self.worker(processes=1)
        with contextlib.closing(self.post_later(worker.port, b"0.001\n" * 20 + b"60\n")) as s:
            received = b""
            while received.count(b'{"value":0.001}') < 20:
                piece = s.recv(65536)
                self.assertTrue(piece, received)
                received += piece

    def test_a_full_worker_answers_429_with_retry_after_and_stays_ready(self):
        worker = self.worker()
        held = [self.post_later(worker.port, b"60\n") for _ in range(64)]
        wait_until(lambda: ft.Fleet(self, worker, [worker]).metric(worker, "fantail_chunks_in_flight") == 64, "64 chunks")
        answer = ft.request(worker.port, "POST", "/v1/tasks/sleep", b"0\n", {"Content-Type": NDJSON})
        self.assert_problem(answer, 429)
        self.assertIn("Retry-After", answer.headers)
        self.assertEqual((answer.headers["Fantail-Slots"], answer.headers["Fantail-Free"]), ("2", "0"))
        self.assertEqual(ft.request(worker.port, "GET", "/readyz").status, 200)
        other = ft.request(worker.port, "POST", "/v1/tasks/square", b"3\n", {"Content-Type": NDJSON})
        self.assertEqual(other.status, 200, "each task has its own limit")
        self.assertIn(b'{"value":9}', other.body)
        for s in held:
            s.close()
        wait_until(lambda: ft.request(worker.port, "POST", "/v1/tasks/sleep", b"0\n",
                                      {"Content-Type": NDJSON}).status == 200, "room again")

    def test_a_chunk_that_runs_already_is_refused_until_it_is_over(self):
        worker = self.worker()
        def post(name, seconds=0):
            return ft.request(worker.port, "POST", "/v1/tasks/sleep", b"%g\n" % seconds,
                              {"Content-Type": NDJSON, "Fantail-Chunk": name})
        first = socket.create_connection(("127.0.0.1", worker.port), timeout=30)
        first.sendall(b"POST /v1/tasks/sleep HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                      b"Fantail-Chunk: j/0\r\nContent-Length: 3\r\n\r\n60\n")
        wait_until(lambda: ft.descendants(worker.pid), "the task process")
        answer = post("j/0")
        self.assert_problem(answer, 409, words="j/0")
        self.assertIn("Retry-After", answer.headers)
        self.assertTrue(answer.headers["Fantail-Worker"])
        self.assertEqual(post("j/1").status, 200)
        first.close()
        wait_until(lambda: post("j/0").status == 200, "the end of the other use of the chunk's name")

    def test_the_next_worker_removes_the_temporary_folder_of_a_killed_one_and_not_of_a_living_one(self):
        tmp = os.path.join(self.folder, "tmp")
        os.mkdir(tmp)
        living = self.worker(env=self.environment(TMPDIR=tmp))
        kept = os.listdir(tmp)
        killed = self.worker(env=self.environment(TMPDIR=tmp))
        left = set(os.listdir(tmp)) - set(kept)
        self.assertEqual(len(left), 1)
        killed.kill()
        self.assertLessEqual(left, set(os.listdir(tmp)))
        self.worker(env=self.environment(TMPDIR=tmp))
        now = set(os.listdir(tmp))
        self.assertLessEqual(set(kept), now)
        self.assertEqual((len(now), left & now), (2, set()))
        self.assertEqual(living.stop(), 0)

    def test_a_draining_worker_ends_what_runs_and_hands_back_the_rest(self):
        worker = self.worker(processes=1)
        s = self.post_later(worker.port, b"1\n" * 50)
        wait_until(lambda: ft.Fleet(self, worker, [worker]).busy_slots() == 1, "the first item")
        worker.send_signal(signal.SIGTERM)
        received = b""
        while piece := s.recv(65536):
            received += piece
        lines = [json.loads(line) for line in received.split(b"\r\n") if line.startswith(b"{")
                 for line in line.splitlines()]
        # After the answer, the worker closes the connection, and may first send a 503 that nobody asked for. The lines after
        # the answer are dropped.
        self.assertTrue(any("end" in line for line in lines), received)
        lines = lines[:1 + next(i for i, line in enumerate(lines) if "end" in line)]
        self.assertEqual(lines[-1]["end"], "draining", received)
        self.assertLess(lines[-1]["done"], 50)
        self.assertEqual(len(lines) - 1, lines[-1]["done"])
        self.assertEqual(worker.wait(), 0)


if __name__ == "__main__":
    ft.main()
