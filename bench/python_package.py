"""Compares the Python package with the libraries that run Python functions in processes: multiprocessing.Pool,
ProcessPoolExecutor, joblib with loky, Dask, and Celery. Every figure comes from its own process (python_calls.py).

joblib, Dask, Celery and numpy come from PyPI, like the other peers. Celery also needs Redis. If Dask or Celery is missing,
the report has no lines for it. If joblib cannot be installed, the report has no lines for joblib, Dask and Celery. Without
numpy, the arrays are byte arrays.
"""
import json
import os
import shutil
import subprocess
import sys

import peers

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT_S = 600
# Each row has the name of the measure, what is measured, the unit, the other libraries, the library that sets the
# target, "least" (larger values are better) or "most", and the limit for our value divided by that library's value.
COMPARED = (
    ("map", "a tiny function over ints", "calls/s", ("pool", "futures", "joblib"), "pool", "least", 0.7),
    ("one", "one call at a time, p50", "us", ("futures", "pool", "dask", "celery"), "futures", "most", 1),
    ("echo", "200 arrays of 1 MiB", "MB/s", ("pool", "futures", "joblib"), "pool", "least", 1),
    ("first", "import to first result", "ms", ("pool", "futures", "joblib"), "pool", "most", 1.5),
    ("cpu", "64 calls that compute", "s", ("serial", "pool", "futures", "joblib", "celery"), None, None, None))
NAMES = {"fantail": "fantail", "pool": "multiprocessing.Pool", "futures": "ProcessPoolExecutor", "joblib": "joblib, loky",
         "dask": "Dask", "celery": "Celery, Redis", "serial": "one process"}


def measured(python, build, library, what):
    done = subprocess.run([python, os.path.join(HERE, "python_calls.py"), library, what], stdout=subprocess.PIPE, check=True,
                          env={**os.environ, "FANTAIL_BIN": os.path.join(build, "bin")}, timeout=TIMEOUT_S)
    return json.loads(done.stdout.splitlines()[-1])["value"]


def interpreter():
    """Returns the interpreter for all measures, and {library: why it is missing}."""
    why = peers.package_fault("joblib")
    if why:
        return sys.executable, dict.fromkeys(("joblib", "dask", "celery"), why)
    missing = {"dask": peers.package_fault("distributed"),
               "celery": peers.package_fault("celery") if shutil.which("redis-server") else peers.NO_REDIS}
    return peers.python(), {library: why for library, why in missing.items() if why}


def python(report, build):
    found, missing = interpreter()
    for why in sorted(set(missing.values())):
        print(f"python    skipped: {why}")
    for what, text, unit, others, rival, kind, limit in COMPARED:
        libraries = ["fantail", *(other for other in others if other not in missing)]
        values = dict(zip(libraries, report.alternate(
            *(lambda library=library, what=what: measured(found, build, library, what) for library in libraries))))
        for library, value in values.items():
            report.add("python", f"{text}: {NAMES[library]}", value, unit)
        if kind:
            report.ratio("python", f"{what}: fantail / {NAMES[rival]}", values["fantail"] / values[rival], **{kind: limit})
        if what == "map":
            report.ratio("python", f"map: fantail / {NAMES['futures']}", values["fantail"] / values["futures"], least=10)
        if what == "cpu":
            report.ratio("python", "cpu: one process / fantail", values["serial"] / values["fantail"], least=1.93)
    flat, parent = report.alternate(lambda: measured(found, build, "fantail", "endless"),
                                    lambda: measured(found, build, "fantail", "parent"))
    report.add("python", "growth of imap over an endless generator", flat, "MiB", "below 20", flat < 20)
    report.add("python", "map over 10,000,000 ints, beyond the list", parent, "MiB", "below 200", parent < 200)
