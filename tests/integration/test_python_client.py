"""fantail.Client of the Python package: named tasks of a fleet, and access to it."""
import contextlib
import dataclasses
import http.server
import io
import itertools
import os
import pathlib
import pickle
import socket
import sys
import threading
import types
from unittest import mock

import fantail_testing as ft
import python_calls as calls  # noqa: F401 (adds the package to sys.path)
from balancer import Balancer, ConnectProxy
from certificates import Authority
from fantail_testing import wait_until
from test_python_executor import WHY_NOT, setUpModule  # noqa: F401

if not WHY_NOT:
    import fantail

FUNCTIONS = """
import os, time

def scale(item, common):
    return item * common["by"]

def wait(item):
    while not os.path.exists(item):
        time.sleep(0.01)
    return item
"""


def python_task(function, **more):
    return {"json": {"mode": "python", "command": f"functions:{function}", **more}, "files": {"functions.py": FUNCTIONS}}


def url_of(program):
    return f"http://127.0.0.1:{program.port}"


class Like:
    """Has the one method of numpy's arrays and numbers that the package uses."""

    def __init__(self, plain):
        self.plain = plain

    def tolist(self):
        return self.plain


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Bar:
    """A progress bar that has the part of tqdm.tqdm that the package uses."""
    made = []

    def __init__(self, **options):
        self.options, self.count, self.is_closed = options, 0, False
        self.made.append(self)

    def update(self, count=1):
        self.count += count

    def close(self):
        self.is_closed = True


class Maps(ft.SharedFleetTest):
    def setUp(self):
        super().setUp()
        self.client = fantail.Client(url_of(self.shared.coordinator))
        self.addCleanup(self.client.close)

    def running_jobs(self):
        return self.shared.request("GET", "/v1/jobs").json["jobs"]

    def test_values_come_in_the_order_of_the_items(self):
        self.assertEqual(list(self.client.map("square", range(30000))), [n * n for n in range(30000)])
        self.assertEqual(list(self.client.map("square", [])), [])

    def test_in_the_order_of_completion_each_value_comes_once(self):
        values = list(self.client.map("square", range(30000), ordered=False))
        self.assertEqual(sorted(values), [n * n for n in range(30000)])

    def test_a_pipeline_passes_each_value_to_the_next_task(self):
        self.assertEqual(list(self.client.map(["square", "square"], [2, 3])), [16, 81])

    def test_an_endless_iterable_is_read_only_a_little_ahead(self):
        read, most_ahead = 0, 0

        def items():
            nonlocal read
            for read in itertools.count(1):
                yield f"{read:010000}"
        for taken, text in enumerate(itertools.islice(self.client.map("echo", items()), 6000), 1):
            self.assertEqual(int(text.lstrip("0")), taken)
            most_ahead = max(most_ahead, read - taken)
        self.assertLess(most_ahead, 3000)

    def test_leaving_the_iteration_cancels_the_rest(self):
        values = self.client.map("misbehave", [1, {"do": "hang"}])
        self.assertEqual(next(values), 1)
        self.assertTrue(self.running_jobs())
        values.close()
        wait_until(lambda: not self.running_jobs(), "the end of the job")

    def test_an_item_error_says_what_happened(self):
        items = [1, {"do": "crash", "signal": 9}, {"do": "exit", "code": 3}, {"do": "error"}, 2]
        with self.assertRaises(fantail.ItemError):
            list(self.client.map("misbehave", items, retry={"max_attempts": 1}))
        got = list(self.client.map("misbehave", items, retry={"max_attempts": 1}, return_exceptions=True))
        self.assertEqual((got[0], got[4]), (1, 2))
        killed, ended, failed = got[1:4]
        self.assertEqual((killed.name, killed.signal, killed.exit_code, killed.attempts, killed.index),
                         ("crashed", 9, None, 1, 1))
        self.assertIn("signal 9", killed.cause)
        self.assertTrue(killed.worker)
        self.assertEqual((ended.name, ended.exit_code, ended.index), ("crashed", 3, 2))
        self.assertEqual((failed.name, failed.index), ("task_error", 3))
        self.assertIn("item 3: task_error", str(failed))
        copy = pickle.loads(pickle.dumps(killed))
        self.assertEqual((copy.name, copy.signal, copy.index), ("crashed", 9, 1))

    def test_values_before_a_failed_item_are_yielded_first(self):
        got = []
        with self.assertRaises(fantail.ItemError) as caught:
            for item in self.client.map("square", [1, 2, "x", 4]):
                got.append(item)
        self.assertEqual((got, caught.exception.index), ([1, 4], 2))

    def test_an_item_that_is_not_json_fails_alone(self):
        items = [1, {2}, float("nan"), 3]
        got = list(self.client.map("square", items, return_exceptions=True))
        self.assertEqual((got[0], got[3]), (1, 9))
        self.assertEqual([(e.name, e.index) for e in got[1:3]], [("bad_item", 1), ("bad_item", 2)])
        self.assertIn("set", got[1].cause)
        self.assertEqual([e.index for e in self.client.map("square", [{1}] * 3, return_exceptions=True)], [0, 1, 2])

    def test_numbers_of_numpy_paths_and_dataclasses_are_items(self):
        items = [Like(5), Like([1, 2]), pathlib.Path("/tmp"), Point(1, 2), "\ud800", (1, None), 10**30]
        self.assertEqual(list(self.client.map("echo", items)),
                         [5, [1, 2], "/tmp", {"x": 1, "y": 2}, "\ud800", [1, None], 10**30])

    def test_an_exception_of_the_iterable_comes_after_the_values(self):
        def items():
            yield from range(3)
            raise KeyError("no more")
        got = []
        with self.assertRaises(KeyError):
            for item in self.client.map("square", items()):
                got.append(item)
        self.assertEqual(got, [0, 1, 4])

    def test_a_task_that_does_not_exist_is_refused_with_those_that_do(self):
        with self.assertRaises(fantail.TaskNotFound) as caught:
            list(self.client.map("sqare", [1]))
        self.assertIn("square", caught.exception.tasks)
        self.assertIn("sqare", str(caught.exception))

    def test_a_wrong_option_is_refused_with_its_place(self):
        with self.assertRaises(fantail.Refused) as caught:
            list(self.client.map("square", [1], priority=77))
        self.assertEqual((caught.exception.status, caught.exception.pointer), (400, "/priority"))

    def test_the_deadline_ends_the_map(self):
        got = []
        with self.assertRaises(fantail.JobFailed) as caught:
            for item in self.client.map("misbehave", [1, {"do": "hang"}], deadline_s=0.5, return_exceptions=True):
                got.append(item)
        self.assertEqual(caught.exception.status, "timed_out")
        self.assertEqual((got[0], got[1].name), (1, "deadline_exceeded"))

    def test_a_map_uses_few_connections_and_keeps_them(self):
        balancer = Balancer(self, [self.shared.coordinator.port])
        with fantail.Client(balancer.url) as client:
            for _ in range(3):
                self.assertEqual(list(client.map("square", [3])), [9])
            self.assertEqual(balancer.count, 1)
            self.assertEqual(sum(client.map("echo", itertools.repeat(1, 100000))), 100000)
            self.assertLessEqual(balancer.count, 16)

    def test_progress_is_shown_on_standard_error(self):
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(list(self.client.map("square", [1, 2, 3], progress=True)), [1, 4, 9])
        self.assertIn("square", said.getvalue())
        self.assertIn("3/3", said.getvalue())

    def test_the_bar_of_tqdm_is_used_if_it_is_installed(self):
        module = types.ModuleType("tqdm")
        module.tqdm = Bar
        Bar.made.clear()
        with mock.patch.dict(sys.modules, {"tqdm": module}):
            self.assertEqual(list(self.client.map("square", [1, 2, 3], progress=True)), [1, 4, 9])
        [bar] = Bar.made
        self.assertEqual((bar.options, bar.count, bar.is_closed), ({"total": 3, "desc": "square"}, 3, True))

    def test_the_tasks_of_the_fleet_are_listed(self):
        [square] = [task for task in self.client.tasks() if task.name == "square"]
        self.assertEqual((square.mode, square.workers, square.slots), ("native", 1, 2))

    def test_threads_may_share_a_client(self):
        sums = []

        def work():
            sums.append(sum(self.client.map("square", range(2000))))
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sums, [sum(n * n for n in range(2000))] * 4)


class Fleets(ft.FantailTest):
    def test_common_reaches_the_task_with_every_item(self):
        fleet = self.fleet(tasks=self.tasks(scale=python_task("scale")))
        client = fantail.Client(url_of(fleet))
        self.assertEqual(list(client.map("scale", range(4), common={"by": 10})), [0, 10, 20, 30])

    def test_the_first_values_come_before_the_last_item_is_read(self):
        """While the thread waits for the next item of an iterable, the thread cannot take values. So this iterable keeps
        giving items until a value arrives."""
        gate, got = os.path.join(self.folder, "open"), []
        fleet = self.fleet(tasks=self.tasks(wait=python_task("wait")))
        until_a_value = itertools.takewhile(lambda _: not got, itertools.repeat("/"))
        for item in fantail.Client(url_of(fleet)).map("wait", itertools.chain(["/"], until_a_value, [gate])):
            got.append(item)
            ft.write_file(gate, "")
        self.assertEqual(got[-1], gate)

    def test_a_socket_file_is_a_url(self):
        path = os.path.join(self.folder, "socket")
        self.start("fantail-coordinator", "--host", f"unix:{path}", "--admin-port", self.free_port(), "--workers",
                   f"static://127.0.0.1:{self.worker().port}", ready=True)
        self.assertEqual(list(fantail.Client(f"unix:{path}").map("square", [3])), [9])


class Access(ft.FantailTest):
    def page(self, status=200, body=b"<html>hello", kind="text/html"):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Location", "https://elsewhere.example/")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}"

    def assert_refused(self, kind, url, *words, **options):
        with self.assertRaises(kind) as caught:
            list(fantail.Client(url, **options).map("square", [1]))
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_a_url_that_answers_no_fantail_is_named(self):
        for url in (self.page(), self.page(404), self.page(302), self.page(kind="application/json", body=b"[1]")):
            self.assert_refused(fantail.NotFantail, url, url, "check the URL")
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def greet():
            with listener.accept()[0] as peer:
                peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        threading.Thread(target=greet, daemon=True).start()
        self.assert_refused(fantail.NotFantail, f"http://127.0.0.1:{listener.getsockname()[1]}", "SSH-2.0")
        worker = self.worker()
        for port in (worker.port, worker.admin_port):
            self.assert_refused(fantail.NotFantail, f"http://127.0.0.1:{port}", "there is nothing at")

    def test_a_port_where_nothing_listens_fails_at_once(self):
        self.assert_refused(fantail.Unreachable, f"http://127.0.0.1:{self.free_port()}", "refused")
        self.assert_refused(fantail.Unreachable, f"unix:{self.folder}/none", "none")

    def test_a_url_that_is_none_is_refused_when_the_client_is_made(self):
        for url in ("127.0.0.1:8080", "ftp://x", "http://", "http://a:b", "http://u:p@host", "unix:"):
            with self.subTest(url), self.assertRaises(ValueError):
                fantail.Client(url)

    def test_a_token_is_sent_and_a_refused_one_is_an_error(self):
        good, bad, tokens = "0123456789abcdef", "fedcba9876543210", os.path.join(self.folder, "tokens")
        ft.write_file(tokens, f"# the clients\n\n{good}\n")
        url = url_of(self.fleet(coordinator_arguments=("--token-file", tokens)))
        self.assertEqual(list(fantail.Client(url, token=good).map("square", [3])), [9])
        self.assertEqual(list(fantail.Client(url, token_file=tokens).map("square", [3])), [9])
        self.assert_refused(fantail.TokenRefused, url, "no token was sent")
        self.assert_refused(fantail.TokenRefused, url, "not valid", token=bad)
        with self.assertRaises(ValueError):
            fantail.Client(url, token="a\r\nHost: b")

    def tls_fleet(self, *arguments):
        authority = Authority(os.path.join(self.folder, "ca"))
        cert, key = authority.issue("server")
        fleet = self.fleet(coordinator_arguments=("--tls-cert", cert, "--tls-key", key, *arguments))
        return authority, f"https://localhost:{fleet.port}"

    def test_https_needs_a_certificate_that_is_trusted(self):
        authority, url = self.tls_fleet()
        client = fantail.Client(url, ca=authority.ca)
        self.assertEqual(list(client.map("square", range(5000))), [n * n for n in range(5000)])
        self.assertTrue(client._wires)
        self.assertEqual(list(client.map("square", [3])), [9])
        self.assert_refused(fantail.TlsError, url, "cannot be trusted", "ca=")
        self.assert_refused(fantail.Refused, url.replace("https", "http"), "426", "https")
        plain = self.fleet()
        self.assert_refused(fantail.TlsError, f"https://localhost:{plain.port}", "TLS", ca=authority.ca)

    def test_https_goes_through_the_proxy_of_the_environment_and_http_does_not(self):
        authority, url = self.tls_fleet()
        proxy, refusing = ConnectProxy(self), ConnectProxy(self, status=403)
        for address, no_proxy, asked in ((proxy.url, "", 1), (proxy.url, "localhost", 1), (refusing.url, "", 1)):
            with _environment(https_proxy=address, no_proxy=no_proxy):
                if address == refusing.url:
                    self.assert_refused(fantail.Unreachable, url, "proxy", "403", ca=authority.ca)
                else:
                    self.assertEqual(list(fantail.Client(url, ca=authority.ca).map("square", [3])), [9])
            self.assertEqual(len(proxy.asked), asked)
        with _environment(http_proxy=refusing.url, no_proxy=""):
            self.assertEqual(list(fantail.Client(url_of(self.fleet())).map("square", [3])), [9])


@contextlib.contextmanager
def _environment(**variables):
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    ft.main()
