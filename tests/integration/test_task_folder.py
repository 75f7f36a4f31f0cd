"""The folder in which a task runs, and how a task finds its own files."""
import os

from cli_testing import CliTest
from fantail_testing import main, wait_until, write_file

SCRIPT = "#!/bin/sh\ncat \"$1\" \"$FANTAIL_TASK_FOLDER/suffix\"\n"
STREAM = """
import json, os, sys
for line in sys.stdin:
    print(json.dumps({"value": open(json.loads(line)).read() + open(os.environ["FANTAIL_TASK_FOLDER"] + "/suffix").read()}),
          flush=True)
"""
PYTHON = """
import os
import helper

def run(item):
    return open(item).read() + helper.SUFFIX

def fail(item):
    raise ValueError(item)
"""
EXECUTES = {"mode": "exec", "command": ["bin/cat.sh", "{}"], "input": "text", "output": "text"}
FILES = {"suffix": "!"}


class TaskFolder(CliTest):
    def setUp(self):
        super().setUp()
        self.tasks(
            script={**EXECUTES, "files": dict(FILES)},
            stays={**EXECUTES, "cwd": ".", "files": dict(FILES)},
            stream={"mode": "stream", "command": ["python3", "run.py"], "files": {**FILES, "run.py": STREAM}},
            python={"mode": "python", "command": ["run:run"], "files": {"run.py": PYTHON, "helper.py": "SUFFIX = '!'"}},
            raises={"mode": "python", "command": ["run:fail"], "files": {"run.py": PYTHON, "helper.py": "SUFFIX = '!'"}},
            missing={"mode": "python", "command": ["nothing:run"]})
        for name in ("script", "stays"):
            os.mkdir(os.path.join(self.folder, "tasks", name, "bin"))
            write_file(os.path.join(self.folder, "tasks", name, "bin", "cat.sh"), SCRIPT, 0o755)
        self.here = os.path.join(self.folder, "here")
        os.mkdir(self.here)
        write_file(os.path.join(self.here, "a.txt"), "of the user")
        write_file(os.path.join(self.here, "helper.py"), "SUFFIX = '?'")
        write_file(os.path.join(self.folder, "tasks", "stays", "a.txt"), "of the task")

    def map(self, task, *arguments, cwd=None):
        return self.cli("map", task, "--text", "--tasks", os.path.join(self.folder, "tasks"), *arguments, stdin="a.txt\n",
                        cwd=cwd or self.here)

    def assert_value(self, ended, value):
        self.assertEqual((ended.status, ended.lines), (0, [f'"{value}"']), ended)

    def test_a_task_of_a_private_fleet_runs_in_the_folder_of_the_user(self):
        self.assert_value(self.map("script"), "of the user!")
        self.assert_value(self.map("stream"), "of the user!")
        self.assert_value(self.map("python"), "of the user!")

    def test_a_task_can_say_that_it_runs_in_its_own_folder(self):
        self.assert_value(self.map("stays"), "of the task!")

    def test_the_place_of_an_error_is_in_the_folder_of_the_task(self):
        ended = self.map("raises", "--errors", "-")
        self.assertIn(b'"place":"run.py:9"', ended.err)
        ended = self.map("missing")
        self.assertIn(f"(in the folder {self.folder}/tasks/missing)", ended.err.decode())

    def test_the_folder_of_the_user_may_have_any_name(self):
        for name in (b"with space", b"not-utf-8-\xff"):
            folder = os.path.join(os.fsencode(self.folder), name)
            os.mkdir(folder)
            write_file(os.path.join(folder, b"a.txt"), "of the user")
            self.assert_value(self.map("script", cwd=folder), "of the user!")

    def test_a_fleet_runs_its_tasks_in_their_own_folders_unless_it_is_told_another_one(self):
        local = ("local", "--tasks", os.path.join(self.folder, "tasks"), "--port", "0")
        for options, expected in (((), (1, [])), (("--task-cwd", self.here), (0, ['"of the user!"']))):
            fleet = self.start("fantail", *local, *options)
            wait_until(lambda: "ready at" in fleet.stdout(), "the ready line")
            ended = self.cli("map", "script", "--text", "--skip-failed", "--url", fleet.stdout().split()[-1], stdin="a.txt\n")
            self.assertEqual((ended.status, ended.lines), expected, ended)

    def test_a_folder_that_does_not_exist_is_refused(self):
        ended = self.cli("local", "--task-cwd", "nowhere", "--port", "0")
        self.assertEqual((ended.status, ended.err), (2, b"fantail local: --task-cwd: nowhere is not a directory\n"))
        worker = self.start("fantail-worker", "--task-cwd", "nowhere", "--port", "0")
        worker.any_status = True
        self.assertEqual(worker.wait(), 2)
        self.assertIn("--task-cwd: nowhere is not a directory", worker.stderr())


if __name__ == "__main__":
    main()
