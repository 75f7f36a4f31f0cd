#!/usr/bin/env python3
"""Renders every overlay with every set of components, and checks the results.

The schemas come from the package kubernetes-validate. If a tool is missing, its tests are skipped with the reason.
"""
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import manifest_tools
from manifest_tools import ROOT, program_options

YAML, NO_YAML = manifest_tools.python_packages("yaml")
SCHEMAS, NO_SCHEMAS = manifest_tools.python_packages("kubernetes_validate")
KUSTOMIZE, NO_KUSTOMIZE = manifest_tools.kustomize()
if YAML:
    import yaml
if SCHEMAS:
    import kubernetes_validate

VERSION = os.environ.get("KUBERNETES_VERSION", "1.34")
BASES = ("base", "overlays/dev", "overlays/production", "overlays/scale-to-zero", "overlays/pools-keda",
         "overlays/pools-hpa")
COMPONENTS = ("keda", "network-policy", "monitoring", "ingress", "cert-manager", "tls")
# Kinds of other projects. The schemas of Kubernetes do not describe these kinds.
CUSTOM = {"ScaledObject", "PodMonitor", "PrometheusRule", "Issuer", "Certificate"}


def already_in(base):
    with open(f"{ROOT}/k8s/{base}/kustomization.yaml", encoding="utf-8") as file:
        return {os.path.basename(c) for c in yaml.safe_load(file).get("components", ())}


def combinations():
    """Yields (base, components) for each base and each set of components that the base does not already have."""
    for base in BASES:
        free = [c for c in COMPONENTS if c not in already_in(base)]
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


def render_inside(base, component):
    """Renders an overlay that has the component in its own `components`."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(f"{ROOT}/k8s", f"{folder}/k8s")
        path = f"{folder}/k8s/{base}/kustomization.yaml"
        with open(path, encoding="utf-8") as file:
            overlay = yaml.safe_load(file)
        overlay["components"] = [*overlay.get("components", ()), f"../../components/{component}"]
        with open(path, "w", encoding="utf-8") as out:
            yaml.safe_dump(overlay, out)
        return kustomize(f"{folder}/k8s/{base}", f"{base} and {component}")


def names(objects):
    return sorted((o["kind"], o["metadata"]["name"]) for o in objects)


def of_kind(objects, kind):
    return [o for o in objects if o["kind"] == kind]


def environment(deployment):
    return {e["name"]: e["value"] for e in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}


@unittest.skipUnless(YAML, NO_YAML)
@unittest.skipUnless(KUSTOMIZE, NO_KUSTOMIZE)
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
        self.assertEqual(len(self.rendered), 240)
        for name, objects in self.rendered.items():
            keys = [(o["kind"], o["metadata"]["name"]) for o in objects]
            self.assertEqual(len(keys), len(set(keys)), name)

    def test_each_overlay_can_list_each_component(self):
        for base in BASES[1:]:
            for component in (c for c in COMPONENTS if c not in already_in(base)):
                with self.subTest(f"{base} and {component}"):
                    self.assertEqual(names(render_inside(base, component)), names(self.rendered[base, (component,)]))

    def test_the_job_store_is_mounted_where_its_option_says(self):
        for base in BASES:
            objects = render(base, ("job-store",))
            d = next(o for o in of_kind(objects, "Deployment") if o["metadata"]["name"] == "fantail-coordinator")
            if SCHEMAS:
                kubernetes_validate.validate(d, VERSION, strict=True)
            folder, key = os.path.split(environment(d)["FANTAIL_STORE_FILE"])
            pod = d["spec"]["template"]["spec"]
            mount = next(m for m in pod["containers"][0]["volumeMounts"] if m["mountPath"] == folder)
            volume = next(v for v in pod["volumes"] if v["name"] == mount["name"])
            self.assertEqual((volume["secret"]["secretName"], key), ("fantail-job-store", "url"))
            known = program_options("fantail-coordinator")
            self.assertIn("FANTAIL_STORE_FILE", known or {"FANTAIL_STORE_FILE"})

    @unittest.skipUnless(SCHEMAS, NO_SCHEMAS)
    def test_no_object_has_a_field_that_kubernetes_does_not_know(self):
        # Most objects are the same in every combination, so each different object is checked only once.
        different = {json.dumps(o, sort_keys=True): (name, o) for name, objects in self.rendered.items() for o in objects}
        for name, o in different.values():
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

    def test_workers_find_coordinators_through_a_name_that_a_cache_cannot_make_old(self):
        """Workers use the name of a Service with one address, and the name of a Service with the addresses of all pods.
        The one address of the first Service never changes. So a worker finds coordinators even while a cache has an old
        answer for the name of the second Service."""
        for objects, worker in self.each("Deployment"):
            if worker["metadata"]["labels"]["app.kubernetes.io/component"] != "worker":
                continue
            services = {s["metadata"]["name"]: s["spec"] for s in of_kind(objects, "Service")}
            [coordinator] = [d for d in of_kind(objects, "Deployment") if d["metadata"]["name"] == "fantail-coordinator"]
            self.assertEqual(environment(coordinator)["FANTAIL_REGISTER_WORKERS"], "true")
            https = "+https" if environment(coordinator)["FANTAIL_WORKERS"].startswith("dns+https://") else ""
            found = {}
            for url in environment(worker)["FANTAIL_REGISTER"].split(","):
                kind, name, port = re.fullmatch(r"(.*)://(.*):(.*)", url).groups()
                found[kind] = services[name]
                self.assertIn(int(port), [p["port"] for p in services[name]["ports"]])
                self.assertEqual(services[name]["selector"], coordinator["spec"]["selector"]["matchLabels"])
                for certificate in of_kind(objects, "Certificate"):
                    if certificate["metadata"]["name"] == "fantail-coordinator-tls":
                        self.assertIn(name, certificate["spec"]["dnsNames"])
            self.assertEqual(set(found), {f"balancer{https}", f"dns{https}"})
            self.assertNotEqual(found[f"balancer{https}"].get("clusterIP"), "None")
            self.assertEqual(found[f"dns{https}"].get("clusterIP"), "None")
            self.assertGreaterEqual(worker["spec"].get("minReadySeconds", 0), 5)

    def test_the_document_says_how_many_processors_production_needs(self):
        objects = render("overlays/production", ())
        scaled = {h["spec"]["scaleTargetRef"]["name"]: h["spec"]["minReplicas"]
                  for h in of_kind(objects, "HorizontalPodAutoscaler")}
        total, terms = 0, []
        for d in of_kind(objects, "Deployment"):
            count = scaled.get(d["metadata"]["name"], d["spec"].get("replicas"))
            [cpu] = [c["resources"]["requests"]["cpu"] for c in d["spec"]["template"]["spec"]["containers"]]
            processors = float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
            total += count * processors
            terms.append(f"{count} x {processors:g}")
        with open(f"{ROOT}/docs/deploy-kubernetes.md", encoding="utf-8") as file:
            text = " ".join(file.read().split())
        self.assertIn(f"{' + '.join(sorted(terms))} = {total:g} processors", text)

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
            for trigger in (t["metadata"] for t in s["spec"]["triggers"]):
                self.assertEqual((trigger["aggregationType"], trigger["aggregateFromKubeServiceEndpoints"]), ("sum", "true"))
                # KEDA requests the path of the URL from every coordinator, without query parameters.
                self.assertRegex(trigger["url"], r":9080/(autoscale|metrics)$")
                self.assertEqual(trigger.get("format") == "prometheus", trigger["url"].endswith("/metrics"))

    def test_keda_asks_coordinators_that_are_not_ready_and_nothing_else_reaches_them(self):
        """A coordinator that drains is not ready, but its jobs still need workers. Such a coordinator takes no new jobs, so
        the Service that publishes its address has only the admin port, and only KEDA uses this Service."""
        asked = 0
        for name, objects in self.rendered.items():
            with self.subTest(rendered=name):
                published = {s["metadata"]["name"]: s for s in of_kind(objects, "Service") if s["spec"].get("publishNotReadyAddresses")}
                triggers = [t["metadata"] for s in of_kind(objects, "ScaledObject") for t in s["spec"]["triggers"]]
                hosts = {re.fullmatch(r"http://([^/:]+):9080/\w+", t["url"]).group(1) for t in triggers}
                self.assertEqual(hosts, {f"{s}.fantail.svc.cluster.local" for s in published})
                [coordinator] = [d for d in of_kind(objects, "Deployment") if d["metadata"]["name"] == "fantail-coordinator"]
                for service in published.values():
                    asked += 1
                    self.assertEqual(service["spec"]["selector"], coordinator["spec"]["selector"]["matchLabels"])
                    self.assertEqual((service["spec"]["clusterIP"], [p["port"] for p in service["spec"]["ports"]]), ("None", [9080]))
                    others = [o for o in objects if o is not service and o["kind"] != "ScaledObject"]
                    self.assertNotIn(service["metadata"]["name"], json.dumps(others))
        self.assertGreater(asked, 10)

    def test_scale_to_zero_goes_to_zero(self):
        scaled = of_kind(self.rendered["overlays/scale-to-zero", ()], "ScaledObject")[0]
        self.assertEqual(scaled["spec"]["minReplicaCount"], 0)

    def test_each_pool_scales_by_the_demand_of_its_own_tasks(self):
        """The scalers must use the metric name that the coordinators export. The pod selectors of the pools' Deployments must
        not overlap."""
        tasks = {"fantail-worker": {"square", "wordcount"}, "fantail-worker-gpu": {"embed"}}
        for overlay, kind in (("overlays/pools-keda", "ScaledObject"), ("overlays/pools-hpa", "HorizontalPodAutoscaler")):
            objects = self.rendered[overlay, ()]
            scalers = {s["spec"]["scaleTargetRef"]["name"]: s["spec"] for s in of_kind(objects, kind)}
            self.assertEqual(set(scalers), set(tasks))
            for pool, scaler in scalers.items():
                if kind == "ScaledObject":
                    found = [re.fullmatch(r'(\w+)\{task="(\w+)"\}', t["metadata"]["valueLocation"]).groups()
                             for t in scaler["triggers"]]
                else:
                    found = [(m["name"], m["selector"]["matchLabels"]["task"])
                             for m in (metric["external"]["metric"] for metric in scaler["metrics"])]
                self.assertEqual(sorted(found), [("fantail_task_demand_slots", task) for task in sorted(tasks[pool])])
            pools = [d for d in of_kind(objects, "Deployment") if d["metadata"]["name"] in tasks]
            for d in pools:
                self.assertEqual([o["metadata"]["name"] for o in pools if d["spec"]["selector"]["matchLabels"].items()
                                  <= o["spec"]["template"]["metadata"]["labels"].items()], [d["metadata"]["name"]])
        with open(f"{ROOT}/k8s/overlays/pools-hpa/prometheus-adapter.yaml", encoding="utf-8") as file:
            [rule] = yaml.safe_load(file)["rules"]["external"]
        self.assertEqual(rule["name"]["as"], "fantail_task_demand_slots")
        with open(ROOT + "/services/coordinator/status/status.c", encoding="utf-8") as file:
            self.assertIn('"fantail_task_demand_slots"', file.read())

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

    def test_only_dev_is_insecure_and_the_rest_mounts_tokens(self):
        for (base, _), objects in self.rendered.items():
            for d in of_kind(objects, "Deployment"):
                pod, env = d["spec"]["template"]["spec"], environment(d)
                secrets = {v["name"]: v["secret"] for v in pod["volumes"] if "secret" in v}
                mounts = {m["name"]: m for m in pod["containers"][0]["volumeMounts"]}
                with self.subTest(base=base, object=d["metadata"]["name"]):
                    if base == "overlays/dev":
                        self.assertEqual(env["FANTAIL_INSECURE"], "true")
                        self.assertFalse([n for n in env if n.endswith("_TOKEN_FILE")])
                        self.assertEqual((set(secrets) - {"tls"}, set(mounts) & {"tokens"}), (set(), set()))
                        continue
                    self.assertNotIn("FANTAIL_INSECURE", env)
                    coordinator = d["metadata"]["name"] == "fantail-coordinator"
                    names = {"FANTAIL_TOKEN_FILE": "clients", "FANTAIL_WORKER_TOKEN_FILE": "workers"} if coordinator \
                        else {"FANTAIL_TOKEN_FILE": "workers"}
                    folder = mounts["tokens"]["mountPath"]
                    self.assertIs(mounts["tokens"]["readOnly"], True)
                    self.assertEqual({n: v for n, v in env.items() if n.endswith("_TOKEN_FILE")},
                                     {n: f"{folder}/{key}" for n, key in names.items()})
                    self.assertEqual({i["key"]: i["path"] for i in secrets["tokens"]["items"]},
                                     {key: key for key in names.values()})
                    self.assertEqual(secrets["tokens"]["defaultMode"], 0o440)

    def test_no_secret_is_among_the_manifests(self):
        self.assertEqual([o for objects in self.rendered.values() for o in of_kind(objects, "Secret")], [])

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
            self.assertEqual(sorted(s["spec"].get("clusterIP", "") for s in services
                                    if not s["spec"].get("publishNotReadyAddresses")), ["", "None"])

    def test_the_pods_of_a_rollout_are_spread_without_regard_to_the_old_pods(self):
        """If old pods counted, the new pods would avoid their nodes, and would stand unevenly after the old pods have
        ended."""
        for _, d in self.each("Deployment"):
            constraints = d["spec"]["template"]["spec"]["topologySpreadConstraints"]
            self.assertEqual([c["topologyKey"] for c in constraints], ["topology.kubernetes.io/zone", "kubernetes.io/hostname"])
            for c in constraints:
                self.assertEqual(c["matchLabelKeys"], ["pod-template-hash"])
                self.assertLessEqual(c["labelSelector"]["matchLabels"].items(), d["spec"]["template"]["metadata"]["labels"].items())

    def test_tls_is_on_both_ways_and_each_file_comes_from_a_secret_that_cert_manager_makes(self):
        on = {name: objects for name, objects in self.rendered.items() if "tls" in name[1]}
        self.assertGreater(len(on), 20)
        for name, objects in on.items():
            coordinator, worker = (next(d for d in of_kind(objects, "Deployment") if d["metadata"]["name"] == which)
                                   for which in ("fantail-coordinator", "fantail-worker"))
            with self.subTest(rendered=name):
                workers = environment(coordinator)["FANTAIL_WORKERS"]
                self.assertTrue(workers.startswith("dns+https://"))
                for d in of_kind(objects, "Deployment"):
                    self.assertIn("FANTAIL_TLS_CERT", environment(d))
                    self.assertEqual("FANTAIL_TLS_CLIENT_CA" in environment(d), d["metadata"]["name"] != "fantail-coordinator")
                self.assertIn("FANTAIL_WORKER_CLIENT_CERT", environment(coordinator))
                secrets = set()
                for d in (coordinator, worker):
                    files = {v for v in environment(d).values() if v.startswith("/tls/")}
                    self.assertLessEqual(files, {"/tls/tls.crt", "/tls/tls.key", "/tls/ca.crt"})
                    pod = d["spec"]["template"]["spec"]
                    mount = next(m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "tls")
                    self.assertEqual((mount["mountPath"], mount["readOnly"], "subPath" in mount), ("/tls", True, False))
                    secrets.add(next(v for v in pod["volumes"] if v["name"] == "tls")["secret"]["secretName"])
                for i in of_kind(objects, "Ingress"):
                    self.assertEqual(i["metadata"]["annotations"]["nginx.ingress.kubernetes.io/backend-protocol"], "HTTPS")
                if "cert-manager" not in name[1]:
                    continue
                made = {c["spec"]["secretName"]: c["spec"] for c in of_kind(objects, "Certificate")}
                self.assertLessEqual(secrets, set(made))
                self.assertIn(workers.split("//")[1].split(":")[0], made["fantail-worker-tls"]["dnsNames"])
                self.assertIn("client auth", made["fantail-coordinator-tls"]["usages"])
                self.assertNotIn("client auth", made["fantail-worker-tls"]["usages"], "a worker is not a coordinator")

    def test_policies_let_through_what_the_pods_need(self):
        """All traffic is denied by default. So a wrong port or label in a policy would block traffic of the fleet."""
        for objects, policy in self.each("NetworkPolicy"):
            pods = {d["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]: d["spec"]["template"]
                    for d in of_kind(objects, "Deployment")}
            ports = {who: {p["containerPort"] for p in t["spec"]["containers"][0]["ports"]} for who, t in pods.items()}
            if policy["metadata"]["name"].startswith("fantail-job-store"):
                continue  # see test_coordinators_with_a_job_store_reach_its_database
            if not policy["spec"]["podSelector"]:
                self.assertEqual(policy["spec"]["policyTypes"], ["Ingress", "Egress"])
                continue
            [who] = [w for w, t in pods.items() if policy["spec"]["podSelector"]["matchLabels"].items() <= t["metadata"]["labels"].items()]
            self.assertEqual({p["port"] for rule in policy["spec"]["ingress"] for p in rule["ports"]}, ports[who])
            other = pods["worker" if who == "coordinator" else "coordinator"]["metadata"]["labels"].items()
            # Coordinators send chunks to workers, and workers register with coordinators.
            for direction, port in (("ingress", 8080 if who == "coordinator" else 8081),
                                    ("egress", 8081 if who == "coordinator" else 8080)):
                between = [rule for rule in policy["spec"][direction] for peer in rule.get("to", rule.get("from"))
                           if peer.get("podSelector", {}).get("matchLabels", {"": ""}).items() <= other]
                self.assertEqual([p["port"] for rule in between for p in rule["ports"]], [port])
            [dns] = [rule for rule in policy["spec"]["egress"] if {"port": 53, "protocol": "UDP"} in rule["ports"]]
            self.assertEqual([next(iter(peer)) for peer in dns["to"]], ["namespaceSelector", "ipBlock"])

    def test_coordinators_with_a_job_store_reach_its_database(self):
        """The order of the components must not matter."""
        for base, parts, reach in (("overlays/production", ("job-store",), True), ("overlays/production", (), False),
                                   ("base", ("job-store", "network-policy"), True), ("base", ("network-policy", "job-store"), True),
                                   ("overlays/dev", ("network-policy",), True)):
            objects = render(base, parts)
            for d in of_kind(objects, "Deployment"):
                labels = d["spec"]["template"]["metadata"]["labels"].items()
                rules = [rule for p in of_kind(objects, "NetworkPolicy") if p["spec"]["podSelector"].get("matchLabels", {}).items() <= labels
                         for rule in p["spec"].get("egress", ())]
                self.assertEqual({"ports": [{"port": 5432, "protocol": "TCP"}]} in rules,
                                 reach and d["metadata"]["name"] == "fantail-coordinator", (base, parts, d["metadata"]["name"]))

    def test_dev_has_a_database_that_its_coordinator_finds_and_may_reach(self):
        objects = render("overlays/dev", ("network-policy",))
        [database] = of_kind(objects, "StatefulSet")
        [coordinator] = [d for d in of_kind(objects, "Deployment") if d["metadata"]["name"] == "fantail-coordinator"]
        pod, labels = database["spec"]["template"]["spec"], database["spec"]["template"]["metadata"]["labels"].items()
        mount = next(m for m in coordinator["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
                     if environment(coordinator)["FANTAIL_STORE_FILE"] == m["mountPath"] + "/url")
        volume = next(v for v in coordinator["spec"]["template"]["spec"]["volumes"] if v["name"] == mount["name"])
        [urls] = [o for o in of_kind(objects, "ConfigMap") if o["metadata"]["name"] == volume["configMap"]["name"]]
        host = re.fullmatch(r"postgresql://postgres@([a-z-]+)/postgres", urls["data"]["url"]).group(1)
        [service] = [s for s in of_kind(objects, "Service") if s["metadata"]["name"] == host]
        self.assertEqual((database["spec"]["serviceName"], [p["port"] for p in service["spec"]["ports"]]), (host, [5432]))
        self.assertLessEqual(service["spec"]["selector"].items(), labels)
        for other in (*of_kind(objects, "Service"), *of_kind(objects, "Deployment")):
            if other is not service:
                selector = other["spec"]["selector"]
                self.assertFalse(selector.get("matchLabels", selector).items() <= labels, other["metadata"]["name"])
        [admits] = [p for p in of_kind(objects, "NetworkPolicy") if p["spec"]["podSelector"]
                    and p["spec"]["podSelector"]["matchLabels"].items() <= labels]
        [rule] = admits["spec"]["ingress"]
        self.assertEqual([p["port"] for p in rule["ports"]], [5432])
        self.assertLessEqual(rule["from"][0]["podSelector"]["matchLabels"].items(), coordinator["spec"]["template"]["metadata"]["labels"].items())
        self.assertTrue(pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault")
        [container] = pod["containers"]
        self.assertEqual(container["securityContext"], {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                        "capabilities": {"drop": ["ALL"]}})
        data = next(m for m in container["volumeMounts"] if m["name"] == database["spec"]["volumeClaimTemplates"][0]["metadata"]["name"])
        self.assertTrue(environment(database)["PGDATA"].startswith(data["mountPath"] + "/"), "the volume has a directory lost+found")
        if SCHEMAS:
            kubernetes_validate.validate(database, VERSION, strict=True)

    def test_the_document_names_what_there_is_and_its_overlay_renders(self):
        with open(ROOT + "/docs/deploy-kubernetes.md", encoding="utf-8") as file:
            text = file.read()
        for path in set(re.findall(r"\bk8s/[a-z0-9/.-]*[a-z0-9]", text)) - {"k8s/overlays/mine/kustomization.yaml"}:
            self.assertTrue(os.path.exists(f"{ROOT}/{path}"), path)
        there = {f"{o['kind'].lower()}/{o['metadata']['name']}" for o in self.rendered["overlays/production", ()]}
        named = set(re.findall(r"\b(?:deployment|service)/[a-z-]+", text))
        self.assertTrue(named and named <= there, named - there)
        images = {"registry.example/fantail-coordinator:0.1.0", "registry.example/fantail-worker:0.1.0"}
        self.assertLessEqual({i.replace("registry.example", "$REGISTRY") for i in images}, set(re.findall(r"-t (\S+)", text)))
        for base in ("overlays/production", "overlays/scale-to-zero"):
            pods = [d["spec"]["template"]["spec"] for d in of_kind(self.rendered[base, ()], "Deployment")]
            self.assertEqual({c["image"] for pod in pods for c in pod["containers"]}, images, base)

        edits = re.findall(r"\$ (sed -i '/\^components:/.*)", text)
        self.assertEqual(len(edits), 2)
        [overlay] = [block for block in re.findall(r"```yaml\n(.*?)```", text, re.S) if "kind: Kustomization" in block]
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(ROOT + "/k8s", folder + "/k8s")
            os.mkdir(folder + "/k8s/overlays/mine")
            with open(folder + "/k8s/overlays/mine/kustomization.yaml", "w", encoding="utf-8") as out:
                out.write(overlay)
            [ingress] = of_kind(kustomize(folder + "/k8s/overlays/mine", "mine"), "Ingress")
            subprocess.run(["sh", "-ec", "\n".join(edits)], cwd=folder, check=True)
            edited = kustomize(folder + "/k8s/overlays/production", "production with tls and keda")
        self.assertEqual([r["host"] for r in ingress["spec"]["rules"]], ingress["spec"]["tls"][0]["hosts"])
        self.assertTrue(all("FANTAIL_TLS_CERT" in environment(d) for d in of_kind(edited, "Deployment")))
        self.assertEqual((len(of_kind(edited, "ScaledObject")), of_kind(edited, "HorizontalPodAutoscaler")), (1, []))

    def test_the_document_says_how_to_apply_production_without_the_kinds_of_other_projects(self):
        """Without these kinds, `kubectl apply -k` exits with status 1."""
        with open(ROOT + "/docs/deploy-kubernetes.md", encoding="utf-8") as file:
            [edit] = re.findall(r"`(sed -i [^`]*components/monitoring[^`]*)`", file.read())
        before = self.rendered["overlays/production", ()]
        self.assertEqual({o["kind"] for o in before} & CUSTOM, {"PodMonitor", "PrometheusRule"})
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(ROOT + "/k8s", folder + "/k8s")
            subprocess.run(["sh", "-ec", edit], cwd=folder, check=True)
            after = kustomize(folder + "/k8s/overlays/production", "production without monitoring")
        self.assertEqual({o["kind"] for o in after} & CUSTOM, set())
        self.assertEqual(set(names(before)) - set(names(after)), {("PodMonitor", "fantail"), ("PrometheusRule", "fantail"),
                                                                  ("ConfigMap", "fantail-dashboard")})

    def test_environment_variables_are_options_of_the_programs(self):
        for _, d in self.each("Deployment"):
            known = program_options("fantail-" + d["spec"]["template"]["spec"]["containers"][0]["name"])
            if known is None:
                self.skipTest(f"no programs in {manifest_tools.BIN}")
            self.assertLessEqual(set(environment(d)), known)


if __name__ == "__main__":
    unittest.main()
