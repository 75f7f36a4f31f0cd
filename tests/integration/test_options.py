"""If an option is wrong, the program ends with status 2 and a message that names the option, before the program listens."""
import os
import subprocess

import fantail_testing as ft
import programs
from fantail_testing import FantailTest

COORDINATOR = ("fantail-coordinator", "--port", "0", "--admin-port", "0")
WORKER = ("fantail-worker", "--port", "0", "--admin-port", "0", "--tasks", ft.EXAMPLE_TASKS)
LOCAL = ("fantail", "local", "--port", "0", "--tasks", ft.EXAMPLE_TASKS)
SERVICES = (COORDINATOR, WORKER)


class Refused(FantailTest):
    def run_program(self, program, *arguments):
        argv = [os.path.join(ft.BIN, program[0]), *program[1:], *arguments]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=self.environment(), cwd=self.folder)

    def assert_refused(self, option, program, *arguments, why=""):
        with self.subTest(program=program[0], arguments=arguments):
            ended = self.run_program(program, *arguments)
            self.assertEqual(ended.returncode, 2, ended.stderr)
            self.assertRegex(ended.stderr, rf"(?m)^fantail[a-z -]*: --{option}: .*{why}")
            self.assertEqual(ended.stderr.count(f" --{option}: "), 1, ended.stderr)
            self.assertNotIn("listening", ended.stderr)
            self.assertNotIn("ready at", ended.stdout)

    def test_a_store_that_cannot_be_one(self):
        ft.write_file(os.path.join(self.folder, "text"), "not a store")
        for program in COORDINATOR, LOCAL:
            for store, why in (("sqlite:/no/such/jobs.db", "does not exist: /no/such"), ("sqlite:/tmp", "/tmp: Is a directory"),
                               ("sqlite:text", "not a job store"), ("sqlite:", "'sqlite:' is neither"),
                               ("foo", "'foo' is neither"), ("sqlite:" + "x" * 5000, "too long")):
                self.assert_refused("store", program, "--store", store, why=why)

    def test_a_store_in_a_wrong_url_is_not_quoted_with_its_password(self):
        ended = self.run_program(COORDINATOR, "--store", "postgress://me:secret@host/jobs")
        self.assertIn("'postgress...' is neither", ended.stderr)
        self.assertNotIn("secret", ended.stderr)

    def test_an_address_that_is_not_numeric(self):
        for program in *SERVICES, LOCAL:
            for host in "localhost", "127.0.0.256", "":
                self.assert_refused("host", program, "--host", host, why=f"'{host}' is neither a numeric address")
            self.assert_refused("host", program, "--host", "unix:", why="no path")
            self.assert_refused("host", program, "--host", "unix:" + "x" * 200, why="too long")
        for program in SERVICES:
            self.assert_refused("admin-host", program, "--admin-host", "localhost", why="neither a numeric address")

    def test_ports_that_clash(self):
        for program in SERVICES:
            self.assert_refused("admin-port", program, "--port", "8099", "--admin-port", "8099", why="differ from --port")
        self.assert_refused("admin-port", LOCAL, "--port", "8099", "--admin-port", "8099", why="are 8099 to 8100, and --port")
        self.assert_refused("admin-port", LOCAL, "--port", "8099", "--admin-port", "8097", "--workers", "2")

    def test_what_local_passes_on_to_its_services(self):
        self.assert_refused("log-level", LOCAL, "--log-level", "verbose")
        self.assert_refused("token-file", LOCAL, "--token-file", "absent")


    def test_an_option_whose_value_means_nothing(self):
        for option, value, why in (("spill-dir", "/nosuch", "No such file"), ("spill-dir", "/etc/passwd", "Not a directory"),
                                   ("expected-tasks", "a b", "'a b' is not the name of a task"),
                                   ("expected-tasks", "a,,b", "'' is not"), ("expected-tasks", "a,../b", "'../b' is not"),
                                   ("workers", "static://a", "as in static://10.0.0.7:8081"),
                                   ("workers", "dns://", "as in dns://workers:8081")):
            self.assert_refused(option, COORDINATOR, f"--{option}", value, why=why)
        for option, value, why in (("worker-id", "", "1 to 127"), ("worker-id", "a\r\nb", "1 to 127"), ("worker-id", " ", "without a blank"),
                                   ("worker-id", "x" * 128, "1 to 127"), ("hosts-dir", "/tmp", "no host program"),
                                   ("hosts-dir", "/nosuch", "no host program")):
            self.assert_refused(option, WORKER, f"--{option}", value, why=why)

    def test_an_option_without_the_option_that_it_needs(self):
        self.assert_refused("store-max-bytes", COORDINATOR, "--store-max-bytes", "1", why="needs --store")
        for option, value in (("register-address", "10.0.0.7"), ("register-token-file", "x"), ("register-ca", "x"),
                              ("register-client-cert", "x"), ("register-client-key", "x")):
            self.assert_refused(option, WORKER, f"--{option}", value, why="has no effect without --register")
        for program in *SERVICES, LOCAL:
            for more in (), ("--no-exit-with-parent",):
                self.assert_refused("parent-pid", program, "--parent-pid", "4", *more, why="without --exit-with-parent")


    def test_hosts_that_are_no_hosts(self):
        for value, why in (("", "'' is not a host"), ("a,-oProxyCommand=x", "'-oProxyCommand=x' is not a host"),
                           ("a:0", "'a:0' has a port"), ("a,a", "'a' is in the list twice")):
            self.assert_refused("ssh", LOCAL, "--ssh", value, why=why)
        self.assert_refused("ssh", LOCAL, "--ssh", "a", "--ssh", "b", why="")
        self.assert_refused("workers", LOCAL, "--workers", "0", why="0 needs --ssh, because a fleet needs workers")


class RefusedLater(FantailTest):
    def test_local_ends_when_a_service_refuses_its_options_at_a_restart(self):
        tokens = os.path.join(self.folder, "tokens")
        ft.write_file(tokens, "a-token-of-some-length-0123456789\n")
        local = self.start("fantail", *LOCAL[1:], "--token-file", tokens)
        ft.wait_until(lambda: "ready at" in local.stdout(), "the ready line")
        coordinator, = (pid for pid in programs.descendants(local.pid) if "/fantail-coordinator " in programs.command_line(pid))
        os.remove(tokens)
        os.kill(coordinator, 9)
        self.assertEqual(local.wait(), 2)
        self.assertIn("the coordinator ended with status 2 before it was ready", local.stderr())
        self._programs.remove(local)


if __name__ == "__main__":
    ft.main()
