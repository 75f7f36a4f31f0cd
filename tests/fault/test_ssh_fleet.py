"""`fantail local --ssh`: a fleet of other machines, each with a real ssh server in a network namespace."""
import collections
import json
import os
import re
import signal
import stat
import subprocess
import time
import unittest

import fantail_testing as ft
import ssh_hosts
from fantail_testing import command_line, descendants, wait_until
from fault_testing import FaultTest, say

WHERE = """
import os, time
def run(item):
    time.sleep(0.02)
    return [item, os.environ.get("TEST_HOST", "here")]
"""


def setUpModule():
    reason = ssh_hosts.missing()
    if reason:
        raise unittest.SkipTest(reason)


class SshFleet(FaultTest):
    def setUp(self):
        super().setUp()
        self.site = ssh_hosts.Site(self)
        self.where = os.path.join(self.folder, "code", "tasks")
        self.task("where", WHERE)

    def task(self, name, source):
        os.makedirs(os.path.join(self.where, name), exist_ok=True)
        ft.write_file(os.path.join(self.where, name, "task.json"), json.dumps({"mode": "python", "command": f"{name}:run"}))
        ft.write_file(os.path.join(self.where, name, f"{name}.py"), source)

    def start_fleet(self, hosts, *arguments):
        names = ",".join(host if isinstance(host, str) else host.name for host in hosts)
        program = self.start("fantail", "local", "--port", 0, "--tasks", self.where, "--processes", 2, "--ssh", names,
                             *arguments, env=self.site.environment())
        self.addCleanup(self.end, program)  # before the hosts end
        return program

    @staticmethod
    def end(program):
        if program.alive():
            program.send_signal(signal.SIGTERM)
        program.process.wait(60)

    def url(self, program):
        found = wait_until(lambda: re.search(r"^fantail: ready at (\S+)$", program.stdout(), re.M) or not program.alive(),
                           "the ready line")
        self.assertNotEqual(found, True, program.describe())
        return found[1]

    def fleet(self, hosts, *arguments):
        program = self.start_fleet(hosts, *arguments)
        return program, self.url(program)

    def start_map(self, url, count):
        items = os.path.join(self.folder, "items")
        ft.write_file(items, "".join(f"{n}\n" for n in range(count)))
        with open(items, "rb") as stdin:
            return subprocess.Popen([os.path.join(ft.BIN, "fantail"), "map", "where", "--url", url], stdin=stdin, text=True,
                                    stdout=subprocess.PIPE, env=self.environment())

    def answers(self, process, count):
        """Checks that each item has its answer, in order. Returns how many answers each host gave."""
        lines = [*process.before, *process.stdout] if hasattr(process, "before") else list(process.stdout)
        process.stdout.close()
        self.assertEqual(process.wait(60), 0)
        values = [json.loads(line) for line in lines]
        self.assertEqual([item for item, _ in values], list(range(count)))
        return collections.Counter(host for _, host in values)

    def map(self, url, count):
        return self.answers(self.start_map(url, count), count)

    def said(self, program, words):
        wait_until(lambda: words in program.stderr() or not program.alive(), words)
        self.assertIn(words, program.stderr(), program.describe())

    def folders_of(self, hosts):
        return [re.search(r"--host unix:(\S+)/worker", command_line(pid))[1] for host in hosts for pid in host.workers()]

    def test_items_run_on_every_host_and_no_port_is_open(self):
        hosts = [self.site.host(1), self.site.host(2)]
        program, url = self.fleet(hosts, "--workers", 0)
        self.assertEqual(program.stderr(), "")
        shares = self.map(url, 300)
        say(f"300 items on two hosts: {dict(shares)}")
        self.assertEqual(sorted(shares), ["h1", "h2"])
        folders = self.folders_of(hosts)
        self.assertEqual(len(folders), 2)
        for folder in folders:
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700)
        for host in hosts:
            listening = subprocess.run([*host.net.inside(), "ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
            self.assertEqual([line.split()[3] for line in listening.splitlines()], [f"{host.net.address}:22"])

    def test_this_machine_works_too_unless_it_is_left_out(self):
        host = self.site.host(1)
        _, url = self.fleet([host])
        self.assertEqual(sorted(self.map(url, 300)), ["h1", "here"])

    def test_a_host_that_is_cut_off_costs_no_item_and_is_used_again(self):
        hosts = [self.site.host(1), self.site.host(2)]
        program, url = self.fleet(hosts, "--workers", 0)
        old = hosts[1].workers()
        self.assertEqual(len(old), 1)
        count = 1500
        process = self.start_map(url, count)
        process.before = [process.stdout.readline() for _ in range(count // 3)]
        self.assertIn('"h2"', "".join(process.before))
        hosts[1].cut()
        cut = time.monotonic()
        self.said(program, "the connection to h2 is lost; trying again")
        say(f"the loss was told {time.monotonic() - cut:.1f} s after the cut")
        shares = self.answers(process, count)
        say(f"cut off after {count // 3} of {count} items: {dict(shares)}, the rest took {time.monotonic() - cut:.1f} s")
        self.assertGreater(shares["h1"], shares["h2"])
        # No packet reaches the host, but its worker ends.
        wait_until(lambda: not hosts[1].programs(), "the end of the worker that is cut off")
        say(f"the worker that is cut off ended {time.monotonic() - cut:.1f} s after the cut")
        self.assertEqual(sorted(self.map(url, 100)), ["h1"])
        hosts[1].mend()
        self.said(program, "h2 is ready again")
        self.assertEqual(sorted(self.map(url, 300)), ["h1", "h2"])
        self.assertNotEqual(hosts[1].workers(), old)

    def test_a_host_that_is_cut_off_while_it_is_idle_gets_no_item(self):
        hosts = [self.site.host(1), self.site.host(2)]
        program, url = self.fleet(hosts, "--workers", 0)
        hosts[1].cut()
        start = time.monotonic()
        self.assertEqual(sorted(self.map(url, 300)), ["h1"])
        say(f"300 items after a cut that nobody has noticed: {time.monotonic() - start:.1f} s")
        self.said(program, "the connection to h2 is lost")

    def test_a_worker_that_dies_is_started_again(self):
        host = self.site.host(1)
        program, url = self.fleet([host], "--workers", 0)
        os.kill(host.workers()[0], signal.SIGKILL)
        self.said(program, "the worker on h1 ended with status 137; starting it again\n")
        self.said(program, "fantail: h1 is ready again\n")
        self.assertEqual(sorted(self.map(url, 50)), ["h1"])

    def test_what_tasks_print_has_the_name_of_the_host(self):
        self.task("prints", "def run(item):\n    print('item', item)\n    return item\n")
        program, url = self.fleet([self.site.host(1)], "--workers", 0)
        subprocess.run([os.path.join(ft.BIN, "fantail"), "map", "prints", "--url", url], input=b"1\n2\n", check=True,
                       env=self.environment(), stdout=subprocess.DEVNULL)
        wait_until(lambda: sorted(program.stderr().splitlines()) == ["h1: prints: item 1", "h1: prints: item 2"],
                   "the lines of the task")

    # Hosts that cannot be used.

    def cannot(self, why, *arguments, **options):
        """Checks that one line names the host and the reason, and that the other host does all the work."""
        bad = self.site.host(1, **options)
        program, url = self.fleet([bad, self.site.host(2)], "--workers", 0, *arguments)
        line, = [line for line in program.stderr().splitlines() if line.startswith("fantail: h1 ")]
        self.assertRegex(line, rf"^fantail: h1 cannot be used: {why}\. The fleet runs without it, and tries it again$")
        self.assertEqual(sorted(self.map(url, 100)), ["h2"])
        return bad, program

    def test_a_host_that_refuses_the_connection(self):
        self.cannot(r"ssh: connect to host 10\.77\.1\.2 port 22: Connection refused", serves=False)

    def test_a_host_without_the_worker(self):
        self.cannot("fantail-worker is neither in PATH nor at the path that it has on the coordinator's machine",
                    mounts=f"mount -t tmpfs none {ft.BIN}")

    def test_a_host_without_the_tasks(self):
        self.cannot(f"the folder of the tasks does not exist on this host: {self.where}",
                    mounts=f"mount -t tmpfs none {os.path.dirname(self.where)}")

    def test_a_host_that_does_not_forward_to_socket_files(self):
        bad, _ = self.cannot(r"its sshd does not forward to socket files \(AllowStreamLocalForwarding\)",
                             settings="AllowStreamLocalForwarding no")
        wait_until(lambda: not bad.programs(), "the end of the worker without a tunnel")

    def test_a_host_whose_key_is_unknown(self):
        ft.write_file(os.path.join(self.site.folder, "known_hosts"), "")
        program = self.start_fleet([self.site.host(1)])
        self.url(program)
        self.assertIn("fantail: h1 cannot be used: Host key verification failed. The fleet", program.stderr())

    def test_a_fleet_without_any_usable_host_ends(self):
        self.site.host(1, serves=False)
        program = self.start_fleet(["h1"], "--workers", 0)
        program.any_status = True
        self.assertEqual(program.wait(), 3)
        self.assertEqual(program.stderr().splitlines()[1:], ["fantail: none of the hosts can be used"])
        self.assertIn("fantail: h1 cannot be used: ssh: connect to host", program.stderr())

    # The end.

    def ends(self, number, status):
        hosts = [self.site.host(1), self.site.host(2)]
        program, url = self.fleet(hosts)
        program.any_status = True
        self.map(url, 100)
        folders = self.folders_of(hosts)
        ours = descendants(program.pid)
        self.assertEqual(len(folders), 2)
        self.assertGreater(len(ours), 4)
        os.kill(program.pid, number)
        self.assertEqual(program.process.wait(60), status)
        program.killed = True
        wait_until(lambda: not any(host.programs() for host in hosts), "the end of the workers on the hosts")
        wait_until(lambda: not any(ft.runs(pid) for pid in ours), "the end of the processes here")
        wait_until(lambda: not any(map(os.path.exists, folders)), "the removal of the folders on the hosts")

    def test_ctrl_c_ends_everything_on_every_host(self):
        self.ends(signal.SIGINT, 0)

    def test_kill_9_ends_everything_on_every_host(self):
        self.ends(signal.SIGKILL, -signal.SIGKILL)

    def test_work_that_runs_on_a_host_may_end_after_ctrl_c(self):
        self.task("where", "import time\ndef run(item):\n    time.sleep(item)\n    return 'done'\n")
        program, url = self.fleet([self.site.host(1)], "--workers", 0)
        port = int(url.rsplit(":", 1)[1])
        with ft.Stream(port, b'{"task":"where","items":[0.01,1.5]}', {"Accept": ft.NDJSON}) as stream:
            stream.line_of("result")
            program.send_signal(signal.SIGINT)
            self.assertEqual(stream.line_of("end")["status"], "succeeded")
        self.assertEqual(program.wait(), 0)


if __name__ == "__main__":
    ft.main()
