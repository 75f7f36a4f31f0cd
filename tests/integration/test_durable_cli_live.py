"""The commands for a durable job that runs: `fantail events` and `fantail change`."""
import json
import subprocess

from cli_testing import A, B, FANTAIL, FakeTest
from fantail_testing import main


class Events(FakeTest):
    def paths(self):
        return [(path, headers["Last-Event-ID"]) for _, path, headers, _ in self.fake.requests]

    def test_each_event_is_a_line_and_the_end_gives_the_exit_status(self):
        self.fake.add(A, "partial", [1, None])
        self.assert_ended(self.cli("events", A[:-1]), 1,
                          [f"{A}  running  1/2, 1 failed", f"{A}  running  2/2, 1 failed", f"{A}  partial  2/2, 1 failed"])
        ended = self.cli("events", "--json", A)
        self.assertEqual(ended.status, 1, ended)
        self.assertEqual([json.loads(text)["status"] for text in ended.lines], ["running", "running", "partial"])
        self.assertEqual(json.loads(ended.lines[-1]), self.fake.jobs[A].document)

    def test_a_cut_stream_goes_on_after_its_last_event(self):
        self.fake.add(A, "succeeded", [0, 1, 4])
        self.fake.events_before_cut = [2, 0, 1]
        ended = self.cli("events", A)
        self.assertEqual((ended.status, len(ended.lines)), (0, 4), ended)
        self.assertIn(b"the stream of events was cut", ended.err)
        self.assertEqual(self.paths(), [(f"/v1/jobs/{A}/events", known) for known in (None, "1", "1", "2")])

    def test_a_stream_that_is_cut_for_too_long_is_status_3(self):
        self.fake.add(A, "succeeded", [0])
        self.fake.events_before_cut = [0] * 1000
        self.assert_ended(self.cli("events", "--reconnect-s", "0.3", A), 3, [], ["the stream of events was cut"])
        self.assertGreater(len(self.fake.requests), 1)

    def test_what_is_not_an_event_of_a_job_is_status_3(self):
        self.fake.add(A, "succeeded", [0])
        for what, data, words in (("no job", b"data: {}\n\n", "not about a job"),
                                  ("endless", b"data: " + b"x" * (9 << 20), "too long")):
            with self.subTest(what):
                def events(handler, _, data=data):
                    self.fake.begin_stream(handler, "text/event-stream")
                    self.fake.send_line(handler, data)
                    handler.rfile.read(1)
                self.fake.events = events
                self.assert_ended(self.cli("events", A), 3, [], [words])

    def test_an_unknown_job_and_a_second_one_are_errors(self):
        self.assert_ended(self.cli("events", A), 3, [], ["(404)"])
        self.assert_ended(self.cli("events", A, B), 2, [], ["give one job"])

    def test_a_running_job_is_followed(self):
        self.fake.add(A, "running", [0])
        process = subprocess.Popen([FANTAIL, "events", A, "--url", self.fake.url], stdout=subprocess.PIPE, env=self.environment())
        with process:
            self.assertEqual(process.stdout.readline(), f"{A}  running  0/1, 0 failed\n".encode())
            self.fake.end(A, "succeeded")
            self.assertEqual(process.stdout.read(), f"{A}  succeeded  1/1, 0 failed\n".encode())
            self.assertEqual(process.wait(60), 0)


class Change(FakeTest):
    def sent(self):
        return [json.loads(body) for method, _, _, body in self.fake.requests if method == "PATCH"]

    def test_options_are_sent_as_a_patch(self):
        self.fake.add(A, "running", [1])
        ended = self.cli("change", A[:-1], "--max-concurrency", "8", "--priority", "9", "--tolerated-failure-count", "default",
                         "--tolerated-failure-percentage", "12.5", "--deadline-s", "3600", "--max-rate", "0.5")
        self.assert_ended(ended, 0, [f"{A}  running  1/1, 0 failed"])
        self.assertEqual(self.sent(), [{"max_concurrency": 8, "max_rate": 0.5, "priority": 9, "tolerated_failure_count": None,
                                        "tolerated_failure_percentage": 12.5, "deadline_s": 3600}])
        self.assertEqual(self.fake.requests[-1][2]["Content-Type"], "application/merge-patch+json")
        self.assert_ended(self.cli("change", "--json", "--priority", "1", A), 0, [json.dumps(
            {**self.fake.jobs[A].document, "options": {**self.fake.jobs[A].document["options"], "priority": 1}})])
        self.assert_ended(self.cli("change", A, "--max-rate", "240/m"), 0)
        self.assertEqual(self.sent()[-1], {"max_rate": 4})
        wrong = self.cli("change", A, "--max-rate", "10/day")
        self.assertEqual((wrong.status, wrong.err), (2, b"fantail change: --max-rate: must be a number above 0, with /s, /m or /h, "
                                                        b"or 0, or the word default\n"))

    def test_a_lost_answer_is_asked_for_again(self):
        self.fake.add(A, "running")
        self.fake.away = 2
        self.assert_ended(self.cli("change", "--priority", "1", A), 0, err=["trying again"])

    def test_a_job_that_has_ended_is_status_3(self):
        self.fake.add(A)
        self.assert_ended(self.cli("change", "--priority", "1", A), 3, [], ["(409)", "has ended"])

    def test_wrong_usage_is_status_2_and_says_what(self):
        for arguments, words in (([], "say what to change"), (["--priority", "10"], "--priority: must be a whole number from 0 to 9, or the word default, not \"10\""),
                                 (["--priority", "1.5"], "whole number"), (["--deadline-s", "-1"], "--deadline-s: must be"),
                                 (["--deadline-s", "nan"], "must be"), (["--max-concurrency", ""], "must be"),
                                 (["--max-concurrency", "0x10"], "must be")):
            with self.subTest(arguments):
                self.assert_ended(self.cli("change", A, *arguments), 2, [], [words])
        self.assert_ended(self.cli("change", "--priority", "1"), 2, [], ["the id of a job is missing"])
        self.assertEqual(self.fake.requests, [])


if __name__ == "__main__":
    main()
