"""Tasks with "concurrency": a process runs many items at the same time, and answers them in any order. The program here is a
`stream` program with ids; test_python_async.py tests coroutines."""
import os
import threading

import fantail_testing as ft
from fantail_testing import FantailTest, wait_until

# Runs each item in a coroutine. Notes each start of an item, and each line that cancels an item.
PROGRAM = """
import asyncio, json, os, signal, sys, time

items = {}

def note(text):
    out = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(out, ("%s %d\\n" % (text, os.getpid())).encode())
    os.close(out)

def say(**answer):
    os.write(1, (json.dumps(answer) + "\\n").encode())

async def work(what, n):
    note("start %s %s" % (what, n))
    if what == "sleep":
        await asyncio.sleep(n)
    if what == "crash":
        await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "block":
        time.sleep(n)
    if what == "hang":
        await asyncio.sleep(1000)
    while what == "stubborn":
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass
    while os.path.exists(os.environ["NOTES"] + ".gate") and what == "gate":
        await asyncio.sleep(0.01)
    return n

async def run(id, what, n):
    try:
        say(id=id, value=await work(what, n))
    except asyncio.CancelledError:
        say(id=id, error={"cause": "cancelled"})
    del items[id]

async def main():
    reader = asyncio.StreamReader(limit=1 << 26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        if line.startswith(b"#"):
            word, id = line.split()
            note("%s %s" % (word.decode()[1:], id.decode()))
            if int(id) in items:
                items[int(id)].cancel()
            continue
        request = json.loads(line)
        items[request["id"]] = asyncio.ensure_future(run(request["id"], *request["item"]))
    note("end 0")
    if items:
        await asyncio.wait(list(items.values()))

asyncio.run(main())
"""

ITEM_S = 5  # on a busy machine, a process may wait seconds for a processor
LONG_ITEM_S = 8  # an item that exceeds this limit twice takes longer than a worker may be silent (10 s more than the limit)


class Concurrency(FantailTest):
    def fleet_of(self, concurrency, processes=1, worker_arguments=(), **fields):
        self.notes = os.path.join(self.folder, "notes")
        task = {"mode": "stream", "ids": True, "command": ["python3", "./task.py"], "concurrency": concurrency,
                "processes": processes, "env": {"NOTES": self.notes}, **fields}
        tasks = self.tasks(many={"json": task, "files": {"task.py": PROGRAM}})
        return self.fleet(tasks=tasks, worker_arguments=worker_arguments)

    def noted(self, word):
        """Returns the notes that begin with this word, each as a list of words."""
        if not os.path.exists(self.notes):
            return []
        with open(self.notes, encoding="ascii") as lines:
            return [line.split() for line in lines if line.startswith(word)]

    def close_gate(self):
        path = self.notes + ".gate"
        open(path, "w", encoding="ascii").close()
        self.addCleanup(lambda: os.path.exists(path) and os.remove(path))
        return path

    def job(self, fleet, items, **options):
        body = {"task": "many", "items": items, "retry": {"max_attempts": 1}, "hedge": {"enabled": False}, **options}
        return fleet.job(body).json

    def errors(self, answer):
        return [(e["index"], e["error"]["name"]) for e in answer["errors"]]

    def test_items_run_at_the_same_time_and_their_values_are_in_order(self):
        fleet = self.fleet_of(50)
        gate = self.close_gate()
        items = [["gate", 0]] + [["sleep", 0.3 - i / 1000] for i in range(49)]
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.job(fleet, items)))
        thread.start()
        wait_until(lambda: len(self.noted("start")) == 50, "50 running items")
        wait_until(lambda: fleet.busy_slots() == 1, "the answers of all items but the first")
        os.remove(gate)
        thread.join()
        self.assertEqual(answers[0]["results"], [n for _, n in items])
        self.assertEqual(len({pid for *_, pid in self.noted("start")}), 1)

    def test_a_process_never_has_more_items_than_the_task_allows(self):
        fleet = self.fleet_of(3, processes=2)
        gate = self.close_gate()
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.job(fleet, [["gate", i] for i in range(40)])))
        thread.start()
        wait_until(lambda: len(self.noted("start")) == 6, "six running items")
        self.assertEqual(fleet.busy_slots(), 6)
        pids = [pid for *_, pid in self.noted("start")]
        self.assertEqual(sorted(map(pids.count, set(pids))), [3, 3])
        os.remove(gate)
        thread.join()
        self.assertEqual(answers[0]["results"], list(range(40)))

    def test_a_late_item_is_cancelled_alone(self):
        fleet = self.fleet_of(10)
        items = [["hang", i] if i in (3, 7) else ["sleep", 0.01] for i in range(60)]
        answer = self.job(fleet, items, item_timeout_s=ITEM_S)
        self.assertEqual(self.errors(answer), [(3, "timed_out"), (7, "timed_out")])
        self.assertEqual(answer["errors"][0]["error"]["cause"], f"no answer within {ITEM_S} s")
        self.assertEqual(len(self.noted("cancel")), 2)
        self.assertEqual(len({pid for *_, pid in self.noted("start")}), 1)
        self.assertEqual(len(self.noted("start")), 60)

    def test_a_process_that_does_not_cancel_an_item_is_killed_and_the_others_run_again(self):
        fleet = self.fleet_of(10)
        answer = self.job(fleet, [["stubborn", 0]] + [["sleep", 0.2]] * 300, item_timeout_s=ITEM_S)
        self.assertEqual(self.errors(answer), [(0, "timed_out")])
        self.assertIn("the process did not cancel the item", answer["errors"][0]["error"]["cause"])
        self.assertEqual(fleet.metric(fleet.workers[0], "fantail_process_restarts_total", reason="timed_out"), 1)
        self.assertEqual(len(self.noted("start stubborn")), 1)

    def test_a_crash_costs_only_the_item_that_caused_it(self):
        fleet = self.fleet_of(40)
        items = [["crash", i] if i in (17, 90) else ["sleep", 0.1] for i in range(120)]
        answer = self.job(fleet, items)
        self.assertEqual(self.errors(answer), [(17, "crashed"), (90, "crashed")])
        self.assertEqual({e["error"]["signal"] for e in answer["errors"]}, {9})
        self.assertEqual(sum(value == 0.1 for value in answer["results"]), 118)

    def test_an_item_that_blocks_the_whole_process_is_found(self):
        fleet = self.fleet_of(8)
        items = [["block", 1000] if i == 5 else ["sleep", 0.01] for i in range(20)]
        answer = self.job(fleet, items, item_timeout_s=LONG_ITEM_S)
        self.assertEqual(self.errors(answer), [(5, "timed_out")])

    def test_a_job_that_ends_early_cancels_its_items_and_no_others(self):
        fleet = self.fleet_of(10)
        gate = self.close_gate()
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.job(fleet, [["gate", 1]])))
        thread.start()
        stream = fleet.stream({"task": "many", "items": [["hang", i] for i in range(4)]})
        wait_until(lambda: len(self.noted("start")) == 5, "five running items")
        stream.close()
        wait_until(lambda: len(self.noted("cancel")) == 4, "four cancelled items")
        wait_until(lambda: fleet.busy_slots() == 1, "one running item")
        os.remove(gate)
        thread.join()
        self.assertEqual(answers[0]["results"], [1])
        self.assertEqual(len({pid for *_, pid in self.noted("start")}), 1)
        restarts = fleet.metric(fleet.workers[0], "fantail_process_restarts_total", task="many")
        self.assertEqual(restarts, 0)

    def test_a_process_ends_after_its_share_of_items(self):
        fleet = self.fleet_of(4, max_items_per_process=10)
        self.assertEqual(self.job(fleet, [["sleep", 0.01]] * 45)["results"], [0.01] * 45)
        pids = [pid for *_, pid in self.noted("start")]
        self.assertEqual(sorted(map(pids.count, set(pids))), [5, 10, 10, 10, 10])
        wait_until(lambda: len(self.noted("end")) == 4, "the end of four processes")

    def test_the_slots_are_told(self):
        fleet = self.fleet_of(7, processes=2, worker_arguments=("--slots", "3"))
        worker = fleet.workers[0]
        [task] = ft.request(worker.port, "GET", "/v1/tasks").json["tasks"]
        self.assertEqual((task["processes"], task["concurrency"], task["slots"]), (2, 7, 14))
        gate = self.close_gate()
        answer = ft.request(worker.port, "POST", "/v1/tasks/many", b'["sleep",0]\n', {"Content-Type": ft.NDJSON})
        self.assertEqual((answer.headers["Fantail-Slots"], answer.headers["Fantail-Free"]), ("14", "13"), "its item has arrived")
        thread = threading.Thread(target=lambda: self.job(fleet, [["gate", i] for i in range(5)]))
        thread.start()
        wait_until(lambda: fleet.busy_slots() == 5, "five busy slots")
        self.assertEqual(fleet.metric(worker, "fantail_worker_slots", task="many", state="idle"), 9)
        [task] = fleet.request("GET", "/v1/tasks").json["tasks"]
        self.assertEqual(task["slots"], 14)
        demand = ft.request(fleet.coordinator.admin_port, "GET", "/autoscale?task=many").json
        self.assertEqual((demand["in_flight"], demand["slots"]), (5, 14))
        answer = ft.request(worker.port, "POST", "/v1/tasks/many", b'["sleep",0]\n', {"Content-Type": ft.NDJSON})
        self.assertEqual((answer.headers["Fantail-Slots"], answer.headers["Fantail-Free"]), ("14", "8"))
        os.remove(gate)
        thread.join()


if __name__ == "__main__":
    ft.main()
