"""Renders the Helm chart: with helm, or without helm, with Go's text/template."""
import json
import os
import re
import subprocess
import tempfile

import manifest_tools
import yaml
from manifest_tools import ROOT

CHART = ROOT + "/deploy/helm/fantail"
# Without a cluster, a helm that was built from its module takes every cluster for one of version 1.20.
KUBE_VERSION = ["--kube-version", os.environ.get("KUBERNETES_VERSION", "1.34")]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class NotRendered(Exception):
    """The chart refuses the values."""


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def load(path):
    return yaml.load(read(path), LOADER)


def values_of(name):
    """Returns the content of values.yaml, or of values-NAME.yaml."""
    return load(f"{CHART}/values-{name}.yaml" if name else f"{CHART}/values.yaml") or {}


def merge(values, *others):
    """Merges values as Helm does: maps are merged, all other values are replaced, and null removes a value."""
    for other in others:
        values = dict(values)
        for key, value in other.items():
            if value is None:
                values.pop(key, None)
            elif isinstance(value, dict):
                below = values.get(key)
                values[key] = merge(below if isinstance(below, dict) else {}, value)
            else:
                values[key] = value
    return values


def objects(text):
    return [o for o in yaml.load_all(text, LOADER) if o]


class WithHelm:
    """Renders with the program helm. `layers` are values as in several -f: a later one takes precedence."""

    def __init__(self, program):
        self.program = program

    def run(self, *arguments, layers=()):
        """Returns what helm writes. The home is an empty folder without a configuration, so helm reaches no cluster."""
        with tempfile.TemporaryDirectory() as home:
            options = []
            for i, values in enumerate(layers):
                with open(f"{home}/{i}.json", "w", encoding="utf-8") as out:
                    json.dump(values, out)
                options += ["-f", out.name]
            env = {k: v for k, v in os.environ.items() if not k.startswith(("HELM_", "KUBE"))} | {"HOME": home}
            done = subprocess.run([self.program, *arguments, *options], env=env, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise NotRendered(done.stdout + done.stderr)
        return done.stdout

    def render(self, *layers, release="fantail", namespace="fantail", chart=CHART):
        return objects(self.run("template", release, chart, "--namespace", namespace, *KUBE_VERSION, layers=layers))

    def render_each(self, several):
        return [self.render(*layers) for layers in several]


class WithGo:
    """Renders with helm_template.go, which knows only the functions that the chart uses."""

    def __init__(self, folder):
        self.program = folder + "/helm_template"
        source = os.path.dirname(os.path.abspath(__file__)) + "/helm_template.go"
        subprocess.run([manifest_tools.go()[0], "build", "-o", self.program, source], cwd=folder, check=True, timeout=600,
                       env=dict(os.environ, GOTOOLCHAIN="local", GOFLAGS="", GO111MODULE="off"))

    def texts(self, several, release="fantail", namespace="fantail"):
        """Returns for each of several layers {template: text}, or the message of the chart that refuses the values."""
        files = {"files/" + name: read(f"{CHART}/files/{name}") for name in os.listdir(CHART + "/files")}
        defaults = values_of("")
        done = subprocess.run([self.program], capture_output=True, text=True, check=True, timeout=300, input=json.dumps({
            "Chart": load(CHART + "/Chart.yaml"), "Files": files,
            "Parsed": {name: yaml.load(text, LOADER) for name, text in files.items()},
            "Templates": {"templates/" + name: read(f"{CHART}/templates/{name}") for name in os.listdir(CHART + "/templates")},
            "Releases": [{"Release": {"Name": release, "Namespace": namespace}, "Values": merge(defaults, *layers)}
                         for layers in several]}))
        return [result.get("rendered", result.get("error")) for result in json.loads(done.stdout)]

    def render_each(self, several, release="fantail", namespace="fantail"):
        found = []
        for texts in self.texts(several, release, namespace):
            if isinstance(texts, str):
                raise NotRendered(texts)
            found.append([o for name, text in sorted(texts.items()) if name.endswith(".yaml") for o in objects(text)])
        return found

    def render(self, *layers, release="fantail", namespace="fantail"):
        return self.render_each([layers], release, namespace)[0]


# ---- Comparing with kustomize ----

# Kubernetes takes these lists for maps with this key.
KEYED = {"env": "name", "volumes": "name", "volumeMounts": "mountPath"}


def sort_keyed(node, name=None):
    if isinstance(node, dict):
        return {key: sort_keyed(value, key) for key, value in node.items()}
    if isinstance(node, list):
        items = [sort_keyed(item) for item in node]
        return sorted(items, key=lambda item: item[KEYED[name]]) if name in KEYED else items
    return node


def by_name(found):
    named = {(o["apiVersion"], o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]): sort_keyed(o) for o in found}
    assert len(named) == len(found), "an object is there twice"
    return named


def of_kustomize(found):
    """Leaves out what the chart cannot have in the same way: the Namespace, and the hash of the content at the end of the
    names of some ConfigMaps."""
    text = json.dumps([o for o in found if o["kind"] != "Namespace"])
    for o in found:
        name = re.fullmatch(r"(fantail-(?:task-[a-z]+|job-store))-[a-z0-9]{10}", o["metadata"]["name"])
        if name and o["kind"] == "ConfigMap":
            text = text.replace(f'"{name.group(0)}"', f'"{name.group(1)}"')
    return by_name(json.loads(text))


def of_helm(found):
    """Leaves out the checksum. It has the effect that the hash in a name has with kustomize: a change of the ConfigMap
    replaces the pods."""
    found = json.loads(json.dumps(found))
    for o in found:
        metadata = o.get("spec", {}).get("template", {}).get("metadata", {})
        if metadata.get("annotations", {}).pop("checksum/tasks", None) and not metadata["annotations"]:
            del metadata["annotations"]
    return by_name(found)
