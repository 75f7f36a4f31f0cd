"""`fantail map --common`: a value of up to 4 MiB, from the command line or from a file."""
import hashlib
import json
import os

from cli_testing import CliTest, LocalTest
from fantail_testing import main, write_file

SOURCE = "import hashlib, json\ndef run(item, common):\n    return [item, hashlib.sha256(json.dumps(common).encode()).hexdigest()]\n"


def digest(common):
    return hashlib.sha256(json.dumps(common).encode()).hexdigest()


class Common(LocalTest):
    def setUp(self):
        super().setUp()
        self.folder_of_tasks = self.tasks(work={"json": {"mode": "python", "command": "work:run"}, "files": {"work.py": SOURCE}})

    def file_of(self, common, **format_of_json):
        path = os.path.join(self.folder, "common.json")
        write_file(path, json.dumps(common, **format_of_json) + "\n")
        return "@" + path

    def check(self, common, *arguments, given=None, items=(1, "two"), text=False):
        stdin = "".join(f"{item if text else json.dumps(item)}\n" for item in items)
        ended = self.cli("map", "work", "--common", given or json.dumps(common), *arguments, stdin=stdin)
        self.assertEqual(ended.status, 0, ended)
        self.assertEqual([json.loads(line) for line in ended.lines], [[item, digest(common)] for item in items])

    def test_a_common_value_of_the_command_line_may_be_longer_than_a_uri(self):
        for length in (10, 2046, 2047, 9000, 100_000):
            self.check("x" * length, "--tasks", self.folder_of_tasks)

    def test_a_file_may_have_it_and_lines(self):
        common = {"list": list(range(200_000)), "line": "a\nb"}
        given = self.file_of(common, indent=1)
        self.check(common, "--tasks", self.folder_of_tasks, given=given)
        self.check(common, "--tasks", self.folder_of_tasks, "--text", given=given, items=("one", '{"two":', ""), text=True)
        self.check("short", "--tasks", self.folder_of_tasks, given=self.file_of("short"))

    def test_the_longest_common_value_comes_from_a_file(self):
        longest = "x" * (4194240 - 3)  # the limit counts the quotes and the newline of the file too
        self.check(longest, "--tasks", self.folder_of_tasks, given=self.file_of(longest))

    def test_many_jobs_and_a_reduction_have_it_too(self):
        given = self.file_of("x" * 50_000)
        items = [f"item {n} " + "y" * 1000 for n in range(2000)]
        self.check("x" * 50_000, "--tasks", self.folder_of_tasks, given=given, items=items)
        ended = self.cli("map", "work", "--tasks", self.folder_of_tasks, "--common", given, "--reduce", "count", stdin="1\n2\n3\n")
        self.assertEqual((ended.status, ended.lines), (0, ["3"]), ended)

    def test_a_bad_item_fails_alone(self):
        given = self.file_of("x" * 50_000)
        ended = self.cli("map", "work", "--tasks", self.folder_of_tasks, "--common", given, stdin="1\n{\n3\n")
        value = digest("x" * 50_000)
        self.assertEqual((ended.status, [json.loads(line) for line in ended.lines]), (1, [[1, value], None, [3, value]]), ended)
        self.assertIn(b"item 2 (line 2): bad_item", ended.err)

    def test_a_durable_job_has_it(self):
        program = self.local("--port", 0, "--store", f"sqlite:{self.folder}/jobs", tasks=self.folder_of_tasks)
        env = {"FANTAIL_URL": program.stdout().split()[-1]}
        given = self.file_of("x" * 50_000)
        write_file(os.path.join(self.folder, "items"), "1\n2\n")
        for items in ["-a", "items"], [":::", "1", "2"]:
            ended = self.cli("map", "work", "--detach", "--common", given, *items, **env)
            self.assertEqual(ended.status, 0, ended)
            results = self.cli("results", ended.lines[0], **env)
            self.assertEqual([json.loads(line) for line in results.lines], [[n, digest("x" * 50_000)] for n in (1, 2)], results)

    def test_a_command_gets_it_in_its_environment(self):
        ended = self.cli("map", "--common", self.file_of("x" * 100_000), "--", "sh", "-c", 'echo "${#FANTAIL_COMMON}"', "sh",
                         ":::", "1")
        self.assertEqual((ended.status, ended.lines), (0, ["100002"]), ended)


class WrongCommon(CliTest):
    def test_what_cannot_be_sent_is_wrong_usage(self):
        path = os.path.join(self.folder, "common.json")
        for text, command, words in (("{", False, "not JSON at byte"), ('"' + "x" * (5 << 20) + '"', False, "the value has more than 4194240 bytes. It is sent again with each chunk of items, so put a larger one into a file"),
                                     ('"' + "x" * 140_000 + '"', True, "the environment of a command has room for 131040")):
            write_file(path, text)
            ended = self.cli("map", "--common", "@" + path, *(["--", "echo"] if command else ["square"]), stdin="1\n")
            self.assertEqual(ended.status, 2, ended)
            self.assertIn("fantail map: --common: ", ended.err.decode())
            self.assertIn(words, ended.err.decode())
        ended = self.cli("map", "square", "--common", "@/nowhere", stdin="1\n")
        self.assertEqual((ended.status, ended.err),
                         (2, b"fantail map: --common: cannot read /nowhere: No such file or directory\n"))


if __name__ == "__main__":
    main()
