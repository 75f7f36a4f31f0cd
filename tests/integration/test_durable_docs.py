"""The steps of docs/jobs.md, run as a reader runs them."""
import os
import re
import subprocess

import fantail_testing as ft
from fantail_testing import FantailTest

ADDRESS = "http://127.0.0.1:8080"
END = "end of the step"  # a line that the shell prints after each command


def steps(page):
    """Returns [(command, the expected lines of its output)] for the code blocks of a page. The commands in blocks of
    type sh should print nothing."""
    with open(os.path.join(ft.ROOT, "docs", page), encoding="utf-8") as source:
        blocks = re.findall(r"^```(sh|console)\n(.*?)^```", source.read(), re.M | re.S)
    found = []
    for kind, text in blocks:
        if kind == "sh":
            found.append((text, []))
            continue
        for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
            command, *printed = part.splitlines()
            found.append((command, printed))
    return found


def pattern(lines):
    """Returns a pattern for the documented lines. `...` matches any text within a line. Two or more spaces match two or
    more spaces."""
    return "".join(re.sub(r"(\\ ){2,}", " {2,}", re.escape(text).replace(re.escape("..."), ".*")) + "\n" for text in lines)


class Shell:
    """One shell for all steps, because they share its variables."""

    def __init__(self, test):
        self.test = test
        self.errors = os.path.join(test.folder, "errors")
        self.process = subprocess.Popen(["bash"], cwd=test.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=test.environment(), text=True)

    def run(self, command):
        """Runs the command, and returns its standard output and its standard error."""
        self.process.stdin.write(f"{{ {command}\n}} 2>{self.errors}; echo {END}\n")
        self.process.stdin.flush()
        out = ""
        while not out.endswith(END + "\n"):
            text = self.process.stdout.readline()
            self.test.assertTrue(text, f"the shell ended in: {command}\n{out}")
            out += text
        with open(self.errors, encoding="utf-8") as errors:
            return out[:-len(END) - 1], errors.read()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(60)


class DurableJobs(FantailTest):
    def start_fleet(self, arguments):
        """Starts the `fantail local` of the page on a free port, and returns its address."""
        port = self.free_port()
        local = self.start("fantail", *arguments, "--port", port)
        ft.wait_until(lambda: "ready at" in local.stdout() or not local.alive(), "a fleet")
        self.assertIn(f"fantail: ready at http://127.0.0.1:{port}\n", local.stdout(), local.describe())
        return f"http://127.0.0.1:{port}"

    def test_each_step_prints_what_the_page_says(self):
        shell = Shell(self)
        self.addCleanup(shell.close)
        address, run = None, 0
        for command, printed in steps("jobs.md"):
            if command.startswith("fantail local"):
                self.assertEqual(printed, [f"fantail: ready at {ADDRESS}"])
                address = self.start_fleet(command.split()[1:])
                continue
            out, err = shell.run(command.replace(ADDRESS, address or ADDRESS))
            with self.subTest(command):
                self.assertRegex(out, r"\A" + pattern([text for text in printed if not text.startswith("fantail: ")]) + r"\Z")
                self.assertRegex(err, r"\A" + pattern([text for text in printed if text.startswith("fantail: ")]) + r"\Z")
            run += 1
        self.assertGreater(run, 20)


if __name__ == "__main__":
    ft.main()
