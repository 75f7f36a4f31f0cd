"""The background thread of an executor or a pool. It starts the fleet, sends units of work to the fleet and passes on
their results.

    add(), cancel(), take_pending(), close(), terminate(), join()  any thread
    everything else  the background thread, which alone uses the connections and the fleet

Each unit of work that was sent has its own connection. A coordinator with several waiting jobs does not promise to
start them in order. So the engine sends a unit only when a process is free for it, and the units begin in the order in
which they were added. The order matters because a call may wait for an earlier call.
"""
from __future__ import annotations

import atexit
import collections
import contextlib
import enum
import os
import selectors
import socket
import threading
import time
import traceback
import weakref
from typing import TYPE_CHECKING, Optional, Union

from ._connection import Connection, Lost
from ._core.http import BrokenAnswer
from ._errors import FleetError, ItemError, NotFantail, Refused
from ._protocol import HttpAnswer, read_answer, request_of
from ._work import Missing, Work, read_outcomes

if TYPE_CHECKING:
    from ._fleet import Fleet
    from ._remote_fleet import RemoteFleet

RETRY_S = 0.05
LONGEST_RETRY_S = 2.0
NEVER_SPLIT = ("coordinator_lost", "function_not_unpicklable", "versions_differ")


class Source:
    """Makes units of work when the engine has room for them."""

    def pull(self) -> Optional[Work]:
        """Returns the next unit of work; None if there are no more."""
        raise NotImplementedError

    def fail(self, error: BaseException) -> None:
        """The engine calls this if it ends before pull() has returned None."""
        raise NotImplementedError


class State(enum.Enum):
    OPEN = "open"
    CLOSING = "closing"  # the engine ends when all units of work are settled
    ENDING = "ending"  # the engine ends immediately
    ENDED = "ended"


_engines: "weakref.WeakSet[Engine]" = weakref.WeakSet()


class Engine:
    def __init__(self, fleet: "Union[Fleet, RemoteFleet]", timeout_s: float = 0.0, finish_at_exit: bool = True) -> None:
        self.slots = fleet.slots
        self.finish_at_exit = finish_at_exit
        self._fleet = fleet
        self._timeout_s = timeout_s
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._state = State.OPEN
        self._error: Optional[BaseException] = None
        self._queue: collections.deque[Union[Work, Source]] = collections.deque()
        self._unwanted: set[Work] = set()
        self._is_woken = False
        self._connections: set[Connection[Work]] = set()
        self._idle: list[Connection[Work]] = []
        self._is_ready = False
        self._retry_at: Optional[float] = None
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="fantail", daemon=True)
        _engines.add(self)
        self._thread.start()

    # ---- any thread ----

    @property
    def is_open(self) -> bool:
        return self._state == State.OPEN

    def add(self, work: Union[Work, Source]) -> None:
        if os.getpid() != self._owner:
            raise RuntimeError("this process was forked from the process that made the executor or pool; make a new "
                               "executor or pool here")
        with self._lock:
            if self._error:
                raise self._error
            if self._state != State.OPEN:
                raise RuntimeError("cannot take calls after shutdown")
            self._queue.append(work)
        self._wake()

    def cancel(self, work: Work) -> None:
        """Drops this unit of work, and stops the process that runs it. After that, the engine calls neither finish() nor
        fail() for this unit of work."""
        with self._lock:
            self._unwanted.add(work)
        self._wake()

    def take_pending(self) -> "list[Union[Work, Source]]":
        """Removes and returns the units of work and the sources in the queue."""
        with self._lock:
            taken = list(self._queue)
            self._queue.clear()
        self._wake()
        return taken

    def close(self) -> None:
        self._move(State.CLOSING)

    def terminate(self) -> None:
        self._move(State.ENDING)

    def join(self) -> None:
        if os.getpid() == self._owner and threading.current_thread() is not self._thread:
            self._thread.join()

    def _move(self, state: State) -> None:
        if os.getpid() != self._owner:
            return  # another thread may have held the lock at the fork, so a forked child cannot use it
        order = list(State)
        with self._lock:
            if order.index(state) <= order.index(self._state):
                return
            self._state = state
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            if self._is_woken or self._state == State.ENDED:
                return
            self._is_woken = True
            with contextlib.suppress(OSError):
                self._wake_out.send(b"!")

    # ---- the background thread ----

    def _run(self) -> None:
        try:
            try:
                self._start()
                while not self._is_over():
                    self._turn()
                error: BaseException = ItemError("cancelled", "the executor or pool was ended")
            except BaseException as caught:
                error = caught
            self._end(error)
        except BaseException:
            traceback.print_exc()

    def _start(self) -> None:
        self._selector.register(self._wake_in, selectors.EVENT_READ, self._wake_in)
        self._ready_fd = self._fleet.start()
        self._selector.register(self._ready_fd, selectors.EVENT_READ, self._ready_fd)

    def _is_over(self) -> bool:
        with self._lock:
            if self._state == State.CLOSING:
                return not self._queue and len(self._idle) == len(self._connections)
            return self._state == State.ENDING

    def _turn(self) -> None:
        self._drop_unwanted()
        if self._retry_at is not None and time.monotonic() >= self._retry_at:
            self._retry_at = None
        if self._is_ready and self._retry_at is None:
            self._send_works()
        if self._is_over():
            return
        timeout = None if self._retry_at is None else max(0.0, self._retry_at - time.monotonic())
        for key, events in self._selector.select(timeout):
            if isinstance(key.data, Connection):
                self._use(key.data, events)
            elif key.data is self._wake_in:
                self._read_wakes()
            else:
                self._fleet.read_ready()
                self._is_ready = True

    def _read_wakes(self) -> None:
        with self._lock, contextlib.suppress(BlockingIOError):
            self._is_woken = False
            self._wake_in.recv(64)

    def _drop_unwanted(self) -> None:
        with self._lock:
            unwanted, self._unwanted = self._unwanted, set()
            if unwanted:
                self._queue = collections.deque(
                    work for work in self._queue if isinstance(work, Source) or work.root() not in unwanted)
        if unwanted:
            for connection in list(self._connections):
                if connection.work and connection.work.root() in unwanted:
                    self._drop(connection)

    def _send_works(self) -> None:
        while len(self._connections) - len(self._idle) < self.slots:
            work = self._next_work()
            if work is None:
                return
            try:
                payload = work.payload(self._fleet.versions)
                request = request_of(payload, self._timeout_s, self._fleet.prefix, self._fleet.fields())
            except Exception as error:
                self._failed(work, error)
                continue
            self._send(work, request)
            if self._retry_at is not None:
                return

    def _next_work(self) -> Optional[Work]:
        while True:
            with self._lock:
                if not self._queue:
                    return None
                first = self._queue[0]
                if isinstance(first, Work):
                    self._queue.popleft()
            if isinstance(first, Work):
                if first.begin():
                    return first
                continue
            work = first.pull()
            if work is not None:
                return work
            with self._lock, contextlib.suppress(ValueError):
                self._queue.remove(first)

    def _send(self, work: Work, request: bytes) -> None:
        try:
            connection = self._idle_connection() or self._connect()
        except Lost:
            self._lost(work)
            return
        connection.send(request, work)
        if connection.wire.wants_write():
            self._selector.modify(connection, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)

    def _idle_connection(self) -> "Optional[Connection[Work]]":
        while self._idle:
            connection = self._idle[-1]
            if connection.wire.is_usable():
                return self._idle.pop()
            self._drop(connection)
        return None

    def _connect(self) -> "Connection[Work]":
        connection: Connection[Work] = Connection(self._fleet.connect())
        self._connections.add(connection)
        self._selector.register(connection, selectors.EVENT_READ, connection)
        return connection

    def _drop(self, connection: "Connection[Work]") -> None:
        self._selector.unregister(connection)
        self._connections.discard(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)
        connection.wire.close()

    def _use(self, connection: "Connection[Work]", events: int) -> None:
        if events & selectors.EVENT_WRITE:
            connection.wire.write()
            if not connection.wire.wants_write():
                self._selector.modify(connection, selectors.EVENT_READ, connection)
        if not events & selectors.EVENT_READ:
            return
        try:
            answer = connection.read()
        except (Lost, BrokenAnswer):
            self._drop(connection)
            if connection.work:
                self._lost(connection.work)
            return
        if answer:
            work, connection.work = connection.work, None
            if answer.keep_alive and not connection.wire.wants_write():
                self._idle.append(connection)
            else:
                self._drop(connection)
            if work:
                self._settle(work, answer)

    def _lost(self, work: Work) -> None:
        """Sends the unit of work again after a pause, because the coordinator was lost or is restarting. After several
        losses, the unit fails."""
        work.losses += 1
        if work.losses > self._fleet.most_losses:
            error = ItemError("coordinator_lost", "the coordinator was lost several times before the answer",
                              attempts=work.losses)
            self._failed(work, error)
            return
        self._retry_at = time.monotonic() + min(RETRY_S * 2 ** work.losses, LONGEST_RETRY_S)
        with self._lock:
            self._queue.appendleft(work)

    def _settle(self, work: Work, answer: HttpAnswer) -> None:
        try:
            refusal = self._fleet.refusal(answer)
            if refusal:
                raise refusal
            value = read_answer(answer)
            if isinstance(value, ItemError):
                raise value
            outcomes = read_outcomes(value, len(work.calls), self._fleet.versions is None)
        except Lost:
            self._lost(work)
            return
        except Missing as missing:
            self._attach(work, missing)
            return
        except BaseException as error:
            self._failed(work, error)
            return
        outcomes.size_bytes = max(outcomes.size_bytes, work.sent_bytes)
        self._guard(lambda: work.finish(outcomes))

    def _attach(self, work: Work, missing: Missing) -> None:
        try:
            work.attach(missing.key, missing.offset)
        except Exception as error:
            self._failed(work, error)
            return
        with self._lock:
            self._queue.appendleft(work)

    def _failed(self, work: Work, error: BaseException) -> None:
        """If the calls of a batch failed together, runs the calls again in smaller units, to find the call that caused
        the failure. Any other unit of work fails."""
        if isinstance(error, ItemError):
            error.attempts += work.attempts - 1
        may_split = not isinstance(error, (FleetError, Refused, NotFantail)) and getattr(error, "name", "") not in NEVER_SPLIT
        if len(work.calls) > 1 and may_split:
            with self._lock:
                self._queue.extendleft(reversed(work.split()))
            return
        self._guard(lambda: work.fail(error))

    @staticmethod
    def _guard(call) -> None:  # type: ignore[no-untyped-def]
        """Calls finish() or fail(). They may run a callback of the user, which may raise any exception."""
        try:
            call()
        except BaseException:
            traceback.print_exc()

    def _end(self, error: BaseException) -> None:
        with self._lock:
            at_once = self._state != State.CLOSING
            self._state = State.ENDED
            self._error = error if isinstance(error, FleetError) else None
            left = list(self._queue)
            self._queue.clear()
        under_way = [c.work for c in self._connections if c.work]
        for connection in list(self._connections):
            self._drop(connection)
        for work in under_way + left:
            self._guard(lambda: work.fail(error))  # noqa: B023
        self._fleet.end(at_once)
        self._selector.close()
        with self._lock:
            self._wake_in.close()
            self._wake_out.close()


@atexit.register
def _end_all() -> None:
    """Runs when the interpreter exits. Finishes the calls of executors, as in concurrent.futures, but ends pools
    immediately."""
    engines = [engine for engine in _engines if engine._owner == os.getpid()]
    try:
        for engine in engines:
            if engine.finish_at_exit:
                engine.close()
            else:
                engine.terminate()
        for engine in engines:
            engine.join()
    except BaseException:  # another Ctrl-C
        for engine in engines:
            engine.terminate()
        for engine in engines:
            engine.join()
        raise
