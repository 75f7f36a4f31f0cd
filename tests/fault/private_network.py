"""Moves this test process to new network and mount namespaces. Its later children are in these namespaces too.

    reason = private_network.enter()       # None, or why it is not possible: skip the test with this reason
    host = private_network.Host(1)         # another host, 10.77.1.2; its link can be cut or lose packets

Nothing outside the namespaces is changed, and the namespaces end with the process.
"""
import ctypes
import os
import shutil
import subprocess

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def enter():
    for tool in ("ip", "nsenter", "mount"):
        if not shutil.which(tool):
            return f"{tool} is missing (packages iproute2, util-linux)"
    if os.geteuid() != 0:
        return "namespaces need root here"
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        return f"namespaces are not permitted: {os.strerror(ctypes.get_errno())}"
    try:
        run("mount", "--make-rprivate", "/")
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1")
        run("ip", "link", "del", "probe0")
    except OSError as e:
        return f"namespaces cannot be used here: {e}"
    return None


class Host:
    """Another host, with a link to this host. A command that begins with the words that inside() returns runs on the other
    host."""

    def __init__(self, number):
        self.number, self.address = number, f"10.77.{number}.2"
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "100000"])
        own = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{self.holder.pid}/ns/net") == own:
            pass
        near, far = f"near{number}", f"far{number}"
        run("ip", "link", "add", near, "type", "veth", "peer", "name", far)
        run("ip", "link", "set", far, "netns", str(self.holder.pid))
        run("ip", "addr", "add", f"10.77.{number}.1/24", "dev", near)
        run("ip", "link", "set", near, "up")
        for command in (("ip", "addr", "add", f"{self.address}/24", "dev", far), ("ip", "link", "set", far, "up"),
                        ("ip", "link", "set", "lo", "up")):
            run(*self.inside(), *command)

    def inside(self):
        return ["nsenter", "-t", str(self.holder.pid), "-n"]

    def enter(self):
        """Use this as the preexec_fn of a program that is to run on the other host."""
        with open(f"/proc/{self.holder.pid}/ns/net", "rb") as namespace:
            if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
                os._exit(126)

    def lose(self, percent):
        """Makes the link lose packets at random in both directions. Returns "netem" or "iptables", whichever drops the
        packets, or None if this machine can use neither."""
        netem = [*self.inside(), "tc", "qdisc", "add", "dev", f"far{self.number}", "root", "netem", "loss",
                 f"{percent}%"]
        drop = ["-m", "statistic", "--mode", "random", "--probability", str(percent / 100), "-j", "DROP"]
        try:
            if shutil.which("tc"):
                run(*netem)
                run("tc", "qdisc", "add", "dev", f"near{self.number}", "root", "netem", "loss", f"{percent}%")
                return "netem"
        except OSError:
            pass  # the kernel has no sch_netem, so iptables must drop the packets
        try:
            run(*self.inside(), "iptables", "-A", "INPUT", *drop)
            run("iptables", "-A", "INPUT", "-i", f"near{self.number}", *drop)
            return "iptables"
        except OSError:
            return None

    def cut(self):
        run("ip", "link", "set", f"near{self.number}", "down")

    def close(self):
        subprocess.run(["ip", "link", "del", f"near{self.number}"], capture_output=True)
        self.holder.kill()
        self.holder.wait()


def use_resolver(folder, address="127.0.0.1"):
    """Makes this process and its later children use the name server at `address`."""
    path = os.path.join(folder, "resolv.conf")
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"nameserver {address}\noptions timeout:1 attempts:1\n")
    run("mount", "--bind", path, os.path.realpath("/etc/resolv.conf"))
