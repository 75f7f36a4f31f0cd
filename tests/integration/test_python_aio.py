"""fantail.aio of the Python package: the client for asyncio."""
import asyncio
import contextlib
import itertools
import os
import threading

import fantail_testing as ft
from balancer import Balancer, ConnectProxy
from certificates import Authority
from fake_coordinator import FakeCoordinator
from fantail_testing import wait_until
from played_coordinator import END, START, serve, value
from test_python_executor import WHY_NOT, setUpModule  # noqa: F401
from two_coordinators import TwoCoordinators

if not WHY_NOT:
    import fantail
    import fantail.aio

MANY = 2000

# Waits until the gate is open (the file exists), and then returns the item.
GATED = """
import os, time

def run(item):
    while not os.path.exists(os.environ["GATE"]):
        time.sleep(0.01)
    return item
"""


def run(test):
    """Turns a coroutine function into a test."""
    def wrapper(self):
        asyncio.run(test(self))
    wrapper.__name__ = test.__name__
    return wrapper


async def values_of(results):
    return [item async for item in results]


async def until(condition, what):
    """Like wait_until(), but the event loop keeps running meanwhile."""
    await asyncio.get_running_loop().run_in_executor(None, wait_until, condition, what)


class Maps(ft.SharedFleetTest):
    @property
    def url(self):
        return f"http://127.0.0.1:{self.shared.coordinator.port}"

    def running_jobs(self):
        return self.shared.request("GET", "/v1/jobs").json["jobs"]

    @run
    async def test_values_come_in_the_order_of_the_items(self):
        async with fantail.aio.Client(self.url) as client:
            self.assertEqual(await values_of(client.map("square", range(10000))), [n * n for n in range(10000)])
            values = await values_of(client.map("square", range(10000), ordered=False))
            self.assertEqual(sorted(values), [n * n for n in range(10000)])
            self.assertEqual(await values_of(client.map("square", [])), [])

    @run
    async def test_items_may_come_from_an_asynchronous_iterable(self):
        got = []

        async def items():
            for n in range(20):
                yield n
                while len(got) <= n:  # the value of each item comes before the next item is made
                    await asyncio.sleep(0.001)
        async with fantail.aio.Client(self.url) as client:
            async for item in client.map("square", items()):
                got.append(item)
        self.assertEqual(got, [n * n for n in range(20)])

    @run
    async def test_an_endless_iterable_is_read_only_a_little_ahead_of_a_slow_reader(self):
        read = most_ahead = taken = 0

        def items():
            nonlocal read
            for read in itertools.count(1):
                yield f"{read:010000}"
        async with fantail.aio.Client(self.url) as client:
            async for _ in client.map("echo", items()):
                taken += 1
                await asyncio.sleep(0)
                most_ahead = max(most_ahead, read - taken)
                if taken == 6000:
                    break
        self.assertLess(most_ahead, 3000)

    @run
    async def test_many_maps_run_at_the_same_time(self):
        async with fantail.aio.Client(self.url) as client:
            got = await asyncio.gather(*(values_of(client.map("square", range(n, n + 3))) for n in range(100)))
        self.assertEqual(got, [[n * n, (n + 1) ** 2, (n + 2) ** 2] for n in range(100)])

    @run
    async def test_cancelling_the_task_cancels_the_job(self):
        async def work(client, got):
            async for item in client.map("misbehave", [1, {"do": "hang"}]):
                got.append(item)
        async with fantail.aio.Client(self.url) as client:
            got = []
            task = asyncio.ensure_future(work(client, got))
            await until(lambda: got, "the first value")
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            await until(lambda: not self.running_jobs(), "the end of the job")
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(work(client, got), 0.2)
            await until(lambda: not self.running_jobs(), "the end of the job")

    @run
    async def test_leaving_the_iteration_cancels_the_rest(self):
        async with fantail.aio.Client(self.url) as client:
            async for item in client.map("misbehave", [1, {"do": "hang"}]):
                self.assertEqual(item, 1)
                break
            await until(lambda: not self.running_jobs(), "the end of the job")

    @run
    async def test_a_failed_item_is_raised_or_takes_the_place_of_its_value(self):
        async with fantail.aio.Client(self.url) as client:
            got = await values_of(client.map("square", [1, "x", {2}, 3], return_exceptions=True))
            self.assertEqual([item if isinstance(item, int) else (item.name, item.index) for item in got],
                             [1, ("task_error", 1), ("bad_item", 2), 9])
            with self.assertRaises(fantail.ItemError):
                await values_of(client.map("square", [1, "x"]))
            with self.assertRaises(fantail.TaskNotFound) as caught:
                await values_of(client.map("sqare", [1]))
            self.assertIn("square", caught.exception.tasks)

    @run
    async def test_an_exception_of_the_iterable_comes_after_the_values(self):
        async def items():
            yield 3
            raise KeyError("no more")
        got = []
        async with fantail.aio.Client(self.url) as client:
            with self.assertRaises(KeyError):
                async for item in client.map("square", items()):
                    got.append(item)
        self.assertEqual(got, [9])

    def test_a_client_may_be_used_in_one_loop_after_another(self):
        client = fantail.aio.Client(self.url)

        async def work():
            async with client:
                return await values_of(client.map("square", [3])), [task.name for task in await client.tasks()]
        for _ in range(2):
            values, tasks = asyncio.run(work())
            self.assertEqual(values, [9])
            self.assertIn("square", tasks)


class InFlight(ft.FantailTest):
    @run
    async def test_thousands_of_items_are_in_flight_on_few_connections_without_threads(self):
        gate = os.path.join(self.folder, "gate")
        task = {"mode": "python", "command": "gated:run", "env": {"GATE": gate}}
        fleet = self.fleet(tasks=self.tasks(gated={"json": task, "files": {"gated.py": GATED}}))
        self.addCleanup(ft.write_file, gate, "")
        balancer = Balancer(self, [fleet.port])

        def sent():
            return sum(job["counts"]["total"] for job in fleet.request("GET", "/v1/jobs").json["jobs"])
        async with fantail.aio.Client(balancer.url) as client:
            threads = threading.active_count()
            task = asyncio.ensure_future(values_of(client.map("gated", range(MANY), ordered=False)))
            await until(lambda: sent() == MANY, "all items at the coordinator")
            self.assertLessEqual(balancer.count, 16)
            # until() and the balancer start threads of their own.
            self.assertLess(threading.active_count() - threads, 100)
            ft.write_file(gate, "")
            self.assertEqual(sorted(await task), list(range(MANY)))


class Losses(TwoCoordinators):
    @run
    async def test_each_value_comes_once_and_in_order_when_a_coordinator_is_killed(self):
        self.start_all()
        self.kill_one_later()
        async with fantail.aio.Client(self.url) as client:
            got = await values_of(client.map("noted", range(5000)))
        self.assert_killed()
        self.assertEqual(got, [2 * n for n in range(5000)])

    @run
    async def test_an_item_that_must_not_run_twice_fails_when_its_coordinator_is_killed(self):
        self.start_all(idempotent=False)
        self.kill_one_later(single=True)
        async with fantail.aio.Client(self.url) as client:
            got = await values_of(client.map("noted", range(2000), return_exceptions=True))
        self.assert_killed()
        self.assert_failed_once(got)

    @run
    async def test_only_the_unanswered_items_are_sent_again(self):
        url, bodies = serve(self, [START, value(0, 1)], (502, "text/html"), [START, value(0, 4), value(1, 9), END])
        async with fantail.aio.Client(url) as client:
            self.assertEqual(await values_of(client.map("x", [1, 2, 3])), [1, 4, 9])
        self.assertEqual([ft.json.loads(body)["items"] for body in bodies], [[1, 2, 3], [2, 3], [2, 3]])
        url, bodies = serve(self, [START, value(0, 1)], idempotent=False)
        async with fantail.aio.Client(url) as client:
            got = await values_of(client.map("x", [1, 2], return_exceptions=True))
        self.assertEqual((got[0], got[1].name, len(bodies)), (1, "coordinator_lost", 1))


class Access(ft.FantailTest):
    async def assert_refused(self, kind, url, *words, **options):
        async with fantail.aio.Client(url, **options) as client:
            with self.assertRaises(kind) as caught:
                await values_of(client.map("square", [1]))
            with self.assertRaises(kind):
                await client.tasks()
        for word in words:
            self.assertIn(word, str(caught.exception))

    @run
    async def test_errors_of_access_have_their_types(self):
        tokens = os.path.join(self.folder, "tokens")
        ft.write_file(tokens, "0123456789abcdef\n")
        fleet = self.fleet(coordinator_arguments=("--token-file", tokens))
        url = f"http://127.0.0.1:{fleet.port}"
        async with fantail.aio.Client(url, token_file=tokens) as client:
            self.assertEqual(await values_of(client.map("square", [3])), [9])
        await self.assert_refused(fantail.TokenRefused, url, "no token was sent")
        await self.assert_refused(fantail.TlsError, url.replace("http", "https"), "TLS")
        await self.assert_refused(fantail.Unreachable, f"http://127.0.0.1:{self.free_port()}")
        await self.assert_refused(fantail.NotFantail, f"http://127.0.0.1:{fleet.workers[0].admin_port}")

    @run
    async def test_https_with_a_token_and_through_a_proxy(self):
        authority = Authority(os.path.join(self.folder, "ca"))
        cert, key = authority.issue("server")
        fleet = self.fleet(coordinator_arguments=("--tls-cert", cert, "--tls-key", key))
        url, proxy = f"https://localhost:{fleet.port}", ConnectProxy(self)
        async with fantail.aio.Client(url, ca=authority.ca) as client:
            self.assertEqual(await values_of(client.map("square", range(5000))), [n * n for n in range(5000)])
        await self.assert_refused(fantail.TlsError, url, "cannot be trusted")
        with contextlib.ExitStack() as stack:
            stack.callback(os.environ.pop, "https_proxy")
            os.environ["https_proxy"] = proxy.url
            async with fantail.aio.Client(url, ca=authority.ca) as client:
                self.assertEqual(await values_of(client.map("square", [3])), [9])
        self.assertEqual(proxy.asked, [f"CONNECT localhost:{fleet.port} HTTP/1.1"])

    @run
    async def test_a_socket_file_is_a_url(self):
        path = os.path.join(self.folder, "socket")
        self.start("fantail-coordinator", "--host", f"unix:{path}", "--admin-port", self.free_port(), "--workers",
                   f"static://127.0.0.1:{self.worker().port}", ready=True)
        async with fantail.aio.Client(f"unix:{path}") as client:
            self.assertEqual(await values_of(client.map("square", [3])), [9])
        await self.assert_refused(fantail.Unreachable, f"unix:{path}-none")


class Jobs(ft.FantailTest):
    @run
    async def test_many_jobs_are_submitted_and_waited_for_at_the_same_time(self):
        fleet = self.fleet(coordinator_arguments=("--store", f"sqlite:{os.path.join(self.folder, 'jobs.db')}"))
        url = f"http://127.0.0.1:{fleet.port}"
        async with fantail.aio.Client(url) as client:
            jobs = await asyncio.gather(*(client.submit("square", [n, n + 1], labels=["many"]) for n in range(150)))
            statuses = await asyncio.gather(*(job.wait() for job in jobs))
            self.assertEqual({status.status for status in statuses}, {"succeeded"})
            self.assertEqual(await values_of(jobs[7].results()), [49, 64])
            self.assertEqual(await values_of(client.job(jobs[7].id).results(start=1)), [64])
            self.assertEqual(len([status async for status in client.jobs(label="many")]), 150)
            self.assertLessEqual(len(client._wires), fantail.aio.MOST_CALLS)

            hangs = await client.submit("misbehave", [{"do": "hang"}])
            with self.assertRaises(fantail.WaitTimeout):
                await hangs.wait(0.1)
            await hangs.cancel()
            self.assertEqual((await hangs.wait()).status, "cancelled")
            self.assertEqual((await hangs.status()).counts["cancelled"], 1)
            with self.assertRaises(fantail.Refused):
                await jobs[0].redrive()
            with self.assertRaises(fantail.JobNotFound):
                await client.job("none").status()

    @run
    async def test_results_go_on_after_a_cut_with_the_next_item(self):
        fake = FakeCoordinator(self)
        fake.add("0195", answers=[0, 1, 2, 3])
        fake.lines_before_cut = [2, 1]
        async with fantail.aio.Client(fake.url) as client:
            self.assertEqual(await values_of(client.job("0195").results()), [0, 1, 2, 3])
        self.assertEqual([path.split("from=")[1] for _, path, _, _ in fake.requests], ["0", "2", "3"])


if __name__ == "__main__":
    ft.main()
