"""What a terminal shows while `fantail map` runs: the progress line, and the messages above it."""
import contextlib
import fcntl
import os
import re
import signal
import struct
import subprocess
import termios

from cli_testing import FANTAIL, CliTest, numbers
from fantail_testing import main
from waiting import wait_until

ERASE = "\r\x1b[K"
COUNTS = r"[\d,]+(/~?[\d,]+)?( items)?"


class Screen:
    """A terminal of some width. `text` is all that was written to it."""

    def __init__(self, test, columns):
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.set_blocking(self.master, False)
        self.text = ""
        test.addCleanup(os.close, self.master)

    def read(self):
        with contextlib.suppress(OSError):
            while piece := os.read(self.master, 1 << 16):
                self.text += piece.decode()
        return self.text


class Progress(CliTest):
    def start_map(self, *arguments, columns=80, stdin=None, **env):
        """Starts the program with its standard error on a terminal."""
        self.screen = Screen(self, columns)
        self.process = subprocess.Popen([FANTAIL, "map", *arguments], stdin=stdin, stdout=subprocess.DEVNULL, cwd=self.folder,
                                        stderr=self.screen.slave, env=self.environment(**env))
        os.close(self.screen.slave)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)

    def items(self, count):
        path = os.path.join(self.folder, "items")
        with open(path, "w", encoding="utf-8") as file:
            file.write(numbers(count))
        return path

    def run_map(self, *arguments, **more):
        """Returns the exit status and the text that the terminal got."""
        self.start_map(*arguments, **more)
        wait_until(lambda: self.screen.read() is not None and self.process.poll() is not None, "the end")
        return self.process.returncode, self.screen.read().replace("\r\n", "\n")

    def lines_drawn(self, text):
        return [line for line in re.split(r"\n|\r\x1b\[K", text) if re.match(rf"{COUNTS}(  |$)", line)]

    def test_the_line_shows_the_failures_whatever_the_width(self):
        for columns in (40, 80, 200):
            with self.subTest(columns):
                status, text = self.run_map("-a", self.items(3000), "-P", "4", "--", "false", columns=columns)
                self.assertEqual(status, 1, text)
                drawn = self.lines_drawn(text)
                self.assertTrue([line for line in drawn if re.match(rf"{COUNTS}  [\d,]+ failed", line)], text)
                self.assertLessEqual(max(map(len, drawn)), columns - 3)  # there is room for the ^C of a terminal

    def test_failures_are_red_unless_colours_are_not_wanted(self):
        arguments = ("-a", self.items(3000), "-P", "4", "--", "false")
        _, text = self.run_map(*arguments, NO_COLOR=None, TERM="xterm")
        self.assertRegex(text, rf"{COUNTS}  \x1b\[31m[\d,]+ failed\x1b\[0m")
        self.assertIn("fantail: \x1b[31m3,000 of 3,000 items failed\x1b[0m (3,000 task_error)", text)
        arguments = ("--", "false", ":::", "a")
        for env in ({"NO_COLOR": "1", "TERM": "xterm"}, {"NO_COLOR": None, "TERM": "dumb"}, {"NO_COLOR": None, "TERM": None}):
            self.assertNotIn("\x1b[31m", self.run_map(*arguments, **env)[1])
        ended = self.cli("map", "--bar", *arguments, NO_COLOR=None, TERM="xterm")
        self.assertNotIn(b"\x1b[31m", ended.err)

    def test_bar_and_eta_show_the_line_in_any_case(self):
        for option in ("--bar", "--eta"):
            ended = self.cli("map", option, "-a", self.items(3000), "--", "true")
            self.assertTrue(self.lines_drawn(ended.err.decode()), ended)
            ended = self.cli("map", option, "--progress", "never", "--", "true")
            self.assertEqual((ended.status, ended.err.decode()),
                             (2, f"fantail map: {option}: cannot be given together with --progress never\n"))

    def test_messages_scroll_above_the_line(self):
        script = '[ "$1" -lt 400 ] || exit 1; sleep 0.005'
        _, text = self.run_map("-a", self.items(403), "-P", "1", "--", "sh", "-c", script, "sh")
        messages = re.findall(rf"{re.escape(ERASE)}fantail: item \d+ \(line \d+\): task_error: exit status 1\n(?=(.*))", text)
        self.assertEqual(len(messages), 3, text)
        for after in messages:  # the same write has drawn the line again
            self.assertRegex(after, rf"^{COUNTS}  ")

    def test_the_output_of_commands_scrolls_above_the_line(self):
        _, text = self.run_map("-a", self.items(1000), "-P", "2", "--", "sh", "-c", 'echo "line $1 ends" >&2', "sh")
        lines = [line.rpartition(ERASE)[2] for line in text.split("\n")]
        self.assertEqual({line for line in lines if line.startswith("line")}, {f"line {n} ends" for n in range(1000)})
        self.assertRegex(text, rf"line \d+ ends\n{COUNTS}  ")

    def test_the_end_says_how_many_items_there_were(self):
        status, text = self.run_map("-a", self.items(1200), "--", "true")
        self.assertEqual(status, 0, text)
        self.assertRegex(text, rf"{re.escape(ERASE)}fantail: 1,200 items in (\d\.\d s|\d:\d\d)\n$")

    def test_an_interrupt_says_how_many_items_are_done_and_failed(self):
        for arguments, of in ((["-a", self.items(100_000)], "of 100,000 items"),
                              ([":::", *map(str, range(2000))], "of 2,000 items")):
            lists = arguments if arguments[0] == ":::" else []
            options = [] if lists else arguments
            self.start_map(*options, "-P", "1", "--errors", "errors", "--", "sh", "-c", 'exit $(($1 < 3))', "sh", *lists)
            wait_until(lambda: re.search(r"[3-9]\d?/", self.screen.read()), "some answers")
            self.process.send_signal(signal.SIGINT)
            self.assertEqual(self.process.wait(60), -signal.SIGINT)
            self.assertRegex(self.screen.read().replace("\r\n", "\n"),
                             rf"{re.escape(ERASE)}fantail: cancelled after [\d,]+ {of}; 3 failed\n$")

    def test_the_lines_of_a_file_are_counted_at_the_start(self):
        """The items have different lengths, so an estimate from the size of the file would be wrong."""
        _, text = self.run_map("-a", self.items(20_000), "-P", "2", "--halt", "now,done=500", "--", "true")
        self.assertIn("/20,000  ", text)
        self.assertNotIn("/~", text)

    def test_items_of_the_log_count_neither_in_the_total_nor_in_the_rate(self):
        command = ["--joblog", "log", "-P", "1", "--resume", "--", "sh", "-c", "sleep 0.$1", "sh"]
        self.run_map(*command, ":::", *"00000000")
        status, text = self.run_map(*command, ":::", *"00000000", "5", "5")
        self.assertEqual(status, 0, text)
        self.assertTrue(all(line.split("/")[1].startswith("2  ") for line in self.lines_drawn(text)), text)
        rates = [float(rate.replace(",", "")) for rate in re.findall(r"  ([\d.,]+)/s", text)]
        self.assertLess(max(rates), 4, text)  # an item takes half a second
        self.assertRegex(text, r"fantail: 2 items in [1-9]\.\d s; 8 were in the log\n$")

    def test_a_pipe_on_standard_output_has_no_line_because_its_reader_may_share_the_terminal(self):
        for stdout, shown in (subprocess.PIPE, False), (subprocess.DEVNULL, True):
            screen = Screen(self, 80)
            with os.fdopen(screen.slave) as terminal:
                subprocess.run([FANTAIL, "map", "-a", self.items(1500), "--", "true"], stdout=stdout, stderr=terminal,
                               cwd=self.folder, env=self.environment(), timeout=120, check=True)
                self.assertEqual(bool(screen.read()), shown)

    def test_the_help_fits_the_terminal(self):
        for columns in (40, 60, 80, 200):
            screen = Screen(self, columns)
            with os.fdopen(screen.slave) as terminal:
                for command in (["map"], ["parallel"], ["jobs"], []):
                    with subprocess.Popen([FANTAIL, *command, "--help"], stdout=terminal, env=self.environment()) as help_:
                        wait_until(lambda: screen.read() is not None and help_.poll() is not None, "the end of the help")
                    self.assertEqual(help_.returncode, 0)
            lines = screen.read().replace("\r\n", "\n").split("\n")
            self.assertEqual([line for line in lines if len(line) > max(columns, 40) and " " in line.strip()], [], columns)

    def test_a_quiet_run_has_no_line(self):
        self.assertEqual(self.run_map("-q", "--", "true", ":::", "1"), (0, ""))


if __name__ == "__main__":
    main()
