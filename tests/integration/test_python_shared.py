"""fantail.shared of the Python package: objects that each process gets once."""
import functools
import gc
import glob
import os
import pickle
import random
import subprocess
import sys
from unittest import mock

import fantail_testing as ft
import python_calls as calls
from test_python_executor import WHY_NOT, ExecutorTest, setUpModule  # noqa: F401
from test_python_remote import call_task, url_of

if not WHY_NOT:
    import fantail
    from fantail import _shared

SIZE = 5 << 20


class SharedTest(ExecutorTest):
    def block(self):
        return calls.Block(bytearray(b"\x07" * SIZE), self.path("loads"))

    def loads(self):
        """Returns the ids of the processes that have unpickled the block."""
        with open(self.path("loads"), encoding="ascii") as file:
            return file.read().split()

    def stored_files(self):
        return glob.glob(os.path.join(_shared._folder[1], "object-*")) if _shared._folder else []

    def assert_once_per_process(self, results):
        self.assertEqual({byte for byte, _ in results}, {7})
        self.assertEqual(sorted(self.loads()), sorted({str(pid) for _, pid in results}))


class Private(SharedTest):
    def test_each_process_reads_an_argument_once(self):
        executor, handle = self.executor(), fantail.shared(self.block())
        results = list(executor.map(calls.byte_of, [handle] * 300, range(300)))
        results += [executor.submit(calls.byte_of, handle, SIZE - 1).result() for _ in range(5)]
        self.assert_once_per_process(results)

    def test_a_handle_in_a_function_gives_the_object(self):
        handle = fantail.shared({"a": 1})
        executor = self.executor()
        self.assertEqual(executor.submit(lambda: handle["a"]).result(), 1)
        self.assertEqual(list(executor.map(functools.partial(dict.get, handle), ["a", "b"])), [1, None])
        self.assertEqual(handle.value, {"a": 1})

    def test_a_function_with_large_data_is_read_once_by_each_process(self):
        block = self.block()
        executor = self.executor()
        results = list(executor.map(functools.partial(calls.byte_of, block), range(300)))
        results += [executor.submit(functools.partial(calls.byte_of, block), 3).result() for _ in range(5)]
        self.assert_once_per_process(results)

    def test_a_pool_takes_handles(self):
        with fantail.Pool(2) as pool:
            handle = fantail.shared(self.block())
            results = pool.starmap(calls.byte_of, [(handle, i) for i in range(200)])
            results.append(pool.apply(calls.byte_of, (handle, 1)))
            self.assert_once_per_process(results)

    def test_a_change_stays_in_its_process(self):
        block = self.block()
        handle = fantail.shared(block)
        self.assertEqual(self.executor(1).submit(calls.fill, handle, 9).result(), 9)
        self.assertEqual(self.executor(1).submit(calls.byte_of, handle, 0).result()[0], 7)
        self.assertEqual(block.data[0], 7)

    def test_a_replaced_process_reads_the_object_again(self):
        handle = fantail.shared(self.block())
        results = list(self.executor(1, max_tasks_per_child=1).map(calls.byte_of, [handle] * 3, range(3)))
        self.assert_once_per_process(results)
        self.assertEqual(len(self.loads()), 3)

    def test_the_same_content_is_kept_once_and_removed_with_its_last_handle(self):
        before = set(self.stored_files())
        first, second = fantail.shared(self.block()), fantail.shared(self.block())
        [path] = set(self.stored_files()) - before
        self.assertGreater(os.path.getsize(path), SIZE)
        del first
        self.assertTrue(os.path.exists(path))
        del second
        gc.collect()
        self.assertFalse(os.path.exists(path))

    def test_a_handle_that_is_dropped_after_submit_is_kept_for_the_call(self):
        executor = self.executor(1)
        gate = executor.submit(calls.wait_for, self.path("gate"))
        waiting = executor.submit(calls.byte_of, fantail.shared(self.block()), 0)
        gc.collect()
        ft.write_file(self.path("gate"), "")
        self.assertEqual(waiting.result()[0], 7)
        self.assertEqual(gate.result(), self.path("gate"))

    def test_an_object_that_cannot_be_pickled_is_named(self):
        with self.assertRaisesRegex(fantail.NotPicklable, "the shared object, element 1 cannot be pickled"):
            fantail.shared([1, (x for x in ())])
        with self.assertRaises(pickle.UnpicklingError):
            pickle.loads(pickle.dumps(fantail.shared(1)))

    def test_no_file_is_left_when_the_program_ends(self):
        script = (f"import sys; sys.path.insert(0, {calls.PACKAGE!r}); import fantail; h = fantail.shared(bytes(99)); "
                  "from fantail import _shared; print(_shared._folder[1])")
        ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True,
                               env={**os.environ, "TMPDIR": self.folder})
        self.assertFalse(os.path.exists(ended.stdout.strip()))


class LargeCalls(SharedTest):
    """Large calls and answers of a private fleet go through files."""

    def fleet_files(self, executor):
        return [name for name in os.listdir(executor._engine._fleet.folder) if name.startswith("answer-")]

    def test_large_arguments_and_results_keep_their_content(self):
        executor, before = self.executor(), set(self.stored_files())
        plain = [os.urandom(300000) for _ in range(5)]
        self.assertEqual(list(executor.map(calls.same, plain)), plain)
        blocks = [calls.Block(bytearray([n]) * SIZE, os.devnull) for n in range(5)]
        for number, block in enumerate(executor.map(calls.same, blocks)):
            self.assertEqual(bytes(block.data), bytes([number]) * SIZE)
            block.data[0] = 99  # the result can be changed
        self.assertEqual([block.data[0] for block in blocks], list(range(5)))
        self.assertEqual(executor.submit(len, bytes(60 << 20)).result(), 60 << 20)
        self.assertEqual(len(executor.submit(bytes, 60 << 20).result()), 60 << 20)
        gc.collect()
        self.assertEqual((self.fleet_files(executor), set(self.stored_files()) - before), ([], set()))

    def test_a_killed_process_costs_one_large_call(self):
        def die_at_2(pair):
            return os.kill(os.getpid(), 9) if pair[0] == 2 else pair
        pairs = [(n, bytes([n]) * 400000) for n in range(5)]
        results = list(self.executor().map(die_at_2, pairs, chunksize=5, return_exceptions=True))
        self.assertEqual((results[2].name, results[2].signal), ("crashed", 9))
        self.assertEqual(results[:2] + results[3:], pairs[:2] + pairs[3:])

    def test_a_large_result_that_cannot_be_pickled_costs_one_call(self):
        def with_generator(n):
            return (x for x in ()) if n == 1 else bytes(400000)
        results = list(self.executor().map(with_generator, range(3), chunksize=3, return_exceptions=True))
        self.assertEqual([getattr(result, "name", "value") for result in results],
                         ["value", "result_not_picklable", "value"])

    def test_a_full_disk_sends_the_calls_without_files(self):
        with mock.patch.object(_shared, "write_object", side_effect=OSError(28, "No space left on device")):
            self.assertEqual(self.executor().submit(len, bytes(1 << 20)).result(), 1 << 20)
            block = calls.Block(bytearray(b"\x07" * SIZE), os.devnull)
            self.assertEqual(list(self.executor().map(calls.byte_of, [block], [1]))[0][0], 7)


class OnAFleet(SharedTest):
    def start_fleet(self):
        task = call_task()
        task["env"]["PYTHONPATH"] += os.pathsep + os.path.dirname(calls.__file__)
        return self.fleet(tasks=self.tasks(**{"python-call": task}))

    def test_a_large_object_arrives_in_pieces(self):
        fleet = self.start_fleet()
        executor = fantail.Executor(url=url_of(fleet.coordinator))
        self.addCleanup(executor.shutdown)
        data = random.Random(1).randbytes(1 << 20) * 70
        handles = [fantail.shared(data), fantail.shared([1, 2, 3])]
        results = list(executor.map(lambda n: (handles[0][n << 20:][:9], len(handles[0]), handles[1]), range(8), chunksize=1))
        self.assertEqual(results, [(data[:9], len(data), [1, 2, 3])] * 8)
        with self.assertRaisesRegex(fantail.ItemError, "at most"):
            executor.submit(len, bytes(49 << 20)).result()

    def test_pieces_leave_room_for_large_arguments(self):
        fleet = self.start_fleet()
        executor = fantail.Executor(url=url_of(fleet.coordinator))
        self.addCleanup(executor.shutdown)
        handles = [fantail.shared(bytes(12 << 20)), fantail.shared(b"x" * (12 << 20))]
        sizes = executor.submit(lambda data: [len(data), *map(len, handles)], bytes(30 << 20)).result()
        self.assertEqual(sizes, [30 << 20, 12 << 20, 12 << 20])
        with self.assertRaisesRegex(fantail.ItemError, r"at most 377\d+ bytes"):
            executor.submit(lambda data, handle: len(handle), bytes(40 << 20), fantail.shared(b"y" * (12 << 20))).result()

    def test_a_lost_process_gets_the_pieces_again(self):
        fleet = self.start_fleet()
        executor = fantail.Executor(url=url_of(fleet.coordinator))
        self.addCleanup(executor.shutdown)
        handle = fantail.shared(bytes(40 << 20))
        results = list(executor.map(lambda n: os._exit(3) if n % 3 == 0 else len(handle), range(9), chunksize=1,
                                    return_exceptions=True))
        self.assertEqual([getattr(result, "name", result) for result in results], ["crashed", 40 << 20, 40 << 20] * 3)

    def test_the_content_is_sent_once_to_each_process(self):
        fleet = self.start_fleet()
        sent = []
        work_payload = fantail._work.Work.payload

        def counted(work, versions):
            payload = work_payload(work, versions)
            sent.append(len(payload))
            return payload
        fantail._work.Work.payload = counted
        self.addCleanup(setattr, fantail._work.Work, "payload", work_payload)
        executor = fantail.Executor(url=url_of(fleet.coordinator))
        self.addCleanup(executor.shutdown)
        handle = fantail.shared(self.block())
        results = list(executor.map(calls.byte_of, [handle] * 200, range(200)))
        results += executor.map(functools.partial(calls.byte_of, self.block()), range(200))
        self.assertEqual({byte for byte, _ in results}, {7})
        processes = {pid for _, pid in results}
        # Each process loads the block of the handle and the block of the function.
        self.assertEqual(len(self.loads()), 2 * len(processes))
        self.assertLess(sum(sent), (2 * len(processes) + 4) * SIZE)


if __name__ == "__main__":
    ft.main()
