"""Starts the real programs and sends them requests: the base of every integration test. Standard library only.

    class Jobs(FantailTest):
        def test_a_job_is_answered(self):
            fleet = self.fleet(workers=2)
            self.assertEqual(fleet.job({"task": "square", "items": [2]}).json["results"], [4])

Each test has its own folder and its own time limit. Every program runs in its own process group, on ports that belong to the
test until the test ends (ports.py). The output of the programs is in the test's folder. After a test, the programs get SIGTERM
and must end with status 0. If there is a sanitizer report, a process that remains, or an unexpected end, the test fails and
shows what the program printed.
"""
import contextlib
import ctypes
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

# Tests import all these names from this module.
from answers import Answer, Stream, metric_sum, metrics, raw_request, request  # noqa: F401
from ports import HeldPort, is_listened_on
from programs import Program, command_line, cpu_seconds, descendants, read_stat, runs  # noqa: F401
from waiting import LIMIT_S, Gate, in_time, wait_until, with_more_time  # noqa: F401

# Programs inherit ignored signals. A background job may ignore SIGINT, and nohup ignores SIGHUP, so this process sets both
# signals to their defaults.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("FANTAIL_BUILD", os.path.join(ROOT, "build")))
BIN = os.path.abspath(os.environ.get("FANTAIL_BIN", os.path.join(BUILD, "bin")))
DATA = os.path.join(ROOT, "tests", "data")
EXAMPLE_TASKS = os.path.join(BUILD, "tasks")

STALL_WORDS = '"the loop turns without progress"'
SANITIZER_WORDS = re.compile(r"ERROR: (Address|Leak|UndefinedBehavior)Sanitizer|runtime error: |^BUG at ", re.M)

BURNING_S = 0.5  # seconds of processor time; starting Python takes a tenth of this
QUIET_S = 10  # the protocol promises that running processes end within 2 s; a busy machine needs longer

NDJSON = "application/x-ndjson"
JSON = "application/json"
TEXT = "text/plain"
PROBLEM = "application/problem+json"

# Orphans of killed programs become children of this process, so that this process can find them.
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class TooSlow(BaseException):
    """Raised when the time limit of the test has passed. Not a subclass of Exception, so that no test catches it."""


class Fleet:
    """A coordinator and its workers."""

    def __init__(self, test, coordinator, workers):
        self.test, self.coordinator, self.workers = test, coordinator, workers
        self.port = coordinator.port

    def request(self, method, path, body=None, headers=None, timeout_s=60):
        return request(self.port, method, path, body, headers, timeout_s)

    def job(self, body, accept=None, content_type=JSON, query="", headers=None, timeout_s=60):
        """Posts a job. A dict is sent as JSON. Bytes and iterables are sent unchanged."""
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        all_headers = dict(headers or {})
        if content_type:
            all_headers["Content-Type"] = content_type
        if accept:
            all_headers["Accept"] = accept
        return self.request("POST", "/v1/jobs" + query, body, all_headers, timeout_s)

    def stream(self, body, content_type=JSON, query="", timeout_s=60):
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        return Stream(self.port, body, {"Content-Type": content_type, "Accept": NDJSON}, "/v1/jobs" + query, timeout_s)

    def task_processes(self):
        """Returns the task processes of all running workers."""
        return [pid for worker in self.workers if worker.alive() for pid in descendants(worker.pid)]

    def metric(self, program, name, **labels):
        """Returns the sum of the series of a metric, from the admin port of a program."""
        return metric_sum(metrics(program), name, **labels)

    def busy_slots(self):
        """Returns how many slots are busy now on all running workers."""
        return sum(self.metric(w, "fantail_worker_slots", state="busy") for w in self.workers if w.alive())

    def burning(self):
        """Returns the task processes that have used more processor time than a process needs to start."""
        return [pid for pid in self.task_processes() if cpu_seconds([pid]) > BURNING_S]

    def wait_until_burning(self, least=1, limit_s=LIMIT_S):
        """Waits until burning() returns at least `least` processes, and returns these processes. Use a short limit_s only
        within an attempt of with_more_time()."""
        end = time.monotonic() + limit_s
        while len(burning := self.burning()) < least:
            in_time(time.monotonic() < end, "burning processes")
            time.sleep(0.02)
        return burning

    def wait_until_quiet(self, burning):
        """Waits until these processes have ended and no item runs in any other process."""
        wait_until(lambda: not any(map(runs, burning)), "the end of the burning processes", QUIET_S)
        wait_until(lambda: self.busy_slots() == 0 and not self.burning(), "idle workers", QUIET_S)


# ---- Tests --------------------------------------------------------------------------------------------------------

class FantailTest(unittest.TestCase):
    """The base of tests that start programs. The programs end with the test. TIME_LIMIT_S limits the time of each test."""

    TIME_LIMIT_S = 180
    maxDiff = 2000

    def setUp(self):
        self._folder_object = tempfile.TemporaryDirectory(prefix="fantail-test-", ignore_cleanup_errors=True)
        self.folder = self._folder_object.name
        self._programs, self._ports = [], []
        self._watch_time()
        # Cleanups run in reverse order, even if the test fails or takes too long.
        self.addCleanup(self._folder_object.cleanup)
        self.addCleanup(signal.alarm, 0)
        self.addCleanup(self._release_ports)
        self.addCleanup(self._end_programs)

    def _watch_time(self):
        def too_slow(_number, _frame):
            raise TooSlow(f"the test took longer than {self.TIME_LIMIT_S} s\n"
                          + "\n".join(p.describe() for p in self._programs))
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGALRM, too_slow)
            signal.alarm(self.TIME_LIMIT_S)

    # Starting programs.

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith("FANTAIL_")}
        env["ASAN_OPTIONS"] = "detect_leaks=1:abort_on_error=0:handle_abort=1:detect_stack_use_after_return=0"
        env["UBSAN_OPTIONS"] = "print_stacktrace=1"
        env["XDG_STATE_HOME"] = os.path.join(self.folder, "state")  # `fantail local` keeps durable jobs there
        env["NO_COLOR"] = "1"  # tests compare what a terminal shows
        env["PATH"] = BIN + os.pathsep + env.get("PATH", "/usr/bin:/bin")
        env.update(more)
        return {name: value for name, value in env.items() if value is not None}

    def start(self, program, *arguments, name=None, ready=False, env=None, before_exec=None, stdin=subprocess.DEVNULL):
        """Starts one of the programs by its name. After the test, the program is ended and checked."""
        name = name or f"{program}-{len(self._programs)}"
        argv = [os.path.join(BIN, program), *map(str, arguments)]
        started = Program.__new__(Program)
        try:
            started.__init__(argv, self.folder, name, env or self.environment(), ready, before_exec, stdin)
        finally:
            if hasattr(started, "process"):
                self._programs.append(started)
        return started

    def free_port(self):
        """Returns a port that no other program gets before the end of the test. Programs of the test can listen on this
        port one after another."""
        self._ports.append(HeldPort())
        return self._ports[-1].number

    def worker(self, *arguments, tasks=None, processes=2, port=None, admin_port=None, env=None):
        """Starts a worker on free ports. `port` and `admin_port` may be the ports of an earlier worker of this test,
        which must have ended."""
        if port:
            wait_until(lambda: not is_listened_on(port), f"the end of what listens on port {port}")
        return self.start("fantail-worker", "--port", port or self.free_port(), "--admin-port",
                          admin_port or self.free_port(), "--tasks", tasks or EXAMPLE_TASKS, "--processes", processes,
                          *arguments, ready=True, env=env)

    def coordinator(self, workers, *arguments, before_exec=None):
        """Starts a coordinator. `workers` is a list of Program, or the text of --workers."""
        if not isinstance(workers, str):
            workers = "static://" + ",".join(f"127.0.0.1:{w.port}" for w in workers)
        return self.start("fantail-coordinator", "--port", self.free_port(), "--admin-port", self.free_port(),
                          "--workers", workers, *arguments, ready=True, before_exec=before_exec)

    def fleet(self, workers=1, processes=2, tasks=None, worker_arguments=(), coordinator_arguments=(),
              before_exec=None):
        started = [self.worker(*worker_arguments, tasks=tasks, processes=processes) for _ in range(workers)]
        return Fleet(self, self.coordinator(started, *coordinator_arguments, before_exec=before_exec), started)

    def tasks(self, **tasks):
        """Makes a tasks folder. Each argument is name={"json": {...}, "files": {name: content}} or name={...task.json...}."""
        folder = os.path.join(self.folder, "tasks")
        for name, task in tasks.items():
            path = os.path.join(folder, name)
            os.makedirs(path, exist_ok=True)
            files = task.pop("files", {}) if "json" not in task else task.get("files", {})
            write_file(os.path.join(path, "task.json"), json.dumps(task.get("json", task)))
            for file_name, content in files.items():
                write_file(os.path.join(path, file_name), content, 0o755)
        return folder

    def gate(self):
        """Makes a task whose items end when the test opens the gate, or at the end of the test."""
        gate = Gate(self.folder)
        self.addCleanup(gate.open)
        return gate

    # Ending programs.

    def _release_ports(self):
        for port in self._ports:
            port.close()
        self._ports.clear()

    def _end_programs(self):
        problems = []
        for program in reversed(self._programs):
            if program.alive():
                # When a program ends, its leak check stops the threads of the program. If a SIGCONT arrived during the
                # leak check, the check would wait for ever.
                if program.is_stopped:
                    program.send_signal(signal.SIGCONT)
                if not program.asked_to_end:
                    program.send_signal(signal.SIGTERM)
        for program in reversed(self._programs):
            try:
                status = program.wait()
                if status != 0 and not program.killed and not getattr(program, "any_status", False):
                    problems.append(f"{program.name} ended with status {status}\n{program.describe()}")
            except (AssertionError, TooSlow) as e:
                problems.append(str(e))
                program.destroy()
            if SANITIZER_WORDS.search(program.stderr()):
                problems.append(f"a sanitizer report of {program.name}:\n{program.describe()}")
            if STALL_WORDS in program.stderr():
                problems.append(f"the loop of {program.name} turned without progress:\n{program.describe()}")
        problems += self._left_behind()
        self._programs.clear()
        if problems:
            self.fail("\n".join(problems))

    def _left_behind(self):
        """Kills the processes that were left behind, and returns a line for each. No task process may outlive its
        worker, even if the worker was killed."""
        try:
            wait_until(lambda: not self._strangers(), limit_s=15)
            return []
        except (AssertionError, TooSlow):
            left = self._strangers()
            lines = [f"left behind: {pid} {command_line(pid)}" for pid in left]
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return lines

    @staticmethod
    def _strangers():
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        return descendants(os.getpid())

    # Checking answers.

    def assert_problem(self, answer, status, pointer=None, words=()):
        """Checks that the answer is application/problem+json with this status, this JSON pointer, and these words in
        its detail."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers.get_content_type(), PROBLEM, answer)
        document = answer.json
        self.assertEqual(document["status"], status)
        self.assertIn("title", document)
        self.assertTrue(document.get("detail"), document)
        if pointer is not None:
            self.assertEqual(document.get("pointer"), pointer, document)
        for word in words if not isinstance(words, str) else (words,):
            self.assertIn(word, document["detail"])
        return document

    def assert_counts(self, counts, **expected):
        self.assertEqual({k: counts.get(k) for k in expected}, expected, counts)


class SharedFleetTest(FantailTest):
    """All tests of a class share one fleet, so they must not damage the fleet. make_fleet_options() returns the options
    of the fleet."""

    fleet_options = {}

    @classmethod
    def setUpClass(cls):
        cls._keeper = FantailTest("run")
        cls._keeper.TIME_LIMIT_S = 600
        FantailTest.setUp(cls._keeper)
        signal.alarm(0)
        try:
            cls.shared = cls._keeper.fleet(**cls.make_fleet_options(cls._keeper))
        except BaseException:
            cls._keeper.doCleanups()
            raise

    @classmethod
    def make_fleet_options(cls, keeper):
        return dict(cls.fleet_options)

    @classmethod
    def tearDownClass(cls):
        signal.alarm(0)
        cls._keeper._end_programs()
        cls._keeper._release_ports()
        cls._keeper._folder_object.cleanup()

    def _left_behind(self):
        return []

    def tearDown(self):
        for program in (self.shared.coordinator, *self.shared.workers):
            self.assertTrue(program.alive(), f"the program died during the test\n{program.describe()}")


def write_file(path, content, mode=0o644):
    with open(path, "wb") as out:
        out.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, mode)


def json_suite():
    """Returns [(name, bytes)] of the JSON test suite. Cases named y_ must be accepted, cases named n_ must be refused, and
    cases named i_ may be accepted or refused."""
    files = sorted(glob.glob(os.path.join(DATA, "json-test-suite", "*.json")))
    assert len(files) > 300, "tests/data/json-test-suite is missing"
    suite = []
    for path in files:
        with open(path, "rb") as source:
            suite.append((os.path.basename(path), source.read()))
    return suite


def have(command):
    return shutil.which(command) is not None


def main():
    unittest.main(verbosity=2)
