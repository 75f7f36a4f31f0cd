"""`fantail results`: what it prints, how it continues after a stream was cut off, and what it does if its output cannot
be written."""
import json
import os
import signal
import subprocess

from cli_testing import A, B, FANTAIL, FakeTest
from fake_coordinator import ERROR, line
from fantail_testing import main, wait_until, write_file


class Results(FakeTest):
    def test_values_are_printed_as_map_does_and_errors_are_reported(self):
        self.fake.add(A, "partial", [1, None, 9, "x"])
        self.assert_ended(self.cli("results", A), 1, ["1", "null", "9", '"x"'],
                          ["fantail: item 2 (index 1): task_error: no\n", "fantail: 1 of 4 items failed"])
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
                document = [] if arguments else [f"/v1/jobs/{A}"]
                self.assertEqual(self.asked(), document + [first + query.replace("&", "?")] +
                                 [f"{first}?from={n}{query}" for n in (3, 3, 4)])

    def test_a_stream_that_is_cut_for_too_long_is_status_3(self):
        self.fake.add(A, "succeeded", [0, 1, 4])
        self.fake.lines_before_cut = [1] + [0] * 1000
        self.assert_ended(self.cli("results", "--reconnect-s", "0.3", A), 3, ["0"], ["the stream of results was cut"])
        self.assertGreater(len(self.asked()), 2)
        self.fake.requests.clear()
        self.fake.lines_before_cut = [1]
        self.assert_ended(self.cli("results", "--reconnect-s", "0", A), 3, ["0"], ["the stream of results was cut"])
        self.assertEqual(self.asked(), [f"/v1/jobs/{A}", f"/v1/jobs/{A}/results"])

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

    def test_a_reduced_job_prints_one_value_and_reports_its_errors(self):
        self.fake.add(A, "partial", [1, None, 9], reduce="sum", result=10)
        failed = ["fantail: item 2 (index 1): task_error: no\n", "fantail: 1 of 3 items failed"]
        self.assert_ended(self.cli("results", A), 1, ["10"], failed)
        self.assertEqual(self.asked(), [f"/v1/jobs/{A}", f"/v1/jobs/{A}/results?only=errors", f"/v1/jobs/{A}"])
        self.assert_ended(self.cli("results", "-q", "--from", "1", A), 1, ["null", "9"])
        self.assert_ended(self.cli("results", "-q", "--only", "values", A), 1, ["1", "9"])
        self.fake.add(A, "failed", [1, None], reduce="sum", result=None, reason="too many")
        self.assert_ended(self.cli("results", "-q", A), 3, [], ["the job ended as failed: too many"])
        self.fake.add(A, "succeeded", [], reduce="max", result=None)
        self.assert_ended(self.cli("results", A), 0, ["null"])
        self.fake.add(A, "succeeded", [1], reduce="max")
        self.assert_ended(self.cli("results", A), 3, [], ["was redriven before its reduced value was read"])

    def test_the_reduced_value_comes_when_the_job_ends(self):
        job = self.fake.add(A, "running", [1, 2], reduce="sum")
        process = subprocess.Popen([FANTAIL, "results", A, "--url", self.fake.url], stdout=subprocess.PIPE, env=self.environment())
        with process:
            wait_until(lambda: len(self.asked()) == 2, "the stream of errors")
            job.document["result"] = 3
            self.fake.end(A, "succeeded")
            self.assertEqual((process.stdout.read(), process.wait(60)), (b"3\n", 0))

    def test_a_job_that_failed_says_why(self):
        self.fake.add(A, "failed", [0, None], reason="more items failed than tolerated")
        self.assert_ended(self.cli("results", A), 3, ["0", "null"], ["the job ended as failed: more items failed than tolerated"])

    def test_cancelled_items_are_counted_apart_from_failed_ones(self):
        cut = {"name": "cancelled", "cause": "it was cancelled by a client", "sent": False}
        self.fake.add(A, "cancelled", [0, (7, cut)])
        self.fake.add(B, "cancelled", [0, None, (7, cut)])
        for job, counts, count in ((A, "1/8, 0 failed, 7 cancelled", "7 of 8 items were cancelled"),
                                   (B, "2/9, 1 failed, 7 cancelled", "1 of 9 items failed (1 task_error), and 7 were cancelled")):
            self.assert_ended(self.cli("wait", job), 3, [f"{job}  cancelled  {counts}"])
            self.assert_ended(self.cli("results", job, "--skip-failed"), 3, ["0"], [count])
        self.assertEqual([line.split()[3] for line in self.cli("jobs").lines], ["DONE", "2/9", "1/8"])

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


if __name__ == "__main__":
    main()
