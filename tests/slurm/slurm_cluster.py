"""A Slurm cluster for one test: the controller in the network namespace of this process, and each node on a host of its
own (private_network.Host). Everything is in the folder of the test, and ends with close().

    cluster = Cluster(folder, nodes=4)
    cluster.start()
    cluster.run("sbatch", ...)
    cluster.cut_off(3)          # node n3 loses its power: nothing of it runs, and nothing reaches its address
    cluster.close()
"""
import os
import shutil
import signal
import socket
import subprocess

import private_network
from waiting import wait_until

PROGRAMS = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"}
ADDRESS = "10.77.1.1"  # of the controller
CONTROLLER_PORT, NODE_PORT = 6817, 6818
CONFIGURATION = """
ClusterName=fantail
SlurmctldHost={name}({address})
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
CredType=cred/munge
StateSaveLocation={folder}/controller
SlurmctldPidFile={folder}/controller/pid
SlurmctldLogFile={folder}/controller.log
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/spool-%n/pid
SlurmdLogFile={folder}/node-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
SlurmdParameters=config_overrides
SlurmctldParameters=node_reg_mem_percent=0
SlurmdTimeout=10
KillWait=5
ReturnToService=2
{nodes}
PartitionName=all Nodes=ALL Default=YES State=UP
"""


def path_of(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def missing():
    """Returns why a cluster cannot run here; None: it can."""
    for program, package in PROGRAMS.items():
        if not path_of(program):
            return f"{program} is missing (package {package})"
    return None


class Cluster:
    """The processes of a cluster. Each node has two processors."""

    def __init__(self, folder, nodes):
        self.folder, self.names = folder, [f"n{number}" for number in range(1, nodes + 1)]
        self.hosts, self.daemons = {}, []
        self.env = dict(os.environ, SLURM_CONF=os.path.join(folder, "slurm.conf"))
        with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as forward:  # of this namespace
            forward.write("1")
        for number, name in enumerate(self.names, 1):
            host = private_network.Host(number)
            self.hosts[name] = host
            private_network.run(*host.inside(), "ip", "route", "add", "default", "via", f"10.77.{number}.1")
            os.makedirs(os.path.join(folder, f"spool-{name}"))
        os.makedirs(os.path.join(folder, "controller"))
        lines = [f"NodeName={name} NodeHostname={socket.gethostname().split('.')[0]} NodeAddr={host.address} CPUs=2 "
                 "RealMemory=1000" for name, host in self.hosts.items()]
        with open(self.env["SLURM_CONF"], "w", encoding="ascii") as conf:
            conf.write(CONFIGURATION.format(name=socket.gethostname().split(".")[0], address=ADDRESS, folder=folder,
                                            controller_port=CONTROLLER_PORT, node_port=NODE_PORT, nodes="\n".join(lines)))

    def spawn(self, program, *arguments, host=None):
        log = os.path.join(self.folder, f"{program}-{len(self.daemons)}.out")
        with open(log, "wb") as out:
            self.daemons.append(subprocess.Popen([path_of(program), *arguments], env=self.env, stdin=subprocess.DEVNULL,
                                                 stdout=out, stderr=out, start_new_session=True,
                                                 preexec_fn=host.enter if host else None))
        return self.daemons[-1]

    def start(self):
        key, sock = os.path.join(self.folder, "munge.key"), os.path.join(self.folder, "munge.socket")
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o400), "wb") as out:
            out.write(os.urandom(1024))
        self.spawn("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={sock}",
                   *(f"--{what}-file={self.folder}/munge.{what}" for what in ("pid", "log", "seed")))
        wait_until(lambda: os.path.exists(sock), "the socket of munged")
        self.spawn("slurmctld", "-D", "-f", self.env["SLURM_CONF"])
        for name, host in self.hosts.items():
            self.spawn("slurmd", "-D", "-N", name, "-f", self.env["SLURM_CONF"], host=host)
        wait_until(lambda: self.states() == dict.fromkeys(self.names, "idle"), "idle nodes")

    def run(self, *command, check=True, **more):
        """Runs a command of Slurm. Returns its output."""
        done = subprocess.run(command, env={**self.env, **more.pop("env", {})}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, **more)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: status {done.returncode}: {done.stdout}")
        return done.stdout

    def states(self):
        lines = self.run("sinfo", "-h", "-N", "-o", "%N %T", check=False).splitlines()
        return dict(line.split() for line in lines if line.count(" ") == 1)

    def job(self, number):
        """Returns the members of a job."""
        shown = self.run("scontrol", "-o", "show", "job", str(number))
        return dict(word.split("=", 1) for word in shown.split() if "=" in word)

    def processes(self, name):
        """Returns the processes that run on a node."""
        holder = self.hosts[name].holder.pid
        own, found = os.readlink(f"/proc/{holder}/ns/net"), []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                if int(entry) != holder and os.readlink(f"/proc/{entry}/ns/net") == own:
                    found.append(int(entry))
            except OSError:
                pass  # it has ended
        return found

    def cut_off(self, name):
        """Cuts the link first, so that no other node learns from a closed connection that the processes have ended."""
        self.hosts[name].cut()
        self.kill(name)

    def kill(self, name):
        while found := self.processes(name):
            for pid in found:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            for daemon in self.daemons:
                daemon.poll()

    def close(self):
        """Ends everything."""
        self.run("scancel", "--full", "--user=root", check=False)
        for name in self.hosts:
            self.kill(name)
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in reversed(self.daemons):
            try:
                daemon.wait(30)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for host in self.hosts.values():
            host.close()
