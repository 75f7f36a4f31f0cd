"""Workers that register over https: certificates of coordinators, and certificates of workers if coordinators demand
them."""
import json
import os
import subprocess
import tempfile

import fantail_testing as ft
from certificates import Authority
from fantail_testing import FantailTest, wait_until, write_file

TOKEN = "workers-0123456789abcdef"


def setUpModule():
    global made, good, other, certs
    made = tempfile.TemporaryDirectory(prefix="fantail-certificates-")
    good, other = Authority(made.name + "/good"), Authority(made.name + "/other", "other")
    certs = {
        "server": good.issue("server"),
        "workers": good.issue("workers", hosts=("workers.example",)),
        "elsewhere": good.issue("elsewhere", hosts=("elsewhere.example",)),
        "ended": good.issue("ended", ended=True),
        "client": good.issue("client", hosts=(), use="clientAuth"),
        "ended_client": good.issue("ended_client", hosts=(), use="clientAuth", ended=True),
        "stranger": other.issue("stranger"),
    }


def tearDownModule():
    made.cleanup()


def serve(name, client_ca=None):
    cert, key = certs[name]
    return ["--tls-cert", cert, "--tls-key", key] + (["--tls-client-ca", client_ca] if client_ca else [])


def show(name, prefix):
    cert, key = certs[name]
    return [f"--{prefix}-client-cert", cert, f"--{prefix}-client-key", key]


class Registration(FantailTest):
    def setUp(self):
        super().setUp()
        self.tokens = os.path.join(self.folder, "tokens")
        write_file(self.tokens, TOKEN + "\n")

    def https_coordinator(self, *arguments, certificate="server", client_ca=None, workers="register+https://workers.example"):
        return self.coordinator(workers, "--worker-token-file", self.tokens, "--worker-ca", good.ca,
                                *serve(certificate, client_ca), *arguments)

    def registering(self, coordinator, *arguments, scheme="https", ca=None, certificate="workers", client_ca=None):
        return self.worker("--token-file", self.tokens, "--register", f"{scheme}://localhost:{coordinator.port}",
                           "--register-ca", ca or good.ca, *serve(certificate, client_ca), *arguments)

    def registered(self, coordinator):
        return ft.metric_sum(ft.metrics(coordinator), "fantail_workers_registered")

    def post(self, coordinator, path, body, headers=None, certificate=None):
        """Posts the body as JSON with curl over https. Returns (status, object of the answer)."""
        own = ["--cert", certs[certificate][0], "--key", certs[certificate][1]] if certificate else []
        lines = [part for name, value in (headers or {}).items() for part in ("-H", f"{name}: {value}")]
        done = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", "--cacert", good.ca, *own, *lines,
                               f"https://localhost:{coordinator.port}{path}", "-d", json.dumps(body)],
                              capture_output=True, text=True, timeout=60, check=False)
        text, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(text) if text else done.stderr

    def assert_works(self, coordinator, certificate=None):
        wait_until(lambda: self.registered(coordinator) == 1, "a registered worker")
        status, answer = self.post(coordinator, "/v1/jobs", {"task": "square", "items": [3]}, certificate=certificate)
        self.assertEqual((status, answer.get("results")), (200, [9]), answer)

    def assert_refused(self, coordinator, worker, *words):
        """Checks that the worker logs the reason, and that no worker is registered."""
        def said():
            return [line for line in worker.log_lines() if line["msg"] == "this worker could not register with a coordinator"]
        [fault] = wait_until(said, "the fault in the log")
        for word in words:
            self.assertIn(word, fault["error"])
        wait_until(lambda: ft.metric_sum(ft.metrics(worker), "fantail_registrations_total", result="failed") >= 2, "more attempts")
        self.assertEqual(len(said()), 1, "it is logged once")
        self.assertEqual(self.registered(coordinator), 0)

    def test_a_worker_registers_over_https_and_gets_work_over_https(self):
        """The coordinator connects to the worker's address. The coordinator expects the host name from
        register+https:// in the certificate of the worker."""
        for scheme in ("https", "dns+https", "balancer+https"):
            coordinator = self.https_coordinator()
            worker = self.registering(coordinator, scheme=scheme)
            self.assert_works(coordinator)
            worker.stop()
            wait_until(lambda: self.registered(coordinator) == 0, "its goodbye")

    def test_both_sides_demand_certificates(self):
        coordinator = self.https_coordinator(*show("client", "worker"), client_ca=good.ca)
        self.registering(coordinator, *show("client", "register"), client_ca=good.ca)
        self.assert_works(coordinator, certificate="client")

    def test_the_certificate_of_the_coordinator_must_be_good(self):
        for certificate, words in (("elsewhere", ("localhost",)), ("ended", ("expired",)), ("stranger", ())):
            with self.subTest(certificate):
                coordinator = self.https_coordinator(certificate=certificate)
                self.assert_refused(coordinator, self.registering(coordinator), "certificate", *words)

    def test_the_authority_must_be_the_right_one(self):
        coordinator = self.https_coordinator()
        self.assert_refused(coordinator, self.registering(coordinator, ca=other.ca), "certificate")
        self.registering(coordinator)
        self.assert_works(coordinator)

    def test_a_coordinator_that_demands_a_certificate_refuses_a_worker_without_a_good_one(self):
        for own in ([], show("stranger", "register"), show("ended_client", "register")):
            with self.subTest(own):
                coordinator = self.https_coordinator(client_ca=good.ca)
                self.assert_refused(coordinator, self.registering(coordinator, *own), "certificate")

    def test_a_certificate_is_no_token(self):
        coordinator = self.https_coordinator(client_ca=good.ca)
        for headers, status in (({}, 401), ({"Authorization": "Bearer another-0123456789abcdef"}, 401),
                                ({"Authorization": f"Bearer {TOKEN}"}, 200)):
            got, answer = self.post(coordinator, "/v1/workers", {"worker": "w", "port": 1},
                                    {"Content-Type": ft.JSON, **headers}, certificate="client")
            self.assertEqual(got, status, answer)

    def test_a_registered_worker_with_a_bad_certificate_gets_no_items(self):
        """The worker is registered, but the coordinator does not accept it as a worker, and logs the reason."""
        for certificate in ("elsewhere", "ended", "stranger"):
            with self.subTest(certificate):
                coordinator = self.https_coordinator("--worker-wait-s", "1")
                bad = self.registering(coordinator, certificate=certificate)
                wait_until(lambda: self.registered(coordinator) == 1, "a registered worker")
                status, answer = self.post(coordinator, "/v1/jobs", {"task": "square", "items": [3]})
                self.assertNotEqual((status, answer.get("status")), (200, "succeeded"), answer)
                self.assertIn("certificate", json.dumps(answer) + coordinator.stderr())
                self.assertEqual(ft.metric_sum(ft.metrics(bad), "fantail_items_total"), 0)
                self.registering(coordinator)
                wait_until(lambda: self.registered(coordinator) == 2, "the good one")
                status, answer = self.post(coordinator, "/v1/jobs", {"task": "square", "items": [3]})
                self.assertEqual((status, answer.get("results")), (200, [9]), answer)

    def test_plain_http_does_not_register_at_a_coordinator_with_https(self):
        coordinator = self.https_coordinator()
        worker = self.worker("--token-file", self.tokens, "--register", f"http://localhost:{coordinator.port}",
                             *serve("workers"))
        self.assert_refused(coordinator, worker, "426")

    def test_a_new_certificate_is_used_without_a_restart(self):
        """The coordinator's certificate has expired. Then the test replaces the files of the certificate."""
        cert, key = (os.path.join(self.folder, name) for name in ("cert", "key"))

        def put(name):
            for source, target in zip(certs[name], (cert, key)):
                with open(source, encoding="ascii") as file:
                    write_file(target + ".new", file.read(), 0o600)
                os.rename(target + ".new", target)
        put("ended")
        coordinator = self.coordinator("register+https://workers.example", "--worker-token-file", self.tokens,
                                       "--worker-ca", good.ca, "--tls-cert", cert, "--tls-key", key)
        worker = self.registering(coordinator)
        self.assert_refused(coordinator, worker, "expired")
        put("server")
        self.assert_works(coordinator)


if __name__ == "__main__":
    ft.main()
