"""--emf: the demand on standard output, in the embedded metric format of CloudWatch."""
import json
import os
import socket
import subprocess
import threading

import fantail_testing as ft
from fantail_testing import FantailTest, wait_until

METRICS = {"queued_items", "in_flight_items", "demand_items", "demand_slots", "unserved_slots", "slots", "jobs_running"}


class FullBalancer:
    """Plays a load balancer that has no target: answers each request with 503."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Emf(FantailTest):
    def emf(self, workers, *arguments):
        return self.coordinator(workers, "--emf", "--emf-period-s", 1, *arguments)

    def lines(self, program):
        """Returns the lines so far. The coordinator writes each line in one call, so all lines are complete."""
        text = program.stdout()
        self.assertTrue(not text or text.endswith("\n"), text)
        return [json.loads(line) for line in text.splitlines()]

    def line(self, program, condition=lambda line: True):
        return wait_until(lambda: next(filter(condition, self.lines(program)), None), "the line")

    def test_without_it_standard_output_is_silent(self):
        fleet = self.fleet()
        fleet.job({"task": "square", "items": [1]})
        self.assertEqual(fleet.coordinator.stop(), 0)
        self.assertEqual(fleet.coordinator.stdout(), "")

    def test_a_line_is_what_the_format_asks_for(self):
        coordinator = self.emf([self.worker()], "--emf-cluster", "my cluster", "--emf-service", "stack-1")
        line = self.line(coordinator)
        self.assertEqual(set(line["_aws"]), {"Timestamp", "CloudWatchMetrics"})
        [directive] = line["_aws"]["CloudWatchMetrics"]
        self.assertEqual(set(directive), {"Namespace", "Dimensions", "Metrics"})
        self.assertEqual(directive["Namespace"], "fantail")
        self.assertEqual(directive["Dimensions"], [["cluster", "service"]])
        self.assertEqual((line["cluster"], line["service"]), ("my cluster", "stack-1"))
        self.assertEqual({metric["Name"] for metric in directive["Metrics"]}, METRICS)
        for metric in directive["Metrics"]:
            self.assertEqual((metric["Unit"], metric["StorageResolution"]), ("Count", 1))
            self.assertIsInstance(line[metric["Name"]], int)

    def test_lines_belong_to_the_same_instants_whoever_writes_them(self):
        first, second = (self.emf("static://127.0.0.1:1") for _ in range(2))
        wait_until(lambda: len(self.lines(first)) > 2 and len(self.lines(second)) > 2, "lines of both")
        for program in (first, second):
            stamps = [line["_aws"]["Timestamp"] for line in self.lines(program)]
            self.assertEqual([stamp % 1000 for stamp in stamps], [0] * len(stamps))
            self.assertEqual(stamps, sorted(set(stamps)))

    def test_the_demand_is_what_autoscale_tells(self):
        worker = self.worker(processes=1)
        fleet = ft.Fleet(self, self.emf([worker]), [worker])
        with fleet.stream({"task": "sleep", "items": [60] * 20}) as stream:
            def the_same():
                told = ft.request(fleet.coordinator.admin_port, "GET", "/autoscale").json
                names = {"queued_items": "queued", "in_flight_items": "in_flight", "demand_slots": "demand", "slots": "slots"}
                return next((line for line in self.lines(fleet.coordinator)[-1:] if line["in_flight_items"] > 0
                             and all(line[emf] == told[plain] for emf, plain in names.items())), None)
            line = wait_until(the_same, "a line that says the same")
            self.assertEqual(line["queued_items"] + line["in_flight_items"], 20)
            self.assertEqual((line["demand_items"], line["jobs_running"], line["unserved_slots"]), (20, 1, 0))
            stream.hang_up()

    def test_a_fleet_at_zero_is_seen_behind_a_balancer_and_without_any_endpoint(self):
        balancer = FullBalancer()
        self.addCleanup(balancer.close)
        for workers in (f"http://127.0.0.1:{balancer.port}", "static://127.0.0.1:1"):
            with self.subTest(workers):
                coordinator = self.emf(workers)
                body = json.dumps({"task": "square", "items": list(range(7))}).encode()
                with ft.Stream(coordinator.port, body, {"Content-Type": ft.JSON, "Accept": ft.NDJSON}) as stream:
                    line = self.line(coordinator, lambda line: line["unserved_slots"] > 0)
                    self.assertEqual((line["unserved_slots"], line["demand_slots"], line["slots"]), (7, 7, 0))
                    stream.hang_up()

    def test_a_pool_at_zero_is_seen_though_another_pool_has_slots(self):
        workers = {}
        for task in ("a", "b"):
            folder = os.path.join(self.folder, task)
            os.makedirs(os.path.join(folder, task))
            ft.write_file(os.path.join(folder, task, "task.json"), json.dumps({"command": ["cat"], "envelope": False}))
            workers[task] = self.worker(tasks=folder)
        coordinator = self.emf("static://" + ",".join(f"127.0.0.1:{worker.port}" for worker in workers.values()))
        fleet = ft.Fleet(self, coordinator, list(workers.values()))
        for task in workers:
            self.assertEqual(fleet.job({"task": task, "items": [1]}).json["results"], [1])
        workers["b"].stop()
        body = json.dumps({"task": "b", "items": list(range(7))}).encode()
        with ft.Stream(coordinator.port, body, {"Content-Type": ft.JSON, "Accept": ft.NDJSON}) as stream:
            line = self.line(coordinator, lambda line: line["unserved_slots"] > 0 and line["demand_slots"] == 7)
            self.assertEqual(line["unserved_slots"], 7)
            self.assertGreater(line["slots"], 0)
            stream.hang_up()

    def test_a_reader_that_stops_reading_stops_nothing(self):
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        os.set_blocking(write, False)
        with self.assertRaises(BlockingIOError):
            while True:
                os.write(write, b"x" * 4096)
        os.set_blocking(write, True)
        worker = self.worker()
        coordinator = self.coordinator([worker], "--emf", "--emf-period-s", 1, before_exec=lambda: os.dup2(write, 1))
        os.close(write)
        wait_until(lambda: any("embedded metrics" in line["msg"] for line in coordinator.log_lines()), "the warning")
        fleet = ft.Fleet(self, coordinator, [worker])
        self.assertEqual(fleet.job({"task": "square", "items": [3]}).json["results"], [9])

    def test_settings_that_do_not_fit_are_refused_by_name(self):
        for arguments, option in ((["--emf-period-s", "7"], "--emf-period-s"), (["--emf-period-s", "61"], "--emf-period-s"),
                                  (["--emf-cluster", ""], "--emf-cluster"), (["--emf-service", ":x"], "--emf-service"),
                                  (["--emf", "--ready-fd", "1"], "--emf")):
            ended = subprocess.run([os.path.join(ft.BIN, "fantail-coordinator"), *arguments], capture_output=True,
                                   text=True, timeout=30, env=self.environment())
            self.assertEqual(ended.returncode, 2, arguments)
            self.assertIn(option + ":", ended.stderr)


if __name__ == "__main__":
    ft.main()
