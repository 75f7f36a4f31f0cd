"""`fantail map TASK`: the form of the input, which the name or the beginning of a file shows if no option says it."""
import json
import os
import subprocess

from cli_testing import FANTAIL, CliTest
from fantail_testing import EXAMPLE_TASKS, main, write_file

PRETTY = '[\n  {"a": [1, 2],\n   "b": "],["},\n  "x", 7\n]\n'
VALUES = ['{"a": [1, 2],    "b": "],["}', '"x"', "7"]


class Inputs(CliTest):
    def echo(self, *arguments, stdin=b"", status=0, err=b""):
        ended = self.cli("map", "--tasks", EXAMPLE_TASKS, *arguments, "echo", stdin=stdin)
        self.assertEqual((ended.status, ended.err), (status, err), ended)
        return ended.lines

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        write_file(path, content)
        return path

    def from_file(self, path):
        """Gives the file as standard input, as `< FILE` does in a shell."""
        with open(path, "rb") as file:
            return subprocess.run([FANTAIL, "map", "--tasks", EXAMPLE_TASKS, "echo"], stdin=file, capture_output=True,
                                  env=self.environment(), check=True).stdout.decode().splitlines()

    def test_a_json_array_is_known_by_its_name_or_by_its_first_line(self):
        for name, content, items in (
                ("one.json", "[1,[2],3]", ["1", "[2]", "3"]), ("pretty.json", PRETTY, VALUES), ("pretty", PRETTY, VALUES),
                ("empty.json", "[]", []), ("mark.json", "\ufeff [1]\n", ["1"]),
                ("long.json", json.dumps(["x" * 70000, 1]), ['"' + "x" * 70000 + '"', "1"]),
                ("lines.json", "[1,2]\n[3]\n", ["[1,2]", "[3]"]), ("lines", "[1,2]\n[3]\n", ["[1,2]", "[3]"]),
                ("object.json", '{"a":1}\n[2]\n', ['{"a":1}', "[2]"])):
            with self.subTest(name):
                path = self.file(name, content)
                self.assertEqual(self.echo("-a", path), items)
                if not name.endswith(".json") or name in ("pretty.json", "lines.json", "object.json"):
                    self.assertEqual(self.from_file(path), items)

    def test_an_option_says_it_for_a_pipe(self):
        self.assertEqual(self.echo("--array", stdin="[1,2]"), ["1", "2"])
        self.assertEqual(self.echo("--array", "-n", "2", stdin=PRETTY), [f"[{VALUES[0]},{VALUES[1]}]", "[7]"])
        ended = self.cli("map", "--array", "--json", "--stdin", "--", "cat", stdin='["a b", {"c": 2}]')
        self.assertEqual((ended.status, ended.lines), (0, ['"a b"', '{"c": 2}']), ended)
        ended = self.cli("map", "-q", "--tasks", EXAMPLE_TASKS, "--errors", "bad", "echo", stdin=PRETTY)
        with open(os.path.join(self.folder, "bad"), encoding="ascii") as bad:
            self.assertIn("--array reads one JSON array", json.loads(bad.readline())["error"]["cause"])

    def test_a_file_of_csv_is_known_by_its_name(self):
        content = 'a,"b\nc"\n1,2\n'
        self.assertEqual(self.echo("-a", self.file("x.csv", content)), ['["a","b\\nc"]', '["1","2"]'])
        self.assertEqual(self.echo("-a", self.file("x.TSV", "a\tb,c\n")), ['["a","b,c"]'])
        self.assertEqual(self.echo("--csv", "--header", ":", "-a", self.file("x.csv", content)), ['{"a":"1","b\\nc":"2"}'])
        self.assertEqual(self.echo("--text", "-a", self.file("x.csv", "a,b\n")), ['"a,b"'])
        ended = self.cli("map", "-a", self.file("x.csv", "a,b\n"), "--", "echo")
        self.assertEqual(ended.lines, ["a,b"], "a command gets lines, as with GNU parallel")

    def test_a_fault_of_an_array_is_told_with_its_line(self):
        for content, why in (("[1,\n2", "line 2: the array has no end"), ("[1,\n,2]", "line 2: not JSON at byte 0"),
                             ("[\n1]\n2", "line 3: there is more text after the end of the array")):
            ended = self.cli("map", "--tasks", EXAMPLE_TASKS, "-a", self.file("bad.json", content), "echo")
            self.assertEqual(ended.status, 3, ended)
            self.assertEqual(ended.lines, ["1"])
            self.assertIn(f"fantail: {why}", ended.err.decode())

    def test_what_does_not_fit_an_array_is_refused(self):
        for arguments, why in ((["--csv", "echo"], "cannot be given together with --csv"),
                               (["--text", "echo"], "cannot be given together with --text"),
                               (["-0", "echo"], "cannot be given together with --null"),
                               (["echo", ":::", "1"], "reads one file (-a FILE) or standard input, and no other values"),
                               (["--", "echo"], "needs --json, because the items are JSON")):
            ended = self.cli("map", "--tasks", EXAMPLE_TASKS, "--array", *arguments)
            self.assertEqual((ended.status, ended.err.decode()), (2, f"fantail map: --array: {why}\n"))


if __name__ == "__main__":
    main()
