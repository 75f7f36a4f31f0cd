"""The fleets that `fantail map` (without a URL) and `fantail local` start. Afterwards, no process and no file of a fleet
may remain."""
import contextlib
import fcntl
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import termios
import time

from cli_testing import FANTAIL, CliTest, numbers
from fantail_testing import EXAMPLE_TASKS, JSON, command_line, descendants, main, request, wait_until, write_file


def listens_on_a_port(pid):
    """Returns whether the process has a listening TCP socket."""
    inodes = set()
    for name in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{name}", encoding="ascii") as table:
            inodes |= {f"socket:[{line.split()[9]}]" for line in table.readlines()[1:] if line.split()[3] == "0A"}
    folder = f"/proc/{pid}/fd"
    return any(os.readlink(os.path.join(folder, fd)) in inodes for fd in os.listdir(folder))


class PrivateFleet(CliTest):
    """`fantail map` without a URL."""

    def cli(self, *arguments, **more):
        """Runs the command, and also checks that no process and no file remains."""
        with tempfile.TemporaryDirectory(prefix="fantail-test-tmp-") as tmp:
            ended = super().cli(*arguments, **more, TMPDIR=tmp)
            self.assertEqual(os.listdir(tmp), [])
        self.assertEqual(self._strangers(), [])
        return ended

    def test_a_task_is_mapped_by_a_fleet_of_its_own(self):
        ended = self.cli("map", "square", "--tasks", EXAMPLE_TASKS, stdin=numbers(1, 200001))
        self.assertEqual((ended.status, ended.err), (0, b""), ended)
        self.assertEqual(ended.lines[-1], "40000000000")
        self.assertEqual(len(ended.lines), 200000)

    def test_the_folder_of_the_tasks_is_named_when_a_task_is_unknown(self):
        os.makedirs(os.path.join(self.folder, "tasks"))
        shutil.copytree(os.path.join(EXAMPLE_TASKS, "fib"), os.path.join(self.folder, "tasks", "fib"))
        ended = self.cli("map", "square", stdin="1\n")
        self.assertEqual(ended.status, 3, ended)
        self.assertIn(b"this run uses the tasks in the folder ./tasks", ended.err)

    def test_any_command_is_mapped_over_lines(self):
        self.assertEqual(self.cli("map", "--", "expr", "2", "+", stdin=numbers(1, 6)).lines, ["3", "4", "5", "6", "7"])
        self.assertEqual(self.cli("map", "--", "echo", "<{}>", "{}!", stdin="a b\n*\n").lines, ["<a b> a b!", "<*> *!"])
        self.assertEqual(self.cli("map", "--stdin", "--", "tr", "a-z", "A-Z", stdin="x\ny\n").lines, ["X", "Y"])

    def test_a_command_runs_where_the_user_is(self):
        with open(os.path.join(self.folder, "here.txt"), "w", encoding="utf-8") as file:
            file.write("content\n")
        self.assertEqual(self.cli("map", "--", "cat", stdin="here.txt\n").lines, ["content"])

    def test_a_command_that_fails_is_a_failed_item(self):
        ended = self.cli("map", "--", "sh", "-c", 'test "$0" != 2 || { echo oh >&2; exit 7; }; echo "$0"',
                         stdin="1\n2\n3\n")
        self.assertEqual((ended.status, ended.lines), (1, ["1", "null", "3"]), ended)
        self.assertRegex(ended.err, rb"^oh\nfantail: item 2 \(line 2\): .*7\n")

    def test_max_concurrency_holds_for_the_whole_run(self):
        with subprocess.Popen([FANTAIL, "map", "--max-concurrency", "1", "-P", "4", "--", "sh", "-c",
                               "mkdir alone && sleep 0.05 && rmdir alone"], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, cwd=self.folder, env=self.environment()) as process:
            for _ in range(20):  # there is a pause before each line, so each line is a batch of its own
                process.stdin.write(b"x\n")
                process.stdin.flush()
                time.sleep(0.015)
            process.stdin.close()
            self.assertEqual(process.wait(60), 0)

    def test_a_command_that_does_not_exist_is_told_once_and_runs_nothing(self):
        write_file(os.path.join(self.folder, "plain"), "no program\n")
        for command, word in (("no-such-program", b"PATH"), ("./nothing", b"No such file"), ("./plain", b"denied"),
                              (self.folder, b"directory")):
            ended = self.cli("map", "--", command, "{}", stdin="1\n2\n")
            self.assertEqual((ended.status, ended.out, ended.err.count(b"\n")), (2, b"", 1), ended)
            self.assertIn(command.encode(), ended.err)
            self.assertIn(word, ended.err)

    def test_the_sum_of_what_a_command_prints_needs_json(self):
        ended = self.cli("map", "--reduce", "sum", "--", "expr", "2", "+", stdin=numbers(4))
        self.assertEqual((ended.status, ended.out), (2, b""), ended)
        self.assertIn(b"--json", ended.err)
        ended = self.cli("map", "--json", "--reduce", "sum", "--", "expr", "2", "+", stdin=numbers(4))
        self.assertEqual((ended.status, ended.lines), (0, ["14"]), ended)
        ended = self.cli("map", "--reduce", "count", "--", "cat", stdin="")
        self.assertEqual((ended.status, ended.lines), (0, ["0"]), ended)

    def test_a_neighbour_that_cannot_be_read_is_no_matter_until_it_is_asked_for(self):
        tasks = self.tasks(same={"command": ["cat"], "mode": "exec"})
        os.mkdir(os.path.join(tasks, "broken"))
        write_file(os.path.join(tasks, "broken", "task.json"), "{")
        ended = self.cli("map", "same", "--tasks", tasks, stdin="1\n")
        self.assertEqual((ended.status, ended.lines, ended.err), (0, ["1"], b""), ended)
        ended = self.cli("map", "broken", "--tasks", tasks, stdin="1\n")
        self.assertEqual((ended.status, ended.err.count(b"\n")), (3, 1), ended)
        self.assertIn(b"broken/task.json is not valid JSON", ended.err)

    def test_the_span_it_runs_in_is_that_of_its_jobs(self):
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        command = ["map", "--", "sh", "-c", 'echo "$TRACEPARENT $TRACESTATE"']
        ended = self.cli(*command, stdin="1\n", TRACEPARENT=f"00-{trace}-00f067aa0ba902b7-01", TRACESTATE="a=1")
        self.assertRegex(ended.lines[0], rf"^00-{trace}-[0-9a-f]{{16}}-01 a=1$")
        ended = self.cli(*command, stdin="1\n", TRACEPARENT="nonsense\r\nx: y", TRACESTATE="a=1")
        self.assertEqual(ended.status, 0, ended)
        self.assertNotIn("nonsense", ended.lines[0])

    def test_json_values_of_a_command_stay_json(self):
        ended = self.cli("map", "--json", "--", "printf", "%s", stdin='{"a": 1}\n"text"\n')
        self.assertEqual([json.loads(line) for line in ended.lines], [{"a": 1}, "text"], ended)

    def test_closed_input_is_no_items_and_a_full_disk_is_told(self):
        script = f"{FANTAIL} map square --tasks {EXAMPLE_TASKS} <&-; echo $?; " \
                 f"echo 3 | {FANTAIL} map square --tasks {EXAMPLE_TASKS} >/dev/full; echo $?"
        ended = subprocess.run(["bash", "-c", script], capture_output=True, timeout=60, check=True,
                               env=self.environment())
        self.assertEqual(ended.stdout, b"0\n3\n")
        self.assertIn(b"No space left", ended.stderr)

    def test_several_workers_share_the_items(self):
        ended = self.cli("map", "square", "--tasks", EXAMPLE_TASKS, "--workers", 3, "--processes", 1,
                         stdin=numbers(1000))
        self.assertEqual((ended.status, ended.lines), (0, [str(n * n) for n in range(1000)]), ended)

    def test_an_interrupt_leaves_nothing_behind(self):
        tmp = os.path.join(self.folder, "tmp")
        os.mkdir(tmp)
        process = subprocess.Popen([FANTAIL, "map", "--", "sh", "-c", "echo $0; exec sleep $0"], stdin=subprocess.PIPE,
                                   env=self.environment(TMPDIR=tmp), start_new_session=True)
        with process:
            process.stdin.write(b"1000\n" * 4)
            process.stdin.flush()
            wait_until(lambda: any(command_line(pid) == "sleep 1000" for pid in descendants(process.pid)),
                       "a running command")
            os.killpg(process.pid, signal.SIGINT)
            self.assertEqual(process.wait(60), -signal.SIGINT)
        self.assertEqual(os.listdir(tmp), [])
        self.assertEqual(self._strangers(), [])

    def test_settings_for_a_fleet_elsewhere_do_not_reach_it(self):
        ended = self.cli("map", "square", "--tasks", EXAMPLE_TASKS, stdin="3\n", FANTAIL_TOKEN_FILE="/nowhere",
                         FANTAIL_MAX_JOBS="nonsense")
        self.assertEqual((ended.status, ended.lines), (0, ["9"]), ended)

    def test_an_item_inside_shell_code_is_warned_of(self):
        self.assertIn(b"warning", self.cli("map", "--", "sh", "-c", "echo {}", stdin="1\n").err)
        self.assertEqual(self.cli("map", "--", "sh", "-c", "echo $1", "sh", "{}", stdin="1\n").err, b"")

    def test_what_a_killed_run_left_behind_is_removed_by_the_next_one(self):
        """Each kind of command removes the folder of a killed run. The command keeps the folder of another program. The
        command also keeps the folder of a running command, even if the folder's times are old."""
        tmp = os.path.join(self.folder, "killed")
        os.mkdir(tmp)
        another = os.path.join(tmp, "fantail-mine")
        os.mkdir(another)
        with subprocess.Popen([FANTAIL, "map", "--", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              env=self.environment(TMPDIR=tmp)) as living:
            kept = wait_until(lambda: glob.glob(os.path.join(tmp, "fantail-map-*", "w*")), "its worker")
            kept = glob.glob(os.path.join(tmp, "fantail-*"))
            services = set(self._strangers())
            for path in kept:
                os.utime(path, (time.time() - 100000,) * 2)
            for command in (["map", "--", "sleep"], ["local", "--port", "0", "--tasks", EXAMPLE_TASKS]):
                before = set(os.listdir(tmp))
                with subprocess.Popen([FANTAIL, *command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                      env=self.environment(TMPDIR=tmp)) as process:
                    wait_until(lambda: set(os.listdir(tmp)) - before, "the directory of the run")
                    process.kill()
                wait_until(lambda: set(self._strangers()) <= services, "the end of its services, which write there")
                self.assertNotEqual(set(os.listdir(tmp)), before)
                self.assertEqual(CliTest.cli(self, "map", "--", "echo", stdin="1\n", TMPDIR=tmp).status, 0)
                self.assertEqual(sorted(glob.glob(os.path.join(tmp, "*"))), sorted(kept))
            living.stdin.close()
        self.assertEqual((living.returncode, os.listdir(tmp)), (0, ["fantail-mine"]))

    def test_a_command_and_a_folder_that_are_not_utf_8_are_meant_or_refused(self):
        ended = self.cli("map", "--", "echo", "caf\udce9", stdin="1\n")
        self.assertEqual((ended.status, ended.lines), (2, []), ended)
        self.assertIn(b"word 2 of the command is not valid UTF-8 (byte 3 of the word)", ended.err)
        folder = os.path.join(self.folder, "caf\udce9")
        os.mkdir(folder)
        ended = self.cli("map", "--json", "--", "sh", "-c", "pwd | od -An -tx1", stdin="1\n", cwd=folder)
        self.assertIn("63 61 66 e9 0a", " ".join(json.loads(ended.lines[0]).split()), ended)

    def test_no_other_user_reaches_it(self):
        """The services of the fleet have no port. The sockets of the services are in a directory that only this user
        can enter."""
        with tempfile.TemporaryDirectory(prefix="fantail-test-tmp-") as tmp:
            process = subprocess.Popen([FANTAIL, "map", "square", "--tasks", EXAMPLE_TASKS], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, env=self.environment(TMPDIR=tmp))
            process.stdin.write(b"3\n")
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), b"9\n")
            sockets = glob.glob(os.path.join(tmp, "fantail-fleet-*", "*"))
            self.assertEqual(sorted(map(os.path.basename, sockets)), ["coordinator", "worker-1"])
            self.assertEqual(os.stat(os.path.dirname(sockets[0])).st_mode & 0o777, 0o700)
            self.assertEqual([command_line(pid) for pid in descendants(process.pid) if listens_on_a_port(pid)], [])
            self.assertEqual(process.communicate(timeout=60)[0], b"")
            self.assertEqual((process.returncode, os.listdir(tmp)), (0, []))

    def test_a_long_path_of_the_temporary_folder_is_no_hindrance(self):
        tmp = os.path.join(self.folder, "x" * 200)
        os.mkdir(tmp)
        ended = CliTest.cli(self, "map", "square", "--tasks", EXAMPLE_TASKS, stdin="3\n", TMPDIR=tmp)
        self.assertEqual((ended.status, ended.lines, os.listdir(tmp)), (0, ["9"], []), ended)

    def test_a_task_can_make_a_socket_if_the_path_of_the_temporary_folder_is_long(self):
        code = ("import os, socket\ndef run(x):\n    with socket.socket(socket.AF_UNIX) as s:\n"
                "        s.bind(os.environ['TMPDIR'] + '/a-socket')\n    return x\n")
        tasks = self.tasks(listens={"json": {"mode": "python", "command": ["listens:run"]}, "files": {"listens.py": code}})
        for length in (56, 70, 80, 95):
            tmp = self.folder + "/" + "x" * (length - len(self.folder) - 1)
            os.mkdir(tmp)
            ended = CliTest.cli(self, "map", "listens", "--tasks", tasks, stdin="3\n", TMPDIR=tmp)
            self.assertEqual((ended.status, ended.lines, os.listdir(tmp)), (0, ["3"], []), ended)

    def test_a_relative_path_of_the_temporary_folder_is_that_of_the_caller(self):
        os.mkdir(os.path.join(self.folder, "tmp"))
        code = "import os\ndef run(x):\n    open(os.environ['TMPDIR'] + '/file', 'w').close()\n    return os.environ['TMPDIR']\n"
        tasks = self.tasks(where={"json": {"mode": "python", "command": ["where:run"]}, "files": {"where.py": code}})
        done = subprocess.run([FANTAIL, "map", "where", "--tasks", tasks], input=b"1\n", capture_output=True, cwd=self.folder,
                              env=self.environment(TMPDIR="tmp"), timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertTrue(json.loads(done.stdout).startswith(os.path.join(self.folder, "tmp", "")), done.stdout)
        self.assertEqual(os.listdir(os.path.join(self.folder, "tmp")), [])

    def test_a_command_has_the_temporary_folder_of_the_caller(self):
        tmp = os.path.join(self.folder, "tmp")
        os.mkdir(tmp)
        ended = CliTest.cli(self, "map", "--", "sh", "-c", 'mktemp; echo "$TMPDIR"', "sh", ":::", "1", "2", TMPDIR=tmp)
        made = ended.lines[::2]
        self.assertEqual((ended.status, ended.lines[1::2], ended.err), (0, [tmp, tmp], b""), ended)
        self.assertEqual(sorted(os.path.join(tmp, name) for name in os.listdir(tmp)), sorted(made))
        ended = CliTest.cli(self, "map", "--", "sh", "-c", 'echo "${TMPDIR-none}"', "sh", ":::", "1", TMPDIR=None)
        self.assertEqual(ended.lines, ["none"])

    def test_the_temporary_folder_of_a_task_leaves_room_for_the_name_of_a_socket(self):
        tasks = self.tasks(where={"json": {"mode": "python", "command": ["where:run"]},
                                  "files": {"where.py": "import os\ndef run(x):\n    return os.environ['TMPDIR']\n"}})
        tmp = json.loads(CliTest.cli(self, "map", "where", "--tasks", tasks, stdin="1\n", TMPDIR=None).out)
        self.assertLess(len(tmp), len("/tmp") + 40, tmp)

    def test_killed_outright_it_takes_its_services_with_it(self):
        process = subprocess.Popen([FANTAIL, "map", "sleep", "--tasks", EXAMPLE_TASKS], stdin=subprocess.PIPE,
                                   env=self.environment())
        with process:
            process.stdin.write(b"1000\n")
            process.stdin.flush()
            wait_until(lambda: len(descendants(process.pid)) >= 3, "a task process")
            process.kill()
        wait_until(lambda: not self._strangers(), "the end of the services")


class Local(CliTest):
    """`fantail local`."""

    @contextlib.contextmanager
    def local(self, *arguments):
        program = self.start("fantail", "local", "--port", 0, "--tasks", EXAMPLE_TASKS, *arguments)
        found = wait_until(lambda: re.search(r"^fantail: ready at (http://127\.0\.0\.1:\d+)$", program.stdout(), re.M)
                           or not program.alive(), "the ready line")
        self.assertNotEqual(found, True, program.describe())
        yield program, found[1]

    def services(self, program, name):
        return [pid for pid in descendants(program.pid) if name in command_line(pid).split(" ")[0]]

    def test_it_serves_when_it_says_so(self):
        with self.local("--workers", 2) as (program, url):
            self.assertEqual(len(self.services(program, "fantail-worker")), 2)
            self.assertEqual(self.cli("map", "square", "--url", url, stdin="7\n").lines, ["49"])

    def test_it_names_the_folder_of_the_tasks_if_none_was_given(self):
        os.makedirs(os.path.join(self.folder, "tasks"))
        with subprocess.Popen([FANTAIL, "local", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=self.environment(), cwd=self.folder) as program:
            try:
                self.assertRegex(program.stdout.readline(), "^fantail: ready at ")
                program.send_signal(signal.SIGINT)
                self.assertIn("fantail: serves the tasks in ./tasks; to serve another folder, use --tasks\n",
                              program.communicate(timeout=60)[1])
            finally:
                program.kill()
        with self.local() as (program, _):
            self.assertNotIn("serves the tasks in", program.stderr())

    def test_it_may_listen_on_a_socket_file(self):
        path = os.path.join(self.folder, "fleet.sock")
        program = self.start("fantail", "local", "--host", f"unix:{path}", "--tasks", EXAMPLE_TASKS)
        wait_until(lambda: f"fantail: ready at unix:{path}\n" in program.stdout(), "the ready line")
        ended = self.cli("map", "square", stdin="7\n", FANTAIL_URL=f"unix:{path}")
        self.assertEqual((ended.status, ended.lines), (0, ["49"]), ended)
        self.assertEqual(self.cli("tasks", "--url", f"unix:{path}").status, 0)
        self.assertEqual(program.stop(signal.SIGINT), 0)
        self.assertFalse(os.path.exists(path))
        ended = self.cli("map", "square", "--url", f"unix:{path}", stdin="7\n")
        self.assertEqual(ended.status, 3, ended)
        self.assertIn(path.encode(), ended.err)

    def test_ctrl_c_ends_everything_with_status_0(self):
        with self.local() as (program, _):
            self.assertEqual(program.stop(signal.SIGINT), 0)
        self.assertEqual(self._strangers(), [])

    def test_a_dead_service_comes_back_under_its_address(self):
        with self.local("--workers", 2) as (program, url):
            for times, name in enumerate(("fantail-worker", "fantail-coordinator"), 1):
                before = self.services(program, name)
                os.kill(before[0], signal.SIGKILL)
                wait_until(lambda: program.stderr().count("is ready again") == times, "the restart")
                self.assertEqual(len(self.services(program, name)), len(before))
                self.assertEqual(self.cli("map", "square", "--url", url, stdin="7\n").lines, ["49"])

    def test_sighup_makes_the_services_read_tasks_and_tokens_again(self):
        tasks = self.tasks(twice={"command": ["cat"], "mode": "exec", "output": "text"})
        tokens = os.path.join(self.folder, "tokens")
        write_file(tokens, "the-token-of-the-start\n")
        with self.local("--tasks", tasks, "--token-file", tokens) as (program, url):
            port = int(url.rsplit(":", 1)[1])
            before = self.services(program, "fantail-")

            def job(task, token):
                return request(port, "POST", "/v1/jobs", json.dumps({"task": task, "items": ["a"]}),
                                  {"Content-Type": JSON, "Authorization": f"Bearer {token}"})
            self.assertEqual(job("twice", "the-token-of-the-start").json["results"], ['"a"'])
            self.assertEqual(job("thrice", "the-token-of-the-start").status, 404)
            self.assertEqual(job("twice", "the-token-that-came-later").status, 401)
            self.tasks(thrice={"command": ["cat"], "mode": "exec", "output": "text"})
            write_file(tokens, "the-token-that-came-later\n")
            program.send_signal(signal.SIGHUP)
            wait_until(lambda: job("thrice", "the-token-that-came-later").status == 200, "the reload")
            self.assertEqual(job("twice", "the-token-of-the-start").status, 401)
            self.assertEqual(set(before) - set(self.services(program, "fantail-")), set(), "who was restarted")

    def test_it_ends_when_its_terminal_is_closed(self):
        master, slave = os.openpty()
        program = self.start("fantail", "local", "--port", 0, "--tasks", EXAMPLE_TASKS,
                             before_exec=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0))
        os.close(slave)
        wait_until(lambda: "ready at" in program.stdout(), "the ready line")
        os.close(master)
        self.assertEqual(program.wait(), 0)
        self.assertEqual(self._strangers(), [])

    def test_a_port_that_is_taken_is_status_3(self):
        with self.local() as (_, url):
            ended = self.cli("local", "--tasks", EXAMPLE_TASKS, "--port", url.rsplit(":", 1)[1])
            self.assertEqual(ended.status, 3, ended)
            self.assertIn(b"fantail: --port: cannot listen on 127.0.0.1:", ended.err)
            self.assertIn(b"Address already in use; --port 0 chooses a free port", ended.err)

    def test_an_address_that_cannot_work_ends_it_before_a_service_starts(self):
        """No restart can help, so the command ends immediately, even with a job store. After other failed starts, a fleet with
        a job store keeps trying for a while."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            store = "sqlite:" + os.path.join(self.folder, "jobs.db")
            for options, said in (
                    (("--admin-port", port), f"--admin-port: cannot listen on 127.0.0.1:{port}: Address already in use; "
                                             "--admin-port 0 chooses a free port"),
                    (("--admin-port", port - 1), f"--admin-port: cannot listen on 127.0.0.1:{port}: Address already in use; "
                                                 "--admin-port 0 chooses a free port"),  # the port of the worker
                    (("--host", "192.0.2.1", "--insecure"), "--host: cannot listen on 192.0.2.1: Cannot assign requested "
                                                            "address"),
                    (("--host", f"unix:{self.folder}/no/socket"), f"--host: cannot listen on {self.folder}/no/socket: No "
                                                                  "such file or directory")):
                with self.subTest(options=options):
                    ended = self.cli("local", "--tasks", EXAMPLE_TASKS, "--port", 0, "--store", store, *options)
                    # Port `port - 1` may be taken by another program. Then the message names that port.
                    told = ended.err.decode().replace(f":{port - 1}:", f":{port}:")
                    self.assertEqual((ended.status, told), (3, f"fantail: {said}\n"))


if __name__ == "__main__":
    main()
