"""Runs in the virtual environment of peers.py:

    peer_jobs.py prepare QUEUE URL           makes the tables that the queue needs
    peer_jobs.py worker QUEUE URL            runs jobs until SIGTERM
    peer_jobs.py client QUEUE URL COUNT      submits each job with its own call, then waits for the answers; prints the seconds

QUEUE is celery, rq or procrastinate. URL is the socket file of Redis, or the URL of a PostgreSQL database.
"""
import asyncio
import json
import sys
import time

ITEM, ANSWER = 12, 144
LIMIT_S = 100


def square(number):
    return number * number


def check(answers, count):
    assert answers == [ANSWER] * count, "a wrong answer"


class Celery:
    def __init__(self, url):
        import celery
        self.app = celery.Celery("peer_jobs", broker=f"redis+socket://{url}", backend=f"redis+socket://{url}")
        self.square = self.app.task(name="square")(square)

    def prepare(self):
        pass

    def worker(self):
        self.app.worker_main(["worker", "--concurrency", "2", "--loglevel", "ERROR"])

    def client(self, count):
        submitted = [self.square.delay(ITEM) for _ in range(count)]
        check([result.get(timeout=LIMIT_S) for result in submitted], count)


class Rq:
    """Workers of the class SimpleWorker run jobs in their own process. The default workers start a process for each job, and
    are several times slower."""

    def __init__(self, url):
        import redis
        import rq
        self.rq, self.redis = rq, redis.Redis(unix_socket_path=url)
        self.queue = rq.Queue(connection=self.redis)

    def prepare(self):
        pass

    def worker(self):
        self.rq.SimpleWorker([self.queue], connection=self.redis).work(logging_level="ERROR")

    def client(self, count):
        submitted = [self.queue.enqueue("peer_jobs.square", ITEM) for _ in range(count)]
        check([result_of(job) for job in submitted], count)


def result_of(job):
    """Waits for the result of a job of RQ. RQ's own way to wait is slower, because it opens a connection for each
    job."""
    give_up = time.monotonic() + LIMIT_S
    while (result := job.latest_result()) is None:
        assert time.monotonic() < give_up, "a job without an answer"
        time.sleep(0.002)
    return result.return_value


class Procrastinate:
    """procrastinate keeps no results, so the client waits until all jobs of the queue have ended."""

    def __init__(self, url):
        import procrastinate
        self.app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
        self.square = self.app.task(name="square")(square)

    def run(self, main):
        async def opened():
            async with self.app.open_async():
                await main()
        asyncio.run(opened())

    def prepare(self):
        self.run(self.app.schema_manager.apply_schema_async)

    def worker(self):
        self.run(lambda: self.app.run_worker_async(concurrency=4))

    def client(self, count):
        self.run(lambda: self.submit_and_wait(count))

    async def submit_and_wait(self, count):
        left = iter(range(count))

        async def submitter():
            for _ in left:
                await self.square.defer_async(number=ITEM)

        await asyncio.gather(*(submitter() for _ in range(10)))
        give_up = time.monotonic() + LIMIT_S
        while await self.unended():
            assert time.monotonic() < give_up, "jobs without an end"
            await asyncio.sleep(0.02)

    async def unended(self):
        query = "SELECT count(*) AS n FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
        return (await self.app.connector.execute_query_one_async(query))["n"]


def main():
    command, name, url, *count = sys.argv[1:]
    queue = {"celery": Celery, "rq": Rq, "procrastinate": Procrastinate}[name](url)
    begun = time.perf_counter()
    getattr(queue, command)(*map(int, count))
    if command == "client":
        print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    import peer_jobs  # the queues find a task by the name of its module, which must not be __main__
    peer_jobs.main()
