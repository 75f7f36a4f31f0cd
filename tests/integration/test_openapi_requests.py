"""schemathesis makes requests from /openapi.json, and checks that each answer conforms to the document. All checks of
schemathesis are on, including those that follow links from one call to the next. openapi_hooks.py has the rules that
the document cannot express.

FANTAIL_SCHEMATHESIS="-n 200 --seed 7" makes a longer run.
"""
import os
import re
import shlex
import subprocess
import unittest

import fantail_testing as ft
import postgres
import replicas
from fantail_testing import FantailTest, wait_until, write_file
from openapi_document import python_of

TOKEN = "a-token-for-schemathesis"
OPTIONS = os.environ.get("FANTAIL_SCHEMATHESIS", "-n 8 --seed 1")
# The run must have seen at least these answers. So a run whose requests were all refused does not pass.
ANSWERS = ("POST /v1/jobs 200 application/json", "POST /v1/jobs 200 application/x-ndjson", "POST /v1/jobs 202 application/json",
           "GET /v1/jobs 200 application/json", "GET /v1/jobs/{id} 200 application/json", "POST /v1/workers 200 application/json",
           "GET /v1/jobs/{id}/results 200 application/x-ndjson", "POST /v1/jobs 400 application/problem+json",
           "GET /v1/jobs/{id}/events 200 text/event-stream")
# A job that is to be changed may have ended already.
CHANGES = {"PATCH /v1/jobs/{id} 200 application/json", "PATCH /v1/jobs/{id} 409 application/problem+json"}
# These statuses are the default of schemathesis plus 413. A registration that is both wrong and too large is refused as
# too large.
CONFIG = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]
"""


class Requests(FantailTest):
    TIME_LIMIT_S = 1100

    def run_schemathesis(self, document_port, port, *arguments):
        python = python_of(self)
        self.seen = os.path.join(self.folder, "answers")
        config = os.path.join(self.folder, "schemathesis.toml")
        write_file(config, CONFIG)
        write_file(self.seen, "")
        environment = self.environment(
            SCHEMATHESIS_HOOKS="openapi_hooks", PYTHONPATH=os.path.dirname(os.path.abspath(__file__)), PYTHONDONTWRITEBYTECODE="1",
            OPENAPI_TASKS="square,upper", OPENAPI_WORKER_PORT=str(self.spare.port), OPENAPI_ANSWERS=self.seen)
        ended = subprocess.run(
            [os.path.join(os.path.dirname(python), "st"), "--no-color", "--config-file", config, "run", f"http://127.0.0.1:{document_port}/openapi.json",
             "--url", f"http://127.0.0.1:{port}", "-H", f"Authorization: Bearer {TOKEN}", "--checks", "all",
             "--workers", "1", "--request-timeout", "120",
             "--generation-database", "none", "--continue-on-failure", *shlex.split(OPTIONS), *arguments],
            cwd=self.folder, env=environment, capture_output=True, text=True)
        self.assertEqual(ended.returncode, 0, ended.stdout[-20000:] + ended.stderr[-2000:])
        with open(self.seen, encoding="utf-8") as lines:
            return set(lines.read().splitlines())

    def start_fleet(self, store):
        tokens = os.path.join(self.folder, "tokens")
        write_file(tokens, TOKEN + "\n")
        self.used, self.spare = (self.worker("--token-file", tokens) for _ in range(2))
        return self.coordinator([self.used], "--token-file", tokens, "--worker-token-file", tokens, "--register-workers",
                                "--store", store)

    def assert_good_answers(self, coordinator, phases):
        """Makes requests to the public port, and checks that all of ANSWERS and at least one of CHANGES were seen."""
        answers = self.run_schemathesis(coordinator.port, coordinator.port, "--exclude-tag", "admin", "--phases", phases)
        self.assertEqual([answer for answer in ANSWERS if answer not in answers], [], answers)
        self.assertTrue(CHANGES & answers, answers)

    def assert_all_live(self, coordinator):
        self.assertEqual([program.name for program in (coordinator, self.used, self.spare) if not program.alive()], [])
        self.assertEqual(re.findall(r'"level":"error".*', coordinator.stderr()), [])

    def test_no_answer_differs_from_the_document(self):
        coordinator = self.start_fleet(f"sqlite:{os.path.join(self.folder, 'jobs.db')}")
        self.assert_good_answers(coordinator, "examples,coverage,fuzzing,stateful")
        answers = self.run_schemathesis(coordinator.port, coordinator.admin_port, "--include-tag", "admin", "--phases",
                                        "coverage,fuzzing")
        self.assertIn("GET /autoscale 200 application/json", answers)
        self.assert_all_live(coordinator)

    @unittest.skipUnless(postgres.programs(), postgres.REASON)
    def test_no_answer_differs_from_the_document_with_postgresql(self):
        """Only the store differs from the test with SQLite, so this test leaves out requests that are refused before
        the store is used."""
        server = replicas.TestServer(self)
        server.start()
        coordinator = self.start_fleet(server.database())
        wait_until(lambda: replicas.ReplicasTest.state(coordinator) == "ready", "a store that is ready")
        self.assert_good_answers(coordinator, "examples,fuzzing,stateful")
        self.assert_all_live(coordinator)


if __name__ == "__main__":
    ft.main()
