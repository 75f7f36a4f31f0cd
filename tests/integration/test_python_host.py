"""The host of Python functions: their values, their errors, and the modules that they import."""
import json
import os
import select
import shutil
import subprocess
import sys
import unittest

from hosts_testing import BUILD, TIMEOUT_S, Hosts, host

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
            self.assertIn('Set "concurrency" in task.json', self.stderr)

    def test_os_exit_ends_the_host(self):
        self.assertEqual(self.run_host(self.task("leave"), ['"hard"', '"exit"'], status=5), [])

    def test_an_exception_is_the_items_error_with_its_traceback(self):
        answers = self.run_host(self.task("square"), ["{}", "2", "not json", "3"])
        self.assertEqual([a.get("value") for a in answers], [None, 4, None, 9])
        self.assertTrue(answers[0]["error"]["cause"].startswith("TypeError: "))
        self.assertIn("some_tasks.py", answers[0]["error"]["traceback"])
        self.assertNotIn("fantail-host-python", answers[0]["error"]["traceback"])

    def test_the_place_of_an_exception_is_in_the_tasks_own_code(self):
        self.write("helper", "import json\ndef parse(text):\n    return json.loads(text)\n")
        self.write("work", "from helper import parse\ndef run(item):\n    return parse(item)\n")
        answers = self.run_host(host("python", "work:run"), ['"5"', '"{"', "not json"])
        self.assertEqual(answers[0], {"value": 5})
        self.assertEqual(answers[1]["error"]["place"], "helper.py:3")
        self.assertNotIn("place", answers[2]["error"])  # the task was not called

    def test_a_module_that_cannot_be_loaded_is_reported_with_its_place_and_without_the_host(self):
        self.write("absent", "\nimport no_such_module\n")
        self.write("wrong", "def run(item)\n    return item\n")
        self.write("outer", "import wrong\n")
        for name, frames, last in (("absent", 1, r"ModuleNotFoundError: No module named 'no_such_module' \(absent\.py:2\)"),
                                   ("wrong", 1, r"SyntaxError: .+ \(wrong\.py:1\)"),
                                   ("outer", 2, r"SyntaxError: .+ \(wrong\.py:1\)"),
                                   ("nowhere", 0, r"ModuleNotFoundError: No module named 'nowhere' \(in the folder /.+\)")):
            with self.subTest(name):
                self.assertEqual(self.run_host(host("python", name + ":run"), ["1"], status=1), [])
                self.assertEqual(self.stderr.count("File "), frames, self.stderr)
                self.assertRegex(self.stderr.splitlines()[-1], f"^{last}$")

    def test_running_out_of_memory_has_its_own_name(self):
        self.assertEqual(self.error(self.task("memory"), 1)["name"], "out_of_memory")

    def test_what_the_function_prints_does_not_reach_the_answers(self):
        self.assertEqual(self.values(self.task("chatty"), [1, 2]), [1, 2])
        self.assertEqual(self.stderr, "a stray print\n" * 2)

    def test_what_reaches_standard_output_by_other_ways_does_not_either(self):
        self.assertEqual(self.values(self.task("loud"), [1, 2]), [1, 2])
        self.assertEqual(self.stderr, "to descriptor 1\nfrom a command\n" * 2)

    def test_a_line_that_c_code_prints_is_seen_at_once(self):
        self.write("prints", "import ctypes\nlibc = ctypes.CDLL(None)\ndef run(n):\n"
                             "    libc.printf(b'from C: %d\\n', n)\n    return n\n")
        process = self.start(host("python", "prints:run"))
        for n in (1, 2):
            process.stdin.write(b"%d\n" % n)
            process.stdin.flush()
            self.assertEqual(self.answers_before_an_end(process, 1), [{"value": n}])
            self.assertTrue(select.select([process.stderr], [], [], TIMEOUT_S)[0], "the line is not there")
            self.assertEqual(os.read(process.stderr.fileno(), 100), b"from C: %d\n" % n)

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

    def test_the_host_says_when_all_answers_are_written_while_an_item_runs(self):
        self.write("pauses", "import os, time\ndef run(n):\n    time.sleep(0.3 if n == 300 else 0)\n"
                             "    if n == -2:\n        os.kill(os.getpid(), 19)\n    return n\n")
        self.assert_says_when_all_answers_are_written(host("python", "pauses:run"))

    def test_a_module_or_function_that_is_not_there_ends_the_host_with_a_reason(self):
        for name, missing in (("absent:f", "'absent'"), ("some_tasks:absent", "'absent'"), ("some_tasks", "some_tasks"),
                              ("some_tasks:time.daylight", "is not a function")):
            with self.subTest(name):
                self.run_host(host("python", name), ["1"], status=2 if name == "some_tasks" else 1)
                last = self.stderr.splitlines()[-1]
                self.assertIn(missing, last)
                self.assertIn(f"in the folder {os.path.realpath(self.folder)}", last)


class Conversions(Hosts):
    """How the host converts returned values that JSON cannot express: the table in docs/protocol.md."""

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
    """Returns a Python that has numpy: python3, or else the Python of a virtual environment in the build folder, which is made
    if necessary. Returns None if numpy cannot be installed there."""
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
    """A module of the task takes precedence over a library of the same name."""

    NAMES = ["json", "random", "numpy", "traceback", "time", "os", "inspect", "re", "datetime", "decimal", "enum", "types",
             "math", "array", "select", "itertools", "gc", "binascii"]

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
        for name in "json", "random", "numpy", "traceback", "datetime", "math", "array", "select", "gc", "pwd", "binascii":
            with self.subTest(name):
                self.write(name, "OWN = 42\n")
                self.write("work", f"import {name}\ndef run(n):\n    return [{name}.OWN // n, b'x']\n")
                answers = self.run_host(host("python", "work:run"), ["1", "0"])
                self.assertEqual(answers[0], {"value": [42, "eA=="]})
                self.assertTrue(answers[1]["error"]["cause"].startswith("ZeroDivisionError"), answers)
                os.unlink(os.path.join(self.folder, name + ".py"))

    def test_a_module_that_the_interpreter_has_imported_stays(self):
        for name in "sys", "time", "os", "types", "warnings":
            self.write(name, "OWN = 42\n")
        self.write("work", "import os, sys, time, types, warnings\n"
                           "def run(n):\n    return [hasattr(m, 'OWN') for m in (os, sys, time, types, warnings)]\n")
        self.assertEqual(self.values(host("python", "work:run"), [1]), [[False] * 5])

    def test_a_folder_without_python_files_shadows_nothing(self):
        for name in "json", "gc":
            os.mkdir(os.path.join(self.folder, name))
        self.write("work", "import gc, json\ngc.collect()\ndef run(n):\n    return json.dumps(n)\n")
        self.assertEqual(self.values(host("python", "work:run"), [5]), ["5"])


if __name__ == "__main__":
    unittest.main()
