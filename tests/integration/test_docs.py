"""The documents agree with the programs."""
import os
import re
import subprocess

import fantail_testing as ft
from fantail_testing import FantailTest, write_file

SERVICES = ("fantail-coordinator", "fantail-worker")
COMMANDS = ("map", "parallel", "local", "submit", "tasks", "jobs", "status", "wait", "results", "cancel", "redrive")
# Options of curl, docker, aws, grep, ld, Criterion, Slurm and Helm.
FOREIGN_OPTIONS = {"--data-binary", "--target", "--platform", "--parameter-overrides", "--line-buffered", "--gc-sections",
                   "--debug", "--dependency", "--exclusive", "--no-kill", "--no-requeue", "--signal", "--set"}
# Files that a document tells the reader to make.
READERS_FILES = {"k8s/overlays/mine/kustomization.yaml"}
# Labels whose values depend on the tasks and requests of a service.
OPEN_LABELS = {"le", "task", "route", "method", "version", "service", "fingerprint"}


def read(*path):
    with open(os.path.join(ft.ROOT, *path), encoding="utf-8") as source:
        return source.read()


def pages():
    """Returns the paths of all documents, relative to the root of the tree."""
    found = [name for name in os.listdir(ft.ROOT) if name.endswith(".md")]
    for place, _, names in os.walk(os.path.join(ft.ROOT, "docs")):
        found += [os.path.relpath(os.path.join(place, name), ft.ROOT) for name in names if name.endswith(".md")]
    return sorted(found)


def rows(page, heading):
    """Returns the cells of each row of the tables below a heading, up to the next heading of the same or a higher
    level."""
    level = heading.split()[0]
    [part] = re.findall(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", read("docs", page), re.M | re.S)
    return [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in part.splitlines() if line.startswith("| `")]


def words(cell):
    return re.findall(r"`([^`]*)`", cell)


def heading_anchor(heading):
    """Returns the anchor of a heading in the rendered document."""
    return re.sub(r"[^\w -]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()).strip().replace(" ", "-")


def anchors(page):
    text = re.sub(r"^```.*?^```", "", read(page), flags=re.M | re.S)
    return {heading_anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.M)}


class Docs(FantailTest):
    def help_of(self, program, *command):
        return subprocess.run([os.path.join(ft.BIN, program), *command, "--help"], capture_output=True, text=True, timeout=30,
                              env=self.environment(), check=True).stdout

    def options_of(self, program, *command):
        """Returns {option: its default, or ""} from the output of --help."""
        found = {}
        for name, text in re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)(.*?)(?=^  \S|^\S|^$)", self.help_of(program, *command), re.M | re.S):
            default = re.search(r"\[([^][]*)\]\s*$", text)
            found[name] = default.group(1) if default else ""
        return found

    def test_every_option_of_a_service_has_its_row_and_its_default_in_options_and_no_other_has(self):
        both, own = rows("options.md", "## Both services"), []
        for program in SERVICES:
            mine = rows("options.md", f"## {program}")
            own += mine
            options = {**self.options_of(program), "--version": "", "--print-config": ""}
            documented = {name: default for cells, default, *_ in both + mine for name in words(cells)}
            self.assertEqual(sorted(documented), sorted(options))
            for name, default in options.items():
                if default and (name, default) != ("--ready-fd", "-1"):
                    self.assertIn(default.replace(",", ""), documented[name].replace(",", "").split(), name)
        names = [name for cells, *_ in both + own for name in words(cells)]
        self.assertEqual(sorted(set(names)), sorted(names))

    def test_the_help_and_the_table_say_how_long_watch_waits(self):
        settle, most = re.findall(r"^#define WATCH_SETTLE(?:_MAX)?_MS +(\d+)", read("services", "worker", "watch.h"), re.M)
        for text in (self.help_of("fantail-worker"), self.help_of("fantail", "local"), read("docs", "options.md")):
            [about] = re.findall(r"--watch\W.*?(?=--[a-z]|^\||\Z)", text, re.M | re.S)[:1]
            self.assertIn(f"{int(settle) / 1000:g} s", about)
        self.assertIn(f"at most {int(most) / 1000:g} s while changes keep coming", about)

    def test_the_help_and_the_page_say_how_many_commands_may_run(self):
        [most] = re.findall(r"^#define LIMIT_TASK_PROCESSES +(\d+)", read("services", "common", "base", "limits.h"), re.M)
        [in_file] = re.findall(r"^#define OPTION_JOBS_FILE +(\d+)", read("clients", "cli", "options", "option_values.h"), re.M)
        told = " ".join(self.help_of("fantail", "map").split())
        self.assertIn(f"items that may run at once: a number up to {most};", told)
        self.assertIn(f"the number may grow to {in_file}, or to its first value if that is larger", told)
        page = " ".join(read("docs", "commands.md").split())
        self.assertIn(f"the maximum is {most}.", page)
        self.assertIn(f"It may grow to {in_file}, or to its first value if that is larger", page)

    def test_every_option_that_a_document_names_is_an_option(self):
        options = set().union(*(self.options_of(program) for program in SERVICES),
                              *(self.options_of("fantail", command) for command in COMMANDS))
        options |= {"--version", *self.options_of("fantail-host-exec")} | FOREIGN_OPTIONS
        for page in pages():
            if page == os.path.join("docs", "parallel.md"):
                continue  # test_parallel.py checks its tables
            self.assertEqual(sorted(set(re.findall(r"`(--[a-z][a-z-]*)", read(page))) - options), [], page)

    def metrics(self):
        """Returns {name: {label: values}} of the metrics of both services."""
        tokens = os.path.join(self.folder, "tokens")
        write_file(tokens, "0123456789abcdef\n")
        fleet = self.fleet(worker_arguments=("--token-file", tokens), coordinator_arguments=("--worker-token-file", tokens))
        fleet.job({"task": "square", "items": [1]})
        found = {}
        for program in (fleet.coordinator, fleet.workers[0]):
            text = ft.request(program.admin_port, "GET", "/metrics").body.decode()
            found.update({name: {} for name in re.findall(r"^# TYPE (\S+)", text, re.M) if name not in found})
            for series, labels in re.findall(r"^(\w+)\{(.*)\} ", text, re.M):
                name = series if series in found else re.sub(r"_(bucket|sum|count)$", "", series)
                for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
                    found[name].setdefault(label, set()).add(value)
        return found

    def test_every_metric_its_labels_and_their_values_are_in_observing_and_none_that_is_not(self):
        metrics = self.metrics()
        documented = {}
        for heading in ("### Both services", "### fantail-coordinator", "### fantail-worker"):
            for cells, _, labels, meaning in rows("observing.md", heading):
                for name in words(cells):
                    self.assertNotIn(name, documented)
                    documented[name] = (set(words(labels)), set(words(meaning)))
        self.assertEqual(sorted(documented), sorted(metrics))
        for name, labels in metrics.items():
            self.assertEqual(documented[name][0], set(labels) - {"le"}, name)
            for label in set(labels) - OPEN_LABELS:
                self.assertLessEqual(labels[label], documented[name][1], f"{name} {label}")
        named = set(re.findall(r"`((?:fantail|process)_[a-z_]+)", read("docs", "observing.md")))
        for page in pages():
            named |= set(re.findall(r"`(fantail_\w+(?:_total|_seconds|_bytes))\b", read(page)))
        self.assertEqual(sorted(named - set(metrics)), [])

    def test_every_error_name_and_job_status_is_in_the_protocol(self):
        document = read("docs", "protocol.md")
        names = re.findall(r'\[ITEM_\w+\] = "(\w+)"', read("services", "protocol", "protocol.c"))
        self.assertIn("worker_lost", names)
        names += re.findall(r'#define \w+_ITEM_NAME "(\w+)"', read("clients", "cli", "map", "map_answers.c"))
        self.assertIn("bad_item", names)
        for name in names:
            self.assertIn(f"`{name}`", document)
        for status in ("pending", "running", "succeeded", "partial", "failed", "cancelled", "timed_out"):
            self.assertIn(status, document)

    def test_every_field_of_a_task_is_in_the_protocol_and_none_that_is_not(self):
        fields = re.findall(r'\{"(\w+)", read_\w+\}', read("services", "worker", "task", "task_json.c"))
        self.assertIn("command", fields)
        table = read("docs", "protocol.md").split("The fields of `task.json`:\n\n")[1].split("\n\n")[0]
        documented = [name for cell in re.findall(r"^\| ([^|]*) \|", table, re.M) for name in re.findall(r"`(\w+)`", cell)]
        self.assertEqual(sorted(fields), sorted(documented))

    def test_every_call_of_the_admin_ports_is_in_the_protocol(self):
        document = read("docs", "protocol.md")
        for service, table in (("coordinator", "api/api.c"), ("worker", "api.c")):
            for path in re.findall(r'\{"GET", "(/\w+)", \w+\}', read("services", service, table)):
                self.assertRegex(document, rf"`GET {path}`[^|]* \(admin[^|]*\b{service}\b")

    def test_the_folders_of_the_architecture_are_those_of_the_layers_from_the_top_down(self):
        layers = re.sub(r"#.*", "", read("scripts", "layers.conf"))
        parts = re.findall(r"^((?:services|clients)/\S+).*\n((?:[ \t]+\S.*\n)+)", layers, re.M)
        self.assertEqual(len(parts), 6)
        for part, lines in parts:
            folders = lines.split()
            if folders == ["."]:
                continue
            table = rows("architecture.md", f"### {part}")
            self.assertEqual([words(cell)[0].rstrip("/") for cell, *_ in table], folders)
            for folder, (_, cell, _) in zip(folders, table):
                names = words(cell)
                self.assertEqual(sorted(set(names)), sorted(names), folder)
                there = os.listdir(os.path.join(ft.ROOT, part, folder))
                for name in names:
                    self.assertTrue({name + ".c", name + ".h"} & set(there), f"{part}/{folder}: {name}")

    def test_the_steps_of_a_loop_turn_stand_in_the_architecture_in_their_order(self):
        steps = re.findall(r'"((?:idle|before sleep|after poll): [a-z ]+)"', read("services", "common", "loop", "turn.c"))
        self.assertIn("after poll: scheduler", steps)
        self.assertEqual(re.findall(r"^\| ((?:idle|before sleep|after poll): [a-z ]+) \|", read("docs", "architecture.md"), re.M),
                         steps)

    def test_nothing_but_the_turn_starts_prepare_check_or_idle_handles(self):
        starts = []
        for folder in ("services", "clients"):
            for place, _, names in os.walk(os.path.join(ft.ROOT, folder)):
                for name in sorted(names):
                    path = os.path.relpath(os.path.join(place, name), ft.ROOT)
                    if path.endswith((".c", ".h")) and re.search(r"uv_(prepare|check|idle)_(t|init|start)\b", read(path)):
                        starts.append(path)
        self.assertEqual(starts, ["services/common/loop/turn.c"])

    def test_no_pure_module_reads_a_clock(self):
        pure = [path for line in re.findall(r"^pure (.*)", read("scripts", "layers.conf"), re.M) for path in line.split()]
        self.assertIn("coordinator/sched", pure)
        readers = []
        for folder, _, names in os.walk(os.path.join(ft.ROOT, "services")):
            place = os.path.relpath(folder, os.path.join(ft.ROOT, "services"))
            for name in names:
                path = os.path.normpath(os.path.join(place, name))
                # common/base implements the clock.
                if place != "common/base" and name.endswith(".c") and (place in pure or path[:-2] in pure):
                    if re.search(r"\b(now_ns|utc_time_now|thread_cpu_ns|uv_now|uv_hrtime|clock_gettime|gettimeofday|time)\((?!void)", read("services", path)):
                        readers.append(path)
        self.assertEqual(readers, [])

    def test_every_test_that_the_principles_name_is_there(self):
        named = re.findall(r"^- `(tests/[^`]+)`: (.*)$", read("docs", "principles.md"), re.M)
        self.assertGreater(len(named), 10)
        for path, tests in named:
            for test in words(tests):
                self.assertIn(test, read(path), f"{path}: {test}")

    def test_each_change_of_the_state_of_a_durable_job_has_its_test(self):
        files = ("test_durable_results.py", "test_durable_runs.py", "test_durable_replicas.py")
        tests = "".join(read("tests", "integration", name) for name in files)
        [table] = re.findall(r"^#### States of a durable job\n(.*?)^####", read("docs", "protocol.md"), re.M | re.S)
        changes = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ")][1:]
        self.assertGreater(len(changes), 9)
        for *_, named in changes:
            self.assertTrue(words(named))
            for name in words(named):
                self.assertIn(f"def {name}(", tests)

    def test_the_commands_of_your_own_task_in_the_readme_can_be_pasted(self):
        [part] = re.findall(r"^## Your own task\n(.*?)^## ", read("README.md"), re.M | re.S)
        os.symlink(os.path.join(ft.ROOT, "services"), os.path.join(self.folder, "services"))
        printed = []
        for block in re.findall(r"^```sh\n(.*?)^```", part, re.M | re.S):
            ended = subprocess.run(["sh", "-e", "-c", block], cwd=self.folder, capture_output=True, text=True, timeout=60,
                                   env=self.environment(PATH=f"{ft.BIN}:{os.environ['PATH']}"))
            self.assertEqual((ended.returncode, ended.stderr), (0, ""), block)
            printed.append(ended.stdout.strip())
        self.assertEqual(printed, ['"HELLO!"', "27"])

    def test_the_readme_installs_the_python_package_as_its_page_does(self):
        [part] = re.findall(r"^## Python\n(.*?)^## ", read("README.md"), re.M | re.S)
        steps, page = (re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)[0] for text in (part, read("docs", "python.md")))
        self.assertTrue(page.startswith(steps) and "pip install ./clients/python" in steps, steps)
        self.assertLess(part.index(steps), part.index("import fantail"))

    def test_the_first_commands_of_the_readme_need_only_a_shell_and_are_those_of_the_tests(self):
        [block] = re.findall(r"^Start with these two commands:\n\n((?:    .*\n)+)", read("README.md"), re.M)
        commands = [line.split("#")[0].strip() for line in block.splitlines()]
        self.assertEqual(commands, ["sh scripts/demo", "sh scripts/test"])
        self.assertIn(f"`{commands[1]}`", read("CONTRIBUTING.md"))
        self.assertTrue(read(".ci", "run").endswith(f"exec {commands[1]}\n"))
        for command in commands:
            self.assertTrue(read(*command.split()[1].split("/")).startswith("#!/bin/sh\n"))
        self.assertIn("need make has_command make", read("scripts", "install-packages"))

    def test_the_functions_of_the_tour_are_in_headers(self):
        [names] = re.findall(r"read\s+ten\s+functions: (.*?)\.\n", read("README.md"), re.S)
        self.assertEqual(len(words(names)), 10)
        headers = "".join(read(place, name) for place, _, found in os.walk(os.path.join(ft.ROOT, "services"))
                          for name in found if name.endswith(".h"))
        for name in words(names):
            self.assertRegex(headers, rf"\b{name}\(")

    def test_the_log_messages_that_documents_quote_are_logged(self):
        [steps] = re.findall(r"^The log shows the steps: (.*?)\.\n\n", read("docs", "shutdown.md"), re.M | re.S)
        messages = [" ".join(message.split()) for message in words(steps)]
        self.assertGreater(len(messages), 4)
        sources = "".join(read(place, name) for place, _, found in os.walk(os.path.join(ft.ROOT, "services"))
                          for name in found if name.endswith(".c"))
        for message in messages + ["TLS handshake failed", "attempt ended early", "chunk moved"]:
            self.assertRegex(sources, rf'log_\w+\([^;"]*(?:"[^"]*"[^;"]*)*"{message}')

    def test_links_between_the_documents_lead_somewhere(self):
        for page in pages():
            for link, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", read(page)):
                target = os.path.normpath(os.path.join(os.path.dirname(page), link)) if link else page
                self.assertTrue(os.path.exists(os.path.join(ft.ROOT, target)), f"{page}: {link}")
                if anchor:
                    self.assertIn(anchor, anchors(target), f"{page}: {link}#{anchor}")

    def test_every_document_that_a_file_of_the_tree_names_is_there(self):
        named = set()
        for place, folders, names in os.walk(ft.ROOT):
            folders[:] = [f for f in folders if not f.startswith(("build", ".git")) and f not in ("__pycache__", "data")]
            for name in names:
                if name.endswith((".c", ".h", ".py", ".md", ".mk", ".yaml", ".cfg", ".sh")) or "." not in name:
                    with open(os.path.join(place, name), encoding="utf-8", errors="replace") as source:
                        named |= set(re.findall(r"\bdocs/[\w/-]+\.md\b", source.read()))
        self.assertIn("docs/protocol.md", named)
        self.assertEqual([path for path in sorted(named) if not os.path.exists(os.path.join(ft.ROOT, path))], [])

    def test_every_path_that_a_document_names_is_there(self):
        for page in pages():
            found = re.findall(r"`((?:services|clients|tests|docs|deploy|k8s|scripts|examples|bench)/[\w./-]+)`", read(page))
            for path in set(found) - READERS_FILES:
                self.assertTrue(any(os.path.exists(os.path.join(ft.ROOT, path + end)) for end in ("", ".c")), f"{page}: {path}")


if __name__ == "__main__":
    ft.main()
