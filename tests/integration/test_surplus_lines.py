"""Stream programs that print too many lines, or omit an answer. No item may get the value of another item, whether of
the same job or of another client's job."""
import threading

import fantail_testing as ft
from fantail_testing import FantailTest, in_time, with_more_time

# Answers {"value": item} and flushes each line. The item determines what else the program prints. With "before", the
# program prints a surplus line, and after that the true answer. With "before" in the last item, the number of lines is already
# correct while the true answer is still missing.
PROGRAM = """
import json, sys, time
mode = sys.argv[1]

def answer(number, value):
    if mode == "values":
        print(json.dumps(value), flush=True)
    elif mode == "ids":
        print(json.dumps({"id": number, "value": value}), flush=True)
    else:
        print(json.dumps({"value": value}), flush=True)

for line in sys.stdin:
    item = json.loads(line)
    number = None
    if mode == "ids":
        number, item = item["id"], item["item"]
    time.sleep(item.get("sleep", 0))
    what = item.get("print")
    if what == "before":
        answer(number, "surplus")
        time.sleep(item.get("then", 0))
    if what == "noise":
        print("Loading the model ...", flush=True)
        print("12", flush=True)
    if what == "unknown":
        answer(999999, "nobody asked")
    if what == "old":
        answer(1, "an old one")
    if what == "bad":
        print('{"id": %d, "value": NaN}' % number, flush=True)
    elif what != "nothing":
        answer(number, item)
    if what == "after":
        answer(number, "surplus")
"""

# Prints a surplus line before the answers of about 2 % of the items, chosen at random.
RANDOM = """
import json, random, sys
for line in sys.stdin:
    if random.random() < 0.02:
        print('{"value":"surplus"}', flush=True)
    print('{"value":%s}' % line.strip(), flush=True)
"""


class SurplusLines(FantailTest):
    def fleet_of(self, mode, processes=1, **options):
        options = {"mode": "stream", "command": ["python3", "./task.py", mode], "processes": processes, **options}
        if mode == "ids":
            options["ids"] = True
        if mode == "values":
            options["envelope"] = False
        tasks = self.tasks(prints={"json": options, "files": {"task.py": PROGRAM}},
                           now_and_then={"json": {"mode": "stream", "command": ["python3", "./task.py"],
                                                  "processes": processes}, "files": {"task.py": RANDOM}})
        return self.fleet(tasks=tasks)

    def assert_only(self, fleet, items, bad, **options):
        """Checks that the items in `bad` failed with bad_output and that all others have their own value."""
        answer = fleet.job({"task": "prints", "items": items, "retry": {"max_attempts": 1}, **options}).json
        self.assertEqual([e["index"] for e in answer["errors"]], sorted(bad), answer["errors"])
        for e in answer["errors"]:
            self.assertEqual(e["error"]["name"], "bad_output", e)
        self.assertEqual(answer["results"], [None if i in bad else item for i, item in enumerate(items)])
        return answer

    def test_items_of_two_clients_keep_their_own_values(self):
        fleet = self.fleet_of("envelopes")
        outcomes = {}

        def client(name):
            items = [{"of": name, "n": i} for i in range(400)]
            outcomes[name] = items, [
                fleet.job({"task": "now_and_then", "items": items[at:at + 20], "retry": {"max_attempts": 1}}).json
                for at in range(0, 400, 20)]

        clients = [threading.Thread(target=client, args=(name,)) for name in ("one", "two")]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        surplus = 0
        for items, answers in outcomes.values():
            for job, answer in enumerate(answers):
                failed = {e["index"] for e in answer["errors"]}
                surplus += len(failed)
                self.assertEqual({e["error"]["name"] for e in answer["errors"]} - {"bad_output"}, set())
                self.assertEqual(answer["results"],
                                 [None if i in failed else items[20 * job + i] for i in range(20)])
        self.assertGreaterEqual(fleet.metric(fleet.workers[0], "fantail_process_restarts_total"), surplus)

    def test_a_surplus_line_is_found_and_costs_its_item_only(self):
        for mode in "envelopes", "values":
            with self.subTest(mode):
                fleet = self.fleet_of(mode)
                items = [{"n": i} for i in range(300)]
                for i in 20, 21, 150, 299:
                    items[i]["print"] = "before"
                for i in 0, 160:
                    items[i]["print"] = "after"
                answer = self.assert_only(fleet, items, {0, 20, 21, 150, 160, 299})
                self.assertIn("more lines than it had items: ", answer["errors"][0]["error"]["cause"])

    def test_a_surplus_line_long_before_the_true_answer_is_found(self):
        fleet = self.fleet_of("envelopes")
        items = [{"n": i} for i in range(6)]
        items[5].update(print="before", then=0.5)
        self.assert_only(fleet, items, {5})

    def test_the_next_client_does_not_get_the_answer_that_comes_late(self):
        fleet = self.fleet_of("envelopes")
        with fleet.stream({"task": "prints", "items": [{"print": "before", "then": 1, "n": 0}],
                           "retry": {"max_attempts": 1}}) as first:
            other = fleet.job({"task": "prints", "items": [{"n": i} for i in range(50)]}).json
            self.assertEqual(other["results"], [{"n": i} for i in range(50)])
            self.assertEqual([line["type"] for line in first.rest()], ["error", "end"])

    def test_a_program_that_must_not_run_twice_is_charged_for_its_surplus(self):
        fleet = self.fleet_of("envelopes", idempotent=False)
        items = [{"n": i} for i in range(40)]
        items[7]["print"] = items[39]["print"] = "before"
        self.assert_only(fleet, items, {7, 39})

    def test_with_ids_prints_are_noise_and_faults_have_their_item(self):
        fleet = self.fleet_of("ids")
        items = [{"n": i} for i in range(500)]
        for i, what in (3, "noise"), (4, "unknown"), (90, "old"), (100, "after"), (200, "noise"), (499, "noise"):
            items[i]["print"] = what
        for i, what in (10, "bad"), (11, "nothing"), (12, "nothing"), (300, "nothing"), (301, "bad"):
            items[i]["print"] = what
        # The worker notices an omitted answer when the next answer arrives. If the process has no more items, the worker
        # notices the omitted answer only when the time limit has passed.
        def attempt(limit_s):
            answer = fleet.job({"task": "prints", "items": items, "retry": {"max_attempts": 1},
                                "item_timeout_s": limit_s}).json
            names = {e["index"]: e["error"]["name"] for e in answer["errors"]}
            in_time({i for i, name in names.items() if name == "timed_out"} <= {11, 12, 300}, "the other items")
            self.assertEqual(sorted(names), [10, 11, 12, 300, 301])
            self.assertEqual((names[10], names[301]), ("bad_output", "bad_output"))
            self.assertEqual(set(names.values()) - {"bad_output", "timed_out"}, set())
            self.assertEqual(answer["results"], [None if i in names else item for i, item in enumerate(items)])
        with_more_time(attempt, (2, 8, 32))
        logged = [line.get("line") for line in fleet.workers[0].log_lines()]
        self.assertIn("Loading the model ...", logged)

    def test_with_ids_prints_cost_nothing(self):
        fleet = self.fleet_of("ids")
        items = [{"n": i, "print": "noise"} for i in range(200)]
        self.assert_only(fleet, items, set())
        self.assertEqual(fleet.metric(fleet.workers[0], "fantail_process_restarts_total"), 0)

    def test_with_ids_the_first_answer_of_an_item_counts(self):
        fleet = self.fleet_of("ids")
        items = [{"n": i} for i in range(50)]
        items[7]["print"] = "before"
        answer = fleet.job({"task": "prints", "items": items}).json
        self.assertEqual(answer["results"], [{"n": i} if i != 7 else "surplus" for i in range(50)])

    def test_with_ids_an_answer_that_never_comes_is_timed_out(self):
        fleet = self.fleet_of("ids")

        def attempt(limit_s):
            answer = fleet.job({"task": "prints", "items": [{"n": 0}, {"print": "nothing"}], "item_timeout_s": limit_s,
                                "retry": {"max_attempts": 1}}).json
            in_time([e["index"] for e in answer["errors"] if e["error"]["name"] == "timed_out"] == [1], "the first item")
            self.assertEqual(answer["results"], [{"n": 0}, None])
            self.assertEqual(answer["errors"][0]["error"]["name"], "timed_out")
        with_more_time(attempt, (0.5, 4, 16))

    def test_ids_are_refused_where_they_cannot_be(self):
        tasks = self.tasks(a={"mode": "exec", "command": ["true"], "ids": True},
                           b={"mode": "stream", "command": ["cat"], "ids": True, "envelope": False})
        fleet = self.fleet(tasks=tasks)
        for name in "a", "b":
            self.assert_problem(fleet.job({"task": name, "items": [1]}), 422, words=["ids"])


if __name__ == "__main__":
    ft.main()
