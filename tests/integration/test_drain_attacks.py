"""Clients that attack a service while it drains. The work that runs gets its answers, and the service ends in time."""
import contextlib
import os
import signal
import socket
import threading

import fantail_testing as ft
import test_drain
from fantail_testing import in_time, wait_until, with_more_time

REQUEST = b"GET /livez HTTP/1.1\r\nHost: x\r\n"


def trickle(head, part):
    """Returns an attack that sends `head`, and then `part` again and again, with pauses."""
    def attack(s, ending):
        s.sendall(head)
        while not ending.wait(0.02):
            s.sendall(part)
    return attack


def flood(s, ending):
    """Sends many requests on one connection, and reads the answers."""
    while not ending.is_set():
        s.sendall((REQUEST + b"\r\n") * 100)
        if not s.recv(1 << 20):
            return


def flood_unread(s, ending):
    while not ending.is_set():
        s.sendall((REQUEST + b"\r\n") * 100)


def noise(s, ending):
    s.sendall(os.urandom(4096))
    s.recv(1 << 16)


def half_close(s, ending):
    s.sendall(REQUEST)
    s.shutdown(socket.SHUT_WR)
    ending.wait()


def silence(s, ending):
    ending.wait()


UPLOAD = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
ATTACKS = [trickle(REQUEST, b"X-More: 1\r\n"), trickle(UPLOAD % b"/v1/jobs?task=square", b"2\r\n1\n\r\n"),
           trickle(UPLOAD % b"/v1/tasks/square", b"2\r\n1\n\r\n"), flood, flood_unread, noise, half_close, silence]
EACH = 3  # how many clients make each attack


class DrainAttacks(test_drain.Drain):
    @contextlib.contextmanager
    def attacked(self, port):
        """While the `with` block runs, each attack is made again whenever its connection has ended."""
        ending, made = threading.Event(), [0] * len(ATTACKS)

        def run(number):
            while not ending.wait(0.01):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as s:
                    made[number] += 1
                    ATTACKS[number](s, ending)
        threads = [threading.Thread(target=run, args=(number,)) for number in range(len(ATTACKS)) for _ in range(EACH)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: min(made) > 0, "all attacks")
            yield
        finally:
            ending.set()
            for thread in threads:
                thread.join()

    def check(self, kind, drain_s):
        gate = self.gate()
        fleet = self.fleet(processes=1, tasks=f"{self.tasks(wait=gate.task)}:{ft.EXAMPLE_TASKS}",
                           **{f"{kind}_arguments": ("--drain-s", drain_s)})
        program = self.program_of(kind, fleet)
        running = self.begin_work(kind, fleet, "wait", [1])
        wait_until(lambda: fleet.busy_slots() == 1, "the item")
        with self.attacked(program.port):
            program.send_signal(signal.SIGTERM)
            wait_until(lambda: "draining" in [line["msg"] for line in program.log_lines()], "the drain")
            gate.open()
            values = [line["value"] for line in running.rest() if "value" in line]
            in_time(values or not self.was_cut(program), "the answer within the drain")
            self.assertEqual(values, [1])
            self.assertEqual(program.wait(), 0)
        self.assertIn("closed", [line["msg"] for line in program.log_lines()])

    def was_cut(self, program):
        return any(line["msg"].startswith("the drain timed out") for line in program.log_lines())

    def test_a_coordinator_ends_in_time_and_its_job_gets_its_answer(self):
        with_more_time(lambda drain_s: self.check("coordinator", drain_s), (2, 8, 32))

    def test_a_worker_ends_in_time_and_its_chunk_gets_its_answer(self):
        with_more_time(lambda drain_s: self.check("worker", drain_s), (2, 8, 32))


if __name__ == "__main__":
    ft.main()
