#!/usr/bin/env python3
"""Metrics, alert rules and the dashboard. promtool checks the metrics and the rules. The dashboard and the rules must use
only metrics that exist."""
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
import urllib.request

import manifest_tools
from manifest_tools import BIN, ROOT

YAML, NO_YAML = manifest_tools.python_packages("yaml")
PROMTOOL, NO_PROMTOOL = manifest_tools.promtool()
PROGRAMS = all(os.access(f"{BIN}/fantail-{name}", os.X_OK) for name in ("coordinator", "worker"))
EXAMPLE_TASKS = os.path.join(os.path.dirname(BIN), "tasks")
if YAML:
    import yaml


def rule_groups():
    with open(ROOT + "/k8s/components/monitoring/rules.yaml", encoding="utf-8") as rules:
        return yaml.safe_load(rules)["spec"]


@contextlib.contextmanager
def metrics_of(name):
    """Starts a service, and yields its answer to GET /metrics."""
    more = ["--tasks", EXAMPLE_TASKS] if name == "worker" else []
    service = subprocess.Popen([f"{BIN}/fantail-{name}", "--port", "0", "--admin-port", "0", "--ready-fd", "1", *more],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        admin = service.stdout.readline().split()[2]
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=30) as answer:
            yield answer.read()
    finally:
        service.terminate()
        service.communicate(timeout=60)


class Alerts(unittest.TestCase):
    @unittest.skipUnless(YAML, NO_YAML)
    @unittest.skipUnless(PROMTOOL, NO_PROMTOOL)
    def test_alerts_fire_when_they_should_and_only_then(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/rules.yml", "w", encoding="utf-8") as out:
                yaml.safe_dump(rule_groups(), out)
            shutil.copy(ROOT + "/tests/manifests/alerts_test.yaml", folder)
            done = subprocess.run([PROMTOOL, "test", "rules", folder + "/alerts_test.yaml"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @unittest.skipUnless(YAML, NO_YAML)
    def test_every_alert_is_tested_to_fire_and_to_stay_silent(self):
        with open(ROOT + "/tests/manifests/alerts_test.yaml", encoding="utf-8") as file:
            cases = [case for test in yaml.safe_load(file)["tests"] for case in test["alert_rule_test"]]
        names = {rule["alert"] for group in rule_groups()["groups"] for rule in group["rules"]}
        self.assertEqual({case["alertname"] for case in cases if case["exp_alerts"]}, names)
        self.assertEqual({case["alertname"] for case in cases if not case["exp_alerts"]}, names)


@unittest.skipUnless(PROGRAMS, f"no programs in {BIN}")
class Metrics(unittest.TestCase):
    @unittest.skipUnless(PROMTOOL, NO_PROMTOOL)
    def test_metrics_of_both_services_are_well_formed(self):
        for name in ("coordinator", "worker"):
            with self.subTest(name), metrics_of(name) as metrics:
                done = subprocess.run([PROMTOOL, "check", "metrics"], input=metrics, capture_output=True)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))

    @unittest.skipUnless(YAML, NO_YAML)
    def test_dashboard_and_alerts_use_metrics_that_exist(self):
        """The metrics must exist even in a program that has done nothing yet."""
        known = set()
        for name in ("coordinator", "worker"):
            with metrics_of(name) as metrics:
                known.update(re.findall(r"^(\w+)[{ ]", metrics.decode(), re.M))
        texts = [rule["expr"] for group in rule_groups()["groups"] for rule in group["rules"]]
        with open(ROOT + "/deploy/grafana/fantail.json", encoding="utf-8") as dashboard:
            texts += [target["expr"] for panel in json.load(dashboard)["panels"] for target in panel["targets"]]
        used = {name for text in texts for name in re.findall(r"\b(?:fantail|process)_\w+", text)}
        self.assertGreater(len(used), 10)
        self.assertEqual(used - known, set())


if __name__ == "__main__":
    unittest.main()
