"""Requests to a service, and their answers: whole answers, and streams that are read line by line."""
import contextlib
import http.client
import json
import re
import socket
import struct

from waiting import LIMIT_S


def is_start(line):
    """Returns whether a line is the start line of a coordinator's stream. A worker's stream has no start line."""
    return isinstance(line, dict) and line.get("type") == "start"


class Answer:
    """A whole HTTP answer. `json` is the body as JSON. `lines` are the objects of an NDJSON body, without the start line and
    the lines of the type `waiting`. On a busy machine, any stream may have such lines."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def all_lines(self):
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def lines(self):
        lines = self.all_lines[1:] if self.all_lines and is_start(self.all_lines[0]) else self.all_lines
        return [line for line in lines if not (isinstance(line, dict) and line.get("type") == "waiting")]

    @property
    def values(self):
        """Returns the values of the result lines, in the order of the lines."""
        return [line["value"] for line in self.lines if line["type"] == "result"]

    @property
    def end(self):
        line = self.lines[-1]
        assert line["type"] == "end", line
        return line

    def __repr__(self):
        return f"Answer({self.status}, {self.body[:500]!r})"


def request(port, method, path, body=None, headers=None, timeout_s=60):
    """Sends a request on a new connection. The body is bytes, or an iterable of bytes objects, each of which is sent as a
    chunk."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def raw_request(port, data):
    """Sends bytes unchanged. Returns all bytes that the peer sends before it closes the connection. Fails if the peer
    does not close the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as s:
        received = b""
        with contextlib.suppress(ConnectionError):
            s.sendall(data)
        try:
            while piece := s.recv(65536):
                received += piece
        except ConnectionError:
            pass
        except socket.timeout:
            raise AssertionError(f"the connection is still open after {LIMIT_S} s; received {received!r}") from None
        return received


def metrics(program):
    """Returns the text of /metrics on the admin port of a program."""
    return request(program.admin_port, "GET", "/metrics").body.decode()


def metric_sum(text, name, **labels):
    """Returns the sum of all series of a metric that have at least these labels."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(re.escape(name) + r"[{ ]", line)
               and all(f'{label}="{value}"' in line for label, value in labels.items()))


class Stream:
    """An NDJSON answer that is read line by line while the job runs. The start line is in `start`; line() does not return
    it."""

    def __init__(self, port, body, headers, path="/v1/jobs", timeout_s=60, host="127.0.0.1", method="POST"):
        self.connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        self.connection.request(method, path, body=body, headers=headers)
        self.socket = self.connection.sock
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.start = None

    def line(self):
        """Returns the next line as an object, or None at the end."""
        line = self.response.readline()
        answer = json.loads(line) if line else None
        if self.start is None and is_start(answer):
            self.start = answer
            return self.line()
        return answer

    def line_of(self, kind):
        """Returns the next line of this type. Drops the lines before that line."""
        while (line := self.line()) and line["type"] != kind:
            pass
        assert line, f"the answer ended without a line of type {kind}"
        return line

    def rest(self):
        lines = []
        while (line := self.line()) is not None:
            lines.append(line)
        return lines

    def read_until_cut(self):
        """For a thread: reads the answer until the job ends, the service ends, or shut_down() is called."""
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):  # the last line may be incomplete
            while self.line():
                pass

    def shut_down(self):
        """Ends read_until_cut(). A later close() resets the connection, as the kernel does when a program closes a
        connection with unread bytes."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.shutdown(socket.SHUT_RDWR)

    def hang_up(self):
        """Closes the connection, as Ctrl-C in curl does."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.close()

    def close(self):
        self.response.close()
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
