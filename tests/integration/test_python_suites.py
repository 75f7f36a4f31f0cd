"""CPython's own tests of concurrent.futures, run with fantail.Executor; its tests of multiprocessing.Pool, run with
fantail.Pool; and the types of the package.

Excluded from CPython's tests of concurrent.futures, with the reason:

    test_interpreter_shutdown, test_submit_after_interpreter_shutdown, test_hang_gh83386
        run a script that imports the executor from concurrent.futures by its name; test_python_ends.py has tests of exits
    test_max_workers_negative
        compares the text of the message
    test_cancel_futures
        expects that a call has begun when submit() returns; test_python_executor.py has a test of cancel_futures
    test_hang_gh94440
        starts its executor with a context of multiprocessing (fork or spawn), which fantail.Executor does not accept

Excluded from CPython's tests of multiprocessing.Pool, with the reason:

    test_make_pool, test_pool_worker_lifetime, test_resource_warning
        use attributes that only the class of CPython has; test_python_pool.py has tests of wrong counts and of
        maxtasksperchild
    test_map_unplicklable
        expects the exception that the object raises; ours is a NotPicklable that names the object, and has that exception as
        its cause
    test_unpickleable_result
        expects an error if a call returns a lambda; fantail.Pool returns the lambda
    test_imap_handle_iterable_exception
        expects that the calls of an incomplete chunk are lost if the iterable raises; fantail.Pool runs them, and
        test_python_pool.py has the test
    test_worker_finalization_via_atexit_handler_of_multiprocessing
        runs a script that imports the pool by its name; test_python_ends.py has tests of exits
"""
import itertools
import multiprocessing
import os
import subprocess
import unittest
from types import SimpleNamespace
from unittest import mock

import fantail_testing as ft
import python_calls as calls
from python_venv import make_venv
from test_python_executor import WHY_NOT, setUpModule  # noqa: F401

EXCLUDED = {"test_interpreter_shutdown", "test_submit_after_interpreter_shutdown", "test_hang_gh83386",
            "test_max_workers_negative", "test_cancel_futures", "test_hang_gh94440"}
MYPY, PYRIGHT = "mypy==2.4.1", "pyright==1.1.414"  # newer versions may find more
OLDEST_OF_MYPY, NEWEST = "3.10", "3.14"  # mypy does not support Python 3.9; test_python_versions.py runs it
EXCLUDED_OF_POOL = {"test_make_pool", "test_pool_worker_lifetime", "test_resource_warning", "test_map_unplicklable",
                    "test_unpickleable_result", "test_imap_handle_iterable_exception", "test_worker_finalization_via_atexit_handler_of_multiprocessing"}
GROUPS_OF_POOL = ("_TestPool", "_TestPoolWorkerErrors", "_TestPoolWorkerLifetime")
GROUPS = ("ExecutorTest", "WaitTests", "AsCompletedTests", "ExecutorShutdownTest")


def parts_of_cpython():
    """Returns the classes of CPython's tests. Before Python 3.12, these tests are in one module; since 3.12, they are
    in a package."""
    try:
        from test import test_concurrent_futures as suite
        if not hasattr(suite, "__path__"):
            return [getattr(suite, name) for name in GROUPS]
        from test.test_concurrent_futures import executor, test_as_completed, test_shutdown, test_wait
        return [executor.ExecutorTest, test_wait.WaitTests, test_as_completed.AsCompletedTests,
                test_shutdown.ExecutorShutdownTest]
    except ImportError as error:
        raise unittest.SkipTest(f"the tests of CPython are missing (package libpython3.N-testsuite): {error}") from None


def run_cases(test, cases, excluded, least):
    """Runs all tests of the classes except those that `excluded` names. Fails unless there are more than `least` tests."""
    suite = unittest.TestSuite()
    for case in cases:
        suite.addTest(unittest.TestSuite(
            case(name) for name in unittest.TestLoader().getTestCaseNames(case) if name not in excluded))
    count = suite.countTestCases()
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    test.assertGreater(count, least)
    test.assertEqual([(str(failed), why) for failed, why in result.failures + result.errors], [])


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
                this method."""
                return calls.FileEvent(next(paths))

            def setUp(self):
                self.executor = fantail.Executor(self.worker_count)
                self.executor.submit(calls.square, 1).result()

            def tearDown(self):
                self.executor.shutdown(wait=True)
                self.executor = None

        cases = [type(group.__name__, (WithExecutor, group, unittest.TestCase), {}) for group in groups]
        run_cases(self, cases, EXCLUDED, 15)


def called_in_pools(group):
    """Returns the methods that tests of the class give to a pool. The methods are bound to this class, which other processes
    can import, and not to a class that is derived from it."""
    return {name: staticmethod(getattr(group, name)) for name in vars(group) if name.startswith("_test_")}


class Pools(ft.FantailTest):
    TIME_LIMIT_S = 600

    def test_cpythons_tests_pass(self):
        import fantail
        from fantail._errors import RemoteTraceback
        try:
            from test import _test_multiprocessing as suite
        except ImportError as error:
            self.skipTest(f"the tests of CPython are missing (package libpython3.N-testsuite): {error}")

        class Ours:
            """Replaces the module multiprocessing in the tests."""
            Pool = fantail.Pool
            pool = SimpleNamespace(RemoteTraceback=RemoteTraceback)

            def __getattr__(self, name):
                return getattr(multiprocessing, name)

        class WithPool:
            TYPE = "processes"
            Pool = fantail.Pool

        cases = [type(name, (WithPool, getattr(suite, name), unittest.TestCase), called_in_pools(getattr(suite, name)))
                 for name in GROUPS_OF_POOL]
        with mock.patch.object(suite, "multiprocessing", Ours()):
            run_cases(self, cases, EXCLUDED_OF_POOL, 20)


class Types(ft.FantailTest):
    """Type checkers find no errors in the package, and none in a program that uses it."""

    EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python_types.py")

    def venv_with(self, package):
        """Returns the folder of programs of a virtual environment."""
        return os.path.dirname(make_venv(os.path.join(self.folder, "venv"), package))

    def run_in_package(self, *command):
        return subprocess.run(command, cwd=calls.PACKAGE, capture_output=True, text=True)

    def test_mypy_finds_nothing(self):
        folder = self.venv_with(MYPY)
        for version in OLDEST_OF_MYPY, NEWEST:
            ended = self.run_in_package(f"{folder}/python", "-m", "mypy", "--strict", "--python-version", version, "--config-file",
                                        "pyproject.toml", "--cache-dir", os.path.join(self.folder, "cache"), "fantail",
                                        self.EXAMPLES)
            self.assertEqual(ended.returncode, 0, f"Python {version}: {ended.stdout}{ended.stderr}")

    def test_pyright_finds_nothing(self):
        folder = self.venv_with(PYRIGHT)
        ended = self.run_in_package(f"{folder}/pyright", "--version")
        if ended.returncode:
            self.skipTest(f"pyright cannot install Node.js: {(ended.stderr or ended.stdout).strip()[-200:]}")
        self.run_in_package(f"{folder}/python", "-m", "pip", "install", "-q", "cloudpickle", "joblib")
        ended = self.run_in_package(f"{folder}/pyright", "--pythonpath", f"{folder}/python", "fantail", self.EXAMPLES)
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
