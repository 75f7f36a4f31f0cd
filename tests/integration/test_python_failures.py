"""The table in docs/python.md of what other pools fail at: each cell is what tests/integration/python_failures.py prints."""
import contextlib
import os
import re
import signal
import subprocess
import sys

import fantail_testing as ft
import python_calls as calls
from test_python_executor import setUpModule  # noqa: F401

SCRIPT = os.path.join(ft.ROOT, "tests", "integration", "python_failures.py")
HANG_S = 5  # several times the time of a run that ends
TITLE = "## What other pools fail at\n"
CASES = {"the process is killed": "kill", "calls `os._exit`": "os._exit", "calls `sys.exit`": "sys.exit",
         "raises an exception that cannot be rebuilt": "exception", "returns an object that cannot be pickled": "result",
         "the iterable has no end": "endless"}


def table():
    """Returns {case: {library: cell}}."""
    with open(os.path.join(ft.ROOT, "docs", "python.md"), encoding="utf-8") as page:
        section = page.read().split(TITLE)[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", section, re.M)]
    libraries = [cell.strip("`") for cell in rows[0][1:]]
    return {CASES[row[0]]: dict(zip(libraries, row[1:])) for row in rows[2:]}


class Failures(ft.FantailTest):
    def outcome(self, library, case):
        env = self.environment(PYTHONPATH=calls.PACKAGE, FANTAIL_BIN=ft.BIN)
        limit_s = HANG_S if self.cells[case][library] == "never ends" else None
        with subprocess.Popen([sys.executable, SCRIPT, library, case], env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, start_new_session=True) as process:
            try:
                return process.communicate(timeout=limit_s)[0].strip()
            except subprocess.TimeoutExpired:
                return "never ends"
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def check(self, library):
        self.cells = table()
        self.assertEqual(set(self.cells), set(CASES.values()))
        for case, cells in self.cells.items():
            self.assertEqual(self.outcome(library, case), cells[library].replace("`", ""), f"{library}, {case}")

    def test_fantail(self):
        self.check("fantail")

    def test_multiprocessing_pool(self):
        self.check("Pool")

    def test_process_pool_executor(self):
        self.check("ProcessPoolExecutor")


if __name__ == "__main__":
    ft.main()
