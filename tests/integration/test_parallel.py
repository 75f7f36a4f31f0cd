"""`fantail parallel`: its options, its exit statuses, and the examples of GNU parallel's manual, which run under both
programs."""
import os
import re
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import fantail_testing as ft
import parallel_examples as examples
import parallel_tutorial as tutorial
from cli_testing import FANTAIL, CliTest
from fantail_testing import have, main

WRAPPER = f'#!/bin/bash\nexec {FANTAIL} parallel "$@"\n'
ANSWER_S = 300
RUN_IN_SHELL = '"$0" parallel "echo \\$0 #" ::: 1; exit $?'


def lines_of_commands(err):
    """Returns the lines of standard error that the commands have written, without the messages of the two programs. The
    words of these messages differ. After "This job failed:" comes the command line. The lines that show the progress
    differ too."""
    if b"\r" in err:
        return []
    err = re.sub(rb"^parallel: This job \w+:\n.*\n", b"", err, flags=re.M)
    return [line for line in err.splitlines() if not line.startswith((b"parallel: ", b"fantail: ", b"fantail parallel: "))]


class Result:
    """What an example has done. The order of lines is not promised, so they are sorted."""

    def __init__(self, ended, folder):
        self.status, self.err = ended.returncode, ended.stderr
        self.lines = sorted(ended.stdout.replace(folder.encode(), b"FOLDER").splitlines())
        self.said = sorted(lines_of_commands(ended.stderr.replace(folder.encode(), b"FOLDER")))
        self.files = {}
        for place, _, names in os.walk(folder):
            self.files[os.path.relpath(place, folder)] = None
            for name in names:
                if name == "exitval":  # --results of GNU parallel has no such file
                    continue
                with open(os.path.join(place, name), "rb") as file:
                    self.files[os.path.relpath(os.path.join(place, name), folder)] = file.read()

    def __eq__(self, other):
        return (self.status, self.lines, self.said, self.files) == (other.status, other.lines, other.said, other.files)

    def __repr__(self):
        return f"status {self.status}, lines {self.lines[:20]}, files {sorted(self.files)}, stderr {self.err[-500:]}"


class Examples(CliTest):
    TIME_LIMIT_S = 900  # each test runs hundreds of programs
    def setUp(self):
        super().setUp()
        if not have("parallel"):
            self.skipTest("GNU parallel is not installed")
        self.home, self.bin = os.path.join(self.folder, "home"), os.path.join(self.folder, "bin")
        os.makedirs(os.path.join(self.home, ".parallel"))
        os.makedirs(self.bin)
        with open(os.path.join(self.home, ".parallel", "will-cite"), "w", encoding="utf-8"):
            pass
        with open(os.path.join(self.bin, "parallel"), "w", encoding="utf-8") as file:
            file.write(WRAPPER)
        os.chmod(os.path.join(self.bin, "parallel"), 0o755)

    def run_one(self, number, example, ours):
        folder = os.path.join(self.folder, f"{number}-{'fantail' if ours else 'gnu'}")
        os.makedirs(folder)
        for name, text in examples.FILES.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        script = folder + ".sh"
        with open(script, "w", encoding="utf-8") as file:
            file.write(example + "\n")
        path = os.environ["PATH"]
        environment = self.environment(HOME=self.home, LC_ALL="C.UTF-8", PATH=f"{self.bin}:{path}" if ours else path)
        ended = subprocess.run(["bash", script], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                               capture_output=True, timeout=ANSWER_S, check=False)
        result = Result(ended, folder)
        shutil.rmtree(folder)
        return result

    def run_both(self, number, example):
        return example, self.run_one(number, example, False), self.run_one(number, example, True)

    def run_all(self, chosen):
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(self.run_both, range(len(chosen)), chosen))

    def test_the_examples_of_the_manual_do_the_same(self):
        self.assertGreater(len(examples.SAME), 60)
        self.assert_same(examples.SAME)

    def test_the_examples_of_the_tutorial_do_the_same(self):
        self.assertGreater(len(tutorial.SAME), 100)
        self.assert_same(tutorial.SAME)

    def test_standard_error_is_tagged_in_the_same_way(self):
        self.assert_same([r"parallel --tag 'echo out; echo err-{} >&2; echo more >&2' ::: A B C",
                          r"""parallel --tagstring '{}-{#}' -k 'printf "%s\n" err-{} >&2' ::: A B C"""])

    def assert_same(self, chosen):
        for example, theirs, ours in self.run_all(chosen):
            self.assertNotRegex(ours.err, rb"Sanitizer|runtime error:|BUG at", example)
            with self.subTest(example):
                self.assertEqual(theirs, ours)

    def test_an_example_with_a_reason_differs(self):
        of_manual = examples.reasons()
        of_tutorial = [example for example in tutorial.DIFFERENT if example not in of_manual]
        for example, theirs, ours in self.run_all([*of_manual, *of_tutorial]):
            self.assertNotRegex(ours.err, rb"Sanitizer|runtime error:|BUG at", example)
            with self.subTest(example):
                self.assertNotEqual(theirs, ours)


class Documented(CliTest):
    def read_page(self):
        with open(os.path.join(ft.ROOT, "docs", "parallel.md"), encoding="utf-8") as file:
            return file.read()

    def section(self, heading):
        [part] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", self.read_page(), re.M | re.S)
        return part

    def options_of(self, part):
        """Returns the options in the first cells of the tables."""
        cells = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
        return [option for cell in cells for option in re.findall(r"`(-[^ `]+)", cell)]

    def test_the_table_has_the_examples_that_differ(self):
        rows = [line for line in self.section("Examples that differ").splitlines() if line.startswith("| `")]
        self.assertEqual(rows, examples.table())

    def test_the_tables_have_the_examples_of_the_tutorial(self):
        self.assertGreater(len(tutorial.NOT_RUN), 20)
        rows = [line for line in self.section("Examples of the tutorial").splitlines() if line.startswith("| ")]
        titles = ["| chapter | same | differ | not run |", "| example | why |"]
        self.assertEqual([row for row in rows if row not in titles], [*tutorial.numbers(), *tutorial.table()])

    def test_the_tables_have_every_option_of_the_help(self):
        text = self.cli("parallel", "--help").out.decode()
        names = re.findall(r"^  (?:(-\w), )?(--[A-Za-z0-9-]+)", text, re.M)
        known = {name for pair in names for name in pair if name} - {"--help", "--version", "--print-config", "-h"}
        listed = self.options_of(self.section("Options"))
        self.assertEqual(sorted(set(listed)), sorted(listed))
        self.assertEqual(sorted(known - set(listed)), [])
        self.assertEqual(sorted(name for name in set(listed) - known if not self.is_option(name)), [])

    def is_option(self, name):
        """Returns whether the program accepts the option, even if --help does not list this name."""
        return b"unknown option" not in self.cli("parallel", name, "1", "--help").err

    def test_an_option_that_is_not_there_is_refused_with_advice(self):
        for name in self.options_of(self.section("Options that are not there")):
            ended = self.cli("parallel", name, "x", "echo")
            self.assertEqual((ended.status, ended.out), (2, b""), name)
            self.assertRegex(ended.err.decode(), rf"\Afantail parallel: {re.escape(name)}: unknown option; (?!see|did)", name)


    def test_map_has_each_option_or_gives_advice(self):
        for name in self.options_of(self.section("Options") + self.section("Options that are not there")):
            err = self.cli("map", name, "1", "--help").err.decode()
            if "unknown option" in err:
                self.assertRegex(err, rf"\Afantail map: {re.escape(name)}: unknown option; (?!see)", name)


class Parallel(CliTest):
    def assert_parallel(self, arguments, lines, status=0, **more):
        ended = self.cli("parallel", *arguments, **more)
        self.assertEqual((ended.status, sorted(ended.lines)), (status, sorted(lines)), ended)
        return ended

    def test_the_exit_status_is_the_number_of_failed_commands(self):
        self.assert_parallel(["exit", ":::", 0, 1, 2], [], 2)
        self.assert_parallel(["false", ":::", *range(100)], [], 100)
        self.assert_parallel(["false", ":::", *range(101)], [], 101)
        self.assert_parallel(["false", ":::", *range(105)], [], 101)

    def test_the_exit_status_of_a_halted_run(self):
        run = ["-j1", "--halt"]
        self.assert_parallel([*run, "now,fail=1", "exit", ":::", 0, 7, 0], [], 7)
        self.assert_parallel([*run, "soon,fail=1", "kill -9 $$;", ":::", 0], [], 137)
        self.assert_parallel([*run, "now,fail=2", "exit", ":::", 7, 7, 0], [], 2)
        self.assert_parallel([*run, "now,success=1", "exit", ":::", 7, 0, 1], [], 0)
        self.assert_parallel([*run, "now,done=1", "exit", ":::", 7, 0, 1], [], 7)
        self.assert_parallel([*run, "soon,fail=40%", "exit", ":::", 7, 7, 1, 1, 1], [], 40)

    def test_values_are_quoted_unless_they_are_the_command(self):
        hostile = ["a b", "it's", "$HOME", "; echo bad", "*", '"']
        self.assert_parallel(["printf '%s\\n'", ":::", *hostile], hostile)
        self.assert_parallel([":::", "echo a; echo b", "echo c"], ["a", "b", "c"])
        self.assert_parallel(["{1} {2}", ":::", "echo a;", ":::", "echo b"], ["a", "b"])
        self.assert_parallel(["x={}; echo $x", ":::", "echo a"], ["echo a"])

    def test_no_command_line_is_too_long(self):
        many = [str(n) for n in range(30000)]
        for options, words in ((["-q", "-X"], ["a b{}"]), (["-q", "-m"], ["it's", "{}"]), (["-q", "-X"], ["''''{}"]),
                               (["--plus", "-X"], ["x{..}", "{..}{+.}"])):
            ended = self.cli("parallel", "-j1", *options, "echo", *words, stdin="\n".join(many))
            self.assertEqual((ended.status, ended.err), (0, b""), words)
            printed = ended.out.decode().replace("a b", "").replace("'", "").split()
            self.assertEqual(len(set(many) - set(printed)), 0, words)

    def test_the_output_is_unchanged_and_only_that(self):
        ended = self.cli("parallel", "-k", "printf '%s' {}; exit 3", ":::", "a", "", "b\n")
        self.assertEqual((ended.status, ended.out, ended.err), (3, b"ab\n", b""), ended)

    def test_a_command_that_could_not_run_is_reported(self):
        ended = self.assert_parallel(["echo"], ["b"], 1, stdin="a\0a\nb\n")
        self.assertIn("the item has a NUL character, which an argument cannot have", ended.err.decode())
        for code in ("exit 1", "kill -9 $$"):
            ended = self.assert_parallel(["--timeout", 10, f"{code} #", ":::", "x"], [], 1)
            self.assertEqual(ended.err, b"", code)

    def test_a_command_that_has_timed_out_is_named(self):
        ended = self.assert_parallel(["--timeout", 1, "sleep 60 #", ":::", "x"], [], 1)
        self.assertEqual(ended.err, b"fantail: this command was killed because it timed out: sleep 60 # x\n")

    def test_the_commands_that_halt_count_are_named(self):
        run = ["-j1", "--halt"]
        for rule, codes, status, named in (
                ("now,fail=2", [7, 0, 8, 0], 2, ["failed: exit 7", "failed: exit 8"]),
                ("soon,success=1", [7, 0, 1], 0, ["succeeded: exit 0"]),
                ("now,done=1", [7, 0, 1], 7, ["has ended: exit 7"])):
            ended = self.assert_parallel([*run, rule, "exit", ":::", *codes], [], status)
            lines = ended.err.decode().splitlines()
            self.assertEqual(lines[:-1], [f"fantail: this command {end}" for end in named])
            self.assertRegex(lines[-1], rf"^fantail: halted after \d items? \(--halt {rule}\)$")

    def test_an_interrupt_says_how_many_commands_are_done(self):
        def printed():
            with open(path, "rb") as file:
                return file.read().split()

        path = os.path.join(self.folder, "out")
        for options in [], ["--bar"]:
            with open(path, "wb") as out:
                run = subprocess.Popen([FANTAIL, "parallel", *options, "-j1", "[ {} != 3 ] || sleep 60; echo {}; [ {} != 1 ]",
                                        ":::", "1", "2", "3", "4"], cwd=self.folder, env=self.environment(), stdout=out,
                                       stderr=subprocess.PIPE)
            with run:
                ft.wait_until(lambda: printed() == [b"1", b"2"], "the first two commands")
                run.send_signal(signal.SIGINT)
                err = run.communicate(timeout=60)[1].decode()
            self.assertEqual(run.returncode, -signal.SIGINT)
            self.assertEqual(err.rpartition("\x1b[K")[2], "fantail: cancelled after 2 of 4 items; 1 failed\n")

    def test_a_bar_ends_with_a_last_line(self):
        for codes, status, end in ((["0", "0"], 0, r"2 items in \d.*"), (["0", "1"], 1, "1 of 2 items failed")):
            ended = self.assert_parallel(["--bar", "exit", ":::", *codes], [], status)
            self.assertRegex(ended.err.decode().rpartition("\x1b[K")[2], rf"\Afantail: {end}\n\Z")
            self.assertEqual(self.assert_parallel(["exit", ":::", *codes], [], status).err, b"")

    def test_citation_runs_nothing(self):
        self.assert_parallel(["--citation"], [], stdin="echo bad\n")

    def test_commands_are_printed(self):
        self.assert_parallel(["-k", "-v", "echo", ":::", "a b"], ["a b", "echo 'a b'"])
        ended = self.assert_parallel(["-t", "echo", ":::", "a b"], ["a b"])
        self.assertEqual(ended.err, b"echo 'a b'\n")

    def test_command_lines_are_quoted_instead_of_run(self):
        self.assert_parallel(["-k", "--shellquote", ":::", "a b", "c", "it's"], ["'a b'", "c", "'it'\"'\"'s'"])
        self.assert_parallel(["--shellquote", "echo", "$HOME", "{}", ":::", "c"], ["'echo $HOME c'"])

    def test_a_variable_has_the_number_of_the_slot(self):
        self.assert_parallel(["-j1", "--process-slot-var", "GPU", "echo $GPU #", ":::", 1, 2], ["0", "0"])
        both = "echo $GPU $PARALLEL_JOBSLOT; touch $GPU; until [ -e 0 ] && [ -e 1 ]; do sleep 0.01; done #"
        self.assert_parallel(["-j2", "--process-slot-var", "GPU", both, ":::", 1, 2], ["0 1", "1 2"])

    def test_a_record_has_several_lines(self):
        ten = "".join(f"{n}\n" for n in range(10))
        self.assert_parallel(["-k", "--pipe", "-L3", "wc -l"], ["9", "1"], stdin=ten)
        self.assert_parallel(["-k", "--pipe", "-L2", "--block", 10, "wc -l"], ["4", "4", "2"], stdin=ten)
        self.assert_parallel(["-k", "--pipe", "-L2", "-N2", "wc -l"], ["4", "4", "2"], stdin=ten)
        ended = self.cli("parallel", "--pipepart", "-a", "/proc/version", "-L2", "wc -l")
        self.assertEqual((ended.status, ended.out), (2, b""), ended)
        self.assertIn("--pipepart: does not count records (-N, -L)", ended.err.decode())

    def test_a_header_has_several_lines_or_bytes(self):
        table = "".join(f"{text}\n" for text in ("head 1", "head 2", 1, 2, 3))
        with open(os.path.join(self.folder, "table"), "w", encoding="utf-8") as file:
            file.write(table)
        for options in (["--pipe"], ["--pipepart", "-a", "table", "--block", 4]):
            count = [] if "-a" in options else ["-N2"]
            self.assert_parallel(["-k", *options, *count, "--header", "2", "paste -sd,"],
                                 ["head 1,head 2,1,2", "head 1,head 2,3"], stdin=table)
        self.assert_parallel(["-k", "--pipe", "--header", ".{2}", "--block", 3, "--recend", "", "cat; echo"],
                             ["ab123", "ab45"], stdin="ab12345")
        ended = self.cli("parallel", "--pipe", "--header", "x", "cat", stdin=table)
        self.assertEqual((ended.status, ended.out), (2, b""), ended)
        self.assertIn("--header: must be :, a number of lines, or .{N} for N bytes", ended.err.decode())

    def test_the_only_host_is_this_machine(self):
        self.assert_parallel(["-S", ":", "echo", ":::", "a"], ["a"])
        ended = self.cli("parallel", "-S", "server", "echo", ":::", "a")
        self.assertEqual((ended.status, ended.out), (2, b""), ended)
        self.assertIn("fantail parallel: -S: may only be :, because a command runs on this machine only.", ended.err.decode())

    def test_a_folder_for_the_commands(self):
        os.mkdir(os.path.join(self.folder, "sub"))
        self.assert_parallel(["--wd", "sub", "basename $PWD #", ":::", 1], ["sub"])
        ended = self.cli("parallel", "--wd", "none", "pwd", ":::", 1)
        self.assertEqual((ended.status, ended.err), (2, b"fantail parallel: --workdir: none is not a folder\n"))

    def test_the_shell_is_the_one_that_has_started_the_program(self):
        for shell in ("bash", "dash"):
            ended = subprocess.run([shell, "-c", RUN_IN_SHELL, FANTAIL], capture_output=True, env=self.environment(), check=True)
            self.assertEqual(os.path.basename(ended.stdout.strip()).decode(), shell)
        self.assert_parallel(["echo $0 #", ":::", 1], ["/bin/sh"], PARALLEL_SHELL="/bin/sh")

    def test_the_shell_may_be_the_first_process(self):
        """In a container, the shell of the user is often process 1."""
        container = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
        if subprocess.run([*container, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("this user cannot make a PID namespace")
        ended = subprocess.run([*container, "bash", "-c", RUN_IN_SHELL, FANTAIL], capture_output=True,
                               env=self.environment(SHELL="/bin/sh"), check=True)
        self.assertEqual(os.path.basename(ended.stdout.strip()), b"bash")

    def test_what_cannot_be_done_is_refused(self):
        for arguments, message in (
                (["echo {= $_++ =}"], "{= =}: fantail runs no Perl. Edit or test the value in the command, for example "
                                      "with sed or ${name%.*}"),
                (["-q"], "--quote: needs a command"),
                (["--trim", "x", "echo"], "--trim: must be l, r, lr or n"),
                (["--retries", "x", "echo"], '--retries: must be a whole number from 0 to 1000, not "x"'),
                (["--jobz", "2"], "--jobz: unknown option; did you mean --jobs? Otherwise see fantail parallel --help")):
            ended = self.cli("parallel", *arguments)
            self.assertEqual((ended.status, ended.err.decode()), (2, f"fantail parallel: {message}\n"), arguments)


if __name__ == "__main__":
    main()
