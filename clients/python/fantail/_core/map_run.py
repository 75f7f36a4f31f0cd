"""One map. The items are cut into batches, and each batch is one job, so an endless iterable needs only a limited
amount of memory. Two jobs run at once, so that the workers always have work. If these two jobs have little work, more
jobs run.

The prefix rule of docs/protocol.md: if the coordinator of a job is lost, the items without an answer are sent again to
the same URL. If these items must not run twice, they fail as coordinator_lost. After such a loss, no job is sent before
the list of tasks (GET /v1/tasks) has arrived. Without this rule, each job that a proxy without a coordinator gets would
be in doubt.
"""
from __future__ import annotations

import collections
from typing import Any, Mapping, Optional, Union

from .._errors import FantailError, ItemError, JobFailed, Refused, Unreachable
from .facts import Facts, Twice
from .http import request_bytes
from .job_object import JobHead, item_to_json
from .lines import JSON, LATER, LOST_BY_PROXY, NDJSON, refusal_of, stranger
from .map_job import Attempt, JobState, MapJob
from .outage import Cause, Outage, Tries, given_up
from .pace import Pace
from .run import Exchange, Run
from .task_list import TaskList

MOST_JOBS = 16
USUAL_JOBS = 2
WORK_S = 5.0  # if the running jobs have work for this time, no other job is begun
JOBS_BYTES = 8 << 20  # items in all running jobs; a single larger item is allowed
BATCH_BYTES = 960 << 10  # many proxies refuse a request of more than 1 MiB
HELD_BYTES = 1 << 20  # answers that wait until the earlier items have their answers
UNTAKEN_BYTES = 1 << 18  # answers that the caller has not taken
BAD_ITEM_BYTES = 256  # the size that is counted for an item that cannot be sent
CAREFUL_ITEMS = 32  # of a job whose items must not run twice, while the number of slots is not known
CAREFUL_S = 0.25  # the planned duration of such a job

_MAY_HAVE_RUN = "the coordinator was lost before it sent the answer. It is not known whether the item ran, and it must not run twice"


class MapRun(Run):
    def __init__(self, head: JobHead, fields: Mapping[str, str], url: str, prefix: str, *, ordered: bool,
                 reconnect_s: float, deadline_s: Optional[float], most_jobs: int, facts: Optional[Facts],
                 is_known: bool, now: float) -> None:
        """fields: the headers of each request. facts: what an earlier map has read from the list of tasks, or None.
        is_known: as in CallRun."""
        super().__init__()
        self._head = head
        self._fields = {**fields, "Content-Type": JSON, "Accept": NDJSON}
        self._path = f"{prefix}/v1/jobs"
        self._url = url
        self._ordered = ordered
        self._deadline_at = now + deadline_s if deadline_s else None
        self._most_jobs = min(most_jobs, MOST_JOBS)
        self._outage = Outage(reconnect_s, is_known)
        once = head.max_attempts == 1
        self.tasks = TaskList(head.tasks, fields, url, prefix, self._outage, facts, once)
        self._pace = Pace(now)
        # Items that were read and are not in a job yet. A bad item has an error in place of its bytes.
        self._items: list[Union[bytes, ItemError]] = []
        self._items_bytes = 0
        self._read = 0  # items that have been put into jobs
        self._is_exhausted = False
        self._source_error: Optional[BaseException] = None
        self._jobs: collections.deque[MapJob] = collections.deque()
        # Results.
        self._out: list[Any] = []
        self._out_bytes = 0
        self._ready: dict[int, Any] = {}  # results that wait for earlier ones
        self._next = 0

    # ---- items ----

    @property
    def wants_items(self) -> bool:
        room = self._items_bytes < BATCH_BYTES and len(self._items) < self._most_items()
        return room and not self._is_exhausted and not self._must_stop()

    def add_item(self, item: Any) -> None:
        data: Union[bytes, ItemError]
        try:
            data = item_to_json(item)
            self._items_bytes += len(data) + 1
        except (TypeError, ValueError, RecursionError) as error:
            data = ItemError("bad_item", f"the item cannot be sent: {error}", attempts=0,
                             index=self._read + len(self._items))
            data.__cause__ = error
            self._items_bytes += BAD_ITEM_BYTES
        self._items.append(data)

    def end_items(self, error: Optional[BaseException] = None) -> None:
        self._is_exhausted = True
        self._source_error = error
        self._end_if_over()

    def _is_careful(self) -> bool:
        """Returns whether jobs must be small, so that a loss leaves only a few items in doubt."""
        return self.tasks.twice == Twice.ONCE or not self.tasks.is_asked

    def _most_items(self) -> int:
        if not self._is_careful():
            return 1 << 20
        return max(2 * self.tasks.slots or CAREFUL_ITEMS, int(self._pace.per_s * CAREFUL_S))

    def _must_stop(self) -> bool:
        return self.error is not None or self.is_over or any(job.failure for job in self._jobs)

    # ---- results ----

    def take(self) -> list[Any]:
        out, self._out = self._out, []
        self._out_bytes = 0
        return out

    def settle(self, job: MapJob, place: int, value: Any) -> None:
        job.is_answered[place] = 1
        job.left -= 1
        self._emit(job.first + place, value)

    def _emit(self, index: int, value: Any) -> None:
        if not self._ordered:
            self._out.append(value)
            return
        if index != self._next:
            self._ready[index] = value
            return
        self._out.append(value)
        self._next += 1
        while self._ready and self._next in self._ready:
            self._out.append(self._ready.pop(self._next))
            self._next += 1

    def has_room_for(self, job: MapJob) -> bool:
        if self._ordered and self._jobs and job is not self._jobs[0]:
            return job.held_bytes < HELD_BYTES
        return self._out_bytes < UNTAKEN_BYTES

    def accepted(self) -> None:
        self._outage.note_accepted()

    def answered(self, items: int, size_bytes: int, now: float) -> None:
        self._pace.add(items, now)
        self._out_bytes += size_bytes
        self._outage.note_answer()

    # ---- requests ----

    def next_exchange(self, now: float) -> Optional[Exchange]:
        if self.error or self.is_over:
            return None
        asking = self.tasks.next_exchange(now)
        self._learn(now)
        if asking or self.error or not self.tasks.may_send:
            return asking
        if self._deadline_at is not None and now >= self._deadline_at:
            self._pass_deadline()
            return None
        for job in self._jobs:
            if job.state == JobState.WAITING and now >= job.retry_at:
                return self._attempt(job, now)
        while self._items and self._may_begin_job() and not self._must_stop():
            job = self._next_job()
            if job.left:
                return self._attempt(job, now)
            self._end(job)
        return None

    def _may_begin_job(self) -> bool:
        """Returns whether a further job may begin with the items that have been read. The first jobs may be small,
        because the items come slowly or the list of tasks has not arrived. So a further job may begin when at least as
        many items wait as are under way. Each such job doubles the number of items under way. A fleet divides its
        workers among jobs, not among users, so a map begins no job without need."""
        if len(self._jobs) < min(USUAL_JOBS, self._most_jobs):
            return True
        if len(self._jobs) >= self._most_jobs or self._is_careful():
            return False
        if sum(job.size_bytes for job in self._jobs) + self._items_bytes > JOBS_BYTES:
            return False
        under_way = sum(job.left for job in self._jobs)
        is_large = self._is_exhausted or self._items_bytes >= BATCH_BYTES or len(self._items) >= under_way
        return is_large and (not self._pace.per_s or under_way < max(2 * self.tasks.slots, WORK_S * self._pace.per_s))

    def _next_job(self) -> MapJob:
        size_bytes = self._items_bytes
        items, self._items, self._items_bytes = self._items, [], 0
        job = MapJob(self._read, [b"" if isinstance(item, ItemError) else item for item in items], size_bytes)
        self._read += len(items)
        self._jobs.append(job)
        for place, item in enumerate(items):
            if isinstance(item, ItemError):
                self.settle(job, place, item)
        return job

    def _attempt(self, job: MapJob, now: float) -> Attempt:
        job.state = JobState.RUNNING
        left = job.left
        items = job.items if left == len(job.items) else [job.items[place] for place in job.unanswered()]
        deadline_s = None if self._deadline_at is None else max(0.001, self._deadline_at - now)
        body = self._head.with_items(items, deadline_s)
        return Attempt(self, job, request_bytes("POST", self._path, self._fields, body), now)

    def wake_at(self) -> Optional[float]:
        times = [job.retry_at for job in self._jobs if job.state == JobState.WAITING and self.tasks.may_send]
        deadline_at = None if self._is_running() else self._deadline_at
        times += [at for at in (self.tasks.wake_at(), deadline_at) if at is not None]
        return min(times, default=None)

    def _is_running(self) -> bool:
        return any(job.state == JobState.RUNNING for job in self._jobs)

    def _pass_deadline(self) -> None:
        """Ends the map if a job waits to be sent, or if no job is running. The coordinators of the running jobs end these
        jobs at the deadline."""
        if not self._is_running() or any(job.state == JobState.WAITING for job in self._jobs):
            self.error = JobFailed("timed_out", "deadline_s has passed")

    # ---- the ends of attempts ----

    def attempt_done(self, attempt: Attempt, now: float) -> None:
        if attempt.end_line:
            self._job_ended(attempt, attempt.end_line, now)
            return
        if attempt.is_accepted():
            self._lost(attempt, Cause.CUT, True, Unreachable("the stream of results has no end line"), now)
            return
        answer = attempt.answer()
        why = Unreachable(f"{self._url} answered with status {answer.status}")
        if answer.status == 413 and not answer.is_problem():
            size = len(attempt.request)
            self.error = Refused(413, f"a proxy in front of {self._url} does not pass on a request of {size} bytes. Raise "
                                      "its limit")
        elif answer.status in LATER:
            self._lost(attempt, Cause.FULL, not answer.ran_nothing(), why, now, answer.retry_after_s())
        elif answer.status in LOST_BY_PROXY or (self._outage.accepted and not answer.is_problem()
                                                and answer.status not in (401, 403)):
            self._lost(attempt, Cause.LOST, True, why, now)
        else:
            token = "Authorization" in self._fields
            self.error = refusal_of(answer, self._url, token, tasks=self.tasks.names)

    def attempt_lost(self, attempt: Attempt, why: FantailError, was_sent: bool, now: float) -> None:
        if attempt.end_line:
            self._job_ended(attempt, attempt.end_line, now)
            return
        cause = Cause.CUT if attempt.is_accepted() else Cause.LOST if was_sent else Cause.UNREACHED
        self._lost(attempt, cause, was_sent, why, now)

    def attempt_broken(self, attempt: Attempt, why: str, now: float) -> None:
        """Call it when the answer is not HTTP."""
        if self._outage.accepted:
            self.attempt_lost(attempt, Unreachable(why), True, now)
        else:
            self.error = stranger(self._url, why)

    def note_fault(self, why: str) -> None:
        """Call it when the service has sent a line that a coordinator never sends."""
        self.error = stranger(self._url, why)

    def _lost(self, attempt: Attempt, cause: Cause, may_have_run: bool, why: FantailError, now: float,
              retry_after_s: Optional[float] = None) -> None:
        job = attempt.job
        if attempt.answered:
            job.tries = Tries()
        retry_at = self._outage.note_failure(cause, job.tries, retry_after_s, now)
        if retry_at is None:
            self.error = given_up(why, self._outage)
            return
        job.retry_at = retry_at
        in_doubt = may_have_run and cause != Cause.UNREACHED
        if in_doubt:
            self.tasks.note_loss(now)
        if not job.left:
            self._end(job)  # only the end line is missing
            return
        job.state = JobState.IN_DOUBT if in_doubt else JobState.WAITING
        self._decide(job)

    def _learn(self, now: float) -> None:
        """For each lost job that waits for the list of tasks, acts on what is known from the list."""
        self.error = self.error or self.tasks.error
        for job in list(self._jobs):
            self._decide(job)

    def _decide(self, job: MapJob) -> None:
        """Decides what happens to a lost job, as soon as it is known whether the items of the job may run twice."""
        if job.state != JobState.IN_DOUBT or self.tasks.twice == Twice.UNKNOWN:
            return
        cancelled, job.cancelled = job.cancelled, {}
        if self.tasks.twice == Twice.ONCE:
            for place in job.unanswered():
                failed, was_sent = cancelled.get(place, (None, True))
                if job.is_drained and not was_sent:
                    continue  # has not run
                if failed is None or job.is_drained:
                    failed = ItemError("coordinator_lost", _MAY_HAVE_RUN, index=job.first + place)
                self.settle(job, place, failed)
        job.is_drained = False
        job.state = JobState.WAITING
        if not job.left:
            self._end(job)

    def _job_ended(self, attempt: Attempt, line: dict[str, Any], now: float) -> None:
        job = attempt.job
        if line.get("draining") is True:
            job.is_drained = True
            self._lost(attempt, Cause.CUT, True, Unreachable("the coordinator is shutting down"), now)
            return
        for place, (failed, _) in job.cancelled.items():
            self.settle(job, place, failed)
        job.cancelled = {}
        if job.left:
            self.error = stranger(self._url, "a job that has ended without the answers to some items")
            return
        status, reason = line.get("status"), line.get("reason")
        if status in ("failed", "cancelled", "timed_out"):
            job.failure = JobFailed(status, reason)
        self._end(job)

    def _end(self, job: MapJob) -> None:
        """If the results are ordered, a job that has ended counts as a running job until the earlier
        jobs have ended. So only a few results wait for earlier ones."""
        job.state = JobState.ENDED
        if not self._ordered:
            self._jobs.remove(job)
            self.error = self.error or job.failure
        while self._jobs and self._jobs[0].state == JobState.ENDED:
            self.error = self.error or self._jobs.popleft().failure
        if self._jobs:
            self._out_bytes += self._jobs[0].held_bytes
        self._end_if_over()

    def _end_if_over(self) -> None:
        if self._is_exhausted and not self._jobs and not self._items and not self.error:
            self.is_over = True
            self.error = self._source_error

