"""The answer to each kind of bad input. After each bad input, the service must work as before."""
import gzip
import json
import os
import resource
import socket
import subprocess

import fantail_testing as ft
from fantail_testing import NDJSON, TEXT, FantailTest, SharedFleetTest, wait_until

ECHO = {"mode": "stream", "command": ["cat"], "envelope": False}


def reads_as_json(data):
    """Returns whether Python's JSON parser accepts these bytes, with NaN and Infinity refused."""
    def refuse(word):
        raise ValueError(word)
    try:
        json.loads(data.decode("utf-8"), parse_constant=refuse)
        return True
    except (ValueError, RecursionError):
        return False


class JsonTestSuite(SharedFleetTest):
    """Sends every file of JSONTestSuite as an item in each input type, and as a whole body."""

    TIME_LIMIT_S = 240

    @classmethod
    def make_fleet_options(cls, keeper):
        return {"tasks": keeper.tasks(echo=dict(ECHO))}

    def assert_carried(self, name, item, answer):
        self.assertEqual(answer.status, 200, (name, answer))
        raw = answer.body.splitlines()[1]  # after the start line
        self.assertEqual(raw, b'{"type":"result","index":0,"value":' + item + b"}", name)
        self.assertEqual(answer.end["counts"]["succeeded"], 1, name)

    def test_y_files_are_carried_as_items_of_a_job_object(self):
        for name, data in ft.json_suite():
            if name.startswith("y_"):
                with self.subTest(name):
                    answer = self.shared.job(b'{"task":"echo","items":[' + data + b"]}", NDJSON)
                    self.assert_carried(name, data.strip(b" \t\r\n").replace(b"\n", b""), answer)

    def test_y_files_are_carried_as_ndjson_lines(self):
        for name, data in ft.json_suite():
            item = data.strip(b" \t\r\n")
            if name.startswith("y_") and b"\n" not in item:
                with self.subTest(name):
                    self.assert_carried(name, item, self.shared.job(data, NDJSON, NDJSON, "?task=echo"))

    def test_n_files_are_refused_as_items_of_a_job_object(self):
        for name, data in ft.json_suite():
            if name.startswith("n_"):
                body = b'{"task":"echo","items":[' + data + b"]}"
                with self.subTest(name):
                    answer = self.shared.job(body)
                    if reads_as_json(body):  # an empty body or a single space is an empty list of items, which is valid
                        self.assertEqual(answer.status, 200, answer)
                        continue
                    document = self.assert_problem(answer, 400)
                    self.assertIn("offset", document)
                    self.assertIn("pointer", document)

    def test_n_files_are_refused_as_ndjson(self):
        for name, data in ft.json_suite():
            if name.startswith("n_"):
                lines = [line for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip(b" \t\r")]
                with self.subTest(name):
                    answer = self.shared.job(data, None, NDJSON, "?task=echo")
                    if all(map(reads_as_json, lines)):
                        self.assertEqual(answer.status, 200, answer)
                    else:
                        self.assertIn("offset", self.assert_problem(answer, 400))

    def test_i_files_get_one_of_the_two_answers(self):
        for name, data in ft.json_suite():
            if name.startswith("i_"):
                with self.subTest(name):
                    for answer in (self.shared.job(b'{"task":"echo","items":[' + data + b"]}"),
                                   self.shared.job(data, None, NDJSON, "?task=echo")):
                        self.assertIn(answer.status, (200, 400), answer)
                        if answer.status == 200:
                            self.assertEqual(answer.json["counts"]["failed"], 0, answer)

    def test_every_file_is_a_string_item_in_text_or_refused(self):
        for name, data in ft.json_suite():
            with self.subTest(name):
                answer = self.shared.job(data, None, TEXT, "?task=echo")
                try:
                    text = data.decode("utf-8")
                except UnicodeDecodeError:
                    self.assertIn(answer.status, (200, 400), answer)
                    continue
                if "\0" in text:
                    self.assert_problem(answer, 400)
                    continue
                lines = text.removeprefix("\ufeff").split("\n")
                if lines[-1] == "":
                    lines.pop()
                self.assertEqual(answer.status, 200, answer)
                self.assertEqual(answer.json["results"], [line.removesuffix("\r") for line in lines])

    def test_no_file_is_a_job(self):
        for name, data in ft.json_suite():
            with self.subTest(name):
                document = self.assert_problem(self.shared.job(data), 400)
                self.assertIn("pointer", document)


class Fields(SharedFleetTest):
    """Errors in the job object and in the query: 400 with the JSON pointer of the error."""

    fleet_options = {}

    def refuse(self, job, pointer, words=()):
        with self.subTest(json.dumps(job)[:100] if isinstance(job, dict) else job[:100]):
            self.assert_problem(self.shared.job(job), 400, pointer, words)

    def job_with(self, **fields):
        return {"task": "square", "items": [1], **fields}

    def test_an_unknown_field_is_named(self):
        self.refuse(self.job_with(chunksize=3), "/chunksize", ['a job has no field "chunksize"'])
        self.refuse(self.job_with(retry={"attempts": 3}), "/retry/attempts", ['a job has no field "retry.attempts"'])
        self.refuse({**self.job_with(), "a.b": 1}, "/a.b", ["a job has no such field"])
        self.refuse(self.job_with(hedge={"on": True}), "/hedge/on")

    def test_items_that_the_query_makes_need_no_body(self):
        for content_type in (None, "application/x-www-form-urlencoded", "application/json"):
            for query, results in (("task=square&range.stop=4", [0, 1, 4, 9]), ("task=square&range.start=3&range.stop=5", [9, 16]),
                                   ("task=primes&spans.stop=10&spans.size=5", [2, 2])):
                with self.subTest((content_type, query)):
                    answer = self.shared.job(b"", None, content_type, "?" + query)
                    self.assertEqual((answer.status, answer.json["results"]), (200, results), answer)

    def test_what_an_empty_body_lacks_is_said(self):
        for query, pointer, words in (("", "/task", ["name its task"]), ("?task=square&range.start=4", "/range", ["needs a stop"]),
                                      ("?task=square&spans.stop=4", "/spans", ["a stop and a size"]),
                                      ("?range.stop=4", "/task", ["name its task"])):
            with self.subTest(query):
                self.assert_problem(self.shared.job(b"", None, None, query), 400, pointer, words)
        with self.subTest("lines and a range"):
            self.assert_problem(self.shared.job(b"1\n", None, NDJSON, "?task=square&range.stop=4"), 400, "/range",
                                ["one source", "lines"])

    def test_a_wrong_option_in_the_query_is_named_whatever_the_body_is(self):
        for content_type in (None, "application/x-www-form-urlencoded", "application/json", NDJSON, "text/csv"):
            for query, pointer in (("taks=square", "/taks"), ("task=square&chunk_size=x", "/chunk_size"),
                                   ("task=square&range=4", "/range")):
                for headers in ({}, {"Prefer": "respond-async"}):
                    with self.subTest((content_type, query, headers)):
                        answer = self.shared.job(b"1\n2\n3\n", None, content_type, "?" + query, headers)
                        self.assert_problem(answer, 400, pointer, pointer[1:])

    def test_an_incomplete_range_is_told_what_it_lacks(self):
        for field, value, words in (("range", {}, ["needs a stop"]), ("range", {"start": 1}, ["needs a stop"]),
                                    ("spans", {}, ["a stop and a size"]), ("spans", {"size": 1}, ["a stop and a size"]),
                                    ("spans", {"start": 1, "stop": 2}, ["a stop and a size"])):
            self.refuse({"task": "square", field: value}, "/" + field, words)
        self.refuse(self.job_with(retry={"on": ["tired"]}), "/retry/on", ["crashed", "out_of_memory", "bad_output"])

    def test_a_list_with_brackets_in_the_query_is_told_its_form(self):
        self.assert_problem(self.shared.job(b"1\n", None, NDJSON, '?task=square&retry.on=%5B%22task_error%22%5D'), 400,
                            "/retry/on", ["joined with commas", "without brackets"])

    def test_a_wrong_type_is_pointed_at(self):
        for field, value in (("task", 1), ("items", {}), ("order", 1), ("chunk_size", "3"), ("max_chunk_bytes", "1M"),
                             ("max_concurrency", True), ("item_timeout_s", "60"), ("deadline_s", []), ("retry", 3),
                             ("hedge", True), ("tolerated_failure_count", "1"), ("tolerated_failure_percentage", {}),
                             ("reduce", 1), ("priority", 1.5), ("chunk_size", 1.5)):
            self.refuse(self.job_with(**{field: value}), "/" + field)
        self.refuse({"task": "square", "range": 3}, "/range")
        self.refuse({"task": "square", "range": {"start": "0", "stop": 3}}, "/range/start")
        self.refuse({"task": "square", "spans": {"start": 0, "stop": 3, "size": "1"}}, "/spans/size")
        self.refuse(self.job_with(retry={"max_attempts": "many"}), "/retry/max_attempts")

    def test_a_value_out_of_range_is_pointed_at(self):
        for field, value in (("chunk_size", -1), ("max_chunk_bytes", -5), ("max_concurrency", -1), ("max_rate", -1),
                             ("max_rate", 1e10), ("priority", 99),
                             ("item_timeout_s", -0.5), ("deadline_s", -1), ("tolerated_failure_count", -2),
                             ("tolerated_failure_percentage", 101), ("order", "sideways"), ("reduce", "median"), ("reduce", "merge_sorted")):
            self.refuse(self.job_with(**{field: value}), "/" + field)
        self.refuse({"task": "square", "spans": {"start": 0, "stop": 3, "size": -1}}, "/spans/size")
        self.refuse({"task": "square", "spans": {"start": 0, "stop": 3, "size": 0}}, "/spans/size")
        self.refuse({"task": "square", "range": {"start": 0, "stop": 3, "step": 0}}, "/range/step")
        self.refuse(self.job_with(retry={"max_attempts": 0}), "/retry/max_attempts")
        self.refuse(self.job_with(retry={"on": ["tired"]}), "/retry/on")

    def test_numbers_beyond_2_to_53_are_refused(self):
        self.refuse(self.job_with(max_concurrency=2 ** 53 + 1), "/max_concurrency")
        self.refuse({"task": "square", "range": {"start": 0, "stop": 2 ** 53 + 1}}, "/range/stop")
        self.refuse(b'{"task":"square","items":[1],"deadline_s":1e999}', "/deadline_s")

    def test_nan_and_infinity_are_no_json(self):
        for word in (b"NaN", b"Infinity", b"-Infinity", b"nan"):
            self.refuse(b'{"task":"square","items":[' + word + b"]}", "/items/0")
            self.refuse(b'{"task":"square","items":[1],"deadline_s":' + word + b"}", "/deadline_s")

    def test_more_than_one_source_of_items_is_refused(self):
        self.assert_problem(self.shared.job(self.job_with(range={"start": 0, "stop": 3})), 400)
        self.assert_problem(self.shared.job({"task": "square", "range": {"start": 0, "stop": 3},
                                             "spans": {"start": 0, "stop": 3, "size": 1}}), 400)

    def test_a_missing_task_or_missing_items_are_named(self):
        self.refuse({"items": [1]}, "/task", ["task"])
        self.assert_problem(self.shared.job({"task": "square"}), 400, words=["items"])

    def test_the_same_field_twice_is_refused(self):
        self.assert_problem(self.shared.job(b'{"task":"square","task":"fib","items":[1]}'), 400, "/task")
        self.assert_problem(self.shared.job(b'{"task":"square","items":[1],"items":[2]}'), 400, "/items")
        self.assert_problem(self.shared.job({"task": "square", "items": [1]}, query="?task=square"), 400)

    def test_a_body_that_is_no_object_is_refused(self):
        for body in (b"[1,2]", b"3", b'"x"', b"null", b"   "):
            self.assert_problem(self.shared.job(body), 400, "")

    def test_an_unknown_task_is_404_and_names_those_there_are(self):
        answer = self.shared.job({"task": "sqare", "items": [1]})
        document = self.assert_problem(answer, 404, "/task", ["sqare", "square", "primes"])
        self.assertNotIn("\n", document["detail"])
        self.assert_problem(self.shared.job(b"1\n", None, NDJSON, "?task=sqare"), 404, words=["square"])

    def test_a_hostile_task_name_is_404_or_400(self):
        for name in ("", "../../etc/passwd", "a/b", "x" * 5000, "a\u0000b", "."):
            answer = self.shared.job({"task": name, "items": [1]})
            self.assertIn(answer.status, (400, 404), (name, answer))
            self.assert_problem(answer, answer.status)

    def test_faults_of_the_query_are_named(self):
        for query, word in (("?task=square&chunk=3", "chunk"), ("?task=square&chunk_size=x", "chunk_size"),
                            ("?task=square&order=up", "order"), ("?task=square&deadline_s=-1", "deadline_s"),
                            ("", "task"), ("?task=square&task=fib", "task")):
            with self.subTest(query):
                document = self.assert_problem(self.shared.job(b"1\n", None, NDJSON, query), 400)
                self.assertIn(word, document["pointer"] + document["detail"])

    def test_a_job_object_that_was_sent_as_an_item_gets_a_hint(self):
        for body in (b'{"items":[1,2]}', b'{"task":"square","range":{"stop":3}}\n'):
            for accept in (ft.JSON, NDJSON):
                answer = self.shared.job(body, accept, None, "?task=square")
                self.assertIn("application/json", (answer.json if accept == ft.JSON else answer.end)["hint"])
        for body in (b'{"items":[1]}\n{"items":[2]}', b'{"item":1}', b'3'):
            self.assertNotIn("hint", self.shared.job(body, None, None, "?task=square").json, body)

    def test_a_job_object_on_several_lines_that_was_sent_as_ndjson_gets_a_hint(self):
        for body in (json.dumps({"task": "square", "items": [1]}, indent=1), json.dumps([1, 2], indent=1), '1\n{"a":\n1}'):
            for headers in ({}, {"Prefer": "respond-async"}):
                with self.subTest(body, **headers):
                    answer = self.shared.job(body.encode(), None, NDJSON, "?task=square", headers=headers)
                    self.assert_problem(answer, 400, words=["the text ends too early at byte", "several lines must be sent as application/json"])
        self.assertNotIn("several lines", self.shared.job(b"1\nx\n", None, NDJSON, "?task=square").json["detail"])

    def test_a_job_that_cannot_be_durable_gets_a_hint(self):
        for accept in (ft.JSON, NDJSON):
            answer = self.shared.request("POST", "/v1/jobs", b'{"task":"square","items":[1]}', {"Prefer": "respond-async", "Accept": accept})
            self.assertIn("has no job store", (answer.json if accept == ft.JSON else answer.end)["hint"])

    def test_an_array_that_was_sent_as_one_item_gets_a_hint_if_it_fails(self):
        answer = self.shared.job(b"[1,2]", None, None, "?task=square").json
        self.assertIn("the whole array is one item", answer["hint"])
        for task, body in (("echo", b"[1,2]"), ("square", b"[1]\n[2]")):
            self.assertNotIn("hint", self.shared.job(body, None, None, f"?task={task}").json, body)

    def test_an_option_of_a_job_in_a_get_gets_a_hint_at_post(self):
        for option in ("range.stop=5", "range=5", "order=input", "retry.max_attempts=2", "progress_s=1"):
            answer = self.shared.request("GET", f"/v1/jobs?{option}")
            self.assert_problem(answer, 400, words="to submit a job, send POST")
        self.assertNotIn("POST", self.shared.request("GET", "/v1/jobs?colour=red").json["detail"])

    def test_nesting_up_to_the_cap_is_taken_and_beyond_it_refused(self):
        for depth, status in ((400, 200), (600, 400), (100_000, 400)):
            body = b'{"task":"misbehave","items":[' + b"[" * depth + b"]" * depth + b"]}"
            answer = self.shared.job(body)
            self.assertEqual(answer.status, status, (depth, answer))
            if status == 400:
                document = self.assert_problem(answer, 400)
                self.assertTrue(document["pointer"].startswith("/items/0"), document)

    def test_the_fault_is_located_in_the_body(self):
        body = b'{"task":"square","items":[1,2,x]}'
        document = self.assert_problem(self.shared.job(body), 400, "/items/2")
        self.assertEqual(document["offset"], body.index(b"x"))
        document = self.assert_problem(self.shared.job(b'1\n2\n{"a":}\n', None, NDJSON, "?task=square"), 400)
        self.assertEqual(document["offset"], 9)
        self.assertEqual(document["pointer"], "/items/2")


class Http(SharedFleetTest):
    """Errors in the request itself."""

    fleet_options = {}

    def test_an_unknown_path_is_404(self):
        for path in ("/", "/v1", "/v2/jobs", "/v1/jobs/x/y/z/w", "/v1/jobs/../../etc/passwd"):
            answer = self.shared.request("POST", path, b"{}")
            self.assertIn(answer.status, (404, 405), (path, answer))
            self.assert_problem(answer, answer.status)
        self.assert_problem(self.shared.request("GET", "/v1/job"), 404, words="GET /openapi.json lists all calls")
        self.assertNotIn("openapi", ft.request(self.shared.workers[0].port, "GET", "/v1/job").json["detail"])

    def test_an_unknown_query_parameter_is_400_and_named_except_in_a_health_check(self):
        worker = self.shared.workers[0]
        calls = [(self.shared.port, "/v1/jobs"), (self.shared.port, "/v1/jobs/x"), (self.shared.port, "/v1/tasks"),
                 (self.shared.coordinator.admin_port, "/autoscale"), (worker.port, "/v1/tasks"),
                 (worker.admin_port, "/autoscale"), (self.shared.coordinator.admin_port, "/metrics"), (worker.admin_port, "/metrics"),
                 (self.shared.port, "/openapi.json")]
        for port, path in calls:
            answer = ft.request(port, "GET", path + "?limit=5")
            self.assert_problem(answer, 400, words=f'GET {path} has no query parameter "limit"')
        answer = ft.request(worker.port, "POST", "/v1/tasks/square?x=1", b"1\n")
        self.assert_problem(answer, 400, words='POST /v1/tasks/square has no query parameter "x"')
        self.assert_problem(self.shared.request("GET", "/v1/jobs?task=square"), 400, words="-X POST")
        for port in (self.shared.port, self.shared.coordinator.admin_port, worker.port, worker.admin_port):
            for path in ("/livez", "/healthz", "/readyz"):
                self.assertEqual(ft.request(port, "GET", path + "?verbose&x=1").status, 200, (port, path))

    def test_a_request_target_may_be_absolute(self):
        for port, path in ((self.shared.port, "/livez"), (self.shared.workers[0].port, "/livez"),
                           (self.shared.port, "/v1/tasks")):
            answer = ft.raw_request(port, b"GET http://localhost%s HTTP/1.1\r\nHost: localhost\r\nConnection: close"
                                          b"\r\n\r\n" % path.encode())
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)

    def test_a_wrong_method_is_405_with_allow(self):
        for method, path, allowed in (("PUT", "/v1/jobs", "POST"), ("PATCH", "/v1/tasks", "GET"),
                                      ("DELETE", "/v1/tasks", "GET"), ("POST", "/livez", "GET")):
            answer = self.shared.request(method, path, b"")
            self.assert_problem(answer, 405)
            self.assertIn(allowed, answer.headers["Allow"])
            self.assertTrue(answer.json["detail"].endswith(f"the allowed methods are {answer.headers['Allow']}"), answer)

    def test_a_wrong_content_type_is_415(self):
        for content_type in ("text/html", "application/xml", "multipart/form-data; boundary=x", "nonsense"):
            self.assert_problem(self.shared.job(b"<x/>", content_type=content_type), 415)

    def test_a_packed_body_is_415(self):
        body = gzip.compress(b'{"task":"square","items":[1]}')
        answer = self.shared.job(body, headers={"Content-Encoding": "gzip"})
        self.assert_problem(answer, 415, words="Content-Encoding")
        self.assertEqual(answer.headers["Accept-Encoding"], "identity")

    def test_a_body_announced_beyond_the_cap_is_413(self):
        head = (b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: 99999999999999\r\n\r\n")
        self.assertRegex(ft.raw_request(self.shared.port, head), rb"^HTTP/1.1 413 ")

    def test_a_header_beyond_the_cap_is_431(self):
        head = b"GET /v1/tasks HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 60_000 + b"\r\n\r\n"
        self.assertRegex(ft.raw_request(self.shared.port, head), rb"^HTTP/1.1 431 ")

    def test_an_address_beyond_the_cap_is_414(self):
        head = b"GET /v1/tasks?" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        self.assertRegex(ft.raw_request(self.shared.port, head), rb"^HTTP/1.1 41[34] ")

    def test_ambiguous_framing_is_refused_and_the_connection_closed(self):
        start = b"POST /v1/jobs?task=square HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
        smuggled = b"GET /v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n"
        for framing in (b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                        b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n1\n",
                        b"Content-Length: -2\r\n\r\n1\n",
                        b"Content-Length: 2x\r\n\r\n1\n",
                        b"Transfer-Encoding: gzip, identity\r\n\r\n1\n"):
            with self.subTest(framing):
                received = ft.raw_request(self.shared.port, start + framing + smuggled)
                self.assertRegex(received, rb"^HTTP/1.1 (400|501) ")
                self.assertEqual(received.count(b"HTTP/1.1 "), 1, received)

    def test_bytes_that_are_no_http_are_refused(self):
        for noise in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10 + b"\r\n\r\n", b"\0" * 100 + b"\r\n\r\n",
                      b"GET\r\n\r\n", b"HELLO WORLD\r\n\r\n"):
            received = ft.raw_request(self.shared.port, noise)
            self.assertTrue(received == b"" or received.startswith(b"HTTP/1.1 4") or
                            received.startswith(b"HTTP/1.1 5"), received)

    def test_errors_carry_problem_json_even_when_the_library_makes_them(self):
        received = ft.raw_request(self.shared.port, b"GET /v1/tasks HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 60_000 +
                                  b"\r\n\r\n")
        self.assertIn(b"application/problem+json", received.lower())

    def test_an_expected_continue_is_given(self):
        with socket.create_connection(("127.0.0.1", self.shared.port), timeout=20) as s:
            s.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 29\r\nConnection: close\r\n"
                      b"Expect: 100-continue\r\n\r\n")
            self.assertRegex(s.recv(100), rb"^HTTP/1.1 100 ")
            s.sendall(b'{"task":"square","items":[3]}')
            received = b""
            while piece := s.recv(65536):
                received += piece
        self.assertIn(b'"results":[9]', received)

    def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing(self):
        head = (b"POST /v1/jobs?task=square HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                b"Content-Length: 1000000\r\n\r\n")
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", self.shared.port), timeout=20) as s:
                s.sendall(head + b"1\n2\n3\n" * 1000)
        wait_until(lambda: self.shared.request("GET", "/v1/jobs").json["jobs"] == [], "no job left")


class LargeBodies(SharedFleetTest):
    """An error at any place in a body of 100 MB."""

    TIME_LIMIT_S = 240
    ITEM = b'"' + b"x" * 998 + b'",'
    ITEMS = 100_000

    @classmethod
    def make_fleet_options(cls, keeper):
        return {"tasks": keeper.tasks(echo=dict(ECHO))}

    def body(self, fault_at, fault):
        """Returns a job object whose item `fault_at` is `fault`. If `fault` is None, the body ends in place of item
        `fault_at`."""
        block = self.ITEM * 1000
        yield b'{"task":"echo","items":['
        for first in range(0, self.ITEMS, 1000):
            if first <= fault_at < first + 1000:
                yield self.ITEM * (fault_at - first)
                if fault is None:
                    return
                yield fault + b","
                yield self.ITEM * (first + 999 - fault_at)
            else:
                yield block
        yield b"0]}"

    def refuse(self, fault_at, fault, offset_in_fault):
        answer = self.shared.job(self.body(fault_at, fault), timeout_s=120)
        document = self.assert_problem(answer, 400, f"/items/{fault_at}")
        head = len(b'{"task":"echo","items":[')
        self.assertEqual(document["offset"], head + fault_at * len(self.ITEM) + offset_in_fault)
        wait_until(lambda: self.shared.request("GET", "/v1/jobs").json["jobs"] == [], "no job left")
        wait_until(lambda: self.shared.metric(self.shared.coordinator, "fantail_chunks_in_flight") == 0)

    def test_a_fault_at_the_start_is_located(self):
        self.refuse(0, b"tru3", 3)

    def test_a_fault_in_the_middle_is_located(self):
        self.refuse(50_000, b'"a\tb"', 2)

    def test_a_fault_at_the_end_is_located(self):
        self.refuse(99_999, b"[1,]", 3)

    def test_a_body_cut_off_is_refused_where_it_ends(self):
        self.refuse(70_000, None, 0)


class DiskFull(FantailTest):
    """Without disk space for temporary files, the job fails with a clear error, and the service keeps working."""

    def check(self, spill_dir, before_exec=None):
        fleet = self.fleet(tasks=self.tasks(echo=dict(ECHO)), processes=1, before_exec=before_exec, coordinator_arguments=(
            "--result-memory-bytes", "64K", "--spill-dir", spill_dir))
        # The client does not read, so the answers accumulate.
        body = json.dumps({"task": "echo", "items": ["x" * 100_000] * 400}).encode()
        s = socket.create_connection(("127.0.0.1", fleet.port), timeout=60)
        s.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: "
                  b"application/x-ndjson\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        wait_until(lambda: fleet.request("GET", "/v1/jobs").json["jobs"] == [] or
                   fleet.metric(fleet.coordinator, "fantail_chunks_in_flight") == 0, "the job's end")
        received = b""
        while piece := s.recv(1 << 20):
            received += piece
        s.close()
        self.assertRegex(received[-4000:], rb'"status":"failed"')
        self.assertRegex(received[-4000:].decode(), "(?i)spill|disk|space|file too large|temporary")
        self.assertEqual(fleet.job({"task": "echo", "items": [1]}).json["results"], [1])

    def test_a_full_file_system_fails_the_job_and_not_the_service(self):
        mount = os.path.join(self.folder, "small")
        os.mkdir(mount)
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", mount], capture_output=True, text=True)
        if made.returncode != 0:
            self.skipTest("mounting a small tmpfs is not permitted here")
        self.addCleanup(subprocess.run, ["umount", "-l", mount])
        self.check(mount)

    def test_a_file_size_limit_fails_the_job_and_not_the_service(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))
        self.check(self.folder, limit)


if __name__ == "__main__":
    ft.main()
