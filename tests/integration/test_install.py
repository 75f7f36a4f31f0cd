"""The files of the example tasks that `make` copies, the files that `make install` installs, and the files of the images."""
import os
import re
import shutil
import subprocess
import unittest

import fantail_testing as ft
from fantail_testing import FantailTest, write_file

MAKEFILE = """BUILD := build
define say
endef
include rules.mk
all: $(EXAMPLES)
"""


class ExampleTasks(FantailTest):
    def path(self, *names):
        return os.path.join(self.folder, *names)

    def make(self, *arguments):
        ended = subprocess.run(["make", *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60)
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)

    def write_program(self, *names):
        os.makedirs(os.path.dirname(self.path(*names)), exist_ok=True)
        write_file(self.path(*names), "#!/bin/sh\nrev\n")
        os.chmod(self.path(*names), 0o755)

    def assert_modes(self, folder):
        for name, mode in (("rev/rev.sh", 0o755), ("rev/task.json", 0o644), ("alone", 0o755)):
            self.assertEqual(os.stat(os.path.join(folder, name)).st_mode & 0o777, mode, name)

    def test_a_build_copies_programs_in_folders_and_beside_them_with_their_mode(self):
        shutil.copy(os.path.join(ft.ROOT, "examples", "rules.mk"), self.folder)
        write_file(self.path("Makefile"), MAKEFILE)
        self.write_program("examples/tasks/rev/rev.sh")
        self.write_program("examples/tasks/alone")
        write_file(self.path("examples/tasks/rev/task.json"), '{"command": ["./rev.sh"]}')
        self.make("all")
        self.assert_modes(self.path("build/tasks"))

    WRITTEN = ("man/man1/fantail.1", "bash-completion/completions/fantail", "zsh/site-functions/_fantail",
               "fish/vendor_completions.d/fantail.fish")

    def write_build(self):
        """Writes files as a build makes them: some that `make install` installs, and some that it must not install."""
        for name in ("tasks/rev/rev.sh", "tasks/alone", "bin/fantail", *("share/" + name for name in (*self.WRITTEN, "written")),
                     "tasks/misbehave/misbehave.py", "tasks/rev/__pycache__/rev.cpython-311.pyc"):
            self.write_program("build", name)
        write_file(self.path("build/tasks/rev/task.json"), '{"command": ["./rev.sh"]}')

    def make_installed(self, target, root, *arguments):
        self.make("-C", ft.ROOT, "-o", "all", f"BUILD={self.path('build')}", f"DESTDIR={self.path(root)}", *arguments, target)

    def files(self, root):
        """Returns the paths of all files below the folder."""
        return {os.path.relpath(os.path.join(folder, name), self.path(root))
                for folder, _, names in os.walk(self.path(root)) for name in names}

    def test_installed_programs_can_still_be_executed(self):
        self.write_build()
        self.make_installed("install", "root")
        self.assert_modes(self.path("root/usr/local/share/fantail/tasks"))
        for name in self.WRITTEN:
            self.assertEqual(os.stat(self.path("root/usr/local/share", name)).st_mode & 0o777, 0o644, name)
        share = {"share/" + name for name in self.WRITTEN}
        tasks = {"share/fantail/tasks/" + name for name in ("rev/rev.sh", "rev/task.json", "alone")}
        self.assertEqual(self.files("root/usr/local"), {"bin/fantail", "include/fantail_task.h", "share/fantail/installed",
                                                        *share, *tasks})
        self.make_installed("install", "deb", "PREFIX=/usr")
        self.assertTrue(os.path.exists(self.path("deb/usr/share/zsh/vendor-completions/_fantail")))

    def test_nothing_is_installed_from_a_build_that_lacks_a_folder(self):
        for missing in "bin", "share", "tasks":
            build = self.path(f"without-{missing}")
            for folder in {"bin", "share", "tasks"} - {missing}:
                os.makedirs(os.path.join(build, folder))
            ended = subprocess.run([os.path.join(ft.ROOT, "scripts", "install"), build, self.path("prefix"), "site-functions"],
                                   cwd=ft.ROOT, capture_output=True, text=True, check=False)
            self.assertEqual((ended.returncode, ended.stderr),
                             (1, f"install: the folder {build}/{missing} is missing. Run make first\n"))
            self.assertFalse(os.path.exists(self.path("prefix")))

    def test_an_uninstall_removes_just_what_every_install_has_put_there(self):
        self.write_build()
        others = ["root/usr/local/bin/other", "root/usr/local/share/man/man1/other.1"]
        for name in others:
            self.write_program(name)
        self.make_installed("install", "root")
        shutil.rmtree(self.path("build/tasks/rev"))  # a later version has other files
        self.make_installed("install", "root")
        shutil.rmtree(self.path("build"))
        self.make_installed("uninstall", "root")
        self.assertEqual(self.files("root"), {os.path.relpath(name, "root") for name in others})
        self.assertFalse(os.path.exists(self.path("root/usr/local/share/fantail")))

    def test_an_uninstall_removes_what_python_has_compiled_from_the_tasks(self):
        self.write_build()
        self.write_program("build/tasks/rev/rev.py")
        self.make_installed("install", "root")
        compiled = "usr/local/share/fantail/tasks/rev/__pycache__"
        for name in ("rev.cpython-311.pyc", "rev.cpython-313.opt-1.pyc"):
            self.write_program("root", compiled, name)
        self.make_installed("uninstall", "root")
        self.assertEqual(self.files("root"), set())
        self.assertFalse(os.path.exists(self.path("root/usr/local/share/fantail")))

    def test_an_uninstall_keeps_the_tasks_of_the_user(self):
        self.write_build()
        self.make_installed("install", "root")
        own = "usr/local/share/fantail/tasks/own/task.json"
        self.write_program("root", own)
        self.make_installed("uninstall", "root")
        self.assertEqual(self.files("root"), {own})

    def test_the_commands_for_the_python_package_can_be_pasted(self):
        with open(os.path.join(ft.ROOT, "docs", "python.md"), encoding="utf-8") as page:
            [part] = re.findall(r"^## Install\n.*?^```sh\n(.*?)^```", page.read(), re.M | re.S)
        shutil.copytree(os.path.join(ft.ROOT, "clients", "python"), self.path("clients", "python"))
        shutil.copytree(os.path.join(ft.ROOT, "examples"), self.path("examples"))
        os.symlink(ft.BUILD, self.path("build"))
        environment = self.environment(PIP_TIMEOUT="15", PIP_RETRIES="1")
        ended = subprocess.run(["sh", "-e", "-c", part], cwd=self.folder, capture_output=True, text=True, env=environment)
        if ended.returncode and ("venv" in ended.stderr or "No matching distribution" in ended.stderr):
            self.skipTest(f"pip cannot install from PyPI: {ended.stderr.strip()[-200:]}")
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertIn("514229", ended.stdout)

    @unittest.skipUnless(shutil.which("git"), "git is missing")
    def test_git_ignores_what_an_install_of_the_python_package_leaves(self):
        left = ["clients/python/build/lib/x", "clients/python/fantail.egg-info/x", ".venv/x"]
        ended = subprocess.run(["git", "check-ignore", "--no-index", *left], cwd=ft.ROOT, capture_output=True, text=True)
        if ended.returncode == 128:
            self.skipTest(f"this is not a working tree of git: {ended.stderr.strip()}")
        self.assertEqual(ended.stdout.split(), left)


class Images(FantailTest):
    """The root directory that deploy/image/rootfs makes for an image without a Linux distribution."""

    def test_the_root_has_each_library_that_its_programs_need(self):
        root = os.path.join(self.folder, "root")
        programs = [os.path.join(ft.BIN, name) for name in ("fantail-coordinator", "fantail-worker", "fantail-host-exec")]
        made = subprocess.run(["sh", "deploy/image/rootfs", root, *programs], cwd=ft.ROOT, capture_output=True, text=True)
        if "ca-certificates.crt" in made.stderr:
            self.skipTest("the package ca-certificates is missing")
        self.assertEqual((made.returncode, made.stderr), (0, ""))
        files = {name: os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names}
        needed = {name for path in files.values() for name in self.needed(path)}
        with open(os.path.join(ft.ROOT, "services/common/net/curl_library.c"), encoding="ascii") as source:
            needed.add(re.search(r'names\[\] = \{"([^"]+)"', source.read()).group(1))  # loaded with dlopen()
        self.assertIn("libuv.so.1", needed)
        self.assertEqual(needed - files.keys(), set())

    @staticmethod
    def needed(path):
        """Returns the names of the libraries that the loader needs for this file."""
        headers = subprocess.run(["readelf", "-d", path], capture_output=True, text=True).stdout
        return re.findall(r"\(NEEDED\).*\[(.*)\]", headers)


if __name__ == "__main__":
    ft.main()
