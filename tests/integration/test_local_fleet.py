"""`fantail local` and `fantail map` while a user works on tasks: output of tasks, metrics, and changes to tasks."""
import json
import os
import re
import shutil
import signal
import subprocess

from fantail_testing import BIN, EXAMPLE_TASKS, FantailTest, Stream, main, request, wait_until, write_file

FANTAIL = os.path.join(BIN, "fantail")

PRINTS = """
import logging, os, subprocess, sys
print("at the start")

def run(item):
    print("by print")
    sys.stdout.write("in ")
    sys.stdout.write("pieces\\n")
    os.write(1, b"to descriptor 1\\n")
    subprocess.run(["echo", "by a command"])
    print("to standard error", file=sys.stderr)
    logging.warning("by logging")
    return item
"""
PRINTED = ["at the start", "by print", "in pieces", "to descriptor 1", "by a command", "to standard error",
           "WARNING:root:by logging"]

NATIVE = """
#include <stdio.h>
#include "fantail_task.h"
int fantail_task(const struct fantail_item *item, struct fantail_reply *reply)
{
    printf("by printf\\n");
    return fantail_reply_value(reply, item->json, item->len);
}
"""


class LocalTest(FantailTest):
    def local(self, *arguments, tasks=EXAMPLE_TASKS):
        """Starts `fantail local`. Returns the program and the port of its coordinator."""
        program = self.start("fantail", "local", "--port", 0, "--tasks", tasks, *arguments)
        found = wait_until(lambda: re.search(r"^fantail: ready at http://127\.0\.0\.1:(\d+)$", program.stdout(), re.M)
                           or not program.alive(), "the ready line")
        self.assertNotEqual(found, True, program.describe())
        return program, int(found[1])

    def map(self, task, tasks, items):
        done = subprocess.run([FANTAIL, "map", task, "--tasks", tasks], input="".join(f"{n}\n" for n in items).encode(),
                              capture_output=True, timeout=60, env=self.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        err = done.stderr.decode().splitlines()
        slow = f"fantail: task {task} takes a while to load"  # printed on a busy machine
        return done.stdout.decode().splitlines(), [line for line in err if line != slow]


class Output(LocalTest):
    """Each line that a task prints is shown to the user with the name of the task, and never gets into the answers."""

    def python(self):
        return self.tasks(prints={"json": {"mode": "python", "command": "prints:run", "processes": 1},
                                  "files": {"prints.py": PRINTS}})

    def test_a_task_of_map_prints_to_standard_error(self):
        out, err = self.map("prints", self.python(), [7])
        self.assertEqual(out, ["7"])
        self.assertEqual(sorted(err), sorted("prints: " + line for line in PRINTED))

    def test_a_task_of_local_prints_to_standard_error(self):
        program, port = self.local(tasks=self.python())
        self.assertEqual(request(port, "POST", "/v1/jobs", b'{"task":"prints","items":[7]}').json["results"], [7])
        wanted = ["prints: " + line for line in PRINTED]
        wait_until(lambda: set(wanted) <= set(program.stderr().splitlines()), "what the task printed")

    def test_a_native_task_prints_line_by_line(self):
        tasks = self.tasks(prints={"json": {"mode": "native", "command": "task.so"}, "files": {"task.c": NATIVE}})
        hosts = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "services", "hosts")
        subprocess.run(["cc", "-fPIC", "-shared", "-I", hosts, "-o", "task.so", "task.c", "-lm"],
                       cwd=os.path.join(tasks, "prints"), check=True)
        self.assertEqual(self.map("prints", tasks, [7]), (["7"], ["prints: by printf"]))

    def test_many_lines_are_all_shown(self):
        source = "def run(item):\n    for n in range(500):\n        print('line', n)\n    return item\n"
        tasks = self.tasks(prints={"json": {"mode": "python", "command": "prints:run", "processes": 1},
                                   "files": {"prints.py": source}})
        self.assertEqual(self.map("prints", tasks, [7]), (["7"], [f"prints: line {n}" for n in range(500)]))

    def test_a_worker_logs_what_a_task_prints(self):
        worker = self.worker(tasks=self.python())
        request(worker.port, "POST", "/v1/tasks/prints", b"7\n")
        wait_until(lambda: {line.get("line") for line in worker.log_lines() if line.get("task") == "prints"} >= set(PRINTED),
                   "log lines")


class Failures(LocalTest):
    """What the user of `fantail map` sees if a task cannot be loaded, takes a long time to load, or fails."""

    def start_map(self, source, items, *options):
        """Starts `fantail map` with a task that has this Python module."""
        tasks = self.tasks(count={"json": {"mode": "python", "command": "count:run"}, "files": {"count.py": source}})
        write_file(os.path.join(self.folder, "items"), "".join(f"{n}\n" for n in items))
        with open(os.path.join(self.folder, "items"), "rb") as stdin:
            program = self.start("fantail", "map", "count", "--tasks", tasks, *options, stdin=stdin)
        program.any_status = True
        return program

    def errors(self, source, items, *options):
        """Runs a `fantail map` in which items fail. Returns the lines of standard error."""
        program = self.start_map(source, items, *options)
        wait_until(lambda: not program.alive(), "the end", 120)
        self.assertEqual(program.process.wait(), 1, program.describe())
        return program.stderr().splitlines()

    def test_a_task_that_cannot_be_loaded_is_shown_once(self):
        err = self.errors("import absent_module\n", range(20))
        reason = "ModuleNotFoundError: No module named 'absent_module' (count.py:1)"
        self.assertEqual([line for line in err if line.startswith("count: ") and "~" not in line and "^" not in line],
                         ["count: Traceback (most recent call last):",
                          f'count:   File "{os.path.realpath(self.folder)}/tasks/count/count.py", line 1, in <module>',
                          "count:     import absent_module", f"count: {reason}"])
        said = [line for line in err if line.startswith("worker: ")]
        self.assertEqual(len(said), 1, err)
        cause = f"the command count:run in the folder {os.path.realpath(self.folder)}/tasks/count: exited with code 1 before " \
                "it answered any item"
        self.assertRegex(said[0], rf"^worker: error: task count cannot start \({re.escape(cause)}\)\. Its items fail until "
                                  r"it is tried again in [0-9.]+ s\. \d+ starts have failed so far\.$")
        self.assertEqual(err[-7:-2], [f"fantail: item {n + 1} (line {n + 1}): crashed: {cause} | {reason}" for n in range(5)], err)
        self.assertEqual(err[-2:], ["fantail: 20 of 20 items failed (20 crashed); --errors FILE lists them all",
                                    "fantail: --tolerated-failure-count 0 ends a run at the first failed item"])

    def test_a_task_that_loads_for_long_is_told_once(self):
        go = os.path.join(self.folder, "go")
        program = self.start_map(f"""
import os, time
while not os.path.exists({go!r}):
    time.sleep(0.01)
def run(n):
    return n
""", [1, 2])
        wait_until(lambda: program.stderr() == "fantail: task count takes a while to load\n", "the note")
        write_file(go, "")
        wait_until(lambda: not program.alive(), "the end")
        self.assertEqual((program.process.wait(), program.stdout()), (0, "1\n2\n"))
        self.assertEqual(program.stderr(), "fantail: task count takes a while to load\n")

    def test_a_failure_names_its_place_and_the_summary_the_file_for_all_failures(self):
        source = "def run(n):\n    raise ValueError('no')\n"
        shown = [f"fantail: item {n + 1} (line {n + 1}): task_error: ValueError: no (count.py:2)" for n in range(5)]
        lines = lambda *options, count=6: [line for line in self.errors(source, range(count), *options) if "load" not in line]
        self.assertEqual(lines(), [*shown, "fantail: 6 of 6 items failed (6 task_error); --errors FILE lists them all",
                                   "fantail: --tolerated-failure-count 0 ends a run at the first failed item"])
        self.assertEqual(lines(count=5), [*shown, "fantail: 5 of 5 items failed"])
        path = os.path.join(self.folder, "failed")
        self.assertIn("fantail: 6 of 6 items failed (6 task_error)", lines("--errors", path))
        with open(path, encoding="utf-8") as file:
            self.assertEqual([json.loads(line)["error"]["place"] for line in file], ["count.py:2"] * 6)


class Metrics(LocalTest):
    def addresses(self, program, count):
        pattern = r"^fantail: metrics of (coordinator|worker \d+): http://127\.0\.0\.1:(\d+)/metrics$"
        return dict(wait_until(lambda: (found := re.findall(pattern, program.stderr(), re.M)) if len(
            re.findall(pattern, program.stderr(), re.M)) >= count else None, "the addresses of the metrics"))

    def test_every_service_has_metrics_on_a_free_port(self):
        program, port = self.local("--workers", 2, "--admin-port", 0)
        addresses = self.addresses(program, 3)
        self.assertEqual(sorted(addresses), ["coordinator", "worker 1", "worker 2"])
        self.assertEqual(request(port, "POST", "/v1/jobs", b'{"task":"square","items":[7]}').json["results"], [49])
        text = {name: request(int(at), "GET", "/metrics").body.decode() for name, at in addresses.items()}
        self.assertIn('fantail_jobs_total{status="succeeded"} 1', text["coordinator"])
        self.assertIn('fantail_worker_slots{task="square"', text["worker 1"])
        self.assertEqual(request(int(addresses["coordinator"]), "GET", "/autoscale").json["queued"], 0)

    def test_workers_have_the_ports_after_that_of_the_coordinator(self):
        for first in range(21000 + os.getpid() % 10000, 65000, 100):
            program = self.start("fantail", "local", "--port", 0, "--tasks", EXAMPLE_TASKS, "--workers", 2, "--admin-port",
                                 first)
            wait_until(lambda: "fantail: ready" in program.stdout() or not program.alive(), "the ready line")
            if program.alive():
                break
        addresses = self.addresses(program, 3)
        self.assertEqual(addresses, {"coordinator": str(first), "worker 1": str(first + 1), "worker 2": str(first + 2)})

    def test_there_are_none_unless_they_are_asked_for(self):
        program, _ = self.local()
        self.assertEqual(program.stderr(), "")
        self.assertEqual(program.stop(signal.SIGINT), 0)

    def test_a_signal_that_comes_twice_at_once_does_not_cut_the_work(self):
        program, port = self.local()
        with Stream(port, b'{"task":"sleep","items":[0.1,1]}', {"Accept": "application/x-ndjson"}) as stream:
            stream.line_of("result")
            for _ in range(2):
                program.send_signal(signal.SIGTERM)
            self.assertEqual(stream.line_of("end")["status"], "succeeded")
        self.assertEqual(program.wait(), 0)

    def test_a_second_signal_kills_the_work_and_the_status_says_so(self):
        program, port = self.local()
        program.any_status = True
        with Stream(port, b'{"task":"sleep","items":[0.1,600]}', {"Accept": "application/x-ndjson"}) as stream:
            stream.line_of("result")
            program.send_signal(signal.SIGTERM)
            program.send_signal(signal.SIGINT)
            self.assertEqual(program.wait(), 1)
            stream.close()

    def test_a_wait_for_running_work_is_told_and_a_second_ctrl_c_ends_it(self):
        program, port = self.local()
        program.any_status = True
        with Stream(port, b'{"task":"sleep","items":[0.1,600]}', {"Accept": "application/x-ndjson"}) as stream:
            stream.line_of("result")
            program.send_signal(signal.SIGINT)
            wait_until(lambda: program.stderr() == "fantail: running work has up to 5 s to end; a second Ctrl-C or SIGTERM "
                                                   "kills it now\n" or not program.alive(), "the message")
            program.send_signal(signal.SIGINT)
            self.assertEqual(program.wait(), 1, program.describe())
            stream.close()

    def test_a_port_without_ports_after_it_is_refused(self):
        done = subprocess.run([FANTAIL, "local", "--tasks", EXAMPLE_TASKS, "--admin-port", "65535"], capture_output=True,
                              timeout=60, env=self.environment())
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"no ports are left after 65535", done.stderr)


def module(value, before=""):
    return f"import os\n{before}\ndef run(item):\n    return [{value!r}, os.getpid()]\n"


class Start(LocalTest):
    """What `fantail local` says at its start."""

    def test_a_folder_without_tasks_is_told(self):
        empty = os.path.join(self.folder, "empty")
        os.makedirs(os.path.join(empty, ".hidden"))
        write_file(os.path.join(empty, "README"), "not a task")
        program, _ = self.local(tasks=empty)
        self.assertEqual(program.stderr(), f"fantail: there are no tasks in {empty} yet\n")

    def test_the_folder_of_the_examples_is_named_without_dots(self):
        program = self.start("fantail", "local", "--port", 0)
        wait_until(lambda: "ready at" in program.stdout(), "the ready line")
        self.assertEqual(program.stderr(), f"fantail: serves the tasks in {os.path.realpath(EXAMPLE_TASKS)}; to serve another "
                                           "folder, use --tasks\n")

    def test_the_log_of_the_services_is_plain_text_or_json(self):
        tasks = self.tasks(broken={"json": {"mode": "nonsense"}})
        program, _ = self.local(tasks=tasks)
        self.assertRegex(program.stderr(), r'^worker: warn: a task cannot be read: task="broken" error=".*"\n$')
        program, _ = self.local("--log-format", "json", tasks=tasks)
        self.assertEqual(json.loads(program.stderr())["task"], "broken")


class Watch(LocalTest):
    """Tasks that change are read again without a signal."""

    DESCRIPTION = {"mode": "python", "command": "work:run", "processes": 1}

    def setUp(self):
        super().setUp()
        self.folder_of_tasks = self.tasks(work={"json": self.DESCRIPTION, "files": {"work.py": module("first")}},
                                          other={"json": self.DESCRIPTION, "files": {"work.py": module("other")}})
        self.program, self.port = self.local("--log-level", "info", tasks=self.folder_of_tasks)

    def write(self, name, text, task="work"):
        write_file(os.path.join(self.folder_of_tasks, task, name), text)

    def ask(self, task="work"):
        """Returns the current answer of the task, and the id of the process that answered."""
        answer = request(self.port, "POST", "/v1/jobs", json.dumps({"task": task, "items": [1]}).encode()).json
        self.assertEqual(answer["status"], "succeeded", answer)
        return tuple(answer["results"][0])

    def said(self, words):
        wait_until(lambda: words in self.program.stderr(), words)

    def test_a_changed_module_is_used_and_other_tasks_keep_their_processes(self):
        before, other = self.ask(), self.ask("other")
        self.assertEqual((before[0], other[0]), ("first", "other"))
        self.write("work.py", module("second"))
        wait_until(lambda: self.ask()[0] == "second", "the changed module")
        self.assertEqual(self.ask("other"), other)

    def test_a_new_task_can_be_used_at_once(self):
        for n in range(5):
            name = f"new{n}"
            self.tasks(**{name: {"json": self.DESCRIPTION, "files": {"work.py": module(name)}}})
            self.assertEqual(self.ask(name)[0], name)
        os.mkdir(os.path.join(self.folder_of_tasks, "later"))
        self.assertEqual(request(self.port, "POST", "/v1/jobs", b'{"task":"later","items":[1]}').status, 404)
        self.write("work.py", module("later"), "later")
        self.write("task.json", json.dumps(self.DESCRIPTION), "later")
        self.assertEqual(self.ask("later")[0], "later")

    def test_a_module_that_is_half_written_does_not_end_the_former_one(self):
        before = self.ask()
        self.write("work.py", module("second", before="def half("))
        self.said("task work has changed and cannot start")
        self.assertEqual(self.ask(), before)
        self.write("work.py", module("third"))
        wait_until(lambda: self.ask()[0] == "third", "the mended module")

    def test_the_former_module_serves_while_the_new_one_loads(self):
        go = os.path.join(self.folder, "go")
        before = self.ask()
        self.write("work.py", module("second", before=f"""
import time
open({go + ".loads"!r}, "w").close()
while not os.path.exists({go!r}):
    time.sleep(0.01)
"""))
        wait_until(lambda: os.path.exists(go + ".loads"), "the new module loads")
        self.assertEqual(self.ask(), before)
        write_file(go, "")
        wait_until(lambda: self.ask()[0] == "second", "the new module")

    def test_a_task_json_that_is_half_written_does_not_end_the_former_one(self):
        before = self.ask()
        self.write("task.json", '{"mode":"python","comm')
        self.said("the old version is used")
        self.assertEqual(self.ask(), before)
        self.write("task.json", json.dumps({**self.DESCRIPTION, "description": "new"}))
        wait_until(lambda: "new" in [t.get("description") for t in request(self.port, "GET", "/v1/tasks").json["tasks"]],
                   "the new description")

    def test_a_new_task_is_there_and_a_removed_one_is_not(self):
        names = lambda: sorted(t["name"] for t in request(self.port, "GET", "/v1/tasks").json["tasks"] if t["workers"])
        os.makedirs(os.path.join(self.folder_of_tasks, "more"))
        self.write("work.py", module("more"), task="more")
        self.write("task.json", json.dumps(self.DESCRIPTION), task="more")
        wait_until(lambda: names() == ["more", "other", "work"], "the new task")
        self.assertEqual(self.ask("more")[0], "more")
        self.write("work.py", module("changed"), task="more")
        wait_until(lambda: self.ask("more")[0] == "changed", "a change of the new task")
        shutil.rmtree(os.path.join(self.folder_of_tasks, "other"))
        wait_until(lambda: names() == ["more", "work"], "the task is gone")

    def changes(self, task="work"):
        """Returns how often the task was read again because of a change."""
        return len([line for line in self.program.stderr().splitlines()
                    if "has changed and was read again" in line and f'task="{task}"' in line])

    def write_until_noticed(self, name, text, task="work"):
        """The worker may ignore a change during an item or just after it, because the task itself may have made the
        change. So this function writes the file again until the change is noticed."""
        before = self.changes(task)
        wait_until(lambda: self.write(name, text, task) or self.changes(task) > before, f"the change of {name}")

    def test_a_changed_file_that_is_no_code_is_used_too(self):
        self.write("config.json", '"first"')
        self.write("work.py", module("", before='value = __import__("json").load(open("config.json"))').replace("['',", "[value,"))
        wait_until(lambda: self.ask()[0] == "first", "the module with its configuration")
        # The first notice may be a late one of the changes above.
        wait_until(lambda: self.write_until_noticed("config.json", '"second"') or self.ask()[0] == "second",
                   "the changed configuration")

    def test_what_a_task_writes_at_its_start_for_an_item_or_at_its_end_is_no_change_of_it(self):
        writes = """
import atexit, json
def write(name):
    with open(name, "w") as file:
        json.dump(os.times(), file)
atexit.register(write, "end.json")
write(f"start-{os.getpid()}.json")
"""
        body = "\ndef run(item):\n    write('state.json')\n    write(f'{os.times().elapsed}.csv')\n    return ['writes', os.getpid()]\n"
        self.write("work.py", "import os\n" + writes + body)
        wait_until(lambda: self.changes() == 1, "the change of the module")
        former = self.ask()
        self.assertEqual(former[0], "writes")
        self.write("work.py", "import os\n" + writes + "# later\n" + body)  # this change ends the process
        wait_until(lambda: self.ask() != former, "a process with the later module")
        wait_until(lambda: os.path.exists(os.path.join(self.folder_of_tasks, "work", "end.json")), "the end of the former process")
        before = self.ask()
        for _ in range(20):
            self.assertEqual(self.ask(), before)
        self.write(".work.py.swp", "an editor's")
        self.write("work.py", module("other"), task="other")
        wait_until(lambda: self.changes("other") == 1, "a later change")
        self.assertEqual((self.ask(), self.changes()), (before, 2))

    def test_a_source_file_that_a_link_names_is_watched_at_its_place(self):
        source, place = os.path.join(self.folder, "source.py"), os.path.join(self.folder_of_tasks, "work", "work.py")
        write_file(source, module("linked"))
        os.remove(place)
        os.symlink(source, place)
        wait_until(lambda: self.ask()[0] == "linked", "the link")
        write_file(source, module("edited"))
        wait_until(lambda: self.ask()[0] == "edited", "a change in place")
        write_file(source + ".new", module("replaced"))
        os.rename(source + ".new", source)
        wait_until(lambda: self.ask()[0] == "replaced", "another file in its place")

    def test_a_folder_of_tasks_that_is_replaced_is_read_again(self):
        self.assertEqual(self.ask()[0], "first")
        new = self.folder_of_tasks + ".new"
        shutil.copytree(self.folder_of_tasks, new)
        write_file(os.path.join(new, "work", "work.py"), module("moved here"))
        os.rename(self.folder_of_tasks, self.folder_of_tasks + ".old")
        os.rename(new, self.folder_of_tasks)
        wait_until(lambda: self.ask()[0] == "moved here", "the new folder")
        self.write("work.py", module("changed there"))
        wait_until(lambda: self.ask()[0] == "changed there", "a change in the new folder")

    def test_a_folder_of_tasks_that_is_missing_at_the_start_is_read_as_soon_as_it_exists(self):
        missing = os.path.join(self.folder, "later", "on", "tasks")
        worker = self.worker("--watch", tasks=missing)
        self.assertEqual(request(worker.port, "GET", "/v1/tasks").json["tasks"], [])
        shutil.copytree(self.folder_of_tasks, missing)
        wait_until(lambda: [t["name"] for t in request(worker.port, "GET", "/v1/tasks").json["tasks"]] == ["other", "work"], "the tasks")
        shutil.rmtree(os.path.join(self.folder, "later"))
        wait_until(lambda: request(worker.port, "GET", "/v1/tasks").json["tasks"] == [], "the tasks are gone")
        shutil.copytree(self.folder_of_tasks, missing)
        wait_until(lambda: request(worker.port, "POST", "/v1/tasks/work", b"1\n").status == 200, "the tasks are there again")

    def test_it_can_be_turned_off(self):
        program, port = self.local("--no-watch", tasks=self.folder_of_tasks)
        self.port, watched = port, self.port
        before = self.ask()
        self.write("work.py", module("second"))
        self.port = watched
        wait_until(lambda: self.ask()[0] == "second", "the changed module in the fleet that watches")
        self.port = port
        self.assertEqual(self.ask(), before)


if __name__ == "__main__":
    main()
