"""Tests of the program `fantail` against a service whose answers never end, and with item errors that contain escape
sequences for a terminal."""
import contextlib
import os
import socket
import subprocess
import threading
import time

from fantail_testing import main
from test_cli import FANTAIL, CliTest

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
LEAST = 100 << 20  # more than the longest line that is allowed


class EndlessService:
    """Answers each request with `head`, and then sends `piece` again and again. `sent` counts the bytes."""

    def __init__(self, test, head, piece):
        self.head, self.piece, self.sent = head, piece, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        test.addCleanup(self.listener.close)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        with connection, contextlib.suppress(OSError):
            connection.settimeout(60)
            connection.recv(65536)
            connection.sendall(self.head)
            while self.sent < 3 << 30:
                connection.sendall(self.piece)
                self.sent += len(self.piece)


class Endless(CliTest):
    def check(self, head, piece, words, commands):
        for command in commands:
            with self.subTest(command):
                service = EndlessService(self, head, piece)
                begun = time.monotonic()
                ended = self.cli(*command, "--url", service.url, stdin='{"task":"square","items":[1]}\n')
                self.assertEqual(ended.status, 3, ended)
                self.assertIn(words, ended.err.decode(), ended)
                self.assertLess(service.sent, 4 * LEAST)
                self.assertLess(time.monotonic() - begun, 60)

    def test_interim_answers_without_end_are_refused(self):
        job = "0195f2c4-1a2b-7000-8000-000000000001"
        self.check(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, "sent too many interim answers", (
            ("tasks",), ("submit",), ("map", "square", "--reconnect-s", "0"), ("status", job), ("results", "--reconnect-s", "0", job)))

    def test_trailers_without_end_are_refused(self):
        self.check(STREAM + b"0\r\n", b"x: y\r\n" * 1000, "interim answers or trailers", (("tasks",), ("submit",)))

    def test_a_line_without_end_is_refused(self):
        job = "0195f2c4-1a2b-7000-8000-000000000001"
        self.check(STREAM, PIECE, "sent a line or a document that is too long", (
            ("tasks",), ("submit", "--ndjson"), ("map", "square", "--reconnect-s", "0"), ("results", "--reconnect-s", "0", job)))


class Terminal(CliTest):
    def failed_item(self, stderr):
        """Runs an item whose error has escape sequences. `stderr` is the standard error of the command. The file of
        --errors must have the sequences unchanged."""
        errors = os.path.join(self.folder, "errors")
        script = r"printf 'a\033[2J\rb\302\233c\007\n' >&2; exit 1"
        subprocess.run([FANTAIL, "map", "--errors", errors, "--progress", "never", "--", "sh", "-c", script], input=b"1\n",
                       stdout=subprocess.DEVNULL, stderr=stderr, env=self.environment(), cwd=self.folder, timeout=60, check=False)
        with open(errors, encoding="utf-8") as file:
            self.assertIn(r"\u001b[2J", file.read())

    def test_control_characters_are_not_sent_to_a_terminal(self):
        master, slave = os.openpty()
        with os.fdopen(master, "rb", buffering=0) as screen:
            self.failed_item(slave)
            os.close(slave)
            shown = b""
            with contextlib.suppress(OSError):  # reading a closed terminal fails
                while piece := screen.read(4096):
                    shown += piece
        self.assertIn(rb"a\x1b[2J\x0db\x9bc\x07", shown)
        for control in (b"\x1b[2J", b"\x07", "\x9b".encode()):
            self.assertNotIn(control, shown)

    def test_a_file_gets_the_text_as_it_is(self):
        with open(os.path.join(self.folder, "log"), "wb+") as log:
            self.failed_item(log)
            log.seek(0)
            self.assertIn("a\x1b[2J\rb\x9bc\x07".encode(), log.read())


if __name__ == "__main__":
    main()
