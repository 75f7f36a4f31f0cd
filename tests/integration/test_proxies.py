"""Clients behind real proxies get the same answers as clients without a proxy."""
import contextlib
import json
import os
import socket
import time
import unittest

import fantail_testing as ft
import proxies
from fantail_testing import SharedFleetTest, wait_until

MIB = 1024 * 1024
STEPS = 5
WIDE_BYTES = 100000
LONG_LINE = b'"' + b"x" * (64 * 1024 - 3) + b'"\n'


class ProxyTest(SharedFleetTest):
    """A coordinator with one worker, and a proxy in front of the coordinator. In this file, the classes with the tests
    come first, and then the classes for each proxy."""

    proxy = None  # a name that proxies.start() knows
    kind = "stock"
    cut_s = None  # see proxies.start()
    heartbeat_s = 0.2
    upload_bytes = 8 * MIB
    answer_bytes = 12 * MIB

    @classmethod
    def setUpClass(cls):
        if not proxies.have(cls.proxy):
            raise unittest.SkipTest(f"{cls.proxy} is missing")
        super().setUpClass()
        cls._proxies = contextlib.ExitStack()
        try:
            cls.port = proxies.start(cls._keeper, cls.proxy, cls.shared.port, cls.kind, cls._proxies.callback, cls.cut_s)
        except BaseException:
            cls._keeper.doCleanups()
            raise

    @classmethod
    def tearDownClass(cls):
        cls._proxies.close()
        super().tearDownClass()

    @classmethod
    def make_fleet_options(cls, keeper):
        cls.steps = os.path.join(keeper.folder, "steps")
        os.mkdir(cls.steps)
        step = f"read -r name; until [ -e {cls.steps}/$name ]; do sleep 0.02; done; echo $name"
        wide = f"cat > /dev/null; head -c {WIDE_BYTES} /dev/zero | tr '\\0' x"
        tasks = keeper.tasks(step={"mode": "exec", "command": ["sh", "-c", step], "input": "text", "item_timeout_s": 3600},
                             wide={"mode": "exec", "command": ["sh", "-c", wide]},
                             echo={"mode": "stream", "command": ["cat"], "envelope": False})
        return {"processes": 1, "tasks": tasks, "coordinator_arguments": ("--heartbeat-s", cls.heartbeat_s, "--max-body-bytes", "3G")}

    def setUp(self):
        super().setUp()
        self.addCleanup(lambda: wait_until(lambda: not self.jobs(), "the end of all jobs"))
        self.addCleanup(self.open_all)
        self.names = [f"{self.id().rsplit('.', 1)[1]}-{i}" for i in range(STEPS)]

    def open(self, name):
        ft.write_file(os.path.join(self.steps, name), "")

    def open_all(self):
        for name in self.names:
            self.open(name)

    # Requests through the proxy.

    def url(self, path):
        """Returns the address for a request through this proxy. For a forward proxy, the address is absolute."""
        return path

    def ask(self, method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return ft.request(self.port, method, self.url(path), body, headers)

    def steps_body(self):
        return json.dumps({"task": "step", "items": self.names}).encode()

    def stream(self, body, path="/v1/jobs", content_type=ft.JSON):
        return ft.Stream(self.port, body, {"Content-Type": content_type, "Accept": ft.NDJSON}, self.url(path))

    # The coordinator itself.

    def jobs(self):
        return self.shared.request("GET", "/v1/jobs").json["jobs"]


class Answers:
    def test_each_line_arrives_before_the_next_item_is_answered(self):
        with self.stream(self.steps_body()) as stream:
            self.assertIsNone(stream.line_of("heartbeat").get("value"))
            self.assertEqual(stream.start["type"], "start")
            for i, name in enumerate(self.names):
                self.open(name)  # opens the gate of the item, which is answered only then
                self.assertEqual(stream.line_of("result"), {"type": "result", "index": i, "value": name})
            self.assertEqual(stream.line_of("end")["status"], "succeeded")

    def test_a_document_that_waits_for_its_job_is_kept_alive_and_whole(self):
        with contextlib.closing(socket.create_connection(("127.0.0.1", self.port), ft.LIMIT_S)) as s:
            head = f"POST {self.url('/v1/jobs')} HTTP/1.1\r\nHost: x\r\nContent-Type: {ft.JSON}\r\nConnection: close\r\n"
            s.sendall(f"{head}Content-Length: {len(self.steps_body())}\r\n\r\n".encode() + self.steps_body())
            received = b""
            while received.partition(b"\r\n\r\n")[2].count(b"\n") < 5:  # heartbeats, before any answer
                received += s.recv(65536)
            self.open_all()
            while piece := s.recv(65536):
                received += piece
        self.assertIn(b'"results":' + json.dumps(self.names, separators=(",", ":")).encode(), received)
        self.assertIn(b'"status":"succeeded"', received)

    def test_a_long_answer_that_is_read_slowly_is_whole(self):
        items = self.answer_bytes // WIDE_BYTES
        with self.stream(json.dumps({"task": "wide", "range": {"stop": items}}).encode()) as stream:
            for i in range(items):
                line = stream.line_of("result")
                self.assertEqual((line["index"], len(line["value"])), (i, WIDE_BYTES))
                if i == 0:
                    time.sleep(1)  # meanwhile the buffers between the services become full
            self.assertEqual(stream.line_of("end")["status"], "succeeded")

    def test_errors_arrive_as_they_are(self):
        for status, answer in ((400, self.ask("POST", "/v1/jobs", b"{", Content_Type=ft.JSON)),
                               (404, self.ask("GET", "/v1/jobs/no-such-job")),
                               (404, self.ask("POST", "/v1/jobs", b'{"task":"nothing","items":[1]}', Content_Type=ft.JSON)),
                               (405, self.ask("DELETE", "/v1/jobs")),
                               (415, self.ask("POST", "/v1/jobs", b"x", Content_Type="image/png"))):
            self.assert_problem(answer, status)

    def test_no_answer_is_an_old_one(self):
        for _ in range(2):
            wait_until(lambda: self.ask("GET", "/v1/jobs").json["jobs"] == [], "the list without a job")
            with self.stream(self.steps_body()) as stream:
                stream.line_of("heartbeat")
                path = "/v1/jobs/" + stream.start["id"]
                self.assertEqual(self.ask("GET", path).json["status"], "running")
                self.assertEqual(len(self.ask("GET", "/v1/jobs").json["jobs"]), 1)
                self.assertEqual(self.ask("DELETE", path).status, 202)
                self.assertEqual(stream.line_of("end")["status"], "cancelled")
            wait_until(lambda path=path: self.ask("GET", path).status == 404, "the end of the job")


class EarlyHangUps:
    def test_a_client_that_hangs_up_before_the_answer_cancels_its_job(self):
        with socket.create_connection(("127.0.0.1", self.port), ft.LIMIT_S) as s:
            body = self.steps_body()
            s.sendall(f"POST {self.url('/v1/jobs')} HTTP/1.1\r\nHost: x\r\nContent-Type: {ft.JSON}\r\n"
                      f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            wait_until(self.jobs, "the job")
        wait_until(lambda: not self.jobs(), "the end of the job")


class HangUps(EarlyHangUps):
    def test_a_client_that_hangs_up_cancels_its_job(self):
        with self.stream(self.steps_body()) as stream:
            stream.line_of("heartbeat")
            self.assertEqual(len(self.jobs()), 1)
            stream.hang_up()
        wait_until(lambda: not self.jobs(), "the end of the job")


class SlowUploads:
    def upload(self, pieces, query="?task=echo", **headers):
        return self.ask("POST", "/v1/jobs" + query, pieces, Content_Type=ft.NDJSON, Accept=ft.NDJSON, **headers)

    def test_a_slow_upload_in_chunks_loses_nothing(self):
        def lines():
            for i in range(8):
                time.sleep(0.2)
                yield b"%d\n" % i
        self.assertEqual([line["value"] for line in self.upload(lines()).lines if line["type"] == "result"], list(range(8)))


class Uploads(SlowUploads):
    def test_a_long_upload_with_a_length_or_in_chunks_is_whole(self):
        """The upload is longer than what any proxy buffers in memory. tests/fault/test_behind_proxies.py uploads more
        bytes."""
        count = self.upload_bytes // len(LONG_LINE)
        for headers in {}, {"Content_Length": str(count * len(LONG_LINE))}:
            answer = self.upload((LONG_LINE for _ in range(count)), "?task=echo&reduce=count", **headers)
            self.assertEqual(answer.end["counts"]["succeeded"], count, headers)


class UploadsAtOnce(Uploads):
    def test_a_job_runs_while_its_upload_is_still_coming(self):
        def lines():
            for _ in range(32):
                yield LONG_LINE
            wait_until(lambda: any(job["counts"]["succeeded"] for job in self.jobs()), "an answered item")
            yield b"1\n"
        self.assertEqual(self.upload(lines(), "?task=echo&reduce=count").end["counts"]["succeeded"], 33)


class SilentHangUps(EarlyHangUps):
    """The coordinator sends nothing, not even a heartbeat. So the proxy can notice only by its own checks that its
    client has closed the connection."""

    heartbeat_s = 3600

    def test_a_client_that_hangs_up_while_nothing_is_sent_cancels_its_job(self):
        with self.stream(self.steps_body()) as stream:
            self.open(self.names[0])
            stream.line_of("result")
            stream.hang_up()
        wait_until(lambda: not self.jobs(), "the end of the job")


class StockNginx(Answers, HangUps, ProxyTest):
    proxy = "nginx"

    def test_an_upload_is_held_back_until_it_is_whole_and_must_be_short(self):
        def lines():
            yield b"1\n"
            self.assertEqual(self.ask("GET", "/v1/jobs").json["jobs"], [])
            time.sleep(0.5)
            self.assertEqual(self.jobs(), [])
            yield b"2\n"
        answer = self.ask("POST", "/v1/jobs?task=echo", lines(), Content_Type=ft.NDJSON, Accept=ft.NDJSON)
        self.assertEqual(answer.end["counts"]["succeeded"], 2)
        answer = self.ask("POST", "/v1/jobs?task=echo", b"1\n" * MIB, Content_Type=ft.NDJSON)
        self.assertEqual((answer.status, answer.headers.get_content_type()), (413, "text/html"))


class DocumentedNginx(Answers, HangUps, UploadsAtOnce, ProxyTest):
    proxy, kind = "nginx", "documented"


class StockHaproxy(Answers, HangUps, UploadsAtOnce, ProxyTest):
    proxy = "haproxy"


class DocumentedHaproxy(Answers, HangUps, UploadsAtOnce, ProxyTest):
    proxy, kind = "haproxy", "documented"


class StockApache(Answers, HangUps, UploadsAtOnce, ProxyTest):
    proxy = "apache"


class DocumentedApache(Answers, HangUps, UploadsAtOnce, ProxyTest):
    proxy, kind = "apache", "documented"

    def test_a_producer_of_a_short_line_a_second_loses_nothing(self):
        """The package's own configuration ends an upload of less than 500 bytes a second after 10 s."""
        def lines():
            for i in range(13):
                time.sleep(1)
                yield b"%d\n" % i
        self.assertEqual(self.upload(lines()).end["counts"]["succeeded"], 13)


class StockCaddy(Answers, HangUps, UploadsAtOnce, ProxyTest):
    proxy = "caddy"


class StockVarnish(Answers, HangUps, UploadsAtOnce, ProxyTest):
    proxy = "varnish"


class DocumentedVarnish(Answers, HangUps, UploadsAtOnce, ProxyTest):
    proxy, kind = "varnish", "documented"

    def test_a_producer_that_pauses_loses_nothing(self):
        """The package's own configuration ends an upload that pauses for 5 s."""
        def lines():
            yield b"1\n"
            time.sleep(6)
            yield b"2\n"
        self.assertEqual(self.upload(lines()).end["counts"]["succeeded"], 2)


class StockEnvoy(Answers, HangUps, UploadsAtOnce, ProxyTest):
    proxy = "envoy"


class DocumentedEnvoy(Answers, HangUps, UploadsAtOnce, ProxyTest):
    proxy, kind = "envoy", "documented"

    def test_a_stream_may_last_longer_than_the_timeout_of_a_route(self):
        """A route without `timeout` ends each answer after 15 s."""
        with self.stream(self.steps_body()) as stream:
            stream.line_of("heartbeat")
            time.sleep(16)
            self.open_all()
            self.assertEqual(stream.line_of("end")["status"], "succeeded")


class ForwardProxy:
    """Clients send absolute addresses to this proxy."""

    proxy = "squid"

    def url(self, path):
        return f"http://127.0.0.1:{self.shared.port}{path}"


class StockSquid(ForwardProxy, Answers, HangUps, SlowUploads, ProxyTest):
    """Squid 5.7 cuts a long upload if the service reads the upload more slowly than the client sends it."""


class SilentNginx(SilentHangUps, ProxyTest):
    proxy = "nginx"


class SilentCaddy(SilentHangUps, ProxyTest):
    proxy = "caddy"


class SilentEnvoy(SilentHangUps, ProxyTest):
    proxy = "envoy"


class SilentSquid(ForwardProxy, SilentHangUps, ProxyTest):
    pass


class SilentHaproxy(SilentHangUps, ProxyTest):
    proxy, kind = "haproxy", "documented"


if __name__ == "__main__":
    ft.main()
