"""The results of one durable job. If the connection is cut, the next request begins with the first item whose result
has not arrived."""
from __future__ import annotations

from typing import Any, Mapping, Optional

from .._errors import FantailError, JobNotFound, Unreachable
from .http import Head, request_bytes
from .lines import LATER, LOST_BY_PROXY, NDJSON, Answer, BrokenLine, LineReader, item_error, refusal_of, stranger
from .outage import Cause, Outage, Tries, given_up
from .run import Exchange, Run

UNTAKEN_BYTES = 1 << 18


class ResultsRun(Run):
    def __init__(self, job_id: str, path: str, fields: Mapping[str, str], url: str, *, start: int, only: Optional[str],
                 reconnect_s: float, is_known: bool) -> None:
        """path: the path of the results, without a query. is_known: as in CallRun."""
        super().__init__()
        self._id = job_id
        self._path = path
        self._fields = {**fields, "Accept": NDJSON}
        self._url = url
        self._only = only
        self.next_index = start
        self._outage = Outage(reconnect_s, is_known)
        self._tries = Tries()
        self._retry_at = 0.0
        self._is_reading = False
        self._out: list[Any] = []
        self._out_bytes = 0

    def next_exchange(self, now: float) -> Optional[Exchange]:
        if self._is_reading or self.error or self.is_over or now < self._retry_at:
            return None
        self._is_reading = True
        path = f"{self._path}?from={self.next_index}" + (f"&only={self._only}" if self._only else "")
        return _Read(self, request_bytes("GET", path, self._fields), now)

    def wake_at(self) -> Optional[float]:
        return None if self._is_reading or self.error or self.is_over else self._retry_at

    def take(self) -> list[Any]:
        out, self._out = self._out, []
        self._out_bytes = 0
        return out

    def has_room(self) -> bool:
        return self._out_bytes < UNTAKEN_BYTES

    def accepted(self) -> None:
        self._outage.note_accepted()

    def add_lines(self, lines: list[dict[str, Any]], size_bytes: int) -> None:
        self._out_bytes += size_bytes
        for line in lines:
            kind, index = line.get("type"), line.get("index")
            if kind == "end":
                self._end(line)
            elif kind in ("result", "error") and isinstance(index, int):
                self._add(kind, index, line)

    def _add(self, kind: str, index: int, line: dict[str, Any]) -> None:
        if index < self.next_index:
            return
        if index > self.next_index and not self._only:
            raise BrokenLine("the service left out the results of some items")
        count = line.get("count", 1) if kind == "error" else 1
        for at in range(index, index + int(count)):
            self._out.append(line.get("value") if kind == "result" else item_error(line.get("error"), at))
        self.next_index = index + int(count)
        self._outage.note_answer()
        self._tries = Tries()

    def _end(self, line: dict[str, Any]) -> None:
        if line.get("status") == "removed":
            self.error = JobNotFound(404, f"the job {self._id} was removed")
        self.is_over = True

    # ---- the ends of a request ----

    def refused(self, answer: Answer, now: float) -> None:
        why = Unreachable(f"{self._url} answered with status {answer.status}")
        if answer.status in LATER:
            self._try_again(Cause.FULL, why, now, answer.retry_after_s())
        elif answer.status in LOST_BY_PROXY:
            self._try_again(Cause.LOST, why, now)
        else:
            self.error = refusal_of(answer, self._url, "Authorization" in self._fields, of_job=True)

    def cut(self, cause: Cause, why: FantailError, now: float) -> None:
        if not self.is_over:
            self._try_again(cause, why, now)

    def broken(self, why: str, now: float) -> None:
        if self._outage.accepted:
            self._try_again(Cause.LOST, Unreachable(why), now)
        else:
            self.error = stranger(self._url, why)

    def fail(self, why: str) -> None:
        self.error = stranger(self._url, why)

    def _try_again(self, cause: Cause, why: FantailError, now: float, retry_after_s: Optional[float] = None) -> None:
        self._is_reading = False
        retry_at = self._outage.note_failure(cause, self._tries, retry_after_s, now)
        if retry_at is None:
            self.error = given_up(why, self._outage)
        else:
            self._retry_at = retry_at


class _Read(Exchange):
    def __init__(self, run: ResultsRun, request: bytes, now: float) -> None:
        super().__init__(request, now)
        self._run = run
        self._head: Optional[Head] = None
        self._lines: Optional[LineReader] = None
        self._body = bytearray()

    def wants_data(self) -> bool:
        return self._run.has_room()

    def began(self, head: Head, now: float) -> None:
        self._head = head
        if head.status == 200 and head.has_type(NDJSON):
            self._lines = LineReader()
            self._run.accepted()

    def add(self, body: bytes, now: float) -> None:
        if not self._lines:
            self._body += body[:1 << 20]
            return
        try:
            self._run.add_lines(self._lines.feed(body), len(body))
        except BrokenLine as error:
            self.is_over = True
            self._run.fail(str(error))

    def done(self, now: float) -> None:
        assert self._head
        if self._lines:
            self._run.cut(Cause.CUT, Unreachable("the stream of results has no end line"), now)
        else:
            self._run.refused(Answer(self._head, bytes(self._body)), now)

    def lost(self, why: FantailError, was_sent: bool, now: float) -> None:
        self._run.cut(Cause.CUT if self._lines else Cause.LOST if was_sent else Cause.UNREACHED, why, now)

    def broken(self, why: str, now: float) -> None:
        self._run.broken(why, now)
