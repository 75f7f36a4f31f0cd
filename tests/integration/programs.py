"""Processes of this machine, and programs that a test starts."""
import contextlib
import datetime
import json
import os
import select
import signal
import subprocess
import time

from waiting import LIMIT_S

STOP_TIMEOUT_S = 60


def read_stat(pid):
    """Returns (parent, state, CPU seconds, name) of a process, or None if it does not exist."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            text = stat.read()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2:].split()
    ticks = int(fields[11]) + int(fields[12])
    return int(fields[1]), fields[0], ticks / os.sysconf("SC_CLK_TCK"), text[text.index("(") + 1:text.rindex(")")]


def descendants(root):
    """Returns the ids of all descendants of `root`, without zombies."""
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
    """A program that a test has started. If `ready` is true, the constructor waits until the program is ready, and sets
    `port` and `admin_port`."""

    is_stopped = False  # by SIGSTOP

    def __init__(self, argv, folder, name, env=None, ready=False, before_exec=None, stdin=subprocess.DEVNULL):
        self.name, self.argv = name, argv
        self.stdout_path = os.path.join(folder, f"{name}.out")
        self.stderr_path = os.path.join(folder, f"{name}.err")
        self.killed = False
        self.asked_to_end = False  # SIGTERM was sent; a second SIGTERM would change the exit status
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
        """Returns the log lines of the program, as objects."""
        lines = []
        for line in self.stderr().splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
        return lines

    def logged_at(self, message):
        """Returns the time of the first log line with this message, in seconds since 1970."""
        ts = next(line["ts"] for line in self.log_lines() if line["msg"] == message)
        return datetime.datetime.strptime(ts, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()

    def describe(self):
        tail = self.stderr()[-6000:]
        return f"--- {self.name}: {' '.join(self.argv)}; status {self.process.poll()}\n{tail}"

    def alive(self):
        return self.process.poll() is None

    def send_signal(self, number):
        self.asked_to_end |= number == signal.SIGTERM
        if number in (signal.SIGSTOP, signal.SIGCONT):
            self.is_stopped = number == signal.SIGSTOP
        self.process.send_signal(number)

    def kill(self):
        """Like the out-of-memory killer, sends SIGKILL only to the program, and not to its process group."""
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
        """Kills the program and its whole process group. Used only at the end of a test."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
