"""`fantail map` with columns: --colsep, --header and --csv."""
import csv
import io
import json
import os
import subprocess

from cli_testing import FANTAIL, CliTest, LocalTest
from fantail_testing import have, main, write_file

SHOW = ("--", "printf", "<%s>")


class Columns(CliTest):
    def assert_map(self, arguments, lines, status=0, err=(), **more):
        ended = self.cli("map", *arguments, **more)
        self.assertEqual((ended.status, ended.lines), (status, lines), ended)
        for words in err:
            self.assertIn(words, ended.err.decode(), ended)
        if not err:  # on a busy machine a task may take a long time to load, and the program says so
            self.assertRegex(ended.err, rb"\A(fantail: task echo takes a while to load\n)?\Z", ended)
        return ended

    def assert_refused(self, arguments, message, stdin="a,b\n"):
        ended = self.cli("map", *arguments, stdin=stdin)
        self.assertEqual((ended.status, ended.out), (2, b""), ended)
        self.assertIn(f"fantail map: {message}", ended.err.decode())

    def test_a_line_is_cut_into_columns(self):
        self.assert_map(["-C", ",", *SHOW, "{2}{1/.}", "{3}", "{}"], ["<db><><a/b.c><d>", "<e><><e>"], stdin="a/b.c , d\ne\n")
        self.assert_map(["--colsep", "\\t", *SHOW], ["<a b><c>"], stdin="a b\tc\r\n")
        self.assert_map(["--colsep", "[0-9]+", *SHOW, "{2}"], ["<b>"], stdin="a12b3\n")
        self.assert_map(["-0", "--colsep", "\n", *SHOW, "{2}"], ["<b>", "<d>"], stdin="a\nb\0c\nd\0")
        self.assert_map(["--colsep", "-", *SHOW, ":::", "a-b", "c", ":::", "d"], ["<a><b><d>", "<c><d>"])
        self.assert_map(["--colsep", ",", "--tagstring", "{2}", "--", "echo", "{1}"], ["b\ta"], stdin="a,b\n")

    def test_a_placeholder_may_have_the_largest_number_of_a_column(self):
        line = ",".join(str(n) for n in range(1, 1000001)) + "\n"
        for option in (["--csv"], ["--colsep", ","]):
            self.assert_map([*option, *SHOW, "{9999}", "{10000}", "{1000000}"], ["<9999><10000><1000000>"], stdin=line)

    def test_a_task_gets_an_array_of_the_columns(self):
        self.assert_map(["echo", "--colsep", ","], ['["a","1"]', '["b"]', '[""]'], stdin="a,1\nb\n\n")
        self.assert_map(["echo", "--csv", ":::", 'a,"b,c"'], ['["a","b,c"]'])

    def test_the_first_line_names_the_columns(self):
        table = "n,long name\na,b/c.d\n"
        self.assert_map(["--header", ":", "-C", ",", *SHOW, "{long name/.}", "{n}", "{m}"], ["<c><a><{m}>"], stdin=table)
        self.assert_map(["echo", "--header", ":", "-C", ","], ['{"n":"a","long name":"b/c.d"}', '{"n":"e"}'],
                        stdin=table + "e\n")
        self.assert_map(["--header", ":", *SHOW, "{y}-{x}"], ["<2-1>"], stdin="x\ty\n1\t2")
        self.assert_map(["--header", ":", *SHOW, "{y}{x.}", ":::", "x", "a.b", "c", ":::", "y", "1"], ["<1a>", "<1c>"])
        self.assert_map(["echo", "--text", "--header", ":", ":::", "x", "a", ":::+", "y", "1"], ['{"x":"a","y":"1"}'])
        self.assert_map(["echo", "--header", ":"], ['{"x":1}', '{"x":[2]}'], stdin="x\n1\n\n[2]\n")
        self.assert_map(["echo", "--header", ":", ":::", "x", "[1]", "2"], ['{"x":[1]}', '{"x":2}'])
        self.assert_map(["echo", "--header", ":", ":::", "x", "1", ":::", "", "2"], ['{"x":1,"":2}'])
        self.assert_map(["--header", ":", *SHOW, "{x}"], [], stdin="")
        self.assert_map(["--header", ":", *SHOW, "{x}"], [], stdin="x")

    def test_a_mistyped_name_of_a_column_is_refused(self):
        table = "name,age,point\nAnn,30,1\n"
        said = "{%s} names no column; did you mean {%s}?"
        for words, typed, meant in ((["{nam} is {age}"], "nam", "name"), (["{age}", "{Name/.}"], "Name", "name"),
                                    (["{AGE}"], "AGE", "age"), (["x{poimt}"], "poimt", "point")):
            with self.subTest(words):
                self.assert_refused(["--csv", "--header", ":", *SHOW, *words], "--header: " + said % (typed, meant), stdin=table)
        self.assert_refused(["--header", ":", "--tagstring", "{agee}", *SHOW, ":::", "age", "1"], "--header: " + said % ("agee", "age"))
        for word in "{print}", "{print $1}", "${nam}", "{ nam}", "{city}", "{n,m}", "{", "{}}", "{1}":
            with self.subTest(word):
                ended = self.cli("map", "--dry-run", "--csv", "--header", ":", "--", "echo", word, stdin=table)
                self.assertEqual((ended.status, ended.err), (0, b""), ended)
        ended = self.cli("parallel", "--header", ":", "echo", "'{nam}'", ":::", "name", "Ann")
        self.assertEqual((ended.status, ended.out), (0, b"{nam} Ann\n"), ended)
        self.assertIn("fantail parallel: --header: warning: " + said % ("nam", "name"), ended.err.decode())

    def test_csv_is_read_as_its_standard_says(self):
        rows = [["id", "text"], ["1", 'say "a"'], ["2", "two\nlines, one value"], ["3", ""], ["4", " \u00e4\t"]]
        for ending in "\n", "\r\n":
            table = io.StringIO()
            csv.writer(table, lineterminator=ending).writerows(rows)
            wanted = [dict(zip(rows[0], row)) for row in rows[1:]]
            ended = self.cli("map", "echo", "--csv", "--header", ":", stdin="\ufeff" + table.getvalue())
            self.assertEqual([json.loads(line) for line in ended.lines], wanted, ended)
            ended = self.cli("map", "--json", "--stdin", "--", "cat", stdin="1")
            self.assert_map(["--csv", "--header", ":", "--dry-run", "--", "echo", "{text}", "{id}"],
                            ["echo 'say \"a\"' 1", "echo 'two", "lines, one value' 2", "echo '' 3", "echo ' \u00e4\t' 4"],
                            stdin=table.getvalue())
        self.assert_map(["--csv", "-C", ";", *SHOW, "{2}"], ["<b,c>"], stdin='a;b,c\n')

    def test_many_records_come_in_order_whatever_their_size(self):
        rows = [[str(n), "x" * (n * 97 % 3000), f'"{n}"\n'] for n in range(3000)]
        table = io.StringIO()
        csv.writer(table).writerows(rows)
        ended = self.cli("map", "echo", "--csv", stdin=table.getvalue())
        self.assertEqual([json.loads(line) for line in ended.lines], rows)
        self.assertEqual((ended.status, ended.err), (0, b""))

    def test_a_fault_is_told_with_its_line_after_the_results_before_it(self):
        table = "id,text\n1,a\n\n2,\"b\nc\"\n3,d\"e\n4,f\n"
        self.assert_map(["--csv", "--header", ":", "--", "printf", "%s", "{text}"], ["a", "b", "c"], status=3,
                        err=["fantail: line 6: a quote is only allowed around a value"], stdin=table)
        self.assert_map(["echo", "--csv"], ['["a"]'], status=3, err=["line 2: the closing quote is missing"], stdin='a\n"b\n\n')
        self.assert_map(["echo", "--csv", "--header", ":"], ['{"a":"1","b":"2"}'], status=3,
                        err=["line 3: the number of values is 1, but the header has 2"], stdin="a,b\n1,2\n3\n")
        self.assert_map(["echo", "-C", ",", "--header", ":"], [], status=3,
                        err=["line 2: the number of values is 3, but the header has 2"], stdin="a,b\n1,2,3\n")
        self.assert_map(["echo", "-C", ","], ['["a"]'], status=3, err=["line 2: not valid UTF-8"], stdin=b"a\n\xff\n")
        self.assert_map(["echo", "--header", ":"], [], status=3, err=["line 2: not JSON at byte 0"], stdin="a\nb\n")
        self.assert_map(["echo", "--csv", "--reduce", "count"], [], status=3, err=["line 2: "], stdin='a\n"b\n')
        self.assert_map(["--csv", *SHOW], [], status=3, err=["cannot read the items: this is UTF-16"],
                        stdin="a,b".encode("utf-16"))

    def test_wrong_options_are_refused(self):
        for arguments, message in (
                (["-C", "", *SHOW], "--colsep: must not be empty"),
                (["-C", "(", *SHOW], '--colsep: "(" is not a regular expression: Unmatched ( or \\('),
                (["-C", "|", *SHOW], '--colsep: "|" matches the empty text, so it separates nothing'),
                (["--csv", "-C", ", ", *SHOW], "--colsep: the separator of CSV must be one character"),
                (["--header", ",", *SHOW], "--header: must be :, which stands for the first line"),
                (["--csv", "-0", *SHOW], "--csv: cannot be given together with --null"),
                (["--csv", "--json", *SHOW], "--csv: makes values of text, so it cannot be given together with --json"),
                (["-C", ",", "--stdin", *SHOW], "--stdin: is for one value, but with --colsep an item has several"),
                (["--csv", *SHOW, ":::", "a", 'b"c'], "value 2 of list 1 (:::) a quote is only allowed around a value"),
                (["--header", ":", *SHOW, ":::", "a", ":::", "b", "c"], "list 1 of 2 has no values")):
            self.assert_refused(arguments, message)
        self.assert_refused(["--header", ":", "--csv", *SHOW], "--header: line 1: the closing quote is missing", stdin='"a\n')
        self.assert_refused(["--header", ":", "--csv", *SHOW], "--header: line 1: the header has more than 10000 names",
                            stdin="," * 10000)
        self.assert_refused(["--header", ":", "--csv", *SHOW, ":::", '"a'], "--header: the first value of list 1: the closing quote")
        self.assert_refused(["echo", "--header", ":", "--csv"], '--header: column 3 has the name of an earlier column', stdin="a,b,a\n")

    def test_failed_items_are_told_with_all_their_columns(self):
        self.assert_map(["-C", ",", "--errors", "failed", "--", "false"], ["null"], status=1, err=["item 1 (index 0): task_error"],
                        stdin="a,b\n")
        with open(os.path.join(self.folder, "failed"), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["item"], ["a", "b"])

    def test_a_run_goes_on_where_its_log_ends(self):
        arguments = ["--joblog", "log", "--resume", "-j", "1", "-C", ",", "--header", ":", "--", "sh", "-c", 'echo "$1"; test "$1" != b',
                     "sh", "{x}"]
        table = "x,y\na,1\nb,2\nc,3\n"
        self.assert_map([*arguments[:3], "--halt", "now,fail=1", *arguments[3:]], ["a", "null"], status=3, err=["halted"], stdin=table)
        self.assert_map(arguments, ["c"], stdin=table)

    def test_any_bytes_may_stand_in_columns(self):
        ended = self.cli("map", "--raw", "-C", ",", "--", "printf", "%s", "{2}", stdin=b"a,\xff\nb,\xfe\n")
        self.assertEqual((ended.status, ended.out), (0, b"\xff\xfe"), ended)

    def test_records_are_read_while_the_run_goes_on(self):
        run = subprocess.Popen([FANTAIL, "map", "echo", "--csv", "--header", ":"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env=self.environment(), cwd=self.folder)
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.wait)
        with run.stdin as items:
            for n in range(3):
                items.write(b"x\n0\n" if n == 0 else b'"%d\n"\n' % n)
                items.flush()
                self.assertEqual(json.loads(run.stdout.readline())["x"].strip(), str(n))

    def test_gnu_parallel_cuts_the_same(self):
        if not have("parallel"):
            self.skipTest("GNU parallel is not installed")
        table = os.path.join(self.folder, "table")
        write_file(table, "x y,z\n a.b , c\n\nd,e/f,g\nh,\n")
        show = ["echo", "{1}:{2/}:{3}", "q{}p"]
        for options in (["--colsep", ",", *show, "::::", table], ["--colsep", "[,.]", *show, "::::", table],
                        ["--colsep", ",\\s*", *show, "::::", table], ["--colsep", "/", *show, ":::", "a/b", "c", ":::", "d/e"],
                        ["--header", ":", "--colsep", ",", "echo", "{z}:{x y.}", "::::", table],
                        ["--header", ":", "echo", "{x}-{y/}", "{z}", ":::", "x", "a", "b", ":::", "y", "c/d", "e"],
                        ["--header", ":", "echo", "{x}", "{y}", ":::", "x", "1", "2", ":::+", "y", "3", "4"]):
            with self.subTest(options):
                at = options.index("echo")
                asked = subprocess.run(["parallel", "--will-cite", "-k", *options], stdin=subprocess.DEVNULL, capture_output=True,
                                       env=self.environment(), check=True)
                self.assert_map([*options[:at], "--", *options[at:]], asked.stdout.decode().splitlines())


class Detached(LocalTest):
    def test_the_records_become_the_items_of_a_durable_job(self):
        port = self.free_port()
        url = f"http://127.0.0.1:{port}"
        self.local("--port", port)
        ended = self.cli("map", "echo", "--csv", "--header", ":", "--detach", "--url", url, stdin='x,y\n1,"a\nb"\n')
        self.assertEqual(ended.status, 0, ended)
        self.assertEqual(self.cli("results", ended.lines[0], "--url", url).lines, ['{"x":"1","y":"a\\nb"}'])
        ended = self.cli("map", "echo", "--csv", "--detach", "--url", url, stdin='a\n"b\n')
        self.assertEqual((ended.status, ended.out), (3, b""), ended)
        self.assertIn(b"line 2: the closing quote is missing, so the job was not stored", ended.err)
        self.assertEqual(len(self.cli("jobs", "--json", "--url", url).lines), 1)


if __name__ == "__main__":
    main()
