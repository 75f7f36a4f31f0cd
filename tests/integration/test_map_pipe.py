"""`fantail map --pipe` and `--pipepart`: the input is cut into blocks, and each command gets one block on standard input."""
import os
import random
import subprocess

from cli_testing import FANTAIL
from fantail_testing import main, wait_until, write_file
from test_map_log import LogTest

NUMBERS = "".join(f"{n}\n" for n in range(1, 20001)).encode()
FASTA = b"".join(b">r%d\n%s\n" % (n, b"ACGT" * (n % 40) + b"\nAC>GT") for n in range(500))


class Pipe(LogTest):
    def setUp(self):
        super().setUp()
        write_file(self.path("numbers"), NUMBERS)

    def pipe_map(self, *arguments, stdin=NUMBERS, **more):
        """Runs `fantail map --pipe`. Standard input is a pipe, so the blocks are kept in memory."""
        return self.map("--pipe", *arguments, stdin=stdin, **more)

    def part_map(self, *arguments, file="numbers", **more):
        return self.map("--pipepart", "-a", file, *arguments, **more)

    def both(self, *arguments, **more):
        """Runs the command for the blocks of a stream and of a file, and returns what both have printed."""
        piped, parted = self.pipe_map(*arguments, **more), self.part_map(*arguments, **more)
        self.assertEqual(piped.out, parted.out)
        self.assertEqual(piped.err, parted.err)
        return piped


class Blocks(Pipe):
    def test_the_blocks_together_are_the_input(self):
        for size in ("1k", "10000", "1M"):
            self.assertEqual(self.both("--block", size, "--raw", "--", "cat").out, NUMBERS)

    def test_each_block_has_whole_lines_and_is_as_long_as_possible(self):
        sizes = [int(size) for size in self.both("--block", "1000", "--", "wc", "-c").lines]
        self.assertEqual(sum(sizes), len(NUMBERS))
        self.assertEqual((min(sizes[:-1]), max(sizes)), (996, 1000))
        self.assertEqual(self.both("--", "wc", "-l").lines, ["20000"])

    def test_standard_input_may_be_a_file(self):
        for begin in (0, 1000):
            with open(self.path("numbers"), "rb") as file:
                file.seek(begin)
                done = subprocess.run([FANTAIL, "map", "--pipe", "--block", "1k", "--raw", "--", "cat"], stdin=file,
                                      stdout=subprocess.PIPE, env=self.environment(), check=True, cwd=self.folder)
                self.assertEqual(file.read(), b"", "the input is used up, as if it had been read")
            self.assertEqual(done.stdout, NUMBERS[begin:])

    def test_without_input_nothing_runs(self):
        write_file(self.path("empty"), "")
        self.assertEqual(self.pipe_map("--", "echo", "ran", stdin=b"").out, b"")
        self.assertEqual(self.part_map("--", "echo", "ran", file="empty").out, b"")

    def test_a_line_longer_than_a_block_is_a_block(self):
        lines = [b"a" * n + b"\n" for n in (5, 3000, 100, 300000, 7)]
        write_file(self.path("numbers"), b"".join(lines))
        ended = self.both("--block", "1000", "--", "wc", "-c", stdin=b"".join(lines))
        self.assertEqual(ended.lines, ["6", "3001", "101", "300001", "8"])

    def test_numbers_and_variables_name_the_block_and_braces_are_empty(self):
        script = 'echo "$FANTAIL_INDEX $1 <$2>"; cat > /dev/null'
        ended = self.both("--block", "50k", "--", "sh", "-c", script, "sh", "{#}", "a{}b")
        self.assertEqual(ended.lines, ["0 1 <ab>", "1 2 <ab>", "2 3 <ab>"])

    def test_a_number_of_blocks_for_each_command(self):
        self.assertEqual(len(self.part_map("--block", "-3", "-j", 2, "--", "wc", "-l").lines), 6)

    def test_a_command_need_not_read_its_block(self):
        self.assertEqual(self.both("--block", "60k", "--", "head", "-n", "1").lines, ["1", "12092"])
        self.assertEqual(self.both("--block", "60k", "--", "true").lines, ["", ""])

    def test_a_reduction_of_parts(self):
        ended = self.part_map("--block", "1k", "--json", "--reduce", "sum", "--", "wc", "-l")
        self.assertEqual(ended.lines, ["20000"])


class Records(Pipe):
    def test_blocks_begin_with_the_start_of_a_record(self):
        write_file(self.path("numbers"), FASTA)
        ended = self.both("--block", "1k", "--recstart", ">", "--recend", r"\n", "--", "head", "-c", "2", stdin=FASTA)
        self.assertGreater(len(ended.lines), 20)
        self.assertEqual(set(ended.lines), {">r"})
        self.assertEqual(self.both("--block", "1k", "--recstart", r"\n>", "--raw", "--", "cat", stdin=FASTA).out, FASTA)

    def test_blocks_end_with_the_end_of_a_record(self):
        text = b"one;two;three;four;"
        write_file(self.path("numbers"), text)
        ended = self.both("--block", "9", "--recend", ";", "--tagstring", "{#}", "--", "cat", stdin=text)
        self.assertEqual(ended.lines, ["1\tone;two;", "2\tthree;", "3\tfour;"])
        self.assertEqual(self.both("--block", "9", "--recend", "", "--", "cat", stdin=text).lines, ["one;two;t", "hree;four", ";"])

    def test_the_records_are_those_of_gnu_parallel(self):
        """GNU parallel cuts between other records. So the test compares the joined blocks, and the set of their beginnings."""
        random.seed(7)
        lines = b"".join(b"ab" * random.randrange(100) + b"\n" for _ in range(3000))
        write_file(self.path("numbers"), lines)
        for options in ((), ("--recend", r"bab\n"), ("--recstart", "aba", "--recend", r"\n"), ("--recstart", "abab")):
            given = ["--block", "10k", "-k", *options]
            for command in (["cat"], ["head", "-c", "4"]):
                mine = self.both(*given, "--raw", "--", *command, stdin=lines).out
                for source in (["--pipe"], ["--pipepart", "-a", "numbers"]):
                    theirs = self.parallel(*source, *given, *command, stdin=lines)
                    if command == ["cat"]:
                        self.assertEqual((mine, theirs), (lines, lines))
                    elif "--recstart" in options:
                        self.assertEqual(set(mine[i:i + 4] for i in range(0, len(mine), 4)) - {b"abab", b"aba\n"},
                                         set(theirs[i:i + 4] for i in range(0, len(theirs), 4)) - {b"abab", b"aba\n"})


    def test_a_block_may_have_a_number_of_records(self):
        stdin = "".join(f"{n}\n" for n in range(1, 9))
        ended = self.pipe_map("-N", 3, "--tagstring", "{#}", "--", "cat", stdin=stdin)
        self.assertEqual(ended.lines, [f"{(n + 2) // 3}\t{n}" for n in range(1, 9)])
        self.assertEqual(self.pipe_map("-N", 3, "--raw", "--", "wc", "-l", stdin=stdin).out,
                         self.parallel("-k", "--pipe", "-N", "3", "wc", "-l", stdin=stdin.encode()))
        ended = self.pipe_map("-N", 1, "--recend", ";", "--", "cat", stdin="a;\nb;c")
        self.assertEqual(ended.lines, ["a;", "", "b;", "c"])

    def test_each_block_begins_with_the_header(self):
        table = b"name,n\n" + b"".join(b"row %d,%d\n" % (n, n * n) for n in range(500))
        write_file(self.path("numbers"), table)
        ended = self.both("--header", ":", "--block", "1k", "--raw", "--", "cat", stdin=table)
        self.assertEqual(ended.out.replace(b"name,n\n", b""), table.replace(b"name,n\n", b""))
        blocks = ended.out.count(b"name,n\n")
        self.assertGreater(blocks, 5)
        ended = self.both("--header", ":", "--block", "1k", "--joblog", "log", "--", "wc", "-c", stdin=table)
        self.assertEqual(sorted(line["Send"] for line in self.log()), sorted(ended.lines))
        ended = self.pipe_map("--header", ":", "-N", 200, "--raw", "--", "wc", "-l", stdin=table)
        self.assertEqual(ended.lines, ["201", "201", "101"])
        self.assertEqual(ended.out, self.parallel("-k", "--header", ":", "--pipe", "-N", "200", "wc", "-l", stdin=table))
        self.assertEqual(self.both("--header", ":", "--block", "1k", "--", "head", "-n", "1", stdin=table).lines,
                         ["name,n"] * blocks)
        for only in (b"name,n\n", b"name,n"):
            write_file(self.path("numbers"), only)
            self.assertEqual(self.both("--header", ":", "--", "cat", stdin=only).out, b"")
        long = b"x" * (1 << 20) + b"y\n1\n"
        write_file(self.path("numbers"), long)
        self.assertIn(b"the header has more than 1 MiB", self.pipe_map("--header", ":", "--", "cat", stdin=long, status=3).err)
        self.assertIn(b"the header has more than 1 MiB", self.part_map("--header", ":", "--", "cat", status=2).err)

    def test_a_block_runs_while_the_stream_goes_on(self):
        for options in (["-N", "2"], ["--block", "4"]):
            run = subprocess.Popen([FANTAIL, "map", "--pipe", *options, "--", "cat"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, env=self.environment(), cwd=self.folder)
            self.addCleanup(run.kill)
            for n in range(3):
                run.stdin.write(b"%d\n%d\n" % (n, n))
                run.stdin.flush()
                self.assertEqual(run.stdout.readline() + run.stdout.readline(), b"%d\n%d\n" % (n, n))
            self.assertEqual(run.communicate(timeout=60)[0], b"")


class WithOtherOptions(Pipe):
    def test_a_block_is_read_again_for_another_attempt(self):
        script = 'n=$(wc -l); [ -e "ran.$1" ] || { touch "ran.$1"; exit 1; }; echo "$n"; rm "ran.$1"'
        ended = self.both("--block", "60k", "--retries", 2, "--", "sh", "-c", script, "sh", "{#}")
        self.assertEqual(ended.lines, ["12091", "7909"])

    def test_the_log_has_the_size_of_each_block_and_a_run_goes_on_after_it(self):
        script = 'n=$(wc -l); [ "$1" != 2 ] || [ -e go ] || exit 1; echo "$n"'
        for run in (self.pipe_map, self.part_map):
            command = ["--block", "40k", "--", "sh", "-c", script, "sh", "{#}"]
            run("-q", "--joblog", "log", *command, status=1)
            log = {line["Seq"]: line for line in self.log()}
            self.assertEqual([int(log[seq]["Send"]) for seq in "123"], [40958, 40960, 26976])
            self.assertEqual([log[seq]["Exitval"] for seq in "123"], ["0", "1", "0"])
            write_file(self.path("go"), "")
            ended = run("--joblog", "log", "--resume-failed", *command)
            self.assertEqual(ended.lines, ["7091"])
            os.unlink(self.path("go"))

    def test_the_files_of_a_block_are_named_after_its_number(self):
        for run, folder in ((self.pipe_map, "a"), (self.part_map, "b")):
            run("--block", "60k", "--results", folder, "--", "wc", "-l")
            self.assertEqual(self.read(f"{folder}/1/1/stdout"), b"12091\n")
            self.assertEqual(self.read(f"{folder}/1/2/stdout"), b"7909\n")

    def test_errors_have_the_place_of_the_block(self):
        self.both("-q", "--block", "60k", "--errors", "errors", "--", "false", status=1)
        lines = self.read("errors").decode().splitlines()
        self.assertEqual(len(lines), 2)
        self.assertIn('"item":[61440,47454]', lines[1])

    def test_a_dry_run_a_tag_a_time_limit_and_a_halt(self):
        self.assertEqual(self.both("--block", "60k", "--dry-run", "--", "wc", "-l").lines, ["wc -l", "wc -l"])
        self.assertEqual(self.both("--block", "60k", "--tag", "--", "wc", "-l").lines, ["\t12091", "\t7909"])
        ended = self.both("-q", "--block", "60k", "--timeout", "0.3", "--errors", "errors", "--", "sleep", "1000", status=1)
        self.assertEqual(self.read("errors").count(b"timed_out"), 2, ended)
        self.both("-q", "--block", "100", "-j", 1, "--halt", "now,fail=1", "--", "false", status=3)

    def test_lines_are_printed_as_they_come(self):
        for run in (self.pipe_map, self.part_map):
            self.assertEqual(sorted(run("--lb", "--block", "1k", "--", "cat").out.splitlines()), sorted(NUMBERS.splitlines()))

    def test_shell_code(self):
        self.assertEqual(self.both("--shell", "--block", "60k", "--", "wc -l | tr 1 x").lines, ["x209x", "7909"])


class Faults(Pipe):
    def test_options_that_do_not_fit(self):
        for arguments, words in (
                (["--pipe", "square"], b"--pipe: is for a command"),
                (["--recend", ";", "square"], b"--recend: is for a command"),
                (["--url", "http://127.0.0.1:1", "--pipepart", "-a", "numbers", "square"], b"--pipepart: is for a command"),
                (["--block", "1M", "--", "cat"], b"--block: has no effect without --pipe"),
                (["--pipe", "--pipepart", "--", "cat"], b"--pipe: cannot be given together with --pipepart"),
                (["--pipe", "-n", "2", "--", "cat"], b"--pipe: cannot be given together with --max-args"),
                (["--pipe", "-r", "--", "cat"], b"--pipe: cannot be given together with --no-run-if-empty"),
                (["--pipe", "--colsep", ",", "--", "cat"], b"--pipe: cannot be given together with --colsep"),
                (["--pipe", "--stdin", "--", "cat"], b"--pipe: cannot be given together with --stdin"),
                (["--pipe", "--reduce", "count", "--", "cat"], b"--pipe: cannot be given together with --reduce"),
                (["--pipepart", "-a", "numbers", "-N", "2", "--", "cat"], b"--pipepart: does not count records"),
                (["--pipepart", "--", "cat"], b"--pipepart: needs the file"),
                (["--pipepart", "-a", "-", "--", "cat"], b"--pipepart: the input must be a file"),
                (["--pipepart", "-a", "numbers", "-a", "numbers", "--", "cat"], b"--pipepart: takes one file"),
                (["--pipe", "--", "cat", ":::", "a"], b"--pipe: takes one file"),
                (["--pipe", "--shuf", "--", "cat"], b"--shuf: cannot be given together with --pipe"),
                (["--pipe", "--block", "0", "--", "cat"], b"--block: must be"),
                (["--pipe", "--block", "x", "--", "cat"], b"--block: must be"),
                (["--pipe", "--block", "-1", "--", "cat"], b"--pipe: a number of blocks needs a file"),
                (["--pipe", "--block", "2G", "--", "cat"], b"--pipe: a block of a stream has at most 1 GiB"),
                (["--pipe", "--recend", r"\d", "--", "cat"], b"--recend: may have")):
            ended = self.map(*arguments, stdin="a\n", status=2)
            self.assertIn(words, ended.err)

    def test_a_file_whose_size_does_not_say_its_end_is_read_as_a_stream(self):
        """A file of /proc has the size 0, and a file of /sys has the size of a page."""
        for path in ("/proc/sys/kernel/ostype", "/sys/kernel/mm/transparent_hugepage/enabled"):
            if not os.path.exists(path):
                self.skipTest(f"{path} is missing on this machine")
            with self.subTest(path), open(path, "rb") as file:
                wanted = file.read()
                file.seek(0)
                done = subprocess.run([FANTAIL, "map", "--pipe", "--raw", "--", "cat"], stdin=file, stdout=subprocess.PIPE,
                                      env=self.environment(), check=True, cwd=self.folder)
                self.assertEqual(done.stdout, wanted)

    def test_parts_need_a_file(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        for path in (fifo, "/dev/zero", "/proc/sys/kernel/ostype"):
            with self.subTest(path):
                ended = self.map("--pipepart", "-a", path, "--", "cat", status=2)
                self.assertIn(b"--pipepart: the input must be a file", ended.err)

    def test_a_file_that_becomes_shorter_fails_its_block_by_name(self):
        script = 'touch "began.$1"; until [ -e go ]; do sleep 0.02; done; wc -c'
        write_file(self.path("numbers"), b"a" * 4_000_000)
        run = subprocess.Popen([FANTAIL, "map", "--pipepart", "-a", "numbers", "--recend", "", "--block", "2000000", "-j", "2",
                                "--errors", "errors", "--", "sh", "-c", script, "sh", "{#}"], env=self.environment(),
                               cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(run.kill)
        wait_until(lambda: all(os.path.exists(self.path(f"began.{n}")) for n in (1, 2)), "both commands")
        os.truncate(self.path("numbers"), 2_000_000)
        write_file(self.path("go"), "")
        self.assertEqual(run.communicate(timeout=60)[0].decode().splitlines(), ["2000000", "null"])
        self.assertEqual(run.returncode, 1)
        self.assertIn(b"the file has become shorter", self.read("errors"))

    def test_a_file_that_is_removed_is_read_to_its_end(self):
        script = 'touch began; until [ -e go ]; do sleep 0.02; done; wc -l'
        run = subprocess.Popen([FANTAIL, "map", "--pipepart", "-a", "numbers", "--block", "60k", "-j", "1", "--", "sh", "-c",
                                script], env=self.environment(), cwd=self.folder, stdout=subprocess.PIPE)
        self.addCleanup(run.kill)
        wait_until(lambda: os.path.exists(self.path("began")), "the first command")
        os.unlink(self.path("numbers"))
        write_file(self.path("go"), "")
        self.assertEqual(run.communicate(timeout=60)[0].decode().splitlines(), ["12091", "7909"])

    def test_a_slow_command_keeps_the_stream_from_being_read(self):
        """The memory of a run is limited: it holds the blocks of the running commands, and a few blocks that wait."""
        script = "until [ -e go ]; do sleep 0.02; done; wc -c"
        run = subprocess.Popen([FANTAIL, "map", "--pipe", "--block", "1M", "--recend", "", "-j", "2", "--", "sh", "-c", script],
                               env=self.environment(), cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(run.kill)
        os.set_blocking(run.stdin.fileno(), False)
        piece, sent = b"a" * 65536, 0

        def is_full():
            nonlocal sent
            try:
                while sent < 64 << 20:
                    sent += os.write(run.stdin.fileno(), piece)
            except BlockingIOError:
                pass
            return sent >= 6 << 20

        wait_until(is_full, "six blocks")
        wait_until(lambda: self.blocks_of(run.pid) == 6, "six places")
        is_full()
        self.assertLess(sent, 9 << 20, "six blocks, and what the pipe holds")
        write_file(self.path("go"), "")
        os.set_blocking(run.stdin.fileno(), True)
        out = run.communicate(timeout=60)[0]
        self.assertEqual(sum(map(int, out.split())), sent)

    def blocks_of(self, pid):
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        return sum("memfd:block" in link for link in links)


if __name__ == "__main__":
    main()
