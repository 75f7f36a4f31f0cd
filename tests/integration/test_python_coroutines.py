"""Coroutine functions, given to fantail.Executor and fantail.Pool."""
import asyncio
import functools
import os
import sys

import fantail_testing as ft
import python_calls as calls
import python_coroutines as coroutines
from python_coroutines import Adder, twice
from test_python_executor import WHY_NOT, ExecutorTest, setUpModule  # noqa: F401

if not WHY_NOT:
    import fantail


class Coroutines(ExecutorTest):
    def test_the_result_of_the_coroutine_is_the_result_of_the_call(self):
        executor = self.executor()
        self.assertEqual(executor.submit(twice, 3).result(), 6)
        self.assertEqual(list(executor.map(twice, range(2000))), [2 * n for n in range(2000)])

    def test_all_kinds_of_coroutine_functions_are_accepted(self):
        executor = self.executor(1)
        factor = 3

        async def local(n):
            return n * factor
        for function in (local, functools.partial(Adder().add, by=1), Adder(), Adder().add, lambda n: twice(n)):
            self.assertIsInstance(executor.submit(function, 1).result(), int)
        self.assertEqual(list(executor.map(lambda n: twice(n) if n % 2 else n, range(4), chunksize=4)), [0, 2, 2, 6])

    def test_a_pool_takes_coroutine_functions(self):
        with fantail.Pool(2) as pool:
            self.assertEqual(pool.map(twice, range(5)), [0, 2, 4, 6, 8])
            self.assertEqual(pool.apply(twice, (4,)), 8)
            self.assertEqual(sorted(pool.imap_unordered(twice, range(5))), [0, 2, 4, 6, 8])

    def test_the_coroutines_of_a_batch_run_at_the_same_time(self):
        everyone = functools.partial(coroutines.meet, self.folder, 300)
        self.assertEqual(list(self.executor(1).map(everyone, range(300), chunksize=300)), list(range(300)))

    def test_batches_grow_although_each_coroutine_waits(self):
        async def wait(n):
            await asyncio.sleep(0.2)
            return n, len(asyncio.all_tasks())
        found = list(self.executor(1).map(wait, range(700)))
        self.assertEqual([n for n, _ in found], list(range(700)))
        self.assertGreater(max(tasks for _, tasks in found), 100)
        self.assertLess(max(tasks for _, tasks in found), 260)

    def test_an_exception_costs_one_call_and_has_its_traceback(self):
        results = list(self.executor().map(functools.partial(coroutines.fail_at, 7), range(20), chunksize=20, return_exceptions=True))
        self.assertEqual(results[:7] + results[8:], [n for n in range(20) if n != 7])
        self.assertIsInstance(results[7], ValueError)
        self.assertIn("in fail_at", str(results[7].__cause__))
        self.assertNotIn("_process.py", str(results[7].__cause__))

    def test_exits_and_crashes_cost_one_call(self):
        for end, name in ((sys.exit, "exited"), (os._exit, "crashed")):
            ending = functools.partial(coroutines.end_at, 70, end)
            results = list(self.executor().map(ending, range(100), chunksize=100, return_exceptions=True))
            self.assertEqual(results[:70] + results[71:], [n for n in range(100) if n != 70])
            self.assertEqual((results[70].name, results[70].exit_code), (name, 4))

    def test_a_coroutine_that_hangs_costs_one_call(self):
        async def hang_at(n):
            await asyncio.sleep(3600 if n == 5 else 0)
            return n
        executor = self.executor(item_timeout_s=1, initializer=twice, initargs=(1,))
        results = list(executor.map(hang_at, range(20), chunksize=20, return_exceptions=True))
        self.assertEqual(results[:5] + results[6:], [n for n in range(20) if n != 5])
        self.assertEqual(results[5].name, "timed_out")

    def test_a_result_that_cannot_be_pickled_costs_one_call(self):
        async def open_at(n):
            return open(os.devnull) if n == 2 else n
        results = list(self.executor().map(open_at, range(4), chunksize=4, return_exceptions=True))
        self.assertEqual(results[2].name, "result_not_picklable")
        self.assertEqual(results[:2] + results[3:], [0, 1, 3])

    def test_a_coroutine_may_fork(self):
        self.assertEqual(list(self.executor(1).map(coroutines.fork, range(4), chunksize=4)), [0, 1, 2, 3])

    def test_the_initializer_may_be_a_coroutine_function_and_shares_the_loop(self):
        executor = self.executor(1, initializer=coroutines.keep_loop)
        self.assertTrue(executor.submit(coroutines.is_in_kept_loop).result())
        self.assertTrue(executor.submit(coroutines.is_in_kept_loop).result())

    def test_a_coroutine_initializer_imports_asyncio_before_the_time_of_a_call_begins(self):
        async def begin():
            pass
        self.assertFalse(self.executor(1).submit(calls.has_imported, "asyncio").result())
        self.assertTrue(self.executor(1, initializer=begin).submit(calls.has_imported, "asyncio").result())

    def test_an_initializer_that_raises_is_told(self):
        executor = self.executor(1, initializer=coroutines.fail_at, initargs=(1, 1))
        with self.assertRaises(fantail.InitializerError) as caught:
            executor.submit(calls.square, 2).result()
        self.assertIsInstance(caught.exception.__cause__, ValueError)

    def test_cancel_ends_a_waiting_coroutine(self):
        async def open_and_wait(path):
            with open(path, "w", encoding="ascii"):
                await asyncio.sleep(3600)
        executor = self.executor(1)
        future = executor.submit(open_and_wait, self.path("begun"))
        ft.wait_until(lambda: os.path.exists(self.path("begun")), "the begin of the coroutine")
        self.assertTrue(future.cancel())
        self.assertEqual(executor.submit(twice, 2).result(), 4)


if __name__ == "__main__":
    ft.main()
