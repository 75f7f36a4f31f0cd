"""Workers with different tasks: the items of a task go only to workers that have the task, and each pool scales with the
demand for its own tasks."""
import json
import os
import shutil
import signal
import socket
import threading
import time

import fantail_testing as ft
from fantail_testing import FantailTest, wait_until

CAT = {"command": ["cat"], "envelope": False}
# A new worker may bring a new task. The first job of the task must succeed within this time after the worker is ready.
# The coordinator promises this limit. An idle machine needs only some milliseconds.
FIRST_JOB_S = 6


class Pools(FantailTest):
    def task_folder(self, name, **tasks):
        """Makes a separate tasks folder. Returns its path."""
        folder = os.path.join(self.folder, name)
        for task, description in tasks.items():
            os.makedirs(os.path.join(folder, task), exist_ok=True)
            ft.write_file(os.path.join(folder, task, "task.json"), json.dumps(description))
        return folder

    def listed(self, fleet):
        return {task["name"]: task for task in fleet.request("GET", "/v1/tasks").json["tasks"]}

    def demand(self, fleet, task):
        answer = ft.request(fleet.coordinator.admin_port, "GET", f"/autoscale?task={task}")
        self.assertEqual(answer.status, 200, answer)
        return answer.json

    def values(self, fleet, task, items):
        answer = fleet.job({"task": task, "items": items})
        self.assertEqual(answer.status, 200, answer)
        return answer.json["results"]

    def unknown(self, fleet):
        """Returns how many chunks went to a worker that lacks the task."""
        return fleet.metric(fleet.coordinator, "fantail_chunk_attempts_total", result="task_unknown")

    def two_pools(self):
        gates = {"a": self.gate(), "b": self.gate()}
        a, b = ({f"hold_{name}": gates[name].task, name: CAT} for name in "ab")
        folders = [self.task_folder("a", **a)] * 3 + [self.task_folder("b", **b)] * 2 + [self.task_folder("ab", **a, **b)]
        workers = [self.worker(tasks=folder) for folder in folders]
        fleet = ft.Fleet(self, self.coordinator(workers), workers)
        wait_until(lambda: self.listed(fleet)["a"]["workers"] == 4 and self.listed(fleet)["b"]["workers"] == 3, "all tasks")
        return fleet, gates

    def test_each_task_goes_where_it_is(self):
        fleet, _ = self.two_pools()
        before, errors = self.unknown(fleet), []
        def client(task, seed):
            for n in range(20):
                items = list(range(seed, seed + n))
                try:
                    self.assertEqual(self.values(fleet, task, items), items)
                except Exception as e:  # pylint: disable=broad-except
                    errors.append(e)
        clients = [threading.Thread(target=client, args=("ab"[i % 2], 100 * i)) for i in range(6)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        self.assertEqual(errors, [])
        self.assertEqual(self.unknown(fleet) - before, 0, "chunks went to workers that lack the task")

    def test_demand_is_counted_for_each_task(self):
        fleet, gates = self.two_pools()
        with fleet.stream({"task": "hold_a", "items": list(range(40))}) as a, \
                fleet.stream({"task": "hold_b", "items": list(range(15))}) as b:
            wait_until(lambda: fleet.busy_slots() == 14, "full pools")
            for task, items, slots in (("hold_a", 40, 8), ("hold_b", 15, 6), ("a", 0, 8), ("b", 0, 6)):
                demand = self.demand(fleet, task)
                self.assertEqual(demand["queued"] + demand["in_flight"], items, task)
                self.assertEqual((demand["demand"], demand["slots"]), (items, slots), task)
                shown = [fleet.metric(fleet.coordinator, f"fantail_task_{name}", task=task)
                         for name in ("queued_items", "in_flight_items", "demand_slots", "slots")]
                self.assertEqual(shown, [demand[name] for name in ("queued", "in_flight", "demand", "slots")])
            unknown = ft.request(fleet.coordinator.admin_port, "GET", "/autoscale?task=c")
            self.assert_problem(unknown, 404, words=("\"c\"", "hold_a"))
            everything = ft.request(fleet.coordinator.admin_port, "GET", "/autoscale").json
            self.assertEqual(everything["demand"], 55)
            for gate in gates.values():
                gate.open()
            self.assertEqual([s.rest()[-1]["status"] for s in (a, b)], ["succeeded"] * 2)
        self.assertEqual(self.demand(fleet, "hold_a")["demand"], 0)

    def test_a_pipeline_runs_where_all_its_tasks_are_and_counts_for_each(self):
        fleet, gates = self.two_pools()
        before = self.unknown(fleet)
        gates["a"].open()
        with fleet.stream({"task": ["hold_a", "hold_b"], "items": [1, 2, 3]}) as stream:
            wait_until(lambda: self.demand(fleet, "hold_b")["in_flight"] > 0, "items in flight")
            for task in ("hold_a", "hold_b"):
                demand = self.demand(fleet, task)
                self.assertEqual(demand["queued"] + demand["in_flight"], 3, task)
            gates["b"].open()
            self.assertEqual(stream.rest()[-1]["status"], "succeeded")
        self.assertEqual(self.unknown(fleet) - before, 0)

    def test_the_first_job_of_a_new_task_on_a_new_worker_succeeds(self):
        port = self.free_port()
        first = self.worker(tasks=self.task_folder("a", a=CAT))
        coordinator = self.coordinator(f"static://127.0.0.1:{first.port},127.0.0.1:{port}")
        fleet = ft.Fleet(self, coordinator, [first])
        self.assertEqual(self.values(fleet, "a", [1]), [1])
        self.assert_problem(fleet.job({"task": "c", "items": [1]}), 404, words="the workers have a")
        self.worker(tasks=self.task_folder("c", c=CAT), port=port)
        self.assertEqual(self.values(fleet, "c", [2]), [2])
        self.assertEqual(self.values(fleet, "a", [3]), [3])

    def test_two_pools_under_load_take_up_a_worker_with_a_new_task(self):
        """Jobs for both pools run all the time. No chunk goes to a worker that lacks the chunk's task, even while a new
        worker arrives. The reported demand of each task stays right."""
        gates = {"a": self.gate(), "b": self.gate()}
        a, b = ({f"hold_{name}": gates[name].task, name: CAT} for name in "ab")
        folders = [self.task_folder("a", **a)] * 3 + [self.task_folder("b", **b)] * 2 + [self.task_folder("ab", **a, **b)]
        workers, port = [self.worker(tasks=folder) for folder in folders], self.free_port()
        addresses = ",".join(f"127.0.0.1:{p}" for p in [w.port for w in workers] + [port])
        fleet = ft.Fleet(self, self.coordinator(f"static://{addresses}"), workers)
        wait_until(lambda: self.listed(fleet)["a"]["workers"] == 4 and self.listed(fleet)["b"]["workers"] == 3, "all tasks")
        before, over, ran, errors = self.unknown(fleet), threading.Event(), [0, 0], []
        def client(i):
            while not over.is_set():
                try:
                    self.assertEqual(self.values(fleet, "ab"[i % 2], list(range(20))), list(range(20)))
                    ran[i % 2] += 1
                except Exception as e:  # pylint: disable=broad-except
                    errors.append(e)
                    return
        clients = [threading.Thread(target=client, args=(i,)) for i in range(4)]
        for thread in clients:
            thread.start()
        self.addCleanup(over.set)
        wait_until(lambda: min(ran) > 0 or errors, "jobs of both tasks")
        self.worker(tasks=self.task_folder("c", c=CAT), port=port)
        # The client sends the job only once. So the job succeeds only if the coordinator asks its workers and finds the
        # new task.
        started, first = time.monotonic(), []
        asking = threading.Thread(target=lambda: first.append(fleet.job({"task": "c", "items": [1, 2]})))
        asking.start()
        wait_until(lambda: first, "an answer to the first job of the new task", FIRST_JOB_S)
        asking.join()
        self.assertEqual((first[0].status, first[0].json["results"]), (200, [1, 2]), first[0])
        print(f"the first job of the new task took {time.monotonic() - started:.2f} s after its worker was ready, "
              f"and may take {FIRST_JOB_S} s")
        done = list(ran)
        wait_until(lambda: ran[0] > done[0] and ran[1] > done[1] or errors, "more jobs of both tasks")
        over.set()
        for thread in clients:
            thread.join()
        self.assertEqual(errors, [])
        self.assertEqual(self.unknown(fleet) - before, 0, "chunks went to workers that lack the task")
        wait_until(lambda: self.demand(fleet, "c")["slots"] == 2, "the slots of the new task")
        for task, slots in (("a", 8), ("b", 6), ("c", 2)):
            self.assertEqual((self.demand(fleet, task)["demand"], self.demand(fleet, task)["slots"]), (0, slots), task)
        with fleet.stream({"task": "hold_a", "items": list(range(40))}) as stream:
            wait_until(lambda: fleet.busy_slots() == 8, "a full pool")
            self.assertEqual([self.demand(fleet, task)["demand"] for task in ("hold_a", "a", "hold_b", "b", "c")],
                             [40, 0, 0, 0, 0])
            gates["a"].open()
            self.assertEqual(stream.rest()[-1]["status"], "succeeded")

    def test_the_first_job_of_a_task_that_was_installed_a_moment_ago_succeeds(self):
        folder = self.task_folder("a", a=CAT)
        workers = [self.worker(tasks=folder) for _ in range(2)]
        fleet = ft.Fleet(self, self.coordinator(workers), workers)
        self.assertEqual(self.values(fleet, "a", [1]), [1])
        self.task_folder("a", new=CAT)
        workers[1].send_signal(signal.SIGHUP)
        wait_until(lambda: "tasks were read again" in workers[1].stderr(), "the new task")
        self.assertEqual(self.values(fleet, "new", list(range(50))), list(range(50)))
        self.assertEqual(self.listed(fleet)["new"]["workers"], 1)

    def delete_a(self):
        """Returns a fleet whose workers have just lost the task a. The coordinator does not know yet that the workers have
        lost the task."""
        folder = self.task_folder("tasks", a=CAT, b=CAT)
        workers = [self.worker(tasks=folder) for _ in range(2)]
        fleet = ft.Fleet(self, self.coordinator(workers), workers)
        self.assertEqual(self.values(fleet, "a", [1]), [1])
        shutil.rmtree(os.path.join(folder, "a"))
        for worker in workers:
            worker.send_signal(signal.SIGHUP)
        for worker in workers:
            wait_until(lambda: "tasks were read again" in worker.stderr(), "the end of the task")
        return fleet

    def test_a_job_of_a_task_that_was_deleted_a_moment_ago_is_answered_as_one_of_an_unknown_task(self):
        fleet = self.delete_a()
        self.assert_problem(fleet.job({"task": "a", "items": [1, 2]}), 404, words='no task "a"; the workers have b')
        self.assertEqual(self.values(fleet, "b", [3]), [3])

    def test_a_stream_of_a_task_that_was_deleted_a_moment_ago_fails(self):
        fleet = self.delete_a()
        with fleet.stream({"task": "a", "items": [1, 2]}) as job:
            end = job.rest()[-1]
        self.assertEqual((end["status"], end["counts"]["succeeded"]), ("failed", 0), end)
        self.assertIn('there is no task "a"; the workers have b', end["reason"])

    def test_a_worker_restarted_on_its_address_with_other_tasks(self):
        for text in ("static://127.0.0.1:%d", "dns://localhost:%d"):
            worker = self.worker(tasks=self.task_folder("a", a=CAT))
            fleet = ft.Fleet(self, self.coordinator(text % worker.port), [worker])
            self.assertEqual(self.values(fleet, "a", [1]), [1])
            worker.stop()
            self.worker(tasks=self.task_folder("b", b=CAT), port=worker.port)
            self.assertEqual(self.values(fleet, "b", [2]), [2])
            self.assertEqual(set(self.listed(fleet)), {"b"})
            self.assert_problem(fleet.job({"task": "a", "items": [1]}), 404, words="the workers have b")

    def test_a_task_that_one_worker_cannot_run_runs_on_the_others(self):
        good, bad = self.worker(tasks=self.task_folder("good", a=CAT)), self.worker(tasks=self.task_folder("bad", a={}))
        fleet = ft.Fleet(self, self.coordinator([bad, good]), [bad, good])
        task = wait_until(lambda: "broken" in (t := self.listed(fleet)["a"]) and t["workers"] and t, "both workers")
        self.assertEqual((task["workers"], task["broken"]["workers"]), (1, 1))
        self.assertIn("command", task["broken"]["error"])
        self.assertNotIn("error", task)
        before = self.unknown(fleet)
        self.assertEqual(self.values(fleet, "a", list(range(30))), list(range(30)))
        self.assertEqual(self.unknown(fleet) - before, 0)

    def test_an_expected_task_waits_for_its_first_worker_after_a_restart_of_the_coordinator(self):
        port = self.free_port()
        first = self.worker(tasks=self.task_folder("a", a=CAT))
        for workers in (f"static://127.0.0.1:{port}", f"static://127.0.0.1:{first.port},127.0.0.1:{port}"):
            coordinator = self.coordinator(workers, "--expected-tasks", "gpu")
            fleet = ft.Fleet(self, coordinator, [first])
            self.assertEqual(self.demand(fleet, "gpu")["demand"], 0)
            with fleet.stream({"task": "gpu", "items": [1, 2, 3]}) as stream:
                self.assertEqual(stream.line_of("waiting")["reason"], "no_workers")
                self.assertEqual(self.demand(fleet, "gpu")["demand"], 3)
                self.assertEqual(fleet.metric(coordinator, "fantail_task_demand_slots", task="gpu"), 3)
                worker = self.worker(tasks=self.task_folder("gpu", gpu=CAT), port=port)
                self.assert_counts(stream.rest()[-1]["counts"], succeeded=3, retried=0)
            worker.stop()
        self.assert_problem(fleet.job({"task": "other", "items": [1]}), 404)

    def test_a_name_of_the_workers_that_cannot_be_looked_up_is_told_and_logged_once(self):
        name = "workers.invalid"
        coordinator = self.coordinator(f"dns://{name}:8081", "--dns-refresh-s", 0.2, "--expected-tasks", "a",
                                       "--worker-wait-s", 3)
        fleet = ft.Fleet(self, coordinator, [])
        with fleet.stream({"task": "a", "items": [1]}) as stream:
            waiting = stream.line_of("waiting")
            self.assertEqual(waiting["reason"], "no_workers")
            self.assertIn(f"the name {name} of --workers ", waiting["detail"])
            error = stream.line_of("error")["error"]
        self.assertIn(f"the name {name} of --workers ", str(error))
        # The name was looked up several times while the job waited.
        lines = [line for line in coordinator.stderr().splitlines() if f'"name":"{name}"' in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertIn('"level":"warn"', lines[0])

    def test_a_worker_that_dies_while_it_has_no_work_is_not_counted(self):
        workers = [self.worker(tasks=self.task_folder("a", a=CAT)) for _ in range(2)]
        fleet = ft.Fleet(self, self.coordinator(workers), workers)
        self.assertEqual(self.values(fleet, "a", [1]), [1])

        def slots():
            return ft.request(fleet.coordinator.admin_port, "GET", "/autoscale").json["slots"]
        wait_until(lambda: slots() == 4, "the slots of both workers")
        workers[0].kill()
        fleet.coordinator.send_signal(signal.SIGHUP)  # asks all workers now; otherwise each is asked every half minute
        wait_until(lambda: slots() == 2, "the slots of the other worker")
        workers[1].kill()
        fleet.coordinator.send_signal(signal.SIGHUP)
        wait_until(lambda: slots() == 0, "no slots")
        self.worker(tasks=self.task_folder("a"), port=workers[1].port)
        self.assertEqual(self.values(fleet, "a", [2]), [2])
        wait_until(lambda: slots() == 2, "the slots of the new worker")

    def test_a_job_of_a_task_whose_workers_are_away_waits_for_one(self):
        workers = [self.worker(tasks=self.task_folder(name, **{name: CAT})) for name in "ab"]
        fleet = ft.Fleet(self, self.coordinator(workers), workers)
        self.assertEqual(self.values(fleet, "b", [1]), [1])
        workers[1].stop()
        self.assertEqual(self.values(fleet, "a", [1]), [1])
        with fleet.stream({"task": "b", "items": [2]}) as stream:
            wait_until(lambda: self.demand(fleet, "b")["demand"] == 1, "its demand")
            self.worker(tasks=self.task_folder("b"), port=workers[1].port)
            self.assertEqual(stream.line_of("result")["value"], 2)


# Each run of an item appends the item to a log. The first run of an item above 9 then waits for the gate. All other runs
# answer immediately.
APPEND = """import os, time
def run(item):
    with open(%(log)r, "a") as log:
        log.write(f"{item}\\n")
    try:
        os.mkdir(%(log)r + str(item))
    except FileExistsError:
        return item
    while item >= 10 and not os.path.exists(%(gate)r):
        time.sleep(0.02)
    return item
"""


class Hedges(FantailTest):
    def append_task(self, name, gate, **options):
        log = os.path.join(self.folder, name + ".log")
        return {"json": {"mode": "python", "command": ["task:run"], "item_timeout_s": 3600, **options},
                "files": {"task.py": APPEND % {"log": log, "gate": gate.path}}}

    def runs(self, name):
        """Returns the items that the processes of the worker have begun. An item that was begun twice is listed
        twice."""
        path = os.path.join(self.folder, name + ".log")
        if not os.path.exists(path):
            return []
        with open(path, encoding="ascii") as log:
            return sorted(map(int, log))

    def test_only_a_task_that_says_it_is_idempotent_is_hedged(self):
        gate = self.gate()
        fleet = self.fleet(workers=3, tasks=self.tasks(unsaid=self.append_task("unsaid", gate),
                                                       yes=self.append_task("yes", gate, idempotent=True),
                                                       no=self.append_task("no", gate, idempotent=False)))
        def job(task):
            return {"task": task, "items": [*range(10), 10], "chunk_size": 1, "item_timeout_s": 3600,
                    "hedge": {"enabled": True, "max_extra_percent": 100}}
        with fleet.stream(job("unsaid")) as unsaid, fleet.stream(job("no")) as no:
            wait_until(lambda: all(10 in self.runs(task) for task in ("unsaid", "no")), "the stragglers")
            # The straggler of the job "yes" ends only after it has been hedged. The stragglers of the other two jobs began
            # earlier. So when this straggler is late, they are late, too.
            counts = fleet.job(job("yes")).json["counts"]
            self.assertEqual(counts["succeeded"], 11)
            self.assertGreaterEqual(counts["hedged"], 1)  # on a busy machine, other items may be hedged, too
            self.assertEqual(sorted(set(self.runs("yes"))), [*range(11)])
            self.assertGreaterEqual(self.runs("yes").count(10), 2)
            gate.open()
            for task, stream in (("unsaid", unsaid), ("no", no)):
                self.assert_counts(stream.rest()[-1]["counts"], succeeded=11, hedged=0, retried=0)
                self.assertEqual(self.runs(task), [*range(10), 10], "each item ran once")

    def test_the_three_states_are_listed(self):
        gate = self.gate()
        fleet = self.fleet(tasks=self.tasks(unsaid=self.append_task("unsaid", gate),
                                            yes=self.append_task("yes", gate, idempotent=True),
                                            no=self.append_task("no", gate, idempotent=False)))
        for port in (fleet.port, fleet.workers[0].port):
            tasks = ft.request(port, "GET", "/v1/tasks").json["tasks"]
            self.assertEqual({t["name"]: t["idempotent"] for t in tasks}, {"no": False, "unsaid": None, "yes": True})


class Lanes(FantailTest):
    def test_eighteen_long_items_do_not_delay_jobs_of_fifty_short_ones(self):
        gate = self.gate()
        fleet = self.fleet(workers=3, processes=2, tasks=self.tasks(long=gate.task, short=CAT))
        with fleet.stream({"task": "long", "items": list(range(18)), "item_timeout_s": 3600}) as long:
            wait_until(lambda: fleet.busy_slots() == 6, "busy slots")
            took = []
            for _ in range(30):
                started = time.monotonic()
                self.assertEqual(fleet.job({"task": "short", "items": list(range(50))}).json["results"], list(range(50)))
                took.append(time.monotonic() - started)
            took.sort()
            print(f"50 short items beside long ones: median {took[15] * 1000:.1f} ms, worst {took[-1] * 1000:.1f} ms")
            gate.open()
            self.assert_counts(long.rest()[-1]["counts"], succeeded=18, retried=0)

    def test_a_worker_that_is_full_of_one_task_still_gets_another(self):
        """Other clients fill the worker with chunks of one task, so that the worker answers further chunks of this task
        with 429."""
        gate = self.gate()
        fleet = self.fleet(processes=1, tasks=self.tasks(long=gate.task, short=CAT), worker_arguments=("--max-chunks", "4"))
        worker = fleet.workers[0]
        held = [self.hold_chunk(worker.port) for _ in range(4)]
        wait_until(lambda: fleet.metric(worker, "fantail_chunks_in_flight") == 4, "a full worker")
        def busy():
            return fleet.metric(fleet.coordinator, "fantail_chunk_attempts_total", result="busy")
        with fleet.stream({"task": "long", "items": [1], "item_timeout_s": 3600}) as long:
            for _ in range(5):
                before = busy()
                wait_until(lambda: busy() > before, "a chunk that is answered 429")
                self.assertEqual(fleet.metric(fleet.coordinator, "fantail_task_full_endpoints", task="short"), 0)
                self.assertEqual(fleet.metric(fleet.coordinator, "fantail_endpoints", state="open"), 1)
                self.assertEqual(fleet.job({"task": "short", "items": [2]}).json["results"], [2])
            for connection in held:
                connection.close()
            gate.open()
            self.assert_counts(long.rest()[-1]["counts"], succeeded=1, retried=0)

    def hold_chunk(self, port):
        """Sends the worker a chunk of one item that does not end. Returns the connection."""
        s = socket.create_connection(("127.0.0.1", port))
        self.addCleanup(s.close)
        s.sendall(b"POST /v1/tasks/long HTTP/1.1\r\nHost: w\r\nContent-Type: application/x-ndjson\r\nContent-Length: 2\r\n\r\n1\n")
        return s

    def test_short_jobs_of_one_task_do_not_wait_for_long_items_of_another(self):
        """All jobs of the task `short` succeed before any of the long items has ended."""
        gate = self.gate()
        fleet = self.fleet(workers=3, processes=2, tasks=self.tasks(long=gate.task, short=CAT))
        with fleet.stream({"task": "long", "items": list(range(200)), "chunk_size": 1, "item_timeout_s": 3600}) as long:
            wait_until(lambda: fleet.busy_slots() == 6, "busy slots")
            for _ in range(50):
                self.assertEqual(fleet.job({"task": "short", "items": list(range(50))}).json["results"], list(range(50)))
            gate.open()
            self.assert_counts(long.rest()[-1]["counts"], succeeded=200, retried=0)


if __name__ == "__main__":
    ft.main()
