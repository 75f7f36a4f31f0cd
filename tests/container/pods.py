"""Runs the pods of rendered Kubernetes manifests as containers, with the same user, rights, limits, environment and volumes.
Services are network aliases. Readiness is checked as a kubelet does.

Secrets are folders. make_secrets() makes them with the exact commands of docs/deploy-kubernetes.md.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request

from engine import PROJECT, ROOT, check, failures, run, say, wait_for

sys.path.append(ROOT + "/tests/manifests")
USER = 65532
IMAGES = {"coordinator": "fantail-coordinator", "worker": "fantail-worker-examples"}
# Replaces kubectl for the commands of make_secrets(): `kubectl create secret generic` writes files. All other `kubectl`
# commands do nothing.
KUBECTL = """#!/bin/bash
case "$*" in *"create secret generic "*) ;; *) exit 0 ;; esac
while [ "$1" != generic ]; do shift; done
mkdir -p "$SECRETS/$2"
folder=$SECRETS/$2
shift 2
for word; do
    case $previous$word in
    --from-literal=*) word=${word#--from-literal=}; printf %s "${word#*=}" > "$folder/${word%%=*}" ;;
    --from-file*=*) cp "${word#*=}" "$folder/${word%%=*}" ;;
    --from-file*) [ "$word" = --from-file ] || cp "$word" "$folder/$word" ;;
    esac
    previous=$word
    [ "$word" = --from-file ] || previous=
done
"""


def make_secrets(folder):
    """Runs those commands of docs/deploy-kubernetes.md that make Secrets. Returns the folder of the Secrets."""
    with open(ROOT + "/docs/deploy-kubernetes.md", encoding="utf-8") as file:
        lines = [line for block in re.findall(r"```console\n(.*?)```", file.read(), re.S) for line in block.split("\n")]
    commands, wanted = [], False
    for line in lines:
        if line.startswith("$ "):
            wanted = bool(re.match(r"\$ (openssl|issue|kubectl -n fantail create secret .*\\$)", line)) and "--from-file=clients" not in line
        if wanted and line[:1] in "$ ":
            commands.append(re.sub(r"^\$ ", "", line))
    os.makedirs(folder + "/bin")
    with open(folder + "/bin/kubectl", "w", encoding="utf-8") as out:
        out.write(KUBECTL)
    os.chmod(folder + "/bin/kubectl", 0o755)
    env = dict(os.environ, PATH=f"{folder}/bin:{os.environ['PATH']}", SECRETS=folder + "/secrets")
    subprocess.run(["bash", "-ec", "\n".join(commands)], cwd=folder, env=env, check=True, capture_output=True)
    return folder + "/secrets"


def quantity(text):
    """Converts a quantity such as 512Mi to bytes."""
    number, unit = re.fullmatch(r"(\d+)(\w*)", str(text)).groups()
    return int(number) * {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}[unit]


class Pods:
    """The rendered Deployments, whose pods can be started as containers."""

    def __init__(self, objects, network, secrets, folder):
        self.objects, self.network, self.secrets, self.folder = objects, network, secrets, folder
        self.started = []

    def _files(self, name, source, items, mode):
        """Makes the files of a volume as a kubelet does: the owner is root, the group is that of the pod."""
        folder = f"{self.folder}/{len(os.listdir(self.folder))}-{name}"
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        for key, path in items:
            with open(f"{folder}/{path}", "wb") as out:
                out.write(source(key))
            os.chown(f"{folder}/{path}", 0, USER)
            os.chmod(f"{folder}/{path}", mode)
        return folder

    def _volume(self, volume, mount):
        target = mount["mountPath"] + (":ro" if mount.get("readOnly") else "")
        if "emptyDir" in volume:
            return ["--tmpfs", f"{mount['mountPath']}:mode=1777,size={quantity(volume['emptyDir']['sizeLimit'])}"]
        if "secret" in volume:
            secret = f"{self.secrets}/{volume['secret']['secretName']}"
            items = [(i["key"], i["path"]) for i in volume["secret"].get("items", ())] or [(k, k) for k in os.listdir(secret)]

            def read(key):
                with open(f"{secret}/{key}", "rb") as file:
                    return file.read()
            return ["-v", self._files(volume["name"], read, items, volume["secret"]["defaultMode"]) + ":" + target]
        data = next(o["data"] for o in self.objects if o["kind"] == "ConfigMap" and
                    o["metadata"]["name"] == volume["configMap"]["name"])
        return ["-v", self._files(volume["name"], lambda key: data[key].encode(), [(k, k) for k in data], 0o644) + ":" + target]

    def deployment(self, component):
        return next(o for o in self.objects if o["kind"] == "Deployment" and o["metadata"]["name"] == "fantail-" + component)

    def start(self, component):
        template = self.deployment(component)["spec"]["template"]
        pod, [container] = template["spec"], template["spec"]["containers"]
        rights, mine = pod["securityContext"], container["securityContext"]
        command = ["run", "-d", "--network", self.network, "--user", f"{rights['runAsUser']}:{rights['runAsGroup']}",
                   "--group-add", str(rights["fsGroup"]), "--cap-drop", *mine["capabilities"]["drop"]]
        command += ["--read-only"] if mine["readOnlyRootFilesystem"] else []
        command += [] if mine["allowPrivilegeEscalation"] else ["--security-opt", "no-new-privileges"]
        limits = container["resources"]["limits"]
        command += ["--memory", str(quantity(limits["memory"]))] + (["--cpus", limits["cpu"]] if "cpu" in limits else [])
        for variable in container["env"]:
            command += ["-e", f"{variable['name']}={variable['value']}"]
        volumes = {v["name"]: v for v in pod["volumes"]}
        for mount in container["volumeMounts"]:
            command += self._volume(volumes[mount["name"]], mount)
        for service in self.objects:
            if service["kind"] == "Service" and service["spec"]["selector"].items() <= template["metadata"]["labels"].items():
                command += ["--network-alias", service["metadata"]["name"]]
        self.started.append(run("docker", *command, IMAGES[component]).splitlines()[-1])
        return self.started[-1]

    @staticmethod
    def address(container):
        return run("docker", "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container)

    def ready(self, component, container):
        """Returns whether the readiness probe succeeds."""
        spec = self.deployment(component)["spec"]["template"]["spec"]["containers"][0]
        probe = spec["readinessProbe"]["httpGet"]
        port = next(p["containerPort"] for p in spec["ports"] if p["name"] == probe["port"])
        try:
            with urllib.request.urlopen(f"http://{self.address(container)}:{port}{probe['path']}", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def demand(self):
        """Returns the demand that the coordinator reports at /autoscale. Call it only if the pod that was started last
        is the coordinator."""
        with urllib.request.urlopen(f"http://{self.address(self.started[-1])}:9080/autoscale", timeout=10) as answer:
            return json.load(answer)["demand"]

    def end(self, component, container):
        """Ends a pod as a kubelet does: with SIGTERM and a grace period. Returns the exit status."""
        grace = self.deployment(component)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        run("docker", "stop", "-t", str(grace), container)
        return json.loads(run("docker", "inspect", "-f", "{{.State.ExitCode}}", container))

    def close(self):
        if self.started:
            run("docker", "rm", "-f", "-v", *self.started)


def show():
    """Runs the pods that a node would run after `kubectl apply`, with Secrets from the commands of the document."""
    import test_manifests  # the module looks for a YAML reader and kustomize; NO_YAML and NO_KUSTOMIZE say what is missing
    if not (test_manifests.YAML and test_manifests.KUSTOMIZE):
        say(f"        skipped: pods of k8s/: {test_manifests.NO_YAML or test_manifests.NO_KUSTOMIZE}")
        return
    for base, components in (("overlays/dev", ()), ("overlays/production", ()), ("overlays/production", ("tls",))):
        name = f"{base} {' '.join(components)}".strip()
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            secrets = make_secrets(folder + "/made")
            os.mkdir(folder + "/volumes")
            network = run("docker", "network", "create", f"{PROJECT}-pods").splitlines()[-1]
            fleet = Pods(test_manifests.render(base, components), network, secrets, folder + "/volumes")
            try:
                one_job_by_pods(name, fleet, secrets, tls="tls" in components, token=base != "overlays/dev")
            finally:
                if failures:
                    print(*(run("docker", "logs", c, check=False)[-3000:] for c in fleet.started), sep="\n")
                fleet.close()
                run("docker", "network", "rm", network)


def one_job_by_pods(name, fleet, secrets, tls, token):
    """Runs a job of 2,000 items; meanwhile kills one worker and ends another one with SIGTERM. Checks the results of
    the job, and that every pod except the killed worker ends with status 0."""
    workers = [fleet.start("worker") for _ in range(3)]
    coordinator = fleet.start("coordinator")
    for component, container in [("worker", w) for w in workers] + [("coordinator", coordinator)]:
        wait_for(f"{name}: a {component} is ready", lambda c=component, i=container: fleet.ready(c, i))
    headers, url = [], f"http://{fleet.address(coordinator)}:8080"
    if tls:
        url = "https://fantail-coordinator"
        headers += ["--cacert", secrets + "/fantail-coordinator-tls/ca.crt", "--connect-to",
                    f"::{fleet.address(coordinator)}:8080"]
    if token:
        status = run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *headers, url + "/v1/tasks")
        check(status == "401", f"{name}: without a token {status}")
        with open(secrets + "/fantail-tokens/clients", encoding="ascii") as clients:
            headers += ["-H", "Authorization: Bearer " + clients.readline().strip()]
    if not token:
        answer = json.loads(run("curl", "-s", *headers, url + "/v1/jobs", "-d", '{"task":"shout","items":["hello"]}'))
        check(answer.get("results") == ["HELLO"], f"{name}: the task of the ConfigMap answers")
    job = subprocess.Popen(["curl", "-sS", *headers, url + "/v1/jobs", "-d", json.dumps(
        {"task": "sleep", "items": [0.01] * 2000})], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(f"{name}: items in flight", fleet.demand)
    run("docker", "kill", workers[0])
    check(fleet.end("worker", workers[1]) == 0, f"{name}: a worker ends with 0 within its grace")
    answer = json.loads(job.communicate(timeout=300)[0])
    check(answer.get("status") == "succeeded" and answer["results"] == [0.01] * 2000,
          f"{name}: {answer.get('counts')} {answer.get('errors', answer)}")
    check([fleet.end("worker", workers[2]), fleet.end("coordinator", coordinator)] == [0, 0], f"{name}: the other pods end with 0")
