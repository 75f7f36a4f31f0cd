"""Task scale-in protection: a real worker, and a fake ECS agent."""
import http.server
import json
import signal
import socket
import threading
import time

import fantail_testing as ft
from fantail_testing import FantailTest, wait_until

PATH = "/api/the-task/task-protection/v1/state"


class Agent:
    """Records every request as (time, ProtectionEnabled, ExpiresInMinutes). `mood` determines its answers."""

    def __init__(self):
        self.requests, self.strange = [], []
        self.mood = "good"
        self.release = threading.Event()
        agent = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                agent.take(self, body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self.server.server_port}/api/the-task"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, handler, body):
        document = json.loads(body)
        if handler.path != PATH or handler.headers["Content-Type"] != "application/json":
            self.strange.append((handler.path, dict(handler.headers)))
        self.requests.append((time.monotonic(), document["ProtectionEnabled"], document.get("ExpiresInMinutes")))
        if self.mood == "slow":
            self.release.wait(60)
        if self.mood == "failing":
            self.answer(handler, 500, {"error": {"Code": "ServerException", "Message": "try later"}})
        elif self.mood == "refusing":
            self.answer(handler, 200, {"failure": {"Arn": "a", "Reason": "TASK_NOT_VALID", "Detail": None}})
        else:
            self.answer(handler, 200, {"protection": {"ProtectionEnabled": document["ProtectionEnabled"], "TaskArn": "a"}})

    @staticmethod
    def answer(handler, status, document):
        body = json.dumps(document).encode()
        try:
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
        except OSError:
            pass  # the worker no longer waits

    @property
    def wishes(self):
        return [on for _, on, _ in self.requests]

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


class Protection(FantailTest):
    def setUp(self):
        super().setUp()
        self.agent = Agent()
        self.addCleanup(self.agent.close)

    def tearDown(self):
        self.assertEqual(self.agent.strange, [])

    def protected_worker(self, *arguments, uri=None, tasks=None):
        return self.worker(*arguments, tasks=tasks, env=self.environment(ECS_AGENT_URI=uri or self.agent.uri))

    def hold(self, worker):
        """Starts a chunk that runs until its client closes the connection. Returns the connection."""
        connection = socket.create_connection(("127.0.0.1", worker.port))
        self.addCleanup(connection.close)
        connection.sendall(b"POST /v1/tasks/sleep HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                           b"Content-Length: 4\r\n\r\n600\n")
        return connection

    def square(self, worker):
        answer = ft.request(worker.port, "POST", "/v1/tasks/square", b"2\n", {"Content-Type": ft.NDJSON})
        self.assertEqual(answer.lines, [{"value": 4}, {"end": "complete", "done": 1}])

    def metric(self, worker, name):
        return ft.Fleet(self, worker, [worker]).metric(worker, name)

    def wait_for_protection(self, worker):
        wait_until(lambda: self.metric(worker, "fantail_task_protection") == 1, "protection")

    def warnings(self, worker):
        return [line for line in worker.log_lines() if "ECS agent does not" in line["msg"]]

    def test_on_under_work_and_off_when_idle(self):
        worker = self.protected_worker("--protection-idle-s", "1")
        self.assertEqual(self.metric(worker, "fantail_task_protection"), 0)
        connection = self.hold(worker)
        self.wait_for_protection(worker)
        self.assertEqual([request[1:] for request in self.agent.requests], [(True, 10)])
        idle = time.monotonic()
        connection.close()
        wait_until(lambda: self.agent.wishes == [True, False], "the end of the protection")
        self.assertGreater(self.agent.requests[1][0] - idle, 0.9)
        wait_until(lambda: self.metric(worker, "fantail_task_protection") == 0, "the gauge")
        self.assertEqual(self.metric(worker, "fantail_task_protection_failures_total"), 0)

    def test_many_chunks_are_one_request(self):
        worker = self.protected_worker()
        for _ in range(200):
            self.square(worker)
        self.wait_for_protection(worker)
        self.assertEqual(self.agent.wishes, [True])

    def test_it_is_renewed_while_work_goes_on(self):
        worker = self.protected_worker("--protection-s", "6")
        self.hold(worker)
        wait_until(lambda: len(self.agent.requests) >= 4, "renewals")
        self.assertEqual({request[1:] for request in self.agent.requests}, {(True, 1)})

    def test_an_agent_that_fails_is_retried_and_told_once(self):
        for mood, reason in (("failing", "ServerException: try later"), ("refusing", "TASK_NOT_VALID")):
            with self.subTest(mood):
                self.agent.mood, self.agent.requests = mood, []
                worker = self.protected_worker()
                connection = self.hold(worker)
                wait_until(lambda: len(self.agent.requests) >= 3, "retries")
                self.square(worker)
                self.assertEqual(self.metric(worker, "fantail_task_protection"), 0)
                self.assertGreaterEqual(self.metric(worker, "fantail_task_protection_failures_total"), 2)
                self.assertEqual([warning["reason"] for warning in self.warnings(worker)], [reason])
                self.agent.mood = "good"
                self.wait_for_protection(worker)
                wait_until(lambda: any("protection again" in line["msg"] for line in worker.log_lines()), "the log line")
                connection.close()

    def test_a_slow_agent_holds_nothing_up(self):
        self.agent.mood = "slow"
        worker = self.protected_worker()
        for _ in range(20):
            self.square(worker)
        wait_until(lambda: self.agent.wishes, "the request")
        self.assertEqual(worker.stop(), 0)
        self.assertEqual(set(self.agent.wishes), {True}, "the worker ended without waiting for the agent")

    def test_an_agent_that_is_not_there_costs_only_the_protection(self):
        for uri in ("http://127.0.0.1:1", "nonsense://nowhere"):
            with self.subTest(uri):
                worker = self.protected_worker(uri=uri)
                self.square(worker)
                wait_until(lambda: self.metric(worker, "fantail_task_protection_failures_total") > 0, "the failure")
                self.assertEqual(len(self.warnings(worker)), 1)
                self.assertEqual(worker.stop(), 0)

    def test_a_draining_worker_gives_it_back_and_finishes(self):
        gate = self.gate()
        worker = self.protected_worker(tasks=self.tasks(wait=gate.task))
        with ft.Stream(worker.port, b"6\n", {"Content-Type": ft.NDJSON}, "/v1/tasks/wait") as stream:
            self.wait_for_protection(worker)
            wait_until(lambda: ft.metric_sum(ft.metrics(worker), "fantail_worker_slots", state="busy") == 1, "the item")
            worker.send_signal(signal.SIGTERM)
            wait_until(lambda: self.agent.wishes == [True, False], "the end of the protection when the drain begins")
            gate.open()
            self.assertEqual(stream.rest(), [{"value": 6}, {"end": "complete", "done": 1}])
        self.assertEqual(worker.wait(), 0)
        self.assertEqual(self.agent.wishes, [True, False])

    def test_an_idle_worker_that_is_still_protected_gives_it_back_before_it_ends(self):
        worker = self.protected_worker()
        self.square(worker)
        self.wait_for_protection(worker)
        self.assertEqual(worker.stop(), 0)
        self.assertEqual(self.agent.wishes, [True, False])

    def test_it_can_be_turned_off(self):
        worker = self.protected_worker("--protection-s", "0")
        self.square(worker)
        self.assertEqual(worker.stop(), 0)
        self.assertEqual(self.agent.requests, [])


if __name__ == "__main__":
    ft.main()
