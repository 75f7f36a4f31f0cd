"""The commands for durable jobs: what they print, their exit statuses, and what they do when a connection is cut."""
import json
import os
import select
import signal
import subprocess

from fake_coordinator import ERROR, FakeCoordinator, line
from fantail_testing import EXAMPLE_TASKS, command_line, descendants, main, request, wait_until, write_file
from ports import is_listened_on
from test_cli import FANTAIL, CliTest

A, B, C = (f"0195f2c4-1a2b-7000-8000-00000000000{n}" for n in (1, 2, 3))
EARLIER = "0195f000-0000-7000-8000-000000000000"


def is_in_read(pid):
    """Whether the process waits in read() of descriptor 0."""
    with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
        return file.read().split()[:2] == ["0", "0x0"]


class FakeTest(CliTest):
    """Adds fake(), whose address all commands get."""

    def setUp(self):
        super().setUp()
        self.fake = FakeCoordinator(self)

    def cli(self, *arguments, **more):
        return super().cli(*arguments, FANTAIL_URL=self.fake.url, **more)

    def asked(self, method="GET"):
        """The paths of the requests with this method."""
        return [path for made, path, _, _ in self.fake.requests if made == method]

    def assert_ended(self, ended, status, lines=None, err=()):
        self.assertEqual(ended.status, status, ended)
        if lines is not None:
            self.assertEqual(ended.lines, lines, ended)
        for words in err:
            self.assertIn(words, ended.err.decode(), ended)
        if not err:
            self.assertEqual(ended.err, b"", ended)


class Submit(FakeTest):
    def submit(self, *arguments, items=(1, 2), **job):
        return self.cli("submit", "--detach", *arguments, stdin=json.dumps({"task": "square", "items": list(items), **job}))

    def test_the_id_is_printed_and_the_job_has_its_labels(self):
        ended = self.submit("--label", "nightly", "--label", "a&b c")
        [job_id] = self.fake.jobs
        self.assert_ended(ended, 0, [job_id])
        self.assertEqual(self.fake.jobs[job_id].document["labels"], ["nightly", "a&b c"])
        self.assertEqual(self.fake.requests[-1][2]["Prefer"], "respond-async")

    def test_with_json_the_job_is_printed(self):
        ended = self.submit("--json")
        self.assert_ended(ended, 0)
        self.assertEqual([json.loads(text) for text in ended.lines], [self.fake.jobs[json.loads(ended.out)["id"]].document])

    def test_the_same_key_is_the_same_job_and_another_body_is_refused(self):
        first, second = (self.submit("--idempotency-key", 'the "first"') for _ in range(2))
        self.assertEqual((first.status, first.out), (0, second.out), second)
        self.assertEqual(self.fake.requests[-1][2]["Idempotency-Key"], r'"the \"first\""')
        self.assert_ended(self.submit("--idempotency-key", 'the "first"', items=[3]), 3, [], ["(422)", "Idempotency-Key"])

    def test_without_a_key_each_submission_is_a_job(self):
        self.assertNotEqual(self.submit().out, self.submit().out)

    def test_a_lost_answer_is_asked_for_again_and_there_is_one_job(self):
        self.fake.cut_after_post = 2
        ended = self.submit()
        self.assert_ended(ended, 0, list(self.fake.jobs), ["trying again"])
        self.assertEqual(len(self.asked("POST")), 3)
        self.assertEqual(len(self.fake.jobs), 1)

    def test_a_first_try_that_is_still_being_received_is_waited_for(self):
        self.fake.busy_keys = 2
        self.assert_ended(self.submit(), 0, list(self.fake.jobs) or None, ["still being received; trying again"])
        self.assertEqual(len(self.fake.jobs), 1)

    def test_a_store_that_is_away_is_asked_again(self):
        self.fake.away = 2
        self.assert_ended(self.submit(), 0, err=["the job store is away; trying again for 300 s"])
        self.fake.away = 1
        self.assert_ended(self.submit("--reconnect-s", "0"), 3, [], ["the job store is away"])

    def test_without_a_store_no_job_is_sent(self):
        self.fake.store = False
        self.assert_ended(self.submit(), 3, [], ["has no job store", "--store sqlite:PATH", "the job was not run"])
        self.assertEqual(self.asked("POST"), [])

    def test_a_job_that_cannot_be_detached_is_cancelled(self):
        self.assert_ended(self.submit(reduce="sum"), 3, [], ['with "reduce"', "was cancelled"])
        wait_until(lambda: getattr(self.fake, "hung_up", False), "the end of the connection")

    def test_an_interrupt_while_the_job_is_read_says_nothing(self):
        process = subprocess.Popen([FANTAIL, "submit", "--detach"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.environment(FANTAIL_URL=self.fake.url), cwd=self.folder)
        with process:
            wait_until(lambda: is_in_read(process.pid), "the command reads its input")
            process.send_signal(signal.SIGINT)
            self.assertEqual((process.wait(60), process.stderr.read()), (-signal.SIGINT, b""))

    def test_wrong_usage_is_status_2_and_says_what(self):
        for arguments, word in ((["--label", "a,b"], "--label: \"a,b\" has a comma"), (["--label", ""], "--label: must be"),
                                (["--label", "x"] * 17, "at most 16 times"), (["--ndjson"], "--ndjson: "),
                                (["--idempotency-key", "\n"], "--idempotency-key: must be 1 to 255")):
            with self.subTest(arguments):
                self.assert_ended(self.submit(*arguments), 2, [], [word])
        for arguments in (["--json"], ["--label", "x"], ["--idempotency-key", "k"]):
            with self.subTest(arguments):
                self.assert_ended(self.cli("submit", *arguments, stdin="{}"), 2, [], [f"{arguments[0]}: is for --detach only"])
        self.assertEqual(self.fake.requests, [])


class List(FakeTest):
    def test_the_newest_is_first_and_ids_are_cut_to_what_tells_them_apart(self):
        self.fake.add(EARLIER, "partial", [1, None, 9], labels=["nightly", "eu\x1b[1m"])
        self.fake.add(A, "running", [1, 4], task="a" * 50)
        ended = self.cli("jobs")
        self.assert_ended(ended, 0)
        self.assertEqual([text.split()[:5] for text in ended.lines], [
            ["ID", "STATUS", "TASK", "DONE", "FAILED"], [A[:13], "running", "a" * 37 + "...", "2/2", "0"],
            [EARLIER[:13], "partial", "square", "3/3", "1"]])
        self.assertTrue(ended.lines[2].endswith("  nightly,eu?[1m"), ended)
        self.fake.add(B)
        ids = [text.split()[0] for text in self.cli("jobs").lines[1:]]
        self.assertEqual(ids, [B, A, EARLIER])

    def test_an_empty_list_is_a_heading_or_nothing(self):
        self.assert_ended(self.cli("jobs"), 0, ["ID  STATUS  TASK  DONE  FAILED  AGE  LABELS"])
        self.assert_ended(self.cli("jobs", "--json"), 0, [])

    def test_filters_are_passed_on(self):
        self.fake.add(A, "running", labels=["x"])
        self.fake.add(B, "failed", labels=["x", "y"])
        self.fake.add(C, "failed", task="cube")
        for arguments, ids in (([], [C, B, A]), (["--status", "failed"], [C, B]), (["--status", "failed,running"], [C, B, A]),
                               (["--task", "cube"], [C]), (["--label", "y"], [B]), (["--label", "x", "--status", "running"], [A])):
            with self.subTest(arguments):
                ended = self.cli("jobs", "--json", *arguments)
                self.assert_ended(ended, 0)
                self.assertEqual([json.loads(text)["id"] for text in ended.lines], ids)
        self.assert_ended(self.cli("jobs", "--status", "done"), 2, [], ['--status: "done" is not the status of a job'])

    def test_more_pages_are_read_up_to_the_limit(self):
        ids = [f"0195f2c4-1a2b-7000-8000-{n:012d}" for n in range(25, 0, -1)]
        self.fake.page = 10
        for job_id in ids:
            self.fake.add(job_id)
        for arguments, count, err in (([], 20, ["--all lists them"]), (["--all"], 25, []), (["--limit", "25"], 25, []),
                                      (["--limit", "3"], 3, ["--all"])):
            with self.subTest(arguments):
                ended = self.cli("jobs", *arguments)
                self.assert_ended(ended, 0, err=err)
                self.assertEqual([text.split()[0] for text in ended.lines], ["ID"] + ids[:count])

    def test_pages_that_never_end_are_not_read_for_ever(self):
        page = {"scope": "store", "synchronous": [], "next": B}
        for what, jobs in (("the same page", [self.fake.add(A).document]), ("an empty page", [])):
            with self.subTest(what):
                self.fake.list = lambda handler, query: self.fake.send(handler, 200, {**page, "jobs": jobs})
                for arguments in (("jobs", "--all"), ("status", "00")):
                    self.assert_ended(self.cli(*arguments), 3, err=["not a list of jobs"])

    def test_jobs_of_connected_clients_are_listed_first_and_once(self):
        self.fake.page = 1
        self.fake.add(A)
        self.fake.add(B)
        self.fake.synchronous = [{"id": EARLIER, "status": "running", "task": "square", "counts": {"total": 4, "succeeded": 1},
                                  "elapsed_s": 200}]
        ended = self.cli("jobs")
        self.assertEqual([text.split()[0][:13] for text in ended.lines], ["ID", EARLIER[:13], B[:13], A[:13]])
        self.assertRegex(ended.lines[1], r"1/4 +0 +3 min +\(not durable\)$")
        self.assertEqual(len(self.cli("jobs", "--status", "succeeded").lines), 3)

    def test_without_a_store_the_running_jobs_are_listed(self):
        self.fake.store = False
        self.fake.synchronous = [{"id": A, "status": "running", "task": "square", "counts": {"total": 4}, "elapsed_s": 2}]
        ended = self.cli("jobs")
        self.assert_ended(ended, 0, err=["has no job store"])
        self.assertIn(A[:13], ended.lines[1])
        self.assert_ended(self.cli("jobs", "--label", "x"), 3, [], ["cannot be filtered"])

    def test_what_is_no_status_is_wrong_usage(self):
        for words in ("done", "succeeded,", ",failed", ""):
            with self.subTest(words):
                self.assert_ended(self.cli("jobs", "--status", words), 2, [], ["is not the status of a job"])
        self.assertEqual(self.fake.requests, [])


class Ids(FakeTest):
    def test_the_beginning_of_an_id_is_enough_if_no_other_id_has_it(self):
        for job_id in (EARLIER, A, B):
            self.fake.add(job_id)
        self.assert_ended(self.cli("status", "--json", "0195f0"), 0, [json.dumps(self.fake.jobs[EARLIER].document)])
        ambiguous = self.cli("status", "0195f2")
        self.assert_ended(ambiguous, 2, [], ["begins with 0195f2:", f"\n  {A}  succeeded  square", f"\n  {B}  "])
        self.assertNotIn(EARLIER.encode(), ambiguous.err)
        self.assert_ended(self.cli("status", "0196"), 3, [], ["no job has an id that begins with 0196"])

    def test_a_whole_id_needs_no_list(self):
        self.fake.add(A)
        self.assert_ended(self.cli("status", "--json", A), 0, [json.dumps(self.fake.jobs[A].document)])
        self.assertEqual(self.asked(), [f"/v1/jobs/{A}"])
        self.assert_ended(self.cli("status", B), 3, [], ["(404)", f"there is no job {B}"])

    def test_pages_are_read_until_no_older_job_can_have_the_id(self):
        self.fake.page = 1
        for job_id in (EARLIER, A, B):
            self.fake.add(job_id)
        self.assert_ended(self.cli("status", "--json", B[:-1] + "2"), 0)
        self.fake.requests.clear()
        self.assert_ended(self.cli("status", "--json", EARLIER[:10]), 0)
        self.assertEqual(len(self.asked()), 4)
        self.fake.requests.clear()
        self.assert_ended(self.cli("status", "0195f3"), 3, [], ["no job has"])
        self.assertEqual(len(self.asked()), 1)

    def test_a_job_of_a_connected_client_is_found_and_ends_no_search(self):
        self.fake.page = 1
        self.fake.add(A)
        self.fake.add(B)
        self.fake.synchronous = [{"id": EARLIER, "status": "running", "task": "square", "counts": {}}]
        self.assert_ended(self.cli("status", "--json", A[:35] + "1"), 0)
        self.assert_ended(self.cli("status", A[:35]), 2, [], [A, B])

    def test_nothing_is_done_if_one_of_several_ids_is_not_clear(self):
        for job_id in (EARLIER, A, B):
            self.fake.add(job_id, "running")
        self.assert_ended(self.cli("cancel", "0195f0", "0195f2"), 2, [], [A, B])
        self.assertEqual(self.asked("DELETE"), [])

    def test_without_a_store_the_beginning_of_an_unknown_id_says_so(self):
        self.fake.store = False
        self.assert_ended(self.cli("status", "0195f2"), 3, [], ["the coordinator has no job store"])

    def test_what_is_no_id_is_wrong_usage(self):
        for command in ("status", "wait", "events", "results", "cancel", "redrive"):
            with self.subTest(command):
                self.assert_ended(self.cli(command), 2, [], ["the id of a job is missing"])
                self.assert_ended(self.cli(command, "../tasks"), 2, [], ["neither the id of a job"])
                self.assert_ended(self.cli(command, A + "0"), 2, [], ["neither the id of a job"])
        self.assertEqual(self.fake.requests, [])


class Status(FakeTest):
    def test_what_is_known_is_shown(self):
        self.fake.add(A, "failed", [1, None], labels=["nightly", "eu"], reason="more items failed than tolerated",
                      ended_at="2026-11-29T03:00:05.250Z", redrive_count=2)
        ended = self.cli("status", A)
        self.assert_ended(ended, 3)
        shown = dict(text.split(None, 1) for text in ended.lines)
        self.assertEqual({name: shown[name] for name in ("id", "status", "task", "items", "errors", "reason", "labels", "redrives")}, {
            "id": A, "status": "failed", "task": "square", "items": "2 of 2 done, 1 failed, 0 cancelled",
            "errors": "task_error 1", "reason": "more items failed than tolerated", "labels": "nightly,eu", "redrives": "2"})
        self.assertRegex(shown["created"], r"^2026-11-29 03:00:00 UTC, \d+ \w+ ago$")
        self.assertRegex(shown["ended"], "^2026-11-29 03:00:05 UTC, ")

    def test_the_exit_status_is_that_of_the_worst_job(self):
        for status, code in (("succeeded", 0), ("partial", 1), ("failed", 3), ("cancelled", 3), ("timed_out", 3),
                             ("running", 4), ("pending", 4)):
            self.fake.add(A, status)
            self.assertEqual(self.cli("status", A).status, code, status)
        self.fake.add(A, "partial")
        self.fake.add(B, "running")
        self.assert_ended(self.cli("status", A, B), 4)
        self.assert_ended(self.cli("status", A, B, C), 3, err=["(404)"])


class Wait(FakeTest):
    def test_it_waits_for_the_end_of_each_job(self):
        self.fake.add(A, "running", [1, 4])
        self.fake.add(B, "partial", [1, None])
        process = subprocess.Popen([FANTAIL, "wait", A, B, "--url", self.fake.url], stdout=subprocess.PIPE, env=self.environment())
        with process:
            wait_until(lambda: self.asked(), "a request")
            self.fake.end(A, "succeeded")
            self.assertEqual(process.communicate(timeout=60)[0].decode().splitlines(),
                             [f"{A}  succeeded  2/2, 0 failed", f"{B}  partial  2/2, 1 failed"])
            self.assertEqual(process.returncode, 1)

    def test_after_its_time_limit_it_is_status_4(self):
        self.fake.add(A, "running", [1])
        self.assert_ended(self.cli("wait", "--timeout-s", "0.1", A), 4, [f"{A}  running  1/1, 0 failed"], ["has not ended after 0.1 s"])
        self.fake.end(A, "succeeded")
        self.assert_ended(self.cli("wait", "--timeout-s", "0.1", "--json", A), 0, [json.dumps(self.fake.jobs[A].document)])

    def test_it_goes_on_when_the_service_is_away(self):
        self.fake.add(A)
        self.fake.away = 2
        self.assert_ended(self.cli("wait", A), 0, [f"{A}  succeeded  0/0, 0 failed"], ["trying again"])

    def test_its_time_limit_counts_while_the_service_is_away(self):
        self.fake.add(A, "running")
        self.fake.away_after = 1
        ended = self.cli("wait", "--timeout-s", "0.2", A)
        self.assert_ended(ended, 3, [], ["the job store is away; trying again for 1 s"])

    def test_a_job_of_a_connected_client_is_not_waited_for(self):
        self.fake.add(A, "running", durable=False)
        self.assert_ended(self.cli("wait", A), 3, [], [f"job {A} is not durable"])

    def test_an_interrupt_ends_only_the_command(self):
        self.fake.add(A, "running")
        process = subprocess.Popen([FANTAIL, "wait", A, "--url", self.fake.url], env=self.environment())
        with process:
            wait_until(lambda: self.asked(), "a request")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(60), -signal.SIGINT)
        self.assertEqual(self.asked("DELETE"), [])
        self.fake.end(A, "cancelled")


class Results(FakeTest):
    def test_values_are_printed_as_map_does_and_errors_are_reported(self):
        self.fake.add(A, "partial", [1, None, 9, "x"])
        self.assert_ended(self.cli("results", A), 1, ["1", "null", "9", '"x"'],
                          ["fantail: item 1: task_error: no\n", "fantail: 1 of 4 items failed"])
        self.assert_ended(self.cli("results", "-q", "--skip-failed", A), 1, ["1", "9", '"x"'])
        self.assert_ended(self.cli("results", "-q", "--from", "2", A), 1, ["9", '"x"'])
        self.assert_ended(self.cli("results", "--only", "values", A), 1, ["1", "9", '"x"'])
        path = os.path.join(self.folder, "errors")
        self.assert_ended(self.cli("results", "-q", "--errors", path, A), 1, ["1", "null", "9", '"x"'])
        with open(path, encoding="ascii") as errors:
            self.assertEqual([json.loads(text) for text in errors], [{"index": 1, "error": ERROR}])

    def test_errors_alone_are_lines_on_standard_output(self):
        self.fake.add(A, "partial", [1, None, (3, ERROR), 25])
        ended = self.cli("results", "--only", "errors", A)
        self.assert_ended(ended, 1)
        self.assertEqual([json.loads(text) for text in ended.lines],
                         [{"index": 1, "error": ERROR}, {"index": 2, "count": 3, "error": ERROR}])
        self.assertEqual(self.cli("results", "-q", A).lines, ["1", "null", "null", "null", "null", "25"])

    def test_with_json_the_lines_are_unchanged(self):
        job = self.fake.add(A, "partial", [1, None])
        ended = self.cli("results", "--json", A)
        self.assert_ended(ended, 1)
        self.assertEqual([json.loads(text)["type"] for text in ended.lines], ["start", "result", "error", "end"])
        self.assertEqual("\n".join(ended.lines[1:3]), b"".join(job.lines(0, None)).decode().strip())

    def test_a_cut_stream_goes_on_with_the_next_item(self):
        for arguments, query in (([], ""), (["--only", "values"], "&only=values"), (["--json"], "")):
            with self.subTest(arguments):
                self.fake.requests.clear()
                self.fake.add(A, "partial", [0, 1, 4, 9, None, 25])
                self.fake.lines_before_cut = [3, 0, 1]
                ended = self.cli("results", "-q", *arguments, A)
                self.assertEqual(ended.status, 1, ended)
                self.assertIn(b"trying again", ended.err)
                values = [json.loads(text) for text in ended.lines]
                if "--json" in arguments:
                    self.assertEqual([value.get("index", value["type"]) for value in values], ["start", 0, 1, 2, 3, 4, 5, "end"])
                else:
                    self.assertEqual([value for value in values if value is not None], [0, 1, 4, 9, 25])
                first = f"/v1/jobs/{A}/results"
                self.assertEqual(self.asked(), [first + query.replace("&", "?")] + [f"{first}?from={n}{query}" for n in (3, 3, 4)])

    def test_a_stream_that_is_cut_for_too_long_is_status_3(self):
        self.fake.add(A, "succeeded", [0, 1, 4])
        self.fake.lines_before_cut = [1] + [0] * 1000
        self.assert_ended(self.cli("results", "--reconnect-s", "0.3", A), 3, ["0"], ["the stream of results was cut"])
        self.assertGreater(len(self.asked()), 1)
        self.fake.requests.clear()
        self.fake.lines_before_cut = [1]
        self.assert_ended(self.cli("results", "--reconnect-s", "0", A), 3, ["0"], ["the stream of results was cut"])
        self.assertEqual(len(self.asked()), 1)

    def test_results_that_the_service_leaves_out_are_status_3(self):
        job = self.fake.add(A, "succeeded", [0, 1, 2])
        for indexes, printed in (((0, 2), ["0"]), ((0, 1), ["0", "1"]), ((), [])):
            with self.subTest(indexes):
                job.lines = lambda start, only: [line(type="result", index=i, value=i) for i in indexes if i >= start]
                self.assert_ended(self.cli("results", A), 3, printed, ["left out the results"])

    def test_a_stream_that_is_cut_again_and_again_without_a_new_result_is_status_3(self):
        job = self.fake.add(A, "succeeded", [0, 1])
        job.lines = lambda start, only: [line(type="result", index=0, value=0)] * 2
        self.fake.lines_before_cut = [1] * 1000
        self.assert_ended(self.cli("results", "--reconnect-s", "1", A), 3, ["0"], ["trying again for 1 s"])

    def test_a_running_job_is_followed(self):
        self.fake.add(A, "running", [0, 1])
        process = subprocess.Popen([FANTAIL, "results", A, "--url", self.fake.url], stdout=subprocess.PIPE, env=self.environment())
        with process:
            self.assertEqual([process.stdout.readline() for _ in range(2)], [b"0\n", b"1\n"])
            self.fake.end(A, "succeeded")
            self.assertEqual((process.stdout.read(), process.wait(60)), (b"", 0))

    def test_a_job_that_failed_says_why(self):
        self.fake.add(A, "failed", [0, None], reason="more items failed than tolerated")
        self.assert_ended(self.cli("results", A), 3, ["0", "null"], ["the job ended as failed: more items failed than tolerated"])

    def test_it_ends_by_sigpipe_when_nobody_reads_any_more(self):
        self.fake.add(A, "succeeded", list(range(200000)))
        script = f"{FANTAIL} results {A} | head -2; echo ${{PIPESTATUS[0]}}"
        ended = subprocess.run(["bash", "-c", script], capture_output=True, timeout=60, check=True,
                               env=self.environment(FANTAIL_URL=self.fake.url))
        self.assertEqual((ended.stdout, ended.stderr), (b"0\n1\n141\n", b""))

    def test_wrong_usage_is_status_2_and_says_what(self):
        for arguments, word in (([A, B], f"{B} is a second one"), (["--errors", "/nowhere/x", A], "--errors: cannot write"),
                                (["--only", "both", A], "--only: must be one of all, values, errors"),
                                (["--from", "-1", A], "--from: must be a whole number from 0 to 1000000000000000, not")):
            self.assert_ended(self.cli("results", *arguments), 2, [], [word])


class Output(FakeTest):
    COMMANDS = (["jobs"], ["status", A], ["wait", A], ["cancel", A], ["submit", "--detach", "-f", "job.json"])

    def setUp(self):
        super().setUp()
        write_file(os.path.join(self.folder, "job.json"), '{"task":"square","items":[1]}')

    def run_into(self, output, arguments):
        return subprocess.run([FANTAIL, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE,
                              env=self.environment(FANTAIL_URL=self.fake.url), cwd=self.folder, timeout=60, check=False)

    def test_a_full_disk_is_status_3_and_named(self):
        self.fake.add(A, "succeeded", [0])
        for arguments in self.COMMANDS:
            with self.subTest(arguments), open("/dev/full", "wb") as full:
                ended = self.run_into(full, arguments)
                self.assertEqual(ended.returncode, 3, ended)
                self.assertIn(b"cannot write to standard output: No space left on device", ended.stderr)

    def test_they_end_by_sigpipe_when_nobody_reads(self):
        self.fake.add(A, "succeeded", [0])
        for arguments in self.COMMANDS:
            reads, writes = os.pipe()
            os.close(reads)
            with self.subTest(arguments), open(writes, "wb") as pipe:
                ended = self.run_into(pipe, arguments)
                self.assertEqual(ended.returncode, -signal.SIGPIPE, ended)


class Change(FakeTest):
    def test_cancel_cancels_and_says_so(self):
        self.fake.add(A, "pending")
        self.fake.add(B, "running")
        self.assert_ended(self.cli("cancel", A, B), 0, [f"{A}  cancelled", f"{B}  cancelling"])
        ended = self.cli("cancel", "--json", B)
        self.assert_ended(ended, 0, [json.dumps(self.fake.jobs[B].document)])

    def test_cancel_never_removes_a_job_that_has_ended(self):
        self.fake.add(A, "succeeded", [1])
        self.assert_ended(self.cli("cancel", A), 0, [f"{A}  succeeded"], ["had already ended"])
        self.assertEqual(self.asked("DELETE"), [f"/v1/jobs/{A}?only=cancel"])
        self.assertIn(A, self.fake.jobs)

    def test_redrive_runs_failed_items_again_or_says_why_not(self):
        self.fake.add(A, "partial", [1, None])
        self.fake.add(B, "succeeded", [1])
        self.assert_ended(self.cli("redrive", A), 0, [f"{A}  pending"])
        self.assertEqual(self.asked("POST"), [f"/v1/jobs/{A}/redrive"])
        self.assert_ended(self.cli("redrive", B), 3, [], ["(409)", "the job has no failed items"])


class LocalTest(CliTest):
    """Adds local(), a running `fantail local` with a store, and follow(), a command that runs meanwhile."""

    def local(self, *arguments, tasks=EXAMPLE_TASKS, env=None):
        program = self.start("fantail", "local", "--tasks", tasks, *arguments, env=env)
        wait_until(lambda: "ready at" in program.stdout() or not program.alive(), "the ready line")
        self.assertTrue(program.alive(), program.describe())
        return program

    def follow(self, command, *arguments):
        program = self.start("fantail", command, *arguments, "--url", self.url)
        program.any_status = True
        return program


class Surviving(LocalTest):
    """Commands and jobs go on when the services of their fleet are killed."""

    def setUp(self):
        super().setUp()
        self.gate_path, self.runs = os.path.join(self.folder, "gate"), os.path.join(self.folder, "runs")
        # Items below 3 are answered at once, all others when the gate is open.
        script = f'read n; echo $n >> {self.runs}; [ "$n" -lt 3 ] || until [ -e {self.gate_path} ]; do sleep 0.05; done; echo $n'
        self.task_folder = self.tasks(gated={"mode": "exec", "command": ["sh", "-c", script]})
        self.port = self.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.addCleanup(self.open_gate)

    def open_gate(self):
        write_file(self.gate_path, "")

    def start_fleet(self):
        return self.local("--port", self.port, "--processes", 4, tasks=self.task_folder)

    def submit(self):
        ended = self.cli("submit", "--detach", "--url", self.url, stdin='{"task":"gated","range":{"stop":8},"chunk_size":1}')
        self.assertEqual((ended.status, ended.err), (0, b""), ended)
        return ended.lines[0]

    def assert_followed(self, results, wait, job_id):
        self.open_gate()
        self.assertEqual(results.wait(), 0, results.describe())
        self.assertEqual(results.stdout().splitlines(), [str(n) for n in range(8)])
        self.assertEqual(wait.wait(), 0, wait.describe())
        self.assertEqual(wait.stdout(), f"{job_id}  succeeded  8/8, 0 failed\n")
        self.assertIn("trying again", results.stderr())

    def test_results_and_wait_go_on_when_the_coordinator_is_killed(self):
        self.end_the_coordinator(signal.SIGKILL)

    def test_results_and_wait_go_on_when_the_coordinator_drains(self):
        self.end_the_coordinator(signal.SIGTERM)

    def end_the_coordinator(self, number):
        fleet = self.start_fleet()
        job_id = self.submit()
        results, wait = self.follow("results", job_id), self.follow("wait", job_id)
        wait_until(lambda: results.stdout() == "0\n1\n2\n", "the first results")
        [coordinator] = [pid for pid in descendants(fleet.pid) if "fantail-coordinator" in command_line(pid).split(" ")[0]]
        os.kill(coordinator, number)
        wait_until(lambda: "is ready again" in fleet.stderr(), "another coordinator")
        self.assert_followed(results, wait, job_id)

    def test_a_job_goes_on_after_its_whole_fleet_was_killed_and_no_answered_item_runs_again(self):
        fleet = self.start_fleet()
        job_id = self.submit()
        results, wait = self.follow("results", job_id), self.follow("wait", job_id)
        wait_until(lambda: results.stdout() == "0\n1\n2\n", "the first results")
        fleet.kill()
        wait_until(lambda: not is_listened_on(self.port), "the end of the killed fleet")
        self.start_fleet()
        self.assert_followed(results, wait, job_id)
        with open(self.runs, encoding="ascii") as runs:
            self.assertEqual(sorted(int(n) for n in runs if int(n) < 3), [0, 1, 2])
        [shown] = self.cli("jobs", "--json", "--url", self.url).lines
        self.assertEqual(json.loads(shown)["status"], "succeeded")

    def test_many_submissions_with_one_key_at_once_are_one_job(self):
        self.start_fleet()
        job = os.path.join(self.folder, "job.json")
        write_file(job, '{"task":"gated","range":{"stop":8}}')
        programs = [self.follow("submit", "--detach", "--idempotency-key", "k", "-f", job) for _ in range(5)]
        for program in programs:
            self.assertEqual(program.wait(), 0, program.describe())
        self.assertEqual(len({program.stdout() for program in programs}), 1)
        self.assertEqual(len(self.cli("jobs", "--json", "--url", self.url).lines), 1)
        self.assertEqual(self.cli("cancel", "0", "--url", self.url).status, 0)
        ended = self.cli("wait", "0", "--url", self.url)
        self.assertEqual(ended.status, 3, ended)
        self.assertIn(b"  cancelled  ", ended.out)


class MapDetached(LocalTest):
    """`fantail map --detach`: the items come from standard input."""

    def setUp(self):
        super().setUp()
        self.url = f"http://127.0.0.1:{self.free_port()}"

    def start_fleet(self, *arguments):
        return self.local("--port", self.url.rsplit(":", 1)[1], *arguments)

    def map(self, *arguments, stdin):
        return self.cli("map", *arguments, "--detach", stdin=stdin, FANTAIL_URL=self.url)

    def results(self, ended):
        self.assertEqual((ended.status, ended.err), (0, b""), ended)
        self.assertRegex(ended.out, rb"\A[0-9a-f-]{36}\n\Z")
        return self.cli("results", ended.lines[0], FANTAIL_URL=self.url)

    def test_all_items_of_the_input_are_one_job(self):
        self.start_fleet()
        text = "".join(f"{n}\n" for n in range(100000))
        ended = self.map("square", "--label", "a", "--label", "b", "--chunk-size", "1000", stdin=text)
        self.assertEqual(self.results(ended).lines, [str(n * n) for n in range(100000)])
        [shown] = [json.loads(line) for line in self.cli("jobs", "--json", "--label", "b", FANTAIL_URL=self.url).lines]
        self.assertEqual((shown["labels"], shown["counts"]["total"]), (["a", "b"], 100000))

    def test_lines_of_text_and_an_empty_input_are_jobs_too(self):
        self.start_fleet()
        ended = self.map("echo", "--text", stdin='a "b"\n\nc')
        self.assertEqual([json.loads(line) for line in self.results(ended).lines], ['a "b"', "", "c"])
        self.assertEqual(self.results(self.map("echo", stdin="")).lines, [])

    def test_input_that_comes_slowly_is_one_job(self):
        self.start_fleet()
        process = subprocess.Popen([FANTAIL, "map", "square", "--detach"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   env=self.environment(FANTAIL_URL=self.url))
        with process:
            for n in (3, 4):
                process.stdin.write(b"%d\n" % n)
                process.stdin.flush()
                wait_until(lambda: select.select([], [process.stdin], [], 0)[1], "room in the pipe")
            process.stdin.close()
            job_id = process.stdout.read().decode().strip()
            self.assertEqual(process.wait(60), 0)
        self.assertEqual(self.cli("results", job_id, "--url", self.url).lines, ["9", "16"])

    def unfinished(self):
        """A command whose input has begun, and does not end."""
        process = subprocess.Popen([FANTAIL, "map", "square", "--detach"], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.environment(FANTAIL_URL=self.url))
        process.stdin.write(b"3\n" * 1000000)  # more than the pipe holds, so some of it was sent when this returns
        process.stdin.flush()
        return process

    def test_an_interrupt_before_the_end_of_the_input_leaves_no_job(self):
        self.start_fleet()
        with self.unfinished() as process:
            process.send_signal(signal.SIGINT)
            self.assertEqual((process.wait(60), process.stderr.read()), (-signal.SIGINT, b""))
        self.assertEqual(self.cli("jobs", "--json", FANTAIL_URL=self.url).lines, [])

    def test_a_connection_that_is_cut_before_the_end_of_the_input_says_that_there_is_no_job(self):
        fleet = self.start_fleet()
        with self.unfinished() as process:
            [coordinator] = [pid for pid in descendants(fleet.pid) if "fantail-coordinator" in command_line(pid).split(" ")[0]]
            os.kill(coordinator, signal.SIGKILL)
            self.assertEqual(process.wait(60), 3)
            self.assertIn(b"The job was not stored, unless `fantail jobs` lists it", process.stderr.read())
        wait_until(lambda: "is ready again" in fleet.stderr(), "another coordinator")
        self.assertEqual(self.cli("jobs", "--json", FANTAIL_URL=self.url).lines, [])

    def test_the_same_key_and_items_are_one_job(self):
        self.start_fleet()
        first, second = (self.map("square", "--idempotency-key", "k", stdin="1\n2\n") for _ in range(2))
        self.assertEqual((first.status, first.out), (0, second.out), second)
        other = self.map("square", "--idempotency-key", "k", stdin="1\n3\n")
        self.assertEqual((other.status, other.out), (3, b""), other)
        self.assertIn(b"(422)", other.err)

    def test_a_line_that_is_no_item_is_named_and_no_job_remains(self):
        self.start_fleet()
        ended = self.map("square", stdin="1\n2\n{\n" + "4\n" * 100000)
        self.assertEqual((ended.status, ended.out), (3, b""), ended)
        self.assertIn(b"/items/2", ended.err)
        self.assertEqual(self.cli("jobs", "--json", FANTAIL_URL=self.url).lines, [])

    def test_without_a_store_no_item_is_sent(self):
        self.start_fleet("--store", "none")
        ended = self.map("square", stdin="1\n")
        self.assertEqual((ended.status, ended.out), (3, b""), ended)
        self.assertIn(b"has no job store", ended.err)

    def test_wrong_usage_is_status_2_and_says_what(self):
        for arguments, word in ((["square", "--detach", "--reduce", "sum"], "--reduce: cannot"), (["square", "--detach", "-0"], "--null: "),
                                (["square", "--detach", "--errors", "x"], "--errors: cannot"),
                                (["square", "--detach", "--skip-failed"], "--skip-failed: cannot"),
                                (["square", "--detach", "--order", "completion"], "--order: cannot"), (["square", "--label", "x"], "--label: is for"),
                                (["square", "--idempotency-key", "x"], "--idempotency-key: is for"),
                                (["square", "--detach", "--label", "a,b"], '--label: "a,b" has a comma')):
            with self.subTest(arguments):
                ended = self.cli("map", *arguments, FANTAIL_URL="http://127.0.0.1:9")
                self.assertEqual((ended.status, ended.out), (2, b""), ended)
                self.assertIn(word, ended.err.decode())
        for arguments, word in ((["square", "--detach"], "needs a running fleet"), (["--detach", "--", "cat"], "is for a task")):
            ended = self.cli("map", *arguments)
            self.assertEqual((ended.status, ended.out), (2, b""), ended)
            self.assertIn(word, ended.err.decode())


class Access(LocalTest):
    def test_the_token_is_sent_and_a_missing_one_is_named(self):
        tokens, port = os.path.join(self.folder, "tokens"), self.free_port()
        write_file(tokens, "the-token-of-this-test\n")
        self.local("--port", port, "--token-file", tokens)
        url = f"http://127.0.0.1:{port}"
        job = '{"task":"square","items":[3,4]}'
        job_id = self.cli("submit", "--detach", "--url", url, "--token-file", tokens, stdin=job).lines[0]
        for command, status, lines in (("wait", 0, [f"{job_id}  succeeded  2/2, 0 failed"]), ("results", 0, ["9", "16"]),
                                       ("cancel", 0, [f"{job_id}  succeeded"]), ("redrive", 3, []), ("status", 0, None)):
            with self.subTest(command):
                ended = self.cli(command, job_id, FANTAIL_URL=url, FANTAIL_TOKEN_FILE=tokens)
                self.assertEqual((ended.status, ended.lines if lines is not None else None), (status, lines), ended)
                ended = self.cli(command, job_id, FANTAIL_URL=url)
                self.assertEqual((ended.status, ended.out), (3, b""), ended)
                self.assertIn(b"(401)", ended.err)
                self.assertIn(b"no token was sent: give one with --token-file or FANTAIL_TOKEN_FILE", ended.err)
        ended = self.cli("submit", "--detach", "--url", url, stdin=job)
        self.assertEqual((ended.status, ended.out), (3, b""), ended)
        self.assertIn(b"(401)", ended.err)


class LocalStore(LocalTest):
    """Where `fantail local` keeps durable jobs."""

    def status_of_a_durable_job(self, port):
        return request(port, "POST", "/v1/jobs", b'{"task":"square","items":[1]}', {"Prefer": "respond-async"}).status

    def test_there_is_a_file_for_each_port_that_nobody_else_can_read(self):
        port = self.free_port()
        program = self.local("--port", port)
        path = os.path.join(self.folder, "state", "fantail", f"jobs-{port}.db")
        self.assertEqual((program.stderr(), self.status_of_a_durable_job(port)), ("", 202))
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(os.path.dirname(path)).st_mode & 0o777, 0o700)

    def test_it_keeps_jobs_elsewhere_or_not_at_all_if_told_so(self):
        path, port = os.path.join(self.folder, "jobs"), self.free_port()
        program = self.local("--port", port, "--store", f"sqlite:{path}")
        self.assertEqual((program.stderr(), self.status_of_a_durable_job(port)), ("", 202))
        self.assertTrue(os.path.exists(path))
        port = self.free_port()
        program = self.local("--port", port, "--store", "none")
        self.assertEqual((program.stderr(), self.status_of_a_durable_job(port)), ("", 200))
        self.assertFalse(os.path.exists(os.path.join(self.folder, "state")))

    def test_an_address_that_differs_after_each_start_has_no_store(self):
        self.assertEqual(self.local("--port", 0).stderr(), "")
        self.assertEqual(self.local("--host", f"unix:{self.folder}/socket").stderr(), "")
        self.assertFalse(os.path.exists(os.path.join(self.folder, "state")))

    def test_without_a_folder_for_it_the_fleet_runs_and_says_why(self):
        port = self.free_port()
        program = self.local("--port", port, env=self.environment(XDG_STATE_HOME="/dev/null"))
        self.assertIn("fantail: durable jobs are not kept: cannot create the folder /dev/null/fantail: Not a directory\n", program.stderr())
        self.assertEqual(self.status_of_a_durable_job(port), 200)


class Everywhere(CliTest):
    COMMANDS = (["jobs"], ["status", A], ["wait", A], ["results", A], ["cancel", A], ["redrive", A], ["submit", "--detach"])

    def test_a_service_that_cannot_be_reached_is_status_3_at_once(self):
        for arguments in self.COMMANDS:
            ended = self.cli(*arguments, "--url", "http://127.0.0.1:9", stdin="{}")
            self.assertEqual((ended.status, ended.out), (3, b""), ended)
            self.assertTrue(ended.err.startswith(b"fantail: cannot connect to http://127.0.0.1:9: "), ended)

    def test_a_missing_url_says_what_to_give(self):
        for arguments in self.COMMANDS:
            ended = self.cli(*arguments, stdin="{}")
            self.assertEqual(ended.status, 2, ended)
            self.assertIn(b"`--url http://localhost:8080` or set FANTAIL_URL", ended.err)

    def test_each_has_help(self):
        for arguments in self.COMMANDS:
            ended = self.cli("help", arguments[0])
            self.assertEqual((ended.status, ended.err), (0, b""), ended)
            self.assertIn(b"Exit status: 0", ended.out)


if __name__ == "__main__":
    main()
