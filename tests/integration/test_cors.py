"""Unless --cors-origin allows another origin, a browser does not let the pages of that origin read answers or send requests
that need a preflight."""
import os
import socket
import subprocess

import fantail_testing as ft
from fantail_testing import FantailTest, SharedFleetTest

PAGE, SECOND_PAGE, STRANGER = "https://app.example", "http://localhost:3000", "https://evil.example"
TOKEN = "a-token-of-a-page-in-a-browser"
JOB = b'{"task":"square","items":[2]}'


def access_headers(headers):
    """Returns the Access-Control-* headers of an answer."""
    return {name.lower(): value for name, value in headers.items() if name.lower().startswith("access-control-")}


class CorsTest(SharedFleetTest):
    origins = None

    @classmethod
    def make_fleet_options(cls, keeper):
        tokens = os.path.join(keeper.folder, "tokens")
        ft.write_file(tokens, TOKEN + "\n")
        more = ("--cors-origin", cls.origins) if cls.origins else ()
        return {"coordinator_arguments": ("--token-file", tokens, "--max-body-bytes", "2000", "--upload-pause-s", "0.5", *more)}

    def ask(self, method, path, body=None, origin=None, token=TOKEN, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if origin:
            headers["Origin"] = origin
        if token:
            headers["Authorization"] = "Bearer " + token
        return self.shared.request(method, path, body, headers)

    def preflight(self, origin, method="POST", path="/v1/jobs", headers="authorization,content-type"):
        """Sends a preflight as a browser does, without a token."""
        return self.ask("OPTIONS", path, None, origin, None, Access_Control_Request_Method=method,
                        Access_Control_Request_Headers=headers)

    def raw(self, status, request):
        """Sends these bytes. Checks the status of the answer, and returns its headers."""
        answer = ft.raw_request(self.shared.port, request.encode()).decode()
        self.assertIn(f" {status} ", answer)
        return dict(line.split(": ", 1) for line in answer.split("\r\n\r\n")[0].split("\r\n")[1:])

    def refused_early(self, origin):
        """Returns (status, headers) of answers that the service sends before it has received the whole head or the
        whole body."""
        line, host, end = "POST /v1/jobs HTTP/1.1\r\n", "Host: x\r\n", "Content-Length: 0\r\n\r\n"
        field = f"Origin: {origin}\r\n" if origin else ""
        requests = [
            (400, line + host + field + "no colon\r\n" + end),
            (400, line + host + "no colon\r\n" + field + end),
            (400, line + field + end),
            (408, line.replace(" HTTP", "?task=square HTTP") + host + field + f"Authorization: Bearer {TOKEN}\r\n"
                  "Content-Length: 9\r\n\r\n1"),
            (414, line.replace(" HTTP", "?x=" + "y" * 12000 + " HTTP") + host + field + end),
            (431, line + host + field + "X-Long: " + "y" * 40000 + "\r\n" + end),
            (431, line + host + "X-Long: " + "y" * 40000 + "\r\n" + field + end),
            (431, line + host + "".join(f"X-{n}: y\r\n" for n in range(1000)) + field + end),
            (505, line.replace("1.1", "2.0") + host + field.upper().replace((origin or "").upper(), origin or "") + end),
        ]
        return [(status, self.raw(status, request)) for status, request in requests]

    def answers(self, origin):
        """Returns (status, headers) of an answer of each kind to a page of this origin."""
        asked = [
            (200, self.ask("POST", "/v1/jobs", JOB, origin)),
            (200, self.ask("POST", "/v1/jobs", JOB, origin, Accept=ft.NDJSON)),
            (200, self.ask("GET", "/v1/tasks", None, origin)),
            (200, self.ask("GET", "/livez", None, origin, None)),
            (400, self.ask("POST", "/v1/jobs", b"{", origin)),
            (400, self.ask("GET", "/v1/jobs?task=square", None, origin)),
            (401, self.ask("POST", "/v1/jobs", JOB, origin, None)),
            (401, self.ask("GET", "/no/such/path", None, origin, "another-token-of-this-page")),
            (404, self.ask("GET", "/no/such/path", None, origin)),
            (404, self.ask("POST", "/v1/jobs", JOB.replace(b"square", b"nothing"), origin)),
            (405, self.ask("PUT", "/v1/jobs", b"", origin)),
            (413, self.ask("POST", "/v1/jobs", b"x" * 3000, origin)),
            (413, self.ask("POST", "/v1/jobs", iter([b"[" * 1500, b"[" * 1500]), origin, Content_Type=ft.TEXT)),
            (415, self.ask("POST", "/v1/jobs", JOB, origin, Content_Type="image/png")),
        ]
        found = []
        for status, answer in asked:
            self.assertEqual(answer.status, status, answer)
            found.append((status, answer.headers))
        return found + self.refused_early(origin)


class Listed(CorsTest):
    origins = f"{PAGE}, {SECOND_PAGE}"

    def test_every_answer_allows_a_page_of_a_listed_origin_to_read_it(self):
        for origin in (PAGE, SECOND_PAGE):
            for status, headers in self.answers(origin):
                self.assertEqual(headers["Access-Control-Allow-Origin"], origin, status)
                self.assertEqual(headers["Vary"], "Origin", status)
                self.assertIn("Fantail-Job", headers["Access-Control-Expose-Headers"], status)
                self.assertIn("Retry-After", headers["Access-Control-Expose-Headers"], status)

    def test_no_answer_allows_another_origin_or_a_request_without_one_anything(self):
        strangers = (STRANGER, "null", "https://app.example.evil", "https://app.example:8443", "http://app.example",
                     "https://sub.app.example", PAGE + "/", f"{PAGE}, {SECOND_PAGE}", "*")
        for origin in (STRANGER, None):
            for status, headers in self.answers(origin):
                self.assertEqual(access_headers(headers), {}, (origin, status))
                self.assertEqual(headers["Vary"], "Origin", (origin, status))
        for origin in strangers:
            self.assertEqual(access_headers(self.ask("GET", "/livez", None, origin).headers), {}, origin)

    def test_a_preflight_needs_no_token_and_allows_the_methods_and_headers_of_a_page(self):
        for method, path, headers in (("POST", "/v1/jobs", "authorization,content-type,idempotency-key,prefer,traceparent"),
                                      ("DELETE", "/v1/jobs/some-id", "authorization,x-requested-with"),
                                      ("GET", "/v1/tasks", None), ("GET", "/no/such/path", "authorization")):
            answer = self.preflight(PAGE, method, path, headers or "")
            self.assertEqual((answer.status, answer.body), (204, b""), answer.headers)
            self.assertEqual(answer.headers["Access-Control-Allow-Origin"], PAGE)
            self.assertIn(method, answer.headers["Access-Control-Allow-Methods"].split(", "))
            self.assertEqual(answer.headers["Access-Control-Allow-Headers"] or "", headers or "")
            self.assertGreater(int(answer.headers["Access-Control-Max-Age"]), 60)
            self.assertEqual(answer.headers["Vary"], "Origin")

    def test_a_page_may_send_each_method_of_the_interface(self):
        document = self.ask("GET", "/openapi.json").json
        methods = {method.upper() for calls in document["paths"].values() for method in calls
                   if method in ("get", "head", "post", "put", "patch", "delete")}
        allowed = self.preflight(PAGE).headers["Access-Control-Allow-Methods"].split(", ")
        self.assertEqual(methods - set(allowed), set())

    def test_a_page_may_read_each_header_of_the_interface(self):
        document = self.ask("GET", "/openapi.json", origin=PAGE)
        answers = [answer for calls in document.json["paths"].values() for call in calls.values() if isinstance(call, dict)
                   for answer in call.get("responses", {}).values()]
        answers += document.json["components"]["responses"].values()
        names = {name for answer in answers for name in answer.get("headers", {})}
        readable = document.headers["Access-Control-Expose-Headers"].split(", ")
        self.assertEqual(names - {*readable, "Cache-Control", "Content-Type"}, set())

    def test_a_preflight_of_another_origin_is_refused(self):
        for origin in (STRANGER, "null", None):
            answer = self.preflight(origin)
            self.assertEqual(answer.status, 401)
            self.assertEqual(access_headers(answer.headers), {})

    def test_options_that_are_no_preflight_are_no_way_past_the_token(self):
        self.assertEqual(self.ask("OPTIONS", "/v1/jobs", None, PAGE, None).status, 401)
        self.assertEqual(self.ask("OPTIONS", "/v1/jobs", None, PAGE).status, 405)

    def test_a_kept_connection_goes_on_after_a_preflight(self):
        with socket.create_connection(("127.0.0.1", self.shared.port), timeout=ft.LIMIT_S) as s:
            s.sendall(f"OPTIONS /v1/jobs HTTP/1.1\r\nHost: x\r\nOrigin: {PAGE}\r\nAccess-Control-Request-Method: POST\r\n\r\n".encode())
            received = s.recv(65536)
            self.assertIn(b" 204 ", received)
            self.assertTrue(received.endswith(b"\r\n\r\n"), received)
            s.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertIn(b" 200 ", s.recv(65536))


class Everyone(CorsTest):
    origins = "*"

    def test_every_answer_allows_every_origin(self):
        for origin in (STRANGER, "null"):
            for status, headers in self.answers(origin):
                self.assertEqual(headers["Access-Control-Allow-Origin"], "*", status)
                self.assertNotIn("Vary", headers)
            self.assertEqual(self.preflight(origin).status, 204)


class Off(CorsTest):
    def test_without_the_option_no_page_of_another_origin_is_allowed_anything(self):
        for status, headers in self.answers(PAGE):
            self.assertEqual(access_headers(headers), {}, status)
            self.assertNotIn("Vary", headers)
        self.assertEqual(self.preflight(PAGE).status, 401)
        self.assertEqual(self.ask("OPTIONS", "/v1/jobs", None, PAGE).status, 405)


class Options(FantailTest):
    def test_what_is_no_list_of_origins_ends_the_coordinator_with_2_and_is_named(self):
        for origins in ("", ",", "app.example", "https://", "https://app.example/", "https://app.example/page",
                        "https://user@app.example", "https://*.example", "*,https://app.example", "null",
                        "https://app.example:443", "http://app.example:80", "https://app.example,", "https://a b",
                        "https://app.example?x", "://app.example"):
            ended = subprocess.run([os.path.join(ft.BIN, "fantail-coordinator"), "--cors-origin", origins],
                                   capture_output=True, text=True, timeout=30, env=self.environment())
            self.assertEqual(ended.returncode, 2, (origins, ended.stderr))
            self.assertIn("--cors-origin", ended.stderr)

    def test_origins_of_every_form_are_taken(self):
        for origin in ("https://app.example", "http://localhost:3000", "http://[::1]:8080", "http://192.0.2.1",
                       "capacitor://localhost", "https://APP.example", "chrome-extension://abcdef"):
            port = self.coordinator("static://127.0.0.1:1", "--cors-origin", f"https://first.example , {origin}").port
            answer = ft.request(port, "GET", "/livez", headers={"Origin": origin.lower()})
            self.assertEqual(answer.headers["Access-Control-Allow-Origin"], origin.lower())


if __name__ == "__main__":
    ft.main()
