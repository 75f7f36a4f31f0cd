"""Durable jobs of a `fantail local`. The jobs continue after the services of `fantail local` have ended. The items of a
job can come from standard input. The jobs are kept in a folder."""
import json
import os
import re
import select
import signal
import subprocess

from cli_testing import FANTAIL, LocalTest
from fantail_testing import EXAMPLE_TASKS, command_line, descendants, main, request, wait_until, write_file
from ports import is_listened_on


class Surviving(LocalTest):
    """Commands and jobs continue after the services of their fleet have been killed."""

    def setUp(self):
        super().setUp()
        self.gate_path, self.runs = os.path.join(self.folder, "gate"), os.path.join(self.folder, "runs")
        # Items below 3 are answered immediately. All other items are answered when the gate is open.
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

    def test_a_start_says_how_many_jobs_of_an_earlier_run_continue(self):
        fleet = self.start_fleet()
        self.assertNotIn("earlier run", fleet.stderr())
        for _ in range(2):
            self.submit()
        self.assertEqual(fleet.stop(), 0)
        fleet = self.start_fleet()
        wait_until(lambda: "fantail: 2 jobs of an earlier run continue; `fantail jobs` lists them\n" in fleet.stderr(), "the line")

    def test_a_job_whose_task_is_gone_says_so_everywhere(self):
        fleet = self.start_fleet()
        job_id = self.submit()
        self.assertEqual(fleet.stop(), 0)
        with_the_task, self.task_folder = self.task_folder, EXAMPLE_TASKS
        fleet = self.start_fleet()
        results, wait, events = (self.follow(command, job_id) for command in ("results", "wait", "events"))
        why = "waits: no worker has the task"
        wait_until(lambda: f"job {job_id} {why}" in wait.stderr(), "wait")
        wait_until(lambda: f"the job {why}" in results.stderr(), "results")
        wait_until(lambda: why in events.stdout(), "events")
        detail = 'there is no task "gated"; the workers have '
        self.assertIn(f"waits     no worker has the task: {detail}", self.cli("status", job_id, "--url", self.url).out.decode())
        [shown] = [json.loads(line) for line in self.cli("jobs", "--json", "--url", self.url).lines]
        self.assertEqual((shown["status"], shown["waiting"]["reason"]), ("running", "no_task"))
        self.assertIn(detail, shown["waiting"]["detail"])
        lines = self.follow("results", job_id, "--json")
        wait_until(lambda: '{"type":"waiting","reason":"no_task","detail":"there is no task' in lines.stdout(), "the line of the stream")
        self.assertRegex(fleet.stderr(), f'a durable job waits: job="{job_id}" task="gated" reason="no_task"')
        self.assertEqual(fleet.stop(), 0)
        self.task_folder = with_the_task
        self.open_gate()
        self.start_fleet()
        for program in (results, wait, events, lines):
            self.assertEqual(program.wait(), 0, program.describe())

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
        done, cancelled = re.search(rb"  cancelled  (\d)/8, 0 failed, (\d) cancelled\n", ended.out).groups()
        self.assertEqual(int(done) + int(cancelled), 8, ended)


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

    def test_the_items_may_be_arguments_or_the_lines_of_a_file(self):
        self.start_fleet()
        ended = self.cli("map", "echo", "--detach", "--text", ":::", "a", "b", ":::", "c", FANTAIL_URL=self.url)
        self.assertEqual(self.results(ended).lines, ['["a","c"]', '["b","c"]'])
        write_file(os.path.join(self.folder, "numbers"), "1\n2\n")
        ended = self.cli("map", "echo", "--detach", "-a", "numbers", stdin="3\n", FANTAIL_URL=self.url)
        self.assertEqual(self.results(ended).lines, ["1", "2"])

    def test_a_reduced_job_has_one_result(self):
        self.start_fleet()
        ended = self.map("square", "--reduce", "sum", stdin="".join(f"{n}\n" for n in range(2000)))
        self.assertEqual(self.results(ended).lines, [str(sum(n * n for n in range(2000)))])
        items = self.cli("results", "--from", "1998", ended.lines[0], FANTAIL_URL=self.url)
        self.assertEqual(items.lines, [str(n * n) for n in (1998, 1999)])
        ended = self.map("square", "--reduce", "max", stdin="")
        self.assertEqual(self.results(ended).lines, ["null"])

    def test_a_job_object_as_the_only_item_gets_a_hint(self):
        self.start_fleet()
        ended = self.map("echo", stdin='{"task":"echo","items":[1]}\n')
        self.assertEqual((ended.status, len(ended.lines)), (0, 1), ended)
        self.assertIn(b"fantail: hint: the only item looks like a job object", ended.err)
        ended = self.map("echo", stdin='{\n "task":"echo",\n "items":[1]}\n')
        self.assertEqual((ended.status, ended.out), (3, b""), ended)
        self.assertIn(b"a job object that has several lines must be sent as application/json", ended.err)

    def test_values_that_cannot_be_reduced_are_status_3(self):
        self.start_fleet()
        ended = self.map("echo", "--reduce", "sum", stdin='1\n"x"\n')
        results = self.cli("results", ended.lines[0], FANTAIL_URL=self.url)
        self.assertEqual((results.status, results.out), (3, b""), results)
        self.assertIn(b"the job ended as failed: sum cannot be applied to the value of item 2 (index 1)", results.err)

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
        """Starts a command whose input has begun but does not end."""
        process = subprocess.Popen([FANTAIL, "map", "square", "--detach"], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.environment(FANTAIL_URL=self.url))
        process.stdin.write(b"3\n" * 1000000)  # more bytes than the pipe holds, so some of them were sent when this call returns
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

    def map_file(self, path, offset=0):
        """Makes a durable job from the lines of a file. Returns (status, output, messages, the offset of the file)."""
        with open(path, "rb") as file:
            file.seek(offset)
            ended = subprocess.run([FANTAIL, "map", "square", "--detach"], stdin=file, capture_output=True, timeout=60,
                                   env=self.environment(FANTAIL_URL=self.url))
            return ended.returncode, ended.stdout.decode(), ended.stderr.decode(), os.lseek(file.fileno(), 0, os.SEEK_CUR)

    def test_a_file_is_sent_from_its_offset(self):
        self.start_fleet()
        path = os.path.join(self.folder, "items")
        write_file(path, "1\n2\n3\n")
        for offset, values in ((0, ["1", "4", "9"]), (2, ["4", "9"]), (6, [])):
            status, out, err, _ = self.map_file(path, offset)
            self.assertEqual((status, err), (0, ""), offset)
            self.assertEqual(self.cli("results", out.strip(), FANTAIL_URL=self.url).lines, values)

    def test_input_beyond_the_limit_is_refused_with_what_to_do_and_a_file_before_it_is_read(self):
        self.local("--port", self.url.rsplit(":", 1)[1], env=self.environment(FANTAIL_MAX_BODY_BYTES="100000"))
        path = os.path.join(self.folder, "items")
        write_file(path, "12345678\n" * 5_000_000)
        status, out, err, read = self.map_file(path)
        self.assertEqual((status, out), (3, ""), err)
        self.assertLess(read, os.path.getsize(path))
        piped = self.map("square", stdin="12345678\n" * 50_000)
        self.assertEqual((piped.status, piped.out), (3, b""), piped)
        for text in (err, piped.err.decode()):
            self.assertIn("(413)", text)
            self.assertIn("100000", text)
            self.assertIn("send the items as several jobs, or start the coordinator with a larger --max-body-bytes", text)
        self.assertEqual(self.cli("jobs", "--json", FANTAIL_URL=self.url).lines, [])

    def test_without_a_store_no_item_is_sent(self):
        self.start_fleet("--store", "none")
        ended = self.map("square", stdin="1\n")
        self.assertEqual((ended.status, ended.out), (3, b""), ended)
        self.assertIn(b"has no job store", ended.err)

    def test_wrong_usage_is_status_2_and_says_what(self):
        for arguments, word in ((["square", "--detach", "--reduce", "product"], "--reduce: "), (["square", "--detach", "-0"], "--null: "),
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


if __name__ == "__main__":
    main()
