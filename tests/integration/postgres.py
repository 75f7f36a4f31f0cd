"""A PostgreSQL server for one test, from Debian's package.

    server = Server()           # its folder, made by initdb
    server.start()
    url = server.database()     # a new, empty database
    server.query(url, "SELECT 1")
    server.stop()
    server.remove()

initdb and postgres refuse to run as root. If the test runs as root, the two programs run as another user, who owns the
folder.
"""
import glob
import itertools
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile

from ports import HeldPort
from waiting import wait_until

REASON = "PostgreSQL is missing (package postgresql)"
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = '16MB'
max_connections = 60
fsync = on
deadlock_timeout = '200ms'
lc_messages = 'C'
"""


def programs():
    """Returns the folder with initdb and postgres of the newest version, or None."""
    folders = [f for f in glob.glob("/usr/lib/postgresql/*/bin") if os.access(f + "/initdb", os.X_OK)]
    if folders:
        return max(folders, key=lambda f: int(re.sub(r"\D", "", f) or 0))
    found = shutil.which("initdb")
    return os.path.dirname(found) if found else None


class Server:
    """A PostgreSQL server. If `primary`, a running Server, is given, the new server is a standby that replicates from
    `primary` by streaming."""

    def __init__(self, primary=None):
        self.folder = tempfile.mkdtemp(prefix="fantail-postgres-")
        self.data = os.path.join(self.folder, "data")
        self.user = None
        if os.geteuid() == 0:
            names = {user.pw_name: user for user in pwd.getpwall()}
            self.user = names.get("postgres") or names["nobody"]
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        self.port = HeldPort()
        self.process = None
        self._numbers = itertools.count()
        if primary:
            self.run("pg_basebackup", "-D", self.data, "-d", primary.url("postgres"), "-R", "-c", "fast", "--no-sync")
        else:
            self.run("initdb", "-D", self.data, "-U", "fantail", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
            self.configure(SETTINGS)

    def become_user(self):
        if self.user:
            os.setgroups([])
            os.setgid(self.user.pw_gid)
            os.setuid(self.user.pw_uid)

    def run(self, program, *arguments, check=True):
        """Runs a program of PostgreSQL. Returns its output."""
        result = subprocess.run([os.path.join(programs(), program), *arguments], cwd=self.folder, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                preexec_fn=self.become_user, timeout=120)
        if check and result.returncode:
            raise AssertionError(f"{program} ended with status {result.returncode}\n{result.stdout}")
        return result.stdout.strip()

    def configure(self, text):
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as conf:
            conf.write(text)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def admit(self, lines):
        """Replaces the rules that say which clients may connect (pg_hba.conf)."""
        with open(os.path.join(self.data, "pg_hba.conf"), "w", encoding="utf-8") as rules:
            rules.write(lines)

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen([os.path.join(programs(), "postgres"), "-D", self.data, "-p",
                                             str(self.port.number)], cwd=self.folder, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=self.become_user, start_new_session=True)
        wait_until(self.is_ready, "a server that accepts connections")

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"postgres ended with status {self.process.returncode}\n{self.log()}")
        return "accepting" in self.run("pg_isready", "-h", "127.0.0.1", "-p", str(self.port.number), check=False)

    def stop(self, number=signal.SIGINT):
        """Stops the server. SIGINT is a fast shutdown. SIGQUIT ends the server immediately, like `pg_ctl stop -m
        immediate`."""
        if not self.process:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
        self.process.wait(60)
        self.process = None

    def move_to(self, other):
        """Stops this server and gives it the port of `other`, a server that must have ended. After the next start, clients
        find this server at that port."""
        self.stop()
        self.port, other.port = other.port, self.port

    def url(self, database, user="fantail"):
        return f"postgresql://{user}@127.0.0.1:{self.port.number}/{database}"

    def query(self, url, sql):
        """Returns the rows as text: a line for each row, with | between the columns."""
        return self.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql)

    def database(self):
        name = f"jobs{next(self._numbers)}"
        self.query(self.url("postgres"), f"CREATE DATABASE {name}")
        return self.url(name)

    def remove(self):
        self.stop(signal.SIGQUIT)
        self.port.close()
        shutil.rmtree(self.folder, ignore_errors=True)
