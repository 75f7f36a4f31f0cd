"""https from clients to the coordinator, and from the coordinator to the workers. Certificates are sent, required,
refused and replaced."""
import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import tempfile

import fantail_testing as ft
from certificates import Authority
from fantail_testing import FantailTest, wait_until

REFUSED = (ssl.SSLError, ConnectionError)


def setUpModule():
    global made, good, other, certs
    made = tempfile.TemporaryDirectory(prefix="fantail-certificates-")
    good, other = Authority(made.name + "/good"), Authority(made.name + "/other", "other")
    certs = {
        "server": good.issue("server"),
        "by_name": good.issue("by_name", hosts=("localhost",)),
        "elsewhere": good.issue("elsewhere", hosts=("elsewhere.example",)),
        "ended": good.issue("ended", ended=True),
        "client": good.issue("client", hosts=(), use="clientAuth"),
        "only_server": good.issue("only_server", use="serverAuth"),
        "stranger": other.issue("stranger"),
    }


def tearDownModule():
    made.cleanup()


def serve(name, client_ca=None):
    """Returns the options of a service with this certificate."""
    cert, key = certs[name]
    return ["--tls-cert", cert, "--tls-key", key] + (["--tls-client-ca", client_ca] if client_ca else [])


def show(name):
    """Returns the options of a coordinator that sends this certificate to workers."""
    cert, key = certs[name]
    return ["--worker-client-cert", cert, "--worker-client-key", key]


def context(name=None, ca=None, newest=True):
    c = ssl.create_default_context(cafile=ca or good.ca)
    c.minimum_version = c.maximum_version = ssl.TLSVersion.TLSv1_3 if newest else ssl.TLSVersion.TLSv1_2
    if name:
        c.load_cert_chain(*certs[name])
    return c


def connect(port, name=None, newest=True, timeout_s=30):
    raw = socket.create_connection(("localhost", port), timeout=timeout_s)
    return context(name, newest=newest).wrap_socket(raw, server_hostname="localhost")


def ask(port, method, path, body=None, headers=None, name=None, newest=True):
    connection = http.client.HTTPSConnection("localhost", port, timeout=60, context=context(name, newest=newest))
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return ft.Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def first_message():
    """Returns the first message of a handshake."""
    tls = context()
    tls.set_ecdh_curve("prime256v1")  # the server takes this key, and does not ask for another one
    session = tls.wrap_bio(ssl.MemoryBIO(), sent := ssl.MemoryBIO(), server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return sent.read()


def read_all(s):
    received = b""
    while piece := s.recv(65536):
        received += piece
    return received


def metric(program, series):
    """Returns the sum of all series that have at least these labels: 'name{label="value"}'."""
    name, *labels = re.split(r"[{},]", series)
    text = ft.request(program.admin_port, "GET", "/metrics").body.decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if re.match(re.escape(name) + r"[{ ]", line) and all(label in line for label in labels))


class Tls(FantailTest):

    def https_fleet(self, worker="server", worker_more=(), coordinator_more=(), scheme="static+https", wait_s=300):
        w = self.worker(*serve(worker), *worker_more)
        c = self.coordinator(f"{scheme}://localhost:{w.port}", "--worker-wait-s", wait_s, *coordinator_more)
        return ft.Fleet(self, c, [w])

    def log_of(self, program, message):
        return [line for line in program.log_lines() if line["msg"] == message]

    def assert_log(self, program, message, **fields):
        def found():
            return [line for line in self.log_of(program, message)
                    if all(value in str(line.get(name)) for name, value in fields.items())]
        return wait_until(found, f"{message} {fields} in the log of {program.name}")


class Serving(Tls):
    def test_curl_posts_a_job_over_https_with_client_certificates_on_both_ways(self):
        fleet = self.https_fleet(worker_more=["--tls-client-ca", good.ca],
                                 coordinator_more=["--worker-ca", good.ca, *show("client"), *serve("server", good.ca)])
        cert, key = certs["client"]
        done = subprocess.run(["curl", "-sS", "--cacert", good.ca, "--cert", cert, "--key", key,
                               f"https://localhost:{fleet.port}/v1/jobs", "-d", '{"task":"square","items":[1,2,3]}'],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(json.loads(done.stdout)["results"], [1, 4, 9], done.stderr)

    def test_the_commands_in_the_documents_make_certificates_that_a_fleet_can_use(self):
        with open(os.path.join(ft.ROOT, "docs", "security.md"), encoding="utf-8") as document:
            [commands] = re.findall(r"^```sh\n(umask.*?)^```", document.read(), re.M | re.S)
        subprocess.run(["sh", "-e", "-c", commands.replace("serverAuth workers", "serverAuth localhost")], cwd=self.folder,
                       check=True, capture_output=True, timeout=60)
        ca, worker_cert, worker_key, cert, key = (os.path.join(self.folder, name) for name in (
            "ca.crt", "worker.crt", "worker.key", "coordinator.crt", "coordinator.key"))
        worker = self.worker("--tls-cert", worker_cert, "--tls-key", worker_key, "--tls-client-ca", ca)
        coordinator = self.coordinator(f"dns+https://localhost:{worker.port}", "--worker-ca", ca,
                                       "--worker-client-cert", cert, "--worker-client-key", key)
        document = ft.Fleet(self, coordinator, [worker]).job({"task": "square", "items": [1, 2, 3]}).json
        self.assertEqual(document["results"], [1, 4, 9])

    def test_a_big_job_streams_through_https_on_both_ways(self):
        fleet = self.https_fleet(worker_more=["--tls-client-ca", good.ca],
                                 coordinator_more=["--worker-ca", good.ca, *show("client"), *serve("server", good.ca)])
        count = 200000
        items = "".join(f'"{"x" * 40}{n}"\n' for n in range(count))
        cert, key = certs["client"]
        done = subprocess.run([os.path.join(ft.BIN, "fantail"), "map", "echo"], input=items, capture_output=True, text=True,
                              timeout=100, env=self.environment(
                                  FANTAIL_URL=f"https://localhost:{fleet.port}", FANTAIL_CACERT=good.ca,
                                  FANTAIL_CERT=cert, FANTAIL_KEY=key))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout == items, "the values are not the items")

    def test_a_reader_that_stops_holds_the_stream_back_and_then_gets_all_of_it(self):
        fleet = self.https_fleet(coordinator_more=["--worker-ca", good.ca, *serve("server"),
                                                   "--result-memory-bytes", "1M"])
        count, line = 20000, '"' + "y" * 1000 + '"\n'
        connection = http.client.HTTPSConnection("localhost", fleet.port, timeout=60, context=context())
        connection.request("POST", "/v1/jobs?task=echo", (line * count).encode(),
                           {"Content-Type": ft.NDJSON, "Accept": ft.NDJSON})
        wait_until(lambda: metric(fleet.coordinator, 'fantail_items_total{outcome="succeeded"}') == count)
        answer = connection.getresponse().read()
        connection.close()
        self.assertEqual(answer.count(b'{"type":"result"'), count)
        self.assertIn(b'"status":"succeeded"', answer)

    def test_a_client_that_leaves_cancels_its_job(self):
        fleet = self.https_fleet(coordinator_more=["--worker-ca", good.ca, *serve("server")])
        s = connect(fleet.port)
        body = json.dumps({"task": "sleep", "items": [60] * 4}).encode()
        s.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                  + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(lambda: metric(fleet.workers[0], 'fantail_worker_slots{state="busy"}') > 0)
        s.close()
        wait_until(lambda: metric(fleet.coordinator, 'fantail_jobs_total{status="cancelled"}') == 1)
        wait_until(lambda: metric(fleet.workers[0], 'fantail_worker_slots{state="busy"}') == 0)

    def test_one_connection_serves_many_requests_in_both_versions(self):
        worker = self.worker(*serve("server"))
        for newest in (True, False):
            connection = http.client.HTTPSConnection("localhost", worker.port, timeout=30,
                                                     context=context(newest=newest))
            for n in range(20):
                connection.request("POST", "/v1/tasks/square", f"{n}\n", {"Content-Type": ft.NDJSON})
                self.assertIn(f'{{"value":{n * n}}}', connection.getresponse().read().decode())
            connection.close()

    def test_requests_that_are_refused_over_http_are_refused_over_https(self):
        fleet = self.https_fleet(coordinator_more=["--worker-ca", good.ca, *serve("server"), "--max-body-bytes", 5000])
        self.assert_problem(ask(fleet.port, "POST", "/v1/jobs", b"x" * 6000, {"Content-Type": ft.JSON}), 413)
        self.assert_problem(ask(fleet.port, "GET", "/" + "x" * 9000), 414)
        self.assert_problem(ask(fleet.port, "GET", "/v1/tasks", headers={"X": "y" * 40000}), 431)
        with connect(fleet.port) as s:
            s.sendall(b"no http at all\r\n\r\n")
            self.assertIn(b" 400 ", read_all(s))
        with connect(fleet.port) as s:
            s.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n")
            self.assertIn(b" 400 ", read_all(s))
        chunks = (b"x" * 1000 for _ in range(20))
        self.assert_problem(ask(fleet.port, "POST", "/v1/jobs", chunks, {"Content-Type": ft.TEXT}), 413)

    def test_plain_http_is_told_so(self):
        worker = self.worker(*serve("server"))
        self.assert_problem(ft.request(worker.port, "GET", "/livez"), 426, words=["https"])
        self.assert_log(worker, "TLS handshake failed", reason="plain_http", peer="127.0.0.1")
        self.assertEqual(metric(worker, 'fantail_tls_handshake_failures_total{reason="plain_http"}'), 1)
        # Bytes that are neither TLS nor HTTP.
        self.assertIn(b" 426 ", ft.raw_request(worker.port, os.urandom(1).replace(b"\x16", b"\x17") + b"\0" * 3000))
        self.assertEqual(ask(worker.port, "GET", "/livez").status, 200)

    def test_silent_clients_are_cut_off_and_cost_no_time(self):
        worker = self.worker(*serve("server"))
        silent = socket.create_connection(("localhost", worker.port), timeout=60)
        half = socket.create_connection(("localhost", worker.port), timeout=60)
        half.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        shaken = connect(worker.port, timeout_s=60)
        begun = connect(worker.port, timeout_s=60)
        begun.sendall(b"GET /livez HTTP/1.1\r\nHos")
        with silent, half, shaken, begun:
            self.assertEqual(silent.recv(100), b"")
            half_answer = half.recv(100)
            self.assertLess(len(half_answer), 10, "more than a TLS alert was sent")
            self.assertIn(b" 408 ", read_all(shaken))
            self.assertIn(b" 408 ", read_all(begun))
        self.assertLess(ft.read_stat(worker.pid)[2], 4, "CPU seconds used within ten seconds without work")
        self.assert_log(worker, "TLS handshake failed", reason="too_slow")
        self.assertEqual(ask(worker.port, "GET", "/livez").status, 200)

    def test_many_handshakes_at_once_let_other_requests_in_between(self):
        """The coordinator is stopped until the first messages of all handshakes are in its sockets."""
        fleet = self.https_fleet(coordinator_more=serve("server"))
        with contextlib.ExitStack() as stack:
            clients = [(stack.enter_context(socket.create_connection(("127.0.0.1", fleet.port), timeout=60)), first_message())
                       for _ in range(200)]
            self.assertEqual(ask(fleet.port, "GET", "/v1/jobs").status, 200)  # the earlier connections have been accepted, too
            probe = stack.enter_context(socket.create_connection(("127.0.0.1", fleet.coordinator.admin_port), timeout=60))
            answered = lambda: len(select.select([s for s, _ in clients], [], [], 0)[0])
            counts = []
            fleet.coordinator.process.send_signal(signal.SIGSTOP)
            for s, hello in clients:
                s.sendall(hello)
            fleet.coordinator.process.send_signal(signal.SIGCONT)
            while not counts or counts[-1] < len(clients):
                probe.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertIn(b" 200 ", probe.recv(4096))
                counts.append(answered())
        between = [n for n in counts if 0 < n < len(clients)]
        self.assertGreater(len(between), 3, counts)

    def test_the_admin_port_stays_plain(self):
        worker = self.worker(*serve("server", good.ca))
        self.assertEqual(ft.request(worker.admin_port, "GET", "/readyz").status, 200)
        check = subprocess.run([os.path.join(ft.BIN, "fantail-worker"), "healthcheck", *serve("server", good.ca),
                                "--admin-port", str(worker.admin_port)], capture_output=True, timeout=30)
        self.assertEqual(check.returncode, 0, check.stderr)
        check = subprocess.run([os.path.join(ft.BIN, "fantail-worker"), "healthcheck", *serve("server"),
                                "--admin-port", "off", "--port", str(worker.port)], capture_output=True, timeout=30)
        self.assertEqual(check.returncode, 1)
        self.assertIn(b"--admin-port", check.stderr)


class ClientCertificates(Tls):
    def assert_refused(self, worker, name, newest, alert, **log):
        before = len(self.log_of(worker, "TLS handshake failed"))
        with self.assertRaises(REFUSED) as caught:
            with connect(worker.port, name, newest) as s:
                s.sendall(b"GET /v1/tasks HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertEqual(read_all(s), b"")
                raise ConnectionError("closed without a word")
        self.assertIn(alert, str(caught.exception).lower())
        wait_until(lambda: len(self.log_of(worker, "TLS handshake failed")) > before)
        line = self.log_of(worker, "TLS handshake failed")[-1]
        for field, value in log.items():
            self.assertIn(value, line[field])

    def test_without_a_good_one_the_handshake_fails_with_a_reason_on_both_sides(self):
        worker = self.worker(*serve("server", good.ca))
        for newest in (True, False):
            with self.subTest(newest=newest):
                self.assert_refused(worker, None, newest, "certificate required" if newest else "handshake failure",
                                    reason="no_client_certificate")
                self.assert_refused(worker, "stranger", newest, "unknown ca", reason="bad_client_certificate",
                                    detail="CN=stranger")
                self.assert_refused(worker, "ended", newest, "certificate expired", reason="bad_client_certificate",
                                    detail="expired")
                self.assert_refused(worker, "only_server", newest, "bad certificate", reason="bad_client_certificate",
                                    detail="CN=only_server")
                self.assertEqual(ask(worker.port, "GET", "/v1/tasks", name="client", newest=newest).status, 200)
        self.assertEqual(metric(worker, 'fantail_tls_handshake_failures_total{reason="bad_client_certificate"}'), 6)

    def test_a_refused_upload_still_learns_why(self):
        worker = self.worker(*serve("server", good.ca))
        for _ in range(5):
            with self.assertRaises(ssl.SSLError) as caught:
                with connect(worker.port) as s:
                    s.sendall(b"POST /v1/tasks/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n")
                    s.sendall(b"x" * 100000)
                    read_all(s)
            self.assertIn("certificate required", str(caught.exception).lower())

    def test_the_command_line_says_what_is_missing(self):
        fleet = self.https_fleet(coordinator_more=["--worker-ca", good.ca, *serve("server", good.ca)])

        def tasks(*options, url="https://localhost"):
            return subprocess.run([os.path.join(ft.BIN, "fantail"), "tasks", "--url", f"{url}:{fleet.port}", *options],
                                  capture_output=True, text=True, timeout=60, env=self.environment())
        cert, key = certs["client"]
        broken = os.path.join(self.folder, "broken.pem")
        ft.write_file(broken, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
        self.assertEqual(tasks("--cacert", good.ca, "--cert", cert, "--key", key).returncode, 0)
        for options, status, words in (
                ((), 3, "certificate"),
                (("--cacert", other.ca), 3, "certificate"),
                (("--cacert", good.ca), 3, "--cert"),
                (("--cacert", good.ca, "--cert", certs["stranger"][0], "--key", certs["stranger"][1]), 3, "--cert"),
                (("--cacert", made.name + "/nothing"), 2, "--cacert"),
                (("--cacert", made.name), 2, f"--cacert: cannot read {made.name}"),
                (("--cacert", key), 2, f"--cacert: {key} is not a PEM file"),
                (("--cacert", broken), 3, f"--cacert: {broken} has an invalid certificate"),
                (("--cacert", good.ca, "--cert", broken), 3, broken),
                (("--cacert", good.ca, "--key", key), 2, "--cert")):
            with self.subTest(options=options):
                done = tasks(*options)
                self.assertEqual(done.returncode, status, done)
                self.assertIn(words, done.stderr)
        self.assertIn("https", tasks(url="http://localhost").stderr)


class Workers(Tls):
    def assert_unreachable(self, fleet, fault):
        """Checks that a job fails in time. The waiting client must be told the reason. The errors of the items and the
        log must have the reason, too."""
        with fleet.stream({"task": "square", "items": [1, 2]}) as stream:
            lines = stream.rest()
        # If the coordinator has not tried an address before, the first waiting line has no detail.
        waiting = [line["detail"] for line in lines if line["type"] == "waiting" and "detail" in line]
        self.assertRegex(waiting[0], fault)
        errors = [line["error"] for line in lines if line["type"] == "error"]
        self.assertEqual({e["name"] for e in errors}, {"worker_lost"})
        self.assertRegex(errors[0]["cause"], fault)
        self.assertEqual(lines[-1]["status"], "failed")
        for answer in (fleet.job({"task": "square", "items": [1]}), fleet.request("GET", "/v1/tasks")):
            self.assertRegex(self.assert_problem(answer, 503)["detail"], fault)
        ended = self.assert_log(fleet.coordinator, "attempt ended early", how="not_connected")
        self.assertRegex(ended[0]["reason"], fault)
        attempts = metric(fleet.coordinator, "fantail_chunk_attempts_total")
        self.assertLess(attempts, 30, "an endless retry")

    def test_wrong_name(self):
        self.assert_unreachable(self.https_fleet("elsewhere", coordinator_more=["--worker-ca", good.ca], wait_s=2),
                                "TLS wrong_name")

    def test_expired(self):
        fleet = self.https_fleet("ended", coordinator_more=["--worker-ca", good.ca], wait_s=2)
        self.assert_log(fleet.workers[0], "THE CERTIFICATE HAS EXPIRED: peers will refuse it", subject="CN=ended")
        self.assert_unreachable(fleet, "TLS expired")
        self.assert_log(fleet.workers[0], "TLS handshake failed", reason="refused_by_client", detail="expired")

    def test_unknown_authority(self):
        self.assert_unreachable(self.https_fleet(coordinator_more=["--worker-ca", other.ca], wait_s=2),
                                "TLS unknown_authority")

    def test_missing_client_certificate(self):
        fleet = self.https_fleet(worker_more=["--tls-client-ca", good.ca], coordinator_more=["--worker-ca", good.ca],
                                 wait_s=2)
        self.assert_unreachable(fleet, "TLS client_certificate_refused")

    def test_client_certificate_of_a_stranger(self):
        fleet = self.https_fleet(worker_more=["--tls-client-ca", good.ca], wait_s=2,
                                 coordinator_more=["--worker-ca", good.ca, *show("stranger")])
        self.assert_unreachable(fleet, "TLS client_certificate_refused")

    def test_the_command_line_is_told_that_a_port_speaks_no_tls(self):
        with contextlib.closing(socket.create_server(("localhost", 0))) as plain:
            done = subprocess.Popen([os.path.join(ft.BIN, "fantail"), "tasks", "--url",
                                     f"https://localhost:{plain.getsockname()[1]}"], stderr=subprocess.PIPE,
                                    env=self.environment())
            asked, _ = plain.accept()
            with asked:
                asked.recv(1000)
                asked.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                _, told = done.communicate(timeout=30)
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"does not use TLS", told)
        self.assertNotIn(b"SSL routines", told)

    def test_a_worker_that_speaks_no_tls(self):
        worker = self.worker()
        fleet = ft.Fleet(self, self.coordinator(f"https://localhost:{worker.port}", "--worker-ca", good.ca,
                                                "--worker-wait-s", 2), [worker])
        # A reset may cut off the worker's answer. If too little of the answer is left to recognise plain HTTP, the
        # fault is handshake_failed.
        self.assert_unreachable(fleet, "TLS (not_tls|handshake_failed)")

    def test_http_to_a_worker_that_speaks_tls(self):
        worker = self.worker(*serve("server"))
        fleet = ft.Fleet(self, self.coordinator([worker], "--worker-wait-s", 2), [worker])
        self.assert_problem(fleet.job({"task": "square", "items": [1]}), 503, words=["https"])

    def test_the_name_is_checked_where_an_address_is_dialled(self):
        fleet = self.https_fleet("by_name", coordinator_more=["--worker-ca", good.ca], scheme="dns+https")
        self.assertEqual(fleet.job({"task": "square", "items": [3]}).json["results"], [9])
        self.assertTrue(self.log_of(fleet.coordinator, "endpoint added")[0]["address"])
        self.assert_unreachable(self.https_fleet("elsewhere", coordinator_more=["--worker-ca", good.ca], wait_s=2,
                                                 scheme="dns+https"), "TLS wrong_name")


class Mount:
    """A folder like a Secret that Kubernetes mounts. The files in this folder are links into ..data. ..data is also a
    link, and is replaced atomically."""

    def __init__(self, folder):
        self.folder, self.version = folder, 0
        os.makedirs(folder)

    def put(self, cert, key, ca):
        self.version += 1
        fresh = f"..version{self.version}"
        os.makedirs(os.path.join(self.folder, fresh))
        for name, source in (("tls.crt", cert), ("tls.key", key), ("ca.crt", ca)):
            with open(source, "rb") as file, open(os.path.join(self.folder, fresh, name), "wb") as out:
                out.write(file.read())
            link = os.path.join(self.folder, name)
            if not os.path.lexists(link):
                os.symlink(f"..data/{name}", link)
        os.symlink(fresh, os.path.join(self.folder, "..tmp"))
        os.rename(os.path.join(self.folder, "..tmp"), os.path.join(self.folder, "..data"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def server(self):
        return ["--tls-cert", self.path("tls.crt"), "--tls-key", self.path("tls.key"), "--tls-client-ca",
                self.path("ca.crt")]

    def client(self):
        return ["--worker-client-cert", self.path("tls.crt"), "--worker-client-key", self.path("tls.key"),
                "--worker-ca", self.path("ca.crt")]


class Rotation(Tls):
    def setUp(self):
        super().setUp()
        self.old = Authority(self.folder + "/old", "old")
        self.new = Authority(self.folder + "/new", "new")
        self.both = self.folder + "/both.crt"
        with open(self.both, "w", encoding="utf-8") as out:
            for authority in (self.old, self.new):
                with open(authority.ca, encoding="utf-8") as file:
                    out.write(file.read())
        self.mount = Mount(self.folder + "/mount")

    def connect_as(self, port, pair, ca):
        c = ssl.create_default_context(cafile=ca)
        c.load_cert_chain(*pair)
        return c.wrap_socket(socket.create_connection(("localhost", port), timeout=30), server_hostname="localhost")

    def subject_served(self, port, pair, ca):
        with self.connect_as(port, pair, ca) as s:
            return dict(part[0] for part in s.getpeercert()["subject"])["commonName"]

    def test_everything_is_replaced_while_a_job_runs_and_the_job_does_not_notice(self):
        first, second = self.old.issue("first"), self.new.issue("second", days=2)
        self.mount.put(*first, self.both)
        gate = os.path.join(self.folder, "open")
        tasks = self.tasks(wait={"mode": "exec", "command": ["sh", "-c", f"until [ -e {gate} ]; do sleep 0.1; done; cat"]})
        worker = self.worker(*self.mount.server(), tasks=f"{tasks}:{ft.EXAMPLE_TASKS}")
        coordinator = self.coordinator(f"static+https://localhost:{worker.port}", *self.mount.client(),
                                       *self.mount.server())
        connection = http.client.HTTPSConnection("localhost", coordinator.port, timeout=60)
        connection.sock = self.connect_as(coordinator.port, first, self.both)
        connection.request("POST", "/v1/jobs?task=wait", b"1\n" * 6, {"Content-Type": ft.NDJSON, "Accept": ft.NDJSON})
        wait_until(lambda: metric(worker, 'fantail_worker_slots{state="busy"}') == 2)
        ends = metric(coordinator, 'fantail_tls_certificate_not_after_seconds{use="server"}')
        self.mount.put(*second, self.both)
        for program in (worker, coordinator):
            wait_until(lambda p=program: self.subject_served(p.port, second, self.both) == "second")
        wait_until(lambda: metric(coordinator, 'fantail_tls_reloads_total{use="client",result="ok"}') == 1)
        self.assertGreater(metric(coordinator, 'fantail_tls_certificate_not_after_seconds{use="server"}'), ends)
        # Removes the old authority. Now the certificate `first` is refused, but the job that was submitted with it
        # continues.
        self.mount.put(*second, self.new.ca)
        wait_until(lambda: metric(worker, 'fantail_tls_reloads_total{use="server",result="ok"}') == 2)
        with self.assertRaises(REFUSED):
            with self.connect_as(worker.port, first, self.both) as refused:
                refused.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
                if not refused.recv(1):
                    raise ConnectionError("closed")
        self.assertEqual(metric(worker, 'fantail_worker_slots{state="busy"}'), 2, "it still runs")
        open(gate, "w", encoding="utf-8").close()
        answer = connection.getresponse().read()
        connection.close()
        self.assertIn(b'"status":"succeeded"', answer)
        self.assertEqual(answer.count(b'{"type":"result"'), 6)
        self.assertEqual(metric(coordinator, 'fantail_chunk_attempts_total{result="lost"}'), 0)

    def test_a_client_that_was_refused_is_taken_once_its_files_are_right(self):
        server, client, stranger = self.old.issue("server"), self.old.issue("client"), self.new.issue("client")
        self.mount.put(*stranger, self.old.ca)
        worker = self.worker("--tls-cert", server[0], "--tls-key", server[1], "--tls-client-ca", self.old.ca)
        coordinator = self.coordinator(f"https://localhost:{worker.port}", *self.mount.client())
        fleet = ft.Fleet(self, coordinator, [worker])
        with fleet.stream({"task": "square", "items": [5]}) as stream:
            while "detail" not in (waiting := stream.line_of("waiting")):
                pass  # no address was tried yet
            self.assertIn("client_certificate_refused", waiting["detail"])
            self.mount.put(*client, self.old.ca)
            self.assertEqual([line["value"] for line in stream.rest() if line["type"] == "result"], [25])

    def test_files_that_cannot_be_used_leave_the_old_ones_and_sighup_reads_at_once(self):
        first, second = self.old.issue("first"), self.old.issue("second")
        self.mount.put(*first, self.old.ca)
        worker = self.worker(*self.mount.server())
        self.mount.put(first[0], second[1], self.old.ca)
        self.assert_log(worker, "certificates could not be read again; the old ones stay in use", option="tls-key",
                        error="is not the key of the certificate")
        self.assertEqual(self.subject_served(worker.port, first, self.old.ca), "first")
        os.unlink(self.mount.path("..data"))
        self.assert_log(worker, "certificates could not be read again; the old ones stay in use", option="tls-cert",
                        error="No such file")
        self.assertEqual(self.subject_served(worker.port, first, self.old.ca), "first")
        self.mount.put(*second, self.old.ca)
        worker.send_signal(signal.SIGHUP)
        wait_until(lambda: self.subject_served(worker.port, first, self.old.ca) == "second")
        self.assertEqual(metric(worker, 'fantail_tls_reloads_total{use="server",result="failed"}'), 2)


class Options(Tls):
    def test_bad_files_end_the_program_before_it_listens_and_name_the_option(self):
        cert, key = certs["server"]
        empty = self.folder + "/empty"
        open(empty, "w", encoding="utf-8").close()
        secret = self.folder + "/folder"
        os.mkdir(secret)
        https = ["--workers", "https://localhost:1"]
        for program, options, named in (
                ("fantail-worker", ["--tls-cert", cert], "--tls-key: is needed"),
                ("fantail-worker", ["--tls-key", key], "--tls-cert: is needed"),
                ("fantail-worker", ["--tls-client-ca", good.ca], "--tls-cert: is needed"),
                ("fantail-worker", ["--tls-cert", cert, "--tls-key", certs["client"][1]], "--tls-key: .*not the key"),
                ("fantail-worker", ["--tls-cert", empty, "--tls-key", key], "--tls-cert: .*empty"),
                ("fantail-worker", ["--tls-cert", cert, "--tls-key", cert], "--tls-key: .*server.crt"),
                ("fantail-worker", ["--tls-cert", secret, "--tls-key", key], "--tls-cert: .*folder"),
                ("fantail-worker", ["--tls-cert", cert, "--tls-key", self.folder + "/no"], "--tls-key: .*No such file"),
                ("fantail-worker", ["--tls-cert", cert, "--tls-key", key, "--tls-client-ca", key], "--tls-client-ca: "),
                ("fantail-coordinator", [*https, "--worker-ca", empty], "--worker-ca: .*empty"),
                ("fantail-coordinator", [*https, "--worker-client-cert", cert], "--worker-client-key: is needed"),
                ("fantail-coordinator", ["--worker-ca", good.ca], "--worker-ca: is for https")):
            with self.subTest(options=options):
                done = subprocess.run([os.path.join(ft.BIN, program), "--port", "0", "--admin-port", "0", *options],
                                      capture_output=True, text=True, timeout=30, env=self.environment())
                self.assertEqual(done.returncode, 2, done)
                self.assertRegex(done.stderr, named)


if __name__ == "__main__":
    ft.main()
