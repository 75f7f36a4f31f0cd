"""Notices: the coordinator POSTs the end of a durable job to a URL (Standard Webhooks)."""
import base64
import hashlib
import hmac
import http.server
import json
import os
import signal
import ssl
import threading
import time
import unittest

import fantail_testing as ft
import postgres
from certificates import Authority
from fantail_testing import JSON, NDJSON, main, metric_sum, wait_until
from replicas import ReplicasTest
from test_durable_results import DurableTest

SECRETS = ["whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2)]


class Receiver:
    """Answers with the given statuses in turn, and then always with the last status. `requests` has (headers, body,
    path)."""

    def __init__(self, test, *statuses, tls=None):
        self.statuses, self.requests = list(statuses), []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((self.headers, body, self.path))
                status = receiver.statuses[min(len(receiver.requests), len(receiver.statuses)) - 1]
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.scheme = "https" if tls else "http"
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.url = f"{self.scheme}://{self.address}/hook?key=s3cret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        test.addCleanup(self.server.server_close)
        test.addCleanup(self.server.shutdown)

    def wait_for(self, n, limit_s=60):
        wait_until(lambda: len(self.requests) >= n, f"{n} notices", limit_s)

    def ids(self):
        return [headers["webhook-id"] for headers, _, _ in self.requests]


def signatures(headers, body, secrets):
    """Returns the expected value of the header webhook-signature."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets]
    return " ".join("v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys)


class Notices(DurableTest):
    def secret_file(self, *secrets):
        path = os.path.join(self.folder, "secrets")
        ft.write_file(path, "\n".join(secrets) + "\n")
        return path

    def start_notifying(self, receiver, *arguments, workers=None, secrets=SECRETS[:1], pauses="0.2,0.2,0.2"):
        allow = receiver.address if receiver.scheme == "https" else "http://" + receiver.address
        return self.start_store(workers or [self.worker()], "--notify-allow", "other.example," + allow,
                                "--notify-secret-file", self.secret_file(*secrets), "--notify-pauses-s", pauses, *arguments)

    def job(self, receiver, **more):
        return {"task": "square", "items": [1, "x", 3], "notify": {"url": receiver.url}, **more}

    def counter(self, client, name, **labels):
        return metric_sum(ft.metrics(client.coordinator), name, **labels)

    def test_a_notice_arrives_signed_after_two_failures(self):
        receiver = Receiver(self, 500, 301, 204)
        client = self.start_notifying(receiver, secrets=SECRETS)
        job = client.submit(self.job(receiver))
        receiver.wait_for(3)
        document = client.end(job)
        self.assertEqual(set(receiver.ids()), {job + "_0"})
        for headers, body, path in receiver.requests:
            self.assertEqual(path, "/hook?key=s3cret")
            self.assertEqual(headers["Content-Type"], JSON)
            self.assertEqual(headers["webhook-signature"], signatures(headers, body, SECRETS))
            self.assertLess(abs(time.time() - int(headers["webhook-timestamp"])), 60)
            self.assertEqual(json.loads(body), {
                "type": "job.ended", "timestamp": document["ended_at"],
                "data": {"id": job, "status": "partial", "counts": document["counts"]}})
        wait_until(lambda: self.counter(client, "fantail_notice_attempts_total", result="delivered") == 1, "the delivery")
        self.assertEqual(self.counter(client, "fantail_notice_attempts_total", result="failed"), 2)
        lines = [line for line in client.coordinator.log_lines() if line["msg"] == "a notice could not be delivered"]
        self.assertEqual([(line["attempt"], line["status"], line["job"]) for line in lines], [(1, 500, job), (2, 301, job)])
        self.assertNotIn("s3cret", client.coordinator.stderr())

    def notify_of(self, client, job, status):
        """Waits until the notice of the job has this status, and returns `notify` of the job's document."""
        return wait_until(lambda: (n := client.status(job)["notify"])["status"] == status and n, status)

    def test_the_document_tells_of_the_delivery(self):
        receiver = Receiver(self, 500, 204)
        client = self.start_notifying(receiver, pauses="1", workers=[self.held_worker()])
        job = client.submit({"task": "held", "items": [1], "notify": {"url": receiver.url}})
        nothing = {"origin": "http://" + receiver.address, "status": "pending", "attempts": 0, "reason": None,
                   "delivered_at": None}
        self.assertEqual(client.status(job)["notify"], nothing)
        self.assertEqual(client.ask("PATCH", "/" + job, '{"priority":1}', {"Content-Type": JSON}).json["notify"], nothing)
        self.assertNotIn("notify", client.list()["jobs"][0])
        self.release(1)
        failed = wait_until(lambda: (n := client.status(job)["notify"])["reason"] and n, "the failure")
        reason = "the receiver did not answer with 2xx (status 500)"
        self.assertEqual(failed, {**nothing, "attempts": 1, "reason": reason})
        delivered = self.notify_of(client, job, "delivered")
        self.assertGreaterEqual(delivered.pop("delivered_at"), client.status(job)["ended_at"])
        self.assertEqual(delivered, {"origin": nothing["origin"], "status": "delivered", "attempts": 2, "reason": None})

    def test_it_is_given_up_after_the_last_pause(self):
        receiver = Receiver(self, 503)
        client = self.start_notifying(receiver, pauses="0.1,0.1")
        job = client.submit(self.job(receiver))
        wait_until(lambda: self.counter(client, "fantail_notices_given_up_total") == 1, "the end of the attempts")
        self.assertEqual(len(receiver.requests), 3)
        told = self.notify_of(client, job, "failed")
        self.assertEqual((told["attempts"], told["reason"]), (3, "the receiver did not answer with 2xx (status 503)"))

    def test_410_ends_it(self):
        receiver = Receiver(self, 410)
        client = self.start_notifying(receiver, pauses="0.1,0.1")
        first = client.submit(self.job(receiver))
        wait_until(lambda: self.counter(client, "fantail_notice_attempts_total", result="gone") == 1, "the 410")
        second = client.submit(self.job(receiver))
        receiver.wait_for(2)
        self.assertEqual(receiver.ids(), [first + "_0", second + "_0"])
        self.assertIn("no more notices", self.notify_of(client, first, "failed")["reason"])

    def test_it_outlives_the_coordinator_and_its_job(self):
        receiver = Receiver(self, 500, 200)
        client = self.start_notifying(receiver, pauses="0.5")
        job = client.submit(self.job(receiver, items=[1]))
        receiver.wait_for(1)
        wait_until(lambda: self.counter(client, "fantail_notice_attempts_total", result="failed") == 1, "the failure")
        self.assertEqual(client.ask("DELETE", "/" + job).status, 204)
        client.coordinator.send_signal(signal.SIGTERM)
        client.coordinator.wait()
        self.start_notifying(receiver)
        receiver.wait_for(2)
        self.assertEqual(receiver.ids(), [job + "_0"] * 2)

    def test_each_end_of_a_job_is_told(self):
        receiver = Receiver(self, 200)
        client = self.start_notifying(receiver)
        job = client.submit(self.job(receiver))
        receiver.wait_for(1)
        self.assertEqual(client.ask("POST", f"/{job}/redrive", b"").status, 202)
        receiver.wait_for(2)
        self.assertEqual(receiver.ids(), [job + "_0", job + "_1"])

    def test_the_query_can_ask_for_it(self):
        receiver = Receiver(self, 200)
        client = self.start_notifying(receiver)
        answer = client.ask("POST", f"?task=square&notify.url={receiver.url.replace('?', '%3F').replace('=', '%3D')}", b"1\n2\n",
                            {"Content-Type": NDJSON, "Prefer": "wait=60"})
        self.assertEqual(answer.status, 200, answer)
        receiver.wait_for(1)
        self.assertEqual(receiver.ids(), [answer.json["id"] + "_0"])

    def test_secrets_are_read_again(self):
        receiver = Receiver(self, 200)
        client = self.start_notifying(receiver)
        self.secret_file("short-but-no-secret")
        client.coordinator.send_signal(signal.SIGHUP)
        wait_until(lambda: "old ones stay in use" in client.coordinator.stderr(), "the refusal")
        self.secret_file(SECRETS[1])
        client.coordinator.send_signal(signal.SIGHUP)
        wait_until(lambda: client.coordinator.stderr().count("tokens were read again") > 1, "the new secret")
        client.submit(self.job(receiver))
        receiver.wait_for(1)
        headers, body, _ = receiver.requests[0]
        self.assertEqual(headers["webhook-signature"], signatures(headers, body, SECRETS[1:]))

    def test_a_certificate_that_nobody_trusts_is_a_failure(self):
        authority = Authority(os.path.join(self.folder, "authority"))
        receiver = Receiver(self, 200, tls=authority.issue("receiver"))
        client = self.start_notifying(receiver, pauses="60")
        job = client.submit(self.job(receiver))
        self.assertIn("TLS unknown_authority", self.failure_of(client, job))
        self.assertEqual(receiver.requests, [])

    def failure_of(self, client, job):
        return wait_until(lambda: client.status(job)["notify"]["reason"], "the failure")

    def test_a_private_authority_can_be_trusted(self):
        authority, other = (Authority(os.path.join(self.folder, name), name) for name in ("authority", "other"))
        receiver = Receiver(self, 200, tls=authority.issue("receiver"))
        client = self.start_notifying(receiver, "--notify-ca", authority.ca)
        job = client.submit(self.job(receiver))
        self.assertEqual(self.notify_of(client, job, "delivered")["attempts"], 1)
        os.replace(other.ca, authority.ca)
        client.coordinator.send_signal(signal.SIGHUP)
        wait_until(lambda: client.coordinator.stderr().count("the certificate authorities were read") == 2, "the reading")
        job = client.submit(self.job(receiver))
        self.assertIn("TLS unknown_authority", self.failure_of(client, job))
        self.assertEqual(len(receiver.requests), 1)

    def test_the_certificate_must_have_the_name_of_the_receiver(self):
        authority = Authority(os.path.join(self.folder, "authority"))
        receiver = Receiver(self, 200, tls=authority.issue("receiver", hosts=("elsewhere",)))
        client = self.start_notifying(receiver, "--notify-ca", authority.ca, pauses="60")
        self.assertIn("TLS wrong_name", self.failure_of(client, client.submit(self.job(receiver))))
        self.assertEqual(receiver.requests, [])

    def assert_refused(self, client, body, pointer, detail, **headers):
        answer = client.ask("POST", "", json.dumps(body), {"Content-Type": JSON, **headers})
        self.assertEqual((answer.status, answer.json.get("pointer")), (400, pointer), answer)
        self.assertIn(detail, answer.json["detail"])

    def test_only_allowed_hosts_are_told(self):
        receiver = Receiver(self, 200)
        client = self.start_notifying(receiver)
        durable = {"Prefer": "respond-async"}
        job = self.job(receiver)
        for url in ("https://127.0.0.1/hook", f"https://{receiver.address}/", "http://other.example/",
                    "https://other.example:8443/", "https://169.254.169.254/latest"):
            self.assert_refused(client, {**job, "notify": {"url": url}}, "/notify/url", "--notify-allow", **durable)
        for url in ("https://other.example@127.0.0.1/", "//other.example/", "https://other.example/#a"):
            self.assert_refused(client, {**job, "notify": {"url": url}}, "/notify/url", "https://HOST/PATH", **durable)
        for notify, pointer in (({}, "/notify"), ("x", "/notify"), ({"url": 1}, "/notify/url"), ({"url": ""}, "/notify/url"),
                                ({"url": "https://a b/"}, "/notify/url"), ({"uri": "x"}, "/notify/uri")):
            self.assert_refused(client, {**job, "notify": notify}, pointer, "", **durable)
        self.assert_refused(client, job, "/notify", "Prefer: respond-async")

    def test_it_is_off_by_default(self):
        client = self.start_store([self.worker()])
        body = {"task": "square", "items": [1], "notify": {"url": "https://a.example/"}}
        self.assert_refused(client, body, "/notify", "--notify-allow", Prefer="respond-async")

    def test_wrong_options_are_refused(self):
        store = ("--store", f"sqlite:{self.folder}/jobs.db")
        secret = ("--notify-secret-file", self.secret_file(SECRETS[0]))
        bad = os.path.join(self.folder, "bad")
        ft.write_file(bad, "whsec_tooshort-to-be-a-secret\n")
        for arguments, said in (((*store, *secret, "--notify-allow", "a/b"), "--notify-allow: "),
                                ((*store, "--notify-allow", "a"), "--notify-secret-file"),
                                ((*secret, "--notify-allow", "a"), "--store"),
                                ((*store, *secret, "--notify-allow", "a", "--notify-pauses-s", "x"), "--notify-pauses-s: "),
                                ((*store, *secret, "--notify-allow", "a", "--notify-ca", bad), "--notify-ca: "),
                                ((*store, *secret, "--notify-allow", "a", "--notify-ca", "/nowhere"), "--notify-ca: "),
                                ((*store, *secret, "--notify-allow", "http://a", "--notify-ca", bad), "is for https"),
                                ((*store, "--notify-allow", "a", "--notify-secret-file", bad), "--notify-secret-file: ")):
            program = self.start("fantail-coordinator", *arguments)
            program.any_status = True
            self.assertEqual(program.wait(), 2)
            self.assertIn(said, program.stderr())
            self.assertNotIn("tooshort", program.stderr())


@unittest.skipUnless(postgres.programs(), postgres.REASON)
class NoticesOfReplicas(ReplicasTest):
    def test_another_replica_goes_on(self):
        receiver = Receiver(self, 500, 200)
        secret = os.path.join(self.folder, "secrets")
        ft.write_file(secret, SECRETS[0] + "\n")
        notify = ("--notify-allow", "http://" + receiver.address, "--notify-secret-file", secret, "--notify-pauses-s", "1")
        self.workers = [self.worker()]
        first = self.start_coordinator(*notify)
        job = self.submit({"task": "square", "items": [1], "notify": {"url": receiver.url}})
        receiver.wait_for(1)
        first.kill()
        other = self.start_coordinator(*notify)
        receiver.wait_for(2, 120)
        told = wait_until(lambda: (n := ft.request(other.port, "GET", f"/v1/jobs/{job}").json["notify"])["status"] != "pending" and n,
                          "the delivery")
        self.assertEqual((told["status"], told["attempts"], told["reason"]), ("delivered", 2, None))
        self.assertEqual(receiver.ids(), [job + "_0"] * 2)


if __name__ == "__main__":
    main()
