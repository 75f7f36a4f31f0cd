"""The program `fantail`, used by a person or by a script: standard input, standard output and exit statuses."""
import http.server
import json
import os
import shlex
import signal
import socketserver
import subprocess
import threading
import time

from cli_testing import FANTAIL, CliTest, numbers
from fantail_testing import EXAMPLE_TASKS, FantailTest, SharedFleetTest, main, wait_until, write_file


class Words(CliTest):
    """Commands that need no service."""

    def test_version_and_help_are_on_standard_output(self):
        self.assertRegex(self.cli("--version").out, rb"^fantail \d+\.\d+\.\d+\n$")
        for arguments in (["--help"], ["map", "--help"], ["local", "--help"], ["submit", "--help"], ["tasks", "--help"]):
            ended = self.cli(*arguments)
            self.assertEqual((ended.status, ended.err), (0, b""), ended)
            self.assertIn(b"fantail", ended.out)

    def test_wrong_usage_is_status_2_and_says_what(self):
        for arguments, word in ((["frobnicate"], b"frobnicate"), (["map"], b"task"), (["map", "a", "b"], b"b"),
                                (["map", "a", "--order", "sideways"], b"order"),
                                (["map", "a", "--common", "{"], b"common"), (["map", "--"], b"command"),
                                (["map", "a", "--tasks", "/nowhere"], b"/nowhere"), (["tasks"], b"url"),
                                (["tasks", "--url", "here"], b"--url"), (["map", "a", "--url", "http://h:0"], b"--url"),
                                (["submit", "--url", "http://127.0.0.1:9", "-f", "/nowhere"], b"--file"),
                                (["map", "a", "--url", "http://127.0.0.1:9", "--token-file", "/nowhere"],
                                 b"--token-file"),
                                (["map", "--errors", "/nowhere/x", "--", "echo"], b"--errors"),
                                (["map", "--null", "--json", "--", "cat"], b"--json"),
                                (["map", "a", "--index", "--reduce", "sum"], b"--index"), (["help", "nope"], b"unknown command"),
                                (["map", "a", "--reduce", "avg"], b"--reduce"),
                                (["map", "--reduce", "avg", "--", "cat"], b"--reduce"),
                                (["map", "a", "--url", "http://127.0.0.1:9", "--workers", "2"], b"--workers: is for"),
                                (["map", "a", "--url", "http://127.0.0.1:9", "--tasks", "."], b"--tasks: is for"),
                                (["map", "a", "--url", "http://127.0.0.1:9", "-P4"], b"--processes: is for"),
                                (["map", "a", "--tasks", ".", "--token-file", "/nowhere"], b"--token-file: is for a running"),
                                (["map", "a", "--tasks", ".", "--cacert=/nowhere"], b"--cacert: is for a running"),
                                (["map", "a", "--tasks", ".", "--cert", "/nowhere"], b"--cert: is for a running"),
                                (["map", "--key", "/nowhere", "--", "echo"], b"--key: is for a running"),
                                (["map", "-P"], b"-P (--processes): needs a value"),
                                (["map", "-Px", "a"], b"-P (--processes): must be a whole number"),
                                (["map", "--errors", "/nowhere/x", "--", "echo"], b"fantail map: --errors: cannot write"),
                                (["local", "--workers", "0"], b"workers"), (["local", "--tasks", "/nowhere"], b"tasks")):
            with self.subTest(arguments):
                ended = self.cli(*arguments)
                self.assertEqual(ended.status, 2, ended)
                self.assertIn(word, ended.err)

    def test_help_of_a_word_that_is_no_command_is_that_of_the_program_only_where_it_must(self):
        for arguments in (["help"], ["help", "help"], ["help", "--help"], ["help", "map"]):
            self.assertEqual(self.cli(*arguments).status, 0, arguments)

    def test_wrong_usage_shows_what_to_type_instead(self):
        write_file(os.path.join(self.folder, "numbers.txt"), "1\n")
        for arguments, advice in ((["map", "square", "numbers.txt"], "`fantail map square < numbers.txt`"),
                                  (["map", "square", "numbers.txt"], "`fantail map -- COMMAND`"),
                                  (["map", "square", "cube"], "`fantail map square,cube`"),
                                  (["map", "square", "cube"], "`fantail map square < FILE`"),
                                  (["map"], "`fantail map square < numbers.txt`"),
                                  (["map", "--"], "`fantail map -- wc -c`"),
                                  (["tasks"], "`--url http://localhost:8080` or set FANTAIL_URL"),
                                  (["submit"], "`--url http://localhost:8080` or set FANTAIL_URL"),
                                  (["submit", "job.json"], "give the file of the job with -f"),
                                  (["mpa"], "did you mean `fantail map`?"), (["help", "redriv"], "did you mean `fantail redrive`?"),
                                  (["map", "square", "--worker", "3"], "did you mean --workers?"),
                                  (["map", "square", "--retry", "3"], "did you mean --retries or --retry-on?"),
                                  (["map", "square", "-z", "4"], "see fantail map --help"),
                                  (["map", "--max-procs", "4", "--", "wc"], "the number of processes is -j N (--jobs N)"),
                                  (["map", "-L", "1", "--", "wc"], "of one command is -n N"),
                                  (["map", "-l", "1", "--", "wc"], "of one command is -n N"),
                                  (["map", "wc", "-l"], "-l: unknown option; a command and its arguments come after --"),
                                  (["map", "cat", "-v"], "-v: unknown option; a command and its arguments come after --"),
                                  (["map", "wc -l {}", ":::", "a"], "wc -l {} is not the name of a task. To run a command: "
                                                                    "`fantail map -- wc -l {}`"),
                                  (["map", "./task"], "`fantail map -- ./task`"),
                                  (["map", "wc -l < {}"], "`fantail map --shell -- 'wc -l < {}'`"),
                                  (["map", "awk '{print $1}'"], "`fantail map --shell -- COMMAND`"),
                                  (["map", "--", "wc -l"], "one argument with spaces. Write the words as separate"),
                                  (["map", "--", "wc -l < {}"], "one argument. For shell syntax write `fantail map -- sh -c")):
            with self.subTest(arguments):
                self.assertIn(advice, self.cli(*arguments).err.decode())

    def test_variables_for_a_running_fleet_do_not_matter_to_a_private_one(self):
        ended = self.cli("map", "--", "echo", stdin="1\n", FANTAIL_TOKEN_FILE="/nowhere", FANTAIL_KEY="/nowhere")
        self.assertEqual((ended.status, ended.out), (0, b"1\n"), ended)

    def test_a_word_that_is_similar_to_no_command_gets_no_suggestion(self):
        for word in ("m", "top", "frobnicate", "w" * 1000):
            self.assertEqual(self.cli(word).err.decode(), f'fantail: unknown command "{word}"; see fantail --help\n')

    def test_the_help_begins_with_examples(self):
        for line in self.cli("map", "--help", COLUMNS="100").out.decode().split("\n\n", maxsplit=1)[0].splitlines():
            self.assertRegex(line, r"^  (seq 5 \| )?fantail map ")

    def test_help_names_the_variables_that_are_read_where_not_all_are(self):
        told = self.cli("map", "--help").out
        self.assertIn(b"FANTAIL_CHUNK_SIZE", told)
        self.assertNotIn(b"FANTAIL_ORDER", told)

    def test_a_service_that_cannot_be_reached_is_status_3(self):
        for arguments in (["map", "square"], ["tasks"], ["submit"]):
            ended = self.cli(*arguments, "--url", "http://127.0.0.1:9", stdin="1\n")
            self.assertEqual(ended.status, 3, ended)
            self.assertIn(b"127.0.0.1:9", ended.err)


class Size(FantailTest):
    def test_the_program_starts_without_the_libraries_of_the_services(self):
        """curl and its libraries would add 1.6 MiB of memory to each `fantail local` and to each `fantail map`. These
        libraries are loaded only for an https:// URL."""
        linked = subprocess.run(["ldd", FANTAIL], capture_output=True, text=True, check=True).stdout
        self.assertIn("libc.so", linked)
        for library in ("gnutls", "curl", "microhttpd", "libuv", "cjson"):
            self.assertNotIn(library, linked)


class MapOnAFleet(SharedFleetTest, CliTest):
    fleet_options = {"workers": 2}

    def map(self, task, *arguments, stdin):
        return self.cli("map", task, *arguments, stdin=stdin, FANTAIL_URL=f"http://127.0.0.1:{self.shared.port}")

    def test_results_are_plain_values_in_input_order(self):
        ended = self.map("square", stdin=numbers(1, 100001))
        self.assertEqual((ended.status, ended.err), (0, b""), ended)
        self.assertEqual(ended.lines, [str(n * n) for n in range(1, 100001)])

    def test_no_items_give_no_results(self):
        ended = self.map("square", stdin="")
        self.assertEqual((ended.status, ended.out), (0, b""), ended)

    def test_a_command_without_dashes_is_shown_before_an_item_comes(self):
        url = f"http://127.0.0.1:{self.shared.port}"
        for order, option in ("input", "-k"), ("completion", "-q"):
            words = [FANTAIL, "map", "--order", order, "gzip", option, "--url", url]
            with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  cwd=self.folder, env=self.environment()) as process:
                self.assertEqual(process.wait(60), 3)
                self.assertEqual(process.stderr.read().decode(),
                                 "fantail: the fleet has no task gzip. To run the command gzip: "
                                 f"`fantail map --order {order} --url '{url}' -- gzip {option}`\n")

    def test_blank_lines_are_no_items_and_the_last_newline_may_lack(self):
        self.assertEqual(self.map("square", stdin="\n1\n\n\n2\n3").lines, ["1", "4", "9"])

    def test_text_lines_go_through_as_strings(self):
        lines = ["a b", "", 'say "hi"', "\\", "ä€😀"]
        ended = self.map("echo", "--text", stdin="\n".join(lines) + "\n")
        self.assertEqual([json.loads(line) for line in ended.lines], lines, ended)

    def test_a_job_object_or_an_array_as_the_only_item_gets_a_hint(self):
        job = {"task": "square", "items": [1, 2]}
        for arguments in ((), ("--order", "completion"), ("--reduce", "count")):
            ended = self.map("square", *arguments, stdin=json.dumps(job) + "\n")
            self.assertEqual(ended.status, 1, ended)
            self.assertIn(b"fantail: hint: the only item looks like a job object", ended.err, ended)
            self.assertIn(b"`fantail submit` sends a job object", ended.err)
        self.assertIn(b"hint: the whole array is one item", self.map("square", stdin="[1, 2]").err)
        for stdin, arguments in (("[1]\n[2]\n", ()), ('{"item":1}', ()), ("[1, 2]", ("--quiet",)), ("[1, 2]", ("--text",))):
            with self.subTest(stdin, arguments=arguments):
                self.assertNotIn(b"hint: ", self.map("square", *arguments, stdin=stdin).err)
        ended = self.map("square", stdin=json.dumps(job, indent=1))
        self.assertIn(b"line 1): bad_item: not JSON at byte 1 of the item: the text ends too early (each line must be a "
                      b"whole JSON value; jq -c", ended.err, ended)

    def test_completion_order_has_every_result_once(self):
        ended = self.map("square", "--order", "completion", stdin=numbers(20000))
        self.assertEqual(sorted(map(int, ended.lines)), [n * n for n in range(20000)])

    def test_a_reduction_prints_one_value(self):
        self.assertEqual(self.map("square", "--reduce", "sum", stdin=numbers(100000)).lines,
                         [str(sum(n * n for n in range(100000)))])

    def test_large_items_come_back_unchanged(self):
        items = [json.dumps(str(n) * (1 << 20)) for n in range(8)] + ["1", json.dumps("x" * (9 << 20)), "2"]
        ended = self.map("echo", stdin="\n".join(items) + "\n")
        self.assertEqual((ended.status, ended.lines == items), (0, True), ended.err)

    def test_failed_items_print_null_and_are_written_to_the_errors_file(self):
        path = os.path.join(self.folder, "failed")
        stdin = "".join("\"no number\"\n" if n in (3, 700) else f"{n}\n" for n in range(1000))
        ended = self.map("square", "--errors", path, stdin=stdin)
        self.assertEqual(ended.status, 1, ended)
        self.assertEqual(ended.lines, ["null" if n in (3, 700) else str(n * n) for n in range(1000)])
        self.assertIn(b"2 of 1,000 items failed", ended.err)
        with open(path, encoding="utf-8") as file:
            failed = [json.loads(line) for line in file]
        self.assertEqual([(f["index"], f["item"], f["error"]["name"]) for f in failed],
                         [(3, "no number", "task_error"), (700, "no number", "task_error")])

    def test_the_errors_file_may_be_standard_error_which_keeps_its_content(self):
        path = os.path.join(self.folder, "log")
        url = f"http://127.0.0.1:{self.shared.port}"
        for name in ("-", "/dev/stderr"):
            write_file(path, "")
            with open(path, "w", encoding="utf-8") as log:
                log.write("before\n")
                log.flush()
                done = subprocess.run([FANTAIL, "map", "square", "--url", url, "--errors", name], input=b'"x"\n',
                                      stdout=subprocess.PIPE, stderr=log, cwd=self.folder, env=self.environment(),
                                      timeout=60)
            with open(path, encoding="utf-8") as log:
                lines = log.read().splitlines()
            self.assertEqual((done.returncode, lines[0]), (1, "before"), lines)
            self.assertEqual([json.loads(line)["index"] for line in lines if line.startswith("{")], [0], lines)
            self.assertIn("fantail: 1 of 1 items failed", lines)
            self.assertFalse(os.path.exists(os.path.join(self.folder, "-")))

    def test_the_errors_file_may_be_standard_output_which_keeps_its_content(self):
        path = os.path.join(self.folder, "out")
        url = f"http://127.0.0.1:{self.shared.port}"
        with open(path, "w", encoding="utf-8") as out:
            out.write("before\n")
            out.flush()
            subprocess.run([FANTAIL, "map", "square", "--url", url, "--errors", "/dev/stdout"], input=b'"x"\n2\n',
                           stdout=out, cwd=self.folder, env=self.environment(), stderr=subprocess.DEVNULL, timeout=60)
        with open(path, encoding="utf-8") as out:
            lines = out.read().splitlines()
        self.assertEqual(lines[0], "before")
        self.assertEqual(sorted(line for line in lines[1:] if not line.startswith("{")), ["4", "null"])
        self.assertEqual([json.loads(line)["index"] for line in lines if line.startswith("{")], [0], lines)

    def test_skip_failed_leaves_failed_items_out(self):
        self.assertEqual(self.map("square", "--skip-failed", "-q", stdin='1\n"x"\n3\n').lines, ["1", "9"])

    def test_a_bad_line_fails_alone_and_is_named(self):
        lines = [b"%d" % n for n in range(50000)]
        bad = {0: b"zero", 1: b"{", 30000: b"\xff", 30001: b'"x', 49999: b"nul"}
        for n, line in bad.items():
            lines[n] = line
        lines[7:7] = [b"", b" \t", b"\r"]  # no items
        path = os.path.join(self.folder, "failed")
        for order in ("input", "completion"):
            with self.subTest(order):
                ended = self.map("square", "--errors", path, "--order", order, stdin=b"\n".join(lines))
                self.assertEqual(ended.status, 1, ended)
                wanted = ["null" if n in bad else str(n * n) for n in range(50000)]
                compared = sorted if order == "completion" else list
                self.assertEqual(compared(ended.lines), compared(wanted))
                self.assertIn(b"5 of 50,000 items failed", ended.err)
                with open(path, encoding="utf-8") as file:
                    failed = sorted((json.loads(line) for line in file), key=lambda f: f["index"])
                self.assertEqual([(f["index"], f["error"]["name"]) for f in failed],
                                 [(n, "bad_item") for n in sorted(bad)])
                self.assertEqual({tuple(f["error"]) for f in failed},
                                 {("name", "cause", "signal", "exit_code", "stderr", "attempts", "worker")})
                self.assertEqual([f["item"] for f in failed], ["zero", "{", "\ufffd", '"x', "nul"])

    def test_text_that_is_not_utf_8_fails_alone(self):
        ended = self.map("upper", "--text", stdin=b"a\n\xc3\nb\n")
        self.assertEqual((ended.status, ended.lines), (1, ['"A"', "null", '"B"']), ended)

    def test_a_line_beyond_all_bounds_fails_alone(self):
        long = b"1" * (65 << 20)
        ended = self.map("square", stdin=b"2\n" + long + b"\n3\n" + long)
        self.assertEqual((ended.status, ended.lines), (1, ["4", "null", "9", "null"]), ended.err)
        self.assertIn(b"longer than 64 MiB", ended.err)

    def test_items_that_end_with_nul_may_hold_newlines(self):
        ended = self.map("upper", "-0", stdin=b'a\nb\0\0"c\\\x01\t\0\xff\0d')
        self.assertEqual(ended.status, 1, ended)
        self.assertEqual([json.loads(line) for line in ended.lines], ["A\nB", "", '"C\\\x01\t', None, "D"])

    def test_a_failed_item_is_named_with_its_line(self):
        stdin = "1\n\n \n" + '"x"\n' + "1\n" * 40000 + "{\n"
        self.assertEqual([line.split(": ")[1] for line in self.map("square", stdin=stdin).err.decode().splitlines()],
                         ["item 2 (line 4)", "item 40003 (line 40005)", "2 of 40,003 items failed"])
        self.assertIn(b"item 2 (line 2): ", self.map("square", "--text", stdin="\nx\n").err)
        self.assertIn(b"item 2 (index 1): ", self.map("square", "-0", stdin=b"\0x\0").err)

    def test_more_failures_than_tolerated_end_the_run(self):
        stdin = "1\n" + '"x"\n' * 3 + "2\n"
        self.assertEqual(self.map("square", "--tolerated-failure-count", 3, stdin=stdin).status, 1)
        ended = self.map("square", "--tolerated-failure-count", 2, stdin=stdin)
        self.assertEqual(ended.status, 3, ended)
        self.assertIn(b"tolerated-failure-count", ended.err)
        self.assertIn(b"3 of 4 answered items failed", ended.err)

    def test_a_failed_item_of_a_reduction_is_named(self):
        ended = self.map("square", "--reduce", "sum", stdin='1\n"x"\n2\n')
        self.assertEqual((ended.status, ended.lines), (1, ["5"]), ended)
        self.assertIn(b"item 2 (index 1):", ended.err)
        self.assertIn(b"1 of 3 items failed", ended.err)

    def test_a_reduction_that_cannot_be_made_says_why(self):
        ended = self.map("echo", "--reduce", "concat", stdin="1\n")
        self.assertEqual(ended.status, 3, ended)
        self.assertIn(b"the job ended as failed: concat cannot be applied to the value of item 1 (index 0)", ended.err)

    def test_a_bad_line_of_a_reduction_fails_alone_and_is_named(self):
        lines = [b"%d" % n for n in range(50000)]
        bad = {0: b"zero", 1: b"{", 30000: b"\xff", 30001: b'"x', 49999: b"nul"}
        refused = {5: b'"no number"', 30002: b'"nor this"'}
        for n, line in (bad | refused).items():
            lines[n] = line
        lines[7:7] = [b"", b" \t", b"\r"]  # no items
        path = os.path.join(self.folder, "failed")
        ended = self.map("square", "--reduce", "sum", "--errors", path, stdin=b"\n".join(lines))
        failed = bad | refused
        self.assertEqual((ended.status, ended.lines),
                         (1, [str(sum(n * n for n in range(50000) if n not in failed))]), ended)
        self.assertIn(b"7 of 50,000 items failed", ended.err)
        with open(path, encoding="utf-8") as file:
            told = sorted((json.loads(line) for line in file), key=lambda f: f["index"])
        self.assertEqual([(f["index"], f["error"]["name"], f["item"]) for f in told],
                         [(0, "bad_item", "zero"), (1, "bad_item", "{"), (5, "task_error", "no number"),
                          (30000, "bad_item", "\ufffd"), (30001, "bad_item", '"x'), (30002, "task_error", "nor this"),
                          (49999, "bad_item", "nul")])

    def test_a_reduction_of_nothing_but_bad_lines_and_of_nothing(self):
        ended = self.map("square", "--reduce", "sum", stdin="x\n" * 3)
        self.assertEqual((ended.status, ended.lines), (1, ["0"]), ended)
        self.assertIn(b"3 of 3 items failed", ended.err)
        ended = self.map("square", "--reduce", "sum", stdin="")
        self.assertEqual((ended.status, ended.lines), (0, ["0"]), ended)

    def test_a_reduction_takes_items_that_end_with_nul(self):
        ended = self.map("upper", "-0", "--reduce", "concat", stdin=b"a\nb\0\xff\0c")
        self.assertEqual((ended.status, ended.lines), (1, [r'"A\nBC"']), ended)

    def test_an_unknown_task_is_status_3_and_the_tasks_are_named(self):
        for stdin in ("1\n", ""):
            ended = self.map("sqare", stdin=stdin)
            self.assertEqual(ended.status, 3, ended)
            self.assertIn(b"square", ended.err)

    def test_a_pointer_is_printed_only_where_the_message_does_not_name_the_place(self):
        url = f"http://127.0.0.1:{self.shared.coordinator.port}"
        for ended in (self.map("squre", stdin="1\n"), self.cli("submit", "--url", url, stdin="{}"),
                      self.cli("submit", "--url", url, stdin='{"task": "square", "items": [1], "retry": {"max_attempts": 0}}')):
            self.assertEqual(ended.status, 3, ended)
            self.assertNotIn(b"(at ", ended.err)

    def test_an_empty_job_is_not_sent(self):
        ended = self.cli("submit", "--url", "http://127.0.0.1:1")
        self.assertEqual((ended.status, ended.err), (2, b"fantail: standard input is empty; a job object was expected\n"))

    def test_a_url_with_the_version_says_to_leave_it_out(self):
        url = f"http://127.0.0.1:{self.shared.port}/v1"
        for arguments in (["tasks"], ["jobs"], ["map", "square"], ["map", "square", "--reduce", "sum"], ["submit"]):
            with self.subTest(arguments):
                stdin = '{"task":"square","items":[1]}\n' if arguments[0] == "submit" else "1\n"
                ended = self.cli(*arguments, "--url", url, stdin=stdin)
                self.assertEqual(ended.status, 3, ended)
                self.assertIn(b"leave /v1 out of --url", ended.err)

    def test_tasks_are_listed(self):
        url = f"http://127.0.0.1:{self.shared.port}"
        self.assertIn("square", [line.split()[0] for line in self.cli("tasks", "--url", url).lines])
        names = [task["name"] for task in json.loads(self.cli("tasks", "--json", "--url", url).out)["tasks"]]
        self.assertIn("square", names)

    def test_a_task_is_listed_with_its_state_its_signature_and_an_example(self):
        folder = self.tasks(
            typo={"mode": "python", "command": "no_such_module:run", "description": "d"},
            nine={"mode": "exec", "command": ["sh", "-c", "echo 9"], "signature": "text ->\nnumber", "example": "it's"},
            wrong={"mode": "pyton"})
        listed = self.cli("tasks", "--tasks", folder, FANTAIL_URL="http://127.0.0.1:1")
        self.assertEqual((listed.status, listed.err), (0, b""), listed)
        nine = listed.lines[:3]
        self.assertEqual(nine[:2], ["nine                 exec     ready        ", "    signature: text -> number"])
        self.assertEqual(shlex.split(nine[2]), ["example:", "fantail", "map", "nine", ":::", '"it\'s"'])
        self.assertEqual(listed.lines[3:5], ["typo                 python   ready        d",
                                             "wrong                         broken       "])
        self.assertIn('    broken: ', listed.lines[5])
        self.assertEqual(self.cli("tasks", "--tasks", "/nowhere").err, b"fantail tasks: --tasks: /nowhere is not a directory\n")
        both = self.cli("tasks", "--tasks", folder, "--url", "http://127.0.0.1:1")
        self.assertEqual((both.status, both.err), (2, b"fantail tasks: --tasks: cannot be given together with --url\n"))
        fleet = self.fleet(tasks=folder)
        url = f"http://127.0.0.1:{fleet.port}"
        self.assertEqual(self.cli("map", "-q", "typo", "--url", url, "--max-attempts", "1", stdin="1\n").status, 1)
        listed = self.cli("tasks", "--url", url)
        self.assertEqual(listed.lines[:4], nine + ["typo                 python   cannot start d"])
        self.assertIn("no_such_module", listed.lines[4])
        write_file(os.path.join(folder, "typo", "no_such_module.py"), "def run(item):\n    return item\n")

        def is_repaired():
            answered = self.cli("map", "-q", "typo", "--url", url, stdin="1\n").status == 0
            return answered and "ready" in self.cli("tasks", "--url", url).lines[3]
        wait_until(is_repaired, "the task that can be imported now")

    def test_the_example_of_each_example_task_is_an_item_that_it_accepts(self):
        listed = json.loads(self.cli("tasks", "--tasks", EXAMPLE_TASKS, "--json").out)["tasks"]
        examples = {task["name"]: json.dumps(task["example"]) for task in listed if "example" in task}
        self.assertEqual(sorted({task["name"] for task in listed} - set(examples)), ["misbehave"])
        for name, example in examples.items():
            ended = self.cli("map", "--tasks", EXAMPLE_TASKS, name, ":::", example)
            self.assertEqual((ended.status, ended.err), (0, b""), (name, ended))

    def test_submit_prints_the_answer_and_its_status_is_the_jobs(self):
        url = f"http://127.0.0.1:{self.shared.port}"
        for items, status in (([1, 2], 0), ([1, "x"], 1)):
            job = json.dumps({"task": "square", "items": items})
            whole = self.cli("submit", "--url", url, stdin=job)
            self.assertEqual(whole.status, status, whole)
            self.assertEqual(json.loads(whole.out)["results"][0], 1)
            lines = self.cli("submit", "--ndjson", "-f", "-", "--url", url, stdin=job)
            self.assertEqual(lines.status, status, lines)
            self.assertEqual(json.loads(lines.lines[0])["type"], "start")
            self.assertEqual(json.loads(lines.lines[-1])["type"], "end")
        began = time.monotonic()
        slow = self.cli("submit", "--url", url, "--max-rate", "240/m", stdin='{"task": "square", "items": [1, 2, 3, 4, 5]}')
        self.assertEqual((slow.status, json.loads(slow.out)["results"]), (0, [1, 4, 9, 16, 25]))
        self.assertGreaterEqual(time.monotonic() - began, 4 / 4)
        wrong = self.cli("submit", "--url", url, "--max-rate", "fast", stdin="{}")
        self.assertEqual((wrong.status, wrong.err), (2, b"fantail submit: --max-rate: must be a number above 0, with /s, /m or /h\n"))
        refused = self.cli("submit", "--url", url, stdin='{"task": "square", "items": [1], "itms": 2}')
        self.assertEqual(refused.status, 3, refused)
        self.assertIn(b"itms", refused.err)
        write_file(os.path.join(self.folder, "bad.json"), '{"task": "square", "items": [1, 2')
        self.assertIn(b"the service refused bad.json (400): ", self.cli("submit", "--url", url, "-f", "bad.json").err)

    def test_slow_input_is_answered_while_it_comes(self):
        process = subprocess.Popen([FANTAIL, "map", "square"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   env=self.environment(FANTAIL_URL=f"http://127.0.0.1:{self.shared.port}"))
        with process:
            for n in (3, 4, 5):
                process.stdin.write(b"%d\n" % n)
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), b"%d\n" % (n * n))
            process.stdin.close()
            self.assertEqual(process.wait(60), 0)

    def test_it_ends_quietly_when_nobody_reads_any_more(self):
        script = f"yes 2 | {FANTAIL} map square | head -3; echo ${{PIPESTATUS[1]}}"
        ended = subprocess.run(["bash", "-c", script], capture_output=True, timeout=60, check=True,
                               env=self.environment(FANTAIL_URL=f"http://127.0.0.1:{self.shared.port}"))
        self.assertEqual((ended.stdout, ended.stderr), (b"4\n4\n4\n141\n", b""))

    def test_an_interrupt_ends_it_and_the_work(self):
        for options, said in (((), b"fantail: cancelled after 1 of 5 items that were read\n"),
                              (("-q",), b"")):
            process = subprocess.Popen([FANTAIL, "map", "sleep", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE,
                                       env=self.environment(FANTAIL_URL=f"http://127.0.0.1:{self.shared.port}"))
            with process:
                process.stdin.write(b"0\n" + b"50\n" * 4)
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), b"0\n")
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.stderr.read(), said)
                self.assertEqual(process.wait(60), -signal.SIGINT)
        self.assertEqual(self.map("square", stdin="5\n").lines, ["25"])


class CutOff(CliTest):
    """A small server that closes connections early."""

    def serve(self, answers):
        """Starts the server. Each of `answers` is a list of lines that answers one POST. Returns the URL and the list
        of the received bodies."""
        bodies = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = b'{"tasks":[{"name":"x","mode":"stream","idempotent":null}]}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                lines = answers[min(len(bodies), len(answers)) - 1]
                self.send_response(200)
                self.send_header("Content-Type", "application/x-ndjson")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                ends = bool(lines) and lines[-1]["type"] == "end"
                texts = [json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines]
                chunks = [b"%x\r\n%s\r\n" % (len(text), text) for text in texts] + [b"0\r\n\r\n"] * ends
                self.wfile.write(b"".join(chunks))  # in one write, so that the client may get everything in one read
                self.close_connection = self.close_connection or not ends

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}", bodies

    def test_an_answer_of_another_server_says_to_check_the_url(self):
        server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        for arguments in (["map", "square"], ["tasks"]):
            ended = self.cli(*arguments, "--url", f"http://127.0.0.1:{server.server_port}", stdin="1\n")
            self.assertEqual(ended.status, 3, ended)
            self.assertIn(b"not a problem document of a fantail coordinator; check --url", ended.err)

    def serve_bytes(self, answer):
        """Starts a server that sends these bytes to each request, and then waits. Returns its URL."""
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.sendall(answer)
                while self.request.recv(65536):
                    pass

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_address[1]}"

    def test_a_page_of_another_server_says_to_check_the_url(self):
        page = b"<html>hello</html>\n"
        url = self.serve_bytes(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" %
                               (len(page), page))
        for arguments in (["tasks"], ["tasks", "--json"], ["map", "square"], ["map", "square", "--reduce", "sum"],
                          ["map", "square", "--detach"], ["submit"], ["submit", "--ndjson"], ["submit", "--detach"]):
            with self.subTest(arguments):
                stdin = '{"task":"square","items":[1]}\n' if arguments[0] == "submit" else "1\n"
                ended = self.cli(*arguments, "--url", url, stdin=stdin)
                self.assertEqual((ended.status, ended.out), (3, b""), ended)
                self.assertIn(b"of a fantail coordinator; check --url", ended.err)
                self.assertEqual(ended.err.count(b"\n"), 1, ended)

    def test_a_greeting_of_another_service_is_not_http(self):
        url = self.serve_bytes(b"SSH-2.0-OpenSSH_9.6\r\n")
        for arguments in (["tasks"], ["map", "square"], ["submit"]):
            ended = self.cli(*arguments, "--url", url, stdin='{"task":"square","items":[1]}\n')
            self.assertEqual(ended.status, 3, ended)
            self.assertIn(b"did not answer in HTTP/1.1", ended.err)

    def test_a_proxy_that_cannot_be_reached_is_named_as_a_proxy(self):
        ended = self.cli("tasks", "--url", "https://fantail.example", https_proxy="http://127.0.0.1:1")
        self.assertEqual(ended.status, 3, ended)
        self.assertIn(b"the proxy that https_proxy names cannot be reached", ended.err)

    def test_a_command_says_that_it_waits_for_a_silent_service(self):
        url = self.serve_bytes(b"")
        for arguments in (["map", "square"], ["submit"]):
            with self.subTest(arguments):
                with subprocess.Popen([FANTAIL, *arguments, "--url", url], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                                      env=self.environment()) as process:
                    process.stdin.write(b'{"task":"square","items":[1]}\n')
                    process.stdin.close()
                    self.assertIn(b"has sent nothing for 10 s", process.stderr.readline())
                    process.send_signal(signal.SIGINT)
                    self.assertEqual(process.wait(60), -signal.SIGINT)

    def test_a_stream_without_its_end_is_status_3(self):
        url, bodies = self.serve([[]])
        ended = self.cli("map", "x", "--reconnect-s", 1, "--url", url, stdin="1\n2\n")
        self.assertEqual((ended.status, ended.out), (3, b""), ended)
        self.assertIn(b"cut again after each retry, without a new answer for 1 s", ended.err)

    def test_answers_that_are_not_one_for_each_item_are_status_3(self):
        def value(index):
            return {"type": "result", "index": index, "value": index}
        cases = {"too few": ([0], b"left out the answers to some items"), "none": ([], b"left out"),
                 "twice": ([0, 0, 1], b"out of order"), "a gap": ([1, 2], b"out of order"),
                 "too many": ([0, 1, 2], b"an item that the job does not have")}
        for name, (indexes, words) in cases.items():
            for order in ("input", "completion") if name != "a gap" else ("input",):
                with self.subTest(name, order=order):
                    url, _ = self.serve([[*map(value, indexes), {"type": "end", "status": "succeeded"}]])
                    ended = self.cli("map", "x", "--order", order, "--url", url, stdin="1\n2\n")
                    self.assertEqual(ended.status, 3, ended)
                    self.assertIn(words if order == "input" or not indexes else b"item", ended.err)

    def test_an_answer_that_cannot_be_written_is_not_taken_for_a_cut_one(self):
        long = {"type": "result", "index": 0, "value": "x" * 40000}  # the client fails to write this, and reads no more
        url, _ = self.serve([[long, {"type": "result", "index": 1, "value": 1}, {"type": "end", "status": "succeeded"}]])
        with open("/dev/full", "wb") as full:
            ended = subprocess.run([FANTAIL, "map", "x", "--url", url], input=b"1\n2\n", stdout=full, stderr=subprocess.PIPE,
                                   timeout=60, env=self.environment())
        self.assertEqual(ended.stderr.count(b"\n"), 1, ended)
        self.assertIn(b"No space left on device", ended.stderr)

    def test_a_line_with_only_white_space_needs_no_answer(self):
        lines = [{"type": "result", "index": i, "value": i} for i in range(3)]
        for blank in " ", "\t", "\r":
            for count, status in (1, 3), (2, 0), (3, 3):
                with self.subTest(blank=blank, answers=count):
                    url, _ = self.serve([[*lines[:count], {"type": "end", "status": "succeeded"}]])
                    ended = self.cli("map", "x", "--url", url, stdin=f"1\n{blank}\n2\n")
                    self.assertEqual(ended.status, status, ended)

    def test_items_without_an_answer_are_sent_again(self):
        def value(index, what):
            return {"type": "result", "index": index, "value": what}
        start = {"type": "start", "id": "0195"}  # an older coordinator does not send a start line
        url, bodies = self.serve([[start, value(0, "a"), value(1, "b")],
                                  [value(0, "c"), {"type": "end", "status": "succeeded"}]])
        ended = self.cli("map", "x", "--url", url, stdin="1\n2\n3\n")
        self.assertEqual((ended.status, ended.lines), (0, ['"a"', '"b"', '"c"']), ended)
        self.assertEqual(bodies, [b"1\n2\n3\n", b"3\n"])


if __name__ == "__main__":
    main()
