"""The client for asyncio: named tasks and durable jobs of a fleet, without threads.

    import asyncio
    import fantail.aio

    async def main():
        async with fantail.aio.Client("http://127.0.0.1:8080") as client:
            async for value in client.map("square", range(10)):
                print(value)

    asyncio.run(main())

To cancel a map, cancel the asyncio task that iterates over it. Results wait in the coordinator while they are not read,
so thousands of items in flight need little memory. docs/python.md describes the package.
"""
from __future__ import annotations

import asyncio
import contextlib
from typing import Any, AsyncIterable, AsyncIterator, Iterable, Optional, Sequence, Union

from ._aio_driver import Driver, Wire, dial
from ._core.arguments import text_of, values_of
from ._core.calls import (WAIT_S, Page, Plan, cancel_plan, jobs_plan, redrive_plan, status_plan, submit_plan, tasks_plan,
                          wait_plan)
from ._core.job_object import Tasks
from ._core.map_run import MapRun
from ._core.objects import JobStatus, Task
from ._core.run import Run
from ._errors import ItemError
from ._progress import bar_for
from ._remote import RemoteClient, Retry, check_key, filters_of, job_body

__all__ = ["Client", "Job"]

MOST_CALLS = 64  # requests with short answers at the same time; others wait
BUSY_WAIT_S = 1.0


class Client(RemoteClient):
    """Like fantail.Client, for one event loop at a time."""

    def _set_up(self) -> None:
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._wires: list[Wire] = []  # idle connections
        self._calls: asyncio.Semaphore

    def _use_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._wires, self._calls = loop, [], asyncio.Semaphore(MOST_CALLS)

    def map(self, task: Tasks, items: Union[Iterable[Any], AsyncIterable[Any]], *, common: Any = None,
            return_exceptions: bool = False, ordered: bool = True, progress: bool = False,
            item_timeout_s: Optional[float] = None, deadline_s: Optional[float] = None,
            max_concurrency: Optional[int] = None, priority: Optional[int] = None, chunk_size: Optional[int] = None,
            retry: Optional[Retry] = None, hedge: Optional[Union[bool, Retry]] = None) -> AsyncIterator[Any]:
        """Like fantail.Client.map. The items may also be an asynchronous iterable."""
        run = self._map_run(task, common=common, ordered=ordered, item_timeout_s=item_timeout_s, deadline_s=deadline_s,
                            max_concurrency=max_concurrency, priority=priority, chunk_size=chunk_size, retry=retry,
                            hedge=hedge)
        source = items if isinstance(items, AsyncIterable) else values_of("items", items)
        return self._values(run, source, return_exceptions, bar_for(task, items) if progress else None)

    async def _values(self, run: Run, items: Optional[Union[Iterable[Any], AsyncIterable[Any]]],
                      return_exceptions: bool, bar: Any = None) -> AsyncIterator[Any]:
        self._use_loop()
        try:
            async with contextlib.AsyncExitStack() as stack:
                driver = await stack.enter_async_context(Driver(run, self._take_wire, self._keep_wire, self.url, items))
                while True:
                    values = await driver.next_values()
                    if values is None:
                        return
                    for value in values:
                        if type(value) is ItemError and not return_exceptions:
                            raise value
                        if bar:
                            bar.update()
                        yield value
        finally:
            if bar:
                bar.close()
            if isinstance(run, MapRun):
                self._note_map(run)

    async def submit(self, task: Tasks, items: Iterable[Any], *, common: Any = None,
                     labels: Optional[Sequence[str]] = None, idempotency_key: Optional[str] = None,
                     reduce: Optional[str] = None, notify: Optional[str] = None, item_timeout_s: Optional[float] = None,
                     deadline_s: Optional[float] = None, max_concurrency: Optional[int] = None,
                     max_rate: Optional[float] = None, priority: Optional[int] = None,
                     chunk_size: Optional[int] = None, retry: Optional[Retry] = None,
                     hedge: Optional[Union[bool, Retry]] = None, tolerated_failure_count: Optional[int] = None,
                     tolerated_failure_percentage: Optional[float] = None) -> "Job":
        """Like fantail.Client.submit."""
        check_key(idempotency_key)
        body = job_body(task, items, common=common, labels=labels, reduce=reduce, notify=notify,
                        item_timeout_s=item_timeout_s, deadline_s=deadline_s, max_concurrency=max_concurrency,
                        max_rate=max_rate, priority=priority, chunk_size=chunk_size, retry=retry, hedge=hedge,
                        tolerated_failure_count=tolerated_failure_count,
                        tolerated_failure_percentage=tolerated_failure_percentage)
        status: JobStatus = await self._call(submit_plan(self._place, body, idempotency_key))
        return Job(self, status.id)

    def job(self, id: str) -> "Job":
        """Returns the durable job with this id. Makes no request."""
        return Job(self, id)

    async def jobs(self, *, status: Optional[str] = None, task: Optional[str] = None, label: Optional[str] = None,
                   created_after: Optional[str] = None, created_before: Optional[str] = None
                   ) -> AsyncIterator[JobStatus]:
        """Like fantail.Client.jobs."""
        filters = filters_of(status=status, task=task, label=label, created_after=created_after,
                             created_before=created_before)
        cursor = None
        while True:
            page: Page = await self._call(jobs_plan(self._place, filters, cursor))
            for found in page.jobs:
                yield found
            cursor = page.cursor
            if cursor is None:
                return

    async def tasks(self) -> "list[Task]":
        """Returns the tasks of the fleet."""
        found: list[Task] = await self._call(tasks_plan(self._place))
        return found

    async def close(self) -> None:
        """Closes idle connections. The client can still be used."""
        while self._wires:
            self._wires.pop().close()

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def _call(self, plan: "Plan[Any]") -> Any:
        self._use_loop()
        run = self._call_run(plan)
        async with Driver(run, self._take_wire, self._keep_wire, self.url, None, self._calls) as driver:
            while await driver.next_values() is not None:
                pass
        self._is_known = True
        return run.result

    def _longest_wait_s(self) -> float:
        """Returns how long one request may wait for a job. The request occupies one of MOST_CALLS places. While all
        places are taken, each wait is short."""
        return BUSY_WAIT_S if self._calls.locked() else WAIT_S

    async def _take_wire(self) -> Wire:
        while self._wires:
            wire = self._wires.pop()
            if wire.is_usable():
                return wire
            wire.close()
        return await dial(self._target)

    def _keep_wire(self, wire: Wire) -> None:
        self._wires.append(wire)


class Job:
    """A durable job, like fantail.Job. The job goes on when this program ends."""

    def __init__(self, client: Client, id: str) -> None:
        self._client = client
        self.id = text_of("id", id)

    def __repr__(self) -> str:
        return f"<fantail.aio.Job {self.id}>"

    async def status(self) -> JobStatus:
        return await self._client._call(status_plan(self._client._place, self.id))  # type: ignore[no-any-return]

    def results(self, start: int = 0, only: Optional[str] = None,
                return_exceptions: bool = False) -> AsyncIterator[Any]:
        """Like fantail.Job.results."""
        run = self._client._results_run(self.id, start, only)
        return self._client._values(run, None, return_exceptions or only == "errors")

    async def wait(self, timeout: Optional[float] = None) -> JobStatus:
        """Waits at most `timeout` seconds for the end of the job. Raises a WaitTimeout if the job has not ended by
        then."""
        plan = wait_plan(self._client._place, self.id, timeout, self._client._longest_wait_s)
        return await self._client._call(plan)  # type: ignore[no-any-return]

    async def cancel(self) -> JobStatus:
        """Like fantail.Job.cancel."""
        return await self._client._call(cancel_plan(self._client._place, self.id))  # type: ignore[no-any-return]

    async def redrive(self) -> JobStatus:
        """Reruns the items that failed or were cancelled. Raises a Refused (409) if the job cannot be redriven."""
        return await self._client._call(redrive_plan(self._client._place, self.id))  # type: ignore[no-any-return]
