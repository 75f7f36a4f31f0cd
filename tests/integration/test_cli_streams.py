"""The standard descriptors of the program `fantail`: closed, full, or a terminal. The file also tests what the program
says about its input."""
import os
import subprocess

from cli_testing import FANTAIL, CliTest, LocalTest
from fantail_testing import EXAMPLE_TASKS, main, write_file

JOB = '{"task":"square","items":[1,2,3]}'


class StandardOutput(LocalTest):
    """Every command fails if its results cannot be written."""

    def run_to(self, output, *arguments):
        """Runs a command with the redirection `output`, such as ">&-". Returns the status and standard error."""
        ended = subprocess.run(["sh", "-c", f'exec "$@" {output}', "sh", FANTAIL, *arguments], capture_output=True, text=True,
                               stdin=subprocess.DEVNULL, cwd=self.folder, env=self.environment(**self.env), timeout=60)
        return ended.returncode, ended.stderr

    def test_a_command_whose_output_cannot_be_written_fails(self):
        program = self.local("--port", 0, "--store", f"sqlite:{self.folder}/jobs")
        self.env = {"FANTAIL_URL": program.stdout().split()[-1]}
        write_file(os.path.join(self.folder, "job"), JOB)
        job = self.cli("submit", "--detach", "-f", "job", **self.env).lines[0]
        self.assertEqual(self.cli("wait", job, **self.env).status, 0)
        for command in (["--version"], ["--help"], ["map", "--help"], ["tasks"], ["jobs"], ["status", job], ["wait", job],
                        ["events", job], ["results", job], ["results", "--json", job], ["submit", "-f", "job"],
                        ["submit", "--ndjson", "-f", "job"], ["submit", "--detach", "-f", "job"], ["cancel", job]):
            for output, why in (">/dev/full", "No space left on device"), (">&-", "(it is closed|Bad file descriptor)"):
                with self.subTest(command, output=output):
                    status, err = self.run_to(output, *command)
                    self.assertEqual(status, 3, err)
                    self.assertRegex(err, rf"fantail: cannot write (the results|to standard output): {why}\n$")
                    self.assertEqual(err.count("cannot write"), 1)

    def test_map_does_not_begin_if_standard_output_is_closed(self):
        self.env = {}
        for command in (["map", "square", "--tasks", EXAMPLE_TASKS, ":::", "3"], ["map", "--", "touch", "made", ":::", "3"]):
            self.assertEqual(self.run_to(">&-", *command), (2, "fantail: standard output is closed, so the results would be "
                                                               "lost. `> /dev/null` drops them\n"))
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_fleet_runs_without_standard_output(self):
        program = subprocess.Popen(["sh", "-c", f"exec {FANTAIL} local --port 0 --tasks {EXAMPLE_TASKS} --admin-port 0 >&-"],
                                   stderr=subprocess.PIPE, cwd=self.folder, env=self.environment())
        with program:
            self.assertIn(b"metrics of", program.stderr.readline())
            program.terminate()
            program.stderr.read()
            self.assertEqual(program.wait(60), 0)


class Advice(CliTest):
    """Messages about things that may surprise the user."""

    def test_a_terminal_as_input_is_named(self):
        for options, said in ((), b"fantail: reading the items from the terminal, one on each line; Ctrl-D ends them\n"), (
                ("-q",), b""):
            master, slave = os.openpty()
            with os.fdopen(master, "r+b", buffering=0) as keyboard:
                process = subprocess.Popen([FANTAIL, "map", *options, "--", "echo"], stdin=slave, stdout=subprocess.PIPE,
                                           stderr=subprocess.PIPE, cwd=self.folder, env=self.environment())
                os.close(slave)
                with process:
                    keyboard.write(b"three\n\x04")
                    self.assertEqual(process.communicate(timeout=60), (b"three\n", said))

    def test_a_command_says_that_it_does_not_run_on_the_fleet_of_the_environment(self):
        for options, said in ((), b"fantail: the command runs on this machine, although FANTAIL_URL is set: a fleet runs tasks "
                                  b"only\n"), (("-q",), b""):
            ended = self.cli("map", *options, "--", "echo", ":::", "3", FANTAIL_URL="http://127.0.0.1:9")
            self.assertEqual((ended.status, ended.out, ended.err), (0, b"3\n", said))

    def test_the_processes_of_a_running_fleet_cannot_be_chosen(self):
        ended = self.cli("map", "square", "-P", 2, "--url", "http://127.0.0.1:9")
        self.assertEqual(ended.status, 2)
        self.assertIn(b"--max-concurrency limits how many items run there at once", ended.err)

    def test_a_command_without_dashes_is_shown_with_them(self):
        ended = self.cli("map", "gzip", "--tasks", "absent", ":::", "1")
        self.assertEqual(ended.status, 2)
        self.assertIn(b"--tasks: absent is not a directory. ", ended.err)
        self.assertIn(b"To run the command gzip: `fantail map --tasks absent -- gzip ::: 1`\n", ended.err)
        ended = self.cli("map", "expr", "2")
        self.assertEqual((ended.status, ended.err),
                         (2, b"fantail map: unexpected argument 2. To run the command expr: `fantail map -- expr 2`\n"))
        ended = self.cli("map", "wc", "-c")
        self.assertEqual(ended.status, 2)
        self.assertIn(b"`fantail map -- COMMAND", ended.err)

    def test_a_command_without_dashes_is_shown_before_an_item_is_read(self):
        for name in ("a", "b c"):
            with open(os.path.join(self.folder, name), "w", encoding="utf-8"):
                pass
        for words, stdin, meant in (
                ([], "not JSON\n", "-- gzip"),
                ([":::", "a", "x$y"], "", "-- gzip ::: a 'x$y'"),
                (["-k", "a"], "", "-- gzip -k ::: a"),
                (["a", "b c"], "", "-- gzip ::: a 'b c'"),
                (["-9", "-S", ".z", "a"], "", None),
                (["-j2", ":::", "a"], "", "-- gzip -j2 ::: a"),
                (["--quiet", "--retries", "2", ":::", "--null"], "", "--quiet --retries 2 -- gzip ::: --null")):
            with self.subTest(words):
                ended = self.cli("map", "--tasks", EXAMPLE_TASKS, "gzip", *words, stdin=stdin)
                self.assertEqual((ended.status, ended.out), (2, b""), ended)
                if meant:
                    self.assertTrue(ended.err.decode().endswith(
                        f". To run the command gzip: `fantail map --tasks {EXAMPLE_TASKS} {meant}`\n"), ended)

    def test_a_command_without_dashes_does_not_wait_for_a_terminal(self):
        master, slave = os.openpty()
        self.addCleanup(os.close, master)
        with os.fdopen(slave) as keyboard:
            ended = subprocess.run([FANTAIL, "map", "--tasks", EXAMPLE_TASKS, "gzip"], stdin=keyboard, capture_output=True,
                                   cwd=self.folder, env=self.environment(), timeout=60, check=False)
        self.assertEqual((ended.returncode, ended.stderr.decode()),
                         (2, f"fantail map: the folder {EXAMPLE_TASKS} has no task gzip. To run the command gzip: "
                             f"`fantail map --tasks {EXAMPLE_TASKS} -- gzip`\n"))


if __name__ == "__main__":
    main()
