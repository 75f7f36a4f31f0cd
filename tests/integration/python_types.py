"""A program for type checkers: it uses each part of the package fantail, and states which types the calls return. It is never
run."""
from __future__ import annotations

import concurrent.futures
from typing import Any, Iterator

import fantail
import fantail.aio
import fantail.joblib


def length(text: str) -> int:
    return len(text)


def add(x: int, y: int = 0) -> int:
    return x + y


async def fetch(url: str) -> bytes:
    return url.encode()


def executors() -> None:
    with fantail.Executor(2, item_timeout_s=1.5, initializer=print, initargs=("begin",)) as executor:
        future: concurrent.futures.Future[int] = executor.submit(length, "text")
        number: int = future.result(timeout=3)
        numbers: Iterator[int] = executor.map(length, ["a", "b"], buffersize=3, return_exceptions=True)
        page: bytes = executor.submit(fetch, "url").result()
        pages: list[bytes] = list(executor.map(fetch, ["url"]))
        print(number, list(numbers), page, pages)
    with fantail.Executor(url=fantail.Client("https://localhost", token="0123456789abcdef")) as remote:
        print(remote.submit(add, 1, y=2).result())


def pools() -> None:
    with fantail.Pool(2, maxtasksperchild=10) as pool:
        lengths: list[int] = pool.map(length, ["a", "b"], chunksize=1)
        sums: list[int] = pool.starmap(add, [(1, 2), (3, 4)])
        one: int = pool.apply(add, (1,), {"y": 2})
        later: int = pool.apply_async(length, ("a",)).get(timeout=1)
        for each in pool.imap_unordered(length, iter(["a"])):
            one += each
        print(lengths, sums, one, later)


def shared_objects() -> None:
    table: fantail.Shared[dict[str, int]] = fantail.shared({"a": 1})
    value: int = table.value["a"]
    print(value)


def clients() -> None:
    client = fantail.Client("unix:/run/fantail.socket")
    try:
        for value in client.map("square", range(10), ordered=False, retry={"max_attempts": 2}):
            print(value)
        job: fantail.Job = client.submit("square", [1, 2], labels=["nightly"])
        status: fantail.JobStatus = job.wait(timeout=60)
        results: list[Any] = list(job.results(only="values"))
        tasks: list[fantail.Task] = client.tasks()
        print(status.counts["succeeded"], results, [task.name for task in tasks])
    except fantail.ItemError as error:
        print(error.name, error.signal, error.exit_code, error.stderr, error.attempts, error.worker, error.index)
    except fantail.TaskNotFound as missing:
        print(missing.tasks, missing.status)


async def asynchronous() -> None:
    async with fantail.aio.Client("http://localhost:8080") as client:
        async for value in client.map("square", range(3)):
            print(value)
        job = await client.submit("square", [1])
        status: fantail.JobStatus = await job.wait()
        print(status.status)


fantail.joblib.register()
