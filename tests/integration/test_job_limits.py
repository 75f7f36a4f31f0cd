"""The limits on the numbers in a job. The coordinator accepts each number that `fantail map` accepts, and every
worker accepts each number that the coordinator accepts."""
from cli_testing import CliTest

TIME_S = 366 * 86400
OPTIONS_BYTES = 4 << 20


class Limits(CliTest):
    def run_job(self, fleet, **options):
        answer = fleet.job({"task": "echo", "items": [1, 2, 3], **options})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual((answer.json["status"], answer.json["errors"]), ("succeeded", []), options)

    def test_workers_run_each_number_that_the_coordinator_accepts(self):
        fleet = self.fleet(processes=2)
        for name, values in {"item_timeout_s": (-0.0, 10000001, TIME_S - 0.001, TIME_S),
                             "deadline_s": (-0.0, TIME_S), "chunk_size": (-0.0, 10 ** 9), "max_concurrency": (10 ** 9,),
                             "max_rate": (-0.0, 10 ** 9),
                             "max_chunk_bytes": (64 << 20,)}.items():
            for value in values:
                with self.subTest(name, value=value):
                    self.run_job(fleet, **{name: value})
        for name in ("item_timeout_s", "deadline_s"):
            answer = fleet.job({"task": "echo", "items": [1], name: TIME_S + 0.001})
            self.assertEqual((answer.status, answer.json["detail"]), (400, f"{name} must be a number from 0 to {TIME_S}"))

    def test_workers_take_the_largest_common_value_of_a_job(self):
        fleet = self.fleet(processes=1)
        accepted = []
        for size in range(OPTIONS_BYTES - 48, OPTIONS_BYTES, 4):
            body = '{"items":[1],"common":"%s"}' % ("x" * size)
            answer = fleet.job(body.encode(), "application/json", "application/json", "?task=echo&item_timeout_s=3600.1")
            if answer.status != 413:
                accepted.append(size)
                self.assertEqual((answer.status, answer.json.get("results")), (200, [1]), size)
        self.assertGreater(max(accepted), OPTIONS_BYTES - 33, "the header of a chunk has more bytes than these options")

    def test_a_task_has_the_same_limit_as_a_job(self):
        tasks = self.tasks(slow={"mode": "stream", "command": ["cat"], "envelope": False, "item_timeout_s": TIME_S})
        answer = self.fleet(tasks=tasks).job({"task": "slow", "items": [1]})
        self.assertEqual(answer.json.get("results"), [1], answer)

    def test_an_item_timeout_above_0_is_never_no_limit(self):
        fleet = self.fleet(processes=1)
        answer = fleet.job({"task": "sleep", "items": [3600], "item_timeout_s": 1e-10, "retry": {"max_attempts": 1}})
        self.assertEqual([entry["error"]["name"] for entry in answer.json["errors"]], ["timed_out"], answer)
        ended = self.cli("map", "sleep", "--item-timeout-s", "0.0001", "--max-attempts", 1, stdin="3600\n",
                         FANTAIL_URL=f"http://127.0.0.1:{fleet.coordinator.port}")
        self.assertEqual(ended.status, 1, ended)
        self.assertIn(b"timed_out", ended.err)

    def test_the_command_line_refuses_what_the_coordinator_would_refuse(self):
        for option, above in (("item-timeout-s", TIME_S + 1), ("deadline-s", TIME_S + 1), ("chunk-size", 10 ** 9 + 1),
                              ("max-concurrency", 10 ** 9 + 1), ("max-attempts", 1001)):
            ended = self.cli("map", "square", f"--{option}", above, stdin="1\n", FANTAIL_URL="http://127.0.0.1:9")
            self.assertEqual(ended.status, 2, ended)
            self.assertIn(f"--{option}: ".encode(), ended.err)
        for option, above in (("deadline-s", TIME_S + 1), ("max-concurrency", 10 ** 9 + 1)):
            ended = self.cli("change", "0195f2c4-1a2b-7000-8000-000000000001", f"--{option}", above,
                             FANTAIL_URL="http://127.0.0.1:9")
            self.assertEqual(ended.status, 2, ended)
            self.assertIn(f"--{option}: ".encode(), ended.err)
