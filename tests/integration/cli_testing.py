"""Shared by the tests of the program `fantail`, which run it against real and fake services."""
import os
import subprocess

from fake_coordinator import FakeCoordinator
from fantail_testing import BIN, EXAMPLE_TASKS, FantailTest, wait_until
from played_coordinator import serve

FANTAIL = os.path.join(BIN, "fantail")
A, B, C = (f"0195f2c4-1a2b-7000-8000-00000000000{n}" for n in (1, 2, 3))
EARLIER = "0195f000-0000-7000-8000-000000000000"


class Ended:
    def __init__(self, process, out, err):
        self.status, self.out, self.err = process.returncode, out, err

    @property
    def lines(self):
        return self.out.decode().splitlines()

    def __repr__(self):
        return f"status {self.status}, out {self.out[:300]!r}, err {self.err[:2000]!r}"


class CliTest(FantailTest):
    """Adds cli(), which runs the program to its end."""

    def cli(self, *arguments, stdin=b"", cwd=None, timeout_s=60, **env):
        if isinstance(stdin, str):
            stdin = stdin.encode()
        process = subprocess.Popen([FANTAIL, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.environment(**env), cwd=cwd or self.folder)
        try:
            ended = Ended(process, *process.communicate(stdin, timeout_s))
        except BaseException:
            process.kill()
            process.wait()
            raise
        self.assertNotRegex(ended.err, rb"Sanitizer|runtime error:|BUG at", ended)
        return ended


class FakeTest(CliTest):
    """Adds .fake, a fake coordinator. All commands get the address of this coordinator."""

    def setUp(self):
        super().setUp()
        self.fake = FakeCoordinator(self)

    def cli(self, *arguments, **more):
        return super().cli(*arguments, FANTAIL_URL=self.fake.url, **more)

    def asked(self, method="GET"):
        """Returns the paths of the requests with this method."""
        return [path for made, path, _, _ in self.fake.requests if made == method]

    def assert_ended(self, ended, status, lines=None, err=()):
        self.assertEqual(ended.status, status, ended)
        if lines is not None:
            self.assertEqual(ended.lines, lines, ended)
        for words in err:
            self.assertIn(words, ended.err.decode(), ended)
        if not err:
            self.assertEqual(ended.err, b"", ended)


class PlayedTest(CliTest):
    """Adds serve(), which starts a small server that plays a coordinator or a proxy (played_coordinator.py), and map()."""

    def serve(self, *answers, **options):
        return serve(self, *answers, **options)

    def map(self, url, *arguments, stdin="1\n2\n3\n"):
        return self.cli("map", "x", "--url", url, *arguments, stdin=stdin)


class LocalTest(CliTest):
    """Adds local(), which starts `fantail local` with a store, and follow(), which starts a command in the
    background."""

    def local(self, *arguments, tasks=EXAMPLE_TASKS, env=None):
        program = self.start("fantail", "local", "--tasks", tasks, *arguments, env=env)
        wait_until(lambda: "ready at" in program.stdout() or not program.alive(), "the ready line")
        self.assertTrue(program.alive(), program.describe())
        return program

    def follow(self, command, *arguments):
        program = self.start("fantail", command, *arguments, "--url", self.url)
        program.any_status = True
        return program


def numbers(*span):
    return "".join(f"{n}\n" for n in range(*span))
