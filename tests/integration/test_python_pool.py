"""fantail.Pool of the Python package: the methods of multiprocessing.Pool."""
import functools
import itertools
import multiprocessing
import os
import threading
import time

import fantail_testing as ft
import python_calls as calls
from fantail_testing import descendants, runs, wait_until
from test_python_executor import WHY_NOT, read_number, setUpModule  # noqa: F401

if not WHY_NOT:
    import fantail


class PoolTest(ft.FantailTest):
    def pool(self, processes=2, **options):
        pool = fantail.Pool(processes, **options)
        self.addCleanup(pool.terminate)
        return pool

    def path(self, name):
        return os.path.join(self.folder, name)


class Methods(PoolTest):
    def test_maps(self):
        pool = self.pool()
        self.assertEqual(pool.map(calls.square, range(1000)), [i * i for i in range(1000)])
        self.assertEqual(pool.map(calls.square, iter([1, 2]), chunksize=1), [1, 4])
        self.assertEqual(pool.map(calls.square, []), [])
        self.assertEqual(pool.starmap(calls.add, [(1, 2), (3, 4)]), [3, 7])
        self.assertEqual(list(pool.imap(calls.square, range(300))), [i * i for i in range(300)])
        self.assertEqual(sorted(pool.imap_unordered(calls.square, range(300), 7)), [i * i for i in range(300)])

    def test_one_call(self):
        pool = self.pool()
        self.assertEqual(pool.apply(calls.add, (1,), {"y": 2}), 3)
        result = pool.apply_async(calls.add, (5,))
        result.wait()
        self.assertTrue(result.ready() and result.successful())
        self.assertEqual(result.get(), 5)

    def test_wrong_counts_are_refused_as_in_multiprocessing(self):
        for processes in (0, -1):
            self.assertRaises(ValueError, fantail.Pool, processes)
        self.assertRaises(TypeError, fantail.Pool, "2")
        for calls_per_process in (0, -1, 0.5, "12"):
            self.assertRaises(ValueError, fantail.Pool, 2, maxtasksperchild=calls_per_process)

    def test_callbacks(self):
        seen, pool = [], self.pool()
        pool.apply_async(calls.square, (2,), callback=seen.append).get()
        pool.map_async(calls.square, [1, 2], callback=seen.append).get()
        failed = pool.apply_async(calls.raise_at, (1, 1), error_callback=lambda error: seen.append(str(error)))
        self.assertRaises(ValueError, failed.get)
        self.assertFalse(failed.successful())
        self.assertEqual(seen, [4, [1, 4], "1 is not wanted"])

    def test_a_result_that_is_not_there_yet(self):
        result = self.pool().apply_async(calls.wait_for, (self.path("gate"),))
        self.assertRaises(ValueError, result.successful)
        with self.assertRaises(multiprocessing.TimeoutError):
            result.get(timeout=0.01)
        with open(self.path("gate"), "w", encoding="ascii"):
            pass
        self.assertEqual(result.get(), self.path("gate"))

    def test_next_has_a_timeout(self):
        results = self.pool().imap(calls.wait_for, [self.path("gate")])
        with self.assertRaises(multiprocessing.TimeoutError):
            results.next(timeout=0.01)
        with open(self.path("gate"), "w", encoding="ascii"):
            pass
        self.assertEqual(results.next(), self.path("gate"))

    def test_results_come_while_others_are_missing(self):
        results = self.pool().imap_unordered(calls.wait_for, [self.path("gate"), self.folder])
        self.assertEqual(next(results), self.folder)
        with open(self.path("gate"), "w", encoding="ascii"):
            pass
        self.assertEqual(list(results), [self.path("gate")])

    def test_an_initializer_and_replaced_processes(self):
        pool = self.pool(1, initializer=calls.keep, initargs=(7,), maxtasksperchild=1)
        self.assertEqual(pool.map(calls.get_kept, range(3)), [[7]] * 3)
        self.assertEqual(len(set(pool.map(calls.pid, range(3)))), 3)


class Failures(PoolTest):
    def test_a_killed_process_costs_one_call(self):
        results = self.pool().map(functools.partial(calls.die_at, 500), range(1000), return_exceptions=True)
        self.assertEqual(results[:500] + results[501:], [i for i in range(1000) if i != 500])
        self.assertEqual((results[500].name, results[500].signal), ("crashed", 9))

    def test_a_map_raises_its_first_exception(self):
        with self.assertRaisesRegex(ValueError, "3 is not wanted"):
            self.pool().map(functools.partial(calls.raise_at, 3), range(10))

    def test_an_iteration_goes_on_after_an_exception(self):
        results = self.pool().imap(functools.partial(calls.raise_at, 2), range(5))
        self.assertEqual([next(results), next(results)], [0, 1])
        self.assertRaises(ValueError, next, results)
        self.assertEqual(list(results), [3, 4])

    def test_an_iterable_that_raises_does_so_after_its_items(self):
        def numbers():
            yield 1
            yield 2
            raise KeyError("the end")
        results = self.pool().imap(calls.square, numbers())
        self.assertEqual([next(results), next(results)], [1, 4])
        self.assertRaises(KeyError, next, results)


class Bounds(PoolTest):
    def test_an_endless_iterable_is_never_read_far_ahead(self):
        """The pool reads the iterable only a few batches ahead of the results, and this distance does not grow."""
        read = itertools.count()
        results = self.pool().imap(calls.wait_for, (self.folder if next(read) < 200 else self.path("never")
                                                    for _ in itertools.count()), chunksize=5)
        for _ in range(200):
            next(results)
        self.assertRaises(multiprocessing.TimeoutError, results.next, 0.05)
        self.assertLessEqual(next(read), 200 + 5 * 8)

    def test_an_endless_iterable_of_tiny_calls(self):
        results = self.pool().imap_unordered(calls.square, itertools.count())
        self.assertEqual(len({next(results) for _ in range(5000)}), 5000)


class Ends(PoolTest):
    def test_a_closed_pool_finishes_its_calls(self):
        pool = self.pool()
        result = pool.map_async(calls.square, range(100))
        self.assertRaises(ValueError, pool.join)
        pool.close()
        self.assertRaises(ValueError, pool.apply, calls.square, (1,))
        pool.join()
        self.assertEqual(result.get(timeout=0), [i * i for i in range(100)])

    def test_terminate_ends_running_calls(self):
        pool = self.pool()
        result = pool.apply_async(calls.say_pid_and_sleep, (self.path("pid"),))
        pid = read_number(self.path("pid"))
        pool.terminate()
        self.assertFalse(runs(pid))
        with self.assertRaises(fantail.ItemError) as caught:
            result.get(timeout=0)
        self.assertEqual(caught.exception.name, "cancelled")

    def test_nothing_is_left_after_a_with_block(self):
        before = set(descendants(os.getpid()))
        with fantail.Pool(2) as pool:
            pool.apply(calls.square, (2,))
            self.assertTrue(set(descendants(os.getpid())) - before)
        wait_until(lambda: set(descendants(os.getpid())) <= before, "the end of all processes")

    def test_terminate_while_another_thread_waits(self):
        pool = self.pool()
        caught = []

        def wait_for_result():
            try:
                pool.apply(time.sleep, (3600,))
            except fantail.ItemError as error:
                caught.append(error.name)
        thread = threading.Thread(target=wait_for_result)
        thread.start()
        wait_until(lambda: pool._engine._connections, "a running call")
        pool.terminate()
        thread.join(ft.LIMIT_S)
        self.assertEqual(caught, ["cancelled"])
