"""One job of a map: which of its items have an answer, and one attempt to get the missing answers."""
from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Optional

from .._errors import FantailError, ItemError
from .http import Head
from .lines import NDJSON, Answer, BrokenLine, LineReader, item_error
from .outage import Tries
from .run import Exchange

if TYPE_CHECKING:
    from .map_run import MapRun

MAX_PROBLEM_BYTES = 1 << 20


class JobState(enum.Enum):
    WAITING = "waiting"  # waits to be sent, from retry_at on
    RUNNING = "running"
    IN_DOUBT = "in doubt"  # was lost, and it is not known whether its items may run twice
    ENDED = "ended"


class Cut(Exception):
    """The service sent an answer that a coordinator never sends."""


class MapJob:
    """`first`: the position that the first item of the job has in the iterable of the map."""

    def __init__(self, first: int, items: list[bytes], size_bytes: int) -> None:
        self.first = first
        self.size_bytes = size_bytes
        self.items = items
        self.is_answered = bytearray(len(items))
        self.left = len(items)
        # Items that the coordinator has cancelled, and whether they were sent to a worker. If the coordinator is
        # draining, these items may be sent to another coordinator. Only the end line says whether it is draining. So the
        # errors of cancelled items are held back until the end line has arrived.
        self.cancelled: dict[int, tuple[ItemError, bool]] = {}
        self.is_drained = False
        self.state = JobState.WAITING
        self.retry_at = 0.0
        self.tries = Tries()
        self.held_bytes = 0
        self.failure: Optional[FantailError] = None  # the job ended early; raised after its answers

    def unanswered(self) -> list[int]:
        return [at for at, answered in enumerate(self.is_answered) if not answered]


class Attempt(Exchange):
    """Sends the unanswered items of a job."""

    def __init__(self, run: "MapRun", job: MapJob, request: bytes, now: float) -> None:
        super().__init__(request, now)
        self.job = job
        self.answered = 0
        self.end_line: Optional[dict[str, Any]] = None
        self._run = run
        self._places = job.unanswered()  # the items of this attempt
        self._head: Optional[Head] = None
        self._lines: Optional[LineReader] = None
        self._body = bytearray()

    def is_accepted(self) -> bool:
        return self._lines is not None

    def answer(self) -> Answer:
        assert self._head
        return Answer(self._head, bytes(self._body))

    def wants_data(self) -> bool:
        return self._run.has_room_for(self.job)

    def began(self, head: Head, now: float) -> None:
        self._head = head
        if head.status == 200 and head.has_type(NDJSON):
            self._lines = LineReader()
            self._run.accepted()

    def add(self, body: bytes, now: float) -> None:
        if not self._lines:
            self._body += body
            if len(self._body) > MAX_PROBLEM_BYTES:
                self._body.clear()
            return
        self.job.held_bytes += len(body)
        before = self.answered
        try:
            for line in self._lines.feed(body):
                self._add_line(line)
        except (BrokenLine, Cut) as error:
            self.is_over = True
            self._run.note_fault(str(error))
            return
        if self.answered > before:
            self._run.answered(self.answered - before, len(body), now)

    def _add_line(self, line: dict[str, Any]) -> None:
        kind = line.get("type")
        if kind == "result":
            self._settle(self._place(line.get("index")), line.get("value"))
        elif kind == "error":
            self._add_error(line)
        elif kind == "end":
            self.end_line = line

    def _add_error(self, line: dict[str, Any]) -> None:
        first, count, error = line.get("index"), line.get("count", 1), line.get("error")
        last = first + count - 1 if isinstance(first, int) and isinstance(count, int) else None
        self._place(last)
        assert isinstance(first, int) and isinstance(count, int)
        for at in range(first, first + count):
            place = self._place(at)
            failed = item_error(error, self.job.first + place)
            if failed.name == "cancelled" and isinstance(error, dict) and "sent" in error:
                self.job.cancelled[place] = failed, error["sent"] is not False
                self.answered += 1
            else:
                self._settle(place, failed)

    def _place(self, index: Any) -> int:
        """Returns the position, within the job, of an item of this attempt."""
        if isinstance(index, int) and 0 <= index < len(self._places):
            place = self._places[index]
            if not self.job.is_answered[place] and place not in self.job.cancelled:
                return place
        raise Cut("the service sent an answer to an item that the job does not have")

    def _settle(self, place: int, value: Any) -> None:
        self.answered += 1
        self._run.settle(self.job, place, value)

    def done(self, now: float) -> None:
        self._run.attempt_done(self, now)

    def lost(self, why: FantailError, was_sent: bool, now: float) -> None:
        self._run.attempt_lost(self, why, was_sent, now)

    def broken(self, why: str, now: float) -> None:
        self._run.attempt_broken(self, why, now)
