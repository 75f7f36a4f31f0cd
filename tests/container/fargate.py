"""Runs the task definitions of deploy/ecs/fantail.yaml as containers, with the rights that they have on Fargate. The test
first runs the container that writes the secrets, and then the service with the same volume. HAProxy replaces both load
balancers. The test reads metrics from standard output, not from CloudWatch.
"""
import json
import re
import sys

from engine import PROJECT, ROOT, check, failures, run, say, wait_for

sys.path.append(ROOT + "/tests/manifests")
TOKENS = {"CLIENT_TOKENS": "aB3" * 16, "WORKER_TOKENS": "cD4" * 16}
# No server listens at the address of the job store. So the store is unavailable, which does not affect synchronous jobs.
SECRETS = {**TOKENS, "JOB_STORE_URL": "postgresql://fantail:secret@127.0.0.1:9/jobs"}
# The values that CloudFormation would supply for the references in the template.
NAMES = {"AWS::StackName": "fantail", "Cluster": "fantail-made", "WorkerBalancer.DNSName": "balancer", "CoordinatorImage": "fantail-coordinator",
         "WorkerImage": "fantail-worker-examples"}


def resolved(value):
    """Resolves a value of the template. Replaces each `If` with its first value, which is the value for a stack that creates
    its own cluster."""
    if isinstance(value, str):
        return value
    [(function, argument)] = value.items()
    return {"Ref": lambda: NAMES[argument], "If": lambda: resolved(argument[1]),
            "Sub": lambda: re.sub(r"\$\{([^}]+)\}", lambda m: NAMES[m[1]], argument)}[function]()


class Task:
    """One task of a service."""

    def __init__(self, definition, network, alias):
        self.service, self.first = definition["ContainerDefinitions"]
        self.alias, self.network = alias, network
        self.volume = run("docker", "volume", "create").splitlines()[-1]
        self.container = None

    def _options(self, container):
        [mount] = container["MountPoints"]
        return ["--network", self.network, "--user", container["User"], "-v", f"{self.volume}:{mount['ContainerPath']}",
                *(["--read-only"] if container["ReadonlyRootFilesystem"] else [])]

    def start(self):
        secrets = [word for s in self.first["Secrets"] for word in ("-e", f"{s['Name']}={SECRETS[s['Name']]}")]
        run("docker", "run", "--rm", *self._options(self.first), *secrets, resolved(self.first["Image"]), *self.first["Command"])
        env = [word for e in self.service["Environment"] for word in ("-e", f"{e['Name']}={resolved(e['Value'])}")]
        self.container = run("docker", "run", "-d", "--network-alias", self.alias, *self._options(self.service), *env,
                             resolved(self.service["Image"])).splitlines()[-1]
        return self

    def healthy(self):
        """Runs the health check of the template, without its first word: CMD, which means "without a shell". Returns whether
        the check succeeds."""
        return run("docker", "exec", self.container, *self.service["HealthCheck"]["Command"][1:], check=False) == ""

    def end(self):
        run("docker", "stop", "-t", str(self.service["StopTimeout"]), self.container)
        return run("docker", "inspect", "-f", "{{.State.ExitCode}}", self.container)

    def close(self):
        if self.container:
            run("docker", "rm", "-f", self.container)
        run("docker", "volume", "rm", self.volume)


def show():
    import test_ecs  # the module looks for a YAML reader; if there is none, NO_YAML says why
    if not test_ecs.YAML:
        say(f"        skipped: tasks of deploy/ecs: {test_ecs.NO_YAML}")
        return
    resources = test_ecs.decided(test_ecs.load_template(), "HasJobStore", True)["Resources"]
    network = run("docker", "network", "create", f"{PROJECT}-fargate").splitlines()[-1]
    # The network aliases are the host names in haproxy.cfg.
    tasks = [Task(resources[name]["Properties"], network, alias) for name, alias in
             (("WorkerTask", "worker"), ("WorkerTask", "worker"), ("CoordinatorTask", "coordinator"))]
    balancer = None
    try:
        balancer = run("docker", "run", "-d", "--network", network, "--network-alias", "balancer", "fantail-haproxy").splitlines()[-1]
        jobs_by_tasks([t.start() for t in tasks], balancer)
    finally:
        if failures:
            print(*(run("docker", "logs", t.container, check=False)[-3000:] for t in tasks if t.container), sep="\n")
        for task in tasks:
            task.close()
        if balancer:
            run("docker", "rm", "-f", balancer)
        run("docker", "network", "rm", network)


def demand_lines(coordinator):
    """Returns those lines of the coordinator's output that contain metrics."""
    lines = [json.loads(line) for line in run("docker", "logs", coordinator.container).splitlines()]
    return [line for line in lines if "_aws" in line]


def jobs_by_tasks(tasks, balancer):
    worker, _, coordinator = tasks
    for task in tasks:
        wait_for(f"a {task.alias} of ECS healthy by the template's check", task.healthy)
    address = run("docker", "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", balancer)

    def ask(*arguments):
        return run("curl", "-s", "-H", f"Authorization: Bearer {TOKENS['CLIENT_TOKENS']}", *arguments, check=False)

    url = f"http://{address}:8080/v1/jobs"
    wait_for("the balancer finds the tasks", lambda: ask("-m", "2", url + "?task=square", "-d", "7").find('"results":[49]') > 0)
    check(run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url) == "401", "tasks of ECS: without a token 401")
    environment = run("docker", "inspect", "-f", "{{.Config.Env}}", *(t.container for t in tasks))
    check(not any(secret in environment for secret in SECRETS.values()), "tasks of ECS: no secret in a service's environment")
    wait_for("metrics in a coordinator's log", lambda: demand_lines(coordinator))
    line = demand_lines(coordinator)[-1]
    check((line.get("cluster"), line.get("service")) == ("fantail-made", "fantail") and "demand_slots" in line,
          "tasks of ECS: the coordinator's log has the demand, for this cluster and service")
    check(worker.end() == "0", "tasks of ECS: a worker ends with 0 within StopTimeout")
    answer = json.loads(ask(url, "-d", '{"task":"square","items":[1,2,3]}'))
    check(answer.get("results") == [1, 4, 9], "tasks of ECS: a job through both balancers, with one worker gone")
    check([t.end() for t in tasks[1:]] == ["0", "0"], "tasks of ECS: the other tasks end with 0")
