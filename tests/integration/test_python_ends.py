"""How the Python package starts and ends its fleet: exits, Ctrl-C, kill -9, and services that die."""
import os
import signal
import subprocess
import sys
import textwrap

import fantail_testing as ft
import python_calls as calls
from fantail_testing import command_line, descendants, runs, wait_until
from test_python_executor import read_number, setUpModule  # noqa: F401

HEAD = """
    import os, signal, sys, time
    sys.path[:0] = [{package!r}, {tests!r}]
    import fantail
    import python_calls as calls
    folder = {folder!r}
"""


class EndsTest(ft.FantailTest):
    def path(self, name):
        return os.path.join(self.folder, name)

    def script(self, text, **more):
        """Starts a script, whose fleet makes its folders in the folder of the test."""
        head = HEAD.format(package=calls.PACKAGE, tests=os.path.dirname(calls.__file__), folder=self.folder)
        path = self.path("script.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(head) + textwrap.dedent(text))
        env = {**self.environment(), "FANTAIL_BIN": ft.BIN, "TMPDIR": self.folder, **more}
        process = subprocess.Popen([sys.executable, path], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, text=True, start_new_session=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def output_of(self, text, **more):
        process = self.script(text, **more)
        out, err = process.communicate()
        self.assertEqual(process.returncode, 0, err)
        return out

    def fleet_folders(self):
        return [name for name in os.listdir(self.folder) if name.startswith("fantail-")]

    def started(self, process):
        """Waits until a call has written its process id. Returns the processes of the script's fleet."""
        read_number(self.path("pid"))
        found = descendants(process.pid)
        self.assertTrue(any("fantail-worker" in command_line(pid) for pid in found))
        return found


class Exits(EndsTest):
    def test_the_interpreter_finishes_the_calls_of_an_executor_before_it_exits(self):
        out = self.output_of("""
            executor = fantail.Executor(2)
            for i in range(5):
                executor.submit(calls.square, i).add_done_callback(lambda f: print(f.result(), flush=True))
        """)
        self.assertEqual(sorted(out.split()), ["0", "1", "16", "4", "9"])
        self.assertEqual(self.fleet_folders(), [])

    def test_a_pool_that_was_not_closed_ends_with_the_interpreter(self):
        process = self.script("""
            pool = fantail.Pool(2)
            pool.apply_async(calls.say_pid_and_sleep, (folder + "/pid",))
            calls.wait_for(folder + "/end")
        """)
        found = self.started(process)
        with open(self.path("end"), "w", encoding="ascii"):
            pass
        _, err = process.communicate()
        self.assertEqual((process.returncode, err), (0, ""))
        wait_until(lambda: not any(map(runs, found)), "the end of the fleet")
        self.assertEqual(self.fleet_folders(), [])

    def test_kill_of_the_process_ends_the_fleet_and_the_next_one_removes_its_folder(self):
        process = self.script("""
            fantail.Executor(2).submit(calls.say_pid_and_sleep, folder + "/pid").result()
        """)
        found = self.started(process)
        process.kill()
        process.wait()
        wait_until(lambda: not any(map(runs, found)), "the end of the fleet")
        self.output_of("""
            with fantail.Executor(1) as executor:
                executor.submit(calls.square, 1).result()
        """)
        self.assertEqual(self.fleet_folders(), [])

    def test_ctrl_c_ends_the_calls_with_one_traceback(self):
        process = self.script("""
            with fantail.Executor(2) as executor:
                executor.submit(calls.say_pid_and_sleep, folder + "/pid")
                list(executor.map(time.sleep, [3600] * 10))
        """)
        found = self.started(process)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate()
        self.assertEqual(err.count("Traceback"), 1, err)
        self.assertTrue(err.rstrip().endswith("KeyboardInterrupt"), err)
        wait_until(lambda: not any(map(runs, found)), "the end of the fleet")
        self.assertEqual(self.fleet_folders(), [])

    def test_a_fork_cannot_use_the_executor_and_does_not_end_it(self):
        out = self.output_of("""
            with fantail.Executor(1) as executor:
                child = os.fork()
                if not child:
                    try:
                        executor.submit(calls.square, 2)
                    except RuntimeError as error:
                        print(error, flush=True)
                    sys.exit()
                os.waitpid(child, 0)
                print(executor.submit(calls.square, 3).result())
        """)
        self.assertIn("fork", out)
        self.assertEqual(out.splitlines()[-1], "9")

    def test_what_is_in_main_travels_by_value(self):
        out = self.output_of("""
            class Pair:
                def __init__(self, x):
                    self.x = x
            def double(pair):
                return Pair(pair.x * 2)
            with fantail.Executor(1) as executor:
                pair, = executor.map(double, [Pair(4)])
                print(type(pair) is Pair, pair.x)
        """)
        self.assertEqual(out, "True 8\n")


class Services(EndsTest):
    def map_with_a_killed_service(self, program):
        """Runs a script that maps items, and kills a service of its fleet meanwhile."""
        process = self.script("""
            def step(i):
                if i >= 3:
                    calls.wait_for(folder + "/gate")
                return i
            with fantail.Executor(2) as executor:
                results = executor.map(step, range(40), chunksize=1)
                print([next(results) for _ in range(3)])
                open(folder + "/started", "w").close()
                print(list(results) == list(range(3, 40)))
        """)
        wait_until(lambda: os.path.exists(self.path("started")), "the first results")
        [service] = [pid for pid in descendants(process.pid) if f"/{program} " in command_line(pid)]
        os.kill(service, signal.SIGKILL)
        with open(self.path("gate"), "w", encoding="ascii"):
            pass
        out, err = process.communicate()
        self.assertEqual(out, "[0, 1, 2]\nTrue\n", err)

    def test_a_worker_that_is_killed_is_replaced(self):
        self.map_with_a_killed_service("fantail-worker")

    def test_a_coordinator_that_is_killed_is_replaced(self):
        self.map_with_a_killed_service("fantail-coordinator")

    def test_a_fleet_that_is_killed_fails_the_calls(self):
        out = self.output_of("""
            executor = fantail.Executor(1)
            future = executor.submit(calls.say_pid_and_sleep, folder + "/pid")
            calls.wait_for(folder + "/pid")
            executor._engine._fleet._process.kill()
            for call in (future.result, lambda: executor.submit(calls.square, 1)):
                try:
                    call()
                except fantail.FleetError as error:
                    print(error)
        """)
        self.assertEqual(out.count("the private fleet has ended"), 2, out)


class Programs(EndsTest):
    def test_missing_programs_are_told_with_what_to_do(self):
        text = """
            try:
                fantail.Executor()
            except fantail.ProgramsNotFound as error:
                print(error)
        """
        self.assertIn(f"there is no program {self.folder}/fantail", self.output_of(text, FANTAIL_BIN=self.folder))
        out = self.output_of(text, FANTAIL_BIN="", PATH=self.folder)
        self.assertIn("not found on PATH", out)
        self.assertIn("FANTAIL_BIN", out)

    def test_the_programs_are_found_on_the_path(self):
        out = self.output_of("""
            with fantail.Executor(1) as executor:
                print(executor.submit(calls.square, 5).result())
        """, FANTAIL_BIN="")
        self.assertEqual(out, "25\n")

    def test_a_fleet_that_cannot_start_fails_the_calls(self):
        os.symlink("/bin/false", self.path("fantail"))
        out = self.output_of("""
            try:
                fantail.Executor(1).submit(calls.square, 5).result()
            except fantail.FleetError as error:
                print(type(error).__name__)
        """, FANTAIL_BIN=self.folder)
        self.assertEqual(out, "FleetError\n")
