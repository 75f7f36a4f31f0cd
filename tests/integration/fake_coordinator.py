"""A fake coordinator with a job store. The tests of the program `fantail` set its answers and its failures.

    fake = FakeCoordinator(self)
    fake.add("0195f2c4-1a2b-7000-8000-000000000001", answers=[1, None, 9])
    self.cli("results", "0195f2c4-1a2b", "--url", fake.url)
"""
import contextlib
import http.server
import json
import threading
import urllib.parse

ENDED = ("succeeded", "partial", "failed", "cancelled", "timed_out")
JSON, NDJSON, PROBLEM = "application/json", "application/x-ndjson", "application/problem+json"
ERROR = {"name": "task_error", "cause": "no", "signal": None, "exit_code": None, "stderr": "", "attempts": 1, "worker": "w"}


def line(**members):
    return json.dumps(members, separators=(",", ":")).encode() + b"\n"


class FakeJob:
    def __init__(self, document, answers):
        self.document, self.answers = document, answers

    def lines(self, start, only):
        """Returns the lines of the job's results. In `answers`, None stands for an error, and (n, error) stands for one error
        line for n items."""
        index = 0
        for answer in self.answers:
            count = answer[0] if isinstance(answer, tuple) else 1
            failed = answer is None or isinstance(answer, tuple)
            if index >= start and only != ("values" if failed else "errors"):
                if isinstance(answer, tuple):
                    yield line(type="error", index=index, count=count, error=answer[1])
                elif failed:
                    yield line(type="error", index=index, error=ERROR)
                else:
                    yield line(type="result", index=index, value=answer)
            index += count


class FakeCoordinator:
    """Serves until the end of the test. `requests` has (method, path with query, headers, body) of each request."""

    def __init__(self, test, store=True, page=200):
        self.store, self.page = store, page
        self.jobs, self.synchronous, self.requests, self.keys = {}, [], [], {}
        self.events_before_cut = []  # for each stream of events to cut: how many events come before the cut
        self.lines_before_cut = []  # for each stream of results to cut: how many lines come before the cut
        self.cut_after_post = 0     # how many of the next POSTs get no answer
        self.away = 0               # how many of the next requests are answered 503
        self.away_after = None      # after this many requests, all further requests are answered 503
        self.busy_keys = 0          # how many of the next POSTs get 409, as if a POST with the same key were still arriving
        self.ended = threading.Condition()
        coordinator = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                coordinator.requests.append((self.command, self.path, self.headers, body))
                with contextlib.suppress(ConnectionError):
                    coordinator.answer(self, body)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        test.addCleanup(server.server_close)
        test.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}"

    def add(self, job_id, status="succeeded", answers=(), **members):
        answers = list(answers)
        failed = sum(answer is None for answer in answers) + sum(a[0] for a in answers if isinstance(a, tuple))
        cut = sum(a[0] for a in answers if isinstance(a, tuple) and a[1]["name"] == "cancelled")
        good = sum(answer is not None and not isinstance(answer, tuple) for answer in answers)
        document = {"id": job_id, "status": status, "task": "square", "counts": {
            "total": good + failed, "succeeded": good, "failed": failed - cut, "cancelled": cut, "retried": 0, "hedged": 0},
            "elapsed_s": 1.5, "durable": True, "labels": [], "priority": 0, "errors": {"task_error": failed} if failed else {},
            "reason": None, "redrive_count": 0, "created_at": "2026-11-29T03:00:00.000Z", "started_at": None,
            "ended_at": None, **members}
        self.jobs[job_id] = FakeJob(document, answers)
        return self.jobs[job_id]

    def end(self, job_id, status):
        with self.ended:
            self.jobs[job_id].document["status"] = status
            self.ended.notify_all()

    # Answers.

    @staticmethod
    def send(handler, status, body=None, content_type=JSON, **headers):
        data = json.dumps(body).encode() + b"\n" if body is not None else b""
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        if status != 204:
            handler.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    def problem(self, handler, status, detail, **headers):
        self.send(handler, status, {"status": status, "title": "Problem", "detail": detail}, PROBLEM, **headers)

    @staticmethod
    def begin_stream(handler, content_type=NDJSON):
        handler.send_response(200)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()

    @staticmethod
    def cut(handler):
        handler.close_connection = True

    @staticmethod
    def send_line(handler, data):
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def answer(self, handler, body):
        parts = urllib.parse.urlsplit(handler.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        words = parts.path.strip("/").split("/")[2:]  # without v1/jobs
        if self.away_after is not None and len(self.requests) > self.away_after:
            self.away = 1
        if self.away:
            self.away -= 1
            self.problem(handler, 503, "the job store is away", Retry_After="0")
        elif not words and handler.command == "POST":
            self.submit(handler, body, query)
        elif not words:
            self.list(handler, query)
        elif words[0] not in self.jobs:
            self.problem(handler, 404, f"there is no job {words[0]}")
        elif words[1:] == ["results"]:
            self.stream(handler, self.jobs[words[0]], query)
        elif words[1:] == ["events"]:
            self.events(handler, self.jobs[words[0]].document)
        elif words[1:] == ["redrive"]:
            self.redrive(handler, self.jobs[words[0]].document)
        elif handler.command == "PATCH":
            self.change(handler, self.jobs[words[0]].document, json.loads(body))
        elif handler.command == "DELETE":
            self.delete(handler, self.jobs[words[0]].document, query.get("only"))
        else:
            self.show(handler, self.jobs[words[0]].document, int(query.get("wait_s", 0)))

    def submit(self, handler, body, query):
        if not self.store or b'"reduce"' in body:
            self.begin_stream(handler)
            self.send_line(handler, line(type="start", id="0195"))
            with contextlib.suppress(ConnectionError):
                self.hung_up = handler.rfile.read(1) == b""
            self.cut(handler)
            return
        if self.busy_keys:
            self.busy_keys -= 1
            self.problem(handler, 409, "another request with this Idempotency-Key is still being received")
            return
        if not body.endswith(b"}"):
            self.problem(handler, 400, f"the body ends too early at byte {len(body)}")
            return
        key = handler.headers["Idempotency-Key"]
        if self.keys.setdefault(key, body) != body:
            self.problem(handler, 422, "another job was submitted with this Idempotency-Key")
            return
        job_id = f"0195f2c4-1a2b-7000-8000-{list(self.keys).index(key):012d}"
        if job_id not in self.jobs:
            job = json.loads(body)
            labels = query["labels"].split(",") if "labels" in query else []
            self.add(job_id, "pending", job["items"], task=job["task"], labels=labels)
        if self.cut_after_post:
            self.cut_after_post -= 1
            self.cut(handler)
            return
        self.send(handler, 202, self.jobs[job_id].document, Location=f"/v1/jobs/{job_id}",
                  Preference_Applied="respond-async", Fantail_Job=job_id)

    def list(self, handler, query):
        if not self.store and query:
            self.problem(handler, 400, "this call has no query parameter limit")
            return
        if not self.store:
            self.send(handler, 200, {"scope": "replica", "jobs": self.synchronous})
            return
        chosen = [job.document for job_id, job in sorted(self.jobs.items(), reverse=True)
                  if job_id < query.get("cursor", "g")
                  and job.document["status"] in query.get("status", job.document["status"]).split(",")
                  and job.document["task"] == query.get("task", job.document["task"])
                  and ("label" not in query or query["label"] in job.document["labels"])]
        shown = chosen[:min(int(query.get("limit", 50)), self.page)]
        self.send(handler, 200, {"scope": "store", "jobs": shown, "next": shown[-1]["id"] if len(shown) < len(chosen) else None,
                                 "synchronous": self.synchronous})

    def show(self, handler, document, wait_s):
        with self.ended:
            self.ended.wait_for(lambda: document["status"] in ENDED, wait_s)
        self.send(handler, 200, document)

    def delete(self, handler, document, only):
        if document["status"] in ENDED and only == "cancel":
            self.problem(handler, 409, "the job has ended")
        elif document["status"] in ENDED:
            del self.jobs[document["id"]]
            self.send(handler, 204)
        else:
            document["status"] = "cancelled" if document["status"] == "pending" else document["status"]
            self.send(handler, 202, document)

    def redrive(self, handler, document):
        if document["status"] not in ENDED or not document["counts"]["failed"]:
            self.problem(handler, 409, "the job has no failed items")
            return
        document.update(status="pending", redrive_count=document["redrive_count"] + 1)
        self.send(handler, 202, document)

    def change(self, handler, document, changes):
        if document["status"] in ENDED:
            self.problem(handler, 409, "the job has ended, so it cannot be changed")
            return
        document["options"] = {**document.get("options", {}), **changes}
        self.send(handler, 200, document)

    def events(self, handler, document):
        """Sends the events that follow the one that Last-Event-ID names, one for each further item. Then ends the stream."""
        counts = document["counts"]
        known = int(handler.headers["Last-Event-ID"] or -1)
        self.begin_stream(handler, "text/event-stream")
        left = self.events_before_cut.pop(0) if self.events_before_cut else None
        for done in range(known + 1, counts["total"] + 1):
            shown = {**document, "status": "running", "counts": {**counts, "succeeded": done}}
            if done == counts["total"]:
                with self.ended:
                    self.ended.wait_for(lambda: document["status"] in ENDED)
                shown = document
            data = f": a comment\n\nevent: any\r\nid: {done}\ndata: {json.dumps(shown)}\n\n".encode()
            if left == 0:
                self.send_line(handler, data[:len(data) - 5])
                self.cut(handler)
                return
            left = left and left - 1
            self.send_line(handler, data)
        handler.wfile.write(b"0\r\n\r\n")

    def stream(self, handler, job, query):
        self.begin_stream(handler)
        left = self.lines_before_cut.pop(0) if self.lines_before_cut else None
        self.send_line(handler, line(type="start", id=job.document["id"]))
        for data in job.lines(int(query.get("from", 0)), query.get("only")):
            if left == 0:
                handler.wfile.write(b"%x\r\n%s" % (len(data), data[:len(data) // 2]))
                self.cut(handler)
                return
            left = left and left - 1
            self.send_line(handler, data)
        with self.ended:
            self.ended.wait_for(lambda: job.document["status"] in ENDED)
        members = {"reason": job.document["reason"]} if job.document["reason"] else {}
        self.send_line(handler, line(type="end", id=job.document["id"], status=job.document["status"],
                                     counts=job.document["counts"], stats={}, **members))
        handler.wfile.write(b"0\r\n\r\n")
