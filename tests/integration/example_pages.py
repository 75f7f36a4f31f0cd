"""Runs the commands on the pages of examples/python. A page has blocks like this:

    ```console
    $ python3 fibonacci.py 2
    F(0) = 0
    F(1) = 1
    ```
"""
import os
import re
import shlex
import subprocess

import fantail_testing as ft
import python_calls as calls

EXAMPLES = os.path.join(ft.ROOT, "examples", "python")


def page_of(name):
    with open(os.path.join(EXAMPLES, name, "README.md"), encoding="utf-8") as file:
        return file.read()


def commands_of(name):
    """Returns a list of (words of a command, lines of its output on the page)."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", page_of(name), re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((shlex.split(line[2:]), []))
            else:
                found[-1][1].append(line)
    return found


class ExamplesTest(ft.FantailTest):
    def start_example(self, python, name, *arguments):
        env = self.environment(PYTHONPATH=calls.PACKAGE, FANTAIL_BIN=ft.BIN, TMPDIR=self.folder)
        return subprocess.Popen([python, *arguments], cwd=os.path.join(EXAMPLES, name), env=env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def run_example(self, python, name, *arguments):
        """Returns (status, lines of standard output, standard error)."""
        process = self.start_example(python, name, *arguments)
        out, err = process.communicate()
        return process.returncode, out.splitlines(), err

    def output_of_example(self, python, name, *arguments):
        status, lines, err = self.run_example(python, name, *arguments)
        self.assertEqual(status, 0, err)
        return lines

    def check_page(self, python, name, in_order=True):
        """Runs the commands of a page. FOLDER and OUT stand for folders of the user."""
        commands = commands_of(name)
        self.assertTrue(commands)
        for words, expected in commands:
            words = [os.path.join(self.folder, word) if word in ("FOLDER", "OUT") else word for word in words]
            self.assertEqual(words[0], "python3")
            lines = self.output_of_example(python, name, *words[1:])
            if in_order:
                self.assertEqual(lines, expected)
            else:
                self.assertEqual(sorted(lines), sorted(expected))
