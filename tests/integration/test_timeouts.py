"""The time limits that a service sets for its clients: between two requests, and during a body."""
import socket
import time

import fantail_testing as ft
from fantail_testing import FantailTest, wait_until

HELLO = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
UPLOAD = (b"POST /v1/jobs?task=square HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
          b"Transfer-Encoding: chunked\r\n\r\n")


def ask(connection, port, data):
    """Sends data, and returns the first bytes of the answer. Returns b"" if the service closes the connection without
    an answer."""
    connection.settimeout(ft.LIMIT_S)
    connection.connect(("127.0.0.1", port))
    connection.sendall(data)
    return connection.recv(65536)


def slow_lines(count, seconds):
    """Yields lines, and waits for some time before each line."""
    for i in range(count):
        time.sleep(seconds)
        yield b"%d\n" % i


class Timeouts(FantailTest):
    def ports(self, *arguments):
        """Starts a fleet with these options. Returns the public port and the admin port of each service."""
        fleet = self.fleet(worker_arguments=arguments, coordinator_arguments=arguments)
        return [port for program in (fleet.coordinator, *fleet.workers) for port in (program.port, program.admin_port)]

    def test_a_kept_connection_is_closed_after_its_time_on_every_port(self):
        for port in self.ports("--keepalive-timeout-s", "0.3"):
            with socket.socket() as s:
                self.assertIn(b" 200 ", ask(s, port, HELLO))
                self.assertEqual(s.recv(1), b"", port)

    def test_a_kept_connection_serves_requests_for_longer_than_its_time(self):
        port = self.fleet(coordinator_arguments=("--keepalive-timeout-s", "5")).port
        with socket.socket() as s:
            self.assertIn(b" 200 ", ask(s, port, HELLO))
            for _ in range(12):
                time.sleep(0.5)
                s.sendall(HELLO)
                self.assertIn(b" 200 ", s.recv(65536))

    def test_an_upload_that_pauses_for_too_long_is_answered_408_and_its_job_ends(self):
        fleet = self.fleet(coordinator_arguments=("--upload-pause-s", "0.5"))
        with socket.socket() as s:
            answer = ask(s, fleet.port, UPLOAD + b"2\r\n1\n\r\n")
        self.assertIn(b" 408 ", answer)
        self.assertIn(b"no byte of the body arrived for 0.5 s", answer)
        wait_until(lambda: fleet.request("GET", "/v1/jobs").json["jobs"] == [], "no job left")

    def test_a_worker_answers_408_too(self):
        worker = self.worker("--upload-pause-s", "0.5")
        with socket.socket() as s:
            upload = UPLOAD.replace(b"/v1/jobs?task=square", b"/v1/tasks/square")
            self.assertIn(b" 408 ", ask(s, worker.port, upload))

    def test_a_producer_of_a_short_line_now_and_then_loses_nothing(self):
        """The whole upload takes longer than the allowed pause."""
        fleet = self.fleet(coordinator_arguments=("--upload-pause-s", "3"))
        answer = fleet.job(slow_lines(9, 0.5), accept=ft.NDJSON, content_type=ft.NDJSON, query="?task=square")
        self.assertEqual(answer.values, [i * i for i in range(9)])


if __name__ == "__main__":
    ft.main()
