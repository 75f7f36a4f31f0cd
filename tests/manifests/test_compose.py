#!/usr/bin/env python3
"""The time limits of the compose fleet fit together, like those of Kubernetes and ECS. The files that add tokens or a job
store match the fleet."""
import os
import re
import subprocess
import tempfile
import unittest

import manifest_tools
from manifest_tools import BIN, ROOT, program_options

YAML, NO_YAML = manifest_tools.python_packages("yaml")
if YAML:
    import yaml


COMPOSE, NO_COMPOSE = manifest_tools.compose()
OVERLAYS = (), ("compose.tokens.yaml",), ("compose.store.yaml",), ("compose.tokens.yaml", "compose.store.yaml")


def seconds(text):
    return float(re.fullmatch(r"(\d+)s", text)[1])


def read(name):
    with open(f"{ROOT}/deploy/{name}", encoding="utf-8") as file:
        return file.read()


@unittest.skipUnless(YAML, NO_YAML)
class Compose(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        services = yaml.safe_load(read("compose.yaml"))["services"]
        cls.services = {name: services[name] for name in ("coordinator", "worker")}
        cls.haproxy = read("haproxy.cfg")

    def test_grace_covers_delay_and_drain(self):
        for name, service in self.services.items():
            env = service["environment"]
            needed = float(env["FANTAIL_SHUTDOWN_DELAY_S"]) + float(env["FANTAIL_DRAIN_S"]) + 5
            self.assertGreaterEqual(seconds(service["stop_grace_period"]), needed, name)

    def test_the_delay_is_longer_than_the_balancer_takes_to_notice(self):
        inter, fall = re.search(r"default-server check inter (\d+)s fall (\d+)", self.haproxy).groups()
        for name, service in self.services.items():
            self.assertGreater(float(service["environment"]["FANTAIL_SHUTDOWN_DELAY_S"]), int(inter) * int(fall), name)

    def test_the_readme_builds_the_images_that_the_fleet_needs(self):
        with open(f"{ROOT}/README.md", encoding="utf-8") as file:
            [commands] = re.findall(r"^((?:    .*\n)+    .*docker compose .*\n)", file.read(), re.M)
        built = dict(re.findall(r"docker build (?:--target (\S+) )?-t (\S+) ", commands))
        needed = {name: re.search(r":-(.*)}", s["image"])[1] for name, s in yaml.safe_load(read("compose.yaml"))["services"].items()}
        for service in set(needed) - {"worker"}:
            self.assertEqual(built[service], needed[service])
        self.assertIn(f"FANTAIL_WORKER_IMAGE={built['']} ", commands)
        with open(f"{ROOT}/Dockerfile", encoding="utf-8") as file:
            self.assertLessEqual(set(built) - {""}, set(re.findall(r"^FROM .* AS (\S+)", file.read(), re.M)))

    def test_environment_variables_are_options_of_the_programs(self):
        for name, service in self.services.items():
            known = program_options("fantail-" + name)
            if known is None:
                self.skipTest(f"no programs in {BIN}")
            self.assertLessEqual({n for n in service["environment"] if n.startswith("FANTAIL_")}, known)


@unittest.skipUnless(YAML, NO_YAML)
class Store(unittest.TestCase):
    """compose.store.yaml: the job store of the fleet."""

    @classmethod
    def setUpClass(cls):
        cls.fleet, cls.store = (yaml.safe_load(read(name)) for name in ("compose.yaml", "compose.store.yaml"))
        cls.coordinator, cls.postgres = (cls.store["services"][name] for name in ("coordinator", "postgres"))

    def secret_file(self, service, option):
        """This option names a file in the container. Returns the file of this machine that Compose mounts there."""
        name = service["environment"][option].removeprefix("/run/secrets/")
        self.assertEqual(service["secrets"], [name])
        variable, path = re.fullmatch(r"\$\{(\w+):-\./(.*)\}", self.store["secrets"][name]["file"]).groups()
        self.assertTrue(variable.startswith("FANTAIL_"))
        return "deploy/" + path

    def make_files(self, folder):
        """In an empty folder, runs the commands that the comment of compose.store.yaml has before the start of the fleet.
        Returns the URL and the password that the containers get."""
        os.mkdir(folder + "/deploy")
        commands = [line.removeprefix("#").strip() for line in read("compose.store.yaml").splitlines() if line.startswith("#   ")]
        start = next(i for i, line in enumerate(commands) if "compose" in line)
        subprocess.run(["sh", "-euc", "\n".join(commands[:start])], cwd=folder, check=True, timeout=60)
        paths = (self.secret_file(self.coordinator, "FANTAIL_STORE_FILE"), self.secret_file(self.postgres, "POSTGRES_PASSWORD_FILE"))
        for path in paths:
            self.assertTrue(os.stat(f"{folder}/{path}").st_mode & 0o004, f"{path}: the user of the container reads it")
        texts = []
        for path in paths:
            with open(f"{folder}/{path}", encoding="ascii") as file:
                texts.append(file.read())
        return texts

    def test_several_coordinators_share_one_database_that_all_can_reach(self):
        self.assertGreater(self.fleet["services"]["coordinator"]["scale"], 1)
        self.assertEqual(set(self.store["services"]), {"coordinator", "postgres"})
        self.assertLessEqual(set(self.fleet["services"]["coordinator"]["networks"]), set(self.postgres["networks"]))
        self.assertNotIn("scale", self.postgres)
        self.assertNotIn("ports", self.postgres)
        [volume] = self.postgres["volumes"]
        self.assertIn(volume.split(":")[0], self.store["volumes"], "the jobs outlive the container")

    def test_the_commands_of_the_comment_make_a_url_that_the_database_admits(self):
        with tempfile.TemporaryDirectory() as folder:
            url, password = self.make_files(folder)
        self.assertGreaterEqual(len(password), 32)
        self.assertEqual(url, f"postgresql://postgres:{password}@postgres/postgres\n")

    def test_a_coordinator_takes_the_url(self):
        if program_options("fantail-coordinator") is None:
            self.skipTest(f"no programs in {BIN}")
        with tempfile.TemporaryDirectory() as folder:
            self.make_files(folder)
            path = f"{folder}/{self.secret_file(self.coordinator, 'FANTAIL_STORE_FILE')}"
            status, log = manifest_tools.start_and_end("fantail-coordinator", FANTAIL_STORE_FILE=path)
        self.assertEqual(status, 0, log)


@unittest.skipUnless(YAML, NO_YAML)
@unittest.skipUnless(COMPOSE, NO_COMPOSE)
class Merged(unittest.TestCase):
    """Compose merges the files. These tests need no engine and no image."""

    def merged(self, overlays):
        files = [word for name in ("compose.yaml", *overlays) for word in ("-f", f"{ROOT}/deploy/{name}")]
        done = subprocess.run([*COMPOSE, *files, "config"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return yaml.safe_load(done.stdout)["services"]

    def test_each_combination_of_files_is_one_fleet(self):
        for overlays in OVERLAYS:
            services, tokens, store = self.merged(overlays), "compose.tokens.yaml" in overlays, "compose.store.yaml" in overlays
            self.assertEqual(set(services), {"coordinator", "worker", "haproxy"} | ({"postgres"} if store else set()))
            coordinator = services["coordinator"]
            env, secrets = coordinator["environment"], {secret["source"] for secret in coordinator.get("secrets", ())}
            self.assertEqual(env["FANTAIL_WORKERS"], "http://haproxy:8081", overlays)
            self.assertEqual(env["FANTAIL_INSECURE"], "false" if tokens else "true", overlays)
            self.assertEqual("FANTAIL_STORE_FILE" in env, store, overlays)
            self.assertEqual(secrets, ({"clients", "workers"} if tokens else set()) | ({"store"} if store else set()))
            self.assertTrue(coordinator["read_only"], overlays)


if __name__ == "__main__":
    unittest.main()
