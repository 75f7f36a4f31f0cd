"""The placeholders in a command of `fantail map`, and the index of the item in the environment of the command."""
import json
import os
import subprocess

from cli_testing import CliTest
from fantail_testing import have, main

NAMES = ("a/b.tar.gz", "x", ".bashrc", "a.b/c", "/", "/x", "dir/", "a/.b", "dir.d/", "a//b", "./x", "../y.z", "a b.c d",
         "a.", "..", "$HOME/*.txt", "x;y|z.q", "'a\".b", "\u00e4.\u00f6")


class Placeholders(CliTest):
    def map(self, *arguments, stdin="", **more):
        ended = self.cli("map", *arguments, stdin=stdin, **more)
        self.assertEqual((ended.status, ended.err), (0, b""), ended)
        return ended.lines

    def test_names_are_cut_without_a_shell(self):
        show = ["--", "printf", "<%s>", "{.}", "{/}", "{//}", "{/.}", "{#}"]
        wanted = ["<a/b.tar><b.tar.gz><a><b.tar><1>", "<$(x)><$(x).y><.><$(x)><2>"]
        self.assertEqual(self.map(*show, stdin="a/b.tar.gz\n$(x).y\n"), wanted)
        self.assertEqual(self.map(*show, ":::", "a/b.tar.gz", "$(x).y"), wanted)
        self.assertEqual(self.map("-0", *show, stdin="a/b.tar.gz\0$(x).y"), wanted)

    def test_a_value_has_a_number_and_another_number_is_text(self):
        self.assertEqual(self.map("--", "echo", "{1/.}{2}", "{0}", "{2.}", stdin="a/b.c\n"), ["b{2} {0} {2.}"])
        self.assertEqual(self.map("--", "echo", "{2}{1//}{3}", ":::", "a/b", ":::", "c"), ["ca{3}"])
        self.assertEqual(self.map("--stdin", "--", "grep", "-E", "-o", "a{2}", stdin="baab\n"), ["aa"])

    def test_a_placeholder_in_an_item_is_text(self):
        self.assertEqual(self.map("--", "echo", "{1}{}", stdin="{#}{}{.}\n"), ["{#}{}{.}{#}{}{.}"])

    def test_another_text_may_stand_for_the_item(self):
        self.assertEqual(self.map("-I", "@", "--", "echo", "@x@", "{}", "{.}", stdin="a.b\n"), ["a.bxa.b {} a"])
        self.assertEqual(self.map("--replace", "ITEM", "--", "echo", "{}", stdin="a\n"), ["{} a"])
        self.assertEqual(self.map("-I", "{}", "--", "echo", "{}", stdin="a\n"), ["a"])
        for arguments, message in ((["-I", "", "--", "echo"], "--replace: must not be empty"),
                                   (["-I", "@", "square"], "--replace: is for a command (after --) only")):
            ended = self.cli("map", *arguments, stdin="1\n")
            self.assertEqual((ended.status, ended.out), (2, b""), ended)
            self.assertIn(f"fantail map: {message}\n", ended.err.decode())

    def test_only_a_number_is_no_reason_to_append_the_item(self):
        self.assertEqual(self.map("--", "echo", "{#}", stdin="a\nb\n"), ["1", "2"])

    def test_a_command_has_the_index_of_its_item(self):
        show = ["--", "sh", "-c", 'echo "$FANTAIL_INDEX-$1"', "sh"]
        many = [str(n) for n in range(3000)]
        wanted = [f"{n}-{n}" for n in range(3000)]
        self.assertEqual(self.map(*show, stdin="\n".join(many)), wanted)
        self.assertEqual(self.map(*show, ":::", *many[:50]), wanted[:50])
        self.assertEqual(sorted(self.map("--order", "completion", *show, stdin="\n".join(many[:300]))), sorted(wanted[:300]))
        self.assertEqual(self.map("--json", *show, stdin="0\n\n \n1\n"), ['"0-0"', '"1-1"'])
        self.assertEqual(self.map("--stdin", "--", "sh", "-c", 'echo "$FANTAIL_INDEX-$(cat)"', stdin="0\n1\n"), wanted[:2])

    def test_the_index_is_that_of_the_errors(self):
        command = ["--", "sh", "-c", "exit $((FANTAIL_INDEX % 2))"]
        ended = self.cli("map", "--errors", "failed", *command, stdin="a\r\nb\r\n\nc")
        self.assertEqual((ended.status, ended.lines), (1, ["", "null", "", "null"]), ended)
        with open(os.path.join(self.folder, "failed"), encoding="utf-8") as file:
            failed = [json.loads(line) for line in file]
        self.assertEqual([(line["index"], line["item"]) for line in failed], [(1, "b"), (3, "c")])
        self.assertIn(b"item 4 (line 4): task_error", ended.err)

    def test_json_items_keep_their_form(self):
        items = ['[1, 2]', '{"a": "b"}', '"c d"', "null", "1.50"]
        self.assertEqual(self.map("--json", "--stdin", "--", "cat", stdin="\n".join(items)), items)
        self.assertEqual(self.map("--json", "--", "printf", "[%s]", stdin=' [1, 2] \r\n"c d"\n'), ["[[1, 2]]", '"[c d]"'])
        ended = self.cli("map", "--json", "--errors", "failed", "--", "false", stdin="1,2\n[3]\n")
        self.assertIn(b"item 1 (line 1): bad_item: not JSON at byte 1 of the item", ended.err)
        with open(os.path.join(self.folder, "failed"), encoding="utf-8") as file:
            self.assertEqual([json.loads(line)["item"] for line in file], ["1,2", [3]])

    def test_a_placeholder_in_shell_code_is_warned_about(self):
        for code in "echo {}", "echo {/.}", "echo {1}", "echo {1//}":
            ended = self.cli("map", "--", "sh", "-c", code, stdin="a\n")
            self.assertIn(b"so an item with quotes or $(...) runs as code", ended.err, code)
        self.assertEqual(self.map("--", "sh", "-c", "echo {x}{2}; : {#}", stdin="a\n"), ["{x}{2}"])

    def test_gnu_parallel_replaces_the_same(self):
        if not have("parallel"):
            self.skipTest("GNU parallel is not installed")
        values = [":::", *NAMES]
        for command, lists in ((["{}"], values), (["{.}"], values), (["{/}"], values), (["{//}"], values), (["{/.}"], values),
                               (["{#}", "{}"], values), (["{1}", "{1.}", "{1/}", "{1//}", "{1/.}"], values),
                               (["{2/.}", "{1.}", "{}"], [":::", "a/b.c", "d", ":::", "e/f.g"]),
                               (["{#}"], [":::", "a", "b"])):
            with self.subTest(command):
                asked = subprocess.run(["parallel", "--will-cite", "-k", "printf", "'<%s>'", *command, *lists],
                                       stdin=subprocess.DEVNULL, capture_output=True, env=self.environment(), check=True)
                self.assertEqual("".join(self.map("--", "printf", "<%s>", *command, *lists)), asked.stdout.decode())
        asked = subprocess.run(["parallel", "--will-cite", "-k", "-I", "@@", "echo", "@@", "{}", "{.}", ":::", "a.b"],
                               stdin=subprocess.DEVNULL, capture_output=True, env=self.environment(), check=True)
        self.assertEqual(self.map("-I", "@@", "--", "echo", "@@", "{}", "{.}", ":::", "a.b"), asked.stdout.decode().splitlines())


if __name__ == "__main__":
    main()
