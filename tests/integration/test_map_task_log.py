"""`fantail map TASK`: the log of the items of a task, and runs that continue an earlier run."""
import os
import signal
import subprocess

from cli_testing import FANTAIL
from fantail_testing import EXAMPLE_TASKS, main, wait_until, write_file
from test_map_log import LogTest

COUNTED = {"mode": "exec", "command": ["sh", "-c", 'echo "$0" >> ran; sleep 0.01; echo "$0"', "{}"], "idempotent": True}


class TaskLogTest(LogTest):
    def task(self, *arguments, **more):
        return self.map("--tasks", EXAMPLE_TASKS, *arguments, **more)

    def indexes(self):
        return [int(line["Index"]) for line in self.log()]


class TaskLog(TaskLogTest):
    def test_each_answer_has_its_line(self):
        ended = self.task("-q", "--joblog", "log", "square", ":::", "12", '"x"', "3", status=1)
        self.assertEqual(ended.lines, ["144", "null", "9"])
        lines = self.log()
        self.assertEqual([(line["Seq"], line["Index"], line["Host"], line["Command"]) for line in lines],
                         [(str(i + 1), str(i), ":", "square") for i in range(3)])
        self.assertEqual([(line["Exitval"], line["Signal"], line["Receive"]) for line in lines],
                         [("0", "0", "3"), ("-1", "0", "0"), ("0", "0", "1")])
        self.assertEqual((lines[1]["Worker"], lines[1]["Attempts"]), ("local-1", "1"))

    def test_a_running_fleet_gives_the_same_log(self):
        fleet = self.fleet()
        url = f"http://127.0.0.1:{fleet.port}"
        for order in "input", "completion":
            self.map("-q", "--joblog", "log", "--order", order, "--url", url, "square,square", ":::", "1", '"x"', "3", status=1)
            self.assertEqual({(line["Index"], line["Exitval"]) for line in self.log()}, {("0", "0"), ("1", "-1"), ("2", "0")})
            again = self.map("--joblog", "log", "--resume", "--url", url, "square", ":::", "1", '"x"', "3", "4")
            self.assertEqual(again.lines, ["16"])
            self.assertEqual(sorted(self.indexes()), [0, 1, 2, 3])
            nothing = self.map("--joblog", "log", "--resume", "--url", url, "square", ":::", "1", '"x"', "3", "4")
            self.assertEqual((nothing.out, nothing.err), (b"", b""))


class TaskResume(TaskLogTest):
    def log_of(self, indexes, status=0):
        with open(self.path("log"), "w", encoding="ascii") as log:
            log.writelines(f"{i + 1}\t:\t1.0\t0.0\t0\t0\t{status}\t0\techo\t{i}\t\t0\t0\n" for i in indexes)

    def test_every_form_of_the_input_leaves_out_the_same_items(self):
        lines, texts = b' 1\n\n \t\n"b"\n{"c": 3}\n[4]\n5', b"a\n\nb\n c\nd"
        write_file(self.path("lines"), lines)
        write_file(self.path("texts"), texts)
        forms = ((["-a", "lines"], b"", [b"1", b'"b"', b'{"c": 3}', b"[4]", b"5"]),
                 ([], lines, [b"1", b'"b"', b'{"c": 3}', b"[4]", b"5"]),
                 (["--text", "-a", "texts"], b"", [b'"a"', b'""', b'"b"', b'" c"', b'"d"']),
                 (["-0"], b"a\nb\0\0c\0d\0e", [b'"a\\nb"', b'""', b'"c"', b'"d"', b'"e"']),
                 (["--csv"], b"1,2\n3,4\n5,6\n7,8\n9,x", [b'["1","2"]', b'["3","4"]', b'["5","6"]', b'["7","8"]', b'["9","x"]']))
        for arguments, stdin, all_items in forms:
            for done in ((), (0,), (4,), (0, 1, 4), (1, 3), (2,), range(5)):
                for order in "input", "completion":
                    self.log_of(done)
                    ended = self.task("--joblog", "log", "--resume", "--order", order, *arguments, "echo", stdin=stdin)
                    left = [item for i, item in enumerate(all_items) if i not in done]
                    self.assertEqual(sorted(ended.out.split(b"\n")[:-1]), sorted(left), (arguments, done, order))
                    lines_now = self.read("log").decode().splitlines()
                    self.assertEqual(sorted(int(line.split("\t")[-4]) for line in lines_now if line[0] != "S"), list(range(5)))

    def test_failed_items_keep_their_numbers(self):
        self.log_of((0, 2, 3, 70))
        write_file(self.path("items"), "".join('"x"\n' if i % 3 == 1 else f"{i}\n" for i in range(80)))
        for order in "input", "completion":
            self.log_of((0, 2, 3, 70))
            ended = self.task("-q", "--joblog", "log", "--resume", "--order", order, "--errors", "bad", "-a", "items", "square", status=1)
            self.assertEqual(len(ended.lines), 76)
            failed = {i for i in range(80) if i % 3 == 1} - {70}
            self.assertEqual({line.split(b'"index":')[1].split(b",")[0] for line in self.read("bad").splitlines()},
                             {str(i).encode() for i in failed})
            rows = [line.split("\t") for line in self.read("log").decode().splitlines()]
            self.assertEqual({int(row[-4]) for row in rows if row[6] == "-1"}, failed)
            self.assertEqual(sorted(int(row[-4]) for row in rows), list(range(80)))
            write_file(self.path("items"), "".join(f"{i}\n" for i in range(80)))
            again = self.task("--joblog", "log", "--resume-failed", "-a", "items", "square")
            self.assertEqual(again.lines, [str(i * i) for i in sorted(failed)])
            write_file(self.path("items"), "".join('"x"\n' if i % 3 == 1 else f"{i}\n" for i in range(80)))

    def test_a_line_that_is_too_long_is_an_item_too(self):
        write_file(self.path("items"), '1\n"' + "x" * 68_000_000 + '"\n3\n4\n')
        self.log_of((0, 1))
        self.assertEqual(self.task("--joblog", "log", "--resume", "-a", "items", "square").lines, ["9", "16"])
        self.log_of((0, 2))
        ended = self.task("-q", "--joblog", "log", "--resume", "-a", "items", "square", status=1)
        self.assertEqual(ended.lines, ["null", "16"])
        self.assertEqual([line.split("\t")[-4] for line in self.read("log").decode().splitlines()], ["0", "2", "1", "3"])

    def test_after_kill_9_no_item_runs_twice_that_the_log_says_is_done(self):
        fleet = self.fleet(tasks=self.tasks(counted=COUNTED), worker_arguments=("--task-cwd", self.folder))
        write_file(self.path("items"), "".join(f"{i}\n" for i in range(600)))
        arguments = ["--joblog", "log", "--resume", "--order", "completion", "-a", "items", "counted",
                     "--url", f"http://127.0.0.1:{fleet.port}"]
        printed = []
        for number in signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, None:
            done = self.done()
            began = len(self.ran())
            with open(self.path("out"), "wb") as stdout:
                run = subprocess.Popen([FANTAIL, "map", *arguments], cwd=self.folder, env=self.environment(), stdout=stdout,
                                       stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                if number:
                    wait_until(lambda least=len(done) + 60: len(self.done()) >= least, "more lines in the log")
                    run.send_signal(number)
                run.wait(60)
            wait_until(lambda: fleet.busy_slots() == 0, "the end of the running items")
            self.assertEqual({int(item) for item in self.ran()[began:]} & done, set())
            printed += map(int, self.read("out").split())
            self.assertLessEqual(self.done(), set(printed))
        self.assertEqual(run.returncode, 0)
        self.assertEqual(sorted(self.indexes()), list(range(600)))
        self.assertEqual(set(printed), set(range(600)))

    def done(self):
        lines = self.read("log").split(b"\n")[1:-1] if os.path.exists(self.path("log")) else []
        return {int(line.split(b"\t")[0]) - 1 for line in lines}

    def ran(self):
        return self.read("ran").decode().split() if os.path.exists(self.path("ran")) else []


if __name__ == "__main__":
    main()
