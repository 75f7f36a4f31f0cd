"""How many items of `fantail map` run, for how long, and how often. GNU parallel has most of these options too."""
import os
import subprocess
import time

from cli_testing import CliTest
from fantail_testing import have, main, write_file

# Counts its runs in the file "<item>.runs", and fails until run number $1.
FLAKY = """#!/bin/sh
echo >> "$2.runs"
[ "$(wc -l < "$2.runs")" -ge "$1" ] || exit 7
echo "$2"
"""


class Control(CliTest):
    def setUp(self):
        super().setUp()
        write_file(os.path.join(self.folder, "flaky"), FLAKY, 0o755)

    def map(self, *arguments, stdin="", status=0, err=b"", **more):
        ended = self.cli("map", *arguments, stdin=stdin, **more)
        self.assertEqual((ended.status, ended.err), (status, err), ended)
        return ended.lines

    def runs(self, item):
        with open(os.path.join(self.folder, f"{item}.runs"), encoding="ascii") as file:
            return len(file.readlines())

    def parallel(self, *arguments, status=0):
        """Returns what GNU parallel prints with these arguments."""
        if not have("parallel"):
            self.skipTest("GNU parallel is not installed")
        asked = subprocess.run(["parallel", "--will-cite", *arguments], cwd=self.folder, stdin=subprocess.DEVNULL,
                               capture_output=True, env=self.environment(), check=False)
        self.assertEqual(asked.returncode, status, asked)
        return asked.stdout.decode().splitlines()


class Retries(Control):
    def test_a_failed_command_is_run_again(self):
        self.assertEqual(self.map("--retries", 3, "--", "./flaky", 3, ":::", "a", "b"), ["a", "b"])
        ended = self.cli("map", "--retries", 2, "--delay-retry", "0", "--", "./flaky", 3, ":::", "c")
        self.assertEqual((ended.status, ended.lines), (1, ["null"]), ended)
        self.assertIn(b"item 0: task_error: exit status 7", ended.err)
        self.assertEqual([self.runs(item) for item in "abc"], [3, 3, 2])

    def test_gnu_parallel_counts_the_attempts_in_the_same_way(self):
        self.assertEqual(self.parallel("--retries", "3", "./flaky", "3", ":::", "a"), ["a"])
        self.assertEqual(self.parallel("--retries", "2", "./flaky", "3", ":::", "c", status=1), [])
        self.assertEqual([self.runs(item) for item in "ac"], [3, 2])

    def test_only_the_errors_of_retry_on_are_retried(self):
        for errors, command, runs in (("crashed", ["./flaky", 2], 1), ("crashed,task_error", ["./flaky", 2], 2),
                                      ("crashed", ["sh", "-c", "echo >> $1.runs; kill -9 $$", "sh"], 3)):
            item = f"{errors}-{runs}"
            self.cli("map", "-q", "--retries", 3, "--retry-on", errors, "--", *command, ":::", item)
            self.assertEqual(self.runs(item), runs, item)

    def test_an_item_that_hangs_is_run_again(self):
        script = 'echo >> $1.runs; [ "$(wc -l < $1.runs)" -ge 2 ] || sleep 1000; echo $1'
        self.assertEqual(self.map("--timeout", 1, "--retries", 2, "--", "sh", "-c", script, "sh", ":::", "a"), ["a"])
        self.assertEqual(self.runs("a"), 2)

    def test_the_delay_between_attempts_is_as_given(self):
        began = time.monotonic()
        self.map("--retries", 3, "--delay-retry", "0.4s", "--", "./flaky", 3, ":::", "a")
        self.assertGreaterEqual(time.monotonic() - began, 0.8)

    def test_a_task_is_retried_too(self):
        tasks = self.tasks(flaky={"json": {"mode": "exec", "command": ["./run"]},
                                  "files": {"run": f"#!/bin/sh\ncd {self.folder}\n./flaky 2 \"$(cat)\"\n"}})
        self.assertEqual(self.map("flaky", "--tasks", tasks, "--retries", 2, ":::", 5), ["5"])
        self.assertEqual(self.runs(5), 2)


class Limits(Control):
    def test_an_item_that_takes_too_long_is_killed(self):
        ended = self.cli("map", "--timeout", "0.01m", "--", "sleep", ":::", 0, 1000)
        self.assertEqual((ended.status, ended.lines), (1, ["", "null"]), ended)
        self.assertIn(b"item 1: timed_out: ", ended.err)

    def test_jobs_is_the_number_of_processes(self):
        script = ('mkdir run.$1; i=0; while [ "$(ls -d run.* | wc -l)" -lt 3 ] && [ $i -lt 3000 ]; do sleep 0.01; '
                  'i=$((i+1)); done; echo $i')
        self.assertNotIn("3000", self.map("-j3", "--", "sh", "-c", script, "sh", ":::", "a", "b", "c"))

    def test_one_job_at_a_time_runs_the_items_in_order(self):
        numbers = [str(n) for n in range(20)]
        self.map("-j", 1, "--", "sh", "-c", "echo $1 >> order", "sh", ":::", *numbers)
        with open(os.path.join(self.folder, "order"), encoding="ascii") as file:
            self.assertEqual(file.read().split(), numbers)

    def test_keep_order_is_the_default(self):
        script = ["--", "sh", "-c", "sleep $1; echo $1", "sh", ":::", "0.3", "0"]
        for options in [], ["-k"], ["--keep-order", "--order", "input"]:
            self.assertEqual(self.map("-j2", *options, *script), ["0.3", "0"])
        self.assertEqual(self.map("-j2", "--order", "completion", *script), ["0", "0.3"])


class WrongValues(Control):
    def test_a_wrong_value_is_refused_by_name(self):
        fleet = ["square", "--url", "http://127.0.0.1:1"]
        for arguments, message in (
                (["--jobs", "x", "--", "true"], "--jobs: must be a number of processes"),
                (["-j", "1.5", "--", "true"], "--jobs: must be a number of processes"),
                (["-j", "2000", "--", "true"], "--jobs: must be a number of processes"),
                (["-j", "2", "-P", "2", "--", "true"], "--jobs: cannot be given together with --processes"),
                (["-j", "50%", *fleet], "--jobs: must be a number, because"),
                (["-j", "5", "--max-concurrency", "5", *fleet], "--jobs: cannot be given together with --max-concurrency"),
                (["--timeout", "1y", "--", "true"], "--timeout: must be a number of seconds"),
                (["--timeout", "1", "--item-timeout-s", "1", "square"], "--timeout: cannot be given together"),
                (["--retries", "-1", "square"], "--retries: must be a whole number from 0"),
                (["--retries", "2", "--max-attempts", "2", "square"], "--retries: cannot be given together"),
                (["--retries", "2", "--retry-on", "exit", "square"], "--retry-on: must be names from this list"),
                (["--retry-on", "crashed", "--", "true"], "--retry-on: has no effect without --retries"),
                (["--delay-retry", "1", "--", "true"], "--delay-retry: has no effect without --retries"),
                (["--delay-retry", "-1", "square"], "--delay-retry: must be a number of seconds"),
                (["-k", "--order", "completion", "square"], "--keep-order: cannot be given together")):
            with self.subTest(arguments):
                ended = self.cli("map", *arguments, stdin="1\n")
                self.assertEqual((ended.status, ended.out), (2, b""), ended)
                self.assertIn(f"fantail map: {message}", ended.err.decode())


if __name__ == "__main__":
    main()
