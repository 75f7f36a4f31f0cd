"""Bearer tokens of clients and of coordinators: accepted, refused, and changed while jobs run."""
import contextlib
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile

import fantail_testing as ft
from cli_testing import FANTAIL
from fantail_testing import NDJSON, FantailTest, wait_until, write_file

ONE, TWO, THREE = "one-0123456789abcdef", "two-0123456789abcdef", "three-0123456789abcdef"
SERVICES = ("fantail-coordinator", "fantail-worker")


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


class AccessTest(FantailTest):
    def token_file(self, name, *tokens):
        path = os.path.join(self.folder, name)
        write_file(path + ".new", "# " + name + "\n" + "".join(t + "\n" for t in tokens), 0o600)
        os.rename(path + ".new", path)
        return path

    def reload(self, program):
        """Sends SIGHUP, and waits until the program has logged that it handled SIGHUP."""
        before = self.reloads(program)
        program.send_signal(signal.SIGHUP)
        wait_until(lambda: self.reloads(program) > before, "the reload")

    @staticmethod
    def reloads(program):
        return sum(line["msg"].startswith(("tokens were read again", "the tokens could not")) for line in
                   program.log_lines())

    def assert_no_token_in_logs(self, *programs):
        for program in programs:
            for token in (ONE, TWO, THREE):
                self.assertNotIn(token, program.stderr(), program.name)

    def assert_refused(self, answer, reason):
        document = self.assert_problem(answer, 401)
        self.assertEqual(document["reason"], reason)
        self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Bearer realm="), answer.headers)


class Clients(AccessTest):
    def protected_fleet(self, **options):
        tokens = self.token_file("clients", ONE, TWO)
        return self.fleet(coordinator_arguments=("--token-file", tokens, "--log-level", "debug"), **options)

    def test_a_request_needs_a_token_that_is_known(self):
        fleet = self.protected_fleet()
        body = {"task": "square", "items": [2]}
        for headers, reason in (({}, "missing"), (bearer(THREE), "unknown"), (bearer(ONE[:-1]), "unknown"),
                                ({"Authorization": "Basic b25lOjAxMjM="}, "malformed"),
                                ({"Authorization": "Bearer"}, "malformed"), (bearer("a b"), "malformed")):
            self.assert_refused(fleet.job(body, headers=headers), reason)
        for method, path in (("GET", "/v1/jobs"), ("GET", "/v1/jobs/x"), ("DELETE", "/v1/jobs/x"), ("GET", "/v1/tasks"),
                             ("GET", "/"), ("GET", "/openapi.json"), ("GET", "/nothing"), ("PUT", "/v1/jobs"),
                             ("GET", "/livez/"), ("GET", "/metrics"), ("HEAD", "/v1/jobs")):
            answer = fleet.request(method, path)
            self.assertEqual(answer.status, 401, (method, path))
        for token in (ONE, TWO):
            self.assertEqual(fleet.job(body, headers=bearer(token)).json["results"], [4])
            self.assertEqual(fleet.request("GET", "/v1/tasks", headers=bearer(token)).status, 200)
        self.assert_problem(fleet.request("GET", "/nothing", headers=bearer(ONE)), 404)
        self.assertEqual(fleet.metric(fleet.coordinator, "fantail_http_unauthorized_total"), 17)
        self.assert_no_token_in_logs(fleet.coordinator)

    def test_health_and_the_admin_port_are_open(self):
        fleet = self.protected_fleet()
        for path in ("/livez", "/readyz", "/healthz"):
            self.assertEqual(fleet.request("GET", path).status, 200, path)
        for path in ("/livez", "/readyz", "/metrics", "/autoscale"):
            self.assertEqual(ft.request(fleet.coordinator.admin_port, "GET", path).status, 200, path)
        asked = subprocess.run([os.path.join(ft.BIN, "fantail-coordinator"), "healthcheck", "--host", "0.0.0.0", "--port",
                                str(fleet.port), "--admin-port", "off"], env=self.environment(), timeout=30)
        self.assertEqual(asked.returncode, 0)

    def test_two_tokens_in_one_request_are_ambiguous(self):
        fleet = self.protected_fleet()
        head = f"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ONE}\r\nAuthorization: Bearer {TWO}\r\n"
        answer = ft.raw_request(fleet.port, f"{head}Connection: close\r\n\r\n".encode())
        self.assertRegex(answer, rb"^HTTP/1.1 400 ")

    def test_a_big_upload_is_refused_before_it_is_read(self):
        fleet = self.protected_fleet()
        size = 100 << 20
        for head in (f"Content-Length: {size}", "Transfer-Encoding: chunked", f"Content-Length: {size}\r\nExpect: 100-continue"):
            with socket.create_connection(("127.0.0.1", fleet.port), timeout=30) as s:
                s.sendall(f"POST /v1/jobs?task=square HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
                answer = http.client.HTTPResponse(s)
                answer.begin()
                self.assertEqual(answer.status, 401, head)
                self.assertEqual(json.loads(answer.read())["reason"], "missing")
                self.assertEqual(answer.getheader("Connection"), "close")

    def test_a_client_that_keeps_sending_is_cut_off_soon(self):
        fleet = self.protected_fleet()
        size, sent, piece = 100 << 20, 0, b"1\n" * 32768
        with socket.create_connection(("127.0.0.1", fleet.port), timeout=30) as s:
            s.sendall(f"POST /v1/jobs?task=square HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
            with contextlib.suppress(ConnectionError):
                while sent < size:
                    sent += s.send(piece)
        self.assertLess(sent, size)

    def test_curl_gets_the_reason_of_a_refused_upload(self):
        fleet = self.protected_fleet()
        path = os.path.join(self.folder, "big")
        write_file(path, b"12345678\n" * 1000000)
        for more in ([], ["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked"]):
            curl = subprocess.run(["curl", "-sS", f"http://127.0.0.1:{fleet.port}/v1/jobs?task=square", "-H",
                                   "Content-Type: " + NDJSON, "--data-binary", "@" + path, *more],
                                  capture_output=True, timeout=60, env=self.environment())
            self.assertEqual((curl.returncode, curl.stderr), (0, b""), more)
            self.assertEqual(json.loads(curl.stdout)["status"], 401)

    def test_tokens_are_rotated_while_a_job_runs(self):
        gate = self.gate()
        fleet = self.protected_fleet(tasks=self.tasks(wait=gate.task))
        headers = {"Content-Type": NDJSON, "Accept": NDJSON, **bearer(ONE)}
        with ft.Stream(fleet.port, b"1\n" * 20, headers, "/v1/jobs?task=wait") as stream:
            wait_until(lambda: fleet.busy_slots() == 2, "the first items")
            self.token_file("clients", TWO, THREE)
            self.reload(fleet.coordinator)
            self.assert_refused(fleet.request("GET", "/v1/jobs", headers=bearer(ONE)), "unknown")
            self.assertEqual(len(fleet.request("GET", "/v1/jobs", headers=bearer(THREE)).json["jobs"]), 1)
            gate.open()
            lines = stream.rest()
        self.assertEqual(lines[-1]["status"], "succeeded")
        self.assertEqual(lines[-1]["counts"]["succeeded"], 20)
        self.assert_no_token_in_logs(fleet.coordinator)

    def test_a_long_run_of_map_sends_the_new_token_of_its_file(self):
        fleet = self.protected_fleet()
        own = self.token_file("own", ONE)
        command = [FANTAIL, "map", "square", "--url", f"http://127.0.0.1:{fleet.port}", "--token-file", own]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
            for first, token in (1, TWO), (2, THREE), (3, THREE):
                run.stdin.write(f"{first}\n".encode())
                run.stdin.flush()
                self.assertEqual(run.stdout.readline(), f"{first * first}\n".encode())
                self.token_file("clients", token)
                self.token_file("own", token)
                self.reload(fleet.coordinator)
            run.stdin.close()
            self.assertEqual(run.stdout.read(), b"")
        self.assertEqual(run.returncode, 0)

    def test_a_file_that_became_useless_keeps_the_tokens_and_is_told(self):
        fleet = self.protected_fleet()
        path = os.path.join(self.folder, "clients")
        for spoil in (lambda: self.token_file("clients"), lambda: self.token_file("clients", THREE, "short"),
                      lambda: os.unlink(path)):
            spoil()
            self.reload(fleet.coordinator)
            line = [line for line in fleet.coordinator.log_lines() if line["level"] == "error"][-1]
            self.assertEqual(line["option"], "token-file")
            self.assertIn(path, line["error"])
            self.assertEqual(fleet.request("GET", "/v1/jobs", headers=bearer(ONE)).status, 200)
            self.assertEqual(fleet.request("GET", "/v1/jobs", headers=bearer(THREE)).status, 401)
        self.assert_no_token_in_logs(fleet.coordinator)

    def test_without_tokens_an_authorization_header_is_no_matter(self):
        fleet = self.fleet()
        self.assertEqual(fleet.job({"task": "square", "items": [3]}, headers=bearer(ONE)).json["results"], [9])


class Workers(AccessTest):
    def pair(self, coordinator_tokens, worker_tokens, *arguments, workers=1):
        """Starts a fleet whose coordinator sends coordinator_tokens[0] to workers that accept worker_tokens."""
        self.sent = self.token_file("sent", *coordinator_tokens) if coordinator_tokens else None
        known = ("--token-file", self.token_file("known", *worker_tokens)) if worker_tokens else ()
        given = ("--worker-token-file", self.sent) if self.sent else ()
        return self.fleet(workers=workers, worker_arguments=known, coordinator_arguments=(*given, *arguments))

    def refusals(self, fleet):
        text = ft.request(fleet.coordinator.admin_port, "GET", "/metrics").body.decode()
        return int(next(line.rsplit(" ", 1)[1] for line in text.splitlines()
                        if line.startswith('fantail_chunk_attempts_total{result="refused"}')))

    def test_the_first_token_is_presented_and_no_other_one(self):
        fleet = self.pair((ONE, TWO), (ONE,))
        self.assertEqual(fleet.job({"task": "square", "items": [2]}).json["results"], [4])
        self.assertEqual(fleet.request("GET", "/v1/tasks").status, 200)
        worker = fleet.workers[0]
        self.assert_refused(ft.request(worker.port, "POST", "/v1/tasks/square", b"2\n"), "missing")
        self.assert_refused(ft.request(worker.port, "GET", "/v1/tasks", headers=bearer(TWO)), "unknown")
        self.assertIn(b'{"value":4}', ft.request(worker.port, "POST", "/v1/tasks/square", b"2\n", bearer(ONE)).body)
        self.assertEqual(ft.request(worker.port, "GET", "/readyz").status, 200)
        self.assertEqual(self.refusals(fleet), 0)
        self.assert_no_token_in_logs(fleet.coordinator, worker)

    def test_a_clients_token_is_never_passed_on(self):
        fleet = self.pair((), (ONE,), "--token-file", self.token_file("clients", ONE), "--worker-wait-s", "1")
        answer = fleet.job({"task": "square", "items": [2]}, headers=bearer(ONE))
        self.assert_problem(answer, 503, words="refuse the coordinator's token")
        self.assertRegex(answer.headers["Fantail-Job"], "^[0-9a-f-]{36}$", "the job was accepted")

    def test_a_wrong_token_has_a_clear_outcome_and_no_loop(self):
        fleet = self.pair((ONE,), (TWO,), "--worker-wait-s", "3", workers=2)
        self.assert_problem(fleet.job({"task": "square", "items": list(range(1000))}), 503,
                            words="refuse the coordinator's token")
        lines = fleet.job({"task": "square", "items": list(range(1000))}, accept=NDJSON).all_lines
        self.assertIn({"type": "waiting", "reason": "token_refused"}, lines)
        self.assertEqual(lines[-1]["status"], "failed")
        self.assertIn("refuse the coordinator's token", lines[-1]["reason"])
        self.assert_problem(fleet.request("GET", "/v1/tasks"), 503, words="refuse the coordinator's token")
        self.assertLess(self.refusals(fleet), 20)
        told = [line for line in fleet.coordinator.log_lines() if line["level"] == "error"]
        self.assertEqual(len(told), 2, told)  # one line for each worker
        self.assertIn("--worker-token-file", told[0]["msg"])
        self.assertEqual({line["url"] for line in told}, {f"http://127.0.0.1:{w.port}" for w in fleet.workers})

    def test_a_large_chunk_that_is_refused_early_is_a_refusal_and_no_loss(self):
        fleet = self.pair((ONE,), (TWO,), "--worker-wait-s", "2")
        answer = fleet.job({"task": "upper", "items": ["x" * (8 << 20)] * 2})
        self.assert_problem(answer, 503, words="refuse the coordinator's token")
        self.assertGreater(self.refusals(fleet), 0)
        text = ft.request(fleet.coordinator.admin_port, "GET", "/metrics").body.decode()
        self.assertIn('fantail_chunk_attempts_total{result="lost"} 0\n', text)

    def test_a_job_waits_for_a_token_that_is_mended_at_the_worker(self):
        fleet = self.pair((ONE,), (TWO,))
        with fleet.stream({"task": "square", "items": [1, 2, 3]}) as stream:
            self.assertEqual(stream.line(), {"type": "waiting", "reason": "token_refused"})
            self.token_file("known", TWO, ONE)
            fleet.workers[0].send_signal(signal.SIGHUP)
            lines = stream.rest()
        self.assertEqual([line["value"] for line in lines if line["type"] == "result"], [1, 4, 9])
        self.assertEqual(lines[-1]["status"], "succeeded")
        self.assertEqual(lines[-1]["counts"]["retried"], 0)
        wait_until(lambda: any("accepts our token" in line["msg"] for line in fleet.coordinator.log_lines()), "the log")

    def test_a_job_waits_for_a_token_that_is_mended_at_the_coordinator(self):
        fleet = self.pair((ONE,), (TWO,))
        with fleet.stream({"task": "square", "items": [1, 2, 3]}) as stream:
            self.assertEqual(stream.line(), {"type": "waiting", "reason": "token_refused"})
            self.token_file("sent", TWO)
            self.reload(fleet.coordinator)
            lines = stream.rest()
        self.assertEqual([line["value"] for line in lines if line["type"] == "result"], [1, 4, 9])
        self.assertEqual(lines[-1]["status"], "succeeded")

    def test_tokens_are_rotated_on_both_sides_while_a_job_runs(self):
        fleet = self.pair((ONE,), (ONE,), workers=2)
        with fleet.stream({"task": "sleep", "items": [0.02] * 400, "chunk_size": 2}) as stream:
            self.assertEqual(stream.line()["type"], "result")
            self.token_file("known", ONE, TWO)
            for worker in fleet.workers:
                self.reload(worker)
            self.token_file("sent", TWO)
            self.reload(fleet.coordinator)
            self.token_file("known", TWO)
            for worker in fleet.workers:
                self.reload(worker)
            lines = stream.rest()
        self.assertEqual(lines[-1]["counts"]["succeeded"], 400)
        self.assertEqual(lines[-1]["counts"]["failed"], 0)
        self.assertEqual(fleet.job({"task": "square", "items": [5]}).json["results"], [25])

    def test_one_worker_that_refuses_leaves_the_work_to_the_others(self):
        self.token_file("sent", ONE)
        good = self.worker("--token-file", self.token_file("good", ONE))
        bad = self.worker("--token-file", self.token_file("bad", TWO))
        coordinator = self.coordinator([bad, good], "--worker-token-file", os.path.join(self.folder, "sent"))
        fleet = ft.Fleet(self, coordinator, [good, bad])
        document = fleet.job({"task": "square", "items": list(range(500)), "chunk_size": 5}).json
        self.assertEqual(document["results"], [i * i for i in range(500)])
        self.assertEqual(document["counts"]["retried"], 0)
        self.assertLess(self.refusals(fleet), 20)


def fingerprint(token):
    return hashlib.sha256(token.encode()).hexdigest()[:8]


class Rotation(AccessTest):
    """Token files as Kubernetes mounts them: a change replaces a symbolic link, and sends no signal."""

    def mount(self, name, *tokens):
        folder = os.path.join(self.folder, name)
        version = tempfile.mkdtemp(prefix="..version", dir=folder) if os.path.isdir(folder) else None
        if not version:
            os.mkdir(folder)
            os.symlink(os.path.join("..data", "workers"), os.path.join(folder, "workers"))
            version = tempfile.mkdtemp(prefix="..version", dir=folder)
        write_file(os.path.join(version, "workers"), "".join(t + "\n" for t in tokens), 0o600)
        os.symlink(os.path.basename(version), os.path.join(folder, "..data.new"))
        os.rename(os.path.join(folder, "..data.new"), os.path.join(folder, "..data"))
        return os.path.join(folder, "workers")

    @staticmethod
    def shown(program, name):
        """Returns the fingerprints that a metric shows."""
        text = ft.request(program.admin_port, "GET", "/metrics").body.decode()
        return set(re.findall(name + r'\{fingerprint="(\w+)"\} 1\n', text))

    def wait_for(self, programs, name, *tokens):
        for program in programs:
            wait_until(lambda p=program: self.shown(p, name) == {fingerprint(t) for t in tokens}, f"{name} of all")

    def start_fleet(self, *coordinator_arguments):
        self.workers = [self.worker("--token-file", self.mount("known", ONE)),
                        self.worker("--token-file", os.path.join(self.folder, "known", "workers"))]
        self.mount("sent", ONE)
        return self.another_coordinator(*coordinator_arguments)

    def another_coordinator(self, *arguments):
        coordinator = self.coordinator(self.workers, "--worker-token-file",
                                       os.path.join(self.folder, "sent", "workers"), *arguments)
        return ft.Fleet(self, coordinator, self.workers)

    def assert_nothing_lost(self, lines, count):
        end = lines[-1]
        self.assertEqual((end["type"], end["status"]), ("end", "succeeded"), end)
        self.assert_counts(end["counts"], total=count, succeeded=count, failed=0, retried=0)

    def test_rotating_as_documented_loses_nothing_even_in_a_coordinator_that_drains(self):
        old = self.start_fleet("--drain-s", "100")
        items = [0.02] * 2000
        with old.stream({"task": "sleep", "items": items, "chunk_size": 2}) as stream:
            self.assertEqual(stream.line()["type"], "result")
            old.coordinator.send_signal(signal.SIGTERM)
            fresh = self.another_coordinator()
            with fresh.stream({"task": "sleep", "items": items, "chunk_size": 2}) as another:
                self.mount("known", ONE, TWO)
                self.wait_for(self.workers, "fantail_token_accepted", ONE, TWO)
                self.mount("sent", TWO)
                self.wait_for((old.coordinator, fresh.coordinator), "fantail_token_presented", TWO)
                self.mount("known", TWO)
                self.wait_for(self.workers, "fantail_token_accepted", TWO)
                for worker in self.workers:
                    self.assert_refused(ft.request(worker.port, "GET", "/v1/tasks", headers=bearer(ONE)), "unknown")
                self.assert_nothing_lost(another.rest(), len(items))
            self.assert_nothing_lost(stream.rest(), len(items))
        self.assertEqual(old.metric(fresh.coordinator, "fantail_token_file_reloads_total"), 1)
        self.assert_no_token_in_logs(fresh.coordinator, *self.workers)

    def test_a_refused_token_is_read_again_at_once_and_its_items_are_sent_again(self):
        fleet = self.start_fleet("--log-level", "debug")
        with fleet.stream({"task": "sleep", "items": [0.02] * 500, "chunk_size": 2}) as stream:
            self.assertEqual(stream.line()["type"], "result")
            fleet.coordinator.send_signal(signal.SIGSTOP)  # so that the coordinator sees both changes at the same time
            self.mount("sent", TWO)
            self.mount("known", TWO)
            for worker in self.workers:
                self.reload(worker)
            fleet.coordinator.send_signal(signal.SIGCONT)
            self.assert_nothing_lost(stream.rest(), 500)
        text = ft.request(fleet.coordinator.admin_port, "GET", "/metrics").body.decode()
        self.assertIn('fantail_chunk_attempts_total{result="refused"} 0\n', text)
        self.assertNotIn('fantail_chunk_attempts_total{result="old_token"} 0\n', text)

    def test_a_file_that_cannot_be_used_keeps_the_old_tokens(self):
        fleet = self.start_fleet()
        self.mount("sent", "short")
        wait_until(lambda: any("could not be read again" in line["msg"] for line in fleet.coordinator.log_lines()),
                   "the error")
        self.assertEqual(self.shown(fleet.coordinator, "fantail_token_presented"), {fingerprint(ONE)})
        self.assertEqual(fleet.job({"task": "square", "items": [5]}).json["results"], [25])
        self.mount("sent", ONE, TWO)
        wait_until(lambda: fleet.metric(fleet.coordinator, "fantail_token_file_reloads_total") == 2, "the next reload")


class Doors(AccessTest):
    """Without tokens and without --insecure, a service refuses to listen on addresses that other machines can reach."""

    def call(self, program, *arguments, **env):
        return subprocess.run([os.path.join(ft.BIN, program), "--port", "0", "--admin-port", "0", *arguments],
                              capture_output=True, text=True, timeout=30, env=self.environment(**env))

    def test_a_service_open_to_others_without_tokens_is_refused(self):
        for program in SERVICES:
            for host in ("0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1"):
                ended = self.call(program, "--host", host)
                self.assertEqual(ended.returncode, 2, (program, host, ended.stderr))
                for word in ("--token-file", "--insecure", host):
                    self.assertIn(word, ended.stderr)

    def test_insecure_serves_and_warns(self):
        for number, (program, arguments, env) in enumerate([
                (SERVICES[0], ["--insecure"], {}), (SERVICES[1], ["--insecure", "--tasks", ft.EXAMPLE_TASKS], {}),
                (SERVICES[0], [], {"FANTAIL_INSECURE": "true"})]):
            started = self.start(program, "--port", 0, "--admin-port", 0, "--host", "0.0.0.0", *arguments, ready=True,
                                 name=f"open-{number}", env=self.environment(**env))
            self.assertEqual(ft.request(started.port, "GET", "/readyz").status, 200)
            warning = wait_until(lambda: [line for line in started.log_lines() if line["level"] == "warn"], "the warning")
            self.assertIn("INSECURE", warning[0]["msg"])

    def test_tokens_open_the_door_and_nothing_warns(self):
        path = self.token_file("clients", ONE)
        started = self.start(SERVICES[0], "--port", 0, "--admin-port", 0, "--host", "0.0.0.0", ready=True,
                             env=self.environment(FANTAIL_TOKEN_FILE=path))
        self.assertEqual(ft.request(started.port, "GET", "/v1/jobs").status, 401)
        self.assertEqual(ft.request(started.port, "GET", "/v1/jobs", headers=bearer(ONE)).status, 200)
        self.assertEqual([line for line in started.log_lines() if line["level"] == "warn"], [])

    def test_a_token_file_that_is_no_use_ends_the_program_with_2(self):
        files = {"missing": None, "empty": "", "comments": "# no\n\n", "short": "secret\n", "bad": "secret secret secret\n",
                 "long": "s" * 600 + "\n"}
        for name, text in files.items():
            path = os.path.join(self.folder, name)
            if text is not None:
                write_file(path, text)
            for program, option in ((SERVICES[0], "--token-file"), (SERVICES[1], "--token-file"),
                                    (SERVICES[0], "--worker-token-file")):
                ended = self.call(program, option, path)
                self.assertEqual(ended.returncode, 2, (program, option, name, ended.stderr))
                self.assertIn(f"{option}: {path}", ended.stderr)
                self.assertNotIn("secret", ended.stderr)


class WriteSecret(AccessTest):
    """The command write-secret, for platforms that pass secrets only as environment variables."""

    def write(self, program, *pairs, **env):
        return subprocess.run([os.path.join(ft.BIN, program), "write-secret", *pairs], capture_output=True, text=True,
                              timeout=30, env=self.environment(**env))

    def test_tokens_become_files_that_only_their_owner_reads(self):
        one, two = (os.path.join(self.folder, name) for name in ("one", "two"))
        for program in SERVICES:
            for _ in range(2):  # the second time replaces the existing file
                ended = self.write(program, "A", one, "B", two, A=ONE, B=f"# both\n{TWO}\n{THREE}\n")
                self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "", ""))
            self.assertEqual([os.stat(path).st_mode & 0o777 for path in (one, two)], [0o400, 0o400])
        worker = self.worker("--token-file", two)
        for token, status in ((ONE, 401), (TWO, 200), (THREE, 200)):
            self.assertEqual(ft.request(worker.port, "GET", "/v1/tasks", headers=bearer(token)).status, status)

    def test_the_url_of_a_job_store_becomes_a_file_for_the_coordinator_only(self):
        url, path = "postgresql://fantail:s3cret@127.0.0.1:9/jobs?sslmode=disable", os.path.join(self.folder, "url")
        ended = self.write("fantail-worker", "URL", path, URL=url)
        self.assertEqual((ended.returncode, os.path.exists(path)), (2, False), ended.stderr)
        ended = self.write("fantail-coordinator", "A", os.path.join(self.folder, "tokens"), "URL", path, A=ONE, URL=url + "\n")
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "", ""))
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o400)
        coordinator = self.coordinator("static://127.0.0.1:9", "--store-file", path)
        self.assertEqual(coordinator.stop(), 0)

    def test_what_is_no_url_is_not_written_and_not_shown(self):
        path = os.path.join(self.folder, "url")
        for text in ("mysql://fantail:s3cret@db.example/jobs", '{"username":"fantail","password":"s3cret"}'):
            ended = self.write("fantail-coordinator", "URL", path, URL=text)
            self.assertEqual((ended.returncode, os.path.exists(path)), (2, False), ended.stderr)
            self.assertIn("begins with postgresql://", ended.stderr)
            self.assertNotIn("s3cret", ended.stderr)

    def test_what_is_no_token_is_not_written(self):
        path = os.path.join(self.folder, "out")
        for pairs, env, status, word in ((("A", path), {}, 2, "A"), (("A", path), {"A": "secret"}, 2, "too short"),
                                         (("A", path), {"A": ""}, 2, "no token"), (("A",), {"A": ONE}, 2, "VARIABLE FILE"),
                                         ((), {}, 2, "VARIABLE FILE"), (("A", "/nowhere/x"), {"A": ONE}, 1, "/nowhere/x")):
            ended = self.write(SERVICES[0], *pairs, **env)
            self.assertEqual(ended.returncode, status, (pairs, ended.stderr))
            self.assertIn(word, ended.stderr)
            self.assertNotIn("secret\n", ended.stderr.replace("write-secret", ""))
            self.assertNotIn(ONE, ended.stderr)
        self.assertFalse(os.path.exists(path))


class CommandLine(AccessTest):
    def fantail(self, *arguments, text="1\n2\n3\n", **env):
        return subprocess.run([os.path.join(ft.BIN, "fantail"), *arguments], input=text, capture_output=True, text=True,
                              timeout=60, env=self.environment(**env))

    def setUp(self):
        super().setUp()
        self.path = self.token_file("mine", ONE, TWO)
        self.job = os.path.join(self.folder, "job.json")
        write_file(self.job, '{"task":"square","items":[1,2,3]}')

    def calls(self, url):
        return (("map", "square", "--url", url), ("tasks", "--url", url), ("submit", "-f", self.job, "--url", url),
                ("map", "square", "--reduce", "sum", "--url", url))

    def test_every_command_presents_its_token(self):
        fleet = self.fleet(coordinator_arguments=("--token-file", self.token_file("clients", ONE)))
        for call in self.calls(f"http://127.0.0.1:{fleet.port}"):
            for ended in (self.fantail(*call, "--token-file", self.path), self.fantail(*call, FANTAIL_TOKEN_FILE=self.path)):
                self.assertEqual((ended.returncode, ended.stderr), (0, ""), call)

    def test_a_refusal_is_3_and_says_what_to_do(self):
        fleet = self.fleet(coordinator_arguments=("--token-file", self.token_file("clients", THREE)))
        for call in self.calls(f"http://127.0.0.1:{fleet.port}"):
            ended = self.fantail(*call)
            self.assertEqual(ended.returncode, 3, (call, ended.stderr))
            for word in ("401", "token is needed", "FANTAIL_TOKEN_FILE"):
                self.assertIn(word, ended.stderr)
            ended = self.fantail(*call, "--token-file", self.path)
            self.assertEqual(ended.returncode, 3, (call, ended.stderr))
            for word in ("401", "not known", "--token-file"):
                self.assertIn(word, ended.stderr)
            self.assertNotIn(ONE, ended.stderr)

    def test_much_input_that_is_refused_ends_soon(self):
        fleet = self.fleet(coordinator_arguments=("--token-file", self.token_file("clients", THREE)))
        for more in ((), ("--reduce", "sum")):
            ended = self.fantail("map", "square", "--url", f"http://127.0.0.1:{fleet.port}", *more, text="12345\n" * 4000000)
            self.assertEqual(ended.returncode, 3, ended.stderr)
            self.assertIn("401", ended.stderr)

    def test_a_token_file_that_is_no_use_is_wrong_usage(self):
        for call in self.calls("http://127.0.0.1:1"):
            ended = self.fantail(*call, "--token-file", self.folder + "/missing")
            self.assertEqual(ended.returncode, 2, (call, ended.stderr))
            self.assertIn("--token-file", ended.stderr)

    def test_a_private_fleet_needs_none_whatever_the_environment_says(self):
        ended = self.fantail("map", "square", "--tasks", ft.EXAMPLE_TASKS, FANTAIL_TOKEN_FILE=self.path,
                             FANTAIL_WORKER_TOKEN_FILE="/nowhere")
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "1\n4\n9\n", ""))

    def test_local_beyond_this_machine_needs_tokens(self):
        local = [os.path.join(ft.BIN, "fantail"), "local", "--tasks", ft.EXAMPLE_TASKS, "--port", "0", "--host", "0.0.0.0"]
        ended = subprocess.run(local, capture_output=True, text=True, timeout=60, env=self.environment())
        self.assertEqual((ended.returncode, ended.stdout), (2, ""), ended)
        for word in ("--host", "--token-file", "--insecure"):
            self.assertIn(word, ended.stderr)
        self.assertNotIn("--tls", ended.stderr, "the message names an option that `fantail local` does not have")
        served = self.start("fantail", *local[1:], "--token-file", self.path)
        url = wait_until(lambda: served.stdout().strip(), "the fleet").split()[-1]
        self.assertEqual(self.fantail("map", "square", "--url", url).returncode, 3)
        self.assertEqual(self.fantail("map", "square", "--url", url, "--token-file", self.path).stdout, "1\n4\n9\n")


if __name__ == "__main__":
    ft.main()
