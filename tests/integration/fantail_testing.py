"""Starts the real programs and sends them requests: the base of every integration test. Standard library only.

    class Jobs(FantailTest):
        def test_a_job_is_answered(self):
            fleet = self.fleet(workers=2)
            self.assertEqual(fleet.job({"task": "square", "items": [2]}).json["results"], [4])

Each test has its own folder and its own time limit. Every program runs in its own process group, on ports that belong to
the test until its end (ports.py), and its output is kept in the folder. After a test, the programs get SIGTERM and must
end with status 0. A sanitizer report, a remaining process or an unexpected end fails the test and shows what the program
printed.
"""
import contextlib
import ctypes
import datetime
import glob
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from ports import HeldPort, is_listened_on
from waiting import LIMIT_S, Gate, in_time, wait_until, with_more_time  # noqa: F401 (tests import them from here)

# Programs inherit ignored signals, and these two are ignored in a background job or after nohup.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("FANTAIL_BUILD", os.path.join(ROOT, "build")))
BIN = os.path.abspath(os.environ.get("FANTAIL_BIN", os.path.join(BUILD, "bin")))
DATA = os.path.join(ROOT, "tests", "data")
EXAMPLE_TASKS = os.path.join(BUILD, "tasks")

SANITIZER_WORDS = re.compile(r"ERROR: (Address|Leak|UndefinedBehavior)Sanitizer|runtime error: |^BUG at ", re.M)
STOP_TIMEOUT_S = 60

BURNING_S = 0.5  # processor time; starting Python takes a tenth of it
QUIET_S = 10  # the protocol promises the end of running processes within 2 s on an idle machine

NDJSON = "application/x-ndjson"
JSON = "application/json"
TEXT = "text/plain"
PROBLEM = "application/problem+json"

# Orphans of killed programs become children of this process, so that they can be found.
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class TooSlow(BaseException):
    """The time limit of the test has passed. Not an Exception, so that no test catches it."""


# ---- Processes ----------------------------------------------------------------------------------------------------

def read_stat(pid):
    """(parent, state, CPU seconds, name) of a process, or None if it does not exist."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            text = stat.read()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2:].split()
    ticks = int(fields[11]) + int(fields[12])
    return int(fields[1]), fields[0], ticks / os.sysconf("SC_CLK_TCK"), text[text.index("(") + 1:text.rindex(")")]


def descendants(root):
    """The ids of all descendants of root, without zombies."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := read_stat(int(entry))) and stat[1] != "Z":
            children.setdefault(stat[0], []).append(int(entry))
    found, queue = [], [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def cpu_seconds(pids):
    return sum(stat[2] for pid in pids if (stat := read_stat(pid)))


def runs(pid):
    stat = read_stat(pid)
    return stat is not None and stat[1] != "Z"


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            return line.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


class Program:
    """One running program. stop() accepts the exit statuses `ok_status`, and an end by the signal that was sent."""

    def __init__(self, argv, folder, name, env=None, ready=False, before_exec=None, stdin=subprocess.DEVNULL):
        self.name, self.argv = name, argv
        self.stdout_path = os.path.join(folder, f"{name}.out")
        self.stderr_path = os.path.join(folder, f"{name}.err")
        self.killed = False
        self.asked_to_end = False  # a second SIGTERM would end it with another status
        read_fd, write_fd = os.pipe() if ready else (None, None)
        if ready:
            argv = argv + ["--ready-fd", str(write_fd)]
        with open(self.stdout_path, "wb") as out, open(self.stderr_path, "wb") as err:
            self.process = subprocess.Popen(argv, stdin=stdin, stdout=out, stderr=err, start_new_session=True, env=env,
                                            preexec_fn=before_exec, pass_fds=[write_fd] if ready else [], cwd=folder)
        self.pid = self.process.pid
        if ready:
            os.close(write_fd)
            self._read_ready(read_fd)

    def _read_ready(self, fd):
        text, end = b"", time.monotonic() + LIMIT_S
        with os.fdopen(fd, "rb", buffering=0) as pipe:
            while not text.endswith(b"\n"):
                left = end - time.monotonic()
                if left <= 0 or not select.select([pipe], [], [], left)[0]:
                    raise AssertionError(f"{self.name} was not ready within {LIMIT_S} s\n{self.describe()}")
                piece = pipe.read(200)
                if not piece:
                    self.process.wait(10)
                    raise AssertionError(f"{self.name} ended before it was ready\n{self.describe()}")
                text += piece
        word, port, admin_port = text.split()
        assert word == b"ready", text
        self.port, self.admin_port = int(port), int(admin_port)

    def stderr(self):
        with open(self.stderr_path, encoding="utf-8", errors="replace") as err:
            return err.read()

    def stdout(self):
        with open(self.stdout_path, encoding="utf-8", errors="replace") as out:
            return out.read()

    def log_lines(self):
        """Its log lines, as objects."""
        lines = []
        for line in self.stderr().splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
        return lines

    def logged_at(self, message):
        """When it logged this message first, in seconds since 1970."""
        ts = next(line["ts"] for line in self.log_lines() if line["msg"] == message)
        return datetime.datetime.strptime(ts, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()

    def describe(self):
        tail = self.stderr()[-6000:]
        return f"--- {self.name}: {' '.join(self.argv)}; status {self.process.poll()}\n{tail}"

    def alive(self):
        return self.process.poll() is None

    def send_signal(self, number):
        self.asked_to_end |= number == signal.SIGTERM
        self.process.send_signal(number)

    def kill(self):
        """kill -9 of only the program, as the out-of-memory killer does."""
        self.killed = True
        self.process.kill()
        self.process.wait()

    def wait(self, timeout_s=STOP_TIMEOUT_S):
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {timeout_s} s\n{self.describe()}") from None

    def stop(self, number=signal.SIGTERM):
        if self.alive():
            self.send_signal(number)
        return self.wait()

    def destroy(self):
        """Kills the whole group, in any state, as the last step of a test."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


# ---- HTTP ---------------------------------------------------------------------------------------------------------

def is_start(line):
    """Whether a line is the first one of a coordinator's stream. A worker's stream has none."""
    return isinstance(line, dict) and line.get("type") == "start"


class Answer:
    """A whole HTTP answer. `json` is a JSON body. `lines` are the objects of an NDJSON body without the
    start line, and without the waiting lines, which come on a busy machine."""

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
        """The values of the result lines, in the order in which they came."""
        return [line["value"] for line in self.lines if line["type"] == "result"]

    @property
    def end(self):
        line = self.lines[-1]
        assert line["type"] == "end", line
        return line

    def __repr__(self):
        return f"Answer({self.status}, {self.body[:500]!r})"


def request(port, method, path, body=None, headers=None, timeout_s=60):
    """One request on a new connection. The body is bytes, or an iterable of bytes that are sent as chunks."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def raw_request(port, data):
    """Sends bytes unchanged. Returns everything that comes until the peer closes the connection, as it must."""
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
            raise AssertionError(f"open after {LIMIT_S} s, with {received!r}") from None
        return received


def metrics(program):
    """The text of /metrics on the admin port of a program."""
    return request(program.admin_port, "GET", "/metrics").body.decode()


def metric_sum(text, name, **labels):
    """The sum of all series of a metric that have at least these labels."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(re.escape(name) + r"[{ ]", line)
               and all(f'{label}="{value}"' in line for label, value in labels.items()))


class Stream:
    """An NDJSON answer that is read line by line while the job runs. The start line is kept apart, as `start`."""

    def __init__(self, port, body, headers, path="/v1/jobs", timeout_s=60, host="127.0.0.1", method="POST"):
        self.connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        self.connection.request(method, path, body=body, headers=headers)
        self.socket = self.connection.sock
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.start = None

    def line(self):
        """The next line as an object; None at the end."""
        line = self.response.readline()
        answer = json.loads(line) if line else None
        if self.start is None and is_start(answer):
            self.start = answer
            return self.line()
        return answer

    def line_of(self, kind):
        """The next line of this type. The lines before it are dropped."""
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
        """Ends read_until_cut(). The service learns of it when this is closed: by a reset, as when bytes are unread."""
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


class Fleet:
    """A coordinator and its workers."""

    def __init__(self, test, coordinator, workers):
        self.test, self.coordinator, self.workers = test, coordinator, workers
        self.port = coordinator.port

    def request(self, method, path, body=None, headers=None, timeout_s=60):
        return request(self.port, method, path, body, headers, timeout_s)

    def job(self, body, accept=None, content_type=JSON, query="", headers=None, timeout_s=60):
        """Posts a job. A dict is sent as JSON, bytes and iterables are sent unchanged."""
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
        """The task processes of all running workers."""
        return [pid for worker in self.workers if worker.alive() for pid in descendants(worker.pid)]

    def metric(self, program, name, **labels):
        """The sum of the series of a metric, from the admin port of a program."""
        return metric_sum(metrics(program), name, **labels)

    def busy_slots(self):
        """How many items run now on all running workers."""
        return sum(self.metric(w, "fantail_worker_slots", state="busy") for w in self.workers if w.alive())

    def burning(self):
        """The task processes that have used more processor time than their start takes."""
        return [pid for pid in self.task_processes() if cpu_seconds([pid]) > BURNING_S]

    def wait_until_burning(self, least=1, limit_s=LIMIT_S):
        """Waits for at least this many burning processes and returns them. In an attempt of with_more_time(), limit_s
        may be too short."""
        end = time.monotonic() + limit_s
        while len(burning := self.burning()) < least:
            in_time(time.monotonic() < end, "burning processes")
            time.sleep(0.02)
        return burning

    def wait_until_quiet(self, burning):
        """Waits until those processes have ended and no item runs in another one."""
        wait_until(lambda: not any(map(runs, burning)), "the end of the burning processes", QUIET_S)
        wait_until(lambda: self.busy_slots() == 0 and not self.burning(), "idle workers", QUIET_S)


# ---- Tests --------------------------------------------------------------------------------------------------------

class FantailTest(unittest.TestCase):
    """A test with programs, which end with the test. TIME_LIMIT_S limits each test."""

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

    # Starting things.

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith("FANTAIL_")}
        env["ASAN_OPTIONS"] = "detect_leaks=1:abort_on_error=0:handle_abort=1:detect_stack_use_after_return=0"
        env["UBSAN_OPTIONS"] = "print_stacktrace=1"
        env["XDG_STATE_HOME"] = os.path.join(self.folder, "state")  # `fantail local` keeps durable jobs there
        env["PATH"] = BIN + os.pathsep + env.get("PATH", "/usr/bin:/bin")
        env.update(more)
        return env

    def start(self, program, *arguments, name=None, ready=False, env=None, before_exec=None, stdin=subprocess.DEVNULL):
        """Starts one of the programs by its name. It is ended and checked after the test."""
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
        """A port that no other program gets before the end of the test. A program can listen there more than once."""
        self._ports.append(HeldPort())
        return self._ports[-1].number

    def worker(self, *arguments, tasks=None, processes=2, port=None, env=None):
        """Starts a worker on a free port, or on the port of a worker of this test that has ended."""
        if port:
            wait_until(lambda: not is_listened_on(port), f"the end of what listens on port {port}")
        return self.start("fantail-worker", "--port", port or self.free_port(), "--admin-port", self.free_port(),
                          "--tasks", tasks or EXAMPLE_TASKS, "--processes", processes, *arguments, ready=True, env=env)

    def coordinator(self, workers, *arguments, before_exec=None):
        """workers: a list of Program, or the text of --workers."""
        if not isinstance(workers, str):
            workers = "static://" + ",".join(f"127.0.0.1:{w.port}" for w in workers)
        return self.start("fantail-coordinator", "--port", self.free_port(), "--admin-port", self.free_port(),
                          "--workers", workers, *arguments, ready=True, before_exec=before_exec)

    def fleet(self, workers=1, processes=2, tasks=None, worker_arguments=(), coordinator_arguments=(),
              before_exec=None):
        started = [self.worker(*worker_arguments, tasks=tasks, processes=processes) for _ in range(workers)]
        return Fleet(self, self.coordinator(started, *coordinator_arguments, before_exec=before_exec), started)

    def tasks(self, **tasks):
        """A tasks folder. name={"json": {...}, "files": {name: (text, mode)}}, or name={...task.json...}."""
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
        """A task whose items end when the test opens the gate, or at the end of the test."""
        gate = Gate(self.folder)
        self.addCleanup(gate.open)
        return gate

    # Ending things.

    def _release_ports(self):
        for port in self._ports:
            port.close()
        self._ports.clear()

    def _end_programs(self):
        problems = []
        for program in reversed(self._programs):
            if program.alive():
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
        problems += self._left_behind()
        self._programs.clear()
        if problems:
            self.fail("\n".join(problems))

    def _left_behind(self):
        """No task process may outlive its worker, not even a killed one."""
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

    # Saying things.

    def assert_problem(self, answer, status, pointer=None, words=()):
        """An application/problem+json answer with this status, JSON pointer, and words in its detail."""
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
    """Tests that do not damage the fleet share one per class. make_fleet_options() returns how it is started."""

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
            self.assertTrue(program.alive(), f"it died during the test\n{program.describe()}")


def write_file(path, content, mode=0o644):
    with open(path, "wb") as out:
        out.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, mode)


def json_suite():
    """[(name, bytes)] of the JSON test suite. Cases with y_ must be accepted and those with n_ refused; i_ may be
    either."""
    files = sorted(glob.glob(os.path.join(DATA, "json-test-suite", "*.json")))
    assert len(files) > 300, "tests/data/json-test-suite is not there"
    suite = []
    for path in files:
        with open(path, "rb") as source:
            suite.append((os.path.basename(path), source.read()))
    return suite


def have(command):
    return shutil.which(command) is not None


def main():
    unittest.main(verbosity=2)
