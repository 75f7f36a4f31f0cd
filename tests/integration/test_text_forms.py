"""Every form in which text can arrive: byte order marks, UTF-16 and UTF-32, other names of the same media types, bytes that
are not UTF-8, binary output. Each form is read with its intended meaning, or refused with the cause. No form may be read as a
wrong value. docs/protocol.md has the table."""
import base64
import json
import os
import subprocess

import fantail_testing as ft
from fantail_testing import JSON, NDJSON, TEXT, FantailTest, SharedFleetTest

MARK = b"\xef\xbb\xbf"
# Each entry has the name of the encoding in the answer, the codec and the byte order mark.
WIDE = (("UTF-16 (little endian)", "utf-16-le", b"\xff\xfe"), ("UTF-16 (big endian)", "utf-16-be", b"\xfe\xff"),
        ("UTF-32 (little endian)", "utf-32-le", b"\xff\xfe\0\0"), ("UTF-32 (big endian)", "utf-32-be", b"\0\0\xfe\xff"))

NAMES = {
    JSON: ("application/json", "Application/JSON", "application/json;charset=utf-8", "application/json; charset=UTF-8",
           'application/json; charset="utf-8"', "application/json;charset=us-ascii", "text/json", "application/x-json",
           "application/json ; profile=\"a;charset=latin1\"", "APPLICATION/JSON;CHARSET=Utf-8"),
    NDJSON: ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonl", "application/jsonlines",
             "application/x-jsonlines", "application/json-lines", "application/x-json-lines", "application/x-ldjson",
             "text/jsonl", "text/x-ndjson", "Application/JSONL; charset=utf-8", 'application/x-ndjson;charset="UTF-8"'),
    TEXT: ("text/plain", "TEXT/PLAIN", "text/plain;charset=utf-8", 'text/plain; format=flowed; charset="UTF-8"',
           "text/plain; charset=us-ascii"),
}
UNKNOWN = ("application/json5", "application/json-seq", "application/problem+json", "text/html", "text/csv", "application/xml",
           "multipart/form-data; boundary=x", "application", "json", "application/octet-stream", "application/json, text/plain",
           "x-application/json", "image/png")
CHARSETS = ("utf-16", "UTF-16LE", "utf-32", "iso-8859-1", "windows-1252", "shift_jis", "utf-7")

ECHO = {"mode": "stream", "command": ["cat"], "envelope": False}
QUERY = "?task=echo"
ITEMS = ["h\u00e9llo", "\u65e5\u672c", "a b"]


def bodies(items):
    """Returns the same items in each form: (Content-Type, query string, text)."""
    return ((JSON, "", json.dumps({"task": "echo", "items": items}, ensure_ascii=False)),
            (NDJSON, QUERY, "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)),
            (TEXT, QUERY, "".join(item + "\n" for item in items)))


class Bodies(SharedFleetTest):
    @classmethod
    def make_fleet_options(cls, keeper):
        return {"tasks": keeper.tasks(echo=dict(ECHO))}

    def results(self, body, content_type, query):
        answer = self.shared.job(body, None, content_type, query)
        self.assertEqual(answer.status, 200, (body[:60], content_type, answer))
        return answer.json["results"]

    def test_a_mark_at_the_start_is_passed_over_and_lines_may_end_with_cr_and_lf(self):
        for content_type, query, text in bodies(ITEMS):
            for form in (text, text.replace("\n", "\r\n"), text.rstrip("\n")):
                for mark in (b"", MARK):
                    with self.subTest((content_type, mark, form)):
                        self.assertEqual(self.results(mark + form.encode(), content_type, query), ITEMS)

    def test_a_mark_alone_is_an_empty_body(self):
        self.assertEqual(self.results(MARK, NDJSON, QUERY), [])
        self.assertEqual(self.results(MARK, TEXT, QUERY), [])
        self.assertEqual(self.results(MARK, JSON, "?task=echo&range.stop=2"), [0, 1])

    def test_offsets_count_the_mark(self):
        for content_type, query, body, place in ((JSON, "", b'{"task":"echo","items":[1,}', 26), (NDJSON, QUERY, b"1\n}\n", 2),
                                                 (TEXT, QUERY, b"a\n\xff\n", 2)):
            for mark in (b"", MARK):
                with self.subTest((content_type, mark)):
                    problem = self.assert_problem(self.shared.job(mark + body, None, content_type, query), 400, "/items/1")
                    self.assertEqual(problem["offset"], place + len(mark), problem)

    def test_a_mark_before_a_later_line_is_refused_with_its_byte(self):
        for content_type, body in ((NDJSON, b'1\n' + MARK + b'2\n'), (TEXT, b"a\n" + MARK + b"b\n"), (NDJSON, b" \n" + MARK + b"2"),
                                   (TEXT, MARK + MARK + b"b\n"), (NDJSON, MARK + MARK + b"2\n")):
            with self.subTest((content_type, body)):
                problem = self.assert_problem(self.shared.job(body, None, content_type, QUERY), 400, words="byte order mark")
                self.assertEqual(problem["offset"], body.rindex(MARK), problem)
        self.assertEqual(self.results("a\ufeffb\n".encode(), TEXT, QUERY), ["a\ufeffb"])
        self.assertEqual(self.results('"\ufeffb"\n'.encode(), NDJSON, QUERY), ["\ufeffb"])

    def test_utf_16_and_utf_32_are_refused_by_name_with_a_mark_and_without(self):
        for content_type, query, text in bodies(["x", "\u00e9\u0444"]):
            for name, codec, mark in WIDE:
                for body in (mark + text.encode(codec), text.encode(codec), mark):
                    with self.subTest((content_type, name, body[:8])):
                        answer = self.shared.job(body, None, content_type, query)
                        problem = self.assert_problem(answer, 400, words=[name, "UTF-8 is expected"])
                        self.assertEqual(problem["offset"], 0, problem)

    def test_text_of_utf_16_that_does_not_begin_with_ascii_is_refused_for_its_nul_bytes(self):
        for codec in ("utf-16-le", "utf-16-be"):
            with self.subTest(codec):
                body = "\u043f\u0440\u0438\n\u0432\u0435\u0442\n".encode(codec)
                self.assert_problem(self.shared.job(body, None, TEXT, QUERY), 400, words=["NUL byte", "UTF-16"])

    def test_a_nul_byte_is_refused_in_text_and_escaped_it_is_taken(self):
        problem = self.assert_problem(self.shared.job(b"ab\nc\0d\n", None, TEXT, QUERY), 400, "/items/1", ["NUL"])
        self.assertEqual(problem["offset"], 4)
        self.assertEqual(self.results(b'"c\\u0000d"\n', NDJSON, QUERY), ["c\0d"])
        self.assertEqual(self.results(b'"\\ud800"\n', NDJSON, QUERY), ["\ud800"])

    def test_bytes_that_are_not_utf_8_are_refused_with_their_place(self):
        for bad in (b"\xff", b"\xe9", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80"):
            for content_type, query, head, tail in ((JSON, "", b'{"task":"echo","items":["', b'"]}'), (NDJSON, QUERY, b'"', b'"\n'),
                                                    (TEXT, QUERY, b"x", b"\n")):
                with self.subTest((content_type, bad)):
                    answer = self.shared.job(head + bad + tail, None, content_type, query)
                    self.assert_problem(answer, 400, "/items/0", ["UTF-8"])

    def test_a_path_a_parameter_or_a_header_that_is_not_text_is_refused_by_name(self):
        worker = self.shared.workers[0].port
        for bad, words in (("caf%E9", "not valid UTF-8"), ("a%00b", "NUL byte"), ("%ED%A0%80", "not valid UTF-8")):
            for method, path, pointer in (("POST", f"/v1/jobs?task=echo&labels=x,{bad}", "/labels"),
                                          ("POST", f"/v1/jobs?task={bad}", "/task"),
                                          ("POST", f"/v1/jobs?task=echo&retry.on={bad}", "/retry/on"),
                                          ("POST", f"/v1/jobs?task=echo&common=%22{bad}%22", "/common"),
                                          ("GET", f"/v1/jobs?label={bad}", "/label"), ("GET", f"/v1/jobs/{bad}", None),
                                          ("DELETE", f"/v1/jobs/{bad}", None), ("GET", f"/{bad}", None)):
                with self.subTest((method, path)):
                    self.assert_problem(self.shared.request(method, path, b"" if method == "POST" else None), 400, pointer, words)
            with self.subTest((bad, "worker")):
                self.assert_problem(ft.request(worker, "POST", f"/v1/tasks/{bad}", b"1\n"), 400, words=words)
        for port, path in ((self.shared.port, "/v1/jobs?task=echo"), (worker, "/v1/tasks/echo")):
            answer = ft.request(port, "POST", path, b"1\n", {"Content-Type": b"text/plain;charset=caf\xe9"})
            self.assert_problem(answer, 400, words="Content-Type")
        answer = ft.request(worker, "POST", "/v1/tasks/echo", b"1\n", {"Fantail-Chunk": b"caf\xe9/0"})
        self.assert_problem(answer, 400, words="Fantail-Chunk")

    def test_a_line_break_between_the_tokens_of_an_item_is_removed_and_nothing_else(self):
        body = b'{"task":"echo","items":[{ "a" :\t1.00,\r\n"a\\u0041":\n[1e0 ,-0] }]}'
        self.assertIn(b'"value":{ "a" :\t1.00,"a\\u0041":[1e0 ,-0] }', self.shared.job(body, NDJSON).body)

    def test_a_name_of_a_job_object_is_there_once_and_is_text(self):
        for text, words in (('{"task":"echo","items":[1],"task":"echo"}', ["twice", "byte"]),
                            ('{"task":"echo","items":[1],"\\u0074ask":"echo"}', ["twice", "byte"]),
                            ('{"task":"echo","items":[1],"order\\u0000":"input"}', ["NUL", "byte 27"]),
                            ('{"task":"echo","items":[1],"\\ud800":1}', ["surrogate", "byte 27"]),
                            ('{"task":"echo","items":[1],"retry":{"max_attempts":1,"max_attempts":2}}', ["twice"]),
                            ('{"task":"echo","items":[1],"retry":{"jitter\\u0000":"none"}}', ["NUL"]),
                            ('{"task":"echo","range":{"stop":1,"\\u0073top":2}}', ["twice"])):
            with self.subTest(text):
                problem = self.assert_problem(self.shared.job(text.encode()), 400, words=words)
                self.assertTrue(problem.get("pointer") or "offset" in problem, problem)
        own = b'{"a":1,"a":2,"b\\u0000":"\\ud800"}'
        answer = self.shared.job(b'{"task":"echo","common":' + own + b',"items":[' + own + b"]}", NDJSON)
        self.assertIn(b'"value":' + own, answer.body)

    def test_each_name_of_a_media_type_is_taken(self):
        by_type = {content_type: (query, text.encode()) for content_type, query, text in bodies(ITEMS)}
        for content_type, names in NAMES.items():
            query, body = by_type[content_type]
            for name in names:
                with self.subTest(name):
                    self.assertEqual(self.results(body, name, query), ITEMS)

    def test_another_media_type_or_charset_is_415_and_is_named(self):
        for name in UNKNOWN:
            with self.subTest(name):
                self.assert_problem(self.shared.job(b"1\n", None, name, QUERY), 415)
        for charset in CHARSETS:
            for name in (JSON, NDJSON, TEXT, "application/jsonl"):
                for form in (f"{name}; charset={charset}", f'{name};q=1;CharSet="{charset}"'):
                    with self.subTest(form):
                        self.assert_problem(self.shared.job(b"1\n", None, form, QUERY), 415, words=[charset, "UTF-8"])

    def test_accept_knows_the_same_names(self):
        for name in NAMES[NDJSON]:
            with self.subTest(name):
                answer = self.shared.job({"task": "echo", "items": [1]}, accept=name)
                self.assertEqual(answer.end["status"], "succeeded", answer)

    def test_a_worker_takes_the_same_names_and_names_what_is_no_json(self):
        port = self.shared.workers[0].port

        def post(body, content_type):
            return ft.request(port, "POST", "/v1/tasks/echo", body, {"Content-Type": content_type})
        for name in NAMES[NDJSON]:
            with self.subTest(name):
                self.assertEqual(post(b"1\n", name).status, 200)
        self.assert_problem(post(b"1\n", NDJSON + ";charset=utf-16"), 415, words=["utf-16"])
        for body, words in ((MARK + b"1\n", ["byte order mark"]), ("1\n".encode("utf-16"), ["UTF-16"]), (b'"\xff"\n', ["UTF-8"])):
            with self.subTest(body):
                self.assert_problem(post(body, NDJSON), 400, words=words)


# The output of a command, and its result with `output` auto, json, text and lines. Each result is a value, or a tuple
# of words that the cause must contain.
BAD = ("bad_output",)
OUTPUTS = (
    (b"caf\xc3\xa9\n", "caf\u00e9", BAD, "caf\u00e9", ["caf\u00e9"]),
    (b"a\r\nb\r\n", "a\r\nb", BAD, "a\r\nb", ["a", "b"]),
    (b"a\r", "a\r", BAD, "a\r", ["a\r"]),
    (b"", "", BAD, "", []),
    (MARK + b"[1]\n", [1], [1], "[1]", ["[1]"]),
    (MARK + b"x\n", "x", BAD, "x", ["x"]),
    (b"x" + MARK + b"\n", "x\ufeff", BAD, "x\ufeff", ["x\ufeff"]),
    (b'"\\ud800\\u0000"', "\ud800\0", "\ud800\0", '"\\ud800\\u0000"', ['"\\ud800\\u0000"']),
    (b"caf\xe9\n", *[("not valid UTF-8", "byte 3")] * 4),
    (b'"caf\xe9"\n', *[("not valid UTF-8", "byte 4")] * 4),
    (b"\x89PNG\r\n\x1a\n\0\0", *[("not valid UTF-8", "byte 0")] * 4),
    (b"abc\0def", *[("NUL byte", "byte 3")] * 4),
    *((data, *[(name,)] * 4) for name, codec, mark in WIDE
      for data in (mark + "[1]\n".encode(codec), "[1]\n".encode(codec), "caf\u00e9\n".encode(codec))),
)


class Outputs(FantailTest):
    def test_the_output_of_a_command_is_the_value_or_bad_output_with_the_cause(self):
        script = "#!/usr/bin/env python3\nimport base64, sys\nsys.stdout.buffer.write(base64.b64decode(sys.argv[1]))\n"
        forms = ("auto", "json", "text", "lines")
        fleet = self.fleet(tasks=self.tasks(**{form: {"json": {"mode": "exec", "command": ["./say", "{}"], "output": form},
                                                      "files": {"say": script}} for form in forms}))
        for at, form in enumerate(forms):
            items = [base64.b64encode(case[0]).decode() for case in OUTPUTS]
            document = fleet.job({"task": form, "items": items}).json
            errors = {entry["index"]: entry["error"] for entry in document["errors"]}
            for index, case in enumerate(OUTPUTS):
                with self.subTest((form, case[0])):
                    wanted = case[1 + at]
                    if not isinstance(wanted, tuple):
                        self.assertNotIn(index, errors)
                        self.assertEqual(document["results"][index], wanted)
                        continue
                    self.assertEqual(errors[index]["name"], "bad_output", errors[index])
                    for word in wanted:
                        self.assertIn(word, errors[index]["name"] + errors[index]["cause"])

    def test_an_item_that_is_no_text_fails_alone_where_text_is_needed(self):
        fleet = self.fleet(tasks=self.tasks(
            argument={"mode": "exec", "command": ["printf", "%s", "{}"], "output": "text"},
            text={"mode": "exec", "command": ["cat"], "input": "text", "output": "text"},
            json={"mode": "exec", "command": ["cat"]}))
        body = b'{"task":"%s","items":["a","\\ud800","b\\udc00","\\ud83d\\ude00"]}'
        for task in ("argument", "text"):
            document = fleet.job(body % task.encode()).json
            self.assertEqual(document["results"], ["a", None, None, "\U0001f600"], document)
            for entry in document["errors"]:
                self.assertIn("half of a surrogate pair", entry["error"]["cause"])
        self.assertEqual(fleet.job(body % b"json").json["results"], ["a", "\ud800", "b\udc00", "\U0001f600"])

    def test_a_program_whose_lines_are_not_utf_8_is_told_why(self):
        cases = ((MARK + b'{"value":1}\n', "byte order mark"), ('{"value":1}\n'.encode("utf-16"), "UTF-16"),
                 (b'{"value":"caf\xe9"}\n', "not valid UTF-8"), (b'{"value":"a\0b"}\n', "NUL bytes"))
        script = "import base64, sys\nfor line in sys.stdin:\n    sys.stdout.buffer.write(base64.b64decode(sys.argv[1]))\n    sys.stdout.flush()\n"
        tasks = self.tasks(**{f"case{n}": {"json": {"command": ["python3", "./task.py", base64.b64encode(data).decode()], "envelope": envelope},
                                           "files": {"task.py": script}}
                              for n, (data, _) in enumerate(cases) for envelope in (n % 2 == 0,)})
        fleet = self.fleet(tasks=tasks)
        for n, (data, word) in enumerate(cases):
            with self.subTest(data):
                error = fleet.job({"task": f"case{n}", "items": [1]}).json["errors"][0]["error"]
                self.assertEqual(error["name"], "bad_output")
                self.assertIn(word, error["cause"])

    def test_a_function_in_c_and_one_in_python_give_text_as_it_is_or_fail_their_item(self):
        source = """#include "fantail_task.h"
int fantail_task(const struct fantail_item *item, struct fantail_reply *reply) {
    char text[100];
    size_t len;
    if (!fantail_get_string(item, text, sizeof text, &len)) return fantail_reply_error(reply, "no text");
    if (text[0] == '!') return fantail_reply_string(reply, "caf\\xe9", 4);
    return fantail_reply_string(reply, text, len);
}
"""
        tasks = self.tasks(native={"json": {"mode": "native", "command": ["./task.so"]}, "files": {"task.c": source}},
                           python={"json": {"mode": "python", "command": ["task:run"]},
                                   "files": {"task.py": "def run(item):\n    return item\n"}})
        subprocess.run(["cc", "-fPIC", "-shared", "-I", os.path.join(ft.ROOT, "services", "hosts"), "-o", "task.so", "task.c", "-lm"],
                       cwd=os.path.join(tasks, "native"), check=True)
        fleet = self.fleet(tasks=tasks)
        items = ["caf\u00e9", "\ufeffx", "a\0b", "\ud800", "\udc00x", "\U0001f600", "!"]
        for task, wanted in (("native", items[:3] + [None, None] + items[5:6] + [None]), ("python", items)):
            document = fleet.job({"task": task, "items": items}).json
            self.assertEqual(document["results"], wanted, document)
            causes = {entry["index"]: entry["error"]["cause"] for entry in document["errors"]}
            if task == "native":
                self.assertEqual((causes[3], causes[4]), ("no text", "no text"))
                self.assertIn("not valid UTF-8", causes[6])

    def test_a_command_that_cannot_run_is_named_with_its_folder(self):
        """Each cause names the command and the folder. The text `said` is in the cause or in standard error."""
        scripts = {"crlf": "#!/bin/sh\r\necho 1\r\n", "lost": "#!/opt/none/python -u\n",
                   "kills.py": "import os\nos.kill(os.getpid(), 11)\n"}
        cases = [("exec", "exec", ["./none"], "No such file"), ("stream", "stream", ["./none"], "No such file"),
                 ("native", "native", ["./none.so"], "none.so"), ("python", "python", ["absent:run"], "No module named 'absent'"),
                 ("word", "python", ["absent"], "must be MODULE:FUNCTION"), ("data", "python", ["sys:path"], "not a function"),
                 ("typo", "stream", ["python3", "./typo.py", "-x"], "exited with code 2 before it answered any item"),
                 ("killed", "python", ["kills:run"], "killed by signal 11")]
        cases += [(f"{name}-{mode}", mode, [f"./{name}"], said) for mode in ("exec", "stream")
                  for name, said in (("crlf", '"#!/bin/sh", ends with CR LF'), ("lost", '"#!/opt/none/python -u", and this interpreter'))]
        tasks = self.tasks(**{name: {"json": {"mode": mode, "command": command}, "files": scripts} for name, mode, command, _ in cases},
                           gone={"mode": "stream", "command": ["cat"], "cwd": "/nowhere/at/all"})
        fleet = self.fleet(tasks=tasks)
        cases = [(name, command, os.path.join(os.path.realpath(tasks), name), said) for name, _, command, said in cases]
        for task, command, folder, said in (*cases, ("gone", ["cat"], "/nowhere/at/all", "cannot change to its directory")):
            with self.subTest(task):
                error = fleet.job({"task": task, "items": [1], "retry": {"max_attempts": 1}}).json["errors"][0]["error"]
                for word in (*command, f"in the folder {folder}"):
                    self.assertIn(word.removeprefix("./"), error["cause"], error)
                self.assertIn(said, error["cause"] + error["stderr"], error)


class StandardInput(SharedFleetTest):
    """`fantail map`: its standard input, and file names from find."""

    @classmethod
    def make_fleet_options(cls, keeper):
        return {"tasks": keeper.tasks(echo=dict(ECHO))}

    def map(self, stdin, *arguments):
        failures = os.path.join(self.folder, "failures")
        ended = subprocess.run([os.path.join(ft.BIN, "fantail"), "map", "echo", "--errors", failures, *arguments], input=stdin,
                               capture_output=True, timeout=60, check=False,
                               env=self.environment(FANTAIL_URL=f"http://127.0.0.1:{self.shared.port}"))
        with open(failures, encoding="utf-8") as lines:
            failed = [json.loads(line) for line in lines]
        return ended.returncode, ended.stdout.decode().splitlines(), ended.stderr.decode(), failed

    def test_a_mark_at_the_start_is_passed_over(self):
        for stdin, arguments, lines in ((MARK + b"1\n2\n", (), ["1", "2"]), (MARK + b"a\r\nb\n", ("--text",), ['"a"', '"b"']),
                                        (MARK, (), []), (MARK, ("--text",), []), (b"\n", ("--text",), ['""']),
                                        (MARK + b"a\0b\0", ("-0",), ['"\ufeffa"', '"b"'])):
            with self.subTest((stdin, arguments)):
                self.assertEqual(self.map(stdin, *arguments)[:2], (0, lines))

    def test_a_mark_before_a_later_line_fails_that_item(self):
        for arguments in ((), ("--text",)):
            for count in (1, 30000):  # with 30000, the line is the first line of a body
                lines = [b"1"] * (2 * count + 1)
                lines[count] = MARK + b"1"
                status, out, _, failed = self.map(b"\n".join(lines), *arguments)
                self.assertEqual((status, out.count("null"), out[count]), (1, 1, "null"))
                self.assertEqual([f["index"] for f in failed], [count])
                self.assertIn("byte order mark", failed[0]["error"]["cause"])

    def test_a_mark_at_the_start_of_each_body_is_never_lost(self):
        out, failed = self.map((MARK + b"1\n") * 20000, "--text")[1::2]
        self.assertEqual(out, ['"1"'] + ["null"] * 19999)
        self.assertEqual(len(failed), 19999)

    def test_utf_16_and_utf_32_end_the_run_by_name(self):
        for arguments in ((), ("--text",), ("--reduce", "count")):
            for name, codec, mark in WIDE:
                for stdin in (mark + "1\n2\n".encode(codec), "1\n2\n".encode(codec)):
                    with self.subTest((arguments, name, stdin[:4])):
                        status, out, err, _ = self.map(stdin, *arguments)
                        self.assertEqual((status, out), (3, []))
                        self.assertIn(name, err)

    def test_a_first_line_is_not_kept_waiting(self):
        for first, arguments, result in ((b"1\n", (), b"1\n"), (b"\n", ("--text",), b'""\n'), (MARK + b"7\n", (), b"7\n")):
            with self.subTest(first):
                process = subprocess.Popen([os.path.join(ft.BIN, "fantail"), "map", "echo", *arguments], stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE,
                                           env=self.environment(FANTAIL_URL=f"http://127.0.0.1:{self.shared.port}"))
                with process:
                    for byte in first:
                        process.stdin.write(bytes([byte]))
                        process.stdin.flush()
                    self.assertEqual(process.stdout.readline(), result)
                    process.stdin.close()

    def test_items_that_are_not_utf_8_fail_alone_with_the_byte_and_can_be_found_again(self):
        for arguments, stdin, item, byte in (
                (("--text",), b"a\ncaf\xe9\nb\n", b"caf\xe9", 3), ((), b'"a"\n"caf\xe9"\n"b"\n', b'"caf\xe9"', 5),
                (("-0",), b"a\0\"\n\\caf\xe9\0b\0", b"\"\n\\caf\xe9", 6), (("--text",), b"a\nx\0y\nb\n", b"x\0y", 1)):
            with self.subTest(stdin):
                status, out, _, failed = self.map(stdin, *arguments)
                self.assertEqual((status, out), (1, ['"a"', "null", '"b"']))
                self.assertEqual(failed[0]["error"]["name"], "bad_item")
                self.assertIn(f"byte {byte}", failed[0]["error"]["cause"])
                found = base64.b64decode(failed[0]["item_base64"]) if "item_base64" in failed[0] else failed[0]["item"].encode()
                self.assertEqual(found, item)

    def test_file_names_of_any_bytes_from_find(self):
        folder = os.path.join(self.folder, "files").encode()
        os.mkdir(folder)
        names = [b"caf\xc3\xa9", b"caf\xe9", b"new\nline", b"quote\"\\", b"\xff\xfe", b" ", b"-n", MARK + b"x"]
        for name in names:
            with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
                out.write("x")
        found = b"\0".join(os.path.join(folder, name) for name in names) + b"\0"
        failures = os.path.join(self.folder, "failed")
        ended = subprocess.run([os.path.join(ft.BIN, "fantail"), "map", "--errors", failures, "-0", "--", "cat", "--"],
                               input=found, capture_output=True, timeout=60, check=False, env=self.environment())
        with open(failures, encoding="utf-8") as lines:
            failed = [json.loads(line) for line in lines]
        self.assertEqual(ended.stdout.decode().splitlines(), ["null" if name in (b"caf\xe9", b"\xff\xfe") else "x" for name in names], ended)
        self.assertEqual([base64.b64decode(f["item_base64"]) for f in failed],
                         [os.path.join(folder, name) for name in (b"caf\xe9", b"\xff\xfe")])


if __name__ == "__main__":
    ft.main()
