"""Virtual environments with packages from PyPI, which some tests of the Python package need."""
import os
import subprocess
import sys
import tempfile
import unittest


def make_venv(folder, *packages, program=sys.executable):
    """Makes a virtual environment of the Python `program` in the folder, installs the packages, and returns the path of its
    Python. If this is not possible, the test is skipped, or all tests of the class if setUpClass() calls this function."""
    python = os.path.join(folder, "bin", "python")
    for step in ([program, "-m", "venv", folder],
                 [python, "-m", "pip", "install", "-q", "--retries", "1", "--timeout", "15", *packages]):
        ended = subprocess.run(step, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise unittest.SkipTest(f"{', '.join(packages)} cannot be installed from PyPI: "
                                    f"{(ended.stderr or ended.stdout).strip()[-200:]}")
    return python


def make_class_venv(case, *packages):
    """Like make_venv(), in a temporary folder that is removed after the tests of the class."""
    folder = tempfile.TemporaryDirectory(prefix="fantail-test-")
    case.addClassCleanup(folder.cleanup)
    return make_venv(folder.name, *packages)
