"""The client of a fleet: named tasks and durable jobs."""
from __future__ import annotations

import os
from typing import Any, Iterable, Iterator, Optional, Sequence, Union

from ._connection import Wire
from ._core.arguments import text_of, values_of
from ._core.calls import (Page, Plan, cancel_plan, jobs_plan, redrive_plan, status_plan, submit_plan, tasks_plan,
                          wait_plan)
from ._core.job_object import Tasks
from ._core.objects import JobStatus, Task
from ._core.run import Run
from ._dial import dial
from ._driver import Driver
from ._errors import ItemError
from ._progress import shown
from ._remote import RemoteClient, Retry, check_key, filters_of, job_body


class Client(RemoteClient):
    """Calls the tasks of a fleet by their names. Several threads may use a client. docs/python.md describes it."""

    def _set_up(self) -> None:
        self._wires: list[Wire] = []  # idle connections
        self._owner = os.getpid()

    def map(self, task: Tasks, items: Iterable[Any], *, common: Any = None, return_exceptions: bool = False,
            ordered: bool = True, progress: bool = False, item_timeout_s: Optional[float] = None,
            deadline_s: Optional[float] = None, max_concurrency: Optional[int] = None, priority: Optional[int] = None,
            chunk_size: Optional[int] = None, retry: Optional[Retry] = None,
            hedge: Optional[Union[bool, Retry]] = None) -> Iterator[Any]:
        """Yields the value of each item. The items may be an endless iterable: it is read only a little ahead of the
        results. If the caller ends the iteration early, the remaining items are cancelled.

        task               the name of a task, or a list of names (a pipeline)
        items              any values that JSON can express; also paths, dataclasses, and numbers and arrays of NumPy
        common             a value that the task gets with every item
        return_exceptions  True: an ItemError takes the place of the value of an item that failed. False: the ItemError
                           is raised
        ordered            False: each value as soon as it is known
        progress           show a progress bar on standard error

        The other options are those of the job object in docs/protocol.md. deadline_s is the time limit of the whole
        map.
        """
        run = self._map_run(task, common=common, ordered=ordered, item_timeout_s=item_timeout_s, deadline_s=deadline_s,
                            max_concurrency=max_concurrency, priority=priority, chunk_size=chunk_size, retry=retry,
                            hedge=hedge)
        results = self._values(run, values_of("items", items), return_exceptions)
        return shown(results, task, items) if progress else results

    def _values(self, run: Run, items: Optional[Iterator[Any]], return_exceptions: bool) -> Iterator[Any]:
        from ._core.map_run import MapRun
        try:
            for values in Driver(self, run).results(items):
                for value in values:
                    if type(value) is ItemError and not return_exceptions:
                        raise value
                    yield value
        finally:
            if isinstance(run, MapRun):
                self._note_map(run)

    def submit(self, task: Tasks, items: Iterable[Any], *, common: Any = None, labels: Optional[Sequence[str]] = None,
               idempotency_key: Optional[str] = None, reduce: Optional[str] = None, notify: Optional[str] = None,
               item_timeout_s: Optional[float] = None, deadline_s: Optional[float] = None,
               max_concurrency: Optional[int] = None, max_rate: Optional[float] = None, priority: Optional[int] = None,
               chunk_size: Optional[int] = None, retry: Optional[Retry] = None,
               hedge: Optional[Union[bool, Retry]] = None,
               tolerated_failure_count: Optional[int] = None,
               tolerated_failure_percentage: Optional[float] = None) -> "Job":
        """Gives a durable job to the job store of the coordinator, and returns when the job is stored. All items are
        read first.

        labels           up to 16 short texts by which jobs() finds the job
        idempotency_key  a second submission with the same key, task, items and options makes no second job. The
                         default is a random key, so a lost answer never makes two jobs
        notify           a URL that gets a notice of the end of the job

        The other options are those of the job object in docs/protocol.md.
        """
        check_key(idempotency_key)
        body = job_body(task, items, common=common, labels=labels, reduce=reduce, notify=notify,
                        item_timeout_s=item_timeout_s, deadline_s=deadline_s, max_concurrency=max_concurrency,
                        max_rate=max_rate, priority=priority, chunk_size=chunk_size, retry=retry, hedge=hedge,
                        tolerated_failure_count=tolerated_failure_count,
                        tolerated_failure_percentage=tolerated_failure_percentage)
        status: JobStatus = self._call(submit_plan(self._place, body, idempotency_key))
        return Job(self, status.id)

    def job(self, id: str) -> "Job":
        """Returns the durable job with this id. Makes no request."""
        return Job(self, id)

    def jobs(self, *, status: Optional[str] = None, task: Optional[str] = None, label: Optional[str] = None,
             created_after: Optional[str] = None, created_before: Optional[str] = None) -> Iterator[JobStatus]:
        """Yields the durable jobs, newest first. status: one or several statuses, separated by commas. created_after,
        created_before: an RFC 3339 time or a date. Without a job store, yields the jobs that the coordinator is running,
        and no filter can be used."""
        filters = filters_of(status=status, task=task, label=label, created_after=created_after,
                             created_before=created_before)
        cursor = None
        while True:
            page: Page = self._call(jobs_plan(self._place, filters, cursor))
            yield from page.jobs
            cursor = page.cursor
            if cursor is None:
                return

    def tasks(self) -> "list[Task]":
        """Returns the tasks of the fleet."""
        found: list[Task] = self._call(tasks_plan(self._place))
        return found

    def close(self) -> None:
        """Closes idle connections. The client can still be used."""
        while self._wires:
            self._wires.pop().close()

    def __del__(self) -> None:
        if getattr(self, "_owner", None) == os.getpid():
            self.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _call(self, plan: "Plan[Any]") -> Any:
        run = self._call_run(plan)
        for _ in Driver(self, run).results():
            pass
        self._is_known = True
        return run.result

    def _take_wire(self) -> Wire:
        if self._owner != os.getpid():
            self._set_up()  # this is a forked child, and the connections belong to its parent
        while self._wires:
            try:
                wire = self._wires.pop()
            except IndexError:
                break  # another thread took it
            if wire.is_usable():
                return wire
            wire.close()
        return dial(self._target)

    def _keep_wire(self, wire: Wire) -> None:
        self._wires.append(wire)


class Job:
    """A durable job. The job goes on when this program ends."""

    def __init__(self, client: Client, id: str) -> None:
        self._client = client
        self.id = text_of("id", id)

    def __repr__(self) -> str:
        return f"<fantail.Job {self.id}>"

    def status(self) -> JobStatus:
        return self._client._call(status_plan(self._client._place, self.id))  # type: ignore[no-any-return]

    def results(self, start: int = 0, only: Optional[str] = None, return_exceptions: bool = False) -> Iterator[Any]:
        """Yields the value of each item, in order, as soon as it is recorded. If the connection is cut, the iteration
        goes on with the next item.

        start              the index of the first item
        only               "values" leaves out the items that failed. "errors" yields only the ItemErrors of the items
                           that failed
        return_exceptions  as in Client.map
        """
        run = self._client._results_run(self.id, start, only)
        return self._client._values(run, None, return_exceptions or only == "errors")

    def wait(self, timeout: Optional[float] = None) -> JobStatus:
        """Waits at most `timeout` seconds for the end of the job. Raises a WaitTimeout if the job has not ended by
        then."""
        return self._client._call(wait_plan(self._client._place, self.id, timeout))  # type: ignore[no-any-return]

    def cancel(self) -> JobStatus:
        """Cancels the job: its processes end within 2 s. While they end, the status may be "running"; wait() returns the final
        status. Changes nothing if the job has ended."""
        return self._client._call(cancel_plan(self._client._place, self.id))  # type: ignore[no-any-return]

    def redrive(self) -> JobStatus:
        """Reruns the items that failed or were cancelled. Raises a Refused (409) if the job has not ended, or if it
        has no such item."""
        return self._client._call(redrive_plan(self._client._place, self.id))  # type: ignore[no-any-return]
