"""The interface between the code that decides and the two clients that connect, send and wait.

A client asks a run for exchanges, sends the request of each one over a connection, and passes on the bytes that come
back. The client takes the results, and stops when the run has an error or is over.
"""
from __future__ import annotations

from typing import Any, Optional

from .._errors import FantailError
from .http import AnswerReader, BrokenAnswer, Head
from .lines import Answer

MAX_ANSWER_BYTES = 144 << 20
SILENCE_S = 90.0  # a coordinator sends something every 15 s


class Exchange:
    """One request and its answer. A subclass says what the parts of the answer mean."""

    def __init__(self, request: bytes, now: float) -> None:
        self.request = request
        self.is_over = False  # True: the client closes the connection, or keeps it if keep_alive is set
        self.keep_alive = False
        self._reader = AnswerReader()
        self._last_at = now

    def received(self, data: bytes, now: float) -> None:
        """Handles received bytes. May end the exchange."""
        self._last_at = now
        had_head = self._reader.head is not None
        try:
            body = self._reader.feed(data)
        except BrokenAnswer as error:
            self.is_over = True
            self.broken(str(error), now)
            return
        head = self._reader.head
        if head is None:
            return
        if not had_head:
            self.began(head, now)
        if body and not self.is_over:
            self.add(body, now)
        if self._reader.is_done and not self.is_over:
            self._finish(self._reader.keep_alive, now)

    def ended(self, why: FantailError, was_sent: bool, now: float) -> None:
        """Call it when the connection could not be made, or has ended. was_sent: whether
        a part of the request was sent."""
        if self.is_over:
            return
        if self._reader.end():
            self._finish(False, now)
            return
        self.is_over = True
        self.lost(why, was_sent, now)

    def _finish(self, keep_alive: bool, now: float) -> None:
        self.is_over = True
        self.keep_alive = keep_alive
        self.done(now)

    def reading(self, now: float) -> None:
        """Call it when the client begins to read after a pause."""
        self._last_at = max(self._last_at, now)

    def silent_at(self) -> float:
        """Returns the time at which the connection counts as lost if no byte arrives before then."""
        return self._last_at + SILENCE_S

    def wants_data(self) -> bool:
        """Returns whether the client should read. While the client does not read, the service keeps the answers."""
        return True

    # ---- a subclass implements these; `now` is the time of the event ----

    def began(self, head: Head, now: float) -> None:
        raise NotImplementedError

    def add(self, body: bytes, now: float) -> None:
        raise NotImplementedError

    def done(self, now: float) -> None:
        """Called when the answer is complete."""
        raise NotImplementedError

    def lost(self, why: FantailError, was_sent: bool, now: float) -> None:
        raise NotImplementedError

    def broken(self, why: str, now: float) -> None:
        """Called when the peer does not speak HTTP, or sends too much."""
        raise NotImplementedError


class WholeExchange(Exchange):
    """An exchange whose answer is read as a whole."""

    def __init__(self, request: bytes, now: float) -> None:
        super().__init__(request, now)
        self.head: Optional[Head] = None
        self._body = bytearray()

    def began(self, head: Head, now: float) -> None:
        self.head = head

    def add(self, body: bytes, now: float) -> None:
        self._body += body
        if len(self._body) > MAX_ANSWER_BYTES:
            self.is_over = True
            self.broken(f"an answer of more than {MAX_ANSWER_BYTES} bytes", now)

    def done(self, now: float) -> None:
        assert self.head
        self.answered(Answer(self.head, bytes(self._body)), now)

    def answered(self, answer: Answer, now: float) -> None:
        raise NotImplementedError


class Run:
    """A map, a stream of results, or another request."""

    def __init__(self) -> None:
        self.error: Optional[BaseException] = None  # the run has failed; the results so far can be taken
        self.is_over = False

    def next_exchange(self, now: float) -> Optional[Exchange]:
        """Returns an exchange whose request should be sent now. Call it until it returns None."""
        raise NotImplementedError

    def wake_at(self) -> Optional[float]:
        """Returns when to call next_exchange() again even if nothing has arrived; None: never."""
        return None

    def take(self) -> list[Any]:
        """Returns the new results. An ItemError in this list is the result of an item that failed."""
        return []

    @property
    def wants_items(self) -> bool:
        return False

    def add_item(self, item: Any) -> None:
        raise NotImplementedError

    def end_items(self, error: Optional[BaseException] = None) -> None:
        """Call it when there are no more items. error: the exception that the iterator of the items has
        raised; None: it has ended."""
        raise NotImplementedError
