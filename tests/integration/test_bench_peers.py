"""The comparisons with other job queues and with other libraries of Python, in bench/."""
import contextlib
import http.client
import io
import json
import os
import subprocess
import sys
from unittest import mock

import fantail_testing as ft
from fantail_testing import FantailTest, SharedFleetTest, write_file

sys.path.append(os.path.join(ft.ROOT, "bench"))
import durable_jobs  # noqa: E402 (after the path to it)
import fetch_pages  # noqa: E402
import peers  # noqa: E402
import python_package  # noqa: E402


class PythonCalls(FantailTest):
    def test_each_measure_prints_a_number(self):
        for library, what in (("fantail", "first"), ("fantail", "one"), ("pool", "one"), ("serial", "cpu")):
            with self.subTest(library=library, what=what):
                out = subprocess.check_output([sys.executable, os.path.join(ft.ROOT, "bench", "python_calls.py"), library, what],
                                              env=self.environment(FANTAIL_BIN=ft.BIN))
                self.assertGreater(json.loads(out)["value"], 0)


    def test_without_redis_celery_is_missing_with_the_reason(self):
        with mock.patch.object(peers, "package_fault", lambda name: None), \
                mock.patch.object(python_package.shutil, "which", lambda name: None):
            self.assertEqual(python_package.interpreter()[1], {"celery": peers.NO_REDIS})


class Pages(FantailTest):
    def test_the_server_answers_each_request_on_a_kept_connection(self):
        server = subprocess.Popen([sys.executable, fetch_pages.__file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(server.wait)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.stdin.close)
        address = server.stdout.readline().decode().strip()[len("http://"):-1]
        connection = http.client.HTTPConnection(address, timeout=ft.LIMIT_S)
        self.addCleanup(connection.close)
        for page in range(3):
            connection.request("GET", f"/{page}")
            self.assertEqual(len(connection.getresponse().read()), fetch_pages.PAGE_BYTES)

    def test_without_aiohttp_it_is_skipped_with_the_reason(self):
        with mock.patch.object(peers, "package_fault", lambda name: f"there is no {name}"), contextlib.redirect_stdout(
                io.StringIO()) as out:
            fetch_pages.fetch(None, self.folder, None, None)
        self.assertEqual(out.getvalue(), "fetch     skipped: there is no aiohttp\n")


class Missing(FantailTest):
    """If a queue cannot be measured, the output names what is missing, and the other queues are still measured."""

    def start(self, redis, package_fault):
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.object(peers.shutil, "which", lambda _: redis))
            stack.enter_context(mock.patch.object(peers, "redis_socket", lambda *_: "redis.socket"))
            stack.enter_context(mock.patch.object(peers, "package_fault", package_fault))
            stack.enter_context(mock.patch.object(peers, "peer", lambda _stack, _folder, name, url: (name, url)))
            return peers.start(stack, os.path.join(self.folder, "peers"), None, "there is no PostgreSQL")

    def test_a_server_that_is_missing(self):
        measures, reasons = self.start(None, lambda _: None)
        self.assertEqual(measures, {})
        self.assertEqual(reasons, {"Celery, Redis": peers.NO_REDIS, "RQ, Redis": peers.NO_REDIS,
                                   "procrastinate, PostgreSQL": "there is no PostgreSQL"})

    def test_a_package_that_is_missing(self):
        measures, reasons = self.start("redis-server", lambda name: "no rq" if name == "rq" else None)
        self.assertEqual(measures, {"Celery, Redis": ("celery", "redis.socket")})
        self.assertEqual(set(reasons), {"RQ, Redis", "procrastinate, PostgreSQL"})

    def test_the_reason_is_the_last_line_of_pip(self):
        os.mkdir(os.path.join(self.folder, "bin"))
        write_file(os.path.join(self.folder, "bin", "python"), "#!/bin/sh\necho first; echo 'no network' >&2; exit 1\n", 0o755)
        with mock.patch.object(peers, "ENVIRONMENT", self.folder):
            self.assertEqual(peers.package_fault.__wrapped__("rq"), "rq (PyPI) cannot be installed: no network")


class Ours(SharedFleetTest):
    @classmethod
    def make_fleet_options(cls, keeper):
        return {"coordinator_arguments": ("--store", f"sqlite:{keeper.folder}/jobs.db")}

    def ended(self):
        """Returns the number of durable jobs that have succeeded."""
        listed = self.shared.request("GET", "/v1/jobs?status=succeeded&limit=200").json
        self.assertEqual(listed["scope"], "store")
        return len(listed["jobs"])

    def test_each_job_is_durable_and_answered_with_its_result(self):
        before = self.ended()
        self.assertGreater(durable_jobs.submit_many(self.shared.port, 70, wait=True), 0)
        self.assertEqual(self.ended() - before, 70)

    def test_a_wrong_answer_ends_the_benchmark(self):
        with mock.patch.object(durable_jobs, "RESULT", b"145],"), self.assertRaises(SystemExit):
            durable_jobs.submit_many(self.shared.port, 1, wait=True)


if __name__ == "__main__":
    ft.main()
