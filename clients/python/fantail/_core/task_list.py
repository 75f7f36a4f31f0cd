"""Asks for the list of tasks, which says whether the items of a map may run twice.

A map asks for the list when it begins, because the coordinator that knows the tasks may be gone later. This request
also shows whether the URL and the token are right, before an item is sent. If the list that arrives does not describe
the tasks of the map, the map asks again after a loss.
"""
from __future__ import annotations

from typing import Mapping, Optional, Sequence

from .._errors import FantailError, Unreachable
from .facts import Facts, Twice, facts_of, listed_tasks
from .http import request_bytes
from .lines import JSON, LATER, LOST_BY_PROXY, Answer, refusal_of, stranger
from .outage import Cause, Outage, Tries, given_up
from .run import Exchange, WholeExchange


class TaskList:
    def __init__(self, tasks: Sequence[str], fields: Mapping[str, str], url: str, prefix: str, outage: Outage,
                 facts: Optional[Facts], once: bool) -> None:
        """once: the options forbid running an item twice, even if the item's task allows this."""
        self.twice = Twice.UNKNOWN
        self.slots = 0
        self.facts: Optional[Facts] = None
        self.names: list[str] = []
        self.error: Optional[FantailError] = None
        self._once = once
        self.tasks = tasks
        self._fields = {**fields, "Accept": JSON}
        self._path = f"{prefix}/v1/tasks"
        self._url = url
        self._outage = outage
        self.is_asked = False  # the first request was answered
        self._is_closed = False  # no job may be sent until the list arrives
        self._closed_at = 0.0
        self._is_asking = False
        self._retry_at = 0.0
        self._tries = Tries()
        if facts:
            self._use(facts)
            self.is_asked = self._outage.accepted = True
        if once:
            self.twice = Twice.ONCE

    @property
    def may_send(self) -> bool:
        return self.is_asked and not self._is_closed

    def note_loss(self, now: float) -> None:
        """Unless it is known that the items may run twice, forbids further jobs until the list of tasks arrives."""
        if self.twice != Twice.MAY and not self._is_closed:
            self._is_closed = True
            self._closed_at = self._retry_at = now
            self._tries = Tries()

    def next_exchange(self, now: float) -> Optional[Exchange]:
        if self.may_send or self._is_asking or now < self._retry_at or self.error:
            return None
        self._is_asking = True
        return _Ask(self, request_bytes("GET", self._path, self._fields), now)

    def wake_at(self) -> Optional[float]:
        return None if self.may_send or self._is_asking or self.error else self._retry_at

    def _use(self, facts: Facts) -> None:
        self.facts = facts
        self.slots = facts.slots
        self.names = list(facts.names)
        if self.twice == Twice.UNKNOWN:
            self.twice = facts.twice

    def answered(self, answer: Answer, now: float) -> None:
        self._is_asking = False
        if answer.status == 200:
            self._read_list(answer, now)
        elif answer.status in LATER and answer.is_problem() and not self._is_closed:
            self._outage.note_accepted()  # a coordinator without workers; the job may wait for them
            self.is_asked = True
        elif answer.status in (*LATER, *LOST_BY_PROXY, 500):
            cause = Cause.FULL if answer.status in LATER else Cause.LOST
            why = Unreachable(f"{self._url} answered with status {answer.status}")
            self._not_answered(cause, why, now, answer.retry_after_s())
        elif self._is_closed and self._outage.accepted:
            # The service does not say whether items may run twice, so the map assumes that they must not.
            self._open(Twice.ONCE)
        else:
            self.error = refusal_of(answer, self._url, "Authorization" in self._fields)

    def _read_list(self, answer: Answer, now: float) -> None:
        entries = listed_tasks(answer.document())
        if entries is None:
            if self._outage.accepted:
                self._not_answered(Cause.LOST, stranger(self._url, "a page that is not a list of tasks"), now)
            else:
                self.error = stranger(self._url, "a page that is not a list of tasks")
            return
        self._outage.note_accepted()
        self.is_asked = True
        self.names = [entry["name"] for entry in entries]
        facts = facts_of(entries, self.tasks)
        if facts:
            self._use(facts)
        if self._is_closed and self.twice == Twice.UNKNOWN:
            self._not_answered(Cause.LOST, Unreachable("the list of tasks does not describe the task"), now)
        else:
            self._open(self.twice)

    def _open(self, twice: Twice) -> None:
        self.twice = twice
        self.is_asked = True
        self._is_closed = False

    def _not_answered(self, cause: Cause, why: FantailError, now: float, retry_after_s: Optional[float] = None) -> None:
        self._is_asking = False
        if not self._is_closed:
            retry_at = self._outage.note_failure(cause, self._tries, retry_after_s, now)
        elif now - self._closed_at < self._outage.patience_s():
            self._tries.failures += 1
            retry_at = now + self._outage.backoff_s(self._tries.failures - 1)
        else:
            retry_at = None
        if retry_at is None:
            self.error = given_up(why, self._outage)
        else:
            self._retry_at = retry_at

    def lost(self, why: FantailError, was_sent: bool, now: float) -> None:
        self._not_answered(Cause.LOST if was_sent else Cause.UNREACHED, why, now)

    def broken(self, why: str, now: float) -> None:
        self._is_asking = False
        if self._outage.accepted:
            self._not_answered(Cause.LOST, Unreachable(why), now)
        else:
            self.error = stranger(self._url, why)


class _Ask(WholeExchange):
    def __init__(self, asker: TaskList, request: bytes, now: float) -> None:
        super().__init__(request, now)
        self._list = asker

    def answered(self, answer: Answer, now: float) -> None:
        self._list.answered(answer, now)

    def lost(self, why: FantailError, was_sent: bool, now: float) -> None:
        self._list.lost(why, was_sent, now)

    def broken(self, why: str, now: float) -> None:
        self._list.broken(why, now)
