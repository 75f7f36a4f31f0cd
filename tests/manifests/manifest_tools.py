"""Finds the tools of the manifest tests on this machine, or downloads them once to build-tools.

    KUSTOMIZE, why = manifest_tools.kustomize()
    @unittest.skipUnless(KUSTOMIZE, why)

Each function returns (the command or True, None), or (None, the reason why the tool is missing). A tool may be missing because
there is no network, or because the machine has no package manager that offers the tool. The tests that need the tool are then
skipped with this reason. Nothing is installed on the machine.
"""
import contextlib
import fcntl
import functools
import glob
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOLS = os.path.join(ROOT, "build-tools")
PYTHON_FOLDER = os.path.join(TOOLS, "python{}.{}".format(*sys.version_info))
PYTHON_PACKAGES = {"yaml": "PyYAML~=6.0", "kubernetes_validate": "kubernetes-validate~=1.34", "cfnlint": "cfn-lint~=1.40",
                   "jsonschema": "jsonschema~=4.0"}
KUSTOMIZE_MODULE = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"
HELM_MODULE = "helm.sh/helm/v3/cmd/helm@v3.18.4"


@contextlib.contextmanager
def one_at_a_time():
    """Holds a lock. If several test files run at the same time, one of them downloads a tool, and the other ones find
    the tool."""
    os.makedirs(TOOLS, exist_ok=True)
    with open(os.path.join(TOOLS, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fetch(command, timeout_s, cwd=None, env=None):
    """Runs a command. Returns None if the command has succeeded, or else a reason, such as the last line of the command's
    output."""
    try:
        done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return f"not fetched within {timeout_s} s"
    except OSError as e:
        return str(e)
    return None if done.returncode == 0 else ([""] + done.stdout.split("\n"))[-2][:200]


def importable(module):
    importlib.invalidate_caches()
    return importlib.util.find_spec(module) is not None


@functools.cache
def python_packages(*modules):
    """Returns whether the modules can be imported, from this machine or from PyPI."""
    # The folder is at the end of sys.path, so modules that the machine already has take precedence.
    if PYTHON_FOLDER not in sys.path:
        sys.path.append(PYTHON_FOLDER)
    missing = [m for m in modules if not importable(m)]
    if not missing:
        return True, None
    names = " and ".join(PYTHON_PACKAGES[m].split("~")[0] for m in missing)
    if not importable("pip"):
        return None, f"{names} (PyPI) cannot be fetched: pip is missing (package python3-pip)"
    with one_at_a_time():
        wanted = [PYTHON_PACKAGES[m] for m in modules if not importable(m)]
        why = wanted and fetch([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1",
                                "--timeout", "10", "--only-binary", ":all:", "--upgrade", "--target", PYTHON_FOLDER, *wanted], 120)
    importlib.invalidate_caches()
    return (None, f"{names} (PyPI) cannot be fetched: {why}") if why else (True, None)


def python_environment():
    """Returns the environment for a Python process that needs the modules in PYTHON_FOLDER."""
    return dict(os.environ, PYTHONPATH=PYTHON_FOLDER)


@functools.cache
def promtool():
    """Finds promtool on this machine, or unpacks it from the Debian package. The package is not installed, because its
    installation would start a server."""
    own = os.path.join(TOOLS, "promtool")
    found = shutil.which("promtool") or (own if os.path.exists(own) else None)
    if found:
        return found, None
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return None, "promtool is missing (package prometheus)"
    with one_at_a_time(), tempfile.TemporaryDirectory(dir=TOOLS) as folder:
        if os.path.exists(own):
            return own, None
        # If apt runs as root, it switches to its own user by default. The user of apt cannot write to this folder.
        why = fetch(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "prometheus"], 60, cwd=folder)
        # In later releases of Debian, promtool is a separate package.
        fetch(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "promtool"], 60, cwd=folder)
        for package in glob.glob(folder + "/*.deb"):
            why = why or fetch(["dpkg-deb", "-x", package, folder], 60)
        if not why and not os.path.exists(folder + "/usr/bin/promtool"):
            why = "it is not in the package"
        if why:
            return None, f"promtool (package prometheus) cannot be fetched: {why}"
        os.replace(folder + "/usr/bin/promtool", own)
    return own, None


@functools.cache
def kustomize():
    """Returns the command that renders the manifests: [program, "build"] or similar."""
    own = os.path.join(TOOLS, "kustomize")
    if shutil.which("kustomize"):
        return ["kustomize", "build"], None
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"], None
    if not os.path.exists(own):
        if not shutil.which("go"):
            return None, "neither kustomize nor kubectl is here, nor go to build kustomize"
        with one_at_a_time():
            env = dict(os.environ, GOBIN=TOOLS, GOTOOLCHAIN="local")
            why = None if os.path.exists(own) else fetch(["go", "install", KUSTOMIZE_MODULE], 180, env=env)
        if why:
            return None, f"kustomize cannot be built: {why}"
    return [own, "build"], None


@functools.cache
def helm():
    """Finds helm on this machine or in build-tools. It is not built here, because that takes minutes."""
    own = os.path.join(TOOLS, "helm")
    found = shutil.which("helm") or (own if os.path.exists(own) else None)
    return (found, None) if found else (None, f"helm is missing. To build it: GOBIN={TOOLS} go install {HELM_MODULE}")


@functools.cache
def go():
    return (shutil.which("go"), None) if shutil.which("go") else (None, "go is missing (package golang-go)")


@functools.cache
def compose():
    """Returns the command of Compose: the plugin of docker, or the older program."""
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"], None
    if shutil.which("docker-compose"):
        return ["docker-compose"], None
    return None, "Compose is missing (package docker-compose, or docker's plugin `compose`)"


# ---- The programs that the manifests start ----

BIN = os.environ.get("FANTAIL_BIN", os.path.join(ROOT, "build/bin"))


@functools.cache
def program_options(program):
    """Returns the environment variables that this service knows; None if the service is not built."""
    path = f"{BIN}/{program}"
    if not os.access(path, os.X_OK):
        return None
    text = subprocess.run([path, "--print-config"], capture_output=True, text=True, check=True).stdout
    return {"FANTAIL_" + line.split(" = ")[0].upper().replace("-", "_") for line in text.splitlines()}


def start_and_end(program, **variables):
    """Starts a service with these environment variables, and ends it when it listens. Returns the exit status and the log of
    the service. A service that refuses a variable ends by itself, and its exit status is not 0."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("FANTAIL_")} | variables
    ready, told = os.pipe()
    with tempfile.TemporaryFile("w+") as log:
        service = subprocess.Popen([f"{BIN}/{program}", "--port", "0", "--admin-port", "0", "--ready-fd", str(told)], env=env,
                                   pass_fds=[told], stdout=subprocess.DEVNULL, stderr=log)
        os.close(told)
        with os.fdopen(ready) as pipe:
            pipe.readline()
        service.terminate()
        status = service.wait(60)
        log.seek(0)
        return status, log.read()
