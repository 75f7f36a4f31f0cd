"""Jobs over HTTP: every kind of body, every kind of answer, and every option."""
import json
import signal
import threading
import time

import fantail_testing as ft
from fantail_testing import JSON, NDJSON, TEXT, FantailTest, SharedFleetTest, wait_until, with_more_time


def echo_tasks(keeper, **more):
    return keeper.tasks(echo={"mode": "stream", "command": ["cat"], "envelope": False}, **more)


class Answers(SharedFleetTest):
    """The three input types with both kinds of answer."""

    fleet_options = {"workers": 2}

    def test_a_json_job_is_answered_with_one_document(self):
        answer = self.shared.job({"task": "square", "items": [1, 2, 3], "hedge": {"enabled": False}})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers.get_content_type(), JSON)
        document = answer.json
        self.assertEqual(document["status"], "succeeded")
        self.assertEqual(document["results"], [1, 4, 9])
        self.assertEqual(document["errors"], [])
        self.assertEqual(document["counts"], {"total": 3, "succeeded": 3, "failed": 0, "cancelled": 0, "retried": 0,
                                              "hedged": 0})
        self.assertRegex(document["id"], r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
        self.assertIsInstance(document["stats"], dict)
        self.assertNotIn("result", document)

    def test_a_json_job_is_answered_as_a_stream_when_asked_for(self):
        answer = self.shared.job({"task": "square", "items": [1, 2, 3]}, accept=NDJSON)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers.get_content_type(), NDJSON)
        self.assertEqual(answer.body.splitlines()[1:4], [b'{"type":"result","index":0,"value":1}',
                                                         b'{"type":"result","index":1,"value":4}',
                                                         b'{"type":"result","index":2,"value":9}'])
        self.assertEqual(len(answer.lines), 4)
        self.assertEqual(answer.end["status"], "succeeded")
        self.assert_counts(answer.end["counts"], total=3, succeeded=3, failed=0)
        self.assertIsInstance(answer.end["stats"], dict)

    def test_an_answer_begins_with_the_id_of_its_job(self):
        job = {"task": "square", "items": [1]}
        document = self.shared.job(job)
        self.assertEqual(document.headers["Fantail-Job"], document.json["id"])
        stream = self.shared.job(job, accept=NDJSON)
        self.assertEqual(stream.all_lines[0], {"type": "start", "id": stream.end["id"]})
        self.assertEqual(stream.headers["Fantail-Job"], stream.end["id"])
        self.assertNotIn("start", [line["type"] for line in stream.lines])

    def test_the_id_of_a_job_is_known_while_it_runs(self):
        with self.shared.stream({"task": "sleep", "items": [60]}) as stream:
            job = stream.response.headers["Fantail-Job"]
            self.assertEqual(json.loads(stream.response.readline()), {"type": "start", "id": job})
            self.assert_problem(self.shared.request("DELETE", f"/v1/jobs/{job}?now=1"), 400, words="now")
            self.assertEqual(self.shared.request("DELETE", f"/v1/jobs/{job}").status, 202)
            self.assertEqual(stream.line_of("end")["status"], "cancelled")

    def test_a_job_that_is_refused_has_no_id(self):
        for job in ({"task": "no_such", "items": [1]}, {"task": "square", "items": [1], "priority": 10}):
            self.assertIsNone(self.shared.job(job).headers["Fantail-Job"])

    def test_ndjson_lines_are_items_and_the_query_has_the_options(self):
        for accept in (JSON, NDJSON):
            answer = self.shared.job(b"4\n5\r\n\n6", accept, NDJSON, "?task=square")
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.json["results"] if accept == JSON else answer.values, [16, 25, 36])

    def test_text_lines_are_string_items(self):
        lines = 'a "quoted" word\nback\\slash\r\n\nümläut \t tab'.encode()
        for accept in (JSON, NDJSON):
            answer = self.shared.job(lines, accept, TEXT, "?task=upper")
            self.assertEqual(answer.status, 200, answer)
            values = answer.json["results"] if accept == JSON else answer.values
            self.assertEqual([v.lower() for v in values],
                             ['a "quoted" word', "back\\slash", "", "ümläut \t tab"])

    def test_a_bare_curl_d_with_a_job_object_works(self):
        for content_type in (None, "application/x-www-form-urlencoded"):
            answer = self.shared.job({"task": "square", "items": [7]}, content_type=content_type)
            self.assertEqual(answer.json["results"], [49])

    def test_a_bare_curl_d_with_a_task_in_the_query_takes_ndjson(self):
        for content_type in (None, "application/x-www-form-urlencoded"):
            answer = self.shared.job(b"7\n8\n", content_type=content_type, query="?task=square")
            self.assertEqual(answer.json["results"], [49, 64])

    def test_a_content_type_may_carry_parameters_and_any_case(self):
        answer = self.shared.job({"task": "square", "items": [7]}, content_type="Application/JSON; charset=utf-8")
        self.assertEqual(answer.json["results"], [49])

    def test_accept_lists_are_understood(self):
        answer = self.shared.job({"task": "square", "items": [2]}, accept="text/html, application/x-ndjson;q=0.9")
        self.assertEqual(answer.values, [4])
        answer = self.shared.job({"task": "square", "items": [2]}, accept="*/*")
        self.assertEqual(answer.json["results"], [4])

    def test_no_items_succeed_at_once(self):
        self.assertEqual(self.shared.job({"task": "square", "items": []}).json["results"], [])
        answer = self.shared.job(b"", NDJSON, NDJSON, "?task=square")
        self.assertEqual([line["type"] for line in answer.lines], ["end"])
        self.assertEqual(answer.end["status"], "succeeded")

    def test_options_may_follow_the_items(self):
        answer = self.shared.job(b'{"items":[1,2,3],"order":"completion","chunk_size":1,"task":"square"}')
        self.assertEqual(sorted(answer.json["results"]), [1, 4, 9])

    def test_a_body_may_come_in_chunks_of_any_size(self):
        body = json.dumps({"task": "square", "items": list(range(50))}).encode()
        answer = self.shared.job((body[i:i + 3] for i in range(0, len(body), 3)))
        self.assertEqual(answer.json["results"], [n * n for n in range(50)])

    def test_ten_thousand_items_come_back_in_input_order(self):
        answer = self.shared.job({"task": "square", "items": list(range(10000))})
        self.assertEqual(answer.json["results"], [n * n for n in range(10000)])

    def test_many_small_chunks_come_back_in_input_order(self):
        answer = self.shared.job({"task": "square", "items": list(range(500)), "chunk_size": 3}, NDJSON)
        self.assertEqual(answer.values, [n * n for n in range(500)])
        self.assertEqual([line["index"] for line in answer.lines[:-1]], list(range(500)))

    def test_completion_order_gives_every_index_once(self):
        answer = self.shared.job({"task": "square", "items": list(range(500)), "chunk_size": 3,
                                  "order": "completion"}, NDJSON)
        results = [line for line in answer.lines if line["type"] == "result"]
        self.assertEqual(sorted(line["index"] for line in results), list(range(500)))
        for line in results:
            self.assertEqual(line["value"], line["index"] ** 2)

    def test_a_document_is_in_input_order_in_the_order_of_completion_too(self):
        items = [0.3, "x", 0, 0, 0.1, 0]
        for late in False, True:
            body = {"task": "sleep", "order": "completion", "chunk_size": 1, "items": items}
            if late:
                body["order"] = body.pop("order")  # `order` is now after `items`
            answer = self.shared.job(body)
            self.assertEqual([error["index"] for error in answer.json["errors"]], [1])
            self.assertEqual(answer.json["results"], [None if item == "x" else item for item in items])

    def test_a_range_makes_integers(self):
        answer = self.shared.job({"task": "square", "range": {"start": 3, "stop": 9, "step": 2}})
        self.assertEqual(answer.json["results"], [9, 25, 49])
        answer = self.shared.job({"task": "square", "range": {"start": 3, "stop": 0, "step": -1}})
        self.assertEqual(answer.json["results"], [9, 4, 1])

    def test_spans_make_pieces_and_sum_adds_them_up(self):
        answer = self.shared.job({"task": "primes", "spans": {"start": 0, "stop": 10000, "size": 3000},
                                  "reduce": "sum"})
        self.assertEqual(answer.json["result"], 1229)
        self.assertNotIn("results", answer.json)
        self.assert_counts(answer.json["counts"], total=4, succeeded=4)

    def test_a_reduced_stream_has_one_result_line_without_an_index(self):
        answer = self.shared.job({"task": "square", "items": [1, 2, 3], "reduce": "sum"}, NDJSON)
        self.assertEqual([line["type"] for line in answer.lines], ["result", "end"])
        self.assertEqual(answer.lines[0]["value"], 14)
        self.assertNotIn("index", answer.lines[0])

    def test_every_built_in_reducer_reduces(self):
        for reduce, expected in (("sum", 30), ("count", 4), ("min", 1), ("max", 16)):
            answer = self.shared.job({"task": "square", "items": [3, 1, 4, 2], "reduce": reduce})
            self.assertEqual(answer.json["result"], expected, reduce)

    def test_a_sum_of_large_integers_is_exact(self):
        answer = self.shared.job({"task": "square", "items": [2 ** 31 - 1] * 5, "reduce": "sum"})
        self.assertEqual(answer.json["result"], 5 * (2 ** 31 - 1) ** 2)

    def test_concurrent_jobs_get_their_own_answers(self):
        answers = {}

        def one(base):
            answers[base] = self.shared.job({"task": "square", "items": list(range(base, base + 200))})
        threads = [threading.Thread(target=one, args=(base,)) for base in range(0, 3000, 200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for base, answer in answers.items():
            self.assertEqual(answer.json["results"], [n * n for n in range(base, base + 200)])

    def test_a_kept_connection_carries_many_jobs(self):
        import http.client
        connection = http.client.HTTPConnection("127.0.0.1", self.shared.port, timeout=30)
        for n in range(20):
            connection.request("POST", "/v1/jobs", json.dumps({"task": "square", "items": [n]}))
            answer = connection.getresponse()
            self.assertEqual(json.loads(answer.read())["results"], [n * n])
            if n == 0:
                first_socket = connection.sock
            self.assertIs(connection.sock, first_socket)
        connection.close()

    def test_respond_async_without_a_store_is_ignored(self):
        answer = self.shared.job({"task": "square", "items": [2]}, headers={"Prefer": "respond-async"})
        self.assertEqual(answer.status, 200)
        self.assertIsNone(answer.headers.get("Preference-Applied"))

    def test_the_tasks_are_listed(self):
        answer = self.shared.request("GET", "/v1/tasks")
        self.assertEqual(answer.status, 200)
        names = {task["name"] for task in answer.json["tasks"]}
        self.assertLessEqual({"square", "primes", "wordcount", "sha256", "fib", "upper", "sleep", "wait", "misbehave"}, names)

    def test_the_example_tasks_answer_as_their_names_say(self):
        import hashlib
        self.assertEqual(self.shared.job({"task": "fib", "items": [10, 20]}).json["results"], [55, 6765])
        self.assertEqual(self.shared.job({"task": "upper", "items": ["abc"]}).json["results"], ["ABC"])
        self.assertEqual(self.shared.job({"task": "sleep", "items": [0.01, 0]}).json["results"], [0.01, 0])
        self.assertEqual(self.shared.job({"task": "wait", "items": [0.01, 0]}).json["results"], [0.01, 0])
        answer = self.shared.job(b"hello", JSON, TEXT, "?task=sha256").json["results"][0]
        self.assertIn(hashlib.sha256(b"hello").hexdigest(), json.dumps(answer))
        answer = self.shared.job(b"the cat and the dog", JSON, TEXT, "?task=wordcount").json["results"][0]
        self.assertTrue(answer, answer)

    def test_a_traceparent_is_accepted(self):
        answer = self.shared.job({"task": "square", "items": [2]},
                                 headers={"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
        self.assertEqual(answer.json["results"], [4])


class Carrying(SharedFleetTest):
    """Values that must be returned unchanged."""

    @classmethod
    def make_fleet_options(cls, keeper):
        return {"tasks": echo_tasks(keeper, common={
            "json": {"mode": "python", "command": ["task:run"]},
            "files": {"task.py": "def run(item, common=None):\n    return [item, common]\n"}})}

    def test_values_of_every_type_come_back_byte_for_byte(self):
        items = ["null", "true", "-0", "1.50", "1e400", "123456789012345678901234567890", r'"\u00e9\n\/"', "{}",
                 '{"a":[1,{"b":null}],"a":2}', "[ ]", '"\N{SNOWMAN}"']
        body = '{"task":"echo","items":[' + ",".join(items) + "]}"
        answer = self.shared.job(body.encode(), NDJSON)
        for index, item in enumerate(items):
            self.assertEqual(answer.body.splitlines()[1 + index].decode(),
                             '{"type":"result","index":%d,"value":%s}' % (index, item))

    def test_a_job_begins_at_once_behind_another_on_its_connection(self):
        """All requests arrive together, so no new bytes wake the coordinator for a later job. If each job waited for
        the next tick (up to 0.1 s), these jobs would take longer than the same jobs on new connections."""
        count, body = 300, b'{"task":"echo","items":[12]}'
        head = b"POST /v1/jobs HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: %d%s\r\n\r\n"
        requests = (head % (len(body), b"") + body) * (count - 1) + head % (len(body), b"\r\nConnection: close") + body
        begun = time.monotonic()
        for _ in range(count):
            self.shared.job(body)
        one_by_one = time.monotonic() - begun
        begun = time.monotonic()
        answers = ft.raw_request(self.shared.port, requests)
        self.assertEqual(answers.count(b'"results":[12]'), count)
        self.assertLess(time.monotonic() - begun, one_by_one + count * 0.1 / 2)

    def test_large_items_come_back_whole(self):
        items = [letter * 3_000_000 for letter in "abc"]
        self.assertEqual(self.shared.job({"task": "echo", "items": items}).json["results"], items)

    def test_answers_beyond_the_memory_cap_spill_and_come_back_whole(self):
        fleet = ft.Fleet(self, self.coordinator(self.shared.workers, "--result-memory-bytes", "64K", "--spill-dir",
                                                self.folder), self.shared.workers)
        items = [f"{n}-" + "x" * 10_000 for n in range(800)]
        with fleet.stream({"task": "echo", "items": items}) as stream:
            wait_until(lambda: fleet.metric(fleet.coordinator, "fantail_items_total") >= 800 or
                       fleet.metric(fleet.coordinator, "fantail_items_queued") == 0, "all items answered")
            lines = stream.rest()
        self.assertEqual([line["value"] for line in lines[:-1]], items)
        self.assertEqual(lines[-1]["status"], "succeeded")
        import os
        self.assertEqual([f for f in os.listdir(self.folder) if not f.startswith("fantail-coordinator")], [])

    def test_a_first_line_with_options_comes_before_the_items(self):
        common = {"long": "x" * 1_000_000}
        for kind, items in (NDJSON, [1, 2]), (TEXT, ["1", "2"]):
            body = json.dumps({"common": common}) + "\n1\n2\n"
            answer = self.shared.job(body.encode(), None, kind, "?task=common&first_line=options")
            self.assertEqual(answer.status, 200, answer)
            self.assertTrue(answer.json["results"] == [[item, common] for item in items])
        answer = self.shared.job(b'{"task":"echo"}\n3\n', None, NDJSON, "?first_line=options")
        self.assertEqual((answer.status, answer.json.get("results")), (200, [3]), answer)

    def test_a_wrong_first_line_with_options_is_refused(self):
        for line, status, pointer in ((b"3", 400, ""), (b"", 400, ""), (b'{"common":', 400, ""), (b'{"colour":1}', 400, "/colour"),
                                      (b'{"task":"echo"}', 400, "/task"), (b'{"items":[1]}', 400, "/items"),
                                      (b'{"range":{"stop":3}}', 400, "/range"), (b'{"common":"' + b"x" * (5 << 20) + b'"}', 413, "")):
            for items in b"", b"\n3\n":
                answer = self.shared.job(line + items, None, NDJSON, "?task=echo&first_line=options")
                self.assertEqual(self.assert_problem(answer, status).get("pointer", ""), pointer, (line[:30], answer))
        answer = self.shared.job(b'{"items":[1]}\n3\n', None, NDJSON, "?task=echo&first_line=options")
        self.assert_problem(answer, 400, "/items", words=["items belong in the lines after it"])
        answer = self.shared.job(b"3\n", None, NDJSON, "?task=echo&items=1")
        self.assert_problem(answer, 400, "/items", words=["items belong in the body, not in the query"])
        answer = self.shared.job(b'{"task":"echo","items":[1]}', None, JSON, "?first_line=options")
        self.assert_problem(answer, 400, "/first_line")

    def test_common_reaches_the_task_with_every_item(self):
        answer = self.shared.job({"task": "common", "items": [1, 2], "common": {"model": "v3"}})
        self.assertEqual(answer.json.get("results"), [[1, {"model": "v3"}], [2, {"model": "v3"}]], answer)

    def test_concat_joins_arrays_and_strings(self):
        answer = self.shared.job({"task": "echo", "items": [[1], [], [2, 3]], "reduce": "concat"})
        self.assertEqual(answer.json["result"], [1, 2, 3])
        answer = self.shared.job({"task": "echo", "items": ["a", "b"], "reduce": "concat"})
        self.assertEqual(answer.json["result"], "ab")

    def test_sixteen_megabytes_of_small_items_stream_through(self):
        lines = b"".join(b'"item %d"\n' % n for n in range(1_000_000))
        answer = self.shared.job(lines, NDJSON, NDJSON, "?task=echo", timeout_s=80)
        self.assertEqual(answer.body.count(b'"type":"result"'), 1_000_000)
        self.assertIn(b'{"type":"result","index":999999,"value":"item 999999"}', answer.body)


class Streaming(FantailTest):
    """When the lines of a stream arrive, and what they contain."""

    def test_first_results_come_before_the_last_item_is_done(self):
        fleet = self.fleet()
        with fleet.stream({"task": "sleep", "items": [0, 0, 60], "chunk_size": 1}) as stream:
            self.assertEqual([stream.line()["index"], stream.line()["index"]], [0, 1])
            stream.hang_up()

    def test_a_stream_begins_before_its_first_line(self):
        fleet = self.fleet(coordinator_arguments=("--heartbeat-s", "3600"))
        with fleet.stream({"task": "sleep", "items": [3600]}, timeout_s=30) as stream:
            self.assertEqual(stream.status, 200)
            stream.hang_up()

    def test_all_slots_are_known_before_the_first_item_has_ended(self):
        fleet = self.fleet(processes=8)
        with fleet.stream({"task": "sleep", "items": [3600] * 8}) as stream:
            wait_until(lambda: fleet.busy_slots() == 8, "an item on each slot")
            stream.hang_up()

    def test_work_starts_while_the_upload_is_still_coming(self):
        fleet = self.fleet(tasks=echo_tasks(self))
        seen_early = []

        def body():
            for n in range(40):
                yield (json.dumps("x" * 100_000) + "\n").encode()
            wait_until(lambda: fleet.metric(fleet.workers[0], "fantail_items_total") > 0, "work during the upload")
            seen_early.append(True)
            yield b'"last"\n'
        answer = fleet.job(body(), NDJSON, NDJSON, "?task=echo")
        self.assertTrue(seen_early)
        self.assertEqual(len(answer.values), 41)
        self.assertEqual(answer.values[-1], "last")

    def test_options_that_follow_many_items_hold_or_are_refused(self):
        fleet = self.fleet(tasks=echo_tasks(self))
        items = ["x" * 1000] * 4000
        head = b'{"task":"echo","items":' + json.dumps(items).encode() + b","
        for option, pointer in (('"order":"completion"', "/order"), ('"hedge":{"enabled":false}', "/hedge"),
                                ('"hedge":{"max_extra_percent":50}', "/hedge"), ('"chunk_size":7', "/chunk_size"),
                                ('"retry":{"max_attempts":1}', "/retry"), ('"common":1', "/common"),
                                ('"deadline_s":60', "/deadline_s"), ('"item_timeout_s":1', "/item_timeout_s")):
            with self.subTest(option):
                self.assert_problem(fleet.job(head + option.encode() + b"}"), 400, pointer, 'before "items"')
        late_reduce = head.replace(b'"items"', b'"order":"completion","items"') + b'"reduce":"count"}'
        self.assert_problem(fleet.job(late_reduce), 400, "/reduce")
        for option in ('"order":"input"', '"priority":9', '"max_concurrency":5', '"tolerated_failure_count":0'):
            with self.subTest(option):
                self.assertEqual(fleet.job(head + option.encode() + b"}").json["results"], items)
        self.assertEqual(fleet.job(head + b'"reduce":"count"}').json["result"], 4000)

    def test_options_that_follow_many_items_hold_though_the_task_is_still_asked_for(self):
        worker = self.worker(tasks=echo_tasks(self))
        worker.send_signal(signal.SIGSTOP)
        fleet = ft.Fleet(self, self.coordinator([worker]), [worker])
        body = json.dumps({"task": "echo", "items": ["x" * 1000] * 4000, "reduce": "count"}).encode()
        answers = []
        asker = threading.Thread(target=lambda: answers.append(fleet.job(body)))
        asker.start()
        # The coordinator cannot learn whether the task exists, so it starts the job anyway.
        wait_until(lambda: [job["status"] for job in fleet.request("GET", "/v1/jobs").json["jobs"]] == ["running"])
        worker.send_signal(signal.SIGCONT)
        asker.join()
        self.assertEqual(answers[0].json.get("result"), 4000, answers[0])

    def test_a_silent_stream_carries_heartbeats(self):
        gate = self.gate()
        fleet = self.fleet(tasks=self.tasks(wait=gate.task), coordinator_arguments=("--heartbeat-s", "0.3"))
        with fleet.stream({"task": "wait", "items": [1.5]}) as stream:
            self.assertEqual(stream.line_of("heartbeat"), {"type": "heartbeat"})
            gate.open()
            self.assertEqual(stream.line_of("result")["value"], 1.5)

    def test_a_long_document_is_kept_alive_by_leading_white_space(self):
        gate = self.gate()
        fleet = self.fleet(tasks=self.tasks(wait=gate.task), coordinator_arguments=("--heartbeat-s", "0.3"))
        body = json.dumps({"task": "wait", "items": [1.5]})
        with ft.Stream(fleet.port, body, {"Content-Type": JSON}) as answer:
            self.assertEqual(answer.response.read(2), b"\n\n")
            gate.open()
            rest = answer.response.read()
        self.assertRegex(rest, rb"^\n*\{")
        self.assertEqual(json.loads(rest)["results"], [1.5])

    def test_progress_lines_come_when_asked_for(self):
        fleet = self.fleet()
        job = {"task": "sleep", "items": [0.1] * 6000, "chunk_size": 1}
        with fleet.stream(job, query="?progress_s=0.2") as stream:
            progress = [stream.line_of("progress") for _ in range(3)]
            while not progress[-1]["counts"]["succeeded"]:
                progress.append(stream.line_of("progress"))
            stream.hang_up()
        for line in progress:
            self.assertEqual(line["counts"]["total"], 6000)
            self.assertEqual("eta_s" in line, line["counts"]["succeeded"] > 0, "eta_s is known after the first answer")
        done = [line["counts"]["succeeded"] for line in progress]
        self.assertEqual(done, sorted(done))

    def test_a_job_without_workers_says_that_it_waits_and_goes_on_when_one_comes(self):
        late = self.worker()
        port = late.port
        late.stop()
        fleet = ft.Fleet(self, self.coordinator(f"static://127.0.0.1:{port}"), [])
        with fleet.stream({"task": "square", "items": [3]}) as stream:
            waiting = stream.line()  # the line also has a "detail" if the coordinator has already tried the address
            self.assertEqual((waiting["type"], waiting["reason"]), ("waiting", "no_workers"))
            self.worker(port=port)
            lines = stream.rest()
        self.assertEqual([line["value"] for line in lines if line["type"] == "result"], [9])
        self.assertEqual(lines[-1]["status"], "succeeded")

    def test_a_job_without_workers_ends_clearly_when_the_wait_is_over(self):
        fleet = ft.Fleet(self, self.coordinator("static://127.0.0.1:1", "--worker-wait-s", "1"), [])
        answer = fleet.job({"task": "square", "items": [3]})  # the coordinator waits 1 s instead of the default
        if answer.status == 200:
            self.assertEqual(answer.json["status"], "failed")
            self.assertEqual(answer.json["errors"][0]["error"]["name"], "worker_lost")
        else:
            self.assert_problem(answer, 503)
            self.assertIn("Retry-After", answer.headers)


class Outcomes(SharedFleetTest):
    """Status, tolerated failures, deadline."""

    @classmethod
    def make_fleet_options(cls, keeper):
        return {"workers": 2, "tasks": echo_tasks(keeper, picky={
            "json": {"mode": "python", "command": ["task:run"]},
            "files": {"task.py": "import time\n\ndef run(item):\n    if item < 0:\n"
                                 "        raise ValueError(f'{item} is negative')\n    time.sleep(item)\n"
                                 "    return item\n"}})}

    def test_a_failed_item_is_null_with_an_entry_in_errors(self):
        document = self.shared.job({"task": "picky", "items": [0, -1, 0]}).json
        self.assertEqual(document["status"], "partial")
        self.assertEqual(document["results"], [0, None, 0])
        self.assert_counts(document["counts"], total=3, succeeded=2, failed=1, cancelled=0)
        self.assertEqual([entry["index"] for entry in document["errors"]], [1])
        error = document["errors"][0]["error"]
        self.assertEqual(error["name"], "task_error")
        self.assertIn("-1 is negative", error["cause"])
        self.assertEqual(error["attempts"], 1)
        self.assertNotIn("reason", document, "the job has no reason, because it ran to its end")

    def test_a_failed_item_is_an_error_line_in_its_place(self):
        answer = self.shared.job({"task": "picky", "items": [0, -1, 0]}, NDJSON)
        self.assertEqual([line["type"] for line in answer.lines], ["result", "error", "result", "end"])
        self.assertEqual(answer.lines[1]["index"], 1)
        self.assertEqual(answer.lines[1]["error"]["name"], "task_error")
        self.assertEqual(answer.end["status"], "partial")

    def test_failures_beyond_the_tolerated_count_fail_the_job_and_cancel_the_rest(self):
        document = self.shared.job({"task": "picky", "items": [-1, -1] + [600] * 50, "chunk_size": 1,
                                    "tolerated_failure_count": 1, "item_timeout_s": 900}).json
        self.assertEqual(document["status"], "failed")
        self.assertEqual(document["reason"], "more items failed than the job tolerates")
        self.assertEqual(document["counts"]["failed"], 2)
        self.assertEqual(document["counts"]["cancelled"], 50)
        self.assertEqual(document["errors"][-1]["error"]["name"], "cancelled")

    def test_a_job_that_fails_in_the_middle_of_its_upload_is_answered_after_it(self):
        body = ((json.dumps("x" * 100_000) + "\n").encode() for _ in range(400))
        answer = self.shared.job(body, None, NDJSON, "?task=picky&tolerated_failure_count=0")
        self.assertEqual(answer.json["status"], "failed")

    def test_failures_beyond_the_tolerated_percentage_fail_the_job(self):
        document = self.shared.job({"task": "picky", "items": [-1, -1, 0, 0], "tolerated_failure_percentage": 25}).json
        self.assertEqual(document["status"], "failed")
        document = self.shared.job({"task": "picky", "items": [-1, 0, 0, 0], "tolerated_failure_percentage": 25}).json
        self.assertEqual(document["status"], "partial")

    def test_a_deadline_ends_the_job_and_names_what_it_cost(self):
        def attempt(deadline_s):
            document = self.shared.job({"task": "picky", "items": [0, 600, 600, 600], "chunk_size": 1,
                                        "deadline_s": deadline_s, "item_timeout_s": 900}).json
            self.assertEqual(document["status"], "timed_out")
            ft.in_time(document["results"][0] == 0, "the first item")
            self.assertEqual({entry["error"]["name"] for entry in document["errors"]}, {"deadline_exceeded"})
        with_more_time(attempt)
        wait_until(lambda: self.shared.metric(self.shared.coordinator, "fantail_chunks_in_flight") == 0)

    def test_max_concurrency_is_kept(self):
        start = time.monotonic()
        document = self.shared.job({"task": "picky", "items": [0.2] * 6, "chunk_size": 1, "max_concurrency": 1}).json
        self.assertEqual(document["status"], "succeeded")
        self.assertGreaterEqual(time.monotonic() - start, 1.2)

    def test_max_rate_limits_the_items_that_start_in_a_second(self):
        for options in ({}, {"chunk_size": 5}):
            start = time.monotonic()
            document = self.shared.job({"task": "echo", "items": list(range(6)), "max_rate": 4, **options}).json
            self.assertEqual(document["results"], list(range(6)))
            self.assertGreaterEqual(time.monotonic() - start, 5 / 4)

    def test_a_hung_item_times_out_alone(self):
        def attempt(limit_s):
            document = self.shared.job({"task": "picky", "items": [0, 600, 0], "item_timeout_s": limit_s,
                                        "retry": {"max_attempts": 1}}).json
            ft.in_time({e["error"]["name"] for e in document["errors"] if e["index"] != 1} != {"timed_out"}, "the others")
            self.assertEqual(document["results"], [0, None, 0])
            self.assertEqual(document["errors"][0]["error"]["name"], "timed_out")
        with_more_time(attempt)

    def test_values_that_cannot_be_reduced_fail_the_job_with_a_reason(self):
        document = self.shared.job({"task": "echo", "items": [1, "two"], "reduce": "sum"}).json
        self.assertEqual(document["status"], "failed")
        self.assertIn("reason", json.dumps(document))


class RunningJobs(FantailTest):
    """Running jobs, as other requests see them: lists, cancellation, and the limit on the number of jobs."""

    def test_running_jobs_are_listed_and_can_be_cancelled(self):
        fleet = self.fleet()
        with fleet.stream({"task": "sleep", "items": [60] * 4}) as stream:
            jobs = wait_until(lambda: fleet.request("GET", "/v1/jobs").json["jobs"], "the job in the list")
            self.assertEqual(fleet.request("GET", "/v1/jobs").json["scope"], "replica")
            path = "/v1/jobs/" + jobs[0]["id"]
            self.assertEqual(fleet.request("GET", path).json["status"], "running")
            self.assertIn(fleet.request("DELETE", path).status, (200, 202, 204))
            self.assertEqual(stream.rest()[-1]["status"], "cancelled")
        self.assertEqual(fleet.request("GET", "/v1/jobs").json["jobs"], [])
        self.assert_problem(fleet.request("GET", path), 404)


    def test_the_list_names_all_tasks_of_a_pipeline(self):
        fleet = self.fleet()
        with fleet.stream({"task": ["echo", "sleep"], "items": [60]}) as stream:
            jobs = wait_until(lambda: fleet.request("GET", "/v1/jobs").json["jobs"], "the job in the list")
            self.assertEqual(jobs[0]["task"], "echo,sleep")
            self.assertEqual(fleet.request("GET", "/v1/jobs/" + jobs[0]["id"]).json["task"], "echo,sleep")
            self.assertEqual(fleet.request("DELETE", "/v1/jobs/" + jobs[0]["id"]).status, 202)
            stream.rest()

    def test_a_job_too_many_is_429_until_another_ends(self):
        fleet = self.fleet(coordinator_arguments=("--max-jobs", "2"))
        sleepers = [fleet.stream({"task": "sleep", "items": [60]}) for _ in range(2)]
        answer = fleet.job({"task": "square", "items": [3]})
        self.assert_problem(answer, 429)
        self.assertGreater(int(answer.headers["Retry-After"]), 0)
        sleepers[0].hang_up()
        answer = wait_until(lambda: (a := fleet.job({"task": "square", "items": [3]})).status == 200 and a, "room")
        self.assertEqual(answer.json["results"], [9])
        sleepers[1].hang_up()


if __name__ == "__main__":
    ft.main()
