"""The programs in examples/python print their known answers. test_python_joblib.py runs hyper_parameters.py, and test_install.py
runs fibonacci.py."""
import os
import re
import subprocess
import sys

import fantail_testing as ft
import python_calls as calls
from test_python_executor import WHY_NOT, setUpModule  # noqa: F401

EXAMPLES = os.path.join(ft.ROOT, "examples", "python")


class Examples(ft.FantailTest):
    def output_of(self, program, *arguments):
        env = self.environment(PYTHONPATH=calls.PACKAGE, FANTAIL_BIN=ft.BIN)
        ended = subprocess.run([sys.executable, os.path.join(EXAMPLES, program), *arguments], env=env, capture_output=True,
                               text=True, check=False)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return ended.stdout.splitlines()

    def test_fibonacci_with_a_killed_process(self):
        lines = self.output_of("fibonacci.py", "30", "13")
        known = [line for line in lines if re.fullmatch(r"F\(\d+\) = \d+", line)]
        self.assertEqual((len(known), known[12], known[-1]), (29, "F(12) = 144", "F(29) = 514229"))
        self.assertIn("F(13) = crashed", "\n".join(lines))

    def test_merge_sort(self):
        self.assertEqual(self.output_of("merge_sort.py"), ["1,000,000 integers are sorted: True"])
        self.assertEqual(self.output_of("merge_sort.py", "kill"),
                         ["part 2: crashed, signal 9; it is sorted again", "1,000,000 integers are sorted: True"])

    def test_monte_carlo_pi(self):
        [whole], [partial] = self.output_of("monte_carlo_pi.py"), self.output_of("monte_carlo_pi.py", "7")
        self.assertRegex(whole, r"^pi is about 3\.14\d, from 200 of 200 calls$")
        self.assertRegex(partial, r"^pi is about 3\.14\d, from 199 of 200 calls$")

    def test_word_count(self):
        lines = self.output_of("word_count.py", os.path.join(ft.ROOT, "LICENSE"))
        self.assertEqual(len(lines), 10)
        with open(os.path.join(ft.ROOT, "LICENSE"), encoding="utf-8") as file:
            words = "".join(c if c in "abcdefghijklmnopqrstuvwxyz" else " " for c in file.read().lower()).split()
        self.assertEqual(lines[0].split(), [str(words.count("the")), "the"])

    def test_currency_rates(self):
        lines = self.output_of("currency_rates/currency_rates.py")
        self.assertEqual(lines, ["EUR/USD = 1.0800", "USD/JPY = 156.2500", "CHF/GBP = 0.8960", "GBP/CHF: timed_out",
                                 "811 rates; 58 pairs with XAU have none: ValueError: the server has no rate for USD/XAU "
                                 "(status 404)", "all rates in less than a minute: True"])

    def test_job_queue(self):
        lines = self.output_of("job_queue.py")
        self.assertEqual(sorted(lines), ["backup: BACKUP", "crash: crashed", "invoice: INVOICE", "mail: MAIL", "report: REPORT",
                                         "stuck: timed_out"])


if __name__ == "__main__":
    ft.main()
