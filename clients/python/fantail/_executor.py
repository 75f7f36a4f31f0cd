"""The executor: concurrent.futures on a private fleet."""
from __future__ import annotations

import concurrent.futures
import contextlib
import os
import pickle
import time
import weakref
from concurrent.futures._base import CANCELLED, CANCELLED_AND_NOTIFIED, FINISHED
from typing import (TYPE_CHECKING, Any, Callable, Coroutine, Iterable, Iterator, Optional, SupportsIndex, TypeVar, Union,
                    overload)

from ._core.arguments import number_of, optional, values_of, whole_of
from ._engine import Engine
from ._fleet import Fleet
from ._mapping import Mapping, results_of, zipped
from ._pickling import collected, dumps, dumps_named, name_of
from ._work import FULL, ONE, STAR, Function, Outcomes, Work

if TYPE_CHECKING:
    from ._client import Client
    from ._shared import Stored

T = TypeVar("T")
LARGE_FUNCTION_BYTES = 1 << 18
MOST_PROCESSES = 1024  # LIMIT_TASK_PROCESSES of the worker
MOST_CALLS = 10**15  # the limit of max_items_per_process in task.json
MOST_SECONDS = 366 * 86400  # the limit of item_timeout_s in a job


class Future(concurrent.futures.Future):  # type: ignore[type-arg]
    """Like the Future of concurrent.futures, but cancel() also cancels a running call, by ending the call's process."""

    _stop: Callable[[], None]

    def cancel(self) -> bool:
        with self._condition:
            if self._state == FINISHED:
                return False
            if self._state in (CANCELLED, CANCELLED_AND_NOTIFIED):
                return True
            self._state = CANCELLED_AND_NOTIFIED
            for waiter in self._waiters:
                waiter.add_cancelled(self)
            self._condition.notify_all()
        self._stop()
        self._invoke_callbacks()  # type: ignore[attr-defined]
        return True

    def set_running_or_notify_cancel(self) -> bool:
        with self._condition:
            return self._state != CANCELLED_AND_NOTIFIED and super().set_running_or_notify_cancel()


class Call(Work):
    """One call whose result goes to a future."""

    def __init__(self, function: Function, data: bytes, future: "concurrent.futures.Future[Any]") -> None:
        super().__init__(function, FULL, (None,), data)
        self.future = future
        self._has_begun = False

    def begin(self) -> bool:
        if self._has_begun:
            return not self.future.cancelled()
        self._has_begun = True
        return self.future.set_running_or_notify_cancel()

    def finish(self, outcomes: Outcomes) -> None:
        succeeded, value = outcomes.outcome(0)
        if not succeeded:
            self.fail(value)
            return
        with contextlib.suppress(concurrent.futures.InvalidStateError):  # another thread has cancelled the future
            self.future.set_result(value)

    def fail(self, error: BaseException) -> None:
        if not self._has_begun and not self.begin():
            return
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self.future.set_exception(error)


def processors() -> int:
    """Returns how many processors this process may use."""
    return min(len(os.sched_getaffinity(0)), MOST_PROCESSES)


def read_count(name: str, value: Optional[SupportsIndex], most: int) -> Optional[int]:
    """Returns the value of the option with this name. Raises an exception if the value is wrong. None: the
    option was not given."""
    count = optional(whole_of, name, value)
    if count is not None and not 1 <= count <= most:
        raise ValueError(f"{name} must be from 1 to {most}, not {count}")
    return count


def read_timeout(name: str, value: Optional[float]) -> Optional[float]:
    seconds = optional(number_of, name, value)
    if seconds is not None and not 0 < seconds <= MOST_SECONDS:
        raise ValueError(f"{name} must be greater than 0 and at most {MOST_SECONDS}, not {value}")
    return seconds


def read_chunksize(value: Optional[SupportsIndex]) -> Optional[int]:
    size = optional(whole_of, "chunksize", value)
    if size is not None and size < 1:
        raise ValueError(f"chunksize must be at least 1, not {size}")
    return size


def make_engine(url: "Optional[Union[str, Client]]", processes: Optional[int], initializer: Optional[Callable[..., object]], initargs: Iterable[Any],
                calls_per_process: Optional[int], timeout_s: Optional[float], finish_at_exit: bool) -> Engine:
    """Makes the engine of an executor or a pool. The caller has checked the numbers among the arguments."""
    if initializer is not None and not callable(initializer):
        raise TypeError(f"initializer must be a callable, not {initializer!r}")
    arguments = tuple(values_of("initargs", initargs))
    if url is not None:
        if initializer is not None or calls_per_process is not None:
            raise ValueError("with url, an initializer and a number of calls for each process cannot be given, because the "
                             "operator of the fleet starts the processes")
        from ._remote_fleet import RemoteFleet
        return Engine(RemoteFleet(url, processes), timeout_s or 0.0, finish_at_exit)
    pickled = None
    if initializer is not None:
        pickled = dumps_named((initializer, arguments), f"the initializer {name_of(initializer)}")
    fleet = Fleet(processes or processors(), pickled, calls_per_process)
    return Engine(fleet, timeout_s or 0.0, finish_at_exit)


def function_for(function: Callable[..., Any]) -> Function:
    what = f"the function {name_of(function)}"
    buffers: list[pickle.PickleBuffer] = []
    with collected() as found:
        data = dumps_named(function, what, buffers)
        if len(data) + sum(buffer.raw().nbytes for buffer in buffers) > LARGE_FUNCTION_BYTES:
            from ._shared import store
            data = dumps(store(data, buffers))
        elif buffers:
            data = dumps_named(function, what)
    return Function(data, found)


class Executor(concurrent.futures.Executor):
    """Runs calls on a private fleet on this machine. The fleet starts immediately. The fleet ends when this object is
    shut down or deleted, or when this process ends. With url, runs calls on a fleet whose operator has installed the
    task `python-call`.

    max_workers          number of processes; the default is the number of processors that this process may use. With
                         url: the number of calls that run at the same time; the default is as many as the fleet can run
    url                  the URL of the coordinator, or a Client with a token or certificates
    initializer          is called with initargs in each process before its first call
    max_tasks_per_child  a process is replaced after this number of calls (for map: this number of chunks)
    item_timeout_s       a call that runs longer fails with an ItemError named "timed_out"

    A function may be an `async def` function. A process runs the coroutines of a batch at the same time.

    A call whose process dies fails with an ItemError. The other calls complete. If a call of a map kills its process,
    other calls of the same map may run more than once.
    """

    def __init__(self, max_workers: Optional[int] = None, url: "Optional[Union[str, Client]]" = None, *, initializer: Optional[Callable[..., object]] = None,
                 initargs: Iterable[Any] = (), max_tasks_per_child: Optional[int] = None,
                 item_timeout_s: Optional[float] = None) -> None:
        self._engine = make_engine(url, read_count("max_workers", max_workers, MOST_PROCESSES), initializer, initargs,
                                   read_count("max_tasks_per_child", max_tasks_per_child, MOST_CALLS),
                                   read_timeout("item_timeout_s", item_timeout_s), True)
        self._one_call_each = max_tasks_per_child is not None
        self._finalizer = weakref.finalize(self, self._engine.close)
        self._finalizer.atexit = False

    @overload
    def submit(self, fn: Callable[..., Coroutine[Any, Any, T]], /, *args: Any, **kwargs: Any) -> "concurrent.futures.Future[T]": ...

    @overload
    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "concurrent.futures.Future[T]": ...

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "concurrent.futures.Future[Any]":
        with collected() as stored:
            data = dumps_named([(args, kwargs)], f"an argument of {name_of(fn)}")
        return self._submit(function_for(fn), data, stored)

    def _submit(self, function: Function, data: bytes, stored: "list[Stored]") -> Future:
        """Submits a call whose parts are already pickled."""
        future = Future()
        call = Call(function, data, future)
        call.stored = stored
        engine = self._engine
        future._stop = lambda: engine.cancel(call)
        engine.add(call)
        return future

    @overload
    def map(self, fn: Callable[..., Coroutine[Any, Any, T]], *iterables: Iterable[Any], timeout: Optional[float] = None,
            chunksize: Optional[int] = None, buffersize: Optional[int] = None,
            return_exceptions: bool = False) -> Iterator[T]: ...

    @overload
    def map(self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: Optional[float] = None,
            chunksize: Optional[int] = None, buffersize: Optional[int] = None,
            return_exceptions: bool = False) -> Iterator[T]: ...

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], timeout: Optional[float] = None,
            chunksize: Optional[int] = None, buffersize: Optional[int] = None,
            return_exceptions: bool = False) -> Iterator[Any]:
        """As in concurrent.futures. Without chunksize, the best size of a batch is measured. But with buffersize or
        max_tasks_per_child, the default of chunksize is 1.

        buffersize: the iterables are read lazily, at most this number of batches ahead of the results.
        return_exceptions: an exception takes the place of the result of its call, and the other results follow.
        """
        chunksize = read_chunksize(chunksize)
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        deadline = None if timeout is None else time.monotonic() + number_of("timeout", timeout)
        function = function_for(fn)
        form = ONE if len(iterables) == 1 else STAR
        if buffersize is None:
            calls = iterables[0] if len(iterables) == 1 and type(iterables[0]) is range else list(zipped(iterables))
            size = chunksize or (1 if self._one_call_each else None)
            mapping = Mapping(self._engine, function, form, calls=calls, size=size)
        else:
            mapping = Mapping(self._engine, function, form, iterator=zipped(iterables), size=chunksize or 1,
                              window=buffersize)
            mapping.feed()
        return results_of(mapping, deadline, return_exceptions)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            for work in self._engine.take_pending():
                if isinstance(work, Call):
                    work.future.cancel()
                elif isinstance(work, Mapping):
                    work.cancel()
        self._engine.close()
        if wait:
            self._engine.join()

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        """Waits for the running calls. After Ctrl-C, ends them instead."""
        if kind is not None and not issubclass(kind, Exception):
            self._engine.terminate()
        self.shutdown(wait=True)
