"""The units of work of the engine. A unit is one call from submit(), or a batch of calls of a map."""
from __future__ import annotations

import math
import os
import pickle
from typing import TYPE_CHECKING, Any, Optional, Sequence

from ._errors import InitializerError, ItemError, RemoteTraceback
from ._pickling import collected, dumps, dumps_named
from ._process import LARGE_BYTES, read_file, read_object
from ._protocol import MAX_ITEM_BYTES

if TYPE_CHECKING:
    from ._shared import Stored

ONE, STAR, FULL = 0, 1, 2  # as in _process.py

PIECE_BYTES = 16 << 20
MOST_SENDS = 1000  # maximum sends of one piece, on average: each process that lacks a piece asks for it

SPLIT_TO_ONE = 64  # calls; a larger batch is first split into smaller batches

Outcome = tuple[bool, Any]  # (True, result) or (False, exception)
Piece = tuple[int, int, bytes]  # size of the object, offset of the piece, piece


class Function:
    """A pickled function. The pickle of a large function refers to a shared object. `stored` has the shared objects
    that the function needs."""

    def __init__(self, data: bytes, stored: "list[Stored]") -> None:
        self.data = data
        self.stored = stored


class Work:
    """Calls that are sent together. The engine calls begin() before it sends them. Later it calls finish() or fail(),
    unless the unit was cancelled or split."""

    def __init__(self, function: Function, form: int, calls: Sequence[Any], data: Optional[bytes] = None) -> None:
        self.function = function
        self.form = form
        self.calls = calls
        self.data = data  # the pickle of the calls, if it has been made
        self.stored: list[Stored] = []  # the shared objects that the calls need
        self._file: Optional[Stored] = None
        self._attached: dict[str, Piece] = {}  # pieces of shared objects that are sent with the calls
        self._sends = 0  # of pieces
        self.sent_bytes = 0
        self.attempts = 1
        self.losses = 0

    def begin(self) -> bool:
        """Returns False if the results are no longer wanted."""
        return True

    def root(self) -> "Work":
        """Returns the unit that was originally added: this unit, or the one that it was split from."""
        return self

    def finish(self, outcomes: "Outcomes") -> None:
        raise NotImplementedError

    def fail(self, error: BaseException) -> None:
        """Makes each call of the unit fail with `error`. None of the calls has a result yet."""
        raise NotImplementedError

    def payload(self, versions: "Optional[tuple[str, str]]") -> bytes:
        """Returns what is sent. versions: None for a private fleet. Only a private fleet can read files of this process."""
        buffers: "Optional[list[pickle.PickleBuffer]]" = [] if versions is None else None
        data = self._pickled(buffers)
        size = len(data) + sum(buffer.raw().nbytes for buffer in buffers or ())
        reference: Optional[str] = None
        if versions is None and size > LARGE_BYTES:
            reference = self._path(data, buffers or [])
        if reference is None and buffers:
            data = self._pickled(None)
        payload = pickle.dumps((self.function.data, self.form, reference or data, versions, self._attached), 5)
        if len(payload) > MAX_ITEM_BYTES:
            most = MAX_ITEM_BYTES - self._attached_bytes()
            raise ItemError("refused", f"the pickled arguments have {size} bytes, and at most {most} bytes can be sent")
        self.sent_bytes = len(payload) + (size if reference else 0)
        return payload

    def _pickled(self, buffers: "Optional[list[pickle.PickleBuffer]]") -> bytes:
        if self.data is not None:
            return self.data
        with collected() as self.stored:
            if len(self.calls) > 1:
                return dumps(self.calls, buffers)
            return dumps_named(self.calls, "the argument", buffers)

    def _path(self, data: bytes, buffers: "list[pickle.PickleBuffer]") -> Optional[str]:
        """Writes the calls into a file, which stays until this unit of work has ended. Returns None if the disk is
        full."""
        from ._shared import store_for_once
        try:
            self._file = store_for_once(data, buffers)
        except OSError:
            return None
        return self._file.path

    def attach(self, key: str, offset: int) -> None:
        """Adds this piece of a shared object to the next attempt, because the process of the last attempt did not have the
        piece. The next attempt may run in another process. That process keeps the piece, and asks for one that it lacks.
        All attached pieces together have at most PIECE_BYTES, so that there is room for the calls."""
        for stored in self.function.stored + self.stored:
            if stored.key == key and self._sends < MOST_SENDS * (1 + stored.size // PIECE_BYTES):
                self._sends += 1
                self._attached.pop(key, None)
                piece = stored.piece(offset, PIECE_BYTES)
                while self._attached_bytes() + len(piece) > PIECE_BYTES:
                    del self._attached[next(iter(self._attached))]
                self._attached[key] = stored.size, offset, piece
                return
        raise ItemError("call_not_unpicklable", f"the shared object {key} is missing in the process")

    def _attached_bytes(self) -> int:
        return sum(len(piece) for _, _, piece in self._attached.values())

    def split(self) -> "list[Work]":
        """Returns the same calls in smaller units, which give their results to this object. A batch of at most
        SPLIT_TO_ONE calls is split into single calls. A larger batch of n calls is split into about sqrt(n) units."""
        calls = len(self.calls)
        size = 1 if calls <= SPLIT_TO_ONE else math.isqrt(calls)
        whole = _Whole(self)
        return [_Part(whole, start, min(start + size, calls)) for start in range(0, calls, size)]


class Missing(Exception):
    """A process does not have a piece of the shared object with this key."""

    def __init__(self, key: str, offset: int) -> None:
        super().__init__(key, offset)
        self.key = key
        self.offset = offset


class Outcomes:
    """The results of some calls, in their order. `failures` has the exceptions by the index of the call."""

    def __init__(self, results: list[Any], failures: dict[int, BaseException], seconds: float = 0.0,
                 size_bytes: int = 0) -> None:
        self.results = results
        self.failures = failures
        self.seconds = seconds
        self.size_bytes = size_bytes

    def __len__(self) -> int:
        return len(self.results)

    def outcome(self, index: int) -> Outcome:
        if index in self.failures:
            return False, self.failures[index]
        return True, self.results[index]


class _Whole:
    """The results of a unit of work that was split."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.left = len(work.calls)
        self.outcomes = Outcomes([None] * self.left, {})

    def settle(self, start: int, outcomes: Outcomes) -> None:
        self.outcomes.results[start:start + len(outcomes)] = outcomes.results
        for index, error in outcomes.failures.items():
            self.outcomes.failures[start + index] = error
        self.left -= len(outcomes)
        if not self.left:
            self.work.finish(self.outcomes)


class _Part(Work):
    def __init__(self, whole: _Whole, start: int, stop: int) -> None:
        super().__init__(whole.work.function, whole.work.form, whole.work.calls[start:stop])
        self.attempts = whole.work.attempts + 1
        self._whole = whole
        self._start = start

    def begin(self) -> bool:
        return self._whole.work.begin()

    def root(self) -> Work:
        return self._whole.work.root()

    def finish(self, outcomes: Outcomes) -> None:
        self._whole.settle(self._start, outcomes)

    def fail(self, error: BaseException) -> None:
        calls = len(self.calls)
        self._whole.settle(self._start, Outcomes([None] * calls, dict.fromkeys(range(calls), error)))


def read_outcomes(payload: bytes, calls: int, may_be_file: bool) -> Outcomes:
    """Reads an answer of _process.py. Raises an ItemError if an object cannot be rebuilt in the worker's process or in
    this one. may_be_file: the process may have put the answer into a file on this machine."""
    size = len(payload)
    try:
        answer = pickle.loads(payload)
        if may_be_file and isinstance(answer, str):
            view = read_file(answer)
            os.unlink(answer)
            size = view.nbytes
            answer = read_object(view)
        results, failures, seconds = answer
    except BaseException as error:
        raise ItemError("result_not_unpicklable", f"{type(error).__name__}: {error}") from error
    if results is None:
        raise _exception_of(*failures[0])
    if len(results) != calls:
        raise ItemError("bad_output", f"{calls} calls have {len(results)} results")
    return Outcomes(results, {index: _exception_of(*failure) for index, failure in failures.items()}, seconds, size)


def _exception_of(kind: str, text: str, data: Optional[bytes], trace: str) -> BaseException:
    if kind == "missing_object":
        key, offset = text.split()
        return Missing(key, int(offset))
    error = _rebuilt(kind, text, data)
    if trace:
        error.__cause__ = RemoteTraceback(trace)
    if kind != "initializer":
        return error
    broken = InitializerError(f"the initializer raised {text}")
    broken.__cause__ = error
    return broken


def _rebuilt(kind: str, text: str, data: Optional[bytes]) -> BaseException:
    if kind == "exited":
        status = int(text) if text.isdigit() else 0 if text == "None" else 1
        return ItemError(kind, f"the function called sys.exit({'' if text == 'None' else text})", exit_code=status)
    if data is None:
        return ItemError(kind, text)
    try:
        error = pickle.loads(data)
    except BaseException as why:
        return ItemError("exception_not_picklable", f"{text} (it cannot be rebuilt: {type(why).__name__}: {why})")
    return error if isinstance(error, BaseException) else ItemError("exception_not_picklable", text)


