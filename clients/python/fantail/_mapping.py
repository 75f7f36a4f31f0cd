"""The calls of one map, and their results."""
from __future__ import annotations

import collections
import threading
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Callable, Iterator, Optional, Sequence

from ._core.arguments import iterator_of
from ._engine import Engine, Source
from ._sizing import BatchSize
from ._work import Function, Outcomes, Work

GATHER_S = 0.005  # after this time a batch is sent, even if the generator has yielded only a few calls


class _Batch(Work):
    def __init__(self, mapping: "Mapping", index: int, calls: Sequence[Any]) -> None:
        super().__init__(mapping.function, mapping.form, calls)
        self._mapping = mapping
        self._index = index

    def begin(self) -> bool:
        return not self._mapping.is_cancelled

    def finish(self, outcomes: Outcomes) -> None:
        self._mapping.settled(self, self._index, outcomes)

    def fail(self, error: BaseException) -> None:
        calls = len(self.calls)
        self.finish(Outcomes([None] * calls, dict.fromkeys(range(calls), error)))


class Mapping(Source):
    """A map. If the calls of the map are a sequence, the engine takes batches when it has room. If the calls come from
    an iterator, the thread that reads the results also reads the iterator, at most `window` batches ahead of the
    results."""

    def __init__(self, engine: Engine, function: Function, form: int, *, calls: Optional[Sequence[Any]] = None,
                 iterator: Optional[Iterator[Any]] = None, size: Optional[int] = None, window: int = 0,
                 in_order: bool = True, on_end: Optional[Callable[["Mapping"], None]] = None) -> None:
        self.function = function
        self.form = form
        self.is_cancelled = False
        self._engine = engine
        self._calls = calls
        self._iterator = iterator
        self._size = BatchSize(size)
        self._window = window or 2 * engine.slots + 2
        self._in_order = in_order
        self._on_end = on_end
        self._condition = threading.Condition()
        self._position = 0
        self._made = 0  # batches
        self._read = 0
        self._is_exhausted = False
        self._source_error: Optional[BaseException] = None
        self._under_way: set[Work] = set()
        self._done: dict[int, Outcomes] = {}
        self._order_of_end: collections.deque[int] = collections.deque()
        if calls is not None:
            engine.add(self)

    # ---- the engine ----

    def pull(self) -> Optional[Work]:
        assert self._calls is not None
        left = len(self._calls) - self._position
        if left <= 0 or self.is_cancelled:
            self._exhausted(None)
            return None
        count = self._size.next(left, self._engine.slots)
        calls = self._calls[self._position:self._position + count]
        self._position += count
        return self._made_batch(calls)

    def fail(self, error: BaseException) -> None:
        self._exhausted(error)

    def settled(self, batch: Work, index: int, outcomes: Outcomes) -> None:
        with self._condition:
            self._under_way.discard(batch)
            if outcomes.size_bytes:
                self._size.measured(len(outcomes), outcomes.seconds, outcomes.size_bytes)
            self._done[index] = outcomes
            self._order_of_end.append(index)
            self._condition.notify_all()
        self._end_if_done()

    def _made_batch(self, calls: Sequence[Any]) -> Work:
        with self._condition:
            batch = _Batch(self, self._made, calls)
            self._made += 1
            self._under_way.add(batch)
        return batch

    def _exhausted(self, error: Optional[BaseException]) -> None:
        with self._condition:
            self._is_exhausted = True
            self._source_error = error
            self._condition.notify_all()
        self._end_if_done()

    def _end_if_done(self) -> None:
        with self._condition:
            if not self._is_exhausted or self._under_way or not self._on_end:
                return
            on_end, self._on_end = self._on_end, None
        on_end(self)

    # ---- the reader ----

    def feed(self) -> None:
        """Reads from the iterator until the window is full."""
        while self._iterator is not None and not self._is_exhausted and self._made - self._read < self._window:
            calls, error = self._gather(self._size.next(None, self._engine.slots))
            if calls:
                self._engine.add(self._made_batch(calls))
            if error is not None:
                self._exhausted(None if isinstance(error, StopIteration) else error)

    def _gather(self, count: int) -> "tuple[list[Any], Optional[BaseException]]":
        assert self._iterator is not None
        calls: list[Any] = []
        end = time.monotonic() + GATHER_S
        try:
            while len(calls) < count:
                calls.append(next(self._iterator))
                if time.monotonic() > end:
                    break
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return calls, error
        return calls, None

    def next_outcomes(self, deadline: Optional[float] = None) -> Optional[Outcomes]:
        """Returns the results of the next batch; None after the last one."""
        self.feed()
        with self._condition:
            while True:
                if self._in_order and self._read in self._done:
                    index = self._read
                    break
                if not self._in_order and self._order_of_end:
                    index = self._order_of_end.popleft()
                    break
                if self._is_exhausted and self._read == self._made:
                    if self._source_error is not None:
                        error, self._source_error = self._source_error, None
                        raise error
                    return None
                timeout = None if deadline is None else deadline - time.monotonic()
                if timeout is not None and timeout <= 0:
                    raise FutureTimeoutError()
                self._condition.wait(timeout)
            self._read += 1
            return self._done.pop(index)

    def all_results(self, return_exceptions: bool) -> list[Any]:
        """Call it when the map has ended. Returns all results in the order of the calls. Without `return_exceptions`,
        raises the first exception."""
        results: list[Any] = []
        if self._source_error is not None:
            raise self._source_error
        for index in range(self._made):
            outcomes = self._done.pop(index)
            if outcomes.failures and not return_exceptions:
                raise outcomes.failures[min(outcomes.failures)]
            for at, error in outcomes.failures.items():
                outcomes.results[at] = error
            results += outcomes.results
        return results

    def cancel(self) -> None:
        """Drops the calls that have not begun, and stops the processes of the calls that run."""
        with self._condition:
            self.is_cancelled = self._is_exhausted = True
            under_way = list(self._under_way)
        for batch in under_way:
            self._engine.cancel(batch)


def zipped(iterables: Sequence[Any]) -> "Iterator[Any]":
    iterators = [iterator_of(f"iterables[{at}]", iterable) for at, iterable in enumerate(iterables)]
    return iterators[0] if len(iterators) == 1 else zip(*iterators)


def results_of(mapping: Mapping, deadline: Optional[float], return_exceptions: bool) -> Iterator[Any]:
    """Yields the results. The first exception ends the iteration, unless `return_exceptions` is set."""
    try:
        while True:
            outcomes = mapping.next_outcomes(deadline)
            if outcomes is None:
                return
            if not outcomes.failures:
                results = outcomes.results[::-1]
                del outcomes
                while results:
                    yield results.pop()  # pop(), so that the generator keeps no reference to a result
                continue
            for index in range(len(outcomes)):
                succeeded, value = outcomes.outcome(index)
                if succeeded or return_exceptions:
                    yield value
                else:
                    raise value
    finally:
        mapping.cancel()

