"""`fantail map` with items from its arguments and from files: ::: and -a."""
import json
import os
import subprocess

from cli_testing import FANTAIL, CliTest
from fantail_testing import have, main, write_file


class Lists(CliTest):
    def assert_map(self, arguments, lines, status=0, **more):
        ended = self.cli("map", *arguments, **more)
        self.assertEqual((ended.status, ended.lines), (status, lines), ended)
        return ended

    def write(self, name, text):
        write_file(os.path.join(self.folder, name), text)
        return name

    def test_each_value_is_an_item_of_a_task(self):
        self.assert_map(["square", ":::", 1, 2, -3], ["1", "4", "9"], stdin="9\n")
        self.assert_map(["upper", "--text", ":::", "a b", "", "-P", "--"], ['"A B"', '""', '"-P"', '"--"'])
        self.assert_map(["upper", "-0", ":::", "a\nb"], ['"A\\nB"'])
        self.assert_map(["echo", ":::", "[1,\n2]", ' {"a":null} '], ["[1, 2]", '{"a":null}'])
        self.assert_map(["echo", ":::", 1, 2, ":::", 3, 4], ["[1,3]", "[1,4]", "[2,3]", "[2,4]"])

    def test_each_value_is_an_argument_of_a_command(self):
        self.assert_map(["--", "printf", "[%s]", ":::", "a b", "", "$HOME\n;"], ["[a b]", "[]", "[$HOME", ";]"])
        self.assert_map(["--stdin", "--", "wc", "-c", ":::", "abc", ""], ["3", "0"])
        self.assert_map(["--json", "--stdin", "--", "cat", ":::", '"a"', "[1]"], ['"a"', "[1]"])

    def test_several_lists_are_combined(self):
        show = ["--", "printf", "<%s>"]
        self.assert_map([*show, ":::", "a", "b c", ":::", "d"], ["<a><d>", "<b c><d>"])
        self.assert_map([*show, "{2}-{1}", "{}", "x{}", "{3}", ":::", "a", ":::", "d"], ["<d-a><a><d><xa d><{3}>"])
        self.assert_map([*show, "{1}{2}{3}", ":::", "a", "b", ":::", "c", "d", ":::+", "1", "2", "3"],
                        ["<ac1>", "<ad2>", "<bc1>", "<bd2>"])

    def test_files_are_lists_too(self):
        one, two = self.write("one", "\ufeffa\r\nb"), self.write("two", "1\n\n2\n")
        show = ["--", "printf", "<%s>"]
        self.assert_map(["-a", one, *show], ["<a>", "<b>"], stdin="c\n")
        self.assert_map([*show, "::::", one], ["<a>", "<b>"])
        self.assert_map(["-a", "-", *show], ["<c>"], stdin="c\n")
        self.assert_map(["-a", one, "--arg-file", two, *show], ["<a><1>", "<a><>", "<a><2>", "<b><1>", "<b><>", "<b><2>"])
        self.assert_map(["-a", one, *show, ":::", "x"], ["<a><x>", "<b><x>"])
        self.assert_map([*show, ":::", "x", "y", "z", "::::+", one], ["<x><a>", "<y><b>"])
        self.assert_map([*show, "::::", one, "-", ":::", "x"], ["<a><c><x>", "<b><c><x>"], stdin="c\n")
        self.assert_map(["square", "-a", two], ["1", "4"])
        self.assert_map(["echo", "-a", two, ":::", "3"], ["[1,3]", "[2,3]"])
        self.assert_map(["-0", "-a", self.write("nulls", "a\nb\0c\0"), *show, ":::", "x"], ["<a", "b><x>", "<c><x>"])

    def test_one_file_is_read_while_the_run_goes_on(self):
        fifo = os.path.join(self.folder, "fifo")
        os.mkfifo(fifo)
        run = subprocess.Popen([FANTAIL, "map", "square", "-a", fifo], stdout=subprocess.PIPE, env=self.environment(),
                               cwd=self.folder)
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.wait)
        with open(fifo, "w", encoding="ascii") as items:
            for i in 3, 4:
                print(i, file=items, flush=True)
                self.assertEqual(run.stdout.readline(), b"%d\n" % (i * i))

    def test_no_value_is_no_item(self):
        for arguments in ["square", ":::"], ["--", "false", ":::"], ["square", "-a", self.write("empty", "")]:
            self.assert_map(arguments, [])
        self.assertIn(b'fantail: there is no task "absent"; the workers have ', self.assert_map(["absent", ":::"], [], status=3).err)

    def test_what_cannot_be_a_list_is_refused_by_name(self):
        text, bad = self.write("text", "1\n\na\n"), os.path.join(self.folder, "bad")
        write_file(bad, b"a\n\xff\n")
        utf16 = os.path.join(self.folder, "utf16")
        write_file(utf16, "ab".encode("utf-16"))
        for arguments, message in (
                (["square", ":::", "1", "a"], "value 2 of list 1 (:::) is not JSON at byte 0 of the value"),
                (["square", ":::", "1", "a"], "If the values are text, give --text"),
                (["square", ":::", ""], "value 1 of list 1 (:::) is not JSON"),
                (["--json", "--", "echo", ":::", "a"], "Without --json the values are text"),
                (["square", "-a", text, ":::", "1"], "--arg-file: value 2 of text is not JSON"),
                (["--", "echo", "::::", "bad", ":::", "1"], "value 2 of bad is not valid UTF-8 text (byte 0 of the value)"),
                (["--", "echo", ":::", b"a\xff"], "value 1 of list 1 (:::) is not valid UTF-8 text (byte 1 of the value)"),
                (["--", "echo", ":::", "1", "::::", "utf16"], "cannot read utf16: this is UTF-16 (little endian)"),
                (["--", "echo", ":::", "1", ":::"], "list 2 of 2 has no values"),
                (["--", "echo", ":::", "1", "::::", "/dev/null"], "list 2 of 2 has no values"),
                (["square", "-a", "absent"], "--arg-file: cannot read absent: No such file or directory"),
                (["square", "::::", "absent"], "cannot read absent: No such file or directory"),
                (["square", "-a", "/"], "--arg-file: cannot read /: Is a directory"),
                (["--stdin", "--", "cat", ":::", "1", ":::", "2"], "--stdin: is for one value"),
                (["--", "echo", *[":::", "1"] * 33], "more than 32 lists"),
                (["--", ":::", "1"], "the command after -- is missing")):
            with self.subTest(arguments):
                ended = self.run_bytes("map", *arguments)
                self.assertEqual((ended.returncode, ended.stdout), (2, b""), ended)
                self.assertIn(message, ended.stderr.decode())
                self.assertRegex(ended.stderr, rb"^fantail map: [^\n]*\n$")

    def run_bytes(self, *arguments):
        return subprocess.run([FANTAIL, *arguments], capture_output=True, env=self.environment(), cwd=self.folder,
                              check=False)

    def test_a_failed_item_is_reported_as_its_values(self):
        for arguments, items in (([":::", "a", "b"], ["a", "b"]), ([":::", "a", "b", ":::", "c"], [["a", "c"], ["b", "c"]])):
            for more in [], ["--reduce", "count"]:
                ended = self.cli("map", *more, "--errors", "failed", "--", "false", *arguments)
                self.assertEqual(ended.status, 1, ended)
                self.assertIn(b"fantail: item 1 (index 0): task_error: exit status 1\n", ended.err)
                with open(os.path.join(self.folder, "failed"), encoding="utf-8") as file:
                    failed = [json.loads(line) for line in file]
                self.assertEqual([(line["index"], line["item"]) for line in failed], list(enumerate(items)))

    def test_many_combinations_come_in_order(self):
        numbers = [str(i) for i in range(250)]
        ended = self.cli("map", "echo", *[":::", *numbers] * 2)
        self.assertEqual(ended.status, 0, ended)
        self.assertEqual(ended.lines, [f"[{a},{b}]" for a in numbers for b in numbers])

    def test_gnu_parallel_combines_lists_in_the_same_way(self):
        if not have("parallel"):
            self.skipTest("GNU parallel is not installed")
        self.write("one", "a\nb\n")
        self.write("two", "1\n2\n3\n")
        for options, command, lists in (
                ([], ["echo"], [":::", "A", "B", ":::", "C", "D"]),
                ([], ["echo"], [":::", "A", "B", ":::+", "C", "D", "E"]),
                ([], ["echo"], [":::", "A", ":::", "C", "D", ":::+", "1", "2", "3", ":::", "X", "Y"]),
                ([], ["echo", "x{}y", "{2}{1}"], [":::", "A", "B", ":::", "C D"]),
                (["-a", "one"], ["echo"], []),
                (["-a", "one", "-a", "two"], ["echo"], []),
                (["-a", "one"], ["echo"], [":::", "A"]),
                ([], ["echo"], [":::", "A", "B", "::::", "one", "two"]),
                ([], ["echo"], [":::", "A", "B", "C", "::::+", "one"]),
                ([], ["echo"], [":::"])):
            with self.subTest([*options, *command, *lists]):
                asked = subprocess.run(["parallel", "--will-cite", "-k", *options, *command, *lists], cwd=self.folder,
                                       stdin=subprocess.DEVNULL, capture_output=True, env=self.environment(), check=True)
                self.assert_map([*options, "--", *command, *lists], asked.stdout.decode().splitlines())


if __name__ == "__main__":
    main()
