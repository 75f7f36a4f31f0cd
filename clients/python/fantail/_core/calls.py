"""All requests that have one short answer.

A plan is a generator. A plan yields requests (Ask), gets their answers, and returns the result of the call. A CallRun
carries out a plan: it sends a request again after a loss, if the request may be repeated.
"""
from __future__ import annotations

import secrets
from typing import Any, Callable, Generator, Mapping, NamedTuple, Optional, Sequence, TypeVar
from urllib.parse import quote, urlencode

from .._errors import FantailError, NoJobStore, Unreachable, WaitTimeout
from .arguments import number_of, optional
from .facts import listed_tasks
from .http import Head, request_bytes
from .lines import JSON, LATER, LOST_BY_PROXY, NDJSON, Answer, refusal_of, stranger
from .objects import JobStatus, Task, is_job
from .outage import Cause, Outage, Tries, given_up
from .run import Exchange, Run, WholeExchange

T = TypeVar("T")
WAIT_S = 20.0  # a proxy may close a connection that is quiet for longer


class Ask(NamedTuple):
    method: str
    path: str  # below the prefix of the URL
    fields: Mapping[str, str] = {}
    body: Optional[bytes] = None
    may_repeat: bool = True
    repeats_at: Sequence[int] = (*LATER, *LOST_BY_PROXY)
    of_job: bool = False
    stops_at_stream: bool = False  # the answer is cut off after its head if it is a stream


class Answered(NamedTuple):
    answer: Answer
    now: float
    tried_s: float  # the time since the call began


Plan = Generator[Ask, Answered, T]


class CallRun(Run):
    """When the run has ended, `result` is the result of the plan."""

    def __init__(self, plan: "Plan[Any]", fields: Mapping[str, str], url: str, prefix: str, reconnect_s: float,
                 is_known: bool, now: float) -> None:
        """is_known: the URL has already answered as a coordinator does."""
        super().__init__()
        self.result: Any = None
        self.url = url
        self._plan = plan
        self._fields = {"Accept": JSON, **fields}
        self._prefix = prefix
        self._outage = Outage(reconnect_s, is_known)
        self._tries = Tries()
        self._asked: Optional[Ask] = None
        self._is_asking = False
        self._began_at = self._retry_at = now
        self._advance(lambda: next(plan))

    def _advance(self, step: Any) -> None:
        try:
            self._asked = step()
        except StopIteration as end:
            self.result = end.value
            self.is_over = True
        except FantailError as error:
            self.error = error

    def next_exchange(self, now: float) -> Optional[Exchange]:
        if self._is_asking or self.is_over or self.error or now < self._retry_at:
            return None
        assert self._asked
        self._is_asking = True
        fields = {**self._fields, **self._asked.fields}
        request = request_bytes(self._asked.method, self._prefix + self._asked.path, fields, self._asked.body)
        return _Call(self, request, self._asked.stops_at_stream, now)

    def wake_at(self) -> Optional[float]:
        return None if self._is_asking or self.is_over or self.error else self._retry_at

    def answered(self, answer: Answer, now: float) -> None:
        assert self._asked
        self._is_asking = False
        if answer.status in self._asked.repeats_at and self._asked.may_repeat:
            cause = Cause.FULL if answer.status in LATER else Cause.LOST
            why = self._refusal(answer) if answer.is_problem() else Unreachable(f"{self.url} answered with status {answer.status}")
            self._try_again(cause, why, now, answer.retry_after_s())
            return
        if answer.status >= 300 and answer.status not in (404, 409):  # the plan handles these two
            self.error = self._refusal(answer)
            return
        self._outage.note_accepted()
        self._outage.note_answer()
        self._tries = Tries()
        reply = Answered(answer, now, now - self._began_at)
        self._advance(lambda: self._plan.send(reply))

    def _refusal(self, answer: Answer) -> FantailError:
        assert self._asked
        return refusal_of(answer, self.url, "Authorization" in self._fields, of_job=self._asked.of_job)

    def lost(self, why: FantailError, was_sent: bool, now: float) -> None:
        self._is_asking = False
        assert self._asked
        if self._asked.may_repeat:
            self._try_again(Cause.LOST if was_sent else Cause.UNREACHED, why, now)
        else:
            self.error = why

    def _try_again(self, cause: Cause, why: FantailError, now: float, retry_after_s: Optional[float] = None) -> None:
        retry_at = self._outage.note_failure(cause, self._tries, retry_after_s, now)
        if retry_at is None:
            self.error = why if cause == Cause.FULL else given_up(why, self._outage)
        else:
            self._retry_at = retry_at

    def broken(self, why: str, now: float) -> None:
        self.error = stranger(self.url, why)


class _Call(WholeExchange):
    def __init__(self, run: CallRun, request: bytes, stops_at_stream: bool, now: float) -> None:
        super().__init__(request, now)
        self._run = run
        self._stops_at_stream = stops_at_stream

    def began(self, head: Head, now: float) -> None:
        super().began(head, now)
        if self._stops_at_stream and head.status == 200 and head.has_type(NDJSON):
            self.is_over = True
            self._run.answered(Answer(head, b""), now)

    def answered(self, answer: Answer, now: float) -> None:
        self._run.answered(answer, now)

    def lost(self, why: FantailError, was_sent: bool, now: float) -> None:
        self._run.lost(why, was_sent, now)

    def broken(self, why: str, now: float) -> None:
        self._run.broken(why, now)


# ---- plans --------------------------------------------------------------------------------------------------------

class Place(NamedTuple):
    """The facts on which the errors of plans depend."""
    url: str
    has_token: bool


def _refused(answer: Answer, place: Place, **more: Any) -> FantailError:
    return refusal_of(answer, place.url, place.has_token, **more)


def _job_in(answer: Answer, place: Place) -> JobStatus:
    document = answer.document()
    if answer.status not in (200, 202) or not is_job(document):
        if answer.status >= 300:
            raise _refused(answer, place, of_job=True)
        raise stranger(place.url, "a document that is not a job")
    return JobStatus(document)


def job_path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _list_of_tasks(place: Place) -> "Plan[list[dict[str, Any]]]":
    reply = yield Ask("GET", "/v1/tasks", repeats_at=LOST_BY_PROXY)
    entries = listed_tasks(reply.answer.document())
    if reply.answer.status != 200:
        raise _refused(reply.answer, place)
    if entries is None:
        raise stranger(place.url, "a page that is not a list of tasks")
    return entries


def tasks_plan(place: Place) -> "Plan[list[Task]]":
    entries = yield from _list_of_tasks(place)
    return [Task(entry) for entry in entries]


def submit_plan(place: Place, body: bytes, key: Optional[str]) -> "Plan[JobStatus]":
    """A coordinator without a store would run the job while this program is connected. So the plan first asks whether
    there is a store."""
    reply = yield Ask("GET", "/v1/jobs")
    scope = reply.answer.document()
    scope = scope.get("scope") if isinstance(scope, dict) else None
    if reply.answer.status != 200 or scope not in ("store", "replica"):
        raise stranger(place.url, "a page that is not a list of jobs")
    if scope != "store":
        raise NoJobStore(f"the coordinator at {place.url} has no job store, so it cannot keep the job, and the job was "
                         "not run. Start the coordinator with --store sqlite:PATH, or use map()")
    quoted = '"%s"' % (key or secrets.token_hex(16)).replace("\\", "\\\\").replace('"', '\\"')
    fields = {"Content-Type": JSON, "Accept": f"{NDJSON}, {JSON};q=0.5", "Prefer": "respond-async",
              "Idempotency-Key": quoted}
    # A 409 can mean that an earlier try with this key is still arriving.
    reply = yield Ask("POST", "/v1/jobs", fields, body, repeats_at=(*LATER, *LOST_BY_PROXY, 409), stops_at_stream=True)
    answer = reply.answer
    if answer.status == 404:
        entries = yield from _list_of_tasks(place)
        raise _refused(answer, place, tasks=[entry["name"] for entry in entries])
    if answer.status == 200 and answer.head.has_type(NDJSON):
        raise NoJobStore(f"the coordinator at {place.url} did not store the job as a durable job, but started it "
                         "immediately, so the client cancelled it")
    return _job_in(answer, place)


def status_plan(place: Place, job_id: str) -> "Plan[JobStatus]":
    reply = yield Ask("GET", job_path(job_id), of_job=True)
    return _job_in(reply.answer, place)


def wait_plan(place: Place, job_id: str, timeout_s: Optional[float],
              longest_s: Callable[[], float] = lambda: WAIT_S) -> "Plan[JobStatus]":
    """longest_s() returns the longest time in seconds that one request may wait for the job."""
    left = optional(number_of, "timeout", timeout_s)
    while True:
        wait_s = longest_s() if left is None else max(0.0, min(longest_s(), left))
        reply = yield Ask("GET", f"{job_path(job_id)}?wait_s={wait_s:.3f}", of_job=True)
        status = _job_in(reply.answer, place)
        if status.has_ended:
            return status
        if timeout_s is not None:
            left = timeout_s - reply.tried_s
            if left <= 0:
                raise WaitTimeout(f"the job {job_id} has not ended within {timeout_s:g} s: it is {status.status}")


def cancel_plan(place: Place, job_id: str) -> "Plan[JobStatus]":
    reply = yield Ask("DELETE", f"{job_path(job_id)}?only=cancel", may_repeat=False, of_job=True)
    if reply.answer.status == 409:  # the job has ended
        return (yield from status_plan(place, job_id))
    return _job_in(reply.answer, place)


def redrive_plan(place: Place, job_id: str) -> "Plan[JobStatus]":
    reply = yield Ask("POST", f"{job_path(job_id)}/redrive", may_repeat=False, of_job=True)
    return _job_in(reply.answer, place)


class Page(NamedTuple):
    jobs: list[JobStatus]
    cursor: Optional[str]


def jobs_plan(place: Place, filters: Mapping[str, Any], cursor: Optional[str]) -> "Plan[Page]":
    """Reads one page of the list of jobs. A filter whose value is None is not used."""
    query = urlencode([(name, value) for name, value in (*filters.items(), ("cursor", cursor)) if value is not None])
    reply = yield Ask("GET", "/v1/jobs" + (f"?{query}" if query else ""))
    document = reply.answer.document()
    if reply.answer.status != 200 or not isinstance(document, dict) or not isinstance(document.get("jobs"), list):
        raise stranger(place.url, "a page that is not a list of jobs")
    return Page([JobStatus(job) for job in document["jobs"] if is_job(job)], document.get("next"))
