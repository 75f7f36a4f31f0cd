"""`fantail map --results`: what each command prints, in files with the layout of GNU parallel."""
import os

from fantail_testing import main, write_file
from test_map_log import LogTest

PRINTS = 'echo "out $1"; echo "err $1" >&2'


class Results(LogTest):
    def files(self, folder="results"):
        """Returns {path: content} of all files in the folder."""
        root = self.path(folder).encode()
        return {os.path.relpath(os.path.join(place, name), root): self.read(os.fsdecode(os.path.join(place, name)))
                for place, _, names in os.walk(root) for name in names}

    def contents(self, *files):
        return {f"{place}/{name}".encode(): text.encode() for place, texts in files
                for name, text in zip(("stdout", "stderr", "seq", "exitval"), texts)}

    def test_each_item_has_its_files(self):
        ended = self.map("--results", "new/results", "--", "sh", "-c", PRINTS + '; exit "$1"', "sh", ":::", "0", "3", status=1)
        self.assertEqual(ended.lines, ["out 0", "null"])
        self.assertIn(b"err 0\n", ended.err)
        self.assertEqual(self.files("new/results"), self.contents(
            ("1/0", ("out 0\n", "err 0\n", "1", "0\n")), ("1/3", ("out 3\n", "err 3\n", "2", "3\n"))))

    def test_the_files_are_those_of_gnu_parallel(self):
        # Since 2023, GNU parallel has made different file names from these values.
        special = ("d/e", "f\\g", "h\ti") if self.parallel("--version").split()[2] < b"2023" else ("d", "f", "h")
        lists = (":::", "a", "b c", *special, "\u00e9", ":::", "x", ".y")
        self.parallel("--results", "theirs", "sh", "-c", f"'{PRINTS}'", "sh", *lists)
        self.map("--results", "ours", "--", "sh", "-c", PRINTS, "sh", *lists)
        ours = {path: text for path, text in self.files("ours").items() if not path.endswith(b"/exitval")}
        self.assertEqual(len(ours), 6 * 2 * 3)
        self.assertEqual(ours, self.files("theirs"))

    def test_no_name_leads_out_of_the_folder(self):
        self.map("--results", "results", "--", "echo", ":::", "..", ".", "../..", "/etc", "")
        self.assertEqual({path.rsplit(b"/", 1)[0] for path in self.files()},
                         {b"1/\\..", b"1/\\.", b"1/..\\_..", b"1/\\_etc", b"1/\\"})
        self.assertEqual(set(os.listdir(self.folder)) - {"out"}, {"results"})

    def test_long_values_have_names_of_their_own(self):
        values = ["x" * 300 + "1", "x" * 300 + "2", "y" * 255, "\u20ac" * 100, "/" * 200]
        self.map("--results", "results", "--", "echo", ":::", *values)
        names = {path.split(b"/")[1] for path in self.files()}
        self.assertEqual(names, {b"x" * 231 + b"\\~1", b"x" * 231 + b"\\~2", b"y" * 255,
                                 ("\u20ac" * 77).encode() + b"\\~4", b"\\_" * 115 + b"\\~5"})

    def test_a_command_replaces_the_files_of_an_earlier_one(self):
        self.map("--results", "results", "--", "echo", "long text", ":::", "a")
        earlier = self.path("results/1/a/stdout")
        os.link(earlier, self.path("kept"))
        self.map("--results", "results", "--", "echo", ":::", "a")
        self.assertEqual((self.read("results/1/a/stdout"), self.read("kept")), (b"a\n", b"long text a\n"))

    def test_the_last_attempt_counts(self):
        counts = 'echo >> "$1"; wc -l < "$1"; [ "$(wc -l < "$1")" -ge 3 ]'
        self.map("--results", "results", "--retries", 3, "--", "sh", "-c", counts, "sh", ":::", "a")
        self.assertEqual(self.files(), self.contents(("1/a", ("3\n", "", "1", "0\n"))))

    def test_a_killed_command_has_what_it_printed_and_the_status_of_a_shell(self):
        script = 'echo begun; [ "$1" = kill ] && kill -11 $$; exec sleep 1000'
        self.map("--results", "results", "--timeout", "1", "--", "sh", "-c", script, "sh", ":::", "kill", "sleep", status=1)
        files = self.files()
        for value, status in (("kill", b"139\n"), ("sleep", b"137\n")):
            self.assertEqual(files[f"1/{value}/stdout".encode()], b"begun\n")
            self.assertEqual(files[f"1/{value}/exitval".encode()], status)

    def test_the_files_have_the_output_without_tags_and_unchanged(self):
        self.map("--results", "results", "--tag", "--", "echo", ":::", "a")
        self.assertEqual(self.read("results/1/a/stdout"), b"a\n")
        self.map("--results", "raw", "--raw", "--", "printf", r"\377\0", stdin=b"\xe9\n")
        self.assertEqual(self.files("raw")[b"1/\xe9/stdout"], b"\xff\0")

    def test_an_item_fails_if_its_files_cannot_be_written(self):
        os.makedirs(self.path("results/1"))
        write_file(self.path("results/1/a"), "in the way")
        for log in ((), ("--joblog", "log")):
            ended = self.map("--results", "results", *log, "--", "echo", ":::", "a", "b", status=1)
            self.assertEqual(ended.lines, ["null", "b"])
            self.assertIn(b"cannot write the files of --results: Not a directory", ended.err)

    def test_what_is_no_folder_is_refused(self):
        write_file(self.path("file"), "")
        for given, why in (("file", "cannot use the folder file: Not a directory"), ("x.csv", "must be a folder"),
                           ("a{}", "must be a folder"), ("", "must be a path"), (b"\xff", "not valid UTF-8")):
            ended = self.cli("map", "--results=" + os.fsdecode(given), "--", "echo",
                             ":::", "a")
            self.assertEqual(ended.status, 2, ended)
            self.assertIn("fantail map: --results", ended.err.decode())
            self.assertIn(why, ended.err.decode())
        ended = self.cli("map", "square", "--results", "x", ":::", "1")
        self.assertEqual((ended.status, ended.err), (2, b"fantail map: --results: is for a command (after --) only\n"))


if __name__ == "__main__":
    main()
