"""Shared by the tests of the host programs, which run a host as the worker does: items on stdin, answer lines on
stdout."""
import json
import os
import select
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("FANTAIL_BUILD", os.path.join(ROOT, "build")))
BIN = os.path.abspath(os.environ.get("FANTAIL_BIN", os.path.join(BUILD, "bin")))
TASKS = os.path.join(BUILD, "tasks")
HOSTS = os.path.join(ROOT, "services", "hosts")
TIMEOUT_S = 60


def host(*arguments):
    """Returns the command line of build/bin/fantail-host-ARGUMENTS[0]."""
    return [os.path.join(BIN, "fantail-host-" + arguments[0]), *arguments[1:]]


class Hosts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fantail-hosts-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, name, text):
        """Writes a Python module into the folder in which the hosts run."""
        with open(os.path.join(self.folder, name + ".py"), "w", encoding="utf-8") as out:
            out.write(text)

    def run_host(self, command, lines, status=0):
        """Runs a host with these lines on stdin, and returns its answers. The host must end by itself."""
        given = "".join(line + "\n" for line in lines).encode()
        done = subprocess.run(command, input=given, capture_output=True, timeout=TIMEOUT_S, cwd=self.folder)
        self.stderr = done.stderr.decode()
        self.assertEqual(done.returncode, status, self.stderr)
        return self.answers_of(done.stdout, status)

    def answers_of(self, output, status=0):
        """Returns the answers in the output of a host. If the host could load the task, the first line says that the
        host is ready."""
        lines = output.decode().splitlines()
        if lines or status == 0:
            self.assertEqual(lines.pop(0), "#ready")
        return [json.loads(line) for line in lines if line != "#flushed"]

    def values(self, command, items):
        answers = self.run_host(command, [json.dumps(item) for item in items])
        self.assertEqual([set(a) for a in answers], [{"value"}] * len(items), answers)
        return [a["value"] for a in answers]

    def error(self, command, item):
        answers = self.run_host(command, [json.dumps(item)])
        self.assertEqual(len(answers), 1)
        return answers[0]["error"]

    def start(self, command):
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   cwd=self.folder)
        self.addCleanup(self.stop, process)
        return process

    @staticmethod
    def stop(process):
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()

    def answers_before_an_end(self, process, count):
        """Reads `count` answers from a host whose stdin stays open."""
        lines = self.lines_before_an_end(process, lambda lines: sum(not line.startswith(b"#") for line in lines) >= count)
        return [json.loads(line) for line in lines if not line.startswith(b"#")]

    def lines_before_an_end(self, process, enough):
        """Reads lines from a host whose stdin stays open, until enough(lines) is true."""
        data, end = b"", time.monotonic() + TIMEOUT_S
        while not enough(data.splitlines()) or not data.endswith(b"\n"):
            self.assertTrue(select.select([process.stdout], [], [], end - time.monotonic())[0], data)
            piece = os.read(process.stdout.fileno(), 65536)
            self.assertTrue(piece, data)
            data += piece
        return data.splitlines()

    def assert_says_when_all_answers_are_written(self, command):
        """Gives the host quick items, one that takes 0.3 s (300), and one that stops the whole host (-2). During the item of
        0.3 s, the host must say that all finished answers have been written. The host must then write the answer to this item
        before the next item begins."""
        process = self.start(command)
        process.stdin.write(b"1\n2\n300\n-2\n5\n")
        process.stdin.flush()
        lines = self.lines_before_an_end(process, lambda lines: b'{"value":300}' in lines)
        self.assertEqual(lines[-2:], [b"#flushed", b'{"value":300}'])
        self.assertEqual([line for line in lines if line != b"#flushed"],
                         [b"#ready", b'{"value":1}', b'{"value":2}', b'{"value":300}'])
