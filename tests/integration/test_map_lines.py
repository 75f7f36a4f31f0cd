"""`fantail map --line-buffer`: the lines of commands are printed as they come."""
import os
import subprocess

from cli_testing import FANTAIL
from fantail_testing import main, wait_until, write_file
from test_map_log import LogTest


class Lines(LogTest):
    def test_a_line_is_printed_while_its_command_runs(self):
        script = 'echo "$1 begins"; until [ -e end ]; do sleep 0.02; done; echo "$1 ends"'
        with open(self.path("out"), "wb") as out:
            run = subprocess.Popen([FANTAIL, "map", "--lb", "-j", "2", "--", "sh", "-c", script, "sh", ":::", "a", "b"],
                                   stdout=out, env=self.environment(), cwd=self.folder)
        self.addCleanup(run.wait)
        self.addCleanup(run.kill)
        wait_until(lambda: self.read("out").count(b"\n") == 2, "the first line of each command")
        self.assertEqual(sorted(self.read("out").splitlines()), [b"a begins", b"b begins"])
        write_file(self.path("end"), "")
        self.assertEqual(run.wait(60), 0)
        self.assertEqual(sorted(self.read("out").splitlines()), [b"a begins", b"a ends", b"b begins", b"b ends"])

    def test_lines_are_whole_whatever_their_length(self):
        script = 'for i in 1 2 3 4 5 6 7 8; do head -c "$2" /dev/zero | tr "\\0" "$1"; echo; echo "$1"; done'
        ended = self.map("--line-buffer", "-j", "4", "--", "sh", "-c", script, "sh", "{1}", "{2}", ":::", *"abcd", ":::+",
                         "100", "5000", "70000", "300000")
        expected = [line for letter, length in zip("abcd", (100, 5000, 70000, 300000)) for line in (letter * length, letter) * 8]
        self.assertEqual(sorted(ended.lines), sorted(expected))

    def test_all_that_is_printed_is_what_the_commands_print(self):
        self.assertEqual(self.map("--lb", "--", "printf", r"a\nb\377\0", ":::", "").out, b"a\nb\xff\0\n")
        ended = self.map("--lb", "-q", "--", "sh", "-c", 'printf "$1"; exit "$1"', "sh", ":::", "1", status=1)
        self.assertEqual((ended.out, ended.err), (b"1\n", b""))
        self.assertEqual(self.map("--lb", "--", "true", ":::", "a").out, b"")
        self.assertEqual(self.map("--lb", "--dry-run", "--", "echo", ":::", "a").lines, ["echo a"])

    def test_tags_stand_before_each_line(self):
        ended = self.map("--lb", "--tagstring", "{#} {}", "--", "printf", r"1\n2", ":::", "a", "b")
        self.assertEqual(sorted(ended.lines), ["1 a\t1", "1 a\t2", "2 b\t1", "2 b\t2"])

    def test_the_output_may_be_longer_than_a_result(self):
        ended = self.map("--lb", "--joblog", "log", "--", "sh", "-c", "yes 0123456789 | head -n 7000000", "sh", ":::", "a")
        self.assertEqual(len(ended.out), 77_000_000)
        self.assertEqual(ended.out.count(b"0123456789\n"), 7_000_000)
        self.assertEqual(self.log()[0]["Receive"], "77000000")

    def test_of_a_line_that_is_too_long_nothing_is_printed(self):
        script = "echo before; head -c 70000000 /dev/zero; echo; echo after"
        ended = self.map("--lb", "-q", "--errors", "errors", "--", "sh", "-c", script, "sh", ":::", "a", status=1)
        self.assertEqual(ended.out, b"before\n")
        self.assertIn(b"bad_output", self.read("errors"))

    def test_an_error_still_has_the_end_of_the_output(self):
        ended = self.map("--lb", "-q", "--errors", "errors", "--", "sh", "-c", "seq 3; exit 4", "sh", ":::", "a", status=1)
        self.assertEqual(ended.lines, ["1", "2", "3"])
        self.assertIn(b'"stdout":"1\\n2\\n3\\n"', self.read("errors"))

    def test_each_attempt_prints_its_lines(self):
        ended = self.map("--lb", "-q", "--retries", 2, "--", "sh", "-c", "echo try; exit 1", "sh", ":::", "a", status=1)
        self.assertEqual(ended.lines, ["try", "try"])

    def test_the_lines_are_those_of_gnu_parallel(self):
        arguments = (":::", *"abc", ":::", "1", "2")
        theirs = self.parallel("--lb", "--tag", "-q", "printf", r"x{1}\ny{2}\n", *arguments)
        ours = self.map("--lb", "--tagstring", "{1} {2}", "--", "printf", r"x{1}\ny{2}\n", *arguments).out
        self.assertEqual(sorted(ours.splitlines()), sorted(theirs.splitlines()))

    def test_what_does_not_fit_is_refused(self):
        for options, why in ((["-k"], "--keep-order"), (["--json"], "--json"), (["--reduce", "count"], "--reduce")):
            ended = self.cli("map", "--lb", *options, "--", "echo", ":::", "1")
            self.assertEqual((ended.status, ended.err.decode()),
                             (2, f"fantail map: --line-buffer: cannot be given together with {why}\n"))
        ended = self.cli("map", "square", "--lb", ":::", "1")
        self.assertEqual((ended.status, ended.err), (2, b"fantail map: --lb: is for a command (after --) only\n"))

    def test_nothing_remains(self):
        tmp = self.path("tmp")
        os.mkdir(tmp)
        self.map("--lb", "--", "echo", ":::", "a", TMPDIR=tmp)
        self.assertEqual(os.listdir(tmp), [])


if __name__ == "__main__":
    main()
