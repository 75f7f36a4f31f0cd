"""The fleet of deploy/compose.yaml, alone or with another file of deploy/."""
import json
import os
import sys
import threading
import urllib.request

from engine import PROJECT, ROOT, check, healthy, inspect, run, stop, url_of, wait_for

sys.path.append(ROOT + "/tests/manifests")
import manifest_tools  # noqa: E402 (after the path to it)

PORT = "18080"
COMPOSE, NO_COMPOSE = manifest_tools.compose()


class Fleet:
    """The compose project."""

    def __init__(self, override=None, env=()):
        self.command = [*COMPOSE, "-p", PROJECT, "-f", ROOT + "/deploy/compose.yaml"] + \
            (["-f", f"{ROOT}/deploy/{override}"] if override else [])
        self.env = dict(os.environ, FANTAIL_PORT=PORT, **dict(env))
        # This lock is held during each Compose command, and while a container is removed. Compose lists the containers
        # and then inspects each of them, so no container may be removed in between.
        self.lock = threading.Lock()

    def compose(self, *arguments):
        with self.lock:
            return run(*self.command, *arguments, env=self.env)

    def up(self, coordinators=2, workers=3):
        self.compose("up", "-d", "--no-recreate", "--scale", f"coordinator={coordinators}", "--scale",
                     f"worker={workers}")

    def scale_workers(self, count):
        """Scales only the workers, so that Compose does not restart a coordinator that the test is ending."""
        self.compose("up", "-d", "--no-recreate", "--no-deps", "--scale", f"worker={count}", "worker")

    def with_most_to_do(self):
        """Returns the name of the coordinator with the most unfinished items."""
        def items(name):
            with urllib.request.urlopen(url_of(name, 9080) + "/autoscale", timeout=30) as answer:
                told = json.load(answer)
            return told["queued"] + told["in_flight"]
        return max(self.containers("coordinator"), key=items)

    def containers(self, service):
        names = run("docker", "ps", "--filter", f"label=com.docker.compose.project={PROJECT}", "--filter",
                    f"label=com.docker.compose.service={service}", "--format", "{{.Names}}")
        return sorted(names.split())

    def all_healthy(self, service, count):
        names = self.containers(service)
        return len(names) == count and all(healthy(n) for n in names)

    def wait(self, service, count):
        return wait_for(f"{count} healthy {service}s", lambda: self.all_healthy(service, count))

    def end(self, name, limit_s):
        took, status = stop(name, limit_s)
        check(status == "0", f"{name.removeprefix(PROJECT)[1:]}: SIGTERM, exit {status} after {took:.1f} s")
        with self.lock:
            run("docker", "rm", "-v", name)
