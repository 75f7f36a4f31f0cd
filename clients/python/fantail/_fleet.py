"""The private fleet of this process: a coordinator and a worker with one task, `python-call`.

All files of the fleet are in a folder that only this user can enter. This process locks the folder. If this process is
killed, the lock is released, and the next fleet removes the folder. The programs end when the thread that has started
them ends. """
from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from typing import Any, Callable, Optional

from . import _protocol
from ._connection import Wire, connect_to_file
from ._errors import FleetError, ProgramsNotFound

PREFIX = "fantail-python-"
_END_S = 10


def find_program() -> str:
    """Returns the path of the program `fantail`. The other programs of fantail are in the same folder."""
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_bin")
    given = os.environ.get("FANTAIL_BIN")
    path = os.path.join(os.path.abspath(given or beside), "fantail")
    if os.access(path, os.X_OK):
        return path
    if given:
        raise ProgramsNotFound(f"FANTAIL_BIN is {given}, but there is no program {given}/fantail. Set it to the folder "
                               "that `make` has built (build/bin), or unset it to search PATH")
    # The command `fantail` of this package may also be on PATH. That command only starts the program `fantail`, and its
    # folder does not contain the services.
    for folder in os.get_exec_path():
        found = os.path.realpath(os.path.join(folder, "fantail"))
        if os.access(found, os.X_OK) and os.access(os.path.join(os.path.dirname(found), "fantail-worker"), os.X_OK):
            return found
    raise ProgramsNotFound("the programs of fantail were not found on PATH. Run `make install` in fantail's source tree, "
                           "set FANTAIL_BIN to the folder that `make` has built (build/bin), or install a wheel that "
                           "contains the programs")


class Fleet:
    """Any thread may create the object. start() must run in a thread that lives as long as the fleet."""

    most_losses = 6
    prefix = ""  # of the paths of requests
    versions = None  # the processes have the interpreter and the modules of this process

    def __init__(self, slots: int, initializer: Optional[bytes], calls_per_process: Optional[int]) -> None:
        self.slots = slots
        self._program = find_program()
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._owner = os.getpid()
        self._files = 0
        sweep()
        self.folder = tempfile.mkdtemp(prefix=PREFIX, dir=parent_folder())
        self._lock = locked(self.folder)
        self._socket_path = os.path.join(self.folder, "socket")
        self._write_task(initializer, calls_per_process)

    def _write_task(self, initializer: Optional[bytes], calls_per_process: Optional[int]) -> None:
        start = self.write_file(pickle.dumps({"path": sys.path, "argv": sys.argv, "initializer": initializer, "authkey": _authkey(),
                                              "folder": self.folder}))
        task: dict[str, Any] = {
            "mode": "stream", "ids": True, "ready": True, "start_timeout_s": 0,
            "command": [sys.executable, *_interpreter_options(), _process_file(), start],
            "env": {**_fantail_variables(), "FANTAIL_BIN": os.path.dirname(self._program)}}
        with contextlib.suppress(OSError):  # the current folder may have been removed
            task["cwd"] = os.getcwd()
        if calls_per_process:
            task["max_items_per_process"] = calls_per_process
        folder = os.path.join(self.folder, "tasks", _protocol.TASK)
        os.makedirs(folder)
        with open(os.path.join(folder, "task.json"), "w", encoding="utf-8") as file:
            json.dump(task, file)

    def write_file(self, data: bytes) -> str:
        """Writes the data to a new file in the folder of the fleet, and returns the path of the file."""
        self._files += 1
        path = os.path.join(self.folder, f"data-{self._files}")
        with open(path, "wb") as file:
            file.write(data)
        return path

    def fields(self) -> "dict[str, str]":
        """Returns the headers of every request."""
        return {"Host": "fantail"}

    def connect(self) -> Wire:
        return connect_to_file(self._socket_path)

    def refusal(self, answer: _protocol.HttpAnswer) -> None:
        """Returns None: in a private fleet, read_answer() turns each refusal into the error of the call."""

    def start(self) -> int:
        """Starts the programs, and returns a descriptor. When the fleet is ready, a line can be read from the
        descriptor. When the fleet has ended, the descriptor is at its end of file."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("FANTAIL_")}
        env["TMPDIR"] = env.get("TMPDIR", tempfile.gettempdir())
        try:
            self._process = subprocess.Popen(
                [self._program, "local", "--host", f"unix:{self._socket_path}", "--tasks",
                 os.path.join(self.folder, "tasks"), "--processes", str(self.slots), "--admin-port", "off", "--watch=false", "--log-level", "error",
                 "--exit-with-parent", "--parent-pid", str(os.getpid())],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=env, start_new_session=True)
        except OSError as error:
            raise FleetError(f"{self._program} cannot be started: {error}") from error
        assert self._process.stdout
        return self._process.stdout.fileno()

    def read_ready(self) -> None:
        """Call it when something can be read from the descriptor of start(). Raises FleetError if the fleet has ended."""
        assert self._process and self._process.stdout
        if not os.read(self._process.stdout.fileno(), 4096):
            raise FleetError("the private fleet has ended; its messages on standard error say why")

    def end(self, at_once: bool) -> None:
        """Ends the programs and removes the folder. In a forked child, does nothing."""
        if os.getpid() != self._owner:
            return
        process, self._process = self._process, None
        if process:
            self._end_process(process, at_once)
        os.close(self._lock)
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _end_process(process: subprocess.Popen[bytes], at_once: bool) -> None:
        process.terminate()
        try:
            process.wait(0.2 if at_once else _END_S)
        except subprocess.TimeoutExpired:
            process.terminate()  # the second signal ends all programs immediately
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()  # the services end when the command ends
                process.wait()
        if process.stdout:
            process.stdout.close()


def _process_file() -> str:
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "_process.py")


def _authkey() -> Optional[bytes]:
    """Returns the key that the proxies of a multiprocessing manager need; None if this program uses no manager."""
    if "multiprocessing.managers" not in sys.modules:
        return None
    import multiprocessing
    return bytes(multiprocessing.current_process().authkey)


def _interpreter_options() -> list[str]:
    """Returns the options of this interpreter, such as -O and -W. multiprocessing passes on the same options."""
    options: Callable[[], list[str]] = getattr(subprocess, "_args_from_interpreter_flags", list)
    return options()


def _fantail_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("FANTAIL_")}


def parent_folder() -> Optional[str]:
    """Returns the folder in which fleets make their folders; None: the usual folder for temporary files. The path of a
    socket must be short, so /tmp is used if TMPDIR is long."""
    return "/tmp" if len(tempfile.gettempdir()) > 60 else None


def locked(folder: str) -> int:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fd


def sweep() -> None:
    """Removes the folders of killed processes."""
    parent = parent_folder() or tempfile.gettempdir()
    for name in os.listdir(parent):
        if not name.startswith(PREFIX):
            continue
        path = os.path.join(parent, name)
        with contextlib.suppress(OSError):
            if os.stat(path).st_uid != os.getuid() or not os.listdir(path):
                continue  # an empty folder may be so new that it has no lock yet
            fd = locked(path)
            shutil.rmtree(path, ignore_errors=True)
            os.close(fd)
