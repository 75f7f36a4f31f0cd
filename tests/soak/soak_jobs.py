"""The jobs of a soak: each kind is a function that posts one job to a coordinator and checks the answer.

The function of a kind gets a Client and returns nothing. The function raises AssertionError if an answer is wrong. The
Client counts the accepted jobs. If the client received the header Fantail-Job, the job was certainly accepted. If the
client gave up before it received the head of the answer, the job may have been accepted.
"""
import http.client
import json
import random
import socket
import time

from fantail_testing import JSON, NDJSON

FORMS = (JSON, NDJSON)
COUNTED = ("succeeded", "failed", "cancelled")
TIMEOUT_S = 120


class Client:
    """Posts the jobs of one thread, each on a new connection. Counts the jobs since the last clear()."""

    def __init__(self, port, seed):
        self.port, self.random = port, random.Random(seed)
        self.clear()

    def clear(self):
        self.accepted = self.perhaps = self.refused = 0

    def open(self, body, accept, content_type=JSON, query=""):
        """Posts a job; returns (connection, response). The response is not read yet."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        self.perhaps += 1
        connection.request("POST", "/v1/jobs" + query, body if isinstance(body, bytes) else json.dumps(body).encode(),
                           {"Content-Type": content_type, "Accept": accept})
        response = connection.getresponse()
        self.perhaps -= 1
        if response.headers.get("Fantail-Job"):
            self.accepted += 1
        else:
            self.refused += 1
        return connection, response

    def outcome(self, body, accept, **named):
        """Posts a job and reads its answer. Returns (status of the answer, the document or the end line, the lines)."""
        connection, response = self.open(body, accept, **named)
        try:
            text = response.read()
        finally:
            connection.close()
        if response.status != 200:
            return response.status, json.loads(text), []
        if accept == JSON:
            return 200, json.loads(text), []
        lines = [json.loads(line) for line in text.splitlines()]
        assert lines[0]["type"] == "start" and lines[-1]["type"] == "end", f"an incomplete stream: {lines[-1]}"
        return 200, lines[-1], lines


def check(condition, *what):
    if not condition:
        raise AssertionError(f"a wrong answer: {what}")


def check_counts(end, total):
    counts = end["counts"]
    check(counts["total"] == total, "total", total, end)
    check(sum(counts[name] for name in COUNTED) == total, "the counts do not add up", end)


def check_squares(lines, document, total):
    values = document["results"] if document else [line["value"] for line in lines if line["type"] == "result"]
    check(len(values) == total, "number of results", len(values), total)
    check(all(value == n * n for n, value in enumerate(values)), "values")


# The kinds of jobs.

def squares(client):
    """Posts a range, and reads the answer as a document or as a stream."""
    total, accept = client.random.choice((1, 10, 1000, 50_000)), client.random.choice(FORMS)
    status, end, lines = client.outcome({"task": "square", "range": {"stop": total}}, accept)
    check(status == 200 and end["status"] == "succeeded", end)
    check_counts(end, total)
    check_squares(lines, end if accept == JSON else None, total)


def reduced(client):
    total, accept = client.random.choice((10, 20_000)), client.random.choice(FORMS)
    job = {"task": "square", "range": {"stop": total}, "reduce": "sum", "order": client.random.choice(("input", "completion"))}
    status, end, lines = client.outcome(job, accept)
    check(status == 200 and end["status"] == "succeeded", end)
    value = end["result"] if accept == JSON else next(line["value"] for line in lines if line["type"] == "result")
    check(value == sum(n * n for n in range(total)), "sum", value, total)


def uploaded(client):
    """Posts items in the body, and reads their answers in the order of the input or of completion."""
    total = client.random.choice((3, 3000))
    body = b"".join(b"%d\n" % n for n in range(total))
    order = client.random.choice(("input", "completion"))
    status, end, lines = client.outcome(body, NDJSON, content_type=NDJSON, query=f"?task=square&order={order}")
    check(status == 200 and end["status"] == "succeeded", end)
    values = {line["index"]: line["value"] for line in lines if line["type"] == "result"}
    check(values == {n: n * n for n in range(total)}, "values", len(values))


def crashing(client):
    """Posts items. Some items fail, and some crash their process."""
    items = [{"do": "error"}, 1, {"do": "crash"}, 2]
    status, end, _ = client.outcome({"task": "misbehave", "items": items, "retry": {"max_attempts": 1}},
                                    client.random.choice(FORMS))
    check(status == 200 and end["status"] == "partial", end)
    check_counts(end, 4)


def intolerant(client):
    """The first failure ends the job."""
    total = client.random.choice((100, 1_000_000))
    status, end, _ = client.outcome({"task": "sleep", "range": {"start": -1, "stop": total - 1}, "errors": "runs",
                                     "tolerated_failure_count": 0, "retry": {"max_attempts": 1}}, NDJSON)
    check(status == 200 and end["status"] == "failed", end)
    check_counts(end, total)


def too_late(client):
    """The deadline ends the job."""
    job = {"task": "sleep", "range": {"start": 1, "stop": 200_001}, "deadline_s": 0.2, "errors": "runs"}
    if client.random.random() < 0.5:
        job["reduce"] = "count"
    status, end, _ = client.outcome(job, client.random.choice(FORMS))
    check(status == 200 and end["status"] == "timed_out", end)
    check_counts(end, 200_000)


def deleted(client):
    connection, response = client.open({"task": "sleep", "range": {"start": 1, "stop": 200_001}, "errors": "runs"}, NDJSON)
    job = response.headers["Fantail-Job"]
    other = http.client.HTTPConnection("127.0.0.1", client.port, timeout=TIMEOUT_S)
    other.request("DELETE", f"/v1/jobs/{job}")
    check(other.getresponse().status == 202, "DELETE")
    other.close()
    end = json.loads(response.read().splitlines()[-1])
    connection.close()
    check(end["status"] == "cancelled", end)
    check_counts(end, 200_000)


def hung_up(client):
    """The client closes the connection after it has read 1 byte or 100,000 bytes of the answer."""
    connection, response = client.open({"task": "square", "range": {"stop": 3_000_000}}, NDJSON)
    response.read(client.random.choice((1, 100_000)))
    if client.random.random() < 0.5:
        time.sleep(0.5)  # the client does not read, so answers go to memory and to disk
    connection.sock.shutdown(socket.SHUT_RDWR)
    response.close()
    connection.close()


def half_uploaded(client):
    """The client closes the connection in the middle of its body."""
    with socket.create_connection(("127.0.0.1", client.port), timeout=TIMEOUT_S) as s:
        client.perhaps += 1
        s.sendall(b"POST /v1/jobs?task=square HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                  b"Content-Length: 1000000\r\n\r\n" + b"7\n" * 1000)


def refused(client):
    """The request is wrong."""
    job = client.random.choice(({"task": "square"}, {"task": "no such task", "items": [1]}, {"task": "square", "items": 7}))
    status, problem, _ = client.outcome(job, JSON)
    check(status in (400, 404), status, problem)


# The weight of each kind of job.
KINDS = ((squares, 10), (reduced, 4), (uploaded, 5), (crashing, 2), (intolerant, 2), (too_late, 2), (deleted, 2),
         (hung_up, 3), (half_uploaded, 2), (refused, 3))


def one(client):
    kinds, weights = zip(*KINDS)
    kind = client.random.choices(kinds, weights)[0]
    kind(client)
    return kind.__name__
