"""Shared by the tests of GET /openapi.json. This module reads the document. This module also makes a virtual
environment in the build folder, with the packages from PyPI that check the document. If the packages cannot be
installed, the tests that need them are skipped."""
import fcntl
import json
import os
import subprocess
import sys

from fantail_testing import BUILD

PACKAGES = "schemathesis==4.32.5", "openapi-spec-validator==0.9.0", "jsonschema==4.26.0"

# This program reads {"document": ..., "checks": [[JSON pointer of a schema, value], ...]} and prints each check that fails.
# An object must not have members that the document does not name, unless the document allows other members.
CHECK = """
import json, sys
import jsonschema, openapi_spec_validator

def close(schema):
    if isinstance(schema, list):
        for part in schema:
            close(part)
    elif isinstance(schema, dict):
        for part in schema.values():
            close(part)
        if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)

given = json.load(sys.stdin)
document = given["document"]
openapi_spec_validator.validate(document)
close(document["components"]["schemas"])
for pointer, value in given["checks"]:
    schema = {"$ref": "#" + pointer, "components": document["components"], "paths": document["paths"]}
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker(["uuid", "date-time"]))
    for error in validator.iter_errors(value):
        why = error if not error.context else max(error.context, key=lambda e: len(e.path))
        print(f"{pointer}: {json.dumps(value)[:500]}: {error.message[:500]} {why.message[:300]}")
"""


def operations(document):
    """Returns {(method, path): operation}."""
    methods = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
    return {(method.upper(), path): item[method] for path, item in document["paths"].items() for method in methods if method in item}


def parameters(document, method, path):
    """Returns {name: parameter} of a call."""
    found = document["paths"][path].get("parameters", []) + document["paths"][path][method.lower()].get("parameters", [])
    resolved = [document["components"]["parameters"][p["$ref"].rsplit("/", 1)[1]] if "$ref" in p else p for p in found]
    return {p["name"]: p for p in resolved}


def install():
    """Installs the packages. Returns (path of the environment's Python, None), or (None, reason)."""
    folder = os.path.join(BUILD, "openapi-python")
    path, done = os.path.join(folder, "bin", "python3"), os.path.join(folder, "installed")
    with open(folder + ".lock", "w", encoding="utf-8") as lock:  # two test files may install at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(done):
            with open(done, encoding="utf-8") as text:
                if text.read().split() == list(PACKAGES):
                    return path, None
        for step in ([sys.executable, "-m", "venv", "--clear", folder],
                     [path, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--timeout", "15", *PACKAGES]):
            try:
                ended = subprocess.run(step, capture_output=True, text=True, timeout=400)
            except (OSError, subprocess.TimeoutExpired) as e:
                return None, f"{PACKAGES[0]} cannot be installed: {e}"
            if ended.returncode != 0:
                return None, f"{PACKAGES[0]} cannot be installed: {(ended.stderr or ended.stdout).strip().splitlines()[-1:]}"
        with open(done, "w", encoding="utf-8") as text:
            text.write("\n".join(PACKAGES))
    return path, None


def python_of(test):
    """Returns the path of the environment's Python. Skips the test if the packages cannot be installed."""
    path, why = install()
    if not path:
        test.skipTest(why)
    return path


def check(test, document, values):
    """Fails if an independent validator finds a fault in the document or in a value. values: [(pointer of the schema,
    value)]."""
    ended = subprocess.run([python_of(test), "-c", CHECK], input=json.dumps({"document": document, "checks": values}),
                           text=True, capture_output=True, timeout=120)
    test.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "", ""))
