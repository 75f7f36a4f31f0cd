"""Hostile surroundings: an OTLP collector and an ECS agent that lie, a shared port, a clock that jumps. These
surroundings must not affect jobs."""
import contextlib
import glob
import os
import socket
import threading
import time
import unittest

import fantail_testing as ft
from fantail_testing import FantailTest, Fleet, cpu_seconds, wait_until

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
BLOCK = b"x" * 65536
FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")


def endless(head, part):
    """Returns a function that sends `head`, and then sends `part` again and again until the client closes the connection."""
    def answer(connection, port):
        connection.sendall(head)
        while True:
            connection.sendall(part)
    return answer


def once(data, then_wait=False):
    def answer(connection, port):
        connection.sendall(data.replace(b"PORT", str(port).encode()))
        if then_wait:
            connection.recv(1 << 20)
            time.sleep(30)
    return answer


LIES = {
    "an endless head": endless(b"HTTP/1.1 200 OK\r\n", b"x-more: " + b"y" * 8000 + b"\r\n"),
    "a field line without an end": endless(b"HTTP/1.1 200 OK\r\nx-more: ", BLOCK),
    "an endless body": endless(b"HTTP/1.1 200 OK\r\n\r\n", BLOCK),
    "an endless body in chunks": endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                                         b"10000\r\n" + BLOCK + b"\r\n"),
    "endless interim answers": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "a terabyte that never comes": once(b"HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n{", then_wait=True),
    "an invalid length": once(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"),
    "silence": once(b"", then_wait=True),
    "an end without an answer": once(b""),
    "noise": once(os.urandom(4096)),
    "two answers": once(ANSWER * 2),
    "a thousand answers": once(ANSWER * 1000),
    "a redirection to itself": once(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:PORT/again\r\n"
                                    b"Content-Length: 0\r\n\r\n"),
    "a redirection to a file": once(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
    "JSON of 100,000 levels": once(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 200000\r\n\r\n"
                                   + b"[" * 100000 + b"]" * 100000),
    "a retry after a million years": once(b"HTTP/1.1 503 Busy\r\nRetry-After: 31536000000000\r\nContent-Length: 0\r\n\r\n"),
    "a switch of protocols": once(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
                                  + os.urandom(100)),
}


class Liar:
    """A server that answers a client as soon as the client has sent something. `asked` is the number of such clients."""

    def __init__(self, answer):
        self.answer, self.asked, self.stopping = answer, 0, False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.connections = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection:
            if connection.recv(65536):
                self.asked += 1
                self.answer(connection, self.port)

    def close(self):
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


class Lies(FantailTest):
    TIME_LIMIT_S = 240
    GROWTH_KIB = 64 * 1024  # allows for the shadow memory of a sanitizer; an endless answer would use gigabytes

    def liar(self, answer):
        liar = Liar(answer)
        self.addCleanup(liar.close)
        return liar

    def check_that_work_goes_on(self, fleet, liar):
        """Runs jobs until the lying server has received two requests. Checks the results of the jobs, and that the memory of
        the services has hardly grown."""
        programs = [fleet.coordinator, *fleet.workers]
        self.assertEqual(fleet.job({"task": "square", "items": list(range(100))}).json["counts"]["succeeded"], 100)
        before = [resident_kib(p.pid) for p in programs]

        def asked_again():
            answer = fleet.job({"task": "square", "items": list(range(50))})
            self.assertEqual(answer.json["results"], [n * n for n in range(50)])
            return liar.asked >= 2
        wait_until(asked_again, "requests to the liar")
        for program, kib in zip(programs, before):
            self.assertLess(resident_kib(program.pid) - kib, self.GROWTH_KIB, program.name)

    def check_idle(self, fleet):
        """Waits until the services have used less than a fifth of a processor for one second."""
        pids = [p.pid for p in [fleet.coordinator, *fleet.workers]]

        def is_idle():
            used = cpu_seconds(pids)
            time.sleep(1)
            return cpu_seconds(pids) - used < 0.2
        wait_until(is_idle, "idle services")

    def test_a_collector_of_spans(self):
        for lie, answer in LIES.items():
            with self.subTest(lie):
                liar = self.liar(answer)
                env = self.environment(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{liar.port}",
                                       OTEL_BSP_SCHEDULE_DELAY="50", OTEL_EXPORTER_OTLP_TIMEOUT="500")
                worker = self.worker(env=env)
                coordinator = self.start("fantail-coordinator", "--port", 0, "--admin-port", 0, "--workers",
                                         f"static://127.0.0.1:{worker.port}", ready=True, env=env)
                fleet = Fleet(self, coordinator, [worker])
                self.check_that_work_goes_on(fleet, liar)
                self.check_idle(fleet)
                for program in (coordinator, worker):
                    self.assertEqual(program.stop(), 0, program.describe())
                liar.close()

    def test_an_agent_of_ecs(self):
        for lie, answer in LIES.items():
            with self.subTest(lie):
                liar = self.liar(answer)
                worker = self.worker("--protection-idle-s", "1",
                                     env=self.environment(ECS_AGENT_URI=f"http://127.0.0.1:{liar.port}/api/task"))
                fleet = Fleet(self, self.coordinator([worker]), [worker])
                self.assertEqual(fleet.job({"task": "square", "items": [3]}).json["results"], [9])
                before = resident_kib(worker.pid)
                wait_until(lambda f=fleet, l=liar: f.job({"task": "square", "items": [3]}).json["results"] == [9]
                           and l.asked >= 1, "a request to the liar")
                self.assertLess(resident_kib(worker.pid) - before, self.GROWTH_KIB)
                self.check_idle(fleet)
                for program in (fleet.coordinator, worker):
                    self.assertEqual(program.stop(), 0, program.describe())
                liar.close()


class Neighbours(FantailTest):
    def test_three_coordinators_share_a_port_and_one_is_killed(self):
        worker = self.worker(processes=4)
        port = self.free_port()
        started = [self.start("fantail-coordinator", "--port", port, "--reuse-port", "--admin-port", 0, "--workers",
                              f"static://127.0.0.1:{worker.port}", ready=True) for _ in range(3)]

        def jobs(count):
            return [ft.request(port, "POST", "/v1/jobs?task=square", b"7\n", {"Content-Type": ft.NDJSON})
                    for _ in range(count)]
        self.assertEqual({a.status for a in jobs(60)}, {200})
        shares = [ft.metric_sum(ft.metrics(c), "fantail_jobs_total") for c in started]
        self.assertEqual(sum(shares), 60)
        self.assertGreater(sorted(shares)[1], 0, "fewer than two processes had jobs")
        started[0].kill()
        wait_until(lambda: not ft.runs(started[0].pid), "the end of the killed coordinator")
        self.assertEqual({a.status for a in jobs(60)}, {200})


@unittest.skipUnless(FAKETIME, "libfaketime is missing (package faketime)")
class Clock(FantailTest):
    def test_the_wall_clock_jumps_in_the_middle_of_a_job(self):
        clock = os.path.join(self.folder, "clock")
        ft.write_file(clock, "+0\n")
        env = self.environment(LD_PRELOAD=FAKETIME[0], FAKETIME_TIMESTAMP_FILE=clock, FAKETIME_NO_CACHE="1",
                               DONT_FAKE_MONOTONIC="1")
        env["ASAN_OPTIONS"] += ":verify_asan_link_order=0:detect_leaks=0"
        worker = self.worker(env=env)
        coordinator = self.start("fantail-coordinator", "--port", 0, "--admin-port", 0, "--workers",
                                 f"static://127.0.0.1:{worker.port}", ready=True, env=env)
        fleet = Fleet(self, coordinator, [worker])
        for jump in ("+1d", "-1d", "+400d", "-3650d", "+0"):
            with self.subTest(jump), fleet.stream({"task": "sleep", "items": [0.05] * 20, "deadline_s": 60,
                                                   "item_timeout_s": 20}) as stream:
                first = stream.line()
                ft.write_file(clock, jump + "\n")
                end = stream.rest()[-1]
                self.assertEqual((end["status"], end["counts"]["succeeded"], end["counts"]["retried"]),
                                 ("succeeded", 20, 0), first)
                self.assertLess(end["stats"]["elapsed_s"], 60)


if __name__ == "__main__":
    ft.main()
