"""The pool: multiprocessing.Pool on a private fleet."""
from __future__ import annotations

import multiprocessing
import threading
import time
import traceback
import weakref
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import (TYPE_CHECKING, Any, Callable, Generic, Iterable, Iterator, Mapping as MappingType, Optional, TypeVar,
                    Union)

from ._core.arguments import iterator_of, mapping_of, number_of, values_of
from ._engine import Engine
from ._executor import MOST_CALLS, MOST_PROCESSES, function_for, make_engine, read_chunksize, read_count, read_timeout
from ._mapping import Mapping
from ._pickling import collected, dumps_named, name_of
from ._work import FULL, ONE, STAR, Function, Outcomes, Work

if TYPE_CHECKING:
    from ._client import Client

T = TypeVar("T")


class AsyncResult(Generic[T]):
    """The future result of a call or of a map."""

    def __init__(self, callback: Optional[Callable[[Any], object]], error_callback: Optional[Callable[[Any], object]]) -> None:
        self._event = threading.Event()
        self._value: Any = None
        self._error: Optional[BaseException] = None
        self._callback = callback
        self._error_callback = error_callback

    def ready(self) -> bool:
        return self._event.is_set()

    def successful(self) -> bool:
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._error is None

    def wait(self, timeout: Optional[float] = None) -> None:
        self._event.wait(timeout)

    def get(self, timeout: Optional[float] = None) -> T:
        if not self._event.wait(timeout):
            raise multiprocessing.TimeoutError
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[no-any-return]

    def _settle(self, value: Any, error: Optional[BaseException]) -> None:
        self._value, self._error = value, error
        callback, argument = (self._callback, value) if error is None else (self._error_callback, error)
        if callback is not None:
            try:
                callback(argument)
            except Exception:
                traceback.print_exc()
        self._event.set()


class _Apply(Work):
    def __init__(self, function: Function, data: bytes, result: "AsyncResult[Any]") -> None:
        super().__init__(function, FULL, (None,), data)
        self._result = result

    def finish(self, outcomes: Outcomes) -> None:
        succeeded, value = outcomes.outcome(0)
        self._result._settle(value if succeeded else None, None if succeeded else value)

    def fail(self, error: BaseException) -> None:
        self._result._settle(None, error)


class ResultIterator(Iterator[T]):
    """The results of imap(). If a call failed, next() raises the exception of that call instead of returning a result.
    The iteration can continue."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._outcomes: Optional[Outcomes] = None
        self._at = 0
        self._finalizer = weakref.finalize(self, mapping.cancel)
        self._finalizer.atexit = False

    def __iter__(self) -> "ResultIterator[T]":
        return self

    def __next__(self) -> T:
        return self.next()

    def next(self, timeout: Optional[float] = None) -> T:
        while self._outcomes is None or self._at == len(self._outcomes):
            deadline = None if timeout is None else time.monotonic() + number_of("timeout", timeout)
            try:
                self._outcomes, self._at = self._mapping.next_outcomes(deadline), 0
            except FutureTimeoutError:
                raise multiprocessing.TimeoutError from None
            if self._outcomes is None:
                raise StopIteration
        succeeded, value = self._outcomes.outcome(self._at)
        self._at += 1
        if not succeeded:
            raise value
        return value  # type: ignore[no-any-return]


class Pool:
    """Has the methods of multiprocessing.Pool. maxtasksperchild and chunksize mean the same as in multiprocessing.

    Without chunksize, the best size of a batch is measured. But with maxtasksperchild, the default of chunksize is 1.
    imap() reads its iterable lazily, only a few batches ahead of the results that were read. With `return_exceptions`,
    an exception takes the place of the result of its call.
    """

    def __init__(self, processes: Optional[int] = None, initializer: Optional[Callable[..., object]] = None,
                 initargs: Iterable[Any] = (), maxtasksperchild: Optional[int] = None, *,
                 url: "Optional[Union[str, Client]]" = None, item_timeout_s: Optional[float] = None) -> None:
        try:
            calls_per_process = read_count("maxtasksperchild", maxtasksperchild, MOST_CALLS)
        except TypeError as error:
            raise ValueError(error) from None  # as in multiprocessing
        self._engine: Engine = make_engine(url, read_count("processes", processes, MOST_PROCESSES), initializer, initargs,
                                           calls_per_process,
                                           read_timeout("item_timeout_s", item_timeout_s), False)
        self._fixed_size = 1 if maxtasksperchild is not None else None
        self._is_open = True
        self._finalizer = weakref.finalize(self, self._engine.close)
        self._finalizer.atexit = False

    def _check_open(self) -> None:
        if not self._is_open:
            raise ValueError("Pool not running")

    # ---- one call ----

    def apply(self, func: Callable[..., T], args: Iterable[Any] = (), kwds: "MappingType[str, Any]" = {}) -> T:
        return self.apply_async(func, args, kwds).get()

    def apply_async(self, func: Callable[..., T], args: Iterable[Any] = (), kwds: "MappingType[str, Any]" = {},
                    callback: Optional[Callable[[T], object]] = None,
                    error_callback: Optional[Callable[[BaseException], object]] = None) -> "AsyncResult[T]":
        self._check_open()
        with collected() as stored:
            data = dumps_named([(tuple(values_of("args", args)), mapping_of("kwds", kwds))], f"an argument of {name_of(func)}")
        result: AsyncResult[T] = AsyncResult(callback, error_callback)
        call = _Apply(function_for(func), data, result)
        call.stored = stored
        self._engine.add(call)
        return result

    # ---- all results at once ----

    def map(self, func: Callable[[Any], T], iterable: Iterable[Any], chunksize: Optional[int] = None, *,
            return_exceptions: bool = False) -> "list[T]":
        results: list[T] = self._map_async(func, iterable, ONE, chunksize, None, None, return_exceptions).get()
        return results

    def map_async(self, func: Callable[[Any], T], iterable: Iterable[Any], chunksize: Optional[int] = None,
                  callback: Optional[Callable[["list[T]"], object]] = None,
                  error_callback: Optional[Callable[[BaseException], object]] = None, *,
                  return_exceptions: bool = False) -> "AsyncResult[list[T]]":
        return self._map_async(func, iterable, ONE, chunksize, callback, error_callback, return_exceptions)

    def starmap(self, func: Callable[..., T], iterable: Iterable[Iterable[Any]], chunksize: Optional[int] = None, *,
                return_exceptions: bool = False) -> "list[T]":
        results: list[T] = self._map_async(func, iterable, STAR, chunksize, None, None, return_exceptions).get()
        return results

    def starmap_async(self, func: Callable[..., T], iterable: Iterable[Iterable[Any]], chunksize: Optional[int] = None,
                      callback: Optional[Callable[["list[T]"], object]] = None,
                      error_callback: Optional[Callable[[BaseException], object]] = None, *,
                      return_exceptions: bool = False) -> "AsyncResult[list[T]]":
        return self._map_async(func, iterable, STAR, chunksize, callback, error_callback, return_exceptions)

    def _map_async(self, func: Callable[..., Any], iterable: Iterable[Any], form: int, chunksize: Optional[int],
                   callback: Any, error_callback: Any, return_exceptions: bool) -> "AsyncResult[Any]":
        self._check_open()
        size = read_chunksize(chunksize) or self._fixed_size
        result: AsyncResult[Any] = AsyncResult(callback, error_callback)

        def on_end(mapping: Mapping) -> None:
            try:
                value = mapping.all_results(return_exceptions)
            except BaseException as error:
                result._settle(None, error)
            else:
                result._settle(value, None)

        calls = iterable if type(iterable) is range else list(iterator_of("iterable", iterable))
        Mapping(self._engine, function_for(func), form, calls=calls, size=size, on_end=on_end)
        return result

    # ---- one result after another ----

    def imap(self, func: Callable[[Any], T], iterable: Iterable[Any], chunksize: Optional[int] = None) -> "ResultIterator[T]":
        return self._imap(func, iterable, chunksize, True)

    def imap_unordered(self, func: Callable[[Any], T], iterable: Iterable[Any],
                       chunksize: Optional[int] = None) -> "ResultIterator[T]":
        return self._imap(func, iterable, chunksize, False)

    def _imap(self, func: Callable[[Any], T], iterable: Iterable[Any], chunksize: Optional[int],
              in_order: bool) -> "ResultIterator[T]":
        self._check_open()
        size = read_chunksize(chunksize) or self._fixed_size
        mapping = Mapping(self._engine, function_for(func), ONE, iterator=iterator_of("iterable", iterable),
                          size=size, in_order=in_order)
        mapping.feed()
        return ResultIterator(mapping)

    # ---- the end ----

    def close(self) -> None:
        """Accepts no more calls. The calls that have been accepted still run to their end."""
        self._is_open = False
        self._engine.close()

    def terminate(self) -> None:
        """Ends all processes. The calls that have no result yet fail."""
        self._is_open = False
        self._engine.terminate()
        self._engine.join()

    def join(self) -> None:
        """Waits until the processes have ended. Call close() or terminate() first."""
        if self._is_open:
            raise ValueError("Pool is still running")
        self._engine.join()

    def __enter__(self) -> "Pool":
        self._check_open()
        return self

    def __exit__(self, *_: Any) -> None:
        self.terminate()
