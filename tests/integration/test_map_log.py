"""`fantail map -- COMMAND`: the log of the commands, runs that continue a killed run, --halt and --raw."""
import os
import signal
import subprocess
import time

from cli_testing import FANTAIL, CliTest
from fantail_testing import have, main, wait_until, write_file

COLUMNS = ["Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command", "Index", "Worker",
           "Attempts", "Peak"]


class LogTest(CliTest):
    def map(self, *arguments, stdin="", status=0, **more):
        ended = self.cli("map", *arguments, stdin=stdin, **more)
        self.assertEqual(ended.status, status, ended)
        return ended

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def log(self, name="log"):
        """Returns the lines of the log as dictionaries."""
        header, *lines = self.read(name).decode().splitlines()
        self.assertEqual(header.split("\t"), COLUMNS)
        for line in lines:
            self.assertEqual(len(line.split("\t")), len(COLUMNS), line)
        return [dict(zip(COLUMNS, line.split("\t"))) for line in lines]

    def parallel(self, *arguments, stdin=b"", status=0):
        if not have("parallel"):
            self.skipTest("GNU parallel is not installed")
        asked = subprocess.run(["parallel", "--will-cite", *arguments], cwd=self.folder, input=stdin, capture_output=True,
                               env=self.environment(), check=False)
        self.assertEqual(asked.returncode, status, asked)
        return asked.stdout


class Joblog(LogTest):
    def test_each_command_has_its_line(self):
        began = time.time()
        self.map("--joblog", "log", "--", "sh", "-c", 'sleep 0.2; printf abc; exit "$1"', "sh", ":::", "0", "3", status=1)
        lines = self.log()
        for index, line in enumerate(lines):
            self.assertEqual((line["Seq"], line["Index"], line["Host"]), (str(index + 1), str(index), ":"))
            self.assertTrue(began <= float(line["Starttime"]) <= time.time(), line)
            self.assertTrue(0.2 <= float(line["JobRuntime"]) < 60, line)
            self.assertEqual((line["Send"], line["Receive"], line["Signal"], line["Attempts"]), ("0", "3", "0", "1"))
            self.assertGreater(int(line["Peak"]), 100_000)
            self.assertEqual(line["Worker"], "local-1")
        self.assertEqual([line["Exitval"] for line in lines], ["0", "3"])
        self.assertEqual(lines[1]["Command"], "sh -c 'sleep 0.2; printf abc; exit \"$1\"' sh 3")

    def test_a_signal_a_time_limit_and_a_lost_process_are_logged(self):
        script = 'case $1 in kill) kill -11 $$;; sleep) sleep 1000;; lost) kill -9 $PPID; sleep 1000;; esac'
        self.map("-q", "--joblog", "log", "--timeout", "1", "--", "sh", "-c", script, "sh", ":::", "kill", "sleep", "lost", "ok",
                 status=1)
        self.assertEqual([(line["Exitval"], line["Signal"], line["Attempts"], line["Worker"]) for line in self.log()],
                         [("0", "11", "1", "local-1"), ("-1", "9", "1", "local-1"), ("0", "9", "1", "local-1"),
                          ("0", "0", "1", "local-1")])

    def test_gnu_parallel_reads_our_log_and_we_read_its(self):
        self.map("-q", "--joblog", "ours", "--", "sh", "-c", "[ $1 != b ]", "sh", ":::", "a", "b", status=1)
        self.assertEqual(self.parallel("--joblog", "ours", "--resume", "echo", ":::", "a", "b", "c"), b"c\n")
        self.assertEqual(self.map("--joblog", "ours", "--resume-failed", "--", "echo", ":::", *"abcd").lines, ["b", "d"])
        self.parallel("--joblog", "theirs", "sh", "-c", "'[ {} != b ]'", ":::", "a", "b", status=1)
        self.assertEqual(self.map("--joblog", "theirs", "--resume-failed", "--", "echo", ":::", *"abc").lines, ["b", "c"])

    def test_a_line_is_not_appended_to_an_unfinished_one(self):
        self.map("--joblog", "log", "--", "true", ":::", "a", "b")
        with open(self.path("log"), "ab") as log:
            log.write(b"235")
        self.map("--joblog", "+log", "--", "true", ":::", "c")
        self.assertEqual([line["Seq"] for line in self.log()], ["1", "2", "1"])
        write_file(self.path("torn"), "23")
        self.map("--joblog", "+torn", "--", "true", ":::", "c")
        self.assertEqual([line["Seq"] for line in self.log("torn")], ["1"])

    def test_a_plus_appends_and_a_new_run_begins_a_new_log(self):
        for name, count in (("log", 1), ("+log", 2), ("log", 1)):
            self.map("--joblog", name, "--", "true", ":::", "a")
            self.assertEqual(len(self.log()), count)

    def test_a_command_with_strange_characters_is_one_line(self):
        self.map("--joblog", "log", "--", "true", ":::", "a\nb", "c\td")
        header, one, two = self.read("log").decode().split("\n")[:-1]
        self.assertIn("true 'a\0b'\t0\t", one)
        self.assertIn("true 'c\td'\t1\t", two)

    def test_the_attempts_are_counted(self):
        self.map("--joblog", "log", "--retries", 3, "--", "sh", "-c", 'echo >> "$1"; [ "$(wc -l < "$1")" -ge 3 ]', "sh", ":::", "a")
        self.assertEqual([line["Attempts"] for line in self.log()], ["3"])


class Resume(LogTest):
    def test_items_of_the_log_are_left_out(self):
        write_file(self.path("items"), "a\nb\nc\n")
        self.map("--joblog", "log", "--", "echo", ":::", "a", "b")
        for options, lists in (([], ["::::", "items"]), (["-a", "items"], []), ([], [":::", "a", "b", "c"]),
                               ([], ["::::", "items", ":::", "x"])):
            self.map("--joblog", "log", "--", "echo", ":::", "a", "b")
            ended = self.map("--joblog", "log", "--resume", *options, "--", "sh", "-c", "echo $FANTAIL_INDEX $1", "sh", "{#}", *lists)
            self.assertEqual((ended.lines, ended.err), (["2 3"], b""), lists)
            self.assertEqual([line["Seq"] for line in self.log()], ["1", "2", "3"])
            again = self.map("--joblog", "log", "--resume", *options, "--", "echo", *lists)
            self.assertEqual((again.out, again.err), (b"", b""))
        self.assertEqual(self.map("--joblog", "new", "--resume", "--", "echo", ":::", "a").lines, ["a"])

    def test_only_failed_items_run_again(self):
        fails = ["--", "sh", "-c", '[ "$1" != b ] && echo "$FANTAIL_INDEX$1"', "sh"]
        self.assertEqual(self.map("-q", "--joblog", "log", *fails, ":::", *"abc", status=1).lines, ["0a", "null", "2c"])
        self.assertEqual(self.map("--joblog", "log", "--resume", *fails, ":::", *"abc").lines, [])
        ended = self.map("--joblog", "log", "--resume-failed", *fails, ":::", *"abcd", status=1)
        self.assertEqual(ended.lines, ["null", "3d"])
        self.assertIn(b"fantail: item 2 (index 1): task_error", ended.err)
        self.assertEqual(self.map("--joblog", "log", "--resume-failed", "--", "echo", "x", ":::", *"abcd").lines, ["x b"])

    def done(self):
        """Returns the indexes of the items that have a complete line in the log."""
        lines = self.read("log").split(b"\n")[1:-1] if os.path.exists(self.path("log")) else []
        return {int(line.split(b"\t")[0]) - 1 for line in lines}

    def ran(self):
        return self.read("ran").decode().split() if os.path.exists(self.path("ran")) else []

    def test_after_kill_9_no_item_runs_twice_that_the_log_says_is_done(self):
        write_file(self.path("items"), "".join(f"{i}\n" for i in range(400)))
        command = ["--", "sh", "-c", 'echo "$1" >> ran; echo "$1"; sleep 0.01', "sh"]
        printed = set()
        for _ in range(3):
            done, ran = self.done(), self.ran()
            with open(self.path("out"), "wb") as stdout:
                run = self.start_run("--joblog", "log", "--resume", "-j4", "-a", "items", *command, stdout=stdout)
                wait_until(lambda least=len(done) + 40: len(self.done()) >= least, "more lines in the log")
                run.kill()
                run.wait()
            wait_until(lambda: not self._strangers(), "the end of the killed fleet")
            self.assertFalse({int(item) for item in self.ran()[len(ran):]} & done)
            printed |= {int(item) for item in self.read("out").split()}
            self.assertLessEqual(self.done(), printed, "the log says that an item is done that was not printed")
            with open(self.path("log"), "ab") as log:
                log.write(b"400\t:\t17")  # a line that was cut off
        done, ran = self.done(), self.ran()
        last = self.map("--joblog", "log", "--resume", "-j4", "-a", "items", *command)
        self.assertFalse({int(item) for item in self.ran()[len(ran):]} & done)
        self.assertEqual(printed | {int(item) for item in last.lines}, set(range(400)))
        self.assertEqual(sorted(int(line["Index"]) for line in self.log()), list(range(400)))

    def test_after_kill_9_nearly_all_items_that_ran_are_in_the_log(self):
        """The input is large enough for many batches. A batch must not run before the earlier batches."""
        write_file(self.path("items"), "".join(f"{i}\n" for i in range(200_000)))
        command = ["--", "sh", "-c", 'echo "$FANTAIL_INDEX" >> ran', "sh"]
        run = self.start_run("--joblog", "log", "-j4", "-a", "items", *command, stdout=subprocess.DEVNULL)
        wait_until(lambda: len(self.ran()) >= 1000, "some items")
        run.kill()
        run.wait()
        wait_until(lambda: not self._strangers(), "the end of the killed fleet")
        ran = {int(item) for item in self.ran()}
        self.assertLess(len(ran - self.done()), 250)
        self.assertLess(max(ran), len(ran) + 250)

    def test_commands_start_in_the_order_of_the_items_from_batch_to_batch(self):
        """A batch has at most 64 KiB at first, so these items are several batches."""
        write_file(self.path("items"), "".join(f"{i:01000}\n" for i in range(1000)))
        for options in [], ["--order", "completion"]:
            self.map("-j4", *options, "-a", "items", "--", "sh", "-c", 'echo "$FANTAIL_INDEX" >> ran', "sh")
            ran = [int(item) for item in self.ran()]
            self.assertEqual(sorted(ran), list(range(1000)))
            self.assertLess(max(abs(item - place) for place, item in enumerate(ran)), 200)
            os.remove(self.path("ran"))

    def test_no_item_waits_behind_a_slow_one(self):
        """With two at a time, all other items must run while the slow one runs."""
        script = ('echo "$FANTAIL_INDEX" >> ran; [ "$1" != slow ] || '
                  'until [ "$(wc -l < ran)" = $2 ]; do sleep 0.01; done')
        for count in 20, 2000:
            items = [*map(str, range(10)), "slow", *map(str, range(11, count))]
            self.map("-j2", "--", "sh", "-c", script, "sh", "{}", count, ":::", *items)
            ran = [int(item) for item in self.ran()]
            self.assertEqual(sorted(ran), list(range(count)))
            self.assertLess(max(abs(item - place) for place, item in enumerate(ran)), 1000)
            os.remove(self.path("ran"))

    def start_run(self, *arguments, stdout):
        return subprocess.Popen([FANTAIL, "map", *arguments], cwd=self.folder, env=self.environment(), stdout=stdout,
                                stdin=subprocess.DEVNULL)

    def test_a_million_items_are_passed_over_quickly(self):
        with open(self.path("log"), "w", encoding="ascii") as log:
            log.write("\t".join(COLUMNS) + "\n")
            for i in range(999_999):
                log.write(f"{i + 1}\t:\t1796069861.105\t     0.014\t0\t0\t0\t0\techo {i}\t{i}\tlocal-1\t1\t1724416\n")
        write_file(self.path("items"), "".join(f"{i}\n" for i in range(1_000_000)))
        began = time.monotonic()
        ended = self.map("--joblog", "log", "--resume", "-a", "items", "--", "echo")
        self.assertEqual(ended.lines, ["999999"])
        self.assertLess(time.monotonic() - began, 10)  # several times the 2 s of bench/run spawn

    def test_what_is_no_log_is_refused(self):
        write_file(self.path("bad"), "Seq\tHost\n1\t:\t1\t1\t1\t1\t0\t0\tx\nhello\n")
        for arguments, message in ((["--joblog", "bad", "--resume"], "--joblog: line 3 of bad is not a line of such a log"),
                                   (["--joblog", "no/log"], "--joblog: cannot open no/log: No such file or directory"),
                                   (["--resume"], "--resume: needs --joblog FILE"),
                                   (["--resume-failed"], "--resume-failed: needs --joblog FILE"),
                                   (["--resume", "--results", "d"], "--resume: needs --joblog FILE, the log of the earlier run. "
                                                                    "The folder of --results does not say"),
                                   (["--resume", "--resume-failed", "--joblog", "x"], "--resume: cannot be given together"),
                                   (["--joblog", "x", "--dry-run"], "--joblog: cannot be given together with --dry-run"),
                                   (["--joblog", "x", "--reduce", "count"], "--joblog: cannot be given together with --reduce"),
                                   (["--halt", "now,fail=x"], "--halt: must be the word never, or WHEN,WHY=N"),
                                   (["--raw", "--json"], "--raw: cannot be given together with --json")):
            ended = self.map(*arguments, "--", "true", ":::", "a", status=2)
            self.assertIn(f"fantail map: {message}", ended.err.decode())
            self.assertEqual(ended.out, b"")
        for arguments, message in ((["--raw"], "--raw: is for a command"), (["--resume"], "--resume: needs --joblog FILE"),
                                   (["--joblog", "x", "--reduce", "sum"], "--joblog: cannot be given together with --reduce"),
                                   (["--joblog", "x", "--detach", "--url", "http://127.0.0.1:1"], "--joblog: cannot be used with"),
                                   (["--halt", "soon,fail=1"], "--halt: must be now,fail=N for a task"),
                                   (["--halt", "now,fail=1", "--tolerated-failure-count", "1"], "--halt: cannot be given")):
            self.assertIn(f"fantail map: {message}", self.map(*arguments, "square", ":::", "1", status=2).err.decode())


class Halt(LogTest):
    def test_now_kills_the_running_commands(self):
        ended = self.map("-j3", "--halt", "now,fail=1", "--joblog", "log", "--", "sh", "-c",
                         '[ $1 != bad ] || exit 3; [ $1 = ok ] || sleep 1000; echo $1', "sh", ":::", "ok", "slow", "bad", *["x"] * 20,
                         status=3)
        self.assertIn(b"--halt now,fail=1", ended.err)
        self.assertLessEqual(set(ended.lines), {"ok", "null"})
        self.assertEqual({line["Exitval"] for line in self.log()} - {"0"}, {"3"})

    def test_soon_lets_the_running_commands_end(self):
        script = 'if [ $1 = bad ]; then while [ ! -e up ]; do sleep 0.01; done; exit 3; fi; touch up; sleep 1; echo $1; echo $1 >> ran'
        ended = self.map("-j2", "--halt", "soon,fail=1", "--", "sh", "-c", script, "sh", ":::", "slow", "bad", *["x"] * 20, status=3)
        self.assertEqual(ended.lines, ["slow", "null"])
        self.assertEqual(self.read("ran"), b"slow\n")

    def test_the_option_is_named_if_every_command_has_failed(self):
        end = "; --errors FILE lists them all\nfantail: %s ends a run at the first failed item\n"
        for options, hint in (([], "--halt now,fail=1"), (["--reduce", "count"], "--tolerated-failure-count 0")):
            ended = self.map(*options, "--", "false", ":::", *"abcdefgh", status=1)
            self.assertTrue(ended.err.decode().endswith(end % hint), ended)
        self.assertNotIn(b"ends a run", self.map("--halt", "now,fail=9", "--", "false", ":::", *"abcdefgh", status=1).err)

    def test_the_first_success_may_be_enough(self):
        ended = self.map("-q", "-j4", "--halt", "now,success=1", "--", "sh", "-c", '[ $1 = good ] || sleep 1000; echo $1', "sh", ":::",
                         "a", "b", "good", "c")
        self.assertEqual(ended.lines, ["good"])

    def test_a_percentage_is_of_all_items(self):
        ended = self.map("-j1", "-q", "--halt", "soon,fail=30%", "--", "false", ":::", *"abcdefghij", status=3)
        self.assertEqual(ended.lines, ["null"] * 3)
        ended = self.map("-j1", "-q", "--halt", "soon,done=2", "--", "echo", ":::", *"abcdefghij")
        self.assertEqual(ended.lines, ["a", "b"])

    def test_only_the_last_attempt_is_a_failure(self):
        script = 'echo >> "$1"; [ "$(wc -l < "$1")" -ge 3 ]'
        self.map("--retries", 3, "--halt", "now,fail=1", "--", "sh", "-c", script, "sh", ":::", "a", "b")
        ended = self.map("-q", "--retries", 2, "--halt", "now,fail=1", "--", "sh", "-c", script, "sh", ":::", "c", status=3)
        self.assertEqual((ended.lines, self.read("c")), (["null"], b"\n\n"))

    def test_an_endless_input_ends(self):
        run = subprocess.Popen(f"yes | {FANTAIL} map -q -j2 --halt soon,done=5 -- echo", shell=True, cwd=self.folder,
                               env=self.environment(), stdout=subprocess.PIPE)
        out, _ = run.communicate(timeout=60)
        self.assertGreaterEqual(len(out.split()), 5)
        self.assertLess(len(out.split()), 100)

    def test_a_task_is_halted_too(self):
        ended = self.map("-q", "--halt", "now,fail=2", "square", ":::", "1", '"a"', "2", '"b"', "3", status=3)
        self.assertEqual(ended.lines[:2], ["1", "null"])

    def test_gnu_parallel_runs_the_same_items(self):
        for halt in "soon,fail=1", "soon,done=2", "soon,success=1", "-1", "1":
            command = ["sh", "-c", '[ "$1" != b ] && [ "$1" != c ] && echo "$1"', "sh"]
            theirs = subprocess.run(["parallel", "--will-cite", "-j1", "-k", "--halt", halt, "-q", *command, ":::", *"abcdef"],
                                    capture_output=True, env=self.environment(), cwd=self.folder, stdin=subprocess.DEVNULL,
                                    check=False) if have("parallel") else self.skipTest("GNU parallel is not installed")
            ours = self.cli("map", "-j1", "--raw", "-q", "--halt", halt, "--", *command, ":::", *"abcdef")
            self.assertEqual(ours.out, theirs.stdout, halt)


class Raw(LogTest):
    ANY = bytes(range(1, 256)).replace(b"\n", b"")

    def test_any_bytes_go_in_and_out(self):
        data = self.ANY + b"\n" + b"\xff\xfea\n\n" + self.ANY[::-1] + b"\r\n"
        self.assertEqual(self.map("--raw", "--", "printf", r"%s\n", stdin=data).out, data)
        self.assertEqual(self.map("--raw", "--stdin", "--", "cat", stdin=b"a\n\xff\n").out, b"a\xff")
        self.assertEqual(self.map("--raw", "-0", "--stdin", "--", "cat", stdin=b"a\n\0\xff\r\n\0").out, b"a\n\xff\r\n")
        write_file(self.path("all"), bytes(range(256)) * 3)
        self.assertEqual(self.map("--raw", "--", "cat", ":::", "all").out, bytes(range(256)) * 3)

    def test_arguments_may_be_any_bytes(self):
        run = subprocess.run([FANTAIL, "map", "--raw", "--tagstring", b"\xfd{}", "--", "printf", b"%s\xfe\n", ":::", b"\xff", "ä"],
                             capture_output=True, env=self.environment(), cwd=self.folder, check=True)
        self.assertEqual(run.stdout, b"\xfd\xff\t\xff\xfe\n\xfd" + "ä\tä".encode() + b"\xfe\n")

    def test_nothing_is_added_to_the_output(self):
        self.assertEqual(self.map("--raw", "--", "printf", "%s", ":::", "a", "", "b").out, b"ab")

    def test_the_output_of_a_failed_command_is_printed_too(self):
        ended = self.map("--raw", "--errors", "failed", "--", "sh", "-c", 'printf "$1\\377"; exit 3', "sh", ":::", "a", "b", status=1)
        self.assertEqual(ended.out, b"a\xffb\xff")
        self.assertEqual(self.read("failed").count(b'"exit_code":3'), 2)

    def test_large_outputs_are_whole(self):
        write_file(self.path("large"), os.urandom(3_000_000))
        self.assertEqual(self.map("--raw", "--", "cat", ":::", "large", "large").out, self.read("large") * 2)

    def test_gnu_parallel_prints_the_same(self):
        data = b"a b\n\xff'\n\n$x\t\n"
        self.assertEqual(self.map("--raw", "--", "printf", "<%s>", stdin=data).out,
                         self.parallel("-k", "-q", "printf", "<%s>", stdin=data))


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
