"""What both services have in common: options, health, metrics, log, and shutdown."""
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import time

import fantail_testing as ft
from fantail_testing import FantailTest, wait_until

SERVICES = ("fantail-coordinator", "fantail-worker")


class Options(FantailTest):
    def call(self, program, *arguments, env=None):
        return subprocess.run([os.path.join(ft.BIN, program), *arguments], capture_output=True, text=True, timeout=30,
                              env=env or self.environment())

    def tasks_of(self, program):
        return ("--tasks", ft.EXAMPLE_TASKS) if program == "fantail-worker" else ()

    def test_help_and_version_are_on_standard_output(self):
        for program in SERVICES + ("fantail",):
            ended = self.call(program, "--help")
            self.assertEqual((ended.returncode, ended.stderr), (0, ""), program)
            self.assertIn(program, ended.stdout)
            ended = self.call(program, "--version")
            self.assertEqual(ended.returncode, 0)
            self.assertRegex(ended.stdout, r"\d+\.\d+\.\d+")

    def test_print_config_says_every_value(self):
        for program in SERVICES:
            ended = self.call(program, "--drain-s", "7", "--print-config")
            self.assertEqual(ended.returncode, 0)
            self.assertRegex(ended.stdout, r"drain.s\W+7\b")

    def test_a_flag_goes_over_the_environment_and_that_over_the_default(self):
        env = self.environment(FANTAIL_DRAIN_S="9")
        self.assertRegex(self.call(SERVICES[0], "--print-config", env=env).stdout, r"drain.s\W+9\b")
        self.assertRegex(self.call(SERVICES[0], "--drain-s=8", "--print-config", env=env).stdout, r"drain.s\W+8\b")

    def test_a_bad_option_ends_the_program_with_2_and_names_it(self):
        for arguments in (["--port", "99999"], ["--port", "x"], ["--drain-s", "-1"], ["--no-such-thing"],
                          ["--log-level", "loud"], ["--port"], ["stray"], ["--keepalive-timeout-s", "0"],
                          ["--keepalive-timeout-s", "never"], ["--upload-pause-s", "0"], ["--upload-pause-s=-5"],
                          ["--upload-pause-s", "1e9"]):
            for program in SERVICES:
                ended = self.call(program, *arguments)
                self.assertEqual(ended.returncode, 2, (program, arguments, ended.stderr))
                self.assertIn(arguments[0].lstrip("-").split("=")[0], ended.stderr)

    def test_bad_workers_end_the_coordinator_with_2(self):
        for workers in ("nonsense", "static://", "ftp://x:1", "dns://x", "static://a:b"):
            ended = self.call("fantail-coordinator", "--workers", workers)
            self.assertEqual(ended.returncode, 2, (workers, ended.stderr))
            self.assertIn("workers", ended.stderr)

    def test_a_port_in_use_ends_the_program_with_a_clear_line(self):
        worker = self.worker()
        taken = str(worker.port)
        for program in ("fantail-coordinator", "fantail-worker"):
            for wrong, right in (("--port", "--admin-port"), ("--admin-port", "--port")):
                with self.subTest((program, wrong)):
                    ended = self.call(program, wrong, taken, right, "0", *self.tasks_of(program))
                    self.assertEqual(ended.returncode, 1, ended)
                    self.assertIn(f"{program}: {wrong}: cannot listen on 127.0.0.1:{taken}: Address already", ended.stderr)

    def test_a_host_of_another_machine_ends_the_program_with_a_clear_line(self):
        for option in ("--host", "--admin-host"):
            ended = self.call("fantail-worker", "--port", "0", "--admin-port", "0", option, "192.0.2.1", "--insecure",
                              *self.tasks_of("fantail-worker"))
            self.assertEqual(ended.returncode, 1, ended)
            self.assertIn(f"fantail-worker: {option}: cannot listen on 192.0.2.1:0: ", ended.stderr)


class SocketFiles(FantailTest):
    """--host unix:PATH and --workers static://unix:PATH."""

    def path(self, name):
        return os.path.join(self.folder, name)

    def worker_at(self, name):
        return self.start("fantail-worker", "--host", f"unix:{self.path(name)}", "--admin-port", 0, "--tasks",
                          ft.EXAMPLE_TASKS, "--processes", 2, ready=True)

    def is_refused(self, name):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.path(name)) == errno.ECONNREFUSED

    def squares(self, coordinator, count):
        body = json.dumps({"task": "square", "items": list(range(count))})
        answer = ft.request(coordinator.port, "POST", "/v1/jobs", body, {"Content-Type": "application/json"})
        self.assertEqual(answer.json["results"], [n * n for n in range(count)], answer)

    def test_workers_are_reached_and_come_back_under_their_path(self):
        workers = [self.worker_at("one"), self.worker_at("two")]
        self.assertEqual([w.port for w in workers], [0, 0])
        both = f"static://unix:{self.path('one')},unix:{self.path('two')}"
        coordinator = self.coordinator(both)
        self.squares(coordinator, 20000)
        workers[0].kill()
        self.assertTrue(os.path.exists(self.path("one")))
        self.squares(coordinator, 20000)
        wait_until(lambda: self.is_refused("one"), "the end of the processes that the killed worker was starting")
        self.worker_at("one")
        workers[1].stop()
        self.assertFalse(os.path.exists(self.path("two")))
        self.squares(coordinator, 20000)

    def loads_libcurl(self, program):
        with open(f"/proc/{program.pid}/maps", encoding="utf-8") as maps:
            return "/libcurl" in maps.read()

    def test_libcurl_is_loaded_only_when_a_worker_has_a_port(self):
        worker, by_port = self.worker_at("one"), self.worker()
        coordinator = self.coordinator(f"static://unix:{self.path('one')}")
        self.squares(coordinator, 10)
        self.assertFalse(self.loads_libcurl(worker))
        self.assertFalse(self.loads_libcurl(coordinator))
        coordinator = self.coordinator(f"static://127.0.0.1:{by_port.port}")
        self.squares(coordinator, 10)
        self.assertTrue(self.loads_libcurl(coordinator))

    def test_a_path_in_use_too_long_or_of_another_file_is_told(self):
        self.worker_at("taken")
        ft.write_file(self.path("file"), "not a socket")
        for path, word in ((self.path("taken"), "in use"), (self.path("x" * 120), "too long"), ("", "has no path"),
                           (self.path("file"), "in use"), (self.path("no/where"), "No such file")):
            ended = subprocess.run([os.path.join(ft.BIN, "fantail-worker"), "--host", f"unix:{path}", "--admin-port",
                                    "off", "--tasks", ft.EXAMPLE_TASKS], capture_output=True, text=True, timeout=30,
                                   env=self.environment())
            self.assertNotEqual(ended.returncode, 0, path)
            self.assertIn(word, ended.stderr)
            self.assertIn("--host: ", ended.stderr)
        with open(self.path("file"), encoding="ascii") as file:
            self.assertEqual(file.read(), "not a socket")

    def test_a_parent_that_ended_before_the_start_is_missed(self):
        for pid, status in ((os.getpid(), None), (1, 1)):
            program = self.start("fantail-worker", "--host", f"unix:{self.path(str(pid))}", "--admin-port", "off",
                                 "--tasks", ft.EXAMPLE_TASKS, "--exit-with-parent", "--parent-pid", pid,
                                 ready=status is None)
            if status is not None:
                self.assertNotEqual(program.wait(), 0)
                self.assertIn("the parent ended", program.stderr())
                self._programs.remove(program)

    def leased(self, seconds, stdin=subprocess.PIPE):
        worker = self.start("fantail-worker", "--host", f"unix:{self.path('leased')}", "--admin-port", "off", "--tasks",
                            ft.EXAMPLE_TASKS, "--stdin-lease-s", seconds, ready=True, stdin=stdin)
        self.addCleanup(lambda: worker.process.stdin and worker.process.stdin.close())
        return worker

    def reason(self, worker):
        self.assertEqual(worker.wait(), 0)
        return next(line["reason"] for line in worker.log_lines() if line["msg"] == "the lease has ended")

    def test_a_worker_ends_with_its_standard_input(self):
        worker = self.leased(3600)
        worker.process.stdin.close()
        self.assertEqual(self.reason(worker), "the end of standard input")

    def test_a_worker_whose_standard_input_is_silent_ends(self):
        def attempt(seconds):
            worker = self.leased(seconds)
            began = time.monotonic()
            while worker.alive() and time.monotonic() < began + 2 * seconds:
                with contextlib.suppress(BrokenPipeError):
                    worker.process.stdin.write(b"\n")
                    worker.process.stdin.flush()
                time.sleep(seconds / 20)
            ft.in_time(worker.alive(), "the bytes")
            self.assertEqual(self.reason(worker), "no byte on standard input")
        ft.with_more_time(attempt)

    def test_a_standard_input_that_cannot_be_watched_is_told(self):
        worker = self.start("fantail-worker", "--host", f"unix:{self.path('file')}", "--admin-port", "off", "--tasks",
                            ft.EXAMPLE_TASKS, "--stdin-lease-s", 5)  # the tests give /dev/null
        worker.any_status = True
        self.assertNotEqual(worker.wait(), 0)
        self.assertIn("standard input is not a pipe, a socket or a terminal", worker.stderr())

    def test_sharing_a_port_is_for_ports(self):
        ended = subprocess.run([os.path.join(ft.BIN, "fantail-worker"), "--host", "unix:/tmp/x", "--reuse-port"],
                               capture_output=True, text=True, timeout=30, env=self.environment())
        self.assertEqual(ended.returncode, 2)
        self.assertIn("--reuse-port", ended.stderr)

    def test_healthcheck_asks_it(self):
        self.worker_at("one")
        for path, status in (("one", 0), ("two", 1)):
            ended = subprocess.run([os.path.join(ft.BIN, "fantail-worker"), "healthcheck", "--host",
                                    f"unix:{self.path(path)}", "--admin-port", "off"], capture_output=True, text=True,
                                   timeout=30, env=self.environment())
            self.assertEqual(ended.returncode, status, ended.stderr)


class Health(FantailTest):
    def test_both_services_tell_their_health_on_both_ports(self):
        fleet = self.fleet()
        for program in (fleet.coordinator, fleet.workers[0]):
            for port in (program.port, program.admin_port):
                for path in ("/livez", "/readyz", "/healthz"):
                    self.assertEqual(ft.request(port, "GET", path).status, 200, (program.name, path))

    def test_a_coordinator_without_workers_is_ready(self):
        coordinator = self.coordinator("static://127.0.0.1:1")
        self.assertEqual(ft.request(coordinator.port, "GET", "/readyz").status, 200)

    def test_healthcheck_exits_0_or_1(self):
        fleet = self.fleet()
        for name, program in zip(SERVICES, (fleet.coordinator, fleet.workers[0])):
            argv = [os.path.join(ft.BIN, name), "healthcheck", "--port", str(program.port), "--admin-port",
                    str(program.admin_port)]
            self.assertEqual(subprocess.run(argv, timeout=20, capture_output=True, env=self.environment()).returncode, 0)
            program.stop()
            self.assertEqual(subprocess.run(argv, timeout=20, capture_output=True, env=self.environment()).returncode, 1)

    def test_metrics_are_prometheus_text_and_count_what_happened(self):
        fleet = self.fleet()
        before = ft.request(fleet.coordinator.admin_port, "GET", "/metrics")
        self.assertEqual(before.status, 200)
        self.assertTrue(before.headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        for name in ("fantail_jobs_total", "fantail_items_total", "fantail_chunks_in_flight", "fantail_items_queued",
                     "fantail_chunk_attempts_total", "fantail_hedges_total", "fantail_retry_budget_exhausted_total",
                     "fantail_endpoints", "fantail_build_info"):
            self.assertRegex(before.body.decode(), rf"(?m)^{name}[ {{]", name)
        self.assertEqual(fleet.metric(fleet.coordinator, "fantail_items_total"), 0)
        fleet.job({"task": "square", "items": [1, 2, 3]})
        text = ft.request(fleet.coordinator.admin_port, "GET", "/metrics").body.decode()
        self.assertRegex(text, r'fantail_jobs_total\{[^}]*status="succeeded"[^}]*\} 1\b')
        self.assertRegex(text, r'fantail_items_total\{[^}]*outcome="succeeded"[^}]*\} 3\b')
        worker = ft.request(fleet.workers[0].admin_port, "GET", "/metrics").body.decode()
        for name in ("fantail_worker_slots", "fantail_process_restarts_total", "process_resident_memory_bytes"):
            self.assertRegex(worker, rf"(?m)^{name}[ {{]", name)

    def test_the_public_port_names_the_admin_port_for_what_only_that_port_has(self):
        worker = self.worker()
        coordinator = self.coordinator([worker])
        for program, path in ((worker, "/metrics"), (coordinator, "/metrics"), (coordinator, "/autoscale")):
            answer = ft.request(program.port, "GET", path)
            self.assert_problem(answer, 404, words=[f"nothing at {path} on this port", "--admin-port"])
        self.assertNotIn("--admin-port", ft.request(coordinator.port, "GET", "/metric").json["detail"])

    def test_autoscale_tells_the_demand(self):
        fleet = self.fleet(processes=1)
        url = (fleet.coordinator.admin_port, "GET", "/autoscale")
        self.assertEqual(ft.request(*url).status, 200)
        self.assertEqual({k: ft.request(*url).json[k] for k in ("queued", "in_flight", "demand")},
                         {"queued": 0, "in_flight": 0, "demand": 0})
        with fleet.stream({"task": "sleep", "items": [60] * 20}) as stream:
            told = wait_until(lambda: (a := ft.request(*url).json)["demand"] > 0 and a, "demand")
            self.assertEqual(told["queued"] + told["in_flight"], 20)
            stream.hang_up()

    def test_the_log_is_json_lines_without_bodies(self):
        fleet = self.fleet(coordinator_arguments=("--log-level", "debug"), worker_arguments=("--log-level", "debug"))
        fleet.job({"task": "upper", "items": ["a secret word"]})
        for program in (fleet.coordinator, fleet.workers[0]):
            text = program.stderr()
            self.assertTrue(text.strip())
            for line in text.splitlines():
                entry = json.loads(line)
                self.assertLessEqual({"ts", "level", "msg"}, set(entry))
            self.assertNotIn("a secret word", text)


    def test_the_log_tells_whose_line_it_is_on_both_sides(self):
        fleet = self.fleet(coordinator_arguments=("--log-level", "debug"), worker_arguments=("--log-level", "debug"))
        trace = "0af7651916cd43dd8448eb211c80319c"
        items = [1] * 7 + [{"do": "crash"}, {"do": "garbage", "and": "a secret word"}]
        document = fleet.job({"task": "misbehave", "items": items, "chunk_size": 3, "retry": {"max_attempts": 2}},
                             headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"}).json
        worker = document["errors"][0]["error"]["worker"]
        said = lambda program, msg: [line for line in program.log_lines() if line["msg"] == msg]
        ended = wait_until(lambda: (lines := said(fleet.coordinator, "attempt ended")) and said(
            fleet.coordinator, "job ended") and lines, "the job's end in the log")
        for line in ended + wait_until(lambda: said(fleet.workers[0], "chunk ended")):
            self.assertEqual((line["job"], line["trace_id"]), (document["id"], trace), line)
            self.assertRegex(line["chunk"], rf"^{document['id']}/\d+$")
            self.assertGreaterEqual(line["attempt"], 1)
            self.assertGreaterEqual(line["duration_ms"], 0)
        self.assertEqual({line["worker"] for line in ended}, {worker})
        failed = wait_until(lambda: len(lines := said(fleet.workers[0], "an item failed, and its process ended")) == 3
                            and lines, "three failures in the log")
        self.assertEqual(sorted((line["index"], line["attempt"], line["error"]) for line in failed),
                         [(7, 1, "crashed"), (7, 2, "crashed"), (8, 1, "bad_output")])
        words = [line for line in said(fleet.workers[0], "stderr") if line["line"] == "about to crash"]
        self.assertEqual({(line["job"], line["index"], line["task"]) for line in words},
                         {(document["id"], 7, "misbehave")})
        for program in (fleet.coordinator, fleet.workers[0]):
            self.assertNotIn("this is not JSON", program.stderr())

    def test_no_log_line_quotes_what_a_task_answered(self):
        tasks = self.tasks(
            prints={"json": {"command": ["./prints"]}, "files": {"prints": "#!/usr/bin/env python3\nimport sys\n"
                    "for line in sys.stdin:\n    print('a secret word\\n{\"value\":\"a secret word\"}' if 'print' in line"
                    " else '{\"value\":\"a secret word\"}\\n' * (2 if 'twice' in line else 1), end='\\n' * ('print' in line),"
                    " flush=True)\n"}})
        fleet = self.fleet(tasks=tasks, coordinator_arguments=("--log-level", "debug"),
                           worker_arguments=("--log-level", "debug"))
        document = fleet.job({"task": "prints", "items": ["twice", "ok", "print"], "retry": {"max_attempts": 1}}).json
        self.assertEqual(document["results"], [None, "a secret word", None], document)
        wait_until(lambda: "an item failed, and its process ended" in fleet.workers[0].stderr())
        for program in (fleet.coordinator, fleet.workers[0]):
            self.assertNotIn("a secret word", program.stderr())

    def test_a_coordinator_asks_its_workers_again_after_sighup(self):
        fleet = self.fleet()
        asked = lambda: fleet.metric(fleet.workers[0], "fantail_http_requests_total", route="/v1/tasks")
        for _ in range(8):  # without SIGHUP, a worker is asked every half minute, and the test would take too long
            before = wait_until(asked, "the first request")
            fleet.coordinator.send_signal(signal.SIGHUP)
            wait_until(lambda: asked() > before, "a further request")


class TheWayOut(FantailTest):
    def test_both_services_end_with_0_when_idle(self):
        fleet = self.fleet(coordinator_arguments=("--drain-s", "3600"), worker_arguments=("--drain-s", "3600"))
        for program in (fleet.coordinator, fleet.workers[0]):
            self.assertEqual(program.stop(), 0)

    def test_a_coordinator_finishes_its_running_job_before_it_ends(self):
        gate = self.gate()
        fleet = self.fleet(tasks=self.tasks(wait=gate.task))
        with fleet.stream({"task": "wait", "items": [1] * 30}) as stream:
            wait_until(lambda: fleet.busy_slots() == 2, "the first items")
            fleet.coordinator.send_signal(signal.SIGTERM)
            wait_until(lambda: ft.request(fleet.coordinator.admin_port, "GET", "/readyz").status == 503, "unready")
            self.assertEqual(ft.request(fleet.coordinator.admin_port, "GET", "/livez").status, 200)
            gate.open()
            lines = stream.rest()
        self.assertEqual(lines[-1]["status"], "succeeded")
        self.assertEqual(lines[-1]["counts"]["succeeded"], 30)
        self.assertEqual(fleet.coordinator.wait(), 0)

    def test_the_drain_has_an_end(self):
        fleet = self.fleet(coordinator_arguments=("--drain-s", "1"))
        with fleet.stream({"task": "sleep", "items": [600]}) as stream:
            wait_until(lambda: fleet.metric(fleet.coordinator, "fantail_chunks_in_flight") == 1, "the chunk")
            self.assertEqual(fleet.coordinator.stop(), 0)
            stream.close()
        drain_s = (fleet.coordinator.logged_at("the drain timed out; running work is ended") -
                   fleet.coordinator.logged_at("draining"))
        self.assertGreaterEqual(drain_s, 0.99)
        self.assertLess(drain_s, 25, "the default is 30 s")

    def test_a_second_signal_ends_at_once_and_not_with_0(self):
        fleet = self.fleet()
        with fleet.stream({"task": "sleep", "items": [600]}) as stream:
            wait_until(lambda: fleet.metric(fleet.coordinator, "fantail_chunks_in_flight") == 1, "the chunk")
            for program in (fleet.workers[0], fleet.coordinator):
                program.any_status = True
                program.send_signal(signal.SIGTERM)
                wait_until(lambda p=program: "asked to end" in [line["msg"] for line in p.log_lines()], "the first signal")
                program.send_signal(signal.SIGINT)
                self.assertNotEqual(program.wait(), 0)
            stream.close()

    def test_a_signal_that_comes_twice_at_once_is_one_request_to_end(self):
        fleet = self.fleet()
        with fleet.stream({"task": "sleep", "items": [1]}) as stream:
            wait_until(lambda: fleet.metric(fleet.coordinator, "fantail_chunks_in_flight") == 1, "the chunk")
            for program in (fleet.workers[0], fleet.coordinator):
                program.send_signal(signal.SIGTERM)
                wait_until(lambda p=program: "asked to end" in [line["msg"] for line in p.log_lines()], "the first signal")
                program.send_signal(signal.SIGTERM)
            self.assertEqual(stream.line_of("end")["status"], "succeeded")
        for program in (fleet.workers[0], fleet.coordinator):
            self.assertEqual(program.wait(), 0, program.describe())

    def test_answers_say_that_the_connection_closes_while_leaving(self):
        coordinator = self.coordinator([self.worker()], "--shutdown-delay-s", "600")
        coordinator.send_signal(signal.SIGTERM)
        wait_until(lambda: ft.request(coordinator.port, "GET", "/readyz").status == 503, "unready")
        answer = ft.request(coordinator.port, "POST", "/v1/jobs", b'{"task":"square","items":[2]}')
        self.assertEqual(answer.json["results"], [4])
        self.assertEqual(answer.headers["Connection"].lower(), "close")
        coordinator.any_status = True
        coordinator.send_signal(signal.SIGINT)


if __name__ == "__main__":
    ft.main()
