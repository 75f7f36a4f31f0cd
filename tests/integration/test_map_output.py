"""What a command or a task of a private fleet writes to standard error reaches the user: all of it, in whole lines."""
import collections
import contextlib
import json
import os
import signal
import subprocess

from cli_testing import FANTAIL, CliTest, numbers
from fantail_testing import main, wait_until


class Output(CliTest):
    def commands(self, code, items, *options, **more):
        """Runs shell code for each item, which is $1."""
        stdin = "".join(f"{item}\n" for item in items)
        ended = self.cli("map", *options, "--", "sh", "-c", code, "sh", stdin=stdin, **more)
        ended.err = ended.err.replace(b"fantail: the command takes a while to start\n", b"")  # printed on a busy machine
        return ended

    def test_standard_error_of_a_command_comes_through(self):
        ended = self.commands('echo "to $1" >&2; echo "out $1"', ["a"])
        self.assertEqual((ended.status, ended.out, ended.err), (0, b"out a\n", b"to a\n"))

    def test_all_lines_of_a_command_that_fails_come_before_the_report_which_does_not_repeat_them(self):
        ended = self.commands("echo first >&2; echo >&2; echo last >&2; exit 3", ["a"])
        self.assertEqual(ended.err, b"first\n\nlast\nfantail: item 1 (line 1): task_error: exit status 3\n"
                                    b"fantail: 1 of 1 items failed\n")

    def test_a_tag_stands_before_each_line_of_standard_error(self):
        code = 'printf "a$1\\n\\nb" >&2; sleep 0.1; printf "c\\nd" >&2; echo out'
        for options, tag in (["--tag"], "x"), (["--tagstring", "{#}-{}"], "1-x"), (["--tag", "--line-buffer"], "x"):
            ended = self.commands(code, ["x"], *options)
            self.assertEqual((ended.status, ended.out), (0, f"{tag}\tout\n".encode()))
            self.assertEqual(ended.err.decode(), "".join(f"{tag}\t{line}\n" for line in ("ax", "", "bc", "d")))

    def test_an_unfinished_line_is_not_continued_by_the_next_command(self):
        ended = self.commands('printf "to %s" "$1" >&2', "abc", "-P", 1)
        self.assertEqual(ended.err, b"to a\nto b\nto c\n")

    def test_lines_of_several_commands_are_not_mixed(self):
        """Checks short lines, and lines that are too long for one atomic write to a pipe."""
        for width in (50, 30_000):
            code = f'for i in 1 2 3 4 5 6 7 8; do printf "%s-%0{width}d\\n" "$1" 0 >&2; done'
            ended = self.commands(code, range(40), "-P", 8, "--workers", 2)
            self.assertEqual((ended.status, ended.out), (0, b"\n" * 40))
            seen = collections.Counter(ended.err.decode().splitlines())
            self.assertEqual(seen, {f"{i}-" + "0" * width: 8 for i in range(40)})

    def test_a_line_without_end_is_shown_in_pieces(self):
        ended = self.commands("head -c 200000 /dev/zero | tr '\\0' x >&2", ["a"])
        self.assertEqual([len(line) for line in ended.err.splitlines()], [65536] * 3 + [200_000 - 3 * 65536])

    def test_a_slow_reader_slows_the_commands_and_loses_no_line(self):
        lines = "".join(f"{n:1023}\n" for n in range(512))
        with open(os.path.join(self.folder, "lines"), "w", encoding="utf-8") as file:
            file.write(lines)
        done = os.path.join(self.folder, "done")
        os.mkdir(done)
        process = subprocess.Popen([FANTAIL, "map", "-P", "2", "--", "sh", "-c", 'cat lines >&2; touch "done/$1"', "sh"],
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=self.folder,
                                   env=self.environment())
        with process:
            process.stdin.write(numbers(20).encode())
            process.stdin.close()
            text = b""
            while piece := process.stderr.read(1 << 16):
                text += piece
                self.assertLess(len(os.listdir(done)) * len(lines), len(text) + (4 << 20))
            self.assertEqual(process.wait(60), 0)
        self.assertEqual(collections.Counter(text.decode().splitlines()),
                         collections.Counter({line: 20 for line in lines.splitlines()}))

    def test_memory_is_limited_while_standard_error_is_not_read(self):
        """The item writes to a full standard error in one thread, and takes memory in another."""
        path = os.path.join(self.folder, "pid")
        tasks = self.tasks(hungry={
            "json": {"mode": "python", "command": ["task:run"], "memory_bytes": 200_000_000, "env": {"PID_FILE": path}},
            "files": {"task.py": "import os\nimport threading\nimport time\n\n\n"
                                 "def fill():\n    os.write(2, b'line\\n' * (4 << 20))\n\n\n"
                                 "def run(item):\n    threading.Thread(target=fill, daemon=True).start()\n"
                                 "    with open(os.environ['PID_FILE'], 'w') as out:\n        print(os.getpid(), file=out)\n"
                                 "    time.sleep(1)\n    taken = bytearray(400_000_000)\n"
                                 "    time.sleep(1000)\n    return len(taken)\n"}})
        process = subprocess.Popen([FANTAIL, "map", "hungry", "--tasks", tasks, "--max-attempts", "1", ":::", "1"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self.environment())
        with process:
            wait_until(lambda: os.path.exists(path) and os.path.getsize(path), "the item")
            with open(path, encoding="ascii") as text:
                pid = int(text.read())
            wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the process that took too much memory", 60)
            self.assertIn(b"out_of_memory", process.stderr.read())
            self.assertEqual(process.wait(60), 1)

    def test_a_signal_ends_the_wait_for_a_reader_that_has_stopped(self):
        """Standard error is a full non-blocking pipe. A program with an event loop may give its children a non-blocking
        pipe."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.set_blocking(writer, False)
        with self.assertRaises(BlockingIOError):
            while True:
                os.write(writer, b"x" * 4096)
        ran = os.path.join(self.folder, "ran")
        process = subprocess.Popen([FANTAIL, "map", "--", "sh", "-c", 'touch "$1"; exit 1', "sh"], stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stderr=writer, cwd=self.folder, env=self.environment())
        os.close(writer)
        with process:
            process.stdin.write(b"ran\n")
            process.stdin.close()
            wait_until(lambda: os.path.exists(ran), "the command")
            for _ in range(2):  # the second one ends the program even if the first one came too early
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)
            self.assertEqual(process.wait(20), -signal.SIGINT)

    def test_a_closed_standard_error_does_not_stop_the_run(self):
        ended = subprocess.run(["sh", "-c", f"seq 3 | {FANTAIL} map -- sh -c 'echo x >&2; echo $1' sh 2>&-"],
                               stdout=subprocess.PIPE, cwd=self.folder, env=self.environment(), timeout=60, check=True)
        self.assertEqual(ended.stdout, b"1\n2\n3\n")

    def test_the_errors_file_has_all_that_a_failed_command_wrote(self):
        path = os.path.join(self.folder, "errors")
        for end in "exit 1", "kill -9 $$":
            self.commands(f"seq 20000; seq 20001 >&2; {end}", ["a"], "--errors", path)
            with open(path, encoding="utf-8") as file:
                error = json.loads(file.read())["error"]
            self.assertEqual(error["stdout"].splitlines(), [str(n) for n in range(1, 20001)])
            self.assertEqual(error["stderr"].splitlines(), [str(n) for n in range(1, 20002)])

    def test_an_error_says_of_each_text_that_was_cut_how_long_it_was(self):
        path = os.path.join(self.folder, "errors")
        for end in "exit 1", "kill -9 $$":
            self.commands(f"head -c 300000 /dev/zero | tr '\\0' x; head -c 400000 /dev/zero | tr '\\0' y >&2; {end}", ["a"],
                          "--errors", path)
            with open(path, encoding="utf-8") as file:
                error = json.loads(file.read())["error"]
            self.assertEqual((error["stdout"], error["stderr"]), ("x" * 262144, "y" * 262144))
            self.assertEqual(error["cut"], {"stderr": 400000, "stdout": 300000})
            self.commands(f"seq 10; {end}", ["a"], "--errors", path)
            with open(path, encoding="utf-8") as file:
                self.assertNotIn("cut", json.loads(file.read())["error"])
        tasks = self.tasks(
            fails={"json": {"mode": "python", "command": "fails:run"},
                   "files": {"fails.py": "def run(n):\n    raise ValueError('\u20ac' * n)\n"}},
            dies={"mode": "stream", "command": ["sh", "-c", "read line; head -c 5000 /dev/zero | tr '\\0' z >&2; exit 3"]})
        self.cli("map", "fails", "--tasks", tasks, "--errors", path, stdin="100000\n5\n")
        with open(path, encoding="utf-8") as file:
            cut, whole = (json.loads(line)["error"] for line in file)
        self.assertEqual((len(cut["cause"]), cut["cut"]), (65536, {"cause": 3 * 100000 + len("ValueError: ")}))
        self.assertNotIn("cut", whole)
        self.cli("map", "dies", "--tasks", tasks, "--errors", path, "--max-attempts", 1, stdin="1\n")
        with open(path, encoding="utf-8") as file:
            error = json.loads(file.read())["error"]
        self.assertEqual((error["stderr"], error["cut"]), ("z" * 2048, {"stderr": 5000}))

    def test_a_command_that_is_killed_at_its_time_limit_has_its_standard_error_in_the_errors_file(self):
        path = os.path.join(self.folder, "errors")
        self.commands("seq 20000 >&2; sleep 1000", ["a"], "--errors", path, "--item-timeout-s", 5)
        with open(path, encoding="utf-8") as file:
            error = json.loads(file.read())["error"]
        self.assertEqual((error["name"], error["stderr"].splitlines()), ("timed_out", [str(n) for n in range(1, 20001)]))

    def test_a_report_is_one_short_line_and_the_errors_file_is_whole(self):
        path = os.path.join(self.folder, "errors")
        tasks = self.tasks(fails={"json": {"mode": "python", "command": "fails:run"},
                                  "files": {"fails.py": "def run(n):\n    raise ValueError('one\\n' + '\u20ac' * n)\n"}})
        ended = self.cli("map", "fails", "--tasks", tasks, "--errors", path, stdin="50000\n")
        lines = [line for line in ended.err.decode().splitlines() if "takes a while" not in line]
        self.assertRegex(lines[0], r"^fantail: item 1 \(line 1\): task_error: ValueError: one \u20ac+\.\.\. \(150016 bytes\) "
                                   r"\(fails\.py:2\)$")
        self.assertLess(len(lines[0].encode()), 1500)
        self.assertEqual(lines[1:], ["fantail: 1 of 1 items failed"])
        with open(path, encoding="utf-8") as file:
            self.assertEqual(json.loads(file.read())["error"]["cause"], "ValueError: one\n" + "\u20ac" * 50000)

    def test_what_a_task_printed_without_a_newline_is_shown(self):
        for stream in "stdout", "stderr":
            code = f"import sys\ndef run(item):\n    print('half', end='', file=sys.{stream})\n    return item\n"
            tasks = self.tasks(prints={"json": {"mode": "python", "command": "prints:run"}, "files": {"prints.py": code}})
            ended = self.cli("map", "prints", "--tasks", tasks, stdin="7\n", PYTHONUNBUFFERED="")
            self.assertEqual((ended.status, ended.out), (0, b"7\n"))
            self.assertIn(b"prints: half", ended.err.splitlines())

    def test_a_long_line_of_a_task_is_not_cut(self):
        tasks = self.tasks(prints={"json": {"mode": "python", "command": "prints:run"},
                                   "files": {"prints.py": "def run(item):\n    print('x' * item)\n    return item\n"}})
        ended = self.cli("map", "prints", "--tasks", tasks, stdin="20000\n")
        self.assertIn(b"prints: " + b"x" * 20000, ended.err.splitlines())


if __name__ == "__main__":
    main()
