"""The host programs, used directly as the worker uses them: items on stdin, answer lines on stdout."""
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("FANTAIL_BUILD", os.path.join(ROOT, "build")))
BIN = os.path.abspath(os.environ.get("FANTAIL_BIN", os.path.join(BUILD, "bin")))
TASKS = os.path.join(BUILD, "tasks")
HOSTS = os.path.join(ROOT, "services", "hosts")
TIMEOUT_S = 60

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
    if (n < 0) pause();
    if (n > 1000) raise(SIGSEGV);
    return fantail_reply_integer(reply, n);
}
"""

# A forked child returns from the task, crashes, or exits.
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

PYTHON_TASKS = """
import os
import sys
import time

def square(n):
    return n * n

def with_common(item, common):
    return [item, common]

def keyword_common(item, *, common=None):
    return common

def shapes(kind):
    return {"generator": (n for n in range(3)), "none": None, "tuple": (1, "a"), "nan": float("nan"),
            "object": object(), "text": "h\\u00e9\\n"}[kind]

def sleep(seconds):
    time.sleep(seconds)
    return seconds

def memory(item):
    raise MemoryError

def leave(how):
    if how == "hard":
        os._exit(5)
    raise {"exit": SystemExit(3), "interrupt": KeyboardInterrupt(), "generator": GeneratorExit()}[how]

def chatty(item):
    print("a stray print")
    return item

def loud(item):
    os.write(1, b"to descriptor 1\\n")
    os.system("echo from a command")
    return item

def forks(how):
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    elif how == "exit":
        sys.exit(0)
    elif how == "print":
        print("from the child", flush=True)
        os._exit(0)
    return how
"""


def host(*arguments):
    """The command line of build/bin/fantail-host-ARGUMENTS[0]."""
    return [os.path.join(BIN, "fantail-host-" + arguments[0]), *arguments[1:]]


class Hosts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fantail-hosts-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def run_host(self, command, lines, status=0):
        """The values of the answers to the lines. The host must end by itself."""
        given = "".join(line + "\n" for line in lines).encode()
        done = subprocess.run(command, input=given, capture_output=True, timeout=TIMEOUT_S, cwd=self.folder)
        self.stderr = done.stderr.decode()
        self.assertEqual(done.returncode, status, self.stderr)
        return self.answers_of(done.stdout, status)

    def answers_of(self, output, status=0):
        """The answers in the output of a host. Before them it says that it is ready, unless it could not load the task."""
        lines = output.decode().splitlines()
        if lines or status == 0:
            self.assertEqual(lines.pop(0), "#ready")
        return [json.loads(line) for line in lines]

    def values(self, command, items):
        answers = self.run_host(command, [json.dumps(item) for item in items])
        self.assertEqual([set(a) for a in answers], [{"value"}] * len(items), answers)
        return [a["value"] for a in answers]

    def error(self, command, item):
        answers = self.run_host(command, [json.dumps(item)])
        self.assertEqual(len(answers), 1)
        return answers[0]["error"]

    def start(self, command):
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   cwd=self.folder)
        self.addCleanup(self.stop, process)
        return process

    @staticmethod
    def stop(process):
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()

    def answers_before_an_end(self, process, count):
        """Reads `count` answers from a host whose stdin stays open."""
        data, end = b"", time.monotonic() + TIMEOUT_S
        while data.replace(b"#ready\n", b"").count(b"\n") < count:
            self.assertTrue(select.select([process.stdout], [], [], end - time.monotonic())[0], data)
            piece = os.read(process.stdout.fileno(), 65536)
            self.assertTrue(piece, data)
            data += piece
        return [json.loads(line) for line in data.replace(b"#ready\n", b"").splitlines()]


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

    def test_a_line_that_was_cut_off_is_no_item(self):
        done = subprocess.run(self.example("square"), input=b"2\n33", capture_output=True, timeout=TIMEOUT_S)
        self.assertEqual((done.returncode, done.stdout), (0, b'#ready\n{"value":4}\n'))

    def test_an_object_that_cannot_be_loaded_ends_the_host_with_a_reason(self):
        self.run_host(host("native", "absent.so"), ["1"], status=1)
        self.assertIn("absent.so", self.stderr)
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

    def test_a_failing_command_is_an_error_with_status_and_the_end_of_stderr(self):
        error = self.error(host("exec", "--", "sh", "-c", "echo oops >&2; exit 3"), 1)
        self.assertEqual(error, {"name": "task_error", "cause": "exit status 3", "exit_code": 3, "stderr": "oops\n"})
        self.assertEqual(self.stderr, "oops\n")
        error = self.error(host("exec", "--", "sh", "-c", "seq 100000 >&2; exit 1"), 1)
        self.assertEqual(len(error["stderr"]), 2048)
        self.assertTrue(error["stderr"].endswith("\n100000\n"))

    def test_a_killed_command_is_a_crash_with_its_signal(self):
        error = self.error(host("exec", "--", "sh", "-c", "kill -9 $$"), 1)
        self.assertEqual(error, {"name": "crashed", "cause": "killed by signal 9", "signal": 9, "stderr": ""})

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

    def test_what_a_command_leaves_running_is_not_waited_for(self):
        answers = self.values(host("exec", "--output", "lines", "--", "sh", "-c", "sleep 1000 & echo $!; echo {}"),
                              [1, 2])
        for pid, _ in answers:
            os.kill(int(pid), signal.SIGKILL)
        self.assertEqual([item for _, item in answers], ["1", "2"])

    def test_the_command_dies_with_the_host(self):
        process = self.start(host("exec", "--", "sh", "-c", "echo $$ >&2; exec sleep 1000"))
        process.stdin.write(b"1\n")
        process.stdin.flush()
        pid = int(process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(TIMEOUT_S), -signal.SIGTERM)
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
        self.run_host(host("exec"), [], status=2)
        self.run_host(host("exec", "--output", "xml", "--", "true"), [], status=2)
        self.run_host(host("exec", "--timeout", "-1", "--", "true"), [], status=2)


class Python(Hosts):
    def setUp(self):
        super().setUp()
        with open(os.path.join(self.folder, "some_tasks.py"), "w", encoding="utf-8") as out:
            out.write(PYTHON_TASKS)

    def task(self, name):
        return host("python", "some_tasks:" + name)

    def test_items_are_answered_in_order(self):
        self.assertEqual(self.values(self.task("square"), range(100000)), [n * n for n in range(100000)])

    def test_the_common_value_reaches_functions_that_ask_for_it(self):
        lines = ["1", '#common {"a":1}', "#unknown", "2"]
        self.assertEqual(self.run_host(self.task("with_common"), lines), [{"value": [1, None]},
                                                                         {"value": [2, {"a": 1}]}])
        self.assertEqual(self.run_host(self.task("keyword_common"), lines), [{"value": None}, {"value": {"a": 1}}])

    def test_results_of_many_kinds_are_answered(self):
        kinds = ["generator", "none", "tuple", "text"]
        self.assertEqual(self.values(self.task("shapes"), kinds), [[0, 1, 2], None, [1, "a"], "h\u00e9\n"])

    def test_results_json_cannot_hold_are_errors(self):
        for kind, cause in ("nan", "ValueError: NaN"), ("object", "TypeError: a value of type object "):
            error = self.error(self.task("shapes"), kind)
            self.assertEqual(error["name"], "task_error")
            self.assertTrue(error["cause"].startswith(cause), error)

    def test_an_exit_is_the_items_error_and_the_next_item_is_answered(self):
        causes = {"exit": "SystemExit: 3", "interrupt": "KeyboardInterrupt", "generator": "GeneratorExit"}
        answers = self.run_host(self.task("leave"), [json.dumps(how) for how in causes])
        self.assertEqual([a["error"]["cause"] for a in answers], list(causes.values()))
        self.assertEqual({a["error"]["name"] for a in answers}, {"task_error"})

    def test_an_async_function_is_refused_with_what_to_write_instead(self):
        with open(os.path.join(self.folder, "waits.py"), "w", encoding="utf-8") as out:
            out.write("async def run(item):\n    return item\nasync def many(item):\n    yield item\n")
        for name in ("run", "many"):
            self.assertEqual(self.run_host(host("python", "waits:" + name), ["1"], status=1), [])
            self.assertIn("is an async function", self.stderr)
            self.assertIn("asyncio.run()", self.stderr)

    def test_os_exit_ends_the_host(self):
        self.assertEqual(self.run_host(self.task("leave"), ['"hard"', '"exit"'], status=5), [])

    def test_an_exception_is_the_items_error_with_its_traceback(self):
        answers = self.run_host(self.task("square"), ["{}", "2", "not json", "3"])
        self.assertEqual([a.get("value") for a in answers], [None, 4, None, 9])
        self.assertTrue(answers[0]["error"]["cause"].startswith("TypeError: "))
        self.assertIn("some_tasks.py", answers[0]["error"]["traceback"])
        self.assertNotIn("fantail-host-python", answers[0]["error"]["traceback"])

    def test_running_out_of_memory_has_its_own_name(self):
        self.assertEqual(self.error(self.task("memory"), 1)["name"], "out_of_memory")

    def test_what_the_function_prints_does_not_reach_the_answers(self):
        self.assertEqual(self.values(self.task("chatty"), [1, 2]), [1, 2])
        self.assertEqual(self.stderr, "a stray print\n" * 2)

    def test_what_reaches_standard_output_by_other_ways_does_not_either(self):
        self.assertEqual(self.values(self.task("loud"), [1, 2]), [1, 2])
        self.assertEqual(self.stderr, "to descriptor 1\nfrom a command\n" * 2)

    def test_a_child_of_the_function_repeats_no_answers_and_takes_no_items(self):
        items = ["exit", "print", "return", "no", "exit"] * 20
        self.assertEqual(self.values(self.task("forks"), items), items)

    def test_large_items_pass_unchanged(self):
        items = ["\u00e9" * size for size in (0, 1, 131072, 262144, 1 << 20)]
        self.assertEqual(self.values(self.task("chatty"), items), items)

    def test_an_answer_does_not_wait_for_the_item_behind_it_that_hangs(self):
        process = self.start(self.task("sleep"))
        process.stdin.write(b"0\n0.0\n1000\n0\n")
        process.stdin.flush()
        self.assertEqual(self.answers_before_an_end(process, 2), [{"value": 0}, {"value": 0.0}])

    def test_a_module_or_function_that_is_not_there_ends_the_host_with_a_reason(self):
        for name in "absent:f", "some_tasks:absent", "some_tasks", "some_tasks:time.daylight":
            self.run_host(host("python", name), ["1"], status=1)
            self.assertIn(name.rpartition(":")[2].rpartition(".")[2], self.stderr)


class Conversions(Hosts):
    """The values of Python functions that JSON does not have: the table in docs/protocol.md."""

    PREAMBLE = """
import array, collections, dataclasses, datetime as dt, decimal, enum, fractions, io, ipaddress, math, pathlib, types, uuid
class Color(enum.Enum):
    RED = "red"
class Level(enum.IntEnum):
    HIGH = 3
@dataclasses.dataclass
class Point:
    x: int
    when: dt.date
Pair = collections.namedtuple("Pair", "a b")
class DataFrame:
    columns = ["a"]
    def __iter__(self):
        return iter(self.columns)
class Odd:
    pass
def numbers():
    yield 1
    yield (2, {3})
UTC = dt.timezone.utc
"""

    def task(self, preamble=""):
        with open(os.path.join(self.folder, "convert.py"), "w", encoding="utf-8") as out:
            out.write(self.PREAMBLE + preamble + "\ndef run(source):\n    return eval(source)\n")
        return host("python", "convert:run")

    def check(self, expected, preamble="", command=None):
        command = command or self.task(preamble)
        answers = self.run_host(command, [json.dumps(source) for source in expected])
        got = {source: a.get("value", a.get("error", {}).get("cause")) for source, a in zip(expected, answers)}
        self.assertEqual(got, expected)

    def test_values_of_the_standard_library_are_converted(self):
        self.check({
            "dt.datetime(2025, 1, 31, 12, 0, 5, tzinfo=UTC)": "2025-01-31T12:00:05+00:00",
            "[dt.date(2025, 1, 31), dt.time(1, 2)]": ["2025-01-31", "01:02:00"],
            "dt.timedelta(minutes=1, milliseconds=500)": 60.5,
            "decimal.Decimal('0.10')": "0.10",
            "fractions.Fraction(1, 3)": "1/3",
            "uuid.UUID(int=5)": "00000000-0000-0000-0000-000000000005",
            "pathlib.Path('a/b')": "a/b",
            "ipaddress.ip_address('10.0.0.1')": "10.0.0.1",
            "[Color.RED, Level.HIGH]": ["red", 3],
            "Point(1, dt.date(2025, 1, 31))": {"x": 1, "when": "2025-01-31"},
            "Pair(1, Color.RED)": [1, "red"],
            "[b'\\x00\\xff', bytearray(b'hi'), memoryview(b'')]": ["AP8=", "aGk=", ""],
            "{5}": [5],
            "frozenset()": [],
            "[numbers(), map(str, [1, 2]), range(3)]": [[1, [2, [3]]], ["1", "2"], [0, 1, 2]],
            "collections.deque([1, 2])": [1, 2],
            "array.array('i', [1, 2])": [1, 2],
            "types.MappingProxyType({'a': 1})": {"a": 1},
            "collections.ChainMap({'a': 1}, {'b': 2})": {"a": 1, "b": 2},
            "{'a': 1}.keys()": ["a"],
        })

    def test_keys_become_strings_and_never_meet(self):
        self.check({
            "{1: 'a', 1.5: 'b', True: 'c', None: 'd'}": {"1": "c", "1.5": "b", "null": "d"},
            "{dt.date(2025, 1, 31): 1, Color.RED: 2, uuid.UUID(int=5): 3}":
                {"2025-01-31": 1, "red": 2, "00000000-0000-0000-0000-000000000005": 3},
            "[numbers(), {Color.RED: numbers()}]": [[1, [2, [3]]], {"red": [1, [2, [3]]]}],
            "{(1, 2): 3}": "TypeError: a key of type tuple cannot be expressed in JSON: keys are strings",
            "{Color.RED: 1, 'red': 2}": 'ValueError: two keys of a dict are both "red" in JSON',
            "{b'x': 1}": "TypeError: a key of type bytes cannot be expressed in JSON: keys are strings",
        })

    def test_what_has_no_place_in_json_is_refused_with_its_whole_name(self):
        not_finite = "ValueError: NaN and infinity cannot be expressed in JSON; return None or a string instead"
        self.check({
            "math.inf": not_finite,
            "[{'a': math.nan}]": not_finite,
            "decimal.Decimal('NaN')": not_finite,
            "Odd()": "TypeError: a value of type convert.Odd cannot be expressed in JSON",
            "[Odd]": "TypeError: a value of type type cannot be expressed in JSON",
            "1j": "TypeError: a value of type complex cannot be expressed in JSON",
            "len": "TypeError: a value of type builtin_function_or_method cannot be expressed in JSON",
            "DataFrame()": "TypeError: a value of type convert.DataFrame is not converted, because there are several ways to "
                           "do that; return value.to_dict(\"records\") for a DataFrame of pandas, or value.to_dicts() for "
                           "one of polars",
            "1": 1,
        })

    def test_values_of_numpy_are_converted(self):
        python = os.environ.get("FANTAIL_TEST_NUMPY_PYTHON") or numpy_python()
        if not python:
            self.skipTest("numpy is not here, and pip cannot install it")
        not_finite = "ValueError: NaN and infinity cannot be expressed in JSON; return None or a string instead"
        not_a_time = "ValueError: NaT cannot be expressed in JSON; return None or a string instead"
        command = [python, *self.task("import numpy as np")]
        self.check({
            "[np.int64(5), np.uint8(255), np.float64(0.5), np.float32(0.5), np.bool_(True)]": [5, 255, 0.5, 0.5, True],
            "np.str_('a')": "a",
            "np.arange(4).reshape(2, 2)": [[0, 1], [2, 3]],
            "np.array(7)": 7,
            "{'a': np.zeros(2, dtype='f2')}": {"a": [0, 0]},
            "np.longdouble(0.5)": 0.5,
            "[np.datetime64('2025-01-31'), np.array(['2025-01-31T12:00'], dtype='M8[ns]')]":
                ["2025-01-31", ["2025-01-31T12:00:00.000000000"]],
            "np.timedelta64(1500, 'ms')": 1.5,
            "np.array([(1, 2.5)], dtype=[('a', 'i4'), ('b', 'f8')])": [[1, 2.5]],
            "np.array([dt.date(2025, 1, 31), None], dtype=object)": ["2025-01-31", None],
            "{np.int64(5): 1}": {"5": 1},
            "np.array([1, np.nan])": not_finite,
            "np.float32('inf')": not_finite,
            "np.datetime64('NaT')": not_a_time,
            "np.array([1j])": "TypeError: a value of type numpy.ndarray has complex numbers, which JSON does not have",
        }, command=command)


def numpy_python():
    """A Python that has numpy: this one, or one of a virtual environment that is kept in the build. None if there is none."""
    folder = os.path.join(BUILD, "numpy-python")
    python = os.path.join(folder, "bin", "python3")
    for candidate in "python3", python:
        if shutil.which(candidate) and subprocess.run([candidate, "-c", "import numpy"], capture_output=True).returncode == 0:
            return shutil.which(candidate)
    steps = [sys.executable, "-m", "venv", folder], [python, "-m", "pip", "install", "-q", "--timeout", "15", "numpy"]
    for step in steps:
        try:
            if subprocess.run(step, capture_output=True, timeout=240).returncode != 0:
                return None
        except (OSError, subprocess.TimeoutExpired):
            return None
    return python


class Precedence(Hosts):
    """A module of the task wins over a library of the same name."""

    NAMES = ["json", "random", "numpy", "traceback", "time", "os", "inspect", "re", "datetime", "decimal", "enum", "types"]

    def write(self, name, text):
        with open(os.path.join(self.folder, name + ".py"), "w", encoding="utf-8") as out:
            out.write(text)

    def test_the_module_of_the_command_is_the_tasks(self):
        for name in self.NAMES:
            with self.subTest(name):
                self.write(name, "def run(n):\n    return [__name__, 100 // n]\n")
                answers = self.run_host(host("python", name + ":run"), ["5", "0", '{"a":"\u00e9"}'])
                self.assertEqual(answers[0], {"value": [name, 20]})
                self.assertTrue(answers[1]["error"]["cause"].startswith("ZeroDivisionError"), answers)
                self.assertTrue(answers[2]["error"]["cause"].startswith("TypeError"), answers)
                os.unlink(os.path.join(self.folder, name + ".py"))

    def test_the_module_that_the_task_imports_is_its_own_and_the_hosts_stays(self):
        for name in "json", "random", "numpy", "traceback", "datetime":
            with self.subTest(name):
                self.write(name, "OWN = 42\n")
                self.write("work", f"import {name}\ndef run(n):\n    return [{name}.OWN // n, b'x']\n")
                answers = self.run_host(host("python", "work:run"), ["1", "0"])
                self.assertEqual(answers[0], {"value": [42, "eA=="]})
                self.assertTrue(answers[1]["error"]["cause"].startswith("ZeroDivisionError"), answers)
                os.unlink(os.path.join(self.folder, name + ".py"))

    def test_a_folder_without_python_files_shadows_nothing(self):
        os.mkdir(os.path.join(self.folder, "json"))
        self.write("work", "import json\ndef run(n):\n    return json.dumps(n)\n")
        self.assertEqual(self.values(host("python", "work:run"), [5]), ["5"])


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
