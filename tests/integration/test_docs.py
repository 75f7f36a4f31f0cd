"""The documents are true to the programs."""
import os
import re
import subprocess

import fantail_testing as ft
from fantail_testing import FantailTest

SERVICES = ("fantail-coordinator", "fantail-worker")


def read(*path):
    with open(os.path.join(ft.ROOT, *path), encoding="utf-8") as source:
        return source.read()


class Docs(FantailTest):
    def help_of(self, program):
        return subprocess.run([os.path.join(ft.BIN, program), "--help"], capture_output=True, text=True, timeout=30,
                              env=self.environment(), check=True).stdout

    def test_every_option_of_the_services_is_in_operations_and_none_that_is_not(self):
        document = read("docs", "operations.md")
        options = set().union(*(re.findall(r"^  (--[a-z-]+)", self.help_of(program), re.M) for program in SERVICES))
        options |= {"--version"}
        documented = set(re.findall(r"`(--[a-z-]+)", document))
        self.assertEqual(sorted(options - documented), [])
        self.assertEqual(sorted(documented - options), [])

    def test_every_metric_is_in_operations_and_none_that_is_not(self):
        fleet = self.fleet()
        fleet.job({"task": "square", "items": [1]})
        document = read("docs", "operations.md")
        metrics = set()
        for program in (fleet.coordinator, fleet.workers[0]):
            text = ft.request(program.admin_port, "GET", "/metrics").body.decode()
            metrics |= set(re.findall(r"^# TYPE (\S+)", text, re.M))
        documented = set(re.findall(r"`((?:fantail|process)_[a-z_]+)", document))
        self.assertEqual(sorted(metrics - documented), [])
        self.assertEqual(sorted(documented - metrics), [])

    def test_every_error_name_and_job_status_is_in_the_protocol(self):
        document = read("docs", "protocol.md")
        for name in ("task_error", "crashed", "timed_out", "out_of_memory", "bad_output", "worker_lost", "cancelled",
                     "deadline_exceeded", "pending", "running", "succeeded", "partial", "failed"):
            self.assertIn(name, document)

    def test_links_between_the_documents_lead_somewhere(self):
        pages = ["README.md"] + ["docs/" + name for name in os.listdir(os.path.join(ft.ROOT, "docs"))
                                 if name.endswith(".md")]
        for page in pages:
            for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(page)):
                target = os.path.join(ft.ROOT, os.path.dirname(page), link)
                self.assertTrue(os.path.exists(target), f"{page}: {link}")


if __name__ == "__main__":
    ft.main()
