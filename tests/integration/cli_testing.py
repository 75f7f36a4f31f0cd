"""Shared by the tests of the command line, which run the program against real and fake services."""
import http.server
import json
import os
import subprocess
import threading

from fake_coordinator import FakeCoordinator
from fantail_testing import BIN, EXAMPLE_TASKS, FantailTest, wait_until

FANTAIL = os.path.join(BIN, "fantail")
A, B, C = (f"0195f2c4-1a2b-7000-8000-00000000000{n}" for n in (1, 2, 3))
EARLIER = "0195f000-0000-7000-8000-000000000000"
END = {"type": "end", "status": "succeeded"}
START = {"type": "start", "id": "0195"}


class Ended:
    def __init__(self, process, out, err):
        self.status, self.out, self.err = process.returncode, out, err

    @property
    def lines(self):
        return self.out.decode().splitlines()

    def __repr__(self):
        return f"status {self.status}, out {self.out[:300]!r}, err {self.err[:2000]!r}"


class CliTest(FantailTest):
    """Adds cli(), which runs the program to its end."""

    def cli(self, *arguments, stdin=b"", cwd=None, timeout_s=60, **env):
        if isinstance(stdin, str):
            stdin = stdin.encode()
        process = subprocess.Popen([FANTAIL, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.environment(**env), cwd=cwd or self.folder)
        try:
            ended = Ended(process, *process.communicate(stdin, timeout_s))
        except BaseException:
            process.kill()
            process.wait()
            raise
        self.assertNotRegex(ended.err, rb"Sanitizer|runtime error:|BUG at", ended)
        return ended


class FakeTest(CliTest):
    """Adds .fake, a fake coordinator. All commands get its address."""

    def setUp(self):
        super().setUp()
        self.fake = FakeCoordinator(self)

    def cli(self, *arguments, **more):
        return super().cli(*arguments, FANTAIL_URL=self.fake.url, **more)

    def asked(self, method="GET"):
        """Returns the paths of the requests with this method."""
        return [path for made, path, _, _ in self.fake.requests if made == method]

    def assert_ended(self, ended, status, lines=None, err=()):
        self.assertEqual(ended.status, status, ended)
        if lines is not None:
            self.assertEqual(ended.lines, lines, ended)
        for words in err:
            self.assertIn(words, ended.err.decode(), ended)
        if not err:
            self.assertEqual(ended.err, b"", ended)


class PlayedTest(CliTest):
    """A coordinator or a proxy, played by a small server."""

    def serve(self, *answers, idempotent=None, tasks_status=200):
        """Each answer is for one POST, and the last answer is also for all later POSTs. An answer is a list of lines,
        or a status with a content type, or a function that returns one of them for the body. A line of type bytes is
        sent unchanged. Returns the URL and the bodies of the requests."""
        bodies = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def send(self, status, content_type, body):
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                tasks = [{"name": "x", "mode": "stream", "idempotent": idempotent}]
                self.send(tasks_status, "application/json", json.dumps({"tasks": tasks}).encode())

            def do_POST(self):
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                answer = answers[min(len(bodies), len(answers)) - 1]
                answer = answer(bodies[-1]) if callable(answer) else answer
                if isinstance(answer, tuple):
                    self.send(*answer, b'{"detail":"no"}')
                    return
                self.send_response(200)
                self.send_header("Content-Type", "application/x-ndjson")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for line in answer:
                    data = line if isinstance(line, bytes) else json.dumps(line, separators=(",", ":")).encode() + b"\n"
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                if answer and isinstance(answer[-1], dict) and answer[-1]["type"] == "end":
                    self.wfile.write(b"0\r\n\r\n")
                else:
                    self.close_connection = True

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}", bodies

    def map(self, url, *arguments, stdin="1\n2\n3\n"):
        return self.cli("map", "x", "--url", url, *arguments, stdin=stdin)


class LocalTest(CliTest):
    """Adds local(), which starts `fantail local` with a store, and follow(), which starts a command in the
    background."""

    def local(self, *arguments, tasks=EXAMPLE_TASKS, env=None):
        program = self.start("fantail", "local", "--tasks", tasks, *arguments, env=env)
        wait_until(lambda: "ready at" in program.stdout() or not program.alive(), "the ready line")
        self.assertTrue(program.alive(), program.describe())
        return program

    def follow(self, command, *arguments):
        program = self.start("fantail", command, *arguments, "--url", self.url)
        program.any_status = True
        return program


def numbers(*span):
    return "".join(f"{n}\n" for n in range(*span))


def value(index, what):
    return {"type": "result", "index": index, "value": what}
