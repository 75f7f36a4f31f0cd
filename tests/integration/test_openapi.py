"""GET /openapi.json describes the coordinator that serves it."""
import json
import os
import re
import subprocess

import fantail_testing as ft
import openapi_document
from fantail_testing import FantailTest, SharedFleetTest, request, write_file
from openapi_document import operations, parameters
from test_docs import read, rows, words

FILE = os.path.join("services", "coordinator", "api", "openapi.json")
TOKEN = "a-token-of-the-description"


class Document(SharedFleetTest):
    TIME_LIMIT_S = 600  # pip may be slow

    @classmethod
    def make_fleet_options(cls, keeper):
        cls.store = os.path.join(keeper.folder, "jobs.db")
        return {"coordinator_arguments": ("--store", f"sqlite:{cls.store}", "--register-workers")}

    @property
    def document(self):
        return self.shared.request("GET", "/openapi.json").json

    def test_it_is_the_file_and_a_client_that_has_it_does_not_get_it_again(self):
        answer = self.shared.request("GET", "/openapi.json")
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "application/json"))
        self.assertEqual(answer.body.decode(), read(FILE))
        self.assertEqual(answer.headers.get_all("Cache-Control"), ["no-cache"])
        etag = answer.headers["ETag"]
        for known, status in ((etag, 304), (f'"other", W/{etag}', 304), ("*", 304), ('"other"', 200)):
            again = self.shared.request("GET", "/openapi.json", headers={"If-None-Match": known})
            self.assertEqual((again.status, again.headers["ETag"]), (status, etag), known)
            self.assertEqual(again.body, b"" if status == 304 else answer.body)
        self.assert_problem(self.shared.request("GET", "/openapi.json?a=1"), 400, words="a")

    def test_its_version_is_that_of_the_coordinator(self):
        version = subprocess.run([os.path.join(ft.BIN, "fantail-coordinator"), "--version"], capture_output=True, text=True,
                                 timeout=30, env=self.environment(), check=True).stdout
        self.assertIn(self.document["info"]["version"], version.split())

    def test_it_has_each_route_and_no_other(self):
        served = set(re.findall(r'^fantail_http_requests_total\{method="(\w+)",route="(/[^"]*)"', ft.metrics(self.shared.coordinator), re.M))
        admin = set(re.findall(r'\{"([A-Z]+)", "(/\w+)", \w+\}', read("services", "coordinator", "api", "api.c").split("api_admin_routes")[1]))
        served |= admin | {("GET", "/metrics")}
        described = set(operations(self.document))
        self.assertIn(("POST", "/v1/jobs"), served)
        for method, path in sorted(served - described):
            self.fail(f"{method} {path} is not described: add it to \"paths\" of {FILE}, like the calls next to it")
        for method, path in sorted(described - served):
            self.fail(f"{method} {path} is not served: remove it from \"paths\" of {FILE}")

    def test_each_parameter_of_a_query_is_known_and_no_other_is(self):
        """Each call is made with each of its parameters, and with an unknown parameter."""
        for (method, path), operation in operations(self.document).items():
            if path in ("/autoscale", "/metrics") or operation.get("security") == []:
                continue
            query = [name for name, p in parameters(self.document, method, path).items() if p["in"] == "query"]
            address = path.replace("{id}", "0195f2c4-0000-7000-8000-000000000001")
            for name in [*query, "unknown"]:
                answer = self.shared.request(method, f"{address}?{name}=%01", b"1\n" if method == "POST" else None,
                                             {"Content-Type": "text/plain"} if path == "/v1/jobs" else {})
                known = not (answer.status == 400 and re.search("no query parameter|no field", answer.json["detail"]))
                self.assertEqual(known, name in query, f"{method} {path} {name}: {answer}")

    def test_the_tables_of_the_protocol_have_the_same_parameters(self):
        document = self.document
        for path, heading in (("/v1/jobs", "#### The list"), ("/v1/jobs/{id}/results", "#### Results")):
            described = {name for name, p in parameters(document, "GET", path).items() if p["in"] == "query"}
            self.assertEqual(described, {name for cell, *_ in rows("protocol.md", heading) for name in words(cell)}, heading)
        fields = document["components"]["schemas"]["Job"]["properties"]
        self.assertEqual(set(fields) - {"labels", "notify"}, {name for cell, *_ in rows("protocol.md", "### The job object") for name in words(cell)})
        lines = {json.loads(re.sub(r":\{\.\.\.\}", ":{}", word))["type"] for cell, *_ in rows("protocol.md", "### Answers") for word in words(cell) if word.startswith("{")}
        self.assertEqual(set(document["components"]["schemas"]["Line"]["discriminator"]["mapping"]), lines)

    def test_an_independent_validator_accepts_it(self):
        openapi_document.check(self, self.document, [])


class Access(FantailTest):
    def test_it_needs_a_token_and_other_origins_may_read_it_like_every_call(self):
        tokens = os.path.join(self.folder, "tokens")
        write_file(tokens, TOKEN + "\n")
        coordinator = self.coordinator("register://", "--token-file", tokens, "--cors-origin", "https://app.example")
        for token, status in ((None, 401), (TOKEN, 200)):
            answer = request(coordinator.port, "GET", "/openapi.json", headers={
                "Origin": "https://app.example", **({"Authorization": "Bearer " + token} if token else {})})
            self.assertEqual((answer.status, answer.headers["Access-Control-Allow-Origin"]), (status, "https://app.example"))


if __name__ == "__main__":
    ft.main()
