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
        return [json.loads(line) for line in lines]

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
        data, end = b"", time.monotonic() + TIMEOUT_S
        while data.replace(b"#ready\n", b"").count(b"\n") < count:
            self.assertTrue(select.select([process.stdout], [], [], end - time.monotonic())[0], data)
            piece = os.read(process.stdout.fileno(), 65536)
            self.assertTrue(piece, data)
            data += piece
        return [json.loads(line) for line in data.replace(b"#ready\n", b"").splitlines()]
