"""The command line, as a person or a script uses it: standard input, standard output, exit statuses, and that nothing
remains afterwards."""
import contextlib
import fcntl
import glob
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import termios
import threading
import time

from fantail_testing import (BIN, EXAMPLE_TASKS, JSON, FantailTest, SharedFleetTest, command_line, descendants, main,
                             request, wait_until, write_file)

FANTAIL = os.path.join(BIN, "fantail")


class Ended:
    def __init__(self, process, out, err):
        self.status, self.out, self.err = process.returncode, out, err

    @property
    def lines(self):
        return self.out.decode().splitlines()

    def __repr__(self):
        return f"status {self.status}, out {self.out[:300]!r}, err {self.err[:2000]!r}"


class CliTest(FantailTest):
    """Adds cli(), which runs the program to its end."""

    def cli(self, *arguments, stdin=b"", cwd=None, timeout_s=60, **env):
        if isinstance(stdin, str):
            stdin = stdin.encode()
        process = subprocess.Popen([FANTAIL, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.environment(**env), cwd=cwd or self.folder)
        try:
            ended = Ended(process, *process.communicate(stdin, timeout_s))
        except BaseException:
            process.kill()
            process.wait()
            raise
        self.assertNotRegex(ended.err, rb"Sanitizer|runtime error:|BUG at", ended)
        return ended


def listens_on_a_port(pid):
    """Whether the process has a listening TCP socket."""
    inodes = set()
    for name in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{name}", encoding="ascii") as table:
            inodes |= {f"socket:[{line.split()[9]}]" for line in table.readlines()[1:] if line.split()[3] == "0A"}
    folder = f"/proc/{pid}/fd"
    return any(os.readlink(os.path.join(folder, fd)) in inodes for fd in os.listdir(folder))


def numbers(*span):
    return "".join(f"{n}\n" for n in range(*span))


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
                                (["map", "--null", "--json", "a"], b"--json"),
                                (["map", "a", "--json"], b"for a command"), (["help", "nope"], b"unknown command"),
                                (["map", "a", "--reduce", "avg"], b"--reduce"),
                                (["map", "--reduce", "avg", "--", "cat"], b"--reduce"),
                                (["map", "a", "--url", "http://127.0.0.1:9", "--workers", "2"], b"--workers: is for"),
                                (["map", "a", "--url", "http://127.0.0.1:9", "--tasks", "."], b"--tasks: is for"),
                                (["map", "a", "--url", "http://127.0.0.1:9", "-P4"], b"--processes: is for"),
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
                                  (["submit"], "`--url http://localhost:8080` or set FANTAIL_URL")):
            with self.subTest(arguments):
                self.assertIn(advice, self.cli(*arguments).err.decode())

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
        """They would add 1.6 MiB to each `fantail local` and to each pipe. An https:// URL loads curl when it is needed."""
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

    def test_blank_lines_are_no_items_and_the_last_newline_may_lack(self):
        self.assertEqual(self.map("square", stdin="\n1\n\n\n2\n3").lines, ["1", "4", "9"])

    def test_text_lines_go_through_as_strings(self):
        lines = ["a b", "", 'say "hi"', "\\", "ä€😀"]
        ended = self.map("echo", "--text", stdin="\n".join(lines) + "\n")
        self.assertEqual([json.loads(line) for line in ended.lines], lines, ended)

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
        self.assertIn(b"2 of 1000 items failed", ended.err)
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
                self.assertIn(b"5 of 50000 items failed", ended.err)
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

    def test_more_failures_than_tolerated_end_the_run(self):
        stdin = "1\n" + '"x"\n' * 3 + "2\n"
        self.assertEqual(self.map("square", "--tolerated-failure-count", 3, stdin=stdin).status, 1)
        ended = self.map("square", "--tolerated-failure-count", 2, stdin=stdin)
        self.assertEqual(ended.status, 3, ended)
        self.assertIn(b"tolerated-failure-count", ended.err)

    def test_a_failed_item_of_a_reduction_is_named(self):
        ended = self.map("square", "--reduce", "sum", stdin='1\n"x"\n2\n')
        self.assertEqual((ended.status, ended.lines), (1, ["5"]), ended)
        self.assertIn(b"item 1:", ended.err)
        self.assertIn(b"1 of 3 items failed", ended.err)

    def test_a_reduction_that_cannot_be_made_says_why(self):
        ended = self.map("echo", "--reduce", "concat", stdin="1\n")
        self.assertEqual(ended.status, 3, ended)
        self.assertIn(b"the job ended as failed: concat cannot be applied to the value of item 0", ended.err)

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
        self.assertIn(b"7 of 50000 items failed", ended.err)
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

    def test_tasks_are_listed(self):
        url = f"http://127.0.0.1:{self.shared.port}"
        self.assertIn("square", [line.split()[0] for line in self.cli("tasks", "--url", url).lines])
        names = [task["name"] for task in json.loads(self.cli("tasks", "--json", "--url", url).out)["tasks"]]
        self.assertIn("square", names)

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
        refused = self.cli("submit", "--url", url, stdin='{"task": "square", "items": [1], "itms": 2}')
        self.assertEqual(refused.status, 3, refused)
        self.assertIn(b"itms", refused.err)

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
        for options, said in (((), b"fantail: interrupted: 1 of the 5 items that were read are answered; the job is cancelled\n"),
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
    """A service that closes connections early, played by a small server."""

    def serve(self, answers):
        """Each answer is a list of lines for one POST. The bodies of the requests are kept in .bodies."""
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
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for line in lines:
                    data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                if lines and lines[-1]["type"] == "end":
                    self.wfile.write(b"0\r\n\r\n")
                else:
                    self.close_connection = True

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
                 "too many": ([0, 1, 2], b"an item that it does not have")}
        for name, (indexes, words) in cases.items():
            for order in ("input", "completion") if name != "a gap" else ("input",):
                with self.subTest(name, order=order):
                    url, _ = self.serve([[*map(value, indexes), {"type": "end", "status": "succeeded"}]])
                    ended = self.cli("map", "x", "--order", order, "--url", url, stdin="1\n2\n")
                    self.assertEqual(ended.status, 3, ended)
                    self.assertIn(words if order == "input" or not indexes else b"item", ended.err)

    def test_items_without_an_answer_are_sent_again(self):
        def value(index, what):
            return {"type": "result", "index": index, "value": what}
        start = {"type": "start", "id": "0195"}  # an older coordinator does not send it
        url, bodies = self.serve([[start, value(0, "a"), value(1, "b")],
                                  [value(0, "c"), {"type": "end", "status": "succeeded"}]])
        ended = self.cli("map", "x", "--url", url, stdin="1\n2\n3\n")
        self.assertEqual((ended.status, ended.lines), (0, ['"a"', '"b"', '"c"']), ended)
        self.assertEqual(bodies, [b"1\n2\n3\n", b"3\n"])


class PrivateFleet(CliTest):
    """`fantail map` without a URL."""

    def cli(self, *arguments, **more):
        """Also checks that no process and no file remains."""
        with tempfile.TemporaryDirectory(prefix="fantail-test-tmp-") as tmp:
            ended = super().cli(*arguments, **more, TMPDIR=tmp)
            self.assertEqual(os.listdir(tmp), [])
        self.assertEqual(self._strangers(), [])
        return ended

    def test_a_task_is_mapped_by_a_fleet_of_its_own(self):
        ended = self.cli("map", "square", "--tasks", EXAMPLE_TASKS, stdin=numbers(1, 200001))
        self.assertEqual((ended.status, ended.err), (0, b""), ended)
        self.assertEqual(ended.lines[-1], "40000000000")
        self.assertEqual(len(ended.lines), 200000)

    def test_the_folder_of_the_tasks_is_named_when_a_task_is_unknown(self):
        os.makedirs(os.path.join(self.folder, "tasks"))
        shutil.copytree(os.path.join(EXAMPLE_TASKS, "fib"), os.path.join(self.folder, "tasks", "fib"))
        ended = self.cli("map", "square", stdin="1\n")
        self.assertEqual(ended.status, 3, ended)
        self.assertIn(b"this run uses the tasks in the folder ./tasks", ended.err)

    def test_any_command_is_mapped_over_lines(self):
        self.assertEqual(self.cli("map", "--", "expr", "2", "+", stdin=numbers(1, 6)).lines, ["3", "4", "5", "6", "7"])
        self.assertEqual(self.cli("map", "--", "echo", "<{}>", "{}!", stdin="a b\n*\n").lines, ["<a b> a b!", "<*> *!"])
        self.assertEqual(self.cli("map", "--stdin", "--", "tr", "a-z", "A-Z", stdin="x\ny\n").lines, ["X", "Y"])

    def test_a_command_runs_where_the_user_is(self):
        with open(os.path.join(self.folder, "here.txt"), "w", encoding="utf-8") as file:
            file.write("content\n")
        self.assertEqual(self.cli("map", "--", "cat", stdin="here.txt\n").lines, ["content"])

    def test_a_command_that_fails_is_a_failed_item(self):
        ended = self.cli("map", "--", "sh", "-c", 'test "$0" != 2 || { echo oh >&2; exit 7; }; echo "$0"',
                         stdin="1\n2\n3\n")
        self.assertEqual((ended.status, ended.lines), (1, ["1", "null", "3"]), ended)
        self.assertRegex(ended.err, rb"item 1: .*7.*oh")

    def test_max_concurrency_holds_for_the_whole_run(self):
        with subprocess.Popen([FANTAIL, "map", "--max-concurrency", "1", "-P", "4", "--", "sh", "-c",
                               "mkdir alone && sleep 0.05 && rmdir alone"], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, cwd=self.folder, env=self.environment()) as process:
            for _ in range(20):  # each line comes after a pause, so it is another batch
                process.stdin.write(b"x\n")
                process.stdin.flush()
                time.sleep(0.015)
            process.stdin.close()
            self.assertEqual(process.wait(60), 0)

    def test_a_command_that_does_not_exist_is_told_once_and_runs_nothing(self):
        write_file(os.path.join(self.folder, "plain"), "no program\n")
        for command, word in (("no-such-program", b"PATH"), ("./nothing", b"No such file"), ("./plain", b"denied"),
                              (self.folder, b"directory")):
            ended = self.cli("map", "--", command, "{}", stdin="1\n2\n")
            self.assertEqual((ended.status, ended.out, ended.err.count(b"\n")), (2, b"", 1), ended)
            self.assertIn(command.encode(), ended.err)
            self.assertIn(word, ended.err)

    def test_the_sum_of_what_a_command_prints_needs_json(self):
        ended = self.cli("map", "--reduce", "sum", "--", "expr", "2", "+", stdin=numbers(4))
        self.assertEqual((ended.status, ended.out), (2, b""), ended)
        self.assertIn(b"--json", ended.err)
        ended = self.cli("map", "--json", "--reduce", "sum", "--", "expr", "2", "+", stdin=numbers(4))
        self.assertEqual((ended.status, ended.lines), (0, ["14"]), ended)
        ended = self.cli("map", "--reduce", "count", "--", "cat", stdin="")
        self.assertEqual((ended.status, ended.lines), (0, ["0"]), ended)

    def test_a_neighbour_that_cannot_be_read_is_no_matter_until_it_is_asked_for(self):
        tasks = self.tasks(same={"command": ["cat"], "mode": "exec"})
        os.mkdir(os.path.join(tasks, "broken"))
        write_file(os.path.join(tasks, "broken", "task.json"), "{")
        ended = self.cli("map", "same", "--tasks", tasks, stdin="1\n")
        self.assertEqual((ended.status, ended.lines, ended.err), (0, ["1"], b""), ended)
        ended = self.cli("map", "broken", "--tasks", tasks, stdin="1\n")
        self.assertEqual((ended.status, ended.err.count(b"\n")), (3, 1), ended)
        self.assertIn(b"broken/task.json is not valid JSON", ended.err)

    def test_the_span_it_runs_in_is_that_of_its_jobs(self):
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        command = ["map", "--", "sh", "-c", 'echo "$TRACEPARENT $TRACESTATE"']
        ended = self.cli(*command, stdin="1\n", TRACEPARENT=f"00-{trace}-00f067aa0ba902b7-01", TRACESTATE="a=1")
        self.assertRegex(ended.lines[0], rf"^00-{trace}-[0-9a-f]{{16}}-01 a=1$")
        ended = self.cli(*command, stdin="1\n", TRACEPARENT="nonsense\r\nx: y", TRACESTATE="a=1")
        self.assertEqual(ended.status, 0, ended)
        self.assertNotIn("nonsense", ended.lines[0])

    def test_json_values_of_a_command_stay_json(self):
        ended = self.cli("map", "--json", "--", "printf", "%s", stdin='{"a": 1}\n"text"\n')
        self.assertEqual([json.loads(line) for line in ended.lines], [{"a": 1}, "text"], ended)

    def test_closed_input_is_no_items_and_a_full_disk_is_told(self):
        script = f"{FANTAIL} map square --tasks {EXAMPLE_TASKS} <&-; echo $?; " \
                 f"echo 3 | {FANTAIL} map square --tasks {EXAMPLE_TASKS} >/dev/full; echo $?"
        ended = subprocess.run(["bash", "-c", script], capture_output=True, timeout=60, check=True,
                               env=self.environment())
        self.assertEqual(ended.stdout, b"0\n3\n")
        self.assertIn(b"No space left", ended.stderr)

    def test_several_workers_share_the_items(self):
        ended = self.cli("map", "square", "--tasks", EXAMPLE_TASKS, "--workers", 3, "--processes", 1,
                         stdin=numbers(1000))
        self.assertEqual((ended.status, ended.lines), (0, [str(n * n) for n in range(1000)]), ended)

    def test_an_interrupt_leaves_nothing_behind(self):
        tmp = os.path.join(self.folder, "tmp")
        os.mkdir(tmp)
        process = subprocess.Popen([FANTAIL, "map", "--", "sh", "-c", "echo $0; exec sleep $0"], stdin=subprocess.PIPE,
                                   env=self.environment(TMPDIR=tmp), start_new_session=True)
        with process:
            process.stdin.write(b"1000\n" * 4)
            process.stdin.flush()
            wait_until(lambda: any(command_line(pid) == "sleep 1000" for pid in descendants(process.pid)),
                       "a running command")
            os.killpg(process.pid, signal.SIGINT)
            self.assertEqual(process.wait(60), -signal.SIGINT)
        self.assertEqual(os.listdir(tmp), [])
        self.assertEqual(self._strangers(), [])

    def test_settings_for_a_fleet_elsewhere_do_not_reach_it(self):
        ended = self.cli("map", "square", "--tasks", EXAMPLE_TASKS, stdin="3\n", FANTAIL_TOKEN_FILE="/nowhere",
                         FANTAIL_MAX_JOBS="nonsense")
        self.assertEqual((ended.status, ended.lines), (0, ["9"]), ended)

    def test_an_item_inside_shell_code_is_warned_of(self):
        self.assertIn(b"warning", self.cli("map", "--", "sh", "-c", "echo {}", stdin="1\n").err)
        self.assertEqual(self.cli("map", "--", "sh", "-c", "echo $1", "sh", "{}", stdin="1\n").err, b"")

    def test_what_a_killed_run_left_behind_is_removed_by_the_next_one(self):
        """Whichever command was killed. What belongs to a living one stays, however old it looks, and so does what is
        another program's."""
        tmp = os.path.join(self.folder, "killed")
        os.mkdir(tmp)
        another = os.path.join(tmp, "fantail-mine")
        os.mkdir(another)
        with subprocess.Popen([FANTAIL, "map", "--", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              env=self.environment(TMPDIR=tmp)) as living:
            kept = wait_until(lambda: glob.glob(os.path.join(tmp, "fantail-map-*", "fantail-worker-*")), "its worker")
            kept = glob.glob(os.path.join(tmp, "fantail-*"))
            services = set(self._strangers())
            for path in kept:
                os.utime(path, (time.time() - 100000,) * 2)
            for command in (["map", "--", "sleep"], ["local", "--port", "0", "--tasks", EXAMPLE_TASKS]):
                before = set(os.listdir(tmp))
                with subprocess.Popen([FANTAIL, *command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                      env=self.environment(TMPDIR=tmp)) as process:
                    wait_until(lambda: set(os.listdir(tmp)) - before, "the directory of the run")
                    process.kill()
                wait_until(lambda: set(self._strangers()) <= services, "the end of its services, which write there")
                self.assertNotEqual(set(os.listdir(tmp)), before)
                self.assertEqual(CliTest.cli(self, "map", "--", "echo", stdin="1\n", TMPDIR=tmp).status, 0)
                self.assertEqual(sorted(glob.glob(os.path.join(tmp, "*"))), sorted(kept))
            living.stdin.close()
        self.assertEqual((living.returncode, os.listdir(tmp)), (0, ["fantail-mine"]))

    def test_a_command_and_a_folder_that_are_not_utf_8_are_meant_or_refused(self):
        ended = self.cli("map", "--", "echo", "caf\udce9", stdin="1\n")
        self.assertEqual((ended.status, ended.lines), (2, []), ended)
        self.assertIn(b"word 2 of the command is not valid UTF-8 at its byte 3", ended.err)
        folder = os.path.join(self.folder, "caf\udce9")
        os.mkdir(folder)
        ended = self.cli("map", "--json", "--", "sh", "-c", "pwd | od -An -tx1", stdin="1\n", cwd=folder)
        self.assertIn("63 61 66 e9 0a", " ".join(json.loads(ended.lines[0]).split()), ended)

    def test_no_other_user_reaches_it(self):
        """Its services have no port. Their sockets are in a directory that only this user can enter."""
        with tempfile.TemporaryDirectory(prefix="fantail-test-tmp-") as tmp:
            process = subprocess.Popen([FANTAIL, "map", "square", "--tasks", EXAMPLE_TASKS], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, env=self.environment(TMPDIR=tmp))
            process.stdin.write(b"3\n")
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), b"9\n")
            sockets = glob.glob(os.path.join(tmp, "fantail-fleet-*", "*"))
            self.assertEqual(sorted(map(os.path.basename, sockets)), ["coordinator", "worker-1"])
            self.assertEqual(os.stat(os.path.dirname(sockets[0])).st_mode & 0o777, 0o700)
            self.assertEqual([command_line(pid) for pid in descendants(process.pid) if listens_on_a_port(pid)], [])
            self.assertEqual(process.communicate(timeout=60)[0], b"")
            self.assertEqual((process.returncode, os.listdir(tmp)), (0, []))

    def test_a_long_path_of_the_temporary_folder_is_no_hindrance(self):
        tmp = os.path.join(self.folder, "x" * 200)
        os.mkdir(tmp)
        ended = CliTest.cli(self, "map", "square", "--tasks", EXAMPLE_TASKS, stdin="3\n", TMPDIR=tmp)
        self.assertEqual((ended.status, ended.lines, os.listdir(tmp)), (0, ["9"], []), ended)

    def test_killed_outright_it_takes_its_services_with_it(self):
        process = subprocess.Popen([FANTAIL, "map", "sleep", "--tasks", EXAMPLE_TASKS], stdin=subprocess.PIPE,
                                   env=self.environment())
        with process:
            process.stdin.write(b"1000\n")
            process.stdin.flush()
            wait_until(lambda: len(descendants(process.pid)) >= 3, "a task process")
            process.kill()
        wait_until(lambda: not self._strangers(), "the end of the services")


class Local(CliTest):
    """`fantail local`."""

    @contextlib.contextmanager
    def local(self, *arguments):
        program = self.start("fantail", "local", "--port", 0, "--tasks", EXAMPLE_TASKS, *arguments)
        found = wait_until(lambda: re.search(r"^fantail: ready at (http://127\.0\.0\.1:\d+)$", program.stdout(), re.M)
                           or not program.alive(), "the ready line")
        self.assertNotEqual(found, True, program.describe())
        yield program, found[1]

    def services(self, program, name):
        return [pid for pid in descendants(program.pid) if name in command_line(pid).split(" ")[0]]

    def test_it_serves_when_it_says_so(self):
        with self.local("--workers", 2) as (program, url):
            self.assertEqual(len(self.services(program, "fantail-worker")), 2)
            self.assertEqual(self.cli("map", "square", "--url", url, stdin="7\n").lines, ["49"])

    def test_it_names_the_folder_of_the_tasks_if_none_was_given(self):
        os.makedirs(os.path.join(self.folder, "tasks"))
        with subprocess.Popen([FANTAIL, "local", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=self.environment(), cwd=self.folder) as program:
            try:
                self.assertRegex(program.stdout.readline(), "^fantail: ready at ")
                program.send_signal(signal.SIGINT)
                self.assertIn("fantail: serves the tasks in ./tasks; --tasks names another folder\n",
                              program.communicate(timeout=60)[1])
            finally:
                program.kill()
        with self.local() as (program, _):
            self.assertNotIn("serves the tasks in", program.stderr())

    def test_it_may_listen_on_a_socket_file(self):
        path = os.path.join(self.folder, "fleet.sock")
        program = self.start("fantail", "local", "--host", f"unix:{path}", "--tasks", EXAMPLE_TASKS)
        wait_until(lambda: f"fantail: ready at unix:{path}\n" in program.stdout(), "the ready line")
        ended = self.cli("map", "square", stdin="7\n", FANTAIL_URL=f"unix:{path}")
        self.assertEqual((ended.status, ended.lines), (0, ["49"]), ended)
        self.assertEqual(self.cli("tasks", "--url", f"unix:{path}").status, 0)
        self.assertEqual(program.stop(signal.SIGINT), 0)
        self.assertFalse(os.path.exists(path))
        ended = self.cli("map", "square", "--url", f"unix:{path}", stdin="7\n")
        self.assertEqual(ended.status, 3, ended)
        self.assertIn(path.encode(), ended.err)

    def test_ctrl_c_ends_everything_with_status_0(self):
        with self.local() as (program, _):
            self.assertEqual(program.stop(signal.SIGINT), 0)
        self.assertEqual(self._strangers(), [])

    def test_a_dead_service_comes_back_under_its_address(self):
        with self.local("--workers", 2) as (program, url):
            for times, name in enumerate(("fantail-worker", "fantail-coordinator"), 1):
                before = self.services(program, name)
                os.kill(before[0], signal.SIGKILL)
                wait_until(lambda: program.stderr().count("is ready again") == times, "the restart")
                self.assertEqual(len(self.services(program, name)), len(before))
                self.assertEqual(self.cli("map", "square", "--url", url, stdin="7\n").lines, ["49"])

    def test_sighup_makes_the_services_read_tasks_and_tokens_again(self):
        tasks = self.tasks(twice={"command": ["cat"], "mode": "exec", "output": "text"})
        tokens = os.path.join(self.folder, "tokens")
        write_file(tokens, "the-token-of-the-start\n")
        with self.local("--tasks", tasks, "--token-file", tokens) as (program, url):
            port = int(url.rsplit(":", 1)[1])
            before = self.services(program, "fantail-")

            def job(task, token):
                return request(port, "POST", "/v1/jobs", json.dumps({"task": task, "items": ["a"]}),
                                  {"Content-Type": JSON, "Authorization": f"Bearer {token}"})
            self.assertEqual(job("twice", "the-token-of-the-start").json["results"], ['"a"'])
            self.assertEqual(job("thrice", "the-token-of-the-start").status, 404)
            self.assertEqual(job("twice", "the-token-that-came-later").status, 401)
            self.tasks(thrice={"command": ["cat"], "mode": "exec", "output": "text"})
            write_file(tokens, "the-token-that-came-later\n")
            program.send_signal(signal.SIGHUP)
            wait_until(lambda: job("thrice", "the-token-that-came-later").status == 200, "the reload")
            self.assertEqual(job("twice", "the-token-of-the-start").status, 401)
            self.assertEqual(set(before) - set(self.services(program, "fantail-")), set(), "who was restarted")

    def test_it_ends_when_its_terminal_is_closed(self):
        master, slave = os.openpty()
        program = self.start("fantail", "local", "--port", 0, "--tasks", EXAMPLE_TASKS,
                             before_exec=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0))
        os.close(slave)
        wait_until(lambda: "ready at" in program.stdout(), "the ready line")
        os.close(master)
        self.assertEqual(program.wait(), 0)
        self.assertEqual(self._strangers(), [])

    def test_a_port_that_is_taken_is_status_3(self):
        with self.local() as (_, url):
            ended = self.cli("local", "--tasks", EXAMPLE_TASKS, "--port", url.rsplit(":", 1)[1])
            self.assertEqual(ended.status, 3, ended)
            self.assertIn(b"is in use", ended.err)


if __name__ == "__main__":
    main()
