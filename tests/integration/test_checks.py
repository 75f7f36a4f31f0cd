"""The checks of the source tree. Each test writes a small source tree. The check must find every fault in a bad tree,
and none in a good tree."""
import os
import re
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

LAYERS = """
services/common
    upper
    left right
    base
services/coordinator uses common
    .
except common/base -> common/upper/upper.h  as an example
io uv.h curl/
pure common/left coordinator/sum
"""


class Tree(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fantail-checks-")
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.write("scripts/layers.conf", LAYERS)

    def write(self, path, text=""):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def script(self, name, *arguments):
        """Runs a script of scripts/. Returns (exit status, lines of its output)."""
        ended = subprocess.run([os.path.join(ROOT, "scripts", name), *arguments], cwd=self.root, capture_output=True,
                               text=True, timeout=60)
        self.assertEqual(ended.stderr, "")
        return ended.returncode, ended.stdout.splitlines()

    def compile(self, path, folder, *options):
        """Compiles a source file to FOLDER/obj/, where make would put the object file."""
        out = os.path.join(self.root, folder, "obj", path[:-2] + ".o")
        os.makedirs(os.path.dirname(out), exist_ok=True)
        subprocess.run(["cc", "-c", *options, "-o", out, path], cwd=self.root, check=True, timeout=60)
        return os.path.relpath(out, self.root)


class Layers(Tree):
    def setUp(self):
        super().setUp()
        self.write("services/common/upper/upper.h", '#include "common/left/left.h"\n')
        self.write("services/common/base/base.h", '#include <stdio.h>\n#include "common/upper/upper.h"\n')
        self.write("services/common/left/left.h", "")
        self.write("services/common/right/right.h", "#include <uv.h>\n")
        self.write("services/coordinator/main.c", '#include "common/upper/upper.h"\n')

    def faults(self):
        status, lines = self.script("layers", self.root)
        self.assertEqual(status, 1 if lines else 0)
        return lines

    def test_a_good_tree_prints_nothing(self):
        self.assertEqual(self.faults(), [])

    def test_includes_go_downwards(self):
        self.write("services/common/left/left.c", '#include <stdio.h>\n#include "common/upper/upper.h"\n')
        self.assertEqual(self.faults(), ["services/common/left/left.c:2: common/left may not include "
                                         "common/upper/upper.h: common/upper is not below common/left"])

    def test_folders_on_one_line_do_not_include_each_other(self):
        self.write("services/common/right/x.c", '#include "common/left/left.h"\n')
        self.assertEqual(self.faults(), ["services/common/right/x.c:1: common/right may not include "
                                         "common/left/left.h: common/left is not below common/right"])

    def test_a_part_includes_only_the_parts_that_it_uses(self):
        self.write("services/coordinator/main.h", "")
        self.write("services/common/upper/x.c", '#  include "coordinator/main.h"\n')
        self.assertEqual(self.faults(), ["services/common/upper/x.c:1: common may not include coordinator/main.h"])

    def test_an_include_names_its_folder(self):
        self.write("services/common/left/left.c", '#include "left.h"\n')
        self.assertEqual(self.faults(), ['services/common/left/left.c:1: "left.h" does not begin with a folder of layers.conf'])

    def test_a_new_folder_must_be_entered(self):
        self.write("services/common/new/new.c", "")
        self.assertEqual(self.faults(), ["services/common/new/new.c:1: its folder is not in layers.conf"])

    def test_a_pure_module_reaches_no_io_header(self):
        self.write("services/coordinator/sum.c", '#include "common/right/right.h"\n')
        self.write("services/common/left/left.c", "#include <curl/curl.h>\n")
        self.assertEqual(self.faults(), [
            "services/common/left/left.c:1: a pure module reaches <curl/curl.h>",
            "services/coordinator/sum.c:1: a pure module reaches <uv.h> through common/right/right.h"])


class House(Tree):
    def build(self, **sources):
        for name, text in sources.items():
            path = "services/common/" + name.replace("__", "/") + ".c"
            self.write(path, text)
            self.compile(path, "build")

    def faults(self):
        status, lines = self.script("house", "build", self.root)
        good = lines[-1] == "no call cycle, no name clash, no full folder"
        self.assertEqual(status, 0 if good else 1)
        self.drawn = lines
        return [] if good else lines[lines.index("") + 1:]

    def test_a_good_house_is_drawn_from_the_top(self):
        self.build(a__low="int low(void) { return 1; }", b__high="int low(void); int high(void) { return low() + low(); }")
        self.assertEqual(self.faults(), [])
        folders = [line.split() for line in self.drawn if line.startswith("    ")]
        self.assertEqual([(words[0], words[5:]) for words in folders], [("b", ["->", "a", "1"]), ("a", [])])

    def test_a_call_cycle_is_found_and_its_calls_are_named(self):
        self.build(a__a="int b(void); int a(void) { return b(); }", b__b="int c(void); int b(void) { return c(); }",
                   c__c="int a(void); int c(void) { return a(); }", d__d="int a(void); int d(void) { return a(); }")
        self.assertEqual(self.faults(), [
            "a call cycle: services/common/a services/common/b services/common/c",
            "    services/common/a -> services/common/b 1",
            "    services/common/b -> services/common/c 1",
            "    services/common/c -> services/common/a 1"])

    def test_names_are_unique(self):
        self.build(a__x="struct twice {\n    int a;\n};\nint one(void) { return 1; }\nint main(void) { return 0; }",
                   b__y="enum twice { ONE };\nint one(void) { return 2; }\nint main(void) { return 0; }",
                   c__z="static int own(void) { return 1; }\nint three(void) { return own(); }",
                   d__w="static int own(void) { return 2; }\nint four(void) { return own(); }")
        self.assertEqual(self.faults(), [
            "one is exported by services/common/a/x.c and services/common/b/y.c",
            "enum twice and struct twice is defined in services/common/a/x.c and services/common/b/y.c"])

    def test_a_folder_has_at_most_24_files(self):
        self.build(a__a="int a(void) { return 1; }")
        for n in range(23):
            self.write(f"services/common/a/h{n}.h")
        self.assertEqual(self.faults(), [])
        self.write("services/common/a/more.h")
        self.assertEqual(self.faults(), ["services/common/a has 25 files, more than 24"])


class Unused(Tree):
    def link(self, program, *sources):
        objects = [self.compile(path, ".", "-O0", "-ffunction-sections") for path in sources]
        ended = subprocess.run(["cc", "-Wl,--gc-sections,--print-gc-sections", "-o", program, *objects], cwd=self.root,
                               capture_output=True, text=True, check=True, timeout=60, env=dict(os.environ, LC_ALL="C"))
        self.write(program + ".objects", " ".join(objects))
        self.write(program + ".dropped", ended.stderr)

    def setUp(self):
        super().setUp()
        self.write("lib.c", """
            int by_one(void) { return 1; }
            int by_other(void) { return 2; }
            static int in_a_table(void) { return 3; }
            int (*const table[])(void) = {in_a_table};
            static int deep(void) { return 4; }
            int by_none(void) { return deep(); }
        """)
        self.write("one.c", "int by_one(void); extern int (*const table[])(void); int main(void) { return by_one() + table[0](); }")
        self.write("other.c", "int by_other(void); int main(void) { return by_other(); }")
        self.link("one", "one.c", "lib.c")
        self.link("other", "other.c", "lib.c")

    def test_what_no_program_calls_is_named(self):
        self.write("allowed", "# none\n")
        self.assertEqual(self.script("unused", "allowed", "one", "other"), (1, [
            "lib.c: by_none is called by no program", "lib.c: deep is called by no program"]))

    def test_an_allowed_function_may_be_unused_but_not_used_or_gone(self):
        self.write("allowed", "by_none  why\ndeep  why\n")
        self.assertEqual(self.script("unused", "allowed", "one", "other"), (0, []))
        self.write("allowed", "by_none  why\ndeep  why\nby_one  why\ngone  why\n")
        self.assertEqual(self.script("unused", "allowed", "one", "other"), (1, [
            "allowed: by_one is used, or there is no such function",
            "allowed: gone is used, or there is no such function"]))


class FormatCheck(Tree):
    def test_another_version_is_skipped_with_its_reason(self):
        self.write("a.c", "int  a;\n")
        for version, reason in (("17.0.1", "skipped: clang-format is version 17; the check needs version 14 or 19"),
                                ("", "skipped: clang-format is missing (package clang-format)")):
            self.write("format", f"#!/bin/sh\necho '{version and 'Debian clang-format version ' + version}'\n")
            os.chmod(os.path.join(self.root, "format"), 0o755)
            ended = subprocess.run([os.path.join(ROOT, "scripts/format-check"), "a.c"], cwd=self.root, capture_output=True,
                                   text=True, timeout=60, env=dict(os.environ, CLANG_FORMAT="./format"))
            self.assertEqual((ended.returncode, ended.stdout), (0, reason + "\n"))


class Comments(unittest.TestCase):
    """Functions and files that are named in comments of the C tree must exist."""
    OF_LIBC = {"execvp"}

    def test_each_function_and_file_that_a_comment_names_is_there(self):
        sources, files = {}, set()
        for top in ("services", "clients", "tests", "bench", "examples"):
            for folder, _, names in os.walk(os.path.join(ROOT, top)):
                files.update(names)
                for name in (n for n in names if n.endswith((".c", ".h"))):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as file:
                        sources[os.path.relpath(path, ROOT)] = file.read()
        comment = re.compile(r"/\*.*?\*/", re.S)
        words = self.OF_LIBC | {w for text in sources.values() for w in re.findall(r"\w+", comment.sub(" ", text))}
        wrong = []
        for path, text in sorted(sources.items()):
            for found in comment.findall(text):
                wrong += [f"{path}: {name}()" for name in re.findall(r"\b([a-z_]\w+)\(\)", found) if name not in words]
                wrong += [f"{path}: {name}" for name in re.findall(r"\b([a-z]\w*\.[ch])\b", found)
                          if name not in files and name != "uv.h"]
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
