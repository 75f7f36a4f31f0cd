"""docs/python-client.md agrees with the package, and its examples run."""
import inspect
import os
import re
import subprocess
import sys

import fantail_testing as ft
import python_calls as calls
from test_python_executor import WHY_NOT, setUpModule  # noqa: F401

if not WHY_NOT:
    import fantail
    import fantail.aio


def page(name):
    with open(os.path.join(ft.ROOT, "docs", name), encoding="utf-8") as text:
        return text.read()


class Docs(ft.FantailTest):
    def test_every_example_runs(self):
        fleet = self.fleet(coordinator_arguments=("--store", f"sqlite:{os.path.join(self.folder, 'jobs.db')}"))
        url = f"http://127.0.0.1:{fleet.port}"
        examples = re.findall(r"^```python\n(.*?)^```", page("python-client.md"), re.M | re.S)
        out = []
        for example in examples:
            env = {**self.environment(), "PYTHONPATH": calls.PACKAGE, "FANTAIL_URL": url}
            ended = subprocess.run([sys.executable, "-W", "error", "-c", example], env=env, capture_output=True, text=True,
                                   timeout=120)
            self.assertEqual((ended.returncode, ended.stderr), (0, ""), example)
            out.append(ended.stdout.splitlines())
        maps, jobs, loop = out
        self.assertEqual(maps[:6], ["0", "1", "4", "9", "16", "1"])
        self.assertTrue(maps[6].startswith("ItemError('task_error'"), maps)
        self.assertEqual(jobs[1:], ["succeeded 1000", "332833500", "True"])
        self.assertEqual(loop, ["0", "1", "4"])

    def test_every_exception_is_in_a_table(self):
        pages = page("python-client.md") + page("python.md")
        for name in fantail.__all__:
            found = getattr(fantail, name)
            if isinstance(found, type) and issubclass(found, Exception):
                self.assertRegex(pages, rf"`(fantail\.)?{name}`")

    def test_every_argument_is_described(self):
        text = page("python-client.md")
        for call in (fantail.Client, fantail.Client.map, fantail.Client.submit, fantail.Client.jobs, fantail.Job.results,
                     fantail.Job.wait):
            for name in set(inspect.signature(call).parameters) - {"self"}:
                self.assertRegex(text, rf"\b{name}\b", f"{call}: {name}")
        status = fantail.JobStatus({"id": "", "status": ""})
        for name in vars(status):
            self.assertIn(f"`{name}`", text)

    def test_both_clients_have_the_same_methods_and_arguments(self):
        for one, other in ((fantail.Client, fantail.aio.Client), (fantail.Job, fantail.aio.Job)):
            for name in (name for name in dir(one) if not name.startswith("_") and callable(getattr(one, name))):
                mine, theirs = (inspect.signature(getattr(kind, name)).parameters for kind in (one, other))
                self.assertEqual([(p.name, p.default, p.kind) for p in mine.values()],
                                 [(p.name, p.default, p.kind) for p in theirs.values()], name)

    def test_a_private_fleet_does_not_import_ssl_or_asyncio(self):
        script = "import sys, fantail; print([name for name in ('ssl', 'asyncio') if name in sys.modules])"
        env = {**self.environment(), "PYTHONPATH": calls.PACKAGE}
        out = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60)
        self.assertEqual(out.stdout.strip(), "[]", out.stderr)


if __name__ == "__main__":
    ft.main()
