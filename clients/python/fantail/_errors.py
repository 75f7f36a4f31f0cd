"""The exceptions of this package."""
from __future__ import annotations

import pickle
from concurrent.futures import BrokenExecutor
from typing import Any, Optional, Sequence


class FantailError(Exception):
    """The base of all exceptions of this package."""


class NotPicklable(FantailError, pickle.PicklingError):
    """A function or an argument cannot be sent to another process. The message names the object that cannot be
    pickled."""


class ProgramsNotFound(FantailError):
    """The programs of fantail were not found on this machine. The message says what to do."""


class FleetError(FantailError, BrokenExecutor):
    """The private fleet could not be started, or has ended."""


class InitializerError(FleetError):
    """The initializer raised an exception, so no call can run. `__cause__` is that exception."""


class ItemError(FantailError):
    """One call, or one item, has no result. For example, its process died, it took too long, or its result cannot be sent
    back.

    name       the name of the error, as in docs/protocol.md: "crashed", "timed_out", "out_of_memory", "worker_lost".
               This package adds: "exited" (the function called sys.exit()), "result_not_picklable",
               "exception_not_picklable", "function_not_unpicklable" and "call_not_unpicklable" (the process cannot
               rebuild the function, or an argument), "result_not_unpicklable" (this process cannot rebuild the
               result), "refused" (the fleet does not accept the call) and "coordinator_lost"
    cause      one sentence
    signal     the number of the signal that killed the process, or None
    exit_code  the exit status of the process, or None
    stderr     the end of the standard error, if the process died or was killed; otherwise empty
    attempts   how many times the call was tried
    worker     the id of the worker, or None
    index      Client only: the position of the item in the iterable or the job, from 0. Otherwise None
    members    Client only: the other members of the error object that the task has written

    A Client adds the names "bad_item" (the item cannot be sent as JSON) and "coordinator_lost" (the coordinator was
    lost, and the item must not run twice).
    """

    def __init__(self, name: str, cause: str, *, signal: Optional[int] = None, exit_code: Optional[int] = None,
                 stderr: str = "", attempts: int = 1, worker: Optional[str] = None, index: Optional[int] = None,
                 members: Optional[dict[str, Any]] = None) -> None:
        super().__init__(name, cause)
        self.name = name
        self.cause = cause
        self.signal = signal
        self.exit_code = exit_code
        self.stderr = stderr
        self.attempts = attempts
        self.worker = worker
        self.index = index
        self.members = members or {}

    def __str__(self) -> str:
        text = f"{self.name}: {self.cause}"
        if self.index is not None:
            text = f"item {self.index}: {text}"
        last = self.stderr.rstrip()
        return f"{text}\nStandard error of the process:\n{last}" if last else text

    def __reduce__(self) -> Any:
        return _rebuild_item_error, (type(self), self.name, self.cause, self.__dict__)


def _rebuild_item_error(kind: type, name: str, cause: str, members: dict[str, Any]) -> ItemError:
    error: ItemError = kind(name, cause)
    error.__dict__.update(members)
    return error


class Unreachable(FantailError, ConnectionError):
    """No coordinator could be reached, or the coordinators were lost again and again."""


class TlsError(Unreachable):
    """The certificate of the service was refused, or the service has refused our certificate."""


class NotFantail(FantailError):
    """The URL is answered by something that is not a coordinator of fantail."""


class Refused(FantailError):
    """The service has refused a request.

    status   the HTTP status
    detail   one sentence
    pointer  the place in the job object that is wrong, as a JSON pointer; or None
    """

    def __init__(self, status: int, detail: str, pointer: Optional[str] = None) -> None:
        super().__init__(status, detail, pointer)
        self.status = status
        self.detail = detail
        self.pointer = pointer

    def __str__(self) -> str:
        place = f" (at {self.pointer})" if self.pointer else ""
        return f"the service refused the request ({self.status}): {self.detail}{place}"


class TokenRefused(Refused):
    """The service needs a token, or does not accept the token that was sent (401, 403)."""


class TaskNotFound(Refused):
    """The fleet has no such task. `tasks` has the names of the tasks that exist."""

    def __init__(self, status: int, detail: str, pointer: Optional[str] = None,
                 tasks: Optional[Sequence[str]] = None) -> None:
        super().__init__(status, detail, pointer)
        self.tasks = list(tasks or [])


class JobNotFound(Refused):
    """The coordinator has no such job, or the job was removed."""


class NoJobStore(FantailError):
    """The coordinator has no job store, so it cannot keep a job. No item has run, unless the message says that the
    client cancelled the job."""


class JobFailed(FantailError):
    """A job of a map has ended early.

    status  "failed", "cancelled" or "timed_out"
    reason  one sentence, or None
    """

    def __init__(self, status: str, reason: Optional[str] = None) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"the job ended as {self.status}" + (f": {self.reason}" if self.reason else "")


class WaitTimeout(FantailError, TimeoutError):
    """The job has not ended in time, and goes on."""


class RemoteTraceback(Exception):
    """The traceback of a worker's process, as text. If a call raises an exception, this traceback is the `__cause__` of
    the exception."""

    def __init__(self, tb: str) -> None:
        super().__init__(tb)
        self.tb = tb  # the name of the attribute in concurrent.futures and multiprocessing

    def __str__(self) -> str:
        return f'\n"""\n{self.tb}"""'


RemoteTraceback.__name__ = RemoteTraceback.__qualname__ = "_RemoteTraceback"  # the name in concurrent.futures
_RemoteTraceback = RemoteTraceback  # so that pickle finds the class by its name
