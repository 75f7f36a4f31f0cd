"""A worker with --slots: a cap on the number of items that run at the same time, for all its tasks together."""
import contextlib
import http.client
import json
import os
import time

import fantail_testing as ft
from answers import metric_sum, metrics
from fantail_testing import FantailTest, wait_until

# An item that is a string runs until the file DIR/go-TASK-ITEM exists. An item that is a number runs for a short time.
# The answer is the number of running items of all tasks.
MODULE = """
import os, time
folder, task = os.environ["DIR"], os.environ["TASK"]

def work(item):
    mine = f"{folder}/runs-{task}-{item}-{os.getpid()}"
    open(mine, "w").close()
    n = sum(name.startswith("runs-") for name in os.listdir(folder))
    time.sleep(0.01)
    while isinstance(item, str) and not os.path.exists(f"{folder}/go-{task}-{item}"):
        time.sleep(0.01)
    os.unlink(mine)
    return n
"""


class Slots(FantailTest):
    def two_tasks(self):
        def task(name):
            return {"json": {"mode": "python", "command": "m:work", "env": {"DIR": self.folder, "TASK": name}},
                    "files": {"m.py": MODULE}}
        return self.tasks(a=task("a"), b=task("b"))

    def running(self):
        return sorted(name.split("-", 1)[1].rsplit("-", 1)[0] for name in os.listdir(self.folder) if name.startswith("runs-"))

    @contextlib.contextmanager
    def chunk(self, worker, task, items):
        """Sends a chunk to the worker."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", worker.port, timeout=60)) as connection:
            connection.request("POST", f"/v1/tasks/{task}", "".join(json.dumps(item) + "\n" for item in items))
            yield connection

    def test_a_task_gets_the_next_free_slot_although_another_task_has_more_items(self):
        worker = self.worker("--slots", 2, processes=4, tasks=self.two_tasks())
        listed = ft.request(worker.port, "GET", "/v1/tasks").json
        self.assertEqual([listed["slots"], *(task["slots"] for task in listed["tasks"])], [2, 2, 2])
        ft.request(worker.port, "POST", "/v1/tasks/b", b"0\n")  # afterwards, a process of the task b is ready
        queued = lambda: metric_sum(metrics(worker), "fantail_items_queued")
        with contextlib.ExitStack() as stack:
            of_a = stack.enter_context(self.chunk(worker, "a", ["1", "2", "3", "4"]))
            wait_until(lambda: self.running() == ["a-1", "a-2"] and queued() == 2, "two items that run, and two that wait")
            of_b = stack.enter_context(self.chunk(worker, "b", ["1"]))
            wait_until(lambda: queued() == 3, "the item of b")
            ft.write_file(self.folder + "/go-a-1", "")
            wait_until(lambda: self.running() == ["a-2", "b-1"], "the item of b, before the third of a")
            for name in ("a-2", "a-3", "a-4", "b-1"):
                ft.write_file(self.folder + f"/go-{name}", "")
            answer = of_b.getresponse()
            self.assertEqual(answer.headers["Fantail-Slots"], "2")
            self.assertEqual(answer.headers["Fantail-Free"], "0")
            self.assertIn({"end": "complete", "done": 1}, [json.loads(line) for line in answer.read().splitlines()])
            self.assertEqual(of_a.getresponse().read().count(b'"value"'), 4)
        self.assertEqual(self.running(), [])

    def test_no_more_items_than_slots_run_whatever_jobs_there_are(self):
        fleet = self.fleet(processes=3, tasks=self.two_tasks(), worker_arguments=("--slots", 2))
        jobs = [{"task": task, "items": [0] * 40} for task in ("a", "b", "a", ["b", "a"])]
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(fleet.stream(job)) for job in jobs]
            lines = [line for stream in streams for line in stream.rest()]
        self.assertEqual([line["status"] for line in lines if line["type"] == "end"], ["succeeded"] * 4)
        self.assertLessEqual({line["value"] for line in lines if line["type"] == "result"}, {1, 2})

    def test_a_job_goes_to_a_worker_with_a_free_slot_and_not_to_one_that_is_full_of_another_task(self):
        """Two of the three workers have the task `long`. Its items fill the slots of these two workers."""
        gate = self.gate()
        short = {f"short{n}": {"command": ["cat"], "envelope": False} for n in range(8)}
        tasks, more = self.tasks(**short), os.path.join(self.folder, "more")
        os.makedirs(os.path.join(more, "long"))
        ft.write_file(os.path.join(more, "long", "task.json"), json.dumps(gate.task))
        workers = [self.worker("--slots", 2, processes=4, tasks=folders) for folders in [f"{tasks}:{more}"] * 2 + [tasks]]
        fleet = ft.Fleet(self, self.coordinator(workers), workers)
        listed = lambda: {task["name"]: task["workers"] for task in fleet.request("GET", "/v1/tasks").json["tasks"]}
        wait_until(lambda: listed() == {"long": 2, **{name: 3 for name in short}}, "all tasks")
        with fleet.stream({"task": "long", "items": [1, 2, 3, 4], "item_timeout_s": 0}) as long:
            wait_until(lambda: fleet.busy_slots() == 4, "two full workers")
            for name in short:
                self.assertEqual(fleet.job({"task": name, "items": [1, 2]}).json["results"], [1, 2])
            gate.open()
            self.assertEqual(long.rest()[-1]["counts"]["succeeded"], 4)

    def test_a_process_with_many_short_items_gives_its_slot_to_another_task(self):
        worker = self.worker("--slots", 1, processes=1)
        running = lambda: metric_sum(metrics(worker), "fantail_chunks_in_flight")
        with self.chunk(worker, "sleep", [0.001] * 20000):
            for _ in range(5):
                self.assertIn(b'{"value":7}', ft.request(worker.port, "POST", "/v1/tasks/echo", b"7\n").body)
                self.assertEqual(running(), 1, "the long chunk has ended")

    def test_an_answer_without_values_tells_that_the_worker_runs(self):
        worker = self.worker(processes=1, tasks=self.two_tasks())
        lines = {"Fantail-Cost": "lines"}
        with self.chunk(worker, "a", ["long"]):
            wait_until(lambda: self.running() == ["a-long"], "a running item")
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", worker.port, timeout=ft.LIMIT_S)) as waiting:
                waiting.request("POST", "/v1/tasks/a", "1\n", lines)
                answer = waiting.getresponse()
                for _ in range(2):
                    self.assertEqual(json.loads(answer.readline())["cost"]["items"], 0)
                ft.write_file(os.path.join(self.folder, "go-a-long"), "")
                self.assertEqual(json.loads(answer.readline()), {"value": 1})

    def test_items_that_wait_behind_a_long_item_for_long_are_sent_once(self):
        """The coordinator considers a worker lost if the worker is silent for 10 s longer than the time limit of an item."""
        fleet = self.fleet(processes=1, tasks=self.two_tasks())
        with fleet.stream({"task": "a", "items": ["long"]}) as first:
            wait_until(lambda: self.running() == ["a-long"], "a running item")
            with fleet.stream({"task": "a", "items": [1, 2], "item_timeout_s": 1}) as second:
                time.sleep(13)  # in this time, nothing may happen
                ft.write_file(os.path.join(self.folder, "go-a-long"), "")
                counts = second.rest()[-1]["counts"]
            first.rest()
        self.assertEqual((counts["succeeded"], counts["retried"]), (2, 0))

    def test_each_kind_of_process_returns_its_slot(self):
        """If the answers of a process have no ids, they are kept until they are confirmed. Some processes end during the
        test."""
        cat = {"mode": "stream", "command": ["sh", "-c", "while read -r x; do echo \"{\\\"value\\\":$x}\"; done"]}
        fleet = self.fleet(processes=2, worker_arguments=("--slots", 1), tasks=self.tasks(
            stream=cat, bounded={**cat, "max_items_per_process": 3},
            once={"mode": "exec", "command": ["cat"]},
            crashes={"mode": "stream", "command": ["sh", "-c", "read -r x; exit 1"]}))
        jobs = [{"task": task, "items": list(range(20)), "retry": {"max_attempts": 1}}
                for task in ("stream", "once", "crashes", "bounded", "stream")]
        with contextlib.ExitStack() as stack:
            ends = [stream.rest()[-1] for stream in [stack.enter_context(fleet.stream(job)) for job in jobs]]
        self.assertEqual([end["counts"]["succeeded"] for end in ends], [20, 20, 0, 20, 20])


if __name__ == "__main__":
    ft.main()
