"""A fake worker that misbehaves in the way that a test chooses. It supports only the HTTP that the coordinator needs, and can
give false answers.

    fake = FakeWorker(reset_mid_line)      # listens from now on, on fake.port
    fake.requests                          # every chunk that it was sent, in order
    fake.close()

A behaviour is a function of a Request. When the function has returned, the connection stays open, unless the function
closed or reset it.
"""
import collections
import contextlib
import json
import socket
import struct
import threading
import time

RETRY_AFTER_S = 1
# The name of each task, and whether the task is idempotent.
TASKS = {"square": True, "sleep": True, "echo": True, "misbehave": True, "once": False}


class Request:
    """One POST /v1/tasks/X, and functions to answer it."""

    def __init__(self, fake, connection, reader, headers, body):
        self.fake, self.connection, self.reader, self.at = fake, connection, reader, time.monotonic()
        self.chunk = headers.get("fantail-chunk", "")
        self.attempt = int(headers.get("fantail-attempt", "0"))
        self.first = int(self.chunk.rpartition("/")[2] or 0)
        lines = body.decode().splitlines()
        if "vnd.fantail.chunk" in headers.get("content-type", ""):
            lines = lines[1:]
        self.items = [json.loads(line) for line in lines]

    # Pieces of an answer.

    def send(self, data):
        self.connection.sendall(data if isinstance(data, bytes) else data.encode())

    def send_chunk(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def names(self):
        """Returns the answer headers that name the chunk and the attempt. Workers of older versions do not send these
        headers."""
        return f"Fantail-Chunk: {self.chunk}\r\nFantail-Attempt: {self.attempt}\r\n"

    def head(self, status="200 OK", content_type="application/x-ndjson", more="", names=None):
        more += self.names() if names is None else names
        self.send(f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nFantail-Worker: {self.fake.name}\r\n"
                  f"Fantail-Slots: {self.fake.slots}\r\nFantail-Free: {self.fake.slots}\r\n{more}"
                  "Transfer-Encoding: chunked\r\n\r\n")

    def values(self, items):
        """Returns the answer lines that a correct worker sends for the tasks sleep and echo."""
        return "".join('{"value":%s}\n' % json.dumps(item, separators=(",", ":")) for item in items)

    def end_line(self, done=None, end="complete"):
        return json.dumps({"end": end, "done": len(self.items) if done is None else done}) + "\n"

    def finish(self):
        self.send(b"0\r\n\r\n")

    def answer(self, items=None, names=None):
        """Answers like a correct worker. If `items` is given, answers with the values of these items. If `names` is given, it
        replaces the headers that name the chunk."""
        self.head(names=names)
        self.send_chunk(self.values(self.items if items is None else items) + self.end_line())
        self.finish()

    def refuse(self, status, more="", names=None):
        more += self.names() if names is None else names
        body = b'{"title":"no","status":%d,"detail":"as told"}' % int(status.split()[0])
        self.send(f"HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n"
                  f"{more}\r\n".encode() + body)

    def reset(self):
        """Resets the connection, as the kernel does when a process with unread bytes is killed."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        # The descriptor stays open until both the reader and the connection are closed.
        self.reader.close()
        self.connection.close()


# ---- Behaviours ---------------------------------------------------------------------------------------------------

def honest(request):
    request.answer()


def server_error(request):
    request.refuse("500 Internal Server Error")


def bad_request(request):
    request.refuse("400 Bad Request")


def too_many_requests(request):
    request.refuse("429 Too Many Requests", f"Retry-After: {RETRY_AFTER_S}\r\n")


def unavailable(request):
    request.refuse("503 Service Unavailable", f"Retry-After: {RETRY_AFTER_S}\r\n")


def reset_before_headers(request):
    request.reset()


def reset_mid_line(request):
    request.head()
    half = len(request.items) // 2
    text = request.values(request.items[:half]) + '{"val'
    request.send_chunk(text)
    time.sleep(0.02)
    request.reset()


def truncated(request):
    """Sends a complete HTTP answer, with its last chunk, but without the end line and some answer lines."""
    request.head()
    request.send_chunk(request.values(request.items[:-1]))
    request.finish()


def cut_in_the_body(request):
    """Closes the connection without a reset, in the middle of the body."""
    request.head()
    request.send_chunk(request.values(request.items[:-1]))
    request.close()


def too_few(request):
    request.head()
    request.send_chunk(request.values(request.items[:-1]) + request.end_line())
    request.finish()


def too_many(request):
    request.head()
    request.send_chunk(request.values(request.items) * 2 + request.end_line(2 * len(request.items)))
    request.finish()


def garbage(request):
    request.head()
    request.send_chunk("<html>It works!</html>\n" * 3)
    request.finish()


def wrong_envelope(request):
    request.head()
    request.send_chunk("".join('{"result":%s}\n' % json.dumps(item) for item in request.items) + request.end_line())
    request.finish()


def broken_json(request):
    request.head()
    request.send_chunk("".join('{"value":{"a":%s}\n' % json.dumps(item) for item in request.items)
                       + request.end_line())
    request.finish()


def wrong_type(request):
    """Answers with a web page and status 200, like a captive portal or a wrong port."""
    request.head(content_type="text/html")
    request.send_chunk("<!doctype html>\n<title>hello</title>\n")
    request.finish()


def endless_line(request):
    request.head()
    request.send_chunk('{"value":"')
    with contextlib.suppress(OSError):
        while not request.fake.closed:
            request.send_chunk(b"x" * (1 << 20))
    request.close()


def endless_answers(request):
    request.head()
    with contextlib.suppress(OSError):
        while not request.fake.closed:
            request.send_chunk(request.values(request.items) * 100)
    request.close()


def no_answer(request):
    """Sends nothing until the coordinator closes the connection."""
    with contextlib.suppress(OSError):
        while not request.fake.closed and request.connection.recv(4096):
            pass
    request.close()


def silent_after_half(request):
    request.head()
    request.send_chunk(request.values(request.items[:len(request.items) // 2]))
    no_answer(request)


def slow(seconds):
    """Returns a behaviour in which each item takes `seconds`. All chunks share one slot."""
    def behave(request):
        request.head()
        for item in request.items:
            with request.fake.slot:
                time.sleep(seconds)
            request.send_chunk(request.values([item]))
        request.send_chunk(request.end_line())
        request.finish()
    return behave


def answers_then_dies(request):
    """Answers the first chunk of a connection correctly. At the next chunk, resets the connection, like a worker that dies."""
    if request.connection in request.fake.seen:
        request.reset()
        return
    request.fake.seen.append(request.connection)
    request.answer()


def unasked(names):
    """Returns a behaviour that answers correctly, and then sends a second answer with wrong values and the headers of
    names(request)."""
    def behave(request):
        request.answer()
        request.answer([-1] * len(request.items), names(request))
    return behave


def late_refusals(status, names):
    """Returns a behaviour that answers correctly. But at each chunk after the first of a connection, it first sends a second
    answer to the previous chunk. This second answer refuses the previous chunk. `names` is a list of functions, each of which
    makes the headers of one of these refusals. The last function is also used for all later refusals."""
    def behave(request):
        before = [r for r in request.fake.requests if r.connection is request.connection and r is not request]
        if before:
            request.fake.seen.append(request)
            names_of = names[min(len(request.fake.seen), len(names)) - 1]
            request.refuse(status, f"Retry-After: {RETRY_AFTER_S}\r\n", names_of(before[-1]))
        request.answer()
    return behave


def last_message(request):
    """At the first chunk that comes through a connection that was used before, sends what a worker sends on an idle connection
    when the worker ends."""
    if request.fake.seen or request.connection not in request.fake.chunk_connections[:-1]:
        request.answer()
        return
    request.fake.seen.append(request)
    request.refuse("503 Service Unavailable", f"Retry-After: {RETRY_AFTER_S}\r\nConnection: close\r\n",
                   "Fantail-Chunk: none\r\n")
    request.close()


REFUSALS = ("401 Unauthorized", "403 Forbidden", "404 Not Found", "409 Conflict", "422 Unprocessable Content",
            "426 Upgrade Required", "429 Too Many Requests", "503 Service Unavailable", "507 Insufficient Storage")


def misnamed(names):
    def behave(request):
        request.answer([-1] * len(request.items), names(request))
    return behave


def nameless(request):
    """Answers without the headers that name the chunk, like a worker of an older version."""
    request.answer(names="")


SAME_NAMES = Request.names
UNASKED_NAMES = {
    "the same": SAME_NAMES,
    "none": lambda request: "",
    "the chunk only": lambda request: f"Fantail-Chunk: {request.chunk}\r\n",
    "another chunk": lambda request: f"Fantail-Chunk: {request.chunk}0\r\nFantail-Attempt: {request.attempt}\r\n",
    "another job": lambda request: f"Fantail-Chunk: x/{request.first}\r\nFantail-Attempt: {request.attempt}\r\n",
    "another attempt": lambda request: f"Fantail-Chunk: {request.chunk}\r\nFantail-Attempt: {request.attempt + 1}\r\n",
}


# ---- The server ---------------------------------------------------------------------------------------------------

class FakeWorker:
    def __init__(self, behaviour=honest, name="fake", slots=2, port=0, ready=True, host="127.0.0.1",
                 get_delay_s=0):
        self.behaviour, self.name, self.slots, self.ready = behaviour, name, slots, ready
        self.get_delay_s = get_delay_s
        self.requests, self.seen, self.connections = [], [], set()
        self.chunk_connections = []  # the connection of each chunk, in order
        self.lock, self.slot = threading.Lock(), threading.Lock()
        self.closed = False
        self.listener = socket.create_server((host, port), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.closed = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def deliveries(self):
        """Returns how often each (chunk, attempt) was received. If a count is above 1, a client or proxy has silently
        repeated the request."""
        with self.lock:
            return collections.Counter((r.chunk, r.attempt) for r in self.requests)

    def item_deliveries(self):
        """Returns how often this worker received each item, by the item's index."""
        with self.lock:
            return collections.Counter(r.first + i for r in self.requests for i in range(len(r.items)))

    def _accept(self):
        while not self.closed:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        # Errors on a connection that the coordinator or the behaviour has closed are expected.
        with contextlib.suppress(OSError, ValueError):
            reader = connection.makefile("rb")
            while not reader.closed and self._one(connection, reader):
                pass
        with self.lock:
            self.connections.discard(connection)
        connection.close()

    def _one(self, connection, reader):
        line = reader.readline()
        if not line:
            return False
        method, path, _ = line.decode().split(" ", 2)
        headers = {}
        while (line := reader.readline().decode().strip()):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("expect"):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._body(reader, headers)
        if method == "GET":
            self._get(connection, path)
            return True
        request = Request(self, connection, reader, headers, body)
        with self.lock:
            self.requests.append(request)
            self.chunk_connections.append(connection)
        self.behaviour(request)
        return True

    @staticmethod
    def _body(reader, headers):
        if headers.get("transfer-encoding") != "chunked":
            return reader.read(int(headers.get("content-length", "0")))
        body = b""
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            reader.readline()
        reader.readline()
        return body

    def _get(self, connection, path):
        time.sleep(self.get_delay_s)
        if path == "/v1/tasks":
            status, body = 200, json.dumps({"tasks": [{"name": name, "idempotent": again} for name, again in TASKS.items()]})
        elif path in ("/readyz", "/livez", "/healthz"):
            status, body = (200 if self.ready else 503), "{}"
        else:
            status, body = 404, "{}"
        connection.sendall(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
                           f"\r\n\r\n{body}".encode())
