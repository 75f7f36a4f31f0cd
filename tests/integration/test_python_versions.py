"""The Python package works with each version of Python that it promises to support and that is on PATH. cloudpickle is
installed from PyPI into a virtual environment."""
import ast
import glob
import os
import re
import subprocess
import sys

import fantail_testing as ft
import python_calls as calls
from python_venv import make_venv
from test_python_executor import setUpModule  # noqa: F401

OLDEST, NEWEST = 9, 14
SCRIPT = """
import asyncio, os, sys
import fantail, fantail.aio

async def twice(n):
    await asyncio.sleep(0)
    return 2 * n

if __name__ == "__main__":
    factor = 3
    with fantail.Executor(2) as executor:
        print(executor.submit(lambda x: x * factor, 4).result())
        print(sum(executor.map(twice, range(1000))))
        results = list(executor.map(lambda n: os._exit(3) if n == 7 else n, range(20), return_exceptions=True))
        print([n for n in range(20) if results[n] != n], results[7].name)
    with fantail.Pool(2) as pool:
        print(pool.map(abs, [-1, -2]), next(pool.imap(abs, iter([-3]))))
    try:
        list(fantail.Client("http://127.0.0.1:1", reconnect_s=0).map("square", [1]))
    except fantail.Unreachable as error:
        print(type(error).__name__)
"""
PRINTED = ["12", "999000", "[7] crashed", "[1, 2] 3", "Unreachable"]


def others():
    """Returns {version: program} of the other versions of Python on PATH."""
    found = {}
    for minor in range(OLDEST, NEWEST + 1):
        version, program = f"3.{minor}", f"python3.{minor}"
        try:
            ended = subprocess.run([program, "-c", "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"],
                                   capture_output=True, text=True, check=False)
        except OSError:
            continue
        if ended.stdout.strip() == version and sys.version_info[1] != minor:
            found[version] = program
    return found


class Versions(ft.FantailTest):
    def test_the_oldest_version_can_read_the_syntax(self):
        paths = glob.glob(os.path.join(calls.PACKAGE, "fantail", "**", "*.py"), recursive=True)
        self.assertGreater(len(paths), 30)
        for path in paths:
            with open(path, encoding="utf-8") as file:
                ast.parse(file.read(), path, feature_version=(3, OLDEST))
        with open(os.path.join(calls.PACKAGE, "pyproject.toml"), encoding="utf-8") as file:
            self.assertEqual(re.findall('requires-python = "(.*)"', file.read()), [f">=3.{OLDEST}"])

    def test_other_versions_run_the_package(self):
        programs = others()
        if not programs:
            self.skipTest(f"there is no other Python 3.{OLDEST} to 3.{NEWEST} on PATH")
        path = os.path.join(self.folder, "script.py")
        ft.write_file(path, SCRIPT)
        for version, program in programs.items():
            python = make_venv(os.path.join(self.folder, version), "cloudpickle", program=program)
            ended = subprocess.run([python, "-W", "error", path], env=self.environment(PYTHONPATH=calls.PACKAGE, FANTAIL_BIN=ft.BIN),
                                   capture_output=True, text=True, check=False)
            self.assertEqual((ended.stdout.splitlines(), ended.stderr), (PRINTED, ""), version)


if __name__ == "__main__":
    ft.main()
