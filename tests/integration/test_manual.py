"""The manual pages and the shell completions. Both are made from the tables of options."""
import glob
import os
import re
import subprocess

from cli_testing import FANTAIL, CliTest
from fantail_testing import BUILD, have, main, write_file

SHARE = os.path.join(BUILD, "share")
BASH = """
source "$1"
compopt() { :; }
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_fantail
printf '%s\\n' "${COMPREPLY[@]}"
"""


class Manual(CliTest):
    def commands(self):
        """Returns {command: its help}, for all commands."""
        names = re.findall(r"^  ([a-z]+) +\S", self.cli("--help").out.decode().split("Examples:")[0], re.M)
        self.assertIn("map", names)
        return {name: self.cli(name, "--help").out.decode() for name in names}

    def options(self, text):
        return set(re.findall(r"^  (?:-\w, )?--([a-z][a-z0-9-]+)(?=$| )", text, re.M)) - {"help", "print-config"}

    def run_tool(self, *arguments, **more):
        if not have(arguments[0]):
            self.skipTest(f"{arguments[0]} is not installed")
        return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False, cwd=self.folder, **more)

    def write(self):
        self.assertEqual(self.cli("write-manual", "share").status, 0)
        return os.path.join(self.folder, "share")

    def test_each_command_has_a_page_with_all_its_options(self):
        share = self.write()
        pages = {os.path.basename(path) for path in glob.glob(f"{share}/man/man1/*")}
        commands = self.commands()
        self.assertEqual(pages, {"fantail.1", *(f"fantail-{name}.1" for name in commands)})
        for name, text in commands.items():
            with open(f"{share}/man/man1/fantail-{name}.1", encoding="ascii") as page:
                source = page.read().replace("\\-", "-")
            given = set(re.findall(r"^(?:\\fB-\w\\fR, )?\\fB--([a-z][a-z0-9-]*)", source, re.M)) - {"help", "print-config"}
            self.assertEqual(given, self.options(text), name)

    def test_the_pages_have_no_fault(self):
        for path in glob.glob(f"{self.write()}/man/man1/*"):
            shown = self.run_tool("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path,
                                  env=self.environment(LC_ALL="C.UTF-8", MANROFFSEQ="", MANWIDTH="80"))
            self.assertEqual((shown.returncode, shown.stderr), (0, ""), path)
        shown = self.run_tool("man", "-l", path, env=self.environment(LC_ALL="C.UTF-8", MANWIDTH="80"))
        self.assertIn("SYNOPSIS", shown.stdout)

    def test_mandoc_finds_no_fault_in_the_pages(self):
        for path in glob.glob(f"{self.write()}/man/man1/*"):
            found = self.run_tool("mandoc", "-Tlint", "-W", "warning", path)
            self.assertEqual([line for line in found.stdout.splitlines() if "missing date" not in line], [])

    def test_each_completion_has_every_option_of_every_command(self):
        for shell, form in (("bash", "--{}"), ("zsh", "--{}"), ("fish", "-l {}")):
            text = self.cli("completion", shell).out.decode()
            for command, shown in self.commands().items():
                for option in self.options(shown):
                    self.assertRegex(text, rf"{re.escape(form.format(option))}\b", (shell, command))

    def test_the_shells_accept_their_completions(self):
        for shell in ("bash", "zsh", "fish"):
            with self.subTest(shell):
                write_file(os.path.join(self.folder, shell), self.cli("completion", shell).out)
                checked = self.run_tool(shell, "-n", shell)
                self.assertEqual((checked.returncode, checked.stderr), (0, ""))

    def complete(self, *words):
        write_file(os.path.join(self.folder, "completion"), self.cli("completion", "bash").out)
        asked = self.run_tool("bash", "-c", BASH, "bash", "completion", "fantail", *words)
        self.assertEqual((asked.returncode, asked.stderr), (0, ""))
        return asked.stdout.split()

    def test_bash_completes_commands_options_and_values(self):
        self.tasks(ocr={"command": "cat"})
        write_file(os.path.join(self.folder, "job.json"), "{}")
        for words, expected in ((["ma"], ["map"]), (["help", "redr"], ["redrive"]), (["map", "--keep"], ["--keep-order"]),
                                (["map", "--order", ""], ["input", "completion"]), (["map", "--order", "=", "c"], ["completion"]),
                                (["map", "-j", ""], []), (["map", "oc"], ["ocr"]), (["map", "--errors", "job"], ["job.json"]),
                                (["map", "--", "cat", "jo"], ["job.json"]), (["submit", "jo"], ["job.json"]),
                                (["completion", ""], ["bash", "zsh", "fish"])):
            self.assertEqual(self.complete(*words), expected, words)

    def test_fish_completes_commands_options_and_values(self):
        write_file(os.path.join(self.folder, "completion"), self.cli("completion", "fish").out)
        for line, expected in (("fantail redr", ["redrive"]), ("fantail map --keep", ["--keep-order"]),
                               ("fantail map --order ", ["completion", "input"])):
            asked = self.run_tool("fish", "--no-config", "-c", f"source completion; complete -C '{line}'",
                                  env=self.environment(HOME=self.folder))
            self.assertEqual([found.split("\t")[0] for found in asked.stdout.splitlines()], expected, asked)

    def test_wrong_usage_is_refused(self):
        for arguments, why in ((["completion"], "give one shell: bash, zsh or fish"),
                               (["completion", "tcsh"], "tcsh is not supported; choose bash, zsh or fish")):
            ended = self.cli(*arguments)
            self.assertEqual((ended.status, ended.err.decode()), (2, f"fantail completion: {why}\n"))
        self.assertEqual(self.cli("write-manual").status, 2)
        self.assertEqual(self.cli("help", "write-manual", cwd=self.folder).status, 2)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "--help")))
        write_file(os.path.join(self.folder, "file"), "")
        self.assertEqual(self.cli("write-manual", "file").status, 3)

    def test_the_build_has_written_the_manual(self):
        for path in ("man/man1/fantail-map.1", "bash-completion/completions/fantail", "zsh/site-functions/_fantail",
                     "fish/vendor_completions.d/fantail.fish"):
            self.assertTrue(os.path.getsize(os.path.join(SHARE, path)), path)


if __name__ == "__main__":
    main()
