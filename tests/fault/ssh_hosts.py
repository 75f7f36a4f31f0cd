"""Hosts with an ssh server of their own, in network namespaces.

    reason = ssh_hosts.missing()           # None, or what is missing on this machine
    site = Site(test)                      # the keys, and a program `ssh` that uses only them
    host = site.host(1)                    # a host that `ssh h1` reaches
    environment = site.environment()       # for `fantail local --ssh h1,h2`

In each ssh session, the variable TEST_HOST has the name of the host.
"""
import contextlib
import os
import shutil
import subprocess

import private_network
from fantail_testing import command_line, descendants, wait_until, write_file

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


def missing():
    if not os.path.exists(SSHD):
        return "sshd is missing (package openssh-server)"
    if not shutil.which("ssh") or not shutil.which("ssh-keygen"):
        return "ssh is missing (package openssh-client)"
    if not shutil.which("iptables"):
        return "iptables is missing (package iptables)"
    return private_network.enter()


class SshHost:
    """The server has a mount namespace too. `mounts` are shell commands that run in it before the server starts."""

    def __init__(self, site, number, mounts, settings, serves):
        self.name, self.site = f"h{number}", site
        self.net = private_network.Host(number)
        self.server = None
        if not serves:
            return
        config = os.path.join(site.folder, f"sshd_config_{number}")
        write_file(config, f"""Port 22
ListenAddress {self.net.address}
HostKey {site.folder}/host_key
AuthorizedKeysFile {site.folder}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
SetEnv TEST_HOST={self.name}
{settings}
""")
        script = f"mount -t tmpfs none /run && mkdir -m 755 /run/sshd && {mounts or ':'} && exec {SSHD} -D -e -f {config}"
        log = open(os.path.join(site.folder, f"sshd_{number}.log"), "w+", encoding="utf-8")
        self.log = log
        self.server = subprocess.Popen([*self.net.inside(), "unshare", "--mount", "sh", "-c", script], stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL)
        wait_until(lambda: "Server listening" in self.said() or self.server.poll() is not None, "the ssh server")
        assert self.server.poll() is None, self.said()

    def said(self):
        with open(self.log.name, encoding="utf-8") as log:
            return log.read()

    def programs(self):
        """Returns the processes of fantail, and of its tasks, that run on this host."""
        lines = {pid: command_line(pid) for pid in descendants(self.server.pid)}
        return [pid for pid, line in lines.items() if "fantail-" in line and "sshd" not in line]

    def workers(self):
        return [pid for pid in self.programs() if os.path.basename(command_line(pid).split(" ")[0]) == "fantail-worker"]

    def cut(self):
        """Drops all packets from and to the host, without telling anyone."""
        for chain in ("INPUT", "OUTPUT"):
            private_network.run(*self.net.inside(), "iptables", "-I", chain, "-j", "DROP")

    def mend(self):
        for chain in ("INPUT", "OUTPUT"):
            private_network.run(*self.net.inside(), "iptables", "-D", chain, "1")

    def close(self):
        """Call this after the end of the fleet. Checks that nothing of the fleet remains on the host."""
        if self.server:
            try:
                wait_until(lambda: not self.programs(), f"the end of the programs on {self.name}")
            finally:
                self.kill()
        self.net.close()

    def kill(self):
        for pid in [*descendants(self.server.pid), self.server.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        self.server.wait()
        self.log.close()


class Site:
    def __init__(self, test):
        self.test, self.folder = test, os.path.join(test.folder, "site")
        os.makedirs(os.path.join(self.folder, "bin"))
        for key in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(self.folder, key)], check=True)
        with open(os.path.join(self.folder, "host_key.pub"), encoding="ascii") as file:
            kind, key = file.read().split()[:2]
        names = [(f"h{n}", f"10.77.{n}.2") for n in range(1, 10)]
        write_file(os.path.join(self.folder, "known_hosts"), "".join(f"{address} {kind} {key}\n" for _, address in names))
        hosts = "".join(f"Host {name}\n  HostName {address}\n" for name, address in names)
        # Settings that a user may have, and that must not keep the fleet from working.
        write_file(os.path.join(self.folder, "config"), f"""{hosts}Host *
  User root
  IdentityFile {self.folder}/user_key
  IdentitiesOnly yes
  UserKnownHostsFile {self.folder}/known_hosts
  GlobalKnownHostsFile none
  ControlMaster auto
  ControlPath {self.folder}/control-%C
  ExitOnForwardFailure yes
  RemoteCommand echo this must not run
  LogLevel QUIET
""")
        write_file(os.path.join(self.folder, "bin", "ssh"),
                   f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.folder}/config "$@"\n', 0o755)

    def host(self, number, mounts="", settings="", serves=True):
        host = SshHost(self, number, mounts, settings, serves)
        self.test.addCleanup(host.close)
        return host

    def environment(self):
        path = self.test.environment()["PATH"]
        return self.test.environment(PATH=os.path.join(self.folder, "bin") + os.pathsep + path)
