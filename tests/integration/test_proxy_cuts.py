"""What clients see if a proxy cuts a quiet stream or a paused upload. In these tests, the timeouts of the proxies are short;
the packages of the proxies set longer timeouts (docs/proxies.md)."""
import contextlib
import http.client
import json
import os
import socket
import subprocess
import time

import fantail_testing as ft
import test_proxies
from cli_testing import FANTAIL
from fantail_testing import wait_until


class CutTest(test_proxies.ProxyTest):
    cut_s = 4


class Heartbeats:
    """The pause between two heartbeats of the coordinator is shorter than the pause after which the proxy cuts a
    stream."""

    heartbeat_s = 0.5

    def test_heartbeats_keep_a_quiet_stream_alive(self):
        with self.stream(self.steps_body()) as stream:
            stream.line_of("heartbeat")
            begun = time.monotonic()
            while time.monotonic() < begun + 2 * self.cut_s:
                stream.line_of("heartbeat")
            self.open_all()
            self.assertEqual(stream.line_of("end")["status"], "succeeded")


class Silence:
    """The coordinator sends no heartbeats, as with a --heartbeat-s that is longer than the timeout of the proxy."""

    heartbeat_s = 3600

    def test_a_stream_that_is_cut_has_no_end_line_and_its_job_ends(self):
        lines = []
        with self.stream(self.steps_body()) as stream:
            self.open(self.names[0])
            with contextlib.suppress(OSError, http.client.HTTPException):
                while line := stream.line():
                    lines.append(line)
        self.assertIn({"type": "result", "index": 0, "value": self.names[0]}, lines)
        self.assertNotIn("end", [line["type"] for line in lines])
        wait_until(lambda: not self.jobs(), "the end of the job")

    def test_map_goes_on_after_a_cut_without_a_wrong_or_a_missing_answer(self):
        """`fantail map` may run items of the task `step` again after the connection has been lost."""
        err = os.path.join(self.folder, "map.stderr")
        with open(err, "wb") as to:
            command = [FANTAIL, "map", "step", "--url", f"http://127.0.0.1:{self.port}"]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=to, env=self.environment())
        self.addCleanup(process.kill)
        process.stdin.write("".join(json.dumps(name) + "\n" for name in self.names).encode())
        process.stdin.close()
        self.open(self.names[0])

        def said():
            with open(err, encoding="utf-8") as lines:
                return lines.read()
        wait_until(lambda: "reconnecting" in said(), "the cut")
        self.open_all()
        self.assertEqual([json.loads(line) for line in process.stdout], self.names, said())
        process.stdout.close()
        self.assertEqual(process.wait(), 0, said())

    def test_an_upload_that_is_cut_has_no_good_answer_and_no_job_is_left(self):
        head = (f"POST {self.url('/v1/jobs?task=echo')} HTTP/1.1\r\nHost: x\r\nContent-Type: {ft.NDJSON}\r\n"
                "Transfer-Encoding: chunked\r\n\r\n2\r\n1\n\r\n")
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), ft.LIMIT_S) as s, contextlib.suppress(ConnectionError):
            s.sendall(head.encode())  # the end of the body never comes
            while piece := s.recv(65536):
                answer += piece
        self.assertNotIn(b'"status":"succeeded"', answer)
        self.assertNotIn(b'"type":"end"', answer)
        wait_until(lambda: not self.jobs(), "the end of the job")


class NginxHeartbeats(Heartbeats, CutTest):
    proxy = "nginx"


class NginxSilence(Silence, CutTest):
    proxy = "nginx"


class HaproxyHeartbeats(Heartbeats, CutTest):
    proxy = "haproxy"


class HaproxySilence(Silence, CutTest):
    proxy = "haproxy"


class ApacheHeartbeats(Heartbeats, CutTest):
    proxy = "apache"


class ApacheSilence(Silence, CutTest):
    proxy = "apache"


class VarnishHeartbeats(Heartbeats, CutTest):
    proxy = "varnish"


class VarnishSilence(Silence, CutTest):
    proxy = "varnish"


class SquidHeartbeats(test_proxies.ForwardProxy, Heartbeats, CutTest):
    pass


class SquidSilence(test_proxies.ForwardProxy, Silence, CutTest):
    test_an_upload_that_is_cut_has_no_good_answer_and_no_job_is_left = None  # no timeout of Squid cuts an upload
    test_map_goes_on_after_a_cut_without_a_wrong_or_a_missing_answer = None  # for http, `fantail` uses no forward proxy


if __name__ == "__main__":
    ft.main()
