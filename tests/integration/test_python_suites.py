"""CPython's own tests of concurrent.futures, run with fantail.Executor; and the types of the package.

Excluded from CPython's tests, with the reason:

    test_interpreter_shutdown, test_submit_after_interpreter_shutdown, test_hang_gh83386
        run a script that imports the executor from concurrent.futures by its name; test_python_ends.py has tests of exits
    test_max_workers_negative
        compares the text of the message
    test_cancel_futures
        expects that a call has begun when submit() returns; test_python_executor.py has a test of cancel_futures
    test_hang_gh94440
        starts its executor with a context of multiprocessing, which is about fork
"""
import itertools
import os
import subprocess
import sys
import unittest

import fantail_testing as ft
import python_calls as calls
from test_python_executor import WHY_NOT, setUpModule  # noqa: F401

EXCLUDED = {"test_interpreter_shutdown", "test_submit_after_interpreter_shutdown", "test_hang_gh83386",
            "test_max_workers_negative", "test_cancel_futures", "test_hang_gh94440"}
MYPY = "mypy==2.4.1"  # a newer version may find more
GROUPS = ("ExecutorTest", "WaitTests", "AsCompletedTests", "ExecutorShutdownTest")


def parts_of_cpython():
    """Returns the classes of CPython's tests. Before Python 3.12, they are in one module; since then, they are in a
    package."""
    try:
        from test import test_concurrent_futures as suite
        if not hasattr(suite, "__path__"):
            return [getattr(suite, name) for name in GROUPS]
        from test.test_concurrent_futures import executor, test_as_completed, test_shutdown, test_wait
        return [executor.ExecutorTest, test_wait.WaitTests, test_as_completed.AsCompletedTests,
                test_shutdown.ExecutorShutdownTest]
    except ImportError as error:
        raise unittest.SkipTest(f"the tests of CPython are missing (package libpython3.N-testsuite): {error}") from None


class ConcurrentFutures(ft.FantailTest):
    TIME_LIMIT_S = 600

    def test_cpythons_tests_pass(self):
        import fantail
        groups = parts_of_cpython()
        paths = (os.path.join(self.folder, f"event-{n}") for n in itertools.count())

        class WithExecutor:
            executor_type = fantail.Executor
            worker_count = 5

            def create_event(self):
                """Returns an event for which the executor's processes can wait. Some versions of CPython's tests need
                it."""
                return calls.FileEvent(next(paths))

            def setUp(self):
                self.executor = fantail.Executor(self.worker_count)
                self.executor.submit(calls.square, 1).result()

            def tearDown(self):
                self.executor.shutdown(wait=True)
                self.executor = None

        suite = unittest.TestSuite()
        for group in groups:
            case = type(group.__name__, (WithExecutor, group, unittest.TestCase), {})
            suite.addTests(case(name) for name in unittest.TestLoader().getTestCaseNames(case) if name not in EXCLUDED)
        count = suite.countTestCases()
        result = unittest.TextTestRunner(verbosity=2).run(suite)
        self.assertGreater(count, 15)
        self.assertEqual([(str(test), why) for test, why in result.failures + result.errors], [])


class Types(ft.FantailTest):
    def test_mypy_finds_nothing(self):
        python = os.path.join(self.folder, "venv", "bin", "python")
        steps = ([sys.executable, "-m", "venv", os.path.dirname(os.path.dirname(python))],
                 [python, "-m", "pip", "install", "-q", "--retries", "1", "--timeout", "15", MYPY])
        for step in steps:
            ended = subprocess.run(step, capture_output=True, text=True)
            if ended.returncode:
                self.skipTest(f"mypy cannot be installed from PyPI: {(ended.stderr or ended.stdout).strip()[-200:]}")
        ended = subprocess.run([python, "-m", "mypy", "--strict", "--config-file", "pyproject.toml", "--cache-dir",
                                os.path.join(self.folder, "cache"), "fantail"], cwd=calls.PACKAGE, capture_output=True,
                               text=True)
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
