#!/usr/bin/env python3
"""The Helm chart makes the same objects as the overlays and components in k8s/, and each of its values has an effect.

The tests of `WithoutHelm` render with Go's text/template. The tests of `WithHelm` render with the program helm. If a tool is
missing, its tests are skipped with the reason.
"""
import filecmp
import json
import os
import re
import tempfile
import unittest

import manifest_tools
import test_manifests
from manifest_tools import ROOT
from test_manifests import KUSTOMIZE, NO_KUSTOMIZE, NO_YAML, YAML, environment, of_kind

HELM, NO_HELM = manifest_tools.helm()
GO, NO_GO = manifest_tools.go()
SCHEMAS, NO_SCHEMAS = manifest_tools.python_packages("jsonschema")
if YAML:
    import helm_chart
    from helm_chart import CHART, NotRendered, load, merge, of_helm, of_kustomize, read, values_of

# The layers of values that have the effect of each base and each component.
UNTAGGED = {"coordinator": {"image": {"repository": "fantail-coordinator", "tag": ""}},
            "worker": {"image": {"repository": "fantail-worker", "tag": ""}}}
COMPONENTS = {
    "keda": {"worker": {"autoscaling": {"type": "keda", "minReplicas": 2, "maxReplicas": 100, "tasks": []}}},
    "network-policy": {"networkPolicy": {"enabled": True}},
    "monitoring": {"monitoring": {"enabled": True}},
    "ingress": {"ingress": {"enabled": True}},
    "cert-manager": {"certManager": {"enabled": True}},
    "tls": {"tls": {"enabled": True}},
    "job-store": {"jobStore": {"enabled": True}},
}
# An overlay makes the autoscaler of this component.
ONLY_IN_OVERLAYS = {"gpu-pool"}
# With kustomize, the volume for the database of dev stays in the pod without a use.
NOT_TOGETHER = {("overlays/dev", "job-store")}
EVERYTHING = [*COMPONENTS.values(), {"worker": {"tasks": {"shout": {"task.json": "{}"}}}, "database": {"enabled": True},
                                     "gpu": {"enabled": True, "autoscaling": {"type": "keda", "tasks": ["embed"]}}}]


def layers_of(base):
    return [UNTAGGED if base == "base" else values_of(os.path.basename(base))]


def combinations():
    """Yields (base, components): each base alone, with each component, and with all components."""
    for base in test_manifests.BASES:
        free = [c for c in COMPONENTS if c not in test_manifests.already_in(base) and (base, c) not in NOT_TOGETHER]
        yield from ((base, chosen) for chosen in ((), *((c,) for c in free), tuple(free)))


def leaves(values, path=()):
    """Yields the path and the value of each value that is no map with keys."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def at(path, value):
    for key in reversed(path):
        value = {key: value}
    return value


def another(path, value):
    """Returns a value that differs from the default."""
    if path[-1] in ("behavior", "scaleUp", "scaleDown", "affinity"):
        return {"changed": "x"}
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return ["changed"] if path[-1] == "tasks" else [{"name": "changed"}]
    return "changed" if isinstance(value, str) else {"changed": {"task.json": "{}"}} if path[-1] == "tasks" else {"changed": "x"}


def container(objects, name):
    [d] = [d for d in of_kind(objects, "Deployment") if d["metadata"]["name"] == name]
    return d["spec"]["template"]["spec"]["containers"][0]


class Rendering:
    """Tests that each way of rendering must pass. `self.chart` renders."""
    maxDiff = None

    def assert_equal(self, base, components, made):
        theirs, ours = of_kustomize(test_manifests.render(base, components)), of_helm(made)
        self.assertEqual(sorted(map(str, theirs)), sorted(map(str, ours)))
        for name, o in theirs.items():
            with self.subTest(base=base, components=components, object=name):
                self.assertEqual(ours[name], o)

    @unittest.skipUnless(KUSTOMIZE, NO_KUSTOMIZE)
    def test_the_objects_are_those_of_each_overlay_with_each_component(self):
        tried = list(combinations())
        made = self.chart.render_each([[*layers_of(base), *(COMPONENTS[c] for c in chosen)] for base, chosen in tried])
        for (base, chosen), found in zip(tried, made):
            self.assert_equal(base, chosen, found)

    def test_another_release_in_another_namespace_has_the_same_objects_with_other_names(self):
        layers = [*EVERYTHING, *({pool: {"image": {"repository": "image"}}} for pool in ("coordinator", "worker", "gpu"))]
        ours = self.chart.render(*layers)
        theirs = self.chart.render(*layers, release="jobs", namespace="elsewhere")
        back = json.dumps(theirs).replace("jobs-fantail", "fantail").replace("elsewhere", "fantail")
        self.assertEqual(of_helm(json.loads(back)), of_helm(ours))
        # No name without the release is left, except for these labels, paths and hosts.
        text = json.dumps([o for o in theirs if o["kind"] != "PrometheusRule" and not o["metadata"]["name"].endswith("-dashboard")])
        self.assertEqual(set(re.findall(r"(?<!jobs-)fantail[a-z.-]*", text)),
                         {"fantail", "fantail-client", "fantail-job-store", "fantail.dev", "fantail.example"})
        self.assertEqual(set(re.findall(r'"app.kubernetes.io/part-of": "(.*?)"', text)), {"jobs-fantail"})
        self.assertEqual(set(re.findall(r'"namespace": "(.*?)"', text)), {"elsewhere"})
        [named] = {o["metadata"]["name"].split("-")[0] for o in self.chart.render({"fullnameOverride": "myfantail"})}
        self.assertEqual(named, "myfantail")

    def test_the_environment_of_the_user_takes_precedence(self):
        env = {"FANTAIL_HOST": "::", "FANTAIL_DNS_REFRESH_S": "7",
               "KEY": {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}}
        found = container(self.chart.render({"coordinator": {"env": env}}), "fantail-coordinator")["env"]
        named = {e["name"]: e for e in found}
        self.assertEqual(len(named), len(found))
        for name in ("FANTAIL_HOST", "FANTAIL_DNS_REFRESH_S"):
            self.assertEqual(named[name]["value"], env[name])
        self.assertEqual(named["KEY"], {"name": "KEY", **env["KEY"]})
        self.assertIn("FANTAIL_WORKERS", named)

    def test_a_change_of_a_task_replaces_the_workers(self):
        templates = []
        for text in ("{}", "[]"):
            [worker] = [d for d in of_kind(self.chart.render({"worker": {"tasks": {"t": {"task.json": text}}}}), "Deployment")
                        if d["metadata"]["name"] == "fantail-worker"]
            self.assertEqual(environment(worker)["FANTAIL_TASKS"], "/config-tasks:/tasks")
            templates.append(worker["spec"]["template"])
        self.assertNotEqual(*templates)

    def test_values_that_cannot_work_are_refused_with_a_message(self):
        grace = r"\.terminationGracePeriodSeconds must be at least shutdownDelaySeconds \+ drainSeconds \+ 5 = "
        for layer, message in (({"coordinator": {"drainSeconds": 301}}, f"coordinator{grace}311"),
                               ({"worker": {"drainSeconds": 71}}, f"worker{grace}81"),
                               ({"worker": {"autoscaling": {"minReplicas": 0}}}, "minReplicas must be at least 1")):
            with self.assertRaisesRegex(NotRendered, message):
                self.chart.render(layer)


@unittest.skipUnless(YAML, NO_YAML)
class WithHelm(Rendering, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not HELM:
            raise unittest.SkipTest(NO_HELM)
        cls.chart = helm_chart.WithHelm(HELM)

    def test_helm_lint_finds_nothing(self):
        for layers in ([], EVERYTHING, *(layers_of(base) for base in test_manifests.BASES)):
            self.assertIn("0 chart(s) failed", self.chart.run("lint", "--strict", CHART, *helm_chart.KUBE_VERSION, layers=layers))

    def test_values_that_the_schema_does_not_know_are_refused(self):
        for layer in ({"workers": {}}, {"worker": {"replica": 3}}, {"worker": {"env": {"A": 1}}}):
            with self.assertRaisesRegex(NotRendered, "the specifications of the schema"):
                self.chart.render(layer)

    def test_the_package_has_the_same_objects(self):
        with tempfile.TemporaryDirectory() as folder:
            self.chart.run("package", CHART, "--destination", folder)
            [package] = os.listdir(folder)
            found = self.chart.render(*EVERYTHING, chart=f"{folder}/{package}")
        self.assertEqual(of_helm(found), of_helm(self.chart.render(*EVERYTHING)))

    @unittest.skipUnless(GO, NO_GO)
    def test_helm_and_the_other_way_to_render_agree(self):
        with tempfile.TemporaryDirectory() as folder:
            other = helm_chart.WithGo(folder)
            for layers in ([], EVERYTHING, *(layers_of(base) for base in test_manifests.BASES)):
                self.assertEqual(of_helm(self.chart.render(*layers)), of_helm(other.render(*layers)))


@unittest.skipUnless(YAML, NO_YAML)
@unittest.skipUnless(GO, NO_GO)
class WithoutHelm(Rendering, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.chart = helm_chart.WithGo(folder.name)

    def test_each_value_has_an_effect(self):
        """Each value is changed alone. Some values have an effect only with one kind of autoscaler."""
        roomy = {name: {"terminationGracePeriodSeconds": 900} for name in ("coordinator", "worker", "gpu")}

        def scaled_by(kind):
            return {"worker": {"autoscaling": {"type": kind}},
                    "gpu": {"autoscaling": {"type": kind, "tasks": [], "minReplicas": 1}}}
        contexts = ([roomy], [*EVERYTHING, roomy], *([*EVERYTHING, roomy, scaled_by(kind)] for kind in ("hpa", "keda", "none")),
                    [*EVERYTHING, roomy, {"jobStore": {"enabled": False}}])
        changed = [(path, [at(path, another(path, value))]) for path, value in leaves(values_of(""))]
        self.assertGreater(len(changed), 100)
        texts = self.chart.texts([*contexts, *([*layers, *change] for _, change in changed for layers in contexts)])
        plain, texts = texts[:len(contexts)], texts[len(contexts):]
        for text in plain:
            self.assertIsInstance(text, dict)
        for i, (path, _) in enumerate(changed):
            made = texts[i * len(contexts):(i + 1) * len(contexts)]
            with self.subTest(".".join(path)):
                changes = [m for m, p in zip(made, plain) if isinstance(m, dict) and m != p]
                self.assertTrue(changes)
                for name, text in changes[0].items():
                    self.assertTrue(name.endswith(".txt") or helm_chart.objects(text) is not None)

    @unittest.skipUnless(test_manifests.SCHEMAS, test_manifests.NO_SCHEMAS)
    def test_kubernetes_knows_each_field_that_a_value_adds(self):
        import kubernetes_validate
        pod = {"image": {"pullPolicy": "Always"}, "env": {"K": {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}},
               "podAnnotations": {"a": "b"}, "podLabels": {"c": "d"}, "nodeSelector": {"e": "f"}, "priorityClassName": "high",
               "tolerations": [{"key": "g", "operator": "Exists"}], "affinity": {"nodeAffinity": {}},
               "extraVolumes": [{"name": "v", "emptyDir": {}}], "extraVolumeMounts": [{"name": "v", "mountPath": "/v"}]}
        account = {"serviceAccountAnnotations": {"h": "i"}}
        layer = {"imagePullSecrets": [{"name": "r"}], "gpu": pod, "worker": {**pod, **account},
                 "coordinator": {**pod, **account, "service": {"type": "LoadBalancer", "annotations": {"j": "k"}}},
                 "ingress": {"tls": [{"hosts": ["h.example"], "secretName": "t"}], "annotations": {"l": "m"}},
                 "networkPolicy": {"workerEgress": [{"ports": [{"port": 443, "protocol": "TCP"}]}]}}
        found = self.chart.render(*EVERYTHING, layer)
        self.assertEqual(len(of_kind(found, "Deployment")), 3)
        for o in found:
            if o["kind"] not in test_manifests.CUSTOM:
                with self.subTest(o["kind"], name=o["metadata"]["name"]):
                    kubernetes_validate.validate(o, test_manifests.VERSION, strict=True)

    def test_the_commands_and_values_of_the_document_render(self):
        [_, text] = read(ROOT + "/docs/deploy-kubernetes.md").split("\n## With Helm\n")
        defaults = values_of("")
        commands = re.findall(r"^\$ (helm (?:install|upgrade) .*(?:\n {6}.*)*)", text, re.M)
        self.assertGreater(len(commands), 1)
        settings = re.findall(r"--set ([\w.]+)=(\S+)", " ".join(commands))
        settings += [(name, "true") for name in re.findall(r"`([\w.]+\.enabled)`", text)]
        self.assertGreater(len(settings), 5)
        for name, value in settings:
            self.assertIn(tuple(name.split(".")), dict(leaves(defaults)), f"{name}={value}")
        [mine] = re.findall(r"```yaml\n(.*?)```", text, re.S)
        found = self.chart.render(helm_chart.yaml.safe_load(mine))
        self.assertIn("registry.example/my-tasks:7", [container(found, "fantail-worker")["image"]])
        files = set(re.findall(r"values-[a-z-]+\.yaml", text))
        self.assertEqual(files, {name for name in os.listdir(CHART) if name.startswith("values-")})

    def test_the_notes_name_what_the_user_must_do(self):
        def notes(*layers):
            [texts] = self.chart.texts([layers])
            return texts["templates/NOTES.txt"]
        self.assertIn("create secret generic fantail-tokens", notes())
        self.assertIn("WARNING: there are no tokens", notes(*layers_of("overlays/dev")))
        self.assertNotIn("fantail-tokens", notes(*layers_of("overlays/dev")))
        self.assertIn("--connect-to ::localhost:8080 https://fantail-coordinator/v1/jobs -H", notes({"tls": {"enabled": True}}))
        self.assertIn("unencrypted", notes({"ingress": {"enabled": True}}))
        self.assertIn("fantail-job-store", notes({"jobStore": {"enabled": True}}))


@unittest.skipUnless(YAML, NO_YAML)
class Chart(unittest.TestCase):
    def test_each_base_and_component_has_its_values(self):
        folders = set(os.listdir(ROOT + "/k8s/components"))
        self.assertEqual(folders, set(COMPONENTS) | ONLY_IN_OVERLAYS)
        overlays = set(os.listdir(ROOT + "/k8s/overlays"))
        self.assertEqual({f"values-{o}.yaml" for o in overlays}, {n for n in os.listdir(CHART) if n.startswith("values-")})

    def test_the_copies_of_the_rules_and_the_dashboard_are_equal(self):
        names = os.listdir(CHART + "/files")
        self.assertEqual(sorted(names), ["fantail.json", "rules.yaml"])
        for name in names:
            source = f"k8s/components/monitoring/{name}"
            self.assertTrue(filecmp.cmp(f"{ROOT}/{source}", f"{CHART}/files/{name}", shallow=False),
                            f"run: cp {source} deploy/helm/fantail/files/")

    def test_the_versions_are_those_of_fantail(self):
        [version] = re.findall(r"^VERSION\s*:=\s*(\S+)", read(ROOT + "/Makefile"), re.M)
        chart, values = load(CHART + "/Chart.yaml"), values_of("")
        tags = [values[pool]["image"]["tag"] for pool in ("coordinator", "worker", "gpu")]
        self.assertEqual([chart["version"], chart["appVersion"], *tags], [version] * 5)

    def test_each_value_has_a_comment(self):
        lines = read(CHART + "/values.yaml").splitlines()
        keys = [i for i, line in enumerate(lines) if re.match(r" *[A-Za-z]+:", line)]
        self.assertGreater(len(keys), 100)
        bare = [lines[i].strip() for i in keys if not lines[i - 1].strip().startswith("#")]
        self.assertEqual(bare, ["coordinator:", "worker:"], "these two need no comment")

    @unittest.skipUnless(SCHEMAS, NO_SCHEMAS)
    def test_the_schema_knows_the_values_and_no_others(self):
        import jsonschema
        schema = json.loads(read(CHART + "/values.schema.json"))
        jsonschema.Draft7Validator.check_schema(schema)
        validator, defaults = jsonschema.Draft7Validator(schema), values_of("")
        for layers in ([], EVERYTHING, *(layers_of(base) for base in test_manifests.BASES)):
            self.assertEqual([e.message for e in validator.iter_errors(merge(defaults, *layers))], [])
        for path in {path[:n] for path, _ in leaves(defaults) for n in range(len(path))}:
            # The keys of these maps are not the chart's.
            if not {"resources", "behavior", "env", "clientNamespaceLabels"} & set(path[-2:]):
                with self.subTest(".".join(path)):
                    self.assertFalse(validator.is_valid(merge(defaults, at(path, {"misspelt": 1}))))
        for path, value in leaves(defaults):
            if isinstance(value, (bool, int)) and "behavior" not in path:
                self.assertFalse(validator.is_valid(merge(defaults, at(path, "no number"))), path)
        for wrong in ({"env": {"A": 1}}, {"image": {"tag": 1}}, {"autoscaling": {"type": "cpu"}}, {"tasks": {"Bad_Name": {}}}):
            wrong = {"worker": wrong}
            self.assertFalse(validator.is_valid(merge(defaults, wrong)), wrong)


if __name__ == "__main__":
    unittest.main()
