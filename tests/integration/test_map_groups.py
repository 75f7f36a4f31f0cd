"""`fantail map` with several lines for one command (-n, -N, -m, -X and -s), and with --shell."""
import json
import os
import subprocess

from cli_testing import CliTest
from fantail_testing import have, main

TEN = "".join(f"{n}\n" for n in range(1, 11))
HUNDRED = "".join(f"{n}\n" for n in range(1, 101))
HOSTILE = ["a b", "it's", "$HOME", "$(touch bad)", "`touch bad`", "; touch bad", '"', "\\", "*", "", "-n", "\u00e4"]


class Grouped(CliTest):
    def assert_map(self, arguments, lines, status=0, **more):
        ended = self.cli("map", *arguments, **more)
        self.assertEqual((ended.status, ended.lines), (status, lines), ended)
        # On a busy machine a task may take a long time to load, and the program says so.
        self.assertRegex(ended.err, rb"\A(fantail: task echo takes a while to load\n)?\Z", ended)

    def parallel(self, *arguments, stdin="", **env):
        if not have("parallel"):
            self.skipTest("GNU parallel is not installed")
        asked = subprocess.run(["parallel", "--will-cite", "-k", *arguments], input=stdin.encode(), capture_output=True,
                               env=self.environment(**env), check=True, cwd=self.folder)
        return asked.stdout.decode().splitlines()


class Values(Grouped):
    def test_an_item_may_end_with_any_byte(self):
        show = ["--", "printf", "<%s>"]
        self.assert_map(["-d", ",", *show], ["<a", "b>", "<c>", "<>", "<d", ">"], stdin="a\nb,c,,d\n")
        self.assert_map(["-d", ",", "--raw", "--stdin", "--", "od", "-An", "-c"], ["   a  \\0   b", "   c  \\n"], stdin="a\0b,c\n")
        self.assert_map(["-d", "\\x1f", "-n", "2", *show], ["<a><b>", "<c>"], stdin="a\x1fb\x1fc")
        self.assert_map(["-d", "\\n", *show], ["<a>"], stdin="a\n")
        self.assert_map(["-d", "_", "-a", "-", *show, ":::", 1, 2], ["<a><1>", "<a><2>"], stdin="a_")
        self.assert_map(["echo", "-d", "_"], ['"a\\n"', '"b"'], stdin="a\n_b")

    def test_the_input_ends_at_a_line_and_blank_lines_are_left_out(self):
        show = ["--", "printf", "<%s>"]
        self.assert_map(["-E", "x", *show], ["<a>", "<>"], stdin="a\n\nx\nb\n")
        self.assert_map(["-E", "x", "-r", "-C", ",", *show], ["<a><b>"], stdin=" \na,b\nx\nc\n")
        self.assert_map(["-E", "x", "-r", *show, ":::", "a", "", "x", "b", ":::", 1, "x"], ["<a><1>"])

    def test_space_is_trimmed(self):
        for trim, value in (("l", "a "), ("r", " a"), ("lr", "a"), ("rl", "a"), ("n", " a ")):
            self.assert_map(["--trim", trim, "--", "printf", "<%s>"], [f"<{value}>"], stdin=" a \n")
            self.assert_map(["--trim", trim, "-C", ",", "--", "printf", "<%s>", "{1}"], [f"<{value}>"], stdin=" a ,b\n")

    def test_shorter_lists_begin_again(self):
        self.assert_map(["--link", "--", "echo", "{-1}{1}", ":::", "a", "b", "c", ":::", 1, 2], ["1a", "2b", "1c"])

    def test_a_random_order_has_each_item_once(self):
        for arguments, stdin in ((["--shuf"], HUNDRED), (["--shuf", "-a", "-"], HUNDRED), (["--shuf", "-r"], HUNDRED)):
            ended = self.cli("map", "-j", "1", *arguments, "--", "echo", stdin=stdin)
            self.assertEqual((ended.status, sorted(ended.lines)), (0, sorted(HUNDRED.split())), ended)
            self.assertNotEqual(ended.lines, HUNDRED.split())
        ended = self.cli("map", "--shuf", "--header", ":", "--", "echo", "{x}{y}", ":::", "x", 1, 2, ":::", "y", 3, 4)
        self.assertEqual((ended.status, sorted(ended.lines)), (0, ["13", "14", "23", "24"]), ended)

    def test_more_placeholders(self):
        self.assert_map(["--plus", "--", "echo", "{..} {+/} {1/a/X} {#}/{##}", ":::", "d/a.b.c"], ["d/a d d/X.b.c 1/1"])
        self.assert_map(["--plus", "--shell", "--", "echo {%b}.", ":::", "* b"], ["* ."])
        self.assert_map(["--plus", "--tagstring", "{+.}", "--", "echo", ":::", "a.b"], ["b\ta.b"])
        self.assert_map(["--", "echo", "{..}", ":::", "a.b"], ["{..} a.b"])

    def test_folders_of_results_have_the_names_of_the_columns(self):
        self.assert_map(["--results", "out", "--header", ":", "--", "echo", "{x}", ":::", "x", 1, ":::", "y/z", 2], ["1"])
        with open(os.path.join(self.folder, "out", "x", "1", "y\\_z", "2", "stdout"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "1\n")

    def test_wrong_values_are_refused(self):
        for arguments, message in (
                (["-d", "ab", "--", "echo"], "--delimiter: must be one byte, such as , or \\t or \\x1f"),
                (["-d", ",", "-0", "--", "echo"], "--delimiter: cannot be given together with --null"),
                (["-d", ",", "--json", "--", "echo"], "--delimiter: cannot be given together with --json"),
                (["--shuf", "--csv", "--", "echo"], "--shuf: cannot be given together with --csv"),
                (["--shuf", "--resume", "--joblog", "l", "--", "echo"], "--shuf: cannot be given together with --resume"),
                (["--plus", "--", "echo", "{##}"], "--plus: the number of items, {##}, is known only for several lists or "
                                                "after :::, and without columns and groups"),
                (["--trim", "x", "--", "echo"], "--trim: must be l, r, lr or n"),
                (["--trim", "l", "--csv", "--", "echo"], "--trim: cannot be given together with --csv"),
                (["echo", "-E", "x"], "--eof: is for values that are text. Give --text")):
            ended = self.cli("map", *arguments)
            self.assertEqual((ended.status, ended.err.decode()), (2, f"fantail map: {message}\n"), arguments)


class Groups(Grouped):
    def test_several_lines_are_the_arguments_of_one_command(self):
        show = ["--", "printf", "<%s>"]
        self.assert_map(["-n", "2", *show], ["<a b><c>", "<d>"], stdin="a b\nc\nd\n")
        self.assert_map(["-n", "2", *show, "x{}y", "{2}{3}"], ["<xa by><b>", "<xcy><>"], stdin="a\nb\nc\n")
        self.assert_map(["-N", "2", *show, "x{}y", "{2}"], ["<xay><xby><b>", "<xcy><>"], stdin="a\nb\nc\n")
        self.assert_map(["-N", "2", "-m", *show, "x{}y"], ["<xa by>", "<xcy>"], stdin="a\nb\nc\n")
        self.assert_map(["-n", "2", "-0", *show], ["<a", "><b>"], stdin="a\n\0b\0")
        self.assert_map(["-n", "2", "-C", ",", *show], ["<a><b><c>"], stdin="a,b\nc\n")
        self.assert_map(["-n", "2", *show, ":::", "a", "b", ":::", "c"], ["<a><c><b><c>"])
        self.assert_map(["-n", "2", "--json", "--", "echo"], ['"[1] a"', "3"], stdin='[1]\n"a"\n3\n')
        self.assert_map(["-n", "5", *show], [], stdin="")

    def test_a_task_gets_an_array_of_several_items(self):
        self.assert_map(["echo", "-n", "2"], ['[1,{"a":[2]}]', "[3]"], stdin='1\n\n{"a":[2]}\n3\n')
        self.assert_map(["echo", "-n", "2", "--text"], ['["a","b"]', '["c"]'], stdin="a\nb\nc")
        self.assert_map(["echo", "-n", "2", "--csv", "--header", ":"], ['[{"x":"1"},{"x":"2"}]'], stdin="x\n1\n2\n")
        self.assert_map(["echo", "-n", "2", ":::", 1, 2, ":::", 3], ["[[1,3],[2,3]]"])

    def test_as_many_lines_as_fit_are_shared_evenly(self):
        self.assert_map(["-j", "4", "-X", "--", "echo"], ["1 2 3", "4 5 6", "7 8 9", "10"], stdin=TEN)
        self.assert_map(["-j", "1", "-m", "--", "echo", "x{}y"], ["x1 2 3 4 5 6 7 8 9 10y"], stdin=TEN)
        self.assert_map(["-j", "1", "-X", "--", "echo", "x{}"], ["x1 x2 x3 x4 x5 x6 x7 x8 x9 x10"], stdin=TEN)

    def test_no_line_is_lost_and_no_command_line_is_too_long(self):
        many = [f"{n}{'x' * (n * 37 % 300)}" for n in range(20000)]
        ended = self.cli("map", "-j", "2", "-X", "--", "printf", "%s\n", stdin="\n".join(many))
        self.assertEqual((ended.status, ended.lines), (0, many), ended)
        quotes = ["'" * 50 + str(n) for n in range(2000)]
        ended = self.cli("map", "-j", "2", "-m", "--shell", "--", 'printf "%s\\n"', stdin="\n".join(quotes))
        self.assertEqual((ended.status, ended.lines), (0, quotes), ended)

    def test_a_group_that_is_too_long_is_a_fault(self):
        ended = self.cli("map", "echo", "--text", "-n", "10", stdin=b"\n".join([b"x" * (10 << 20)] * 8))
        self.assertEqual((ended.status, ended.out), (3, b""), ended)
        self.assertIn(b"line 7: with the lines before it, this line makes an item of more than 64 MiB", ended.err)

    def test_the_groups_keep_their_numbers_when_a_run_goes_on(self):
        arguments = ["--joblog", "log", "--resume", "-j", "1", "-n", "2", "--", "sh", "-c", 'echo "$FANTAIL_INDEX $*"; test "$1" != 3', "sh"]
        ended = self.cli("map", "--halt", "now,fail=1", *arguments, stdin=TEN)
        self.assertEqual((ended.status, ended.lines), (3, ["0 1 2", "null"]), ended)
        self.assert_map(arguments, ["2 5 6", "3 7 8", "4 9 10"], stdin=TEN)

    def test_a_failed_group_is_told_with_all_its_values(self):
        ended = self.cli("map", "-n", "2", "--errors", "failed", "--", "false", stdin="a\nb\n")
        self.assertEqual((ended.status, ended.lines), (1, ["null"]), ended)
        with open(os.path.join(self.folder, "failed"), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["item"], ["a", "b"])

    def test_a_failed_item_is_told_as_an_array_only_if_it_may_have_several_values(self):
        for options, item in ((["-r"], "a"), (["-d", "_"], "a\n"), (["-E", "x"], "a"), (["-C", ","], ["a"]), (["-n", "2"], ["a"])):
            ended = self.cli("map", *options, "--errors", "failed", "--", "false", stdin="a\n")
            self.assertEqual((ended.status, ended.lines), (1, ["null"]), ended)
            with open(os.path.join(self.folder, "failed"), encoding="utf-8") as file:
                self.assertEqual(json.load(file)["item"], item, options)

    def test_wrong_options_are_refused(self):
        for arguments, message in (
                (["-n", "2", "-N", "2", "--", "echo"], "--max-replace-args: cannot be given together with -n"),
                (["-m", "-X", "--", "echo"], "--many: cannot be given together with -X"),
                (["-s", "9", "--", "echo"], "--max-chars: has no effect without -m, -X, -n or -N"),
                (["-n", "2", "--stdin", "--", "cat"], "--stdin: is for one value, but with -n, -N, -m or -X"),
                (["echo", "-X"], "--many-words: is for a command (after --) only"),
                (["echo", "-N", "2"], "--max-replace-args: is for a command (after --) only"),
                (["-n", "x", "--", "echo"], "-n (--max-args): must be a whole number"),
                (["echo", "--shell"], "--shell: is for a command (after --) only")):
            ended = self.cli("map", *arguments, stdin=TEN)
            self.assertEqual((ended.status, ended.out), (2, b""), ended)
            self.assertIn(f"fantail map: {message}", ended.err.decode())

    def test_a_command_may_run_without_its_line(self):
        for option in "-n", "-N":
            self.assert_map([option, "0", "--", "echo", "x"], ["x", "x"], stdin="a\nb\n")
            self.assertIn(b"--max-args: 0 is for a command", self.cli("map", "echo", option, "0", stdin="1\n").err)
        self.assert_map(["-n", "0", "--stdin", "--", "cat"], ["a", "b"], stdin="a\nb\n")
        self.assert_map(["-n0", "--", "printf", "%s.", "x"], ["x.", "x."], stdin="a\nb\n")

    def test_gnu_parallel_makes_the_same_groups(self):
        for options, command, stdin in (
                (["-j4", "-X"], ["echo"], TEN), (["-j4", "-m"], ["echo", "a{}b"], TEN),
                (["-j4", "-X"], ["echo", "a{}b", "c{.}d", "{#}"], TEN), (["-j3", "-N3"], ["echo", "a{}b", "{1}-{3}."], TEN),
                (["-j4", "-n3"], ["echo", "a{}b", "{1}"], TEN), (["-j1", "-X"], ["echo"], TEN),
                (["-j3", "-s", "40", "-X"], ["echo"], HUNDRED), (["-j3", "-s", "40", "-m"], ["echo"], HUNDRED),
                (["-j3", "-n", "7", "-s", "20"], ["echo"], HUNDRED), (["-j3", "-s", "60", "-X"], ["echo", "a{}b", "{}"], HUNDRED),
                (["-N2", "--colsep", ","], ["echo", "{1}{2}{3}{4}", "{}", ":::", "a,b", "c,d", "e,f"], ""),
                (["-n2"], ["echo", "{1}-{2}-{3}-{4}", ":::", "1", "2", "3", ":::", "4", "5"], "")):
            with self.subTest(options, command=command):
                self.assert_map([*options, "--", *command], self.parallel(*options, *command, stdin=stdin), stdin=stdin)


class Shell(Grouped):
    def shown(self, arguments, stdin=""):
        return self.assert_map(arguments, self.parallel(*[word for word in arguments if word not in ("--shell", "--")], stdin=stdin,
                                                        SHELL="/bin/sh", PARALLEL_SHELL="/bin/sh"), stdin=stdin, SHELL="/bin/sh")

    def test_the_words_are_shell_code(self):
        self.assert_map(["--shell", "--", "echo {} | tr a-z A-Z; echo $((1 + 2))"], ["A B", "3"], stdin="a b\n")
        self.assert_map(["--shell", "--", "echo", "{}", ">", "{#}.out", "&&", "cat", "1.out"], ["x"], stdin="x\n")
        self.assert_map(["--shell", "--", "test {} = b && echo {}"], ["b"], stdin="b\n")
        self.assert_map(["--shell", "--stdin", "--", "cat | wc -c"], ["3"], stdin="abc\n")
        self.assert_map(["--shell", "--", "echo $0 {}"], ["/bin/sh a"], stdin="a\n", SHELL="")

    def test_an_item_is_never_code(self):
        for code in "printf '<%s>\\n' {}", "printf '<%s>\\n'", "printf '<%s>\\n' x{}y | sed 's/^<x/</; s/y>$/>/'":
            self.assert_map(["--shell", "--", code, ":::", *HOSTILE], [f"<{value}>" for value in HOSTILE])
        self.assertFalse(os.path.exists(os.path.join(self.folder, "bad")))

    def test_the_command_line_is_the_code(self):
        self.assert_map(["--shell", "--dry-run", "--", "echo {} | wc", ":::", "a b"], ["echo 'a b' | wc"])
        self.assert_map(["--shell", "--joblog", "log", "--", "echo  {} | cat", ":::", "a b"], ["a b"])
        with open(os.path.join(self.folder, "log"), encoding="utf-8") as log:
            self.assertIn("\techo  'a b' | cat", log.read())

    def test_any_bytes_are_quoted(self):
        ended = self.cli("map", "--raw", "--shell", "--", "printf %s {} | cat", stdin=b"\xff'\xfe\n")
        self.assertEqual((ended.status, ended.out), (0, b"\xff'\xfe"), ended)

    def test_a_missing_shell_is_told(self):
        ended = self.cli("map", "--shell", "--", "echo", stdin="a\n", SHELL="/no/shell")
        self.assertEqual((ended.status, ended.out), (2, b""), ended)
        self.assertIn(b"cannot run the command /no/shell", ended.err)

    def test_gnu_parallel_runs_the_same_code(self):
        for command in (["echo {} | wc -c"], ["echo x{}y {/.}; echo {#}"], ["echo", "{}", "|", "cat"], ["echo"], ["  echo   {}"],
                        ["echo \"$((1+2))\"", "'a  b'"], ["-X", "echo x{}y | wc"], ["-n2", "echo x{}y | cat"]):
            for options in [], ["--dry-run"], ["--tag"]:
                words = [*options, *(word for word in command if word.startswith("-"))]
                code = [word for word in command if not word.startswith("-")]
                with self.subTest(words, code=code):
                    self.shown(["-j2", *words, "--shell", "--", *code, ":::", "a/b c", "it's", "$x", "*"])
        for options, code in ((["-X", "-s", "20"], "echo x{}y"), (["-X", "-s", "20"], "echo {}"), (["-X", "-s", "20"], "echo"),
                              (["-m", "-s", "20"], "echo x{}y"), (["-X", "-s", "60"], "echo {} x{}y | tr x z")):
            with self.subTest(options, code=code):
                self.shown(["-j1", *options, "--shell", "--", code], stdin=HUNDRED)
        self.shown(["--header", ":", "--shell", "--", "echo {long name} | cat", ":::", "long name", "a b"])


if __name__ == "__main__":
    main()
