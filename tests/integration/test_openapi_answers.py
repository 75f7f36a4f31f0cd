"""Real answers conform to the schemas of /openapi.json: the problems of each call, the lines of streams, the documents."""
import http.client
import json
import os
import socket

import fantail_testing as ft
from certificates import Authority
from fantail_testing import JSON, NDJSON, PROBLEM, FantailTest, request, wait_until, write_file
from openapi_document import check, operations
from stored_file import read_number

TOKEN = "a-token-for-the-problems"
ID = "0195f2c4-0000-7000-8000-000000000001"
DURABLE = {"Prefer": "respond-async"}
JOB_CALLS = ("GET", "/v1/jobs/{id}"), ("DELETE", "/v1/jobs/{id}"), ("GET", "/v1/jobs/{id}/results"), \
    ("GET", "/v1/jobs/{id}/events"), ("POST", "/v1/jobs/{id}/redrive")
# Statuses that no test in this file causes. For each status, the text says what would cause it. test_api_durable.c
# causes the statuses of the store.
ELSEWHERE = {
    **{(method, path, 500): "the store must be damaged while it is open" for method, path in (
        ("GET", "/v1/jobs"), ("POST", "/v1/jobs"), ("GET", "/v1/jobs/{id}"), ("GET", "/v1/jobs/{id}/results"),
        ("GET", "/v1/jobs/{id}/events"))},
    ("POST", "/v1/jobs/{id}/redrive", 507): "the disk must be full while a job is redriven",
    ("PATCH", "/v1/jobs/{id}", 507): "the disk must be full while a job is changed",
    ("DELETE", "/v1/jobs/{id}", 507): "the disk must be full while a job is cancelled",
    ("GET", "/metrics", 500): "the metrics must have more than 16 MiB",
}


class Problems(FantailTest):
    TIME_LIMIT_S = 600

    def setUp(self):
        super().setUp()
        self.seen, self.checks = set(), []
        self.tokens = os.path.join(self.folder, "tokens")
        write_file(self.tokens, TOKEN + "\n")
        self.fleets = 0

    def see(self, method, path, status, answer):
        """Checks an answer to this call against the document, and notes that the status was seen."""
        self.assert_problem(answer, status)
        responses = self.operations[method, path]["responses"]
        self.assertIn(str(status), responses, f"{method} {path} is answered {status}: add it to its responses in the document")
        for name in [n for n in answer.headers if n in ("WWW-Authenticate", "Retry-After", "Accept-Encoding")]:
            response = self.document["components"]["responses"][str(status)]
            self.assertIn(name, response.get("headers", {}), f"{method} {path} {status}: add {name} to its headers")
        self.seen.add((method, path, status))
        self.checks.append(("/components/schemas/Problem", answer.json))

    def ask(self, port, method, path, status, body=None, job=ID, query="", **headers):
        """Makes a request, and checks that the answer is a problem with this status."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.see(method, path, status, request(port, method, path.replace("{id}", job) + query, body, headers))

    def raw(self, port, method, path, status, query="", version="1.1", end="\r\n", token=True):
        """Makes a request with a head that http.client would not send, and checks that the answer is a problem with
        this status."""
        with socket.create_connection(("127.0.0.1", port), timeout=ft.LIMIT_S) as s:
            s.sendall((f"{method} {path.replace('{id}', ID)}{query} HTTP/{version}\r\nHost: x\r\nConnection: close\r\n"
                       + (f"Authorization: Bearer {TOKEN}\r\n" if token else "") + end).encode())
            self.see(method, path, status, self.read_answer(s))

    @staticmethod
    def read_answer(s):
        response = http.client.HTTPResponse(s)
        response.begin()
        return ft.Answer(response.status, response.headers, response.read())

    def new_coordinator(self, workers, *arguments, store=True):
        self.fleets += 1
        self.store = os.path.join(self.folder, f"jobs-{self.fleets}.db")
        return self.coordinator(workers, *arguments, *(("--store", f"sqlite:{self.store}") if store else ()))

    def stored_jobs(self):
        return read_number(self.store, "SELECT count(*) FROM job")

    # Statuses that every call can have.

    def see_bad_requests(self):
        """Sends each call some request heads that no call accepts."""
        coordinator = self.new_coordinator([self.plain], "--token-file", self.tokens, "--worker-token-file", self.tokens,
                                           "--register-workers", "--max-body-bytes", "2000", "--upload-pause-s", "0.5")
        for (method, path), operation in self.operations.items():
            port = coordinator.admin_port if "admin" in operation["tags"] else coordinator.port
            self.raw(port, method, path, 400, end="no colon\r\n\r\n")
            self.raw(port, method, path, 408, end="Content-Type: application/json\r\nContent-Length: 9\r\n\r\n1")
            self.raw(port, method, path, 413, end=f"Content-Length: {2**40}\r\n\r\n")
            self.raw(port, method, path, 414, query="?x=" + "y" * 12000)
            self.raw(port, method, path, 415, end="Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\n1")
            self.raw(port, method, path, 431, end="X-Long: " + "y" * 40000 + "\r\n\r\n")
            self.raw(port, method, path, 505, version="3.0")
            if operation.get("security") != []:
                self.raw(port, method, path, 401, token=False)

    def see_drain(self):
        """When a service ends, it sends 503 on each idle connection. A client that sends a request at that moment gets
        the 503 as its answer."""
        coordinator = self.new_coordinator([self.plain])
        kept = {}
        for (method, path), operation in self.operations.items():
            if "admin" in operation["tags"]:
                continue
            kept[method, path] = http.client.HTTPConnection("127.0.0.1", coordinator.port, timeout=ft.LIMIT_S)
            kept[method, path].request("GET", "/livez")
            kept[method, path].getresponse().read()
        self.assertEqual(coordinator.stop(), 0)
        for (method, path), connection in kept.items():
            self.see(method, path, 503, self.read_answer(connection.sock))
            connection.close()

    def see_https(self):
        cert, key = Authority(os.path.join(self.folder, "certificates")).issue("server")
        coordinator = self.new_coordinator([self.plain], "--tls-cert", cert, "--tls-key", key)
        for (method, path), operation in self.operations.items():
            if "admin" not in operation["tags"]:
                self.raw(coordinator.port, method, path, 426)

    # Statuses of single calls.

    def see_jobs(self):
        port = self.new_coordinator([self.plain], "--max-jobs", "1").port
        job = '{"task":"%s","items":[%s]}'
        self.ask(port, "POST", "/v1/jobs", 404, job % ("absent", 1))
        self.ask(port, "POST", "/v1/jobs", 422, job % ("broken", 1))
        with ft.Stream(port, job % ("gate", 1), {"Accept": NDJSON}):
            self.ask(port, "POST", "/v1/jobs", 429, job % ("square", 1))
            running = request(port, "GET", "/v1/jobs").json["synchronous"][0]["id"]
            for call in ("events", "results"):
                self.ask(port, "GET", "/v1/jobs/{id}/" + call, 409, job=running)
        headers = {**DURABLE, "Idempotency-Key": "k"}
        self.assertEqual(request(port, "POST", "/v1/jobs", job % ("square", 1), headers).status, 202)
        self.ask(port, "POST", "/v1/jobs", 422, job % ("square", 2), **headers)
        done = request(port, "POST", "/v1/jobs", job % ("square", 1), DURABLE).json["id"]
        ended = request(port, "GET", f"/v1/jobs/{done}?wait_s=60").json
        self.assertEqual(ended["status"], "succeeded")
        self.ask(port, "POST", "/v1/jobs/{id}/redrive", 409, job=done)
        self.ask(port, "DELETE", "/v1/jobs/{id}", 409, job=done, query="?only=cancel")
        merge = {"body": '{"priority":1}', "Content_Type": JSON}
        self.ask(port, "PATCH", "/v1/jobs/{id}", 404, **merge)
        self.ask(port, "PATCH", "/v1/jobs/{id}", 409, job=done, **merge)
        for method, path in JOB_CALLS:
            self.ask(port, method, path, 404)
            self.ask(port, method, path, 404, job="x" * 100)

    def see_uploads(self):
        """Sends a second request with the key of a request that is still being received."""
        port = self.new_coordinator([self.plain]).port
        first = http.client.HTTPConnection("127.0.0.1", port, timeout=ft.LIMIT_S)
        first.putrequest("POST", "/v1/jobs?task=square")
        for name, value in {**DURABLE, "Idempotency-Key": "k", "Content-Type": NDJSON, "Content-Length": str(2**30)}.items():
            first.putheader(name, value)
        first.endheaders(b"12345678\n" * 300_000)
        wait_until(self.stored_jobs, "the first block of the upload")
        self.ask(port, "POST", "/v1/jobs", 409, '{"task":"square","items":[1]}', **DURABLE, Idempotency_Key="k")
        first.close()

    def see_full_stores(self):
        limited = self.new_coordinator([self.plain], "--result-memory-bytes", "64K", "--max-spill-bytes", "4M", store=False)
        self.ask(limited.port, "POST", "/v1/jobs", 507, '{"task":"square","range":{"stop":300000}}')
        self.ask(limited.port, "GET", "/v1/jobs/{id}/results", 404)
        self.ask(limited.port, "POST", "/v1/workers", 403, "{}")
        self.ask(limited.port, "GET", "/v1/workers", 403)
        self.ask(limited.admin_port, "GET", "/autoscale", 404, query="?task=absent")

    def see_lost_store(self):
        coordinator = self.new_coordinator([self.plain])
        failed = request(coordinator.port, "POST", "/v1/jobs", '{"task":"square","items":["x"]}', DURABLE).json["id"]
        self.assertEqual(request(coordinator.port, "GET", f"/v1/jobs/{failed}?wait_s=60").json["status"], "partial")
        os.rename(self.store, self.store + ".moved")
        self.ask(coordinator.port, "POST", "/v1/jobs/{id}/redrive", 500, job=failed)
        self.ask(coordinator.port, "DELETE", "/v1/jobs/{id}", 500, job=failed)
        self.ask(coordinator.port, "PATCH", "/v1/jobs/{id}", 500, '{"priority":1}', job=failed, Content_Type=JSON)
        coordinator.any_status = True

    def see_workers(self):
        port = self.new_coordinator("register://").port
        body = lambda n: json.dumps({"worker": "w", "port": n})
        self.assertEqual(request(port, "POST", "/v1/workers", body(self.plain.port), {"Content-Type": JSON}).status, 200)
        self.ask(port, "POST", "/v1/workers", 409, body(self.free_port()), Content_Type=JSON)

    def test_each_problem_of_each_call_is_described(self):
        tasks = self.tasks(gate=self.gate().task, broken={"mode": "exec"})
        os.symlink(os.path.join(ft.EXAMPLE_TASKS, "square"), os.path.join(tasks, "square"))
        self.plain = self.worker(tasks=tasks)
        self.document = request(self.new_coordinator([self.plain]).port, "GET", "/openapi.json").json
        self.operations = operations(self.document)
        for see in (self.see_bad_requests, self.see_drain, self.see_https, self.see_jobs, self.see_uploads, self.see_full_stores,
                    self.see_lost_store, self.see_workers):
            see()
        described = {(method, path, int(status)) for (method, path), operation in self.operations.items()
                     for status in operation["responses"] if int(status) >= 400}
        self.assertEqual(sorted(described - self.seen - set(ELSEWHERE)), [],
                         "no request in this test gets these problems: add one, or remove them from the document")
        self.assertEqual(self.seen & set(ELSEWHERE), set())
        check(self, self.document, self.checks)


class Values(FantailTest):
    """Each kind of line of a stream, and each kind of document."""

    TIME_LIMIT_S = 600

    def setUp(self):
        super().setUp()
        self.checks, self.kinds = [], set()

    def take(self, kind, lines):
        """Notes the lines of a whole stream, and returns them. `kind` names the stream in the message if a check
        fails."""
        for line in lines:
            self.checks.append(("/components/schemas/Line", line))
            self.kinds.add(line["type"] + ("/" + line["reason"] if line["type"] == "waiting" else ""))
        self.assertEqual((lines[0]["type"], lines[-1]["type"]), ("start", "end"), kind)
        return lines

    def take_document(self, schema, document):
        self.checks.append((f"/components/schemas/{schema}", document))
        return document

    def stream_of(self, port, job, query="", headers=None):
        return ft.Stream(port, json.dumps(job), {"Accept": NDJSON, **(headers or {})}, path="/v1/jobs" + query)

    def all_of(self, stream):
        """Returns the start line and the rest of a stream."""
        rest = stream.rest()
        return [stream.start, *rest]

    def see_answers(self, port):
        job = {"task": "square", "items": [1, "x", "y", 2]}
        lines = self.take("errors", self.all_of(self.stream_of(port, job)))
        self.assertEqual([line["type"] for line in lines if line["type"] != "waiting"],
                         ["start", "result", "error", "error", "result", "end"])
        self.take("runs", self.all_of(self.stream_of(port, {"task": "square", "items": ["x"] * 5, "errors": "runs"})))
        lines = self.take("reduce", self.all_of(self.stream_of(port, {"task": "square", "range": {"stop": 4}, "reduce": "sum"})))
        self.assertIn({"type": "result", "value": 14}, lines)
        hinted = request(port, "POST", "/v1/jobs?task=square", b'{"task":"square","items":[1]}\n', {"Content-Type": NDJSON, "Accept": NDJSON})
        self.assertIn("hint", self.take("hint", hinted.all_lines)[-1])
        for body in (job, {**job, "errors": "runs"}, {"task": "square", "range": {"stop": 4}, "reduce": "sum"},
                     {"task": "square", "items": [1, "x"], "tolerated_failure_count": 0}, {"task": "square", "items": []}):
            self.take_document("JobAnswer", request(port, "POST", "/v1/jobs", json.dumps(body)).json)

    def see_waiting(self, port):
        """A job whose item waits. The job has progress lines and heartbeats, is in the list of jobs, and is finally
        cancelled. A second job is in the list of a coordinator without a store."""
        with self.stream_of(port, {"task": "gate", "items": [1]}, "?progress_s=2") as stream:
            lines = [stream.line_of("heartbeat"), stream.line_of("progress")]
            listed = self.take_document("StoredJobs", request(port, "GET", "/v1/jobs").json)
            self.assertEqual(len(listed["synchronous"]), 1)
            self.take_document("RunningJob", request(port, "GET", f"/v1/jobs/{stream.start['id']}").json)
            self.take_document("RunningJob", request(port, "DELETE", f"/v1/jobs/{stream.start['id']}").json)
            self.take("cancelled", [stream.start, *lines, *stream.rest()])
        plain = self.coordinator([self.plain])
        with self.stream_of(plain.port, {"task": "gate", "items": [1]}):
            listed = self.take_document("RunningJobs", request(plain.port, "GET", "/v1/jobs").json)
            self.assertEqual(len(listed["jobs"]), 1)

    def see_reasons(self):
        """Three jobs: one without a worker, one with a refused token, and one with a task that is loading."""
        absent = self.coordinator("register://", "--worker-wait-s", "1", "--expected-tasks", "square")
        with self.stream_of(absent.port, {"task": "square", "items": [1]}) as stream:
            self.take("no workers", self.all_of(stream))
        tokens = os.path.join(self.folder, "tokens")
        write_file(tokens, TOKEN + "\n")
        guarded = self.coordinator([self.worker("--token-file", tokens)], "--worker-wait-s", "1")
        with self.stream_of(guarded.port, {"task": "square", "items": [1]}) as stream:
            self.take("token", self.all_of(stream))
        go = os.path.join(self.folder, "go")
        loads = f"import os, time\nwhile not os.path.exists({go!r}):\n    time.sleep(0.05)\n\ndef run(item):\n    return item\n"
        tasks = self.tasks(loads={"json": {"mode": "python", "command": ["loads:run"]}, "files": {"loads.py": loads}})
        loading = self.coordinator([self.worker(tasks=tasks)])
        with self.stream_of(loading.port, {"task": "loads", "items": [1]}) as stream:
            waiting = stream.line_of("waiting")
            self.take_document("Tasks", request(loading.port, "GET", "/v1/tasks").json)
            write_file(go, "")
            self.take("starting", [stream.start, waiting, *stream.rest()])

    def see_durable(self, port):
        def submit(job):
            return self.take_document("DurableJob", request(port, "POST", "/v1/jobs", json.dumps(job), DURABLE).json)["id"]

        def ended(job):
            return self.take_document("DurableJob", request(port, "GET", f"/v1/jobs/{job}?wait_s=60").json)
        mixed = submit({"task": "square", "items": [1, "x", 2], "labels": ["a", "b"]})
        self.assertEqual(ended(mixed)["status"], "partial")
        for query in ("", "?only=errors", "?only=values", "?from=1"):
            self.take(query, request(port, "GET", f"/v1/jobs/{mixed}/results{query}").all_lines)
        self.take_document("DurableJob", request(port, "POST", f"/v1/jobs/{mixed}/redrive").json)
        ended(mixed)
        self.assertEqual(ended(submit({"task": "square", "range": {"stop": 4}, "reduce": "sum"}))["result"], 14)
        for prefer, schema in (("respond-async", "DurableJob"), ("wait=60", "JobAnswer")):
            answer = request(port, "POST", "/v1/jobs?task=square", b'{"task":"square","items":[1]}\n',
                             {"Content-Type": NDJSON, "Prefer": prefer})
            self.assertIn("looks like a job object", self.take_document(schema, answer.json)["hint"])
        held = submit({"task": "gate", "items": [1], "labels": ["held"]})
        with ft.Stream(port, None, {}, path=f"/v1/jobs/{held}/results?progress_s=0.3", method="GET") as stream:
            lines = [stream.line_of("progress")]
            self.take_document("DurableJob", request(port, "DELETE", f"/v1/jobs/{held}").json)
            self.take("durable", [stream.start, *lines, *stream.rest()])
        self.take_document("StoredJobs", request(port, "GET", "/v1/jobs?limit=1").json)

    def see_workers(self, port):
        answer = lambda **more: request(port, "POST", "/v1/workers", json.dumps({"worker": "w", "port": self.plain.port, **more}), {"Content-Type": JSON})
        self.take_document("Lease", answer().json)
        self.take_document("Reached", request(port, "GET", "/v1/workers").json)
        self.take_document("Lease", answer(leaving=True).json)

    def test_lines_and_documents_conform(self):
        tasks = self.tasks(gate=self.gate().task, broken={"mode": "exec"})
        os.symlink(os.path.join(ft.EXAMPLE_TASKS, "square"), os.path.join(tasks, "square"))
        self.plain = self.worker(tasks=tasks, processes=2)
        coordinator = self.coordinator([self.plain], "--store", f"sqlite:{os.path.join(self.folder, 'jobs.db')}", "--heartbeat-s", "1",
                                       "--register-workers")
        port = coordinator.port
        document = request(port, "GET", "/openapi.json").json
        self.take_document("Tasks", request(port, "GET", "/v1/tasks").json)
        self.take_document("Demand", request(coordinator.admin_port, "GET", "/autoscale").json)
        self.see_answers(port)
        self.see_waiting(port)
        self.see_reasons()
        self.see_durable(port)
        self.see_workers(port)
        mapping = document["components"]["schemas"]["Line"]["discriminator"]["mapping"]
        self.assertEqual({kind.split("/")[0] for kind in self.kinds}, set(mapping))
        self.assertLessEqual({"waiting/no_workers", "waiting/token_refused", "waiting/starting"}, self.kinds)
        check(self, document, self.checks)


if __name__ == "__main__":
    ft.main()
