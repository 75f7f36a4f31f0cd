"""Clients of durable jobs that retry as the protocol says. To submit again, a client sends the request with the same key. To
continue reading, it requests the results after its last line.

    client = Client(port, name, task, items)    submits, then follows the results, in its own thread
    client.join()
    client.problem                              None, or what was wrong

The lines must contain the value of each item once, in order, and then one end line with the right counts. A cut connection is
not a problem, and neither is a status that is in TRIES_AGAIN.

Curl(port, id, values) uses the program curl to follow the results of a job that another client has submitted.
"""
import http.client
import json
import subprocess
import threading

TRIES_AGAIN = (502, 503, 504)
READ_BYTES = 65536


class Wrong(Exception):
    """Raised for a wrong answer that cannot be explained by cut connections or killed programs."""


class Client(threading.Thread):
    """Submits a job and reads its results. `answers` are the expected values; None: each value equals its item."""

    def __init__(self, port, name, task, items, answers=None, timeout_s=30):
        super().__init__(daemon=True)
        self.port, self.key, self.task, self.items, self.timeout_s = port, name, task, items, timeout_s
        self.answers = items if answers is None else answers
        self.id, self.problem, self.over = None, None, threading.Event()
        self.read = self.cuts = 0
        self.refusals, self.lost_submissions = [], []  # why a request failed and was sent again
        self.start()

    def run(self):
        try:
            while not self.id and not self.over.is_set():
                self.try_to(self.submit)
            while not self.over.is_set():
                self.try_to(self.follow)
        except Exception as e:
            self.problem = f"{self.key}, {self.id}, item {self.read}: {e!r}"

    def stop(self):
        self.over.set()

    def try_to(self, do):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout_s)
        try:
            do(connection)
        except (OSError, http.client.HTTPException) as e:
            if self.id:
                self.cuts += 1
            else:
                self.lost_submissions.append(repr(e))
            self.over.wait(0.2)
        finally:
            connection.close()

    def refuse(self, response, allowed):
        """Notes an answer after which the client sends its request again."""
        body = response.read()
        if response.status not in allowed:
            raise Wrong(f"{response.status} {body[:500]!r}")
        self.refusals.append(f"{response.status} {body[:200]!r}")
        self.over.wait(0.2)

    def submit(self, connection):
        body = json.dumps({"task": self.task, "items": self.items}).encode()
        connection.request("POST", "/v1/jobs", body, {"Prefer": "respond-async", "Idempotency-Key": self.key})
        response = connection.getresponse()
        if response.status != 202:  # 409: the first request with this key is still being received
            self.refuse(response, TRIES_AGAIN + (409,))
            return
        self.id = json.loads(response.read())["id"]

    def follow(self, connection):
        connection.request("GET", f"/v1/jobs/{self.id}/results?from={self.read}")
        response = connection.getresponse()
        if response.status != 200:
            self.refuse(response, TRIES_AGAIN)
            return
        rest = b""
        while piece := response.read1(READ_BYTES):
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()  # a cut may leave an incomplete line
            for line in json.loads(b"[" + b",".join(lines) + b"]"):
                self.take(line)
        if not self.over.is_set():
            raise Wrong("the answer ended without a cut, but also without a line of type end")

    def take(self, line):
        kind = line["type"]
        if self.over.is_set():
            raise Wrong(f"after the end: {line}")
        if kind == "result":
            if self.read == len(self.items) or (line["index"], line["value"]) != (self.read, self.answers[self.read]):
                raise Wrong(f"wrong: {line}")
            self.read += 1
        elif kind == "end":
            self.check_end(line)
            self.over.set()
        elif kind not in ("start", "progress", "heartbeat", "waiting"):
            raise Wrong(f"unexpected: {line}")

    def check_end(self, line):
        n = len(self.items)
        wanted = {"total": n, "succeeded": n, "failed": 0, "cancelled": 0}
        counts = {name: line["counts"].get(name) for name in wanted}
        if line["status"] != "succeeded" or counts != wanted or self.read != n:
            raise Wrong(f"the end after {self.read} of {n} items: {line}")


class Curl(Client):
    """Follows the results of a job with curl. If the stream is cut, a new curl reads the rest."""

    def __init__(self, port, job_id, items):
        self.runs = 0
        super().__init__(port, "curl", None, items)
        self.id = job_id

    def try_to(self, do):
        if not self.id:  # the constructor sets the id after it has started this thread
            return
        url = f"http://127.0.0.1:{self.port}/v1/jobs/{self.id}/results?from={self.read}"
        curl = subprocess.Popen(["curl", "-sSN", "--fail-with-body", url], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.runs += 1
        for line in curl.stdout:
            if not line.endswith(b"\n"):
                break
            self.take(json.loads(line))
        said = curl.stderr.read()
        curl.stdout.close()
        curl.stderr.close()
        if curl.wait() not in ((0,) if self.over.is_set() else (18,)):  # curl exits with 18 if the answer is incomplete
            raise Wrong(f"curl ended with {curl.returncode}: {said!r}")
