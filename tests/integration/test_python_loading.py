"""Python tasks that load once in each process: "setup" and classes. The file also tests which interpreter runs a
task."""
import json
import os
import subprocess
import sys

import fantail_testing as ft
from fantail_testing import FantailTest
from hosts_testing import Hosts, host

MODULE = """
import os
calls = []

def load():
    calls.append("load")

def fails():
    raise OSError("no model")

def leaves():
    raise SystemExit("the model is missing")

async def waits():
    pass

number = 5

def loaded(item):
    return calls

def sizes(batch):
    return [calls + [len(batch)]] * len(batch)

class Model:
    def __init__(self):
        calls.append("init")

    def __call__(self, item, common=None):
        return [calls, item, common]

class Batches(Model):
    def __call__(self, batch):
        return [calls + [item] for item in batch]

class Waits(Model):
    async def __call__(self, item):
        return item

class NeedsMore(Model):
    def __init__(self, path):
        pass
"""


class LoadingOfTheHost(Hosts):
    def setUp(self):
        super().setUp()
        self.write("m", MODULE)

    def test_setup_runs_once_before_the_items(self):
        self.assertEqual(self.values(host("python", "--setup", "m:load", "m:loaded"), [1, 2]), [["load"]] * 2)
        self.assertEqual(self.values(host("python", "--batch", "4", "--setup", "m:load", "m:sizes"), [1, 2]), [["load", 2]] * 2)

    def test_setup_runs_before_the_module_of_the_function_is_imported(self):
        self.write("prepares", "import os\ndef run():\n    os.environ['MODEL'] = 'large'\n")
        self.write("uses", "import os\nmodel = os.environ['MODEL']\ndef run(item):\n    return model\n")
        self.assertEqual(self.values(host("python", "--setup", "prepares:run", "uses:run"), [1]), ["large"])

    def test_setup_and_function_share_a_module_that_has_the_name_of_one_of_the_interpreter(self):
        self.write("types", MODULE)
        self.assertEqual(self.values(host("python", "--setup", "types:load", "types:loaded"), [1]), [["load"]])

    def test_a_class_has_one_instance_that_is_called_with_each_item(self):
        lines = ["1", "#common 7", "2"]
        self.assertEqual(self.run_host(host("python", "m:Model"), lines), [{"value": [["init"], 1, None]},
                                                                          {"value": [["init"], 2, 7]}])
        command = host("python", "--batch", "4", "--setup", "m:load", "m:Batches")
        self.assertEqual(self.values(command, [1, 2]), [["load", "init", 1], ["load", "init", 2]])

    def test_a_class_whose_instances_cannot_be_called_is_called_itself(self):
        self.assertEqual(self.values(host("python", "fractions:Fraction"), ["1/2", 3]), ["1/2", "3"])

    def test_what_fails_while_loading_is_on_stderr_with_its_place(self):
        for setup, function, last in (("m:fails", "m:loaded", r"OSError: no model \(m\.py:9\)"),
                                      ("m:leaves", "m:loaded", "the model is missing"),
                                      ("m:nothing", "m:loaded", r"AttributeError: .*nothing.*"),
                                      ("m:number", "m:loaded", r".*m:number in the folder .* is not a function"),
                                      ("m:waits", "m:loaded", r".*m:waits .* is an async function.*"),
                                      ("m:load", "m:Waits", r".*m:Waits .* is an async function.*"),
                                      ("m:load", "m:NeedsMore", r"TypeError: .*path.*")):
            with self.subTest(setup=setup, function=function):
                self.assertEqual(self.run_host(host("python", "--setup", setup, function), ["1"], status=1), [])
                self.assertRegex(self.stderr.splitlines()[-1], f"^{last}$")


class LoadingOfTheWorker(FantailTest):
    def python_task(self, module=MODULE, **options):
        return {"json": {"mode": "python", **options}, "files": {"m.py": module}}

    def test_each_process_loads_once_and_before_its_first_item(self):
        module = ("import os, time\nstate = []\ndef load():\n    time.sleep(1)\n    state.append(os.getpid())\n"
                  "def run(item):\n    return state\n")
        tasks = self.tasks(t=self.python_task(module, command="m:run", setup="m:load", item_timeout_s=0.5))
        answer = self.fleet(processes=2, tasks=tasks).job({"task": "t", "items": list(range(200))})
        self.assertEqual(answer.json["errors"], [])
        values = {tuple(value) for value in answer.json["results"]}
        self.assertEqual({len(value) for value in values}, {1})
        self.assertLessEqual(len(values), 2)

    def test_a_setup_that_takes_too_long_or_fails_is_the_error_of_the_items(self):
        module = "import time\ndef load():\n    time.sleep(1000)\ndef fails():\n    raise OSError('no model')\ndef run(item):\n    return 1\n"
        tasks = self.tasks(slow=self.python_task(module, command="m:run", setup="m:load", start_timeout_s=0.5),
                           wrong=self.python_task(module, command="m:run", setup="m:fails"))
        fleet = self.fleet(tasks=tasks)
        slow, wrong = (fleet.job({"task": task, "items": [1], "retry": {"max_attempts": 1}}).json["errors"][0]["error"]
                       for task in ("slow", "wrong"))
        self.assertEqual([slow["name"], wrong["name"]], ["start_timed_out", "crashed"])
        self.assertIn("OSError: no model (m.py:5)", wrong["stderr"])

    def test_tasks_have_interpreters_of_their_own(self):
        venv = os.path.join(self.folder, "venv")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=60)
        packages = subprocess.run([os.path.join(venv, "bin", "python"), "-c", "import site; print(site.getsitepackages()[0])"],
                                  check=True, capture_output=True, text=True, timeout=60).stdout.strip()
        ft.write_file(os.path.join(packages, "only_here.py"), "number = 42\n")
        uses = "import only_here, sys\ndef run(item):\n    return [only_here.number, sys.prefix]\n"
        wrapped = "import os\ndef run(item):\n    return os.environ['WRAPPED']\n"
        own = self.python_task(wrapped, command="m:run", python="./mine")
        own["files"]["mine"] = '#!/bin/sh\nWRAPPED=yes exec python3 "$@"\n'
        tasks = self.tasks(inside=self.python_task(uses, command="m:run", venv=venv), own=own,
                           outside=self.python_task(uses, command="m:run"))
        fleet = self.fleet(tasks=tasks)
        results = lambda task: fleet.job({"task": task, "items": [1], "retry": {"max_attempts": 1}}).json
        self.assertEqual(results("inside")["results"], [[42, venv]])
        self.assertEqual(results("own")["results"], ["yes"])
        self.assertIn("No module named 'only_here'", results("outside")["errors"][0]["error"]["stderr"])

    def test_a_missing_interpreter_is_the_reason_why_the_task_cannot_run(self):
        worker = self.worker(tasks=self.tasks(t=self.python_task(command="m:loaded", venv="no-venv")))
        answer = ft.request(worker.port, "POST", "/v1/tasks/t", b"1\n")
        self.assertEqual(answer.status, 422)
        self.assertIn('"venv": there is no virtual environment with a program ', json.loads(answer.body)["detail"])


if __name__ == "__main__":
    ft.main()
