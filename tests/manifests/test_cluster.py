#!/usr/bin/env python3
"""The manifests on a real control plane, with the exact commands of docs/deploy-kubernetes.md. No pod is run."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import control_plane
import test_manifests
from manifest_tools import ROOT
from test_manifests import KUSTOMIZE, NO_KUSTOMIZE, NO_YAML, YAML

PROGRAMS, NO_PROGRAMS = control_plane.programs()
# Kinds of other projects. The control plane accepts objects of these kinds without checks.
KINDS = {"keda.sh/v1alpha1": ("ScaledObject",), "monitoring.coreos.com/v1": ("PodMonitor", "PrometheusRule"),
         "cert-manager.io/v1": ("Issuer", "Certificate")}
# Stubs of commands that need running containers, a registry or a person. All other `kubectl` commands run the real
# program.
STUBS = {
    "docker": "", "kind": "", "curl": "echo fantail_answer",
    "kubectl": 'case " $* " in *" port-forward "* | *" logs "*) exit 0 ;; */proxy/metrics*) echo fantail_token_accepted 1; exit 0 ;; '
               'esac; exec timeout 100 "$KUBECTL" "$@"'}


def definitions():
    for version, kinds in KINDS.items():
        group, version = version.split("/")
        for kind in kinds:
            anything = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
            yield {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                   "metadata": {"name": f"{kind.lower()}s.{group}"},
                   "spec": {"group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": kind.lower() + "s"},
                            "versions": [{"name": version, "served": True, "storage": True, "schema": anything}]}}


def as_list(objects):
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})


def console(text):
    """Returns the commands in one part of a document."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.S)
    return "\n".join(re.sub(r"^\$ ", "", line) for block in blocks for line in block.split("\n") if line[:1] in "$ ")


@unittest.skipUnless(PROGRAMS, NO_PROGRAMS)
@unittest.skipUnless(shutil.which("kubectl"), "kubectl is missing")
@unittest.skipUnless(YAML, NO_YAML)
@unittest.skipUnless(KUSTOMIZE, NO_KUSTOMIZE)
class OnACluster(unittest.TestCase):
    def setUp(self):
        self.plane = control_plane.ControlPlane()
        self.addCleanup(self.plane.close)
        self.kubectl("apply", "-f", "-", input=as_list(definitions()))
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")

    def kubectl(self, *arguments, fails=False, **options):
        done = self.plane.kubectl(*arguments, **options)
        self.assertEqual(bool(done.returncode), fails, f"kubectl {arguments}: {done.stdout}{done.stderr}")
        return done

    def names(self, kind):
        return set(self.kubectl("-n", "fantail", "get", kind, "-o", "name").stdout.split())

    def run_steps(self, commands):
        """Runs the commands as one shell session, in a copy of k8s/."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        shutil.copytree(ROOT + "/k8s", folder + "/k8s")
        os.mkdir(folder + "/bin")
        for name, text in STUBS.items():
            with open(f"{folder}/bin/{name}", "w", encoding="utf-8") as out:
                out.write(f"#!/bin/sh\n{text}\n")
            os.chmod(f"{folder}/bin/{name}", 0o755)
        env = dict(os.environ, PATH=f"{folder}/bin:{os.environ['PATH']}", KUBECTL=shutil.which("kubectl"), KUBECONFIG=self.plane.kubeconfig)
        with control_plane.Ready(self.plane, "fantail"):
            done = subprocess.run(["bash", "-exc", commands], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=400)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertNotIn("would violate", done.stdout)
        return done.stdout

    def test_every_object_of_every_combination_is_admitted_without_a_warning_and_so_are_its_pods(self):
        self.kubectl("apply", "--server-side", "-f", ROOT + "/k8s/base/namespace.yaml")
        different = {json.dumps(o, sort_keys=True): o for name in test_manifests.combinations()
                     for o in test_manifests.render(*name)}.values()
        pods = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "fantail", "name": f"pod-{i}"},
                 "spec": d["spec"]["template"]["spec"]} for i, d in enumerate(test_manifests.of_kind(different, "Deployment"))]
        self.assertGreater(len(pods), 5)
        self.kubectl("apply", "--server-side", "-f", "-", input=as_list(test_manifests.of_kind(different, "ServiceAccount")))
        for objects in (list(different), pods):
            done = self.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", input=as_list(objects))
            self.assertNotRegex(done.stderr, r"(?m)^Warning")
            self.assertEqual(done.stdout.count("serverside-applied"), len(objects))
        del pods[0]["spec"]["containers"][0]["securityContext"]["capabilities"]
        done = self.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", input=as_list(pods[:1]), fails=True)
        self.assertIn('violates PodSecurity "restricted', done.stderr)

    def test_the_steps_of_the_document_go_through_from_nothing_to_nothing(self):
        with open(ROOT + "/docs/deploy-kubernetes.md", encoding="utf-8") as file:
            first, rest = file.read().split("On a laptop")
        laptop, rest = rest.split("## Your tasks")
        rest, remove = rest.split("## Remove")
        remove, _ = remove.split("## With Helm")
        first, laptop, rest, remove = (console(part) for part in (first, laptop, rest, remove))

        self.run_steps(first.replace("REGISTRY=registry.example", "REGISTRY=registry.test") + "\n" + rest)
        self.assertEqual(self.names("scaledobjects"), {"scaledobject.keda.sh/fantail-worker"})
        self.assertEqual(self.names("hpa"), set(), "two autoscalers would work against each other")
        self.assertLessEqual({"secret/fantail-tokens", "secret/fantail-worker-tls", "secret/fantail-coordinator-tls"},
                             self.names("secrets"))
        images = self.kubectl("-n", "fantail", "get", "deployments", "-o", "jsonpath={..image}").stdout.split()
        self.assertEqual(images, ["registry.test/fantail-coordinator:0.1.0", "registry.test/fantail-worker:0.1.0"])
        secret = json.loads(self.kubectl("-n", "fantail", "get", "secret", "fantail-tokens", "-o", "json").stdout)["data"]
        self.assertEqual(set(secret), {"clients", "workers"})
        coordinator = json.loads(self.kubectl("-n", "fantail", "get", "deployment", "fantail-coordinator", "-o", "json").stdout)
        self.assertEqual(coordinator["spec"]["replicas"], 3, "KEDA is added to production")
        self.assertIn("FANTAIL_TLS_CERT", test_manifests.environment(coordinator))

        self.run_steps(remove)
        self.kubectl("get", "namespace", "fantail", fails=True)
        self.run_steps(laptop)
        self.assertEqual(self.names("hpa"), set())
        self.assertEqual(len(self.names("pods")), 2)


if __name__ == "__main__":
    unittest.main()
