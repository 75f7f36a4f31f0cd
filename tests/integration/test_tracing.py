"""Traces: from the traceparent of the client to the environment of the task, to the log, and to an OTLP collector
played by the test."""
import contextlib
import http.server
import json
import os
import threading
import time

import fantail_testing as ft
from fantail_testing import FantailTest, Fleet, wait_until

TRACE_ID, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{CALLER}-01"
SERVER, CLIENT, INTERNAL = 2, 3, 1


def attribute_value(value):
    if "intValue" in value:
        assert isinstance(value["intValue"], str), value  # OTLP writes an int64 as a string in JSON
        return int(value["intValue"])
    return value.get("stringValue", value.get("boolValue"))


class Span:
    def __init__(self, wire, resource):
        self.wire, self.service, self.resource = wire, resource["service.name"], resource
        self.trace_id, self.id, self.parent = wire["traceId"], wire["spanId"], wire.get("parentSpanId")
        self.name, self.kind = wire["name"], wire["kind"]
        self.start, self.end = int(wire["startTimeUnixNano"]), int(wire["endTimeUnixNano"])
        self.attributes = {a["key"]: attribute_value(a["value"]) for a in wire.get("attributes", [])}
        self.failed = wire.get("status", {}).get("code") == 2

    def __getitem__(self, key):
        return self.attributes.get(key)

    def __repr__(self):
        return f"Span({self.service} {self.name} {self.id} below {self.parent} {self.attributes} failed={self.failed})"


class Collector(http.server.ThreadingHTTPServer):
    """Plays a collector: waits until `release` is set, and then answers a POST with the status and headers that
    answer(count) returns. If the headers have an entry `body`, it is the body of the answer, and not a header.
    `count` is the number of requests that this collector got before."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answer=lambda count: (200, {})):
        self.lock, self.requests, self.spans = threading.Lock(), [], []
        self.answer, self.release = answer, threading.Event()
        self.release.set()
        super().__init__(("127.0.0.1", 0), CollectorHandler)
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    @property
    def port(self):
        return self.server_address[1]

    def found(self, **wanted):
        """Finds spans by their fields: found(service=..., kind=...)."""
        with self.lock:
            return [s for s in self.spans if all(getattr(s, k) == v for k, v in wanted.items())]

    def close(self):
        self.release.set()
        self.shutdown()
        self.server_close()
        self.thread.join()


class CollectorHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        collector = self.server
        collector.release.wait(60)
        with collector.lock:
            status, headers = collector.answer(len(collector.requests))
            collector.requests.append((self.path, dict(self.headers), body))
            if status == 200:
                collector.spans += read_spans(body)
        answer = headers.pop("body", "{}").encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the service no longer waits for this answer
            self.wfile.write(answer)

    def log_message(self, *_):
        pass


def read_spans(body):
    spans = []
    for resource_spans in json.loads(body)["resourceSpans"]:
        resource = {a["key"]: attribute_value(a["value"]) for a in resource_spans["resource"]["attributes"]}
        for scope_spans in resource_spans["scopeSpans"]:
            spans += [Span(wire, resource) for wire in scope_spans["spans"]]
    return spans


def log_of(program, message):
    return [line for line in program.log_lines() if line["msg"] == message]


class TracingTest(FantailTest):
    def collector(self, **options):
        collector = Collector(**options)
        self.addCleanup(collector.close)
        return collector

    def traced(self, collector, **more):
        """Returns the environment of a service that exports traces. collector: a Collector, or a port where nothing
        listens."""
        port = collector if isinstance(collector, int) else collector.port
        return self.environment(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}", OTEL_BSP_SCHEDULE_DELAY="50",
                                **more)

    def traced_fleet(self, env, workers=1, processes=2, tasks=None, coordinator_env=None):
        started = [self.worker("--log-level", "debug", tasks=tasks, processes=processes, env=env)
                   for _ in range(workers)]
        addresses = ",".join(f"127.0.0.1:{w.port}" for w in started)
        coordinator = self.start("fantail-coordinator", "--port", 0, "--admin-port", 0, "--log-level", "debug",
                                 "--workers", f"static://{addresses}", ready=True, env=coordinator_env or env)
        return Fleet(self, coordinator, started)

    def spans(self, collector, fleet, job_spans=1):
        """Returns all spans. First waits until the spans of the jobs have arrived. Then stops all services, which makes them
        send their remaining spans."""
        wait_until(lambda: len(collector.found(service="fantail-coordinator", kind=SERVER)) >= job_spans,
                   "the job's span")
        for program in (fleet.coordinator, *fleet.workers):
            if program.alive():
                program.stop()
        return collector.found()


class Spans(TracingTest):
    def test_a_job_is_one_trace_from_its_request_to_its_items(self):
        collector = self.collector()
        fleet = self.traced_fleet(self.traced(collector))
        begun = time.time()
        answer = fleet.job({"task": "square", "items": [1, 2, "x"]},
                           headers={"traceparent": TRACEPARENT, "tracestate": "a=1,b=2"})
        took_ns = int((time.time() - begun) * 1e9)
        self.assertEqual(answer.json["counts"]["failed"], 1)
        spans = self.spans(collector, fleet)
        self.assertEqual({s.trace_id for s in spans}, {TRACE_ID})
        self.assertEqual({s.wire["traceState"] for s in spans}, {"a=1,b=2"})
        by_id = {s.id: s for s in spans}
        self.assertEqual(len(by_id), len(spans))

        [job] = [s for s in spans if s.service == "fantail-coordinator" and s.kind == SERVER]
        self.assertEqual((job.parent, job.name), (CALLER, "POST /v1/jobs"))
        self.assertEqual(answer.headers["traceresponse"], f"00-{TRACE_ID}-{job.id}-01")
        self.assertEqual((job["fantail.job.id"], job["fantail.job.status"], job["http.response.status_code"]),
                         (answer.json["id"], "partial", 200))
        self.assertEqual((job["fantail.items.total"], job["fantail.items.succeeded"], job["fantail.items.failed"]),
                         (3, 2, 1))

        attempts = [s for s in spans if s.kind == CLIENT]
        chunks = [s for s in spans if s.service == "fantail-worker" and s.kind == SERVER]
        items = [s for s in spans if s.kind == INTERNAL]
        self.assertEqual({s.parent for s in attempts}, {job.id})
        self.assertEqual(sum(s["fantail.chunk.items"] for s in attempts), 3)
        self.assertEqual(sorted(s.parent for s in chunks), sorted(s.id for s in attempts))
        for attempt in attempts:
            self.assertEqual((attempt["fantail.result"], attempt["fantail.hedged"], attempt.failed),
                             ("complete", False, False))
        for chunk in chunks:
            self.assertEqual((chunk["fantail.chunk"], chunk["fantail.worker"]),
                             (by_id[chunk.parent]["fantail.chunk"], by_id[chunk.parent]["fantail.worker"]))
            self.assertEqual(chunk.resource["service.instance.id"], chunk["fantail.worker"])
        self.assertEqual(sorted(s["fantail.item.index"] for s in items), [0, 1, 2])
        self.assertLessEqual({s.parent for s in items}, {s.id for s in chunks})
        self.assertEqual([s["error.type"] for s in items if s.failed], ["task_error"])
        for span in spans:
            self.assertLessEqual(span.start, span.end, span)
            self.assertLess(abs(span.end / 1e9 - time.time()), self.TIME_LIMIT_S, span)
            above = by_id.get(span.parent)
            if above:
                # Both services use the clock of this machine. But each service reads the clock once for many spans, so
                # the times of the two services may differ a little.
                self.assertLess(above.start, span.start + max(50_000_000, took_ns), (above, span))
        self.check_logs(fleet, job, attempts, chunks)

    def check_logs(self, fleet, job, attempts, chunks):
        [line] = log_of(fleet.coordinator, "job ended")
        self.assertEqual((line["trace_id"], line["span_id"]), (TRACE_ID, job.id))
        lines = log_of(fleet.coordinator, "attempt ended")
        self.assertEqual(sorted(line["span_id"] for line in lines), sorted(s.id for s in attempts))
        lines += (worker_lines := log_of(fleet.workers[0], "chunk ended"))
        self.assertEqual(sorted(line["span_id"] for line in worker_lines), sorted(s.id for s in chunks))
        self.assertEqual({line["trace_id"] for line in lines}, {TRACE_ID})

    def test_the_request_is_what_collectors_take(self):
        collector = self.collector()
        env = self.traced(collector, OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20a%2Cb,x-tenant=7",
                          OTEL_SERVICE_NAME="batch", OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test")
        env["OTEL_EXPORTER_OTLP_ENDPOINT"] += "/base/"
        fleet = self.traced_fleet(env)
        fleet.job({"task": "square", "items": [1]})
        wait_until(lambda: len(collector.found(kind=SERVER)) == 2, "both services' spans")
        for path, headers, _ in collector.requests:
            self.assertEqual((path, headers["Content-Type"]), ("/base/v1/traces", "application/json"))
            self.assertEqual((headers["Authorization"], headers["x-tenant"]), ("Bearer a,b", "7"))
        for span in collector.found():
            self.assertEqual((span.service, span.resource["deployment.environment.name"]), ("batch", "test"))
            self.assertRegex(span.resource["service.version"], r"^\d+\.\d+")
        for program in (fleet.coordinator, fleet.workers[0]):
            wait_until(lambda p=program: fleet.metric(p, 'fantail_spans_total{result="exported"}') > 0, "the count")
            self.assertNotIn("Bearer", program.stderr())

    def test_a_killed_worker_is_a_failed_attempt_and_the_next_one_has_the_spans_below(self):
        collector = self.collector()
        gate = os.path.join(self.folder, "gate")
        tasks = self.tasks(wait={"mode": "exec", "command": ["sh", "-c", f"until [ -e {gate} ]; do sleep 0.05; done"]})
        fleet = self.traced_fleet(self.traced(collector), workers=2, processes=1, tasks=tasks)
        with fleet.stream({"task": "wait", "items": [1], "hedge": {"enabled": False}}) as stream:
            busy = wait_until(lambda: [w for w in fleet.workers if fleet.metric(w, "fantail_chunks_in_flight")],
                              "the chunk")
            opened = time.time()
            busy[0].kill()
            ft.write_file(gate, "")
            end = stream.rest()[-1]
        self.assertEqual((end["status"], end["counts"]["succeeded"]), ("succeeded", 1))
        spans = self.spans(collector, fleet)
        attempts = [s for s in spans if s.kind == CLIENT]
        chunks = [s for s in spans if s.service == "fantail-worker" and s.kind == SERVER]
        [lost] = [s for s in attempts if s["fantail.result"] == "lost"]
        again = [s for s in attempts if s["fantail.chunk"] == lost["fantail.chunk"] and s is not lost]
        self.assertTrue(lost.failed)
        self.assertEqual((lost["error.type"], lost["fantail.attempt"]), ("lost", 1))
        # Before the chunk was sent to the other worker, it may have been sent to the dead worker again.
        whole = [s for s in again if s["fantail.result"] == "complete"]
        self.assertEqual(len(whole), 1, attempts)
        self.assertGreater(whole[0]["fantail.attempt"], 1)
        self.assertEqual([s for s in chunks if s.parent == lost.id], [])
        [chunk] = [s for s in chunks if s.parent == whole[0].id]
        self.assertEqual(chunk["fantail.attempt"], whole[0]["fantail.attempt"])
        [item] = [s for s in spans if s.parent == chunk.id]
        self.assertGreater(item.end / 1e9, opened)
        [line] = [line for line in log_of(fleet.coordinator, "attempt ended early") if line["how"] == "lost"]
        self.assertEqual((line["trace_id"], line["span_id"]), (lost.trace_id, lost.id))

    def test_a_crashed_item_has_a_failed_span_with_the_words_of_its_error(self):
        collector = self.collector()
        gate = os.path.join(self.folder, "gate")
        script = f"echo about to go >&2; until [ -e {gate} ]; do sleep 0.05; done; kill -9 $PPID"
        tasks = self.tasks(fragile={"mode": "exec", "command": ["sh", "-c", script]})
        fleet = self.traced_fleet(self.traced(collector), tasks=tasks)
        body = json.dumps({"task": "fragile", "items": [1], "retry": {"max_attempts": 1}}).encode()
        headers = {"Content-Type": ft.JSON, "Accept": ft.NDJSON, "traceparent": TRACEPARENT}
        with ft.Stream(fleet.port, body, headers) as stream:
            [said] = wait_until(lambda: log_of(fleet.workers[0], "stderr"), "its last words")
            ft.write_file(gate, "")
            [error] = [line for line in stream.rest() if line["type"] == "error"]
        self.assertEqual(error["error"]["name"], "crashed")
        [item] = [s for s in self.spans(collector, fleet) if s.kind == INTERNAL]
        self.assertEqual((item.failed, item["error.type"]), (True, "crashed"))
        [line] = log_of(fleet.workers[0], "an item failed, and its process ended")
        self.assertEqual((said["trace_id"], line["trace_id"]), (TRACE_ID, TRACE_ID))

    def test_many_items_do_not_make_many_spans_but_failed_ones_are_kept(self):
        collector = self.collector()
        fleet = self.traced_fleet(self.traced(collector), processes=1)
        items = list(range(20000))
        items[15000] = items[19999] = "no number"
        fleet.job({"task": "square", "items": items, "chunk_size": 10000})
        spans = self.spans(collector, fleet)
        chunks = [s for s in spans if s.service == "fantail-worker" and s.kind == SERVER]
        found = [s for s in spans if s.kind == INTERNAL]
        self.assertEqual(sorted(s["fantail.item.index"] for s in found if s.failed), [15000, 19999])
        self.assertEqual(len(found), 16 * len(chunks) + 2)
        self.assertEqual(sum(s["fantail.items.without_span"] for s in chunks), 20000 - len(found))

    def test_a_refused_request_and_a_failed_job_are_spans_too(self):
        collector = self.collector()
        fleet = self.traced_fleet(self.traced(collector))
        self.assertEqual(fleet.job(b"x", content_type="image/png").status, 415)
        self.assertEqual(fleet.job({"task": "nowhere", "items": [1]}).status, 404)
        self.assertEqual(fleet.job({"task": "square", "items": ["x"], "tolerated_failure_count": 0}).json["status"],
                         "failed")
        jobs = [s for s in self.spans(collector, fleet, 3) if s.kind == SERVER and s.service == "fantail-coordinator"]
        self.assertEqual(sorted((s["http.response.status_code"], s.failed) for s in jobs),
                         [(200, True), (404, False), (415, False)])
        self.assertEqual(len({s.trace_id for s in jobs}), 3)

    def test_a_client_that_leaves_cuts_its_attempts_off_and_they_say_so(self):
        collector = self.collector()
        fleet = self.traced_fleet(self.traced(collector), processes=1)
        with fleet.stream({"task": "sleep", "items": [600]}) as stream:
            wait_until(lambda: fleet.metric(fleet.workers[0], "fantail_chunks_in_flight") == 1, "the chunk")
            stream.hang_up()
            wait_until(lambda: collector.found(kind=CLIENT) and len(collector.found(kind=SERVER)) == 2, "the spans")
        [attempt] = collector.found(kind=CLIENT)
        self.assertEqual((attempt["fantail.result"], attempt.failed), ("cut_off", False))
        [job] = collector.found(service="fantail-coordinator", kind=SERVER)
        self.assertEqual(job["fantail.job.status"], "cancelled")
        [chunk] = collector.found(service="fantail-worker", kind=SERVER)
        self.assertEqual(chunk["fantail.result"], "cancelled")


class Sampling(TracingTest):
    def test_a_caller_that_does_not_record_is_followed(self):
        collector = self.collector()
        fleet = self.traced_fleet(self.traced(collector))
        fleet.job({"task": "square", "items": [1]}, headers={"traceparent": TRACEPARENT[:-1] + "0"})
        fleet.job({"task": "square", "items": [1]}, headers={"traceparent": "00-" + "a" * 32 + f"-{CALLER}-01"})
        spans = self.spans(collector, fleet)
        self.assertEqual({s.trace_id for s in spans}, {"a" * 32})
        # If a trace is not recorded, its ids are still in the log and in requests.
        lines = log_of(fleet.coordinator, "job ended")
        self.assertEqual([line["trace_id"] for line in lines], [TRACE_ID, "a" * 32])
        self.assertEqual([line["trace_id"] for line in log_of(fleet.workers[0], "chunk ended")], [TRACE_ID, "a" * 32])

    def test_a_ratio_of_zero_records_nothing_that_begins_here(self):
        collector = self.collector()
        fleet = self.traced_fleet(self.traced(collector, OTEL_TRACES_SAMPLER="parentbased_traceidratio",
                                              OTEL_TRACES_SAMPLER_ARG="0"))
        fleet.job({"task": "square", "items": [1]})
        fleet.job({"task": "square", "items": [1]}, headers={"traceparent": TRACEPARENT})
        self.assertEqual({s.trace_id for s in self.spans(collector, fleet)}, {TRACE_ID})

    def test_an_invalid_traceparent_begins_a_new_trace_without_its_tracestate(self):
        collector = self.collector()
        fleet = self.traced_fleet(self.traced(collector))
        for header in (TRACEPARENT.upper(), TRACEPARENT.replace("00-", "ff-", 1), "nonsense"):
            answer = fleet.job({"task": "square", "items": [1]}, headers={"traceparent": header, "tracestate": "a=1"})
            self.assertEqual(answer.json["results"], [1])
        jobs = [s for s in self.spans(collector, fleet, 3) if s.kind == SERVER and s.service == "fantail-coordinator"]
        self.assertEqual([(s.parent, s.wire.get("traceState")) for s in jobs], [(None, None)] * 3)
        self.assertEqual(len({s.trace_id for s in jobs} - {TRACE_ID}), 3)

    def test_it_is_off_without_an_endpoint_and_when_it_is_switched_off(self):
        collector = self.collector()
        for env in (self.environment(), self.traced(collector, OTEL_SDK_DISABLED="TRUE"),
                    self.traced(collector, OTEL_TRACES_EXPORTER="none")):
            fleet = self.traced_fleet(env)
            answer = fleet.job({"task": "square", "items": [1]})
            self.assertNotIn("traceresponse", answer.headers)
            for program in (fleet.coordinator, fleet.workers[0]):
                program.stop()
                self.assertNotIn("trace_id", program.stderr())
        self.assertEqual(collector.requests, [])


class Settings(TracingTest):
    def complaint(self, **env):
        programs = {}
        for program in ("fantail-coordinator", "fantail-worker"):
            started = self.start(program, "--port", 0, "--admin-port", 0, env=self.environment(**env))
            started.any_status = True
            self.assertEqual(started.wait(), 2, started.describe())
            programs[program] = started.stderr()
        return programs

    def test_what_could_never_work_ends_the_program_with_2_and_is_named(self):
        for name, value in (("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
                            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://"),
                            ("OTEL_EXPORTER_OTLP_HEADERS", "secret-without-a-name")):
            env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", name: value}
            for text in self.complaint(**env).values():
                self.assertIn(name, text)
                self.assertNotIn("secret", text)

    def test_what_is_not_understood_is_told_and_ignored(self):
        collector = self.collector()
        worker = self.worker(env=self.traced(collector, OTEL_TRACES_SAMPLER="jaeger_remote",
                                             OTEL_EXPORTER_OTLP_PROTOCOL="grpc", OTEL_EXPORTER_OTLP_TIMEOUT="soon"))
        wait_until(lambda: log_of(worker, "worker is ready"), "the start")
        told = {line["variable"] for line in log_of(worker, "an environment variable is ignored")}
        self.assertEqual(told, {"OTEL_TRACES_SAMPLER", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TIMEOUT"})


class BadCollectors(TracingTest):
    def run_jobs(self, fleet, count=20):
        for i in range(count):
            self.assertEqual(fleet.job({"task": "square", "items": [i]}).json["results"], [i * i])

    def dropped(self, fleet, program):
        return fleet.metric(program, 'fantail_spans_total{result="dropped"}')

    def test_a_dead_collector_costs_counted_spans_and_one_line(self):
        nobody = self.free_port()
        fleet = self.traced_fleet(self.traced(nobody, OTEL_BSP_MAX_QUEUE_SIZE="10"))
        self.run_jobs(fleet)
        for program in (fleet.coordinator, fleet.workers[0]):
            wait_until(lambda p=program: self.dropped(fleet, p) > 0, "dropped spans")
            wait_until(lambda p=program: log_of(p, "spans cannot be delivered"), "the log line")
            self.assertEqual(program.stop(), 0)
            self.assertEqual(len(log_of(program, "spans cannot be delivered")), 1)
            self.assertEqual(len(log_of(program, "spans are dropped: the queue is full")), 1)

    def test_a_collector_that_does_not_answer_holds_up_no_job_and_no_end(self):
        collector = self.collector()
        collector.release.clear()
        fleet = self.traced_fleet(self.traced(collector, OTEL_BSP_MAX_QUEUE_SIZE="10"))
        self.run_jobs(fleet)
        for program in (fleet.coordinator, fleet.workers[0]):
            wait_until(lambda p=program: self.dropped(fleet, p) > 0, "dropped spans")
            self.assertEqual(program.stop(), 0)
            self.assertTrue(log_of(program, "spans were not delivered before the program ended"))

    def test_a_timeout_is_a_failure_and_the_spans_are_sent_again(self):
        collector = self.collector()
        collector.release.clear()
        fleet = self.traced_fleet(self.traced(collector, OTEL_EXPORTER_OTLP_TIMEOUT="200"))
        self.run_jobs(fleet, 1)
        wait_until(lambda: log_of(fleet.coordinator, "spans cannot be delivered"), "the timeout")
        collector.release.set()
        wait_until(lambda: log_of(fleet.coordinator, "spans are delivered again"), "the second try")
        self.assertTrue(collector.found(service="fantail-coordinator", kind=SERVER))

    def test_429_and_503_are_tried_again_when_they_say_and_nothing_is_lost(self):
        for status in (429, 503):
            instants = []

            def answer(count, status=status, instants=instants):
                instants.append(time.monotonic())
                return (status, {"Retry-After": "1"}) if len(instants) <= 2 else (200, {})
            collector = self.collector(answer=answer)
            fleet = self.traced_fleet(self.environment(), coordinator_env=self.traced(collector))
            self.run_jobs(fleet, 3)
            wait_until(lambda c=collector: len(c.found(kind=SERVER)) == 3, "the spans")
            self.assertGreaterEqual(instants[1] - instants[0], 0.99)
            self.assertEqual(self.dropped(fleet, fleet.coordinator), 0)
            wait_until(lambda f=fleet: log_of(f.coordinator, "spans are delivered again"), "the log line")
            self.assertEqual(len(log_of(fleet.coordinator, "spans cannot be delivered")), 1)

    def test_what_is_refused_for_good_is_dropped_and_counted(self):
        collector = self.collector(answer=lambda count: (400, {}))
        fleet = self.traced_fleet(self.environment(), coordinator_env=self.traced(collector))
        self.run_jobs(fleet, 2)
        # Each job has two spans: the span of the job, and the span of its attempt.
        wait_until(lambda: self.dropped(fleet, fleet.coordinator) == 4, "the count")

    def test_what_a_200_rejects_is_counted_as_dropped(self):
        body = '{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}'
        collector = self.collector(answer=lambda count: (200, {"body": body}))
        fleet = self.traced_fleet(self.environment(), coordinator_env=self.traced(collector))
        self.run_jobs(fleet, 1)
        wait_until(lambda: fleet.metric(fleet.coordinator, 'fantail_spans_total{result="exported"}') +
                   self.dropped(fleet, fleet.coordinator) == 2, "the counts")
        self.assertGreaterEqual(self.dropped(fleet, fleet.coordinator), 1)

    def test_the_last_spans_leave_with_the_program(self):
        collector = self.collector()
        env = self.traced(collector)
        env["OTEL_BSP_SCHEDULE_DELAY"] = "600000"
        fleet = self.traced_fleet(env)
        self.run_jobs(fleet, 1)
        self.assertEqual(collector.requests, [])
        for program in (fleet.coordinator, fleet.workers[0]):
            self.assertEqual(program.stop(), 0)
        self.assertEqual({(s.service, s.kind) for s in collector.found()},
                         {("fantail-coordinator", SERVER), ("fantail-coordinator", CLIENT), ("fantail-worker", SERVER),
                          ("fantail-worker", INTERNAL)})


PYTHON_TASK = """
def trace(item, traceparent, tracestate):
    return [traceparent, tracestate]
"""
STREAM_TASK = """#!/usr/bin/env python3
import json, sys
seen = []
for line in sys.stdin:
    if line.startswith("#"):
        seen.append(line.split()[0])
    else:
        print(json.dumps({"value": seen}), flush=True)
"""


class Tasks(TracingTest):
    """A task gets the id of the worker's span for its chunk. If the worker exports no spans, the task gets the context
    of the caller."""

    def tasks_folder(self):
        return self.tasks(
            shell={"mode": "exec", "command": ["sh", "-c", 'echo "\\"$TRACEPARENT $TRACESTATE\\""']},
            python={"json": {"mode": "python", "command": "task:trace"}, "files": {"task.py": (PYTHON_TASK)}},
            plain={"json": {"command": ["./task"]}, "files": {"task": STREAM_TASK}},
            asking={"json": {"command": ["./task"], "traceparent": True}, "files": {"task": STREAM_TASK}})

    def test_a_task_gets_the_span_of_its_chunk(self):
        collector = self.collector()
        # The start of the worker was traced too, but the items must not belong to that trace.
        env = self.traced(collector, TRACEPARENT="00-" + "b" * 32 + "-" + "c" * 16 + "-01", TRACESTATE="z=9")
        fleet = self.traced_fleet(env, tasks=self.tasks_folder(), processes=1)
        headers = {"traceparent": TRACEPARENT, "tracestate": "a=1"}
        shell = fleet.job({"task": "shell", "items": [0]}, headers=headers).json["results"][0].split(" ")
        python = fleet.job({"task": "python", "items": [0]}, headers=headers).json["results"][0]
        chunks = {s["fantail.task"]: s for s in self.spans(collector, fleet, 2)
                  if s.service == "fantail-worker" and s.kind == SERVER}
        self.assertEqual(shell, [f"00-{TRACE_ID}-{chunks['shell'].id}-01", "a=1"])
        self.assertEqual(python, [f"00-{TRACE_ID}-{chunks['python'].id}-01", "a=1"])

    def test_without_an_exporter_the_callers_context_reaches_the_task_and_does_not_stay(self):
        fleet = self.fleet(tasks=self.tasks_folder(), processes=1)
        headers = {"traceparent": TRACEPARENT, "tracestate": "a=1"}
        for job_headers, text, values in ((headers, f"{TRACEPARENT} a=1", [TRACEPARENT, "a=1"]),
                                          ({}, " ", [None, None]),
                                          ({"traceparent": TRACEPARENT}, f"{TRACEPARENT} ", [TRACEPARENT, None])):
            self.assertEqual(fleet.job({"task": "shell", "items": [0]}, headers=job_headers).json["results"], [text])
            self.assertEqual(fleet.job({"task": "python", "items": [0]}, headers=job_headers).json["results"], [values])
        [line] = [line for line in fleet.coordinator.log_lines() if line.get("trace_id") and line["msg"] == "job ended"][:1]
        self.assertEqual(line["trace_id"], TRACE_ID)

    def test_a_stream_program_is_told_only_when_it_asks(self):
        fleet = self.fleet(tasks=self.tasks_folder(), processes=1)
        for task, seen in (("plain", []), ("asking", ["#traceparent"])):
            answer = fleet.job({"task": task, "items": [0]}, headers={"traceparent": TRACEPARENT})
            self.assertEqual(answer.json["results"], [seen])

    def test_several_headers_of_a_name_are_one_list_or_none(self):
        fleet = self.fleet(tasks=self.tasks_folder(), processes=1)
        body = b'{"task":"python","items":[0]}'
        for lines, values in (([f"traceparent: {TRACEPARENT}", "tracestate: a=1", "TraceState: b=2"],
                               [TRACEPARENT, "a=1,b=2"]),
                              ([f"traceparent: {TRACEPARENT}", "tracestate: a=1", "tracestate: b=\u00e9"],
                               [TRACEPARENT, None]),
                              ([f"traceparent: {TRACEPARENT}", f"traceparent: {TRACEPARENT}"], [None, None])):
            head = "\r\n".join(["POST /v1/jobs HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}",
                                "Content-Type: application/json", *lines, "", ""]).encode("latin-1")
            answer = ft.raw_request(fleet.port, head + body)
            self.assertEqual(json.loads(answer.split(b"\r\n\r\n", 1)[1])["results"], [values], answer)


if __name__ == "__main__":
    ft.main()
