"""The commands for durable jobs: what they print, their exit statuses, and what they do when a connection is cut."""
import json
import os
import signal
import subprocess

from cli_testing import A, B, C, EARLIER, FANTAIL, CliTest, FakeTest
from fantail_testing import main, wait_until, write_file


def is_in_read(pid):
    """Returns whether the process waits in read() of descriptor 0."""
    with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
        return file.read().split()[:2] == ["0", "0x0"]


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
        self.assert_ended(self.submit(reduce="sum"), 3, [], ["did not store the job", "so fantail cancelled it"])
        wait_until(lambda: getattr(self.fake, "hung_up", False), "the end of the connection")

    def test_the_message_about_a_wrong_job_names_its_file(self):
        write_file(os.path.join(self.folder, "bad.json"), '{"task": ')
        self.assert_ended(self.cli("submit", "--detach", "-f", "bad.json"), 3, [], ["refused bad.json (400): the body ends"])

    def test_an_interrupt_while_the_job_is_read_says_nothing(self):
        process = subprocess.Popen([FANTAIL, "submit", "--detach"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.environment(FANTAIL_URL=self.fake.url), cwd=self.folder)
        with process:
            wait_until(lambda: is_in_read(process.pid), "the command reads its input")
            process.send_signal(signal.SIGINT)
            self.assertEqual((process.wait(60), process.stderr.read()), (-signal.SIGINT, b""))

    def test_wrong_usage_is_status_2_and_says_what(self):
        for arguments, word in ((["--label", "a,b"], "--label: \"a,b\" has a comma"), (["--label", ""], "--label: must be"),
                                (["--label", os.fsdecode(b"caf\xe9")], "--label: label 1 is not valid UTF-8 (byte 3 of the label)"),
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
        self.assert_ended(self.cli("jobs", "--status", "done"), 2, [], [
            '--status: "done" is not the status of a job; the statuses are pending, running, succeeded, partial, failed, '
            "cancelled and timed_out"])

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
