"""Tasks that misbehave: each item that fails gets a named error, nothing hangs, no process remains, and other items are
not affected."""
import json
import os
import signal
import time

import fantail_testing as ft
from fantail_testing import FantailTest, SharedFleetTest, wait_until, with_more_time

# A Python task. The item determines what happens to the process of the task.
DOES_AS_TOLD = """
import os, signal, sys, time

def run(item):
    if isinstance(item, int):
        return item + 1
    print("about to " + item, file=sys.stderr, flush=True)
    if item == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "exit":
        os._exit(3)
    if item == "hang":
        time.sleep(600)
    if item == "spin":
        while True:
            pass
    if item == "fork":
        if os.fork() == 0:
            time.sleep(600)
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "eat":
        return len(bytearray(1 << 40))
    raise ValueError(item)
"""

# A stream program in Python. The program answers "good" items. `sys.argv[1]` says what the program does with all other
# items.
STREAM = """
import os, sys, time
mode = sys.argv[1]
out = sys.stdout
for line in sys.stdin:
    line = line.strip()
    if line == '"good"':
        out.write('{"value":"good"}\\n'); out.flush()
        continue
    if mode == "garbage":
        out.write("this is not JSON\\n")
    elif mode == "half":
        out.write('{"value":'); out.flush(); os._exit(0)
    elif mode == "many":
        out.write('{"value":1}\\n{"value":2}\\n{"value":3}\\n')
    elif mode == "closes":
        os.close(1); time.sleep(600)
    elif mode == "floods":
        sys.stderr.write("noise " * 100000 + "\\n"); out.write('{"value":"loud"}\\n')
    elif mode == "binary":
        out.buffer.write(b"\\x00\\xff\\xfe\\n")
    elif mode == "envelope":
        out.write('{"something":1}\\n')
    elif mode == "exits":
        sys.exit(0)
    out.flush()
"""


def stream_task(mode):
    return {"json": {"mode": "stream", "command": ["python3", "./task.py", mode], "processes": 1},
            "files": {"task.py": STREAM}}


def make_tasks(keeper):
    return keeper.tasks(
        told={"json": {"mode": "python", "command": ["task:run"]}, "files": {"task.py": DOES_AS_TOLD}},
        echo={"mode": "stream", "command": ["cat"], "envelope": False},
        missing={"mode": "stream", "command": ["./is-not-there"]},
        not_executable={"json": {"mode": "stream", "command": ["./plain.txt"]}, "files": {}},
        exits_at_once={"mode": "stream", "command": ["false"]},
        ends_well_at_once={"mode": "stream", "command": ["true"]},
        no_module={"mode": "python", "command": ["nothing_here:run"]},
        no_object={"mode": "native", "command": ["./nothing.so"]},
        fails={"mode": "exec", "command": ["sh", "-c", "echo sorry >&2; exit 7"]},
        **{mode: stream_task(mode) for mode in ("garbage", "half", "many", "closes", "floods", "binary", "envelope",
                                                "exits")})



class ItemTime(FantailTest):
    """The time limit of one item. Both the job and the task can set this limit."""

    def test_the_shorter_limit_of_job_and_task_counts(self):
        sleep = {"mode": "exec", "command": ["sleep", "{}"]}
        fleet = self.fleet(tasks=self.tasks(limited=dict(sleep, item_timeout_s=0.5), unlimited=sleep,
                                            same={"mode": "exec", "command": ["echo", "{}"]}))
        for tasks, limit_s, named in (("limited", None, "0.5 s"), ("limited", 0, "0.5 s"), ("limited", 0.25, "0.25 s"),
                                      ("unlimited", 0.25, "0.25 s"), (["same", "limited"], None, "0.5 s")):
            job = {"task": tasks, "items": [60], "retry": {"max_attempts": 1}}
            if limit_s is not None:
                job["item_timeout_s"] = limit_s
            document = fleet.job(job).json
            self.assertEqual(document["errors"][0]["error"]["name"], "timed_out", document)
            self.assertIn("within " + named, json.dumps(document["errors"][0]["error"]))


class Misbehaving(SharedFleetTest):
    @classmethod
    def make_fleet_options(cls, keeper):
        tasks = make_tasks(keeper)
        ft.write_file(os.path.join(tasks, "not_executable", "plain.txt"), "not a program\n", 0o644)
        os.makedirs(os.path.join(tasks, "broken_json"))
        ft.write_file(os.path.join(tasks, "broken_json", "task.json"), "{ this is broken")
        return {"tasks": tasks}

    def tearDown(self):
        super().tearDown()
        self.assertEqual(self.shared.job({"task": "echo", "items": ["well"]}).json["results"], ["well"])

    def errors(self, task, items, **options):
        """Runs a job with one attempt for each item. Returns the document of the job, and its errors by index."""
        answer = self.shared.job({"task": task, "items": items, "retry": {"max_attempts": 1}, **options})
        self.assertEqual(answer.status, 200, answer)
        return answer.json, {entry["index"]: entry["error"] for entry in answer.json["errors"]}

    def assert_each_item_fails(self, task, names, items=("x", "y", "z")):
        document, errors = self.errors(task, list(items))
        self.assertEqual(document["status"], "partial")
        self.assertEqual(sorted(errors), list(range(len(items))))
        for error in errors.values():
            self.assertIn(error["name"], names, error)
            self.assertTrue(error["cause"], error)
        return errors

    def test_a_missing_program_fails_each_item_by_name(self):
        errors = self.assert_each_item_fails("missing", ["crashed", "task_error", "bad_output"])
        self.assertRegex(json.dumps(errors), "is-not-there|[Nn]o such file")
        messages = "\n".join(line["msg"] for worker in self.shared.workers for line in worker.log_lines())
        self.assertRegex(messages, r"task missing cannot start \(.*is-not-there.*No such file.*\)\. Its items fail until it "
                                   r"is tried again in [0-9.]+ s\.")

    def test_a_program_that_is_not_executable_fails_each_item(self):
        errors = self.assert_each_item_fails("not_executable", ["crashed", "task_error", "bad_output"])
        self.assertRegex(json.dumps(errors), "plain.txt|[Pp]ermission")

    def test_a_program_that_exits_at_once_fails_each_item_with_its_status(self):
        errors = self.assert_each_item_fails("exits_at_once", ["crashed"])
        self.assertEqual(errors[0]["exit_code"], 1)

    def test_a_program_that_ends_well_without_answering_fails_each_item(self):
        self.assert_each_item_fails("ends_well_at_once", ["crashed", "bad_output"])
        self.assert_each_item_fails("exits", ["crashed", "bad_output"])

    def test_a_missing_python_module_fails_each_item_with_its_name(self):
        errors = self.assert_each_item_fails("no_module", ["crashed", "task_error"])
        self.assertIn("nothing_here", json.dumps(errors))

    def test_a_missing_shared_object_fails_each_item_with_its_name(self):
        errors = self.assert_each_item_fails("no_object", ["crashed", "task_error"])
        self.assertIn("nothing.so", json.dumps(errors))

    def test_garbage_is_bad_output(self):
        for mode in ("garbage", "binary", "envelope"):
            with self.subTest(mode):
                self.assert_each_item_fails(mode, ["bad_output"])

    def test_half_a_line_is_an_error(self):
        self.assert_each_item_fails("half", ["bad_output", "crashed"])

    def test_surplus_lines_of_an_item_that_is_alone_reach_no_other(self):
        document, errors = self.errors("many", ["x", "y", "z"])
        for index, value in enumerate(document["results"]):
            self.assertIn(value, (1, None))
        self.assertLessEqual({error["name"] for error in errors.values()}, {"bad_output", "crashed"})

    def test_a_closed_standard_output_is_an_error(self):
        self.assert_each_item_fails("closes", ["bad_output", "crashed"], ["x"])

    def test_a_flood_on_standard_error_harms_nobody(self):
        document, _ = self.errors("floods", ["x", "y"])
        self.assertEqual(document["results"], ["loud", "loud"])

    def test_an_exec_task_that_fails_says_its_status_and_its_standard_error(self):
        errors = self.assert_each_item_fails("fails", ["task_error"])
        self.assertEqual(errors[0].get("exit_code"), 7, errors[0])
        self.assertIn("sorry", json.dumps(errors[0]))

    def test_a_process_killed_by_a_signal_costs_exactly_its_item(self):
        items = list(range(1000))
        items[500] = "kill"
        document, errors = self.errors("told", items)
        self.assertEqual(document["results"], [None if n == 500 else n + 1 for n in range(1000)])
        self.assertEqual(list(errors), [500])
        self.assertEqual(errors[500]["name"], "crashed")
        self.assertEqual(errors[500]["signal"], 9)
        self.assertIsNone(errors[500]["exit_code"])
        self.assertIn("signal 9", errors[500]["cause"])
        self.assertIn("about to kill", errors[500]["stderr"])
        self.assertEqual(errors[500]["attempts"], 1)

    def test_a_crashing_item_is_tried_again_as_often_as_the_job_says(self):
        answer = self.shared.job({"task": "told", "items": [1, "kill", 3],
                                  "retry": {"max_attempts": 3, "interval_s": 0.01}})
        self.assertEqual(answer.json["results"], [2, None, 4])
        self.assertEqual(answer.json["errors"][0]["error"]["attempts"], 3)
        self.assertGreaterEqual(answer.json["counts"]["retried"], 1)

    def test_an_exit_in_the_middle_is_a_crash_with_its_status(self):
        document, errors = self.errors("told", [1, "exit", 3])
        self.assertEqual(document["results"], [2, None, 4])
        self.assertEqual((errors[1]["name"], errors[1]["exit_code"]), ("crashed", 3))

    def test_a_hanging_item_times_out_and_costs_only_itself(self):
        items = list(range(1000))
        items[10] = "hang"
        worker = self.shared.workers[0]

        def attempt(limit_s):
            killed = self.shared.metric(worker, "fantail_process_restarts_total", reason="timed_out")
            document, errors = self.errors("told", items, item_timeout_s=limit_s)
            ft.in_time([i for i, e in errors.items() if e["name"] == "timed_out"] == [10], "the other items")
            self.assertEqual(document["results"], [None if n == 10 else n + 1 for n in range(1000)])
            self.assertEqual((errors[10]["name"], errors[10]["attempts"]), ("timed_out", 1))
            # Each attempt of the hanging item makes other items wait until the time limit of the hanging item has passed. So
            # the job allows only one attempt.
            self.assertEqual(self.shared.metric(worker, "fantail_process_restarts_total", reason="timed_out"), killed + 1)
        with_more_time(attempt)

    def test_an_item_that_spins_times_out_too(self):
        def attempt(limit_s):
            document, errors = self.errors("told", [1, "spin", 3], item_timeout_s=limit_s)
            ft.in_time([i for i, e in errors.items() if e["name"] == "timed_out"] == [1], "the other items")
            self.assertEqual(document["results"], [2, None, 4])
            self.assertEqual(errors[1]["name"], "timed_out")
        with_more_time(attempt)

    def test_a_child_of_a_killed_process_is_killed_with_it(self):
        def forked():
            return [pid for pid in ft.descendants(os.getpid()) if "nothing" not in ft.command_line(pid)]
        before = set(forked())
        self.errors("told", ["fork"])
        wait_until(lambda: len(set(forked()) - before) <= 2, "the forked child's end")

    def test_a_broken_task_json_is_reported_by_name_and_the_others_serve(self):
        answer = self.shared.request("GET", "/v1/tasks")
        self.assertEqual(answer.status, 200)
        log = self.shared.workers[0].stderr()
        self.assertIn("broken_json", log + answer.body.decode())
        answer = self.shared.job({"task": "broken_json", "items": [1]})
        self.assertTrue(answer.status in (404, 422), answer)


class Limits(FantailTest):
    def test_memory_beyond_its_limit_is_out_of_memory_or_a_task_error(self):
        tasks = self.tasks(hungry={
            "json": {"mode": "python", "command": ["task:run"], "memory_bytes": 300_000_000},
            "files": {"task.py": "def run(item):\n    return len(bytearray(item))\n"}})
        fleet = self.fleet(tasks=tasks)
        document = fleet.job({"task": "hungry", "items": [1, 10 ** 9, 2], "retry": {"max_attempts": 1}}).json
        self.assertEqual(document["results"], [1, None, 2])
        self.assertIn(document["errors"][0]["error"]["name"], ("out_of_memory", "task_error", "crashed"))

    def test_processes_are_replaced_after_max_items(self):
        tasks = self.tasks(pid={
            "json": {"mode": "python", "command": ["task:run"], "max_items_per_process": 5, "processes": 1},
            "files": {"task.py": "import os\n\ndef run(item):\n    return os.getpid()\n"}})
        fleet = self.fleet(tasks=tasks)
        pids = fleet.job({"task": "pid", "items": list(range(20))}).json["results"]
        self.assertEqual(len(set(pids)), 4)
        self.assertEqual(max(pids.count(pid) for pid in pids), 5)

    def test_the_tasks_folder_is_read_again_on_sighup(self):
        tasks = self.tasks(first={"mode": "stream", "command": ["cat"], "envelope": False})
        fleet = self.fleet(tasks=tasks)
        self.assertEqual(fleet.job({"task": "second", "items": [1]}).status, 404)
        self.tasks(second={"mode": "stream", "command": ["cat"], "envelope": False})
        fleet.workers[0].send_signal(signal.SIGHUP)
        wait_until(lambda: fleet.job({"task": "second", "items": [1]}).status == 200, "the new task")

    def test_many_sighups_are_few_reloads_and_the_last_one_counts(self):
        tasks = self.tasks(first={"mode": "stream", "command": ["cat"], "envelope": False})
        fleet = self.fleet(tasks=tasks)
        for program in (fleet.workers[0], fleet.coordinator):
            started, reloads = time.monotonic(), len([line for line in program.log_lines() if line["msg"] == "asked to reload"])
            for _ in range(200):
                program.send_signal(signal.SIGHUP)
                time.sleep(0.002)
            if program is fleet.workers[0]:
                self.tasks(second={"mode": "stream", "command": ["cat"], "envelope": False})
                program.send_signal(signal.SIGHUP)
                wait_until(lambda: fleet.job({"task": "second", "items": [1]}).status == 200, "the new task")
            took = time.monotonic() - started
            reloads = len([line for line in program.log_lines() if line["msg"] == "asked to reload"]) - reloads
            self.assertGreaterEqual(reloads, 1)
            self.assertLessEqual(reloads, 2 + took / 0.5)

    def test_a_folder_that_no_job_can_name_is_listed_and_logged_with_the_reason(self):
        tasks = self.tasks(good={"mode": "stream", "command": ["cat"], "envelope": False})
        for name in ("h\u00e9llo".encode(), "\u0437\u0430\u0434\u0430\u0447\u0430".encode(), b"caf\xe9", b"two words"):
            os.makedirs(os.path.join(tasks.encode(), name))
            with open(os.path.join(tasks.encode(), name, b"task.json"), "w", encoding="utf-8") as out:
                out.write('{"command":"cat"}')
        os.makedirs(os.path.join(tasks, "fifo"))
        os.mkfifo(os.path.join(tasks, "fifo", "task.json"))
        fleet = self.fleet(tasks=tasks)
        listed = {task["name"]: task.get("error") for task in fleet.request("GET", "/v1/tasks").json["tasks"]}
        self.assertEqual(sorted(listed), sorted(["good", "fifo", "h\u00e9llo", "\u0437\u0430\u0434\u0430\u0447\u0430", "caf\\xE9", "two words"]))
        self.assertIsNone(listed.pop("good"))
        self.assertIn("task.json: it is a FIFO, not a regular file", listed.pop("fifo"))
        logged = {line["task"]: line["error"] for line in fleet.workers[0].log_lines() if line["msg"] == "a task cannot be read"}
        for name, error in listed.items():
            self.assertIn("this is not a valid task name: a task's name has up to 128 letters", error)
            self.assertEqual(logged[name], error)
        self.assertEqual(fleet.job({"task": "good", "items": ["x"]}).json["results"], ["x"])

    def test_an_error_that_a_program_writes_itself_has_what_every_error_has_and_keeps_its_members(self):
        program = r"""#!/usr/bin/env python3
import sys
for line in sys.stdin:
    print(['{"error":{}}', '{"error":{"cause":"no such thing"}}', '{"error":{"name":5,"cause":"number"}}',
           '{"error":{"name":"","cause":"empty"}}', r'{"error":{"cause":"\ud800","attempts":-5}}',
           '{"error":{"name":"NotFound","exit_code":7,"stderr":"words","worker":"me","more":{"size":12345678901234567890}}}'][int(line)], flush=True)
"""
        fleet = self.fleet(tasks=self.tasks(own={"json": {"command": ["./own"]}, "files": {"own": program}}),
                           worker_arguments=("--worker-id", "the one"))
        answer = fleet.job({"task": "own", "items": list(range(6))})
        every = {"name": "task_error", "cause": "the task gave no cause", "signal": None, "exit_code": None, "stderr": "",
                 "attempts": 1, "worker": "the one"}
        self.assertEqual([entry["error"] for entry in answer.json["errors"]], [
            every, {**every, "cause": "no such thing"}, {**every, "cause": "number"}, {**every, "cause": "empty"},
            {**every, "cause": "\ud800"},
            {**every, "name": "NotFound", "more": {"size": 12345678901234567890}, "exit_code": 7, "stderr": "words"}])

    def test_a_command_ignores_no_signal_that_its_worker_ignores(self):
        fleet = self.fleet(tasks=self.tasks(look={"mode": "exec", "output": "text",
                                                  "command": ["grep", "SigIgn", "/proc/self/status"]}))
        line, = fleet.job({"task": "look", "items": [1]}).json["results"]
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            self.assertEqual(int(line.split()[1], 16) & 1 << (number - 1), 0, line)

    def test_a_bare_executable_is_a_task(self):
        tasks = self.tasks()
        os.makedirs(os.path.join(self.folder, "tasks"), exist_ok=True)
        tasks = os.path.join(self.folder, "tasks")
        ft.write_file(os.path.join(tasks, "count"), "#!/bin/sh\nwc -c\n", 0o755)
        fleet = self.fleet(tasks=tasks)
        answer = fleet.job({"task": "count", "items": ["abc"]})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["counts"]["succeeded"], 1, answer)

    def test_the_environment_of_the_task_is_as_task_json_says(self):
        tasks = self.tasks(env={
            "json": {"mode": "python", "command": ["task:run"], "env": {"GREETING": "hello"}},
            "files": {"task.py": "import os\n\ndef run(item):\n    return os.environ.get(item)\n"}})
        fleet = self.fleet(tasks=tasks)
        self.assertEqual(fleet.job({"task": "env", "items": ["GREETING"]}).json["results"], ["hello"])

    def test_a_task_may_share_the_temporary_directory_of_its_worker(self):
        source = "import os\n\ndef run(item):\n    return os.environ.get('TMPDIR')\n"
        tasks = self.tasks(
            own={"json": {"mode": "python", "command": ["task:run"]}, "files": {"task.py": source}},
            shares={"json": {"mode": "python", "command": ["task:run"], "own_tmpdir": False}, "files": {"task.py": source}},
            sets={"json": {"mode": "python", "command": ["task:run"], "env": {"TMPDIR": "/chosen"}},
                  "files": {"task.py": source}})
        scratch = os.path.join(self.folder, "scratch")
        os.mkdir(scratch)
        worker = self.worker("--scratch-dir", scratch, tasks=tasks, env=self.environment(TMPDIR="/of/the/worker"))
        values = [json.loads(ft.request(worker.port, "POST", f"/v1/tasks/{name}", b"1\n").body.decode().splitlines()[0])["value"]
                  for name in ("own", "shares", "sets")]
        self.assertTrue(values[0].startswith(scratch + "/w"), values)
        self.assertEqual(values[1:], ["/of/the/worker", "/chosen"])

    def test_a_task_cannot_harm_the_worker_through_its_files(self):
        """Each process has its own temporary directory, cannot gain privileges, and leads its own process group."""
        tasks = self.tasks(look={
            "json": {"mode": "python", "command": ["task:run"], "processes": 2},
            "files": {"task.py": "import os, time\n\ndef run(item):\n    time.sleep(0.05)\n    return {\n"
                      "        'tmp': os.environ['TMPDIR'], 'leader': os.getpgid(0) == os.getpid(),\n"
                      "        'status': open('/proc/self/status').read()}\n"}})
        fleet = self.fleet(tasks=tasks)
        looks = fleet.job({"task": "look", "items": list(range(12)), "chunk_size": 1}).json["results"]
        self.assertEqual(len({look["tmp"] for look in looks}), 2)
        for look in looks:
            self.assertTrue(look["leader"])
            self.assertIn("NoNewPrivs:\t1", look["status"])


if __name__ == "__main__":
    ft.main()
