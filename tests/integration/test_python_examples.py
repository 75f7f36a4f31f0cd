"""The programs in examples/python print what their pages say, and the same programs with other libraries do what the pages say
about them. test_python_joblib.py runs the example hyper_parameters, and test_install.py runs fibonacci.py.

Pillow and Celery are installed from PyPI into virtual environments."""
import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import sys

import fantail_testing as ft
from example_pages import EXAMPLES, ExamplesTest, commands_of, page_of
from python_venv import make_class_venv
from test_python_executor import setUpModule  # noqa: F401

HANG_S = 5  # several times the time of a run without a killed process


class Pages(ExamplesTest):
    def test_each_example_has_a_page_and_a_program_with_another_library(self):
        names = sorted(os.path.basename(os.path.dirname(path)) for path in glob.glob(os.path.join(EXAMPLES, "*", "")))
        self.assertGreaterEqual(len(names), 8)
        index = page_of("")
        for name in names:
            self.assertIn(f"({name}/README.md)", index)
            page, folder = page_of(name), os.path.join(EXAMPLES, name)
            self.assertRegex(page, r"\| (a|an|the) [a-z ]*(dies|is killed|kills its process) ")
            self.assertTrue(commands_of(name), name)
            others = [os.path.basename(path) for path in glob.glob(os.path.join(folder, "with_*.py"))]
            self.assertTrue(others, name)
            for program in [name + ".py", *others]:
                self.assertIn(f"]({program})", page)

    def test_fibonacci(self):
        self.check_page(sys.executable, "fibonacci")

    def test_job_queue(self):
        self.check_page(sys.executable, "job_queue", in_order=False)

    def test_merge_sort(self):
        self.check_page(sys.executable, "merge_sort")

    def test_monte_carlo_pi(self):
        self.check_page(sys.executable, "monte_carlo_pi")

    def test_word_count(self):
        self.check_page(sys.executable, "word_count")
        with open(os.path.join(ft.ROOT, "LICENSE"), encoding="utf-8") as file:
            words = re.findall("[a-z]+", file.read().lower())
        self.assertEqual(commands_of("word_count")[0][1][0].split(), [str(words.count("the")), "the"])

    def test_currency_rates(self):
        self.check_page(sys.executable, "currency_rates")


class StandardLibrary(ExamplesTest):
    """The programs that use the standard library instead of fantail."""

    def check_hang(self, name, *arguments):
        """Checks that the program hangs: it must not end within HANG_S, because one of its processes is killed."""
        process = self.start_example(sys.executable, name, "with_multiprocessing.py", *arguments)
        try:
            with self.assertRaises(subprocess.TimeoutExpired):
                process.wait(HANG_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def test_fibonacci(self):
        lines = self.output_of_example(sys.executable, "fibonacci", "with_multiprocessing.py", "30")
        self.assertEqual((len(lines), lines[12], lines[29]), (30, "F(12) = 144", "F(29) = 514229"))
        self.check_hang("fibonacci", "30", "13")

    def test_job_queue(self):
        lines = self.output_of_example(sys.executable, "job_queue", "with_futures.py")
        self.assertEqual(len(lines), 6)
        self.assertIn("crash: BrokenProcessPool", lines)
        self.assertIn("stuck: BrokenProcessPool", lines)

    def test_merge_sort(self):
        lines = self.output_of_example(sys.executable, "merge_sort", "with_futures.py")
        self.assertEqual(lines, ["1,000,000 integers are sorted: True"])
        status, lines, err = self.run_example(sys.executable, "merge_sort", "with_futures.py", "kill")
        self.assertEqual((status, lines), (1, []))
        self.assertIn("BrokenProcessPool", err.splitlines()[-1])

    def test_monte_carlo_pi(self):
        self.assertEqual(self.output_of_example(sys.executable, "monte_carlo_pi", "with_multiprocessing.py"),
                         ["pi is about 3.140, from 200 of 200 calls"])
        self.check_hang("monte_carlo_pi", "7")

    def test_word_count(self):
        words, expected = commands_of("word_count")[0]
        self.assertEqual(self.output_of_example(sys.executable, "word_count", "with_multiprocessing.py", *words[2:]), expected)
        self.check_hang("word_count", "--kill", "1", *words[2:])

    def test_currency_rates(self):
        status, lines, _ = self.run_example(sys.executable, "currency_rates", "with_asyncio.py", "kill")
        self.assertEqual((status, lines), (-signal.SIGKILL, []))


class Thumbnails(ExamplesTest):
    @classmethod
    def setUpClass(cls):
        cls.python = make_class_venv(cls, "cloudpickle", "pillow")

    def test_the_page_and_the_standard_library(self):
        self.check_page(self.python, "thumbnails")
        folder, out = (os.path.join(self.folder, name) for name in ("FOLDER", "OUT"))
        self.assertEqual(sorted(os.listdir(out)), [f"photo-{n:02}.jpg" for n in range(4)])
        expected = commands_of("thumbnails")[1][1]
        self.assertEqual(self.output_of_example(self.python, "thumbnails", "with_futures.py", "make", folder, out), expected)
        lines = self.output_of_example(self.python, "thumbnails", "with_futures.py", "make", folder, out, "--kill",
                                       "photo-01.png")
        self.assertIn("photo-01.png: BrokenProcessPool", lines)
        self.assertIn("photo-03.png: BrokenProcessPool", lines)


class Celery(ExamplesTest):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("redis-server"):
            raise ft.unittest.SkipTest("Redis is missing (package redis-server)")
        cls.python = make_class_venv(cls, "cloudpickle", "celery[redis]~=5.5")

    def test_the_rates_are_fetched(self):
        lines = self.output_of_example(self.python, "currency_rates", "with_celery.py")
        self.assertEqual(lines[:4], ["EUR/USD = 1.0800", "USD/JPY = 156.2500", "CHF/GBP = 0.8960", "811 rates"])

    def test_tasks_that_run_are_lost_with_their_worker(self):
        lines = self.output_of_example(self.python, "currency_rates", "with_celery.py", "kill")
        self.assertEqual(lines[0], "the worker is killed")
        [lost] = [int(line.split()[0]) for line in lines if line.endswith("without a rate: the task is PENDING")]
        self.assertGreater(lost, 0)


if __name__ == "__main__":
    ft.main()
