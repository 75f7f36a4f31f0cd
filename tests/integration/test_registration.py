"""Workers that register themselves with coordinators."""
import json
import os
import signal
import subprocess
import time

import fantail_testing as ft
from fantail_testing import FantailTest, wait_until, write_file

TOKEN, OTHER = "workers-0123456789abcdef", "another-0123456789abcdef"
SQUARE = {"task": "square", "items": [3]}


class Registration(FantailTest):
    def tokens(self, *tokens, name="tokens"):
        path = os.path.join(self.folder, name)
        write_file(path, "".join(token + "\n" for token in tokens))
        return path

    def registering_coordinator(self, *arguments, workers="register://", tokens=(TOKEN,), port=None):
        path = self.tokens(*tokens, name=f"tokens-{len(self._programs)}")
        if port:
            arguments = (*arguments, "--port", port)
        return self.coordinator(workers, "--worker-token-file", path, *arguments)

    def registered_worker(self, *coordinators, tokens=(TOKEN,), arguments=()):
        path = self.tokens(*tokens, name=f"tokens-{len(self._programs)}")
        urls = ",".join(f"http://127.0.0.1:{c.port}" for c in coordinators)
        return self.worker("--token-file", path, "--register", urls, *arguments)

    def register(self, port, body, token=TOKEN, content_type=ft.JSON):
        headers = {"Content-Type": content_type}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return ft.request(port, "POST", "/v1/workers", json.dumps(body), headers)

    def square(self, coordinator, items=(3,)):
        answer = ft.request(coordinator.port, "POST", "/v1/jobs", json.dumps({"task": "square", "items": items}),
                            {"Content-Type": ft.JSON})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["results"], [item * item for item in items])
        return answer

    def registered(self, coordinator):
        return ft.metric_sum(ft.metrics(coordinator), "fantail_workers_registered")

    def wait_registered(self, coordinator, count):
        wait_until(lambda: self.registered(coordinator) == count, f"{count} registered workers")

    def open_stream(self, coordinator, items=200, seconds=0.05):
        stream = ft.Stream(coordinator.port, json.dumps({"task": "sleep", "items": [seconds] * items}).encode(),
                           {"Content-Type": ft.JSON, "Accept": ft.NDJSON})
        self.addCleanup(stream.close)
        return stream

    def assert_whole(self, lines, items=200):
        self.assertEqual([line for line in lines if line["type"] == "error"], [])
        self.assertEqual(len([line for line in lines if line["type"] == "result"]), items)
        self.assertEqual(lines[-1]["status"], "succeeded")

    def test_a_worker_that_no_list_names_gets_work(self):
        coordinator = self.registering_coordinator()
        job = self.open_stream(coordinator, items=1, seconds=0)
        began = time.monotonic()
        self.registered_worker(coordinator)
        ready = time.monotonic()
        self.assert_whole([line for line in job.rest()], items=1)
        print(f"\nready after {ready - began:.3f} s; its first item was answered {time.monotonic() - ready:.3f} s later")

    def test_addresses_of_an_old_dns_answer_do_not_matter(self):
        """The coordinator gets addresses at which no program listens, as from an outdated DNS answer."""
        dead = self.free_port()
        for workers in (f"dns://localhost:{dead}", f"static://127.0.0.1:{dead}"):
            coordinator = self.registering_coordinator("--register-workers", workers=workers)
            self.registered_worker(coordinator)
            self.wait_registered(coordinator, 1)
            self.square(coordinator)

    def test_a_killed_worker_is_given_up_and_costs_no_item(self):
        coordinator = self.registering_coordinator()
        workers = [self.registered_worker(coordinator) for _ in range(2)]
        self.wait_registered(coordinator, 2)
        stream = self.open_stream(coordinator)
        lines = [stream.line() for _ in range(8)]
        workers[0].kill()
        self.assert_whole(lines + stream.rest())
        self.wait_registered(coordinator, 1)
        self.assertEqual(ft.metric_sum(ft.metrics(coordinator), "fantail_worker_leases_ended_total", reason="expired"), 1)
        self.square(coordinator)

    def test_a_worker_says_goodbye_and_its_successor_goes_on(self):
        coordinator = self.registering_coordinator()
        old = self.registered_worker(coordinator)
        stream = self.open_stream(coordinator)
        lines = [stream.line() for _ in range(8)]
        new = self.registered_worker(coordinator)
        self.wait_registered(coordinator, 2)
        old.send_signal(signal.SIGTERM)
        self.assertEqual(old.wait(), 0)
        self.assertEqual(self.registered(coordinator), 1)
        self.assert_whole(lines + stream.rest())
        self.assertEqual(ft.metric_sum(ft.metrics(coordinator), "fantail_worker_leases_ended_total", reason="goodbye"), 1)
        self.assertTrue(new.alive())

    def test_a_restarted_coordinator_hears_of_its_workers_again(self):
        coordinator = self.registering_coordinator()
        worker = self.registered_worker(coordinator)
        self.square(coordinator)
        coordinator.kill()
        wait_until(lambda: "could not register" in worker.stderr(), "a failure in the log")
        self.square(self.registering_coordinator(port=coordinator.port))

    def test_a_stopped_coordinator_gives_up_nobody(self):
        coordinator = self.registering_coordinator()
        self.registered_worker(coordinator)
        self.wait_registered(coordinator, 1)
        coordinator.send_signal(signal.SIGSTOP)
        time.sleep(8)  # longer than the lease of 6 s
        coordinator.send_signal(signal.SIGCONT)
        self.square(coordinator)
        self.assertEqual(ft.metric_sum(ft.metrics(coordinator), "fantail_worker_leases_ended_total", reason="expired"), 0)

    def test_two_coordinators_have_the_same_workers(self):
        coordinators = [self.registering_coordinator() for _ in range(2)]
        worker = self.registered_worker(*coordinators)
        for coordinator in coordinators:
            self.wait_registered(coordinator, 1)
            self.square(coordinator)
        wait_until(lambda: ft.metric_sum(ft.metrics(worker), "fantail_registered_coordinators") == 2, "both")

    def test_every_address_of_a_name_is_told(self):
        coordinator = self.registering_coordinator()
        worker = self.worker("--token-file", self.tokens(TOKEN), "--register", f"dns://localhost:{coordinator.port}")
        self.wait_registered(coordinator, 1)
        self.square(coordinator)
        worker.stop()
        self.wait_registered(coordinator, 0)

    def test_a_wrong_token_is_refused_and_logged_once(self):
        coordinator = self.registering_coordinator()
        worker = self.registered_worker(coordinator, tokens=(OTHER,))
        wait_until(lambda: ft.metric_sum(ft.metrics(worker), "fantail_registrations_total", result="refused") >= 3,
                   "three refusals")
        message = "a coordinator refuses our registration"
        self.assertEqual([line["msg"] for line in worker.log_lines()].count(message), 1)
        self.assertEqual(self.registered(coordinator), 0)
        self.assertEqual(self.register(coordinator.port, {"worker": "w", "port": 1}, token=None).status, 401)
        self.assertEqual(self.register(coordinator.port, {"worker": "w", "port": 1}, token=OTHER).status, 401)

    def test_any_common_token_will_do(self):
        """While tokens are being replaced, the coordinator may know only the second token of the worker's file."""
        coordinator = self.registering_coordinator()
        self.registered_worker(coordinator, tokens=(OTHER, TOKEN))
        self.wait_registered(coordinator, 1)

    def test_a_clients_token_does_not_register_and_a_workers_token_does_not_submit(self):
        clients = self.tokens(OTHER, name="clients")
        coordinator = self.registering_coordinator("--token-file", clients)
        self.assertEqual(self.register(coordinator.port, {"worker": "w", "port": 1}, token=OTHER).status, 401)
        self.assertEqual(self.register(coordinator.port, {"worker": "w", "port": 1}).status, 200)
        answer = ft.request(coordinator.port, "POST", "/v1/jobs", json.dumps(SQUARE),
                            {"Content-Type": ft.JSON, "Authorization": f"Bearer {TOKEN}"})
        self.assertEqual(answer.status, 401)

    def test_false_registrations_are_refused(self):
        coordinator = self.registering_coordinator()
        for body in ({}, [], {"worker": "w"}, {"worker": "w", "port": 0}, {"worker": "w", "port": 1, "address": "localhost"},
                     {"worker": "w", "port": 1, "address": "169.254.169.254"},
                     {"worker": "w", "port": 1, "address": "0.0.0.0"}, {"worker": "w", "port": 1, "address": "ff02::1"}):
            self.assert_problem(self.register(coordinator.port, body), 400)
        self.assert_problem(self.register(coordinator.port, {"worker": "w", "port": 1, "x": "x" * 3000}), 413)
        self.assert_problem(self.register(coordinator.port, {"worker": "w", "port": 1}, content_type="text/plain"), 415)
        self.assertEqual(self.registered(coordinator), 0)
        self.assertEqual(self.register(coordinator.port, {"worker": "w", "port": 1}).json, {"renew_s": 2, "lease_s": 6})
        self.assert_problem(self.register(coordinator.port, {"worker": "w", "port": 2}), 409)

    def test_a_coordinator_tells_its_own_workers_which_address_they_have_reached(self):
        coordinator = self.registering_coordinator()
        def ask(token):
            return ft.request(coordinator.port, "GET", "/v1/workers", headers={"Authorization": f"Bearer {token}"})
        for token in (OTHER, ""):
            self.assert_problem(ask(token), 401)
        self.assertEqual(ask(TOKEN).json, {"coordinator": f"127.0.0.1:{coordinator.port}", "registered": 0, "renew_s": 2})
        self.assertEqual(self.register(coordinator.port, {"worker": "w", "port": 1}).status, 200)
        self.assertEqual(ask(TOKEN).json["registered"], 1)
        closed = self.registering_coordinator(workers=f"static://127.0.0.1:{self.free_port()}")
        self.assert_problem(ft.request(closed.port, "GET", "/v1/workers", headers={"Authorization": f"Bearer {TOKEN}"}), 403)

    def test_a_balancer_of_something_else_is_named_in_the_log(self):
        worker = self.worker("--token-file", self.tokens(TOKEN))
        lost = self.worker("--token-file", self.tokens(TOKEN), "--register", f"balancer://127.0.0.1:{worker.port}")
        wait_until(lambda: "could not register" in lost.stderr(), "the fault in the log")
        coordinator = self.registering_coordinator()
        self.worker("--token-file", self.tokens(TOKEN), "--register",
                    f"balancer://127.0.0.1:{coordinator.port},balancer://127.0.0.1:{worker.port}")
        self.wait_registered(coordinator, 1)
        self.square(coordinator)

    def test_without_the_option_nobody_registers(self):
        coordinator = self.registering_coordinator(workers=f"static://127.0.0.1:{self.free_port()}")
        self.assert_problem(self.register(coordinator.port, {"worker": "w", "port": 1}), 403)

    def test_options_that_cannot_work_are_refused(self):
        token = self.tokens(TOKEN)
        for program, option, arguments in (
                ("fantail-coordinator", "--worker-token-file",
                 ("--workers", "register://", "--host", "::", "--token-file", token)),
                ("fantail-coordinator", "--register-workers", ("--workers", "http://balancer:1", "--register-workers")),
                ("fantail-coordinator", "--workers", ("--workers", "register://name")),
                ("fantail-coordinator", "--workers", ("--workers", "register+https://")),
                ("fantail-worker", "--register", ("--register", "127.0.0.1:8080")),
                ("fantail-worker", "--register", ("--register", "http://a:1,")),
                ("fantail-worker", "--register", ("--register", "balancer://a")),
                ("fantail-worker", "--register", ("--register", "http://a:1", "--host", "unix:/tmp/x")),
                ("fantail-worker", "--register-address", ("--register", "http://a:1", "--register-address", "here")),
                ("fantail-worker", "--register-ca", ("--register", "http://a:1", "--register-ca", token))):
            ended = subprocess.run([os.path.join(ft.BIN, program), *arguments], capture_output=True, text=True, timeout=60,
                                   env=self.environment(), check=False)
            self.assertEqual(ended.returncode, 2, arguments)
            self.assertIn(option, ended.stderr, arguments)

    def test_a_task_that_is_new_on_a_worker_is_known_after_the_next_registration(self):
        folder = self.tasks(one={"mode": "exec", "command": ["cat"]})
        coordinator = self.registering_coordinator()
        worker = self.worker("--token-file", self.tokens(TOKEN), "--register", f"http://127.0.0.1:{coordinator.port}",
                             tasks=folder)
        self.wait_registered(coordinator, 1)
        os.mkdir(os.path.join(folder, "two"))
        write_file(os.path.join(folder, "two", "task.json"), json.dumps({"mode": "exec", "command": ["cat"]}))
        worker.send_signal(signal.SIGHUP)
        wait_until(lambda: 'task="two"' in ft.metrics(coordinator), "the task among the metrics")


if __name__ == "__main__":
    ft.main()
