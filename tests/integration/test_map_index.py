"""`fantail map --index`: each result with the index of its item."""
import json
import os

from cli_testing import CliTest
from fantail_testing import EXAMPLE_TASKS, main, write_file

SLOW_FIRST = {"mode": "exec", "command": ["sh", "-c", 'while [ $0 = 0 ] && [ ! -e 3 ]; do sleep 0.01; done; : > $0; echo "$0"', "{}"],
              "idempotent": True}


class Index(CliTest):
    def objects(self, *arguments, status=0, stdin=""):
        ended = self.cli("map", "-q", *arguments, stdin=stdin)
        self.assertEqual((ended.status, ended.err), (status, b""), ended)
        return [json.loads(line) for line in ended.lines]

    def task(self, *arguments, **more):
        return self.objects("--tasks", EXAMPLE_TASKS, *arguments, **more)

    def test_a_result_in_the_order_of_completion_says_whose_it_is(self):
        tasks = self.tasks(slow_first=SLOW_FIRST)
        found = self.objects("--tasks", tasks, "-j4", "--order", "completion", "--index", "--chunk-size", "1", "slow_first",
                             ":::", *"0123")
        self.assertEqual(sorted(o["index"] for o in found), [0, 1, 2, 3])
        self.assertNotEqual(found[0]["index"], 0)
        self.assertTrue(all(o == {"index": o["index"], "value": o["index"]} for o in found), found)

    def test_a_failed_item_has_its_error(self):
        for order in "input", "completion":
            found = sorted(self.task("--order", order, "--json", "square", ":::", "1", '"x"', "3", status=1),
                           key=lambda o: o["index"])
            self.assertEqual([found[0], found[2]], [{"index": 0, "value": 1}, {"index": 2, "value": 9}])
            self.assertEqual((list(found[1]), found[1]["error"]["name"]), (["index", "error"], "task_error"))
        found = self.task("--index", "--skip-failed", "square", ":::", "1", '"x"', "3", status=1)
        self.assertEqual(found, [{"index": 0, "value": 1}, {"index": 2, "value": 9}])

    def test_a_command_too_with_and_without_a_log(self):
        command = ["--", "sh", "-c", 'echo "$1"; [ "$1" != b ]', "sh", ":::", *"abc"]
        for options in [], ["--joblog", "log"], ["--order", "completion"], ["--json", "--stdin"]:
            if "--json" in options:
                found = self.objects("--index", *options, "--", "cat", ":::", "1", "[2]")
                self.assertEqual(found, [{"index": 0, "value": 1}, {"index": 1, "value": [2]}])
                continue
            found = sorted(self.objects("--index", *options, *command, status=1), key=lambda o: o["index"])
            self.assertEqual([found[0], found[2]], [{"index": 0, "value": "a"}, {"index": 2, "value": "c"}])
            self.assertEqual((found[1]["index"], found[1]["error"]["exit_code"]), (1, 1))

    def test_the_index_is_that_of_the_whole_input_when_a_run_goes_on(self):
        write_file(os.path.join(self.folder, "log"), "1\t:\t1.0\t0.0\t0\t0\t0\t0\tsquare\t0\t\t0\t0\n")
        found = self.task("--index", "--joblog", "log", "--resume", "square", ":::", "5", "6", "7")
        self.assertEqual(found, [{"index": 1, "value": 36}, {"index": 2, "value": 49}])

    def test_what_cannot_be_together_is_refused(self):
        for options, other in ((["--reduce", "sum"], "--reduce"), (["--detach", "--url", "http://127.0.0.1:1"], "--detach")):
            for given in "index", "json":
                ended = self.cli("map", "square", f"--{given}", *options)
                self.assertEqual((ended.status, ended.err.decode()),
                                 (2, f"fantail map: --{given}: cannot be given together with {other}\n"))
        for other in "--raw", "--line-buffer", "--tag":
            ended = self.cli("map", "--index", other, "--", "true", stdin="")
            self.assertEqual((ended.status, ended.err.decode()),
                             (2, f"fantail map: --index: cannot be given together with {other}\n"))


if __name__ == "__main__":
    main()
