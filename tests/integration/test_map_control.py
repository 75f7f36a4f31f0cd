"""How many items of `fantail map` run, for how long, and how often. GNU parallel also has most of the tested
options."""
import os
import signal
import subprocess
import time

from cli_testing import FANTAIL, CliTest
from fantail_testing import EXAMPLE_TASKS, command_line, descendants, have, main, wait_until, write_file

# Counts its runs in the file "<item>.runs", and fails until run number $1.
FLAKY = """#!/bin/sh
echo >> "$2.runs"
[ "$(wc -l < "$2.runs")" -ge "$1" ] || exit 7
echo "$2"
"""


def waits_at_gate(pid):
    """Returns whether the process is a host that waits for its turn, in the system call futex."""
    try:
        with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
            return "fantail-host-exec" in command_line(pid) and file.read().split()[0] in ("202", "98")
    except OSError:
        return False


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

    def test_slow_input_fills_all_slots(self):
        """Each line is written after the command of the previous line has begun, so each job has one item."""
        script = 'touch "began.$1"; until [ -e go ]; do sleep 0.05; done; echo "$1"'
        run = subprocess.Popen([FANTAIL, "map", "-j", "20", "--", "sh", "-c", script, "sh"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, env=self.environment(), cwd=self.folder)
        self.addCleanup(run.kill)
        for n in range(20):
            run.stdin.write(b"%d\n" % n)
            run.stdin.flush()
            wait_until(lambda n=n: os.path.exists(os.path.join(self.folder, f"began.{n}")), f"command {n}")
        write_file(os.path.join(self.folder, "go"), "")
        self.assertEqual(run.communicate(timeout=60)[0].decode().split(), [str(n) for n in range(20)])

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
        self.assertIn(b"item 1 (index 0): task_error: exit status 7", ended.err)
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
        self.assertIn(b"item 2 (index 1): timed_out: ", ended.err)

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


class Starts(Control):
    """When a command starts."""

    def starts(self, *arguments, items=4):
        """Runs a few items on four processes, and returns the times at which their commands started."""
        lines = self.map("-j4", *arguments, "--", "sh", "-c", "date +%s.%N; sleep 0.1", "sh", ":::", *map(str, range(items)))
        return [float(line) for line in lines]

    def test_starts_are_spaced(self):
        for options in ["--delay", "0.3"], ["--rate", "4/s"], ["--rate", "240/m"]:
            starts = sorted(self.starts(*options))
            for earlier, later in zip(starts, starts[1:]):
                self.assertGreater(later - earlier, 0.2, (options, starts))

    def test_items_of_a_task_start_at_a_rate_also_when_each_item_is_a_job_of_its_own(self):
        for options in ["--rate", "4/s"], ["--rate", "240/m", "--order", "completion"]:
            with subprocess.Popen([FANTAIL, "map", "--tasks", EXAMPLE_TASKS, *options, "square"], cwd=self.folder,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment()) as program:
                answered = []
                for number in range(6):
                    program.stdin.write(b"%d\n" % number)
                    program.stdin.flush()
                    self.assertEqual(program.stdout.readline(), b"%d\n" % number ** 2)
                    answered.append(time.monotonic())
                program.communicate()
            self.assertGreaterEqual(answered[-1] - answered[0], 4 / 4)  # the first answer may come late

    def test_items_of_a_task_start_at_a_rate_in_one_job(self):
        began = time.monotonic()
        self.assertEqual(self.map("--tasks", EXAMPLE_TASKS, "--rate", "4/s", "square", ":::", *"123456"),
                         ["1", "4", "9", "16", "25", "36"])
        self.assertGreaterEqual(time.monotonic() - began, 5 / 4)

    def test_the_time_limit_begins_when_the_command_starts(self):
        self.assertEqual(self.map("-j4", "--delay", "0.4", "--timeout", "1.2", "--", "sh", "-c", "sleep 0.2; echo $1", "sh", ":::",
                                  *"abcdef"), list("abcdef"))

    def test_a_file_says_how_many_run_and_may_change(self):
        jobs = os.path.join(self.folder, "jobs")
        write_file(jobs, "1\n")
        # Item b writes "2" into the file, and then waits until two items run.
        script = ('mkdir "run.$FANTAIL_SLOT" || exit 9; [ $1 = b ] && echo 2 > jobs; '
                  'while [ $1 = b ] && [ "$(ls -d run.* | wc -l)" -lt 2 ]; do sleep 0.01; done; '
                  'sleep 0.1; rmdir "run.$FANTAIL_SLOT"; echo "$1$FANTAIL_SLOT"')
        lines = self.map("-j", jobs, "--", "sh", "-c", script, "sh", ":::", *"abcdefgh")
        self.assertEqual([line[0] for line in lines], list("abcdefgh"))
        self.assertEqual({line[1] for line in lines}, {"1", "2"})

    def test_a_command_waits_for_free_memory_and_for_a_lower_load(self):
        for options in ["--memfree", "1M"], ["--load", "100000"], ["--load", "100000%"]:
            self.assertEqual(len(self.starts(*options)), 4)
        for command, options, reason in (
                ("map", ["--memfree", "100000G", "--"], r"[0-9.]+ GiB of memory is free, --memfree needs 100000\.0 GiB"),
                ("map", ["--load", "0", "--"], r"[1-9]\d* processes run, --load 0 allows fewer than 0\.01"),
                ("parallel", ["--memfree", "100000G"], "[0-9.]+ GiB of memory is free, .*")):
            burner = subprocess.Popen(["sh", "-c", "while :; do :; done"])
            try:
                program = self.start("fantail", command, *options, "touch", ":::", "started")
                program.any_status = True
                wait_until(lambda: any(waits_at_gate(pid) for pid in descendants(program.pid)), "a process at the gate")
                self.assertFalse(os.path.exists(os.path.join(self.folder, "started")), options)
                wait_until(lambda: program.stderr().endswith("\n"), "the reason", 60)
                self.assertRegex(program.stderr(), rf"\Afantail: waiting: {reason}\n\Z")
                program.send_signal(signal.SIGINT)
                program.wait()
            finally:
                burner.kill()
                burner.wait()

    def test_a_limit_in_percent_is_a_multiple_of_the_median(self):
        ended = self.cli("map", "-j1", "--timeout", "1000%", "--", "sleep", ":::", *["0.1"] * 4, 1000)
        self.assertEqual((ended.status, ended.lines), (1, [""] * 4 + ["null"]), ended)
        self.assertIn(b"item 5 (index 4): timed_out: the command took too long", ended.err)


class Words(Control):
    """What a command sees, and what is printed before its output."""

    def test_each_running_command_has_a_slot_of_its_own(self):
        script = 'mkdir "s.$1" || exit 9; sleep 0.01; rmdir "s.$1"; echo "$1 $FANTAIL_SLOT"'
        lines = self.map("-j3", "--", "sh", "-c", script, "sh", "{%}", ":::", *map(str, range(30)))
        self.assertEqual({line.split()[0] for line in lines}, {"1", "2", "3"})
        self.assertTrue(all(len(set(line.split())) == 1 for line in lines), lines)

    def test_a_slot_is_free_again_after_its_process_was_killed(self):
        script = 'echo "$1" >> slots; [ "$2" != die ] || kill -9 $PPID'
        self.map("-q", "-j2", "--", "sh", "-c", script, "sh", "{%}", "{}", ":::", *["die", "x"] * 4, status=1)
        with open(os.path.join(self.folder, "slots"), encoding="ascii") as file:
            self.assertLessEqual(set(file.read().split()), {"1", "2"})

    def test_a_tag_stands_before_each_line(self):
        show = ["--", "printf", "%s\n\n", "a b", ":::", "c"]
        self.assertEqual(self.map("--tag", *show), ["c\ta b", "c\t", "c\tc", "c\t"])
        self.assertEqual(self.map("--tagstring", "{#}:{.}", "--", "printf", "%s", ":::", "x.y", "z"),
                         ["1:x\tx.y", "2:z\tz"])
        self.assertEqual(self.map("-I", "@", "--tag", "--", "echo", ":::", "a"), ["a\ta"])

    def test_gnu_parallel_tags_the_same(self):
        for options in ["--tag"], ["--tagstring", "<{2}-{1/.}>"], ["--tagstring", "{#}"]:
            rest = [":::", "a/b.c", "d", ":::", "e f"]
            self.assertEqual(self.map(*options, "--", "printf", r"%s\n", *rest),
                             self.parallel("-k", *options, "printf", r"'%s\n'", *rest))

    def test_a_dry_run_prints_the_commands(self):
        values = ["a b", "it's", "", "$x", "a-b_c./+1", "~", "a=b", "\u00e4"]
        lines = self.map("--dry-run", "--", "rm", "-r", "{}", "{#}", ":::", *values)
        self.assertEqual(lines, self.parallel("-k", "--dry-run", "rm", "-r", "{}", "{#}", ":::", *values))

    def test_a_command_may_be_nice(self):
        mine = int(self.map("--", "sh", "-c", "nice", "sh", ":::", "x")[0])
        wanted = min(mine + 7, 19)
        self.assertEqual(self.map("--nice", "7", "--", "sh", "-c", "nice", "sh", ":::", "x", "y"), [str(wanted)] * 2)


class Variables(Control):
    def test_an_option_wins_over_the_variable_of_another_option_for_the_same_thing(self):
        self.assertEqual(self.map("--retries", 3, "--", "./flaky", 3, ":::", "a", FANTAIL_MAX_ATTEMPTS="1"), ["a"])
        self.assertEqual(self.map("--timeout", "1m", "sleep", stdin="0.01\n", FANTAIL_ITEM_TIMEOUT_S="0.000001"), ["0.01"])
        self.assertEqual(self.map("--halt", "now,fail=9", "square", stdin="2\n", FANTAIL_TOLERATED_FAILURE_COUNT="0"), ["4"])
        url = f"http://127.0.0.1:{self.fleet().coordinator.port}"
        self.assertEqual(self.map("-j", 2, "square", "--url", url, stdin="2\n", FANTAIL_MAX_CONCURRENCY="1"), ["4"])


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
                (["-j", self.folder, "--", "true"], "--jobs: must be a number of processes"),
                (["--timeout", "0%", "--", "true"], "--timeout: must be a number of seconds, or a number with s, m, h or d, or"),
                (["--timeout", "50%", "square"], "--timeout: must be a number of seconds"),
                (["--delay", "x", "--", "true"], "--delay: must be a number of seconds"),
                (["--rate", "0/s", "--", "true"], "--rate: must be a number above 0"),
                (["--rate", "5/d", "--", "true"], "--rate: must be a number above 0"),
                (["--rate", "5/s", "--delay", "1", "--", "true"], "--rate: cannot be given together with --delay"),
                (["--rate", "1e12/s", "square"], "--rate: must be a number above 0"),
                (["--load", "-1", "--", "true"], "--load: must be a number of processes"),
                (["--memfree", "x", "--", "true"], "--memfree: must be a number of bytes"),
                (["--nice", "x", "--", "true"], "--nice: must be a whole number"),
                (["--tag", "--tagstring", "x", "--", "true"], "--tag: cannot be given together with --tagstring"),
                (["--tag", "--json", "--", "true"], "--tag: cannot be given together with --json"),
                (["--tag", "square"], "--tag: is for a command (after --) only"),
                (["--dry-run", "square"], "--dry-run: is for a command (after --) only"),
                (["-k", "--order", "completion", "square"], "--keep-order: cannot be given together")):
            with self.subTest(arguments):
                ended = self.cli("map", *arguments, stdin="1\n")
                self.assertEqual((ended.status, ended.out), (2, b""), ended)
                self.assertIn(f"fantail map: {message}", ended.err.decode())


if __name__ == "__main__":
    main()
