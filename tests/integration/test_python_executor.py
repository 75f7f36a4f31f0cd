"""fantail.Executor of the Python package: results, errors and crashes."""
import asyncio
import concurrent.futures
import datetime
import decimal
import functools
import logging
import os
import sys
import threading
import time

import fantail_testing as ft
import python_calls as calls
from fantail_testing import runs, wait_until

try:
    import cloudpickle  # noqa: F401
    WHY_NOT = None
except ImportError:
    WHY_NOT = "the module cloudpickle is missing (package python3-cloudpickle)"
else:
    import fantail


def setUpModule():
    if WHY_NOT:
        raise ft.unittest.SkipTest(WHY_NOT)
    os.environ["FANTAIL_BIN"] = ft.BIN


def read_number(path):
    wait_until(lambda: os.path.exists(path), f"the file {path}")
    with open(path, encoding="ascii") as file:
        return int(file.read())


class ExecutorTest(ft.FantailTest):
    def executor(self, workers=2, **options):
        executor = fantail.Executor(workers, **options)
        self.addCleanup(executor.shutdown)
        self.addCleanup(executor._engine.terminate)
        return executor

    def path(self, name):
        return os.path.join(self.folder, name)


class Results(ExecutorTest):
    def test_types_are_kept(self):
        values = [None, (1, (2,)), {3, 4}, frozenset({5}), b"\0\xff", 1 << 100, 1j, float("inf"), {(1, 2): "x"},
                  datetime.datetime(2020, 2, 29), decimal.Decimal("1.10"), calls.Point(1, 2.5), range(3), "\ud800"]
        executor = self.executor()
        for value, result in zip(values, executor.map(calls.same, values)):
            self.assertEqual((type(value), value), (type(result), result))

    def test_functions_travel_by_value(self):
        factor = 3
        executor = self.executor()
        self.assertEqual(executor.submit(lambda x: x * factor, 4).result(), 12)
        self.assertEqual(executor.submit(functools.partial(calls.add, 1), y=2).result(), 3)
        self.assertEqual(executor.submit(calls.Point(1, 2.0).shifted, 5).result(), calls.Point(6, 2.0))
        self.assertEqual(executor.submit(len, "four").result(), 4)

    def test_an_object_of_a_class_by_value_comes_back_as_the_same_class(self):
        class Local:
            def __init__(self, x):
                self.x = x
        result = self.executor().submit(lambda value: Local(value.x + 1), Local(1)).result()
        self.assertIs(type(result), Local)
        self.assertEqual(result.x, 2)

    def test_a_function_with_much_data_is_sent_in_a_file(self):
        data = list(range(200000))
        executor = self.executor()
        self.assertEqual(list(executor.map(lambda i: data[i], [0, 5, 199999])), [0, 5, 199999])

    def test_a_map_has_its_results_in_order(self):
        self.assertEqual(list(self.executor().map(calls.square, range(20000))), [i * i for i in range(20000)])

    def test_a_map_of_several_iterables_ends_with_the_shortest(self):
        executor = self.executor()
        self.assertEqual(list(executor.map(calls.add, [1, 2, 3], iter([10, 20]))), [11, 22])
        self.assertEqual(list(executor.map(calls.add, range(5), range(5), chunksize=2)), [0, 2, 4, 6, 8])

    def test_a_map_can_read_an_endless_iterable(self):
        read = []

        def numbers():
            while True:
                read.append(len(read))
                yield read[-1]
        results = self.executor().map(calls.square, numbers(), buffersize=4)
        self.assertEqual(len(read), 4)
        self.assertEqual([next(results) for _ in range(3)], [0, 1, 4])
        self.assertLessEqual(len(read), 7)

    def test_a_map_that_takes_too_long_raises(self):
        results = self.executor().map(calls.wait_for, [self.path("never")], timeout=0.05)
        with self.assertRaises(concurrent.futures.TimeoutError):
            next(results)

    def test_an_executor_in_a_call_of_an_executor(self):
        self.assertEqual(self.executor(1).submit(calls.squares_of_nested, [1, 2, 3]).result(), [1, 4, 9])

    def test_the_first_of_several_futures_is_known_before_the_others_end(self):
        executor = self.executor()
        slow = executor.submit(calls.wait_for, self.path("gate"))
        quick = executor.submit(calls.square, 3)
        done, left = concurrent.futures.wait([slow, quick], return_when=concurrent.futures.FIRST_COMPLETED)
        self.assertEqual((done, left), ({quick}, {slow}))
        with open(self.path("gate"), "w", encoding="ascii"):
            pass
        self.assertEqual(slow.result(), self.path("gate"))

    def test_a_call_may_fork(self):
        executor = self.executor(1)
        self.assertEqual(list(executor.map(calls.fork_and_return, range(4))), [0, 1, 2, 3])


class Errors(ExecutorTest):
    def test_an_exception_has_the_traceback_of_its_process(self):
        with self.assertRaisesRegex(ValueError, "7 is not wanted") as caught:
            self.executor().submit(calls.raise_at, 7, 7).result()
        self.assertIn("in raise_at", str(caught.exception.__cause__))
        self.assertNotIn("_process.py", str(caught.exception.__cause__))

    def test_a_killed_process_costs_one_call(self):
        results = list(self.executor().map(functools.partial(calls.die_at, 500), range(1000), return_exceptions=True))
        error = results[500]
        self.assertEqual(results[:500] + results[501:], [i for i in range(1000) if i != 500])
        self.assertIsInstance(error, fantail.ItemError)
        self.assertEqual((error.name, error.signal), ("crashed", 9))

    def test_each_of_several_killers_is_named(self):
        def die_at_some(x):
            return calls.die_at(x, x) if x in (3, 50, 51, 299) else x
        results = list(self.executor().map(die_at_some, range(300), chunksize=100, return_exceptions=True))
        self.assertEqual([i for i, r in enumerate(results) if isinstance(r, fantail.ItemError)], [3, 50, 51, 299])
        self.assertEqual([r for r in results if isinstance(r, int)], [i for i in range(300) if i not in (3, 50, 51, 299)])

    def test_exits_are_named(self):
        executor = self.executor()
        with self.assertRaises(fantail.ItemError) as caught:
            executor.submit(os._exit, 4).result()
        self.assertEqual((caught.exception.name, caught.exception.exit_code), ("crashed", 4))
        with self.assertRaises(fantail.ItemError) as caught:
            executor.submit(calls.raise_it, SystemExit(3)).result()
        self.assertEqual((caught.exception.name, caught.exception.exit_code), ("exited", 3))

    def test_standard_error_of_a_crash_is_in_its_error(self):
        with self.assertRaisesRegex(fantail.ItemError, "a last word") as caught:
            self.executor().submit(calls.complain_and_die, "a last word").result()
        self.assertIn("a last word", caught.exception.stderr)
        self.assertEqual(caught.exception.attempts, 1)
        self.assertTrue(caught.exception.worker)

    def test_a_call_that_takes_too_long_is_named(self):
        executor = self.executor(item_timeout_s=0.5)
        with self.assertRaises(fantail.ItemError) as caught:
            executor.submit(time.sleep, 3600).result()
        self.assertEqual(caught.exception.name, "timed_out")

    def test_a_result_that_cannot_be_pickled_costs_one_call(self):
        results = list(self.executor().map(lambda x: threading.Lock() if x == 2 else x, range(4), chunksize=4,
                                           return_exceptions=True))
        self.assertEqual(results[2].name, "result_not_picklable")
        self.assertIn("_thread.lock", results[2].cause)
        self.assertEqual(results[:2] + results[3:], [0, 1, 3])

    def test_an_exception_that_cannot_be_pickled_is_named(self):
        executor = self.executor()
        for function in (lambda: calls.raise_it(calls.Unpicklable("a reason")),
                         lambda: calls.raise_it(calls.Unloadable("a", "reason"))):
            with self.assertRaisesRegex(fantail.ItemError, "a reason") as caught:
                executor.submit(function).result()
            self.assertEqual(caught.exception.name, "exception_not_picklable")
            self.assertIn("raise_it", str(caught.exception.__cause__))
        self.assertEqual(executor.submit(calls.square, 2).result(), 4)

    def test_what_cannot_be_pickled_is_named_at_submit(self):
        lock = threading.Lock()
        executor = self.executor()
        with self.assertRaisesRegex(fantail.NotPicklable, r"the function .*<lambda>, its variable 'lock'.*_thread\.lock"):
            executor.submit(lambda: lock)
        with self.assertRaisesRegex(fantail.NotPicklable, r"an argument of square.*the entry 'key'.*_thread\.lock"):
            executor.submit(calls.square, {"key": lock})

    def test_an_open_file_is_refused_instead_of_copied(self):
        executor = self.executor()
        with open(__file__, encoding="utf-8") as file, open(__file__, "rb") as binary:
            for wanted in file, binary, [file]:
                self.assertRaises(fantail.NotPicklable, executor.submit, calls.square, wanted)
            with self.assertRaisesRegex(fantail.NotPicklable, "its variable 'file'.*send its path"):
                executor.submit(lambda: file.read())
        with self.assertRaises(fantail.ItemError) as caught:
            executor.submit(open, __file__).result()
        self.assertEqual(caught.exception.name, "result_not_picklable")
        self.assertIsNone(executor.submit(lambda out: print("to a stream", file=out), sys.stderr).result())

    def test_an_argument_of_a_map_that_cannot_be_pickled_costs_one_call(self):
        results = list(self.executor().map(calls.same, [1, threading.Lock(), 3], chunksize=3, return_exceptions=True))
        self.assertEqual((results[0], results[2]), (1, 3))
        self.assertIsInstance(results[1], fantail.NotPicklable)

    def test_a_call_may_raise_stop_iteration(self):
        results = list(self.executor().map(functools.partial(calls.stop_at, 2), range(5), chunksize=5,
                                           return_exceptions=True))
        self.assertIsInstance(results[2], StopIteration)
        self.assertEqual(results[:2] + results[3:], [0, 1, 3, 4])

    def test_a_map_ends_with_its_first_exception(self):
        results = self.executor().map(functools.partial(calls.raise_at, 1), range(5))
        self.assertEqual(next(results), 0)
        self.assertRaises(ValueError, next, results)
        self.assertRaises(StopIteration, next, results)


class Processes(ExecutorTest):
    def test_cancel_ends_the_process_of_a_running_call(self):
        executor = self.executor(1)
        future = executor.submit(calls.say_pid_and_sleep, self.path("pid"))
        pid = read_number(self.path("pid"))
        self.assertTrue(future.running())
        self.assertTrue(future.cancel())
        self.assertTrue(future.cancelled())
        self.assertRaises(concurrent.futures.CancelledError, future.result)
        wait_until(lambda: not runs(pid), "the end of the process")
        self.assertEqual(executor.submit(calls.square, 3).result(), 9)

    def test_a_call_that_has_not_begun_can_be_cancelled(self):
        executor = self.executor(1)
        blocked = [executor.submit(calls.wait_for, self.path("gate")) for _ in range(10)]
        self.assertTrue(blocked[9].cancel())
        self.assertEqual(concurrent.futures.wait([blocked[9]]).done, {blocked[9]})
        with open(self.path("gate"), "w", encoding="ascii"):
            pass
        self.assertEqual([f.result() for f in blocked[:9]], [self.path("gate")] * 9)

    def test_the_initializer_runs_before_the_calls(self):
        executor = self.executor(initializer=calls.keep, initargs=("a value",))
        self.assertEqual(executor.submit(calls.get_kept).result(), ["a value"])

    def test_an_initializer_that_raises_is_told(self):
        executor = self.executor(initializer=calls.raise_it, initargs=(KeyError("key"),))
        with self.assertRaises(fantail.InitializerError) as caught:
            executor.submit(calls.square, 2).result()
        self.assertIsInstance(caught.exception, concurrent.futures.BrokenExecutor)
        self.assertIsInstance(caught.exception.__cause__, KeyError)

    def test_processes_are_replaced_after_their_calls(self):
        executor = self.executor(1, max_tasks_per_child=2)
        pids = [executor.submit(calls.pid).result() for _ in range(6)]
        self.assertEqual(len(set(pids)), 3, pids)

    def test_threads_of_the_parent_that_hold_locks_do_no_harm(self):
        lock, is_over = threading.Lock(), threading.Event()

        def hold():
            while not is_over.is_set():
                with lock:
                    logging.getLogger("fantail.test").debug("in the lock of logging")
        threads = [threading.Thread(target=hold) for _ in range(10)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                with fantail.Executor(2) as executor:
                    self.assertEqual(list(executor.map(calls.log_and_square, range(100))), [n * n for n in range(100)])
        finally:
            is_over.set()
            for thread in threads:
                thread.join()

    def test_an_event_loop_may_run_calls_and_cancel_them(self):
        async def main():
            loop = asyncio.get_running_loop()
            found = await asyncio.gather(*(loop.run_in_executor(executor, calls.square, n) for n in range(20)))
            self.assertEqual(found, [n * n for n in range(20)])
            endless = loop.run_in_executor(executor, calls.say_pid_and_sleep, self.path("pid"))
            pid = await loop.run_in_executor(None, read_number, self.path("pid"))
            endless.cancel()
            await loop.run_in_executor(None, wait_until, lambda: not runs(pid), "the end of the process")
            self.assertEqual(await loop.run_in_executor(executor, calls.square, 5), 25)
        executor = self.executor(1)
        asyncio.run(main())

    def test_no_more_calls_after_shutdown(self):
        executor = self.executor()
        future = executor.submit(calls.square, 4)
        executor.shutdown()
        self.assertEqual(future.result(timeout=0), 16)
        self.assertRaises(RuntimeError, executor.submit, calls.square, 2)
        self.assertRaises(RuntimeError, executor.map, calls.square, [2])

    def test_shutdown_can_cancel_what_has_not_begun(self):
        executor = self.executor(1)
        futures = [executor.submit(calls.wait_for, self.path("gate")) for _ in range(20)]
        wait_until(lambda: futures[0].running(), "the first call")
        executor.shutdown(wait=False, cancel_futures=True)
        self.assertTrue(all(f.cancelled() for f in futures[10:]))
        with open(self.path("gate"), "w", encoding="ascii"):
            pass
        self.assertEqual(futures[0].result(), self.path("gate"))

    def test_an_executor_that_is_no_longer_used_ends(self):
        executor = fantail.Executor(1)
        future = executor.submit(calls.pid)
        thread, folder = executor._engine._thread, executor._engine._fleet.folder
        del executor
        pid = future.result()
        wait_until(lambda: not thread.is_alive(), "the end of its thread")
        self.assertFalse(runs(pid))
        self.assertFalse(os.path.exists(folder))

    def test_bad_options_are_refused(self):
        for kind, names in ((fantail.Executor, ("max_workers", "max_tasks_per_child")),
                            (fantail.Pool, ("processes", "maxtasksperchild"))):
            for name in names:
                for value in 0, -1, 10**16:
                    self.assertRaisesRegex(ValueError, f"^{name} must be from 1 to .*, not {value}$", kind, **{name: value})
                for value in "2", 2.5:
                    wrong = ValueError if name == "maxtasksperchild" else TypeError  # as in multiprocessing
                    self.assertRaisesRegex(wrong, f"^{name} must be a whole number, not {value!r}$", kind, **{name: value})
            for value in 0, -1, float("nan"), float("inf"):
                self.assertRaisesRegex(ValueError, "^item_timeout_s must be greater than 0", kind, item_timeout_s=value)
            self.assertRaisesRegex(TypeError, "^item_timeout_s must be a number, not '1'$", kind, item_timeout_s="1")
            self.assertRaisesRegex(TypeError, "^initializer must be a callable, not 3$", kind, initializer=3)
        self.assertRaisesRegex(ValueError, "^max_workers must be from 1 to 1024, not 1025$", fantail.Executor, 1025)
        executor = self.executor()
        self.assertRaises(ValueError, executor.map, calls.square, [1], chunksize=0)
        self.assertRaises(ValueError, executor.map, calls.square, [1], buffersize=0)
        self.assertRaises(TypeError, executor.map, calls.square, [1], buffersize="1")
