"""A Kubernetes control plane without nodes: etcd, kube-apiserver and the controllers, on loopback and in their own folder.

The control plane validates, sets defaults, stores objects and does rollouts like a cluster, but runs no containers.
`Ready` reports each pod as running, so that rollouts end. build-control-plane builds the programs.
"""
import contextlib
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from manifest_tools import TOOLS

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from ports import HeldPort  # noqa: E402

FOLDER = os.environ.get("KUBERNETES_BIN", os.path.join(TOOLS, "kubernetes"))
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager")
TOKEN = "of-this-test"
CONTROLLERS = ("deployment-controller", "replicaset-controller", "namespace-controller", "serviceaccount-controller",
               "garbage-collector-controller", "disruption-controller", "horizontal-pod-autoscaler-controller")


def programs():
    """Returns (True, None), or (None, the reason why the control plane is not available)."""
    missing = [name for name in PROGRAMS if not os.access(f"{FOLDER}/{name}", os.X_OK)]
    return (None, f"no {missing[0]} in {FOLDER}: tests/manifests/build-control-plane makes it") if missing else (True, None)


class ControlPlane:
    def __init__(self):
        self.undo = contextlib.ExitStack()
        self.folder = self.undo.enter_context(tempfile.TemporaryDirectory())
        self.kubeconfig = self.folder + "/kubeconfig"
        self.port = self._free_port()
        self.trust = ssl.create_default_context()
        self.trust.check_hostname, self.trust.verify_mode = False, ssl.CERT_NONE
        try:
            self._start()
        except BaseException:
            self.undo.close()
            raise

    def _start(self):
        etcd, peer = (f"http://127.0.0.1:{self._free_port()}" for _ in range(2))
        self._write("tokens", f"{TOKEN},admin,admin,system:masters\n")
        self._write("kubeconfig", json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "it", "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "clusters": [{"name": "it", "cluster": {"server": f"https://127.0.0.1:{self.port}", "insecure-skip-tls-verify": True}}],
            "users": [{"name": "it", "user": {"token": TOKEN}}]}))
        key = self.folder + "/key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        self._program("etcd", "--data-dir", self.folder + "/data", "--listen-client-urls", etcd, "--advertise-client-urls",
                      etcd, "--listen-peer-urls", peer, "--unsafe-no-fsync")
        self._program("kube-apiserver", "--etcd-servers", etcd, "--bind-address", "127.0.0.1", "--secure-port", str(self.port),
                      "--cert-dir", self.folder, "--token-auth-file", self.folder + "/tokens", "--authorization-mode", "RBAC",
                      "--service-cluster-ip-range", "10.0.0.0/24", "--service-account-issuer", "https://fantail.test",
                      "--service-account-key-file", key, "--service-account-signing-key-file", key)
        self._wait(lambda: self.ask("/readyz") == b"ok", 120, "a ready kube-apiserver")
        self._program("kube-controller-manager", "--kubeconfig", self.kubeconfig, "--service-account-private-key-file", key,
                      "--leader-elect=false", "--secure-port", "0", "--controllers", ",".join(CONTROLLERS),
                      "--horizontal-pod-autoscaler-sync-period", "1s")
        self._wait(lambda: b'"default"' in self.ask("/api/v1/namespaces/default/serviceaccounts"), 120, "an account by the controllers")

    def close(self):
        self.undo.close()

    def _free_port(self):
        return self.undo.enter_context(contextlib.closing(HeldPort())).number

    def _write(self, name, text):
        with open(f"{self.folder}/{name}", "w", encoding="utf-8") as out:
            out.write(text)

    def _program(self, name, *arguments):
        log = self.undo.enter_context(open(f"{self.folder}/{name}.log", "wb"))
        process = subprocess.Popen([f"{FOLDER}/{name}", *arguments], stdout=log, stderr=log, cwd=self.folder)
        self.undo.callback(process.wait)
        self.undo.callback(process.kill)

    def _wait(self, condition, limit_s, what):
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                if condition():
                    return
            time.sleep(0.1)
        logs = [f"{name}: {open(f'{self.folder}/{name}.log', encoding='utf-8').read()[-1000:]}" for name in PROGRAMS
                if os.path.exists(f"{self.folder}/{name}.log")]
        raise AssertionError(f"not within {limit_s} s: {what}\n" + "\n".join(logs))

    def ask(self, path, patch=None):
        body = patch and json.dumps(patch).encode()
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/merge-patch+json"}
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", body, headers, method="PATCH" if body else "GET")
        with urllib.request.urlopen(request, timeout=30, context=self.trust) as answer:
            return answer.read()

    def kubectl(self, *arguments, **options):
        return subprocess.run(["kubectl", *arguments], env=dict(os.environ, KUBECONFIG=self.kubeconfig), timeout=120, text=True,
                              capture_output=True, **options)


class Ready(threading.Thread):
    """Reports each pod of a namespace as running and ready, as a node would."""

    def __init__(self, plane, namespace):
        super().__init__(daemon=True)
        self.plane, self.pods, self.over = plane, f"/api/v1/namespaces/{namespace}/pods", threading.Event()

    def __enter__(self):
        self.start()

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def run(self):
        while not self.over.wait(0.3):
            for pod in json.loads(self.plane.ask(self.pods))["items"]:
                if pod["status"]["phase"] == "Pending":
                    # Without lastTransitionTime, a Deployment with minReadySeconds never counts the pod as available.
                    condition = {"type": "Ready", "status": "True", "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
                    ready = {"status": {"phase": "Running", "conditions": [condition]}}
                    with contextlib.suppress(urllib.error.HTTPError):  # the pod was deleted
                        self.plane.ask(f"{self.pods}/{pod['metadata']['name']}/status", ready)
