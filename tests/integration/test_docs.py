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
        names = re.findall(r'\[ITEM_\w+\] = "(\w+)"', read("services", "protocol", "protocol.c"))
        self.assertIn("worker_lost", names)
        names += re.findall(r'#define \w+_ITEM_NAME "(\w+)"', read("clients", "cli", "map", "map_answers.c"))
        self.assertIn("bad_item", names)
        for name in names:
            self.assertIn(f"`{name}`", document)
        for status in ("pending", "running", "succeeded", "partial", "failed", "cancelled", "timed_out"):
            self.assertIn(status, document)

    def test_every_field_of_a_task_is_in_the_protocol_and_none_that_is_not(self):
        fields = re.findall(r'\{"(\w+)", read_\w+\}', read("services", "worker", "task", "task_json.c"))
        self.assertIn("command", fields)
        table = read("docs", "protocol.md").split("`task.json`:\n\n")[1].split("\n\n")[0]
        documented = [name for cell in re.findall(r"^\| ([^|]*) \|", table, re.M) for name in re.findall(r"`(\w+)`", cell)]
        self.assertEqual(sorted(fields), sorted(documented))

    def test_every_call_of_the_admin_ports_is_in_the_protocol(self):
        document = read("docs", "protocol.md")
        for service, table in (("coordinator", "api/api.c"), ("worker", "api.c")):
            for path in re.findall(r'\{"GET", "(/\w+)", \w+\}', read("services", service, table)):
                self.assertRegex(document, rf"`GET {path}`[^|]* \(admin[^|]*\b{service}\b")

    def test_no_file_stands_twice_in_the_architecture(self):
        rows = re.findall(r"^\| `([^|]*)` \|", read("docs", "architecture.md"), re.M)
        self.assertEqual(sorted({row for row in rows if rows.count(row) > 1}), [])

    def test_the_steps_of_a_loop_turn_stand_in_the_architecture_in_their_order(self):
        steps = re.findall(r'"((?:idle|before sleep|after poll): [a-z ]+)"', read("services", "common", "loop", "turn.c"))
        self.assertIn("after poll: scheduler", steps)
        self.assertEqual(re.findall(r"^\| ((?:idle|before sleep|after poll): [a-z ]+) \|", read("docs", "architecture.md"), re.M),
                         steps)

    def test_nothing_but_the_turn_starts_prepare_check_or_idle_handles(self):
        starts = []
        for folder in ("services", "clients"):
            for place, _, names in os.walk(os.path.join(ft.ROOT, folder)):
                for name in sorted(names):
                    path = os.path.relpath(os.path.join(place, name), ft.ROOT)
                    if path.endswith((".c", ".h")) and re.search(r"uv_(prepare|check|idle)_(t|init|start)\b", read(path)):
                        starts.append(path)
        self.assertEqual(starts, ["services/common/loop/turn.c"])

    def test_links_between_the_documents_lead_somewhere(self):
        pages = ["README.md"] + ["docs/" + name for name in os.listdir(os.path.join(ft.ROOT, "docs"))
                                 if name.endswith(".md")]
        for page in pages:
            for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(page)):
                target = os.path.join(ft.ROOT, os.path.dirname(page), link)
                self.assertTrue(os.path.exists(target), f"{page}: {link}")


if __name__ == "__main__":
    ft.main()
