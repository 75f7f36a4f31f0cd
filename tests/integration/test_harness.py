"""The test harness, on which every other test relies."""
import contextlib
import errno
import importlib.machinery
import importlib.util
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading

import fantail_testing as ft
from fantail_testing import FantailTest
from ports import is_listened_on

IP_LOCAL_PORT_RANGE = 51  # a socket option since Linux 6.3; Python has no constant for it


TELLS_WHEN_IT_IS_CONTINUED = """
import signal, time
ends = []
signal.signal(signal.SIGCONT, lambda *_: print("continued", flush=True))
signal.signal(signal.SIGTERM, lambda *_: ends.append(1))
print("started", flush=True)
while not ends:
    time.sleep(0.01)
"""


class Ends(FantailTest):
    def test_only_a_stopped_program_is_continued_before_it_is_ended(self):
        for stopped in (False, True):
            program = self.start(sys.executable, "-c", TELLS_WHEN_IT_IS_CONTINUED, name=f"python-{stopped}")
            ft.wait_until(lambda: "started" in program.stdout(), "the start of the program")
            if stopped:
                program.send_signal(signal.SIGSTOP)
            self._end_programs()
            self.assertEqual("continued" in program.stdout(), stopped)


class Ports(FantailTest):
    def error_of(self, act):
        try:
            act()
        except OSError as e:
            return e.errno
        return None

    def only(self, port):
        """Returns a socket for which the kernel can choose only this port."""
        s = socket.socket()
        self.addCleanup(s.close)
        try:
            s.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("I", port << 16 | port))
        except OSError:
            self.skipTest("this kernel cannot limit which ports a socket may get")
        return s

    def test_a_held_port_is_given_to_nobody_who_asks_for_a_free_one(self):
        port = self.free_port()
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.assertEqual(self.error_of(lambda: self.only(port).bind(("127.0.0.1", 0))), errno.EADDRINUSE)
        self.assertEqual(self.error_of(lambda: self.only(port).connect(listener.getsockname())), errno.EADDRNOTAVAIL)
        # The same port is available at another address, because the test holds the port only at 127.0.0.1.
        self.assertIsNone(self.error_of(lambda: self.only(port).bind(("127.77.77.77", 0))))

    def test_the_ports_of_a_killed_worker_are_its_own_until_it_comes_back(self):
        worker = self.worker()
        for _ in range(3):
            worker.kill()
            for port in (worker.port, worker.admin_port):
                self.assertEqual(self.error_of(lambda: ft.request(port, "GET", "/livez")), errno.ECONNREFUSED)
                self.assertEqual(self.error_of(lambda: self.only(port).bind(("127.0.0.1", 0))), errno.EADDRINUSE)
            worker = self.worker(port=worker.port)
            self.assertEqual(ft.request(worker.port, "GET", "/livez").status, 200)

    def test_a_worker_is_started_again_only_when_nothing_listens_on_its_port_any_more(self):
        """This process acts like a task process that has just been started, and that still has the sockets of its killed
        worker."""
        port = self.free_port()
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        self.assertFalse(is_listened_on(port))
        listener.listen()
        self.assertTrue(is_listened_on(port))
        threading.Timer(0.3, listener.close).start()
        self.assertEqual(self.worker(port=port).port, port)


# Tests that fail in each possible way, and tests that pass.
SAMPLES = """
import unittest

class Mixed(unittest.TestCase):
    def test_good(self):
        pass
    def test_bad(self):
        self.fail("as expected")
    def test_in_parts(self):
        for n in range(3):
            with self.subTest(n):
                self.assertNotEqual(n, 1)
    def test_skipped(self):
        self.skipTest("for a reason")

class Unprepared(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise RuntimeError("no fleet")
    def test_never(self):
        pass
"""


class Run(FantailTest):
    """For each failed test, tests/run prints the arguments that run it again."""

    RUN = os.path.join(ft.ROOT, "tests", "run")

    @classmethod
    def setUpClass(cls):
        loader = importlib.machinery.SourceFileLoader("tests_run", cls.RUN)
        cls.run_module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tests_run", loader))
        loader.exec_module(cls.run_module)

    def outcome(self, *patterns):
        """Runs the sample tests that match the patterns, or all of them, and returns the counts."""
        path, report = (os.path.join(self.folder, name) for name in ("test_samples.py", "report"))
        ft.write_file(path, SAMPLES)
        subprocess.run([sys.executable, self.RUN, "--python-child", path, report, *patterns], capture_output=True,
                       timeout=60, check=True)
        with open(report, encoding="utf-8") as source:
            return json.load(source)

    def test_each_failed_python_test_has_the_name_that_selects_it(self):
        outcome = self.outcome()
        failed = [name for name, _ in outcome["failed"]]
        self.assertEqual(failed, ["Mixed.test_bad", "Mixed.test_in_parts", "Unprepared"])
        self.assertEqual(outcome["skipped"], [["Mixed.test_skipped", "for a reason"]])
        for name in failed:
            again = self.outcome(f"*.{name}", f"*.{name}.*")
            self.assertEqual([name for name, _ in again["failed"]], [name])
            self.assertEqual((again["found"], again["passed"]), (1, 0))

    def test_the_command_names_what_failed_and_only_that(self):
        results = self.run_module.Results()
        with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
            results.add_failure("integration", "c", repeat=("--files", "test_x.py:Class.test_y"))
            results.add_failure("headers", "a")
            results.add_failure("unit", "b", repeat=("--units", "common/base/test_buf"))
            results.add_failure("unit", "it did not compile, which is why the one above failed")
            for _ in range(2):
                results.add_failure("integration", "d", repeat=("--files", "test_z.py"))
            results.add_failure("sim", "e", repeat=("--sim-seeds", "7"))
            results.add_failure("fuzz", "f", repeat=("--fuzzers", "fuzz_jobspec"))
        words = results.command_to_repeat(["--build", "build x"]).split(" ", 1)
        self.assertEqual(os.path.abspath(words[0]), self.RUN)
        self.assertEqual(words[1], "--only headers,unit,integration,sim,fuzz --build 'build x' --units common/base/test_buf "
                                   "--files test_x.py:Class.test_y test_z.py --sim-seeds 7 --fuzzers fuzz_jobspec")

    def test_a_named_test_runs_without_the_other_kinds(self):
        ended = subprocess.run([self.RUN, "--files", "test_checks.py:NoSuchClass"], capture_output=True, text=True, timeout=600)
        kinds = [line for line in ended.stdout.splitlines() if line.startswith("== ")]
        self.assertTrue(kinds and all(line.startswith(("== Programs", "== Python tests")) for line in kinds), ended)

    def test_a_name_that_is_not_there_is_no_success(self):
        for arguments in (["--units", "test_nothing"], ["--files", "test_nothing.py"], ["--fuzzers", "fuzz_nothing"],
                          ["--only", "nothing"], ["--match", "nothing"]):
            ended = subprocess.run([self.RUN, *arguments], capture_output=True, text=True, timeout=60)
            self.assertEqual(ended.returncode, 2, ended)
            self.assertIn("nothing", ended.stderr)


class Mutations(FantailTest):
    """Tests the lists of broken rules in tests/sim/mutations and tests/durable/mutations."""

    @staticmethod
    def load(name):
        loader = importlib.machinery.SourceFileLoader(f"{name}_mutations", os.path.join(ft.ROOT, "tests", name, "mutations"))
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
        loader.exec_module(module)
        return module

    def test_each_mutation_has_a_place_in_the_source(self):
        sim, durable = self.load("sim"), self.load("durable")
        for folder, mutations in ((sim.SOURCE, sim.MUTATIONS), (ft.ROOT, durable.MUTATIONS)):
            for name, file, old, *_ in mutations:
                with self.subTest(name), open(os.path.join(folder, file), encoding="utf-8") as source:
                    self.assertEqual(source.read().count(old), 1)

    def test_a_name_that_no_mutation_has_is_refused(self):
        for name in ("sim", "durable"):
            program = os.path.join(ft.ROOT, "tests", name, "mutations")
            done = subprocess.run([sys.executable, program, "no such rule"], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 2, done.stdout)
            self.assertIn("no such mutation: no such rule", done.stderr)


if __name__ == "__main__":
    ft.main()
