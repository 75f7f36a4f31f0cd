"""Processes that need time before they can take items. Loading has its own time limit, and does not count towards the
time of an item."""
import json
import os
import re

import fantail_testing as ft
from fantail_testing import FantailTest, wait_until

# LOADS is the path of a file or a number of seconds. The task loads until the file exists, or for this number of
# seconds.
MODULE = """
import os, time
print("loading the model")
if os.environ["LOADS"].startswith("/"):
    while not os.path.exists(os.environ["LOADS"]):
        time.sleep(0.01)
else:
    time.sleep(float(os.environ["LOADS"]))

def work(item):
    if item == "slow":
        time.sleep(1000)
    return item
"""

# Like MODULE. The first process that gets the item "end" ends when the file LOADS.end exists. The next process loads until the
# file LOADS.again exists.
ENDING_MODULE = """
import os, time
loads = os.environ["LOADS"]

def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.01)

wait_for(loads + ".again" if os.path.exists(loads + ".end") else loads)

def work(item):
    if item == "end" and not os.path.exists(loads + ".again"):
        wait_for(loads + ".end")
        os._exit(1)
    return item
"""

PROGRAM = """
import json, os, sys, time
time.sleep(float(os.environ["LOADS"]))
print("loaded", flush=True)
if os.environ.get("SAYS"):
    print(os.environ["SAYS"], flush=True)
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"id": request["id"], "value": request["item"]}), flush=True)
"""

LOADS_S = 2
ITEM_S = 0.5
ONCE = {"max_attempts": 1}


class Starting(FantailTest):
    def python(self, loads=LOADS_S, **options):
        return {"json": {"mode": "python", "command": "loads:work", "idempotent": True, "env": {"LOADS": str(loads)},
                         **options}, "files": {"loads.py": MODULE}}

    def stream(self, says="", loads=LOADS_S, **options):
        return {"json": {"mode": "stream", "ids": True, "command": ["python3", "./task.py"],
                         "env": {"LOADS": str(loads), "SAYS": says}, **options}, "files": {"task.py": PROGRAM}}

    def run_job(self, fleet, items, task="loads", **options):
        return fleet.job({"task": task, "items": items, "item_timeout_s": ITEM_S, "retry": ONCE, **options}).json

    def assert_untouched(self, answer, items):
        """Checks that each item has its value, and that no item was tried again."""
        self.assertEqual((answer["status"], answer["results"]), ("succeeded", items), answer)
        self.assert_counts(answer["counts"], retried=0)

    def test_loading_for_longer_than_an_item_may_take_is_no_timeout(self):
        fleet = self.fleet(workers=2, tasks=self.tasks(loads=self.python()))
        self.assert_untouched(self.run_job(fleet, [1, 2, 3, 4, 5]), [1, 2, 3, 4, 5])
        self.assertEqual(self.run_job(fleet, ["slow"])["errors"][0]["error"]["name"], "timed_out")

    def test_a_later_task_of_a_pipeline_may_load_for_longer_too(self):
        fleet = self.fleet(workers=2, tasks=self.tasks(loads=self.python(), quick=self.python(loads=0)))
        self.assert_untouched(self.run_job(fleet, [1, 2, 3], task=["quick", "loads"]), [1, 2, 3])

    def test_loading_that_takes_too_long_has_an_error_of_its_own(self):
        fleet = self.fleet(tasks=self.tasks(loads=self.python(loads=1000, start_timeout_s=3)))
        answer = self.run_job(fleet, [1, 2])
        for e in answer["errors"]:
            self.assertEqual(e["error"]["name"], "start_timed_out")
            self.assertRegex(e["error"]["cause"], r"^the process of task loads was not ready after 3\S* s \(start_timeout_s\)$")
            self.assertEqual(e["error"]["stderr"], "loading the model\n")
        self.assertEqual(len(answer["errors"]), 2)
        wait_until(lambda: fleet.metric(fleet.workers[0], "fantail_process_restarts_total", reason="start_timed_out") >= 1,
                   "the loss is counted")

    def test_a_program_with_ids_may_say_when_it_is_ready(self):
        fleet = self.fleet(tasks=self.tasks(loads=self.stream("#ready", ready=True)))
        self.assert_untouched(self.run_job(fleet, [1, 2, 3]), [1, 2, 3])

    def test_a_program_with_ids_that_should_say_it_and_does_not_is_not_waited_for_without_end(self):
        fleet = self.fleet(tasks=self.tasks(loads=self.stream("#Ready", loads=0, ready=True, start_timeout_s=5)))
        error = self.run_job(fleet, [1])["errors"][0]["error"]
        self.assertEqual((error["name"], error["stderr"]), ("start_timed_out", "loaded\n#Ready\n"))
        wait_until(lambda: any(line.get("line") == "#Ready" for line in fleet.workers[0].log_lines()), "the line is logged")

    def test_the_clock_of_an_item_runs_for_a_program_that_does_not_say_that_it_is_ready(self):
        for says in "", "#ready":
            with self.subTest(says):
                fleet = self.fleet(tasks=self.tasks(loads=self.stream(says)))
                self.assertEqual(self.run_job(fleet, [1])["errors"][0]["error"]["name"], "timed_out")
                self.assert_untouched(self.run_job(fleet, [1, 2], item_timeout_s=60), [1, 2])

    def test_ready_is_for_programs_with_ids(self):
        worker = self.worker(tasks=self.tasks(loads=self.stream(ids=False, ready=True), python=self.python(ready=True)))
        tasks = ft.request(worker.port, "GET", "/v1/tasks").json["tasks"]
        self.assertEqual(len(tasks), 2)
        for task in tasks:
            self.assertRegex(task["error"], r'/task\.json: "ready" is for mode stream with "ids" only$')

    def test_a_module_that_cannot_be_loaded_fails_its_items_with_the_reason(self):
        task = self.python()
        task["files"]["loads.py"] = "import absent_module\n"
        error = self.run_job(self.fleet(tasks=self.tasks(loads=task)), [1])["errors"][0]["error"]
        self.assertEqual((error["name"], error["exit_code"]), ("crashed", 1))
        self.assertIn("absent_module", error["stderr"])

    def test_what_is_starting_is_shown(self):
        go = os.path.join(self.folder, "go")
        fleet = self.fleet(workers=2, processes=1, tasks=self.tasks(loads=self.python(loads=go)))
        with fleet.stream({"task": "loads", "items": list(range(10))}) as job:
            line = job.line_of("waiting")
            self.assertEqual((line["reason"], line["processes"]), ("starting", 1), line)
            listed = lambda: fleet.request("GET", "/v1/tasks").json["tasks"][0].get("starting")
            wait_until(lambda: listed() == 2, "both workers start a process")
            slots = lambda state: fleet.metric(fleet.workers[0], "fantail_worker_slots", task="loads", state=state)
            self.assertEqual([slots(state) for state in ("starting", "busy", "idle")], [1, 0, 0])
            ft.write_file(go, "")
            lines = job.rest()
        self.assertEqual([x["value"] for x in lines if x["type"] == "result"], list(range(10)))
        self.assertIsNone(listed())
        self.assertEqual([slots(state) for state in ("starting", "busy", "idle")], [0, 0, 1])

    def test_the_progress_line_of_map_shows_it_before_the_first_answer_and_after_it(self):
        """The process ends in the middle of the job, so another process must load."""
        go = os.path.join(self.folder, "go")
        task = self.python(loads=go)
        task["files"]["loads.py"] = ENDING_MODULE
        fleet = self.fleet(workers=1, processes=1, tasks=self.tasks(loads=task))
        items = os.path.join(self.folder, "items")
        ft.write_file(items, '1\n2\n"end"\n4\n')
        with open(items, encoding="utf-8") as stdin:
            program = self.start("fantail", "map", "loads", "--url", f"http://127.0.0.1:{fleet.port}", "--progress", "always",
                                 stdin=stdin)
        line = lambda done, rest: re.search(rf"\x1b\[K{done}/4  \d+%  \[[#.]+\]  {rest}[\r\n]", program.stderr())
        wait_until(lambda: line(0, r".*:\d\d  starting \(1 process\)"), "the note before the first answer")
        ft.write_file(go, "")
        wait_until(lambda: line("[12]", ".*[0-9]"), "the first answer, which removes the note")
        ft.write_file(go + ".end", "")
        wait_until(lambda: line("[12]", r".*:\d\d  starting \(1 process\)"), "the note after an answer")
        self.assertFalse(line(".", ".*ETA.*starting"), "the time left is not known while nothing runs")
        ft.write_file(go + ".again", "")
        self.assertEqual((program.wait(), program.stdout()), (0, '1\n2\n"end"\n4\n'))

    def test_the_cost_of_items_has_no_loading_in_it(self):
        worker = self.worker(tasks=self.tasks(loads=self.python(loads=1)), processes=1)
        answer = ft.request(worker.port, "POST", "/v1/tasks/loads", b"1\n2\n",
                            headers={"Fantail-Cost": "lines", "Fantail-Starting": "lines"})
        lines = [json.loads(line) for line in answer.body.decode().splitlines()]
        self.assertEqual([x for x in lines if "value" in x], [{"value": 1}, {"value": 2}])
        self.assertEqual(lines[0], {"starting": 1})
        self.assertGreater(len([x for x in lines if "starting" in x]), 2)
        self.assertEqual(lines[-1]["cost"]["items"], 2)
        self.assertLess(lines[-1]["cost"]["slot_s"], 1)

    def test_nothing_is_said_to_clients_that_did_not_ask(self):
        worker = self.worker(tasks=self.tasks(loads=self.python(loads=0.5)), processes=1)
        answer = ft.request(worker.port, "POST", "/v1/tasks/loads", b"1\n")
        self.assertEqual(answer.body, b'{"value":1}\n{"end":"complete","done":1}\n')

    def test_no_more_processes_are_started_than_items_wait(self):
        go = os.path.join(self.folder, "go")
        fleet = self.fleet(processes=4, tasks=self.tasks(loads=self.python(loads=go)))
        with fleet.stream({"task": "loads", "items": [1, 2]}) as job:
            job.line_of("waiting")
            self.assertEqual(len(fleet.task_processes()), 2)
            ft.write_file(go, "")
            self.assertEqual(job.rest()[-1]["status"], "succeeded")

    def leave_while_it_loads(self, fleet):
        """Starts a job, and disconnects while a process for it is loading. Returns the process."""
        with fleet.stream({"task": "loads", "items": [1]}) as job:
            job.line_of("waiting")
        wait_until(lambda: fleet.request("GET", "/v1/jobs").json["jobs"] == [], "the end of the job")
        process, = fleet.task_processes()
        return process

    def test_loading_goes_on_for_the_next_job_when_the_only_job_has_ended(self):
        go = os.path.join(self.folder, "go")
        fleet = self.fleet(processes=1, tasks=self.tasks(loads=self.python(loads=go)))
        process = self.leave_while_it_loads(fleet)
        with fleet.stream({"task": "loads", "items": [2]}) as job:
            job.line_of("waiting")
            ft.write_file(go, "")
            self.assertEqual(job.rest()[-1]["status"], "succeeded")
        self.assertEqual(fleet.task_processes(), [process])

    def test_loading_ends_when_no_job_waits_for_it_any_more(self):
        go = os.path.join(self.folder, "go")
        fleet = self.fleet(processes=1, tasks=self.tasks(loads=self.python(loads=go)))
        self.leave_while_it_loads(fleet)
        wait_until(lambda: fleet.task_processes() == [], "the end of the process that is loading")
        worker = fleet.workers[0]
        self.assertEqual(fleet.metric(worker, "fantail_process_restarts_total", reason="cancelled"), 1)
        ft.write_file(go, "")
        self.assert_untouched(self.run_job(fleet, [1, 2]), [1, 2])

    def test_a_worker_that_is_told_to_end_hands_back_what_waits_for_a_start(self):
        go = os.path.join(self.folder, "go")
        fleet = self.fleet(workers=2, processes=1, tasks=self.tasks(loads=self.python(loads=go, idempotent=False)))
        with fleet.stream({"task": "loads", "items": list(range(20))}) as job:
            job.line_of("waiting")
            fleet.workers[0].stop()
            ft.write_file(go, "")
            end = job.rest()[-1]
        self.assertEqual((end["status"], end["counts"]["retried"]), ("succeeded", 0), end)


if __name__ == "__main__":
    ft.main()
