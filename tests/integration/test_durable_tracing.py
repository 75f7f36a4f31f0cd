"""The traces of durable jobs. A trace goes from the accepted request to the run, which may be later and on another
coordinator."""
import json
import os

import fantail_testing as ft
from fantail_testing import request, wait_until
from test_tracing import CALLER, CLIENT, INTERNAL, SERVER, TRACE_ID, TRACEPARENT, TracingTest, log_of

HEADERS = {"Content-Type": ft.JSON, "traceparent": TRACEPARENT, "tracestate": 'a=1,b="2'}
TASKS = {"shell": {"mode": "exec", "command": ["sh", "-c", 'echo "\\"$TRACEPARENT\\""']},
         "state": {"mode": "exec", "command": ["sh", "-c", "echo ${#TRACESTATE}"]}}


class Durable(TracingTest):
    def start_store(self, env):
        """Starts a worker, if there is none yet, and a coordinator with a store."""
        if not hasattr(self, "own_worker"):
            self.own_worker = self.worker(tasks=self.tasks(**TASKS), env=env)
        return self.start("fantail-coordinator", "--port", 0, "--admin-port", 0, "--workers",
                          f"static://127.0.0.1:{self.own_worker.port}", "--store", f"sqlite:{self.folder}/jobs.db", ready=True,
                          env=env)

    def submit(self, coordinator, task="shell", prefer="respond-async"):
        return request(coordinator.port, "POST", "/v1/jobs", json.dumps({"task": task, "items": [1]}).encode(),
                       {**HEADERS, "Prefer": prefer})

    def values(self, coordinator, job):
        wait_until(lambda: request(coordinator.port, "GET", f"/v1/jobs/{job}").json["ended_at"], "the end of the job")
        lines = request(coordinator.port, "GET", f"/v1/jobs/{job}/results").all_lines
        return [line["value"] for line in lines if line["type"] == "result"]

    def test_the_callers_context_reaches_the_task(self):
        coordinator = self.start_store(self.environment())
        answer = self.submit(coordinator)
        self.assertEqual(answer.status, 202, answer)
        self.assertNotIn("traceresponse", answer.headers)
        self.assertEqual(self.values(coordinator, answer.json["id"]), [TRACEPARENT])
        job = self.submit(coordinator, "state").json["id"]
        self.assertEqual(self.values(coordinator, job), [len(HEADERS["tracestate"])])
        self.assertIn(TRACE_ID, [line["trace_id"] for line in log_of(coordinator, "job ended")])

    def test_a_run_is_a_span_below_the_request(self):
        collector = self.collector()
        coordinator = self.start_store(self.traced(collector))
        for prefer, status in (("respond-async", 202), ("wait=60", None)):
            with self.subTest(prefer):
                answer = self.submit(coordinator, prefer=prefer)
                job = answer.headers["Fantail-Job"]
                self.values(coordinator, job)

                def own(kind, job=job):
                    return [s for s in collector.found(service="fantail-coordinator", kind=kind) if s["fantail.job.id"] == job]
                wait_until(lambda own=own: own(SERVER) and own(INTERNAL) and own(CLIENT), "the spans of the job")
                [received], [run] = own(SERVER), own(INTERNAL)
                self.assertEqual((received.parent, received.name, received["http.response.status_code"]),
                                 (CALLER, "POST /v1/jobs", status))
                self.assertEqual(answer.headers["traceresponse"], f"00-{TRACE_ID}-{received.id}-01")
                self.assertEqual((run.parent, run.name, run["fantail.job.status"]),
                                 (received.id, "run of a durable job", "succeeded"))
                self.assertEqual({(s.trace_id, s.parent) for s in own(CLIENT)}, {(TRACE_ID, run.id)})

    def test_the_trace_outlives_the_coordinator_that_accepted_the_job(self):
        gate = os.path.join(self.folder, "gate")
        script = f'until [ -e {gate} ]; do sleep 0.05; done; echo "\\"$TRACEPARENT\\""'
        self.own_worker = self.worker(tasks=self.tasks(shell={"mode": "exec", "command": ["sh", "-c", script]}))
        first = self.start_store(self.environment())
        job = self.submit(first).json["id"]
        wait_until(lambda: request(first.port, "GET", f"/v1/jobs/{job}").json["status"] == "running", "the run")
        first.kill()
        second = self.start_store(self.environment())
        ft.write_file(gate, "")
        self.assertEqual(self.values(second, job), [TRACEPARENT])


if __name__ == "__main__":
    ft.main()
