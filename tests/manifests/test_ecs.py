#!/usr/bin/env python3
"""The CloudFormation template against its rules."""
import subprocess
import sys
import unittest

import manifest_tools
from manifest_tools import ROOT, program_options

YAML, NO_YAML = manifest_tools.python_packages("yaml")
CFN_LINT, NO_CFN_LINT = manifest_tools.python_packages("cfnlint")
if YAML:
    import yaml

TEMPLATE = ROOT + "/deploy/ecs/fantail.yaml"


class Ecs(unittest.TestCase):
    @unittest.skipUnless(CFN_LINT, NO_CFN_LINT)
    def test_cfn_lint_is_clean(self):
        lint = "from cfnlint.runner import main; main()"
        done = subprocess.run([sys.executable, "-c", lint, TEMPLATE], capture_output=True, text=True,
                              env=manifest_tools.python_environment())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @unittest.skipUnless(YAML, NO_YAML)
    def test_stop_timeout_and_deregistration_cover_delay_and_drain(self):
        class Loader(yaml.SafeLoader):
            pass
        Loader.add_multi_constructor("!", lambda loader, suffix, node: {suffix: getattr(node, "value", None)})
        with open(TEMPLATE, encoding="utf-8") as file:
            resources = yaml.load(file, Loader)["Resources"]
        groups = {"coordinator": "CoordinatorTargets", "worker": "WorkerTargets"}
        checked = 0
        for r in resources.values():
            if r["Type"] != "AWS::ECS::TaskDefinition":
                continue
            c = r["Properties"]["ContainerDefinitions"][0]
            env = {e["Name"]: e["Value"] for e in c["Environment"]}
            delay, drain = float(env["FANTAIL_SHUTDOWN_DELAY_S"]), float(env["FANTAIL_DRAIN_S"])
            self.assertGreaterEqual(c["StopTimeout"], delay + drain + 5)
            self.assertLessEqual(c["StopTimeout"], 120, "Fargate allows no more")
            group = resources[groups[c["Name"]]]["Properties"]["TargetGroupAttributes"]
            seconds = {a["Key"]: a["Value"] for a in group}["deregistration_delay.timeout_seconds"]
            self.assertGreaterEqual(float(seconds), delay)
            self.assertLessEqual(float(seconds), delay + drain)
            known = program_options("fantail-" + c["Name"])
            if known is not None:
                self.assertLessEqual({n for n in env if n.startswith("FANTAIL_")}, known)
            checked += 1
        self.assertEqual(checked, 2)


if __name__ == "__main__":
    unittest.main()
