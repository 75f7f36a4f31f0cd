"""The host programs, used directly as the worker uses them: items on stdin, answer lines on stdout. test_python_host.py
tests the host of Python functions."""
import json
import os
import signal
import subprocess
import time
import unittest

from hosts_testing import HOSTS, TASKS, TIMEOUT_S, Hosts, host

CRASHES = r"""
#include <signal.h>
#include <unistd.h>
#include "fantail_task.h"
int fantail_task(const struct fantail_item *item, struct fantail_reply *reply)
{
    int64_t n;
    printf("a stray print\n");
    fflush(stdout);
    if (item->common) return fantail_reply_value(reply, item->common, item->common_len);
    if (!fantail_get_integer(item, &n)) return 7;
    if (n == 0) return 0;
    if (n == -1) pause();
    if (n == -2) raise(SIGSTOP);
    if (n == 300) usleep(300000);
    if (n > 1000) raise(SIGSEGV);
    return fantail_reply_integer(reply, n);
}
"""

# A task that forks. Depending on the item, the child returns from the task, crashes, or exits.
FORKS = """
#include <sys/wait.h>
#include <unistd.h>
#include "fantail_task.h"
int fantail_task(const struct fantail_item *item, struct fantail_reply *reply)
{
    int64_t how;
    if (!fantail_get_integer(item, &how)) return 1;
    pid_t pid = fork();
    if (pid > 0) waitpid(pid, NULL, 0);
    if (pid == 0 && how == 1) abort();
    if (pid == 0 && how == 2) exit(0);
    return fantail_reply_integer(reply, how);
}
"""


class Help(unittest.TestCase):
    def test_every_host_prints_its_help_on_standard_output(self):
        for kind in ("exec", "native", "python"):
            done = subprocess.run(host(kind, "--help"), capture_output=True, text=True, timeout=TIMEOUT_S)
            self.assertEqual((done.returncode, done.stderr), (0, ""), kind)
            self.assertIn(f"fantail-host-{kind}", done.stdout)


class Native(Hosts):
    def example(self, name):
        return host("native", os.path.join(TASKS, name, name + ".so"))

    def compiled(self, source):
        with open(os.path.join(self.folder, "task.c"), "w", encoding="utf-8") as out:
            out.write(source)
        subprocess.run(["cc", "-fPIC", "-shared", "-I", HOSTS, "-o", "task.so", "task.c", "-lm"], cwd=self.folder,
                       check=True)
        return host("native", "task.so")

    def test_items_are_answered_in_order(self):
        self.assertEqual(self.values(self.example("square"), range(100000)), [n * n for n in range(100000)])

    def test_an_item_the_task_refuses_is_an_error_and_the_next_one_is_answered(self):
        answers = self.run_host(self.example("square"), ['"x"', "3037000500", "2"])
        self.assertEqual([a.get("value") for a in answers], [None, None, 4])
        self.assertEqual(answers[0]["error"], {"name": "task_error", "cause": "an integer was expected"})

    def test_primes_are_counted_in_any_span(self):
        spans = [(0, 5000000), (0, 0), (2, 3), (-5, 12), (3, 5), (24, 25), (1000000, 1100000), (10, 5)]
        self.assertEqual(self.values(self.example("primes"), [{"start": a, "stop": b} for a, b in spans]),
                         [348513, 0, 1, 5, 1, 0, 7216, 0])

    def test_large_items_pass_unchanged(self):
        items = ["x" * size for size in (0, 1, 262000, 262144, 1 << 20, 3 << 20, 9 << 20, 5)]
        self.assertEqual(self.values(self.example("echo"), items), items)

    def test_what_the_task_prints_does_not_reach_the_answers(self):
        self.assertEqual(self.values(self.compiled(CRASHES), [1, 2]), [1, 2])
        self.assertEqual(self.stderr, "a stray print\n" * 2)

    def test_a_child_of_the_task_repeats_no_answers_and_takes_no_items(self):
        items = [0, 1, 2] * 30
        self.assertEqual(self.values(self.compiled(FORKS), items), items)

    def test_control_lines_give_the_common_value_and_get_no_answer(self):
        self.assertEqual(self.run_host(self.compiled(CRASHES), ["5", "#what is this", '#common {"a":1}', "6"]),
                         [{"value": 5}, {"value": {"a": 1}}])

    def test_no_reply_is_null_and_a_status_without_a_message_is_an_error(self):
        self.assertEqual(self.run_host(self.compiled(CRASHES), ["0", '"?"']),
                         [{"value": None}, {"error": {"name": "task_error", "cause": "fantail_task returned 7"}}])

    def test_a_crash_does_not_take_the_answers_before_it_along(self):
        answers = self.run_host(self.compiled(CRASHES), ["1", "2", "1001", "3"], status=-signal.SIGSEGV)
        self.assertEqual(answers, [{"value": 1}, {"value": 2}])

    def test_an_answer_does_not_wait_for_the_item_behind_it_that_hangs(self):
        process = self.start(self.compiled(CRASHES))
        for round_trip in range(2):
            process.stdin.write(b"1\n2\n")
            process.stdin.flush()
            self.assertEqual(self.answers_before_an_end(process, 2), [{"value": 1}, {"value": 2}])
        process.stdin.write(b"3\n4\n-1\n5\n")
        process.stdin.flush()
        self.assertEqual(self.answers_before_an_end(process, 2), [{"value": 3}, {"value": 4}])

    def test_the_host_says_when_all_answers_are_written_while_an_item_runs(self):
        self.assert_says_when_all_answers_are_written(self.compiled(CRASHES))

    def test_a_line_that_was_cut_off_is_no_item(self):
        done = subprocess.run(self.example("square"), input=b"2\n33", capture_output=True, timeout=TIMEOUT_S)
        self.assertEqual((done.returncode, done.stdout), (0, b'#ready\n{"value":4}\n'))

    def test_an_object_that_cannot_be_loaded_ends_the_host_with_a_reason(self):
        self.run_host(host("native", "absent.so"), ["1"], status=1)
        self.assertRegex(self.stderr, "there is no absent.so in the folder .*: compile the task first")
        subprocess.run(["cc", "-shared", "-o", "empty.so", "-x", "c", "/dev/null"], cwd=self.folder, check=True)
        self.run_host(host("native", "empty.so"), ["1"], status=1)
        self.assertIn("does not define fantail_task", self.stderr)


class Exec(Hosts):
    def test_the_item_replaces_braces_or_is_appended_or_is_stdin(self):
        self.assertEqual(self.values(host("exec", "--append", "--", "expr", "2", "+"), [1, 2, 3]), [3, 4, 5])
        self.assertEqual(self.values(host("exec", "--", "expr", "{}", "+", "{}"), [1, 2]), [2, 4])
        self.assertEqual(self.values(host("exec", "--", "cat"), [{"a": [1]}, "text", None]), [{"a": [1]}, "text", None])
        self.assertEqual(self.values(host("exec", "--text", "--", "wc", "-c"), ["h\u00e9\n", "", 12]), [4, 0, 2])

    def test_a_string_argument_is_its_characters(self):
        item = "a b'\"\\ \u20ac\n{}$HOME"
        command = host("exec", "--output", "text", "--append", "--", "printf", "%s")
        self.assertEqual(self.values(command, [item]), [item])

    def test_stdin_is_empty_when_the_arguments_take_the_item(self):
        self.assertEqual(self.values(host("exec", "--", "sh", "-c", "wc -c; : {}"), [1]), [0])

    def test_each_item_may_name_a_program_in_path_or_in_a_folder(self):
        names = ["one", "another-program-with-a-longer-name" * 5, "two"]
        for name in names:
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as out:
                out.write(f"#!/bin/sh\necho {name}\n")
            os.chmod(out.name, 0o755)
        self.assertEqual(self.values(host("exec", "--", "./{}"), names), names)
        self.assertEqual(self.values(host("exec", "--", "{}"), ["./one", "true", f"./{names[1]}", "./two"]),
                         ["one", "", names[1], "two"])

    def test_a_block_of_the_wrong_size_fails_alone(self):
        with open(os.path.join(self.folder, "block"), "w", encoding="utf-8") as out:
            out.write("12345")
        command = host("exec", "--row", "--blocks", self.folder, "--", "/bin/cat")
        short, whole = self.run_host(command, ['[0,0,6,"block"]', '[1,0,5,"block"]'])
        self.assertIn("cannot read the block", short["error"]["cause"])
        self.assertEqual(whole, {"value": 12345})

    def test_an_error_names_the_program_that_the_item_names(self):
        self.assertIn("cannot run the command no-such-program", self.error(host("exec", "--", "{}"), "no-such-program")["cause"])

    def test_a_failing_command_is_an_error_with_status_and_the_end_of_stderr(self):
        error = self.error(host("exec", "--", "sh", "-c", "echo oops >&2; exit 3"), 1)
        self.assertEqual(error, {"name": "task_error", "cause": "exit status 3", "exit_code": 3, "stderr": "oops\n", "stdout": ""})
        self.assertEqual(self.stderr, "oops\n")
        error = self.error(host("exec", "--", "sh", "-c", "seq 100000 >&2; exit 1"), 1)
        self.assertEqual(len(error["stderr"]), 2048)
        self.assertTrue(error["stderr"].endswith("\n100000\n"))

    def test_an_error_has_as_much_of_the_output_as_asked_for(self):
        command = ["--", "sh", "-c", "seq 9999; seq 10000 >&2; exit 1"]
        for options, most in ((["--error-bytes", 0], 0), (["--error-bytes", 100], 100), (["--error-bytes", 262144], 262144)):
            error = self.error(host("exec", *map(str, options), *command), 1)
            for name, end in (("stdout", 9999), ("stderr", 10000)):
                text = "".join(f"{n}\n" for n in range(1, end + 1))
                self.assertEqual(error[name], text[-most:] if most else "")
        error = self.error(host("exec", "--error-bytes", "262144", "--", "sh", "-c", "head -c 1000000 /dev/zero; exit 1"), 1)
        self.assertLess(len(json.dumps(error)), 1 << 20)
        self.assertIn("\0" * 60_000, error["stdout"])

    def test_an_unfinished_line_on_standard_error_is_ended_before_the_next_command(self):
        for most in "0", "2048":
            self.values(host("exec", "--error-bytes", most, "--", "sh", "-c", "printf x >&2"), [1, 2])
            self.assertEqual(self.stderr, "x\nx\n")

    def test_a_killed_command_is_a_crash_with_its_signal(self):
        error = self.error(host("exec", "--", "sh", "-c", "kill -9 $$"), 1)
        self.assertEqual(error, {"name": "crashed", "cause": "killed by signal 9", "signal": 9, "stderr": "", "stdout": ""})

    def test_a_command_that_cannot_run_is_an_error_for_each_item(self):
        for command, reason in (["no-such-command-anywhere"], "No such file"), (["/etc/passwd"], "Permission denied"):
            answers = self.run_host(host("exec", "--", *command), ["1", "2"])
            for answer in answers:
                self.assertEqual(answer["error"]["name"], "task_error")
                self.assertIn(reason, answer["error"]["cause"])
            self.assertEqual(len(answers), 2)

    def test_a_script_without_an_interpreter_line_is_run_by_the_shell(self):
        script = os.path.join(self.folder, "script")
        with open(script, "w", encoding="utf-8") as out:
            out.write('echo "$1-$#"\n')
        os.chmod(script, 0o755)
        self.assertEqual(self.values(host("exec", "--append", "--", "./script"), [7, 8]), ["7-1", "8-1"])

    def test_arguments_that_no_command_can_take_are_errors(self):
        command = host("exec", "--append", "--", "true")
        self.assertIn("NUL", self.error(command, "a\0b")["cause"])
        self.assertIn("too long", self.error(command, "x" * 3000000)["cause"])

    def test_large_input_and_output_pass_through(self):
        items = ["x" * size for size in (4095, 4096, 4097, 65537, 3 << 20)]
        command = host("exec", "--text", "--output", "text", "--", "cat")
        self.assertEqual(self.values(command, items), items)

    def test_input_nobody_reads_does_no_harm(self):
        self.assertEqual(self.values(host("exec", "--text", "--", "true"), ["x" * (1 << 20), "y"]), ["", ""])

    def test_a_command_that_takes_too_long_is_killed(self):
        error = self.error(host("exec", "--timeout", "0.2", "--", "sleep", "1000"), 1)
        self.assertEqual(error["name"], "timed_out")

    def test_output_without_end_is_cut_off(self):
        error = self.error(host("exec", "--", "yes"), 1)
        self.assertEqual(error["name"], "bad_output")

    def test_what_a_command_leaves_running_is_killed_and_not_waited_for(self):
        left = ("sleep 1000 & echo $!", "setsid sh -c 'echo $$; sleep 1000 & echo $!; wait' &\nsleep 0.2")
        for script in left:
            with self.subTest(script):
                command = host("exec", "--output", "lines", "--", "sh", "-c", script)
                for pids in self.values(command, [1, 2]):
                    for pid in pids:
                        self.wait_until_ended(int(pid))

    def test_a_timeout_kills_the_descendants_of_the_command(self):
        error = self.error(host("exec", "--timeout", "0.5", "--", "sh", "-c", "sleep 1000 & echo $! >&2; wait"), 1)
        self.assertEqual(error["name"], "timed_out")
        self.wait_until_ended(int(self.stderr))

    def test_the_command_dies_with_the_host(self):
        process = self.start(host("exec", "--", "sh", "-c", "echo $$ >&2; exec sleep 1000"))
        process.stdin.write(b"1\n")
        process.stdin.flush()
        pid = int(process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(TIMEOUT_S), -signal.SIGTERM)
        self.wait_until_ended(pid)

    def wait_until_ended(self, pid):
        end = time.monotonic() + TIMEOUT_S
        while self.is_running(pid) and time.monotonic() < end:
            time.sleep(0.01)
        self.assertFalse(self.is_running(pid))

    @staticmethod
    def is_running(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                return stat.read().rpartition(")")[2].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def test_the_command_gets_ordinary_signals_and_only_its_own_descriptors(self):
        command = host("exec", "--output", "lines", "--", "sh", "-c", "grep SigIgn /proc/self/status; ls /proc/self/fd")
        lines, = self.values(command, [1])
        self.assertEqual(int(lines[0].split()[1], 16) & 1 << (signal.SIGPIPE - 1), 0)
        self.assertEqual(lines[1:4] + lines[5:], ["0", "1", "2"])

    def test_the_common_value_is_in_the_environment(self):
        answers = self.run_host(host("exec", "--", "sh", "-c", "echo $FANTAIL_COMMON"), ['#common {"a":2}', "1"])
        self.assertEqual(answers, [{"value": {"a": 2}}])

    def test_bad_usage_is_refused(self):
        for kind in ("exec", "native", "python"):
            self.run_host(host(kind), [], status=2)
        for argument in ("module", "module:", ":function"):
            self.run_host(host("python", argument), [], status=2)
        self.run_host(host("exec", "--output", "xml", "--", "true"), [], status=2)
        self.run_host(host("exec", "--timeout", "-1", "--", "true"), [], status=2)


class Examples(Hosts):
    """The examples whose programs are not C."""

    def run_example(self, name, command, lines):
        given = "".join(line + "\n" for line in lines).encode()
        done = subprocess.run(command, input=given, capture_output=True, timeout=TIMEOUT_S,
                              cwd=os.path.join(TASKS, name))
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines() if line != b"#ready"]

    def test_every_example_is_described(self):
        for name in sorted(os.listdir(TASKS)):
            with open(os.path.join(TASKS, name, "task.json"), encoding="utf-8") as task:
                self.assertTrue(json.load(task)["description"], name)

    def test_words_are_counted_by_their_lower_case_letters(self):
        answers = self.run_example("wordcount", host("python", "wordcount:count"), ['"It\'s a dog, a Dog."', '""'])
        self.assertEqual(answers, [{"value": {"it's": 1, "a": 2, "dog": 2}}, {"value": {}}])

    def test_fibonacci_numbers_are_right(self):
        self.assertEqual(self.run_example("fib", host("python", "fib:fib"), ["0", "1", "20"]),
                         [{"value": 0}, {"value": 1}, {"value": 6765}])

    def test_upper_answers_bare_values(self):
        self.assertEqual(self.run_example("upper", ["python3", "upper.py"], ['"h\u00e9 \\n"', '"x"']), ["H\u00c9 \n", "X"])

    def test_sha256_is_that_of_the_characters(self):
        with open(os.path.join(TASKS, "sha256", "task.json"), encoding="utf-8") as task:
            command = json.load(task)["command"]
        value, = self.values(host("exec", "--text", "--output", "text", "--", *command), ["abc"])
        self.assertEqual(value, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")

    def test_misbehave_answers_what_it_does_not_know(self):
        self.assertEqual(self.run_example("misbehave", ["python3", "misbehave.py"], ["1", '{"do":"count"}']),
                         [{"value": 1}, {"value": 2}])


if __name__ == "__main__":
    unittest.main()
