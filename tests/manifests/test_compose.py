#!/usr/bin/env python3
"""The time limits of the compose fleet fit together, like those of Kubernetes and ECS."""
import re
import unittest

import manifest_tools
from manifest_tools import BIN, ROOT, program_options

YAML, NO_YAML = manifest_tools.python_packages("yaml")
if YAML:
    import yaml


def seconds(text):
    return float(re.fullmatch(r"(\d+)s", text)[1])


@unittest.skipUnless(YAML, NO_YAML)
class Compose(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(ROOT + "/deploy/compose.yaml", encoding="utf-8") as file:
            services = yaml.safe_load(file)["services"]
        cls.services = {name: services[name] for name in ("coordinator", "worker")}
        with open(ROOT + "/deploy/haproxy.cfg", encoding="utf-8") as file:
            cls.haproxy = file.read()

    def test_grace_covers_delay_and_drain(self):
        for name, service in self.services.items():
            env = service["environment"]
            needed = float(env["FANTAIL_SHUTDOWN_DELAY_S"]) + float(env["FANTAIL_DRAIN_S"]) + 5
            self.assertGreaterEqual(seconds(service["stop_grace_period"]), needed, name)

    def test_the_delay_is_longer_than_the_balancer_takes_to_notice(self):
        inter, fall = re.search(r"default-server check inter (\d+)s fall (\d+)", self.haproxy).groups()
        for name, service in self.services.items():
            self.assertGreater(float(service["environment"]["FANTAIL_SHUTDOWN_DELAY_S"]), int(inter) * int(fall), name)

    def test_environment_variables_are_options_of_the_programs(self):
        for name, service in self.services.items():
            known = program_options("fantail-" + name)
            if known is None:
                self.skipTest(f"no programs in {BIN}")
            self.assertLessEqual({n for n in service["environment"] if n.startswith("FANTAIL_")}, known)


if __name__ == "__main__":
    unittest.main()
