"""fantail.Executor and fantail.Pool with a URL: functions run in the task `python-call` of a fleet."""
import functools
import json
import os
import subprocess
import sys
import time
import types
from unittest import mock

import fantail_testing as ft
import python_calls as calls
from certificates import Authority
from fantail_testing import wait_until
from test_python_executor import WHY_NOT, read_number, setUpModule  # noqa: F401

if not WHY_NOT:
    import fantail


def call_task():
    """Returns the task.json of deploy/python-call, changed to use this interpreter and the package of this tree."""
    with open(os.path.join(ft.ROOT, "deploy", "python-call", "task.json"), encoding="utf-8") as file:
        task = json.load(file)
    assert task["command"][0] == "python3"
    return {**task, "command": [sys.executable, *task["command"][1:]], "env": {"PYTHONPATH": calls.PACKAGE}}


def url_of(coordinator):
    return f"http://127.0.0.1:{coordinator.port}"


class Shared(ft.SharedFleetTest):
    @classmethod
    def make_fleet_options(cls, keeper):
        return {"tasks": keeper.tasks(**{"python-call": call_task()})}

    def setUp(self):
        super().setUp()
        self.url = url_of(self.shared.coordinator)

    def executor(self, *arguments, **options):
        executor = fantail.Executor(*arguments, url=self.url, **options)
        self.addCleanup(executor.shutdown)
        self.addCleanup(executor._engine.terminate)
        return executor

    def test_functions_and_objects_travel_by_value(self):
        class Local:
            def __init__(self, x):
                self.x = x
        executor, factor = self.executor(), 3
        self.assertEqual(executor.submit(lambda x: x * factor, 4).result(), 12)
        self.assertIs(type(executor.submit(lambda value: Local(value.x + 1), Local(1)).result()), Local)
        self.assertEqual(list(executor.map(lambda x: x * factor, range(5000))), [x * 3 for x in range(5000)])
        data = os.urandom(1 << 20)
        self.assertEqual(executor.submit(lambda: data).result(), data)

    def test_a_pool_has_its_processes_on_the_fleet(self):
        with fantail.Pool(url=self.url) as pool:
            self.assertEqual(pool.map(lambda x: x + 1, range(1000)), list(range(1, 1001)))
            self.assertEqual(pool.apply(pow, (2, 5)), 32)
            pid = pool.apply(os.getpid)
        self.assertNotEqual(pid, os.getpid())
        self.assertTrue(ft.runs(pid))  # the process belongs to the fleet, which goes on

    def test_a_module_of_the_client_travels_if_it_is_registered(self):
        import cloudpickle
        executor = self.executor()
        with self.assertRaises(fantail.ItemError) as caught:
            executor.submit(calls.square, 3).result()
        self.assertEqual(caught.exception.name, "function_not_unpicklable")
        self.assertIn("No module named 'python_calls'", caught.exception.cause)
        cloudpickle.register_pickle_by_value(calls)
        self.addCleanup(cloudpickle.unregister_pickle_by_value, calls)
        self.assertEqual(executor.submit(calls.square, 3).result(), 9)

    def test_a_killed_process_costs_one_call(self):
        def die_at_300(x):
            return os.kill(os.getpid(), 9) if x == 300 else x
        results = list(self.executor().map(die_at_300, range(500), return_exceptions=True))
        self.assertEqual((results[300].name, results[300].signal), ("crashed", 9))
        self.assertEqual(results[:300] + results[301:], [x for x in range(500) if x != 300])

    def test_cancel_ends_a_running_call(self):
        path, executor = os.path.join(self.folder, "pid"), self.executor(1)
        say_pid_and_sleep = types.FunctionType(calls.say_pid_and_sleep.__code__, {"os": os, "time": time})  # in no module
        future = executor.submit(lambda: say_pid_and_sleep(path))
        pid = read_number(path)
        future.cancel()
        wait_until(lambda: not ft.runs(pid), "the end of its process")
        self.assertEqual(executor.submit(abs, -1).result(), 1)

    def test_versions_that_do_not_fit_are_both_named(self):
        here = "%d.%d" % sys.version_info[:2]
        import cloudpickle
        for theirs in ("3.7", cloudpickle.__version__), (here, "1.6.0"):
            with mock.patch("fantail._remote_fleet._versions", lambda theirs=theirs: theirs):
                executor = self.executor()
            for future in executor.submit(abs, -1), executor.submit(lambda: 1):
                with self.assertRaises(fantail.ItemError) as caught:
                    future.result()
                self.assertEqual(caught.exception.name, "versions_differ")
                for version in (*theirs, here, cloudpickle.__version__):
                    self.assertIn(version, caught.exception.cause)
            results = list(executor.map(abs, range(10), return_exceptions=True))
            self.assertEqual({error.name for error in results}, {"versions_differ"})

    def test_options_of_processes_are_refused(self):
        for options in {"initializer": print}, {"max_tasks_per_child": 3}:
            with self.assertRaisesRegex(ValueError, "with url"):
                fantail.Executor(url=self.url, **options)


class Fleets(ft.FantailTest):
    def call_fleet(self, **options):
        return self.fleet(tasks=self.tasks(**{"python-call": call_task()}), **options)

    def test_a_process_starts_without_warnings(self):
        task = call_task()
        ended = subprocess.run([task["command"][0], "-W", "error", *task["command"][1:]], stdin=subprocess.DEVNULL,
                               capture_output=True, text=True, check=False, env=self.environment(**task["env"]))
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "#ready\n", ""))

    def test_a_fleet_without_the_task_says_so(self):
        url = url_of(self.fleet())
        for make in functools.partial(fantail.Executor, url=url), functools.partial(fantail.Pool, url=url):
            with self.assertRaisesRegex(fantail.TaskNotFound, "has no task python-call") as caught:
                make()
            self.assertIn("square", caught.exception.tasks)

    def test_a_fleet_with_tls_and_tokens(self):
        authority = Authority(os.path.join(self.folder, "ca"))
        cert, key = authority.issue("coordinator")
        token, tokens = "0123456789abcdef", os.path.join(self.folder, "tokens")
        ft.write_file(tokens, token + "\n")
        fleet = self.call_fleet(coordinator_arguments=("--tls-cert", cert, "--tls-key", key, "--token-file", tokens))
        url = f"https://127.0.0.1:{fleet.port}"
        with fantail.Executor(url=fantail.Client(url, ca=authority.ca, token=token)) as executor:
            self.assertEqual(list(executor.map(lambda x: x * x, range(2000))), [x * x for x in range(2000)])
            data = [os.urandom(1 << 20) for _ in range(5)]
            self.assertEqual(list(executor.map(bytes, data)), data)
        with self.assertRaises(fantail.TokenRefused):
            fantail.Executor(url=fantail.Client(url, ca=authority.ca, token=token[::-1]))
        with self.assertRaises(fantail.TlsError):
            fantail.Executor(url=fantail.Client(url, token=token))

    def test_a_token_that_is_refused_later_is_an_error(self):
        token, tokens = "0123456789abcdef", os.path.join(self.folder, "tokens")
        mine = os.path.join(self.folder, "mine")
        for path in tokens, mine:
            ft.write_file(path, token + "\n")
        fleet = self.call_fleet(coordinator_arguments=("--token-file", tokens))
        with fantail.Executor(url=fantail.Client(url_of(fleet), token_file=mine)) as executor:
            self.assertEqual(executor.submit(abs, -1).result(), 1)
            ft.write_file(mine, token[::-1] + "\n")
            with self.assertRaises(fantail.TokenRefused):
                executor.submit(abs, -1).result()

    def test_calls_are_sent_again_when_the_coordinator_comes_back(self):
        worker = self.worker(tasks=self.tasks(**{"python-call": call_task()}))
        coordinator = self.coordinator([worker])
        path = os.path.join(self.folder, "gate")

        def wait_for_gate(x):
            import time
            while not os.path.exists(path):
                time.sleep(0.01)
            return x
        with fantail.Executor(url=url_of(coordinator)) as executor:
            futures = [executor.submit(wait_for_gate, x) for x in range(6)]
            wait_until(lambda: futures[0].running(), "the first call")
            coordinator.kill()
            self.start("fantail-coordinator", "--port", coordinator.port, "--admin-port", self.free_port(), "--workers",
                       f"static://127.0.0.1:{worker.port}", ready=True)
            ft.write_file(path, "")
            self.assertEqual([future.result() for future in futures], list(range(6)))


if __name__ == "__main__":
    ft.main()
