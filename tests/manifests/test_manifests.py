#!/usr/bin/env python3
"""Renders every overlay with every set of components and checks what comes out.

Needs kustomize or kubectl, and PyYAML; the schemas come from the package kubernetes-validate, the checks of the
CloudFormation template from cfn-lint (both PyPI), those of alerts and metrics from promtool. Whatever is missing skips its tests, with the reason.
"""
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

try:
    import yaml
except ImportError:
    yaml = None
try:
    import kubernetes_validate
except ImportError:
    kubernetes_validate = None

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("FANTAIL_BIN", os.path.join(ROOT, "build/bin"))
KUSTOMIZE = ([shutil.which("kustomize"), "build"] if shutil.which("kustomize") else
             [shutil.which("kubectl"), "kustomize"] if shutil.which("kubectl") else None)
VERSION = os.environ.get("KUBERNETES_VERSION", "1.34")
BASES = ("base", "overlays/dev", "overlays/production", "overlays/scale-to-zero")
COMPONENTS = ("keda", "network-policy", "monitoring", "ingress")
# Of other projects: not in the Kubernetes schema.
CUSTOM = {"ScaledObject", "PodMonitor", "PrometheusRule"}


def already_in(base):
    with open(f"{ROOT}/k8s/{base}/kustomization.yaml", encoding="utf-8") as file:
        return {os.path.basename(c) for c in yaml.safe_load(file).get("components", ())}


def combinations():
    """(base, components beyond its own). dev has no autoscaler that keda could replace."""
    for base in BASES:
        free = [c for c in COMPONENTS if c not in already_in(base) and (base, c) != ("overlays/dev", "keda")]
        for count in range(len(free) + 1):
            yield from ((base, chosen) for chosen in itertools.combinations(free, count))


def kustomize(path, name):
    done = subprocess.run([*KUSTOMIZE, path], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{name}: {done.stderr}")
    return list(yaml.safe_load_all(done.stdout))


def render(base, components):
    if not components:
        return kustomize(f"{ROOT}/k8s/{base}", base)
    with tempfile.TemporaryDirectory() as folder:
        relative = os.path.relpath(f"{ROOT}/k8s", os.path.realpath(folder))
        with open(folder + "/kustomization.yaml", "w", encoding="utf-8") as out:
            yaml.safe_dump({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
                            "resources": [f"{relative}/{base}"],
                            "components": [f"{relative}/components/{c}" for c in components]}, out)
        return kustomize(folder, f"{base} with {components}")


def of_kind(objects, kind):
    return [o for o in objects if o["kind"] == kind]


def environment(deployment):
    return {e["name"]: e["value"] for e in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}


def program_options(program):
    path = f"{BIN}/{program}"
    if not os.access(path, os.X_OK):
        return None
    text = subprocess.run([path, "--print-config"], capture_output=True, text=True).stdout
    return {"FANTAIL_" + line.split(" = ")[0].upper().replace("-", "_") for line in text.splitlines()}


@unittest.skipUnless(yaml, "PyYAML is missing (package python3-yaml)")
@unittest.skipUnless(KUSTOMIZE, "neither kustomize nor kubectl is here")
class Kubernetes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rendered = {(base, parts): render(base, parts) for base, parts in combinations()}

    def each(self, kind):
        for name, objects in self.rendered.items():
            for o in of_kind(objects, kind):
                with self.subTest(rendered=name, object=o["metadata"]["name"]):
                    yield objects, o

    def test_every_combination_renders_and_names_each_object_once(self):
        self.assertGreater(len(self.rendered), 20)
        for name, objects in self.rendered.items():
            keys = [(o["kind"], o["metadata"]["name"]) for o in objects]
            self.assertEqual(len(keys), len(set(keys)), name)

    @unittest.skipUnless(kubernetes_validate, "kubernetes-validate is missing (PyPI)")
    def test_no_object_has_a_field_that_kubernetes_does_not_know(self):
        for name, objects in self.rendered.items():
            for o in objects:
                if o["kind"] not in CUSTOM:
                    with self.subTest(rendered=name, object=o["metadata"]["name"]):
                        kubernetes_validate.validate(o, VERSION, strict=True)
        broken = json.loads(json.dumps(of_kind(self.rendered["base", ()], "Deployment")[0]))
        broken["spec"]["template"]["spec"]["terminationGracePeriodSecond"] = 1
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, VERSION, strict=True)

    def test_grace_covers_delay_and_drain(self):
        for _, d in self.each("Deployment"):
            env = environment(d)
            needed = float(env["FANTAIL_SHUTDOWN_DELAY_S"]) + float(env["FANTAIL_DRAIN_S"]) + 5
            self.assertGreaterEqual(d["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], needed)
            probe = d["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
            self.assertGreaterEqual(float(env["FANTAIL_SHUTDOWN_DELAY_S"]),
                                    probe["periodSeconds"] * probe["failureThreshold"])

    def test_no_replicas_under_an_autoscaler_and_at_most_one_autoscaler(self):
        for objects, d in self.each("Deployment"):
            scalers = [s for s in of_kind(objects, "HorizontalPodAutoscaler") + of_kind(objects, "ScaledObject")
                       if s["spec"]["scaleTargetRef"]["name"] == d["metadata"]["name"]]
            self.assertLessEqual(len(scalers), 1)
            self.assertEqual(bool(scalers), "replicas" not in d["spec"])

    def test_autoscalers_say_how_fast_both_ways(self):
        for _, h in self.each("HorizontalPodAutoscaler"):
            self.assertEqual(set(h["spec"]["behavior"]), {"scaleUp", "scaleDown"})
        for _, s in self.each("ScaledObject"):
            self.assertEqual(set(s["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]),
                             {"scaleUp", "scaleDown"})
            self.assertIn("fallback", s["spec"])
            trigger = s["spec"]["triggers"][0]["metadata"]
            self.assertEqual(trigger["aggregationType"], "sum")
            self.assertTrue(trigger["url"].endswith(":9080/autoscale"))

    def test_scale_to_zero_goes_to_zero(self):
        scaled = of_kind(self.rendered["overlays/scale-to-zero", ()], "ScaledObject")[0]
        self.assertEqual(scaled["spec"]["minReplicaCount"], 0)

    def test_pods_are_restricted(self):
        for objects, d in self.each("Deployment"):
            pod = d["spec"]["template"]["spec"]
            self.assertEqual((pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]), (True, 65532))
            self.assertEqual(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault")
            self.assertIs(pod["automountServiceAccountToken"], False)
            accounts = {a["metadata"]["name"]: a for a in of_kind(objects, "ServiceAccount")}
            self.assertIs(accounts[pod["serviceAccountName"]]["automountServiceAccountToken"], False)
            for c in pod["containers"]:
                self.assertIs(c["securityContext"]["readOnlyRootFilesystem"], True)
                self.assertIs(c["securityContext"]["allowPrivilegeEscalation"], False)
                self.assertEqual(c["securityContext"]["capabilities"], {"drop": ["ALL"]})
                self.assertIn("/tmp", [m["mountPath"] for m in c["volumeMounts"]])
                self.assertIn("memory", c["resources"]["limits"])
        for _, n in self.each("Namespace"):
            self.assertEqual(n["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted")

    def test_probes_ask_the_admin_port(self):
        for _, d in self.each("Deployment"):
            c = d["spec"]["template"]["spec"]["containers"][0]
            ports = {p["name"]: p["containerPort"] for p in c["ports"]}
            self.assertIn(ports["admin"], (9080, 9081))
            for probe, path in (("readinessProbe", "/readyz"), ("livenessProbe", "/livez"), ("startupProbe", "/livez")):
                self.assertEqual(c[probe]["httpGet"], {"path": path, "port": "admin"})

    def test_selectors_find_pods_and_each_deployment_may_be_disrupted_slowly(self):
        for objects, d in self.each("Deployment"):
            labels = d["spec"]["template"]["metadata"]["labels"].items()
            budgets = [b for b in of_kind(objects, "PodDisruptionBudget")
                       if b["spec"]["selector"]["matchLabels"].items() <= labels]
            services = [s for s in of_kind(objects, "Service") if s["spec"]["selector"].items() <= labels]
            self.assertEqual(len(budgets), 1)
            self.assertEqual(sorted(s["spec"].get("clusterIP", "") for s in services), ["", "None"])
            self.assertEqual(len(d["spec"]["template"]["spec"]["topologySpreadConstraints"]), 2)

    def test_environment_variables_are_options_of_the_programs(self):
        for _, d in self.each("Deployment"):
            known = program_options("fantail-" + d["spec"]["template"]["spec"]["containers"][0]["name"])
            if known is None:
                self.skipTest(f"no programs in {BIN}")
            self.assertLessEqual(set(environment(d)), known)

    def test_dashboard_and_alerts_use_metrics_that_exist(self):
        known = set()
        for folder, _, files in os.walk(ROOT + "/services"):
            for name in files:
                if name.endswith((".c", ".h")):
                    with open(os.path.join(folder, name), encoding="utf-8") as source:
                        known.update(re.findall(r'"((?:fantail|process)_[a-z_]+)"', source.read()))
        texts = [a["expr"] for o in of_kind(self.rendered["overlays/production", ()], "PrometheusRule")
                 for g in o["spec"]["groups"] for a in g["rules"]]
        with open(ROOT + "/deploy/grafana/fantail.json", encoding="utf-8") as dashboard:
            texts += [t["expr"] for p in json.load(dashboard)["panels"] for t in p["targets"]]
        used = {re.sub("_(bucket|sum|count)$", "", m) for t in texts for m in re.findall(r"\b(?:fantail|process)_[a-z_]+", t)}
        self.assertGreater(len(used), 10)
        self.assertLessEqual(used, known)


PROMTOOL = shutil.which("promtool")


@unittest.skipUnless(PROMTOOL, "promtool is missing (package prometheus)")
class Prometheus(unittest.TestCase):
    @unittest.skipUnless(yaml, "PyYAML is missing (package python3-yaml)")
    def test_alerts_fire_when_they_should_and_only_then(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(ROOT + "/k8s/components/monitoring/rules.yaml", encoding="utf-8") as rules, \
                    open(folder + "/rules.yml", "w", encoding="utf-8") as out:
                yaml.safe_dump(yaml.safe_load(rules)["spec"], out)
            shutil.copy(ROOT + "/tests/manifests/alerts_test.yaml", folder)
            done = subprocess.run([PROMTOOL, "test", "rules", folder + "/alerts_test.yaml"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_metrics_of_both_services_are_well_formed(self):
        for name in ("coordinator", "worker"):
            program = f"{BIN}/fantail-{name}"
            if not os.access(program, os.X_OK):
                self.skipTest(f"no programs in {BIN}")
            with tempfile.TemporaryDirectory() as tasks:
                more = ["--tasks", tasks] if name == "worker" else []
                service = subprocess.Popen([program, "--port", "0", "--admin-port", "0", "--ready-fd", "1", *more],
                                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                try:
                    admin = service.stdout.readline().split()[2]
                    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=30) as answer:
                        metrics = answer.read()
                finally:
                    service.terminate()
                    service.communicate(timeout=60)
            done = subprocess.run([PROMTOOL, "check", "metrics"], input=metrics, capture_output=True)
            self.assertEqual((done.returncode, done.stderr), (0, b""))


TEMPLATE = ROOT + "/deploy/ecs/fantail.yaml"
CFN_LINT = shutil.which("cfn-lint")


@unittest.skipUnless(os.path.exists(TEMPLATE), "deploy/ecs/fantail.yaml is not there")
class Ecs(unittest.TestCase):
    @unittest.skipUnless(CFN_LINT, "cfn-lint is missing (PyPI)")
    def test_cfn_lint_is_clean(self):
        done = subprocess.run([CFN_LINT, TEMPLATE], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    @unittest.skipUnless(yaml, "PyYAML is missing (package python3-yaml)")
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
    unittest.main(argv=sys.argv)
